"""What the Python clients share: the command line, the features of a plan, how each is proven, the one document.

It knows no SDK. A client hands in `connect(target, heard)`, which opens one connection as a `Session`. See
../../README.md for the plan and the document.
"""

import argparse
import json
import logging
import os
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

CONNECT_S = 20
FEATURE_S = 10  # one feature
GATE_S = 60  # how long whoever runs it may let it wait before a feature
CLOSE_S = 5  # the goodbye; what hangs longer is left behind
PAUSE_S = 0.05  # between two looks
UNDER_WAY_S = 1  # how long a call runs before it is cancelled

SAMPLED = "Words of the client's model"
MODERN = "2026-07-28"
FEATURES = {}  # name -> proof, in the order in which they run

Json = dict[str, Any]


@dataclass
class Target:
    url: str | None
    stdio: list[str] | None
    key: str | None
    era: str
    sse: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass
class Heard:
    """What a server told or asked its client by itself; the callbacks of the SDKs write it."""

    answer: Json = field(default_factory=dict)  # what an elicitation is answered with
    during: Json = field(default_factory=dict)  # the gate within the feature
    sampled: int = 0
    elicited: int = 0
    logs: list[Any] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)


class Session:
    """One connection. Texts are all text blocks of a result, joined; a tool's own error is raised."""

    revision: str

    tools: Callable[[], Awaitable[list[str]]]
    call: Callable[..., Awaitable[str]]  # (tool, arguments, on_progress=None); cancelling the task cancels the call
    resources: Callable[[], Awaitable[list[str]]]
    read: Callable[[str], Awaitable[str]]
    subscribed: Callable[[str], AbstractAsyncContextManager[Any]]
    prompts: Callable[[], Awaitable[list[str]]]
    prompt: Callable[[str, Json], Awaitable[str]]
    complete: Callable[[Json, Json], Awaitable[list[str]]]
    set_level: Callable[[str], Awaitable[Any]]


Connect = Callable[[Target, Heard], AbstractAsyncContextManager[Session]]


