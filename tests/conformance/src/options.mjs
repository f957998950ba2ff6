// The command line that both modes of the runner share.

import { parseArgs } from "node:util";

const COMMON = {
  requirements: { type: "string" },
  token: { type: "string" },
  expected: { type: "string" },
  json: { type: "string" },
  scenario: { type: "string", multiple: true, default: [] },
  all: { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

/** What the common options mean, and what the exit status says. */
export const COMMON_USAGE = `  --expected FILE      failures that are known: "SCENARIO[:CHECK] REASON" a line, # for comments
  --all                scenarios that the suite does not score count, too
  --scenario NAME      this one alone; more than once for several
  --json OUT           writes the results to this file
  --verbose            shows what the suite prints

Exit 0: all that counts passed, or failed as expected. 1: it did not. 2: the suite could not be run.`;

/**
 * The options, with those of a mode's `own`, where `isComplete` says so of them. --help prints `usage`, and ends here.
 */
export function commandLine(usage, own, isComplete) {
  const { values } = parseArgs({ options: { ...COMMON, ...own } });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  if (!isComplete(values)) throw new Error(`missing argument\n${usage}`);
  return values;
}
