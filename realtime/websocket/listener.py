"""One line at work: does what its channel's life says, through the API and a socket, and tells it what came of it.

It owns the line's topics and the channels that serve them, and decides nothing about when: that is `channel_life.py`.
What is heard goes into the inbox as it came; of its content only the platform's messages about the channel are read
here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from realtime.storing.inbox import Begin, End, Frame, Inbox
from realtime.websocket.channel_life import Line
from realtime.websocket.channel_session import (
    Desk,
    Held,
    Opener,
    Silence,
    ends,
    is_event,
    read_at_once,
    refusal,
    words,
)
from realtime.websocket.channel_states import Action, Do, Event, Moment, Phase, Signal, Timings
from realtime.websocket.detail_events import Details
from realtime.websocket.socket import PING, Socket, SocketRefused
from realtime.websocket.subscriptions import Told, ask
from realtime.websocket.tasks import Background
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import NotFound, RollbookError
from rollbook.genesys.messages.notification import (
    Control,
    Heartbeat,
    Observation,
    Pong,
    Reply,
    SocketClosing,
    SystemMessage,
)
from rollbook.genesys.times import to_text

log = logging.getLogger(__name__)

# Seconds for which a reading of the clock holds: what the ledger's times can show.
_STAMP: Final = 0.001
# Why a span ends whose topics are not wanted any more: in the ledger's words.
LET_GO: Final = "topics let go"
# Seconds between two tries to see whether a channel that was returned to still has its topics.
_LOOK_AGAIN: Final = 10.0


class Listener:
    """Serves one line."""

    def __init__(
        self,
        number: int,
        topics: Sequence[str],
        *,
        api: Api,
        inbox: Inbox,
        desk: Desk,
        serials: Iterator[int],
        timings: Timings,
        opener: Opener = Socket.open,
    ) -> None:
        self.number = number
        self.topics = tuple(topics)
        self.line = Line(timings, serials)
        self.connects = self.losses = 0
        self._api, self._inbox, self._desk, self._open = api, inbox, desk, opener
        self._held: dict[int, Held] = {}
        self._background = Background(self.scope)
        self._spawn = self._background.spawn
        self._ticks = asyncio.get_running_loop().time
        self.silence = Silence(self._ticks())
        self.details = Details(self.scope, api=api, desk=desk, spawn=self._spawn, within=timings.pong_within)
        self._stamp = (-1.0, desk.now())
        self._aligning = False
        self._ask_again = False
        self.stopping = False

    @property
    def scope(self) -> str:
        """The line's name in the ledger."""
        return f"line {self.number + 1}"

    def channels(self) -> set[str]:
        """The ids of the channels that it uses now."""
        return {session.channel.id.reveal() for session in self._held.values() if session.channel is not None}

    @property
    def places(self) -> int:
        """How many of the client's channels it uses, or is about to create."""
        coming = (
            channel
            for channel in (self.line.current, self.line.successor)
            if channel is not None and channel.like is None
        )
        return len(self.channels()) + sum(self._creates(channel.serial) for channel in coming)

    def _creates(self, serial: int) -> bool:
        session = self._held.get(serial)
        return session is None or session.channel is None

    @property
    def phase(self) -> str:
        """The phase of the channel that serves the line."""
        return (self.line.current.phase if self.line.current else Phase.DONE).value

    @property
    def heard_topics(self) -> int:
        """How many topics coverage claims now."""
        session = self._serving()
        claims = session is not None and session.unproven is None and not session.dropping
        return len(session.told.heard()) if session is not None and claims else 0

    def start(self) -> None:
        """Begin to listen."""
        self._act(self.line.start(self._desk.moment()))

    def stop(self, *, reason: str = "stopped") -> None:
        """Hear no more. `drained` waits for the sockets. reason: in the ledger's words."""
        self.stopping = True
        self.line.stops_as = reason
        self._tell_heard()
        self._act(self.line.stop(self._desk.moment()))

    async def drained(self) -> None:
        """Wait until the sockets are closed, and with them everything that was on its way is heard."""
        await self._background.drained()

    def tick(self) -> None:
        """Let time pass."""
        self._tell_heard()
        tick = self._ticks()
        for session in self._held.values():
            if session.reads_on:
                self._reads_on(session)
        self._act(self.line.tick(self._desk.moment()))
        for session in self._held.values():
            if session.dropping and self._listens(session) and self._inbox.has_room():
                self._begin(session, to_text(self._desk.now()))
            if session.doubted_until is not None and tick >= session.doubted_until:
                session.doubted_until = None
                self._align()

    def _reads_on(self, session: Held) -> None:
        """Since when what is read from now on may have lain there was noted when the socket began to wait."""
        session.reads_on = False
        session.tell(self.line)
        self.line.unread(session.serial, math.inf, self._desk.moment())

    def unread(self, since: datetime) -> bool:
        """What is read from now on may have lain there since that moment; answers whether that is to be asked about."""
        self._tell_heard()
        moment, before = self._desk.moment(), self.line.sure_until
        for serial in self._held:
            self.line.unread(serial, since.timestamp(), moment)
        return before == math.inf != self.line.sure_until

    # Topics

    def set_topics(self, topics: Sequence[str], *, ask_again: bool = False) -> None:
        """Hear these from now on. ask_again: also ask for those that were refused."""
        self.topics = tuple(topics)
        self._ask_again = self._ask_again or ask_again
        if (session := self._serving()) is not None:
            session.doubted = True
        self._align()

    def follow(self, begin: Iterable[str], end: Iterable[str]) -> None:
        """Subscribe the detail events of conversations, and let those of others go."""
        self.details.follow(begin, end)
        if (session := self._serving()) is not None:
            self.details.align(session)

    def _serving(self) -> Held | None:
        current = self.line.current
        session = self._held.get(current.serial) if current else None
        return session if session is not None and self._listens(session) else None

    def _listens(self, session: Held) -> bool:
        channel = self.line.channel(session.serial)
        return channel is not None and channel.phase is Phase.LISTENING

    def _align(self) -> None:
        """Make the platform's list agree with ours by what differs, one exchange at a time."""
        session = self._serving()
        if session is None or self._aligning or self.stopping:
            return
        added, removed = session.told.differs(self.topics, ask_again=self._ask_again)
        if session.doubted or added or removed:
            self._aligning = True
            self._ask_again = self._ask_again and session.doubted
            self._spawn(self._exchange(session, added, removed))

    async def _exchange(self, session: Held, added: list[str], removed: list[str]) -> None:
        try:
            if session.doubted:
                await self._verify(session)
            else:
                await self._change(session, added, removed)
        except NotFound:
            self._signal(Signal(Event.EVICTED, session.serial))
        except RollbookError as error:
            # The next look at the queues asks again; sooner, if nothing can be claimed before.
            log.warning("%s: topics could not be changed: %s", self.scope, words(error))
            session.doubted_until = self._ticks() + _LOOK_AGAIN if session.unproven is not None else None
            return
        finally:
            self._aligning = False
        self._align()

    async def _change(self, session: Held, added: list[str], removed: list[str]) -> None:
        if removed and session.socket is not None:
            # Until its last proof: whether the socket still hears is not known before the next one.
            until = self._last_proof(session)
            # What is added may need the room, and goes another way: it would be there first.
            await session.say("unsubscribe", removed, self.line.timings.pong_within)
            self._inbox.note(End(session.serial, until, LET_GO, session.told.forget(removed)))
        if added and session.channel is not None:
            await self._add(session, added, {})

    async def _add(self, session: Held, topics: Sequence[str], details: Mapping[str, tuple[str, ...]]) -> None:
        """Subscribe more, or the same again, on a channel that hears: what it hears by the answer may be another."""
        before = session.told.heard()
        await self._subscribe(session, topics, details, replace=False)
        if not self._listens(session):
            return
        heard_topics, at = session.told.heard(), self._desk.now()
        if lost := tuple(set(before).difference(heard_topics)):
            # As with topics that are lost: until they were last seen to be there.
            self._inbox.note(End(session.serial, to_text(session.verified or at), "topic rejected", lost))
        if fresh := tuple(set(heard_topics).difference(before)):
            if session.unproven is None:
                self._claim(session, to_text(at), fresh)
            else:
                session.unproven = to_text(at)  # they will be claimed with all others, and were not heard before

    def _last_proof(self, session: Held) -> str:
        self._tell_heard()
        channel, now = self.line.channel(session.serial), self._desk.now()
        return to_text(min(datetime.fromtimestamp(channel.proven_wall, UTC), now) if channel else now)

    async def _verify(self, session: Held) -> None:
        """Hold the platform's list against ours: what it has lost was heard until it was last seen there."""
        assert session.channel is not None
        at, connection = self._desk.now(), session.connection
        listed = await self._api.subscriptions(session.channel)
        lost = session.told.lost(listed)
        if session.connection != connection or not self._listens(session):
            return  # it says nothing of the socket that is there by now
        surplus = session.told.surplus(listed)
        if lost:
            log.warning("%s: the platform has lost %d of its topics; they are subscribed again", self.scope, len(lost))
            until = to_text(min(session.verified or at, at))
            self._inbox.note(End(session.serial, until, "topics lost", session.told.forget(lost)))
            session.told.details.clear()
            self.details.align(session)
        session.verified, session.doubted, session.proven = at, False, session.connection
        if session.unproven is not None:
            began, session.unproven = session.unproven, None
            self._claim(session, began)
        if surplus:
            await session.say("unsubscribe", surplus, self.line.timings.pong_within)
            self._ask_again = True  # there may have been no room for what was asked meanwhile

    async def _subscribe(
        self, session: Held, topics: Sequence[str], details: Mapping[str, tuple[str, ...]], *, replace: bool
    ) -> None:
        """Tell the platform base topics and those of details; keep what it said. Raises NotFound, RollbookError."""
        assert session.channel is not None
        listed = [*topics, *(topic for followed in details.values() for topic in followed)]
        goes_on = partial(self._signal, Signal(Event.GOES_ON, session.serial))
        states = await ask(
            self._api, session.channel, listed, replace=replace, spoils=session.told.spoils, on_answer=goes_on
        )
        session.told.answered(topics, states)
        if replace:
            session.told.details = dict(details)
            session.verified = self._desk.now()
        self._desk.answered(session.channel, states)

    # What the channel's life asks for

    def _signal(self, signal: Signal) -> None:
        self._tell_heard()
        self._act(self.line.apply(signal, self._desk.moment()))

    def _tell_heard(self) -> None:
        for session in self._held.values():
            session.tell(self.line)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            session = self._held.setdefault(action.serial, Held(action.serial))
            log.debug("%s: channel %d: %s %s", self.scope, action.serial, action.do.value, action.reason)
            if action.do is Do.HEAR:
                self.silence.end(self._ticks())
                self._begin(session, to_text(datetime.fromtimestamp(action.at, UTC)))
            elif action.do is Do.UNHEAR:
                if not self.line.listening:
                    self.silence.begin(self._ticks(), action.reason)
                self._end(session, action)
            elif action.do is Do.PING:
                self.line.asks(session.serial, self._desk.moment())
                self._spawn(session.send(PING))
            elif action.do is Do.CLOSE:
                self._close(session)
            else:
                self._begin_step(session, action)
        if actions:
            self._desk.wake()

    def _begin(self, session: Held, at: str) -> None:
        session.dropping = False
        self._inbox.hear_again(session.serial)
        if session.proven != session.connection:
            # Topics live on the channel. That they still do after a time in which nobody could be told is looked at,
            # and claimed from here on once it has been seen.
            session.unproven, session.doubted = at, True
        else:
            self._claim(session, at)

    def _claim(self, session: Held, at: str, topics: tuple[str, ...] | None = None) -> None:
        """Let coverage begin; of all that the channel hears, unless it is told of which."""
        claimed = session.told.heard() if topics is None else topics
        if claimed and not session.dropping:
            self._inbox.note(Begin(session.serial, self.scope, claimed, at))

    def _end(self, session: Held, action: Action) -> None:
        session.unproven = None
        at = to_text(datetime.fromtimestamp(action.at, UTC))
        self._inbox.note(End(session.serial, at, action.reason))
        if action.reason not in ("rolled over", "stopped", LET_GO):
            self.losses += 1
            log.warning("%s: hears no more since %s (%s)", self.scope, at, action.reason)

    def _close(self, session: Held) -> None:
        if session.step is not None:
            session.step.cancel()
            session.step = None
        if session.socket is not None:
            self._spawn(session.socket.close())
            session.socket = None
        if self.line.channel(session.serial) is None:
            self._held.pop(session.serial, None)

    def _begin_step(self, session: Held, action: Action) -> None:
        if action.like is not None and session.channel is None and (other := self._held.get(action.like)) is not None:
            session.channel, session.told, session.verified = other.channel, other.told.copy(), other.verified
        steps: dict[Do, Callable[[Held, Action], Coroutine[Any, Any, Signal]]] = {
            Do.CREATE: self._create,
            Do.SUBSCRIBE: self._tell_all,
            Do.CONNECT: self._connect,
            Do.RENEW: self._renew,
            Do.PART: self._part,
        }
        session.step = self._spawn(self._answer(session, action, steps[action.do]))

    async def _answer(
        self, session: Held, action: Action, step: Callable[[Held, Action], Coroutine[Any, Any, Signal]]
    ) -> None:
        try:
            signal = await step(session, action)
        except SocketRefused as error:
            log.info("%s: %s", self.scope, error)
            signal = Signal(Event.GONE if error.gone else Event.REFUSED, action.serial, action.ticket, wait=error.wait)
        except RollbookError as error:
            log.warning("%s: cannot %s a channel: %s", self.scope, action.do.value, words(error))
            signal = refusal(error, action)
        session.step = None
        self._signal(signal)
        if signal.event is Event.CONNECTED:
            self._connected(session)

    async def _create(self, session: Held, action: Action) -> Signal:
        session.channel = await self._api.create_channel()
        session.told = Told()
        self._desk.made(session.channel)
        return Signal(Event.CREATED, action.serial, action.ticket, expires=ends(session.channel, self._desk.now()))

    async def _tell_all(self, session: Held, action: Action) -> Signal:
        if self.topics or self.details:
            await self._subscribe(session, self.topics, self.details.topics(), replace=True)
        session.proven = session.connection + 1
        return Signal(Event.SUBSCRIBED, action.serial, action.ticket)

    async def _renew(self, session: Held, action: Action) -> Signal:
        if session.told.topics or session.told.details:
            await self._add(session, list(session.told.topics), session.told.details)
        return Signal(Event.RENEWED, action.serial, action.ticket)

    async def _connect(self, session: Held, action: Action) -> Signal:
        if session.channel is None:
            return Signal(Event.GONE, action.serial, action.ticket)
        session.connection += 1
        closed = partial(self._closed, session, session.connection)
        arrived = partial(self._arrived, session)
        session.socket = await self._open(session.channel.connect_uri, on_frame=arrived, on_closed=closed)
        return Signal(Event.CONNECTED, action.serial, action.ticket)

    async def _part(self, session: Held, action: Action) -> Signal:
        self.line.asks(session.serial, self._desk.moment())
        there = await session.answers(self.line.timings.part_within)
        return Signal(Event.ANSWERED if there else Event.REFUSED, action.serial, action.ticket)

    def _connected(self, session: Held) -> None:
        self.connects += 1
        self._desk.begins(self.scope, session.told)
        if session.ended == session.connection:
            # It closed in the same breath in which it opened.
            self._signal(Signal(Event.LOST, session.serial))
            return
        self._align()
        self.details.align(session)

    # What comes on a socket

    def _arrived(self, session: Held, payload: bytes, fault: str | None) -> None:
        """A frame; called from the protocol, so it only hands off."""
        if session.reads_on:
            self._reads_on(session)
        tick = self._ticks()
        if tick - self._stamp[0] >= _STAMP:
            self._desk.look_awake()
            self._stamp = (tick, self._desk.now())
        session.heard = moment = self._stamp
        now = moment[1]
        if fault is not None or not is_event(payload):
            parsed = read_at_once(payload) if fault is None else None
            if isinstance(parsed, Control):
                self._control(session, parsed)
                return
            if not isinstance(parsed, Observation):
                payload = session.without_secrets(payload)
        if self._inbox.crowded() and session.socket is not None and self._inbox.hold(session):
            session.tell(self.line)
            self.line.unread(session.serial, now.timestamp(), Moment(tick, now.timestamp()))
        if not self._inbox.put(Frame(payload, now, session.serial, fault)) and not session.dropping:
            session.dropping = True
            log.error("%s: the queue is full, what comes is dropped", self.scope)
            # This one came and is not heard, so that the line heard until the last one before it.
            self._inbox.note(End(session.serial, self._last_proof(session), "queue full"))
        session.event, session.proof = moment, now

    def _control(self, session: Held, control: Control) -> None:
        if isinstance(control, Reply):
            session.replied(control)
        match control:
            case Heartbeat():
                session.event = session.heard
            case Pong():
                tick, at = session.heard or self._stamp
                session.tell(self.line)
                self.line.answered(session.serial, Moment(tick, at.timestamp()))
                session.answered.set()
            case Reply(result="200"):
                session.proof = session.heard[1] if session.heard else None
                session.answered.set()
            case SocketClosing():
                log.info("%s: the platform will close the socket", self.scope)
                self._signal(Signal(Event.CLOSING, session.serial))
            case SystemMessage(channel_gone=True, reason=reason):
                log.warning("%s: the platform took the channel away (%s)", self.scope, session.short(reason))
                self._signal(Signal(Event.EVICTED, session.serial, clean=True))
            case SystemMessage(topic=topic) if "subscription" in topic and not self._aligning:
                session.doubted = True
                self._align()
            case Reply(result="404"):
                self._signal(Signal(Event.EVICTED, session.serial))
            case Reply(result=result, message=message) if result != "200":
                log.warning("%s: a subscription over the socket was refused: %s", self.scope, session.short(message))
            case _:
                pass

    def _closed(self, session: Held, connection: int, clean: bool, why: str) -> None:
        session.ended = connection
        if session.connection == connection:
            session.unanswered()
        if session.socket is not None and session.connection == connection:
            session.socket = None
            log.info("%s: %s", self.scope, session.short(why))
            self._signal(Signal(Event.LOST, session.serial, clean=clean))
