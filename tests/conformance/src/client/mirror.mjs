// Arguments that a tool wants mirrored into headers, "x-mcp-header" of 2026-07-28 server/tools: at the top of its schema only,
// which is all that the suite has.

const KEY = "x-mcp-header";
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$|^$/;

const designated = (schema) => Object.entries(schema?.properties ?? {}).filter(([, property]) => KEY in property);

/** Whether a client may use a tool with this schema. */
export function usable(schema) {
  const found = designated(schema).map(([, property]) => property);
  const names = found.map((property) => String(property[KEY]).toLowerCase());
  const good = ({ [KEY]: name, type }) => TOKEN.test(name) && ["string", "integer", "boolean"].includes(type);
  return found.every(good) && new Set(names).size === names.length;
}

/** The headers of a call. */
export function mirrored(schema, args) {
  const given = designated(schema).filter(([name]) => args[name] !== undefined && args[name] !== null);
  const header = ([name, property]) => [`mcp-param-${property[KEY].toLowerCase()}`, encoded(String(args[name]))];
  return Object.fromEntries(given.map(header));
}

const encoded = (text) => (PLAIN.test(text) ? text : `=?base64?${Buffer.from(text, "utf8").toString("base64")}?=`);
