"""When which event is sent: each change of each conversation, in the order of the organisation's time.

Upcoming changes stand in a heap, one for each conversation, so that a turn costs what is due and not what there is.
What an event says is written by `rollbook/simulator/notifications/snapshots.py` and
`rollbook/simulator/notifications/detail_events.py`, and only if its topic has a subscriber, which
the caller says.
"""

from __future__ import annotations

import asyncio
import bisect
import heapq
import itertools
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.clock import Clock
from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.activity_events import ActivityEvent, ActivityEvents
from rollbook.simulator.notifications.detail_events import DetailEvent
from rollbook.simulator.notifications.detail_events import events as detail_events
from rollbook.simulator.notifications.snapshots import Scene, flattened, passes, scene, snapshot
from rollbook.simulator.notifications.topics import MEDIA_SUFFIX
from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import text

DELAY: Final = timedelta(milliseconds=150)  # from what happens to the word of it
_SLICE: Final = 200  # events between two breaths of the loop
_QUEUE, _USER, _DETAIL = (
    "v2.routing.queues.{id}.conversations",
    "v2.users.{id}.conversations",
    "v2.detail.events.conversation.{id}",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Event that is sent. at: the time of the change; body: JSON text; template: the topic with `{id}`."""

    at: datetime
    topic: str
    template: str
    conversation: str
    body: str
    correlation_id: str

    def frame(self) -> str:
        """As the socket sends it."""
        return frames.event(self.topic, self.body, self.correlation_id)


class Emitter:
    """Walks through the conversations' changes with the clock.

    subscribed: the topics that have a subscriber. watched: says whether somebody is subscribed to detail events of a
    conversation. newly_watched: the conversations for which that has become so since the last call. deliver: is called
    with every event, in order. breathe: is awaited now and then, so that sockets take what they were given.
    former_queues: a queue that a conversation was transferred from still gets its events (not documented).
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        subscribed: Mapping[str, object],
        watched: Callable[[str], bool],
        newly_watched: Callable[[], list[str]],
        deliver: Callable[[Event], None],
        breathe: Callable[[], Awaitable[None]],
        seed: int = 1,
    ) -> None:
        self._world, self._clock = world, clock
        self._subscribed, self._watched, self._newly_watched = subscribed, watched, newly_watched
        self._deliver, self._breathe = deliver, breathe
        self._draw = random.Random(f"emitter {seed}")
        self.delay = DELAY
        self.former_queues = True
        self.everything = False  # write every event, for a listener to the whole organisation
        self.figures: ActivityEvents | None = None
        self.done = clock.now()
        self._known: set[str] = set()
        self._names: dict[str, str] = {}
        self._named_of: tuple[int, int, int] | None = None  # how many entities and changes the names are of
        self._followed: dict[str, list[DetailEvent]] = {}
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._poked, self._turned = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.turn()
            self._poked.clear()
            try:
                await asyncio.wait_for(self._poked.wait(), 0.05 if 0 < self._clock.rate <= 5 else 0.02)
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Emit what is due by now."""
        now = self._clock.now()
        self._world.grow(now)
        self._discover()
        self._follow(self._newly_watched())
        if self.figures is not None:
            self.figures.begin(self.done - self.delay)
        count = 0
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
            count += 1
            if count % _SLICE == 0:
                await self._breathe()
        if self.figures is not None:
            self._figure(self.figures.by_itself(now - self.delay), now)
        self.done = now
        self._turned.set()

    async def settle(self) -> None:
        """Wait until what is due at this moment has been emitted."""
        target = self._clock.now()
        while self.done < target:
            self._turned.clear()
            self._poked.set()
            await self._turned.wait()

    def later(self, at: datetime, act: Callable[[], None]) -> None:
        """Do something at a moment of the organisation's time, in order with the events."""
        heapq.heappush(self._heap, (at, next(self._serial), act))

    def correlation_id(self) -> str:
        """A new one."""
        return str(uuid.UUID(int=self._draw.getrandbits(128), version=4))

    # What lies ahead

    def _discover(self) -> None:
        """Take in conversations that are new since the last look; by_id keeps the order in which they came."""
        every = self._world.by_id
        if len(every) == len(self._known) or not (self.everything or self._subscribed):
            return  # without a subscriber nothing need be written: a large past is read when somebody begins to listen
        fresh = list(itertools.islice(every.values(), len(self._known), None))
        if any(conversation.id in self._known for conversation in fresh) or len(fresh) + len(self._known) != len(every):
            self._known &= every.keys()
            fresh = [conversation for conversation in every.values() if conversation.id not in self._known]
        for conversation in fresh:
            self._known.add(conversation.id)
            if conversation.over_by <= self.done - self.delay:
                continue
            self._await_change(conversation, self.done - self.delay)
            if self.everything or self._watched(conversation.id):
                self._follow([conversation.id])

    def _await_change(self, conversation: Conversation, after: datetime) -> None:
        at = bisect.bisect_right(conversation.changes, after)
        if at < len(conversation.changes):
            moment = conversation.changes[at]
            self.later(moment + self.delay, lambda: self._change(conversation, moment))

    def _change(self, conversation: Conversation, at: datetime) -> None:
        self._await_change(conversation, at)
        for event in self._snapshots(conversation, at):
            self._deliver(event)
        if self.figures is not None and self.figures.wanted:
            now = scene(conversation.record, text(at))
            self._figure(self.figures.of((*now.queue_ids(former=True), *now.user_ids()), at), at)

    def _figure(self, found: Iterable[ActivityEvent], at: datetime) -> None:
        for figure in found:
            self._deliver(Event(at, figure.topic, figure.template, "", figure.body, self.correlation_id()))

    def _follow(self, conversations: list[str]) -> None:
        for name in conversations:
            conversation = self._world.by_id.get(name)
            if conversation is not None and name not in self._followed:
                self._followed[name] = detail_events(conversation.record)
                self._await_detail(conversation, self.done - self.delay)

    def _await_detail(self, conversation: Conversation, after: datetime) -> None:
        listed = self._followed[conversation.id]
        at = bisect.bisect_right(listed, after, key=lambda event: event.at)
        if at < len(listed):
            moment = listed[at].at
            self.later(moment + self.delay, lambda: self._details(conversation, moment))

    def _details(self, conversation: Conversation, at: datetime) -> None:
        for event in self._followed[conversation.id]:
            topic = f"v2.detail.events.conversation.{conversation.id}.{event.member}"
            if event.at == at and self._wanted(topic):
                body = frames.encoded(event.body)
                self._deliver(
                    Event(at, topic, f"{_DETAIL}.{event.member}", conversation.id, body, self.correlation_id())
                )
        self._await_detail(conversation, at)

    # The events of a change

    def _wanted(self, topic: str) -> bool:
        return self.everything or topic in self._subscribed

    def _snapshots(self, conversation: Conversation, at: datetime) -> Iterator[Event]:
        if not self.everything and not self._subscribed:
            return
        moment = text(at)
        now = scene(conversation.record, moment)
        wanted = list(self._topics(now))
        if not wanted:
            return
        phases = [now]
        if passes(conversation.record, moment):
            phases.insert(0, scene(conversation.record, moment, passing=True))
        for phase in phases:
            bodies: dict[str, str] = {}
            for topic, template, medium in wanted:
                shape = "" if medium == "video" and template.startswith("v2.routing") else medium
                if shape not in bodies:
                    bodies[shape] = frames.encoded(self._body(phase, shape))
                yield Event(at, topic, template, conversation.id, bodies[shape], self.correlation_id())

    def _topics(self, now: Scene) -> Iterator[tuple[str, str, str]]:
        """(topic, its template, its medium or "") of those that have a subscriber."""
        media = [medium for medium in now.media() if medium in MEDIA_SUFFIX]
        sides = [(_QUEUE, queue_id) for queue_id in now.queue_ids(former=self.former_queues)]
        sides += [(_USER, user_id) for user_id in now.user_ids()]
        for template, owner in sides:
            for medium in ("", *media):
                whole = f"{template}.{MEDIA_SUFFIX[medium]}" if medium else template
                topic = whole.replace("{id}", owner)
                if self._wanted(topic):
                    yield topic, whole, medium

    def _body(self, now: Scene, medium: str) -> dict[str, Any]:
        if not medium:
            return snapshot(now)
        world = self._world
        there = (len(world.queues), len(world.users), len(world.directory.changes))
        if self._named_of != there:
            self._named_of = there
            self._names.update((entity["id"], entity["name"]) for entity in (*world.queues, *world.users))
        return flattened(now, medium, self._names)
