"""The rows of a day, table by table, as columns of values: what the views show, read in fewer steps. SQL only.

A conversation's rows come in the order of its start, and within it by their positions; the rest in the order of time.
What a view looks up for each row (the conversation's id, its parents') is looked up for a thousand conversations in
one go.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rollbook.store.bodies import packing
from rollbook.store.export.column_reading import ROW_ID, ColumnReader, Ways, runs
from rollbook.store.export.column_values import Column, Columns, IntegerColumn, SharedValues, TakenColumn
from rollbook.store.export.columns import ColumnKind, Exported, TableGroup, kind_of
from rollbook.store.rows.detail_columns import CHILD_TABLES, ChildTable, column, column_of
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# Conversations that are read at a time, and rows of what is not theirs: what is in memory of a day.
CHUNK: Final = 1000
# Rows of whole bodies that are in memory at a time; each may have megabytes.
BODIES: Final = 100
# Of a child row: its conversation's number, the ids of its session's and of its participant's rows.
_NUMBER: Final = f"t.id >> {SHIFT}"
_SESSION: Final = f"(t.id & ~{LAST_PLACE}) | t.session"
_PARTICIPANT: Final = f"(t.id & ~{LAST_PLACE}) | t.participant"
_KEY: Final = "t.number"  # of what has a row for each conversation
_QUEUE: Final = 't."queue"'
_PARTICIPANT_ID: Final = 't."participant_id"'
_SESSION_ID: Final = 't."session_id"'
_EACH_DAY: Final = ' FROM {table} WHERE "{by}" >= ? AND "{by}" < ? ORDER BY '


class Day(NamedTuple):
    """A day: its date, and its first moment and the next day's as API text."""

    date: str
    start: str
    end: str


class _SessionPlaces(dict[int, int]):
    """Places of sessions by the ids of their rows. missed: a row was asked for that there is not; it has the last."""

    missed = False

    def __missing__(self, row: int) -> int:
        self.missed = True
        return len(self)


class _Sessions(NamedTuple):
    """The sessions of some conversations, as columns, in the order of their rows; and at the end one that is nobody's.

    places: where a session is in them, by its row's id.
    """

    places: _SessionPlaces
    conversation_id: SharedValues
    participant: SharedValues
    position: SharedValues
    participant_id: SharedValues
    session_id: SharedValues


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
    connection: sqlite3.Connection, day: Day, tables: Sequence[Exported], ways: Ways | None = None
) -> Iterator[tuple[Exported, Columns]]:
    """The rows of what started on a day, of tables that go with their conversations.

    ways: what other days have shown of how columns are best asked for; this day adds to it.
    """
    found = connection.execute(
        "SELECT number FROM conversation_rows WHERE conversation_start >= ? AND conversation_start < ?"
        " ORDER BY conversation_start, number",
        day[1:],
    )
    numbers = array("q", (row[0] for row in found))
    texts, reader = _Texts(connection), ColumnReader(connection, {} if ways is None else ways)
    for at in range(0, len(numbers), CHUNK):
        chunk = _Chunk(connection, numbers[at : at + CHUNK], texts, reader)
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

    Rows of numbers that follow each other lie together, and are read in one go.
    """

    def __init__(
        self, connection: sqlite3.Connection, numbers: Sequence[int], texts: _Texts, reader: ColumnReader
    ) -> None:
        self._connection = connection
        self._texts = texts
        self._reader = reader
        self._runs = runs(numbers)
        wanted = {_KEY: ColumnKind.INTEGER, "t.conversation_id": ColumnKind.TEXT}
        known, ids = self._in_columns(wanted, "conversation_ids", "number").values()
        self._ids = SharedValues(ids)
        self._places: dict[int, int] = {number: place for place, number in enumerate(known)}
        # The id of each participant, by its row's; what is read for their own tables is not read again.
        self._participants: dict[int, str | None] | None = None
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
            found = self._reader.rows(", ".join(["t.number", *columns]), rows, key, self._runs, order)
            for part in _in_parts(self._connection, found, table):
                yield [self._ids_of(part[0]), *part[1:]]

    def _ids_of(self, numbers: Iterable[int]) -> TakenColumn:
        return TakenColumn(self._ids, array("i", [self._places[number] for number in numbers]))

    def _child(self, table: Exported, child: ChildTable) -> Iterator[Columns]:
        where = _WHERE.get(table.name, _IN_A_SESSION)
        wanted = dict.fromkeys(where.wanted, ColumnKind.INTEGER)
        wanted |= {f't."{column_of(table.name, of)}"': kind_of(table.name, column(of)) for of in child.fields}
        if table.name == "segments":
            wanted[_QUEUE] = ColumnKind.INTEGER
        found = self._in_columns(wanted, child.rows)
        if not len(next(iter(found.values()))):
            return
        if table.name == "segments":
            found[_QUEUE] = [self._texts[number] for number in found[_QUEUE]]
        before = where.columns(self, child, found)
        yield [*before, *(values for sql, values in found.items() if sql not in where.wanted)]

    def _in_columns(self, wanted: Mapping[str, ColumnKind], rows: str, key: str = "id") -> dict[str, Column]:
        return self._reader.columns(wanted, rows, key, self._runs)

    def of_conversations(self, rows: Column) -> TakenColumn:
        """The ids of the conversations that rows belong to, by the rows' ids."""
        return self._ids_of([row >> SHIFT for row in rows])

    def of_sessions(self, child: ChildTable, rows: Column) -> list[TakenColumn]:
        """The columns of sessions, by the ids of their rows; of a row that there is not, those of nobody."""
        sessions = self._sessions or self.keep_sessions()
        sessions.places.missed = False
        places = array("i", map(sessions.places.__getitem__, rows))
        ids = TakenColumn(sessions.conversation_id, places)
        if sessions.places.missed:
            (numbers,) = self._in_columns({_NUMBER: ColumnKind.INTEGER}, child.rows).values()
            ids = self._ids_of(numbers)
        return [ids, *(TakenColumn(values, places) for values in sessions[2:])]

    def keep_participants(self, found: Mapping[str, Column] | None = None) -> dict[int, str | None]:
        """Keep the ids of participants. found: columns of their table, where it has been read."""
        wanted = {ROW_ID: ColumnKind.INTEGER, _PARTICIPANT_ID: ColumnKind.TEXT}
        found = found or self._in_columns(wanted, "participant_rows")
        self._participants = dict(zip(found[ROW_ID], found[_PARTICIPANT_ID], strict=True))
        return self._participants

    def keep_sessions(self, found: Mapping[str, Column] | None = None) -> _Sessions:
        """Keep the sessions. found: columns of their table, where it has been read."""
        if found is None:
            wanted = dict.fromkeys(_OF_SESSION, ColumnKind.INTEGER)
            found = self._in_columns({**wanted, _SESSION_ID: ColumnKind.TEXT}, "session_rows")
        participants = self._participants
        if participants is None:
            participants = self.keep_participants()
        rows, of, *columns = (found[sql] for sql in (*_OF_SESSION, _SESSION_ID))
        participant, position, session_id = (SharedValues([*values, None]) for values in columns)
        self._sessions = _Sessions(
            _SessionPlaces(zip(rows, range(len(rows)), strict=True)),
            SharedValues([*self.of_conversations(rows), None]),
            participant,
            position,
            SharedValues([*(participants.get(row) for row in of), None]),
            session_id,
        )
        return self._sessions


