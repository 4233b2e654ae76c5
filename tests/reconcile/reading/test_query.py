"""Asking the API for what a reader wants: pages in turn, the next one on its way while the former is taken; errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from reconcile.patience import RunClock
from reconcile.reading.query import DetailsQuery, Stopped, read_pages
from reconcile.reading.reader import MOST_REFUSALS, PAUSES, SECOND_LOOK, Finished, Reader
from reconcile.reading.scan import PAGE_SIZE, Part
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    PermissionRefused,
    RequestRefused,
    Unavailable,
    UsageError,
)
from rollbook.genesys.messages.details import DetailsPage, parse_page
from rollbook.genesys.times import Interval
from tests.helpers.organisation import START, WINDOW, Clock, Organisation, at, only, page, record

SLOW = Unavailable("too slow", status=504)
DEEP = RequestRefused("Pagination may not exceed 100000 results", status=400, code="bad.request")
REFUSED = RequestRefused("dimension 'color' is not supported", status=400, code="bad.request")


async def ignore(_page: DetailsPage, _as_of: str) -> None:
    """Take nothing."""


def reader(window: Interval = WINDOW) -> Reader:
    """A reader of a window."""
    return Reader(window, longest=timedelta(days=7))


async def go(
    api: Any,
    *,
    take: Callable[[DetailsPage, str], Awaitable[None]] = ignore,
    members: Mapping[str, Any] | None = None,
    stop: asyncio.Event | None = None,
    window: Interval = WINDOW,
) -> tuple[Finished, Reader, Clock]:
    """Read a window to the end."""
    wanted, clock = reader(window), Clock()
    query = DetailsQuery(members or {})
    pages = read_pages(api, wanted, query, RunClock(clock.now, clock.sleep, stop))
    async with aclosing(pages):
        async for read in pages:
            await take(read.page, read.as_of)
    return wanted.finished, wanted, clock


def refusing(
    error: ApiError, when: Callable[[Mapping[str, Any], int], bool]
) -> Callable[[Mapping[str, Any], int], None]:
    """An organisation's `refuse`: this error, when that holds."""

    def refuse(body: Mapping[str, Any], number: int) -> None:
        if when(body, number):
            raise error

    return refuse


def minutes(body: Mapping[str, Any]) -> float:
    """How long the interval of a query is."""
    start, end = (part[11:] for part in body["interval"].split("/"))
    return (int(end[:2]) - int(start[:2])) * 60 + int(end[3:5]) - int(start[3:5])


# What is asked for


def test_a_page_is_asked_for_as_the_contract_says() -> None:
    """Ascending by conversationStart, pages of a hundred, and no filter that nobody gave."""
    assert DetailsQuery({}).body(Part(WINDOW), 3) == {
        "interval": "2026-03-02T10:00:00.000Z/2026-03-02T10:30:00.000Z",
        "order": "asc",
        "orderBy": "conversationStart",
        "paging": {"pageSize": PAGE_SIZE, "pageNumber": 3},
    }


@pytest.mark.parametrize("direction", ["inbound", "outbound", "none"])
def test_a_direction_narrows_a_filter_and_takes_its_place_nowhere(direction: Any) -> None:
    """The parts that time cannot split are asked for by direction, and by the filter as well."""
    members = only("mediaType", "voice")
    body = DetailsQuery(members).body(Part(WINDOW, direction), 1)
    assert body["conversationFilters"][0] == members["conversationFilters"][0]
    predicate = body["conversationFilters"][1]["predicates"][0]
    assert predicate["dimension"] == "originatingDirection"
    assert (predicate.get("value"), predicate["operator"]) == (
        (None, "notExists") if direction == "none" else (direction, "matches")
    )
    assert len(members["conversationFilters"]) == 1, "what was given is not changed"


# Pages


async def test_every_page_is_read_until_an_empty_one() -> None:
    """A short page ends nothing; each page is handed on once, in turn, with a time before it was asked for."""
    got: list[tuple[list[str | None], str]] = []

    async def take(page: DetailsPage, as_of: str) -> None:
        got.append(([row.conversation_id for row in page.rows], as_of))

    api = Organisation(*(record(f"c{number}", number) for number in range(7)))
    finished, wanted, _ = await go(api, take=take)
    assert finished == Finished(True, None)
    pages = [["c0", "c1", "c2"], ["c3", "c4", "c5"]]
    assert [ids for ids, _ in got] == [*pages, ["c6"], [], *pages], "and those that have one behind them once more"
    assert [as_of for _, as_of in got] == sorted({as_of for _, as_of in got})
    assert set(wanted.found()) == {f"c{number}" for number in range(7)}
    assert [body["paging"]["pageNumber"] for body in api.bodies] == [1, 2, 3, 4, 1, 2]


