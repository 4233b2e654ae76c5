"""Reading by a job: believed only if it was fulfilled, read to its end, and its data reached past the window's end."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from reconcile.patience import RunClock
from reconcile.reading import jobs
from reconcile.reading.jobs import PastWatermark, Result
from reconcile.reading.query import DetailsQuery, Stopped
from reconcile.reading.resume import Entry
from reconcile.reading.scan import end_of, start_of
from rollbook.genesys.api.client import DetailsJob
from rollbook.genesys.errors import RequestRefused, Unavailable, UsageError
from rollbook.genesys.messages.details import DetailRow, DetailsPage
from rollbook.genesys.times import Interval
from tests.helpers.organisation import START, WINDOW, Clock, at, only, page, record

END = at(30)
LATER = at(90)
BEFORE = at(29.9)


class Jobs:
    """Answers as the API does, from lists: each answer once, the last one for ever.

    watermarks: of the availability endpoint. states: of the job. pages: of its results, or an error to raise.
    """

    def __init__(
        self,
        *pages: DetailsPage,
        watermarks: Sequence[str | None] = (LATER,),
        states: Sequence[str] = ("FULFILLED",),
        refuse: Exception | None = None,
    ) -> None:
        self.ids = {row.conversation_id for page in pages for row in page.rows}
        self.pages, self.watermarks, self.states, self.refuse = list(pages), list(watermarks), list(states), refuse
        self.log: list[str] = []
        self.bodies: list[Mapping[str, Any]] = []
        self.on_state: Callable[[], None] = lambda: None

    async def data_availability(self) -> str | None:
        self.log.append("availability")
        watermark: str | None = _next(self.watermarks)
        return watermark

    async def create_job(self, body: Mapping[str, Any]) -> str:
        self.log.append("create")
        self.bodies.append(body)
        if self.refuse is not None:
            raise self.refuse
        return "j1"

    async def job(self, job_id: str) -> DetailsJob:
        self.log.append("state")
        self.on_state()
        state = _next(self.states)
        return DetailsJob(job_id, state, "out of memory" if state == "FAILED" else None)

    async def job_results(self, job_id: str, cursor: str | None = None, *, size: int | None = None) -> DetailsPage:
        self.log.append(f"results {cursor}")
        return self.pages.pop(0)

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        self.log.append("total")
        return page([], len(self.ids))

    async def cancel_job(self, job_id: str) -> None:
        self.log.append(f"cancel {job_id}")


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]


def results(*records: Mapping[str, Any], cursor: str | None = None, date: str | None = LATER) -> DetailsPage:
    """A page of a job's results, which has no totalHits."""
    more: dict[str, Any] = ({"cursor": cursor} if cursor else {}) | ({"dataAvailabilityDate": date} if date else {})
    answer = page(records, **more)
    return DetailsPage(answer.rows, None, answer.cursor, answer.data_availability_date)


async def go(
    api: Jobs,
    *,
    members: Mapping[str, Any] | None = None,
    stop: asyncio.Event | None = None,
    take: Any = None,
    window: Interval = WINDOW,
    clock: Clock | None = None,
) -> Result:
    """Read a window by a job."""
    clock = clock or Clock()

    result = Result()

    async def on_page(rows: Sequence[DetailRow], as_of: str, _entry: Entry | None) -> None:
        if take is not None and as_of:  # else it is an entry of the journal alone
            await take(rows, as_of)

    await jobs.read(
        api,  # type: ignore[arg-type]
        window,
        DetailsQuery(members or {}),
        RunClock(clock.now, clock.sleep, stop),
        on_page=on_page,
        result=result,
    )
    return result


