"""The rows of records that fit their fields (`typed_details`), made of a whole page at once, column by column.

A conversation has fifty rows of some fifteen values. To make each row by itself takes Python twice as long as to make
columns of all of them, which are cut and joined without a step of Python for each value (docs/performance.md).

What is absent is bound as it is, and is NULL then (`typed_details.ABSENT`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.messages.detail_fields import NESTED, QUEUE, TIMES
from rollbook.genesys.messages.typed_details import ABSENT, in_order
from rollbook.genesys.named import NameKind
from rollbook.genesys.times import normalize
from rollbook.store.rows.detail_columns import CHILD_TABLES, NAMES, column_of
from rollbook.store.rows.numbers import SHIFT
from rollbook.store.rows.statements import storable
from rollbook.store.rows.texts import TextIds

Column = Sequence[Any]

# In the order in which they are written.
_TABLES: Final = (
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
# Parts whose columns are made together: those of two pages. A hostile record has hundreds of thousands.
_PARTS_AT_ONCE: Final = 10_000
_values: Final[Callable[[Any], tuple[Any, ...]]] = msgspec.structs.astuple
# By table, the places of the fields that had a value since the process began: a session has 85 fields, and those of one
# organisation use some 30 of them. Fields only come, so that page after page takes the same statement. Whoever writes
# leaves one for the next that has all of its rows' fields.
_in_use: Final[dict[str, tuple[int, ...]]] = {}


class _Parts:
    """The parts of records that become rows of a table, in the order of the rows.

    ids: theirs. where: the values of the table's columns that say where a row belongs.
    """

    __slots__ = ("ids", "parts", "where")

    def __init__(self, table: str) -> None:
        self.parts: list[Any] = []
        self.ids: list[int] = []
        self.where: tuple[list[int], ...] = tuple([] for _ in CHILD_TABLES[table].where)

    def add(self, parts: Sequence[Any], first: int, belongs_to: int) -> int:
        """Take the parts below another part. first: the id of the first. Answers the id after the last."""
        after = first + len(parts)
        self.parts += parts
        self.ids += range(first, after)
        owners, positions = self.where
        owners += repeat(belongs_to, after - first)
        positions += range(after - first)
        return after


class _Table(NamedTuple):
    """The columns of a table's rows.

    own: their ids, and where they belong. used: the places of the fields in use. fields: the values of those.
    """

    own: Sequence[Column]
    used: tuple[int, ...]
    fields: Sequence[Column]

    def insert(self, connection: sqlite3.Connection, name: str) -> None:
        """Write the rows."""
        columns = (*self.own, *self.fields)
        width, count = len(columns), len(self.own[0])
        values: list[Any] = [None] * (width * count)
        for at, column in enumerate(columns):
            values[at::width] = column
        rows = min(_ROWS_AT_ONCE, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // width)
        whole = count - count % rows
        for at in range(0, whole * width, rows * width):
            connection.execute(_insert(name, self.used, rows), values[at : at + rows * width])
        rest = iter(values[whole * width :])
        connection.executemany(_insert(name, self.used, 1), zip(*[rest] * width, strict=True))


class TypedRows:
    """The rows of many conversations' records, on their way into the tables. texts: those of this transaction."""

    def __init__(self, texts: TextIds) -> None:
        self._texts = texts
        self._parts = {table: _Parts(table) for table in _TABLES}
        self._tables: list[tuple[str, _Table]] = []

    def add(self, conversation: int, record: Any) -> set[str]:
        """Take the parts of a conversation's record, by its number; answers its media types."""
        self._tables = []
        base = conversation << SHIFT
        participants, sessions, segments, metrics, stats, flows, outcomes = self._parts.values()
        session_id = segment_id = metric_id = stat_id = outcome_id = base
        media_types: set[str] = set()
        for at, participant in enumerate(record.participants or ()):
            participants.parts.append(participant)
            participants.ids.append(base + at)
            if not participant.sessions:
                continue
            place = session_id - base
            session_id = sessions.add(participant.sessions, session_id, at)
            for here, session in enumerate(participant.sessions, place):
                if session.mediaType.__class__ is str:
                    media_types.add(session.mediaType)
                if session.segments:
                    segment_id = segments.add(session.segments, segment_id, here)
                if session.metrics:
                    metric_id = metrics.add(session.metrics, metric_id, here)
                if session.mediaEndpointStats:
                    stat_id = stats.add(session.mediaEndpointStats, stat_id, here)
                if (flow := session.flow) is not None:
                    flows.parts.append(flow)
                    flows.ids.append(base + here)
                    if flow.outcomes:
                        outcome_id = outcomes.add(flow.outcomes, outcome_id, here)
        return media_types

    def insert(self, connection: sqlite3.Connection) -> None:
        """Write the rows."""
        for name, table in self._made():
            table.insert(connection, name)

    def named(self) -> Iterator[tuple[NameKind, Any]]:
        """Ids of what the rows name, each with its kind; not of queues, which are among the texts."""
        for name, table in self._made():
            for place, kind, is_listed in _NAMED.get(name, ()):
                if place in table.used:
                    values = set(table.fields[table.used.index(place)])
                    # Thousands of lists have a few dozen members: each is taken once, before a step of its own.
                    found = {each for each in members(values) if each.__class__ is str} if is_listed else values
                    yield from zip(repeat(kind), found, strict=False)

    def _made(self) -> Iterable[tuple[str, _Table]]:
        """The tables, by their names; of very many rows in pieces, which are made as they are asked for."""
        if sum(len(of.parts) for of in self._parts.values()) > _PARTS_AT_ONCE:
            return self._pieces()
        if not self._tables:
            self._tables = list(self._pieces())
        return self._tables

    def _pieces(self) -> Iterator[tuple[str, _Table]]:
        for name, of in self._parts.items():
            for begin in range(0, len(of.parts), _PARTS_AT_ONCE):
                yield name, self._table(name, of, slice(begin, begin + _PARTS_AT_ONCE))

    def _table(self, name: str, of: _Parts, piece: slice) -> _Table:
        columns: list[Column] = list(zip(*map(_values, of.parts[piece]), strict=True))
        used, slices, fields = _used(name, columns), _SLICES[name], list[Column]()
        for place in used:
            column = columns[place]
            if place >= slices.nested:
                column = _as_texts(column)
            elif place >= slices.times:
                column = _as_times(column)
            elif (name, place) == _QUEUE:
                column = [self._texts[queue] if queue.__class__ is str else queue for queue in column]
            fields.append(column)
        return _Table([column[piece] for column in (of.ids, *of.where)], used, fields)


