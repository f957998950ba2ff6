"""A server whose calls take as long as they are told to, side by side, with progress, until cancelled."""

import threading
import time

import wire

SECONDS_MAX = 600

TOOLS = [
    wire.tool(
        "sleep",
        "Takes `seconds`, and tells its progress `steps` times",
        seconds={"type": "number"},
        steps={"type": "integer"},
    ),
    wire.tool("cancelled", "How many calls were cancelled"),
]

# Calls under way: from the id of the request to the event that ends it. Both threads of a call and the
# reader touch it, under the lock.
running: dict[str | int, threading.Event] = {}
cancelled = 0
lock = threading.Lock()


def call(request: wire.Message, tool: str, arguments: wire.Message) -> None:
    if tool == "cancelled":
        with lock:
            wire.reply(request, wire.text_result(str(cancelled)))
        return
    stop = threading.Event()
    with lock:
        running[request["id"]] = stop
    # Daemon: a server whose standard input was closed does not wait for sleepers.
    threading.Thread(target=sleep, args=(request, arguments, stop), daemon=True).start()


def sleep(request: wire.Message, arguments: wire.Message, stop: threading.Event) -> None:
    seconds = min(float(arguments.get("seconds", 1)), SECONDS_MAX)
    steps = max(int(arguments.get("steps", 0)), 0)
    token = (request["params"].get("_meta") or {}).get("progressToken")
    start = time.monotonic()
    for step in range(1, steps + 1):
        # One interval more than steps, so that the last notification comes before the answer.
        if stop.wait(max(start + seconds * step / (steps + 1) - time.monotonic(), 0)):
            return
        if token is not None:
            wire.notify("notifications/progress", {"progressToken": token, "progress": step, "total": steps})
    if stop.wait(max(start + seconds - time.monotonic(), 0)):
        return
    with lock:
        # Whoever takes it out of the table decides: an answer, or none.
        mine = running.pop(request["id"], None) is not None
    if mine:
        wire.reply(request, wire.text_result(f"slept {seconds:g} s"))


def notified(message: wire.Message) -> None:
    global cancelled
    if message.get("method") != "notifications/cancelled":
        return
    request_id = (message.get("params") or {}).get("requestId")
    with lock:
        stop = running.pop(request_id, None)
        if stop is not None:
            cancelled += 1
            stop.set()
    wire.log(f"slow: {'cancelled' if stop else 'nothing to cancel:'} {request_id!r}")


wire.serve_legacy("slow", TOOLS, call, notified)
