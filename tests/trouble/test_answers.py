"""Answers that are no good: too wide to be had, no page of details, empty for a moment, with one bad record in it.

Each case is a public report of somebody who reads the platform, or another member of its kind. The platform is on
loopback, and its truth decides what is right.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.times import Interval
from rollbook.store.vocabulary import PROVEN
from tests.helpers.organisation import START, WINDOW, Record, record
from tests.helpers.unfriendly import (
    Answer,
    Asked,
    Scene,
    Spoil,
    conversation,
    first,
    gateway,
    half_hour,
    listing,
    refusal,
    scene,
    snapshot,
    too_large,
    when,
)

TOO_LARGE = refusal(400, "response.entity.too.large", "The response is over the size limit; reduce the page size.")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Scene]:
    """A platform and an empty store."""
    async with scene(tmp_path) as made:
        yield made


def many(number: int, *, over: float = 30, end: float | None = 1, **more: Any) -> list[Record]:
    """So many conversations that start one after the other over so many minutes; each ends after `end` minutes."""
    minutes = [at * over / number for at in range(number)]
    return [
        record(conversation(at), minute, None if end is None else minute + end, **more)
        for at, minute in enumerate(minutes)
    ]


def assert_all_stored(world: Scene, number: int) -> None:
    """The store has every conversation of the truth, as it is."""
    assert len(world.platform.truth) == number
    assert world.stored() == world.platform.truth


# Too wide to be had as it was asked


def beyond(rows: int, answer: Answer) -> Spoil:
    """A gateway that cannot answer a page beyond so many rows of a query."""
    return when(lambda asked: (asked.page - 1) * asked.body["paging"]["pageSize"] >= rows, answer)


def wider_than(rows: int, answer: Answer) -> Spoil:
    """A gateway that cannot answer any page of a query with more than so many rows."""
    return lambda _, honest: (
        answer if isinstance(honest.body, dict) and honest.body.get("totalHits", 0) > rows else honest
    )


HALF_A_DAY = Interval(START, START + timedelta(hours=12))


@pytest.mark.parametrize(
    "answer",
    [
        gateway(502),
        gateway(503),
        refusal(503),
        refusal(500),
        gateway(504),
        gateway(413),
        TOO_LARGE,
        Answer(cut=True),
        Answer(body=b"<html>busy</html>"),
    ],
    ids=["502", "503 of a gateway", "503", "500", "504", "413", "400 too large", "cut", "200 of a gateway"],
)
@pytest.mark.parametrize("spoil", [beyond, wider_than])
async def test_a_query_that_is_too_wide_is_asked_in_pieces(world: Scene, spoil: Any, answer: Answer) -> None:
    """Whatever a gateway says of a query that is too wide, narrower ones are asked, and all is proven."""
    world.platform.put(*many(1_900, over=720))
    world.platform.spoil("query", spoil(800, answer))
    world.later(hours=12)
    report = await world.by_hand(HALF_A_DAY)
    assert (report.verdict, report.unique, report.exit_status) == ("complete", 1_900, 0)
    assert_all_stored(world, 1_900)


@pytest.mark.parametrize(
    "answer",
    [TOO_LARGE, gateway(413), gateway(502), gateway(400), Answer(400, b""), Answer(400, {"message": "Bad Request"})],
    ids=["400", "413", "502", "400 of a gateway", "400 without a word", "400 without a code"],
)
async def test_heavy_records_come_in_smaller_pages(world: Scene, answer: Answer) -> None:
    """Sixty records of 30 KB, where no answer may have more than a megabyte: all sixty are proven."""
    world.platform.put(*many(60, weight="x" * 30_000))
    world.platform.spoil("query", too_large(1_000_000, answer))
    report = await world.by_hand(WINDOW)
    assert (report.verdict, report.unique) == ("complete", 60)
    assert_all_stored(world, 60)


async def test_heavy_records_that_start_together_come_in_smaller_pages(world: Scene) -> None:
    """No narrower interval parts what starts in one millisecond: fewer rows a page do."""
    world.platform.put(*(record(conversation(at), 5, 6, weight="x" * 30_000) for at in range(60)))
    world.platform.spoil("query", too_large(1_000_000, TOO_LARGE))
    report = await world.by_hand(WINDOW)
    assert (report.verdict, report.unique) == ("complete", 60)
    assert_all_stored(world, 60)


async def test_one_record_that_no_answer_can_hold_fails_its_window_alone(world: Scene) -> None:
    """What is too large by itself cannot be had: its window fails with a reason, its neighbours are proven."""
    world.platform.put(record(conversation(1), 5, 6, weight="x" * 1_200_000), record(conversation(2), 20, 21))
    world.platform.put(record(conversation(3), 35, 36), record(conversation(4), 65, 66))
    for kind in ("query", "results", "by_id", "one"):
        world.platform.spoil(kind, too_large(1_000_000, TOO_LARGE))
    world.later(hours=1)
    report = await world.due()
    assert report.exit_status in (1, 3)
    world.assert_failed(WINDOW)
    assert world.verdicts([half_hour(30), half_hour(60)]) == ["complete"] * 2
    assert {conversation(at) for at in (2, 3, 4)} <= world.stored().keys()


@pytest.mark.parametrize(
    "answer",
    [gateway(504), gateway(502), refusal(500), gateway(413), TOO_LARGE],
    ids=["504", "502", "500", "413", "400"],
)
async def test_details_by_id_are_asked_in_smaller_batches(world: Scene, answer: Answer) -> None:
    """A batch of ids that cannot be answered is asked in smaller ones, until every end is found."""
    world.platform.reading = "start"  # no other window shows them
    going_on = many(30, end=None)
    world.platform.put(*going_on)
    assert (await world.by_hand(WINDOW)).verdict == "open"
    world.platform.put(*(row | {"conversationEnd": "2026-03-02T11:05:00.000Z"} for row in going_on))
    world.platform.spoil("by_id", when(lambda asked: len(asked.ids) > 4, answer))
    world.later(minutes=20)
    await world.due()
    assert (set(world.ends().values()), len(world.ends())) == ({"2026-03-02T11:05:00.000Z"}, 30)
    assert world.row(WINDOW).verdict == "complete"


@pytest.mark.parametrize(
    "answer", [gateway(504), gateway(502), refusal(500), gateway(413)], ids=["504", "502", "500", "413"]
)
async def test_a_job_whose_results_cannot_be_had_is_read_another_way(world: Scene, answer: Answer) -> None:
    """Pages of results that are never answered: fewer rows a page, or the query, prove the same."""
    world.platform.put(*many(250))
    world.platform.spoil("results", when(lambda asked: int(asked.query.get("pageSize", 1000)) > 100, answer))
    report = await world.by_hand(WINDOW, via="job")
    assert (report.verdict, report.unique) == ("complete", 250)
    assert_all_stored(world, 250)


# A body that is no page of details

NO_PAGE: dict[str, Any] = {
    "error of the platform": {"message": "The service is unavailable.", "code": "service.unavailable", "status": 503},
    "errors": {"errors": [{"message": "shard failed"}]},
    "error": {"error": "backend unavailable"},
    "message of a gateway": {"message": "Internal server error"},
    "fault": {"fault": {"faultstring": "timed out", "detail": {"errorcode": "gateway.timeout"}}},
    "word": "maintenance",
    "null": None,
    "list": [],
    "rows that are none": {"conversations": "none", "totalHits": 40},
    "rows in an object": {"conversations": {}, "totalHits": 40},
    "a total without rows": {"totalHits": 40},
    "an error beside no rows": {"conversations": [], "totalHits": 0, "errors": [{"code": "partial"}]},
}


@pytest.mark.parametrize("body", NO_PAGE.values(), ids=NO_PAGE.keys())
async def test_a_body_that_is_no_page_is_asked_for_again(world: Scene, body: Any) -> None:
    """An error's body with status 200, once: it is no answer, and the next one has all forty."""
    world.platform.put(*many(40))
    world.platform.spoil("query", first(Answer(body=body)))
    report = await world.by_hand(WINDOW)
    assert (report.verdict, report.unique) == ("complete", 40)
    assert_all_stored(world, 40)


