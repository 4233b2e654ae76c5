"""Store of frames: takes them from the inbox, reads and stores them in batches, and notes coverage among them in order.

Only this module decides when a frame counts as stored. It keeps a batch that the book cannot take now (the file is
locked, the disk full) and offers it again; an item that the book can never take becomes a dead letter. It knows no
socket, and of a channel only the serial number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, ParamSpec, TypeVar

from realtime.storing.inbox import CROWD, CoverageBegin, CoverageEnd, Frame, Inbox
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
from rollbook.store.tables.events import Recorded

log = logging.getLogger(__name__)

# Frames of a batch, a transaction of the book.
BATCH: Final = 256
# The same where more comes than is stored: waiting for the disk is then most of the time, and is waited for less often.
CROWDED_BATCH: Final = CROWD
# No more frames than are this large together: they are in memory three times, as bytes, decoded and as rows.
BATCH_BYTES: Final = 4_000_000
# Frames that are read at one go, some 3 ms, in which the event loop does nothing else.
_AT_ONE_GO: Final = 256
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


@dataclass(frozen=True, slots=True)
class _Batch:
    """Frames, and what they turned out to be."""

    frames: list[Frame]
    items: list[Incoming]


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
        self._next: _Batch | None = None  # what was read while the batch before was committed
        self._spans: dict[int, dict[int, CoverageBegin]] = {}  # by channel, then by the span's id in the ledger
        self._alive: Future[None] | None = None
        self._stamp: tuple[datetime, str] | None = None
        self.stored = Stored()

    async def run(self) -> None:
        """Store what comes. Raises StoreError only for what no waiting mends."""
        while self._next is not None or (items := await self._inbox.take(*self._limits())):
            if self._next is not None:
                batch, self._next = self._next, None
                await self._store(batch)
                continue
            match items[0]:
                case CoverageBegin() as note:
                    await self._begin(note)
                case CoverageEnd() as note:
                    await self._end(note)
                case _:
                    await self._store(await self._read_all([item for item in items if isinstance(item, Frame)]))

    def _limits(self) -> tuple[int, int]:
        return CROWDED_BATCH if self._inbox.crowded() else BATCH, BATCH_BYTES

    async def _read_all(self, frames: list[Frame]) -> _Batch:
        """Read the frames of a batch, some at a time: sockets are read and pings are answered in between."""
        self._taken += frames
        items: list[Incoming] = []
        for at in range(0, len(frames), _AT_ONE_GO):
            if at:
                await asyncio.sleep(0)
            items += self._read_some(frames[at : at + _AT_ONE_GO])
        if self._on_notifications is not None:
            self._on_notifications([item for item in items if isinstance(item, Notification)])
        if unreadable := [item for item in items if isinstance(item, Unreadable)]:
            log.warning(
                "%s could not be understood (table dead_letters); the first: %s",
                count(len(unreadable), "notification"),
                unreadable[0].error,
            )
        return _Batch(frames, items)

    async def _store(self, batch: _Batch) -> None:
        """Store a batch, and wait until it is durable."""
        items = batch.items
        while items:
            outcome = await self._record(items)
            self.stored.add(outcome)
            log_letters(outcome)
            await self._settle(outcome.error)
            items = [items[position] for position in outcome.failed]
        del self._taken[: len(batch.frames)]
        self.stored.last_at = batch.frames[-1].received_at

    async def _read_ahead(self) -> None:
        """Read the next batch, if its frames are there.

        Only while the one before is being committed: SQLite does that without the interpreter's lock, for which it
        would else wait at every row (measured: a third of the rate).
        """
        if self._next is None and (frames := self._inbox.take_frames(*self._limits())):
            self._next = await self._read_all(frames)

    def _read_some(self, frames: list[Frame]) -> list[Incoming]:
        return [item for frame in frames if (item := self._read(frame)) is not None]

    def _read(self, frame: Frame) -> Incoming | None:
        if self._stamp is None or self._stamp[0] != frame.received_at:
            self._stamp = (frame.received_at, to_text(frame.received_at))
        at = self._stamp[1]
        if frame.fault is not None:
            return Unreadable(_SOURCE, frame.payload, frame.fault, at)
        parsed = parse_frame(frame.payload, source=_SOURCE, received_at=at, redactor=self._book.redactor)
        if isinstance(parsed, Notification):
            self.stored.count(parsed.topic, parsed.conversation_id)
            return parsed
        return parsed if isinstance(parsed, Unreadable) else None

    async def _record(self, batch: list[Incoming]) -> BatchOutcome:
        """Store a batch as `store_batch` does."""
        outcome, parts = BatchOutcome(), whole(batch)
        while parts:
            part = parts.pop()
            answer = await self._write(part[1])
            if isinstance(answer, Exception):
                parts += outcome.take_error(part, answer)
            else:
                outcome.add(answer)
        return outcome

    async def _write(self, items: Sequence[Incoming]) -> Recorded | Exception:
        """Have the book write; answers why it does not, if so. While it commits, the next batch is read."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()  # whether the commit is all that is left, or nothing is

        def say(is_written: bool) -> None:
            if not ready.done():
                ready.set_result(is_written)

        def written() -> None:
            # In the book's thread. A loop that has ended waits for nothing.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(say, True)

        try:
            answer = asyncio.wrap_future(self._book.write(events.record_and_say, items, self._book.lag, written))
        except StoreError as error:
            return error
        answer.add_done_callback(lambda _: say(False))
        try:
            if await ready:
                await self._read_ahead()
        except asyncio.CancelledError:
            answer.cancel()
            raise
        try:
            return await answer
        except Exception as error:
            return error

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
