"""Alerts that wait to be sent: written in the transaction of what they tell, deleted once they were taken. SQL only.

Which kinds are wanted is a note of the store, so that a run by hand leaves its alerts for the daemon, too. Where nobody
takes them there is a bound: what comes then is counted and not kept, so that what is kept stays in order.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.store.tables import coverage, notes
from rollbook.store.vocabulary import AlertKind

# So many may wait: a window of half an hour leaves a handful at most, so that this is months of them.
MOST: Final = 10_000
CAPTURE: Final = "capture"

_KINDS: Final = "alert_kinds"
_DROPPED: Final = "alerts_dropped"
_DEAF: Final = "deaf_since"
_encode: Final = msgspec.json.Encoder().encode


class Alert(NamedTuple):
    """An alert that waits. data: a JSON object as text; stream: what it is sent in order with."""

    event_id: str
    kind: AlertKind
    stream: str
    subject: str
    at: str
    data: str


class Waiting(NamedTuple):
    """Alerts that wait, by number, and those that were dropped since there was no other left."""

    number: int
    dropped: int


NONE: Final = Waiting(0, 0)


def want(connection: sqlite3.Connection, kinds: Collection[AlertKind]) -> int:
    """Note which kinds are to be kept from now on; alerts of others that wait are let go, and counted as the answer."""
    notes.write(connection, _KINDS, _encode(sorted(kinds)).decode())
    marks = ", ".join("?" * len(kinds))
    return connection.execute(f"DELETE FROM alerts WHERE kind NOT IN ({marks})", tuple(kinds)).rowcount


def wanted(connection: sqlite3.Connection) -> frozenset[str]:
    """The kinds that are kept: none where no hook was ever set."""
    noted = notes.read(connection, _KINDS)
    return frozenset(msgspec.json.decode(noted, type=list[str])) if noted else frozenset()


def add(
    connection: sqlite3.Connection, kind: AlertKind, *, stream: str, subject: str, at: str, data: Mapping[str, Any]
) -> None:
    """Leave an alert, if its kind is wanted and there is room."""
    if kind not in wanted(connection):
        return
    found = waiting(connection)
    if found.number >= MOST:
        notes.write(connection, _DROPPED, str(found.dropped + 1))
        return
    connection.execute(
        "INSERT INTO alerts (event_id, kind, stream, subject, at, data) VALUES (?, ?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), kind, stream, subject, at, _encode(data).decode()),
    )


def add_deafness(connection: sqlite3.Connection, last: str | None, at: str, *, began: str) -> bool:
    """Leave an alert that nothing listens, once for each such time; tell whether there was none for it.

    last: the last sign of listening, None where nothing has ever listened; began: since when it has not, then. Nothing
    is left where there has been another sign meanwhile.
    """
    time = last or "never"
    if coverage.last_hearing(connection) != last or notes.read(connection, _DEAF) == time:
        return False
    notes.write(connection, _DEAF, time)
    data = {"since": last or began}
    add(connection, AlertKind.CAPTURE_DEAF, stream=CAPTURE, subject=CAPTURE, at=at, data=data)
    return True


def heads(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """(alert's number, stream): the oldest of each stream, oldest first. Only these may be sent."""
    return connection.execute("SELECT min(alert_id), stream FROM alerts GROUP BY stream ORDER BY 1").fetchall()


def load(connection: sqlite3.Connection, alert_id: int) -> Alert | None:
    """An alert, if it still waits."""
    query = "SELECT event_id, kind, stream, subject, at, data FROM alerts WHERE alert_id = ?"
    row = connection.execute(query, (alert_id,)).fetchone()
    return None if row is None else Alert(row[0], AlertKind(row[1]), *row[2:])


def taken(connection: sqlite3.Connection, event_id: str) -> int:
    """Let go of an alert that its receiver has taken; answers how many were dropped before, once there is no other."""
    connection.execute("DELETE FROM alerts WHERE event_id = ?", (event_id,))
    found = waiting(connection)
    if found.number or not found.dropped:
        return 0
    notes.write(connection, _DROPPED, "0")
    return found.dropped


def waiting(connection: sqlite3.Connection) -> Waiting:
    """How many alerts wait, and how many found no room."""
    count: int = connection.execute("SELECT count(*) FROM alerts").fetchone()[0]
    return Waiting(count, int(notes.read(connection, _DROPPED) or 0))
