"""Tools that ask their client for something before they answer; how they ask is the era's (`Call.ask`)."""

import json

from mcp.types import ElicitRequest, InputRequest

from call import Call
from questions import filled_in, form, name, roots, said, sample, uris
from table import MODERN, entry

# Those that the suite calls in the legacy era


async def sampling(call: Call) -> str:
    answers = await call.ask(answer=sample(call.arguments.get("prompt", "")))
    return f"LLM response: {said(answers['answer'])}"


async def elicitation(call: Call) -> str:
    message = call.arguments.get("message", "")
    described = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return await whole_form(call, "User response", form(message, **described))


async def elicitation_defaults(call: Call) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await whole_form(call, "Elicitation completed", form("Please check these values", **fields))


async def elicitation_enums(call: Call) -> str:
    def titled(prefix: str) -> list[dict[str, str]]:
        return [{"const": f"value{n}", "title": f"{prefix} {n}"} for n in (1, 2, 3)]

    options = ["option1", "option2", "option3"]
    names = ["Option One", "Option Two", "Option Three"]
    fields = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": names},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }
    return await whole_form(call, "Elicitation completed", form("Please choose", **fields))


async def whole_form(call: Call, what: str, question: ElicitRequest) -> str:
    answer = (await call.ask(answer=question))["answer"]
    return f"{what}: action={answer.action}, content={json.dumps(answer.content or {}, sort_keys=True)}"


# Those that it calls in the modern era


async def greeting(call: Call) -> str:
    answers = await call.ask(user_name=name())
    return f"Hello, {filled_in(answers['user_name'], 'name')}!"


async def capital(call: Call) -> str:
    answers = await call.ask(capital_question=sample("What is the capital of France?"))
    return f"The model says: {said(answers['capital_question'])}"


async def list_roots(call: Call) -> str:
    answers = await call.ask(client_roots=roots())
    return uris(answers["client_roots"])


async def request_state(call: Call) -> str:
    answers = await call.ask(state="asked", confirm=form("Please confirm", ok="boolean"))
    return f"state-ok, confirmed: {filled_in(answers['confirm'], 'ok')}"


async def multiple_inputs(call: Call) -> str:
    answers = await call.ask(
        state="asked", user_name=name(), greeting=sample("Generate a greeting", 50), client_roots=roots()
    )
    return f"{said(answers['greeting'])}, {filled_in(answers['user_name'], 'name')}!"


async def multi_round(call: Call) -> str:
    # A modern client's second answer comes without the first, which is in the state by then.
    known = json.loads(call.state or "{}")
    if "name" not in known:
        # Also a first round has a state, as the suite wants it.
        answers = await call.ask(state="{}", step1=form("Step 1: What is your name?", name="string"))
        known["name"] = filled_in(answers["step1"], "name")
    second = form("Step 2: What is your favorite color?", color="string")
    answers = await call.ask(state=json.dumps(known), step2=second)
    return f"{known['name']} likes {filled_in(answers['step2'], 'color')}"


async def capabilities(call: Call) -> str:
    possible: dict[str, InputRequest] = {"elicitation": name(), "roots": roots(), "sampling": sample("Say hello", 50)}
    asked = {key: question for key, question in possible.items() if call.declared(key)}
    await call.ask(**asked)
    return f"Declared: {', '.join(asked) or 'nothing'}"


async def streaming_elicitation(call: Call) -> str:
    await call.progress(1, 2)  # so that there is a stream, where the client asked for progress
    return await greeting(call)


async def missing_capability(call: Call) -> str:
    call.require("sampling")
    return "The client declared sampling"


ASKING = [
    entry("test_sampling", "Asks the model", sampling, "prompt"),
    entry("test_elicitation", "Asks the user", elicitation, "message"),
    entry("test_elicitation_sep1034_defaults", "Asks with defaults", elicitation_defaults),
    entry("test_elicitation_sep1330_enums", "Asks with choices", elicitation_enums),
    entry("test_list_roots", "Asks for the roots", list_roots),
    entry("test_input_required_result_elicitation", "Asks for a name", greeting),
    entry("test_input_required_result_sampling", "Asks the model", capital),
    entry("test_input_required_result_list_roots", "Asks for the roots", list_roots),
    entry("test_input_required_result_request_state", "Wants its state back", request_state),
    entry("test_input_required_result_multiple_inputs", "Asks three things at once", multiple_inputs),
    entry("test_input_required_result_multi_round", "Asks twice", multi_round),
    # A changed state does not come as far as the tool: the request state boundary refuses it.
    entry("test_input_required_result_tampered_state", "Wants its state unchanged", request_state),
    entry("test_input_required_result_capabilities", "Asks what it may", capabilities),
    entry("test_streaming_elicitation", "Tells progress, then asks for a name", streaming_elicitation),
    entry("test_missing_capability", "Refuses a client without sampling", missing_capability, eras=MODERN),
]
