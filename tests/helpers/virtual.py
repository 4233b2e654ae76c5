"""Years in minutes: an event loop whose time jumps to whatever is due next, and a platform and a ledger that live in it.

The platform makes channels, keeps their topics, sends events and breaks things; it remembers every event that it sent,
whether anybody heard it or not, so that what the ledger claims can be held against what was really heard.
"""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from realtime.websocket.socket import SocketRefused
from rollbook.genesys.api.client import NotificationChannel, TopicState
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import NotFound, RequestRefused, Unavailable
from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.genesys.program.settings import Secret
from rollbook.genesys.times import from_text, to_text
from rollbook.store.file.errors import StoreBusy
from rollbook.store.tables import channels, coverage, events
from rollbook.store.tables.events import Recorded
from tests.helpers.stage import CLOSING, HEARTBEAT, PONG, QUEUES, conversation, snapshot

START = datetime(2026, 8, 3, tzinfo=UTC)
DAY = 86_400.0
GONE = '{"result":"404","message":"gone"}'


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: the time that it was to wait has passed."""

    passed: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is due any more, and nothing is there that could happen")
        self.passed(max(timeout, 0.0))
        return []


class Loop(asyncio.SelectorEventLoop):
    """Virtual time. What is given to a thread is done at once."""

    def __init__(self) -> None:
        jump = _Jump()
        jump.passed = self._pass
        self._virtual = 0.0
        super().__init__(jump)

    def time(self) -> float:
        return self._virtual

    def _pass(self, seconds: float) -> None:
        # Nothing takes no time at all: what is due within the loop's resolution would be looked at for ever.
        self._virtual += max(seconds, 1e-9)

    # Typed as it is used: the real method's variables of types say nothing here.
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work)


def now() -> datetime:
    """The wall clock of the loop that runs."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class Ledger:
    """A store in memory, with the face that live capture knows. It can be locked for a while."""

    def __init__(self) -> None:
        self.stored: Counter[str] = Counter()
        self.spans: list[dict[str, Any]] = []
        self.refused: dict[str, str | None] = {}
        self.left: list[str] = []  # until when channels live
        self.locked = False
        self.unstored: deque[tuple[str, str]] = deque()  # (received at, conversation) that a socket has handed over
        self.alive_at = ""
        self.lag = timedelta(minutes=10)
        self.redactor = None

    def _do(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        if self.locked:
            future.set_exception(StoreBusy("the store is locked by another program"))
        else:
            future.set_result(work())
        return future

    def write(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Write what that function of the store's tables would."""
        return self._do(lambda: self._doors()[fn](*args))

    async def read(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Read what that function of the store's tables would."""
        return self._doors()[fn](*args)

    def _doors(self) -> Mapping[Callable[..., Any], Callable[..., Any]]:
        return {
            events.record_and_say: self._record,
            coverage.begin: self._begin,
            coverage.end: self._end,
            coverage.alive: self._note_alive,
            coverage.reject: lambda topics, at: self.refused.update({row["topic"]: row["reason"] for row in topics}),
            coverage.accept: lambda topics: [self.refused.pop(topic, None) for topic in topics],
            coverage.rejected: lambda: [{"topic": topic} for topic in self.refused],
            channels.keep: lambda until: setattr(self, "left", list(until)),
            channels.left: lambda at: [until for until in self.left if until > at],
        }

    def _record(self, batch: Sequence[Notification | Unreadable], lag: timedelta, say: Callable[[], None]) -> Recorded:
        del lag
        say()
        ids = [item.conversation_id for item in batch if isinstance(item, Notification) and item.conversation_id]
        self.stored.update(ids)
        return Recorded(len(ids), 0, len(batch) - len(ids))

    def _begin(self, source: str, scope: str, topics: Sequence[str], at: str) -> int:
        del source, scope
        self.spans.append({"topics": tuple(topics), "start": at, "end": None, "reason": None})
        return len(self.spans) - 1

    def _end(self, number: int, at: str, reason: str) -> None:
        span = self.spans[number]
        if span["end"] is None:
            span.update(end=max(at, span["start"]), reason=reason)

    def _note_alive(self, spans: Iterable[int], at: str) -> None:
        """Hold a sign of life to this: what was handed over before it is stored, or a kill now would leave a lie."""
        del spans
        while self.unstored and self.stored[self.unstored[0][1]]:
            self.unstored.popleft()
        early = [name for received, name in self.unstored if received < at and not self.stored[name]]
        assert not early, f"alive at {at}, and {len(early)} from before it are not stored"
        self.alive_at = max(self.alive_at, at)


class Line:
    """An open socket of the platform's."""

    def __init__(self, platform: Platform, chan: Chan, on_frame: Any, on_closed: Any) -> None:
        self.platform, self.chan, self.on_frame, self.on_closed = platform, chan, on_frame, on_closed
        self.open = self.carries = self.reads = True
        self.answer: str | None = PONG  # to a ping

    def give(self, frame: str) -> bool:
        if self.open and self.carries:
            self.on_frame(frame.encode(), None)
            return True
        return False

    def end(self, *, clean: bool, why: str = "ended") -> None:
        if self.open:
            self.open = False
            clean = clean and self.carries  # who says nothing sends no close frame either
            if self.chan.line is self:
                self.chan.line = None
            self.on_closed(clean, why)

    # The face that a listener knows

    async def send(self, text: str) -> bool:
        await asyncio.sleep(0.01 if self.reads else 1e9)
        if self.open and "ping" in text and self.answer is not None:
            asyncio.get_running_loop().call_later(0.05, self.give, self.answer)
        if self.open and (said := json.loads(text))["message"] == "unsubscribe":
            self.chan.topics.difference_update(said["topics"])
            reply = json.dumps({"result": "200", "status": "unsubscribed", "correlationId": said["correlationId"]})
            asyncio.get_running_loop().call_later(0.05, self.give, reply)
        return self.open

    async def close(self) -> None:
        await asyncio.sleep(0.01)
        self.end(clean=False)

    def pause(self) -> None: ...
    def resume(self) -> None: ...


@dataclass
class Chan:
    name: str
    expires: datetime
    used: float
    token: int
    topics: set[str] = field(default_factory=set)
    line: Line | None = None


class Platform:
    """Channels, topics, sockets, events and faults. others: channels of another program that are always connected."""

    def __init__(self, seed: int, *, queues: int, others: int = 0) -> None:
        self.random = random.Random(seed)
        self.queues_there = list(range(queues))
        self.others = others
        self.chans: dict[str, Chan] = {}
        self.made = 0
        self.sent: list[tuple[str, str, str]] = []  # (at, topic, conversation)
        self.attempts: list[float] = []  # handshakes
        self.creations: list[float] = []
        self.faults: Counter[str] = Counter()
        self.evicted_in_use = 0
        self.down: dict[str, float] = {}  # what does not work, and until when
        self.refused: set[str] = set()
        self.poison: set[str] = set()  # topics for which a whole request is refused
        self.slow = 0.0  # seconds that an answer takes longer
        self.token_lasts = DAY
        self.token, self.token_made = 0, 0.0
        self.ledger = Ledger()

    def _fails(self, what: str) -> bool:
        return asyncio.get_running_loop().time() < self.down.get(what, -1.0)

    async def _answer(self) -> None:
        await asyncio.sleep(self.random.uniform(0.02, 0.4) + self.slow)
        if self._fails("api"):
            raise Unavailable("the service is currently unavailable", status=503)

    # The API

    async def queues(self) -> list[Entity]:
        await self._answer()
        return [Entity(QUEUES[queue], "q") for queue in self.queues_there]

    async def users(self) -> list[Entity]:
        return []

    def kept_words(self, said: str) -> str:
        return said

    async def channels(self) -> list[NotificationChannel]:
        await self._answer()
        self._expire()
        named = [self._named(chan) for chan in self.chans.values() if chan.token == self.token]
        return named + [NotificationChannel(Secret(""), Secret(""), "")] * (len(self.chans) - len(named) + self.others)

    def _named(self, chan: Chan) -> NotificationChannel:
        return NotificationChannel(
            Secret(chan.name), Secret(f"ws://{chan.name}"), to_text(chan.expires), token_lasts=self.token_lasts
        )

    def _expire(self) -> None:
        for chan in [chan for chan in self.chans.values() if chan.expires <= now()]:
            self._remove(chan)

    def _remove(self, chan: Chan) -> None:
        self.chans.pop(chan.name, None)
        if chan.line is not None:
            chan.line.give(GONE)
            chan.line.end(clean=True)

    async def create_channel(self) -> NotificationChannel:
        self.creations.append(asyncio.get_running_loop().time())
        if self.creations[-1] >= self.token_made + self.token_lasts / 2:
            self.token, self.token_made = self.token + 1, self.creations[-1]
        await self._answer()
        self._expire()
        while len(self.chans) + self.others >= 20:
            oldest = min(self.chans.values(), key=lambda chan: (chan.line is not None, chan.used))
            self.evicted_in_use += oldest.line is not None
            self._remove(oldest)
        self.made += 1
        chan = Chan(f"c{self.made}", now() + timedelta(days=1), asyncio.get_running_loop().time(), self.token)
        self.chans[chan.name] = chan
        return self._named(chan)

    def _chan(self, channel: NotificationChannel) -> Chan:
        self._expire()
        found = self.chans.get(channel.id.reveal())
        if found is None:
            raise NotFound("gone", status=404)
        return found

    async def subscriptions(self, channel: NotificationChannel) -> list[str]:
        await self._answer()
        return sorted(self._chan(channel).topics)

    async def subscribe(
        self, channel: NotificationChannel, topics: Sequence[str], *, replace: bool
    ) -> list[TopicState]:
        if replace:
            self._chan(channel).topics.clear()
        await self._answer()
        chan = self._chan(channel)
        if self.poison.intersection(topics):
            raise RequestRefused("The subscription topic is not valid.", status=400, code="notification.invalid.topic")
        chan.expires = now() + timedelta(days=1)
        chan.topics.update(topics)
        chan.topics -= self.refused.intersection(topics)
        assert len(chan.topics) <= 1_000
        return [TopicState(topic, topic not in self.refused, None, ()) for topic in topics]

    # Sockets

    async def opened(self, address: Secret, *, on_frame: Any, on_closed: Any) -> Line:
        loop = asyncio.get_running_loop()
        self.attempts.append(loop.time())
        await asyncio.sleep(self.random.uniform(0.01, 0.2))
        self._expire()
        chan = self.chans.get(address.reveal().removeprefix("ws://"))
        if chan is None:
            raise SocketRefused("404", channel_is_gone=True)
        if self._fails("handshake"):
            raise SocketRefused("the handshake was answered with 503")
        former, chan.line = chan.line, Line(self, chan, on_frame, on_closed)
        chan.used = loop.time()
        if former is not None:
            former.end(clean=True, why="kicked")
        loop.call_later(30, self._beat, chan.line)
        if self._fails("flap"):
            loop.call_later(0.01, partial(chan.line.end, clean=True))
        return chan.line

    def _beat(self, line: Line) -> None:
        if line.open:
            line.give(HEARTBEAT)
            asyncio.get_running_loop().call_later(30, self._beat, line)

    # Events

    async def emit(self, every: float) -> None:
        """Send an event now and then, until cancelled. Each has a conversation of its own, which names it."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / every))
            number, queue = len(self.sent), self.random.choice(self.queues_there)
            topic, at = f"v2.routing.queues.{QUEUES[queue]}.conversations", to_text(now())
            self.sent.append((at, topic, conversation(number)))
            for chan in list(self.chans.values()):
                if chan.line is not None and topic in chan.topics:
                    chan.line.give(snapshot(number, queue=queue))

    # Faults

    async def break_things(self, every: float) -> None:
        """One fault after the other, until cancelled."""
        while True:
            await asyncio.sleep(every)
            fault = self.random.choice(FAULTS)
            self.faults[fault.__name__] += 1
            fault(self)

    def some_line(self) -> Line | None:
        lines = [chan.line for chan in self.chans.values() if chan.line is not None]
        return self.random.choice(lines) if lines else None

    def fail(self, what: str, least: float, most: float) -> None:
        self.down[what] = asyncio.get_running_loop().time() + self.random.uniform(least, most)

    # What became of it

    def claimed_and_missed(self) -> list[tuple[str, str, str]]:
        """Events that the ledger claims were heard, and that are not stored. There must be none.

        Its times are cut to milliseconds: of an event in that in which a span begins nobody can tell which came first.
        """
        claims: dict[str, list[tuple[str, str]]] = {}
        for span in self.ledger.spans:
            for topic in span["topics"]:
                claims.setdefault(topic, []).append((span["start"], span["end"] or self.ledger.alive_at))
        return [
            event
            for event in self.sent
            if not self.ledger.stored[event[2]]
            and any(start < event[0] < end for start, end in claims.get(event[1], ()))
        ]

    def covered(self) -> float:
        """The part of all topics' time that is claimed."""
        length = asyncio.get_running_loop().time() * len(self.queues_there)
        claimed = 0.0
        by_topic: dict[str, list[tuple[str, str]]] = {}
        for span in self.ledger.spans:
            for topic in span["topics"]:
                by_topic.setdefault(topic, []).append((span["start"], span["end"] or self.ledger.alive_at))
        for spans in by_topic.values():
            reach = ""
            for start, end in sorted(spans):
                begin = max(start, reach)
                if end > begin:
                    claimed += (from_text(end) - from_text(begin)).total_seconds()
                    reach = end
        return claimed / length


def drop(platform: Platform) -> None:
    if (line := platform.some_line()) is not None:
        line.end(clean=False)


def drop_all(platform: Platform) -> None:
    for chan in list(platform.chans.values()):
        if chan.line is not None:
            chan.line.end(clean=False)


def close(platform: Platform) -> None:
    if (line := platform.some_line()) is not None:
        line.end(clean=True)


def mute(platform: Platform) -> None:
    if (line := platform.some_line()) is not None:
        line.carries = False


def closing(platform: Platform) -> None:
    for chan in list(platform.chans.values()):
        if (line := chan.line) is not None:
            line.give(CLOSING)
            asyncio.get_running_loop().call_later(60, partial(line.end, clean=True))


def gone(platform: Platform) -> None:
    if platform.chans:
        platform._remove(platform.random.choice(list(platform.chans.values())))


def gone_under_its_socket(platform: Platform) -> None:
    """A channel goes and its socket stays and beats; pings are answered with that, or not; it may break or be closed."""
    if (line := platform.some_line()) is not None:
        del platform.chans[line.chan.name]
        line.answer = platform.random.choice((GONE, None))
        end = platform.random.choice((True, False, None))
        if end is not None:
            asyncio.get_running_loop().call_later(platform.random.uniform(1, 40), lambda: line.end(clean=end))


def forget(platform: Platform) -> None:
    """The platform loses a channel's topics while its socket is away, and says so to nobody."""
    if (line := platform.some_line()) is not None:
        line.end(clean=False)
        line.chan.topics.clear()


def forget_some(platform: Platform) -> None:
    """The platform loses some of a channel's topics under an open socket."""
    if (line := platform.some_line()) is not None:
        for topic in platform.random.sample(sorted(line.chan.topics), len(line.chan.topics) // 3):
            line.chan.topics.discard(topic)


def no_longer_subscribed(platform: Platform) -> None:
    if (line := platform.some_line()) is not None:
        line.chan.topics.clear()
        line.give(
            '{"topicName":"v2.system.no_longer_subscribed.x","eventBody":{"systemTopicType":"no_longer_subscribed"}}'
        )


def intrude(platform: Platform) -> None:
    """Another program connects one more channel, for which the platform takes the oldest unused one away, or of all."""
    platform._remove(min(platform.chans.values(), key=lambda chan: (chan.line is not None, chan.used)))
    platform.others += 1


def flap(platform: Platform) -> None:
    platform.fail("flap", 5, 60)
    drop_all(platform)


def refuse(platform: Platform) -> None:
    platform.fail("handshake", 5, 60)
    drop_all(platform)


def api_down(platform: Platform) -> None:
    platform.fail("api", 5, 60)
    gone(platform)


def closing_while_api_is_down(platform: Platform) -> None:
    platform.fail("api", 60, 100)
    closing(platform)


def queues_move(platform: Platform) -> None:
    gone_one = platform.random.choice(platform.queues_there)
    platform.queues_there.remove(gone_one)
    platform.queues_there.append(platform.random.randrange(20_000, 30_000))


def refuse_topic(platform: Platform) -> None:
    platform.refused = {f"v2.routing.queues.{QUEUES[platform.random.choice(platform.queues_there)]}.conversations"}


def lock(platform: Platform) -> None:
    platform.ledger.locked = True
    asyncio.get_running_loop().call_later(platform.random.uniform(5, 90), setattr, platform.ledger, "locked", False)


FAULTS: list[Callable[[Platform], None]] = [
    drop,
    drop_all,
    close,
    mute,
    closing,
    gone,
    gone_under_its_socket,
    forget,
    no_longer_subscribed,
    flap,
    refuse,
    api_down,
    closing_while_api_is_down,
    queues_move,
    refuse_topic,
    lock,
]
