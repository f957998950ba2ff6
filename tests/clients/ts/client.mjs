#!/usr/bin/env node
// A real legacy-era MCP client on the TypeScript SDK 1.x; see ../README.md for its arguments and its one document.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { run } from "../shared.mjs";

async function connect({ url, fetch }) {
  const transport = new StreamableHTTPClientTransport(url, { fetch });
  const client = new Client({ name: "gatehouse-test-ts", version: "1.0.0" });
  await client.connect(transport);
  return {
    client,
    protocolVersion: transport.protocolVersion,
    // The legacy goodbye; closing alone would leave the session to its time-out.
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

function rpcError(fault) {
  if (!(fault instanceof McpError)) return null;
  // The SDK writes the code into the message, too.
  return { code: fault.code, message: fault.message.replace(/^MCP error -?\d+: /, ""), data: fault.data };
}

await run(connect, rpcError);
