"""A reading that was cut short goes on where it was, inside a window too, and finds what an unbroken one would have."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.patience import RunClock
from reconcile.reading import resume
from reconcile.reading.query import DetailsQuery, read_pages
from reconcile.reading.reader import Reader
from reconcile.report import Report
from reconcile.run.options import RunTask
from rollbook.genesys.errors import ConnectionLost
from rollbook.genesys.messages.details import DetailsPage
from rollbook.genesys.times import Interval
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreFull
from rollbook.store.tables import conversations
from tests.helpers.organisation import (
    NOW,
    START,
    WINDOW,
    Clock,
    Organisation,
    at,
    dump,
    ended,
    read_window,
    record,
    settings,
)


class Crash(ConnectionLost):
    """The process died."""


class Mortal(Organisation):
    """Kills whoever asks for the n-th page of a query or of a job's results."""

    dies_at: int | None = None
    pages = 0

    def _page(self) -> None:
        self.pages += 1
        if self.dies_at is not None and self.pages > self.dies_at:
            raise Crash

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        self._page()
        return await super().query_details(body)

    async def job_results(self, job_id: str, cursor: str | None = None) -> DetailsPage:
        self._page()
        return await super().job_results(job_id, cursor)


def organisation() -> Mortal:
    """Twenty conversations in seven pages, the last empty; some go on."""
    return Mortal(*(record(f"c{number:02}", number, 25 if number % 5 else None) for number in range(20)))


async def run(path: Path, org: Mortal, clock: Clock, **more: Any) -> Report:
    """One run, in a process of its own as far as the store is concerned."""
    with Book.open(path) as book:
        return await read_window(book, org, WINDOW, clock, **more)


NAMES = ("verdict", "unique", "owned", "missing", "changed", "unchanged", "ongoing", "written", "duplicates", "causes")


@pytest.mark.parametrize("via", ["query", "job"])
@pytest.mark.parametrize("pages", range(8))
async def test_it_goes_on_where_it_was(tmp_path: Path, pages: int, via: Any) -> None:
    """Killed after so many pages: the next run fetches what is not safe yet, and reports what both have found."""
    org, clock = organisation(), Clock()
    whole = await run(tmp_path / "whole.db", org, clock, via=via)
    needed = org.pages
    org.pages, org.dies_at = 0, pages
    path = tmp_path / "rollbook.db"
    try:
        await run(path, org, clock, via=via)
    except Crash:
        pass
    else:
        assert pages >= needed
    org.pages, org.dies_at = 0, None
    report = await run(path, org, clock, via=via)
    if pages < needed:
        assert [getattr(report, name) for name in NAMES] == [getattr(whole, name) for name in NAMES]
        # The page that was held back while the next one was on its way may be fetched again, and no other.
        assert org.pages <= needed - pages + 1
    assert dump(path)["unfinished_readings"] == []


@pytest.mark.parametrize("via", ["query", "job"])
async def test_it_does_not_go_on_behind_a_write_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, via: Any
) -> None:
    """The first page could not be written, those after it could: the next run writes it, and proves nothing without."""
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    write = conversations.write
    started, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def fails(db: sqlite3.Connection, details: Any, *more: Any, **named: Any) -> Any:
        if details[0].conversation_id == "c00":
            loop.call_soon_threadsafe(started.set)
            go.wait(10)  # the pages after it wait behind it
            raise sqlite3.DatabaseError("database or disk is full")
        return write(db, details, *more, **named)

    monkeypatch.setattr(conversations, "write", fails)
    running = asyncio.create_task(run(path, org, clock, via=via))
    await started.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(StoreFull):
        await running
    monkeypatch.undo()
    report = await run(path, org, clock, via=via)
    assert (report.owned, report.missing) == (20, 20)
    assert len(dump(path)["conversations"]) == 20


