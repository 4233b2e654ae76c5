"""Notifications into the book: each distinct one once, the live picture beside it, the unreadable ones kept apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import replace

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.messages.identity import identity_of
from rollbook.genesys.messages.live_facts import believed
from rollbook.genesys.messages.notification import Notification, Unreadable, envelope_of
from rollbook.genesys.messages.typed_details import ABSENT
from rollbook.store.bodies.packing import pack, redactor_of
from rollbook.store.erasure import tombstones
from rollbook.store.rows import numbers
from rollbook.store.rows.statements import in_parts
from rollbook.store.rows.texts import TextIds, general
from rollbook.store.tables import coverage, dead_letters, live_picture, notes, windows

_EVENT: Final = (
    "INSERT OR IGNORE INTO event_rows (topic, number, event_time, received_at, source, body, identity)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ARRIVALS: Final = "SELECT identity, received_at FROM event_rows WHERE identity IN "
_NEW: Final = (
    f"INSERT INTO conversation_rows (number, first_seen_at, {', '.join(live_picture.COLUMNS)})"
    f" VALUES ({', '.join('?' * (2 + len(live_picture.COLUMNS)))})"
)
# Of an id that has a number and no row (no event has said anything about it), all but the first two are null.
_KNOWN: Final = (
    f"SELECT conversation_id, number, {', '.join(live_picture.COLUMNS)}, read_at"
    " FROM conversation_ids LEFT JOIN conversation_rows USING (number) WHERE conversation_id IN "
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The counts of a stored batch: distinct notifications that were new, those known already, those not understood.

    foreign: those of another organisation, which are among the last. refused: of the last, those that found no room.
    """

    events_new: int
    events_repeated: int
    dead_letters: int
    foreign: int = 0
    refused: int = 0


def record(connection: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta) -> Recorded:
    """Write a batch inside the caller's transaction. lag: how far the platform's index may be behind its events."""
    redactor = redactor_of(connection)
    notifications = [item for item in batch if isinstance(item, Notification)]
    if redactor is not None:
        # Those of sockets and queues come without people's data; no door is to be trusted with it, though.
        notifications = [
            item if item.redactor is redactor else _with_body(item, redactor.body(item.body)) for item in notifications
        ]
    if notifications and tombstones.any_there(connection):
        notifications = _without_erased(connection, notifications)
    unreadable = [item for item in batch if isinstance(item, Unreadable)]
    foreign = _foreign(connection, notifications)
    if foreign:
        others = set(map(id, foreign))
        notifications = [event for event in notifications if id(event) not in others]
        unreadable += map(_letter, foreign)
    new = _record_events(connection, notifications, lag) if notifications else 0
    kept = [dead_letters.keep(connection, item) for item in unreadable]
    letters, refused = sum(letter.is_new for letter in kept), sum(not letter.has_room for letter in kept)
    return Recorded(new, len(notifications) - new, letters, len(foreign), refused)


def _foreign(connection: sqlite3.Connection, batch: Sequence[Notification]) -> list[Notification]:
    """The events whose source is of another organisation than the store's.

    A store that nobody has asked the platform about yet is that of its first event; who binds it is held to that
    (`connections.py`).
    """
    named = [event for event in batch if event.organization is not None]
    if not named:
        return []
    found = connection.execute("SELECT lower(id) FROM organization").fetchone()
    ours = found[0] if found is not None and found[0] else notes.read(connection, notes.EVENTS_OF)
    if not ours:
        ours = named[0].organization
        notes.write(connection, notes.EVENTS_OF, str(ours))
    return [event for event in named if event.organization != ours]


def _letter(event: Notification) -> Unreadable:
    error = f"it is of another organisation ({event.organization}) than what is stored here"
    return Unreadable(event.source, envelope_of(event), error, event.received_at, event.identity.hex())


def _with_body(event: Notification, body: bytes) -> Notification:
    """The same with a body of which something is gone. The identity is of that: a guess could be held to a digest."""
    return replace(event, body=body, identity=identity_of(event.topic, decode(body)))


def record_and_say(
    connection: sqlite3.Connection, batch: Sequence[Notification | Unreadable], lag: timedelta, say: Callable[[], None]
) -> Recorded:
    """Write a batch, and say so: what is left is the commit, which may take long and leaves the processor alone."""
    recorded = record(connection, batch, lag)
    say()
    return recorded


def _without_erased(connection: sqlite3.Connection, batch: list[Notification]) -> list[Notification]:
    """The same as they may be written: nothing comes back of what was erased."""
    ids = {event.conversation_id for event in batch if event.conversation_id is not None}
    erased = tombstones.Erased(connection, ids)
    bodies = [erased.cleaned(event.body, event.conversation_id, _began(event)) for event in batch]
    return [event if body is event.body else _with_body(event, body) for event, body in zip(batch, bodies, strict=True)]


