"""Events that a client of the legacy era may ask for again, by `Last-Event-ID`."""

from collections import deque

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import JSONRPCMessage

EVENTS_MAX = 10_000  # oldest first; a client that comes back later than that gets nothing


class EventLog(EventStore):
    def __init__(self) -> None:
        self._events: deque[tuple[int, str, JSONRPCMessage | None]] = deque(maxlen=EVENTS_MAX)
        self._last = 0

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._last += 1
        self._events.append((self._last, stream_id, message))
        return str(self._last)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        seen = int(last_event_id) if last_event_id.isdecimal() else -1
        stream = next((stream for id, stream, _ in self._events if id == seen), None)
        if stream is None:
            return None
        # A copy: while one event is sent, others may be stored.
        for id, of, message in list(self._events):
            # The event that only opens a stream has no message, and is nobody's loss.
            if of == stream and id > seen and message is not None:
                await send_callback(EventMessage(message, str(id)))
        return stream
