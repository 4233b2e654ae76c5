"""A job whose answers are odd: pages that are none, cursors without an end, what cannot be had, totals that differ.

Whatever it is, a reading ends within a bound, and is consistent only with every row of the truth.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.patience import RunClock
from reconcile.reading import job_proof, jobs, resume
from reconcile.reading.jobs import Result
from reconcile.reading.query import DetailsQuery, Stopped
from rollbook.genesys.api.client import Api, DetailsJob
from rollbook.genesys.errors import ApiError, ConnectionLost, RequestRefused, Unavailable
from rollbook.genesys.messages.details import DetailRow, DetailsPage, parse_page
from rollbook.genesys.times import Interval, from_text
from tests.helpers.organisation import START, WINDOW, Clock, Organisation, Record, at, only, page, record

WATERMARK = "2026-03-20T00:00:00.000Z"
BARE = parse_page(b"{}")
DAY = Interval(START.replace(hour=0), START.replace(hour=0) + timedelta(days=1))
WEEK = Interval(DAY.start, DAY.start + timedelta(days=7))


@dataclass(frozen=True)
class Asked:
    """A page of a job's results that is asked for. number: of all of them, from 1. first, size: its rows."""

    number: int
    cursor: str | None
    first: int
    size: int
    rows: int
    interval: Interval


class Odd(Organisation):
    """An organisation whose jobs answer as a test says.

    spoil: makes another page of an honest one, or raises. states: of each job in turn, the last for all others.
    lost: what no job brings.
    """

    def __init__(self, *records: Record, **more: Any) -> None:
        super().__init__(*records, **more)
        self.spoil: Callable[[Asked, DetailsPage], DetailsPage] = lambda _, honest: honest
        self.states: list[list[str]] = [["FULFILLED"]]
        self.refuse_job: Callable[[Interval, int], None] = lambda _interval, _number: None
        self.look: Callable[[int], None] = lambda _: None
        self.lost: set[str] = set()
        self.results: list[Asked] = []
        self.jobs: list[Interval] = []
        self.looks = 0
        self.cancelled: list[str] = []
        self.rows_a_page = self.size

    async def create_job(self, body: Mapping[str, Any]) -> str:
        start, end = map(from_text, body["interval"].split("/"))
        self.jobs.append(Interval(start, end))
        self.refuse_job(Interval(start, end), len(self.jobs))
        self._jobs[identity := f"job-{len(self.jobs)}"] = body
        if len(self.jobs) > 1 and len(self.states) > 1:
            self.states.pop(0)
        return identity

    async def job(self, job_id: str) -> DetailsJob:
        self.looks += 1
        self.look(self.looks)
        states = self.states[0]
        return DetailsJob(
            job_id, states.pop(0) if len(states) > 1 else states[0], "too much" if states == ["FAILED"] else None
        )

    async def job_results(self, job_id: str, cursor: str | None = None, *, size: int | None = None) -> DetailsPage:
        await asyncio.sleep(0)
        body, first = self._jobs[job_id], int((cursor or "0").partition("-")[0])
        start, end = map(from_text, body["interval"].split("/"))
        rows = [row for row in self._matching(body) if row["conversationId"] not in self.lost]
        many = min(size or 1000, self.rows_a_page)
        more: dict[str, Any] = {"cursor": str(first + many)} if first + many < len(rows) else {}
        asked = Asked(len(self.results) + 1, cursor, first, size or 1000, len(rows), Interval(start, end))
        self.results.append(asked)
        return self.spoil(asked, page(rows[first : first + many], dataAvailabilityDate=self.watermark, **more))

    async def cancel_job(self, job_id: str) -> None:
        self.cancelled.append(job_id)


def many(number: int) -> list[Record]:
    """So many conversations of the window."""
    return [record(f"c{place:02}", place / 2, 29) for place in range(number)]


