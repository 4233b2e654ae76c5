"""The aggregates query: counts and durations by group and bucket of time.

Each metric falls into the bucket of its own `emitDate`, not into that of its conversation's start. Groups, buckets and
metrics without a value are left out. Pure; made from the same records as the details, as known at the moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import dimensions, filters
from rollbook.simulator.rest.analytics.details_query import interval, known_fields
from rollbook.simulator.rest.analytics.dimensions import METRICS, values
from rollbook.simulator.rest.analytics.filters import Filter, Grammar
from rollbook.simulator.rest.errors import bad_request, not_simulated
from rollbook.simulator.times import moment, text

GROUPS: Final = (
    "conversationId",
    "direction",
    "divisionId",
    "mediaType",
    "originatingDirection",
    "purpose",
    "queueId",
    "sessionId",
    "userId",
)
# What only aggregates have: a share, made of these metrics as the organisation's options say, which are the platform's
# defaults here (abandons count, flow-outs do not).
SERVICE_LEVEL: Final = "oServiceLevel"
_OF_SERVICE_LEVEL: Final = frozenset({"tAnswered", "nOverSla", "tAbandon"})
_TARGET: Final = 0.8
_ELSEWHERE: Final = dimensions.SEGMENT | dimensions.CONVERSATION | dimensions.METRICS
_GRAMMAR: Final = Grammar(frozenset(GROUPS), frozenset(), _ELSEWHERE - frozenset(GROUPS))
_PARTS: Final = {"W": 604_800, "D": 86_400, "H": 3600, "M": 60, "S": 1}
# What the model has besides, and which value of it changes nothing here.
_PLAIN: Final[Mapping[str, tuple[Any, ...]]] = {
    "timeZone": ("UTC", "Etc/UTC", "GMT", "Z"),
    "views": ([],),
    "alternateTimeDimension": (),
    "queryType": ("groupBy",),
    "sortMetric": (),
    "limit": (),
}
_KNOWN: Final = frozenset(
    {
        "interval",
        "granularity",
        "groupBy",
        "metrics",
        "filter",
        "flattenMultivaluedDimensions",
        *_PLAIN,
    }
)
_MOST_BUCKETS: Final = 10_000


class AggregatesQuery(NamedTuple):
    """An aggregates query that is in order."""

    start: datetime
    end: datetime
    step: timedelta
    metrics: frozenset[str]
    group_by: tuple[str, ...]  # `mediaType` is always the first: the platform names it, asked or not
    filter: Filter | None
    flatten: bool = False

    @property
    def counted(self) -> frozenset[str]:
        """The metrics that the answer is made of."""
        return self.metrics | (_OF_SERVICE_LEVEL if SERVICE_LEVEL in self.metrics else frozenset())


class Emitted(NamedTuple):
    """Value of a metric at its time, with the dimensions that it may be grouped by."""

    name: str
    at: datetime
    value: int
    row: Mapping[str, Any]


def parse(body: object) -> AggregatesQuery:
    """Read a query's JSON. Raises Refusal (400)."""
    fields = known_fields(body, _KNOWN)
    for name, plain in _PLAIN.items():
        if fields.get(name) is not None and fields[name] not in plain:
            raise not_simulated(f"{name} of an aggregates query")
    start, end = interval(fields.get("interval"))
    metrics = [spelling.word(name, METRICS | {SERVICE_LEVEL}) for name in _texts(fields, "metrics")]
    if not metrics or None in metrics:
        raise bad_request("metrics must be names of metrics, at least one.")
    group_by = [_group(name) for name in _texts(fields, "groupBy")]
    step = _step(fields["granularity"]) if fields.get("granularity") else end - start
    if (end - start) / step > _MOST_BUCKETS:
        raise bad_request("The granularity is too fine for the interval.")
    where = filters.parse_filter(fields["filter"], _GRAMMAR) if fields.get("filter") else None
    return AggregatesQuery(
        start,
        end,
        step,
        frozenset(metric for metric in metrics if metric is not None),
        ("mediaType", *(group for group in dict.fromkeys(group_by) if group != "mediaType")),
        where,
        spelling.truth(fields.get("flattenMultivaluedDimensions") or False, "flattenMultivaluedDimensions"),
    )


def _group(name: str) -> str:
    found = spelling.word(name, GROUPS)
    if found is None and name in _ELSEWHERE:
        raise not_simulated(f"groupBy {name}")
    if found is None:
        raise bad_request(f"Invalid groupBy: {name}")
    return found


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    names = body.get(name) or []
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise bad_request(f"{name} must be a list of names.")
    return names


def _step(value: object) -> timedelta:
    found = re.fullmatch(r"P(?:(\d{1,4})([WD])|T(\d{1,6})([HMS]))", str(value), re.IGNORECASE)
    if found is None and re.fullmatch(r"P(\d+[YM])+(\d+[DW])?|P\d+DT.+|PT(\d+[HMS]){2,}", str(value), re.IGNORECASE):
        raise not_simulated(f"the granularity {value}")
    if found is None or not int(found[1] or found[3]):
        raise bad_request(f"Invalid granularity: {value}")
    return timedelta(seconds=int(found[1] or found[3]) * _PARTS[(found[2] or found[4]).upper()])


