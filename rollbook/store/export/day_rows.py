"""The rows of a day, table by table, as columns of values: what the views show, read in fewer steps. SQL only.

A conversation's rows come in the order of its start, and within it by their positions; the rest in the order of time.
What a view looks up for each row (the conversation's id, its parents') is looked up for some hundred conversations in
one go.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.store.bodies import packing
from rollbook.store.export.columns import ColumnKind, Exported, TableGroup, kind_of
from rollbook.store.rows.detail_columns import CHILD_TABLES, ChildTable, column, column_of
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# Values by column, in the order of the table's columns: each as long as the others.
Columns = Sequence[Sequence[Any]]
# A value that its column's type does not take (a number with a point, a BLOB) is refused, and the rows are fetched.
_TEXTS_OR_NONE: Final = msgspec.json.Decoder(list[str | None]).decode
_DECODERS: Final[dict[ColumnKind, Callable[[str], list[Any]]]] = {
    ColumnKind.INTEGER: msgspec.json.Decoder(list[int | str | None]).decode,
    ColumnKind.TEXT: _TEXTS_OR_NONE,
    ColumnKind.TIME: _TEXTS_OR_NONE,
}
# Conversations that are read at a time, and rows of what is not theirs: what is in memory of a day.
CHUNK: Final = 500
# Rows of whole bodies that are in memory at a time; each may have megabytes.
BODIES: Final = 100
_PLACES: Final = ~LAST_PLACE
_EACH_DAY: Final = ' FROM {table} WHERE "{by}" >= ? AND "{by}" < ? ORDER BY '


class Day(NamedTuple):
    """A day: its date, and its first moment and the next day's as API text."""

    date: str
    start: str
    end: str


