"""Store of frames: takes them from the inbox, reads and stores them in batches, and notes coverage among them in order.

Only this module decides when a frame counts as stored. It keeps a batch that the book cannot take now (the file is
locked, the disk full) and offers it again; an item that the book can never take becomes a dead letter. It knows no
socket, and of a channel only the serial number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, ParamSpec, TypeVar

from realtime.storing.inbox import CoverageBegin, CoverageEnd, Frame, Inbox
from realtime.storing.store_batch import Incoming, is_last_resort, unstorable
from rollbook.genesys.errors import StoreError
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.genesys.topics import LONGEST, template_of
from rollbook.store.book import Book, Fn
from rollbook.store.file.errors import StoreBusy, StoreFull, StoreUnwritable
from rollbook.store.tables import coverage, events
from rollbook.store.tables.events import Recorded

log = logging.getLogger(__name__)

# Frames of a batch, a transaction of the book: some 8 ms of reading, in which the event loop does nothing else. Half as
# many cost a sixth of the rate, twice as many gained a twentieth (bench_notifications.py).
BATCH: Final = 256
RETRY: Final = 1.0
# A queue's topic comes again and again; the topics of conversations pass.
_template: Final = lru_cache(maxsize=4_096)(template_of)
# Topics are counted by template; after so many templates the rest count as OTHER.
TEMPLATES: Final = 200
OTHER: Final = "other"

P = ParamSpec("P")
T = TypeVar("T")
OnNotifications = Callable[[Sequence[Notification]], None]


@dataclass(slots=True)
class Stored:
    """Counts of what has been stored since the start."""

    events_new: int = 0
    events_repeated: int = 0
    dead_letters: int = 0
    by_template: Counter[str] = field(default_factory=Counter)
    last_at: datetime | None = None  # when what was stored last was received
    failing: str | None = None  # why the book takes nothing now

    def count(self, topic: str) -> None:
        """Count a notification on that topic. Topics that the platform does not have must not fill the memory."""
        name = _template(topic) if len(topic) <= LONGEST else OTHER
        if name not in self.by_template and len(self.by_template) >= TEMPLATES:
            name = OTHER
        self.by_template[name] += 1


@dataclass(slots=True)
class _Span:
    id: int
    scope: str
    topics: tuple[str, ...]
    at: str


class FrameStore:
    """Reads the inbox until it is closed and empty. One `run` for its life."""

    def __init__(
        self,
        book: Book,
        inbox: Inbox,
        *,
        now: Callable[[], datetime],
        source: str = "websocket",
        on_notifications: OnNotifications | None = None,
    ) -> None:
        self._book = book
        self._inbox = inbox
        self._now = now
        self._source = source
        self._on_notifications = on_notifications
        self._taken: list[Frame] = []  # from the inbox, and not durable yet
        self._spans: dict[int, list[_Span]] = {}
        self._alive: Future[None] | None = None
        self._stamp: tuple[datetime, str] | None = None
        self.stored = Stored()

    async def run(self) -> None:
        """Store what comes. Raises StoreError only for what no waiting mends."""
        while items := await self._inbox.take(BATCH):
            first = items[0]
            if isinstance(first, Frame):
                await self._store([item for item in items if isinstance(item, Frame)])
            else:
                await self._note(first)

    async def _store(self, frames: list[Frame]) -> None:
        """Read a batch and wait until it is durable; meanwhile the next batch gathers.

        No batch is read while another is written: SQLite's thread would wait for the interpreter's lock at every row
        (measured: a third of the rate).
        """
        self._taken = frames
        batch = [item for frame in frames if (item := self._read(frame)) is not None]
        if self._on_notifications is not None:
            self._on_notifications([item for item in batch if isinstance(item, Notification)])
        if unreadable := [item for item in batch if isinstance(item, Unreadable)]:
            log.warning(
                "%s could not be understood (table dead_letters); the first: %s",
                count(len(unreadable), "notification"),
                unreadable[0].error,
            )
        if batch:
            self._count(await self._answer(batch, self._record(batch)))
        self._taken = []
        self.stored.last_at = frames[-1].received_at

    def _read(self, frame: Frame) -> Incoming | None:
        if self._stamp is None or self._stamp[0] != frame.received_at:
            self._stamp = (frame.received_at, to_text(frame.received_at))
        at = self._stamp[1]
        if frame.fault is not None:
            return Unreadable(self._source, frame.payload, frame.fault, at)
        parsed = parse_frame(frame.payload, source=self._source, received_at=at)
        if isinstance(parsed, Notification):
            self.stored.count(parsed.topic)
            return parsed
        return parsed if isinstance(parsed, Unreadable) else None

    def _record(self, batch: list[Incoming]) -> Future[Recorded]:
        return self._book.write(events.record, batch, self._book.lag)

    async def _answer(self, batch: list[Incoming], future: Future[Recorded]) -> Recorded | None:
        """The book's answer for a batch; offers it again for as long as waiting may mend it."""
        while True:
            try:
                answer = await asyncio.wrap_future(future)
            except StoreError as error:
                await self._wait_for_it(error)
                future = self._record(batch)
                continue
            except Exception as error:
                return await self._one_by_one(batch, error)
            self._takes_again()
            return answer

    async def _wait_for_it(self, error: StoreError) -> None:
        """The book takes nothing now: wait a little. Raises the error if no waiting mends it."""
        if not _mendable(error):
            raise error
        if self.stored.failing is None:
            log.error("cannot store what is heard, will keep trying: %s", error)
        self.stored.failing = str(error)
        await asyncio.sleep(RETRY)

    def _takes_again(self) -> None:
        if self.stored.failing is not None:
            log.info("storing again")
            self.stored.failing = None

    async def _one_by_one(self, batch: list[Incoming], error: Exception) -> Recorded | None:
        """Find the item of a batch that cannot be stored at all, and keep it as a dead letter."""
        if len(batch) > 1:
            middle = len(batch) // 2
            for part in (batch[:middle], batch[middle:]):
                self._count(await self._answer(part, self._record(part)))
            return None
        (item,) = batch
        if is_last_resort(item):
            raise error
        letter = unstorable(item, error)
        return await self._answer([letter], self._record([letter]))

    def _count(self, answer: Recorded | None) -> None:
        if answer is not None:
            self.stored.events_new += answer.events_new
            self.stored.events_repeated += answer.events_repeated
            self.stored.dead_letters += answer.dead_letters

    # Coverage

    async def _note(self, note: CoverageBegin | CoverageEnd | Frame) -> None:
        if isinstance(note, CoverageBegin):
            await self._begin(note.serial, note.scope, note.topics, note.at)
        elif isinstance(note, CoverageEnd):
            await self._end(note)

    async def _begin(self, serial: int, scope: str, topics: tuple[str, ...], at: str) -> None:
        span = await self._insist(coverage.begin, self._source, scope, topics, at)
        self._spans.setdefault(serial, []).append(_Span(span, scope, topics, at))

    async def _end(self, note: CoverageEnd) -> None:
        gone = None if note.topics is None else set(note.topics)
        spans = self._spans.pop(note.serial, [])
        for span in spans:
            if gone is not None and gone.isdisjoint(span.topics):
                self._spans.setdefault(note.serial, []).append(span)
                continue
            left = () if gone is None else tuple(topic for topic in span.topics if topic not in gone)
            if left:
                # A loss that is noticed late may have happened before the span began.
                await self._begin(note.serial, span.scope, left, max(note.at, span.at))
            await self._insist(coverage.end, span.id, note.at, note.reason)

    async def _insist(self, fn: Fn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write about coverage; again, for as long as waiting may mend an error."""
        while True:
            try:
                answer = await asyncio.wrap_future(self._book.write(fn, *args, **kwargs))
            except StoreError as error:
                await self._wait_for_it(error)
            else:
                # On a quiet line no event would show for hours that the store takes again.
                self._takes_again()
                return answer

    def alive(self, sure_until: datetime | None = None) -> None:
        """Note that everything heard until now is stored, or until the oldest frame that is not. Returns at once.

        sure_until: a moment after which it is not sure that every frame came.
        """
        if not self._spans or (self._alive is not None and not self._alive.done()):
            return
        try:
            ours = [span.id for spans in self._spans.values() for span in spans]
            until = self.stored_until()
            until = until if sure_until is None else min(until, sure_until)
            self._alive = self._book.write(coverage.alive, ours, to_text(until))
        except StoreError as error:
            log.warning("cannot note a sign of life: %s", error)

    def stored_until(self) -> datetime:
        """Everything heard before this is durable."""
        if self._taken:
            return self._taken[0].received_at
        return self._inbox.oldest() or self._now()

    @property
    def in_flight(self) -> int:
        """Notifications on their way to the disk."""
        return len(self._taken)


def _mendable(error: StoreError) -> bool:
    """Answer if the disk or another program may let us write later."""
    return isinstance(error, StoreBusy | StoreFull | StoreUnwritable)