@pytest.mark.parametrize("body", NO_PAGE.values(), ids=NO_PAGE.keys())
async def test_a_body_that_is_no_page_in_the_middle_is_not_the_end(world: Scene, body: Any) -> None:
    """The same in place of the second of four pages."""
    world.platform.put(*many(350))
    left = [1]

    def second_page_once(asked: Asked, honest: Answer) -> Answer:
        if asked.page != 2 or not left:
            return honest
        left.clear()
        return Answer(body=body)

    world.platform.spoil("query", second_page_once)
    report = await world.by_hand(WINDOW)
    assert (report.verdict, report.unique) == ("complete", 350)
    assert_all_stored(world, 350)


@pytest.mark.parametrize("body", NO_PAGE.values(), ids=NO_PAGE.keys())
async def test_a_body_that_is_never_a_page_proves_nothing(world: Scene, body: Any) -> None:
    """The same always: the window fails with the reason, and is tried again later."""
    world.platform.put(*many(40))
    world.platform.poison(WINDOW, Answer(body=body))
    report = await world.due()
    assert report.exit_status in (1, 3)
    world.assert_failed(WINDOW)


@pytest.mark.parametrize("body", NO_PAGE.values(), ids=NO_PAGE.keys())
async def test_a_body_that_is_no_page_of_results_ends_no_job(world: Scene, body: Any) -> None:
    """The same among a job's results: it has no cursor, and is not the last page for that."""
    world.platform.results_size = 100
    world.platform.put(*many(350))
    world.platform.spoil("results", first(Answer(body=body)))
    await world.by_hand(WINDOW, via="job")
    world.assert_not_wrongly_proven(WINDOW)


