#!/usr/bin/env node
// A server of 2025-11-25 on npm `@modelcontextprotocol/sdk` 1.x: over HTTP, or with the word `stdio` over that. It keeps no
// stream for clients that lose it.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";
import { listen, methods } from "./offer.mjs";

const SCHEMAS = {
  "tools/list": types.ListToolsRequestSchema,
  "tools/call": types.CallToolRequestSchema,
  "resources/list": types.ListResourcesRequestSchema,
  "resources/read": types.ReadResourceRequestSchema,
  "prompts/list": types.ListPromptsRequestSchema,
  "prompts/get": types.GetPromptRequestSchema,
  "completion/complete": types.CompleteRequestSchema,
  "elicitation/create": types.ElicitResultSchema,
  "sampling/createMessage": types.CreateMessageResultSchema,
};

function server() {
  const capabilities = { tools: {}, resources: {}, prompts: {}, completions: {} };
  const server = new Server({ name: "matrix-legacy", version: "1.0.0" }, { capabilities });
  const call = ({ params }, { signal, sendNotification, sendRequest }) => ({
    signal,
    async progress(progress) {
      const { progressToken } = params?._meta ?? {};
      if (progressToken !== undefined) {
        await sendNotification({ method: "notifications/progress", params: { progressToken, progress } });
      }
    },
    ask: (method, params) => sendRequest({ method, params }, SCHEMAS[method]),
  });
  for (const [method, answer] of Object.entries(methods({ without: ["touch", "log"] }))) {
    server.setRequestHandler(SCHEMAS[method], (request, extra) => answer(request.params ?? {}, call(request, extra)));
  }
  return server;
}

/** By the id of its session; each has a server of its own. */
const sessions = new Map();

async function answer(request, response) {
  const id = request.headers["mcp-session-id"];
  let transport = sessions.get(id);
  if (id && !transport) return response.writeHead(404).end();
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    await server().connect(transport);
  }
  await transport.handleRequest(request, response);
}

if (process.argv[2] === "stdio") await server().connect(new StdioServerTransport());
else listen(createServer(answer), "/mcp");
