"""The rows of a day, table by table, as columns of values: what the views show, read in fewer steps. SQL only.

A conversation's rows come in the order of its start, and within it by their positions; the rest in the order of time.
What a view looks up for each row (the conversation's id, its parents') is looked up for some hundred conversations in
one go.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.store.bodies import packing
from rollbook.store.export.column_values import Column, Columns, IntegerColumn, TakenColumn
from rollbook.store.export.columns import ColumnKind, Exported, TableGroup, kind_of
from rollbook.store.rows.detail_columns import CHILD_TABLES, ChildTable, column, column_of
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# A value that its column's type does not take (a number with a point, a BLOB) is refused, and the rows are fetched.
_INTEGERS: Final = msgspec.json.Decoder(list[int | str | None]).decode
_TEXTS: Final = msgspec.json.Decoder(list[str | None]).decode
# Conversations that are read at a time, and rows of what is not theirs: what is in memory of a day.
CHUNK: Final = 500
# Rows of whole bodies that are in memory at a time; each may have megabytes.
BODIES: Final = 100
# Of a child row: its conversation's number, its place among the rows of its table, the ids of its session's and of its
# participant's rows.
_NUMBER: Final = f"t.id >> {SHIFT}"
_PLACE: Final = f"t.id & {LAST_PLACE}"
_SESSION: Final = f"(t.id & ~{LAST_PLACE}) | t.session"
_PARTICIPANT: Final = f"(t.id & ~{LAST_PLACE}) | t.participant"
_KEY: Final = "t.number"  # of what has a row for each conversation
_QUEUE: Final = 't."queue"'
_EACH_DAY: Final = ' FROM {table} WHERE "{by}" >= ? AND "{by}" < ? ORDER BY '


class Day(NamedTuple):
    """A day: its date, and its first moment and the next day's as API text."""

    date: str
    start: str
    end: str


class _Sessions(NamedTuple):
    """The sessions of some conversations, as columns, in the order of their rows; and at the end one that is nobody's.

    places: where a session is in them, by its row's id.
    """

    places: dict[int | None, int]
    participant: Sequence[int | None]
    position: Sequence[int | None]
    participant_id: Sequence[str | None]
    session_id: Sequence[str | None]

    def taken(self, rows: Column) -> list[TakenColumn]:
        """The columns for these, by the ids of their rows; of a row that there is not, the last."""
        nobody = len(self.session_id) - 1
        places = array("i", [self.places.get(row, nobody) for row in rows])
        return [TakenColumn(values, places) for values in self[1:]]


def first_day(connection: sqlite3.Connection) -> str | None:
    """The first day of which the store has anything that belongs to a day."""
    found = connection.execute(
        "SELECT min(at) FROM (SELECT min(conversation_start) AS at FROM conversation_rows UNION ALL"
        " SELECT min(received_at) FROM event_rows UNION ALL SELECT min(start) FROM windows UNION ALL"
        " SELECT min(started_at) FROM coverage UNION ALL SELECT min(received_at) FROM dead_letters)"
    ).fetchone()[0]
    return None if found is None else str(found)[:10]


def unplaced(connection: sqlite3.Connection, day: Day) -> int:
    """The number of conversations first seen on a day whose start nobody knows yet: they are of no day."""
    found: int = connection.execute(
        "SELECT count(*) FROM conversation_rows"
        " WHERE conversation_start IS NULL AND first_seen_at >= ? AND first_seen_at < ?",
        day[1:],
    ).fetchone()[0]
    return found


def of_conversations(
    connection: sqlite3.Connection, day: Day, tables: Sequence[Exported]
) -> Iterator[tuple[Exported, Columns]]:
    """The rows of what started on a day, of tables that go with their conversations."""
    found = connection.execute(
        "SELECT number FROM conversation_rows WHERE conversation_start >= ? AND conversation_start < ?"
        " ORDER BY conversation_start, number",
        day[1:],
    )
    numbers = array("q", (row[0] for row in found))
    texts = _Texts(connection)
    for at in range(0, len(numbers), CHUNK):
        chunk = _Chunk(connection, numbers[at : at + CHUNK], texts)
        for table in tables:
            for columns in chunk.columns(table):
                yield table, columns


def of_time(connection: sqlite3.Connection, day: Day, table: Exported) -> Iterator[Columns]:
    """The rows of a day, of a table that has a time of its own, or days."""
    order = _ORDER[table.name]
    between = (day.start, day.end)
    if table.by == "day":
        query = f"SELECT {_listed(table)} FROM {table.name} WHERE day = ? ORDER BY {order}"
        between = (day.date,)  # type: ignore[assignment]
    else:
        query = f"SELECT {_listed(table)}{_EACH_DAY.format(table=table.name, by=table.by)}{order}"
    return _in_parts(connection, connection.execute(query, between), table)


def whole(connection: sqlite3.Connection, table: Exported) -> Iterator[Columns]:
    """The rows of a table that has no days."""
    query = f"SELECT {_listed(table)} FROM {table.name} ORDER BY {_ORDER[table.name]}"
    return _in_parts(connection, connection.execute(query), table)


