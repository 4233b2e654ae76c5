"""The book: what the other rooms see of the store. It puts the tables' modules, the writer and the locks together.

Writes are answered by futures, after the commit that made them durable. Reads are answered at once, from a connection
of their own that sees every committed write.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store import rebuild
from rollbook.store.access import LAG
from rollbook.store.captured import Captured
from rollbook.store.file import connections, locks
from rollbook.store.file.checkpointer import Checkpointer
from rollbook.store.file.errors import translate
from rollbook.store.file.waiting import Patience
from rollbook.store.file.writer import Writer
from rollbook.store.ledger import Ledger
from rollbook.store.tables import asked_by_id, conversations, gaps, metric_counts, notes, windows
from rollbook.store.tables.conversations import Cause, OpenConversation, PageOutcome, Read
from rollbook.store.vocabulary import GapKind, SetAside

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Book(Captured, Ledger):
    """An opened store. Use `Book.open`; it is a context manager.

    Every method may raise a StoreError, whose message is one line that says what to do.
    """

    def __init__(
        self,
        path: Path,
        *,
        writer: Writer | None,
        reader: sqlite3.Connection,
        now: Callable[[], datetime],
        width: timedelta,
        command: str,
        role: Checkpointer | None,
        lag: timedelta = LAG,
    ) -> None:
        super().__init__(path, writer=writer, reader=reader, now=now, lag=lag)
        self._width = width
        self._command = command
        self._details_waiting = 0
        self._counting = threading.Lock()
        self._role = role

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        mode: Literal["rw", "r+", "ro"] = "rw",
        organization: tuple[str, str] | None = None,
        command: str = "rollbook",
        now: Callable[[], datetime] = _utc_now,
        width: timedelta = timedelta(minutes=30),
        lag: timedelta = LAG,
        journal: Literal["wal", "delete"] | None = None,
        busy: float = connections.BUSY_SECONDS,
        hurry: threading.Event | None = None,
    ) -> Self:
        """Open the store.

        mode: "rw" makes it if need be; "r+" writes to one that is there, "ro" reads it.
        organization: (id, name) that it must belong to; None asks nothing. now: the clock that stamps writes.
        width: of the grid that a conversation's gap is filed under. lag: how far the platform's index may be behind.
        journal: None is "wal", and "delete" where WAL does
        not work (a network file system); then this process must be the only one that writes. busy: seconds to wait for
        another program's transaction. hurry: once it is set, opening and writing give up on that within a second.
        Raises StoreUnwritable, StoreForeign, StoreBusy, StoreFull.
        """
        path = Path(path)
        writer = role = None
        if mode == "r+":
            connections.must_be_there(path)
        if mode != "ro":
            journal = connections.choose_journal(path, journal)
            patience = Patience(busy, hurry or threading.Event())
            connections.prepare(path, organization=organization, journal=journal, patience=patience)
            role = Checkpointer(path) if journal == "wal" else None
            try:
                writer = Writer(
                    lambda: connections.connect(path, journal=journal, timeout=patience.step),
                    path,
                    patience=patience,
                    after_commit=role or (lambda _: None),
                    before_close=notes.settle,
                )
                if role is not None:
                    role.use(writer)
            except sqlite3.Error as error:
                raise translate(error, path) from None
        try:
            reader = connections.connect_reader(path, timeout=busy)
            if writer is not None:
                locks.must_not_be_restored(path, command, unless=reader.close)
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        return cls(path, writer=writer, reader=reader, now=now, width=width, command=command, role=role, lag=lag)

    def close(self) -> None:
        """Commit what waits, then close: where nobody else has it open, all is in the one file. May be called twice."""
        # The one that writes goes last: SQLite takes the write-ahead log into the file when its last connection goes,
        # and one that only reads cannot.
        self._end_reading()
        if self._writer is not None:
            self._writer.close()
        if self._role is not None:
            self._role.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def use_width(self, width: timedelta, lag: timedelta | None = None) -> None:
        """File the gaps of conversations that are read by id under this grid from now on, and believe this lag."""
        self._width = width
        self._lag = self._lag if lag is None else lag

    @property
    def organization(self) -> tuple[str, str] | None:
        """(id, name) of the organisation that the store belongs to, once it is known."""
        found = self.read(lambda db: db.execute("SELECT id, name FROM organization").fetchone())
        return (found[0], found[1]) if found else None

    # Details

    def write_details(
        self,
        details: Sequence[DetailRow],
        *,
        as_of: str,
        run_started_at: str,
        window: Interval | None,
        already: Mapping[str, Any],
        cause: Cause,
    ) -> Future[PageOutcome]:
        """A page of details, with child rows and gaps, in one transaction.

        as_of: how old the read is. window: what this run owns (None: a read by id). already: ids classified before in
        this run; it is read in the writer's thread and must not change until the future is answered.
        """
        read = Read(as_of, to_text(self._now()), run_started_at, already, self._lag)
        window_start = self._filed_under(window)

        def job(db: sqlite3.Connection) -> PageOutcome:
            outcome = conversations.write(db, details, read, window_start=window_start, cause=cause)
            if outcome.first_read:
                windows.contradict(db, outcome.first_read, read.at)
            return outcome

        written = self._write(job)
        self._count_waiting(len(details))
        written.add_done_callback(lambda _: self._count_waiting(-len(details)))
        return written

    def _count_waiting(self, number: int) -> None:
        with self._counting:
            self._details_waiting += number

    @property
    def details_waiting(self) -> int:
        """The number of details that wait for their commit, of all runs of this process together."""
        return self._details_waiting

    def compare_details(
        self, details: Sequence[DetailRow], *, as_of: str, run_started_at: str, already: Mapping[str, Any]
    ) -> PageOutcome:
        """Answer what `write_details` would, without the causes of the gaps; write nothing."""
        read = Read(as_of, to_text(self._now()), run_started_at, already, self._lag)
        return self.read(lambda db: conversations.compare(db, details, read))

    def _filed_under(self, window: Interval | None) -> Callable[[DetailRow], str]:
        """The start of the window that a conversation belongs to: the run's own, else the grid's."""
        start, end = (to_text(window.start), to_text(window.end)) if window else ("9", "")

        def window_start(row: DetailRow) -> str:
            if row.start is None:
                return start if window else to_text(self._now())
            return start if start <= row.start < end else self._grid_start(row.start)

        return window_start

    def _grid_start(self, text: str) -> str:
        try:
            epoch = datetime(1970, 1, 1, tzinfo=UTC)
            return to_text(epoch + (from_text(text) - epoch) // self._width * self._width)
        except (ValueError, OverflowError):
            return text

    def open_conversations(self, *, limit: int = 10_000) -> list[OpenConversation]:
        """The conversations to ask for by id: still going on, or with events since they were read."""
        return self.read(lambda db: conversations.open_conversations(db, limit))

    def set_aside(self, *, asked_before: str, now: str, limit: int = 200) -> list[OpenConversation]:
        """The stuck and the gone ones that have not been asked for since `asked_before` (API text)."""
        return self.read(lambda db: conversations.set_aside(db, asked_before, now, limit))

    def nobody_will_read(
        self, *, first_seen: str, asked_before: tuple[str, str], now: str, limit: int = 1_000
    ) -> list[OpenConversation]:
        """The conversations that capture saw before `first_seen` and that no waiting window will bring."""
        return self.read(lambda db: conversations.nobody_will_read(db, first_seen, asked_before, now, limit))

    def a_listed_id(self, but: Sequence[str] = ()) -> str | None:
        """A conversation that the platform certainly knows, to be asked for beside others; none of `but`."""
        return self.read(lambda db: conversations.a_listed_id(db, but))

    def found_by_id(self, going_on: Sequence[str], ended: Sequence[str], at: str) -> Future[None]:
        """Note that an answer by id at `at` had these."""
        return self._write(lambda db: asked_by_id.found(db, going_on, ended, at))

    def absent_by_id(self, ids: Sequence[str], at: str, *, since: str) -> Future[list[str]]:
        """Note that an answer at `at` lacked these; answers those that have been absent since `since` or earlier."""
        return self._write(lambda db: asked_by_id.absent(db, ids, at, since))

    def undecided_by_id(self, ids: Sequence[str], at: str) -> Future[None]:
        """Note that these were asked for at `at`, and that the answer says nothing of them."""
        return self._write(lambda db: asked_by_id.undecided(db, ids, at))

    def refused_by_id(self, ids: Sequence[tuple[str, str]], at: str) -> Future[None]:
        """Note that the platform refuses to be asked for these, each alone: (id, why)."""
        return self._write(lambda db: asked_by_id.refused(db, ids, at))

    def ongoing_count(self, interval: Interval) -> int:
        """Reconciled conversations of the interval that go on (stuck and gone ones do not count)."""
        return self.read(lambda db: conversations.ongoing_count(db, to_text(interval.start), to_text(interval.end)))

    def last_ended(self, interval: Interval) -> str | None:
        """The end of the interval's reconciled conversation that ended last."""
        return self.read(lambda db: conversations.last_ended(db, to_text(interval.start), to_text(interval.end)))

    def live_only_ids(self, interval: Interval) -> list[str]:
        """Conversations of the interval that are known from live capture alone."""
        return self.read(lambda db: conversations.live_only_ids(db, to_text(interval.start), to_text(interval.end)))

    def reconciled_ids(self, interval: Interval) -> list[str]:
        """Conversations of the interval that have been read, but for those that the platform no longer knows."""
        return self.read(lambda db: conversations.reconciled_ids(db, to_text(interval.start), to_text(interval.end)))

    def mark_live_only(self, ids: Sequence[str], *, window_start: str, cause: str, at: str) -> Future[int]:
        """File these as received live and not listed by the platform; answers how many were new."""
        found = [gaps.Gap(conversation_id, window_start, GapKind.LIVE_ONLY, cause, at, None) for conversation_id in ids]
        return self._write(lambda db: gaps.add(db, found))

    def mark_gone(self, ids: Sequence[str], at: str) -> Future[int]:
        """Note that the platform no longer knows these. They stay; nobody asks for them again."""
        del at
        return self._write(lambda db: conversations.mark(db, ids, SetAside.GONE))

    def mark_stuck(self, ids: Sequence[str], at: str) -> Future[int]:
        """Note that these have been open for too long. No window waits for them any more."""
        del at
        return self._write(lambda db: conversations.mark(db, ids, SetAside.STUCK))

    # For reports

    def details_of(self, start: str, end: str) -> dict[str, str]:
        """The details of the conversations that started in [start, end), by id."""
        return self.read(lambda db: conversations.details_of(db, start, end))

    def child_rows(self) -> int:
        """The number of rows of all child tables together."""
        return self.read(conversations.count_child_rows)

    def metric_counts(self, interval: Interval, names: Sequence[str]) -> dict[tuple[str, str], int]:
        """(media type, metric) → how many were emitted in the interval."""
        return self.read(lambda db: metric_counts.by_media(db, to_text(interval.start), to_text(interval.end), names))

    def rebuild(self, on_step: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
        """Make everything that is derived again; answers (conversations, those that were not as they are now)."""
        after: str | None = ""
        done = corrected = 0
        while after is not None:
            here = after
            made = self._write(lambda db, here=here: rebuild.step(db, here, self._lag)).result()  # type: ignore[misc]
            after, done, corrected = made.last, done + made.conversations, corrected + made.corrected
            on_step(done)
        return done, corrected

    # Locks

    def lock_window(
        self, interval: Interval, *, wait: float = 60.0, command: str | None = None
    ) -> AbstractContextManager[None]:
        """Exclude other runs from the interval. Blocks for up to `wait` seconds; raises LockHeld, naming the holder."""
        span = locks.window_range(_milliseconds(interval.start), _milliseconds(interval.end))
        return locks.locked(
            locks.lock_file(self.path),
            span,
            what=f"the window {interval.text}",
            command=command or self._command,
            wait=wait,
        )

    @contextmanager
    def lock_daemon(self, *, wait: float = 0.0) -> Iterator[None]:
        """Be the one daemon of this store. Raises LockHeld, naming the other one."""
        with locks.locked(
            locks.lock_file(self.path),
            locks.DAEMON,
            what=str(self.path),
            command=self._command,
            wait=wait,
            # A daemon never finishes.
            state="has a daemon already:",
            remedy="stop it, or give this one another file with --db",
        ):
            yield


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
