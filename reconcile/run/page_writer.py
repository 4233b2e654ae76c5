"""Rows on their way into the book: what of a page is new to the run is written, page by page, while the next is
read.

It remembers how far the run has come, so that one that was cut short goes on where it was: after the rows of a page
are committed, the page's entry is. What an entry means is `reconcile/reading/resume.py`'s business, what a row means
the store's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from reconcile.reading import resume
from reconcile.reading.resume import Entry
from reconcile.reading.tally import RowBatch, Tally
from reconcile.run.book_calls import UNFORESEEN, cannot_take, committed, letter_of
from reconcile.run.options import RunTask
from rollbook.genesys.messages.details import DetailRow, ids_of
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.file.writer import WriteFuture
from rollbook.store.tables import conversations, events, unfinished_readings, windows
from rollbook.store.tables.conversations import Cause, PageOutcome, Read
from rollbook.store.tables.events import Recorded
from rollbook.store.vocabulary import Comparison

# Rows that may wait until the store inserts them, those of all runs together: a row and its fields are 40 KB. While it
# commits them, so many others are read and decoded; with more of them reading would take Python's lock from inserting
# (docs/performance.md).
_ROWS_WAITING: Final = 200


@dataclass(slots=True)
class _PendingPage:
    """A page whose rows wait for their commit, and what is to be remembered of it then.

    Its writes are the store's own futures: where one before them has failed, nobody waits for these, and asyncio would
    complain of each of its own with a traceback.
    """

    waiting: list[tuple[RowBatch, WriteFuture[PageOutcome]]] = field(default_factory=list)
    as_of: str = ""
    entry: Entry | None = None

    @property
    def safe(self) -> bool:
        """True once all of it is committed."""
        return all(writing.done() for _, writing in self.waiting)


class PageWriter:
    """The rows of one run. began: API text of when it did. book: None only for a dry run without a store."""

    def __init__(self, task: RunTask, book: Book | None, *, began: str, cause: Cause, spent: Callable[[], int]) -> None:
        self._task = task
        self._book = book
        self.began = began
        self.divisions = ""  # what the client sees that reads, for who goes on with it
        self._cause = cause
        self._spent = spent
        self.tally = Tally(task.windows)
        self._pages: deque[_PendingPage] = deque()
        self._blamed: set[str] = set()  # a dry run files no gaps: those that it has counted the cause of
        self._entries = 0
        self._resumed = False
        self._noted: deque[Future[None]] = deque()
        self._kept: deque[Future[Recorded]] = deque()
        self.not_stored = 0  # records that the store cannot take, each alone

    async def take(self, rows: Sequence[DetailRow], as_of: str, entry: Entry | None = None) -> None:
        """Hand rows on to the store; wait only while too many wait for it. entry: remembered once they are safe."""
        if entry is not None and self._entries == 0:
            self._note(Entry("begin", divisions=self.divisions))
        page = _PendingPage(entry=entry, as_of=as_of)
        for row in rows:
            if row.broken:
                self._keep(letter_of(row, "a record of details that cannot be decoded", to_text(self._task.now())))
        for batch in self.tally.batches(rows):
            if self._task.options.dry_run:
                await self._compare(batch, as_of)
            else:
                page.waiting.append((batch, self._write(batch, as_of)))
        self._pages.append(page)
        await self._file_what_is_safe()
        while self._task.memory.rows_waiting.count > _ROWS_WAITING and (running := self._not_run_yet()) is not None:
            await asyncio.wrap_future(running)
            await self._file_what_is_safe()

    async def drain(self) -> None:
        """Wait until nothing waits for its commit. Raises what the first write that failed raised."""
        while self._pages:
            await self._file_one()
        while self._noted:
            await committed(self._noted.popleft())
        while self._kept:
            await committed(self._kept.popleft())

    def _not_run_yet(self) -> Future[None] | None:
        """The answer of this run's first write whose rows are not inserted yet; None where all of them are."""
        writes = (writing for page in self._pages for _, writing in page.waiting)
        return next((writing.ran for writing in writes if not writing.ran.done()), None)

    async def _file_what_is_safe(self) -> None:
        while self._pages and self._pages[0].safe:
            await self._file_one()

    async def _file_one(self) -> None:
        """Wait for the commit of the page that waits longest."""
        page = self._pages.popleft()
        for batch, writing in page.waiting:
            try:
                try:
                    outcome = await committed(writing)
                except UNFORESEEN:
                    await self._one_by_one(batch, page.as_of)
                    continue
            except Exception:
                self._pages.clear()  # of what comes after a hole nothing is remembered: the next run reads it again
                raise
            self._filed(batch, outcome)
        self._note(page.entry)

    async def _one_by_one(self, batch: RowBatch, as_of: str) -> None:
        """Write the rows of a batch that the store could not take together: the one whose fault it is is kept apart."""
        for row in batch.rows:
            alone = RowBatch(batch.window, [row], batch.again)
            try:
                outcome = await committed(self._write(alone, as_of))
            except UNFORESEEN as error:
                self.not_stored += 1
                self._keep(letter_of(row, cannot_take(error), to_text(self._task.now())))
            else:
                self._filed(alone, outcome)

    def _keep(self, letter: Unreadable) -> None:
        """Keep the bytes of a record among the dead letters."""
        if self._book is not None and not self._task.options.dry_run:
            self._kept.append(self._book.write(events.record, [letter], self._task.settings.lag))

    # How far it has come

    def resume(self, entries: Sequence[Entry]) -> None:
        """Go on from here: what these entries tell has been written."""
        self._entries, self._resumed = len(entries), True
        resume.restore(self.tally, entries)

    def _note(self, entry: Entry | None) -> None:
        if entry is None or self._book is None or self._task.options.dry_run:
            return
        resume.complete(entry, self.tally, began=self.began, spent=self._spent())
        key, at = self._task.journal_key, to_text(self._task.now())
        noted = self._book.write(unfinished_readings.append, key, self._entries, at, resume.encode(entry))
        self._entries += 1
        while self._noted and self._noted[0].done():
            self._noted.popleft().result()
        self._noted.append(noted)

    # Writing, or only comparing

    def _write(self, batch: RowBatch, as_of: str) -> WriteFuture[PageOutcome]:
        assert self._book is not None
        written = self._book.write(
            windows.write_details,
            batch.rows,
            self._read(batch, as_of),
            window=self._task.windows[batch.window],
            width=self._task.settings.width,
            cause=self._cause,
        )
        self._task.memory.rows_waiting.add(len(batch.rows))
        written.ran.add_done_callback(lambda _: self._task.memory.rows_waiting.add(-len(batch.rows)))
        return written

    def _read(self, batch: RowBatch, as_of: str) -> Read:
        classified = frozenset(ids_of(batch.rows) if batch.again else ())
        return Read(as_of, to_text(self._task.now()), self.began, classified, self._task.settings.lag)

    async def _compare(self, batch: RowBatch, as_of: str) -> None:
        if self._book is None:
            ids = ids_of(batch.rows)
            classes = dict.fromkeys(() if batch.again else ids, Comparison.MISSING)
            outcome = PageOutcome(classes, dict.fromkeys(ids, False))
        else:
            outcome = await self._book.read(conversations.compare, batch.rows, self._read(batch, as_of))
        for row in batch.rows:
            kind = outcome.gaps.get(row.conversation_id or "")
            if kind and row.conversation_id not in self._blamed:
                self._blamed.add(row.conversation_id or "")
                self.tally.shares[batch.window].causes[self._cause(row, kind)] += 1
        self._filed(batch, outcome)

    def _filed(self, batch: RowBatch, outcome: PageOutcome) -> None:
        """Count what the store said; what another window of this round has read before counts as it did then."""
        counted_before = self._task.memory.counted_before
        start, end = self._task.windows[batch.window].texts
        classes: Mapping[str, str] = outcome.classes
        content = outcome.content
        if self._resumed:
            # Written before the run was cut short, and after it had last noted how far it was.
            ours = (id_ for id_, kind in classes.items() if kind == Comparison.MISSING and id_ not in counted_before)
            content = dict.fromkeys(ours, False) | content
        if counted_before:
            classes = {id_: counted_before.get(id_, kind) for id_, kind in classes.items()}
            if self._task.options.dry_run:
                content = {id_: ended for id_, ended in content.items() if id_ not in counted_before}
        self.tally.shares[batch.window].causes.update(outcome.causes)
        self.tally.filed(batch, classes, content, outcome.drifted)
        for row in batch.rows:
            id_ = row.conversation_id or ""
            kind = outcome.classes.get(id_, Comparison.UNCHANGED)
            is_others = self._task.options.dry_run or not (row.start and start <= row.start < end)
            if id_ and kind != Comparison.UNCHANGED and is_others:
                counted_before.setdefault(id_, kind)
