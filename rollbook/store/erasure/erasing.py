"""What has a tombstone, erased: in steps of a transaction each, so that others write between them.

Ids, times and figures stay, so that reports add up and proofs hold; every field with people's data goes, from details,
child rows, versions, attributes, events, dead letters and names. What is done is noted with it, so that an erasure that
was cut short is gone on with.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.messages.details import row_of
from rollbook.genesys.messages.identity import identity_of
from rollbook.genesys.named import NameKind
from rollbook.genesys.privacy.policy import Withheld
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.bodies import packing
from rollbook.store.book import Book
from rollbook.store.erasure import erasures, tombstones
from rollbook.store.file.errors import StoreDamaged
from rollbook.store.rows import child_rows, numbers
from rollbook.store.rows.child_rows import ChildRows
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import dead_letters

# Conversations in one transaction, and those of a user's that are looked at: others wait that long.
BATCH: Final = 20
_LOOKED_AT: Final = 200
# Events of a conversation, which may have many, that are looked at in one transaction.
_EVENTS: Final = 500

# What makes of a body the one that stays.
_Clean = Callable[[bytes], bytes]


def erase(
    book: Book,
    at: str,
    *,
    on_step: Callable[[str, float], None] = lambda *_: None,
    rest: Callable[[float], None] = time.sleep,
) -> int:
    """Erase all that has a tombstone and is still stored; answers how many conversations that were.

    at: API text of now. rest: waits as many seconds as a step took, so that others get their turn.
    """
    done, total = 0, len(book.read_now(tombstones.waiting, "conversation"))
    while True:
        began = time.monotonic()
        some = book.write(_conversations, at).result()
        if not some:
            break
        done += some
        on_step("erased", min(done / max(total, 1), 1.0))
        rest(min(time.monotonic() - began, 1.0))
    book.write(_others, at).result()
    _users(book, at, on_step, rest)
    book.write(erasures.finish, at).result()
    return done


def erase_late(book: Book, at: str, *, rest: Callable[[float], None]) -> int:
    """Erase what was stored of conversations that only later showed whose they are; answers how many."""
    return erase(book, at, rest=rest) if book.read_now(tombstones.any_waiting) else 0


def overwrite(connection: sqlite3.Connection) -> None:
    """See to it that what this connection deletes is overwritten with zeros, on every build of SQLite."""
    connection.execute("PRAGMA secure_delete = ON")


def _conversations(connection: sqlite3.Connection, at: str) -> int:
    waiting = tombstones.waiting(connection, "conversation", BATCH)
    if not waiting:
        return 0
    overwrite(connection)
    known = numbers.known(connection, [identity for identity, _ in waiting])
    children = ChildRows(TextIds(connection))
    for identity, paths in waiting:
        number = known.get(identity)
        if number is not None:
            clean_conversation(connection, number, _cleaner(paths, identity), children)
            connection.execute("DELETE FROM attribute_rows WHERE number = ?", (number,))
    children.insert(connection)
    tombstones.erased(connection, "conversation", [identity for identity, _ in waiting], at)
    return len(waiting)


def _cleaner(paths: str | None, identity: str) -> _Clean:
    return lambda raw: tombstones.redacted(raw, paths, identity)


def clean_conversation(connection: sqlite3.Connection, number: int, clean: _Clean, children: ChildRows) -> bool:
    """Clean what is stored of a conversation; tell whether any of it was not clean."""
    changed = False
    query = "SELECT details FROM detail_rows WHERE number = ?"
    for (value,) in connection.execute(query, (number,)).fetchall():
        raw = _raw(connection, value)
        if raw is None or (new := clean(raw)) == raw:
            continue
        changed = True
        packed = packing.pack(connection, "details", new)
        connection.execute("UPDATE detail_rows SET details = ? WHERE number = ?", (packed, number))
        child_rows.delete(connection, number, number)
        children.add(number, row_of(new))
    for rowid, value in connection.execute("SELECT rowid, details FROM version_rows WHERE number = ?", (number,)):
        raw = _raw(connection, value)
        if raw is not None and (new := clean(raw)) != raw:
            changed = True
            packed = packing.pack(connection, "details", new)
            connection.execute("UPDATE version_rows SET details = ? WHERE rowid = ?", (packed, rowid))
    query = f"{_EVENTS_OF} WHERE e.number = ? AND e.event_id > ? ORDER BY 1 LIMIT ?"
    after = -1
    while rows := connection.execute(query, (number, after, _EVENTS)).fetchall():
        for row in rows:
            changed = _event(connection, row, clean) or changed
        after = rows[-1][0]
    return changed


_EVENTS_OF: Final = (
    "SELECT e.event_id, CASE WHEN topic < 0 THEN replace(text, '{id}', conversation_id) ELSE text END, body"
    " FROM event_rows e LEFT JOIN conversation_ids i ON i.number = e.number JOIN texts ON text_id = abs(topic)"
)


def clean_events_of_nobody(connection: sqlite3.Connection, clean: _Clean) -> None:
    """Clean the events that belong to no conversation."""
    for row in connection.execute(f"{_EVENTS_OF} WHERE e.number IS NULL").fetchall():
        _event(connection, row, clean)


def unless_same(redactor: Redactor) -> _Clean:
    """A redactor that leaves bytes as they are where they say the same afterwards."""

    def clean(raw: bytes) -> bytes:
        try:
            cleaned = redactor.body(raw)
        except Withheld:
            return b"{}"  # nobody knows whose data it has
        return raw if decode(cleaned) == decode(raw) else cleaned

    return clean


def _event(connection: sqlite3.Connection, row: tuple[int, str, Any], clean: _Clean) -> bool:
    event_id, topic, value = row
    raw = _raw(connection, value)
    if raw is None or (new := clean(raw)) == raw:
        return False
    # Its identity too: whoever guesses what is gone could compare the digest. Where another event says the same then,
    # it is the same event, as it is when it is delivered again.
    identity = bytearray(identity_of(topic, decode(new)))
    packed = packing.pack(connection, "events", new)
    query = "UPDATE OR IGNORE event_rows SET body = ?, identity = ? WHERE event_id = ?"
    if connection.execute(query, (packed, identity, event_id)).rowcount == 0:
        connection.execute("DELETE FROM event_rows WHERE event_id = ?", (event_id,))
    return True


def _raw(connection: sqlite3.Connection, value: str | bytes) -> bytes | None:
    try:
        return packing.text(connection, value).encode()
    except StoreDamaged:
        return None


def _others(connection: sqlite3.Connection, at: str) -> None:
    """Events that belong to no conversation, and dead letters."""
    overwrite(connection)
    events = tombstones.waiting(connection, "event")
    for identity, paths in events:
        for row in connection.execute(f"{_EVENTS_OF} WHERE event_id = ?", (int(identity),)).fetchall():
            _event(connection, row, _cleaner(paths, ""))
    letters = [identity for identity, _ in tombstones.waiting(connection, "dead_letter")]
    connection.executemany(
        "UPDATE dead_letters SET payload = ?1, error = ?1 WHERE dead_letter_id = ?2",
        [(tombstones.FORGOTTEN, int(identity)) for identity in letters],
    )
    dead_letters.recount(connection)
    tombstones.erased(connection, "event", [identity for identity, _ in events], at)
    tombstones.erased(connection, "dead_letter", letters, at)


# A user: the name, and their own part of each conversation


def _users(book: Book, at: str, on_step: Callable[[str, float], None], rest: Callable[[float], None]) -> None:
    people = [identity for identity, _ in book.read_now(tombstones.waiting, "user")]
    if not people:
        return
    after: int | None = 0
    last: int = book.read_now(
        lambda db: db.execute("SELECT coalesce(max(number), 0) FROM conversation_ids").fetchone()[0]
    )
    while after is not None:
        began = time.monotonic()
        after = book.write(_step_of_users, people, after).result()
        on_step("users", 1.0 if after is None else min(after / max(last, 1), 1.0))
        rest(min(time.monotonic() - began, 1.0))
    book.write(_names_of_users, people, at).result()


def _step_of_users(connection: sqlite3.Connection, people: list[str], after: int) -> int | None:
    """The next conversations without what they have of these users; answers the number to go on after."""
    overwrite(connection)
    query = "SELECT number FROM conversation_ids WHERE number > ? ORDER BY number LIMIT ?"
    found = [row[0] for row in connection.execute(query, (after, _LOOKED_AT))]
    children = ChildRows(TextIds(connection))
    wanted = [each.encode() for each in people]

    def clean(raw: bytes) -> bytes:
        folded = raw.lower()
        return tombstones.without_users(raw, people) if any(each in folded for each in wanted) else raw

    changed = [number for number in found if clean_conversation(connection, number, clean, children)]
    children.insert(connection)
    for number in changed:
        _drop_attributes_of(connection, number, people)  # whose they are is known by the participants' rows
    return found[-1] if len(found) == _LOOKED_AT else None


def _drop_attributes_of(connection: sqlite3.Connection, number: int, people: list[str]) -> None:
    first = number << numbers.SHIFT
    connection.executemany(
        "DELETE FROM attribute_rows WHERE number = ?1 AND participant_id IN"
        f" (SELECT coalesce(nullif(participant_id, ''), CAST(id & {numbers.LAST_PLACE} AS TEXT)) FROM participant_rows"
        " WHERE id BETWEEN ?2 AND ?3 AND lower(user_id) = ?4)",
        [(number, first, first + numbers.LAST_PLACE, each) for each in people],
    )


def _names_of_users(connection: sqlite3.Connection, people: list[str], at: str) -> None:
    overwrite(connection)
    connection.executemany(
        "UPDATE names SET name = id WHERE kind = ?1 AND lower(id) = ?2", [(NameKind.USER, each) for each in people]
    )
    tombstones.erased(connection, "user", people, at)
