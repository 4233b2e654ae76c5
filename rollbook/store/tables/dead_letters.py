"""Dead letters: kept once, however often they are delivered, within bounds; listed, shown, dropped. SQL only.

Where the bounds are met the oldest stay, which show how it began, and a flood pushes nothing out; what finds no room is
counted and never goes unsaid. The totals are a note of the store, because to add them up takes long where they matter.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from rollbook.genesys.canonical_json import digest
from rollbook.genesys.messages.notification import Unreadable
from rollbook.store.bodies.packing import redactor_of
from rollbook.store.erasure import tombstones
from rollbook.store.tables import notes

_INSERT: Final = "INSERT INTO dead_letters (dead_letter_id, source, payload, error, received_at) VALUES (?, ?, ?, ?, ?)"
_LENGTH: Final = "SELECT length(payload) FROM dead_letters WHERE dead_letter_id = ?"
_SAME: Final = "SELECT 1 FROM dead_letters WHERE dead_letter_id = ? AND payload = ?"
_COLUMNS: Final = "dead_letter_id, source, error, received_at, payload"
# A payload that nobody can read is kept whole up to here: the most that AWS delivers is 1 MiB.
_PAYLOAD_BYTES: Final = 1_100_000
# Letters that are kept, and the length of all their payloads.
MOST: Final = 100_000
MOST_BYTES: Final = 500_000_000
# Of those that found no room, after every so many all are counted again: somebody may have deleted some by hand.
_RECOUNT_EVERY: Final = 1_000
# Ids that are made of what is delivered again stay below 2**53, so that JSON's readers keep them exact.
_LETTER_BITS: Final = 0x1F_FFFF_FFFF_FFFF


class Letter(NamedTuple):
    """A payload that could not be understood. received_at: API text.

    payload: as it came; bytes that are no UTF-8 are spelled `\\xff`.
    """

    dead_letter_id: int
    source: str
    error: str
    received_at: str
    payload: str


class Totals(NamedTuple):
    """Letters that there are, the length of their payloads, how many have found no room, and when the last came."""

    number: int = 0
    length: int = 0
    refused: int = 0
    refused_at: str | None = None


class KeptLetter(NamedTuple):
    """What became of a letter: it was new, and there was room for it."""

    is_new: bool
    has_room: bool = True


def totals(connection: sqlite3.Connection) -> Totals:
    """The totals, as the store has noted them."""
    text = notes.read(connection, notes.DEAD_LETTERS)
    return _counted(connection, Totals()) if text is None else Totals(*json.loads(text))


def _counted(connection: sqlite3.Connection, known: Totals) -> Totals:
    row = connection.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead_letters").fetchone()
    return known._replace(number=row[0], length=row[1])


def recount(connection: sqlite3.Connection) -> None:
    """Note the totals anew, where letters were changed in place."""
    _note(connection, _counted(connection, totals(connection)))


def _note(connection: sqlite3.Connection, found: Totals) -> None:
    notes.write(connection, notes.DEAD_LETTERS, json.dumps(found))


def keep(connection: sqlite3.Connection, item: Unreadable) -> KeptLetter:
    """Keep a dead letter, unless it is the repeat of one, or there is no room.

    The id of one that may be delivered again is made of its delivery, so that a repeat needs no index to be found.
    """
    redactor = redactor_of(connection)
    raw = redactor.payload(item.payload) if redactor else item.payload
    payload = raw[:_PAYLOAD_BYTES].decode(errors="backslashreplace")
    once = redactor.mark(item.once) if redactor else item.once
    number = _letter_id(item.source, once) if item.once else None
    error = item.error
    if tombstones.withholds(connection, payload):
        payload, error = tombstones.FORGOTTEN, "it names a conversation or a person that was erased"
    if number is not None:
        if tombstones.of(connection, "dead_letter", [str(number)]):
            return KeptLetter(is_new=False)
        if connection.execute(_SAME, (number, payload)).fetchone():
            return KeptLetter(is_new=False)
        if connection.execute("SELECT 1 FROM dead_letters WHERE dead_letter_id = ?", (number,)).fetchone():
            number = None  # another letter has this id: one in 10**15
    known = totals(connection)
    if _is_full(known, payload) and known.refused % _RECOUNT_EVERY == 0:
        known = _counted(connection, known)
    if _is_full(known, payload):
        _note(connection, known._replace(refused=known.refused + 1, refused_at=item.received_at))
        return KeptLetter(is_new=True, has_room=False)
    connection.execute(_INSERT, (number, item.source, payload, error, item.received_at))
    _note(connection, known._replace(number=known.number + 1, length=known.length + len(payload)))
    return KeptLetter(is_new=True)


def _is_full(known: Totals, payload: str) -> bool:
    return known.number >= MOST or known.length + len(payload) > MOST_BYTES


def _letter_id(source: str, once: str) -> int:
    return int.from_bytes(digest(source.encode(), once.encode())) & _LETTER_BITS


def listed(connection: sqlite3.Connection, source: str | None = None, limit: int = -1) -> list[Letter]:
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
    known = totals(connection)
    rows = [(number,) for number in numbers]
    length = sum(found[0] for row in rows for found in connection.execute(_LENGTH, row))
    cursor = connection.executemany("DELETE FROM dead_letters WHERE dead_letter_id = ?", rows)
    left = max(known.number - max(cursor.rowcount, 0), 0)
    _note(connection, known._replace(number=left, length=max(known.length - length, 0) if left else 0))
    return cursor.rowcount
