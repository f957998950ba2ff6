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
// A client gives up by itself after 20 s (client/main.mjs).
const CLIENT_TIMEOUT_MS = 30_000;
// What the suite says when all of a client's scenario is written. From there on it only waits until nobody is connected to its
// server any more, and a gateway keeps its connections for a while.
const CLIENT_DONE = "Results saved to ";

/** The revisions that the suite has a frozen set for. */
export function revisions() {
  try {
    return readdirSync(REQUIREMENTS).map((name) => name.replace(/\.yaml$/, "")).sort();
  } catch {
    throw new Error("the suite is not installed: scripts/test-deps.sh does it");
  }
}

/**
 * Runs the scenarios of a revision against a server.
 * @returns {{version, scenarios: [{name, scored, why, checks}]}} in the suite's order; `checks` as the suite
 *   writes them, null where a scenario left none; `why` says what makes one unscored
 */
export async function testServer({ url, requirements, token, scenario: chosen, verbose }) {
  const preload = token ? ["--import", AUTHORIZE] : [];
  const env = token ? { CONFORMANCE_ORIGIN: url.origin, CONFORMANCE_AUTHORIZATION: `Bearer ${token}` } : {};
  return await inFolder(async (out) => {
    const scenarios = select(scenariosOf(requirements, "server"), chosen, requirements);
    const selections = chosen.length === 0 ? [["--requirements", requirements]] : chosen.map((name) => alone(name, requirements));
    for (const selection of selections) {
      await start(["server", "--url", url.href, "-o", out, ...selection], { preload, env, verbose, timeout: TIMEOUT_MS });
    }
    return scenarios.map((each) => ({ ...each, checks: found(out, `server-${each.name}`) }));
  });
}

/**
 * Lets the suite play the servers of a revision's scenarios, one after the other, for a client.
 * @param options `command` with its words, which gets the server's URL as its last; `env` for it; `notPlayed`, which says
 *   why a scenario is left out
 * @returns as testServer; what the client itself complained of is a failed check `client`; `left_out` says why nothing ran
 */
export async function testClient({ command, env, requirements, notPlayed, scenario: chosen, verbose }) {
  return await inFolder(async (out) => {
    const scenarios = [];
    for (const each of select(scenariosOf(requirements, "client"), chosen, requirements)) {
      const left_out = notPlayed(each.name);
      if (!left_out) {
        const words = ["client", "--command", command.map(quoted).join(" "), "--timeout", String(CLIENT_TIMEOUT_MS), "-o", out];
        await start([...words, ...alone(each.name, requirements)], { env, verbose, timeout: TIMEOUT_MS, doneAt: CLIENT_DONE });
      }
      scenarios.push({ ...each, left_out, checks: left_out ? [] : withComplaint(out, each.name) });
    }
    return scenarios;
  });
}

const alone = (name, requirements) => ["--scenario", name, "--spec-version", requirements, "--force"];
const quoted = (word) => `'${word.replaceAll("'", `'\\''`)}'`; // the suite hands it to a shell

async function inFolder(run) {
  const out = mkdtempSync(join(tmpdir(), "conformance-"));
  try {
    return { version: manifest().version, scenarios: await run(out) };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function select(known, chosen, requirements) {
  const stranger = chosen.find((name) => !known.some((scenario) => scenario.name === name));
  if (stranger) throw new Error(`${requirements} has no scenario '${stranger}'`);
  return known.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
}

function scenariosOf(revision, leg) {
  const { parse } = createRequire(MANIFEST)("yaml"); // the one that reads these files in the suite itself
  const { [leg]: required, not_scored: others } = parse(readFileSync(join(REQUIREMENTS, `${revision}.yaml`), "utf8"));
  const scored = required.map((name) => ({ name, scored: true, why: null }));
  const unscored = (others ?? []).filter((each) => each.leg === leg);
  return [...scored, ...unscored.map(({ scenario, reason }) => ({ name: scenario, scored: false, why: reason }))];
}

// Its exit status is not looked at: it says less than the checks, and a suite that broke leaves no checks. `doneAt`: it is ended
// when it says so.
async function start(args, { preload = [], env, verbose, timeout, doneAt }) {
  const program = join(dirname(MANIFEST), manifest().bin.conformance);
  const child = spawn(process.execPath, [...preload, program, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", verbose ? 2 : "ignore", "pipe"],
    timeout,
  });
  let said = "";
  let done = false;
  child.stderr.on("data", (chunk) => {
    if (verbose) process.stderr.write(chunk);
    said = (said + chunk).slice(-2000);
    done ||= doneAt !== undefined && said.includes(doneAt);
    if (done) child.kill();
  });
  const [status, signal] = await once(child, "close");
  if (signal && !done) throw new Error(`the suite was ended by ${signal} (limit: ${timeout / 1000} s)\n${said}`);
  if (status !== 0 && readdirSync(args[args.indexOf("-o") + 1]).length === 0) {
    throw new Error(`the suite broke (exit ${status})\n${said}`);
  }
}

function found(out, scenario) {
  try {
    return JSON.parse(readFileSync(join(folderOf(out, scenario), "checks.json"), "utf8"));
  } catch {
    return null; // it left none, or began and did not end
  }
}

function withComplaint(out, scenario) {
  const checks = found(out, scenario);
  if (checks === null) return null;
  const complaint = readFileSync(join(folderOf(out, scenario), "stderr.txt"), "utf8").trim();
  return complaint ? [...checks, { id: "client", status: "FAILURE", errorMessage: complaint }] : checks;
}

function folderOf(out, scenario) {
  // A folder is the scenario's name and a time, which begins with a year; no name has that in it.
  const folder = readdirSync(out).find((name) => name.replace(/-\d{4}-\d\d-\d\dT.*$/, "") === scenario);
  return folder === undefined ? undefined : join(out, folder);
}

const manifest = () => JSON.parse(readFileSync(MANIFEST, "utf8"));
