"""The book's part for live capture: events, dead letters, coverage, refused topics, channels left."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.genesys.times import to_text
from rollbook.store.access import LAG, Access
from rollbook.store.file.writer import Writer
from rollbook.store.tables import channels, coverage, dead_letters, events
from rollbook.store.tables.coverage import Span
from rollbook.store.tables.dead_letters import Letter
from rollbook.store.tables.events import Recorded


class Captured(Access):
    """Access to what capture received, and to the times at which it listened."""

    def __init__(
        self,
        path: Path,
        *,
        writer: Writer | None,
        reader: sqlite3.Connection,
        now: Callable[[], datetime],
        lag: timedelta = LAG,
    ) -> None:
        super().__init__(path, writer=writer, reader=reader, now=now, lag=lag)
        self._spans: set[int] = set()

    def record(self, batch: Sequence[Notification | Unreadable]) -> Future[Recorded]:
        """Notifications and unreadable payloads, in one transaction."""
        return self._write(lambda db: events.record(db, batch, self._lag))

    def record_call(
        self, batch: Sequence[Notification | Unreadable], *, source: str, topics: Sequence[str], at: str
    ) -> Future[Recorded]:
        """Store what a call of a function brought, and that it listened, in one transaction."""

        def job(db: sqlite3.Connection) -> Recorded:
            coverage.note_call(db, source, coverage.FUNCTION, topics, at)
            return events.record(db, batch, self._lag)

        return self._write(job)

    def begin_coverage(self, source: str, scope: str, topics: Sequence[str], at: str) -> int:
        """Note that `source` listens to `topics` from `at` on. Answers the span's id, after the commit."""
        span = self._write(lambda db: coverage.begin(db, source, scope, topics, at)).result()
        self._spans.add(span)
        return span

    def end_coverage(self, span: int, at: str, reason: str) -> Future[None]:
        """Note that `span` listened until `at`, and why no longer."""
        self._spans.discard(span)
        return self._write(lambda db: coverage.end(db, span, at, reason))

    def alive(self, at: str, spans: Iterable[int] | None = None) -> Future[None]:
        """A sign of life of these spans (None: of every span that this process has begun and not ended)."""
        spans = tuple(self._spans if spans is None else spans)
        return self._write(lambda db: coverage.alive(db, spans, at))

    def close_stale_coverage(self) -> int:
        """End the spans that a killed daemon left. Only for the holder of the daemon's lock, at its start."""
        now = to_text(self._now())
        return self._write(lambda db: coverage.close_stale(db, now)).result()

    def dead_letters(self, *, source: str | None = None, limit: int = -1) -> list[Letter]:
        """The dead letters, the newest first."""
        return self.read(lambda db: dead_letters.listed(db, source, limit))

    def dead_letter(self, number: int) -> Letter | None:
        """The dead letter of that number, if there is one."""
        return self.read(lambda db: dead_letters.find(db, number))

    def drop_dead_letters(self, numbers: Sequence[int]) -> Future[int]:
        """Delete dead letters; answers how many there were."""
        return self._write(lambda db: dead_letters.drop(db, numbers))

    def answer_dead_letter(self, number: int, batch: Sequence[Notification | Unreadable]) -> Future[Recorded]:
        """Put what a dead letter turned out to be in its place."""

        def job(db: sqlite3.Connection) -> Recorded:
            dead_letters.drop(db, [number])
            return events.record(db, batch, self._lag)

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

    def keep_channels(self, until: Sequence[str]) -> Future[None]:
        """The channels that this and earlier runs have made: until when each lives, API text."""
        return self._write(lambda db: channels.keep(db, until))

    def channels_left(self) -> list[str]:
        """Until when each channel lives that was kept so and has not ended yet, the soonest first."""
        at = to_text(self._now())
        return self.read(lambda db: channels.left(db, at))

    def coverage(self, start: str, end: str) -> list[Span]:
        """The spans that touch [start, end)."""
        return self.read(lambda db: coverage.overlapping(db, start, end))

    def capture_since(self) -> str | None:
        """The time at which capture first listened."""
        return self.read(coverage.since)
