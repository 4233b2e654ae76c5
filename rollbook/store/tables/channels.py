"""Until when the channels live that live capture has made: the next run finds them, and they look like somebody else's.

SQL only. Times and no ids: whoever knows a channel's id can listen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def keep(connection: sqlite3.Connection, until: Iterable[str]) -> None:
    """Replace what is kept by these. until: API text, for each."""
    connection.execute("DELETE FROM channels")
    connection.executemany("INSERT INTO channels (expires_at) VALUES (?)", [(expires_at,) for expires_at in until])


def left(connection: sqlite3.Connection, at: str) -> list[str]:
    """The ends of the channels that still live at that moment, the soonest first."""
    query = "SELECT expires_at FROM channels WHERE expires_at > ? ORDER BY expires_at"
    return [row[0] for row in connection.execute(query, (at,))]
