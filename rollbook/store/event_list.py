"""Notifications as they came, for people and for programs that read on: a page of them at a time, bodies unpacked."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from rollbook.store.bodies import packing

# Rows in a page: what is kept in memory, and how long other reads wait.
PAGE: Final = 500


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
    conditions, values = ["(received_at, event_id) > (?, ?)"], list[object](after or (wanted.since, -1))
    if wanted.conversation_id is not None:
        conditions.append("conversation_id = ?")
        values.append(wanted.conversation_id)
    if wanted.topic is not None:
        conditions.append("topic GLOB ?")
        values.append(wanted.topic)
    query = (
        f"SELECT {', '.join(ListedEvent._fields)} FROM events WHERE {' AND '.join(conditions)}"
        " ORDER BY received_at, event_id LIMIT ?"
    )
    rows = connection.execute(query, (*values, count)).fetchall()
    return [ListedEvent(*row)._replace(body=packing.text(connection, row[-1])) for row in rows]
