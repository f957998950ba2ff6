#!/usr/bin/env python3
"""PyPI `mcp` 1.x, of the legacy era."""

from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

import harness
from harness import SAMPLED, Heard, Json, Target, text


@asynccontextmanager
async def connect(target: Target, heard: Heard):
    async with httpx.AsyncClient(headers=target.headers, timeout=harness.CONNECT_S) as http:
        if target.stdio:
            transport = stdio_client(StdioServerParameters(command=target.stdio[0], args=target.stdio[1:]))
        elif target.sse:
            transport = sse_client(target.url, headers=target.headers)
        else:
            transport = streamable_http_client(target.url, http_client=http)
        async with transport as (read, write, *_), ClientSession(read, write, **callbacks(heard)) as session:
            yield Session(session, await session.initialize())


def callbacks(heard: Heard) -> Json:
    async def sample(*_: Any) -> types.CreateMessageResult:
        heard.sampled += 1
        content = types.TextContent(type="text", text=SAMPLED)
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def elicit(*_: Any) -> types.ElicitResult:
        heard.elicited += 1
        await harness.pass_(heard.during)
        return types.ElicitResult(action="accept", content=heard.answer)

    async def log(params: types.LoggingMessageNotificationParams) -> None:
        heard.logs.append(params.data)

    async def message(each: Any) -> None:
        if isinstance(each, types.ServerNotification) and isinstance(each.root, types.ResourceUpdatedNotification):
            heard.updates.append(str(each.root.params.uri))

    return {
        "sampling_callback": sample,
        "elicitation_callback": elicit,
        "logging_callback": log,
        "message_handler": message,
        "client_info": types.Implementation(name="matrix-mcp1", version="1.0.0"),
    }


class Session(harness.Session):
    def __init__(self, session: ClientSession, initialized: types.InitializeResult) -> None:
        self.session = session
        self.revision = str(initialized.protocolVersion)

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, tool: str, arguments: Json, on_progress: Any = None) -> str:
        async def told(progress: float, *_: Any) -> None:
            on_progress(progress)

        id = self.session._request_id  # of the next request
        try:
            result = await self.session.call_tool(tool, arguments, progress_callback=told if on_progress else None)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.cancelled(id)
            raise
        harness.check(not result.isError, f"the tool failed: {text(result.content)}")
        return text(result.content)

    async def cancelled(self, id: int) -> None:
        """This SDK leaves it to its user to tell the server."""
        params = types.CancelledNotificationParams(requestId=id, reason="not needed any more")
        await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))

    async def resources(self) -> list[str]:
        return [str(each.uri) for each in (await self.session.list_resources()).resources]

    async def read(self, uri: str) -> str:
        return text((await self.session.read_resource(uri)).contents)

    @asynccontextmanager
    async def subscribed(self, uri: str):
        await self.session.subscribe_resource(uri)
        yield
        await self.session.unsubscribe_resource(uri)

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self.session.list_prompts()).prompts]

    async def prompt(self, name: str, arguments: Json) -> str:
        return text([each.content for each in (await self.session.get_prompt(name, arguments)).messages])

    async def complete(self, ref: Json, argument: Json) -> list[str]:
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return (await self.session.complete(kind(**ref), argument)).completion.values

    async def set_level(self, level: str) -> None:
        await self.session.set_logging_level(level)


if __name__ == "__main__":
    harness.main(connect)
