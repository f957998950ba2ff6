// Failures that are known and have a reason: "SCENARIO[:CHECK] REASON" a line, # for comments.

import { readFileSync } from "node:fs";

/** @returns {[{scenario, check, reason, line}]}; `check` is null where the whole scenario may fail */
export function readExclusions(file) {
  const exclusions = [];
  for (const [index, text] of readFileSync(file, "utf8").split("\n").entries()) {
    const line = text.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, scenario, check = null, reason] = line.match(/^([^\s:]+)(?::(\S+))?\s*(.*)$/) ?? [];
    if (!reason) throw new Error(`${file}:${index + 1}: an exclusion is a scenario and its reason: '${line}'`);
    exclusions.push({ scenario, check, reason, line: index + 1 });
  }
  return exclusions;
}
