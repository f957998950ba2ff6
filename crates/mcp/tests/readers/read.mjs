// Reads messages as a JavaScript server does: JSON.parse of the text, then the fields by their names. And once more as
// readers do that ignore the case of keys and take the last that fits: both must read the same.
//
// One message a line comes as Base64 in the file named; one reading a line goes out, in the words of reading.rs.

import { readFileSync } from "node:fs";

const AIMS = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["resources/subscribe", "uri"],
  ["resources/unsubscribe", "uri"],
  ["notifications/resources/updated", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/result", "taskId"],
  ["tasks/cancel", "taskId"],
  ["tasks/update", "taskId"],
]);

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const exact = (value, key) => (isObject(value) ? value[key] : undefined);

// One character at a time, as parsers fold: upper case first, so that the long s becomes an S.
const foldCharacter = (character) => {
  const upper = character.toUpperCase();
  const one = upper.length === character.length ? upper : character;
  const lower = one.toLowerCase();
  return lower.length === one.length ? lower : one;
};
const fold = (key) => Array.from(key, foldCharacter).join("");
const loose = (value, key) => {
  if (!isObject(value)) return undefined;
  const like = Object.keys(value).filter((other) => fold(other) === fold(key));
  return like.length === 0 ? undefined : value[like.at(-1)];
};

const quote = (text) =>
  `"${text.replace(/[^ !#-\[\]-~]/gu, (found) => `\\u{${found.codePointAt(0).toString(16)}}`)}"`;

const double = new DataView(new ArrayBuffer(8));
const bits = (number) => {
  // JSON has two zeros; Python reads -0 as the integer 0.
  double.setFloat64(0, number + 0);
  return double.getBigUint64(0).toString(16).padStart(16, "0");
};

const canonical = (value) => {
  if (value === undefined) return "-";
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return bits(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return String(value);
  const members = Object.keys(value).map((key) => `${quote(key)}:${canonical(value[key])}`);
  return `{${members.sort().join(",")}}`;
};
const ident = (value) => (typeof value === "number" ? String(value) : canonical(value));
const text = (value) => (typeof value === "string" ? quote(value) : "-");

const aim = (get, method, params) => {
  if (method === "completion/complete") {
    const aimed = get(params, "ref");
    return canonical(get(aimed, get(aimed, "type") === "ref/prompt" ? "name" : "uri"));
  }
  return AIMS.has(method) ? canonical(get(params, AIMS.get(method))) : "-";
};

const kind = (get, message) => {
  const ways = ["method", "result", "error"].filter((key) => get(message, key) !== undefined);
  if (ways.length !== 1) return ways.join("+");
  if (ways[0] !== "method") return "response";
  return get(message, "id") === undefined ? "notification" : "request";
};

// What an initialize asks for; nothing, if it cannot be answered.
const asked = (get, method, params) => {
  const version = get(params, "protocolVersion");
  const offers = get(params, "capabilities");
  const whole = typeof version === "string" && (offers === undefined || isObject(offers));
  return method === "initialize" && whole ? { version, offers } : {};
};

const read = (get, message) => {
  if (!isObject(message)) return "no object";
  const method = get(message, "method");
  const params = method === undefined ? undefined : get(message, "params");
  const meta = get(params, "_meta");
  const info = get(meta, "io.modelcontextprotocol/clientInfo");
  const result = get(message, "result");
  const error = get(message, "error");
  const id = get(message, "id");
  const { version, offers } = asked(get, method, params);
  const fields = {
    kind: kind(get, message),
    id: error !== undefined && id === null ? "-" : ident(id),
    method: canonical(method),
    target: aim(get, method, params),
    arguments: canonical(get(params, "arguments")),
    version: canonical(get(meta, "io.modelcontextprotocol/protocolVersion")),
    capabilities: canonical(get(meta, "io.modelcontextprotocol/clientCapabilities")),
    client: text(get(info, "name")),
    traceparent: text(get(meta, "traceparent")),
    token: ident(get(meta, "progressToken")),
    cancels: method === "notifications/cancelled" ? ident(get(params, "requestId")) : "-",
    progress: method === "notifications/progress" ? ident(get(params, "progressToken")) : "-",
    asks: canonical(version),
    offers: canonical(offers),
    result: canonical(result),
    type: canonical(get(result, "resultType")),
    failed: String(get(result, "isError") === true),
    code: ident(get(error, "code")),
    all: canonical(message),
  };
  return Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");
};

const line = (encoded) => {
  try {
    const message = JSON.parse(Buffer.from(encoded, "base64").toString("utf8"));
    const strictly = read(exact, message);
    const loosely = read(loose, message);
    return strictly === loosely ? strictly : `${strictly} IGNORING CASE ${loosely}`;
  } catch (error) {
    return `refused: ${error.message.replaceAll("\n", " ")}`;
  }
};

const messages = readFileSync(process.argv[2], "latin1").split("\n").slice(0, -1);
process.stdout.write(messages.map((encoded) => `${line(encoded)}\n`).join(""));
