// What the suite found against what we expect. Pure: it reads no files and prints nothing.

/**
 * @param scenarios of the suite, with their checks
 * @param exclusions of exclusions.mjs
 * @param options `all`: the unscored count, too; `scenario`: those that were run, empty for all
 * @returns {{scenarios: [...], faults: [text]}}; no fault: as expected
 */
export function judge(scenarios, exclusions, { all, scenario: chosen }) {
  const judged = scenarios.map((scenario) => outcome(scenario, exclusions));
  const faults = [];
  for (const { name, scored, state } of judged) {
    if (state === "failed" && (scored || all)) faults.push(`${name} failed`);
    if (state === "skipped" && scored) faults.push(`${name} checked nothing`);
  }
  for (const exclusion of exclusions) {
    const { scenario, check, line } = exclusion;
    const where = check ? `${scenario}:${check}` : scenario;
    const of = judged.find(({ name }) => name === scenario);
    if (!of && chosen.length > 0) continue; // not run
    if (!of) faults.push(`${where} is excluded (line ${line}) and there is no such scenario`);
    else if (!applies(exclusion, of.failures)) faults.push(`${where} is excluded (line ${line}) and passed: remove it`);
  }
  return { scenarios: judged, faults };
}

/** `state`: passed, failed, excluded (failed as expected), skipped (nothing was checked) or not run. */
function outcome({ name, scored, why, checks, left_out }, exclusions) {
  const count = (status) => (checks ?? []).filter((check) => check.status === status).length;
  const counts = { passed: count("SUCCESS"), failed: count("FAILURE"), warnings: count("WARNING"), skipped: count("SKIPPED") };
  const failures = checks === null ? [{ check: "run", message: "the scenario did not end" }] : failed(checks);
  const mine = exclusions.filter(({ scenario }) => scenario === name);
  const excused = (failure) => mine.some((exclusion) => applies(exclusion, [failure]));
  if (left_out) return { name, scored, why, state: "not run", counts, failures: [], reasons: [left_out] };
  const state =
    failures.length > 0 ? (failures.every(excused) ? "excluded" : "failed") : counts.passed > 0 ? "passed" : "skipped";
  const reasons = failures.length > 0 ? mine.map(({ reason }) => reason) : [];
  return { name, scored, why, state, counts, failures, reasons };
}

// Several checks of a scenario may have one id and differ in their names.
const applies = ({ check }, failures) =>
  failures.some((failure) => check === null || check === failure.check || check === failure.name);

function failed(checks) {
  const failures = checks.filter(({ status }) => status === "FAILURE");
  return failures.map(({ id, name, errorMessage, description }) => ({ check: id, name, message: errorMessage ?? description }));
}
