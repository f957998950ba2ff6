"""What is asked of a client, in either era, and how its answers are read."""

import json
from typing import Any

from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)


def form(message: str, **fields: str | dict[str, Any]) -> ElicitRequest:
    """Asks the user for fields, all required; a field is the name of its type, or its whole schema."""
    properties = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def name() -> ElicitRequest:
    return form("What is your name?", name="string")


def sample(prompt: str, tokens_max: int = 100) -> CreateMessageRequest:
    """Asks the client's model."""
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=tokens_max))


def roots() -> ListRootsRequest:
    return ListRootsRequest()


def filled_in(answer: ElicitResult, key: str) -> str:
    """What a form brought under `key`."""
    value = (answer.content or {}).get(key, "nobody")
    return value if isinstance(value, str) else json.dumps(value)


def said(answer: CreateMessageResult) -> str:
    """What a model said."""
    return getattr(answer.content, "text", "nothing")


def uris(answer: ListRootsResult) -> str:
    return f"{len(answer.roots)} roots: {', '.join(str(each.uri) for each in answer.roots)}"
