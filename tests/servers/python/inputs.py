"""Tools of the modern era that ask their client by their result: `input_required`, answered by a new call."""

import json
from typing import Any

from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

from call import Call
from table import MODERN, ToolEntry, entry

Answer = str | InputRequiredResult

# Questions


def form(message: str, **fields: str | dict[str, Any]) -> ElicitRequest:
    """Asks the user for fields, all required; a field is the name of its type, or its whole schema."""
    properties = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str, tokens_max: int = 100) -> CreateMessageRequest:
    """Asks the client's model."""
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=tokens_max))


def roots() -> ListRootsRequest:
    return ListRootsRequest()


def name() -> ElicitRequest:
    return form("What is your name?", name="string")


# Answers


def field(answer: Any, key: str) -> str:
    """What a form brought under `key`."""
    content = answer.content if isinstance(answer, ElicitResult) else None
    return str((content or {}).get(key, "nobody"))


def text(answer: CreateMessageResult) -> str:
    return getattr(answer.content, "text", "nothing")


# Tools


async def elicitation(call: Call) -> Answer:
    if answer := call.responses.get("user_name"):
        return f"Hello, {field(answer, 'name')}!"
    return call.needs(user_name=name())


async def sampling(call: Call) -> Answer:
    match call.responses.get("capital_question"):
        case CreateMessageResult() as answer:
            return f"The model says: {text(answer)}"
        case _:
            return call.needs(capital_question=sample("What is the capital of France?"))


async def list_roots(call: Call) -> Answer:
    match call.responses.get("client_roots"):
        case ListRootsResult(roots=found):
            return f"{len(found)} roots: {', '.join(str(each.uri) for each in found)}"
        case _:
            return call.needs(client_roots=roots())


async def request_state(call: Call) -> Answer:
    if call.state == "asked" and "confirm" in call.responses:
        return f"state-ok, confirmed: {field(call.responses['confirm'], 'ok')}"
    return call.needs("asked", confirm=form("Please confirm", ok="boolean"))


async def multiple_inputs(call: Call) -> Answer:
    asked: dict[str, InputRequest] = {
        "user_name": name(),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": roots(),
    }
    # What is answered is not asked for again.
    if missing := {key: request for key, request in asked.items() if key not in call.responses}:
        return call.needs("asked", **missing)
    return f"{text(call.responses['greeting'])}, {field(call.responses['user_name'], 'name')}!"


async def multi_round(call: Call) -> Answer:
    known = json.loads(call.state) if call.state else {}
    if "name" not in known and "step1" in call.responses:
        known["name"] = field(call.responses["step1"], "name")
    if "name" not in known:
        # Also a first round has a state, as the suite wants it.
        return call.needs("{}", step1=form("Step 1: What is your name?", name="string"))
    if "step2" not in call.responses:
        return call.needs(json.dumps(known), step2=form("Step 2: What is your favorite color?", color="string"))
    return f"{known['name']} likes {field(call.responses['step2'], 'color')}"


async def tampered_state(call: Call) -> Answer:
    # A changed state does not come this far: the request state boundary refuses it.
    if call.state is not None:
        return "state-ok"
    return call.needs("asked", confirm=form("Please confirm", ok="boolean"))


async def capabilities(call: Call) -> Answer:
    possible: dict[str, InputRequest] = {"sampling": sample("Say hello", 50), "elicitation": name(), "roots": roots()}
    asked = {key: request for key, request in possible.items() if call.declared(key)}
    if not asked or call.responses:
        return f"Declared: {', '.join(asked) or 'nothing'}"
    return call.needs(**asked)


async def streaming_elicitation(call: Call) -> Answer:
    if answer := call.responses.get("user_name"):
        return f"Hello, {field(answer, 'name')}!"
    await call.progress(1, 2)  # so that there is a stream, where the client asked for progress
    return call.needs(user_name=name())


MODERN_TOOLS: dict[str, ToolEntry] = {
    each.tool.name: each
    for each in [
        entry("test_input_required_result_elicitation", "Asks for a name", elicitation, eras=MODERN),
        entry("test_input_required_result_sampling", "Asks the model", sampling, eras=MODERN),
        entry("test_input_required_result_list_roots", "Asks for the roots", list_roots, eras=MODERN),
        entry("test_input_required_result_request_state", "Wants its state back", request_state, eras=MODERN),
        entry("test_input_required_result_multiple_inputs", "Asks three things at once", multiple_inputs, eras=MODERN),
        entry("test_input_required_result_multi_round", "Asks twice", multi_round, eras=MODERN),
        entry("test_input_required_result_tampered_state", "Wants its state unchanged", tampered_state, eras=MODERN),
        entry("test_input_required_result_capabilities", "Asks what it may", capabilities, eras=MODERN),
        entry("test_streaming_elicitation", "Tells progress, then asks for a name", streaming_elicitation, eras=MODERN),
    ]
}
