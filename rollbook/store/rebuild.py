"""Everything that is derived, made again: child rows and columns from `details`, live facts from `events`.

A record is kept byte for byte and an event whole, so what is made of them can be made again: after a version that has
more columns, or to see that a store is what it says. What is no derivation (when something was first seen, how old a
read is, participants' attributes, which only some answers have) stays. On a store that is right nothing changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.messages.live_facts import facts_of
from rollbook.store.book import Book
from rollbook.store.tables import child_rows, live_picture, packing
from rollbook.store.tables.detail_columns import CHILD_TABLES
from rollbook.store.tables.live_picture import LiveFactsOf, greatest
from rollbook.store.vocabulary import Provenance

# Conversations in one transaction: other writers wait that long.
BATCH: Final = 100

_IDS: Final = (
    "SELECT conversation_id FROM (SELECT conversation_id FROM conversations WHERE conversation_id > ?1 UNION"
    " SELECT conversation_id FROM events WHERE conversation_id > ?1) ORDER BY 1 LIMIT ?2"
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
    details: str | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a step. last: the id to go on after, None at the end. corrected: how many were different."""

    last: str | None
    conversations: int
    corrected: int


def rebuild(book: Book, on_step: Callable[[int], None] = lambda _: None) -> tuple[int, int]:
    """Make everything that is derived again; answers (conversations, those that were not as they are now)."""
    after: str | None = ""
    done = corrected = 0
    while after is not None:
        made = book.write(step, after, book.lag).result()
        after, done, corrected = made.last, done + made.conversations, corrected + made.corrected
        on_step(done)
    return done, corrected


def step(connection: sqlite3.Connection, after: str, lag: timedelta) -> Rebuilt:
    """Make the next conversations again, in the order of their ids. Runs inside the caller's transaction.

    lag: how far the platform's index may be behind its events.
    """
    ids = [row[0] for row in connection.execute(_IDS, (after, BATCH))]
    before, events = _stored(connection, ids), _live_facts(connection, ids)
    corrected: set[str] = set()
    children = child_rows.child_rows()
    for conversation_id in ids:
        stood = before.get(conversation_id)
        if stood is None and not may_be_asked_for(conversation_id):
            continue  # an event of earlier versions that has no id in the place of one
        derived = _derive(stood, events.get(conversation_id), conversation_id, children, lag)
        if derived is None:
            continue
        if stood is None:
            corrected.add(conversation_id)
            _insert(connection, conversation_id, events[conversation_id].first_seen_at, derived)
        elif derived != stood[1]:
            corrected.add(conversation_id)
            _update(connection, conversation_id, derived)
    corrected |= _replace_children(connection, ids, children)
    return Rebuilt(ids[-1] if len(ids) == BATCH else None, len(ids), len(corrected))


def _marks(ids: Sequence[str]) -> str:
    return f"({', '.join('?' * len(ids))})"


def _stored(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, tuple[_Kept, _Derived]]:
    query = (
        f"SELECT conversation_id, {', '.join(_Kept._fields)}, {', '.join(_Derived._fields)} FROM conversations"
        f" WHERE conversation_id IN {_marks(ids)}"
    )
    kept = len(_Kept._fields) + 1
    return {row[0]: (_Kept(*row[1:kept]), _Derived(*row[kept:])) for row in connection.execute(query, ids)}


def _live_facts(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, LiveFactsOf]:
    """The facts that the events tell of each conversation."""
    found: dict[str, LiveFactsOf] = {}
    query = f"SELECT conversation_id, topic, body, received_at FROM events WHERE conversation_id IN {_marks(ids)}"
    for conversation_id, topic, body, received_at in connection.execute(query, ids):
        event = decode(packing.text(connection, body))
        if isinstance(event, dict):
            facts = found.setdefault(conversation_id, LiveFactsOf(received_at))
            facts.add(facts_of(topic, event), received_at)
    return found


def _derive(
    stood: tuple[_Kept, _Derived] | None,
    facts: LiveFactsOf | None,
    conversation_id: str,
    children: child_rows.RowsByStatement,
    lag: timedelta,
) -> _Derived | None:
    if stood is not None and stood[0].details is not None:
        row = row_of(stood[0].details.encode())
        child_rows.add_children(children, conversation_id, row.record)
        return _of_details(row, stood[0], stood[1], facts, live_picture.shown_by(stood[0].read_at, lag))
    return _of_events(facts, stood)


def _of_events(facts: LiveFactsOf | None, stood: tuple[_Kept, _Derived] | None) -> _Derived | None:
    if facts is None:
        return None if stood is None else stood[1]
    start, end, direction, media, divisions, provenance, heard_end, last_heard, *_ = live_picture.first(facts)
    look_again = stood[1].look_again if stood else 0
    return _Derived(start, end, direction, media, divisions, None, None, provenance, heard_end, last_heard, look_again)


def _of_details(row: DetailRow, kept: _Kept, stood: _Derived, facts: LiveFactsOf | None, shown: str) -> _Derived:
    """The columns that a read and what was heard before and after it make together (see `live` and `conversations`)."""
    read_at = kept.read_at or ""
    direction, media, divisions, mos, r_factor = child_rows.columns_of(row.record)
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


def _insert(connection: sqlite3.Connection, conversation_id: str, first_seen_at: str, derived: _Derived) -> None:
    names = ("conversation_id", "first_seen_at", *_Derived._fields)
    connection.execute(
        f"INSERT INTO conversations ({', '.join(names)}) VALUES {_marks(names)}",
        (conversation_id, first_seen_at, *derived),
    )


def _update(connection: sqlite3.Connection, conversation_id: str, derived: _Derived) -> None:
    sets = ", ".join(f"{name} = ?" for name in _Derived._fields)
    connection.execute(f"UPDATE conversations SET {sets} WHERE conversation_id = ?", (*derived, conversation_id))


def _replace_children(
    connection: sqlite3.Connection, ids: Sequence[str], children: child_rows.RowsByStatement
) -> set[str]:
    """Put the child rows in the place of those that stand; the conversations of which some were other."""
    before = _children(connection, ids)
    for table in CHILD_TABLES:
        connection.execute(f"DELETE FROM {table} WHERE conversation_id IN {_marks(ids)}", ids)
    for statement, values in children.items():
        connection.executemany(statement, values)
    after = _children(connection, ids)
    return {conversation_id for conversation_id in ids if before[conversation_id] != after[conversation_id]}


def _children(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """A number for the child rows of each conversation, the same while they are."""
    found = dict.fromkeys(ids, 0)
    for table in CHILD_TABLES:
        for row in connection.execute(f"SELECT * FROM {table} WHERE conversation_id IN {_marks(ids)}", ids):
            found[row[0]] += hash((table, row))
    return found
