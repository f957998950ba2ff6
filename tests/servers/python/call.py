"""One call as the tools and prompts see it: who asks, in which era, and how to ask or tell the client something."""

from dataclasses import dataclass
from typing import Any, TypeVar

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    ElicitRequest,
    InputRequest,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)

# As the protocol orders them.
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


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
        if not self.declared(capability):
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                f"This needs the client capability '{capability}'",
                {"requiredCapabilities": {capability: {}}},
            )

    def needs(self, state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
        """The result that asks the client for input (modern era)."""
        for request in requests.values():
            self.require(capability_of(request))
        return InputRequiredResult(input_requests=requests or None, request_state=state)

    async def ask(self, request: InputRequest, answer: type[Answer]) -> Answer:
        """A request of the server to its client, on the stream of this call (legacy era)."""
        capability = capability_of(request)
        if not self.declared(capability):
            raise RuntimeError(f"the client has not declared the capability '{capability}'")
        here = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        return await self.ctx.session.send_request(request, answer, metadata=here)

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


def capability_of(request: InputRequest) -> str:
    if isinstance(request, ElicitRequest):
        return "elicitation"
    return "sampling" if isinstance(request, CreateMessageRequest) else "roots"
