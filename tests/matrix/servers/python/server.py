#!/usr/bin/env python3
"""A server of both eras on PyPI `fastmcp` 4.x, with one thing for each feature of the matrix that it can offer.

It has no subscriptions. In the newer era a tool asks its client by its result, and is called again with the answer.
"""

import asyncio
import socket
from typing import Any, TypeVar

import uvicorn
from fastmcp import Context, FastMCP
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

KEY = "asked"
NAMES = ["Ada", "Adele", "Grace"]

Answer = TypeVar("Answer", bound=BaseModel)

mcp = FastMCP("matrix-fastmcp", version="1.0.0")
cancelled_calls = 0


@mcp.tool
def echo(text: str) -> str:
    return text


@mcp.tool
async def steps(steps: int, ctx: Context) -> str:
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        await asyncio.sleep(0.05)
    return f"{steps} steps"


@mcp.tool
async def wait(seconds: float) -> str:
    global cancelled_calls
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled_calls += 1
        raise
    return f"waited {seconds} s"


@mcp.tool
def cancelled() -> str:
    return str(cancelled_calls)


@mcp.tool
async def log(text: str, ctx: Context) -> str:
    await ctx.info(text)
    return "logged"


@mcp.tool
async def ask_model(prompt: str, ctx: Context) -> str | InputRequiredResult:
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    params = CreateMessageRequestParams(messages=[message], max_tokens=100)
    answer = await ask(ctx, CreateMessageRequest(params=params), CreateMessageResult)
    return answer if isinstance(answer, InputRequiredResult) else f"The model said: {answer.content.text}"


@mcp.tool
async def ask_user(ctx: Context) -> str | InputRequiredResult:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    params = ElicitRequestFormParams(message="Who are you?", requested_schema=schema)
    answer = await ask(ctx, ElicitRequest(params=params), ElicitResult)
    return answer if isinstance(answer, InputRequiredResult) else f"The user is {answer.content['name']}"


async def ask(ctx: Context, request: InputRequest, kind: type[Answer]) -> Answer | InputRequiredResult:
    if ctx.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return (ctx.input_responses or {}).get(KEY) or InputRequiredResult(input_requests={KEY: request})
    here = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, kind, metadata=here)


@mcp.resource("matrix://note")
def note() -> str:
    return "A note"


@mcp.prompt
def greet(name: str) -> str:
    return f"Say hello to {name}"


@mcp.completion
def complete(_ref: Any, argument: Any, _context: Any) -> list[str]:
    return [name for name in NAMES if name.startswith(argument.value)]


def main() -> None:
    # Listens before it says so, and answers whoever comes early a moment later.
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(mcp.http_app(path="/mcp"), log_level="warning", timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
