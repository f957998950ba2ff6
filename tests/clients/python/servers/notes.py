"""A server of notes, of which its clients may want to hear, and which can be told to end."""

import os
import sys

import wire

TOOLS = [
    wire.tool("process", "The id of this process"),
    wire.tool("wanted", "The notes that somebody wants to hear of"),
    wire.tool("touch", "Tells that the note `uri` has changed, where somebody wants to hear of it", uri={"type": "string"}),
    wire.tool("say", "Logs `text`, read backwards, as a message of no call", text={"type": "string"}),
    wire.tool("end", "Ends this process, without an answer"),
]

# As often as each was subscribed to: a server that counts is left by the last only.
wanted: dict[str, int] = {}


def call(request: wire.Message, tool: str, arguments: wire.Message) -> None:
    match tool:
        case "end":
            sys.exit(9)
        case "process":
            text = str(os.getpid())
        case "wanted":
            text = " ".join(f"{uri} {count}" for uri, count in sorted(wanted.items()))
        case "say":
            text = "said"
            wire.notify("notifications/message", {"level": "error", "data": arguments["text"][::-1]})
        case _:
            uri = arguments["uri"]
            text = "told" if uri in wanted else "nobody wants to hear of it"
            if uri in wanted:
                wire.notify("notifications/resources/updated", {"uri": uri})
    wire.reply(request, wire.text_result(text))


def subscribe(request: wire.Message, params: wire.Message) -> None:
    uri = params["uri"]
    wanted[uri] = wanted.get(uri, 0) + 1
    wire.reply(request, {})


def unsubscribe(request: wire.Message, params: wire.Message) -> None:
    wanted.pop(params["uri"], None)
    wire.reply(request, {})


wire.serve_legacy(
    "notes",
    TOOLS,
    call,
    more={
        "resources/subscribe": subscribe,
        "resources/unsubscribe": unsubscribe,
        "resources/list": lambda request, _params: wire.reply(request, {"resources": []}),
        "logging/setLevel": lambda request, _params: wire.reply(request, {}),
    },
    offers={"resources": {"subscribe": True}, "logging": {}},
)
