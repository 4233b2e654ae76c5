"""The connections of a listening port, within limits: so many at a time, each with a time to ask and to be answered.

Whoever opens connections and says nothing takes no place for long: after `head` seconds such a connection is closed,
and before that as soon as its place is wanted. So a thousand of them cost nobody an answer, and the process no
descriptors. Where the process has none left, the port rests, and says so once. Behind it stands any protocol.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

log = logging.getLogger(__name__)

_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# How many are taken in at once, before the loop does something else: whoever has a place keeps it for some rounds of
# the loop, in which its request is read.
_AT_ONCE: Final = 4
_BACKLOG: Final = 128
_RESTS: Final = 1.0
_SAY_EVERY: Final = 600.0
_END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortLimits:
    """most: connections at a time. head, answer: seconds until a request's head is there, and until it is answered.

    streams: answers that go on, beside those.
    """

    most: int = 32
    head: float = 5.0
    answer: float = 30.0
    streams: int = 100


class Doorway:
    """A port. `start`, then `stop`. make: a protocol for each connection."""

    def __init__(self, make: Callable[[], asyncio.BaseProtocol], limits: PortLimits | None = None) -> None:
        self._make = make
        self._limits = limits or PortLimits()
        self._sockets: list[socket.socket] = []
        self._visits: dict[Any, _Visit] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._rests: list[asyncio.TimerHandle] = []
        self._said_at: dict[str, float] = {}
        self.closed_unanswered = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; answers the port. Raises OSError if the address is not free or not known."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                self._sockets.append(_listening(family, kind, protocol, address))
        except OSError:
            self.stop()
            raise
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, listening)
        return int(self._sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Listen no more. What is being answered goes on."""
        for rest in self._rests:
            rest.cancel()
        for listening in self._sockets:
            with suppress(RuntimeError, ValueError):
                asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()

    @property
    def asking(self) -> int:
        """Connections that wait for their answer."""
        return sum(visit.has_asked for visit in self._visits.values())

    @property
    def open(self) -> int:
        """Connections that there are."""
        return len(self._visits)

    def goes_on(self, transport: Any) -> bool:
        """Let the answer on this connection take as long as it likes; False if there are too many such already."""
        visit = self._visits.get(transport)
        streams = sum(visit.is_stream for visit in self._visits.values())
        if visit is None or streams >= self._limits.streams:
            return False
        visit.become_stream()
        return True

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORT_OF:
                    raise
                self._rest(listening, error)
                return
            accepted.setblocking(False)
            if not self._has_room():
                accepted.close()
                self._unanswered()
                continue
            loop = asyncio.get_running_loop()
            task = loop.create_task(loop.connect_accepted_socket(lambda: _Visit(self, self._make()), accepted))
            self._tasks.add(task)
            task.add_done_callback(self._came)

    def _came(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("a connection ended before it began: %s", error)

    def _has_room(self) -> bool:
        """Whether there is room for another; who has been silent for longest makes some."""
        taken = [visit for visit in self._visits.values() if not visit.is_stream]
        if len(taken) + len(self._tasks) < self._limits.most:
            return True
        silent = next((visit for visit in taken if not visit.has_asked), None)
        if silent is None:
            return False
        silent.end()
        return True

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Look again in a moment: whoever waits is still there then."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._rests = [rest for rest in self._rests if rest.when() > loop.time()]
        self._rests.append(loop.call_later(_RESTS, self._look_again, listening))
        self._say("short", "the HTTP port cannot take connections now (%s)", error.strerror)

    def _look_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def entered(self, visit: _Visit, transport: Any) -> None:
        """Note a connection."""
        self._visits[transport] = visit

    def left(self, transport: Any) -> None:
        """Note that a connection has ended."""
        self._visits.pop(transport, None)

    def _unanswered(self) -> None:
        self.closed_unanswered += 1
        self._say(
            "closed",
            "connections of the HTTP port are closed unanswered: more than %d at a time, or no request within %.0f s",
            self._limits.most,
            self._limits.head,
        )

    def _say(self, what: str, words: str, *values: object) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said_at.get(what, -_SAY_EVERY) >= _SAY_EVERY:
            self._said_at[what] = now
            log.warning(words, *values)

    def begin_timer(self, visit: _Visit) -> asyncio.TimerHandle:
        """Give a connection its time: to ask, or once it has asked, to be answered."""
        seconds = self._limits.answer if visit.has_asked else self._limits.head
        return asyncio.get_running_loop().call_later(seconds, visit.end)

    def ended(self) -> None:
        """Count a connection that was ended before its answer."""
        self._unanswered()


def _listening(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class _Visit(asyncio.Protocol):
    """A connection: hands everything on to the protocol behind, and watches the time."""

    def __init__(self, doorway: Doorway, inner: Any) -> None:
        self._doorway, self._inner = doorway, inner
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b""
        self.has_asked = self.is_stream = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._doorway.entered(self, transport)
        self._timer = self._doorway.begin_timer(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.has_asked:
            seen = self._tail + data
            self.has_asked = _END_OF_HEAD in seen
            self._tail = b"" if self.has_asked else seen[-len(_END_OF_HEAD) + 1 :]
            if self.has_asked:
                self._stop_timer()
                self._timer = self._doorway.begin_timer(self)
        self._inner.data_received(data)

    def eof_received(self) -> Any:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._doorway.left(self._transport)
        self._inner.connection_lost(exc)

    def become_stream(self) -> None:
        """Let the answer go on."""
        self._stop_timer()
        self.is_stream = True

    def end(self) -> None:
        """End the connection at once."""
        self._stop_timer()
        # Its place is free now, not only when the loop comes to tell of the end.
        self._doorway.left(self._transport)
        self._doorway.ended()
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
