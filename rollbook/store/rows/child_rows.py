"""A detail record as rows: from its fields to the tuples that the child tables take.

It never refuses a record. What has the wrong shape (a participant that is not an object, segments that are not a
list) makes no row and stays in `details`; positions count it, so that the others keep theirs.

There are two ways, and the record's bytes alone decide which it goes. Nearly every record fits its fields
(`typed_details`): its parts become rows as they are, one statement a table. Any other JSON goes the way of the tree.

What is absent is bound as a number that no field can have, and the statement makes NULL of it (`statements.OR_NULL`).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice, repeat
from operator import itemgetter, ne
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys import lenient_json
from rollbook.genesys.canonical_json import decode
from rollbook.genesys.lenient_json import number, text_or_none
from rollbook.genesys.messages.detail_fields import NESTED, QUEUE, TIMES
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.messages.typed_details import ABSENT, in_order
from rollbook.genesys.named import NameKind
from rollbook.genesys.times import normalize
from rollbook.store.rows import half_hours
from rollbook.store.rows.detail_columns import CHILD_TABLES, NAMES, column_of
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT
from rollbook.store.rows.statements import OR_NULL
from rollbook.store.rows.texts import TextIds

Row = tuple[Any, ...]
# For each INSERT statement, the rows that it takes.
RowsByStatement = defaultdict[str, list[Row]]
# The columns of a conversation that a record has the values of, from the direction to the R factor.
Columns = tuple[str | None, str, str, Any, Any]

_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = frozenset({int, str, float, type(None)})
_INT64: Final = 2**63


def storable(value: Any) -> Any:
    """A JSON value as SQLite takes it: arrays and objects as JSON text, integers beyond 64 bits as text."""
    if value.__class__ is int:
        return value if -_INT64 <= value < _INT64 else str(value)
    if value.__class__ is bool:
        return int(value)
    return value if value.__class__ in _PLAIN else _encode(value).decode()


class ChildRows:
    """The child rows of many conversations, on their way into the tables. texts: those of this transaction."""

    def __init__(self, texts: TextIds) -> None:
        self._texts = texts
        self._typed: dict[str, list[Row]] = {table: [] for table in _TYPED_TABLES}
        self._others: RowsByStatement = defaultdict(list)
        self._named: set[tuple[str, Any]] = set()  # by records that went the way of the tree
        self._divisions: set[str] = set()
        self._numbers: list[int] = []

    def add(self, conversation: int, row: DetailRow) -> Columns:
        """Every child row of a conversation, by its number; answers the columns of `conversations` that go with them.

        A table takes a million rows of a conversation. More of them stay in its details alone.
        """
        columns = self._add(conversation, row)
        self._divisions.add(columns[2])
        self._numbers.append(conversation)
        return columns

    def _add(self, conversation: int, row: DetailRow) -> Columns:
        fields = row.typed
        if fields is not None and len(row.raw) <= LAST_PLACE and not _has_rare_parts(fields):
            before = {table: len(rows) for table, rows in self._typed.items()}
            media_types = _add_typed(self._typed, conversation, fields, self._texts)
            if media_types is not None:
                return (
                    fields.originatingDirection,
                    _listed(media_types),
                    _encode(fields.divisionIds or ()).decode(),
                    fields.mediaStatsMinConversationMos,
                    fields.mediaStatsMinConversationRFactor,
                )
            for table, rows in self._typed.items():
                del rows[before[table] :]
        return _add_tree(self._others, conversation, row.record, self._texts, self._named)

    def named(self) -> set[tuple[str, str]]:
        """(kind, id) of everything with a name that these rows name; asked before they are inserted or after."""
        found = self._named | {(NameKind.QUEUE, text) for text in self._texts}
        found |= {(NameKind.DIVISION, text) for text in _members(self._divisions)}
        for table, columns in _NAMED.items():
            rows = self._typed[table]
            for at, kind, nested in columns if rows else ():
                values = set(map(itemgetter(at), rows))
                found |= {(kind, value) for value in (_members(values) if nested else values)}
        return {(kind, value) for kind, value in found if value.__class__ is str and value}

    def insert(self, connection: sqlite3.Connection) -> None:
        """Insert them. Where rows of these conversations are in the tables, they have to be deleted first."""
        for table, rows in self._typed.items():
            if rows:
                _insert_typed(connection, table, rows)
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


def _members(listed: Iterable[Any]) -> Iterator[Any]:
    """The members of JSON lists, as columns have them; a column may have any other value too."""
    texts = [text for text in listed if text.__class__ is str and text[:1] == "["]
    try:
        # All at once: there are some ten for each conversation, and a call for each doubled the time of `named`.
        found = decode(f"[{','.join(texts)}]".encode())
    except (ValueError, RecursionError):
        found = []
        for text in texts:
            with suppress(ValueError, RecursionError):
                found.append(decode(text.encode()))
    return chain.from_iterable(found)


# The way of the fields

_TYPED_TABLES: Final = (
    "participants",
    "sessions",
    "segments",
    "metrics",
    "media_endpoint_stats",
    "flows",
    "flow_outcomes",
)


# Rows of a statement: with this many, SQLite works for long enough that another thread can read meanwhile, and each row
# costs less (docs/performance.md).
_ROWS_AT_ONCE: Final = 100


class _InUse(NamedTuple):
    """The columns of a table that had a value since the process began.

    A session has 85 fields, and those of one organisation use some 30 of them: to bind the others takes longer than to
    leave them out of each row. Columns only come, so that page after page takes the same statement.

    pick: a row without the others; None where all are in use. others: what a row has in those; none: what it has there
    as long as nobody uses them.
    """

    places: tuple[int, ...] = ()
    pick: Callable[[Row], Row] | None = None
    others: Callable[[Row], Any] | None = None
    none: Any = None

    def is_enough(self, rows: Iterable[Row]) -> bool:
        """Tell whether these rows have nothing in the other columns."""
        return bool(self.places) and (
            self.others is None or not any(map(ne, map(self.others, rows), repeat(self.none)))
        )

    def with_those_of(self, rows: Iterable[Row]) -> _InUse:
        """The columns in use once these rows are there too."""
        columns = list(zip(*rows, strict=True))
        # The first two say where a row belongs, whatever they are.
        found = {0, 1, *self.places, *(at for at, values in enumerate(columns) if values.count(ABSENT) < len(values))}
        others = [at for at in range(len(columns)) if at not in found]
        places = tuple(sorted(found))
        if not others:
            return _InUse(places)
        beside = itemgetter(*others)
        return _InUse(places, itemgetter(*places), beside, beside((ABSENT,) * len(columns)))


# By table. Whoever writes takes one that holds all of its rows' columns, and leaves it for the next.
_in_use: Final[dict[str, _InUse]] = {}


def _insert_typed(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows, without the columns that nobody uses."""
    in_use = _in_use.get(table, _InUse())
    if not in_use.is_enough(rows):
        in_use = _in_use[table] = in_use.with_those_of(rows)
    used = in_use.places
    slim = iter(rows if in_use.pick is None else map(in_use.pick, rows))
    many = min(_ROWS_AT_ONCE, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(used))
    for _ in range(len(rows) // many):
        connection.execute(_insert(table, used, many), list(chain.from_iterable(islice(slim, many))))
    connection.executemany(_insert(table, used, 1), slim)


@lru_cache(maxsize=64)
def _insert(table: str, used: tuple[int, ...], rows: int) -> str:
    into, where, fields = CHILD_TABLES[table]
    names = ["id", *where, *(column_of(table, name) for name in in_order(fields))]
    marks = ["?"] * (1 + len(where)) + [OR_NULL] * len(fields)
    row = f"({', '.join(marks[at] for at in used)})"
    return f"INSERT INTO {into} ({', '.join(names[at] for at in used)}) VALUES {', '.join([row] * rows)}"


def _named_columns(table: str) -> tuple[tuple[int, NameKind, bool], ...]:
    """For each field that names something: its place in a row, the kind of what it names, whether it is a list."""
    _, where, fields = CHILD_TABLES[table]
    order, first = in_order(fields), 1 + len(where)
    named = NAMES.get(table, {})
    # A segment's queue is a number here: the texts of the transaction have it.
    return tuple(
        (first + order.index(name), kind, name in NESTED) for name, kind in named.items() if name not in _AS_NUMBERS
    )


_AS_NUMBERS: Final = frozenset({QUEUE})
_NAMED: Final = {table: columns for table in _TYPED_TABLES if (columns := _named_columns(table))}


class _Slices(NamedTuple):
    """The places of a part's values: where the times begin, where the nested begin, and where its own fields end."""

    times: int
    nested: int
    end: int


def _slices(table: str) -> _Slices:
    fields = CHILD_TABLES[table].fields
    times = sum(name in TIMES for name in fields)
    nested = sum(name in NESTED for name in fields)
    return _Slices(len(fields) - nested - times, len(fields) - nested, len(fields))


_OF_PARTICIPANT: Final = _slices("participants")
_OF_SESSION: Final = _slices("sessions")
_OF_SEGMENT: Final = _slices("segments")
_OF_STAT: Final = _slices("media_endpoint_stats")
_OF_FLOW: Final = _slices("flows")
_OF_OUTCOME: Final = _slices("flow_outcomes")
_NONE_NESTED: Final = {
    many: (ABSENT,) * many for many in (part.end - part.nested for part in (_OF_SESSION, _OF_SEGMENT, _OF_STAT))
}
_values: Final[Callable[[Any], Row]] = msgspec.structs.astuple


def _has_rare_parts(fields: Any) -> bool:
    return fields.evaluations is not None or fields.surveys is not None or fields.resolutions is not None


def _add_typed(out: dict[str, list[Row]], conversation: int, record: Any, texts: TextIds) -> set[str] | None:
    """The rows of a record's parts. Answers its media types; None where a time is not spelled as the API spells it.

    The hot path: a call less for each of the fifty rows of a conversation is worth its lines.
    """
    base = conversation << SHIFT
    participants, sessions, segments, metrics, stats, flows, outcomes = (out[table].append for table in _TYPED_TABLES)
    session_id = segment_id = metric_id = stat_id = outcome_id = base
    media_types: set[str] = set()
    times: list[Any] = []
    for at, participant in enumerate(record.participants or ()):
        participants((base + at, *_values(participant)[: _OF_PARTICIPANT.end]))
        for index, session in enumerate(participant.sessions or ()):
            place = session_id - base
            values = _values(session)
            times += values[_OF_SESSION.times : _OF_SESSION.nested]
            nested = _as_texts(values[_OF_SESSION.nested : _OF_SESSION.end])
            sessions((session_id, at, index, *values[: _OF_SESSION.nested], *nested))
            session_id += 1
            if session.mediaType.__class__ is str:
                media_types.add(session.mediaType)
            for position, segment in enumerate(session.segments or ()):
                values = _values(segment)
                times += values[_OF_SEGMENT.times : _OF_SEGMENT.nested]
                queue = values[0]
                queue_id = texts[queue] if queue.__class__ is str else queue
                nested = _as_texts(values[_OF_SEGMENT.nested :])
                segments((segment_id, place, position, queue_id, *values[1 : _OF_SEGMENT.nested], *nested))
                segment_id += 1
            for position, metric in enumerate(session.metrics or ()):
                values = _values(metric)
                times.append(values[-1])
                metrics((metric_id, place, position, *values))
                metric_id += 1
            for position, stat in enumerate(session.mediaEndpointStats or ()):
                values = _values(stat)
                times += values[_OF_STAT.times : _OF_STAT.nested]
                nested = _as_texts(values[_OF_STAT.nested :])
                stats((stat_id, place, position, *values[: _OF_STAT.nested], *nested))
                stat_id += 1
            flow = session.flow
            if flow is not None:
                flows((base + place, *_values(flow)[: _OF_FLOW.end]))
                for position, outcome in enumerate(flow.outcomes or ()):
                    values = _values(outcome)
                    times += values[_OF_OUTCOME.times : _OF_OUTCOME.nested]
                    outcomes((outcome_id, place, position, *values))
                    outcome_id += 1
    return media_types if _are_api_texts([time for time in times if time is not ABSENT]) else None


def _are_api_texts(times: list[Any]) -> bool:
    """Tell whether each has the length and the ends of the API's spelling. A look at all of them at once."""
    if None in times:
        return False
    together, number = "".join(times), len(times)
    return len(together) == 24 * number and together[19::24] == "." * number and together[23::24] == "Z" * number


def _as_texts(nested: Row) -> Row:
    """Arrays and objects, which are slices of JSON, as the text that they are; what is absent stays so."""
    if nested == _NONE_NESTED[len(nested)]:
        return nested
    return tuple(
        [
            value if value is ABSENT else text if (text := str(value, "utf-8"))[0] in "[{" else _scalar(text)
            for value in nested
        ]
    )


def _scalar(text: str) -> Any:
    try:
        return storable(decode(text.encode()))
    except ValueError:  # a number beyond all floats
        return text


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
    found = _objects(row.record, "participants")
    return [text_or_none(participant.get("participantId")) or str(position) for position, participant in found]


def _attributes_of(row: DetailRow) -> Iterator[tuple[int, Any, Any]]:
    if row.typed is not None:
        for position, participant in enumerate(row.typed.participants or ()):
            if participant.attributes is not ABSENT:
                yield position, participant.participantId, decode(bytes(participant.attributes))
    else:
        for position, participant in _objects(row.record, "participants"):
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
        value = values[index]
        # As the API writes it (an impossible date too: that one stays as it came), or brought into that form.
        if value.__class__ is not str or len(value) != 24 or value[23] != "Z" or value[19] != ".":
            values[index] = normalize(value) or value
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
                members = _members([storable(value)]) if name in NESTED else [value]
                named.update((kind, each) for each in members if _is_id(each))
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
