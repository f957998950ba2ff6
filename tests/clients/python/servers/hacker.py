"""A server whose answers hold a word that a filter looks for, in plain letters or written with an escape."""

import json

import wire

TOOLS = [wire.tool("say", "Says the word", escaped={"type": "boolean"})]


def call(request: wire.Message, _tool: str, arguments: wire.Message) -> None:
    answer = {"jsonrpc": "2.0", "id": request["id"], "result": wire.text_result("hacking")}
    line = json.dumps(answer)
    if arguments.get("escaped"):
        line = line.replace("hacking", "ha\\u0063king")  # the same text to every JSON reader
    wire.send_line(line)


wire.serve_legacy("hacker", TOOLS, call)
