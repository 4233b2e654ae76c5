"""Filters of a details query: read from JSON, refused where the platform would refuse, and applied to a record's facts.

Within one filter all predicates look at the same row (a segment, an evaluation, a survey); several filters of one list
are combined with "and".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import dimensions
from rollbook.simulator.rest.analytics.dimensions import Facts
from rollbook.simulator.rest.errors import bad_request, not_simulated
from rollbook.simulator.times import moment

Row = Mapping[str, Any]
_RANGES: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
_OPERATORS: Final = ("matches", "exists", "notExists")
_OF_FILTER: Final = frozenset({"type", "clauses", "predicates"})
_OF_PREDICATE: Final = frozenset(
    {
        "type",
        "dimension",
        "metric",
        "property",
        "propertyType",
        "operator",
        "value",
        "range",
    }
)


class Grammar(NamedTuple):
    """Names that a list of filters may use. absent: names that the platform has and the simulator has not."""

    dimensions: frozenset[str]
    metrics: frozenset[str]
    absent: frozenset[str] = frozenset()


GRAMMARS: Final[Mapping[str, Grammar]] = {
    "conversationFilters": Grammar(dimensions.CONVERSATION, dimensions.METRICS),
    "segmentFilters": Grammar(dimensions.SEGMENT, dimensions.SEGMENT_METRICS),
    "evaluationFilters": Grammar(dimensions.EVALUATION, frozenset({"oTotalCriticalScore", "oTotalScore"})),
    "surveyFilters": Grammar(dimensions.SURVEY, frozenset({"oSurveyTotalScore"})),
    "resolutionFilters": Grammar(frozenset(), frozenset({"nNextContactAvoided"})),
}


class Predicate(NamedTuple):
    """Condition of a filter. kind: dimension, metric or property."""

    kind: str
    name: str
    operator: str
    value: str | None
    range: Mapping[str, float] | None


class Filter(NamedTuple):
    """Conditions and clauses, all of which (`and`) or one of which (`or`) must hold."""

    any: bool
    predicates: tuple[Predicate, ...]
    clauses: tuple[Filter, ...]


class Filters(NamedTuple):
    """The filters of a query, by their list. Falsy if there is none."""

    lists: Mapping[str, tuple[Filter, ...]]
    text: str = ""  # the same filters have the same

    def __bool__(self) -> bool:
        return bool(self.lists)


def parse(body: Mapping[str, Any]) -> Filters:
    """Read a query's filters. Raises Refusal (400)."""
    lists = {}
    for key, grammar in GRAMMARS.items():
        if listed := body.get(key):
            if not isinstance(listed, list):
                raise bad_request(f"{key} must be a list of filters.")
            lists[key] = tuple(_filter(entry, grammar, clauses=True) for entry in listed)
    return Filters(lists, json.dumps({key: body[key] for key in lists}, sort_keys=True))


def parse_filter(value: object, grammar: Grammar) -> Filter:
    """Read a single filter. Raises Refusal (400)."""
    return _filter(value, grammar, clauses=True)


def _filter(value: object, grammar: Grammar, *, clauses: bool) -> Filter:
    if not isinstance(value, dict):
        raise bad_request("A filter must be an object.")
    _refuse_strange(value, _OF_FILTER)
    kind = spelling.chosen(value.get("type") or "and", ("and", "or"), "filter type")
    if value.get("clauses") and not clauses:
        raise bad_request("Filters may be nested to two levels only.")
    inner = tuple(_filter(entry, grammar, clauses=False) for entry in _listed(value, "clauses"))
    predicates = tuple(_predicate(entry, grammar) for entry in _listed(value, "predicates"))
    if not inner and not predicates:
        raise bad_request("A filter must have at least one predicate or clause.")
    return Filter(kind == "or", predicates, inner)


def _refuse_strange(body: Mapping[str, Any], known: frozenset[str]) -> None:
    if strange := body.keys() - known:
        raise spelling.unknown_field(min(strange))


def _listed(body: Mapping[str, Any], key: str) -> list[object]:
    listed = body.get(key) or []
    if not isinstance(listed, list):
        raise bad_request(f"{key} must be a list.")
    return listed


