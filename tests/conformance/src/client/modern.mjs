// A plain client of 2026-07-28: each request stands for itself, and a server asks by an answer that wants more.

import { send } from "./http.mjs";
import { mirrored, usable } from "./mirror.mjs";
import { resultOf } from "./result.mjs";

const REVISION = "2026-07-28";
const ROUNDS_MAX = 5;

/** As in legacy.mjs. */
export async function connect({ url, token, ask, capabilities, clientInfo }) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": clientInfo,
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  let lastId = 0;
  let known = []; // tools, as they were last listed

  async function request(method, params = {}, more = {}) {
    const id = ++lastId;
    const name = params.name ?? params.uri;
    const headers = {
      authorization: `Bearer ${token}`,
      "mcp-protocol-version": REVISION,
      "mcp-method": method,
      ...(name && { "mcp-name": name }),
      ...more,
    };
    const message = { jsonrpc: "2.0", id, method, params: { ...params, _meta: meta } };
    const response = await send({ url, headers, message });
    for await (const { message: answer } of response.messages) {
      if (answer && !answer.method && (answer.id === id || answer.error)) return resultOf(method, answer);
    }
    throw new Error(`${method}: no answer (status ${response.status})`);
  }

  async function call(name, args) {
    const mirrors = mirrored(known.find((tool) => tool.name === name)?.inputSchema, args);
    let params = { name, arguments: args };
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const result = await request("tools/call", params, mirrors);
      if (result.resultType !== "input_required") return result;
      const asked = Object.entries(result.inputRequests ?? {});
      const answers = await Promise.all(asked.map(async ([key, { method, params }]) => [key, await ask(method, params)]));
      params = { name, arguments: args, inputResponses: Object.fromEntries(answers) };
      if (result.requestState !== undefined) params.requestState = result.requestState;
    }
    throw new Error(`${name}: still asks after ${ROUNDS_MAX} rounds`);
  }

  await request("server/discover");
  return {
    request,
    call,
    tools: async () => (known = (await request("tools/list")).tools.filter(({ inputSchema }) => usable(inputSchema))),
    close: async () => {},
  };
}
