// The table of docs/compatibility.md, from the results that the tests leave in target/conformance: a file for each run, called
// WAY[.SDK.SERVER].REVISION.json. Runs of one way and SDK share a column, which shows the worst of them.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const RESULTS = `${ROOT}target/conformance`;
const PAGE = `${ROOT}docs/compatibility.md`;
const [BEGIN, END] = ["<!-- conformance:begin -->\n", "<!-- conformance:end -->"];

const REVISIONS = ["2025-11-25", "2026-07-28"];
const SDKS = { python: "Python", rust: "Rust" };
const both = (way, title) => Object.entries(SDKS).map(([sdk, name]) => ({ runs: `${way}.${sdk}.`, title: `${title}, ${name}` }));
const PARTS = [
  {
    title: (revision) => `Clients of ${revision}, played by the suite`,
    columns: [
      ...both("edge", "edge"),
      ...both("sidecar", "sidecar"),
      ...both("stdio", "stdio"),
      ...both("across", "across, HTTP"),
      ...both("across-stdio", "across, stdio"),
      { runs: "virtual.rust.", title: "virtual, Rust" },
    ],
  },
  {
    title: (revision) => `Servers of ${revision}, played by the suite`,
    columns: [
      { runs: "client.", title: "same era" },
      { runs: "client-across.", title: "across" },
    ],
  },
];
const WORST_FIRST = ["failed", "excluded", "skipped", "not run", "passed"];

function main() {
  const made = table();
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  if (begin < BEGIN.length || end < begin) throw new Error(`${PAGE} has no ${BEGIN.trim()} and ${END}`);
  const written = page.slice(begin, end);
  if (made === written) return 0;
  if (process.env.GATEHOUSE_WRITE_DOCS) {
    writeFileSync(PAGE, page.slice(0, begin) + made + page.slice(end));
    return 0;
  }
  const other = (lines, others) => lines.split("\n").filter((line) => !others.split("\n").includes(line));
  for (const line of other(written, made)) console.error(`- ${line}`);
  for (const line of other(made, written)) console.error(`+ ${line}`);
  console.error("table: docs/compatibility.md says otherwise: run this again with GATEHOUSE_WRITE_DOCS=1");
  return 1;
}

function table() {
  const reasons = [];
  const note = (reason) => {
    if (!reasons.includes(reason)) reasons.push(reason);
    return `[${reasons.indexOf(reason) + 1}]`;
  };
  const parts = PARTS.flatMap(({ title, columns }) => REVISIONS.map((revision) => part(title(revision), columns, revision, note)));
  const notes = reasons.map((reason, index) => `${index + 1}. ${reason[0].toUpperCase()}${reason.slice(1)}.\n`);
  return `${parts.join("")}\n### Why\n\n${notes.join("")}\n`;
}

function part(title, columns, revision, note) {
  const results = columns.map((column) => merged(column, revision));
  const names = [...results[0].keys()];
  const scored = names.filter((name) => results[0].get(name).scored);
  const passed = (column) => {
    const count = (state) => scored.filter((name) => column.get(name).state === state).length;
    return `${count("passed")} of ${scored.length - count("not run")}`;
  };
  const rows = [
    ["**passed of those that ran and are scored**", ...results.map(passed)],
    ...names.map((name) => [label(results[0].get(name)), ...results.map((column) => cell(column.get(name), note))]),
  ];
  const line = (row) => `| ${row.join(" | ")} |\n`;
  const head = line(["scenario", ...columns.map((column) => column.title)]);
  return `\n### ${title}\n\n${head}|${"---|".repeat(columns.length + 1)}\n${rows.map(line).join("")}`;
}

/** The scenarios of a column by name, each at its worst. */
function merged({ runs, title }, revision) {
  const files = readdirSync(RESULTS).filter((name) => name.startsWith(runs) && name.endsWith(`${revision}.json`));
  if (files.length === 0) throw new Error(`no results for '${title}', ${revision}: run the tests first`);
  const column = new Map();
  for (const file of files.sort()) {
    for (const each of JSON.parse(readFileSync(`${RESULTS}/${file}`, "utf8")).scenarios) {
      const { name, scored, state, excluded_because: why = [], not_run_because: left_out = [] } = each;
      const known = column.get(name) ?? { name, scored, state, reasons: [] };
      known.reasons = [...new Set([...known.reasons, ...why, ...left_out])];
      if (WORST_FIRST.indexOf(state) < WORST_FIRST.indexOf(known.state)) known.state = state;
      column.set(name, known);
    }
  }
  return column;
}

const label = ({ name, scored }) => (scored ? name : `${name} (not scored)`);

function cell({ state, reasons }, note) {
  const notes = reasons.map(note).join("");
  return { passed: "✓", failed: "✗", excluded: notes, skipped: "skipped", "not run": `not run ${notes}`.trim() }[state];
}

try {
  process.exitCode = main();
} catch (fault) {
  console.error(`table: ${fault.message}`);
  process.exitCode = 2;
}
