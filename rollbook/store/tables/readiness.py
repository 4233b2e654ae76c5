"""What the ledger has to say of an interval, for the gate: its windows, what goes on, since when all is to be proven.

SQL only; `reconcile/gate.py` decides.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from rollbook.store.file.transactions import one_moment
from rollbook.store.tables import notes
from rollbook.store.vocabulary import Verdict

# The note of the time from which on every window must be proven; that of a filter has the filter's name behind it.
_SINCE: Final = "proven_since"


class WindowClaim(NamedTuple):
    """A window and what the ledger says of it. Times are API text."""

    start: str
    end: str
    verdict: Verdict
    last_read_at: str | None
    last_run_at: str | None
    reason: str | None = None
    next_try_at: str | None = None


class Evidence(NamedTuple):
    """Everything that the gate needs to know of an interval, as it was at one moment.

    windows, going_on (the starts of conversations that have not ended): those of the interval; where a filter was asked
    for, of all time, because no view knows until when that is proven. since: from when on all is to be proven.
    """

    windows: list[WindowClaim]
    going_on: list[str]
    since: str | None
    complete_until: str | None
    settled_until: str | None


_CLAIMS: Final = (
    'SELECT start, "end", verdict, last_read_at, last_run_at, reason, next_try_at FROM windows'
    ' WHERE filter = ?3 AND start < ?2 AND "end" > ?1 ORDER BY start, "end"'
)
_GOING_ON: Final = (
    "SELECT conversation_start FROM conversation_rows WHERE details_open = 1 AND followed IS NULL"
    " AND conversation_start >= ? AND conversation_start < ? ORDER BY conversation_start"
)


def evidence(connection: sqlite3.Connection, start: str, end: str, filter: str = "") -> Evidence:
    """What is known of [start, end), read at one moment."""
    within = ("", "9") if filter else (start, end)
    with one_moment(connection):
        found = [
            WindowClaim(row[0], row[1], Verdict(row[2]), *row[3:])
            for row in connection.execute(_CLAIMS, (*within, filter))
        ]
        going_on = [row[0] for row in connection.execute(_GOING_ON, within)]
        since, complete, settled = (_since(connection, filter), None, None) if filter else until(connection)
        return Evidence(found, going_on, since, complete, settled)


def until(connection: sqlite3.Connection) -> tuple[str | None, str | None, str | None]:
    """(since, complete until, settled until), as the view `readiness` has them."""
    found: tuple[str | None, str | None, str | None] = connection.execute(
        "SELECT since, complete_until, settled_until FROM readiness"
    ).fetchone()
    return found


def note_since(connection: sqlite3.Connection, since: str, filter: str = "") -> bool:
    """Note from when on every window is to be proven, unless an earlier time is noted; answers whether it was."""
    noted = noted_since(connection, filter)
    if noted is not None and noted <= since:
        return False
    notes.write(connection, _SINCE + filter, since)
    return True


def noted_since(connection: sqlite3.Connection, filter: str = "") -> str | None:
    """The time from which on every window is to be proven, where it is noted."""
    return notes.read(connection, _SINCE + filter)


def _since(connection: sqlite3.Connection, filter: str) -> str | None:
    query = "SELECT min(start) FROM windows WHERE filter = ?"
    return noted_since(connection, filter) or connection.execute(query, (filter,)).fetchone()[0]
