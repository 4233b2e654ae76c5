"""Rows on their way into the book: how many may wait, whoever reads them."""

import asyncio
import gc
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.reading import resume
from reconcile.run.book_calls import committed
from reconcile.run.options import RoundMemory, RowsWaiting, RunTask
from reconcile.run.page_writer import PageWriter
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.file import writer as writer_module
from rollbook.store.file.errors import StoreFull
from rollbook.store.file.transactions import transaction
from rollbook.store.tables import conversations, unfinished_readings
from tests.helpers.organisation import START, Clock, page, record, settings

AT = to_text(START + timedelta(days=1))


def writing(book: Book, hour: int, waiting: RowsWaiting | None = None) -> PageWriter:
    """A run over an hour of its own."""
    window = Interval(START + timedelta(hours=hour), START + timedelta(hours=hour + 1))
    clock = Clock(START + timedelta(days=2))
    memory = RoundMemory(rows_waiting=waiting or RowsWaiting())
    task = RunTask(windows=[window], settings=settings(), now=clock.now, memory=memory)
    return PageWriter(task, book, began=AT, cause=lambda _row, _kind: "unknown", spent=lambda: 0)


def rows(run: int, number: int) -> Sequence[DetailRow]:
    """A page of a hundred conversations that nobody has read yet."""
    return page([record(f"{run}-{number}-{nth}") for nth in range(100)]).rows


async def test_what_waits_is_bounded_for_all_runs_together(tmp_path: Path) -> None:
    """Six runs read side by side while the disk is slow: what they hold is what one alone would, and a page each."""
    with Book.open(tmp_path / "rollbook.db") as book:
        slow: Future[None] = Future()
        book.write(lambda _db: slow.result(60))
        taken, waiting = [0] * 6, RowsWaiting()

        async def read(run: int) -> None:
            writer = writing(book, run, waiting)
            for number in range(10):
                await writer.take(rows(run, number), AT)
                taken[run] += 1
            await writer.drain()

        runs = [asyncio.create_task(read(run)) for run in range(6)]
        while waiting.count <= 200:
            await asyncio.sleep(0)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert 200 < waiting.count <= 200 + 600
        slow.set_result(None)
        await asyncio.gather(*runs)
        assert (taken, waiting.count) == ([10] * 6, 0)
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM conversations").fetchone()) == (6000,)


async def test_pages_are_taken_while_others_are_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit needs nothing of Python's: so many pages come meanwhile as may wait. Nothing is remembered before it."""
    committing, may_commit = threading.Event(), threading.Event()

    @contextmanager
    def slow(db: sqlite3.Connection) -> Iterator[None]:
        with transaction(db):
            yield
            committing.set()
            assert may_commit.wait(60)

    with Book.open(tmp_path / "rollbook.db") as book:
        monkeypatch.setattr(writer_module, "transaction", slow)
        writer = writing(book, 0)
        await writer.take(rows(0, 0), AT, resume.Entry("page"))
        await asyncio.to_thread(committing.wait, 60)
        for number in (1, 2):
            await asyncio.wait_for(writer.take(rows(0, number), AT, resume.Entry("page")), 60)
        assert writer._task.memory.rows_waiting.count == 200
        third = asyncio.create_task(writer.take(rows(0, 3), AT, resume.Entry("page")))
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not third.done()
        assert writer._entries == 1  # that it has begun, which is noted with the first page
        may_commit.set()
        await third
        await writer.drain()
        assert writer._task.memory.rows_waiting.count == 0
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM conversations").fetchone()) == (400,)


@pytest.fixture
def complaints() -> Iterator[list[dict[str, Any]]]:
    """What asyncio complains of: errors of futures that nobody has looked at."""
    found: list[dict[str, Any]] = []
    yield found
    gc.collect()
    assert found == []


def failing(write: Callable[..., Any], *, when: Callable[..., bool]) -> Callable[..., Any]:
    """A function of the store's, for which the disk is full when it is given such."""

    def fails(db: sqlite3.Connection, *given: Any, **named: Any) -> Any:
        if when(*given):
            raise sqlite3.DatabaseError("database or disk is full")
        return write(db, *given, **named)

    return fails


@pytest.mark.parametrize("failed", [("0-0-", "0-1-", "0-2-"), ("0-0-",)])
async def test_behind_a_write_that_failed_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaints: list[dict[str, Any]], failed: tuple[str, ...]
) -> None:
    """Its error is raised once and asyncio has none to tell; pages behind it are read again, be they written or not."""
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    full = failing(conversations.write, when=lambda details, _: details[0].conversation_id.startswith(failed))
    monkeypatch.setattr(conversations, "write", full)
    with Book.open(tmp_path / "rollbook.db") as book:
        slow: Future[None] = Future()
        book.write(lambda _db: slow.result(60))
        writer = writing(book, 0)
        for number in range(3):
            await writer.take(rows(0, number)[:50], AT, resume.Entry("page"))
        slow.set_result(None)
        with pytest.raises(StoreFull):
            await writer.drain()
        await writer.drain()
        remembered = resume.decode(await book.read(unfinished_readings.entries, writer._task.journal_key, AT[:10]))
    assert [entry.kind for entry in remembered] == ["begin"]


async def test_a_step_that_could_not_be_remembered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the ones after it could, and all rows are written."""
    monkeypatch.setattr(
        unfinished_readings, "append", failing(unfinished_readings.append, when=lambda _key, number, *_: number == 0)
    )
    with Book.open(tmp_path / "rollbook.db") as book:
        writer = writing(book, 0)

        async def read() -> None:
            for number in range(3):
                await writer.take(rows(0, number), AT, resume.Entry("page"))
                await committed(book.write(lambda _db: None))
            await writer.drain()

        with pytest.raises(StoreFull):
            await read()
