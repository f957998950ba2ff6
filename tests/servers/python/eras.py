"""What a server that speaks one era alone refuses, and how.

The SDK always serves both eras; the doors in this file stand before it. They answer what belongs to the
other era as real servers of one era do, and hand on the rest untouched.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

import anyio
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION, ErrorData, JSONRPCError, JSONRPCRequest
from mcp_types import HEADER_MISMATCH
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

VERSION_HEADER = "mcp-protocol-version"


class Era(str, Enum):
    DUAL = "dual"
    LEGACY = "legacy"  # up to 2025-11-25: initialize and a session
    MODERN = "modern"  # from 2026-07-28 on: every request carries its own version


class LegacyDoor:
    """HTTP, legacy only: a revision that it does not know is a 400 with a code that says nothing of eras."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            version = Request(scope).headers.get(VERSION_HEADER)
            if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
                known = ", ".join(HANDSHAKE_PROTOCOL_VERSIONS)
                text = f"Bad Request: Unsupported protocol version: {version}. Supported versions: {known}"
                app = refusal("server-error", INVALID_REQUEST, text)
        await app(scope, receive, send)


class ModernDoor:
    """HTTP, modern only: POST alone, no handshake, no session, the revision on every request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            request = Request(scope, receive)
            version = request.headers.get(VERSION_HEADER)
            if request.method != "POST":
                app = Response(status_code=405, headers={"Allow": "POST"})
            elif version is None or version in HANDSHAKE_PROTOCOL_VERSIONS:
                app = refuse_legacy(await request.body(), version)
            else:
                # A session header is ignored, whatever it says.
                name = MCP_SESSION_ID_HEADER.encode()
                scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != name]}
        await app(scope, receive, send)


def refuse_legacy(body: bytes, version: str | None) -> Response:
    try:
        message = json.loads(body)
        id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    except (ValueError, AttributeError):
        id, method, params = None, None, {}
    if method == "initialize":
        return refusal(id, UNSUPPORTED_PROTOCOL_VERSION, "No handshake here", supported(params.get("protocolVersion")))
    if version is None:
        return refusal(id, HEADER_MISMATCH, "Missing header: MCP-Protocol-Version")
    return refusal(id, UNSUPPORTED_PROTOCOL_VERSION, f"Unsupported protocol version: {version}", supported(version))


def refusal(id: Any, code: int, message: str, data: Any = None) -> Response:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return JSONResponse({"jsonrpc": "2.0", "id": id, "error": error}, status_code=400)


def supported(requested: Any) -> dict[str, Any]:
    return {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": str(requested)}


@asynccontextmanager
async def without_handshake(read: Any, write: Any) -> AsyncIterator[Any]:
    """Stdio, modern only: what `read` brings, but `initialize`, which is refused on `write`.

    Done before the SDK sees it, because there the first request decides on the era for good.
    """
    # No buffer: the SDK takes one message at a time, as it would from `read` itself.
    onward, rest = anyio.create_memory_object_stream[SessionMessage | Exception]()

    async def sift() -> None:
        async with onward:
            async for item in read:
                message = item.message if isinstance(item, SessionMessage) else None
                if isinstance(message, JSONRPCRequest) and message.method == "initialize":
                    data = supported((message.params or {}).get("protocolVersion"))
                    error = ErrorData(code=UNSUPPORTED_PROTOCOL_VERSION, message="No handshake here", data=data)
                    await write.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=message.id, error=error)))
                else:
                    await onward.send(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sift)
        yield rest
        tasks.cancel_scope.cancel()
