// Client mode: the suite plays servers, each is put behind a Gatehouse that runs already, and a client of either era calls it
// through the edge. From arguments to exit status.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { notPlayed } from "./client/scenarios.mjs";
import { readExclusions } from "./exclusions.mjs";
import { judge } from "./judge.mjs";
import { tell } from "./report.mjs";
import { revisions, testClient } from "./suite.mjs";

const USAGE = `usage: through --requirements ${revisions().join("|")} --era legacy|modern --edge URL --token KEY [OPTION]...

  --requirements REV   the frozen set of scenarios of that revision, whose servers the suite plays
  --era ERA            what the client before the edge speaks
  --edge URL           the edge; servers may be at private addresses there
  --token KEY          the client's API key, which may use all servers
  --gatehouse FILE     the program, in whose context resources are applied (GATEHOUSE_CONTEXT); else the one on PATH
  --expected FILE      failures that are known: "SCENARIO[:CHECK] REASON" a line, # for comments
  --all                scenarios that the suite does not score count, too
  --scenario NAME      this one alone; more than once for several
  --json OUT           writes the results to this file
  --verbose            shows what the suite prints

Exit 0: all that counts passed, or failed as expected. 1: it did not. 2: the suite could not be run.`;

const OPTIONS = {
  requirements: { type: "string" },
  era: { type: "string" },
  edge: { type: "string" },
  token: { type: "string" },
  gatehouse: { type: "string", default: "gatehouse" },
  expected: { type: "string" },
  json: { type: "string" },
  scenario: { type: "string", multiple: true, default: [] },
  all: { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

async function main() {
  const options = commandLine();
  const { era, edge, token, gatehouse, requirements } = options;
  const exclusions = options.expected ? readExclusions(options.expected) : [];
  const command = [process.execPath, fileURLToPath(new URL("client/main.mjs", import.meta.url))];
  const env = { THROUGH_ERA: era, THROUGH_EDGE: edge, THROUGH_TOKEN: token, THROUGH_GATEHOUSE: gatehouse };
  const { version, scenarios } = await testClient({ ...options, command, env, notPlayed });
  return tell(version, requirements, judge(scenarios, exclusions, options), options);
}

function commandLine() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const { requirements, era, edge, token } = values;
  if (!revisions().includes(requirements) || !["legacy", "modern"].includes(era) || !edge || !token) {
    throw new Error(`missing argument\n${USAGE}`);
  }
  return values;
}

try {
  process.exitCode = await main();
} catch (fault) {
  console.error(`through: ${fault.message}`);
  process.exitCode = 2;
}
