"""The aggregates query: counts and durations by group and bucket of time.

Each metric falls into the bucket of its own `emitDate`, not into that of its conversation's start. Groups, buckets and
metrics without a value are left out. Pure; made from the same records as the details, as known at the moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from simulator import predicates
from simulator.details import interval
from simulator.dimensions import METRICS, values
from simulator.errors import Refusal, bad_request
from simulator.life import Life
from simulator.predicates import Filter, Grammar
from simulator.times import moment, text

GROUPS: Final = (
    "conversationId", "direction", "divisionId", "mediaType", "originatingDirection", "purpose", "queueId", "sessionId",
    "userId",
)  # fmt: skip
_GRAMMAR: Final = Grammar(frozenset(GROUPS), frozenset())
_PARTS: Final = {"D": 86_400, "H": 3600, "M": 60, "S": 1}
_MOST_BUCKETS: Final = 10_000


class Query(NamedTuple):
    """An aggregates query that is in order."""

    start: datetime
    end: datetime
    step: timedelta
    metrics: frozenset[str]
    group_by: tuple[str, ...]
    filter: Filter | None


class Emitted(NamedTuple):
    """One metric that happened, with what it may be grouped by."""

    name: str
    at: datetime
    value: int
    row: Mapping[str, Any]


def parse(body: object) -> Query:
    """Read a query's JSON. Raises Refusal (400)."""
    if not isinstance(body, dict):
        raise Refusal(400)
    start, end = interval(body.get("interval"))
    metrics, group_by = _texts(body, "metrics"), _texts(body, "groupBy")
    if not metrics or not set(metrics) <= METRICS:
        raise bad_request("metrics must be names of metrics, at least one.")
    if not set(group_by) <= set(GROUPS):
        raise bad_request(f"groupBy is supported for {', '.join(GROUPS)}.")
    step = _step(body["granularity"]) if body.get("granularity") else end - start
    if (end - start) / step > _MOST_BUCKETS:
        raise bad_request("The granularity is too fine for the interval.")
    told = body.get("filter")
    where = predicates.parse_filter(told, _GRAMMAR) if told else None
    return Query(start, end, step, frozenset(metrics), tuple(group_by), where)


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    told = body.get(name) or []
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise bad_request(f"{name} must be a list of names.")
    return told


def _step(told: object) -> timedelta:
    found = re.fullmatch(r"P(?:(\d{1,4})(D)|T(\d{1,6})([HMS]))", str(told))
    if found is None or not int(found[1] or found[3]):
        raise bad_request(f"Invalid granularity: {told}")
    return timedelta(seconds=int(found[1] or found[3]) * _PARTS[found[2] or found[4]])


def answer(lives: Iterable[Life], query: Query, now: datetime) -> dict[str, Any]:
    """The results. lives: those that may have had something in the interval."""
    groups: dict[tuple[str, ...], dict[int, dict[str, list[int]]]] = {}
    for life in lives:
        for one in _emitted(life.view(now), query):
            bucket = (one.at - query.start) // query.step
            for group in _groups(one.row, query.group_by):
                stats = groups.setdefault(group, {}).setdefault(bucket, {})
                stats.setdefault(one.name, []).append(one.value)
    return {"results": [_result(group, buckets, query) for group, buckets in sorted(groups.items())]}


def _emitted(record: dict[str, Any], query: Query) -> Iterator[Emitted]:
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
            queue = next((one["queueId"] for one in session["segments"] if "queueId" in one), None)
            row = above | {**participant, **session, "queueId": queue}
            metrics = [one for one in session["metrics"] if one["name"] in query.metrics]
            found = [one for one in metrics if start <= one["emitDate"] < end]
            if found and _wanted(query, row):
                yield from (Emitted(one["name"], moment(one["emitDate"]), one["value"], row) for one in found)


def _wanted(query: Query, row: Mapping[str, Any]) -> bool:
    return query.filter is None or predicates.row_matches(query.filter, row)


def _groups(row: Mapping[str, Any], group_by: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The groups of a row: one, or several where a dimension has several values; none where it has none."""
    found: list[tuple[str, ...]] = [()]
    for name in group_by:
        found = [(*group, value) for group in found for value in sorted(values(row, name))]
    yield from found


def _result(group: tuple[str, ...], buckets: dict[int, dict[str, list[int]]], query: Query) -> dict[str, Any]:
    data = []
    for bucket, stats in sorted(buckets.items()):
        begins = query.start + bucket * query.step
        data.append({
            "interval": f"{text(begins)}/{text(min(begins + query.step, query.end))}",
            "metrics": [{"metric": name, "stats": _stats(name, told)} for name, told in sorted(stats.items())],
        })  # fmt: skip
    return {"group": dict(zip(query.group_by, group, strict=True)), "data": data}


def _stats(name: str, told: list[int]) -> dict[str, int]:
    if name.startswith("n"):
        return {"count": sum(told)}
    return {"count": len(told), "sum": sum(told), "min": min(told), "max": max(told)}
