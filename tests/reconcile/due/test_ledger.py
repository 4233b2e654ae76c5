"""What a round makes of the ledger: clocks that jump, days answered whole, jobs where they are cheaper, how far it is."""

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile import window
from reconcile.commands.reconcile import pace
from reconcile.due import plan
from reconcile.due.plan import Due
from reconcile.due.rounds import Round, run_due
from reconcile.patience import RunClock
from reconcile.report import DueReport
from reconcile.run import by_id
from reconcile.run.options import Progress
from reconcile.run.progress import Meter
from reconcile.run.runner import reconcile_window
from rollbook.genesys.errors import RequestRefused, UsageError
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.tables import conversations, windows
from rollbook.store.tables.windows import WindowRow
from tests.helpers.organisation import START, Clock, Organisation, at, ended, read_window, record, settings
from tests.helpers.peek import peek

HALF = timedelta(minutes=30)
RULES = Settings(width=HALF, lag=timedelta(minutes=10), settle_after=timedelta(days=4), since=START)
NOON = START + timedelta(hours=2, minutes=10)


def row(minute: float, verdict: str = "complete", **more: Any) -> WindowRow:
    """A row of the ledger: the half hour that starts so many minutes after ten."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(WindowRow))
    values |= {"start": at(minute), "end": at(minute + 30), "filter": "", "verdict": verdict, "attempts": 1, "drift": 0}
    return WindowRow(**(values | more))


def half_hour(minute: float) -> Interval:
    return Interval(START + timedelta(minutes=minute), START + timedelta(minutes=minute + 30))


# Clocks


def test_what_was_read_while_the_clock_ran_ahead_is_read_again() -> None:
    """Its proof is from a time that has not come; once the window has really closed, it is due."""
    ahead = at(60 * 24 * 7)
    rows = [row(90, last_read_at=ahead), row(120, last_read_at=ahead), row(0, last_read_at=at(41)), row(30), row(60)]
    due = plan.plan(rows, NOON, RULES).due
    assert due == (Due(half_hour(90), "first"),), "the one from 12:00 has not closed yet"
    due = plan.plan(rows, START + timedelta(minutes=161), RULES).due
    assert {due_window.window for due_window in due} == {half_hour(90), half_hour(120)}


def test_a_clock_that_went_back_or_a_week_without_anybody_skips_nothing() -> None:
    """Every window between the beginning and now is in the ledger or due."""
    rows = [row(0), row(30)]
    for minutes in (45, 7 * 24 * 60):
        now = START + timedelta(minutes=minutes)
        due = {due_window.window for due_window in plan.plan(rows, now, RULES).due if due_window.why == "first"}
        expected = {
            window_
            for window_ in window.grid_windows(START, now, HALF)
            if window_.end + RULES.lag <= now and window_ not in (half_hour(0), half_hour(30))
        }
        assert due == expected


async def test_a_read_from_the_future_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """What was read with a wrong clock is overwritten by what is read with a right one."""
    clock, org = Clock(NOON), Organisation(record("a", 5, None))
    with Book.open(tmp_path / "rollbook.db") as book:
        clock.at += timedelta(days=30)
        await _read(book, org, clock)
        clock.at -= timedelta(days=30)
        org.put(ended(org.truth["a"]))
        assert (await _read(book, org, clock)).verdict == "complete"
        [found] = await book.read(
            lambda db: db.execute("SELECT conversation_end, read_at FROM conversations").fetchall()
        )
        assert found[0] == at(25)
        assert found[1] < to_text(clock.at + timedelta(minutes=1))


async def _read(book: Book, org: Organisation, clock: Clock) -> Any:
    return await read_window(book, org, half_hour(0), clock)


# Days


def test_a_day_that_is_answered_whole_is_not_read_with_each_of_its_windows() -> None:
    """What has closed since the day was read waits, some hours; what an earlier reading left does not."""
    day = [row(0, reading="day", last_run_at=at(41))]
    groups = [[Due(half_hour(30), "first")], [Due(half_hour(60), "first")]]
    assert plan.put_off(groups, day, NOON, RULES.lag) == []
    assert plan.put_off(groups, day, START + plan.DAY_AGAIN + timedelta(minutes=42), RULES.lag) == groups
    older = [[Due(half_hour(-60), "first"), Due(half_hour(30), "first")], [Due(half_hour(60), "first")]]
    assert plan.put_off(older, day, NOON, RULES.lag) == older[:1]
    settling = [[Due(half_hour(60), "settle")]]
    assert plan.put_off(settling, day, NOON, RULES.lag) == settling
    yesterday = [row(-24 * 60, reading="day", last_run_at=at(41))]
    assert plan.put_off(groups, yesterday, NOON, RULES.lag) == groups
    assert plan.answers_days([*day, row(30, reading="interval", last_run_at=at(90))]), (
        "there may have been nothing else"
    )
    assert not plan.answers_days([*day, row(30, reading="interval", last_run_at=at(60 * 24 * 3))])
    assert not plan.answers_days([row(30, reading="interval", last_run_at=at(90)), row(60)])


async def test_a_day_of_a_daemon_costs_a_few_readings(tmp_path: Path) -> None:
    """Where every query is answered with its day, 48 windows are proven by a dozen readings, and the ledger has each."""
    begin = START.replace(hour=0)
    clock = Clock(begin + timedelta(minutes=1))
    org = Organisation(*(record(f"c{hour:02}", hour * 60 - 600 + 7, hour * 60 - 600 + 9) for hour in range(24)))
    everything, org.reading = dict(org.truth), "day"
    with Book.open(tmp_path / "rollbook.db") as book:
        readings = 0
        for _ in range(2 * 25):
            clock.at += HALF
            org.truth = {
                conversation_id: row
                for conversation_id, row in everything.items()
                if row["conversationStart"] <= to_text(clock.at)
            }
            before = [body["paging"]["pageNumber"] for body in org.bodies].count(1)
            await _due(book, org, clock, since=begin)
            readings += [body["paging"]["pageNumber"] for body in org.bodies].count(1) - before
        rows = await book.read(windows.listed, since=to_text(begin), until=to_text(begin + timedelta(days=1)))
        assert len(rows) == 48
        assert {row.verdict for row in rows} == {"complete"}
        assert (await book.read(conversations.details_of, "", "9")).keys() == everything.keys()
        # A dozen of the days, one of what started just before each midnight, a second one of each empty answer, and the
        # first page of a few days again.
        assert readings <= 21, readings


async def _due(book: Book, org: Organisation, clock: Clock, **more: Any) -> DueReport:
    since = more.pop("since", START)
    how = Round(wait=0, sleep=clock.sleep, **more)
    return await run_due(book, org, settings(since=since), now=clock.now, how=how)  # type: ignore[arg-type]


# Jobs, several at a time


class ManyJobs(Organisation):
    """Each job has an id of its own."""

    async def create_job(self, body: Mapping[str, Any]) -> str:
        job_id = f"job-{len(self._jobs)}"
        self._jobs[job_id] = body
        return job_id


async def test_what_a_long_absence_left_is_read_by_jobs_a_day_each(tmp_path: Path) -> None:
    """`--via auto`: whole days behind the watermark by a job, what is newer by the query; every window its own report."""
    clock = Clock(START.replace(hour=3) + timedelta(days=3))
    org = ManyJobs(*(record(f"c{hour}", hour * 60 + 3, hour * 60 + 9) for hour in range(60)))
    org.watermark = to_text(START.replace(hour=0) + timedelta(days=2, hours=12))
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock, via="auto", at_once=3)
        assert {result.via for result in report.windows} == {"query", "job"}
        by_job = [result.window for result in report.windows if result.via == "job"]
        assert max(result.end for result in by_job) <= START.replace(hour=0) + timedelta(days=2)
        assert len(by_job) == 2 * 14 + 48
        assert sum(result.owned for result in report.windows) == sum(result.missing for result in report.windows) == 60
        assert report.left == 0
        starts = [result.window.start for result in report.windows]
        assert starts == sorted(starts, reverse=True), "in the order of the plan, whatever ended first"
        assert not (await _due(book, org, clock, via="auto")).windows


async def test_windows_are_read_several_at_a_time(tmp_path: Path) -> None:
    """While one waits for its answer the others go on; no more at a time than asked for."""
    under_way, at_most, together = 0, 0, asyncio.Event()

    class Slow(Organisation):
        async def query_details(self, body: Mapping[str, Any], **_: Any) -> Any:
            nonlocal under_way, at_most
            under_way += 1
            at_most = max(at_most, under_way)
            if under_way == 3:
                together.set()
            async with asyncio.timeout(10):
                await together.wait()
            under_way -= 1
            return await super().query_details(body)

    clock, org = Clock(NOON), Slow(*(record(f"c{number}", number * 12) for number in range(10)))
    with Book.open(tmp_path / "rollbook.db") as book:
        report = await _due(book, org, clock, at_once=3)
    assert at_most == 3
    assert [result.verdict for result in report.windows] == ["complete"] * 4


# Asking by id


async def test_a_platform_that_takes_fewer_ids_is_asked_for_fewer() -> None:
    """The limit is not documented: what is refused is asked for in halves."""
    org = Organisation(*(record(f"c{number:03}", 1) for number in range(230)))
    asked: list[int] = []

    class Small:
        async def details_by_id(self, ids: Any, **_: Any) -> Any:
            asked.append(len(ids))
            if len(ids) > 50:
                raise RequestRefused("too many ids", status=400)
            return await org.details_by_id(ids)

    clock = Clock()
    answers = [found async for found in by_id.ask(Small(), org.truth, RunClock(clock.now))]
    assert sum(len(answer.rows) for answer in answers) == 230
    assert asked == [100, 50, 50, 50, 50, 30]


async def test_the_daemon_asks_for_what_goes_on_every_few_minutes_only(tmp_path: Path) -> None:
    """An answer that says nothing new is remembered, though it leaves no trace in the store."""
    clock, org = Clock(NOON), Organisation(record("a", 5, None))
    with Book.open(tmp_path / "rollbook.db") as book:
        for _ in range(10):
            await _due(book, org, clock, rest=timedelta(minutes=5))
            clock.at += timedelta(minutes=1)
    assert 1 <= len(org.asked) <= 3


# What settles


async def test_a_window_settles_when_its_last_conversation_is_old_enough(tmp_path: Path) -> None:
    """The nightly reprocessing takes a conversation days after its own end, not after its window's."""
    clock, org = Clock(NOON), Organisation(record("long", 5, None), record("short", 6, 9))
    with Book.open(tmp_path / "rollbook.db") as book:
        await _due(book, org, clock)
        org.put(ended(org.truth["long"], 60 * 24 * 3))
        clock.at = START + timedelta(days=5, hours=1)
        await _due(book, org, clock)
        assert _verdict(book) == "complete"
        org.put(org.truth["long"] | {"externalTag": "rewritten"})
        clock.at = START + timedelta(days=7)
        await _due(book, org, clock)
        assert _verdict(book) == "complete", "it would be too early"
        clock.at = START + timedelta(days=8)
        await _due(book, org, clock)
        assert _verdict(book) == "settled"
        assert sum(row.drift for row in await book.read(windows.listed)) == 1


