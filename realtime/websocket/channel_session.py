"""A listener's channels with their sockets, its interface to the supervisor, and readings of the platform's answers.

Values and small readings of them; `channel_life.py` decides when to do what.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from realtime.storing.inbox import Inbox
from realtime.websocket.channel_states import (
    ChannelCommand,
    ChannelEvent,
    ChannelState,
    EventKind,
    Moment,
    Phase,
    Timings,
)
from realtime.websocket.client_channels import ClientChannels
from realtime.websocket.refused_topics import RefusedTopics
from realtime.websocket.socket import PING
from realtime.websocket.subscriptions import SubscribedTopics, ask, message
from rollbook.genesys.api.client import Api, NotificationChannel, TopicState
from rollbook.genesys.errors import ApiError, NotFound, RollbookError
from rollbook.genesys.messages.notification import Control, Notification, Reply, Unreadable, parse_frame
from rollbook.genesys.times import from_text

# A message about the channel does not begin like an event, and must not wait behind a full queue.
is_event: Final = re.compile(rb'\s*\{\s*"topicName"\s*:\s*"v2\.(?!system|subscription)').match
# A frame that does not begin like an event is read on the event loop: junk of this size takes 2 ms at the worst.
_AT_ONCE: Final = 65_536
# Seconds between tries after a refusal that only a person can mend (permission, sign-in): the log must not fill.
_PATIENCE: Final = 60.0


class ChannelSocket(Protocol):
    """An open socket (`socket.Socket`)."""

    async def send(self, text: str) -> bool: ...
    async def close(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


# Opens a socket, as `socket.Socket.open` does: the address, then on_frame and on_closed by name.
Opener = Callable[..., Awaitable[ChannelSocket]]


class Desk(Protocol):
    """The part of the supervisor that a listener needs: what all lines share."""

    api: Api
    client_channels: ClientChannels
    refused_topics: RefusedTopics
    inbox: Inbox
    timings: Timings
    serials: Iterator[int]
    opener: Opener

    def moment(self) -> Moment: ...
    def now(self) -> datetime: ...
    def wake(self) -> None: ...
    def look_awake(self) -> None: ...


@dataclass(slots=True, eq=False)
class ChannelSession:
    """A channel of ours with its socket. state: what its life is decided by."""

    state: ChannelState
    channel: NotificationChannel | None = None
    socket: ChannelSocket | None = None
    step: asyncio.Task[None] | None = None
    connection: int = 0  # counts the sockets, so that the end of an old one is not taken for that of the new one
    ended_connection: int = 0  # the connection that ended last
    subscribed: SubscribedTopics = field(default_factory=SubscribedTopics)
    ping_answered: asyncio.Event = field(default_factory=asyncio.Event)
    awaited_replies: dict[str, asyncio.Future[Reply | None]] = field(default_factory=dict)  # by correlation id
    requests: int = 0  # sent over the socket; numbers the correlation ids
    paused_socket: ChannelSocket | None = None  # a socket that is not read for now
    reads_again: bool = False  # whether a pause has just ended, in which frames lay unread
    is_dropping: bool = False  # whether the inbox takes no frames of it
    verified_at: datetime | None = None  # when the platform's list was last known to be ours
    is_doubted: bool = False  # whether the platform's list may be another by now
    verify_again_at: float | None = None  # the tick of the next try, if the last one failed
    unproven_since: str | None = None  # since when its socket listens, while nothing proves that its topics are there
    proven_connection: int = 0  # the connection for which the platform's list is known to be ours

    @property
    def serial(self) -> int:
        """The channel's number."""
        return self.state.serial

    @property
    def listens(self) -> bool:
        """Its socket hears the channel's topics."""
        return self.state.phase is Phase.LISTENING

    def shorten(self, text: str | None) -> str:
        """The platform's words about itself, for a line of the log, without what lets anybody listen."""
        words = text or "no reason given"
        if self.channel is not None:
            words = self.channel.id.hide(self.channel.connect_uri.hide(words))
        return " ".join(words[:200].split())

    def without_secrets(self, payload: bytes) -> bytes:
        """A frame without what lets anybody listen."""
        secrets = () if self.channel is None else (self.channel.connect_uri, self.channel.id)
        for secret in filter(None, secrets):
            payload = payload.replace(secret.reveal().encode(), b"***")
        return payload

    def share_channel(self, other: ChannelSession) -> None:
        """Use the channel of another session, with the topics that it has."""
        self.channel, self.subscribed, self.verified_at = other.channel, other.subscribed.copy(), other.verified_at

    async def subscribe(
        self, desk: Desk, topics: Sequence[str], *, replace: bool, on_answer: Callable[[], None] = lambda: None
    ) -> list[TopicState]:
        """Subscribe by REST, as `ask` does; all lines learn which topics are refused, and that the channel lives on."""
        assert self.channel is not None
        spoils = self.subscribed.spoils
        states = await ask(desk.api, self.channel, topics, replace=replace, spoils=spoils, on_answer=on_answer)
        desk.client_channels.prolong(self.channel)
        desk.refused_topics.take_answer(states)
        return states

    async def send(self, text: str) -> None:
        """Send, if there is a socket."""
        if self.socket is not None:
            await self.socket.send(text)

    def pause(self) -> None:
        """Read no more for now."""
        self.paused_socket = self.socket
        if self.paused_socket is not None:
            self.paused_socket.pause()

    def resume(self) -> None:
        """Read on. What came meanwhile is read from now on."""
        self.reads_again = True
        if self.paused_socket is not None:
            self.paused_socket.resume()
            self.paused_socket = None

    async def request(self, verb: str, topics: Sequence[str], within: float) -> Reply | None:
        """Send `subscribe` or `unsubscribe`; answers the reply, or None if there is none within so many seconds."""
        self.requests += 1
        correlation_id = f"{verb}-{self.requests}"
        reply = self.awaited_replies[correlation_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                await self.send(message(verb, topics, correlation_id))
                return await reply if self.socket is not None else None
        except TimeoutError:
            return None
        finally:
            self.awaited_replies.pop(correlation_id, None)

    def take_reply(self, reply: Reply) -> None:
        """Hand a reply to whoever waits for it. A reply to an error may not name its request: replies come in order."""
        to = reply.correlation_id or next(iter(self.awaited_replies), "")
        if (waiting := self.awaited_replies.pop(to, None)) is not None and not waiting.done():
            waiting.set_result(reply)

    def forget_requests(self) -> None:
        """End the wait for replies: the socket is gone."""
        for waiting in self.awaited_replies.values():
            if not waiting.done():
                waiting.set_result(None)

    async def answers_ping(self, within: float) -> bool:
        """Ping; answers whether the channel says within so many seconds that it is there."""
        self.ping_answered.clear()
        with contextlib.suppress(TimeoutError):
            # Sending, too: to a platform that reads no more it takes for ever.
            async with asyncio.timeout(within):
                await self.send(PING)
                await self.ping_answered.wait()
        return self.ping_answered.is_set()


@dataclass(slots=True)
class Silence:
    """Seconds in which no socket heard a line."""

    since: float | None
    seconds_before: float = 0.0
    reason: str = ""

    def begin(self, tick: float, reason: str) -> None:
        """No socket hears the line any more."""
        self.since, self.reason = tick, reason

    def end(self, tick: float) -> None:
        """A socket hears the line again."""
        self.seconds_before, self.since = self.seconds(tick), None

    def now(self, tick: float) -> float:
        """Seconds since a socket heard it last."""
        return 0.0 if self.since is None else tick - self.since

    def seconds(self, tick: float) -> float:
        """All seconds of silence until now."""
        return self.seconds_before + self.now(tick)


def ends(channel: NotificationChannel, now: datetime) -> float | None:
    """Time at which a new channel ends, or the token that made it: it is not documented if it outlives the token."""
    known = [from_text(channel.expires).timestamp()] if channel.expires else []
    if channel.token_lasts is not None:
        known.append(now.timestamp() + channel.token_lasts)
    return min(known, default=None)


def read_at_once(payload: bytes) -> Notification | Unreadable | Control | None:
    """Read a frame that does not begin like an event; None if it is too large to be about the channel."""
    return parse_frame(payload, source="", received_at="") if len(payload) <= _AT_ONCE else None


def refusal(error: RollbookError, command: ChannelCommand) -> ChannelEvent:
    """Event for an error of a step: the channel is gone, or another try may succeed."""
    if isinstance(error, NotFound):
        return command.answer(EventKind.GONE)
    is_lasting = isinstance(error, ApiError) and 400 <= error.status < 500 and error.status != 429
    return command.answer(EventKind.REFUSED, retry_after=_PATIENCE if is_lasting else None)


def words(error: RollbookError) -> str:
    """An error without its path: the paths of notifications hold the channel's id, which is a secret."""
    if isinstance(error, ApiError):
        return f"{error.message} ({error.status} {error.code or ''})".replace(" )", ")")
    return str(error)
