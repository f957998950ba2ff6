#!/usr/bin/env node
// npm `@modelcontextprotocol/sdk` 1.9, the last that knew no transport over HTTP but that of 2024-11-05.

import { Client } from "sdk-of-2024/client/index.js";
import { SSEClientTransport } from "sdk-of-2024/client/sse.js";
import { StdioClientTransport } from "sdk-of-2024/client/stdio.js";
import {
  CreateMessageRequestSchema,
  LATEST_PROTOCOL_VERSION,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "sdk-of-2024/types.js";
import { main } from "./harness.mjs";
import { Session, listen } from "./sdk.mjs";

const SCHEMAS = {
  "sampling/createMessage": CreateMessageRequestSchema,
  "notifications/message": LoggingMessageNotificationSchema,
  "notifications/resources/updated": ResourceUpdatedNotificationSchema,
};

class Session2024 extends Session {
  cannot = ["elicitation"];
}

await main(async ({ url, stdio, headers }, heard) => {
  const client = new Client({ name: "matrix-sse", version: "1.0.0" }, { capabilities: { sampling: {} } });
  listen(client, heard, (method) => SCHEMAS[method]);
  // The stream does not take its headers from `requestInit`.
  const fetch = (target, init) => globalThis.fetch(target, { ...init, headers: { ...init.headers, ...headers } });
  const transport = stdio
    ? new StdioClientTransport({ command: stdio[0], args: stdio.slice(1), stderr: "ignore" })
    : new SSEClientTransport(new URL(url), { requestInit: { headers }, eventSourceInit: { fetch } });
  await client.connect(transport);
  return new Session2024(client, LATEST_PROTOCOL_VERSION);
});
