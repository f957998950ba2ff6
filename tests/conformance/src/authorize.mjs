// Loaded into the suite before anything else (`node --import`): adds a credential to each request to the server
// under test, for which the suite has no option. Both ways out of it are covered: undici, that is also fetch, and
// node:http, which scenarios about headers use.

import http from "node:http";
import { createRequire, syncBuiltinESMExports } from "node:module";

const { CONFORMANCE_ORIGIN: origin, CONFORMANCE_AUTHORIZATION: authorization } = process.env;

// The suite's own undici: another copy would have another dispatcher.
const suite = new URL("../node_modules/@modelcontextprotocol/conformance/package.json", import.meta.url);
const { getGlobalDispatcher, setGlobalDispatcher } = createRequire(suite)("undici");

setGlobalDispatcher(
  getGlobalDispatcher().compose((dispatch) => (options, handler) => {
    const ours = new URL(String(options.origin)).origin === origin;
    return dispatch(ours ? { ...options, headers: authorized(options.headers) } : options, handler);
  }),
);

/** undici takes headers as a flat list, as pairs, or as an object. */
function authorized(headers) {
  if (Array.isArray(headers)) return [...headers, "authorization", authorization];
  const pairs = typeof headers?.[Symbol.iterator] === "function" ? Object.fromEntries(headers) : headers;
  return { ...pairs, authorization };
}

const { request } = http;
http.request = (...args) => {
  const outgoing = request(...args);
  // Nothing is sent before the first write or end, so a header can still be set.
  const port = new URL(origin).port || "80";
  if (outgoing.host === new URL(origin).hostname && String(args[0].port || "80") === port) {
    outgoing.setHeader("Authorization", authorization);
  }
  return outgoing;
};
syncBuiltinESMExports();
