"""The views that people read: the columns of the tables that they were, and look-ups that use an index."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollbook.store import status
from rollbook.store.rows import numbers
from rollbook.store.rows.detail_columns import CHILD_TABLES
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import conversations, schema
from tests.stores import load

VIEWS = (*CHILD_TABLES, "conversations", "events", "gaps", "conversation_versions", "participant_attributes")
# What ANALYZE wrote of a store of 2,400 conversations.
STATISTICS = (
    ("flow_outcome_rows", None, (1400,)),
    ("session_rows", None, (9857,)),
    ("flow_rows", None, (1400,)),
    ("conversation_ids", "sqlite_autoindex_conversation_ids_1", (2400, 1)),
    ("media_endpoint_stat_rows", None, (12692,)),
    ("segment_rows", "segment_rows_start", (31685, 1)),
    ("segment_rows", "segment_rows_queue", (30285, 2524)),
    ("participant_rows", None, (9857,)),
    ("conversation_rows", "conversation_rows_provenance", (2400, 2400)),
    ("conversation_rows", "conversation_rows_start", (2400, 1)),
    ("detail_rows", None, (2400,)),
    ("texts", "sqlite_autoindex_texts_1", (12, 1)),
    ("metric_rows", None, (46856,)),
    ("gap_rows", "gap_rows_window", (2400, 2400)),
    ("gap_rows", "gap_rows", (2400, 1, 1)),
)


def made() -> sqlite3.Connection:
    """A new store in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    return db


@pytest.fixture(params=[0, 1, 300], ids=["unknown", "small", "large"])
def db(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A new store whose statistics are unknown to SQLite, or those of a small or a large one."""
    connection = made()
    if times := request.param:
        connection.execute("ANALYZE")
        connection.execute("DELETE FROM sqlite_stat1")
        for table, index, (rows, *others) in STATISTICS:
            says = " ".join(map(str, (rows * times, *others)))
            connection.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, index, says))
        connection.execute("ANALYZE sqlite_schema")
    yield connection
    connection.close()


def plan(db: sqlite3.Connection, query: str) -> str:
    """SQLite's way of answering a query."""
    return " | ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_that_the_table_had(view: str, tmp_path: Path) -> None:
    """Names and order are those of the fourth schema, so that no query of a user's has to change."""
    path = tmp_path / "4.db"
    load(4, path)
    old = sqlite3.connect(path)
    listed = f"PRAGMA table_info({view})"
    now = made()
    # Datasette asks a view for a rowid where it has BLOBs.
    found = [row[1] for row in now.execute(listed) if row[1] != "rowid"]
    assert found == [row[1] for row in old.execute(listed)]
    old.close()
    now.close()


@pytest.mark.parametrize("view", VIEWS)
def test_a_conversation_is_found_by_its_id_in_every_view(view: str, db: sqlite3.Connection) -> None:
    """No view scans its table for one conversation: a child's rows are a range of ids."""
    found = plan(db, f"SELECT * FROM {view} WHERE conversation_id = 'x'")
    assert "SCAN" not in found
    assert "conversation_ids_1 (conversation_id=?)" in found
    if view in CHILD_TABLES:
        assert "INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in found


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM conversations WHERE conversation_start >= '2026' AND conversation_start < '2027'", "_start"),
        ("SELECT * FROM segments WHERE queue_id = 'x'", "segment_rows_queue"),
        ("SELECT * FROM segments WHERE segment_start >= '2026' AND segment_start < '2027'", "segment_rows_start"),
        ("SELECT * FROM events WHERE received_at >= '2026'", "event_rows_received"),
        ("SELECT * FROM gaps WHERE window_start >= '2026'", "gap_rows_window"),
    ],
)
def test_time_and_queue_are_looked_up_by_an_index(query: str, index: str, db: sqlite3.Connection) -> None:
    """A stretch of time or a queue is found without a look at every row."""
    found = plan(db, query)
    assert index in found
    assert "SCAN" not in found


def test_a_stretch_of_time_is_joined_to_its_segments_conversation_by_conversation(db: sqlite3.Connection) -> None:
    """The conversations come first, by their start, and of the segments only theirs are read."""
    query = (
        "SELECT c.conversation_id, s.queue_id FROM conversations c JOIN segments s USING (conversation_id)"
        " WHERE c.conversation_start >= '2026' AND c.conversation_start < '2027'"
    )
    found = plan(db, query)
    assert "SCAN" not in found
    assert "(rowid>? AND rowid<?)" in found


