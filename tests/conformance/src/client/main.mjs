// What the suite starts as the client under test, with the URL of its server: puts that server behind Gatehouse and plays the
// scenario through the edge. Whatever goes wrong on this side is the only thing said on standard error; see suite.mjs.

import { asks, play } from "./scenarios.mjs";
import { putBehind } from "./gatehouse.mjs";
import * as legacy from "./legacy.mjs";
import * as modern from "./modern.mjs";

// One for all scenarios, which take turns: a sidecar that is given another server is quicker than another sidecar.
const SERVER = "conformance";
const DEADLINE_MS = 20_000;
const ABILITIES = { elicitation: {}, sampling: {}, roots: {} };

const { THROUGH_ERA: era, THROUGH_EDGE: edge, THROUGH_TOKEN: token } = process.env;
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context = "{}" } = process.env;

async function main(url) {
  await putBehind(SERVER, url);
  const { connect } = era === "modern" ? modern : legacy;
  const clientInfo = { name: "gatehouse-conformance", version: "1.0.0" };
  // Questions come while a call is under way, and a scenario may call once more before it answers.
  const peer = { url: `${edge}/mcp/${SERVER}`, token, clientInfo, capabilities: ABILITIES };
  const session = await connect({ ...peer, ask: (method, params) => asks(scenario, session, method, params) });
  await play(scenario, session, JSON.parse(context));
  await session.close();
}

setTimeout(() => leave(`not done after ${DEADLINE_MS / 1000} s`), DEADLINE_MS).unref();

function leave(fault) {
  process.stderr.write(`${fault}\n`, () => process.exit(1));
}

try {
  await main(process.argv.at(-1));
  process.exit(0);
} catch (fault) {
  leave(fault.cause ? `${fault.message}: ${fault.cause.message}` : fault.message);
}