def _began(event: Notification) -> str | None:
    """When something began at the latest, as its event says; None where it says nothing of it."""
    started = event.facts.started_at if event.facts is not None else None
    return min((time for time in (started, event.event_time) if time), default=None)


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


def _record_events(connection: sqlite3.Connection, batch: list[Notification], lag: timedelta) -> int:
    """Write events and what they say; answers how many were new."""
    ids = dict.fromkeys(event.conversation_id for event in batch if event.conversation_id is not None)
    known = {row[0]: row[1:] for row in in_parts(connection, _KNOWN, ids)}
    numbered: dict[str, int] = {conversation_id: row[0] for conversation_id, row in known.items()}
    if len(known) < len(ids):
        numbers.add(connection, [conversation_id for conversation_id in ids if conversation_id not in known], numbered)
    new: int = connection.executemany(_EVENT, _event_rows(connection, batch, numbered)).rowcount
    first = batch if new == len(batch) else _as_they_came_first(connection, batch)
    pictures = {
        conversation_id: live_picture.StoredPicture(*row[1:])
        for conversation_id, row in known.items()
        if row[_PROVENANCE] is not None
    }
    _merge(connection, live_picture.gather(first), pictures, numbered, lag)
    return new


# Never null in a row of conversations. The number stands before the picture's columns.
_PROVENANCE: Final = 1 + live_picture.COLUMNS.index("provenance")


def _event_rows(
    connection: sqlite3.Connection, batch: list[Notification], numbered: Mapping[str, int]
) -> list[tuple[Any, ...]]:
    """The values of `_EVENT`."""
    patterns = [general(event.topic, event.conversation_id) for event in batch]
    topics = [event.topic if pattern is None else pattern for event, pattern in zip(batch, patterns, strict=True)]
    texts = TextIds(connection, [*topics, *{event.source for event in batch}])
    return [
        (
            texts[topic] if pattern is None else -texts[topic],
            ABSENT if event.conversation_id is None else numbered[event.conversation_id],
            ABSENT if event.event_time is None else event.event_time,
            event.received_at,
            texts[event.source],
            pack(connection, "events", event.body),
            bytearray(event.identity),
        )
        for event, topic, pattern in zip(batch, topics, patterns, strict=True)
    ]


def _as_they_came_first(connection: sqlite3.Connection, batch: list[Notification]) -> list[Notification]:
    """The same with their first arrival, where it decides about a time in them: a replay must say nothing new."""
    arrivals: dict[bytes, str] = dict(in_parts(connection, _ARRIVALS, [bytearray(event.identity) for event in batch]))
    found = []
    for event in batch:
        first = arrivals.get(event.identity, event.received_at)
        decides = event.facts is not None and believed(event.facts, first) is not event.facts
        found.append(replace(event, received_at=first) if decides else event)
    return found


def _merge(
    connection: sqlite3.Connection,
    said: Mapping[str, live_picture.LiveFactsOf],
    pictures: Mapping[str, live_picture.StoredPicture],
    numbered: Mapping[str, int],
    lag: timedelta,
) -> None:
    new: list[tuple[Any, ...]] = []
    changed: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    overlooked: list[live_picture.LiveFactsOf] = []
    for conversation_id, entry in said.items():
        number, stored = numbered[conversation_id], pictures.get(conversation_id)
        if stored is None:
            new.append((number, entry.first_seen_at, *live_picture.first(entry)))
        else:
            after = live_picture.merge(stored, entry, lag)
            if after is not None:
                columns = tuple(
                    name for name, now, was in zip(live_picture.COLUMNS, after, stored, strict=False) if now != was
                )
                values = (now for now, was in zip(after, stored, strict=False) if now != was)
                changed.setdefault(columns, []).append((*values, number))
        if live_picture.is_overlooked(stored, entry, lag):
            overlooked.append(entry)
    if new:
        connection.executemany(_NEW, new)
    for columns, rows in changed.items():
        connection.executemany(_update(columns), rows)
    if overlooked:
        starts = [entry.started_at for entry in overlooked if entry.started_at is not None]
        windows.contradict(connection, starts, max(entry.first_seen_at for entry in overlooked))


# Mostly a later time alone. A column that is set is written to its indexes anew, whatever it was.
@lru_cache(maxsize=64)
def _update(columns: tuple[str, ...]) -> str:
    return f"UPDATE conversation_rows SET {', '.join(f'{name} = ?' for name in columns)} WHERE number = ?"