def test_what_only_capture_knows_of_a_window_is_found_by_its_time(db: sqlite3.Connection) -> None:
    """A window does not look at every conversation that nobody has read yet."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    assert conversations.live_only_ids(db, "2026", "2027") == []
    db.set_trace_callback(None)
    found = plan(db, asked[0])
    assert "conversation_rows_live (conversation_start>? AND conversation_start<?)" in found
    assert "conversation_rows_unplaced (first_seen_at>? AND first_seen_at<?)" in found


def test_status_counts_by_an_index_alone(db: sqlite3.Connection) -> None:
    """No conversation's row is looked at, and no id: on a million that is a second."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    status.collect(db, datetime(2026, 3, 2, tzinfo=UTC))
    db.set_trace_callback(None)
    counting = [query for query in asked if "provenance" in query]
    assert [plan(db, query) for query in counting] == [
        "SCAN conversation_rows USING COVERING INDEX conversation_rows_provenance"
    ]


def test_an_outer_join_makes_an_index(db: sqlite3.Connection) -> None:
    """Without one it would compare every conversation with every segment."""
    query = "SELECT c.conversation_id, s.queue_id FROM conversations c LEFT JOIN segments s USING (conversation_id)"
    assert "AUTOMATIC" in plan(db, query)


def test_the_rowid_of_a_conversation_leads_an_outer_join_to_its_rows(db: sqlite3.Connection) -> None:
    """As docs/store.md shows: the rows of each conversation are a range, and those of the others are not read."""
    query = (
        "SELECT c.conversation_id, count(s.id) FROM conversations c"
        " LEFT JOIN segment_rows s ON s.id BETWEEN c.rowid << 20 AND (c.rowid << 20) + 1048575 GROUP BY c.rowid"
    )
    assert "SEARCH s USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan(db, query)


@pytest.mark.parametrize(
    ("topic", "conversation_id"),
    [
        ("v2.conversations.c1.details", "c1"),
        ("v2.conversations.C1.details", "c1"),
        ("v2.{id}.c1", "c1"),
        ("{c1id}c1", "c1"),
        ("v2.{id}.x", "{id}"),
        ("v2.users.u1.presence", "c1"),
        ("v2.users.u1.presence", None),
        ("v2.{id}.x", None),
        ("", "c1"),
    ],
)
def test_a_topic_comes_back_as_it_came(topic: str, conversation_id: str | None) -> None:
    """A conversation's id is no part of the text that is kept, and no topic is spelled anew for that."""
    db = made()
    texts = TextIds(db, ["v2.conversations.{id}.details"])
    number = numbers.given(db, ["c0", conversation_id])[conversation_id] if conversation_id else None
    db.execute(
        "INSERT INTO event_rows (topic, number, received_at, source, body, identity) VALUES (?, ?, '', ?, '{}', x'00')",
        (texts.of_topic(topic, conversation_id), number, texts["websocket"]),
    )
    assert db.execute("SELECT topic, conversation_id, source FROM events").fetchall() == [
        (topic, conversation_id, "websocket")
    ]
    db.close()


def test_topics_of_many_conversations_are_one_text() -> None:
    """The id that makes each conversation's topic another one is not in the text."""
    db = made()
    texts = TextIds(db)
    assert {texts.of_topic(f"v2.conversations.{name}.details", name) for name in ("c1", "c2")} == {-1}
    assert TextIds(db, ["v2.conversations.{id}.details"]) == {"v2.conversations.{id}.details": 1}
    db.close()


def test_numbers_are_given_once_and_in_the_order_of_arrival() -> None:
    """An id keeps its number, and each new one has the next."""
    db = made()
    assert numbers.given(db, ["b", "a", "b"]) == {"b": 1, "a": 2}
    assert numbers.given(db, ["c", "a"]) == {"a": 2, "c": 3}
    assert numbers.known(db, ["a", "z"]) == {"a": 2}
    many = [f"x{at}" for at in range(1_200)]
    assert list(numbers.given(db, many).values()) == list(range(4, 1_204))
    assert numbers.known(db, many) == numbers.given(db, many)
    db.close()
