"""The numbers of conversations: each id once, in the order in which they came. SQL only.

Rows bear the number and not the id, so that what comes new is appended and a conversation's rows lie together. A number
is remembered for the length of a transaction at most: what was given out in one that failed is another's afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from rollbook.store.rows.statements import in_parts

# A child row's id: the conversation's number, and in the last bits its place among the rows of its table.
SHIFT: Final = 20
LAST_PLACE: Final = (1 << SHIFT) - 1


def known(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """The numbers of those of these conversations that have one."""
    query = "SELECT conversation_id, number FROM conversation_ids WHERE conversation_id IN "
    return dict(in_parts(connection, query, ids))


def given(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """The numbers of these conversations; who has none is given the next. In a transaction that writes."""
    wanted = dict.fromkeys(ids)
    found = known(connection, wanted)
    new = [conversation_id for conversation_id in wanted if conversation_id not in found]
    if new:
        add(connection, new, found)
    return found


def add(connection: sqlite3.Connection, ids: Iterable[str], numbers: dict[str, int]) -> None:
    """Give these, of whom the caller knows that they have none and each is named once, the next; into `numbers`."""
    first: int = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM conversation_ids").fetchone()[0]
    rows = list(enumerate(ids, first))
    connection.executemany("INSERT INTO conversation_ids (number, conversation_id) VALUES (?, ?)", rows)
    numbers.update((conversation_id, number) for number, conversation_id in rows)
