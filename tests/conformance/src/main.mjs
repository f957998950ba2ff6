// Server mode: the suite plays clients of a server. From arguments to exit status.

import { readExclusions } from "./exclusions.mjs";
import { judge } from "./judge.mjs";
import { COMMON_USAGE, commandLine } from "./options.mjs";
import { tell } from "./report.mjs";
import { revisions, testServer } from "./suite.mjs";

const USAGE = `usage: run --url URL --requirements ${revisions().join("|")} [OPTION]...

  --url URL            the server under test, on localhost
  --requirements REV   the frozen set of scenarios of that revision
  --token TOKEN        is sent as "Authorization: Bearer TOKEN" with every request
${COMMON_USAGE}`;

const OWN = { url: { type: "string" } };

async function main() {
  const given = commandLine(USAGE, OWN, isComplete);
  const options = { ...given, url: new URL(given.url) };
  const exclusions = options.expected ? readExclusions(options.expected) : [];
  const { version, scenarios } = await testServer(options);
  return tell(version, options.requirements, judge(scenarios, exclusions, options), options);
}

function isComplete({ url, requirements }) {
  return url && revisions().includes(requirements);
}

try {
  process.exitCode = await main();
} catch (fault) {
  console.error(`run: ${fault.message}`);
  process.exitCode = 2;
}
