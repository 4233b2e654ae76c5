"""The record of erasures: what was erased, when, by whom, for which ticket. It has nothing of the person. SQL only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Erasure(NamedTuple):
    """An erasure. criteria: how many keys of each kind it was asked by; found: what there was, in numbers."""

    erasure_id: int
    asked_at: str
    asked_by: str
    ticket: str | None
    criteria: Mapping[str, int]
    found: Mapping[str, int] | None
    finished_at: str | None
    overwritten_at: str | None


def begin(connection: sqlite3.Connection, at: str, by: str, ticket: str | None, criteria: Mapping[str, int]) -> int:
    """Note that an erasure was asked for; answers its number, or that of the same that was cut short as it looked."""
    same = "asked_by = ? AND ticket IS ? AND criteria = ? AND found IS NULL"
    found = connection.execute(
        f"SELECT erasure_id FROM erasures WHERE {same}", (by, ticket, json.dumps(criteria))
    ).fetchone()
    if found is not None:
        return int(found[0])
    query = "INSERT INTO erasures (asked_at, asked_by, ticket, criteria) VALUES (?, ?, ?, ?)"
    number = connection.execute(query, (at, by, ticket, json.dumps(criteria))).lastrowid
    assert number is not None
    return number


def note_found(connection: sqlite3.Connection, erasure_id: int, found: Mapping[str, int]) -> None:
    """Note what there was of the person."""
    connection.execute("UPDATE erasures SET found = ? WHERE erasure_id = ?", (json.dumps(found), erasure_id))


def finish(connection: sqlite3.Connection, at: str) -> None:
    """Note that all that was found has been erased."""
    connection.execute("UPDATE erasures SET finished_at = ? WHERE finished_at IS NULL AND found IS NOT NULL", (at,))


def overwritten(connection: sqlite3.Connection, at: str) -> None:
    """Note that free pages and the log have nothing of what was erased any more."""
    query = "UPDATE erasures SET overwritten_at = ? WHERE overwritten_at IS NULL AND finished_at IS NOT NULL"
    connection.execute(query, (at,))


def listed(connection: sqlite3.Connection) -> list[Erasure]:
    """All erasures, the oldest first."""
    query = f"SELECT {', '.join(Erasure._fields)} FROM erasures ORDER BY erasure_id"
    return [_read(row) for row in connection.execute(query)]


def _read(row: tuple[Any, ...]) -> Erasure:
    criteria, found = json.loads(row[4]), row[5]
    numbers = None if found is None else json.loads(found)
    return Erasure(row[0], row[1], row[2], row[3], criteria, numbers, row[6], row[7])


def take_over(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]], before: int) -> None:
    """Add the record of another store to this one's. rows: all columns of each; before: added to their numbers."""
    marks = ", ".join("?" * len(Erasure._fields))
    query = f"INSERT INTO erasures ({', '.join(Erasure._fields)}) VALUES ({marks})"
    connection.executemany(query, [(row[0] + before, *row[1:7], None) for row in rows])


def unfinished(connection: sqlite3.Connection) -> list[Erasure]:
    """The erasures of which something is left to do."""
    return [each for each in listed(connection) if each.overwritten_at is None]
