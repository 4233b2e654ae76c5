"""From the inbox into the book: what the book does not take now is kept, said, and said to be over."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from realtime.storing import store_frames
from realtime.storing.inbox import CROWD, CoverageBegin, Frame, Inbox
from realtime.storing.store_frames import BATCH, FrameStore, Stored
from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreBusy
from rollbook.store.tables import coverage, events
from rollbook.store.tables.events import Recorded
from tests.helpers.stage import conversation, now, snapshot, topic


async def test_a_quiet_line_says_that_the_store_takes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file was locked when coverage began, and no event comes: once the span is noted, nothing fails any more."""
    monkeypatch.setattr(store_frames, "RETRY", 0.0)
    inbox = Inbox()
    with Book.open(tmp_path / "rollbook.db") as book:
        begin, failing = coverage.begin, []
        frame_store = FrameStore(book, inbox, now=now)

        def locked(db: sqlite3.Connection, source: str, scope: str, topics: Sequence[str], at: str) -> int:
            failing.append(frame_store.stored.failing)
            if len(failing) < 3:
                raise StoreBusy("locked by another program")
            return begin(db, source, scope, topics, at)

        monkeypatch.setattr(coverage, "begin", locked)
        inbox.note(CoverageBegin(1, "line 1", (topic(),), "2026-08-03T14:00:00.000Z"))
        inbox.close()
        async with asyncio.timeout(10):
            await frame_store.run()
        # The writer asks again alone for what failed within a group, so a try may be seen twice.
        assert (failing[0], failing[-1]) == (None, "locked by another program")
        assert frame_store.stored.failing is None
        assert len(await book.read(coverage.overlapping, "0", "9")) == 1


async def test_batches_are_larger_where_more_comes_than_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that waits, once the sources are made to wait for it; else as much as is soon read and stored."""
    inbox, sizes, record = Inbox(), [], events.record
    for at in range(CROWD + BATCH + 1):
        inbox.put(Frame(snapshot(at).encode(), now(), 1))
    inbox.close()

    def noted(db: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta) -> Recorded:
        sizes.append(len(batch))
        return record(db, batch, lag)

    monkeypatch.setattr(events, "record", noted)
    with Book.open(tmp_path / "rollbook.db") as book:
        await FrameStore(book, inbox, now=now).run()
        assert sizes == [CROWD, BATCH, 1]
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM events").fetchone()[0]) == sum(sizes)


async def test_the_next_batch_is_read_while_one_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits for the disk and leaves the processor alone; what was read meanwhile counts as not stored."""
    inbox, record, reads, in_flight = Inbox(), events.record, [], []
    two_are_read = threading.Event()
    for at in range(CROWD + 10):
        inbox.put(Frame(snapshot(at).encode(), now(), 1))
    inbox.close()

    def committing(
        db: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta, say: Callable[[], None]
    ) -> Recorded:
        recorded = record(db, batch, lag)
        say()
        assert two_are_read.wait(10)
        in_flight.append(frame_store.in_flight)
        return recorded

    def read(batch: Sequence[Notification]) -> None:
        reads.append(len(batch))
        if len(reads) == 2:
            two_are_read.set()

    monkeypatch.setattr(events, "record_and_say", committing)
    with Book.open(tmp_path / "rollbook.db") as book:
        frame_store = FrameStore(book, inbox, now=now, on_notifications=read)
        await frame_store.run()
    assert reads == [CROWD, 10]
    assert in_flight == [CROWD + 10, 10]
    assert (frame_store.in_flight, frame_store.stored.events_new) == (0, CROWD + 10)


async def test_nothing_is_read_ahead_of_a_note_about_coverage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger says nothing before what came before it is stored, and no frame that came after it is stored before.

    Not even if the book takes nothing at first.
    """
    monkeypatch.setattr(store_frames, "RETRY", 0.0)
    inbox, record, begin = Inbox(), events.record, coverage.begin
    order: list[object] = []
    for at in range(3):
        inbox.put(Frame(snapshot(at).encode(), now(), 1))
        inbox.note(CoverageBegin(1, f"line {at}", (topic(),), "2026-08-03T14:00:00.000Z"))
    inbox.close()
    fails = iter((True, False, False, True, False, False))

    def recorded(db: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta) -> Recorded:
        if next(fails, False):
            raise StoreBusy("locked by another program")
        order.append([item.conversation_id for item in batch if isinstance(item, Notification)])
        return record(db, batch, lag)

    def begun(db: sqlite3.Connection, source: str, scope: str, topics: Sequence[str], at: str) -> int:
        order.append(scope)
        return begin(db, source, scope, topics, at)

    monkeypatch.setattr(events, "record", recorded)
    monkeypatch.setattr(coverage, "begin", begun)
    with Book.open(tmp_path / "rollbook.db") as book:
        await FrameStore(book, inbox, now=now).run()
    assert order == [entry for at in range(3) for entry in ([conversation(at)], f"line {at}")]


def test_notifications_are_counted_by_template() -> None:
    """The id of a conversation, and of anything else, is no part of what is counted."""
    stored = Stored()
    ids = [conversation(at) for at in range(3)]
    for each in ids:
        stored.count(f"v2.detail.events.conversation.{each}.acd.start", each)
        stored.count(f"v2.conversations.{each}.users.{ids[0]}.x", each)
        stored.count(topic(), each)
        stored.count(f"v2.users.{each}.presence")
    assert stored.by_template == {
        "v2.detail.events.conversation.{id}.acd.start": 3,
        "v2.conversations.{id}.users.{id}.x": 3,
        "v2.routing.queues.{id}.conversations": 3,
        "v2.users.{id}.presence": 3,
    }
