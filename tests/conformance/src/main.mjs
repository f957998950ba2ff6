// Server mode: the suite plays clients of a server. From arguments to exit status.

import { parseArgs } from "node:util";

import { readExclusions } from "./exclusions.mjs";
import { judge } from "./judge.mjs";
import { tell } from "./report.mjs";
import { revisions, testServer } from "./suite.mjs";

const USAGE = `usage: run --url URL --requirements ${revisions().join("|")} [OPTION]...

  --url URL            the server under test, on localhost
  --requirements REV   the frozen set of scenarios of that revision
  --token TOKEN        is sent as "Authorization: Bearer TOKEN" with every request
  --expected FILE      failures that are known: "SCENARIO[:CHECK] REASON" a line, # for comments
  --all                scenarios that the suite does not score count, too
  --scenario NAME      this one alone; more than once for several
  --json OUT           writes the results to this file
  --verbose            shows what the suite prints

Exit 0: all that counts passed, or failed as expected. 1: it did not. 2: the suite could not be run.`;

const OPTIONS = {
  url: { type: "string" },
  requirements: { type: "string" },
  token: { type: "string" },
  expected: { type: "string" },
  json: { type: "string" },
  scenario: { type: "string", multiple: true, default: [] },
  all: { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

async function main() {
  const options = commandLine();
  const exclusions = options.expected ? readExclusions(options.expected) : [];
  const { version, scenarios } = await testServer(options);
  return tell(version, options.requirements, judge(scenarios, exclusions, options), options);
}

function commandLine() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (!values.url || !revisions().includes(values.requirements)) throw new Error(`missing argument\n${USAGE}`);
  return { ...values, url: new URL(values.url) };
}

try {
  process.exitCode = await main();
} catch (fault) {
  console.error(`run: ${fault.message}`);
  process.exitCode = 2;
}
