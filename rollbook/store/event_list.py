"""Notifications as they came, for people and for programs that read on: a page of them at a time, bodies unpacked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from rollbook.store.bodies import packing

# Rows in a page: what is kept in memory, and how long other reads wait.
PAGE: Final = 500
# Rows that are looked through for the newest that somebody wants: beyond, a pattern that is rare would read the store.
_LOOKED_BACK: Final = 20_000


class ListedEvent(NamedTuple):
    """A notification. body: the eventBody as it came, whatever it is stored as."""

    event_id: int
    topic: str
    conversation_id: str | None
    event_time: str | None
    received_at: str
    source: str
    body: str


class Wanted(NamedTuple):
    """The notifications that are asked for. since: API text; topic: a pattern of SQLite's GLOB."""

    conversation_id: str | None = None
    since: str = ""
    topic: str | None = None


def pattern(text: str) -> str:
    """A pattern of topics as people write it, for SQLite's GLOB: `*` and `{id}` stand for anything."""
    return text.replace("{id}", "*").replace("[", "[[]").replace("?", "[?]")


def page(
    connection: sqlite3.Connection, wanted: Wanted, after: tuple[str, int] | None, count: int
) -> list[ListedEvent]:
    """The next notifications in the order in which they came. after: (received_at, event_id) of the last one."""
    conditions, values = _conditions(wanted)
    query = (
        f"SELECT {', '.join(ListedEvent._fields)} FROM events"
        f" WHERE (received_at, event_id) > (?, ?) AND {' AND '.join(conditions)}"
        " ORDER BY received_at, event_id LIMIT ?"
    )
    return _unpacked(connection, connection.execute(query, (*(after or (wanted.since, -1)), *values, count)))


def newest(connection: sqlite3.Connection, wanted: Wanted, count: int) -> tuple[list[ListedEvent], int]:
    """The last so many of the newest notifications, in the order in which they were stored; and the last id of all."""
    last: int = connection.execute("SELECT coalesce(max(event_id), 0) FROM event_rows").fetchone()[0]
    conditions, values = _conditions(wanted)
    query = (
        f"SELECT {', '.join(ListedEvent._fields)} FROM events WHERE event_id > ? AND event_id <= ? AND"
        f" {' AND '.join(conditions)} ORDER BY event_id DESC LIMIT ?"
    )
    rows = connection.execute(query, (last - _LOOKED_BACK, last, *values, count))
    return _unpacked(connection, rows)[::-1], last


def stored_after(connection: sqlite3.Connection, wanted: Wanted, after: int) -> tuple[list[ListedEvent], int]:
    """A page of the notifications that were stored after this id; and the id up to which that is all of them."""
    last: int = connection.execute("SELECT coalesce(max(event_id), 0) FROM event_rows").fetchone()[0]
    upto = min(last, after + PAGE)
    conditions, values = _conditions(wanted)
    query = (
        f"SELECT {', '.join(ListedEvent._fields)} FROM events WHERE event_id > ? AND event_id <= ? AND"
        f" {' AND '.join(conditions)} ORDER BY event_id"
    )
    return _unpacked(connection, connection.execute(query, (after, upto, *values))), max(after, upto)


def changes(connection: sqlite3.Connection) -> int:
    """A number that is another one when somebody has written to the file since; it costs next to nothing."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    """The conditions of what is wanted, in SQL, and their values."""
    conditions, values = ["received_at >= ?"], list[object]([wanted.since])
    if wanted.conversation_id is not None:
        conditions.append("conversation_id = ?")
        values.append(wanted.conversation_id)
    if wanted.topic is not None:
        conditions.append("topic GLOB ?")
        values.append(wanted.topic)
    return conditions, values


def _unpacked(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> list[ListedEvent]:
    return [ListedEvent(*row)._replace(body=packing.text(connection, row[-1])) for row in list(rows)]
