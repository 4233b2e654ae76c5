"""Notes of a store about itself. SQL only."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from typing import Final

from rollbook.store.file.transactions import transaction

# Notes of a store about itself: the version of rollbook that it needs, 1 where its log has what the file lacks, while
# the file that it was moved from is still there, which one that is (`file/move.py`), and until the platform has said
# whose the store is, the organisation of its first event from EventBridge; and the totals of its dead letters.
NEEDS: Final = "needs"
IN_LOG: Final = "in_log"
MOVED: Final = "moved"
EVENTS_OF: Final = "events_of"
DEAD_LETTERS: Final = "dead_letters"
# 1 where everything that was ever deleted was overwritten with zeros; and while the process that checkpoints is asked
# to empty the log.
OVERWRITES: Final = "overwrites"
EMPTY_LOG: Final = "empty_log"
# Of what was deleted by retention: until when, by part (JSON). What `[privacy] fields` was when all was made to fit it.
RETAINED: Final = "retained"
PRIVACY: Final = "privacy"
SWEPT: Final = "privacy_swept"
# How long the organisation keeps its conversations, as the platform last said, since when it says so, and before which
# time they are deleted (JSON; `reconcile/reading/platform_retention.py`).
PLATFORM_KEEPS: Final = "platform_keeps"


def read(connection: sqlite3.Connection, name: str) -> str | None:
    """A note of a store about itself; None where there is none."""
    try:
        found = connection.execute("SELECT value FROM store_notes WHERE name = ?", (name,)).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return None  # an earlier store has no such table, and a later one may have another
    return str(found[0]) if found else None


def write(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Note something of the store, in place of what was noted before."""
    connection.execute("INSERT OR REPLACE INTO store_notes (name, value) VALUES (?, ?)", (name, value))


def drop(connection: sqlite3.Connection, name: str) -> None:
    """Drop what was noted of the store under this name."""
    connection.execute("DELETE FROM store_notes WHERE name = ?", (name,))


def retained(connection: sqlite3.Connection) -> dict[str, str]:
    """Before which time retention has deleted each part, as API text: what is proven of that time is since deleted."""
    noted = read(connection, RETAINED)
    found: dict[str, str] = json.loads(noted) if noted else {}
    return found


def note_retained(connection: sqlite3.Connection, part: str, before: str) -> None:
    """Note that everything of a part that is older has been deleted."""
    found = retained(connection)
    found[part] = max(found.get(part, ""), before)
    write(connection, RETAINED, json.dumps(found))


def settle(connection: sqlite3.Connection) -> None:
    """Let the log end with `in_log = 0` before it is taken into the file, whoever it was that marked it and died."""
    with suppress(sqlite3.Error):
        if read(connection, IN_LOG) == "1":
            mark(connection, "0")


def mark(connection: sqlite3.Connection, value: str) -> None:
    """Note `in_log` in a transaction of its own."""
    with transaction(connection):
        write(connection, IN_LOG, value)