async def go(
    org: Odd,
    window: Interval = WINDOW,
    *,
    clock: Clock | None = None,
    members: Mapping[str, Any] | None = None,
    result: Result | None = None,
    entries: list[resume.Entry] | None = None,
    stop: asyncio.Event | None = None,
) -> Result:
    """Read a window by jobs. entries: gets those of the journal, and so the reading can be gone on with."""
    clock = clock or Clock()

    async def take(_rows: Sequence[DetailRow], _as_of: str, entry: resume.Entry | None) -> None:
        if entries is not None and entry is not None:
            entries.append(entry)

    result = result or Result()
    await jobs.read(
        cast(Api, org),
        window,
        DetailsQuery(members or {}),
        RunClock(clock.now, clock.sleep, stop),
        on_page=take,
        result=result,
    )
    return result


# Pages that are none


@pytest.mark.parametrize("spoiled", range(1, 5))
@pytest.mark.parametrize(
    "body", [BARE, page([], 0), page([record("c00")]), page([], 0, cursor="6")], ids=["bare", "empty", "rows", "cursor"]
)
async def test_a_page_without_the_watermark_is_asked_for_again(spoiled: int, body: DetailsPage) -> None:
    """Whatever else it has: it is neither the last page, nor one that leads on, nor rows that count."""
    org = Odd(*many(10))
    org.spoil = lambda asked, honest: body if asked.number == spoiled else honest
    result = await go(org)
    assert (result.consistent, result.reason, set(result.rows)) == (True, None, set(org.truth))
    assert len(org.results) == 5


@pytest.mark.parametrize("first", [0, 3, 9])
async def test_a_page_that_never_names_the_watermark_proves_nothing(first: int) -> None:
    """After a few tries the job is given up, with the reason, and left to the query."""
    org = Odd(*many(10))
    org.spoil = lambda asked, honest: BARE if asked.first == first else honest
    result = await go(org)
    assert not result.consistent
    assert "dataAvailabilityDate" in (result.reason or "")
    assert len(org.results) <= 8
    assert result.as_of == WATERMARK


async def test_the_watermark_of_a_page_is_held_against_the_whole_window() -> None:
    """A page of an early part too: what ends the window later than the data reaches is not proven."""
    org = Odd(record("a", 5, 9))
    window = Interval(DAY.start, DAY.start + timedelta(days=14))
    org.spoil = lambda _asked, honest: msgspec.structs.replace(
        honest, data_availability_date="2026-03-12T00:00:00.000Z"
    )
    with pytest.raises(jobs.PastWatermark):
        await go(org, window)


# Cursors without an end


def names(cursor: Callable[[Asked], str], at_row: int | None = None) -> Callable[[Asked, DetailsPage], DetailsPage]:
    """The last page (or that at a row) names a cursor of its own."""

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if (honest.cursor is None) if at_row is None else (asked.first == at_row):
            return msgspec.structs.replace(honest, cursor=cursor(asked))
        return honest

    return spoil


ENDLESS: dict[str, Callable[[Asked], str]] = {
    "itself": lambda asked: asked.cursor or "0",
    "its end": lambda asked: str(asked.rows),
    "the first": lambda _: "0",
    "the first by its name": lambda asked: f"0-{asked.number}",
    "the one before": lambda asked: str(asked.rows - 4),
    "new names of its end": lambda asked: f"{asked.rows}-{asked.number}",
    "new names of itself": lambda asked: f"{asked.first}-{asked.number}",
}


