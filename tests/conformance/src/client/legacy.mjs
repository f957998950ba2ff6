// A plain client of 2025-11-25: a session, a standing stream beside the calls, questions on any of them, and streams that are
// taken up again.

import { setTimeout as sleep } from "node:timers/promises";

import { send } from "./http.mjs";
import { resultOf } from "./result.mjs";

const REVISION = "2025-11-25";
const RETRY_MS = 1000;
const RESUMED_MAX = 5;

/**
 * @param peer `url`, `token`, and `ask`, which answers what the server asks: `(method, params) => result`
 * @returns `request(method, params)`, `call(tool, arguments)`, `tools()` and `close()`
 */
export async function connect({ url, token, ask, capabilities, clientInfo }) {
  const headers = { authorization: `Bearer ${token}` };
  let lastId = 0;
  const leaving = new AbortController();
  const { signal } = leaving;
  const post = (message) => send({ url, headers, signal, message: { jsonrpc: "2.0", ...message } });
  const get = (more) => send({ method: "GET", url, signal, headers: { ...headers, ...more } });

  /** The answer, from the stream of its request or from those that take that one up again. */
  async function answered(id, response) {
    for (let resumed = 0; ; resumed++) {
      const { answer, eventId, retryMs } = await read(id, response.messages);
      if (answer) return answer;
      if (eventId === undefined || resumed === RESUMED_MAX) throw new Error(`no answer (status ${response.status})`);
      await sleep(retryMs ?? RETRY_MS);
      response = await get({ "last-event-id": eventId });
    }
  }

  async function read(id, messages) {
    const seen = {};
    for await (const { message, eventId, retryMs } of messages) {
      seen.eventId = eventId ?? seen.eventId;
      seen.retryMs = retryMs ?? seen.retryMs;
      if (message?.method && "id" in message) answer(message);
      else if (message && !message.method && (message.id === id || message.error)) return { ...seen, answer: message };
    }
    return seen;
  }

  // Beside the stream, which goes on meanwhile.
  async function answer({ id, method, params }) {
    try {
      await post({ id, result: await ask(method, params) });
    } catch (fault) {
      await post({ id, error: { code: -32603, message: fault.message } });
    }
  }

  /** What the server says by itself, until the session ends or the stream does; nothing that is played here outlives it. */
  async function stand() {
    const { status, messages } = await get();
    if (status === 200) read(null, messages).catch(() => {});
  }

  async function request(method, params = {}) {
    const id = ++lastId;
    const response = await post({ id, method, params });
    if (method === "initialize") headers["mcp-session-id"] = response.headers.get("mcp-session-id");
    return resultOf(method, await answered(id, response));
  }

  const { protocolVersion } = await request("initialize", { protocolVersion: REVISION, capabilities, clientInfo });
  headers["mcp-protocol-version"] = protocolVersion;
  await post({ method: "notifications/initialized" });
  await stand();
  return {
    request,
    call: (name, args) => request("tools/call", { name, arguments: args }),
    tools: async () => (await request("tools/list")).tools,
    async close() {
      await send({ method: "DELETE", url, headers });
      leaving.abort();
    },
  };
}
