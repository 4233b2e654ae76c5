"""Counts of each metric, by media type, to be compared with the platform's aggregates. SQL only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# A conversation emits for as long as it lives. What began earlier than this many days before is not looked for.
LONGEST: Final = 45


def by_media(connection: sqlite3.Connection, start: str, end: str, names: Sequence[str]) -> dict[tuple[str, str], int]:
    """(media type, metric) → how many were emitted in [start, end).

    A metric whose name begins with n holds a number of its own, of another it counts that there is one. What is no
    number, or beyond all sums, counts nothing.
    """
    query = (
        "SELECT coalesce(s.media_type, 'unknown'), m.name,"
        " sum(CASE WHEN m.name NOT GLOB 'n*' THEN 1 WHEN m.value BETWEEN -1e15 AND 1e15 THEN m.value ELSE 0 END)"
        " FROM conversation_rows c CROSS JOIN metric_rows m"
        f" ON m.id BETWEEN c.number << {SHIFT} AND (c.number << {SHIFT}) + {LAST_PLACE}"
        f" JOIN session_rows s ON s.id = (m.id & ~{LAST_PLACE}) | m.session"
        " WHERE c.conversation_start >= strftime('%Y-%m-%dT%H:%M:%SZ', ?1, ?3) AND c.conversation_start < ?2"
        f" AND m.emit_date >= ?1 AND m.emit_date < ?2 AND m.name IN ({', '.join('?' * len(names))})"
        " GROUP BY 1, 2"
    )
    found = connection.execute(query, (start, end, f"-{LONGEST} days", *names))
    return {(media, name): int(count) for media, name, count in found if count}