async def test_a_job_is_read_to_the_end_of_its_cursor() -> None:
    """The watermark first, the job, its state until it is fulfilled, every page, the watermark once more, a total."""
    api = Jobs(
        results(record("a", 1, None), record("b", 2), cursor="x"),
        results(cursor="y"),
        results(record("c", 3)),
        states=["QUEUED", "PENDING", "FULFILLED"],
    )
    got: list[tuple[list[str | None], str]] = []

    async def take(rows: Sequence[DetailRow], as_of: str) -> None:
        got.append(([row.conversation_id for row in rows], as_of))

    clock = Clock()
    result = await go(api, take=take, clock=clock)
    assert api.log == [
        "availability",
        "create",
        "state",
        "state",
        "state",
        "results None",
        "results x",
        "results y",
        "availability",
        "total",
    ]
    assert (result.consistent, result.reason) == (True, None)
    assert [ids for ids, _ in got] == [["a", "b"], [], ["c"]], "an empty page with a cursor ends nothing"
    assert set(result.rows) == {"a", "b", "c"}
    assert end_of(result.rows["a"]) == -1 < start_of(result.rows["a"]) < end_of(result.rows["b"])
    assert len(clock.slept) == 2
    assert all(pause >= 1 for pause in clock.slept), "a job takes seconds, and every look is a request"


async def test_a_job_asks_for_the_whole_interval_and_the_filter() -> None:
    """The body is the query's without paging."""
    api = Jobs(results(record("a")))
    await go(api, members=only("mediaType", "voice"))
    [body] = api.bodies
    assert body["interval"] == WINDOW.text
    assert body["conversationFilters"] == only("mediaType", "voice")["conversationFilters"]
    assert "paging" not in body


@pytest.mark.parametrize("watermark", [BEFORE, at(-600), None])
async def test_a_watermark_before_the_windows_end_runs_no_job(watermark: str | None) -> None:
    """Such a job would succeed with a part of the rows: it is not even started; exit status 1, and what to do."""
    api = Jobs(watermarks=[watermark])
    with pytest.raises(PastWatermark, match="--via query") as caught:
        await go(api)
    assert caught.value.exit_status == 1
    assert api.log == ["availability"]


@pytest.mark.parametrize("watermark", [END, LATER])
async def test_a_watermark_at_the_windows_end_is_enough(watermark: str) -> None:
    """The contract says at or past."""
    api = Jobs(results(record("a"), date=watermark), watermarks=[watermark])
    assert (await go(api)).consistent


@pytest.mark.parametrize(
    ("pages", "watermarks"),
    [
        ([results(record("a"), date=BEFORE)], [LATER]),
        ([results(record("a"), cursor="x"), results(record("b"), date=BEFORE)], [LATER]),
        ([results(record("a"), cursor="x", date=BEFORE), results(record("b"))], [LATER]),
        ([results(record("a"))], [LATER, BEFORE]),
        ([results(record("a"))], [LATER, None]),
    ],
)
async def test_the_watermark_must_hold_on_every_page_and_afterwards(
    pages: list[DetailsPage], watermarks: list[str | None]
) -> None:
    """Wherever the watermark falls behind the window's end, nothing is proven."""
    with pytest.raises(PastWatermark):
        await go(Jobs(*pages, watermarks=watermarks))


async def test_a_read_is_as_old_as_the_oldest_watermark() -> None:
    """What a job brings is no newer than its data; each page is handed on as no newer than what was known then."""
    ages: list[str] = []

    async def take(_rows: Sequence[DetailRow], as_of: str) -> None:
        ages.append(as_of)

    api = Jobs(
        results(record("a"), cursor="x", date=at(80)), results(record("b"), date=at(85)), watermarks=[at(70), at(75)]
    )
    result = await go(api, take=take)
    assert (ages, result.as_of) == ([at(70), at(70)], at(70))


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "EXPIRED", "SOMETHING_NEW"])
async def test_a_job_that_is_not_fulfilled_proves_nothing(state: str) -> None:
    """Its results are not read; the reason says how it ended."""
    api = Jobs(states=["QUEUED", state])
    result = await go(api)
    assert not result.consistent
    assert state in (result.reason or "")
    assert state != "FAILED" or "out of memory" in (result.reason or "")
    assert not any(line.startswith("results") for line in api.log)
    assert result.as_of == LATER