def _used(table: str, columns: Sequence[Column]) -> tuple[int, ...]:
    """The places of the fields in use, once these columns are in the table too."""
    known = _in_use.get(table, ())
    others = set(range(_SLICES[table].end)).difference(known)
    # Nearly all of what is not in use is absent in every row, which is found out without a look at what it is.
    found = [place for place in others if columns[place].count(ABSENT) < len(columns[place])]
    if found:
        known = _in_use[table] = tuple(sorted((*known, *found)))
    return known


@lru_cache(maxsize=64)
def _insert(table: str, used: tuple[int, ...], rows: int) -> str:
    into, where, fields = CHILD_TABLES[table]
    names = [column_of(table, name) for name in in_order(fields)]
    row = f"({', '.join('?' * (1 + len(where) + len(used)))})"
    columns = ", ".join(["id", *where, *(names[place] for place in used)])
    return f"INSERT INTO {into} ({columns}) VALUES {', '.join([row] * rows)}"


def _as_times(column: Column) -> Column:
    """Times as the API writes them, which nearly all are: a look at all of them at once."""
    times = [time for time in column if time is not ABSENT]
    if None not in times and {24}.issuperset(map(len, times)):
        together, number = "".join(times), len(times)
        if together[19::24] == "." * number and together[23::24] == "Z" * number:
            return column
    return [time if time is ABSENT else as_time(time) for time in column]


def as_time(value: Any) -> Any:
    """A time as the API writes it (an impossible date too: that stays as it came), or brought into that form."""
    if value.__class__ is str and len(value) == 24 and value[23] == "Z" and value[19] == ".":
        return value
    return normalize(value) or value


def _as_texts(nested: Column) -> Column:
    """Arrays and objects, which are slices of JSON, as the texts that they are; other values as those."""
    there = [value for value in nested if value is not ABSENT]
    if not there:
        return nested
    # All at once, because there are some twenty for each conversation. JSON has no NUL.
    texts: list[Any] = b"\0".join(there).decode().split("\0")
    if not {"[", "{"}.issuperset(map(itemgetter(0), texts)):
        texts = [text if text[0] in "[{" else _scalar(text) for text in texts]
    if len(texts) == len(nested):
        return texts
    each = iter(texts)
    return [value if value is ABSENT else next(each) for value in nested]


def _scalar(text: str) -> Any:
    try:
        return storable(decode(text.encode()))
    except ValueError:  # a number beyond all floats
        return text


def members(listed: Iterable[Any]) -> Iterator[Any]:
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
    return chain.from_iterable(each for each in found if each.__class__ is list)  # a text may begin as a list does


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


_SLICES: Final[Mapping[str, _Slices]] = {table: _slices(table) for table in _TABLES}


def _named_fields(table: str) -> tuple[tuple[int, NameKind, bool], ...]:
    """For each field that names something: its place, the kind of what it names, whether it is a list."""
    order, named = in_order(CHILD_TABLES[table].fields), NAMES.get(table, {})
    # A segment's queue is a number here: the texts of the transaction have it.
    return tuple((order.index(name), kind, name in NESTED) for name, kind in named.items() if name != QUEUE)


_QUEUE: Final = ("segments", in_order(CHILD_TABLES["segments"].fields).index(QUEUE))
_NAMED: Final = {table: fields for table in _TABLES if (fields := _named_fields(table))}
