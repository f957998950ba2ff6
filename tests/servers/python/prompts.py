"""The prompts of the conformance suite."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    ContentBlock,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)

from call import Call
from questions import filled_in, form
from samples import PNG

Answer = list[ContentBlock]


@dataclass
class PromptEntry:
    prompt: Prompt
    run: Callable[[Call], Awaitable[Answer]]


async def get(call: Call, name: str) -> GetPromptResult:
    entry = PROMPTS.get(name)
    if entry is None:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
    missing = [each.name for each in entry.prompt.arguments or [] if each.required and each.name not in call.arguments]
    if missing:
        raise MCPError(INVALID_PARAMS, f"Missing arguments: {', '.join(missing)}")
    blocks = await entry.run(call)
    return GetPromptResult(messages=[PromptMessage(role="user", content=block) for block in blocks])


async def simple(_call: Call) -> Answer:
    return [TextContent(text="This is a simple prompt for testing.")]


async def with_arguments(call: Call) -> Answer:
    given = call.arguments
    return [TextContent(text=f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]


async def with_embedded_resource(call: Call) -> Answer:
    resource = TextResourceContents(
        uri=call.arguments["resourceUri"], mime_type="text/plain", text="Embedded resource content for testing."
    )
    return [EmbeddedResource(resource=resource), TextContent(text="Please process the embedded resource above.")]


async def with_image(_call: Call) -> Answer:
    return [ImageContent(data=PNG, mime_type="image/png"), TextContent(text="Please analyze the image above.")]


async def with_input(call: Call) -> Answer:
    answers = await call.ask(user_context=form("What context should the prompt use?", context="string"))
    return [TextContent(text=f"Context: {filled_in(answers['user_context'], 'context')}")]


def entry(name: str, description: str, run: Callable[[Call], Awaitable[Answer]], *arguments: str) -> PromptEntry:
    given = [PromptArgument(name=each, description=each, required=True) for each in arguments]
    return PromptEntry(Prompt(name=name, description=description, arguments=given or None), run)


PROMPTS = {
    each.prompt.name: each
    for each in [
        entry("test_simple_prompt", "No arguments", simple),
        entry("test_prompt_with_arguments", "Says its arguments", with_arguments, "arg1", "arg2"),
        entry("test_prompt_with_embedded_resource", "Holds a resource", with_embedded_resource, "resourceUri"),
        entry("test_prompt_with_image", "Holds a picture", with_image),
        entry("test_input_required_result_prompt", "Asks for its context first", with_input),
    ]
}

LISTED = [entry.prompt for entry in PROMPTS.values()]
