"""The simulator's details query, held against what it is said to do by a plain search over all records."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.world import World
from rollbook.simulator.rest.analytics import details_query
from rollbook.simulator.rest.analytics.details_query import Jitter
from rollbook.simulator.rest.analytics.dimensions import CONVERSATION, METRICS, SEGMENT
from rollbook.simulator.rest.errors import Refusal
from rollbook.simulator.times import moment, text

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(hours=50)
WORLD = World(7, START, 25, queues=4, users=8)
WORLD.grow(NOW)
HOUR = "2026-03-02T10:00:00Z/2026-03-02T11:00:00Z"


def ask(body: dict[str, Any], *, now: datetime = NOW, reading: str = "overlap", jitter: Jitter | None = None) -> Any:
    """A query's decoded answer."""
    query = details_query.parse(body)
    found = details_query.select(WORLD, query, now, reading=reading)
    return json.loads(details_query.answer(found, query, now, jitter=jitter or Jitter(), draw=random.Random(1)))


def ids(body: dict[str, Any], *, now: datetime = NOW, reading: str = "overlap") -> list[str]:
    """The ids of the whole result, in their order."""
    return [life.id for life in details_query.select(WORLD, details_query.parse(body), now, reading=reading)]


def where(*predicates: dict[str, Any], kind: str = "and", filters: str = "conversationFilters") -> dict[str, Any]:
    """A day's query with one filter."""
    return {
        "interval": "2026-03-02T00:00Z/2026-03-03T00:00Z",
        filters: [{"type": kind, "predicates": list(predicates)}],
    }


def expected(test: Any, *, now: datetime = NOW) -> set[str]:
    """What started on the first day and passes a test of its record as it is known."""
    day = WORLD.between(START, START + timedelta(days=1))
    return {life.id for life in day if life.visible(now) and test(life.view(now))}


