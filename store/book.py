"""The book: what the other rooms see of the store. It puts the tables' modules, the writer and the locks together.

Writes are answered by futures, after the commit that made them durable. Reads are answered at once, from a connection
of their own that sees every committed write.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from genesys.detail import DetailRow
from genesys.notification import Observation, Unreadable
from genesys.times import Interval, from_text, to_text
from store import conversations, counts, coverage, engine, events, gaps, journal, letters, locks, rebuild, windows
from store.checkpointer import Checkpointer
from store.conversations import Cause, OpenConversation, PageOutcome
from store.coverage import Span
from store.errors import StoreUnwritable, translate
from store.events import Recorded
from store.letters import Letter
from store.windows import RunRecord, WindowRow
from store.writer import Writer

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Book:
    """One store, opened. Use `Book.open`; it is a context manager.

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
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._reading = threading.Lock()
        self._now = now
        self._width = width
        self._command = command
        self._role = role
        self._spans: set[int] = set()

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        mode: Literal["rw", "ro"] = "rw",
        organization: tuple[str, str] | None = None,
        command: str = "rollbook",
        now: Callable[[], datetime] = _utc_now,
        width: timedelta = timedelta(minutes=30),
        journal: Literal["wal", "delete"] | None = None,
        busy: float = engine.BUSY_SECONDS,
    ) -> Self:
        """Open the store, creating it if need be (mode "rw").

        organization: (id, name) that it must belong to; None asks nothing. now: the clock that stamps writes.
        width: of the grid that a conversation's gap is filed under. journal: None is "wal", and "delete" where WAL does
        not work (a network file system); then this process must be the only one that writes. busy: seconds to wait for
        another program's transaction.
        Raises StoreUnwritable, StoreForeign, StoreBusy, StoreFull.
        """
        path = Path(path)
        writer = role = None
        if mode == "rw":
            journal = engine.choose_journal(path, journal)
            engine.prepare(path, organization=organization, journal=journal, busy=busy)
            role = Checkpointer(path) if journal == "wal" else None
            try:
                writer = Writer(
                    lambda: engine.connect(path, journal=journal, timeout=busy), path,
                    after_commit=role or (lambda: None),
                )  # fmt: skip
                if role is not None:
                    role.use(writer)
            except sqlite3.Error as error:
                raise translate(error, path) from None
        try:
            reader = engine.connect_reader(path, timeout=busy)
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        return cls(path, writer=writer, reader=reader, now=now, width=width, command=command, role=role)

    def close(self) -> None:
        """Commit what waits, then close. May be called twice."""
        if self._writer is not None:
            self._writer.close()
        if self._role is not None:
            self._role.release()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # How things are written and read

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        if self._writer is None:
            raise StoreUnwritable(f"{self.path} was opened for reading only")
        return self._writer.submit(job)

    def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` on the reading connection. Reports use it; from any thread, one at a time."""
        with self._reading:
            try:
                return job(self._reader)
            except sqlite3.Error as error:
                raise translate(error, self.path) from None

    @property
    def waiting(self) -> int:
        """How many writes wait for their commit (approximate)."""
        return 0 if self._writer is None else self._writer.waiting

    @property
    def organization(self) -> tuple[str, str] | None:
        """(id, name) of the organisation that the store belongs to, once it is known."""
        found = self.read(lambda db: db.execute("SELECT id, name FROM organization").fetchone())
        return (found[0], found[1]) if found else None

    # Live capture

    def record(self, batch: Sequence[Observation | Unreadable]) -> Future[Recorded]:
        """Notifications and unreadable payloads, in one transaction."""
        return self._write(lambda db: events.record(db, batch))

    def record_call(
        self, batch: Sequence[Observation | Unreadable], *, source: str, topics: Sequence[str], at: str
    ) -> Future[Recorded]:
        """What one call of a function brought, and that it listened, in one transaction."""

        def job(db: sqlite3.Connection) -> Recorded:
            coverage.heard(db, source, coverage.FUNCTION, topics, at)
            return events.record(db, batch)

        return self._write(job)

    def function_is_alive(self) -> Future[None]:
        """A function that captures has been called, though not by an event."""
        at = to_text(self._now())
        return self._write(lambda db: coverage.function_is_alive(db, at))

    def begin_coverage(self, source: str, scope: str, topics: Sequence[str], at: str) -> int:
        """From `at` on, `source` hears `topics`. Answers the span's id, after the commit."""
        span = self._write(lambda db: coverage.begin(db, source, scope, topics, at)).result()
        self._spans.add(span)
        return span

    def end_coverage(self, span: int, at: str, reason: str) -> Future[None]:
        """`span` heard until `at`, and why no longer."""
        self._spans.discard(span)
        return self._write(lambda db: coverage.end(db, span, at, reason))

    def alive(self, at: str, spans: Iterable[int] | None = None) -> Future[None]:
        """A sign of life of these spans (None: of every span that this process has begun and not ended)."""
        spans = tuple(self._spans if spans is None else spans)
        return self._write(lambda db: coverage.alive(db, spans, at))

    def close_stale_coverage(self) -> int:
        """End the spans that a killed daemon left. Only for the holder of the daemon's lock, at its start."""
        return self._write(coverage.close_stale).result()

    def dead_letters(self, *, source: str | None = None, limit: int = -1) -> list[Letter]:
        """What could not be understood, the newest first."""
        return self.read(lambda db: letters.listed(db, source, limit))

    def dead_letter(self, number: int) -> Letter | None:
        """One dead letter."""
        return self.read(lambda db: letters.one(db, number))

    def drop_dead_letters(self, numbers: Sequence[int]) -> Future[int]:
        """Delete dead letters; answers how many there were."""
        return self._write(lambda db: letters.drop(db, numbers))

    def answer_dead_letter(self, number: int, batch: Sequence[Observation | Unreadable]) -> Future[Recorded]:
        """Put what a dead letter turned out to be in its place."""

        def job(db: sqlite3.Connection) -> Recorded:
            letters.drop(db, [number])
            return events.record(db, batch)

        return self._write(job)

    def reject_topics(self, topics: Iterable[Mapping[str, Any]], at: str) -> Future[None]:
        """Topics that the platform refused: {"topic", "reason", "missing_permissions"}."""
        listed = list(topics)
        return self._write(lambda db: coverage.reject(db, listed, at))

    def accept_topics(self, topics: Iterable[str]) -> Future[None]:
        """Topics that are subscribed now, whatever was said of them before."""
        listed = list(topics)
        return self._write(lambda db: coverage.accept(db, listed))

    def rejected_topics(self) -> list[dict[str, Any]]:
        """The topics that were refused when they were last asked for."""
        return self.read(coverage.rejected)

    def coverage(self, start: str, end: str) -> list[Span]:
        """The spans that touch [start, end)."""
        return self.read(lambda db: coverage.overlapping(db, start, end))

    def capture_since(self) -> str | None:
        """When capture first listened."""
        return self.read(coverage.since)

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
        at = to_text(self._now())
        return self._write(
            lambda db: conversations.write(
                db, details, as_of=as_of, at=at, run_started_at=run_started_at, already=already,
                window_start=self._filed_under(window), cause=cause,
            )
        )  # fmt: skip

    def compare_details(
        self, details: Sequence[DetailRow], *, as_of: str, run_started_at: str, already: Mapping[str, Any]
    ) -> PageOutcome:
        """What `write_details` would answer; writes nothing."""
        return self.read(
            lambda db: conversations.compare(
                db, details, as_of=as_of, at=to_text(self._now()), run_started_at=run_started_at, already=already
            )
        )  # fmt: skip

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
        """The conversations to ask for by id: still going on, or heard of since they were read."""
        return self.read(lambda db: conversations.open_conversations(db, limit))

    def ongoing_count(self, interval: Interval) -> int:
        """Reconciled conversations of the interval that go on (stuck and gone ones do not count)."""
        return self.read(
            lambda db: conversations.ongoing_count(db, to_text(interval.start), to_text(interval.end))
        )  # fmt: skip

    def last_ended(self, interval: Interval) -> str | None:
        """When the last of the interval's reconciled conversations ended."""
        return self.read(lambda db: conversations.last_ended(db, to_text(interval.start), to_text(interval.end)))

    def live_only_ids(self, interval: Interval) -> list[str]:
        """Conversations of the interval that are known from live capture alone."""
        return self.read(
            lambda db: conversations.live_only_ids(db, to_text(interval.start), to_text(interval.end))
        )  # fmt: skip

    def reconciled_ids(self, interval: Interval) -> list[str]:
        """Conversations of the interval that have been read, but for those that the platform no longer knows."""
        return self.read(
            lambda db: conversations.reconciled_ids(db, to_text(interval.start), to_text(interval.end))
        )  # fmt: skip

    def mark_live_only(self, ids: Sequence[str], *, window_start: str, cause: str, at: str) -> Future[int]:
        """File these as heard live and not listed by the platform; answers how many were new."""
        found = [gaps.Gap(one, window_start, "live_only", cause, at, None) for one in ids]
        return self._write(lambda db: gaps.add(db, found))

    def mark_gone(self, ids: Sequence[str], at: str) -> Future[int]:
        """The platform no longer knows these. They stay; nobody asks for them again."""
        del at
        return self._write(lambda db: conversations.mark(db, ids, "gone"))

    def mark_stuck(self, ids: Sequence[str], at: str) -> Future[int]:
        """These have been open for too long. They hold nothing up any more."""
        del at
        return self._write(lambda db: conversations.mark(db, ids, "stuck"))

    # The ledger

    def window(self, start: str, end: str, filter: str = "") -> WindowRow | None:
        """The window's row, if the ledger has it."""
        return self.read(lambda db: windows.one(db, start, end, filter))

    def windows(
        self,
        *,
        verdicts: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        filter: str | None = "",
    ) -> list[WindowRow]:
        """The windows that touch [since, until), in order of their start. filter None: those of every filter."""
        return self.read(
            lambda db: windows.listed(db, verdicts=verdicts, since=since, until=until, filter=filter)
        )  # fmt: skip

    def note_windows(self, waiting: Sequence[tuple[str, str, str]], filter: str) -> Future[int]:
        """Show windows that wait to be read: (start, end, "pending" or "due")."""
        listed = list(waiting)
        return self._write(lambda db: windows.note(db, listed, filter))

    def finish_run(self, run: RunRecord) -> Future[int]:
        """File a run over a window."""
        return self._write(lambda db: windows.finish(db, run))

    def set_verdict(
        self,
        start: str,
        end: str,
        filter: str,
        verdict: str,
        *,
        reason: str | None = None,
        ongoing: int | None = None,
        at: str,
    ) -> Future[None]:
        """Change a window's verdict without a read of it."""
        return self._write(
            lambda db: windows.set_verdict(
                db, start, end, filter, verdict, reason=reason, ongoing=ongoing, at=at
            )
        )  # fmt: skip

    def refresh_verdicts(self, at: str) -> Future[int]:
        """Make the verdicts of proven windows agree with what follow-up found; answers how many changed."""
        return self._write(lambda db: windows.refresh(db, at))

    def inherit(
        self, start: str, end: str, filter: str, children: Sequence[tuple[str, str]], *, at: str
    ) -> Future[int]:
        """Let these grid windows take over the proof of the interval that they lie in."""
        return self._write(lambda db: windows.inherit(db, (start, end, filter), children, at=at))

    def runs_of(self, start: str, end: str, filter: str = "") -> list[dict[str, Any]]:
        """Every run over a window, oldest first."""
        return self.read(lambda db: windows.runs(db, start, end, filter))

    # Readings that are not finished yet

    def note_progress(self, key: journal.Key, number: int, entry: bytes) -> Future[None]:
        """Keep entry `number` of a reading under way, after everything that was written before."""
        at = to_text(self._now())
        return self._write(lambda db: journal.append(db, key, number, at, entry))

    def progress(self, key: journal.Key, *, since: str) -> list[bytes]:
        """What is kept of a reading that was begun at or after `since` and cut short."""
        return self.read(lambda db: journal.entries(db, key, since))

    def drop_progress(self, key: journal.Key, *, older_than: str) -> Future[None]:
        """Forget a reading, and any that nobody has gone on with since."""

        def job(db: sqlite3.Connection) -> None:
            journal.drop(db, key)
            journal.drop_older(db, older_than)

        return self._write(job)

    def gaps(self, *, since: str = "", until: str = "9", kind: str | None = None, limit: int = -1) -> list[gaps.Gap]:
        """The gaps of windows that start in [since, until)."""
        return self.read(lambda db: gaps.listed(db, since=since, until=until, kind=kind, limit=limit))

    # For reports

    def details_of(self, start: str, end: str) -> dict[str, str]:
        """The details of the conversations that started in [start, end), by id."""
        return self.read(lambda db: conversations.details_of(db, start, end))

    def child_rows(self) -> int:
        """How many rows all child tables have together."""
        return self.read(conversations.child_rows)

    def metric_counts(self, interval: Interval, names: Sequence[str]) -> dict[tuple[str, str], int]:
        """(media type, metric) → how many were emitted in the interval."""
        return self.read(lambda db: counts.by_media(db, to_text(interval.start), to_text(interval.end), names))

    def rebuild(self, told: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
        """Make everything that is derived again; answers (conversations, those that were not as they are now)."""
        after: str | None = ""
        done = corrected = 0
        while after is not None:
            here = after
            made = self._write(lambda db, here=here: rebuild.step(db, here)).result()  # type: ignore[misc]
            after, done, corrected = made.last, done + made.conversations, corrected + made.corrected
            told(done)
        return done, corrected

    # Locks

    def lock_window(
        self, interval: Interval, *, wait: float = 60.0, command: str | None = None
    ) -> AbstractContextManager[None]:
        """Exclude other runs from the interval. Blocks for up to `wait` seconds; raises LockHeld, naming the holder."""
        span = locks.window_range(_milliseconds(interval.start), _milliseconds(interval.end))
        return locks.held(
            locks.lock_file(self.path), span, what=f"the window {interval.text}", command=command or self._command,
            wait=wait,
        )  # fmt: skip

    @contextmanager
    def lock_daemon(self, *, wait: float = 0.0) -> Iterator[None]:
        """Be the one daemon of this store. Raises LockHeld, naming the other one."""
        with locks.held(
            locks.lock_file(self.path), locks.DAEMON, what=f"the daemon's place on {self.path}", command=self._command,
            wait=wait,
        ):  # fmt: skip
            yield


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
