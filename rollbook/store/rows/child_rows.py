"""A detail record as rows of the child tables.

It never refuses a record. What has the wrong shape (a participant that is not an object, segments that are not a
list) makes no row and stays in `details`; positions count it, so that the others keep theirs.

There are two ways, and the record's bytes alone decide which it goes. Nearly every record fits its fields
(`typed_details`): its parts become rows as they are, together with those of its page (`typed_rows`). Any other JSON
goes the way of the tree.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys import lenient_json
from rollbook.genesys.canonical_json import decode
from rollbook.genesys.lenient_json import number, text_or_none
from rollbook.genesys.messages.detail_fields import NESTED, QUEUE, TIMES
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.messages.typed_details import ABSENT
from rollbook.genesys.named import NameKind
from rollbook.store.rows import half_hours
from rollbook.store.rows.detail_columns import CHILD_TABLES, NAMES, column_of
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT
from rollbook.store.rows.statements import storable
from rollbook.store.rows.texts import TextIds
from rollbook.store.rows.typed_rows import TypedRows, as_time, members

Row = tuple[Any, ...]
# For each INSERT statement, the rows that it takes.
RowsByStatement = defaultdict[str, list[Row]]
# The columns of a conversation that a record has the values of, from the direction to the R factor.
Columns = tuple[str | None, str, str, Any, Any]

_encode: Final = msgspec.json.Encoder().encode


class ChildRows:
    """The child rows of many conversations, on their way into the tables. texts: those of this transaction."""

    def __init__(self, texts: TextIds) -> None:
        self._texts = texts
        self._typed = TypedRows(texts)
        self._others: RowsByStatement = defaultdict(list)
        self._named: set[tuple[str, Any]] = set()  # by records that went the way of the tree
        self._divisions: set[str] = set()
        self._numbers: list[int] = []

    def add(self, conversation: int, row: DetailRow) -> Columns:
        """Every child row of a conversation, by its number; answers the columns of `conversations` that go with them.

        A table takes a million rows of a conversation. More of them stay in its details alone.
        """
        fields = row.typed if len(row.raw) <= LAST_PLACE else None
        tree = _tree_of(row) if fields is None or _has_rare_parts(fields) else None
        if fields is None or tree is not None:
            columns = _add_tree(self._others, conversation, tree or {}, self._texts, self._named)
        else:
            columns = (
                fields.originatingDirection,
                _listed(self._typed.add(conversation, fields)),
                _encode(fields.divisionIds or ()).decode(),
                fields.mediaStatsMinConversationMos,
                fields.mediaStatsMinConversationRFactor,
            )
        self._divisions.add(columns[2])
        self._numbers.append(conversation)
        return columns

    def named(self) -> set[tuple[str, str]]:
        """(kind, id) of everything with a name that these rows name; asked before they are inserted or after."""
        # In this order: the texts of the transaction have the queues once the rows are made.
        found = [*self._typed.named(), *self._named]
        found += [(NameKind.QUEUE, text) for text in self._texts]
        found += [(NameKind.DIVISION, text) for text in members(self._divisions)]
        return {(kind, value) for kind, value in found if value.__class__ is str and value}

    def insert(self, connection: sqlite3.Connection) -> None:
        """Insert them. Where rows of these conversations are in the tables, they have to be deleted first."""
        self._typed.insert(connection)
        for statement, rows in self._others.items():
            connection.executemany(statement, rows)
        half_hours.make(connection, self._numbers)


def delete(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Delete the child rows of these conversations: from one number to another, both of them too."""
    for table in CHILD_TABLES.values():
        query = f"DELETE FROM {table.rows} WHERE id BETWEEN ? AND ?"
        connection.execute(query, (first << SHIFT, (last << SHIFT) + LAST_PLACE))
    half_hours.delete(connection, first, last)


def _listed(members: set[str]) -> str:
    return _encode(sorted(members)).decode()


def _tree_of(row: DetailRow) -> dict[str, Any] | None:
    """All of a record; None where it has what no tree can hold, such as a number beyond all floats."""
    try:
        return row.record
    except (ValueError, RecursionError):
        return None


def _has_rare_parts(fields: Any) -> bool:
    return fields.evaluations is not None or fields.surveys is not None or fields.resolutions is not None


def attributes(conversation: int, row: DetailRow) -> Iterator[Row]:
    """The participant attributes of a record, which only jobs return: (conversation, participant, name, value)."""
    for position, participant_id, named in _attributes_of(row):
        if isinstance(named, dict):
            who = text_or_none(participant_id) or str(position)
            for name, value in named.items():
                yield conversation, who, name, storable(value)


