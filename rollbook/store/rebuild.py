"""Everything that is derived, made again: child rows and columns from `details`, live facts from `events`.

A record is kept byte for byte and an event whole, so what is made of them can be made again: after a version that has
more columns, or to see that a store is what it says. What is no derivation (when something was first seen, how old a
read is, participants' attributes, which only some answers have) stays. On a store that is right nothing changes.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.messages.live_facts import facts_of
from rollbook.store.bodies import packing
from rollbook.store.book import Book
from rollbook.store.rows import child_rows, half_hours
from rollbook.store.rows.child_rows import ChildRows, Columns
from rollbook.store.rows.detail_columns import CHILD_TABLES
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import live_picture, names
from rollbook.store.tables.live_picture import LiveFactsOf, greatest
from rollbook.store.vocabulary import Provenance

# Conversations in one transaction: other writers wait that long.
BATCH: Final = 100

_IDS: Final = "SELECT number, conversation_id FROM conversation_ids WHERE number > ? ORDER BY number LIMIT ?"
_EVENTS: Final = (
    "SELECT number, CASE WHEN topic < 0 THEN replace(text, '{id}', conversation_id) ELSE text END, body, received_at"
    " FROM event_rows JOIN conversation_ids USING (number) JOIN texts ON text_id = abs(topic)"
    " WHERE number BETWEEN ? AND ?"
)


class _Derived(NamedTuple):
    """The columns of a conversation that are derived."""

    conversation_start: str | None
    conversation_end: str | None
    originating_direction: str | None
    media_types: str | None
    division_ids: str | None
    mos: Any
    r_factor: Any
    provenance: str
    heard_end: str | None
    last_heard: str | None
    look_again: int
    details_open: int = 0


class _Kept(NamedTuple):
    """The columns of a conversation that are not derived."""

    read_at: str | None
    followed: str | None
    details: str | bytes | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a step. last: the number to go on after, None at the end. corrected: how many were different."""

    last: int | None
    conversations: int
    corrected: int


