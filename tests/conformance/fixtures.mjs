#!/usr/bin/env node
// The fixtures of ../servers with nothing between: each in each of its eras, against the sets of those eras.
// What a gateway before them gets is read against this. One line each; exit 1 if a scored scenario failed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const FIXTURES = {
  python: [join(root, ".tools/venv/bin/python"), join(root, "tests/servers/python/fixture.py")],
  rmcp: [join(root, "target/clients/debug/rmcp-fixture")],
};
const [LEGACY, MODERN] = ["2025-11-25", "2026-07-28"];
const ERAS = { dual: [LEGACY, MODERN], legacy: [LEGACY], modern: [MODERN] };

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "fixtures-"));
  let good = true;
  try {
    for (const [name, program] of Object.entries(FIXTURES)) {
      for (const [era, sets] of Object.entries(ERAS)) {
        const { url, stop } = await start(program, era);
        for (const set of sets) {
          const report = await run(url, set, join(folder, "report.json"));
          console.log(`| ${[name, era, set, said(report.scored), said(report.not_scored)].join(" | ")} |`);
          for (const fault of report.faults) console.log(`  ${fault}`);
          good &&= report.faults.length === 0;
        }
        await stop();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return good ? 0 : 1;
}

async function start([program, ...args], era) {
  const child = spawn(program, [...args, "--era", era, "http", "0"], { stdio: ["ignore", "pipe", "ignore"] });
  const failed = once(child, "exit").then(() => Promise.reject(new Error(`${program} ended before it said its URL`)));
  const [url] = await Promise.race([once(createInterface(child.stdout), "line"), failed]);
  failed.catch(() => {}); // its end is expected from here on
  const stop = async () => {
    const gone = once(child, "exit");
    child.kill();
    await gone;
  };
  return { url, stop };
}

async function run(url, set, file) {
  const args = ["--url", url, "--requirements", set, "--json", file];
  const child = spawn(fileURLToPath(new URL("run", import.meta.url)), args, { stdio: ["ignore", "ignore", "inherit"] });
  const [status] = await once(child, "exit");
  if (status > 1) throw new Error(`the suite could not be run against ${url}`);
  return JSON.parse(readFileSync(file, "utf8"));
}

const said = ({ total, passed, failed, skipped }) =>
  [`${passed} of ${total}`, failed && `${failed} failed`, skipped && `${skipped} skipped`].filter(Boolean).join(", ");

process.exitCode = await main();
