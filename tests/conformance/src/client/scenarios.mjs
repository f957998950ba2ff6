// What a client does in each scenario. The suite judges what reaches its server; what comes back is checked here.

/** Why a scenario is not played; null where it is. */
export function notPlayed(scenario) {
  if (scenario.startsWith("auth/")) return "Gatehouse is no OAuth client of the servers behind it";
  return scenario in PLAYS ? null : "nothing here plays it";
}

export const play = (scenario, session, context) => PLAYS[scenario](session, context);

/** Answers what the server asks. */
export async function asks(scenario, session, method, params) {
  if (method !== "elicitation/create") throw new Error(`asked for ${method}`);
  await MEANWHILE[scenario]?.(session);
  const fields = Object.entries(params.requestedSchema.properties);
  return { action: "accept", content: Object.fromEntries(fields.map(([name, field]) => [name, field.default ?? true])) };
}

const PLAYS = {
  async initialize(session) {
    same([], await session.tools());
  },

  async tools_call(session) {
    same(["add_numbers"], names(await session.tools()));
    same("The sum of 5 and 3 is 8", text(await session.call("add_numbers", { a: 5, b: 3 })));
  },

  async "elicitation-sep1034-client-defaults"(session) {
    same(["test_client_elicitation_defaults"], names(await session.tools()));
    const said = text(await session.call("test_client_elicitation_defaults", {}));
    const content = { name: "John Doe", age: 30, score: 95.5, status: "active", verified: true };
    same(`Elicitation completed: ${JSON.stringify(content)}`, said);
  },

  async "sse-retry"(session) {
    same(["test_reconnection"], names(await session.tools()));
    same("Reconnection test completed successfully", text(await session.call("test_reconnection", {})));
  },

  async "request-metadata"(session) {
    same([], await session.tools());
    same([], (await session.call("any", {})).content);
  },

  async "http-standard-headers"(session) {
    for (const { name } of await session.tools()) await session.call(name, {});
    for (const { uri } of (await session.request("resources/list")).resources) await session.request("resources/read", { uri });
    for (const { name } of (await session.request("prompts/list")).prompts) await session.request("prompts/get", { name });
  },

  async "http-custom-headers"(session, { toolCalls }) {
    await session.tools();
    for (const { name, arguments: args } of toolCalls) await session.call(name, args);
  },

  async "http-invalid-tool-headers"(session) {
    for (const { name } of await session.tools()) await session.call(name, { region: "eu" });
  },

  async "sep-2322-client-request-state"(session) {
    await session.tools();
    same("echo-state-ok", text(await session.call("test_mrtr_echo_state", {})));
    same("no-state-ok", text(await session.call("test_mrtr_no_state", {})));
    same("no-result-type-test-ok", text(await session.call("test_mrtr_no_result_type", {})));
  },

  async "json-schema-ref-no-deref"(session) {
    const [{ inputSchema }] = await session.tools();
    same(true, inputSchema.properties.profile.$ref.endsWith("/canary/profile-schema.json"));
  },

  async "json-schema-2020-12-preservation"(session) {
    const { inputSchema: schema } = (await session.tools()).find(({ name }) => name === "json_schema_2020_12_tool");
    same("echoed", text(await session.call("json_schema_echo", { schema })));
  },
};

// What a client does between a question and its answer.
const MEANWHILE = {
  async "sep-2322-client-request-state"(session) {
    same("unrelated-ok", text(await session.call("test_mrtr_unrelated", {})));
  },
};

const names = (tools) => tools.map(({ name }) => name);
const text = ({ content }) => content.map((each) => each.text).join("\n");

function same(wanted, got) {
  const [one, other] = [wanted, got].map((each) => JSON.stringify(each));
  if (one !== other) throw new Error(`the client got ${other}, not ${one}`);
}