async def test_a_job_that_never_ends_is_given_up() -> None:
    """After hours, in a reasonable number of looks."""
    api, clock = Jobs(states=["PENDING"]), Clock()
    result = await go(api, clock=clock)
    assert not result.consistent
    assert "PENDING" in (result.reason or "")
    assert api.log.count("state") < 1000
    assert timedelta(hours=1) < clock.at - START < timedelta(days=1)


@pytest.mark.parametrize(
    ("records", "reason", "duplicates"),
    [([record("a"), record("a")], "twice", 1), ([record("a"), {"conversationStart": at(3)}], "no id", 0)],
)
async def test_rows_that_cannot_be_counted_prove_nothing(
    records: list[dict[str, Any]], reason: str, duplicates: int
) -> None:
    """An id that comes twice, or none at all."""
    result = await go(Jobs(results(*records)))
    assert not result.consistent
    assert reason in (result.reason or "")
    assert (set(result.rows), result.duplicates) == ({"a"}, duplicates)


async def test_a_filter_that_is_refused_is_the_users_mistake() -> None:
    """With a filter exit status 2; without one it is the platform's refusal."""
    refused = RequestRefused("dimension 'color' is not supported", status=400, code="bad.request")
    with pytest.raises(UsageError, match="color"):
        await go(Jobs(refuse=refused), members=only("color", "red"))
    with pytest.raises(RequestRefused):
        await go(Jobs(refuse=refused))


async def test_stopped_while_it_waits_it_takes_the_job_back() -> None:
    """A job that nobody will read is cancelled."""
    stop, api = asyncio.Event(), Jobs(states=["QUEUED"])
    api.on_state = stop.set
    with pytest.raises(Stopped):
        await go(api, stop=stop)
    assert api.log[-1] == "cancel j1"


async def test_stopped_between_pages_it_keeps_what_came() -> None:
    """The page that came is handed on; the job is kept, so that the next run goes on with it."""
    stop = asyncio.Event()
    got: list[str | None] = []

    async def take(rows: Sequence[DetailRow], _as_of: str) -> None:
        got.extend(row.conversation_id for row in rows)
        stop.set()

    api = Jobs(results(record("a"), cursor="x"), results(record("b")))
    with pytest.raises(Stopped):
        await go(api, stop=stop, take=take)
    assert (got, api.log[-1]) == (["a"], "results None")


WEEK = Interval(START, START + timedelta(days=7))
LAG = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("window", "watermark", "way"),
    [
        (WINDOW, "2026-04-01T00:00:00.000Z", "query"),
        (WEEK, "2026-04-01T00:00:00.000Z", "job"),
        (WEEK, "2026-03-09T10:10:00.000Z", "job"),
        (WEEK, "2026-03-09T10:09:59.999Z", "query"),
        (Interval(START, START + timedelta(hours=6)), "2026-04-01T00:00:00.000Z", "job"),
        (WEEK, None, "query"),
    ],
)
async def test_the_better_way_is_a_job_only_where_its_data_is_there(
    window: Interval, watermark: str | None, way: str
) -> None:
    """`--via auto`: a job for six hours and more that lie before the watermark, with time for what is indexed late."""
    assert await jobs.better_way(Jobs(watermarks=[watermark]), window, LAG) == way  # type: ignore[arg-type]


async def test_the_better_way_without_an_answer_is_the_query() -> None:
    """Whoever may not ask for the watermark can still ask for details."""

    class Deaf(Jobs):
        async def data_availability(self) -> str | None:
            raise Unavailable("down", status=503)

    assert await jobs.better_way(Deaf(), WEEK, LAG) == "query"  # type: ignore[arg-type]
