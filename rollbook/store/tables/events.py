"""Notifications into the book: each distinct one once, the live picture beside it, the unreadable ones kept apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from rollbook.genesys.messages.live_facts import believed
from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.store.tables import coverage, dead_letters, live_picture, windows

_EVENT: Final = (
    "INSERT OR IGNORE INTO events (topic, conversation_id, event_time, received_at, source, body, identity)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_NEW: Final = (
    f"INSERT INTO conversations (conversation_id, first_seen_at, {', '.join(live_picture.COLUMNS)})"
    f" VALUES ({', '.join('?' * (2 + len(live_picture.COLUMNS)))})"
)
_UPDATE: Final = (
    f"UPDATE conversations SET {', '.join(f'{name} = ?' for name in live_picture.COLUMNS)} WHERE conversation_id = ?"
)
_KNOWN: Final = (
    f"SELECT conversation_id, {', '.join(live_picture.COLUMNS)}, read_at, details IS NOT NULL FROM conversations"
    " WHERE conversation_id IN "
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The counts of a stored batch: distinct notifications that were new, those known already, those not understood."""

    events_new: int
    events_repeated: int
    dead_letters: int


def record(connection: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta) -> Recorded:
    """Write a batch inside the caller's transaction. lag: how far the platform's index may be behind its events."""
    notifications = [item for item in batch if isinstance(item, Notification)]
    unreadable = [item for item in batch if isinstance(item, Unreadable)]
    new = 0
    if notifications:
        cursor = connection.executemany(_EVENT, [_event_row(event) for event in notifications])
        new = cursor.rowcount
        some_repeated = new < len(notifications)
        first = _as_they_came_first(connection, notifications) if some_repeated else notifications
        _merge(connection, live_picture.gather(first), lag)
    letters = sum(dead_letters.keep(connection, item) for item in unreadable)
    return Recorded(new, len(notifications) - new, letters)


def record_call(
    connection: sqlite3.Connection,
    batch: Sequence[Notification | Unreadable],
    lag: timedelta,
    *,
    source: str,
    topics: Sequence[str],
    at: str,
) -> Recorded:
    """Write what a call of a function brought, and that it listened."""
    coverage.note_call(connection, source, coverage.FUNCTION, topics, at)
    return record(connection, batch, lag)


def record_in_place(
    connection: sqlite3.Connection, number: int, batch: Sequence[Notification | Unreadable], lag: timedelta
) -> Recorded:
    """Put what a dead letter turned out to be in its place."""
    dead_letters.drop(connection, [number])
    return record(connection, batch, lag)


def _as_they_came_first(connection: sqlite3.Connection, batch: list[Notification]) -> list[Notification]:
    """The same with their first arrival, where it decides about a time in them: a replay must say nothing new."""
    arrivals: dict[bytes, str] = {}
    for at in range(0, len(batch), 500):
        part = [event.identity for event in batch[at : at + 500]]
        query = f"SELECT identity, received_at FROM events WHERE identity IN ({', '.join('?' * len(part))})"
        arrivals.update(connection.execute(query, part).fetchall())
    found = []
    for event in batch:
        first = arrivals.get(event.identity, event.received_at)
        decides = event.facts is not None and believed(event.facts, first) is not event.facts
        found.append(replace(event, received_at=first) if decides else event)
    return found


def _event_row(event: Notification) -> tuple[Any, ...]:
    return (
        event.topic,
        event.conversation_id,
        event.event_time,
        event.received_at,
        event.source,
        event.body.decode(),
        event.identity,
    )


def _merge(connection: sqlite3.Connection, said: dict[str, live_picture.LiveFactsOf], lag: timedelta) -> None:
    known = _known(connection, list(said))
    new, changed, overlooked = [], [], []
    for conversation_id, entry in said.items():
        stored = known.get(conversation_id)
        if stored is None:
            new.append((conversation_id, entry.first_seen_at, *live_picture.first(entry)))
        else:
            after = live_picture.merge(stored, entry, lag)
            if after is not None:
                changed.append((*after, conversation_id))
        if live_picture.is_overlooked(stored, entry, lag):
            overlooked.append(entry)
    if new:
        connection.executemany(_NEW, new)
    if changed:
        connection.executemany(_UPDATE, changed)
    if overlooked:
        starts = [entry.started_at for entry in overlooked if entry.started_at is not None]
        windows.contradict(connection, starts, max(entry.first_seen_at for entry in overlooked))


def _known(connection: sqlite3.Connection, ids: list[str]) -> dict[str, live_picture.StoredPicture]:
    found = {}
    for at in range(0, len(ids), 500):
        part = ids[at : at + 500]
        for row in connection.execute(f"{_KNOWN}({', '.join('?' * len(part))})", part):
            found[row[0]] = live_picture.StoredPicture(*row[1:])
    return found
