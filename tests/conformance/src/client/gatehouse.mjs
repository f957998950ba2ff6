// The command line of Gatehouse, as far as scenarios need it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const { THROUGH_GATEHOUSE: program } = process.env; // and GATEHOUSE_CONTEXT, which it reads itself

/** Puts the server at a URL into the catalog, in the place of the one that had the name, and waits until it is served. */
export async function putBehind(name, url) {
  const spec = { runtime: { remote: { url } } };
  const server = { apiVersion: "gatehouse.dev/v1", kind: "Server", metadata: { name }, spec };
  await gatehouse(["apply", "--wait", "-f", "-"], JSON.stringify(server));
  await gatehouse(["wait", "Server", name, "--timeout", "20s"]);
}

async function gatehouse(words, input) {
  const running = promisify(execFile)(program, words);
  running.child.stdin.end(input);
  try {
    await running;
  } catch (fault) {
    throw new Error(`gatehouse ${words.join(" ")}: ${fault.stderr?.trim() || fault.message}`);
  }
}