async def test_nothing_at_all_is_an_answer() -> None:
    """An empty window is answered `{}`, twice: consistent, nothing found."""
    api = Organisation()
    finished, wanted, _ = await go(api)
    assert (finished.consistent, dict(wanted.found()), len(api.bodies)) == (True, {}, 2)


class Overlapping(Organisation):
    """Notes when a page is asked for and answered."""

    def __init__(self, *records: Any) -> None:
        super().__init__(*records)
        self.log: list[str] = []
        self.asked_for = {number: asyncio.Event() for number in range(1, 6)}

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        number = body["paging"]["pageNumber"]
        self.log.append(f"ask {number}")
        self.asked_for[number].set()
        return await super().query_details(body)


async def test_the_next_page_is_on_its_way_while_the_former_is_taken() -> None:
    """Taking page n does not begin before page n+1 is asked for, nor is page n+2 asked for before it has ended."""
    api = Overlapping(*(record(f"c{number}", number) for number in range(7)))
    taken = 0

    async def take(_page: DetailsPage, _as_of: str) -> None:
        nonlocal taken
        taken += 1
        if taken < 4:
            async with asyncio.timeout(5):
                await api.asked_for[taken + 1].wait()  # would hang if it were asked for afterwards
        api.log.append(f"took {taken}")

    await go(api, take=take)
    assert api.log == [
        "ask 1",
        "ask 2",
        "took 1",
        "ask 3",
        "took 2",
        "ask 4",
        "took 3",
        "took 4",
        "ask 1",
        "took 5",
        "ask 2",
        "took 6",
    ]


async def test_what_take_raises_ends_the_reading_and_what_was_on_its_way() -> None:
    """A store that is full is not waited for; the page on its way is given up."""
    api = Overlapping(*(record(f"c{number}", number) for number in range(7)))

    async def take(_page: DetailsPage, _as_of: str) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        await go(api, take=take)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    assert api.log in (["ask 1"], ["ask 1", "ask 2"])


async def test_between_passes_it_waits() -> None:
    """Movement means another pass, after a pause."""
    api = Organisation(*(record(f"c{number}", number) for number in range(7)))
    api.moves[2] = lambda org: org.put(record("new", 1))
    finished, wanted, clock = await go(api)
    assert finished.consistent
    assert len(wanted.passes) > 1
    assert len(clock.slept) == len(wanted.passes) - 1
    assert all(seconds > 0 for seconds in clock.slept)
    assert "new" in wanted.found()


# Errors


@pytest.mark.parametrize("error", [SLOW, Unavailable("too slow", status=408), DEEP])
async def test_what_is_too_much_at_once_is_read_in_pieces(error: ApiError) -> None:
    """A query that times out, or goes too deep, is asked for in narrower intervals; nothing is lost by that."""
    api = Organisation(*(record(f"c{number}", number, number + 1) for number in range(30)))
    api.refuse = refusing(error, lambda body, _: minutes(body) > 8)
    finished, wanted, _ = await go(api)
    assert finished.consistent
    assert set(wanted.found()) == set(api.truth)
    read_in = [text for text in api.intervals if minutes({"interval": text}) <= 8]
    assert (read_in[0].split("/")[0], read_in[-1].split("/")[1]) == (at(0), at(30))


async def test_a_timeout_in_the_middle_is_read_in_pieces_too() -> None:
    """The third page times out: rows that came already count once."""
    api = Organisation(*(record(f"c{number}", number, number + 1) for number in range(20)))
    api.refuse = refusing(SLOW, lambda body, _: body["paging"]["pageNumber"] > 2 and minutes(body) > 15)
    finished, wanted, _ = await go(api)
    assert finished.consistent
    assert set(wanted.found()) == set(api.truth)


class Large(Organisation):
    """Says that it has more rows than pages can reach, for intervals that are long."""

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        answer = await super().query_details(body)
        if minutes(body) <= 15:
            return answer
        return DetailsPage(answer.rows, 100_001)