@pytest.mark.parametrize("body", NO_PAGE.values(), ids=NO_PAGE.keys())
async def test_a_body_that_is_no_page_marks_nobody_as_gone(world: Scene, body: Any) -> None:
    """The same for details by id: what goes on is asked for again until its end is found."""
    world.platform.reading = "start"  # no other window shows them
    going_on = many(6, end=None)
    world.platform.put(*going_on)
    await world.by_hand(WINDOW)
    world.platform.put(*(row | {"conversationEnd": "2026-03-02T11:05:00.000Z"} for row in going_on))
    world.platform.spoil("by_id", first(Answer(body=body)))
    for _ in range(3):
        world.later(minutes=20)
        await world.due()
    assert (set(world.ends().values()), len(world.ends())) == ({"2026-03-02T11:05:00.000Z"}, 6)
    assert world.row(WINDOW).verdict == "complete"


@pytest.mark.parametrize(
    "body", [body for body in NO_PAGE.values() if not isinstance(body, list | str | None)], ids=str
)
async def test_a_body_that_is_no_list_ends_no_list(world: Scene, body: dict[str, Any]) -> None:
    """The same in place of the second page of queues."""
    world.platform.lists["queues"] = queues(330)
    left = [1]

    def second_page_once(asked: Asked, honest: Answer) -> Answer:
        if asked.page != 2 or not left:
            return honest
        left.clear()
        return Answer(body=body)

    world.platform.spoil("queues", second_page_once)
    assert len(await world.api.queues()) == 330


# Empty, or fewer, for a moment


def notifications_of(number: int) -> list[str]:
    """Notifications of the first so many conversations of `many(40)`."""
    return [snapshot(record["conversationId"], connected=record["conversationStart"]) for record in many(40)[:number]]


def shard(rows: int) -> Spoil:
    """A partial answer that agrees with itself: the first rows only, and their number as the total."""

    def what(_: Asked, honest: Answer) -> Answer:
        shown = honest.body.get("conversations", [])[:rows]
        return replace_body(honest, {"conversations": shown, "totalHits": len(shown)} if shown else {})

    return what


def replace_body(honest: Answer, body: Any) -> Answer:
    """An answer with another body."""
    return Answer(honest.status, body, honest.headers)


