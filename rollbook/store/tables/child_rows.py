"""A detail record as rows: pure, from a decoded record to the tuples that the child tables take.

It never refuses a record. What has the wrong shape (a participant that is not an object, segments that are not a
list) makes no row and stays in `details`; positions count it, so that the others keep theirs.

Statements are made per set of keys: an object brings only the fields that it has, and binding absent columns costs
more than everything else here together (a session has 90 documented fields and uses 15).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys.lenient_json import number, text_or_none, texts
from rollbook.genesys.times import normalize
from rollbook.store.tables.detail_columns import CHILD_TABLES, PARENT_IDS, TIMES, column

Row = tuple[Any, ...]
# For each INSERT statement, the rows that it takes.
RowsByStatement = defaultdict[str, list[Row]]

_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = frozenset({str, float, bool, type(None)})
_INT64: Final = 2**63


class Plan(NamedTuple):
    """The way in which objects with one set of keys become rows of a table."""

    sql: str
    take: Callable[[Mapping[str, Any]], Row]  # the values of the fields that have a column
    times: tuple[int, ...]  # which of the values are times


def _taker(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Row]:
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        only = names[0]
        return lambda record: (record[only],)
    return lambda _: ()


@lru_cache(maxsize=4096)
def plan(table: str, keys: tuple[str, ...]) -> Plan:
    """The statement for objects of `table` that have exactly `keys`; unknown keys make no column."""
    positions, fields = CHILD_TABLES[table]
    known = tuple(key for key in keys if key in fields)
    columns = ("conversation_id", *positions, *PARENT_IDS.get(table, ()), *(column(name) for name in known))
    marks = ", ".join("?" * len(columns))
    return Plan(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
        _taker(known),
        tuple(index for index, name in enumerate(known) if name in TIMES),
    )


def storable(value: Any) -> Any:
    """A JSON value as SQLite takes it: arrays and objects as JSON text, integers beyond 64 bits as text."""
    if value.__class__ is int:
        return value if -_INT64 <= value < _INT64 else str(value)
    return value if value.__class__ in _PLAIN else _encode(value).decode()


def _values(how: Plan, record: Mapping[str, Any]) -> list[Any]:
    values = [value if value.__class__ in _PLAIN else storable(value) for value in how.take(record)]
    for index in how.times:
        value = values[index]
        # As the API writes it (an impossible date too: that one stays as it came), or brought into that form.
        if value.__class__ is not str or len(value) != 24 or value[23] != "Z" or value[19] != ".":
            values[index] = normalize(value) or value
    return values


def _objects(owner: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    items = owner.get(key)
    if isinstance(items, list):
        for position, item in enumerate(items):
            if isinstance(item, dict):
                yield position, item


def add_children(rows: RowsByStatement, conversation_id: str, record: Mapping[str, Any]) -> None:
    """Every child row of one conversation, added to `rows` under the statement that inserts it."""
    for at, participant in _objects(record, "participants"):
        _add(rows, "participants", (conversation_id,), (at,), (), participant)
        participant_id = text_or_none(participant.get("participantId"))
        for index, session in _objects(participant, "sessions"):
            _add(rows, "sessions", (conversation_id, at), (index,), (participant_id,), session)
            _add_session(
                rows, (conversation_id, at, index), (participant_id, text_or_none(session.get("sessionId"))), session
            )
    for table in ("evaluations", "surveys", "resolutions"):
        if table in record:
            _add_all(rows, table, (conversation_id,), (), record.get(table))


def _add_session(rows: RowsByStatement, where: Row, ids: Row, session: Mapping[str, Any]) -> None:
    get = session.get
    _add_all(rows, "segments", where, ids, get("segments"))
    _add_all(rows, "metrics", where, ids, get("metrics"))
    _add_all(rows, "media_endpoint_stats", where, ids, get("mediaEndpointStats"))
    flow = get("flow")
    if isinstance(flow, dict):
        _add(rows, "flows", where, (), ids, flow)
        _add_all(rows, "flow_outcomes", where, ids, flow.get("outcomes"))


def _add(rows: RowsByStatement, table: str, where: Row, position: Row, ids: Row, item: Mapping[str, Any]) -> None:
    how = plan(table, tuple(item))
    rows[how.sql].append((*where, *position, *ids, *_values(how, item)))


def _add_all(rows: RowsByStatement, table: str, where: Row, ids: Row, items: Any) -> None:
    """The objects of one array. The hot path: nine rows in ten come through here."""
    if items.__class__ is not list:
        return
    for position, item in enumerate(items):
        if item.__class__ is dict:
            how = plan(table, tuple(item))
            rows[how.sql].append((*where, position, *ids, *_values(how, item)))


def child_rows() -> RowsByStatement:
    """An empty collection for `add_children`."""
    return defaultdict(list)


def media_types(record: Mapping[str, Any]) -> list[str]:
    """The distinct media types of a record's sessions, sorted."""
    found: set[str] = set()
    for _, participant in _objects(record, "participants"):
        for _, session in _objects(participant, "sessions"):
            media_type = session.get("mediaType")
            if isinstance(media_type, str):
                found.add(media_type)
    return sorted(found)


def columns_of(record: Mapping[str, Any]) -> tuple[str | None, str, str, Any, Any]:
    """The columns of `conversations` that a record has the values of, from the direction to the R factor."""
    return (
        text_or_none(record.get("originatingDirection")),
        _encode(media_types(record)).decode(),
        _encode(texts(record.get("divisionIds"))).decode(),
        number(record.get("mediaStatsMinConversationMos")),
        number(record.get("mediaStatsMinConversationRFactor")),
    )


def attributes(conversation_id: str, record: Mapping[str, Any]) -> Iterator[Row]:
    """The participant attributes of a record, which only jobs return: (conversation, participant, name, value)."""
    for position, participant in _objects(record, "participants"):
        named = participant.get("attributes")
        if isinstance(named, dict):
            who = text_or_none(participant.get("participantId")) or str(position)
            for name, value in named.items():
                yield conversation_id, who, name, storable(value)
