#!/usr/bin/env python3
"""A real MCP client on the Python SDK; see ../README.md for its arguments and its one document."""

import argparse
import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation

MODERN = "2026-07-28"
SELF = Implementation(name="gatehouse-test-python", version="1.0.0")
TIMEOUT_S = 60


def main() -> int:
    args = arguments()
    statuses: list[int] = []
    try:
        document = asyncio.run(asyncio.wait_for(run(args, statuses), TIMEOUT_S))
    except Exception as fault:  # whatever it is, the one document says it
        document = {"ok": False, "error": describe(fault), "status": last(statuses)}
    json.dump(document, sys.stdout)
    print()
    return 0 if document["ok"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key")
    parser.add_argument("--mode", choices=["modern", "legacy"], required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    call = commands.add_parser("call")
    call.add_argument("tool")
    call.add_argument("arguments", nargs="?", type=json.loads, default={})
    return parser.parse_args()


async def run(args: argparse.Namespace, statuses: list[int]) -> dict[str, Any]:
    async def note_status(response: httpx2.Response) -> None:
        # The stand-alone GET stream of the legacy era is an offer that a server may decline.
        if not response.is_success and response.request.method == "POST":
            statuses.append(response.status_code)

    headers = {"Authorization": f"Bearer {args.key}"} if args.key else {}
    async with httpx2.AsyncClient(
        headers=headers, timeout=TIMEOUT_S, event_hooks={"response": [note_status]}
    ) as http:
        transport = streamable_http_client(args.url, http_client=http)
        # "auto" and not a pinned version: a pin would skip server/discover.
        mode = "auto" if args.mode == "modern" else "legacy"
        async with Client(transport, mode=mode, client_info=SELF) as client:
            return await command(args, client, statuses)


async def command(args: argparse.Namespace, client: Client, statuses: list[int]) -> dict[str, Any]:
    document: dict[str, Any] = {"ok": True, "protocol_version": client.protocol_version}
    if (args.mode == "modern") != (client.protocol_version == MODERN):
        raise RuntimeError(f"mode {args.mode} ended up in {client.protocol_version}")
    if client.server_info:
        document["server"] = {"name": client.server_info.name, "version": client.server_info.version}
    try:
        if args.command == "list":
            document["tools"] = await tool_names(client)
        else:
            document |= outcome(await client.call_tool(args.tool, args.arguments))
    except MCPError as fault:
        document |= {"ok": False, "error": describe(fault), "status": last(statuses)}
    return document


async def tool_names(client: Client) -> list[str]:
    names: list[str] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        names += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return names


def outcome(result: Any) -> dict[str, Any]:
    whole = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = "".join(block["text"] for block in whole.get("content", []) if block["type"] == "text")
    return {"is_error": bool(whole.get("isError")), "text": text, "result": whole}


def describe(fault: BaseException) -> dict[str, Any]:
    # Task groups wrap what went wrong; the first cause is what a test wants to see.
    # (By attribute: Python 3.10 has no built-in exception groups.)
    while inner := getattr(fault, "exceptions", None):
        fault = inner[0]
    if isinstance(fault, MCPError):
        return {"code": fault.code, "message": fault.message, "data": fault.data}
    return {"code": None, "message": f"{type(fault).__name__}: {fault}", "data": None}


def last(statuses: list[int]) -> int | None:
    return statuses[-1] if statuses else None


if __name__ == "__main__":
    sys.exit(main())