@pytest.mark.parametrize("number", [35, 0], ids=["capture", "no capture"])
async def test_one_empty_answer_is_not_believed(world: Scene, number: int) -> None:
    """The query answers `{}` once: that there is nothing needs a second witness."""
    world.platform.put(*many(40))
    world.hear(*notifications_of(number))
    world.platform.spoil("query", first(Answer(body={})))
    report = await world.by_hand(WINDOW)
    assert report.verdict == "failed" or report.unique == 40
    world.assert_not_wrongly_proven(WINDOW)


@pytest.mark.parametrize(
    "body", [{"conversations": [], "totalHits": 0}, {"conversations": []}, {"totalHits": 0}], ids=str
)
async def test_one_empty_answer_of_another_spelling_is_not_believed(world: Scene, body: Any) -> None:
    """The same, as the platform may also write it."""
    world.platform.put(*many(40))
    world.platform.spoil("query", first(Answer(body=body)))
    await world.by_hand(WINDOW)
    world.assert_not_wrongly_proven(WINDOW)


@pytest.mark.parametrize("rows", [0, 1, 30])
async def test_a_list_without_what_exists_proves_nothing(world: Scene, rows: int) -> None:
    """A silent shard answers less than there is, always, while details by id have it: no proof, but a reason.

    (Narrower intervals may bring out what a wide one hides, as long as there is something to be seen at all.)
    """
    world.platform.put(*many(40))
    world.hear(*notifications_of(40))
    world.platform.spoil("query", shard(rows))
    report = await world.by_hand(WINDOW)
    assert report.verdict == "failed" or (rows > 0 and report.unique == 40)
    world.assert_not_wrongly_proven(WINDOW)


async def test_a_job_without_what_exists_proves_nothing(world: Scene) -> None:
    """The same by a job."""
    world.platform.put(*many(40))
    world.hear(*notifications_of(40))
    world.platform.spoil("results", lambda _, honest: replace_body(honest, honest.body | {"conversations": []}))
    await world.by_hand(WINDOW, via="job")
    world.assert_not_wrongly_proven(WINDOW)


async def test_a_list_that_has_them_again_proves(world: Scene) -> None:
    """A window that failed for a silent shard is read again at its time, and then proven with all that there is."""
    world.platform.put(*many(40))
    world.hear(*notifications_of(35))
    world.platform.poison(WINDOW, Answer(body={}))
    assert (await world.due()).exit_status in (1, 3)
    world.assert_failed(WINDOW)
    world.platform.behave()
    world.later(hours=1)
    await world.due()
    assert world.row(WINDOW).verdict == "complete"
    assert_all_stored(world, 40)


async def test_a_silent_shard_undoes_no_proof(world: Scene) -> None:
    """A second look that lacks what was read before marks nothing as gone and settles nothing."""
    world.platform.put(*many(40))
    assert (await world.by_hand(WINDOW)).verdict == "complete"
    world.platform.spoil("query", shard(30))
    world.platform.spoil("by_id", first(Answer(body={})))
    world.later(days=5)
    await world.by_hand(WINDOW)
    world.assert_not_wrongly_proven(WINDOW)
    world.platform.behave()
    world.later(days=1)
    report = await world.by_hand(WINDOW)
    assert (report.verdict in PROVEN, report.owned, report.unchanged) == (True, 40, 40)


@pytest.mark.parametrize("body", [{}, {"conversations": []}, {"conversations": [], "totalHits": 0}], ids=str)
async def test_one_empty_answer_by_id_marks_nobody_as_gone(world: Scene, body: Any) -> None:
    """Thirty ended, six go on; the first look by id brings nothing: they go on, and their ends are found later."""
    world.platform.reading = "start"  # no other window shows them
    ended = many(30)
    going_on = [record(conversation(100 + at), 5 + at, None) for at in range(6)]
    world.platform.put(*ended, *going_on)
    assert (await world.by_hand(WINDOW)).verdict == "open"
    world.platform.spoil("by_id", first(Answer(body=body)))
    world.later(minutes=1)
    await world.due()
    world.later(minutes=1)
    await world.due()
    assert world.row(WINDOW).verdict == "open"
    assert list(world.ends().values()).count(None) == 6
    world.platform.put(*(row | {"conversationEnd": "2026-03-02T11:05:00.000Z"} for row in going_on))
    world.later(minutes=20)
    await world.due()
    assert world.row(WINDOW).verdict == "complete"
    assert None not in world.ends().values()


