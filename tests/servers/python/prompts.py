"""The prompts of the conformance suite."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    ContentBlock,
    ElicitResult,
    EmbeddedResource,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)

from call import Call
from inputs import form
from samples import PNG

Answer = list[ContentBlock] | InputRequiredResult


@dataclass
class PromptEntry:
    prompt: Prompt
    run: Callable[[Call], Answer]
    modern_only: bool = False


def listed(modern: bool) -> list[Prompt]:
    return [entry.prompt for entry in PROMPTS.values() if modern or not entry.modern_only]


def get(call: Call, name: str) -> GetPromptResult | InputRequiredResult:
    entry = PROMPTS.get(name)
    if entry is None or (entry.modern_only and not call.modern):
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {name}")
    missing = [each.name for each in entry.prompt.arguments or [] if each.required and each.name not in call.arguments]
    if missing:
        raise MCPError(INVALID_PARAMS, f"Missing arguments: {', '.join(missing)}")
    answer = entry.run(call)
    if isinstance(answer, InputRequiredResult):
        return answer
    return GetPromptResult(messages=[PromptMessage(role="user", content=block) for block in answer])


def simple(_call: Call) -> Answer:
    return [TextContent(text="This is a simple prompt for testing.")]


def with_arguments(call: Call) -> Answer:
    given = call.arguments
    return [TextContent(text=f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]


def with_embedded_resource(call: Call) -> Answer:
    resource = TextResourceContents(
        uri=call.arguments["resourceUri"], mime_type="text/plain", text="Embedded resource content for testing."
    )
    return [EmbeddedResource(resource=resource), TextContent(text="Please process the embedded resource above.")]


def with_image(_call: Call) -> Answer:
    return [ImageContent(data=PNG, mime_type="image/png"), TextContent(text="Please analyze the image above.")]


def with_input(call: Call) -> Answer:
    match call.responses.get("user_context"):
        case ElicitResult(action="accept", content=dict(content)):
            return [TextContent(text=f"Context: {content.get('context')}")]
        case ElicitResult():
            return [TextContent(text="No context")]
        case _:
            return call.needs(user_context=form("What context should the prompt use?", context="string"))


def entry(name: str, description: str, run: Callable[[Call], Answer], *arguments: str, modern_only: bool = False):
    given = [PromptArgument(name=each, description=each, required=True) for each in arguments]
    return PromptEntry(Prompt(name=name, description=description, arguments=given or None), run, modern_only)


PROMPTS = {
    each.prompt.name: each
    for each in [
        entry("test_simple_prompt", "No arguments", simple),
        entry("test_prompt_with_arguments", "Says its arguments", with_arguments, "arg1", "arg2"),
        entry("test_prompt_with_embedded_resource", "Holds a resource", with_embedded_resource, "resourceUri"),
        entry("test_prompt_with_image", "Holds a picture", with_image),
        entry("test_input_required_result_prompt", "Asks for its context first", with_input, modern_only=True),
    ]
}