_ORDER: Final = {
    "windows": 'start, "end", filter',
    "window_runs": 'start, "end", filter, run_id',
    "coverage": "started_at, coverage_id",
    "names": "kind, id, valid_from",
    "queue_intervals": "interval_start, queue_id, media_type",
    "agent_days": "user_id, media_type",
    "queue_legs": "v.queue_id, v.media_type, v.leg",
    "agent_legs": "v.participant_position, v.session_position, v.queue_id",
    "wrapups": "v.participant_position, v.session_position, v.position",
    "mos_legs": "v.participant_position, v.session_position, v.position",
    "mos_calls": "v.conversation_start",
    "events": "received_at, event_id",
    "dead_letters": "received_at, dead_letter_id",
}


def _listed(table: Exported, of: str = "") -> str:
    return ", ".join(f'{of}"{name}"' for name in table.columns)


def _in_parts(connection: sqlite3.Connection, found: sqlite3.Cursor, table: Exported) -> Iterator[Columns]:
    """The rows of a query, a part at a time: bodies unpacked, and what is binary spelled as text."""
    bodies = table.group is TableGroup.BODIES
    while rows := found.fetchmany(BODIES if bodies else CHUNK):
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for at, name in enumerate(table.columns):
            if name in ("details", "body"):
                columns[at] = [None if value is None else packing.text(connection, value) for value in columns[at]]
            elif name in ("identity", "id_digest"):
                columns[at] = [value.hex() if isinstance(value, bytes) else value for value in columns[at]]
        yield columns


class _Texts(dict[int | None, str | None]):
    """text_id → text, looked up once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__({None: None})
        self._connection = connection

    def __missing__(self, number: int | None) -> str | None:
        found = self._connection.execute("SELECT text FROM texts WHERE text_id = ?", (number,)).fetchone()
        text = self[number] = found[0] if found else None
        return text


class _Chunk:
    """Some of a day's conversations, by their numbers, and what their rows refer to.

    runs: as JSON, the numbers that follow each other: their rows lie together and are read in one go.
    """

    def __init__(self, connection: sqlite3.Connection, numbers: Sequence[int], texts: _Texts) -> None:
        self._connection = connection
        self._texts = texts
        self._runs = json.dumps(_runs(numbers))
        wanted = {_KEY: ColumnKind.INTEGER, "t.conversation_id": ColumnKind.TEXT}
        known, ids = self._in_columns(wanted, "conversation_ids", "number").values()
        self._ids: list[str] = list(ids)
        self._places: dict[int, int] = {number: place for place, number in enumerate(known)}
        self._sessions: _Sessions | None = None

    def columns(self, table: Exported) -> Iterator[Columns]:
        """The rows of a table, as its columns; none where it has none."""
        if table.name in CHILD_TABLES:
            yield from self._child(table, CHILD_TABLES[table.name])
        elif table.group is TableGroup.VIEWS:
            query = (
                f"SELECT {_listed(table, 'v.')} FROM json_each(?) j CROSS JOIN {table.name} v"
                f" ON v.conversation_id = j.value ORDER BY j.key, {_ORDER[table.name]}"
            )
            found = self._connection.execute(query, (json.dumps(self._ids),))
            yield from _in_parts(self._connection, found, table)
        elif table.name == "conversations":
            wanted = {_KEY: ColumnKind.INTEGER}
            wanted |= {f't."{name}"': kind_of(table.name, name) for name in table.columns[1:]}
            numbers, *fields = self._in_columns(wanted, "conversation_rows", "number").values()
            yield [self._ids_of(numbers), *fields]
        else:
            rows, key, order = _BY_NUMBER[table.name]
            columns = [f't."{name}"' for name in table.columns[1:]]
            columns = [_READ_AT if (table.name, name) == ("details", 't."read_at"') else name for name in columns]
            found = self._rows(", ".join(["t.number", *columns]), rows, key, order)
            for part in _in_parts(self._connection, found, table):
                yield [self._ids_of(part[0]), *part[1:]]

    def _ids_of(self, numbers: Iterable[int]) -> TakenColumn:
        return TakenColumn(self._ids, array("i", [self._places[number] for number in numbers]))

    def _rows(self, columns: str, rows: str, key: str, order: str = "") -> sqlite3.Cursor:
        """Rows of these conversations. key: the column that has their number, or begins with it."""
        first, last = ("json_extract(j.value, '$[0]')", "json_extract(j.value, '$[1]')")
        if key == "id":
            first, last = f"({first} << {SHIFT})", f"({last} << {SHIFT}) + {LAST_PLACE}"
        query = f"SELECT {columns} FROM json_each(?) j CROSS JOIN {rows} t ON t.{key} BETWEEN {first} AND {last}"
        return self._connection.execute(f"{query} ORDER BY j.key, {order}" if order else query, (self._runs,))

    def _child(self, table: Exported, child: ChildTable) -> Iterator[Columns]:
        where = _WHERE.get(table.name, _IN_A_SESSION)
        wanted = {_NUMBER: ColumnKind.INTEGER, **dict.fromkeys(where.wanted, ColumnKind.INTEGER)}
        wanted |= {f't."{column_of(table.name, of)}"': kind_of(table.name, column(of)) for of in child.fields}
        if table.name == "segments":
            wanted[_QUEUE] = ColumnKind.INTEGER
        found = self._in_columns(wanted, child.rows)
        if not len(found[_NUMBER]):
            return
        if table.name == "segments":
            found[_QUEUE] = [self._texts[number] for number in found[_QUEUE]]
        ids = self._ids_of(found.pop(_NUMBER))
        placed = where.columns(self, *(found.pop(name) for name in where.wanted))
        yield [ids, *placed, *found.values()]

    def _in_columns(self, wanted: Mapping[str, ColumnKind], rows: str, key: str = "id") -> dict[str, Column]:
        """Columns of rows, all of one length, by the SQL that makes them. rows, key: as for `_rows`.

        SQLite makes each a JSON array, and msgspec a list of that, in half the time in which its rows would be fetched
        and turned (docs/performance.md). Numbers with a point lose digits on that way: columns that may have some are
        fetched, and all of them where one has what JSON has not.
        """
        real = [sql for sql, kind in wanted.items() if kind is ColumnKind.REAL]
        with suppress(sqlite3.Error, msgspec.DecodeError):
            found = self._from_json({sql: kind for sql, kind in wanted.items() if sql not in real}, rows, key)
            if real:
                found |= self._fetched(real, rows, key)
            return {sql: found[sql] for sql in wanted}
        return self._fetched(list(wanted), rows, key)

    def _from_json(self, wanted: Mapping[str, ColumnKind], rows: str, key: str) -> dict[str, Column]:
        arrays = ", ".join(f"json_group_array({sql})" for sql in wanted)
        texts = self._rows(arrays, rows, key).fetchone()
        return {
            sql: IntegerColumn(_INTEGERS(text)) if kind is ColumnKind.INTEGER else _TEXTS(text)
            for (sql, kind), text in zip(wanted.items(), texts, strict=True)
        }

    def _fetched(self, wanted: Sequence[str], rows: str, key: str) -> dict[str, Column]:
        fetched = self._rows(", ".join(wanted), rows, key).fetchall()
        return dict(zip(wanted, zip(*fetched, strict=True) if fetched else [()] * len(wanted), strict=True))

    def sessions(self) -> _Sessions:
        """The sessions of these conversations."""
        if self._sessions is None:
            integer, text = ColumnKind.INTEGER, ColumnKind.TEXT
            rows, ids = self._in_columns({"t.id": integer, "t.participant_id": text}, "participant_rows").values()
            participants = dict(zip(rows, ids, strict=True))
            wanted = {"t.id": integer, _PARTICIPANT: integer, "t.participant": integer, "t.position": integer}
            found = self._in_columns({**wanted, "t.session_id": text}, "session_rows")
            rows, of, *columns = found.values()
            participant, position, session_id = ([*values, None] for values in columns)
            participant_id = [*(participants.get(row) for row in of), None]
            places = {row: place for place, row in enumerate(rows)}
            self._sessions = _Sessions(places, participant, position, participant_id, session_id)
        return self._sessions


# What stands between a row's conversation and its fields: where it is, and whose it is.


class _Where(NamedTuple):
    """A table's columns of that kind. wanted: what they are made of, as SQL: whole numbers, given to `columns`."""

    wanted: tuple[str, ...]
    columns: Callable[..., Columns]