def answer(conversations: Iterable[Conversation], query: AggregatesQuery, now: datetime) -> dict[str, Any]:
    """The results. conversations: those that may have had something in the interval."""
    groups: dict[tuple[str, ...], dict[int, dict[str, list[int]]]] = {}
    for conversation in conversations:
        for emitted in _emitted(conversation.view(now), query):
            bucket = (emitted.at - query.start) // query.step
            for group in _groups(emitted.row, query):
                stats = groups.setdefault(group, {}).setdefault(bucket, {})
                stats.setdefault(emitted.name, []).append(emitted.value)
    results = [_result(group, buckets, query) for group, buckets in sorted(groups.items())]
    return {"results": [result for result in results if result["data"]]}


def _emitted(record: dict[str, Any], query: AggregatesQuery) -> Iterator[Emitted]:
    start, end = text(query.start), text(query.end)
    above = {
        "conversationId": record["conversationId"],
        "divisionId": record["divisionIds"],
        "originatingDirection": record["originatingDirection"],
    }
    if "nConversations" in query.metrics and start <= record["conversationStart"] < end:
        first = record["participants"][:1]
        row = above | ({**first[0], **first[0]["sessions"][0]} if first else {})
        if _wanted(query, row):
            yield Emitted("nConversations", moment(record["conversationStart"]), 1, row)
    for participant in record["participants"]:
        for session in participant["sessions"]:
            for metric in session["metrics"]:
                if metric["name"] in query.counted and start <= metric["emitDate"] < end:
                    row = above | {**participant, **session, "queueId": _queue(session["segments"], metric)}
                    if _wanted(query, row):
                        yield Emitted(metric["name"], moment(metric["emitDate"]), metric["value"], row)


def _queue(segments: Iterable[Mapping[str, Any]], metric: Mapping[str, Any]) -> str | None:
    """The queue that a session was in when it emitted a metric: what it counts or measures is that queue's.

    A count is emitted when something begins, a duration when it is over: one that ends where the session comes to
    another queue is the earlier queue's.
    """
    emitted, counted = metric["emitDate"], metric["name"].startswith("n")
    queue = None
    for segment in segments:
        begins = segment["segmentStart"]
        by_then = begins <= emitted if counted else begins < emitted
        if "queueId" in segment and (queue is None or by_then):
            queue = segment["queueId"]
    return queue


def _wanted(query: AggregatesQuery, row: Mapping[str, Any]) -> bool:
    return query.filter is None or filters.row_matches(query.filter, row)


def _groups(row: Mapping[str, Any], query: AggregatesQuery) -> Iterator[tuple[str, ...]]:
    """The groups of a row: one, or several where a dimension has several values; none where it has none.

    A row without a medium, of which there should be none, has no `mediaType` in its group.
    """
    found: list[tuple[str, ...]] = [()]
    for name in query.group_by:
        every = sorted(values(row, name))
        if query.flatten and every:
            every = [",".join(every)]
        if name == "mediaType" and not every:
            every = [""]
        found = [(*group, value) for group in found for value in every]
    yield from found


def _result(group: tuple[str, ...], buckets: dict[int, dict[str, list[int]]], query: AggregatesQuery) -> dict[str, Any]:
    data = []
    for bucket, stats in sorted(buckets.items()):
        begins = query.start + bucket * query.step
        data.append(
            {
                "interval": f"{text(begins)}/{text(min(begins + query.step, query.end))}",
                "metrics": [
                    {"metric": name, "stats": _stats(name, numbers)}
                    for name, numbers in sorted(stats.items())
                    if name in query.metrics
                ]
                + _service_level(stats, query),
            }
        )
    data = [bucket for bucket in data if bucket["metrics"]]
    named = {name: value for name, value in zip(query.group_by, group, strict=True) if value}
    return {"group": named, "data": data}


def _service_level(stats: Mapping[str, list[int]], query: AggregatesQuery) -> list[dict[str, Any]]:
    answered = len(stats.get("tAnswered", ()))
    counted = answered + len(stats.get("tAbandon", ()))
    if SERVICE_LEVEL not in query.metrics or not counted:
        return []
    in_time = answered - sum(stats.get("nOverSla", ()))
    share = {"ratio": in_time / counted, "numerator": in_time, "denominator": counted, "target": _TARGET}
    return [{"metric": SERVICE_LEVEL, "stats": share}]


def _stats(name: str, numbers: list[int]) -> dict[str, int]:
    if name.startswith("n"):
        return {"count": sum(numbers)}
    return {"count": len(numbers), "sum": sum(numbers), "min": min(numbers), "max": max(numbers)}