def rebuild(book: Book, on_step: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
    """Make everything that is derived again; answers (conversations, those that were not as they are now)."""
    after: int | None = 0
    done = corrected = 0
    while after is not None:
        made = book.write(step, after, book.lag).result()
        after, done, corrected = made.last, done + made.conversations, corrected + made.corrected
        on_step(done)
    return done, corrected


def step(connection: sqlite3.Connection, after: int, lag: timedelta) -> Rebuilt:
    """Make the next conversations again, in the order of their numbers. Runs inside the caller's transaction.

    lag: how far the platform's index may be behind its events.
    """
    id_of = dict(connection.execute(_IDS, (after, BATCH)).fetchall())
    if not id_of:
        return Rebuilt(None, 0, 0)
    first, last = min(id_of), max(id_of)
    before = _stored(connection, first, last)
    live, named = _live_facts(connection, first, last)
    corrected: set[int] = set()
    children = ChildRows(TextIds(connection))
    for number, conversation_id in id_of.items():
        stood = before.get(number)
        if stood is None and not may_be_asked_for(conversation_id):
            continue  # an event of earlier versions that has no id in the place of one
        derived = _derive(connection, number, stood, live.get(number), children, lag)
        if derived is None:
            continue
        if stood is None:
            corrected.add(number)
            _insert(connection, number, live[number].first_seen_at, derived)
        elif derived != stood[1]:
            corrected.add(number)
            _update(connection, number, derived)
    corrected |= _replace_children(connection, first, last, children)
    names.meet(connection, children.named())
    return Rebuilt(last if len(id_of) == BATCH else None, len(before.keys() | named), len(corrected))


def _stored(connection: sqlite3.Connection, first: int, last: int) -> dict[int, tuple[_Kept, _Derived]]:
    query = (
        f"SELECT number, {', '.join(_Kept._fields)}, {', '.join(_Derived._fields)} FROM conversation_rows"
        " LEFT JOIN detail_rows USING (number) WHERE number BETWEEN ? AND ?"
    )
    kept = len(_Kept._fields) + 1
    return {row[0]: (_Kept(*row[1:kept]), _Derived(*row[kept:])) for row in connection.execute(query, (first, last))}


def _live_facts(connection: sqlite3.Connection, first: int, last: int) -> tuple[dict[int, LiveFactsOf], set[int]]:
    """(The facts that the events tell of each conversation, those that an event names)."""
    found: dict[int, LiveFactsOf] = {}
    named: set[int] = set()
    for number, topic, body, received_at in connection.execute(_EVENTS, (first, last)):
        named.add(number)
        event = decode(packing.text(connection, body))
        if isinstance(event, dict):
            facts = found.setdefault(number, LiveFactsOf(received_at))
            facts.add(facts_of(topic, event), received_at)
    return found, named


def _derive(
    connection: sqlite3.Connection,
    number: int,
    stood: tuple[_Kept, _Derived] | None,
    facts: LiveFactsOf | None,
    children: ChildRows,
    lag: timedelta,
) -> _Derived | None:
    if stood is not None and stood[0].details is not None:
        row = row_of(packing.text(connection, stood[0].details).encode())
        columns = children.add(number, row)
        return _of_details(row, columns, stood[0], stood[1], facts, live_picture.shown_by(stood[0].read_at, lag))
    if stood is not None and stood[0].read_at is not None:
        return stood[1]  # retention has deleted the details, and maybe the events
    return _of_events(facts, stood)


def _of_events(facts: LiveFactsOf | None, stood: tuple[_Kept, _Derived] | None) -> _Derived | None:
    if facts is None:
        return None if stood is None else stood[1]
    start, end, direction, media, divisions, provenance, heard_end, last_heard, *_ = live_picture.first(facts)
    look_again = stood[1].look_again if stood else 0
    return _Derived(start, end, direction, media, divisions, None, None, provenance, heard_end, last_heard, look_again)


def _of_details(
    row: DetailRow, columns: Columns, kept: _Kept, stood: _Derived, facts: LiveFactsOf | None, shown: str
) -> _Derived:
    """The columns that a read and what was heard before and after it make together (see `live` and `conversations`)."""
    read_at = kept.read_at or ""
    direction, media, divisions, mos, r_factor = columns
    heard_end, last_heard = (facts.ended_at, facts.last_at) if facts else (stood.heard_end, stood.last_heard)
    end = row.end
    if heard_end is not None and heard_end > shown and (end is None or end > read_at):
        end = greatest(end, heard_end)
    return _Derived(
        row.start or stood.conversation_start,
        end,
        direction if direction is not None else stood.originating_direction,
        media,
        divisions,
        mos,
        r_factor,
        Provenance.BOTH if facts else stood.provenance,
        heard_end,
        last_heard,
        stood.look_again if kept.followed else int(last_heard is not None and last_heard > shown),
        int(row.end is None),
    )


def _insert(connection: sqlite3.Connection, number: int, first_seen_at: str, derived: _Derived) -> None:
    names = ("number", "first_seen_at", *_Derived._fields)
    connection.execute(
        f"INSERT INTO conversation_rows ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        (number, first_seen_at, *derived),
    )


def _update(connection: sqlite3.Connection, number: int, derived: _Derived) -> None:
    sets = ", ".join(f"{name} = ?" for name in _Derived._fields)
    connection.execute(f"UPDATE conversation_rows SET {sets} WHERE number = ?", (*derived, number))


def _replace_children(connection: sqlite3.Connection, first: int, last: int, children: ChildRows) -> set[int]:
    """Put the child rows in the place of those that stand; the conversations of which some were other."""
    before = _children(connection, first, last)
    child_rows.delete(connection, first, last)
    children.insert(connection)
    after = _children(connection, first, last)
    return {number for number in before.keys() | after.keys() if before[number] != after[number]}


def _children(connection: sqlite3.Connection, first: int, last: int) -> dict[int, int]:
    """A number for the child rows of each conversation, the same while they are."""
    half_hours.make_due(connection)
    found: dict[int, int] = defaultdict(int)
    for table in (*(table.rows for table in CHILD_TABLES.values()), "half_hour_rows"):
        query = f"SELECT * FROM {table} WHERE id BETWEEN ? AND ?"
        for row in connection.execute(query, (first << SHIFT, (last << SHIFT) + LAST_PLACE)):
            found[row[0] >> SHIFT] += hash((table, row))
    return found
