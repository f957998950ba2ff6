#!/usr/bin/env node
// npm `@modelcontextprotocol/client` 2.x, of both eras.

import {
  Client,
  LOG_LEVEL_META_KEY,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { MODERN, main } from "./harness.mjs";
import { CAPABILITIES, Session, listen } from "./sdk.mjs";

class Session2 extends Session {
  callTool(params, options) {
    const _meta = this.level && { [LOG_LEVEL_META_KEY]: this.level };
    return this.client.callTool({ ...params, _meta }, options);
  }

  async subscribe(uri) {
    if (this.revision !== MODERN) return super.subscribe(uri);
    const subscription = await this.client.listen({ resourceSubscriptions: [uri] });
    return () => subscription.close();
  }

  async setLevel(level) {
    if (this.revision === MODERN) this.level = level;
    else await super.setLevel(level);
  }
}

await main(async ({ url, stdio, sse, era, headers }, heard) => {
  const client = new Client(
    { name: "matrix-sdk2", version: "1.0.0" },
    { capabilities: CAPABILITIES, versionNegotiation: { mode: era === "modern" ? { pin: MODERN } : era } },
  );
  listen(client, heard);
  const Http = sse ? SSEClientTransport : StreamableHTTPClientTransport;
  await client.connect(
    stdio
      ? new StdioClientTransport({ command: stdio[0], args: stdio.slice(1), stderr: "ignore" })
      : new Http(new URL(url), { requestInit: { headers } }),
  );
  return new Session2(client, client.getNegotiatedProtocolVersion());
});
