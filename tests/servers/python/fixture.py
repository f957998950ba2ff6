#!/usr/bin/env python3
"""The conformance fixture on the Python SDK: the command line and the two transports.

    fixture.py [--era dual|legacy|modern] http PORT     prints its URL when it listens; port 0: any free one
    fixture.py [--era dual|legacy|modern] stdio

What it offers is the same as that of ../rmcp but for tasks, which this SDK does not have; see ../README.md.
Start reading at surface.py; what a server of one era refuses is in eras.py.
"""

import argparse
import asyncio
import socket
import warnings
from contextlib import suppress

import uvicorn
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPDeprecationWarning

from eras import Era, LegacyDoor, ModernDoor, without_handshake
from events import EventLog
from surface import Fixture

PATH = "/mcp"
RETRY_MS = 100  # what a client is told to wait before it takes a closed stream up again


def main() -> None:
    # Half of what a fixture of two eras shows is deprecated in the newer one, on purpose.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--era", choices=[era.value for era in Era], default=Era.DUAL.value)
    transports = parser.add_subparsers(dest="transport", required=True)
    transports.add_parser("http").add_argument("port", type=int)
    transports.add_parser("stdio")
    args = parser.parse_args()
    era = Era(args.era)
    serve = http(era, args.port) if args.transport == "http" else stdio(era)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve)


async def http(era: Era, port: int) -> None:
    """Serves on 127.0.0.1 until SIGTERM or SIGINT."""
    app = Fixture().streamable_http_app(streamable_http_path=PATH, event_store=EventLog(), retry_interval=RETRY_MS)
    match era:
        case Era.LEGACY:
            app = LegacyDoor(app)
        case Era.MODERN:
            app = ModernDoor(app)
    listener = socket.create_server(("127.0.0.1", port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
    # Open streams must not keep it alive.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    await Announced(config, url).serve(sockets=[listener])


class Announced(uvicorn.Server):
    """Says its URL, once it really answers there."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self.url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.url, flush=True)


async def stdio(era: Era) -> None:
    """Serves on standard input and output until the input ends."""
    fixture = Fixture()
    async with stdio_server() as (read, write):
        match era:
            case Era.DUAL:
                await fixture.run(read, write, fixture.create_initialization_options())
            case Era.LEGACY:
                async with fixture.lifespan(fixture) as state:
                    await serve_loop(fixture, read, write, lifespan_state=state)
            case Era.MODERN:
                async with without_handshake(read, write) as rest:
                    await fixture.run(rest, write, fixture.create_initialization_options())


if __name__ == "__main__":
    main()
