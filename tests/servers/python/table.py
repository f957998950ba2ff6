"""A row of the tables of tools."""

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from typing import Any

from mcp.types import Tool

from call import Call

# The eras that a tool can work in, as "is it the modern one".
LEGACY, MODERN, BOTH = {False}, {True}, {False, True}


@dataclass
class ToolEntry:
    tool: Tool
    run: Callable[[Call], Awaitable[Any]]
    eras: Set[bool]


def entry(
    name: str,
    description: str,
    run: Callable[[Call], Awaitable[Any]],
    *required: str,
    eras: Set[bool] = BOTH,
    schema: dict[str, Any] | None = None,
) -> ToolEntry:
    """A tool with string arguments, all required; or with a schema of its own."""
    if schema is None:
        schema = {"type": "object", "properties": {each: {"type": "string"} for each in required}}
        if required:
            schema["required"] = list(required)
    return ToolEntry(Tool(name=name, description=description, input_schema=schema), run, eras)
