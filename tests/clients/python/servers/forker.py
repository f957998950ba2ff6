"""A server that leaves processes behind, unless whoever started it takes care of the whole tree.

Writes process ids to the file in argv[1], one a line, before it answers anything: first its own, then
those of a child which ignores SIGTERM and keeps our pipes open, and of a daemon (double fork, session
of its own, no pipes) which ignores SIGTERM, too. Both end by themselves after LIFE_S, so that a failed
test leaves the machine clean in the end.
"""

import os
import signal
import sys
import time
from typing import NoReturn

import wire

LIFE_S = 600
DEAF_TO = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE]


def linger(told: int) -> NoReturn:
    """Stays, whatever signal asks it to go but SIGKILL; tells its id once it is deaf."""
    for each in DEAF_TO:
        signal.signal(each, signal.SIG_IGN)
    os.write(told, f"{os.getpid()}\n".encode())
    os.close(told)
    end = time.monotonic() + LIFE_S
    while time.monotonic() < end:
        time.sleep(1)
    os._exit(0)


def child(told: int) -> None:
    if os.fork() == 0:
        linger(told)


def daemon(told: int) -> None:
    """Double fork and setsid: its parent is no longer us, nor is its process group or session."""
    between = os.fork()
    if between != 0:
        os.waitpid(between, 0)
        return
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    linger(told)


def spawn() -> list[int]:
    """Starts both; returns their ids when both are deaf."""
    heard, told = os.pipe()
    child(told)
    daemon(told)
    os.close(told)
    with open(heard) as lines:  # ends when both have closed their end
        return [int(line) for line in lines]


def publish(path: str, pids: list[int]) -> None:
    # Renamed into place, so that a reader sees all of it or nothing.
    with open(path + ".new", "w") as file:
        file.writelines(f"{pid}\n" for pid in pids)
    os.rename(path + ".new", path)


def call(request: wire.Message, _tool: str, arguments: wire.Message) -> None:
    wire.reply(request, wire.text_result(f"Echo: {arguments.get('message', '')}"))


publish(sys.argv[1], [os.getpid(), *spawn()])
wire.serve_legacy("forker", [wire.tool("echo", "Says what it is told", message={"type": "string"})], call)
