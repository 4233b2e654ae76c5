"""The details query: which conversations an interval and filters mean at a moment, their order, one page of them.

Pure: the conversations, the query and the moment come in, a page comes out. Matching is that of an index by day: only
conversations that started on a UTC day which the interval touches. Whether a part of a day also asks for overlap is not
documented, so both readings can be had.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import filters
from rollbook.simulator.rest.analytics.dimensions import CONVERSATION, Facts
from rollbook.simulator.rest.analytics.filters import Filters
from rollbook.simulator.rest.errors import Refusal, bad_request, not_simulated
from rollbook.simulator.times import DAY, FAR, midnight, moment

READINGS: Final = ("overlap", "day")
# The platform's own samples of 2022 ask for 200 rows and call that the limit; most other programs ask for 100.
DEFAULT_PAGE, LARGEST_PAGE, MOST_RESULTS = 25, 200, 100_000
_LONGEST, _LONGEST_UNFILTERED = 31, 7
_ORDERS: Final = ("asc", "desc", "unordered")
_ORDER_BY: Final = ("conversationStart", "conversationEnd", "segmentStart", "segmentEnd")
_KNOWN: Final = frozenset((*filters.GRAMMARS, "interval", "order", "orderBy", "paging", "aggregations"))
_FACETS: Final = frozenset({"type", "dimension", "metric", "size", "ranges"})
# Text of the platform's own answer, as clients have recorded it.
_TOO_FAR: Final = (
    "Pagination may not exceed 100000 results.\n\nTip: When extracting large chunks of data (multiple days/weeks),"
    " maximize pagination performance by querying in smaller intervals. For example, paging through 1am-2am, then"
    " 2am-3am, then 3am-4am, and so forth will outperform paging through one large interval that covers the same time"
    " frame."
)


class DetailsQuery(NamedTuple):
    """A details query that is in order."""

    start: datetime
    end: datetime
    filters: Filters
    order: str
    order_by: str
    size: int
    number: int
    facets: tuple[Mapping[str, Any], ...]


class ConversationSource(Protocol):
    """Where conversations are kept."""

    def between(self, start: datetime, end: datetime) -> list[Conversation]:
        """Conversations that start in [start, end), ascending by start."""


class Jitter(NamedTuple):
    """Error of `totalHits` while the interval includes recent data: by so many hits at most. 0: it does not."""

    most: int = 0
    recent: timedelta = timedelta(minutes=1)


class Paging(NamedTuple):
    """Undocumented behaviour of pages. most_rows: of a page, however many are asked for.

    counts_nothing: an answer without conversations has `totalHits`, otherwise it is `{}`.
    """

    most_rows: int = LARGEST_PAGE
    counts_nothing: bool = False


# Reading a query


def parse(body: object) -> DetailsQuery:
    """Read a query's JSON. Raises Refusal (400)."""
    fields = known_fields(body, _KNOWN)
    start, end = interval(fields.get("interval"))
    wanted = filters.parse(fields)
    check_width(start, end, filtered=bool(wanted))
    size, number = _paging(fields.get("paging"))
    order, order_by = ordering(fields)
    return DetailsQuery(
        start, end, wanted, order, order_by, size, number, _read_facets(fields.get("aggregations") or [])
    )


def _read_facets(value: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list):
        raise bad_request("aggregations must be a list.")
    found = []
    for entry in value:
        facet = known_fields(entry, _FACETS)
        kind = spelling.chosen(facet.get("type"), ("termFrequency", "numericRange"), "type of an aggregation")
        if kind == "numericRange":
            raise not_simulated("an aggregation numericRange")
        if facet.get("dimension") not in CONVERSATION:
            raise bad_request(f"Invalid dimension of an aggregation: {facet.get('dimension')}")
        size = facet.get("size")
        found.append({**facet, "size": 10 if size is None else spelling.positive(size, "aggregations.size")})
    return tuple(found)


def known_fields(body: object, known: frozenset[str]) -> Mapping[str, Any]:
    """The body, if it is an object of these fields only."""
    if not isinstance(body, dict):
        raise Refusal(400)
    if strange := body.keys() - known:
        raise spelling.unknown_field(min(strange))
    return body


def interval(value: object) -> tuple[datetime, datetime]:
    """An ISO-8601 interval `start/end`; without an offset UTC. Raises Refusal (400)."""
    parts = value.split("/") if isinstance(value, str) else []
    try:
        start, end = (moment(part) for part in parts)
    except (ValueError, OverflowError):
        raise bad_request(f"Invalid interval: {value}") from None
    # Python reads a bare date and other spellings that the platform's parser is not known to take.
    if not all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", part) for part in parts) or end <= start:
        raise bad_request(f"Invalid interval: {value}")
    return start, end


def check_width(start: datetime, end: datetime, *, filtered: bool) -> None:
    """Refuse an interval that is too long: 31 days with a filter, 7 without."""
    days = _LONGEST if filtered else _LONGEST_UNFILTERED
    if end - start > timedelta(days=days):
        raise bad_request(f"You must specify a search interval as part of your query that does not exceed {days} days.")


