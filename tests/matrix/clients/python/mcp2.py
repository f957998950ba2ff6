#!/usr/bin/env python3
"""PyPI `mcp` 2.x, of both eras."""

from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import listen
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    Implementation,
    LoggingMessageNotificationParams,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextContent,
)

import harness
from harness import MODERN, SAMPLED, Heard, Json, Target, text


@asynccontextmanager
async def connect(target: Target, heard: Heard):
    async with httpx2.AsyncClient(headers=target.headers, timeout=harness.CONNECT_S) as http:
        if target.stdio:
            server = StdioServerParameters(command=target.stdio[0], args=target.stdio[1:])
        elif target.sse:
            server = sse_client(target.url, headers=target.headers)
        else:
            server = streamable_http_client(target.url, http_client=http)
        async with Client(
            server,
            mode=harness.mode(target.era),
            client_info=Implementation(name="matrix-mcp2", version="1.0.0"),
            log_level="debug",
            **callbacks(heard),
        ) as client:
            yield Session(client)


def callbacks(heard: Heard) -> Json:
    async def sample(*_: Any) -> CreateMessageResult:
        heard.sampled += 1
        return CreateMessageResult(role="assistant", content=TextContent(text=SAMPLED), model="none")

    async def elicit(*_: Any) -> ElicitResult:
        heard.elicited += 1
        await harness.pass_(heard.during)
        return ElicitResult(action="accept", content=heard.answer)

    async def log(params: LoggingMessageNotificationParams) -> None:
        heard.logs.append(params.data)

    async def message(each: Any) -> None:
        if isinstance(each, ResourceUpdatedNotification):
            heard.updates.append(str(each.params.uri))

    return {
        "sampling_callback": sample,
        "elicitation_callback": elicit,
        "logging_callback": log,
        "message_handler": message,
    }


class Session(harness.Session):
    def __init__(self, client: Client) -> None:
        self.client = client
        self.revision = client.protocol_version

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, tool: str, arguments: Json, on_progress: Any = None) -> str:
        async def told(progress: float, *_: Any) -> None:
            on_progress(progress)

        result = await self.client.call_tool(tool, arguments, progress_callback=told if on_progress else None)
        harness.check(not result.is_error, f"the tool failed: {text(result.content)}")
        return text(result.content)

    async def resources(self) -> list[str]:
        return [str(each.uri) for each in (await self.client.list_resources()).resources]

    async def read(self, uri: str) -> str:
        return text((await self.client.read_resource(uri)).contents)

    def subscribed(self, uri: str) -> Any:
        return subscribed(self.client.session, uri)

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self.client.list_prompts()).prompts]

    async def prompt(self, name: str, arguments: Json) -> str:
        return text([each.content for each in (await self.client.get_prompt(name, arguments)).messages])

    async def complete(self, ref: Json, argument: Json) -> list[str]:
        return (await self.client.complete(reference(ref), argument)).completion.values

    async def set_level(self, level: str) -> None:
        if self.revision != MODERN:  # there each request has it
            await self.client.set_logging_level(level)


# What fastmcp's client shares with this one, as it hands out the session below it.


@asynccontextmanager
async def subscribed(session: ClientSession, uri: str):
    if session.protocol_version == MODERN:
        async with listen(session, resource_subscriptions=[uri]):
            yield
    else:
        await session.subscribe_resource(uri)
        yield
        await session.unsubscribe_resource(uri)


def reference(ref: Json) -> PromptReference | ResourceTemplateReference:
    return (PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference)(**ref)


if __name__ == "__main__":
    harness.main(connect)
