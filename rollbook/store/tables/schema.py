"""The steps by which an empty or an older file becomes one of today's: frozen text below migrations/.

A new store takes every step, as an old one did: no table is made from what other modules say today. sqlite-utils
applies the steps and remembers which it has applied. It is imported only when there is something to apply, which keeps
a Lambda's start light.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.tables import notes

if TYPE_CHECKING:
    from sqlite_utils import Database

# "rbk1" in the file's header: what marks a store among SQLite files.
APPLICATION_ID: Final = 0x72626B31

FIGURES: Final = (
    "passes",
    "requests",
    "initial_total_hits",
    "final_total_hits",
    "unique",
    "duplicates",
    "owned",
    "missing",
    "changed",
    "unchanged",
    "ongoing",
    "live_only",
    "written",
)

# The steps, oldest first: (name, file below migrations/). The name is what sqlite-utils remembers of a step that it has
# applied. Neither a name nor a file is ever changed: stores that have taken the step would not take it again.
STEPS: Final = (
    ("1 the tables", "1_tables.sql"),
    ("2 unfinished readings", "2_unfinished_readings.sql"),
    ("3 channels", "3_channels.sql"),
    ("4 open details, what the client sees, what is asked for by id", "4_open_details.sql"),
    ("5 notes of the store, its sizes", "5_upkeep.sql"),
    ("6 numbers for conversations", "6_numbers.sql"),
    ("7 names for ids", "7_names.sql"),
    ("8 the gate and alerts", "8_gate_and_alerts.sql"),
    ("9 views of queues, agents, half hours and days", "9_views.sql"),
    ("10 call quality", "10_call_quality.sql"),
    ("11 what half hours count, by conversation", "11_half_hours.sql"),
    ("12 erasures and tombstones", "12_erasures.sql"),
    ("13 days without an index of metrics", "13_days_without_index.sql"),
)
# What a file's user_version says once every step is applied.
VERSION: Final = len(STEPS)
# The first version that notes which rollbook it needs.
_NOTES: Final = 5
# The step that is taken in place only where there is nothing yet; what has rows is moved to a new file.
NUMBERS: Final = 6
_HAS_ROWS: Final = " UNION ALL ".join(
    f"SELECT 1 FROM {table}"
    for table in ("conversations", "events", "gaps", "conversation_versions", "participant_attributes")
)
# The name under which sqlite-utils remembers the steps.
STEPS_OF: Final = "rollbook"


def version_of(connection: sqlite3.Connection) -> tuple[int, int, bool]:
    """(application id, schema version, whether the file has no tables at all)."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    return application, version, empty


def names(connection: sqlite3.Connection) -> list[str]:
    """The names of all tables and views."""
    query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    return [name for (name,) in connection.execute(query)]


def organization(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """(id, name) of the organisation that the store belongs to, once it is known."""
    found: tuple[str, str] | None = connection.execute("SELECT id, name FROM organization").fetchone()
    return found


@cache  # each step asks for it
def our_version() -> str | None:
    """The version of rollbook that runs; None where it runs without being installed."""
    from importlib import metadata  # slow, and seldom asked for

    try:
        return metadata.version("rollbook")
    except metadata.PackageNotFoundError:
        return None


def has_to_be_moved(connection: sqlite3.Connection) -> bool:
    """Tell whether the store has rows of a schema without numbers: they are moved to a new file; no step is taken."""
    if version_of(connection)[1] >= NUMBERS:
        return False
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'conversations'").fetchone()
    return bool(there and connection.execute(f"{_HAS_ROWS} LIMIT 1").fetchone())


def migrate(
    connection: sqlite3.Connection, on_step: Callable[[int, str], None] = lambda *_: None, *, to: int = VERSION
) -> None:
    """Bring the file to version `to`. Each step is one transaction, or all are of the caller's; what fails is undone.

    Within a transaction of the caller's the steps are parts of that one.

    on_step: called with the number and the name of each step that is taken.
    """
    from sqlite_utils import Database, Migrations

    # First of all, so that a creation that was cut short is still recognised as ours.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    steps = Migrations(STEPS_OF)
    for version, (name, file) in enumerate(STEPS[:to], 1):
        steps(name=name)(_step(file, version, name, on_step))
    steps.apply(Database(connection, execute_plugins=False))


def _step(file: str, version: int, name: str, on_step: Callable[[int, str], None]) -> Callable[[Database], None]:
    def apply(db: Database) -> None:
        if version == NUMBERS and db.execute(f"{_HAS_ROWS} LIMIT 1").fetchone():
            raise StoreUnwritable("a store of an earlier version that has rows has to be moved to a new file")
        on_step(version, name)
        for statement in statements(file):
            db.execute(statement)
        if version >= _NOTES and (ours := our_version()) is not None:
            # What an earlier rollbook says when it meets this store.
            notes.write(db.conn, notes.NEEDS, ours)
        db.execute(f"PRAGMA user_version = {version}")

    return apply


def statements(file: str) -> Iterator[str]:
    """The SQL statements of a file below migrations/; a semicolon at the end of a line ends one."""
    from importlib import resources  # as late as sqlite-utils

    text = resources.files(__package__).joinpath("migrations", file).read_text(encoding="utf-8")
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    # A statement without its semicolon, or the comments at the end of the file, which do nothing.
    yield statement
