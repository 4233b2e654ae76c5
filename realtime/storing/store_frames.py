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
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, ParamSpec, TypeVar

from realtime.storing.inbox import CROWD, CoverageBegin, CoverageEnd, Frame, Inbox, InboxItem
from realtime.storing.store_batch import (
    OF_THE_FILE,
    BatchOutcome,
    Incoming,
    StoredCounts,
    log_change,
    log_letters,
    whole,
)
from rollbook.genesys.errors import StoreError
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.genesys.topics import LONGEST, template_of
from rollbook.store.book import Book, Fn
from rollbook.store.tables import coverage, events

log = logging.getLogger(__name__)

# Frames of a batch, a transaction of the book: reading them takes some 5 ms, in which the event loop does nothing else.
BATCH: Final = 256
# The same where more comes than is stored: waiting for the disk is then most of the time, and is waited for less often.
CROWDED_BATCH: Final = CROWD
# No more frames than are this large together: what is large takes long to read.
BATCH_BYTES: Final = 2_000_000
RETRY: Final = 1.0
_SOURCE: Final = "websocket"
# A queue's topic comes again and again, and so does a conversation's without its id.
_template: Final = lru_cache(maxsize=4_096)(template_of)
_UUID_LENGTH: Final = 36
# Topics are counted by template; after so many templates the rest count as OTHER.
TEMPLATES: Final = 200
OTHER: Final = "other"

P = ParamSpec("P")
T = TypeVar("T")
OnNotifications = Callable[[Sequence[Notification]], None]


@dataclass(slots=True)
class Stored(StoredCounts):
    """Counts of what has been stored since the start."""

    by_template: Counter[str] = field(default_factory=Counter)
    last_at: datetime | None = None  # when what was stored last was received
    failing: str | None = None  # why the book takes nothing now

    def count(self, topic: str, conversation_id: str | None = None) -> None:
        """Count a notification on that topic. Topics that the platform does not have must not fill the memory."""
        if conversation_id is not None and len(conversation_id) == _UUID_LENGTH:
            topic = topic.replace(conversation_id, "{id}")
        name = _template(topic) if len(topic) <= LONGEST else OTHER
        if name not in self.by_template and len(self.by_template) >= TEMPLATES:
            name = OTHER
        self.by_template[name] += 1


class FrameStore:
    """Reads the inbox until it is closed and empty. One `run` for its life."""

    def __init__(
        self,
        book: Book,
        inbox: Inbox,
        *,
        now: Callable[[], datetime],
        on_notifications: OnNotifications | None = None,
    ) -> None:
        self._book = book
        self._inbox = inbox
        self._now = now
        self._on_notifications = on_notifications
        self._taken: list[Frame] = []  # from the inbox, and not durable yet
        self._spans: dict[int, dict[int, CoverageBegin]] = {}  # by channel, then by the span's id in the ledger
        self._alive: Future[None] | None = None
        self._stamp: tuple[datetime, str] | None = None
        self.stored = Stored()

    async def run(self) -> None:
        """Store what comes. Raises StoreError only for what no waiting mends."""
        while items := await self._take():
            match items[0]:
                case CoverageBegin() as note:
                    await self._begin(note)
                case CoverageEnd() as note:
                    await self._end(note)
                case _:
                    await self._store([item for item in items if isinstance(item, Frame)])

    async def _take(self) -> list[InboxItem]:
        return await self._inbox.take(CROWDED_BATCH if self._inbox.crowded() else BATCH, size=BATCH_BYTES)

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
        while batch:
            outcome = await self._record(batch)
            self.stored.add(outcome)
            log_letters(outcome)
            await self._settle(outcome.error)
            batch = [batch[position] for position in outcome.failed]
        self._taken = []
        self.stored.last_at = frames[-1].received_at

    def _read(self, frame: Frame) -> Incoming | None:
        if self._stamp is None or self._stamp[0] != frame.received_at:
            self._stamp = (frame.received_at, to_text(frame.received_at))
        at = self._stamp[1]
        if frame.fault is not None:
            return Unreadable(_SOURCE, frame.payload, frame.fault, at)
        parsed = parse_frame(frame.payload, source=_SOURCE, received_at=at)
        if isinstance(parsed, Notification):
            self.stored.count(parsed.topic, parsed.conversation_id)
            return parsed
        return parsed if isinstance(parsed, Unreadable) else None

    async def _record(self, batch: list[Incoming]) -> BatchOutcome:
        """Store a batch as `store_batch` does."""
        outcome, parts = BatchOutcome(), whole(batch)
        while parts:
            part = parts.pop()
            try:
                recorded = await asyncio.wrap_future(self._book.write(events.record, part[1], self._book.lag))
            except Exception as error:
                parts += outcome.take_error(part, error)
            else:
                outcome.add(recorded)
        return outcome

    async def _settle(self, error: Exception | None) -> None:
        """Note whether the book takes what comes. If it does not, wait a little; raises an error that stays."""
        if error is not None and not isinstance(error, OF_THE_FILE):
            raise error
        before, self.stored.failing = self.stored.failing, None if error is None else str(error)
        log_change(before, self.stored.failing)
        if error is not None:
            await asyncio.sleep(RETRY)

    # Coverage

    async def _begin(self, note: CoverageBegin) -> None:
        span = await self._insist(coverage.begin, _SOURCE, note.scope, note.topics, note.at)
        self._spans.setdefault(note.serial, {})[span] = note

    async def _end(self, note: CoverageEnd) -> None:
        gone = None if note.topics is None else set(note.topics)
        for span, begun in self._spans.pop(note.serial, {}).items():
            if gone is not None and gone.isdisjoint(begun.topics):
                self._spans.setdefault(note.serial, {})[span] = begun
                continue
            left = () if gone is None else tuple(topic for topic in begun.topics if topic not in gone)
            if left:
                # A loss that is noticed late may have happened before the span began.
                await self._begin(replace(begun, topics=left, at=max(note.at, begun.at)))
            await self._insist(coverage.end, span, note.at, note.reason)

    async def _insist(self, fn: Fn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write about coverage; again, for as long as waiting may mend an error."""
        while True:
            try:
                answer = await asyncio.wrap_future(self._book.write(fn, *args, **kwargs))
            except StoreError as error:
                await self._settle(error)
            else:
                # On a quiet line no event would show for hours that the store takes again.
                await self._settle(None)
                return answer

    def alive(self, sure_until: datetime | None = None) -> None:
        """Note that everything heard until now is stored, or until the oldest frame that is not. Returns at once.

        sure_until: a moment after which it is not sure that every frame came.
        """
        if not self._spans or (self._alive is not None and not self._alive.done()):
            return
        try:
            ours = [span for spans in self._spans.values() for span in spans]
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