@pytest.mark.parametrize("total", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("cursor", ENDLESS.values(), ids=ENDLESS.keys())
async def test_a_cursor_without_an_end_ends_within_a_few_pages(cursor: Callable[[Asked], str], total: bool) -> None:
    """Proven where the query counts as many as came, else not, with the reason; the journal has each row once."""
    org, entries = Odd(*many(10)), list[resume.Entry]()
    org.spoil = names(cursor)
    if not total:
        org.totals = lambda _total, _query: None
    result = await go(org, entries=entries)
    assert set(result.rows) == set(org.truth)
    assert result.consistent == total
    assert total or "the query does not count" in (result.reason or "")
    assert len(org.results) <= 15
    journaled = [row[0] for entry in entries if entry.kind == "results" for row in entry.rows]
    assert set(journaled) == set(org.truth)
    assert len(entries) <= 8


@pytest.mark.parametrize("cursor", ["itself", "the first", "new names of itself"])
async def test_a_cursor_that_stands_still_in_the_middle_proves_nothing(cursor: str) -> None:
    """What lies behind it never came: both numbers are in the reason."""
    org = Odd(*many(20))
    org.spoil = names(ENDLESS[cursor], at_row=3)
    result = await go(org)
    assert not result.consistent
    assert "20" in (result.reason or "")
    assert str(len(result.rows)) in (result.reason or "")
    assert len(org.results) <= 15


async def test_a_few_empty_pages_end_nothing() -> None:
    """An empty page that names a new cursor leads on."""
    org = Odd(*many(10))
    org.spoil = lambda asked, honest: (
        page([], 0, cursor=f"3-{asked.number}", dataAvailabilityDate=WATERMARK)
        if asked.first == 3 and asked.number < 6
        else honest
    )
    result = await go(org)
    assert (result.consistent, set(result.rows)) == (True, set(org.truth))


async def test_rows_that_never_end_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows on each page for ever: given up at more than anybody has."""
    monkeypatch.setattr(job_proof, "MOST_ROWS", 100)
    org = Odd(*many(10))
    org.spoil = lambda asked, _: page(
        [record(f"new{asked.number}-{place}") for place in range(10)],
        cursor=f"0-{asked.number}",
        dataAvailabilityDate=WATERMARK,
    )
    result = await go(org)
    assert not result.consistent
    assert "do not end" in (result.reason or "")
    assert len(org.results) <= 13


# Cannot be had as asked


def too_large(most: int, error: ApiError) -> Callable[[Asked, DetailsPage], DetailsPage]:
    """Pages of more rows cannot be had."""

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.size > most:
            raise error
        return honest

    return spoil


NOT_SO_MUCH: list[ApiError] = [
    Unavailable("gateway", status=502),
    Unavailable("slow", status=504),
    Unavailable("oops", status=500),
    Unavailable("the platform's answer is broken", status=200),
    RequestRefused("too large", status=413),
    RequestRefused("Reduce the page size", status=400, code="response.entity.too.large"),
]


@pytest.mark.parametrize("error", NOT_SO_MUCH, ids=str)
@pytest.mark.parametrize("most", [250, 50, 10])
async def test_a_page_that_cannot_be_had_is_asked_for_in_smaller_ones(error: ApiError, most: int) -> None:
    """Of the same job, from its first page on: then all of it, in that size."""
    org = Odd(*many(40))
    org.rows_a_page = 1000
    org.spoil = too_large(most, error)
    result = await go(org)
    assert (result.consistent, set(result.rows)) == (True, set(org.truth))
    assert len(org.jobs) == 1
    assert org.results[-1].size == most


async def test_a_page_in_the_middle_that_cannot_be_had() -> None:
    """The results are begun again in smaller pages, as a cursor may count pages of a size; nothing counts twice."""
    org = Odd(*many(40))
    org.rows_a_page = 12

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.first >= 24 and asked.size > 10:
            raise Unavailable("slow", status=504)
        return honest

    org.spoil = spoil
    result = await go(org)
    assert (result.consistent, result.duplicates, set(result.rows)) == (True, 0, set(org.truth))
    assert [asked.cursor for asked in org.results if asked.size == 10] == [None, "10", "20", "30"]


def week() -> list[Record]:
    """Two conversations a day, and one that goes on over all days."""
    days = [
        record(f"d{day}-{place}", day * 1440 + place, day * 1440 + place + 9) for day in range(7) for place in (0, 3)
    ]
    return [*days, record("long", 1, 8 * 1440)]


async def test_a_job_over_too_much_is_made_over_half_of_it() -> None:
    """By days, then within one: every row once, and the part that cannot be had is the smallest."""
    org, entries = Odd(*week()), list[resume.Entry]()

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.interval.length > timedelta(days=1):
            raise Unavailable("gateway", status=502)
        return honest

    org.spoil = spoil
    result = await go(org, WEEK, entries=entries)
    assert (result.consistent, set(result.rows), result.duplicates) == (True, set(org.truth), 0)
    assert all(job.start.hour == job.end.hour == 0 for job in org.jobs)
    assert result.passes[0]["halved"]
    again = Result()
    assert await jobs.resume(org, again, entries)  # type: ignore[arg-type]
    assert (again.rows, again.done, again.halved) == (result.rows, result.done, result.halved)


async def test_what_cannot_be_had_in_any_size_is_left_to_the_query() -> None:
    """After a bounded number of questions: not consistent, with the reason."""
    org = Odd(*week())
    org.spoil = too_large(0, Unavailable("gateway", status=502))
    result = await go(org, WEEK)
    assert not result.consistent
    assert "gateway" in (result.reason or "")
    assert len(org.jobs) <= 9
    assert len(org.results) <= 40


@pytest.mark.parametrize("error", [Unavailable("limit", status=429), ConnectionLost("no way")], ids=str)
async def test_what_would_not_be_had_in_less_either_ends_the_run(error: Exception) -> None:
    """A limit of requests, or no connection: the next run goes on there."""
    org, entries = Odd(*many(10)), list[resume.Entry]()

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.number == 3:
            raise error
        return honest

    org.spoil = spoil
    with pytest.raises(type(error)):
        await go(org, entries=entries)
    result = Result()
    assert await jobs.resume(org, result, entries)  # type: ignore[arg-type]
    assert (await go(org, entries=entries, result=result)).consistent
    assert len(org.jobs) == 1
    assert [asked.cursor for asked in org.results] == [None, "3", "6", "6", "9"]


async def test_a_job_whose_results_are_gone_is_run_once_more() -> None:
    """They are kept for a while only, and a cursor too."""
    org = Odd(*many(10))

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.number == 3:
            raise RequestRefused("Invalid cursor.", status=400, code="bad.request")
        return honest

    org.spoil = spoil
    result = await go(org)
    assert (result.consistent, result.duplicates, len(org.jobs)) == (True, 0, 2)


# Jobs that do not end, or end otherwise


@pytest.mark.parametrize("state", ["FAILED", "EXPIRED", "CANCELLED", "ABANDONED", ""])
async def test_a_job_that_ends_otherwise_is_run_once_more(state: str) -> None:
    """One failure is the moment's."""
    org = Odd(*many(4))
    org.states = [[state], ["FULFILLED"]]
    result = await go(org)
    assert (result.consistent, len(org.jobs), set(result.rows)) == (True, 2, set(org.truth))


@pytest.mark.parametrize("state", ["FAILED", "EXPIRED", "ABANDONED"])
async def test_a_job_that_always_ends_otherwise_becomes_narrower_and_is_given_up(state: str) -> None:
    """Within a bounded number of jobs and of time."""
    org, clock = Odd(*week()), Clock()
    org.states = [[state]]
    result = await go(org, WEEK, clock=clock)
    assert not result.consistent
    assert state in (result.reason or "")
    assert 2 <= len(org.jobs) <= 20
    assert clock.at - START < timedelta(hours=4)


async def test_a_slice_that_fails_is_the_smallest() -> None:
    """A job over less is FULFILLED: what surrounds the slice comes."""
    org = Odd(*week())
    looked: list[Interval] = []

    async def job(job_id: str) -> DetailsJob:
        looked.append(org.jobs[-1])
        return DetailsJob(job_id, "FULFILLED" if org.jobs[-1].length <= timedelta(days=2) else "FAILED", None)

    org.job = job  # type: ignore[method-assign]
    result = await go(org, WEEK)
    assert (result.consistent, set(result.rows)) == (True, set(org.truth))


@pytest.mark.parametrize("states", [["RUNNING", "COMPILING", "FULFILLED"], ["queued", "Fulfilled"], ["", "FULFILLED"]])
async def test_a_state_that_nobody_knows_may_be_on_the_way(states: list[str]) -> None:
    """A new name, another spelling, none at all: looked at again before it is taken for an end."""
    org = Odd(*many(4))
    org.states = [states]
    result = await go(org)
    assert (result.consistent, len(org.jobs)) == (True, 1)


async def test_a_job_that_is_never_done_is_taken_back_and_left_to_the_query() -> None:
    """Once: no second job waits behind it."""
    org, clock = Odd(*week()), Clock()
    org.states = [["PENDING"]]
    result = await go(org, WEEK, clock=clock)
    assert (result.consistent, org.cancelled) == (False, ["job-1"])
    assert clock.at - START < timedelta(hours=4)
    assert org.looks < 500


async def test_jobs_that_take_long_to_fail_are_waited_for_no_longer_than_one_that_is_never_done() -> None:
    """The patience is that of the whole reading, not of each of its jobs."""
    org, clock = Odd(*week()), Clock()
    began: dict[str, float] = {}

    async def job(job_id: str) -> DetailsJob:
        since = clock.at.timestamp() - began.setdefault(job_id, clock.at.timestamp())
        return DetailsJob(job_id, "FAILED" if since > 1800 else "PENDING", None)

    org.job = job  # type: ignore[method-assign]
    result = await go(org, WEEK, clock=clock)
    assert not result.consistent
    assert len(org.jobs) > 2
    assert clock.at - START < timedelta(hours=4)


@pytest.mark.parametrize(("failures", "ends"), [(2, True), (5, False)])
async def test_looks_at_a_job_may_fail_now_and_then(failures: int, ends: bool) -> None:
    """Some in a row; more of them, and nobody answers: the run ends, and the job is taken back."""
    org = Odd(*many(4))

    def look(number: int) -> None:
        if number <= failures:
            raise Unavailable("oops", status=500)

    org.look = look
    if ends:
        assert (await go(org)).consistent
    else:
        with pytest.raises(Unavailable):
            await go(org)
        assert org.cancelled == ["job-1"]


CROWDED: list[ApiError] = [
    Unavailable("rate limit", status=429),
    RequestRefused("Too many jobs are running", status=400),
    RequestRefused("conflict", status=409),
    RequestRefused("limit", status=400, code="concurrent.jobs"),
]


@pytest.mark.parametrize("error", CROWDED, ids=str)
@pytest.mark.parametrize("times", [3, 1000])
async def test_too_many_jobs_are_waited_for(error: ApiError, times: int) -> None:
    """For a while: then the query is asked."""
    org, clock = Odd(*many(4)), Clock()

    def refuse(_: Interval, number: int) -> None:
        if number <= times:
            raise error

    org.refuse_job = refuse
    result = await go(org, clock=clock)
    assert result.consistent == (times == 3)
    assert len(org.jobs) < 40
    assert timedelta(seconds=10) < clock.at - START - timedelta(hours=1) < timedelta(hours=1)


async def test_a_job_that_is_refused_as_too_long_is_made_over_less() -> None:
    """No longest interval is documented."""
    org = Odd(*week())

    def refuse(interval: Interval, _: int) -> None:
        if interval.length > timedelta(days=2):
            raise RequestRefused("The interval may not exceed 2 days.", status=400)

    org.refuse_job = refuse
    result = await go(org, WEEK)
    assert (result.consistent, set(result.rows)) == (True, set(org.truth))


# The query's word

CARRIED = [record("before", -30, 10), record("long", -3 * 1440, None)]


@pytest.mark.parametrize("lost", [{"c00"}, {"c07", "c08"}, {f"c{number:02}" for number in range(12)}])
async def test_rows_that_no_job_brings_are_seen_in_the_total(lost: set[str]) -> None:
    """Some, or all: the reason has both numbers."""
    org, clock = Odd(*many(12)), Clock()
    org.lost = lost
    result = await go(org, clock=clock)
    assert not result.consistent
    assert f"brought {12 - len(lost)} " in (result.reason or "")
    assert "totalHits of the query says 12" in (result.reason or "")
    assert len(org.bodies) == 3, "it is asked again, apart in time"
    assert sum(clock.slept) > 30


async def test_a_total_that_moves_is_asked_for_again() -> None:
    """It is approximate: one that agrees is enough."""
    org = Odd(*many(12))
    org.totals = lambda total, query: total - 1 if query < 3 else total
    result = await go(org)
    assert (result.consistent, len(org.bodies)) == (True, 3)
    assert result.passes[0]["checks"] == [{"interval": WINDOW.text, "total_hits": 12}]


class ByStart(Odd):
    """The query answers by start; with `days`, by lifetime within the days' indexes."""

    days = False

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        self.bodies.append(body)
        start = f"{body['interval'][:10]}T00:00:00.000Z" if self.days else body["interval"].split("/")[0]
        rows = [row for row in self._matching(body) if row["conversationStart"] >= start]
        return page(rows[:1], len(rows)) if rows else BARE


@pytest.mark.parametrize("days", [True, False])
async def test_a_query_by_start_agrees_too(days: bool) -> None:
    """By which rule it answers an interval is not documented to the end."""
    org = ByStart(*many(12), *CARRIED)
    org.days = days
    assert (await go(org)).consistent
    org.lost = {"c03"}
    assert not (await go(org)).consistent


async def test_as_many_by_another_rule_are_not_the_same() -> None:
    """Two went on from before, and two that started are lost: the numbers agree, the first rows do not."""
    org = ByStart(*many(12), *CARRIED)
    org.lost = {"c03", "c04"}
    result = await go(org)
    assert len(result.rows) == 12
    assert not result.consistent


async def test_a_job_of_nothing_agrees_with_a_query_of_nothing() -> None:
    """`{}` is how the platform answers for nothing; where it shows a row, that is not nothing."""
    assert (await go(Odd())).consistent
    org = Odd(*many(2))
    org.lost = set(org.truth)
    assert not (await go(org)).consistent


async def test_a_total_that_is_too_large_to_be_counted_is_asked_for_in_halves() -> None:
    """What saturates for a week is counted for its days."""
    org = Odd(*week())
    org.totals = lambda total, _: job_proof.SATURATED if total > 6 else total
    result = await go(org, WEEK)
    assert result.consistent
    assert len(result.passes[0]["checks"]) > 1
    org.lost = {"d3-0"}
    assert not (await go(org, WEEK)).consistent


async def test_what_is_counted_nowhere_is_noted() -> None:
    """No total to hold against the rows, however often it is asked for: the ledger says so."""
    org = Odd(*many(4))
    org.totals = lambda _total, _query: None
    result = await go(org)
    assert (result.consistent, result.is_counted) == (True, False)
    assert result.passes[0]["checks"] == [{"interval": WINDOW.text, "total_hits": None}]
    assert len(org.bodies) == 3


@pytest.mark.parametrize("first", [None, job_proof.SATURATED], ids=["absent", "saturated"])
async def test_one_answer_that_does_not_count_is_no_agreement(first: int | None) -> None:
    """The next one counts, and what the job lacks is seen."""
    for lost in (set[str](), {"c03"}):
        org = Odd(*many(12))
        org.totals = lambda total, query: first if query == 1 else total
        org.lost = lost
        result = await go(org)
        assert (result.consistent, result.is_counted) == (not lost, True)


async def test_more_than_can_be_counted_are_more_than_the_job_brought() -> None:
    """A total of very many is the least that there is; where no halves can be counted, few rows do not fit it."""
    org = Odd(*many(4))
    org.totals = lambda _total, _query: job_proof.SATURATED
    result = await go(org)
    assert not result.consistent
    assert "totalHits of the query says 100000" in (result.reason or "")


async def test_each_part_of_a_long_interval_is_counted() -> None:
    """Two that err in opposite ways do not make up for each other."""
    org = Odd(*(record(f"d{day}", day * 1440, day * 1440 + 9) for day in range(14)))
    window = Interval(DAY.start, DAY.start + timedelta(days=14))
    assert (await go(org, window)).consistent
    assert len(org.intervals) == 2
    org.totals = lambda total, query: total - 1 if query % 2 else total + 1
    assert not (await go(org, window)).consistent


async def test_the_total_is_asked_with_the_filter() -> None:
    """What is counted is what the job was asked for."""
    org = Odd(*many(4), record("out", 5, 20, originatingDirection="outbound"))
    result = await go(org, members=only("originatingDirection", "inbound"))
    assert (result.consistent, len(result.rows)) == (True, 4)
    assert org.bodies[0]["conversationFilters"] == only("originatingDirection", "inbound")["conversationFilters"]
    assert org.bodies[0]["paging"] == {"pageSize": 1, "pageNumber": 1}


async def test_a_total_that_cannot_be_had_as_asked_is_asked_for_in_halves() -> None:
    """And where it cannot be had at all, no check has been made: nothing is proven."""
    org = Odd(*week())

    def refuse(body: Mapping[str, Any], _: int) -> None:
        start, end = map(from_text, body["interval"].split("/"))
        if end - start > timedelta(days=1):
            raise Unavailable("gateway", status=502)

    org.refuse = refuse
    assert (await go(org, WEEK)).consistent

    def refuse_all(_body: Mapping[str, Any], _query: int) -> None:
        raise Unavailable("gateway", status=502)

    org.refuse = refuse_all
    with pytest.raises(Unavailable):
        await go(org, WEEK)


# Going on


@pytest.mark.parametrize("cursor", ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_reading_that_stood_still_is_gone_on_with_as_strictly(cut: int, cursor: Callable[[Asked], str]) -> None:
    """Cut wherever it is, and whatever the query counts: the doubt is not forgotten."""
    org, entries, stop = Odd(*many(10)), list[resume.Entry](), asyncio.Event()
    spoil = names(cursor)

    def stopping(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.number == cut:
            stop.set()
        return spoil(asked, honest)

    org.spoil = stopping
    org.totals = lambda _total, _query: None
    try:
        result = await go(org, entries=entries, stop=stop)
    except Stopped:
        kept = resume.decode([resume.encode(entry) for entry in entries])
        result = Result()
        assert await jobs.resume(org, result, kept)  # type: ignore[arg-type]
        result = await go(org, entries=entries, result=result)
    assert (result.consistent, set(result.rows)) == (False, set(org.truth))
    assert len(org.jobs) == 1


@pytest.mark.parametrize(
    "odd",
    [
        resume.Entry("results", rows=[("a", at(1), at(2))], text="3"),
        resume.Entry("page", part=WINDOW.text, page=1),
        resume.Entry("doubt", text="of a query", doubted=["a"]),
        resume.Entry("job", part=WINDOW.text),
        resume.Entry("split"),  # type: ignore[arg-type]
    ],
    ids=lambda entry: entry.kind,
)
async def test_entries_that_are_odd_are_not_gone_on_with(odd: resume.Entry) -> None:
    """Results without a watermark (an earlier version kept them), a query's page, no id: it is read anew."""
    known = [resume.Entry("begin"), resume.Entry("job", part=WINDOW.text, text="job-1", page=1000)]
    result = Result()
    assert not await jobs.resume(Odd(), result, [*known, odd])  # type: ignore[arg-type]
    assert result == Result() or (result.rows, result.done, result.job) == ({}, set(), None)


async def test_the_size_of_pages_is_gone_on_with() -> None:
    """A cursor may count pages of the size with which it was made."""
    org, entries, stop = Odd(*many(30)), list[resume.Entry](), asyncio.Event()
    org.rows_a_page = 1000
    shrink = too_large(10, Unavailable("slow", status=504))

    def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
        if asked.size == 10:
            stop.set()
        return shrink(asked, honest)

    org.spoil = spoil
    with pytest.raises(Stopped):
        await go(org, entries=entries, stop=stop)
    result, before = Result(), len(org.results)
    assert await jobs.resume(org, result, entries)  # type: ignore[arg-type]
    assert (await go(org, entries=entries, result=result)).consistent
    assert {asked.size for asked in org.results[before:]} == {10}


# Everything at once

FAULTS = st.sampled_from(
    ["bare", "no date", "stands", "first", "skips", "repeats", "empty", "cut", "504", "413", "gone"]
)


def _fault(what: str, asked: Asked, honest: DetailsPage) -> DetailsPage:
    change = msgspec.structs.replace
    match what:
        case "bare":
            return BARE
        case "no date":
            return change(honest, data_availability_date=None)
        case "stands":
            return change(honest, cursor=asked.cursor or "0")
        case "first":
            return change(honest, cursor=f"0-{asked.number}")
        case "skips":
            return change(honest, cursor=str(asked.first + 5))
        case "repeats":
            return change(honest, cursor=str(max(asked.first - 1, 0)))
        case "empty":
            return change(honest, rows=())
        case "cut":
            return change(honest, rows=honest.rows[:1], cursor=None)
        case "504":
            raise Unavailable("slow", status=504)
        case "413":
            raise RequestRefused("too large", status=413)
        case _:
            raise RequestRefused("Invalid cursor.", status=400, code="bad.request")


@given(
    faults=st.dictionaries(st.integers(1, 12), FAULTS, max_size=4),
    lost=st.sets(st.integers(0, 11), max_size=3),
    states=st.lists(st.sampled_from(["FULFILLED", "FAILED", "ODD", "EXPIRED"]), max_size=3),
    rule=st.sampled_from(["overlap", "start", "days"]),
    carried=st.integers(0, 2),
    cut=st.integers(1, 30),
)
def test_no_world_is_proven_wrongly(
    faults: dict[int, str], lost: set[int], states: list[str], rule: str, carried: int, cut: int
) -> None:
    """Whatever pages, jobs and rules do, stopped and gone on with: consistent only if every row is there."""

    async def world() -> None:
        records = [*many(12), *CARRIED[:carried]]
        org = Odd(*records) if rule == "overlap" else ByStart(*records)
        if isinstance(org, ByStart):
            org.days = rule == "days"
        org.states = [*([state] for state in states), ["FULFILLED"]]
        stop, entries, clock = asyncio.Event(), list[resume.Entry](), Clock()

        def spoil(asked: Asked, honest: DetailsPage) -> DetailsPage:
            if asked.number == cut:
                stop.set()
            return _fault(faults[asked.number], asked, honest) if asked.number in faults else honest

        org.spoil = spoil
        org.lost = {f"c{number:02}" for number in lost}
        try:
            result = await go(org, entries=entries, stop=stop, clock=clock)
        except Stopped:
            result = Result()
            await jobs.resume(org, result, entries)  # type: ignore[arg-type]
            result = await go(org, entries=entries, result=result, clock=clock)
        if result.consistent:
            assert set(result.rows) >= set(org.owned())
        else:
            assert result.reason
            assert faults or lost or states
        assert len(org.results) < 150
        assert clock.at - START < timedelta(hours=6)

    asyncio.run(world())
