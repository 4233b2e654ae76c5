"""The progress of unfinished readings: entries in order, kept until the reading is filed. SQL only.

What an entry says is the reader's business. An entry is written after the rows that it speaks of, by the one writer,
so that whatever survives a crash is the truth about the rows that survived it.
"""

from __future__ import annotations

import sqlite3

# (start, end, filter, via) of what is read.
Key = tuple[str, str, str, str]

_WHERE = 'start = ? AND "end" = ? AND filter = ? AND via = ?'


def append(connection: sqlite3.Connection, key: Key, number: int, at: str, entry: bytes) -> None:
    """Add entry `number`; the first one makes an end of whatever was kept under the key. at: API text."""
    if number == 0:
        drop(connection, key)
    connection.execute(
        'INSERT INTO unfinished_readings (start, "end", filter, via, number, at, entry) VALUES (?, ?, ?, ?, ?, ?, ?)',
        (*key, number, at, entry),
    )


def entries(connection: sqlite3.Connection, key: Key, since: str) -> list[bytes]:
    """The entries of a reading that was begun at or after `since`, in order; none of one that is older."""
    found = connection.execute(
        f"SELECT number, at, entry FROM unfinished_readings WHERE {_WHERE} ORDER BY number", key
    ).fetchall()
    whole = found and found[0][1] >= since and [row[0] for row in found] == list(range(len(found)))
    return [row[2] for row in found] if whole else []


def drop(connection: sqlite3.Connection, key: Key) -> None:
    """Forget a reading."""
    connection.execute(f"DELETE FROM unfinished_readings WHERE {_WHERE}", key)


def drop_with_older(connection: sqlite3.Connection, key: Key, than: str) -> None:
    """Forget a reading, and any that nobody has gone on with since `than`."""
    drop(connection, key)
    connection.execute(
        'DELETE FROM unfinished_readings WHERE (start, "end", filter, via) IN'
        ' (SELECT start, "end", filter, via FROM unfinished_readings GROUP BY start, "end", filter, via'
        " HAVING max(at) < ?)",
        (than,),
    )
