"""What a listener has in its hands: its channels as the shell has them, whom it asks, and how it reads what they say.

Values and small readings of them; when to do what is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from realtime.websocket.channel_life import Line
from realtime.websocket.channel_states import Action, Event, Moment, Signal
from realtime.websocket.socket import PING
from realtime.websocket.subscriptions import Told, message
from rollbook.genesys.api.client import NotificationChannel, TopicState
from rollbook.genesys.errors import ApiError, NotFound, RollbookError
from rollbook.genesys.messages.notification import Control, Notification, Reply, Unreadable, parse_frame
from rollbook.genesys.times import from_text

# Messages about the channel do not begin like an event, and must not wait behind a full queue.
is_event: Final = re.compile(rb'\s*\{\s*"topicName"\s*:\s*"v2\.(?!system|subscription)').match
# What does not begin like an event is read on the event loop: junk of this size takes 2 ms at the worst.
_AT_ONCE: Final = 65_536
# Retry-After of a refusal that only a person can mend (permission, sign-in): not every minute a new one in the log.
_PATIENCE: Final = 60.0


class Connection(Protocol):
    """An open socket (`socket.Socket`)."""

    async def send(self, text: str) -> bool: ...
    async def close(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


# Opens a socket, as `socket.Socket.open` does: the address, then on_frame and on_closed by name.
Opener = Callable[..., Awaitable[Connection]]


class Desk(Protocol):
    """What a listener needs of the supervisor."""

    def moment(self) -> Moment: ...
    def now(self) -> datetime: ...
    def wake(self) -> None: ...
    def made(self, channel: NotificationChannel) -> None: ...
    def answered(self, channel: NotificationChannel, states: Sequence[TopicState]) -> None: ...
    def begins(self, scope: str, told: Told) -> None: ...
    def look_awake(self) -> None: ...
    def refused_members(self) -> Collection[str]: ...


@dataclass(slots=True, eq=False)
class Held:
    """A channel of ours as the shell has it."""

    serial: int
    channel: NotificationChannel | None = None
    socket: Connection | None = None
    step: asyncio.Task[None] | None = None
    connection: int = 0  # counts the sockets, so that the end of an old one is not taken for that of the new one
    ended: int = 0
    told: Told = field(default_factory=Told)
    heard: tuple[float, datetime] | None = None  # newest frame that the line was not told of: tick, and when
    event: tuple[float, datetime] | None = None  # the same, without answers to our pings
    answered: asyncio.Event = field(default_factory=asyncio.Event)  # a ping was
    asked: dict[str, asyncio.Future[Reply | None]] = field(default_factory=dict)  # what was said, by correlation id
    said: int = 0
    proof: datetime | None = None  # the newest of those that come only to a channel that is there
    paused: Connection | None = None  # a socket that is not read for now
    reads_on: bool = False  # after a pause in which what came lay unread
    dropping: bool = False
    verified: datetime | None = None  # when the platform's list was last known to be ours
    doubted: bool = False  # whether it may be another by now
    doubted_until: float | None = None  # the tick at which it is looked at again, if that failed
    unproven: str | None = None  # since when it hears what its channel had before, if that is not proven yet
    proven: int = 0  # the connection for which the platform's list is known to be ours

    def tell(self, line: Line) -> None:
        """Tell the line what came since it was told last."""
        if self.heard is not None:
            if self.event is not None:
                line.heard(self.serial, Moment(self.event[0], self.event[1].timestamp()))
            line.heard(self.serial, Moment(self.heard[0], self.heard[1].timestamp()), told=False)
            self.heard = self.event = None
        if self.proof is not None:
            line.proved(self.serial, self.proof.timestamp())
            self.proof = None

    def short(self, told: str | None) -> str:
        """What the platform says of itself, for a line of the log, without what lets anybody listen."""
        said = told or "no reason given"
        if self.channel is not None:
            said = self.channel.id.hide(self.channel.connect_uri.hide(said))
        return " ".join(said[:200].split())

    def without_secrets(self, payload: bytes) -> bytes:
        """A frame without what lets anybody listen."""
        known = () if self.channel is None else (self.channel.connect_uri, self.channel.id)
        for one in filter(None, known):
            payload = payload.replace(one.reveal().encode(), b"***")
        return payload

    async def send(self, text: str) -> None:
        """Send, if there is a socket."""
        if self.socket is not None:
            await self.socket.send(text)

    def pause(self) -> None:
        """Read no more for now."""
        self.paused = self.socket
        if self.paused is not None:
            self.paused.pause()

    def resume(self) -> None:
        """Read on. What came meanwhile is read from now on."""
        self.reads_on = True
        if self.paused is not None:
            self.paused.resume()
            self.paused = None

    async def say(self, verb: str, topics: Sequence[str], within: float) -> Reply | None:
        """`subscribe` or `unsubscribe` over the socket; the reply, or None if there is none within so many seconds."""
        self.said += 1
        correlation_id = f"{verb}-{self.said}"
        reply = self.asked[correlation_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                await self.send(message(verb, topics, correlation_id))
                return await reply if self.socket is not None else None
        except TimeoutError:
            return None
        finally:
            self.asked.pop(correlation_id, None)

    def replied(self, reply: Reply) -> None:
        """A reply came. One to an error may not say to what: replies come in order."""
        to = reply.correlation_id or next(iter(self.asked), "")
        if (waiting := self.asked.pop(to, None)) is not None and not waiting.done():
            waiting.set_result(reply)

    def unanswered(self) -> None:
        """The socket is gone: what was said on it will have no reply."""
        for waiting in self.asked.values():
            if not waiting.done():
                waiting.set_result(None)

    async def answers(self, within: float) -> bool:
        """Ask whether the channel is there: whether it says so within so many seconds."""
        self.answered.clear()
        with contextlib.suppress(TimeoutError):
            # Sending, too: to a platform that reads no more it takes for ever.
            async with asyncio.timeout(within):
                await self.send(PING)
                await self.answered.wait()
        return self.answered.is_set()


@dataclass(slots=True)
class Silence:
    """Seconds in which no socket heard a line."""

    since: float | None
    before: float = 0.0
    reason: str = ""

    def begin(self, tick: float, reason: str) -> None:
        """No socket hears it any more."""
        self.since, self.reason = tick, reason

    def end(self, tick: float) -> None:
        """One hears it."""
        self.before, self.since = self.seconds(tick), None

    def now(self, tick: float) -> float:
        """Those since it was heard last."""
        return 0.0 if self.since is None else tick - self.since

    def seconds(self, tick: float) -> float:
        """All of them until now."""
        return self.before + self.now(tick)


def ends(channel: NotificationChannel, now: datetime) -> float | None:
    """When a new channel ends, or the token that made it: whether one outlives the other is not documented."""
    known = [from_text(channel.expires).timestamp()] if channel.expires else []
    if channel.token_lasts is not None:
        known.append(now.timestamp() + channel.token_lasts)
    return min(known, default=None)


def read_at_once(payload: bytes) -> Notification | Unreadable | Control | None:
    """What a frame is that does not begin like an event; None if it is too large to be about the channel."""
    return parse_frame(payload, source="", received_at="") if len(payload) <= _AT_ONCE else None


def refusal(error: RollbookError, action: Action) -> Signal:
    """What a step's error from the API says of its channel: that it is gone, or that another try may succeed."""
    if isinstance(error, NotFound):
        return Signal(Event.GONE, action.serial, action.ticket)
    lasting = isinstance(error, ApiError) and 400 <= error.status < 500 and error.status != 429
    return Signal(Event.REFUSED, action.serial, action.ticket, wait=_PATIENCE if lasting else None)


def words(error: RollbookError) -> str:
    """An error without its path: the paths of notifications hold the channel's id, which is a secret."""
    if isinstance(error, ApiError):
        return f"{error.message} ({error.status} {error.code or ''})".replace(" )", ")")
    return str(error)
