// One POST or GET of streamable HTTP, and the messages that come back. It knows no eras.

/**
 * @param exchange `method`, `url`, `headers`, `signal`, and `message`, the body of a POST
 * @returns the response, whose `messages` are read as they come: each `{message, eventId, retryMs}`; `message` is null for an
 *   event that only has an id
 */
export async function send({ method = "POST", url, headers, message, signal }) {
  const response = await fetch(url, {
    method,
    headers: {
      accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
      ...(message && { "content-type": "application/json" }),
      ...headers,
    },
    body: message && JSON.stringify(message),
    signal,
  });
  const kind = response.headers.get("content-type") ?? "";
  const messages = kind.startsWith("text/event-stream") ? events(response.body) : document(response);
  return { status: response.status, headers: response.headers, messages };
}

async function* document(response) {
  const text = await response.text();
  if (text === "") return;
  try {
    yield { message: JSON.parse(text) };
  } catch {
    throw new Error(`status ${response.status}, and no JSON: ${text.slice(0, 200)}`);
  }
}

async function* events(body) {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) yield event(block);
  }
}

function event(block) {
  const fields = { data: [] };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = line.match(/^([^:]+):? ?(.*)$/) ?? [];
    if (name === "data") fields.data.push(value);
    else if (name) fields[name] = value;
  }
  const data = fields.data.join("\n");
  return { message: data === "" ? null : JSON.parse(data), eventId: fields.id, retryMs: fields.retry && Number(fields.retry) };
}