def proves(feature: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    FEATURES[feature.__name__.removesuffix("_")] = feature
    return feature


# Each takes the session, what was heard, the plan of the feature, and the whole plan.


@proves
async def list_(session: Session, _heard: Heard, plan: Json, _whole: Json) -> None:
    among(plan["tools"], await session.tools())


@proves
async def call(session: Session, _heard: Heard, plan: Json, _whole: Json) -> None:
    has(plan["expect"], await session.call(plan["tool"], plan["arguments"]))


@proves
async def progress(session: Session, heard: Heard, plan: Json, _whole: Json) -> None:
    values: list[float] = []

    def told(value: float) -> None:
        values.append(value)
        reach(heard.during)

    said = await session.call(plan["tool"], plan["arguments"], told)
    has(plan.get("expect", ""), said)
    check(len(values) > 0, "no progress was told")
    check(all(a < b for a, b in zip(values, values[1:])), f"progress does not rise: {values}")


@proves
async def cancel(session: Session, heard: Heard, plan: Json, whole: Json) -> None:
    async def cancelled() -> int:
        return int(await session.call(plan["told_by"], {})) if "told_by" in plan else 0

    before = await cancelled()
    with anyio.move_on_after(UNDER_WAY_S) as scope:
        await session.call(plan["tool"], plan["arguments"])
    check(scope.cancelled_caught, "the call ended before it could be cancelled")
    await call(session, heard, whole["call"], whole)
    while "told_by" in plan and await cancelled() <= before:
        await anyio.sleep(PAUSE_S)


@proves
async def sampling(session: Session, heard: Heard, plan: Json, _whole: Json) -> None:
    has(SAMPLED, await session.call(plan["tool"], plan["arguments"]))
    check(heard.sampled > 0, "the client was never asked")


@proves
async def elicitation(session: Session, heard: Heard, plan: Json, _whole: Json) -> None:
    heard.answer = plan["answer"]
    has(plan["expect"], await session.call(plan["tool"], plan["arguments"]))
    check(heard.elicited > 0, "the client was never asked")


@proves
async def resources(session: Session, _heard: Heard, plan: Json, _whole: Json) -> None:
    among([plan["uri"]], await session.resources())
    has(plan["expect"], await session.read(plan["uri"]))


@proves
async def subscribe(session: Session, heard: Heard, plan: Json, _whole: Json) -> None:
    async with session.subscribed(plan["uri"]):
        await session.call(plan["tool"], plan["arguments"])
        while plan["uri"] not in heard.updates:
            await anyio.sleep(PAUSE_S)


@proves
async def prompts(session: Session, _heard: Heard, plan: Json, _whole: Json) -> None:
    among([plan["prompt"]], await session.prompts())
    has(plan["expect"], await session.prompt(plan["prompt"], plan["arguments"]))


@proves
async def completion(session: Session, _heard: Heard, plan: Json, _whole: Json) -> None:
    among([plan["expect"]], await session.complete(plan["ref"], plan["argument"]))


@proves
async def logging_(session: Session, heard: Heard, plan: Json, _whole: Json) -> None:
    await session.set_level(plan["level"])
    heard.logs.clear()
    await session.call(plan["tool"], plan["arguments"])
    while not heard.logs:
        await anyio.sleep(PAUSE_S)


def reach(gate: Json) -> None:
    if "reached" in gate:
        Path(gate["reached"]).touch()


async def pass_(gate: Json) -> None:
    """Says that we stand before a gate, and waits until it is open."""
    reach(gate)
    while "open" in gate and not Path(gate["open"]).exists():
        await anyio.sleep(PAUSE_S)


def check(good: bool, why: str) -> None:
    if not good:
        raise AssertionError(why)


def has(expected: str, text: str) -> None:
    check(expected in text, f"{expected!r} is not in {text[:300]!r}")


def among(expected: list[str], found: list[str]) -> None:
    missing = [each for each in expected if each not in found]
    check(not missing, f"{missing} not among {found[:20]}")


def main(connect: Connect) -> None:
    # SDKs tell on standard error what the document tells as well, or that a feature of the older era is one.
    logging.disable()
    warnings.simplefilter("ignore")
    target, whole = arguments()
    document: Json = {"revision": None, "features": {}}
    planned = [name for name in FEATURES if name in whole]

    def give_up_connecting() -> None:
        if document["revision"] is None:
            finish(document, planned, f"no connection within {CONNECT_S} s")

    # Whatever hangs, the document is printed.
    later(CONNECT_S, give_up_connecting)
    features = sum(limit(whole[name]) + GATE_S * ("before" in whole[name]) for name in planned)
    later(CONNECT_S + features + CLOSE_S, finish, document, planned, "the client hung")
    fault = ""
    try:
        anyio.run(run, connect, target, whole, document)
    except BaseException as raised:  # a bad goodbye takes nothing back
        fault = describe(raised)
    finish(document, planned, fault)


async def run(connect: Connect, target: Target, whole: Json, document: Json) -> None:
    heard = Heard()
    async with connect(target, heard) as session:
        document["revision"] = session.revision
        era = "modern" if session.revision == MODERN else "legacy"
        for name, proof in FEATURES.items():
            if name in whole:
                plan = whole[name].get(era, whole[name])
                heard.during = plan.get("during", {})
                await pass_(plan.get("before", {}))
                document["features"][name] = await outcome(proof(session, heard, plan, whole), limit(plan))
        later(CLOSE_S, finish, document, [], "")


async def outcome(proof: Awaitable[None], seconds: float) -> Json:
    try:
        with anyio.fail_after(seconds):
            await proof
        return {"ok": True}
    except TimeoutError:
        return {"ok": False, "why": f"nothing came within {seconds} s"}
    except Exception as fault:
        return {"ok": False, "why": describe(fault)}


def limit(plan: Json) -> float:
    return plan.get("seconds", FEATURE_S)


def describe(fault: BaseException) -> str:
    # Task groups wrap what went wrong. (By attribute: Python 3.10 has no built-in exception groups.)
    while inner := getattr(fault, "exceptions", None):
        fault = inner[0]
    return str(fault) if isinstance(fault, AssertionError) else f"{type(fault).__name__}: {fault}"


def later(seconds: float, what: Callable[..., None], *words: Any) -> None:
    timer = threading.Timer(seconds, what, words)
    timer.daemon = True
    timer.start()


def finish(document: Json, planned: list[str], fault: str) -> None:
    for name in planned:
        document["features"].setdefault(name, {"ok": False, "why": f"not reached: {fault}"})
    print(json.dumps(document), flush=True)
    os._exit(0)


def arguments() -> tuple[Target, Json]:
    parser = argparse.ArgumentParser()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--stdio", type=json.loads, metavar="JSON", help="the words of a command")
    parser.add_argument("--key")
    parser.add_argument("--era", choices=["legacy", "modern", "auto"], default="auto")
    parser.add_argument("--sse", action="store_true", help="HTTP+SSE, as of 2024-11-05")
    parser.add_argument("--plan", type=Path, required=True)
    args = parser.parse_args()
    return Target(args.url, args.stdio, args.key, args.era, args.sse), json.loads(args.plan.read_text())


def mode(era: str) -> str:
    """An era in the words of the SDKs that speak both."""
    return MODERN if era == "modern" else era


def text(blocks: list[Any]) -> str:
    return "".join(getattr(block, "text", "") for block in blocks)