# The session that a row belongs to: its participant's position and its own, its participant's id and its own.
_Parent = tuple[int | None, int | None, str | None, str | None]
_NOBODY: Final[_Parent] = (None, None, None, None)


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
        self._ids: dict[int, str] = dict(self._rows("t.number, t.conversation_id", "conversation_ids", "number"))
        self._parents: dict[int, _Parent] | None = None

    def columns(self, table: Exported) -> Iterator[Columns]:
        """The rows of a table, as its columns; none where it has none."""
        if table.name in CHILD_TABLES:
            yield from self._child(table, CHILD_TABLES[table.name])
        elif table.group is TableGroup.VIEWS:
            query = (
                f"SELECT {_listed(table, 'v.')} FROM json_each(?) j CROSS JOIN {table.name} v"
                f" ON v.conversation_id = j.value ORDER BY j.key, {_ORDER[table.name]}"
            )
            found = self._connection.execute(query, (json.dumps(list(self._ids.values())),))
            yield from _in_parts(self._connection, found, table)
        else:
            rows, key, order = _BY_NUMBER[table.name]
            columns = [f't."{name}"' for name in table.columns[1:]]
            columns = [_READ_AT if (table.name, name) == ("details", 't."read_at"') else name for name in columns]
            found = self._rows(", ".join(["t.number", *columns]), rows, key, order)
            for part in _in_parts(self._connection, found, table):
                yield [[self._ids[number] for number in part[0]], *part[1:]]

    def _rows(self, columns: str, rows: str, key: str, order: str = "") -> sqlite3.Cursor:
        """Rows of these conversations. key: the column that has their number, or begins with it."""
        first, last = ("json_extract(j.value, '$[0]')", "json_extract(j.value, '$[1]')")
        if key == "id":
            first, last = f"({first} << {SHIFT})", f"({last} << {SHIFT}) + {LAST_PLACE}"
        query = f"SELECT {columns} FROM json_each(?) j CROSS JOIN {rows} t ON t.{key} BETWEEN {first} AND {last}"
        return self._connection.execute(f"{query} ORDER BY j.key, {order}" if order else query, (self._runs,))

    def _child(self, table: Exported, child: ChildTable) -> Iterator[Columns]:
        names = ["id", *child.where, *(column_of(table.name, of) for of in child.fields)]
        kinds = [ColumnKind.INTEGER] * (1 + len(child.where)) + [kind_of(table.name, column(of)) for of in child.fields]
        if table.name == "segments":
            kinds[names.index("queue")] = ColumnKind.INTEGER
        found = self._in_columns(names, kinds, child.rows)
        keys = found[0]
        if not keys:
            return
        ids = self._ids
        where = _WHERE.get(table.name, _in_a_session)
        made = [[ids[key >> SHIFT] for key in keys], *where(self, keys, found)]
        fields = found[1 + len(child.where) :]
        if table.name == "segments":
            at = table.columns.index("queue_id") - len(made)
            texts = self._texts
            fields[at] = [texts[number] for number in fields[at]]
        yield [*made, *fields]

    def _in_columns(self, names: Sequence[str], kinds: Sequence[ColumnKind], rows: str) -> list[Sequence[Any]]:
        """Columns of child rows, all of one length.

        SQLite makes each a JSON array, and msgspec a list of that, in half the time in which its rows would be fetched
        and turned (docs/performance.md). Numbers with a point lose digits on that way: where there may be some, and
        where a column has what JSON has not, the rows are fetched.
        """
        if ColumnKind.REAL not in kinds:
            arrays = ", ".join(f'json_group_array(t."{name}")' for name in names)
            with suppress(sqlite3.Error, msgspec.DecodeError):
                found = self._rows(arrays, rows, "id").fetchone()
                return [_DECODERS[kind](text) for kind, text in zip(kinds, found, strict=True)]
        fetched = self._rows(", ".join(f't."{name}"' for name in names), rows, "id").fetchall()
        return list(zip(*fetched, strict=True)) if fetched else [()] * len(names)

    def parents(self) -> dict[int, _Parent]:
        """The sessions of these conversations, by the ids of their rows."""
        if self._parents is None:
            of = self._in_columns(["id", "participant_id"], [ColumnKind.INTEGER, ColumnKind.TEXT], "participant_rows")
            participants = dict(zip(*of, strict=True))
            names = ["id", "participant", "position", "session_id"]
            kinds = [ColumnKind.INTEGER, ColumnKind.INTEGER, ColumnKind.INTEGER, ColumnKind.TEXT]
            keys, places, positions, ids = self._in_columns(names, kinds, "session_rows")
            theirs = [participants.get((key & _PLACES) | place) for key, place in zip(keys, places, strict=True)]
            self._parents = dict(zip(keys, zip(places, positions, theirs, ids, strict=True), strict=True))
        return self._parents


# What stands between a row's conversation and its fields: where it is, and whose it is.


def _in_a_conversation(_: _Chunk, keys: Sequence[int], __: Columns) -> Columns:
    return [[key & LAST_PLACE for key in keys]]


def _a_session(chunk: _Chunk, keys: Sequence[int], found: Columns) -> Columns:
    parents = chunk.parents()
    return [found[1], found[2], [parents[key][2] for key in keys]]


def _in_a_session(chunk: _Chunk, keys: Sequence[int], found: Columns) -> Columns:
    parents = chunk.parents()
    mine = [parents.get((key & _PLACES) | place, _NOBODY) for key, place in zip(keys, found[1], strict=True)]
    participant, position, participant_id, session_id = zip(*mine, strict=True)
    return [participant, position, found[2], participant_id, session_id]


def _a_flow(chunk: _Chunk, keys: Sequence[int], _: Columns) -> Columns:
    parents = chunk.parents()
    return list(zip(*(parents.get(key, _NOBODY) for key in keys), strict=True))


_WHERE: Final[dict[str, Callable[[_Chunk, Sequence[int], Columns], Columns]]] = {
    "sessions": _a_session,
    "flows": _a_flow,
    **dict.fromkeys(("participants", "evaluations", "surveys", "resolutions"), _in_a_conversation),
}
_READ_AT: Final = "(SELECT read_at FROM conversation_rows c WHERE c.number = t.number)"
# table → (the table with its rows, the column of the number, the order of a run's rows where the number is not enough)
_BY_NUMBER: Final = {
    "conversations": ("conversation_rows", "number", ""),
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