async def test_a_blip_by_id_marks_nobody_as_gone(world: Scene) -> None:
    """The same for half a minute, in which several rounds ask: two answers of one blip are one witness."""
    world.platform.reading = "start"  # no other window shows them
    going_on = many(6, end=None)
    world.platform.put(*going_on)
    await world.by_hand(WINDOW)
    await world.due()
    over = world.clock.at + timedelta(seconds=30)
    world.platform.spoil("by_id", when(lambda _: world.clock.at < over, Answer(body={})))
    for _ in range(5):
        await world.due()
        world.later(seconds=5)
    assert world.row(WINDOW).verdict == "open"
    world.platform.put(*(row | {"conversationEnd": "2026-03-02T11:05:00.000Z"} for row in going_on))
    world.later(minutes=20)
    await world.due()
    assert world.row(WINDOW).verdict == "complete"
    assert None not in world.ends().values()


async def test_what_is_gone_is_gone_at_last(world: Scene) -> None:
    """A conversation that was really deleted holds its window open for no more than some days, and stays in the store."""
    world.platform.reading = "start"
    world.platform.put(*many(2, end=None))
    await world.by_hand(WINDOW)
    del world.platform.truth[conversation(0)]
    world.platform.put(record(conversation(1), 15, 65))
    for _ in range(4):
        world.later(days=1)
        await world.due()
    assert world.row(WINDOW).verdict in ("complete", "settled")
    assert world.stored().keys() >= {conversation(0), conversation(1)}


async def test_an_empty_window_is_proven(world: Scene) -> None:
    """Where there is nothing, and a second witness says so too, that is a proof, and a cheap one."""
    report = await world.by_hand(WINDOW)
    assert (report.verdict, report.unique) == ("complete", 0)
    assert world.platform.counts["query"] <= 10


async def test_a_partial_answer_by_id_marks_nobody_as_gone(world: Scene) -> None:
    """The same where the first look brings only two of the six."""
    world.platform.reading = "start"  # no other window shows them
    going_on = many(6, end=None)
    world.platform.put(*going_on)
    await world.by_hand(WINDOW)
    world.platform.spoil("by_id", first(Answer(body={"conversations": going_on[:2]})))
    world.later(minutes=1)
    await world.due()
    world.platform.put(*(row | {"conversationEnd": "2026-03-02T11:05:00.000Z"} for row in going_on))
    world.later(minutes=20)
    await world.due()
    assert world.row(WINDOW).verdict == "complete"
    assert None not in world.ends().values()


# One record that cannot be read

BAD_BYTES = {
    "NaN": b'{"mos": NaN}',
    "Infinity": b'{"mos": -Infinity}',
    "not UTF-8": b'"M\xfcller"',
    "half a character": b'"\xe2\x82"',
    "a line break in a text": b'"first\nsecond"',
    "a number with a zero before it": b"[007]",
    "a lonely surrogate": b'"\\ud800"',
    "a number that no float holds": b"1" + b"0" * 400,
    "a bad escape": b'"C:\\users"',
    "too deep": b"[" * 5_000 + b"]" * 5_000,
}


def with_bad_bytes(conversation_id: str, bad: bytes) -> Spoil:
    """One conversation has these bytes in it, wherever it is answered."""

    def what(_: Asked, honest: Answer) -> Answer:
        plain = b'"mark": "' + conversation_id.encode() + b'"'
        return Answer(honest.status, honest.payload.replace(plain, b'"mark": ' + bad), honest.headers)

    return what


