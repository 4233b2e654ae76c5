"""Dead letters: kept once, however often they are delivered; listed, shown, dropped. SQL only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from rollbook.genesys.canonical_json import digest
from rollbook.genesys.messages.notification import Unreadable
from rollbook.store.bodies.packing import redactor_of
from rollbook.store.erasure import tombstones

_INSERT: Final = "INSERT INTO dead_letters (dead_letter_id, source, payload, error, received_at) VALUES (?, ?, ?, ?, ?)"
_SAME: Final = "SELECT 1 FROM dead_letters WHERE dead_letter_id = ? AND payload = ?"
_COLUMNS: Final = "dead_letter_id, source, error, received_at, payload"
# A payload that nobody can read is kept whole up to here: the most that AWS delivers is 1 MiB.
_PAYLOAD_BYTES: Final = 1_100_000
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


def keep(connection: sqlite3.Connection, item: Unreadable) -> bool:
    """Keep a dead letter, unless it is the repeat of one; whether it was new.

    The id of one that may be delivered again is made of its delivery, so that a repeat needs no index to be found.
    """
    redactor = redactor_of(connection)
    raw = redactor.payload(item.payload) if redactor else item.payload
    payload = raw[:_PAYLOAD_BYTES].decode(errors="backslashreplace")
    number = _letter_id(item) if item.once else None
    error = item.error
    if tombstones.withholds(connection, payload):
        payload, error = tombstones.FORGOTTEN, "it names a conversation or a person that was erased"
    if number is not None:
        if tombstones.of(connection, "dead_letter", [str(number)]):
            return False
        if connection.execute(_SAME, (number, payload)).fetchone():
            return False
        if connection.execute("SELECT 1 FROM dead_letters WHERE dead_letter_id = ?", (number,)).fetchone():
            number = None  # another letter has this id: one in 10**15
    connection.execute(_INSERT, (number, item.source, payload, error, item.received_at))
    return True


def _letter_id(item: Unreadable) -> int:
    return int.from_bytes(digest(item.source.encode(), item.once.encode())) & _LETTER_BITS


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
    cursor = connection.executemany(
        "DELETE FROM dead_letters WHERE dead_letter_id = ?", [(number,) for number in numbers]
    )
    return cursor.rowcount
