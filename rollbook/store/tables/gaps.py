"""The gaps: one row for each conversation that capture missed or had wrong, and why. SQL only; causes come in."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from rollbook.store.rows import numbers
from rollbook.store.tables import alerts
from rollbook.store.vocabulary import AlertKind


class Gap(NamedTuple):
    """A conversation that capture missed or had wrong. cause: the reason in words; kind: a `GapKind`."""

    conversation_id: str
    window_start: str
    kind: str
    cause: str
    detected_at: str
    filled_at: str | None


# So many ids an alert names; `found` counts all.
MOST_IDS: Final = 100
_ADD: Final = (
    "INSERT OR IGNORE INTO gap_rows (number, window_start, kind, cause, detected_at, filled_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


def add(connection: sqlite3.Connection, found: Sequence[Gap]) -> int:
    """File the gaps that are not filed yet; answers how many were new."""
    if not found:
        return 0
    number_of = numbers.given(connection, [gap.conversation_id for gap in found])
    rows = [(number_of[gap.conversation_id], *gap[1:]) for gap in found]
    if AlertKind.GAP_FOUND in alerts.wanted(connection):
        new = [gap for gap, row in zip(found, rows, strict=True) if connection.execute(_ADD, row).rowcount]
        _alert(connection, new)
        return len(new)
    before = connection.total_changes
    connection.executemany(_ADD, rows)
    return connection.total_changes - before


def _alert(connection: sqlite3.Connection, new: Sequence[Gap]) -> None:
    """Leave an alert for the new gaps of each window."""
    of_window: dict[str, list[Gap]] = {}
    for gap in new:
        of_window.setdefault(gap.window_start, []).append(gap)
    for start, gaps in of_window.items():
        causes = Counter((gap.kind, gap.cause) for gap in gaps)
        data = {
            "window_start": start,
            "found": len(gaps),
            "causes": [{"kind": kind, "cause": cause, "count": count} for (kind, cause), count in causes.items()],
            "conversation_ids": [gap.conversation_id for gap in gaps[:MOST_IDS]],
        }
        alerts.add(connection, AlertKind.GAP_FOUND, stream=start, subject=start, at=gaps[0].detected_at, data=data)


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