def attribute_names(conversation: int, row: DetailRow) -> Iterator[Row]:
    """The participants whose attributes a record has, be they none: (conversation, participant, names as JSON)."""
    for position, participant_id, named in _attributes_of(row):
        if named is None or isinstance(named, dict):
            yield conversation, text_or_none(participant_id) or str(position), _encode(list(named or ())).decode()


def participant_ids(row: DetailRow) -> list[str]:
    """The participants of a record, as their attributes name them."""
    if row.typed is not None:
        named = enumerate(participant.participantId for participant in row.typed.participants or ())
        return [text_or_none(identity) or str(position) for position, identity in named]
    found = _objects(_tree_of(row) or {}, "participants")
    return [text_or_none(participant.get("participantId")) or str(position) for position, participant in found]


def _attributes_of(row: DetailRow) -> Iterator[tuple[int, Any, Any]]:
    if row.typed is not None:
        for position, participant in enumerate(row.typed.participants or ()):
            if participant.attributes is not ABSENT:
                try:
                    named = decode(bytes(participant.attributes))
                except (ValueError, RecursionError):
                    continue  # they stay in the details
                yield position, participant.participantId, named
    else:
        for position, participant in _objects(_tree_of(row) or {}, "participants"):
            if "attributes" in participant:
                yield position, participant.get("participantId"), participant["attributes"]


# The way of the tree

# Statements are made per set of keys: an object brings only the fields that it has, and binding absent columns would
# cost more than everything else here together (a session has 90 documented fields and uses 15).


class Plan(NamedTuple):
    """The way in which objects with one set of keys become rows of a table."""

    sql: str
    take: Callable[[Mapping[str, Any]], Row]  # the values of the fields that have a column
    times: tuple[int, ...]  # which of the values are times
    queue: int | None  # which of them is the queue of a segment


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
    rows, where, fields = CHILD_TABLES[table]
    known = tuple(key for key in keys if key in fields)
    columns = ("id", *where, *(column_of(table, name) for name in known))
    return Plan(
        f"INSERT INTO {rows} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        _taker(known),
        tuple(index for index, name in enumerate(known) if name in TIMES),
        known.index(QUEUE) if table == "segments" and QUEUE in known else None,
    )


def _values_of(how: Plan, item: Mapping[str, Any], texts: TextIds) -> list[Any]:
    values = [storable(value) for value in how.take(item)]
    for index in how.times:
        values[index] = as_time(values[index])
    if how.queue is not None and values[how.queue] is not None:
        values[how.queue] = texts[str(values[how.queue])]
    return values


def _objects(owner: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    items = owner.get(key)
    if isinstance(items, list):
        for position, item in enumerate(items):
            if isinstance(item, dict):
                yield position, item


def _add_tree(
    rows: RowsByStatement,
    conversation: int,
    record: Mapping[str, Any],
    texts: TextIds,
    named: set[tuple[str, Any]],
) -> Columns:
    """The rows of a record of any shape. named: takes what they name."""
    base = conversation << SHIFT
    last: dict[str, int] = defaultdict(lambda: -1)
    media_types: set[str] = set()

    def add(table: str, item: Mapping[str, Any], *where: int, place: int | None = None) -> int:
        place = last[table] + 1 if place is None else place
        if max((place, *where)) <= LAST_PLACE:
            how = plan(table, tuple(item))
            rows[how.sql].append((base + place, *where, *_values_of(how, item, texts)))
            for name, kind in NAMES.get(table, {}).items():
                value = item.get(name)
                ids = members([storable(value)]) if name in NESTED else [value]
                named.update((kind, each) for each in ids if _is_id(each))
        last[table] = place
        return place

    for at, participant in _objects(record, "participants"):
        add("participants", participant, place=at)
        for index, session in _objects(participant, "sessions"):
            here = add("sessions", session, at, index)
            if isinstance(media_type := session.get("mediaType"), str):
                media_types.add(media_type)
            for key, table in _OF_SESSIONS:
                for position, item in _objects(session, key):
                    add(table, item, here, position)
            if isinstance(flow := session.get("flow"), dict):
                add("flows", flow, place=here)
                for position, outcome in _objects(flow, "outcomes"):
                    add("flow_outcomes", outcome, here, position)
    for table in ("evaluations", "surveys", "resolutions"):
        for position, item in _objects(record, table):
            add(table, item, place=position)
    return (
        text_or_none(record.get("originatingDirection")),
        _listed(media_types),
        _encode(lenient_json.texts(record.get("divisionIds"))).decode(),
        number(record.get("mediaStatsMinConversationMos")),
        number(record.get("mediaStatsMinConversationRFactor")),
    )


def _is_id(value: Any) -> bool:
    return value.__class__ is str and value != ""


_OF_SESSIONS: Final = (
    ("segments", "segments"),
    ("metrics", "metrics"),
    ("mediaEndpointStats", "media_endpoint_stats"),
)
