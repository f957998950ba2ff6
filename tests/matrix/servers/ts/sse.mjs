#!/usr/bin/env node
// A server of 2024-11-05 over HTTP+SSE, on npm `@modelcontextprotocol/sdk` 1.9, which spoke nothing newer.

import { createServer } from "node:http";
import { Server } from "sdk-of-2024/server/index.js";
import { SSEServerTransport } from "sdk-of-2024/server/sse.js";
import * as types from "sdk-of-2024/types.js";
import { listen, methods } from "./offer.mjs";

const SCHEMAS = {
  "tools/list": types.ListToolsRequestSchema,
  "tools/call": types.CallToolRequestSchema,
  "resources/list": types.ListResourcesRequestSchema,
  "resources/read": types.ReadResourceRequestSchema,
  "prompts/list": types.ListPromptsRequestSchema,
  "prompts/get": types.GetPromptRequestSchema,
  "completion/complete": types.CompleteRequestSchema,
};

/** By the id in its URL; each has a server of its own. Ends with its stream. */
const connections = new Map();

function connect() {
  const capabilities = { tools: {}, resources: { subscribe: true }, prompts: {}, logging: {} };
  const server = new Server({ name: "matrix-sse", version: "1.0.0" }, { capabilities });
  const subscribed = new Set();
  let logs = false; // nobody has asked for them yet

  const call = ({ params }, signal) => ({
    signal,
    async progress(progress) {
      const { progressToken } = params?._meta ?? {};
      if (progressToken !== undefined) {
        await server.notification({ method: "notifications/progress", params: { progressToken, progress } });
      }
    },
    log: (data) => logs && server.sendLoggingMessage({ level: "info", data }),
    updated: (uri) => subscribed.has(uri) && server.sendResourceUpdated({ uri }),
    ask: (method, params) => server.request({ method, params }, types.CreateMessageResultSchema),
  });
  // The revision has no elicitation.
  for (const [method, answer] of Object.entries(methods({ without: ["ask_user"] }))) {
    server.setRequestHandler(SCHEMAS[method], (request, { signal }) => answer(request.params ?? {}, call(request, signal)));
  }
  server.setRequestHandler(types.SubscribeRequestSchema, ({ params }) => (subscribed.add(params.uri), {}));
  server.setRequestHandler(types.UnsubscribeRequestSchema, ({ params }) => (subscribed.delete(params.uri), {}));
  server.setRequestHandler(types.SetLevelRequestSchema, () => ((logs = true), {}));
  return server;
}

async function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (request.method === "GET" && url.pathname === "/sse") {
    const transport = new SSEServerTransport("/messages", response);
    connections.set(transport.sessionId, transport);
    const server = connect();
    server.onclose = () => connections.delete(transport.sessionId);
    await server.connect(transport);
  } else if (request.method === "POST" && url.pathname === "/messages") {
    const transport = connections.get(url.searchParams.get("sessionId"));
    if (transport) await transport.handlePostMessage(request, response);
    else response.writeHead(404).end();
  } else {
    response.writeHead(request.method === "GET" ? 404 : 405).end();
  }
}

listen(createServer(answer), "/sse");
