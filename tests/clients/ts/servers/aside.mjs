// A legacy server over HTTP, on the TypeScript SDK, that asks its clients on the own stream of their sessions, and ends
// streams before their answer so that clients poll. With `json` it answers with JSON, as such servers may.
//
// Prints its URL once it listens.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as z from "zod";

const json = process.argv.includes("json");
const sessions = new Map();

const text = (text) => ({ content: [{ type: "text", text }] });
const form = (message) => ({
  message,
  requestedSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
});

/** Keeps events, so that a stream can be gone on with. */
class Events {
  #kept = [];

  async storeEvent(stream, message) {
    this.#kept.push({ stream, message });
    return String(this.#kept.length);
  }

  async getStreamIdForEventId(event) {
    return this.#kept[Number(event) - 1]?.stream;
  }

  async replayEventsAfter(event, { send }) {
    const stream = await this.getStreamIdForEventId(event);
    for (const [at, kept] of this.#kept.entries()) {
      if (at >= Number(event) && kept.stream === stream) await send(String(at + 1), kept.message);
    }
    return stream;
  }
}

function server() {
  const mcp = new McpServer({ name: "aside", version: "1.0.0" });
  // Without the related request: so it goes to the session's own stream.
  const ask = async ({ message }) => {
    const answer = await mcp.server.elicitInput(form(message));
    return text(`${answer.action} ${answer.content?.name}`);
  };
  mcp.registerTool("ask", { inputSchema: { message: z.string() } }, ask);
  mcp.registerTool("ask_twice", { inputSchema: { message: z.string() } }, async (given) => {
    await ask(given);
    return ask(given);
  });
  const wait = async ({ ms, streams }, extra) => {
    for (let n = 0; n < streams; n += 1) {
      extra.closeSSEStream?.();
      await sleep(ms);
      const progressToken = extra._meta?.progressToken;
      if (progressToken !== undefined) {
        const params = { progressToken, progress: n + 1 };
        await extra.sendNotification({ method: "notifications/progress", params });
      }
    }
    return text(`waited on ${streams} streams`);
  };
  mcp.registerTool("wait", { inputSchema: { ms: z.number(), streams: z.number() } }, wait);
  return mcp;
}

async function begin() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: json,
    eventStore: json ? undefined : new Events(),
    retryInterval: 100,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server().connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  const id = request.headers["mcp-session-id"];
  const transport = id === undefined ? await begin() : sessions.get(id);
  if (transport) await transport.handleRequest(request, response);
  else response.writeHead(404).end();
});
http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}/mcp`));
