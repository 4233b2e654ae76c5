"""How often is asked what the platform refuses: the patience that an outage needs is had once, and not with each size."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.due.rounds import Round, run_due
from reconcile.patience import FEW_TRIES, QuestionPatience, RunClock
from reconcile.reading.reader import Finished, Pause, Reader
from reconcile.reading.scan import RowTimes
from reconcile.run import by_id
from rollbook.genesys.errors import RequestRefused, TooSlow, Unavailable
from rollbook.genesys.messages.details import DetailRow, DetailsPage
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, parse_interval, to_text
from rollbook.store.book import Book
from rollbook.store.tables import windows
from rollbook.store.vocabulary import PROVEN
from tests.helpers.organisation import START, Clock, Organisation, record

FAR = START + timedelta(days=1)
GATEWAY = Unavailable("a gateway gave up", status=504)


class Gateway(Organisation):
    """Refuses queries over more than so many minutes, more ids than ten at once, and jobs; notes the tries of each."""

    most = 8.0

    def __init__(self, *records: Any) -> None:
        super().__init__(*records)
        self.refusals: list[int | None] = []  # the tries of each question that was refused
        self.taken: list[int | None] = []

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """A page, unless it is too much."""
        self._refuse(parse_interval(body["interval"], now=FAR).length > timedelta(minutes=self.most), tries)
        return await super().query_details(body)

    async def details_by_id(self, ids: Sequence[str], *, tries: int | None = None) -> list[DetailRow]:
        """What is asked for, unless it is too much."""
        self._refuse(len(ids) > 10, tries)
        return await super().details_by_id(ids)

    async def create_job(self, _body: Mapping[str, Any]) -> str:
        """No job."""
        raise RequestRefused("no jobs here", status=400)

    def _refuse(self, too_much: bool, tries: int | None) -> None:
        (self.refusals if too_much else self.taken).append(tries)
        if too_much:
            raise GATEWAY


async def _due(book: Book, api: Any, clock: Clock, *, at_once: int = 1) -> Any:
    settings = Settings(since=START, width=timedelta(minutes=30), lag=timedelta(0))
    return await run_due(book, api, settings, now=clock.now, how=Round(sleep=clock.sleep, at_once=at_once))


async def test_a_platform_that_refuses_what_is_too_much_is_waited_for_once_in_a_round(tmp_path: Path) -> None:
    """Four windows, each too wide: one question is asked as often as is sensible, the others twice.

    Every window is proven all the same.
    """
    clock = Clock(START + timedelta(hours=2, minutes=5))
    org = Gateway(*(record(f"c{number:03}", number / 2) for number in range(240)))
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock)
    assert [result.verdict for result in report.windows] == ["complete"] * 4
    assert len(org.refusals) > 4
    assert org.refusals.count(None) == 1
    assert set(org.refusals[1:]) == {FEW_TRIES}


async def test_the_smallest_piece_is_asked_for_with_all_patience(tmp_path: Path) -> None:
    """Nothing is answered at first: before a window is called one that cannot be had, its smallest piece is waited for."""
    clock, org = Clock(START + timedelta(minutes=35)), Gateway(record("a", 5), record("b", 20))
    org.most = 0  # anything is too much
    with Book.open(tmp_path / "rollbook.db") as book:
        await _due(book, org, clock)
        row = await book.read(windows.find, "2026-03-02T10:00:00.000Z", "2026-03-02T10:30:00.000Z")
    assert row is not None
    assert row.verdict == "failed"
    assert org.refusals.count(None) == 2
    assert org.refusals[0] is None


async def test_nothing_that_is_answered_is_asked_with_less_patience(tmp_path: Path) -> None:
    """A platform that refuses nothing is asked as before, in every window."""
    clock, org = Clock(START + timedelta(hours=2, minutes=5)), Gateway(*(record(f"c{n}", n) for n in range(120)))
    org.most = 1_000
    with Book.open(tmp_path / "rollbook.db") as book:
        await _due(book, org, clock)
    assert org.taken
    assert set(org.taken) == {None}


async def test_ids_that_are_too_many_are_waited_for_once() -> None:
    """A hundred ids in halves down to ten: the first batch is asked for as often as is sensible, its halves twice."""
    org = Gateway(*(record(f"c{number:03}", 1) for number in range(230)))
    answers = [found async for found in by_id.ask(org, org.truth, RunClock(Clock().now))]
    assert sum(len(answer.rows) for answer in answers) == 230
    assert org.refusals[0] is None
    assert set(org.refusals[1:]) == {FEW_TRIES}


async def test_what_was_refused_before_is_known_to_the_next_question_by_id() -> None:
    """The windows of a round share it: the second asking begins with few tries."""
    org, patience = Gateway(*(record(f"c{number:03}", 1) for number in range(100))), QuestionPatience()
    for _ in range(2):
        assert (
            sum(
                [len(found.rows) async for found in by_id.ask(org, org.truth, RunClock(Clock().now), patience=patience)]
            )
            == 100
        )
    assert org.refusals.count(None) == 1


class Slow(Organisation):
    """Answers in time only about what starts from a minute on; notes which intervals it was asked for."""

    def __init__(self, *records: Any, until: int) -> None:
        super().__init__(*records)
        self.until = START + timedelta(minutes=until)
        self.asked: list[Any] = []

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """A page, or nothing in time."""
        interval = parse_interval(body["interval"], now=FAR)
        self.asked.append(interval)
        if interval.start < self.until:
            await asyncio.sleep(0)
            raise TooSlow("the answer did not come in time")
        return await super().query_details(body, tries=tries)


@pytest.mark.parametrize(("at_once", "most"), [(1, 3), (6, 6)])
async def test_a_platform_that_is_slow_for_every_window_ends_the_round(tmp_path: Path, at_once: int, most: int) -> None:
    """Ten windows are due, none is answered in time: three are tried, or those that were begun at once, and no other.

    The rest stays due, and the report says why.

    The next round reads the others, for the three have a pause before them.
    """
    clock = Clock(START + timedelta(hours=5, minutes=5))
    org = Slow(*(record(f"c{number}", number * 10) for number in range(30)), until=300)
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock, at_once=at_once)
        tried = {
            interval.start.replace(minute=interval.start.minute // 30 * 30, second=0, microsecond=0)
            for interval in org.asked
        }
        assert len(tried) == most
        assert any("too slow for 3 windows in a row" in why for _, why in report.errors)
        assert report.left == 10 - most
        org.until = START
        assert len((await _due(book, org, clock)).windows) == 10 - most


async def test_two_slow_windows_keep_none_of_the_others_from_being_proven(tmp_path: Path) -> None:
    """The slowness of two neighbours is theirs: the eight others are proven in the same round."""
    clock = Clock(START + timedelta(hours=5, minutes=5))
    org = Slow(*(record(f"c{number}", number * 10) for number in range(30)), until=60)
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock)
    assert [result.verdict for result in report.windows] == ["complete"] * 8
    assert len(report.errors) == 2


async def test_a_question_of_what_is_seen_that_is_slow_each_time_ends_the_round(tmp_path: Path) -> None:
    """The list of divisions never comes in time: it is not waited for with each of ten windows."""
    looks = 0

    class Blind(Organisation):
        async def divisions(self) -> Any:
            nonlocal looks
            looks += 1
            raise TooSlow("the answer did not come in time")

    clock = Clock(START + timedelta(hours=5, minutes=5))
    org = Blind(*(record(f"c{number}", number * 10) for number in range(30)))
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock)
        assert not {row.verdict for row in await book.read(windows.listed)} & set(PROVEN)
    assert looks <= 6
    assert report.left == 7


def test_a_page_size_that_was_answered_is_kept() -> None:
    """Pages of more than ten rows are refused: it is found out at the first piece, and not again at each."""
    reader = Reader(Interval(START, START + timedelta(seconds=64)), longest=timedelta(days=7))
    starts = [START + timedelta(seconds=number / 4) for number in range(256)]
    refused = 0
    while not isinstance(step := reader.step(to_text(START)), Finished):
        if isinstance(step, Pause):
            continue
        interval, size = step.part.interval, step.part.size
        found = [at for at in starts if interval.start <= at < interval.end]
        rows = found[(step.page - 1) * size : step.page * size]
        if size > 5 and len(rows) > 2:
            refused += 1
            assert reader.refused("a gateway gave up")
        else:
            reader.take([RowTimes(f"c{starts.index(at)}", to_text(at), to_text(at)) for at in rows], len(found))
    assert step == Finished(True, None)
    assert len(reader.found()) == 256
    assert refused <= 10
