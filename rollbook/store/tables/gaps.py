"""The gaps: one row for each conversation that capture missed or had wrong, and why. SQL only; causes come in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from rollbook.store.rows import numbers


class Gap(NamedTuple):
    """A conversation that capture missed or had wrong. cause: the reason in words; kind: a `GapKind`."""

    conversation_id: str
    window_start: str
    kind: str
    cause: str
    detected_at: str
    filled_at: str | None


def add(connection: sqlite3.Connection, found: Sequence[Gap]) -> int:
    """File the gaps that are not filed yet; answers how many were new."""
    if not found:
        return 0
    number_of = numbers.given(connection, [gap.conversation_id for gap in found])
    before = connection.total_changes
    connection.executemany(
        "INSERT OR IGNORE INTO gap_rows (number, window_start, kind, cause, detected_at, filled_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(number_of[gap.conversation_id], *gap[1:]) for gap in found],
    )
    return connection.total_changes - before


def listed(
    connection: sqlite3.Connection, *, since: str = "", until: str = "9", kind: str | None = None, limit: int = -1
) -> list[Gap]:
    """The gaps of windows that start in [since, until), oldest first."""
    query = (
        "SELECT conversation_id, window_start, kind, cause, detected_at, filled_at FROM gap_rows"
        " JOIN conversation_ids USING (number)"
        " WHERE window_start >= ?1 AND window_start < ?2 AND (?3 IS NULL OR kind = ?3)"
        " ORDER BY window_start, conversation_id LIMIT ?4"
    )
    return [Gap(*row) for row in connection.execute(query, (since, until, kind, limit))]


def by_cause(connection: sqlite3.Connection) -> list[tuple[str, str, int, int]]:
    """(kind, cause, how many, how many of them filled), most first."""
    query = "SELECT kind, cause, count(*), count(filled_at) FROM gap_rows GROUP BY kind, cause ORDER BY 3 DESC, 1, 2"
    return [tuple(row) for row in connection.execute(query)]
