// Client mode: the suite plays servers, each is put behind a Gatehouse that runs already, and a client of either era calls it
// through the edge. From arguments to exit status.

import { fileURLToPath } from "node:url";

import { notPlayed } from "./client/scenarios.mjs";
import { readExclusions } from "./exclusions.mjs";
import { judge } from "./judge.mjs";
import { COMMON_USAGE, commandLine } from "./options.mjs";
import { tell } from "./report.mjs";
import { revisions, testClient } from "./suite.mjs";

const USAGE = `usage: through --requirements ${revisions().join("|")} --era legacy|modern --edge URL --token KEY [OPTION]...

  --requirements REV   the frozen set of scenarios of that revision, whose servers the suite plays
  --era ERA            what the client before the edge speaks
  --edge URL           the edge; servers may be at private addresses there
  --token KEY          the client's API key, which may use all servers
  --gatehouse FILE     the program, in whose context resources are applied (GATEHOUSE_CONTEXT); else the one on PATH
${COMMON_USAGE}`;

const OWN = {
  era: { type: "string" },
  edge: { type: "string" },
  gatehouse: { type: "string", default: "gatehouse" },
};

async function main() {
  const options = commandLine(USAGE, OWN, isComplete);
  const { era, edge, token, gatehouse, requirements } = options;
  const exclusions = options.expected ? readExclusions(options.expected) : [];
  const command = [process.execPath, fileURLToPath(new URL("client/main.mjs", import.meta.url))];
  const env = { THROUGH_ERA: era, THROUGH_EDGE: edge, THROUGH_TOKEN: token, THROUGH_GATEHOUSE: gatehouse };
  const { version, scenarios } = await testClient({ ...options, command, env, notPlayed });
  return tell(version, requirements, judge(scenarios, exclusions, options), options);
}

function isComplete({ requirements, era, edge, token }) {
  return revisions().includes(requirements) && ["legacy", "modern"].includes(era) && edge && token;
}

try {
  process.exitCode = await main();
} catch (fault) {
  console.error(`through: ${fault.message}`);
  process.exitCode = 2;
}
