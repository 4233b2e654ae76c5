"""Texts that come again and again, kept once: topics, sources, queues' ids. SQL only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from rollbook.store.rows.statements import in_parts

# Stands for the conversation's id in a topic that names it, or each conversation would have topics of its own.
_ID: Final = "{id}"


class TextIds(dict[str, int]):
    """text → text_id, for one transaction: a text that has none is given one when it is looked up.

    Made anew in every transaction, because one that fails takes its texts back. texts: those that are likely to be
    looked up, found in one query.
    """

    def __init__(self, connection: sqlite3.Connection, texts: Iterable[str] = ()) -> None:
        super().__init__(in_parts(connection, "SELECT text, text_id FROM texts WHERE text IN ", set(texts)))
        self._connection = connection

    def __missing__(self, text: str) -> int:
        found = self._connection.execute("SELECT text_id FROM texts WHERE text = ?", (text,)).fetchone()
        number: int = found[0] if found else _new(self._connection, text)
        self[text] = number
        return number

    def of_topic(self, topic: str, conversation_id: str | None) -> int:
        """The number that an event's row has for its topic: below zero where {id} stands for the conversation's.

        Only what equals the id byte for byte is replaced, and a topic that has {id} itself is kept as it is: the view
        gives every topic back as it came.
        """
        pattern = general(topic, conversation_id)
        return self[topic] if pattern is None else -self[pattern]


def _new(connection: sqlite3.Connection, text: str) -> int:
    number = connection.execute("INSERT INTO texts (text) VALUES (?)", (text,)).lastrowid
    assert number is not None
    return number


def general(topic: str, conversation_id: str | None) -> str | None:
    """The topic with {id} for the conversation's id; None where it does not name it, or has {id} itself."""
    if not conversation_id or conversation_id not in topic or _ID in topic:
        return None
    return topic.replace(conversation_id, _ID)
