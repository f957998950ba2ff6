"""A server that starts well and dies in the middle of its first call, leaving the caller without an answer."""

import os

import wire


def call(_request: wire.Message, tool: str, _arguments: wire.Message) -> None:
    wire.log(f"dies: asked for {tool}, and that was too much")
    os._exit(9)  # at once, with nothing flushed or answered


wire.serve_legacy("dies", [wire.tool("die", "Ends the server")], call)
