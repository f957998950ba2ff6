#!/usr/bin/env python3
"""PyPI `fastmcp` 4.x, of both eras: the SDK below it is `mcp` 2.x, whose answers it hands on."""

from contextlib import asynccontextmanager
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport

import harness
import mcp2
from harness import MODERN, Heard, Json, Target, text

LOG_LEVEL = "io.modelcontextprotocol/logLevel"


@asynccontextmanager
async def connect(target: Target, heard: Heard):
    if target.stdio:
        transport = StdioTransport(command=target.stdio[0], args=target.stdio[1:], keep_alive=False)
    else:
        kind = SSETransport if target.sse else StreamableHttpTransport
        transport = kind(target.url, headers=target.headers)
    callbacks = mcp2.callbacks(heard)
    async with Client(
        transport,
        mode=harness.mode(target.era),
        name="matrix-fastmcp",
        sampling_handler=callbacks["sampling_callback"],
        elicitation_handler=callbacks["elicitation_callback"],
        log_handler=callbacks["logging_callback"],
        message_handler=callbacks["message_handler"],
    ) as client:
        yield Session(client)


class Session(harness.Session):
    def __init__(self, client: Client) -> None:
        self.client = client
        self.revision = client.protocol_version
        self.meta: Json = {}

    async def tools(self) -> list[str]:
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, tool: str, arguments: Json, on_progress: Any = None) -> str:
        async def told(progress: float, *_: Any) -> None:
            if on_progress:
                on_progress(progress)

        result = await self.client.call_tool(tool, arguments, progress_handler=told, meta=self.meta)
        return text(result.content)

    async def resources(self) -> list[str]:
        return [str(each.uri) for each in await self.client.list_resources()]

    async def read(self, uri: str) -> str:
        return text(await self.client.read_resource(uri))

    def subscribed(self, uri: str) -> Any:
        return mcp2.subscribed(self.client.session, uri)

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in await self.client.list_prompts()]

    async def prompt(self, name: str, arguments: Json) -> str:
        return text([each.content for each in (await self.client.get_prompt(name, arguments)).messages])

    async def complete(self, ref: Json, argument: Json) -> list[str]:
        return (await self.client.complete(mcp2.reference(ref), argument)).values

    async def set_level(self, level: str) -> None:
        if self.revision == MODERN:
            self.meta = {LOG_LEVEL: level}
        else:
            await self.client.set_logging_level(level)


if __name__ == "__main__":
    harness.main(connect)
