#!/usr/bin/env node
// npm `@modelcontextprotocol/sdk` 1.x, of the legacy era.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { main } from "./harness.mjs";
import { CAPABILITIES, Session, listen } from "./sdk.mjs";

const SCHEMAS = {
  "sampling/createMessage": CreateMessageRequestSchema,
  "elicitation/create": ElicitRequestSchema,
  "notifications/message": LoggingMessageNotificationSchema,
  "notifications/resources/updated": ResourceUpdatedNotificationSchema,
};

await main(async ({ url, stdio, sse, headers }, heard) => {
  const client = new Client({ name: "matrix-sdk1", version: "1.0.0" }, { capabilities: CAPABILITIES });
  listen(client, heard, (method) => SCHEMAS[method]);
  const Http = sse ? SSEClientTransport : StreamableHTTPClientTransport;
  const transport = stdio
    ? new StdioClientTransport({ command: stdio[0], args: stdio.slice(1), stderr: "ignore" })
    : new Http(new URL(url), { requestInit: { headers } });
  let revision;
  const set = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => {
    revision = version;
    set?.(version);
  };
  await client.connect(transport);
  return new Session(client, revision);
});