async def test_more_rows_than_pages_can_reach_are_read_in_pieces() -> None:
    """Past 100,000 rows the pages end: the first page's totalHits is enough to know."""
    api = Large(*(record(f"c{number}", number, number + 1) for number in range(30)))
    finished, wanted, _ = await go(api)
    assert finished.consistent
    assert set(wanted.found()) == set(api.truth)
    assert sum(minutes(body) > 15 for body in api.bodies) == 1


async def test_what_cannot_be_split_any_more_is_an_error() -> None:
    """If even the narrowest query times out, the run cannot go on: that is the platform's error, told as it is."""
    api = Organisation(record("a"))
    api.refuse = refusing(SLOW, lambda _body, _number: True)
    with pytest.raises(Unavailable, match="too slow"):
        await go(api, window=Interval(START, START + timedelta(seconds=1)))
    assert len(api.bodies) <= MOST_REFUSALS + 1


@pytest.mark.parametrize(
    "error",
    [PermissionRefused("no", status=403), ConnectionLost("no network"), REFUSED],
)
async def test_other_errors_are_told_as_they_are(error: Exception) -> None:
    """Nothing is split for a permission or the network; without a filter a refusal is no usage error."""
    api = Organisation(record("a"))

    def refuse(_body: Mapping[str, Any], _number: int) -> None:
        raise error

    api.refuse = refuse
    with pytest.raises(type(error)):
        await go(api)
    assert len(api.bodies) == 1


async def test_a_filter_that_is_refused_is_the_users_mistake() -> None:
    """The first query of a filtered run is refused: exit status 2, with what the platform said."""
    api = Organisation(record("a"))
    api.refuse = refusing(REFUSED, lambda _body, _number: True)
    with pytest.raises(UsageError, match="'color' is not supported") as caught:
        await go(api, members=only("color", "red"))
    assert caught.value.exit_status == 2
    assert "filter" in str(caught.value)


async def test_a_refusal_later_is_not_the_filters() -> None:
    """The filter was taken before: what is refused now is something else."""
    api = Organisation(*(record(f"c{number}", number) for number in range(7)))
    api.refuse = refusing(REFUSED, lambda _body, number: number == 2)
    with pytest.raises(RequestRefused):
        await go(api, members=only("originatingDirection", "inbound"))


# Stopping


async def test_stopped_before_it_begins_it_asks_nothing() -> None:
    """A stop that is set already."""
    stop, api = asyncio.Event(), Organisation(record("a"))
    stop.set()
    with pytest.raises(Stopped):
        await go(api, stop=stop)
    assert api.bodies == []


async def test_stopped_on_its_way_it_keeps_what_was_answered() -> None:
    """What was fetched is handed on, and no more is asked for."""
    stop = asyncio.Event()
    got: list[str | None] = []

    async def take(page: DetailsPage, _as_of: str) -> None:
        got.extend(row.conversation_id for row in page.rows)
        stop.set()

    api = Organisation(*(record(f"c{number}", number) for number in range(12)))
    with pytest.raises(Stopped):
        await go(api, take=take, stop=stop)
    assert len(api.bodies) == 2
    assert got == [f"c{number}" for number in range(6)], "the page that was on its way is kept as well"


# Answers of strange shapes


class Scripted:
    """Answers each query with the next of a list; the last one again and again."""

    def __init__(self, pages: Sequence[DetailsPage]) -> None:
        self.pages, self.asked = list(pages), 0

    async def query_details(self, _body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """The next page."""
        self.asked += 1
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


async def test_a_row_without_an_id_proves_nothing() -> None:
    """It cannot be counted, so it is not believed; it is an answer, and so no error."""
    strange = [page([{"conversationStart": at(1)}, record("a")]), parse_page(b"{}")]
    finished, _, _ = await go(Scripted(strange * 40))
    assert not finished.consistent
    assert "no id" in (finished.reason or "")


async def test_an_answer_that_never_agrees_with_itself_ends_after_its_tries() -> None:
    """totalHits that no reading reaches: not consistent, a reason, and an end."""
    api = Organisation(*(record(f"c{number}", number) for number in range(7)))
    api.totals = lambda total, _: total + 1
    finished, wanted, clock = await go(api)
    assert not finished.consistent
    assert finished.reason
    assert len(wanted.passes) == 8
    passes = [seconds for seconds in clock.slept if seconds in PAUSES]
    assert len(clock.slept) <= 7 + clock.slept.count(SECOND_LOOK)
    assert passes