async def test_it_says_where_it_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the pages that were read, as nobody knows what else is remembered."""
    caplog.set_level(logging.INFO, logger="reconcile")
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    org.dies_at = 2
    with pytest.raises(Crash):
        await run(path, org, clock)
    org.pages, org.dies_at = 0, None
    await run(path, org, clock)
    assert "going on where a run was cut short, after 2 pages" in caplog.messages[0]


async def test_what_lies_too_long_is_read_anew(tmp_path: Path) -> None:
    """A proof is as old as its oldest page: after half a day nothing of it is used."""
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    org.dies_at = 4
    with pytest.raises(Crash):
        await run(path, org, clock)
    assert dump(path)["unfinished_readings"] != []
    clock.at += resume.KEPT + timedelta(minutes=1)
    org.pages, org.dies_at = 0, None
    report = await run(path, org, clock)
    assert (org.pages, report.verdict, report.missing) == (8, "open", 8)
    assert dump(path)["unfinished_readings"] == []


async def test_what_moved_meanwhile_is_seen(tmp_path: Path) -> None:
    """Rows that appear between the two runs show in its last page, which is asked for again: it is read anew."""
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    org.dies_at = 4
    with pytest.raises(Crash):
        await run(path, org, clock)
    org.put(record("new", 1.5), ended(org.truth["c00"]))
    org.pages, org.dies_at = 0, None
    report = await run(path, org, clock)
    assert (report.verdict, report.unique, org.pages) == ("open", 21, 1 + 8)
    with Book.open(path) as book:
        assert (await book.read(conversations.details_of, "", "9")).keys() == org.truth.keys()


async def test_a_dry_run_leaves_and_takes_nothing(tmp_path: Path) -> None:
    """It neither goes on with a reading nor leaves one."""
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    org.dies_at = 4
    with pytest.raises(Crash):
        await run(path, org, clock)
    before = dump(path)
    org.pages, org.dies_at = 0, None
    assert (await run(path, org, clock, dry_run=True)).unique == 20
    assert org.pages == 8
    assert dump(path) == before


async def test_a_job_that_is_no_more_is_begun_again(tmp_path: Path) -> None:
    """Its results are kept for a while only."""
    org, clock, path = organisation(), Clock(), tmp_path / "rollbook.db"
    org.dies_at = 2
    with pytest.raises(Crash):
        await run(path, org, clock, via="job")
    org.dies_at = None

    async def expired(job_id: str) -> Any:
        del org.job
        from rollbook.genesys.api.client import DetailsJob

        return DetailsJob(job_id, "EXPIRED", None)

    org.job = expired  # type: ignore[method-assign]
    report = await run(path, org, clock, via="job")
    assert (report.verdict, report.unique) == ("open", 20)


@given(
    st.dictionaries(st.integers(1, 20), st.sampled_from(["appear", "vanish", "grow"]), max_size=6), st.integers(0, 30)
)
def test_a_reader_that_is_told_the_same_stands_where_it_stood(moves: dict[int, str], cut: int) -> None:
    """Whatever moves and wherever it is cut: the rest of the reading is the same, request by request."""

    def moving() -> Organisation:
        org = Organisation(*(record(f"c{number}", number, 25) for number in range(9)))

        def move(what: str, number: int) -> Any:
            def act(now: Organisation) -> None:
                if what == "vanish":
                    now.unlisted.add(f"c{number % 9}")
                else:
                    now.put(record(f"{what}{number}", number))

            return act

        org.moves = {number: move(what, number) for number, what in moves.items()}
        return org

    async def read_on(reader: Reader, org: Organisation, entries: list[resume.Entry]) -> Any:
        clock = Clock()
        async for read in read_pages(org, reader, DetailsQuery({}), RunClock(clock.now, clock.sleep)):
            entries.extend(read.entries)
        return reader.finished

    def new() -> Reader:
        return Reader(WINDOW, longest=timedelta(days=7))

    first = new()
    entries: list[resume.Entry] = []
    whole = moving()
    finished = asyncio.run(read_on(first, whole, entries))
    kept = [resume.decode([resume.encode(entry)])[0] for entry in entries[:cut]]
    second = new()
    assert resume.replay(second, kept)
    rest = moving()
    for number in sorted(query for query in rest.moves if query <= len(kept)):
        rest.moves[number](rest)
    rest.bodies = whole.bodies[: len(kept)]
    assert asyncio.run(read_on(second, rest, [])) == finished
    assert second.found() == first.found()
    assert [body["interval"] for body in rest.bodies] == [body["interval"] for body in whole.bodies]


def test_what_another_version_kept_is_not_used() -> None:
    """Entries that cannot be read, or do not fit, are thrown away."""
    assert resume.decode([b'{"kind": "unheard of"}']) == []
    assert resume.decode([b"no json"]) == []
    strange = resume.Entry("page", at(0), part="another", page=1)
    assert not resume.replay(Reader(WINDOW, longest=timedelta(days=7)), [strange])


def test_progress_is_kept_by_what_is_read_and_how() -> None:
    """Another filter, another way, another interval: another reading."""
    task = RunTask(windows=[WINDOW], settings=settings(), now=lambda: NOW)
    keys = {
        task.journal_key,
        RunTask(windows=[WINDOW], settings=settings(), now=lambda: NOW, via="job").journal_key,
        RunTask(windows=[WINDOW], settings=settings(ended_only=True), now=lambda: NOW).journal_key,
        RunTask(windows=[Interval(START, NOW)], settings=settings(), now=lambda: NOW).journal_key,
    }
    assert len(keys) == 4