# What stands between a row's conversation and its fields: where it is, and whose it is.


class _Where(NamedTuple):
    """A table's columns of that kind. wanted: what they are made of, as SQL: whole numbers."""

    wanted: tuple[str, ...]
    columns: Callable[[_Chunk, ChildTable, Mapping[str, Column]], Columns]


def _in_a_conversation(chunk: _Chunk, _: ChildTable, found: Mapping[str, Column]) -> Columns:
    rows = found[ROW_ID]
    return [chunk.of_conversations(rows), IntegerColumn(row & LAST_PLACE for row in rows)]


def _a_participant(chunk: _Chunk, child: ChildTable, found: Mapping[str, Column]) -> Columns:
    chunk.keep_participants(found)
    return _in_a_conversation(chunk, child, found)


def _a_session(chunk: _Chunk, _: ChildTable, found: Mapping[str, Column]) -> Columns:
    # The rows are the sessions, in the same order.
    participant_id = chunk.keep_sessions(found).participant_id[:-1]
    return [chunk.of_conversations(found[ROW_ID]), found["t.participant"], found["t.position"], participant_id]


def _in_a_session(chunk: _Chunk, child: ChildTable, found: Mapping[str, Column]) -> Columns:
    id_, participant, its_position, *ids = chunk.of_sessions(child, found[_SESSION])
    return [id_, participant, its_position, found["t.position"], *ids]


def _a_flow(chunk: _Chunk, child: ChildTable, found: Mapping[str, Column]) -> Columns:
    return chunk.of_sessions(child, found[ROW_ID])


_OF_SESSION: Final = (ROW_ID, _PARTICIPANT, "t.participant", "t.position")
_IN_A_SESSION: Final = _Where((_SESSION, "t.position"), _in_a_session)
_WHERE: Final = {
    "participants": _Where((ROW_ID,), _a_participant),
    "sessions": _Where(_OF_SESSION, _a_session),
    "flows": _Where((ROW_ID,), _a_flow),
    **dict.fromkeys(("evaluations", "surveys", "resolutions"), _Where((ROW_ID,), _in_a_conversation)),
}
_READ_AT: Final = "(SELECT read_at FROM conversation_rows c WHERE c.number = t.number)"
# table → (the table with its rows, the column of the number, the order of a run's rows where the number is not enough)
_BY_NUMBER: Final = {
    "participant_attributes": ("attribute_rows", "number", "t.number, t.participant_id, t.name"),
    "gaps": ("gap_rows", "number", "t.number, t.kind"),
    "details": ("detail_rows", "number", ""),
    "conversation_versions": ("version_rows", "number", "t.number, t.read_at"),
}
