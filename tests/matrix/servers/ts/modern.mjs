#!/usr/bin/env node
// A server of 2026-07-28 alone, on npm `@modelcontextprotocol/server` 2.x.

import { createServer } from "node:http";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { Server, createMcpHandler, inputRequired } from "@modelcontextprotocol/server";
import { listen, methods } from "./offer.mjs";

const KEY = "asked";

/** Thrown where the client must answer first: it will call again. */
class Needs {
  constructor(request) {
    this.result = inputRequired({ inputRequests: { [KEY]: request } });
  }
}

function call({ mcpReq }) {
  return {
    signal: mcpReq.signal,
    async progress(progress) {
      const { progressToken } = mcpReq._meta ?? {};
      if (progressToken !== undefined) {
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress } });
      }
    },
    log: (text) => mcpReq.log("info", text),
    updated: (uri) => handler.notify.resourceUpdated(uri),
    ask(method, params) {
      const answer = mcpReq.inputResponses?.[KEY];
      if (!answer) throw new Needs({ method, params });
      return answer;
    },
  };
}

function server() {
  const capabilities = { tools: {}, resources: { subscribe: true }, prompts: {}, completions: {}, logging: {} };
  const server = new Server({ name: "matrix-modern", version: "1.0.0" }, { capabilities });
  for (const [method, answer] of Object.entries(methods())) {
    server.setRequestHandler(method, async ({ params }, context) => {
      try {
        return await answer(params ?? {}, call(context));
      } catch (fault) {
        if (fault instanceof Needs) return fault.result;
        throw fault;
      }
    });
  }
  return server;
}

const handler = createMcpHandler(server, { legacy: "reject" });
listen(createServer(toNodeHandler(handler)), "/mcp");