def _in_a_conversation(_: _Chunk, place: Column) -> Columns:
    return [place]


def _a_session(chunk: _Chunk, participant: Column, position: Column) -> Columns:
    # The rows are the sessions, in the same order.
    return [participant, position, chunk.sessions().participant_id[:-1]]


def _in_a_session(chunk: _Chunk, session: Column, position: Column) -> Columns:
    participant, its_position, *ids = chunk.sessions().taken(session)
    return [participant, its_position, position, *ids]


def _a_flow(chunk: _Chunk, session: Column) -> Columns:
    return chunk.sessions().taken(session)


_IN_A_SESSION: Final = _Where((_SESSION, "t.position"), _in_a_session)
_WHERE: Final = {
    "sessions": _Where(("t.participant", "t.position"), _a_session),
    "flows": _Where(("t.id",), _a_flow),
    **dict.fromkeys(("participants", "evaluations", "surveys", "resolutions"), _Where((_PLACE,), _in_a_conversation)),
}
_READ_AT: Final = "(SELECT read_at FROM conversation_rows c WHERE c.number = t.number)"
# table → (the table with its rows, the column of the number, the order of a run's rows where the number is not enough)
_BY_NUMBER: Final = {
    "participant_attributes": ("attribute_rows", "number", "t.number, t.participant_id, t.name"),
    "gaps": ("gap_rows", "number", "t.number, t.kind"),
    "details": ("detail_rows", "number", ""),
    "conversation_versions": ("version_rows", "number", "t.number, t.read_at"),
}


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers as [first, last] of those that follow each other, in the same order."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs
