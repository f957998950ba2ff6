#!/usr/bin/env node
// A real modern-era MCP client on the TypeScript SDK 2.x; see ../README.md for its arguments and its one document.

import { Client, ProtocolError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { run } from "../shared.mjs";

async function connect({ url, fetch }) {
  const client = new Client(
    { name: "gatehouse-test-ts2", version: "1.0.0" },
    // Pinned: server/discover must offer it, and there is no fall-back to initialize.
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(new StreamableHTTPClientTransport(url, { fetch }));
  return {
    client,
    protocolVersion: client.getNegotiatedProtocolVersion(),
    close: () => client.close(),
  };
}

const rpcError = (fault) => (ProtocolError.isInstance(fault) ? fault : null);

await run(connect, rpcError);
