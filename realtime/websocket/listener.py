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
    Notification,
    Pong,
    Reply,
    SocketClosing,
    SystemMessage,
)
from rollbook.genesys.times import to_text
from rollbook.store.vocabulary import EndReason

log = logging.getLogger(__name__)

# Seconds for which a reading of the clock holds: what the ledger's times can show.
_STAMP: Final = 0.001
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
        return {one.channel.id.reveal() for one in self._held.values() if one.channel is not None}

    @property
    def places(self) -> int:
        """How many of the client's channels it uses, or is about to create."""
        coming = (one for one in (self.line.current, self.line.successor) if one is not None and one.like is None)
        return len(self.channels()) + sum(self._creates(one.serial) for one in coming)

    def _creates(self, serial: int) -> bool:
        held = self._held.get(serial)
        return held is None or held.channel is None

    @property
    def phase(self) -> str:
        """The phase of the channel that serves the line."""
        return (self.line.current.phase if self.line.current else Phase.DONE).value

    @property
    def heard_topics(self) -> int:
        """How many topics coverage claims now."""
        held = self._serving()
        claims = held is not None and held.unproven is None and not held.dropping
        return len(held.told.heard()) if held is not None and claims else 0

    def start(self) -> None:
        """Begin to listen."""
        self._act(self.line.start(self._desk.moment()))

    def stop(self, *, reason: str = EndReason.STOPPED) -> None:
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
        for held in self._held.values():
            if held.reads_on:
                self._reads_on(held)
        self._act(self.line.tick(self._desk.moment()))
        for held in self._held.values():
            if held.dropping and self._listens(held) and self._inbox.has_room():
                self._begin(held, to_text(self._desk.now()))
            if held.doubted_until is not None and tick >= held.doubted_until:
                held.doubted_until = None
                self._align()

    def _reads_on(self, held: Held) -> None:
        """Since when what is read from now on may have lain there was noted when the socket began to wait."""
        held.reads_on = False
        held.tell(self.line)
        self.line.unread(held.serial, math.inf, self._desk.moment())

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
        if (held := self._serving()) is not None:
            held.doubted = True
        self._align()

    def follow(self, begin: Iterable[str], end: Iterable[str]) -> None:
        """Subscribe the detail events of conversations, and let those of others go."""
        self.details.follow(begin, end)
        if (held := self._serving()) is not None:
            self.details.align(held)

    def _serving(self) -> Held | None:
        current = self.line.current
        held = self._held.get(current.serial) if current else None
        return held if held is not None and self._listens(held) else None

    def _listens(self, held: Held) -> bool:
        channel = self.line.channel(held.serial)
        return channel is not None and channel.phase is Phase.LISTENING

    def _align(self) -> None:
        """Make the platform's list agree with ours by what differs, one exchange at a time."""
        held = self._serving()
        if held is None or self._aligning or self.stopping:
            return
        added, removed = held.told.differs(self.topics, ask_again=self._ask_again)
        if held.doubted or added or removed:
            self._aligning = True
            self._ask_again = self._ask_again and held.doubted
            self._spawn(self._exchange(held, added, removed))

    async def _exchange(self, held: Held, added: list[str], removed: list[str]) -> None:
        try:
            if held.doubted:
                await self._verify(held)
            else:
                await self._change(held, added, removed)
        except NotFound:
            self._signal(Signal(Event.EVICTED, held.serial))
        except RollbookError as error:
            # The next look at the queues asks again; sooner, if nothing can be claimed before.
            log.warning("%s: topics could not be changed: %s", self.scope, words(error))
            held.doubted_until = self._ticks() + _LOOK_AGAIN if held.unproven is not None else None
            return
        finally:
            self._aligning = False
        self._align()

    async def _change(self, held: Held, added: list[str], removed: list[str]) -> None:
        if removed and held.socket is not None:
            # Until its last proof: whether the socket still hears is not known before the next one.
            until = self._last_proof(held)
            # What is added may need the room, and goes another way: it would be there first.
            await held.say("unsubscribe", removed, self.line.timings.pong_within)
            self._inbox.note(End(held.serial, until, EndReason.TOPICS_LET_GO, held.told.forget(removed)))
        if added and held.channel is not None:
            await self._add(held, added, {})

    async def _add(self, held: Held, topics: Sequence[str], details: Mapping[str, tuple[str, ...]]) -> None:
        """Subscribe more, or the same again, on a channel that hears: what it hears by the answer may be another."""
        before = held.told.heard()
        await self._subscribe(held, topics, details, replace=False)
        if not self._listens(held):
            return
        heard, at = held.told.heard(), self._desk.now()
        if lost := tuple(set(before).difference(heard)):
            # As with topics that are lost: until they were last seen to be there.
            self._inbox.note(End(held.serial, to_text(held.verified or at), EndReason.TOPIC_REJECTED, lost))
        if fresh := tuple(set(heard).difference(before)):
            if held.unproven is None:
                self._claim(held, to_text(at), fresh)
            else:
                held.unproven = to_text(at)  # they will be claimed with all others, and were not heard before

    def _last_proof(self, held: Held) -> str:
        self._tell_heard()
        channel, now = self.line.channel(held.serial), self._desk.now()
        return to_text(min(datetime.fromtimestamp(channel.proven_wall, UTC), now) if channel else now)

    async def _verify(self, held: Held) -> None:
        """Hold the platform's list against ours: what it has lost was heard until it was last seen there."""
        assert held.channel is not None
        at, connection = self._desk.now(), held.connection
        listed = await self._api.subscriptions(held.channel)
        lost = held.told.lost(listed)
        if held.connection != connection or not self._listens(held):
            return  # it says nothing of the socket that is there by now
        surplus = held.told.surplus(listed)
        if lost:
            log.warning("%s: the platform has lost %d of its topics; they are subscribed again", self.scope, len(lost))
            until = to_text(min(held.verified or at, at))
            self._inbox.note(End(held.serial, until, EndReason.TOPICS_LOST, held.told.forget(lost)))
            held.told.details.clear()
            self.details.align(held)
        held.verified, held.doubted, held.proven = at, False, held.connection
        if held.unproven is not None:
            began, held.unproven = held.unproven, None
            self._claim(held, began)
        if surplus:
            await held.say("unsubscribe", surplus, self.line.timings.pong_within)
            self._ask_again = True  # there may have been no room for what was asked meanwhile

    async def _subscribe(
        self, held: Held, topics: Sequence[str], details: Mapping[str, tuple[str, ...]], *, replace: bool
    ) -> None:
        """Tell the platform base topics and those of details; keep what it said. Raises NotFound, RollbookError."""
        assert held.channel is not None
        listed = [*topics, *(topic for followed in details.values() for topic in followed)]
        goes_on = partial(self._signal, Signal(Event.GOES_ON, held.serial))
        states = await ask(self._api, held.channel, listed, replace=replace, spoils=held.told.spoils, on_answer=goes_on)
        held.told.answered(topics, states)
        if replace:
            held.told.details = dict(details)
            held.verified = self._desk.now()
        self._desk.answered(held.channel, states)

    # What the channel's life asks for

    def _signal(self, signal: Signal) -> None:
        self._tell_heard()
        self._act(self.line.apply(signal, self._desk.moment()))

    def _tell_heard(self) -> None:
        for held in self._held.values():
            held.tell(self.line)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            held = self._held.setdefault(action.serial, Held(action.serial))
            log.debug("%s: channel %d: %s %s", self.scope, action.serial, action.do.value, action.reason)
            if action.do is Do.HEAR:
                self.silence.end(self._ticks())
                self._begin(held, to_text(datetime.fromtimestamp(action.at, UTC)))
            elif action.do is Do.UNHEAR:
                if not self.line.listening:
                    self.silence.begin(self._ticks(), action.reason)
                self._end(held, action)
            elif action.do is Do.PING:
                self.line.asks(held.serial, self._desk.moment())
                self._spawn(held.send(PING))
            elif action.do is Do.CLOSE:
                self._close(held)
            else:
                self._begin_step(held, action)
        if actions:
            self._desk.wake()

    def _begin(self, held: Held, at: str) -> None:
        held.dropping = False
        self._inbox.hear_again(held.serial)
        if held.proven != held.connection:
            # Topics live on the channel. That they still do after a time in which nobody could be told is looked at,
            # and claimed from here on once it has been seen.
            held.unproven, held.doubted = at, True
        else:
            self._claim(held, at)

    def _claim(self, held: Held, at: str, topics: tuple[str, ...] | None = None) -> None:
        """Let coverage begin; of all that the channel hears, unless it is told of which."""
        heard = held.told.heard() if topics is None else topics
        if heard and not held.dropping:
            self._inbox.note(Begin(held.serial, self.scope, heard, at))

    def _end(self, held: Held, action: Action) -> None:
        held.unproven = None
        at = to_text(datetime.fromtimestamp(action.at, UTC))
        self._inbox.note(End(held.serial, at, action.reason))
        if action.reason not in (EndReason.ROLLED_OVER, EndReason.STOPPED, EndReason.TOPICS_LET_GO):
            self.losses += 1
            log.warning("%s: hears no more since %s (%s)", self.scope, at, action.reason)

    def _close(self, held: Held) -> None:
        if held.step is not None:
            held.step.cancel()
            held.step = None
        if held.socket is not None:
            self._spawn(held.socket.close())
            held.socket = None
        if self.line.channel(held.serial) is None:
            self._held.pop(held.serial, None)

    def _begin_step(self, held: Held, action: Action) -> None:
        if action.like is not None and held.channel is None and (other := self._held.get(action.like)) is not None:
            held.channel, held.told, held.verified = other.channel, other.told.copy(), other.verified
        steps: dict[Do, Callable[[Held, Action], Coroutine[Any, Any, Signal]]] = {
            Do.CREATE: self._create,
            Do.SUBSCRIBE: self._tell_all,
            Do.CONNECT: self._connect,
            Do.RENEW: self._renew,
            Do.PART: self._part,
        }
        held.step = self._spawn(self._answer(held, action, steps[action.do]))

    async def _answer(
        self, held: Held, action: Action, step: Callable[[Held, Action], Coroutine[Any, Any, Signal]]
    ) -> None:
        try:
            signal = await step(held, action)
        except SocketRefused as error:
            log.info("%s: %s", self.scope, error)
            signal = Signal(Event.GONE if error.gone else Event.REFUSED, action.serial, action.ticket, wait=error.wait)
        except RollbookError as error:
            log.warning("%s: cannot %s a channel: %s", self.scope, action.do.value, words(error))
            signal = refusal(error, action)
        held.step = None
        self._signal(signal)
        if signal.event is Event.CONNECTED:
            self._connected(held)

    async def _create(self, held: Held, action: Action) -> Signal:
        held.channel = await self._api.create_channel()
        held.told = Told()
        self._desk.made(held.channel)
        return Signal(Event.CREATED, action.serial, action.ticket, expires=ends(held.channel, self._desk.now()))

    async def _tell_all(self, held: Held, action: Action) -> Signal:
        if self.topics or self.details:
            await self._subscribe(held, self.topics, self.details.topics(), replace=True)
        held.proven = held.connection + 1
        return Signal(Event.SUBSCRIBED, action.serial, action.ticket)

    async def _renew(self, held: Held, action: Action) -> Signal:
        if held.told.topics or held.told.details:
            await self._add(held, list(held.told.topics), held.told.details)
        return Signal(Event.RENEWED, action.serial, action.ticket)

    async def _connect(self, held: Held, action: Action) -> Signal:
        if held.channel is None:
            return Signal(Event.GONE, action.serial, action.ticket)
        held.connection += 1
        closed = partial(self._closed, held, held.connection)
        arrived = partial(self._arrived, held)
        held.socket = await self._open(held.channel.connect_uri, on_frame=arrived, on_closed=closed)
        return Signal(Event.CONNECTED, action.serial, action.ticket)

    async def _part(self, held: Held, action: Action) -> Signal:
        self.line.asks(held.serial, self._desk.moment())
        there = await held.answers(self.line.timings.part_within)
        return Signal(Event.ANSWERED if there else Event.REFUSED, action.serial, action.ticket)

    def _connected(self, held: Held) -> None:
        self.connects += 1
        self._desk.begins(self.scope, held.told)
        if held.ended == held.connection:
            # It closed in the same breath in which it opened.
            self._signal(Signal(Event.LOST, held.serial))
            return
        self._align()
        self.details.align(held)

    # What comes on a socket

    def _arrived(self, held: Held, payload: bytes, fault: str | None) -> None:
        """A frame; called from the protocol, so it only hands off."""
        if held.reads_on:
            self._reads_on(held)
        tick = self._ticks()
        if tick - self._stamp[0] >= _STAMP:
            self._desk.look_awake()
            self._stamp = (tick, self._desk.now())
        held.heard = moment = self._stamp
        now = moment[1]
        if fault is not None or not is_event(payload):
            heard = read_at_once(payload) if fault is None else None
            if isinstance(heard, Control):
                self._control(held, heard)
                return
            if not isinstance(heard, Notification):
                payload = held.without_secrets(payload)
        if self._inbox.crowded() and held.socket is not None and self._inbox.hold(held):
            held.tell(self.line)
            self.line.unread(held.serial, now.timestamp(), Moment(tick, now.timestamp()))
        if not self._inbox.put(Frame(payload, now, held.serial, fault)) and not held.dropping:
            held.dropping = True
            log.error("%s: the queue is full, what comes is dropped", self.scope)
            # This one came and is not heard, so that the line heard until the last one before it.
            self._inbox.note(End(held.serial, self._last_proof(held), EndReason.QUEUE_FULL))
        held.event, held.proof = moment, now

    def _control(self, held: Held, control: Control) -> None:
        if isinstance(control, Reply):
            held.replied(control)
        match control:
            case Heartbeat():
                held.event = held.heard
            case Pong():
                tick, at = held.heard or self._stamp
                held.tell(self.line)
                self.line.answered(held.serial, Moment(tick, at.timestamp()))
                held.answered.set()
            case Reply(result="200"):
                held.proof = held.heard[1] if held.heard else None
                held.answered.set()
            case SocketClosing():
                log.info("%s: the platform will close the socket", self.scope)
                self._signal(Signal(Event.CLOSING, held.serial))
            case SystemMessage(channel_gone=True, reason=reason):
                log.warning("%s: the platform took the channel away (%s)", self.scope, held.short(reason))
                self._signal(Signal(Event.EVICTED, held.serial, clean=True))
            case SystemMessage(topic=topic) if "subscription" in topic and not self._aligning:
                held.doubted = True
                self._align()
            case Reply(result="404"):
                self._signal(Signal(Event.EVICTED, held.serial))
            case Reply(result=result, message=message) if result != "200":
                log.warning("%s: a subscription over the socket was refused: %s", self.scope, held.short(message))
            case _:
                pass

    def _closed(self, held: Held, connection: int, clean: bool, why: str) -> None:
        held.ended = connection
        if held.connection == connection:
            held.unanswered()
        if held.socket is not None and held.connection == connection:
            held.socket = None
            log.info("%s: %s", self.scope, held.short(why))
            self._signal(Signal(Event.LOST, held.serial, clean=clean))
