// What both servers of this folder offer, for each feature of the matrix one thing. It knows no SDK: a server binds these
// methods to its own and hands each request a `call`:
//
//   progress(value)  log(text)  updated(uri)  signal      tell the client; whether it has cancelled
//   ask(method, params)                                   asks the client, and brings its answer

import { setTimeout as sleep } from "node:timers/promises";

const NOTE = "matrix://note";
const NAMES = ["Ada", "Adele", "Grace"];

let cancelled = 0;

const TOOLS = {
  echo: { takes: { text: "string" }, run: ({ text }) => text },
  steps: {
    takes: { steps: "integer" },
    async run({ steps }, call) {
      for (let step = 1; step <= steps; step++) {
        await call.progress(step);
        await sleep(50);
      }
      return `${steps} steps`;
    },
  },
  wait: {
    takes: { seconds: "number" },
    async run({ seconds }, call) {
      call.signal.addEventListener("abort", () => (cancelled += 1));
      await sleep(seconds * 1_000, undefined, { signal: call.signal });
      return `waited ${seconds} s`;
    },
  },
  cancelled: { takes: {}, run: () => String(cancelled) },
  ask_model: {
    takes: { prompt: "string" },
    async run({ prompt }, call) {
      const messages = [{ role: "user", content: { type: "text", text: prompt } }];
      const { content } = await call.ask("sampling/createMessage", { messages, maxTokens: 100 });
      return `The model said: ${content.text}`;
    },
  },
  ask_user: {
    takes: {},
    async run(_, call) {
      const requestedSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
      const { content } = await call.ask("elicitation/create", { message: "Who are you?", requestedSchema });
      return `The user is ${content.name}`;
    },
  },
  touch: { takes: {}, run: async (_, call) => (await call.updated(NOTE), `touched ${NOTE}`) },
  log: { takes: { text: "string" }, run: async ({ text }, call) => (await call.log(text), "logged") },
};

function tool([name, { takes }]) {
  const properties = Object.fromEntries(Object.entries(takes).map(([key, type]) => [key, { type }]));
  return { name, description: name, inputSchema: { type: "object", properties, required: Object.keys(takes) } };
}

const said = (text) => ({ content: [{ type: "text", text }] });

/** From a method to (params, call) => result. `without` are tools that a server cannot have. */
export const methods = ({ without = [] } = {}) => ({
  "tools/list": () => ({ tools: Object.entries(TOOLS).filter(([name]) => !without.includes(name)).map(tool) }),
  "tools/call": async ({ name, arguments: args }, call) => said(await TOOLS[name].run(args ?? {}, call)),
  "resources/list": () => ({ resources: [{ uri: NOTE, name: "note" }] }),
  "resources/read": ({ uri }) => ({ contents: [{ uri, mimeType: "text/plain", text: "A note" }] }),
  "prompts/list": () => ({ prompts: [{ name: "greet", arguments: [{ name: "name", required: true }] }] }),
  "prompts/get": ({ arguments: { name } }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Say hello to ${name}` } }],
  }),
  "completion/complete": ({ argument: { value } }) => ({
    completion: { values: NAMES.filter((name) => name.startsWith(value)) },
  }),
});

/** Listens on 127.0.0.1 at any free port, and says the URL of `path`, alone on a line. */
export function listen(server, path) {
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}${path}`));
  process.on("SIGTERM", () => process.exit(0));
}
