// What the two TypeScript clients share: arguments, the two commands, the one document on standard output.
// It knows no SDK: each client hands in how it connects and what its protocol errors look like.

import { parseArgs } from "node:util";

const TIMEOUT_MS = 60_000;

/**
 * Runs the command of the command line and ends the process.
 * @param connect ({url, fetch}) => {client, protocolVersion, close}
 * @param rpcError (fault) => {code, message, data?} for a JSON-RPC error, else null
 */
export async function run(connect, rpcError) {
  const { url, key, command, tool, args } = commandLine();
  const document = { ok: true };
  let status = null;
  const fetch = async (target, init = {}) => {
    const headers = new Headers(init.headers);
    if (key) headers.set("Authorization", `Bearer ${key}`);
    const response = await globalThis.fetch(target, { ...init, headers });
    // The stand-alone GET stream of the legacy era is an offer that a server may decline.
    if (!response.ok && init.method === "POST") status = response.status;
    return response;
  };
  // Nothing may hang for ever, and exit ends what is still open.
  setTimeout(() => finish({ ok: false, error: failure(`no answer in ${TIMEOUT_MS} ms`), status }), TIMEOUT_MS).unref();
  try {
    const { client, protocolVersion, close } = await connect({ url: new URL(url), fetch });
    document.protocol_version = protocolVersion;
    const server = client.getServerVersion();
    if (server) document.server = { name: server.name, version: server.version };
    Object.assign(document, command === "list" ? await list(client) : await call(client, tool, args));
    await close();
  } catch (fault) {
    Object.assign(document, { ok: false, error: describe(fault, rpcError), status });
  }
  finish(document);
}

async function list(client) {
  const tools = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor });
    tools.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { tools };
}

async function call(client, tool, args) {
  const result = await client.callTool({ name: tool, arguments: args });
  const text = (result.content ?? []).filter((block) => block.type === "text").map((block) => block.text).join("");
  return { is_error: result.isError === true, text, result };
}

function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      options: { url: { type: "string" }, key: { type: "string" } },
      allowPositionals: true,
    });
    const [command, tool, json] = positionals;
    if (!values.url || !(command === "list" || (command === "call" && tool))) throw new Error("missing argument");
    return { ...values, command, tool, args: JSON.parse(json ?? "{}") };
  } catch (fault) {
    console.error(`${fault.message}\nusage: --url URL [--key KEY] list | call TOOL [JSON]`);
    process.exit(2);
  }
}

function describe(fault, rpcError) {
  const error = rpcError(fault);
  return error ? { code: error.code, message: error.message, data: error.data ?? null } : failure(`${fault.name}: ${fault.message}`);
}

const failure = (message) => ({ code: null, message, data: null });

function finish(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`, () => process.exit(document.ok ? 0 : 1));
}
