"""Reads messages as a Python server does: json.loads of the bytes, then the fields by their names.

One message a line comes as Base64 in the file named; one reading a line goes out, in the words of reading.rs.
"""

import base64
import json
import re
import struct
import sys

AIMS = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
    "notifications/resources/updated": "uri",
    "tasks/get": "taskId",
    "tasks/result": "taskId",
    "tasks/cancel": "taskId",
    "tasks/update": "taskId",
}
ABSENT = object()
PLAIN = re.compile(r"[^ !#-\[\]-~]")


def quote(text):
    return '"' + PLAIN.sub(lambda found: "\\u{%x}" % ord(found[0]), text) + '"'


def canonical(value):
    if value is ABSENT:
        return "-"
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        members = sorted(f"{quote(key)}:{canonical(inner)}" for key, inner in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    # Python keeps integers whole; as doubles they are what others read. To Python -0 is the integer 0.
    return struct.pack(">d", float(value) + 0.0).hex()


def ident(value):
    """An id keeps its kind: 1.0 is not 1 here, though it is to JavaScript."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    return canonical(value)


def get(value, key):
    return value.get(key, ABSENT) if isinstance(value, dict) else ABSENT


def text(value):
    return quote(value) if isinstance(value, str) else "-"


def aim(method, params):
    if method != "completion/complete":
        key = AIMS.get(method) if isinstance(method, str) else None
        return canonical(get(params, key)) if key else "-"
    aimed = get(params, "ref")
    return canonical(get(aimed, "name" if get(aimed, "type") == "ref/prompt" else "uri"))


def kind(message):
    ways = [key for key in ("method", "result", "error") if key in message]
    if len(ways) != 1:
        return "+".join(ways)
    if ways == ["method"]:
        return "request" if "id" in message else "notification"
    return "response"


def read(body):
    message = json.loads(body)
    if not isinstance(message, dict):
        return "no object"
    method = get(message, "method")
    params = get(message, "params") if method is not ABSENT else ABSENT
    meta = get(params, "_meta")
    info = get(meta, "io.modelcontextprotocol/clientInfo")
    result, error, answered = get(message, "result"), get(message, "error"), get(message, "id")
    if error is not ABSENT and answered is None:
        answered = ABSENT
    asks, offers = ABSENT, ABSENT
    if method == "initialize" and isinstance(get(params, "protocolVersion"), str):
        offers = get(params, "capabilities")
        if offers is ABSENT or isinstance(offers, dict):
            asks = get(params, "protocolVersion")
        else:
            offers = ABSENT
    fields = {
        "kind": kind(message),
        "id": ident(answered),
        "method": canonical(method),
        "target": aim(method, params),
        "arguments": canonical(get(params, "arguments")),
        "version": canonical(get(meta, "io.modelcontextprotocol/protocolVersion")),
        "capabilities": canonical(get(meta, "io.modelcontextprotocol/clientCapabilities")),
        "client": text(get(info, "name")),
        "traceparent": text(get(meta, "traceparent")),
        "token": ident(get(meta, "progressToken")),
        "cancels": ident(get(params, "requestId")) if method == "notifications/cancelled" else "-",
        "progress": ident(get(params, "progressToken")) if method == "notifications/progress" else "-",
        "asks": canonical(asks),
        "offers": canonical(offers),
        "result": canonical(result),
        "type": canonical(get(result, "resultType")),
        "failed": "true" if get(result, "isError") is True else "false",
        "code": ident(get(error, "code")),
        "all": canonical(message),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def line(encoded):
    try:
        return read(base64.b64decode(encoded))
    except Exception as error:  # Whatever it is: Python does not read this message.
        return f"refused: {type(error).__name__}: {error}".replace("\n", " ")


def main():
    with open(sys.argv[1], "rb") as messages:
        for encoded in messages:
            sys.stdout.write(line(encoded) + "\n")


main()
