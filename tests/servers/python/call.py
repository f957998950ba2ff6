"""One call as the tools and prompts see it: who asks, in which era, and how to ask or tell the client something."""

import asyncio
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageResult,
    ElicitRequest,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

# For each question the capability that a client must have declared, and its answer.
CAPABILITIES = {ElicitRequest: "elicitation", CreateMessageRequest: "sampling", ListRootsRequest: "roots"}
ANSWERS = {ElicitRequest: ElicitResult, CreateMessageRequest: CreateMessageResult, ListRootsRequest: ListRootsResult}

# As the protocol orders them.
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Asking(Exception):
    """Ends a call of the modern era with the result that asks its client, who calls again with the answers."""

    def __init__(self, result: InputRequiredResult) -> None:
        self.result = result


@dataclass
class Call:
    ctx: ServerRequestContext
    arguments: dict[str, Any]
    # The answers to what an earlier round asked for, and what it wanted back (modern era).
    responses: dict[str, Any]
    state: str | None

    @property
    def modern(self) -> bool:
        return is_modern(self.ctx)

    def declared(self, capability: str) -> bool:
        """Whether the client declared `sampling`, `elicitation` or `roots`."""
        return getattr(self.ctx.session.client_capabilities, capability, None) is not None

    def require(self, capability: str) -> None:
        if self.declared(capability):
            return
        lack = f"This needs the client capability '{capability}'"
        if not self.modern:
            raise RuntimeError(lack)  # the legacy era has no error of the protocol for it
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, lack, {"requiredCapabilities": {capability: {}}})

    async def ask(self, *, state: str | None = None, **questions: InputRequest) -> dict[str, Any]:
        """The client's answer to each question, under its key.

        Legacy era: by requests of the server, all at once, on the stream of this call. Modern era: what this call
        brought; where an answer is missing, the call ends with the result that asks for it, with the state.
        """
        for question in questions.values():
            self.require(CAPABILITIES[type(question)])
        if self.modern:
            return self.given(state, questions)
        answers = await asyncio.gather(*map(self.request, questions.values()))
        return dict(zip(questions, answers, strict=True))

    def given(self, state: str | None, questions: dict[str, InputRequest]) -> dict[str, Any]:
        # An answer without the state that was sent with its question is none.
        given = self.responses if state is None or self.state is not None else {}
        answers = {key: given[key] for key, it in questions.items() if isinstance(given.get(key), ANSWERS[type(it)])}
        # What is answered is not asked for again.
        if missing := {key: question for key, question in questions.items() if key not in answers}:
            raise Asking(InputRequiredResult(input_requests=missing, request_state=state))
        return answers

    async def request(self, question: InputRequest) -> Any:
        here = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        return await self.ctx.session.send_request(question, ANSWERS[type(question)], metadata=here)

    async def log(self, level: str, text: str) -> None:
        """Tells the client, if it wants to know: the SDK looks at the request (modern), we at the session (legacy)."""
        wanted = self.ctx.lifespan_context.levels.get(session_of(self.ctx), "debug")
        if self.modern or LEVELS.index(level) >= LEVELS.index(wanted):
            await self.ctx.session.send_log_message(level, text, "fixture", related_request_id=self.ctx.request_id)

    async def progress(self, done: float, total: float) -> None:
        await self.ctx.session.report_progress(done, total, f"{done:g} of {total:g}")


def is_modern(ctx: ServerRequestContext) -> bool:
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def session_of(ctx: ServerRequestContext) -> str:
    """The legacy session; over stdio there is one."""
    return (ctx.request.headers.get("mcp-session-id") or "") if ctx.request is not None else ""