def _predicate(body: object, grammar: Grammar) -> Predicate:
    if not isinstance(body, dict):
        raise bad_request("A predicate must be an object.")
    _refuse_strange(body, _OF_PREDICATE)
    operator = spelling.chosen(body.get("operator") or "matches", _OPERATORS, "predicate operator")
    kind, name = _subject(body, grammar)
    value, bounds = body.get("value"), body.get("range")
    if operator == "matches" and value is None and bounds is None:
        raise bad_request(f"A predicate on {name} must have a value or a range.")
    if bounds is not None and name in ("conversationStart", "conversationEnd"):
        # No use of it is known anywhere, so a client that relies on it should learn it here.
        raise bad_request(f"A range is not supported for {name}.")
    return Predicate(kind, name, operator, None if value is None else dimensions.spelled(value), _range(bounds))


def _subject(body: Mapping[str, Any], grammar: Grammar) -> tuple[str, str]:
    for kind, known in (("dimension", grammar.dimensions), ("metric", grammar.metrics), ("property", None)):
        name = body.get(kind)
        if name is None:
            continue
        meant = spelling.chosen(body.get("type") or kind, ("dimension", "metric", "property"), "predicate type")
        found = name if known is None and isinstance(name, str) else spelling.word(name, known or ())
        if found is None and name in grammar.absent:
            raise not_simulated(f"a filter by {name} here")
        if found is None or meant != kind:
            raise bad_request(f"Invalid {kind} for this filter: {name}")
        return kind, found
    raise bad_request("A predicate must have a dimension, a metric or a property.")


def _range(value: object) -> Mapping[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value or not value.keys() <= _RANGES.keys():
        raise bad_request("A range has gt, gte, lt and lte only.")
    bounds = {name: _number(bound) for name, bound in value.items() if bound is not None}
    if not bounds:
        raise bad_request("A range must have a bound.")
    return bounds


def _number(value: object) -> float:
    """A bound, as JSON or as text."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if math.isnan(found):
        raise bad_request("The bounds of a range must be numbers.")
    return found


def holds(filters: Filters, facts: Facts) -> bool:
    """Say whether filters ask for a record."""
    return all(_row_holds(key, wanted, facts) for key, several in filters.lists.items() for wanted in several)


def row_matches(wanted: Filter, row: Row) -> bool:
    """Say whether a filter asks for a row."""
    return _matches(wanted, lambda predicate: _row(predicate, row))


def _row_holds(key: str, wanted: Filter, facts: Facts) -> bool:
    if key == "conversationFilters":
        return _matches(wanted, lambda predicate: _conversation(predicate, facts))
    rows: list[Row] = getattr(facts, key.removesuffix("Filters") + "s")
    return any(row_matches(wanted, row) for row in rows)


def _matches(wanted: Filter, test: Callable[[Predicate], bool]) -> bool:
    parts = [test(predicate) for predicate in wanted.predicates] + [_matches(clause, test) for clause in wanted.clauses]
    return any(parts) if wanted.any else all(parts)


def _conversation(predicate: Predicate, facts: Facts) -> bool:
    if predicate.kind == "metric":
        total = facts.metrics.get(predicate.name)
        return _judge(predicate, frozenset() if total is None else frozenset((spelled_number(total),)))
    return _judge(predicate, facts.conversation.get(predicate.name, frozenset()))


def _row(predicate: Predicate, row: Row) -> bool:
    if predicate.kind == "property":
        found = [entry["value"] for entry in row.get("properties", ()) if entry["property"] == predicate.name]
        return _judge(predicate, frozenset(found))
    if predicate.name == "tSegmentDuration":
        return _judge(predicate, _duration(row))
    return _judge(predicate, dimensions.values(row, predicate.name))


def _duration(row: Row) -> frozenset[str]:
    if "segmentEnd" not in row:
        return frozenset()
    lasted = moment(row["segmentEnd"]) - moment(row["segmentStart"])
    return frozenset((str(lasted // timedelta(milliseconds=1)),))


def spelled_number(value: float) -> str:
    """A number without a needless fraction."""
    return str(int(value)) if value == int(value) else str(value)


def _judge(predicate: Predicate, found: frozenset[str]) -> bool:
    if predicate.operator != "matches":
        return bool(found) == (predicate.operator == "exists")
    if predicate.range is not None:
        return any(_within(value, predicate.range) for value in found)
    return predicate.value in found


def _within(value: str, bounds: Mapping[str, float]) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return all(_RANGES[name](number, bound) for name, bound in bounds.items())
