"""The server: what the conformance suite looks for besides tools, and where each method is answered.

Tools are in tools.py and, where they ask their client for something, in asking.py.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)

import prompts
from asking import ASKING
from call import Asking, Call, is_modern, session_of
from samples import PNG, WATCHED
from table import ToolEntry
from tools import TOOLS

NAME = "gatehouse-fixture-python"
RESOURCE_NOT_FOUND = -32002  # the legacy era's; the modern one has invalid params

# Any value but the default, so that a hop that makes up its own is seen.
LISTS = CacheHint(ttl_ms=2_000, scope="public")
READS = CacheHint(ttl_ms=1_000, scope="private")

RESOURCES = [
    Resource(uri="test://static-text", name="static-text", description="A text", mime_type="text/plain"),
    Resource(uri="test://static-binary", name="static-binary", description="A picture", mime_type="image/png"),
    Resource(uri=WATCHED, name="watched-resource", description="A text to subscribe to", mime_type="text/plain"),
]
TEMPLATES = [
    ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="A document for each id",
        mime_type="application/json",
    )
]
TEMPLATE = re.compile(r"test://template/([^/]+)/data")

# What completion offers for any argument of a prompt or template.
WORDS = ["paris", "park", "party", "test1", "test2"]


@dataclass
class State:
    """What outlives a request. One loop runs everything, so there is no lock."""

    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    # By legacy session: the lowest level it wants, and what it subscribed to.
    levels: dict[str, str] = field(default_factory=dict)
    subscribers: dict[str, dict[str, ServerSession]] = field(default_factory=dict)
    cancelled: int = 0  # calls that their client cancelled


class Fixture(Server[State]):
    def __init__(self) -> None:
        self.state = State()
        super().__init__(
            NAME,
            version="1.0.0",
            instructions="A server for tests of MCP itself.",
            lifespan=lifespan,
            cache_hints={
                "tools/list": LISTS,
                "prompts/list": LISTS,
                "resources/list": LISTS,
                "resources/templates/list": LISTS,
                "resources/read": READS,
            },
            get_tool_input_schema=input_schema,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
            on_list_resources=list_resources,
            on_list_resource_templates=list_templates,
            on_read_resource=read_resource,
            on_subscribe_resource=subscribe,
            on_unsubscribe_resource=unsubscribe,
            on_subscriptions_listen=ListenHandler(self.state.bus),
            on_list_prompts=list_prompts,
            on_get_prompt=get_prompt,
            on_completion=complete,
            on_set_logging_level=set_level,
        )
        # Seals what goes out as requestState, and refuses what comes back changed.
        self.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))

    def create_initialization_options(self, *_args: Any, **_kwargs: Any) -> InitializationOptions:
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(changes)


@asynccontextmanager
async def lifespan(fixture: Fixture) -> AsyncIterator[State]:
    yield fixture.state


# Tools

ALL_TOOLS = {each.tool.name: each for each in [*TOOLS, *ASKING]}


def tools_for(ctx: ServerRequestContext) -> dict[str, ToolEntry]:
    """Each era is shown what can work in it."""
    return {name: entry for name, entry in ALL_TOOLS.items() if is_modern(ctx) in entry.eras}


def input_schema(name: str) -> dict[str, Any] | None:
    entry = ALL_TOOLS.get(name)
    return entry.tool.input_schema if entry else None


async def list_tools(ctx: ServerRequestContext, _: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[entry.tool for entry in tools_for(ctx).values()])


async def call_tool(ctx: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    entry = tools_for(ctx).get(params.name)
    if entry is None:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    call = Call(ctx, params.arguments or {}, params.input_responses or {}, params.request_state)
    try:
        result = await entry.run(call)
    except Asking as asking:
        return asking.result
    except MCPError:
        raise  # an error of the protocol, and not the tool's
    except Exception as fault:
        return CallToolResult(content=[TextContent(text=str(fault))], is_error=True)
    return CallToolResult(content=[TextContent(text=result)] if isinstance(result, str) else result)


# Resources


async def list_resources(_ctx: ServerRequestContext, _: PaginatedRequestParams | None) -> ListResourcesResult:
    return ListResourcesResult(resources=RESOURCES)


async def list_templates(_ctx: ServerRequestContext, _: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=TEMPLATES)


async def read_resource(ctx: ServerRequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
    uri = params.uri
    if uri == "test://static-binary":
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)])
    if uri == "test://static-text":
        mime_type, text = "text/plain", "This is the content of the static text resource."
    elif uri == WATCHED:
        mime_type, text = "text/plain", "Watched resource content"
    elif found := TEMPLATE.fullmatch(uri):
        id = found[1]
        document = {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}
        mime_type, text = "application/json", json.dumps(document)
    else:
        code = INVALID_PARAMS if is_modern(ctx) else RESOURCE_NOT_FOUND
        raise MCPError(code, "Resource not found", {"uri": uri})
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=mime_type, text=text)])


async def subscribe(ctx: ServerRequestContext, params: SubscribeRequestParams) -> EmptyResult:
    ctx.lifespan_context.subscribers.setdefault(str(params.uri), {})[session_of(ctx)] = ctx.session
    return EmptyResult()


async def unsubscribe(ctx: ServerRequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
    ctx.lifespan_context.subscribers.get(str(params.uri), {}).pop(session_of(ctx), None)
    return EmptyResult()


# Prompts, completion, logging


async def list_prompts(_ctx: ServerRequestContext, _: PaginatedRequestParams | None) -> ListPromptsResult:
    return ListPromptsResult(prompts=prompts.LISTED)


async def get_prompt(
    ctx: ServerRequestContext, params: GetPromptRequestParams
) -> GetPromptResult | InputRequiredResult:
    call = Call(ctx, params.arguments or {}, params.input_responses or {}, params.request_state)
    try:
        return await prompts.get(call, params.name)
    except Asking as asking:
        return asking.result


async def complete(_ctx: ServerRequestContext, params: CompleteRequestParams) -> CompleteResult:
    values = [word for word in WORDS if word.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))


async def set_level(ctx: ServerRequestContext, params: SetLevelRequestParams) -> EmptyResult:
    ctx.lifespan_context.levels[session_of(ctx)] = params.level
    return EmptyResult()
