// The suite as a foreign program: which scenarios it has, and what it found. It knows no verdicts of ours.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PACKAGE = "@modelcontextprotocol/conformance";
const MANIFEST = fileURLToPath(new URL(`../node_modules/${PACKAGE}/package.json`, import.meta.url));
const REQUIREMENTS = join(dirname(MANIFEST), "requirements");
const AUTHORIZE = pathToFileURL(fileURLToPath(new URL("authorize.mjs", import.meta.url))).href;

// The longest run seen took 40 s, with a server that answered nothing right.
const TIMEOUT_MS = 600_000;

/** The revisions that the suite has a frozen set for. */
export function revisions() {
  try {
    return readdirSync(REQUIREMENTS).map((name) => name.replace(/\.yaml$/, "")).sort();
  } catch {
    throw new Error("the suite is not installed: scripts/test-deps.sh does it");
  }
}

/**
 * Runs the scenarios of a revision.
 * @returns {{version, scenarios: [{name, scored, why, checks}]}} in the suite's order; `checks` as the suite
 *   writes them, null where a scenario left none; `why` says what makes one unscored
 */
export async function runSuite({ url, requirements, token, scenario: chosen, verbose }) {
  const known = scenariosOf(requirements);
  const stranger = chosen.find((name) => !known.some((scenario) => scenario.name === name));
  if (stranger) throw new Error(`${requirements} has no scenario '${stranger}'`);
  const scenarios = known.filter(({ name }) => chosen.length === 0 || chosen.includes(name));

  const out = mkdtempSync(join(tmpdir(), "conformance-"));
  try {
    const which = (name) => ["--scenario", name, "--spec-version", requirements, "--force"];
    const selections = chosen.length === 0 ? [["--requirements", requirements]] : chosen.map(which);
    for (const selection of selections) {
      await start(["server", "--url", url.href, "-o", out, ...selection], { url, token, verbose });
    }
    return { version: manifest().version, scenarios: scenarios.map((each) => ({ ...each, checks: found(out, each.name) })) };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function scenariosOf(revision) {
  const { parse } = createRequire(MANIFEST)("yaml"); // the one that reads these files in the suite itself
  const { server, not_scored: others } = parse(readFileSync(join(REQUIREMENTS, `${revision}.yaml`), "utf8"));
  const scored = server.map((name) => ({ name, scored: true, why: null }));
  const unscored = (others ?? []).filter(({ leg }) => leg === "server");
  return [...scored, ...unscored.map(({ scenario, reason }) => ({ name: scenario, scored: false, why: reason }))];
}

// Its exit status is not looked at: it says less than the checks, and a suite that broke leaves no checks.
async function start(args, { url, token, verbose }) {
  const program = join(dirname(MANIFEST), manifest().bin.conformance);
  const preload = token ? ["--import", AUTHORIZE] : [];
  const env = { ...process.env };
  if (token) Object.assign(env, { CONFORMANCE_ORIGIN: url.origin, CONFORMANCE_AUTHORIZATION: `Bearer ${token}` });
  const child = spawn(process.execPath, [...preload, program, ...args], {
    env,
    stdio: ["ignore", verbose ? 2 : "ignore", verbose ? 2 : "pipe"],
    timeout: TIMEOUT_MS,
  });
  let said = "";
  child.stderr?.on("data", (chunk) => (said = (said + chunk).slice(-2000)));
  const [status, signal] = await once(child, "close");
  if (signal) throw new Error(`the suite was ended by ${signal} (limit: ${TIMEOUT_MS / 1000} s)\n${said}`);
  if (status !== 0 && readdirSync(args[args.indexOf("-o") + 1]).length === 0) {
    throw new Error(`the suite broke (exit ${status})\n${said}`);
  }
}

function found(out, scenario) {
  // A folder is the scenario's name and a time, which begins with a year; no name has that in it.
  const folder = readdirSync(out).find((name) => name.replace(/-\d{4}-\d\d-\d\dT.*$/, "") === `server-${scenario}`);
  if (folder === undefined) return null;
  try {
    return JSON.parse(readFileSync(join(out, folder, "checks.json"), "utf8"));
  } catch {
    return null; // the scenario began and did not end
  }
}

const manifest = () => JSON.parse(readFileSync(MANIFEST, "utf8"));