def segments(record: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    return [
        (participant, session, segment)
        for participant in record["participants"]
        for session in participant["sessions"]
        for segment in session["segments"]
    ]


# The interval

TIMES = st.datetimes(START.replace(tzinfo=None), NOW.replace(tzinfo=None)).map(lambda at: at.replace(tzinfo=UTC))


@given(st.lists(TIMES, min_size=2, max_size=2, unique=True).map(sorted), TIMES, st.sampled_from(["overlap", "day"]))
def test_an_interval_means_days_and_perhaps_overlap(times: list[datetime], now: datetime, reading: str) -> None:
    """Only what started on a UTC day that the interval touches; under `overlap` it must be alive in it too."""
    start, end = (at.replace(microsecond=0) for at in times)
    if start == end:
        return
    days = {start.date() + timedelta(days=n) for n in range(3)}
    last = (end - timedelta(microseconds=1)).date()

    def meant(life: Conversation) -> bool:
        if not life.visible(now) or life.start.date() not in days or life.start.date() > last:
            return False
        end_shown = life.view(now).get("conversationEnd")
        return reading == "day" or (life.start < end and (end_shown is None or moment(end_shown) >= start))

    body = {"interval": f"{text(start)}/{text(end)}"}
    assert ids(body, now=now, reading=reading) == [life.id for life in WORLD.conversations if meant(life)]


def test_what_started_earlier_and_ended_that_day_is_invisible() -> None:
    """A conversation of Monday that ends on Tuesday is in no query over Tuesday alone."""
    over = [life for life in WORLD.between(START, START + timedelta(days=1)) if life.end > START + timedelta(days=1)]
    assert over
    found = ids({"interval": "2026-03-03T00:00:00Z/2026-03-04T00:00:00Z"})
    assert not {life.id for life in over} & set(found)


@pytest.mark.parametrize(
    "interval",
    [
        "2026-03-02T10:00:00/2026-03-02T11:00:00",
        "2026-03-02T12:00:00+02:00/2026-03-02T13:00:00+02:00",
        "2026-03-02T10:00:00.000000Z/2026-03-02T11:00:00.000Z",
    ],
)
def test_spellings_of_an_interval(interval: str) -> None:
    """Offsets, microseconds and no zone are read; no zone is UTC."""
    assert ids({"interval": interval}) == ids({"interval": HOUR})


# Order and pages


@pytest.mark.parametrize("size", [7, 100])
@pytest.mark.parametrize("order_by", ["conversationStart", "conversationEnd", "segmentStart", "segmentEnd"])
def test_descending_is_ascending_backwards(order_by: str, size: int) -> None:
    """Pages of any size put together are the same list, and the other direction is its reverse."""
    ended = where({"dimension": "conversationEnd", "operator": "exists"})
    body = {**ended, "interval": "2026-03-02T06:00Z/2026-03-02T12:00Z", "orderBy": order_by}
    up, down = ids({**body, "order": "asc"}), ids({**body, "order": "desc"})
    assert up == down[::-1]
    pages: list[str] = []
    number = 0
    while page := ask({**body, "paging": {"pageSize": size, "pageNumber": (number := number + 1)}}):
        assert page["totalHits"] == len(up)
        pages += [conversation["conversationId"] for conversation in page["conversations"]]
    assert pages == up


def test_an_order_is_that_of_the_named_time() -> None:
    """Ascending by end is ascending by end; what has none comes last."""
    ends = [
        WORLD.by_id[conversation_id].known_end(NOW) or "9"
        for conversation_id in ids({"interval": HOUR, "orderBy": "conversationEnd"})
    ]
    assert ends == sorted(ends)
    assert ids({"interval": HOUR}) == ids({"interval": HOUR, "order": "asc", "orderBy": "conversationStart"})


def test_a_page_has_25_unless_told_otherwise() -> None:
    """Without paging there are 25; past the last page, and for nothing found, the body is {}."""
    day = {"interval": "2026-03-02T00:00Z/2026-03-03T00:00Z"}
    page = ask(day)
    assert len(page["conversations"]) == 25
    assert page["totalHits"] == len(WORLD.between(START, START + timedelta(days=1)))
    assert ask({**day, "paging": {"pageSize": 100, "pageNumber": 100}}) == {}
    assert ask(where({"dimension": "conversationId", "value": "nobody"})) == {}


def test_totals_err_on_recent_data_only() -> None:
    """With jitter, `totalHits` moves about while the interval includes the last minute, and is exact for older data."""
    draw, jitter = random.Random(3), Jitter(5)
    totals: dict[str, set[int]] = {}
    for end in (NOW, NOW - timedelta(minutes=2)):
        query = details_query.parse({"interval": f"{text(NOW - timedelta(hours=5))}/{text(end)}"})
        found = details_query.select(WORLD, query, NOW, reading="overlap")
        answers = [json.loads(details_query.answer(found, query, NOW, jitter=jitter, draw=draw)) for _ in range(40)]
        totals[text(end)] = {answer["totalHits"] - len(found) for answer in answers}
    assert totals[text(NOW)] == set(range(-5, 6))
    assert totals[text(NOW - timedelta(minutes=2))] == {0}


def test_no_answer_has_attributes() -> None:
    """Participants' attributes are for jobs only."""
    assert "attributes" not in json.dumps(ask({"interval": HOUR, "paging": {"pageSize": 100, "pageNumber": 1}}))


# Filters


@given(TIMES)
def test_ended_and_not_ended_are_everything(now: datetime) -> None:
    """The two filters on `conversationEnd` divide what there is at any moment."""
    ended = ids(where({"type": "dimension", "dimension": "conversationEnd", "operator": "exists"}), now=now)
    going = ids(where({"dimension": "conversationEnd", "operator": "notExists", "value": None}, kind="or"), now=now)
    assert set(ended) == expected(lambda record: "conversationEnd" in record, now=now)
    assert sorted(ended + going) == sorted(expected(lambda _: True, now=now))


QUEUE, USER, DIVISION = WORLD.queues[0]["id"], WORLD.users[0]["id"], WORLD.queues[0]["division"]["id"]


@pytest.mark.parametrize(
    ("body", "test"),
    [
        (
            where({"dimension": "originatingDirection", "value": "outbound"}),
            lambda r: r["originatingDirection"] == "outbound",
        ),
        (where({"dimension": "divisionId", "value": DIVISION}), lambda r: DIVISION in r["divisionIds"]),
        (
            where({"dimension": "mediaStatsMinConversationMos", "operator": "exists"}),
            lambda r: "mediaStatsMinConversationMos" in r,
        ),
        (
            where({"dimension": "mediaStatsMinConversationMos", "range": {"lt": 4.0, "gte": 3.0}}),
            lambda r: 3.0 <= r.get("mediaStatsMinConversationMos", 9) < 4.0,
        ),
        (
            where({"type": "metric", "metric": "tAbandon", "operator": "exists"}),
            lambda r: any(m["name"] == "tAbandon" for _, s, _ in segments(r) for m in s["metrics"]),
        ),
        (
            where({"type": "metric", "metric": "nTransferred", "range": {"gt": 1}}),
            lambda r: (
                sum(
                    m["value"]
                    for p in r["participants"]
                    for s in p["sessions"]
                    for m in s["metrics"]
                    if m["name"] == "nTransferred"
                )
                > 1
            ),
        ),
        (
            where({"dimension": "mediaType", "value": "email"}, filters="segmentFilters"),
            lambda r: any(s["mediaType"] == "email" for _, s, _ in segments(r)),
        ),
        (
            where(
                {"dimension": "queueId", "value": QUEUE},
                {"dimension": "purpose", "value": "agent"},
                filters="segmentFilters",
            ),
            lambda r: any(p["purpose"] == "agent" and g.get("queueId") == QUEUE for p, _, g in segments(r)),
        ),
        (
            where(
                {"dimension": "userId", "value": USER},
                {"dimension": "segmentType", "value": "hold"},
                filters="segmentFilters",
            ),
            lambda r: any(p.get("userId") == USER and g["segmentType"] == "hold" for p, _, g in segments(r)),
        ),
        (
            where(
                {"dimension": "disconnectType", "value": "consultTransfer"},
                {"dimension": "wrapUpCode", "value": "ININ-WRAP-UP-TIMEOUT"},
                kind="or",
                filters="segmentFilters",
            ),
            lambda r: any(
                g.get("disconnectType") == "consultTransfer" or g.get("wrapUpCode") == "ININ-WRAP-UP-TIMEOUT"
                for *_, g in segments(r)
            ),
        ),
        (
            where(
                {"dimension": "recording", "value": True},
                {"metric": "tSegmentDuration", "range": {"gt": 300_000}},
                filters="segmentFilters",
            ),
            lambda r: any(
                s.get("recording")
                and "segmentEnd" in g
                and moment(g["segmentEnd"]) - moment(g["segmentStart"]) > timedelta(minutes=5)
                for _, s, g in segments(r)
            ),
        ),
        (
            where({"dimension": "requestedRouting", "value": "Standard"}, filters="segmentFilters"),
            lambda r: any("Standard" in s.get("requestedRoutings", ()) for _, s, _ in segments(r)),
        ),
        (where({"dimension": "direction", "operator": "notExists"}, filters="segmentFilters"), lambda r: False),
    ],
)
def test_a_filter_finds_what_a_plain_search_finds(body: dict[str, Any], test: Any) -> None:
    """Each dimension, metric, operator and range selects exactly the records that have it."""
    assert set(ids(body)) == expected(test)


def test_some_of_these_searches_find_something() -> None:
    """So that the test above is no comparison of nothing with nothing."""
    for name in ("queueId", "wrapUpCode", "disconnectType", "userId"):
        assert ids(where({"dimension": name, "operator": "exists"}, filters="segmentFilters"))


def test_filters_are_combined_and_clauses_nested() -> None:
    """Several filters: all must hold; clauses of an `or`: one is enough."""
    inbound = {"dimension": "originatingDirection", "value": "inbound"}
    clauses = [
        {"type": "and", "predicates": [{"dimension": "conversationId", "value": life.id}]}
        for life in WORLD.conversations[:3]
    ]
    body = {
        **where(inbound),
        "segmentFilters": [{"type": "and", "predicates": [{"dimension": "mediaType", "value": "voice"}]}],
    }
    assert set(ids(body)) == expected(
        lambda r: r["originatingDirection"] == "inbound" and any(s["mediaType"] == "voice" for _, s, _ in segments(r))
    )
    found = ids(
        {"interval": "2026-03-02T00:00Z/2026-03-03T00:00Z", "conversationFilters": [{"type": "or", "clauses": clauses}]}
    )
    assert found == [life.id for life in WORLD.conversations[:3]]


def test_an_aggregation_counts_the_whole_result() -> None:
    """A termFrequency counts every hit, not those of the page."""
    facet = {"type": "termFrequency", "dimension": "originatingDirection"}
    page = ask({"interval": "2026-03-02T00:00Z/2026-03-03T00:00Z", "aggregations": [facet]})
    ((found,)) = page["aggregations"]
    assert sum(result["count"] for result in found["results"]) == page["totalHits"]


# Refusals

DAY_FILTER = where({"dimension": "conversationEnd", "operator": "exists"})["conversationFilters"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "malformed syntax"),
        ({}, "Invalid interval"),
        ({"interval": 5}, "Invalid interval"),
        ({"interval": "2026-03-02T10:00Z"}, "Invalid interval"),
        ({"interval": "2026-03-02/2026-03-03"}, "Invalid interval"),
        ({"interval": "2026-03-02T11:00Z/2026-03-02T10:00Z"}, "Invalid interval"),
        ({"interval": "2026-03-02T10:00Z/2026-03-02T10:00Z"}, "Invalid interval"),
        ({"interval": "2026-03-01T00:00Z/2026-03-08T00:00:00.001Z"}, "does not exceed 7 days."),
        (
            {"interval": "2026-03-01T00:00Z/2026-04-01T00:00:00.001Z", "conversationFilters": DAY_FILTER},
            "does not exceed 31 days.",
        ),
        ({"interval": HOUR, "paging": {"pageSize": 201, "pageNumber": 1}}, "pageSize may not exceed 200"),
        ({"interval": HOUR, "paging": {"pageSize": 0, "pageNumber": 1}}, "pageSize"),
        ({"interval": HOUR, "paging": {"pageSize": 25}}, "pageNumber"),
        ({"interval": HOUR, "paging": {"pageSize": 25, "pageNumber": "two"}}, "pageNumber"),
        ({"interval": HOUR, "paging": {"pageSize": 25, "pageNumber": 1, "page": 1}}, "Unrecognized field: page"),
        (
            {"interval": HOUR, "paging": {"pageSize": 100, "pageNumber": 1001}},
            "Pagination may not exceed 100000 results.",
        ),
        ({"interval": HOUR, "order": "up"}, "order"),
        ({"interval": HOUR, "orderBy": "mediaType"}, "orderBy"),
        ({"interval": HOUR, "cursor": "x"}, "Unrecognized field: cursor"),
        ({"interval": HOUR, "aggregations": [{"type": "sum"}]}, "aggregation"),
        ({"interval": HOUR, "conversationFilters": {}}, None),
        ({"interval": HOUR, "conversationFilters": "x"}, "list"),
        ({"interval": HOUR, "conversationFilters": [{"type": "xor", "predicates": DAY_FILTER}]}, "filter type"),
        ({"interval": HOUR, "conversationFilters": [{"type": "and"}]}, "at least one"),
        (where({"dimension": "shoeSize", "value": "44"}), "shoeSize"),
        (where({"dimension": "queueId", "value": "44"}), "queueId"),
        (where({"dimension": "conversationId", "value": "44"}, filters="segmentFilters"), "conversationId"),
        (where({"dimension": "conversationId", "operator": "contains", "value": "4"}), "operator"),
        (where({"dimension": "conversationId"}), "value"),
        (where({"metric": "tNothing", "operator": "exists"}), "tNothing"),
        (where({"dimension": "conversationEnd", "range": {"gt": 5}}), "range"),
        (where({"dimension": "mediaStatsMinConversationMos", "range": {"over": 5}}), "range"),
        (where({"dimension": "mediaStatsMinConversationMos", "range": {"gt": "five"}}), "numbers"),
        (where({"value": "44"}), "dimension"),
    ],
)
def test_what_the_platform_refuses_is_refused(body: Any, words: str | None) -> None:
    """400 with a sentence that says why; an empty list of filters is no filter."""
    if words is None:
        assert not details_query.parse(body).filters
        return
    with pytest.raises(Refusal) as refused:
        details_query.parse(body)
    assert refused.value.status == 400
    assert words in refused.value.message


def test_limits_are_met_exactly() -> None:
    """7 days without a filter, 31 with one, the hundred-thousandth row: all allowed."""
    details_query.parse({"interval": "2026-03-01T00:00Z/2026-03-08T00:00Z"})
    details_query.parse({"interval": "2026-03-01T00:00Z/2026-04-01T00:00Z", "conversationFilters": DAY_FILTER})
    details_query.parse({"interval": HOUR, "paging": {"pageSize": 100, "pageNumber": 1000}})


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=8)
        | st.sampled_from(["and", "or", "exists", HOUR]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "interval paging pageSize pageNumber conversationFilters type predicates clauses dimension operator value range gt".split()
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused(body: Any) -> None:
    """Nothing that a client sends makes the reader fail in another way."""
    for query in (body, {"interval": HOUR, "segmentFilters": body}):
        status = 400
        try:
            details_query.parse(query)
        except Refusal as refused:
            status = refused.status
        assert status == 400


def test_names_are_those_of_the_api() -> None:
    """The lists of dimensions and metrics are as long as the API's own, and spelled like it."""
    assert (len(CONVERSATION), len(SEGMENT), len(METRICS)) == (11, 80, 88)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in CONVERSATION | SEGMENT | METRICS)
