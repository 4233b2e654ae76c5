"""From the inbox into the book: what the book does not take now is kept, said, and said to be over."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from realtime.storing import store_frames
from realtime.storing.inbox import CoverageBegin, Inbox
from realtime.storing.store_frames import FrameStore
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreBusy
from rollbook.store.tables import coverage
from tests.helpers.stage import now, topic


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
