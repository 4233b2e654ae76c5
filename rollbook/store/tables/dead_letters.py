"""Dead letters, looked at again: listed, shown, dropped. SQL only; `events.py` keeps them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

_COLUMNS: Final = "dead_letter_id, source, error, received_at, payload"


class Letter(NamedTuple):
    """A payload that could not be understood. received_at: API text.

    payload: as it came; bytes that are no UTF-8 are spelled `\\xff`.
    """

    dead_letter_id: int
    source: str
    error: str
    received_at: str
    payload: str


def listed(connection: sqlite3.Connection, source: str | None, limit: int) -> list[Letter]:
    """The newest first, of one source or (None) of all."""
    query = (
        f"SELECT {_COLUMNS} FROM dead_letters WHERE ?1 IS NULL OR source = ?1"
        " ORDER BY received_at DESC, dead_letter_id LIMIT ?2"
    )
    return [Letter(*row) for row in connection.execute(query, (source, limit))]


def find(connection: sqlite3.Connection, number: int) -> Letter | None:
    """The letter of that id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM dead_letters WHERE dead_letter_id = ?", (number,)).fetchone()
    return Letter(*row) if row else None


def drop(connection: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Delete these; answers how many there were."""
    cursor = connection.executemany(
        "DELETE FROM dead_letters WHERE dead_letter_id = ?", [(number,) for number in numbers]
    )
    return cursor.rowcount
