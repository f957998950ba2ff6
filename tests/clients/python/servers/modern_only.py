"""A server of the modern era alone: MCP 2026-07-28 over stdio, no handshake, `initialize` refused."""

import wire

REVISION = "2026-07-28"
UNSUPPORTED_PROTOCOL_VERSION = -32022

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"

SERVER = {"io.modelcontextprotocol/serverInfo": {"name": "modern-only", "version": "1.0.0"}}
CACHE = {"ttlMs": 0, "cacheScope": "private"}
TOOLS = [wire.tool("echo", "Says what it is told", message={"type": "string"})]


def answer(request: wire.Message) -> None:
    method = request.get("method")
    params = request.get("params") or {}
    meta = params.get("_meta") or {}
    if method == "initialize":
        return unsupported(request, params.get("protocolVersion", ""))
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        return wire.fail(request, wire.INVALID_PARAMS, f"Missing in _meta: {', '.join(missing)}")
    if meta[VERSION_KEY] != REVISION:
        return unsupported(request, meta[VERSION_KEY])
    match method:
        case "server/discover":
            complete(request, {"supportedVersions": [REVISION], "capabilities": {"tools": {}}, **CACHE})
        case "tools/list":
            complete(request, {"tools": TOOLS, **CACHE})
        case "tools/call" if params.get("name") == "echo":
            message = (params.get("arguments") or {}).get("message", "")
            complete(request, wire.text_result(f"Echo: {message}"))
        case "tools/call":
            wire.fail(request, wire.INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
        case other:
            wire.fail(request, wire.METHOD_NOT_FOUND, f"Method not found: {other}")


def complete(request: wire.Message, result: wire.Message) -> None:
    wire.reply(request, {"resultType": "complete", **result, "_meta": SERVER})


def unsupported(request: wire.Message, requested: str) -> None:
    data = {"supported": [REVISION], "requested": requested}
    wire.fail(request, UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


for message in wire.messages():
    if "id" in message:  # the one notification of this era is cancelled, and nothing here takes long
        answer(message)
