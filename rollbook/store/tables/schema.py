"""The tables, and the steps by which an older file becomes a newer one.

Knows what is stored and under which names; not who writes it. sqlite-utils applies the steps and remembers which it
has applied. It is imported only when there is something to apply, which keeps a Lambda's start light.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rollbook.store.tables.detail_columns import CHILD_TABLES, PARENT_IDS, affinity, column

if TYPE_CHECKING:
    from sqlite_utils import Database

# "rbk1" in the file's header: how a store is told from any other SQLite file.
APPLICATION_ID: Final = 0x72626B31
# Raised by one with every step below.
VERSION: Final = 4

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

_FIGURE_COLUMNS: Final = ", ".join(f'"{name}" INTEGER' for name in FIGURES)

_TABLES: Final = (
    """CREATE TABLE organization (
        id TEXT PRIMARY KEY, name TEXT, first_seen_at TEXT)""",
    # read_at: how old the newest read is (a job is as old as its watermark).
    # heard_end, last_heard: what live capture heard of the end, and the latest time any of its events bears.
    # followed: 'stuck' (open for too long) or 'gone' (the platform no longer knows it), else null.
    """CREATE TABLE conversations (
        conversation_id TEXT PRIMARY KEY,
        conversation_start TEXT, conversation_end TEXT,
        originating_direction TEXT, media_types TEXT, division_ids TEXT,
        mos REAL, r_factor REAL,
        provenance TEXT NOT NULL, first_seen_at TEXT NOT NULL, reconciled_at TEXT,
        read_at TEXT, heard_end TEXT, last_heard TEXT, look_again INTEGER NOT NULL DEFAULT 0, followed TEXT,
        details TEXT)""",
    "CREATE INDEX conversations_start ON conversations (conversation_start)",
    "CREATE INDEX conversations_unplaced ON conversations (first_seen_at) WHERE conversation_start IS NULL",
    "CREATE INDEX conversations_ongoing ON conversations (conversation_start) WHERE conversation_end IS NULL",
    "CREATE INDEX conversations_look_again ON conversations (conversation_id) WHERE look_again = 1",
    "CREATE INDEX conversations_live ON conversations (conversation_start) WHERE provenance = 'live'",
    """CREATE TABLE conversation_versions (
        conversation_id TEXT NOT NULL, read_at TEXT NOT NULL, replaced_at TEXT NOT NULL, details TEXT NOT NULL,
        PRIMARY KEY (conversation_id, read_at))""",
    """CREATE TABLE participant_attributes (
        conversation_id TEXT NOT NULL, participant_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT,
        PRIMARY KEY (conversation_id, participant_id, name)) WITHOUT ROWID""",
    """CREATE TABLE events (
        event_id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL, conversation_id TEXT, event_time TEXT, received_at TEXT NOT NULL,
        source TEXT NOT NULL, body TEXT NOT NULL, identity BLOB NOT NULL UNIQUE)""",
    "CREATE INDEX events_conversation ON events (conversation_id) WHERE conversation_id IS NOT NULL",
    """CREATE TABLE dead_letters (
        dead_letter_id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, payload TEXT NOT NULL, error TEXT NOT NULL, received_at TEXT NOT NULL)""",
    f"""CREATE TABLE windows (
        start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '',
        verdict TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, {_FIGURE_COLUMNS},
        seconds REAL, reading TEXT, reason TEXT, drift INTEGER NOT NULL DEFAULT 0,
        first_read_at TEXT, last_read_at TEXT, settled_at TEXT, next_try_at TEXT, last_run_at TEXT, proven_by TEXT,
        PRIMARY KEY (start, "end", filter)) WITHOUT ROWID""",
    f"""CREATE TABLE window_runs (
        run_id INTEGER PRIMARY KEY,
        start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '',
        command TEXT NOT NULL, via TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL, as_of TEXT,
        verdict TEXT NOT NULL, reason TEXT, reading TEXT, {_FIGURE_COLUMNS}, seconds REAL,
        passes_json TEXT, id_digest BLOB, query_json TEXT, divisions_json TEXT)""",
    'CREATE INDEX window_runs_window ON window_runs (start, "end", filter)',
    """CREATE TABLE topic_sets (
        topic_set_id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, topics TEXT NOT NULL)""",
    # alive_at: the last sign of life of a span that has not ended; what it becomes the end of after a kill.
    """CREATE TABLE coverage (
        coverage_id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, scope TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, end_reason TEXT,
        alive_at TEXT NOT NULL, topic_set_id INTEGER REFERENCES topic_sets (topic_set_id))""",
    "CREATE INDEX coverage_started ON coverage (started_at)",
    "CREATE INDEX coverage_unended ON coverage (coverage_id) WHERE ended_at IS NULL",
    """CREATE TABLE rejected_topics (
        topic TEXT PRIMARY KEY, reason TEXT, missing_permissions TEXT, rejected_at TEXT NOT NULL)""",
    """CREATE TABLE gaps (
        conversation_id TEXT NOT NULL, window_start TEXT NOT NULL, kind TEXT NOT NULL, cause TEXT NOT NULL,
        detected_at TEXT NOT NULL, filled_at TEXT,
        PRIMARY KEY (conversation_id, kind))""",
    "CREATE INDEX gaps_window ON gaps (window_start)",
)


# How far a reading has come that was cut short (`unfinished_readings.py`); empty when nothing is being read.
_UNFINISHED: Final = """CREATE TABLE unfinished_readings (
    start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL, via TEXT NOT NULL, number INTEGER NOT NULL,
    at TEXT NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (start, "end", filter, via, number)) WITHOUT ROWID"""


# Until when each channel lives that live capture has made (rollbook/store/tables/channels.py).
_CHANNELS: Final = "CREATE TABLE channels (expires_at TEXT NOT NULL)"


# What version 4 adds, as it was then: a later change of these tables is a step of its own.
# details_open: the details of the newest read have no end, whatever capture has heard since. attributes_at: how old
# the read is that the participant attributes come from. windows.divisions_json: what the client saw that proved it.
# asked_by_id: when a conversation was last asked for by its id; since when the answers lack it; why it is refused.
_OPEN_DETAILS: Final = (
    "ALTER TABLE conversations ADD COLUMN details_open INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE conversations ADD COLUMN attributes_at TEXT",
    "UPDATE conversations SET details_open = 1 WHERE details IS NOT NULL AND (conversation_end IS NULL OR"
    " (conversation_end = heard_end AND json_valid(details) AND json_extract(details, '$.conversationEnd') IS NULL))",
    "UPDATE conversations SET attributes_at = read_at WHERE conversation_id IN"
    " (SELECT DISTINCT conversation_id FROM participant_attributes)",
    "CREATE INDEX conversations_details_open ON conversations (conversation_start) WHERE details_open = 1",
    "CREATE INDEX conversations_followed ON conversations (conversation_id) WHERE followed IS NOT NULL",
    "ALTER TABLE windows ADD COLUMN divisions_json TEXT",
    "UPDATE windows SET divisions_json = (SELECT divisions_json FROM window_runs AS run WHERE run.start = windows.start"
    ' AND run."end" = windows."end" AND run.filter = windows.filter AND run.verdict IN'
    " ('open', 'complete', 'settled') ORDER BY run_id DESC LIMIT 1)",
    """CREATE TABLE asked_by_id (
        conversation_id TEXT PRIMARY KEY, asked_at TEXT NOT NULL, absent_since TEXT, refused TEXT) WITHOUT ROWID""",
)


def _child_tables() -> Iterator[str]:
    for table, (positions, fields) in CHILD_TABLES.items():
        columns = ["conversation_id TEXT NOT NULL", *(f"{name} INTEGER NOT NULL" for name in positions)]
        columns += [f"{name} TEXT" for name in PARENT_IDS.get(table, ())]
        columns += [f"{column(name)} {affinity(name)}" for name in fields]
        # Keys that begin with the conversation keep its rows together: in a large store a window costs 1.7 times
        # what it costs in an empty one, against 2.5 with keys of random ids (docs/performance.md).
        key = ", ".join(("conversation_id", *positions))
        yield f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY ({key})) WITHOUT ROWID"


def version_of(connection: sqlite3.Connection) -> tuple[int, int, bool]:
    """(application id, schema version, whether the file has no tables at all)."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    return application, version, empty


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to `VERSION`. Each step is one transaction; a step that fails leaves the file as it was."""
    from sqlite_utils import Database, Migrations

    # First of all, so that a creation that was cut short is still recognised as ours.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    steps = Migrations("rollbook")

    @steps(name="1 the tables")
    def _tables(db: Database) -> None:
        for statement in (*_TABLES, *_child_tables()):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")

    @steps(name="2 unfinished readings")
    def _unfinished(db: Database) -> None:
        db.execute(_UNFINISHED)
        db.execute("PRAGMA user_version = 2")

    @steps(name="3 channels")
    def _channels(db: Database) -> None:
        db.execute(_CHANNELS)
        db.execute("PRAGMA user_version = 3")

    @steps(name="4 open details, what the client sees, what is asked for by id")
    def _open_details(db: Database) -> None:
        for statement in _OPEN_DETAILS:
            db.execute(statement)
        db.execute("PRAGMA user_version = 4")

    steps.apply(Database(connection, execute_plugins=False))