def ordering(fields: Mapping[str, Any]) -> tuple[str, str]:
    """`order` and `orderBy`, with their defaults."""
    order, order_by = fields.get("order") or "asc", fields.get("orderBy") or "conversationStart"
    return spelling.chosen(order, _ORDERS, "order"), spelling.chosen(order_by, _ORDER_BY, "orderBy")


def _paging(value: object) -> tuple[int, int]:
    if value is None:
        return DEFAULT_PAGE, 1
    paging = known_fields(value, frozenset({"pageSize", "pageNumber"}))
    size, number = (spelling.positive(paging.get(name), f"paging.{name}") for name in ("pageSize", "pageNumber"))
    if size > LARGEST_PAGE:
        raise bad_request(f"paging.pageSize may not exceed {LARGEST_PAGE}.")
    if size * number > MOST_RESULTS:
        raise bad_request(_TOO_FAR)
    return size, number


# Answering it


def select(
    conversations: ConversationSource,
    query: DetailsQuery,
    now: datetime,
    *,
    reading: str,
    seen: Callable[[Conversation], bool] = lambda _: True,
) -> list[Conversation]:
    """Every conversation that the query means at `now`, in its order. seen: whether the client may see one."""
    if reading == "overlap":
        touched = [*_going_on(conversations, query, now), *conversations.between(query.start, query.end)]
    else:
        touched = conversations.between(midnight(query.start), midnight(query.end - timedelta(microseconds=1)) + DAY)
    found = [conversation for conversation in touched if conversation.known_from <= now and seen(conversation)]
    if query.filters:
        found = [conversation for conversation in found if holds(conversation, query.filters, now)]
    return arrange(found, query.order, query.order_by, now)


def _going_on(conversations: ConversationSource, query: DetailsQuery, now: datetime) -> Iterable[Conversation]:
    """Conversations that started earlier on the first day and, as far as is known, go on into the interval."""
    return (
        conversation
        for conversation in conversations.between(midnight(query.start), query.start)
        if conversation.goes_on(query.start, now)
    )


def known_facts(conversation: Conversation, now: datetime) -> Facts:
    """A conversation as filters see it."""
    return conversation.derived(now, Facts, lambda: Facts(conversation.view(now)))


def holds(conversation: Conversation, wanted: Filters, now: datetime) -> bool:
    """Say whether filters ask for the conversation."""
    return conversation.derived(now, wanted.text, lambda: filters.holds(wanted, known_facts(conversation, now)))


def arrange(conversations: Iterable[Conversation], order: str, order_by: str, now: datetime) -> list[Conversation]:
    """In order; what came ascending by start stays so among equals."""
    found = list(conversations)
    if order_by != "conversationStart":
        found.sort(key=lambda conversation: _rank(conversation, order_by, now))
    if order == "desc":
        found.reverse()
    return found


def _rank(conversation: Conversation, order_by: str, now: datetime) -> str:
    record = conversation.view(now)
    if order_by == "conversationEnd":
        return str(record.get("conversationEnd", FAR.year))
    segments = [
        segment
        for participant in record["participants"]
        for session in participant["sessions"]
        for segment in session.get("segments", ())
    ]
    found = [segment[order_by] for segment in segments if order_by in segment]
    return min(found) if order_by == "segmentStart" and found else max(found, default=str(FAR.year))


def answer(
    found: list[Conversation],
    query: DetailsQuery,
    now: datetime,
    *,
    jitter: Jitter,
    draw: random.Random,
    paging: Paging | None = None,
) -> bytes:
    """Write a page as JSON. Past the last page, and where nothing is found, it has no conversations."""
    paging = paging or Paging()
    size = min(query.size, paging.most_rows)
    page = found[(query.number - 1) * size : query.number * size]
    if not page:
        return b'{"totalHits":%d}' % len(found) if paging.counts_nothing else b"{}"
    total = len(found)
    if jitter.most and query.end > now - jitter.recent:
        total = max(len(page), total + draw.randint(-jitter.most, jitter.most))
    rows = b",".join(conversation.encoded(now) for conversation in page)
    more = b',"aggregations":%b' % _json(_facets(found, query, now)) if query.facets else b""
    return b'{"conversations":[%b]%b,"totalHits":%d}' % (rows, more, total)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _facets(found: list[Conversation], query: DetailsQuery, now: datetime) -> list[dict[str, Any]]:
    answered = []
    for facet in query.facets:
        counts: dict[str, int] = {}
        for conversation in found:
            for value in known_facts(conversation, now).conversation.get(facet["dimension"], ()):
                counts[value] = counts.get(value, 0) + 1
        results = [
            {"value": value, "count": count} for value, count in sorted(counts.items(), key=lambda pair: -pair[1])
        ]
        answered.append(
            {
                "type": "termFrequency",
                "dimension": facet["dimension"],
                "count": len(counts),
                "results": results[: facet["size"]],
            }
        )
    return answered
