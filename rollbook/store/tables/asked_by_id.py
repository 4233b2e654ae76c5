"""The last time that each conversation was asked for by its id, and what came of it. SQL only.

An answer by id that lacks a conversation is one witness. That the platform no longer knows it is believed when a later
answer, some time apart, lacks it too. A look that is limited asks first for what was asked for longest ago.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_ASKED = (
    "INSERT INTO asked_by_id (conversation_id, asked_at) VALUES (?, ?)"
    " ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at, absent_since = NULL, refused = NULL"
)
_ABSENT = (
    "INSERT INTO asked_by_id (conversation_id, asked_at, absent_since) VALUES (?1, ?2, ?2)"
    " ON CONFLICT DO UPDATE SET asked_at = ?2, absent_since = min(coalesce(absent_since, ?2), ?2), refused = NULL"
)
_REFUSED = (
    "INSERT INTO asked_by_id (conversation_id, asked_at, refused) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at, refused = excluded.refused"
)


def found(connection: sqlite3.Connection, going_on: Sequence[str], ended: Sequence[str], at: str) -> None:
    """Note that an answer at `at` had these. Nothing needs to be remembered of a conversation that has ended."""
    connection.executemany(_ASKED, [(conversation_id, at) for conversation_id in going_on])
    connection.executemany(
        "DELETE FROM asked_by_id WHERE conversation_id = ?", [(conversation_id,) for conversation_id in ended]
    )


def absent(connection: sqlite3.Connection, ids: Sequence[str], at: str, since: str) -> list[str]:
    """Note that an answer at `at` lacked these; answers those that have been absent since `since` or earlier."""
    connection.executemany(_ABSENT, [(conversation_id, at) for conversation_id in ids])
    query = "SELECT 1 FROM asked_by_id WHERE conversation_id = ? AND absent_since <= ?"
    return [
        conversation_id for conversation_id in ids if connection.execute(query, (conversation_id, since)).fetchone()
    ]


def refused(connection: sqlite3.Connection, ids: Sequence[tuple[str, str]], at: str) -> None:
    """Note that the platform refuses to be asked for these, each alone: (id, why)."""
    connection.executemany(_REFUSED, [(conversation_id, at, why) for conversation_id, why in ids])


def undecided(connection: sqlite3.Connection, ids: Sequence[str], at: str) -> None:
    """Note that these were asked for, and that the answer says nothing of them."""
    connection.executemany(
        "INSERT INTO asked_by_id (conversation_id, asked_at) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at",
        [(conversation_id, at) for conversation_id in ids],
    )
