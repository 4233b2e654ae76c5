"""Rows on their way into the book: how many may wait, whoever reads them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

from genesys.detail import DetailRow
from genesys.times import Interval, to_text
from organisation import START, Clock, page, record, settings
from reconcile.task import Task
from reconcile.writing import Writing
from store.book import Book

AT = to_text(START + timedelta(days=1))


def writing(book: Book, hour: int) -> Writing:
    """A run over an hour of its own."""
    window = Interval(START + timedelta(hours=hour), START + timedelta(hours=hour + 1))
    task = Task(windows=[window], settings=settings(), now=Clock(START + timedelta(days=2)).now)
    return Writing(task, book, began=AT, cause=lambda _row, _kind: "unknown", spent=lambda: 0)


def rows(run: int, number: int) -> Sequence[DetailRow]:
    """A page of a hundred conversations that nobody has read yet."""
    return page([record(f"{run}-{number}-{one}") for one in range(100)]).rows


async def test_what_waits_is_bounded_for_all_runs_together(tmp_path: Path) -> None:
    """Six runs read side by side while the disk is slow: what they hold is what one alone would, and a page each."""
    with Book.open(tmp_path / "rollbook.db") as book:
        slow: Future[None] = Future()
        book._write(lambda _db: slow.result(60))
        taken = [0] * 6

        async def read(run: int) -> None:
            one = writing(book, run)
            for number in range(10):
                await one.take(rows(run, number), AT)
                taken[run] += 1
            await one.drain()

        runs = [asyncio.create_task(read(run)) for run in range(6)]
        while book.details_waiting <= 800 or sum(taken) < 8:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert 800 < book.details_waiting <= 800 + 600
        slow.set_result(None)
        await asyncio.gather(*runs)
        assert (taken, book.details_waiting) == ([10] * 6, 0)
        assert book.read(lambda db: db.execute("SELECT count(*) FROM conversations").fetchone()) == (6000,)
