// What the TypeScript clients share: the command line, the features of a plan, how each is proven, the one document.
//
// It knows no SDK. A client hands in `connect(target, heard)`, which opens one connection as a session (see sdk.mjs);
// `session.cannot` are features that the client has not. See ../../README.md for the plan and the document.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const CONNECT_MS = 20_000;
const FEATURE_MS = 10_000; // one feature
const CLOSE_MS = 5_000; // the goodbye; what hangs longer is left behind
const PAUSE_MS = 50; // between two looks
const UNDER_WAY_MS = 1_000; // how long a call runs before it is cancelled

export const SAMPLED = "Words of the client's model";
export const MODERN = "2026-07-28";

// In the order in which they run. Each takes the session, what was heard, the plan of the feature, and the whole plan.
const FEATURES = {
  async list(session, _, plan) {
    among(plan.tools, await session.tools());
  },

  async call(session, _, plan) {
    has(plan.expect, await session.call(plan.tool, plan.arguments));
  },

  async progress(session, heard, plan) {
    const values = [];
    const onProgress = (value) => {
      values.push(value);
      reach(heard.during);
    };
    has(plan.expect ?? "", await session.call(plan.tool, plan.arguments, { onProgress }));
    check(values.length > 0, "no progress was told");
    check(values.every((value, at) => at === 0 || value > values[at - 1]), `progress does not rise: ${values}`);
  },

  async cancel(session, heard, plan, whole) {
    const cancelled = async () => (plan.told_by ? Number(await session.call(plan.told_by, {})) : 0);
    const before = await cancelled();
    const signal = AbortSignal.timeout(UNDER_WAY_MS);
    const ended = await session.call(plan.tool, plan.arguments, { signal }).then(() => true, () => false);
    check(!ended && signal.aborted, "the call ended before it could be cancelled");
    await FEATURES.call(session, heard, whole.call);
    while (plan.told_by && (await cancelled()) <= before) await sleep(PAUSE_MS);
  },

  async sampling(session, heard, plan) {
    has(SAMPLED, await session.call(plan.tool, plan.arguments));
    check(heard.sampled > 0, "the client was never asked");
  },

  async elicitation(session, heard, plan) {
    heard.answer = plan.answer;
    has(plan.expect, await session.call(plan.tool, plan.arguments));
    check(heard.elicited > 0, "the client was never asked");
  },

  async resources(session, _, plan) {
    among([plan.uri], await session.resources());
    has(plan.expect, await session.read(plan.uri));
  },

  async subscribe(session, heard, plan) {
    const unsubscribe = await session.subscribe(plan.uri);
    await session.call(plan.tool, plan.arguments);
    while (!heard.updates.includes(plan.uri)) await sleep(PAUSE_MS);
    await unsubscribe();
  },

  async prompts(session, _, plan) {
    among([plan.prompt], await session.prompts());
    has(plan.expect, await session.prompt(plan.prompt, plan.arguments));
  },

  async completion(session, _, plan) {
    among([plan.expect], await session.complete(plan.ref, plan.argument));
  },

  async logging(session, heard, plan) {
    await session.setLevel(plan.level);
    heard.logs.length = 0;
    await session.call(plan.tool, plan.arguments);
    while (heard.logs.length === 0) await sleep(PAUSE_MS);
  },
};

function reach(gate) {
  if (gate?.reached) writeFileSync(gate.reached, "");
}

/** Says that we stand before a gate, and waits until it is open. */
export async function pass(gate) {
  reach(gate);
  while (gate?.open && !existsSync(gate.open)) await sleep(PAUSE_MS);
}

function check(good, why) {
  if (!good) throw new Error(why);
}

const has = (expected, text) => check(text.includes(expected), `"${expected}" is not in "${text.slice(0, 300)}"`);

function among(expected, found) {
  const missing = expected.filter((each) => !found.includes(each));
  check(missing.length === 0, `[${missing}] not among [${found.slice(0, 20)}]`);
}

export async function main(connect) {
  const { plan: whole, ...target } = commandLine();
  const planned = Object.keys(FEATURES).filter((name) => name in whole);
  const document = { revision: null, features: {} };
  const finish = (fault) => {
    for (const name of planned) document.features[name] ??= { ok: false, why: `not reached: ${fault}` };
    process.stdout.write(`${JSON.stringify(document)}\n`, () => process.exit(0));
  };
  // What an SDK throws beside its promises would end us without a document.
  process.on("uncaughtException", () => {});
  try {
    // What the server told or asked by itself; the handlers of the SDKs write it.
    const heard = { answer: {}, during: undefined, sampled: 0, elicited: 0, logs: [], updates: [] };
    const session = await within(CONNECT_MS, connect(target, heard));
    document.revision = session.revision;
    const era = session.revision === MODERN ? "modern" : "legacy";
    for (const name of planned) {
      const plan = whole[name][era] ?? whole[name];
      heard.during = plan.during; // the gate within the feature
      session.patience = plan.patience && plan.patience * 1_000;
      await pass(plan.before);
      document.features[name] = session.cannot?.includes(name)
        ? { skipped: "the client cannot" }
        : await outcome(FEATURES[name](session, heard, plan, whole), (plan.seconds ?? 0) * 1_000 || FEATURE_MS);
    }
    await within(CLOSE_MS, session.close()).catch(() => {}); // a bad goodbye takes nothing back
    finish();
  } catch (fault) {
    finish(fault.message);
  }
}

async function outcome(proof, ms) {
  try {
    await within(ms, proof);
    return { ok: true };
  } catch (fault) {
    return { ok: false, why: fault.message };
  }
}

async function within(ms, promise) {
  promise.catch(() => {}); // it may fail after its time
  const late = sleep(ms, undefined, { ref: false }).then(() => check(false, `nothing came within ${ms / 1000} s`));
  return await Promise.race([promise, late]);
}

function commandLine() {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      stdio: { type: "string" }, // the words of a command, as JSON
      key: { type: "string" },
      era: { type: "string", default: "auto" },
      sse: { type: "boolean", default: false }, // HTTP+SSE, as of 2024-11-05
      plan: { type: "string" },
    },
  });
  if (!values.plan || !values.url === !values.stdio) {
    console.error("usage: --url URL | --stdio JSON [--key KEY] [--era legacy|modern|auto] [--sse] --plan FILE");
    process.exit(2);
  }
  return {
    ...values,
    stdio: values.stdio && JSON.parse(values.stdio),
    plan: JSON.parse(readFileSync(values.plan, "utf8")),
    headers: values.key ? { Authorization: `Bearer ${values.key}` } : {},
  };
}
