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

/** `state`: passed, failed, excluded (failed as expected) or skipped (nothing was checked). */
function outcome({ name, scored, why, checks }, exclusions) {
  const count = (status) => (checks ?? []).filter((check) => check.status === status).length;
  const counts = { passed: count("SUCCESS"), failed: count("FAILURE"), warnings: count("WARNING"), skipped: count("SKIPPED") };
  const failures = checks === null ? [{ check: "run", message: "the scenario did not end" }] : failed(checks);
  const mine = exclusions.filter(({ scenario }) => scenario === name);
  const excused = (failure) => mine.some((exclusion) => applies(exclusion, [failure]));
  const state =
    failures.length > 0 ? (failures.every(excused) ? "excluded" : "failed") : counts.passed > 0 ? "passed" : "skipped";
  const reasons = failures.length > 0 ? mine.map(({ reason }) => reason) : [];
  return { name, scored, why, state, counts, failures, reasons };
}

const applies = ({ check }, failures) => failures.some((failure) => check === null || check === failure.check);

function failed(checks) {
  const failures = checks.filter(({ status }) => status === "FAILURE");
  return failures.map(({ id, errorMessage, description }) => ({ check: id, message: errorMessage ?? description }));
}
