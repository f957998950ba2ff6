"""Tools of the conformance suite that answer by themselves; those that ask their client are in asking.py."""

import asyncio
import json
from typing import Any

from mcp.server.subscriptions import PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp.types import (
    AudioContent,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

from call import Call
from samples import PNG, WATCHED, WAV
from table import LEGACY, entry

STEP_S = 0.05  # between two notifications, so that they are seen one by one
WAIT_S = 60  # the longest wait

# Content


async def simple_text(_call: Call) -> str:
    return "This is a simple text response for testing."


async def image(_call: Call) -> list[ContentBlock]:
    return [ImageContent(data=PNG, mime_type="image/png")]


async def audio(_call: Call) -> list[ContentBlock]:
    return [AudioContent(data=WAV, mime_type="audio/wav")]


async def embedded_resource(_call: Call) -> list[ContentBlock]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


async def multiple_content_types(_call: Call) -> list[ContentBlock]:
    document = json.dumps({"test": "data", "value": 123})
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=PNG, mime_type="image/png"),
        embedded("test://mixed-content-resource", "application/json", document),
    ]


def embedded(uri: str, mime_type: str, content: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=content))


async def error_handling(_call: Call) -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


async def said_region(call: Call) -> str:
    return f"region={call.arguments.get('region')}"


async def said_arguments(call: Call) -> str:
    return json.dumps(call.arguments, sort_keys=True)


# Notifications


async def with_logging(call: Call) -> str:
    for line in ["Tool execution started", "Tool processing data", "Tool execution completed"]:
        await call.log("info", line)
        await asyncio.sleep(STEP_S)
    return "Three lines logged"


async def with_progress(call: Call) -> str:
    for done in [0, 50, 100]:
        await call.progress(done, 100)
        await asyncio.sleep(STEP_S)
    return "Progress told three times"


async def logging_levels(call: Call) -> str:
    for level in ["debug", "info", "warning"]:
        await call.log(level, f"A line of level {level}")
    return "Three levels logged"


async def reconnection(call: Call) -> str:
    """Closes its own stream, so that the client must come back for the result."""
    if call.ctx.close_sse_stream is not None:
        await call.ctx.close_sse_stream()
    await asyncio.sleep(STEP_S)
    return "The result after a closed stream"


async def trigger_tool_change(call: Call) -> str:
    if call.modern:
        await call.ctx.lifespan_context.bus.publish(ToolsListChanged())
    else:
        await call.ctx.session.send_tool_list_changed()
    return "Said that tools changed"


async def trigger_prompt_change(call: Call) -> str:
    if call.modern:
        await call.ctx.lifespan_context.bus.publish(PromptsListChanged())
    else:
        await call.ctx.session.send_prompt_list_changed()
    return "Said that prompts changed"


async def trigger_resource_update(call: Call) -> str:
    """To whoever subscribed, in either era."""
    state = call.ctx.lifespan_context
    await state.bus.publish(ResourceUpdated(uri=WATCHED))
    subscribers = list(state.subscribers.get(WATCHED, {}).values())
    for session in subscribers:
        await session.send_resource_updated(WATCHED)
    return f"Said that {WATCHED} changed"


async def wait(call: Call) -> str:
    try:
        await asyncio.sleep(WAIT_S)
    except asyncio.CancelledError:
        call.ctx.lifespan_context.cancelled += 1
        raise
    return "Nobody cancelled"


async def cancelled_calls(call: Call) -> str:
    return str(call.ctx.lifespan_context.cancelled)


# Schemas of their own

REGION: dict[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string", "description": "Also a header", "x-mcp-header": "Region"}},
    "required": ["region"],
}

# Keywords that a hop which models schemas by hand would lose.
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

TOOLS = [
    entry("test_simple_text", "A text", simple_text),
    entry("test_image_content", "A picture", image),
    entry("test_audio_content", "A sound", audio),
    entry("test_embedded_resource", "A resource", embedded_resource),
    entry("test_multiple_content_types", "A text, a picture and a resource", multiple_content_types),
    entry("test_error_handling", "Always fails", error_handling),
    entry("test_x_mcp_header", "Says its region, which is also a header", said_region, schema=REGION),
    entry("json_schema_2020_12_tool", "Says its arguments", said_arguments, schema=SCHEMA_2020_12),
    entry("test_tool_with_logging", "Logs three lines", with_logging),
    entry("test_tool_with_progress", "Tells its progress three times", with_progress),
    entry("test_logging_tool", "Logs a line in each of three levels", logging_levels),
    entry("test_trigger_tool_change", "Says that tools changed", trigger_tool_change),
    entry("test_trigger_prompt_change", "Says that prompts changed", trigger_prompt_change),
    entry("test_trigger_resource_update", f"Says that {WATCHED} changed", trigger_resource_update),
    entry("test_wait", "Waits until it is cancelled", wait),
    entry("test_cancelled_calls", "How many were cancelled", cancelled_calls),
    entry("test_reconnection", "Closes its stream before its result", reconnection, eras=LEGACY),
]