@pytest.mark.parametrize("via", ["query", "job"])
@pytest.mark.parametrize("bad", BAD_BYTES.values(), ids=BAD_BYTES.keys())
async def test_one_bad_record_costs_no_other(world: Scene, bad: bytes, via: Any) -> None:
    """One of five records has bad bytes: five are stored, or four and the window fails; the next window is proven."""
    world.platform.put(*(record(conversation(at), 5 + at, 20, mark=conversation(at)) for at in range(5)))
    world.platform.put(record(conversation(9), 35, 36))
    for kind in ("query", "results", "by_id"):
        world.platform.spoil(kind, with_bad_bytes(conversation(3), bad))
    world.later(minutes=30)
    await world.due(via=via)
    good = {
        conversation_id: row
        for conversation_id, row in world.platform.truth.items()
        if conversation_id != conversation(3)
    }
    stored = world.stored()
    assert {conversation_id: stored.get(conversation_id) for conversation_id in good} == good
    if conversation(3) in stored:
        assert world.row(WINDOW).verdict == "complete"
        assert world.row(WINDOW).owned == 5
    else:
        world.assert_failed(WINDOW)
    assert world.row(half_hour(30)).verdict == "complete"


@pytest.mark.parametrize("bad", BAD_BYTES.values(), ids=BAD_BYTES.keys())
async def test_one_bad_record_by_id_costs_no_other(world: Scene, bad: bytes) -> None:
    """One of five that are followed comes with bad bytes: the ends of the other four are found."""
    world.platform.reading = "start"  # no other window shows them
    world.platform.put(*(record(conversation(at), 5 + at, None, mark=conversation(at)) for at in range(5)))
    await world.by_hand(WINDOW)
    world.platform.put(*(record(conversation(at), 5 + at, 62, mark=conversation(at)) for at in range(5)))
    world.platform.spoil("by_id", with_bad_bytes(conversation(3), bad))
    world.later(minutes=20)
    await world.due()
    found = [conversation_id for conversation_id, end in world.ends().items() if end is not None]
    assert set(found) >= {conversation(at) for at in (0, 1, 2, 4)}


# A list that permissions filter


def queues(number: int) -> list[dict[str, Any]]:
    """Queues, as the platform lists them."""
    return [{"id": f"a1b2c3d4-1111-4222-8333-{at:012d}", "name": f"Queue {at}"} for at in range(number)]


def with_holes(holes: set[int], rows: list[dict[str, Any]], *, pages: bool = True, total: bool = True) -> Spoil:
    """A list of which the pages in `holes` are empty: what stood there may not be seen."""

    def what(asked: Asked, _: Answer) -> Answer:
        size = int(asked.query["pageSize"])
        shown = [at for at in range(1, asked.page + 1) if at not in holes]
        begin = (len(shown) - 1) * size
        count = -(-len(rows) // size) + len(holes)
        page = [] if asked.page in holes else rows[begin : begin + size]
        return Answer(
            body=listing(page, page=asked.page, pages=count if pages else None, total=len(rows) if total else None)
        )

    return what


@pytest.mark.parametrize("kind", ["queues", "users", "divisions"])
@pytest.mark.parametrize("holes", [{2}, {1}, {2, 3}, {1, 2, 4}], ids=str)
async def test_an_empty_page_ends_no_list(world: Scene, kind: str, holes: set[int]) -> None:
    """A list ends where the platform says so: an empty page before that is what may not be seen."""
    world.platform.spoil(kind, with_holes(holes, queues(330)))
    async with asyncio.timeout(10):
        assert len(await getattr(world.api, kind)()) == 330


async def test_an_empty_page_ends_no_list_that_says_only_its_total(world: Scene) -> None:
    """The same without `pageCount`: by the total there are more."""
    world.platform.spoil("queues", with_holes({2}, queues(330), pages=False))
    async with asyncio.timeout(10):
        assert len(await world.api.queues()) == 330


async def test_a_list_that_says_nothing_ends(world: Scene) -> None:
    """Without `pageCount` and total it ends at its end."""
    world.platform.spoil("queues", with_holes(set(), queues(330), pages=False, total=False))
    async with asyncio.timeout(10):
        assert len(await world.api.queues()) == 330
    assert world.platform.counts["queues"] <= 10


def test_bad_bytes_are_bad() -> None:
    """None of them is what this module's own reader takes for a record and gives back as it was (else they test nothing)."""
    for name, bad in BAD_BYTES.items():
        try:
            back = json.dumps(json.loads(bad.decode()), allow_nan=False).encode()
        except (ValueError, RecursionError, OverflowError):
            continue
        assert name in ("a lonely surrogate", "a number that no float holds"), back
