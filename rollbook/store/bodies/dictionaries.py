"""The dictionaries that bodies are packed with, and the bodies that one is learnt from. SQL only.

A dictionary is never changed or dropped: each frame names the one that it needs by zstd's own number for it.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal, NamedTuple

Kind = Literal["details", "events"]

# Bodies that a dictionary is learnt from, spread over all that are stored.
SAMPLES: Final[dict[Kind, int]] = {"events": 800, "details": 400}
# kind → (its table, its key, the column of its bodies)
BODIES: Final[dict[Kind, tuple[str, str, str]]] = {
    "events": ("event_rows", "event_id", "body"),
    "details": ("detail_rows", "number", "details"),
}


class Dictionary(NamedTuple):
    """A dictionary as it is stored. dictionary_id: zstd's own number for it."""

    dictionary_id: int
    body: bytes


def newest(connection: sqlite3.Connection, kind: Kind) -> Dictionary | None:
    """The dictionary that bodies of this kind are packed with now."""
    query = "SELECT dictionary_id, body FROM dictionaries WHERE kind = ? ORDER BY made_at DESC, dictionary_id LIMIT 1"
    found = connection.execute(query, (kind,)).fetchone()
    return None if found is None else Dictionary(*found)


def body(connection: sqlite3.Connection, number: int, schema: str = "main") -> bytes | None:
    """The dictionary of that number; None where there is none. schema: the name under which the store is attached."""
    name = schema.replace('"', '""')
    query = f'SELECT body FROM "{name}".dictionaries WHERE dictionary_id = ?'
    found = connection.execute(query, (number,)).fetchone()
    return None if found is None else found[0]


def keep(connection: sqlite3.Connection, kind: Kind, made: Dictionary, at: str, *, before: int | None) -> Dictionary:
    """Keep a dictionary, unless another program was faster; answers the one to pack with.

    before: the one that was the newest when this was learnt. at: API text.
    """
    there = newest(connection, kind)
    if there is not None and there.dictionary_id != before:
        return there
    known = body(connection, made.dictionary_id)
    if known is None:
        connection.execute("INSERT INTO dictionaries VALUES (?, ?, ?, ?)", (made.dictionary_id, kind, at, made.body))
    elif known != made.body:
        raise sqlite3.IntegrityError(f"two dictionaries have the number {made.dictionary_id}")
    return made


def enough(connection: sqlite3.Connection, kind: Kind) -> bool:
    """Tell whether as many bodies are stored as a dictionary is learnt from."""
    table = BODIES[kind][0]
    wanted = SAMPLES[kind]
    query = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)"
    return bool(connection.execute(query, (wanted,)).fetchone()[0] >= wanted)


def sample(connection: sqlite3.Connection, kind: Kind, of: tuple[str, str, str] | None = None) -> list[str | bytes]:
    """Stored bodies, spread over all of them, each once: from the first to the last that came.

    of: (table, key, column), where those are others than today's.
    """
    table, key, column = of or BODIES[kind]
    first, last = connection.execute(f"SELECT min({key}), max({key}) FROM {table}").fetchone()
    if first is None:
        return []
    count = SAMPLES[kind]
    query = f"SELECT {key}, {column} FROM {table} WHERE {key} >= ? ORDER BY {key} LIMIT 1"
    found: list[str | bytes] = []
    at = first
    for number in range(count):
        at = max(at, first + (last - first) * number // count)
        row = connection.execute(query, (at,)).fetchone()
        if row is None:
            break
        at = row[0] + 1
        found.append(row[1])
    return found


def are_in(connection: sqlite3.Connection, schema: str) -> bool:
    """Tell whether a file that is attached under this name has dictionaries."""
    name = schema.replace('"', '""')
    query = f"SELECT 1 FROM \"{name}\".sqlite_master WHERE type = 'table' AND name = 'dictionaries'"
    return connection.execute(query).fetchone() is not None
