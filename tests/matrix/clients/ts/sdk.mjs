// A session on a client of any version of the TypeScript SDK: all name their methods alike, and what differs is handed in
// or overridden.

import { SAMPLED, pass } from "./harness.mjs";

/** The client's side of what a server may tell or ask. `to(method)` is how the SDK names a method to its handlers. */
export function listen(client, heard, to = (method) => method) {
  client.setNotificationHandler(to("notifications/message"), ({ params }) => void heard.logs.push(params.data));
  client.setNotificationHandler(to("notifications/resources/updated"), ({ params }) => void heard.updates.push(params.uri));
  client.setRequestHandler(to("sampling/createMessage"), () => {
    heard.sampled += 1;
    return { role: "assistant", content: { type: "text", text: SAMPLED }, model: "none" };
  });
  if (!to("elicitation/create")) return; // older than that
  client.setRequestHandler(to("elicitation/create"), async () => {
    heard.elicited += 1;
    await pass(heard.during);
    return { action: "accept", content: heard.answer };
  });
}

/** What a client declares. */
export const CAPABILITIES = { sampling: {}, elicitation: {} };

export class Session {
  constructor(client, revision) {
    this.client = client;
    this.revision = revision;
  }

  async tools() {
    return (await this.client.listTools()).tools.map((tool) => tool.name);
  }

  async call(tool, args, { onProgress, signal } = {}) {
    const result = await this.callTool(
      { name: tool, arguments: args },
      { ...(onProgress && { onprogress: ({ progress }) => onProgress(progress) }), signal, timeout: this.patience },
    );
    const said = text(result.content);
    if (result.isError) throw new Error(`the tool failed: ${said}`);
    return said;
  }

  callTool(params, options) {
    return this.client.callTool(params, undefined, options);
  }

  async resources() {
    return (await this.client.listResources()).resources.map((each) => each.uri);
  }

  async read(uri) {
    return text((await this.client.readResource({ uri })).contents);
  }

  /** Answers with how to end it. */
  async subscribe(uri) {
    await this.client.subscribeResource({ uri });
    return () => this.client.unsubscribeResource({ uri });
  }

  async prompts() {
    return (await this.client.listPrompts()).prompts.map((prompt) => prompt.name);
  }

  async prompt(name, args) {
    return text((await this.client.getPrompt({ name, arguments: args })).messages.map((message) => message.content));
  }

  async complete(ref, argument) {
    return (await this.client.complete({ ref, argument })).completion.values;
  }

  async setLevel(level) {
    await this.client.setLoggingLevel(level);
  }

  async close() {
    await this.client.transport?.terminateSession?.(); // the goodbye of the legacy era
    await this.client.close();
  }
}

/** All text blocks, joined. */
export const text = (blocks) => blocks.map((block) => block.text ?? "").join("");
