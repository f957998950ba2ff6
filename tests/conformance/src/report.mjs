// The verdict as a table for people, and as a document for programs.

import { writeFileSync } from "node:fs";

const MESSAGE_MAX = 300;

/** Says it, and answers with the exit status. */
export function tell(version, requirements, verdict, { json }) {
  console.log(table(version, requirements, verdict));
  if (json) writeFileSync(json, `${JSON.stringify(report(version, requirements, verdict), null, 2)}\n`);
  return verdict.faults.length === 0 ? 0 : 1;
}

function table(version, requirements, { scenarios, faults }) {
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  const rows = scenarios.map(({ name, scored, why, state, counts, reasons }) => {
    const checks = `${counts.passed}/${counts.passed + counts.failed}`.padStart(6);
    const extra = [counts.warnings && `${counts.warnings} warned`, counts.skipped && `${counts.skipped} skipped`];
    const notes = [scored ? "" : `not scored: ${why}`, ...extra, ...new Set(reasons)].filter(Boolean).join("; ");
    return `${name.padEnd(width)}  ${state.padEnd(8)}  ${checks}  ${notes}`.trimEnd();
  });
  const details = scenarios
    .filter(({ state }) => state === "failed" || state === "excluded")
    .flatMap(({ name, failures }) => failures.map(({ check, message }) => `${name}:${check}  ${short(message)}`));
  const lines = [
    `MCP conformance suite ${version}, requirements ${requirements}`,
    "",
    `${"scenario".padEnd(width)}  ${"".padEnd(8)}  checks`,
    ...rows,
    ...(details.length > 0 ? ["", "failed checks", ...details] : []),
    "",
    `scored:     ${summary(scenarios.filter(({ scored }) => scored))}`,
    `not scored: ${summary(scenarios.filter(({ scored }) => !scored))}`,
    ...faults.map((fault) => `fault: ${fault}`),
  ];
  return lines.join("\n");
}

/** No times and no addresses, so that the same outcome is the same document. */
function report(suite, requirements, { scenarios, faults }) {
  return {
    suite,
    requirements,
    scored: tally(scenarios.filter(({ scored }) => scored)),
    not_scored: tally(scenarios.filter(({ scored }) => !scored)),
    scenarios: scenarios.map(({ name, scored, why, state, counts, failures, reasons }) => {
      const failed_checks = failures.map(({ check, message }) => ({ check, message: short(message) }));
      const because = state === "not run" ? { not_run_because: reasons } : { excluded_because: reasons };
      return { name, scored, ...(why && { not_scored_because: why }), state, checks: counts, failed_checks, ...because };
    }),
    faults,
  };
}

function tally(scenarios) {
  const states = { passed: 0, failed: 0, excluded: 0, skipped: 0, "not run": 0 };
  for (const { state } of scenarios) states[state] += 1;
  return { total: scenarios.length, ...states };
}

function summary(scenarios) {
  const { total, passed, ...others } = tally(scenarios);
  const rest = Object.entries(others).filter(([, count]) => count > 0);
  return [`${passed} of ${total} passed`, ...rest.map(([state, count]) => `${count} ${state}`)].join(", ");
}

const short = (text) => {
  const line = String(text).replace(/\s+/g, " ");
  return line.length > MESSAGE_MAX ? `${line.slice(0, MESSAGE_MAX)}…` : line;
};
