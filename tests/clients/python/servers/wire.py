"""MCP over stdio by hand, for the servers beside this file.

Knows: one JSON message a line, and the answers of a well-behaved legacy server (initialize, ping,
tools/list, tools/call). Knows no SDK, so that a server may behave as badly as its test wants.
"""

import json
import sys
import threading
from typing import Any, Callable, Iterator

LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

Message = dict[str, Any]

_out = threading.Lock()  # lines of side-by-side calls must not mix


def messages() -> Iterator[Message]:
    """What the client sends, until it closes our standard input."""
    for line in sys.stdin:
        if line.strip():
            yield json.loads(line)


def send_line(line: str) -> None:
    with _out:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def send(message: Message) -> None:
    send_line(json.dumps(message, separators=(",", ":")))


def reply(request: Message, result: Message) -> None:
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def fail(request: Message, code: int, text: str, data: Any = None) -> None:
    error: Message = {"code": code, "message": text}
    if data is not None:
        error["data"] = data
    send({"jsonrpc": "2.0", "id": request["id"], "error": error})


def notify(method: str, params: Message) -> None:
    send({"jsonrpc": "2.0", "method": method, "params": params})


def log(text: str) -> None:
    """To standard error: free text, which the sidecar keeps for `gatehouse server logs`."""
    print(text, file=sys.stderr, flush=True)


def text_result(text: str) -> Message:
    return {"content": [{"type": "text", "text": text}]}


def tool(name: str, description: str, **properties: Message) -> Message:
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
    }


def serve_legacy(
    name: str,
    tools: list[Message],
    call: Callable[[Message, str, Message], None],
    notified: Callable[[Message], None] = lambda _message: None,
    more: dict[str, Callable[[Message, Message], None]] = {},
    offers: Message = {},
) -> None:
    """A legacy server that answers all but tools/call by itself.

    `call(request, tool, arguments)` answers a call of a known tool, at once or later; `notified` gets
    what the client tells without asking; `more` answers further methods, given the request and its
    parameters, and `offers` are the capabilities that go with them.
    """
    known = {each["name"] for each in tools}
    for message in messages():
        if "id" not in message:
            notified(message)
            continue
        params = message.get("params") or {}
        match message.get("method"):
            case "initialize":
                asked = params.get("protocolVersion")
                reply(message, {
                    "protocolVersion": asked if asked in LEGACY else LEGACY[0],
                    "capabilities": {"tools": {}, **offers},
                    "serverInfo": {"name": name, "version": "1.0.0"},
                })
            case "ping":
                reply(message, {})
            case "tools/list":
                reply(message, {"tools": tools})
            case "tools/call" if params.get("name") in known:
                call(message, params["name"], params.get("arguments") or {})
            case "tools/call":
                fail(message, INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
            case other if other in more:
                more[other](message, params)
            case other:
                fail(message, METHOD_NOT_FOUND, f"Method not found: {other}")
