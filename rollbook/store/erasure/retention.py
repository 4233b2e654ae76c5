"""Retention: what is older than the settings say, deleted in small steps beside whoever works on the store.

The ledger stays: windows, runs, coverage and gaps, each conversation's row with its id, times and MOS, and so a proof
outlives what it was a proof of. What was deleted is not written again when the platform is read again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text
from rollbook.store.bodies import packing
from rollbook.store.book import Book
from rollbook.store.erasure import erasing, tombstones
from rollbook.store.rows import child_rows
from rollbook.store.rows.child_rows import ChildRows
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import dead_letters, notes
from rollbook.store.vocabulary import SetAside

# Rows in one transaction: others wait that long.
BATCH: Final = 200
_LOWEST: Final = -(2**62)


class KeepingTimes(NamedTuple):
    """How long each part is kept; None: for ever."""

    details: timedelta | None = None
    events: timedelta | None = None
    versions: timedelta | None = None
    attributes: timedelta | None = None
    dead_letters: timedelta | None = None
    gone: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> KeepingTimes:
        """The limits that the settings say."""
        return cls(*(getattr(settings, f"retain_{part}") for part in cls._fields))

    def cutoffs(self, now: datetime) -> dict[str, str]:
        """Before which time each part that is not kept for ever is deleted, as API text."""
        return {part: to_text(now - kept) for part, kept in zip(self._fields, self, strict=True) if kept is not None}


class _AgedPart(NamedTuple):
    """A part. query: the keys, after a key and older than a time, in order."""

    query: str
    step: Callable[[sqlite3.Connection, list[int]], int]


# A conversation that goes on is as old as now; one that was set aside is as old as it began.
_OVER: Final = (
    "(c.details_open = 0 OR c.followed IS NOT NULL)"
    " AND coalesce(c.conversation_end, c.conversation_start, c.first_seen_at) < ?"
)


def _delete_details(connection: sqlite3.Connection, numbers: list[int]) -> int:
    for number in numbers:
        child_rows.delete(connection, number, number)
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM version_rows WHERE number = ?", rows)
    connection.executemany("DELETE FROM attribute_rows WHERE number = ?", rows)
    connection.executemany("UPDATE conversation_rows SET look_again = 0, details_open = 0 WHERE number = ?", rows)
    return connection.executemany("DELETE FROM detail_rows WHERE number = ?", rows).rowcount


def _deleter(table: str, key: str) -> Callable[[sqlite3.Connection, list[int]], int]:
    def delete(connection: sqlite3.Connection, keys: list[int]) -> int:
        return connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(each,) for each in keys]).rowcount

    return delete


def _delete_attributes(connection: sqlite3.Connection, numbers: list[int]) -> int:
    """Delete attributes, and what details have of them: content does not count them, so that nothing has changed."""
    deleted = 0
    for number in numbers:
        deleted += connection.execute("DELETE FROM attribute_rows WHERE number = ?", (number,)).rowcount
        for (value,) in connection.execute("SELECT details FROM detail_rows WHERE number = ?", (number,)).fetchall():
            tree = decode(packing.text(connection, value))
            if _drop_attributes(tree):
                packed = packing.pack(connection, "details", spelled(tree))
                connection.execute("UPDATE detail_rows SET details = ? WHERE number = ?", (packed, number))
    return deleted


def _drop_attributes(tree: Any) -> bool:
    participants = tree.get("participants") if isinstance(tree, dict) else None
    found = [each for each in participants or () if isinstance(each, dict) and "attributes" in each]
    for each in found:
        del each["attributes"]
    return bool(found)


def _clean_gone(connection: sqlite3.Connection, numbers: list[int]) -> int:
    """Take people's data out of conversations that the platform no longer knows; answers of how many."""
    strict = erasing.unless_same(tombstones.redactor())
    children = ChildRows(TextIds(connection))
    changed = 0
    for number in numbers:
        is_other = erasing.clean_conversation(connection, number, strict, children)
        attributes = connection.execute("DELETE FROM attribute_rows WHERE number = ?", (number,)).rowcount
        changed += bool(is_other or attributes)
    children.insert(connection)
    return changed


PARTS: Final[Mapping[str, _AgedPart]] = {
    "details": _AgedPart(
        "SELECT d.number FROM detail_rows d JOIN conversation_rows c ON c.number = d.number"
        f" WHERE d.number > ? AND {_OVER} ORDER BY 1 LIMIT ?",
        _delete_details,
    ),
    "events": _AgedPart(
        "SELECT event_id FROM event_rows WHERE event_id > ? AND received_at < ? ORDER BY 1 LIMIT ?",
        _deleter("event_rows", "event_id"),
    ),
    "versions": _AgedPart(
        "SELECT rowid FROM version_rows WHERE rowid > ? AND replaced_at < ? ORDER BY 1 LIMIT ?",
        _deleter("version_rows", "rowid"),
    ),
    "attributes": _AgedPart(
        "SELECT DISTINCT a.number FROM attribute_rows a JOIN conversation_rows c ON c.number = a.number"
        f" WHERE a.number > ? AND {_OVER} ORDER BY 1 LIMIT ?",
        _delete_attributes,
    ),
    "dead_letters": _AgedPart(
        "SELECT dead_letter_id FROM dead_letters WHERE dead_letter_id > ? AND received_at < ? ORDER BY 1 LIMIT ?",
        dead_letters.drop,
    ),
    "gone": _AgedPart(
        "SELECT c.number FROM conversation_rows c JOIN conversation_ids i ON i.number = c.number"
        f" LEFT JOIN asked_by_id a ON a.conversation_id = i.conversation_id WHERE c.number > ?"
        f" AND c.followed = '{SetAside.GONE}'"
        " AND coalesce(a.absent_since, a.asked_at, c.reconciled_at, c.first_seen_at) < ? ORDER BY 1 LIMIT ?",
        _clean_gone,
    ),
}


def retain(
    book: Book,
    limits: KeepingTimes,
    now: datetime,
    *,
    on_step: Callable[[str, int], None] = lambda *_: None,
    rest: Callable[[float], None] = time.sleep,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, int]:
    """Delete what is older than the limits; answers how many of each part. Run again, it goes on where it was.

    on_step: called with a part and how many are deleted so far. rest: waits as many seconds as a step took, so that
    others get their turn. stopped: tells whether it is given up between two steps.
    """
    cutoffs = limits.cutoffs(now)
    done: dict[str, int] = {}
    for part, before in cutoffs.items():
        how, done[part], after = PARTS[part], 0, _LOWEST
        if part != "gone":
            book.write(notes.note_retained, part, before).result()
        while not stopped():
            began = time.monotonic()
            keys = book.read_now(_keys, how.query, after, before)
            if not keys:
                break
            after = keys[-1]
            done[part] += book.write(how.step, keys).result()
            on_step(part, done[part])
            rest(min(time.monotonic() - began, 1.0))
    return done


def would_go(book: Book, limits: KeepingTimes, now: datetime) -> dict[str, int]:
    """What `retain` would delete: conversations of details and attributes, else rows."""
    found: dict[str, int] = {}
    for part, before in limits.cutoffs(now).items():
        found[part], after = 0, _LOWEST
        while keys := book.read_now(_keys, PARTS[part].query, after, before):
            found[part], after = found[part] + len(keys), keys[-1]
    return found


def _keys(connection: sqlite3.Connection, query: str, after: int, before: str) -> list[int]:
    return [row[0] for row in connection.execute(query, (after, before, BATCH))]