def _verdict(book: Book) -> str:
    found = peek(book, windows.find, at(0), at(30))
    assert found is not None
    return found.verdict


# How far it is


def test_progress_says_windows_rate_requests_and_time() -> None:
    """Of many windows by those that are done, of one by its rows."""
    seconds = iter([100.0, 110.0, 120.0, 130.0])
    meter = Meter(4, lambda: next(seconds), lambda: 77)
    first = meter.of_the_whole(Progress(half_hour(0), 1, 500, None))
    assert (first.done, first.windows, first.rate, first.requests_left, first.to_go) == (0, 4, 50.0, 77, None)
    meter.finished(half_hour(0), 1)
    second = meter.of_the_whole(Progress(half_hour(30), 1, 100, None))
    assert (second.done, second.rate, second.to_go) == (1, 30.0, 60.0)
    assert pace(second) == "30/s, 77 requests left, 0:01:00 to go"
    single = Meter(1, iter([0.0, 10.0]).__next__)
    alone = single.of_the_whole(Progress(half_hour(0), 1, 200, 600))
    assert (alone.rate, alone.to_go) == (20.0, 20.0)
    assert pace(alone) == "20/s, 0:00:20 to go"


# Before the platform's memory


async def test_an_empty_answer_from_before_the_retention_proves_nothing(tmp_path: Path) -> None:
    """It is one clear line and no row of the ledger; what the platform still answers of that time is read as ever."""
    clock = Clock(START + timedelta(days=4000))
    old = Interval(START, START + timedelta(hours=1))
    with Book.open(tmp_path / "rollbook.db") as book:
        with pytest.raises(UsageError, match="retention") as refused:
            await reconcile_window(book, Organisation(), old, settings=settings(), now=clock.now)  # type: ignore[arg-type]
        assert (refused.value.exit_status, await book.read(windows.listed)) == (2, [])
        kept = Organisation(record("a", 5, 9))
        report = await reconcile_window(book, kept, old, settings=settings(), now=clock.now)  # type: ignore[arg-type]
        assert (report.verdict, report.owned) == ("complete", 1)


async def test_a_beginning_before_the_retention_is_refused(tmp_path: Path) -> None:
    """Its windows would be called proven for being empty."""
    clock = Clock(NOON)
    with Book.open(tmp_path / "rollbook.db") as book, pytest.raises(UsageError, match="since"):
        await _due(book, Organisation(), clock, since=START - timedelta(days=4000))
