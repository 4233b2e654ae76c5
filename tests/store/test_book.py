"""The store as the other rooms use it: real files, real transactions."""

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.messages.details import DetailRow, parse_page
from rollbook.genesys.messages.notification import LiveFacts, Notification, Unreadable
from rollbook.genesys.times import Interval
from rollbook.store import rebuild
from rollbook.store.book import Book
from rollbook.store.file import read_connection
from rollbook.store.file import writer as writer_module
from rollbook.store.file.errors import LockHeld, StoreBusy, StoreError, StoreForeign, StoreUnwritable
from rollbook.store.file.transactions import transaction
from rollbook.store.rows import child_rows, half_hours, numbers
from rollbook.store.tables import channels, conversations, coverage, events, gaps, schema, windows
from rollbook.store.tables.conversations import PageOutcome, Read
from rollbook.store.tables.windows import RunRecord
from rollbook.store.vocabulary import GapKind, SetAside

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
WINDOW = Interval(START, START + timedelta(minutes=30))
HALF_HOUR = timedelta(minutes=30)
NOW = "2026-03-02T10:45:00.000Z"  # when everything is written
RUN_AT = "2026-03-02T10:45:00.000Z"


def at(minute: int, second: int = 0) -> str:
    """A time of that day, after ten."""
    return f"2026-03-02T{10 + minute // 60:02}:{minute % 60:02}:{second:02}.000Z"


def record(
    conversation_id: str, *, minute: int = 5, end: str | None = at(20), mos: float = 4.2, **more: Any
) -> dict[str, Any]:
    """A small detail record."""
    made: dict[str, Any] = {
        "conversationId": conversation_id,
        "conversationStart": at(minute),
        "originatingDirection": "inbound",
        "divisionIds": ["d1"],
        "mediaStatsMinConversationMos": mos,
        "participants": [
            {
                "participantId": "p1",
                "purpose": "customer",
                "sessions": [
                    {
                        "sessionId": "s1",
                        "mediaType": "voice",
                        "segments": [{"segmentStart": at(minute), "segmentEnd": end, "segmentType": "interact"}],
                        "metrics": [{"name": "nConnected", "value": 1, "emitDate": at(minute)}],
                        "mediaEndpointStats": [{"minMos": mos, "codecs": ["audio/opus"]}],
                    }
                ],
            }
        ],
    }
    if end is not None:
        made["conversationEnd"] = end
    return made | more


def page(*records: dict[str, Any]) -> list[DetailRow]:
    """Records as the API's answer brings them."""
    return list(parse_page(json.dumps({"conversations": records, "totalHits": len(records)}).encode()).rows)


def write(
    book: Book,
    *records: dict[str, Any],
    as_of: str = RUN_AT,
    run_at: str = RUN_AT,
    window: Interval = WINDOW,
    classified_before: frozenset[str] = frozenset(),
) -> Any:
    """Write a page and wait for its commit."""
    read = Read(as_of, NOW, run_at, classified_before, book.lag)
    return details(book, page(*records), read, window=window).result(10)


def details(
    book: Book, found: list[DetailRow], read: Read, *, window: Interval | None, width: timedelta = HALF_HOUR
) -> Future[PageOutcome]:
    """Write what was found, which capture missed while it was disconnected."""
    return book.write(
        windows.write_details, found, read, window=window, width=width, cause=lambda row, kind: "disconnected"
    )


def event(
    conversation_id: str | None, *, body: bytes = b'{"a":1}', received: str = at(6), **facts: Any
) -> Notification:
    """A notification."""
    live_facts = LiveFacts(
        started_at=facts.get("started"),
        ended_at=facts.get("ended"),
        last_at=facts.get("last"),
        media_types=("voice",),
        originating_direction="inbound",
        division_ids=(),
    )
    topic = "v2.routing.queues.q1.conversations"
    return Notification(
        topic=topic,
        body=body,
        identity=hashlib.blake2b(topic.encode() + body, digest_size=16).digest(),
        conversation_id=conversation_id,
        event_time=facts.get("last"),
        received_at=received,
        source="websocket",
        facts=live_facts,
    )


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a file."""
    connection = sqlite3.connect(path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "rollbook.db"


@pytest.fixture
def book(path: Path) -> Any:
    """A new store, opened."""
    with Book.open(path) as opened:
        yield opened


def rows(book: Book, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a table."""
    return book.read_now(lambda db: db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall())


# The file


def test_the_file_is_its_owners_alone(book: Book, path: Path) -> None:
    """The database, its WAL and its locks can be read by nobody else."""
    write(book, record("c1"))
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-lock")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600, name


def test_commits_are_durable_and_readers_do_not_wait(book: Book) -> None:
    """WAL, and synchronous=FULL on the connection that writes."""
    assert book.read_now(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"
    assert book.write(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]).result(10) == 2


def test_the_contracts_tables_and_columns_exist(book: Book) -> None:
    """What people build on is there."""
    expected = {
        "conversations": "conversation_id conversation_start conversation_end originating_direction media_types"
        " division_ids mos r_factor provenance first_seen_at reconciled_at details",
        "events": "topic conversation_id event_time received_at source body",
        "windows": "start end verdict attempts passes requests initial_total_hits final_total_hits unique duplicates"
        " owned missing changed unchanged ongoing live_only written seconds",
        "coverage": "source scope started_at ended_at end_reason",
        "gaps": "conversation_id window_start kind cause detected_at filled_at",
        "dead_letters": "source payload error received_at",
        "participants": "conversation_id participant_id purpose",
        "sessions": "conversation_id session_id media_type",
        "segments": "conversation_id segment_start segment_end segment_type",
        "metrics": "conversation_id name value emit_date",
        "media_endpoint_stats": "conversation_id min_mos min_r_factor codecs",
    }
    database = sqlite_utils.Database(str(book.path))
    try:
        for table, columns in expected.items():
            assert set(columns.split()) <= set(database[table].columns_dict), table
    finally:
        database.close()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at" * 50, b"x"])
def test_a_file_of_something_else_is_refused(path: Path, content: bytes) -> None:
    """A text file is not taken over, and stays as it was."""
    path.write_bytes(content)
    with pytest.raises(StoreForeign, match="choose another path"):
        Book.open(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(path: Path) -> None:
    """An SQLite file that is not ours is left alone."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(StoreForeign, match="another program"):
        Book.open(path)


def test_channels_are_kept_for_the_next_run(book: Book, path: Path) -> None:
    """Until when each of them lives; what was kept before is replaced, and what has ended is not answered."""
    book.write(channels.keep, ["2999-01-01T00:00:00.000Z"]).result()
    book.write(
        channels.keep, ["2999-01-03T00:00:00.000Z", "2001-01-01T00:00:00.000Z", "2999-01-02T00:00:00.000Z"]
    ).result()
    book.close()
    with Book.open(path) as again:
        assert again.read_now(channels.left, at(45)) == ["2999-01-02T00:00:00.000Z", "2999-01-03T00:00:00.000Z"]


def test_a_newer_store_is_refused(book: Book, path: Path) -> None:
    """A file of a later version is not touched."""
    book.close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(StoreForeign, match="newer rollbook"):
        Book.open(path)


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    """The message names the folder that is missing."""
    with pytest.raises(StoreUnwritable, match="does not exist"):
        Book.open(tmp_path / "no" / "rollbook.db")
    with pytest.raises(StoreUnwritable, match="is a folder"):
        Book.open(tmp_path)
    with pytest.raises(StoreUnwritable, match="no store at"):
        Book.open(tmp_path / "none.db", mode="ro")


def test_a_store_belongs_to_one_organisation(path: Path) -> None:
    """The first organisation is remembered, another is refused by name, and nothing is written."""
    with Book.open(path, organization=("o1", "Acme")) as book:
        assert book.read_now(schema.organization) == ("o1", "Acme")
    with pytest.raises(StoreForeign, match="belongs to the organisation Acme"):
        Book.open(path, organization=("o2", "Other"))
    with Book.open(path, organization=("o1", "Acme")) as book:
        assert book.read_now(schema.organization) == ("o1", "Acme")


def test_a_creation_that_was_cut_short_is_taken_up(path: Path) -> None:
    """A file that was marked as ours and has no tables yet is completed."""
    from rollbook.store.tables.schema import APPLICATION_ID

    half = sqlite3.connect(path)
    half.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    half.execute(
        "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)"
    )
    half.commit()
    half.close()
    with Book.open(path) as book:
        assert rows(book, "conversations", "count(*)") == [(0,)]


def test_a_creation_that_fails_leaves_an_empty_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables come all at once: a disk that is full at one of the last of them leaves none, and another try works."""
    statements = schema.statements

    def fails(file: str) -> Any:
        if file.startswith(f"{schema.VERSION - 1}_"):
            raise StoreUnwritable("the disk is full")
        return statements(file)

    monkeypatch.setattr(schema, "statements", fails)
    with pytest.raises(StoreError):
        Book.open(path)
    with contextlib.closing(sqlite3.connect(path)) as half:
        assert half.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    monkeypatch.undo()
    with Book.open(path) as book:
        assert rows(book, "conversations", "count(*)") == [(0,)]


# Details


def test_details_arrive_with_every_child_row(book: Book) -> None:
    """One read fills the conversation and its child tables, and keeps the API's bytes."""
    [row] = page(record("c1"))
    outcome = write(book, record("c1"))
    assert (outcome.classes, outcome.written) == ({"c1": "missing"}, 1)
    [(details, provenance, mos)] = rows(book, "conversations", "details", "provenance", "mos")
    assert details.encode() == row.raw
    assert (provenance, mos) == ("reconciled", 4.2)
    assert rows(book, "segments", "conversation_id", "segment_type") == [("c1", "interact")]
    assert rows(book, "metrics", "name", "value", "session_id") == [("nConnected", 1, "s1")]
    assert rows(book, "media_endpoint_stats", "min_mos", "codecs") == [(4.2, '["audio/opus"]')]


def test_the_same_page_again_changes_nothing(book: Book, path: Path) -> None:
    """A second run over the same truth writes no row of any table."""
    write(book, record("c1"), record("c2", end=None))
    before = dump(path)
    outcome = write(book, record("c1"), record("c2", end=None), as_of=at(50), run_at=at(50))
    assert (outcome.classes, outcome.written) == ({"c1": "unchanged", "c2": "unchanged"}, 0)
    assert dump(path) == before


def test_key_order_and_number_formats_are_no_change(book: Book) -> None:
    """A record with its keys in another order and 4.0 for 4 is the same record."""
    write(book, record("c1", mos=4))
    turned = dict(reversed(record("c1", mos=4.0).items()))
    assert write(book, turned, as_of=at(50), run_at=at(50)).written == 0


def test_a_change_replaces_the_rows_and_keeps_the_old_version(book: Book) -> None:
    """A record that was rewritten after its end replaces the rows; what it was is kept."""
    write(book, record("c1"))
    outcome = write(book, record("c1", mos=3.1), as_of=at(50), run_at=at(50))
    assert (outcome.classes, outcome.written, outcome.drifted) == ({"c1": "changed"}, 1, 1)
    assert rows(book, "media_endpoint_stats", "min_mos") == [(3.1,)]
    [(old,)] = rows(book, "conversation_versions", "details")
    assert json.loads(old)["mediaStatsMinConversationMos"] == 4.2
    assert [gap[:1] for gap in rows(book, "gaps", "kind")] == [("missing",)]


def test_an_ongoing_conversation_that_ends_is_no_drift(book: Book) -> None:
    """An ended record replacing an ongoing one keeps no version: nothing was rewritten."""
    write(book, record("c1", end=None))
    outcome = write(book, record("c1"), as_of=at(50), run_at=at(50))
    assert (outcome.written, outcome.drifted) == (1, 0)
    assert rows(book, "conversation_versions", "count(*)") == [(0,)]
    assert rows(book, "conversations", "conversation_end") == [(at(20),)]


def test_an_older_read_never_overwrites_a_newer_one(book: Book) -> None:
    """What a job read as of an earlier time leaves the newer read alone."""
    write(book, record("c1", mos=3.0), as_of=at(50))
    outcome = write(book, record("c1", mos=4.0), as_of=at(40), run_at=at(55))
    assert outcome.written == 0
    assert rows(book, "conversations", "mos") == [(3.0,)]


def test_attributes_are_kept_and_are_no_change(book: Book) -> None:
    """Participant attributes, which only jobs return, are stored and survive a read without them."""
    with_attributes = record("c1")
    with_attributes["participants"][0]["attributes"] = {"customer": "gold"}
    write(book, record("c1"))
    assert write(book, with_attributes, as_of=at(50), run_at=at(50)).written == 0
    assert write(book, record("c1", mos=3.0), as_of=at(55), run_at=at(55)).written == 1
    assert rows(book, "participant_attributes", "participant_id", "name", "value") == [("p1", "customer", "gold")]


def test_a_dry_run_answers_the_same_and_writes_nothing(book: Book, path: Path) -> None:
    """Comparing says what writing would say."""
    write(book, record("c1"), record("c2"))
    before = dump(path)
    found = page(record("c1"), record("c2", mos=1.5), record("c3"))
    comparison = book.read_now(conversations.compare, found, Read(at(50), NOW, at(50), frozenset(), book.lag))
    assert dump(path) == before
    did = write(book, record("c1"), record("c2", mos=1.5), record("c3"), as_of=at(50), run_at=at(50))
    assert comparison == replace(did, causes={})
    assert sum(did.causes.values()) == len(did.gaps) == 1
    assert comparison.classes == {"c1": "unchanged", "c2": "changed", "c3": "missing"}


def test_a_record_that_cannot_be_placed_is_stored_all_the_same(book: Book) -> None:
    """A start that is no time leaves the column empty, and the record whole."""
    write(book, record("c1") | {"conversationStart": "2021-04-2T15:30:51.418Z"})
    [(start, details)] = rows(book, "conversations", "conversation_start", "details")
    assert start is None
    assert json.loads(details)["conversationStart"] == "2021-04-2T15:30:51.418Z"


# Live capture and details together


def test_repeated_notifications_are_one_event(book: Book) -> None:
    """The same topic and content is one row, whatever it arrives by."""
    first = book.write(events.record, [event("c1"), event("c1")], book.lag).result(10)
    again = book.write(events.record, [event("c1", received=at(9))], book.lag).result(10)
    assert (first.events_new, first.events_repeated, again.events_new, again.events_repeated) == (1, 1, 0, 1)
    assert rows(book, "events", "received_at") == [(at(6),)]


def test_what_cannot_be_read_is_a_dead_letter(book: Book) -> None:
    """A payload that nobody understands is kept, byte order and all."""
    counts = book.write(
        events.record, [Unreadable(source="websocket", payload=b"\xff{", error="not JSON", received_at=at(6))], book.lag
    ).result(10)
    assert counts.dead_letters == 1
    assert rows(book, "dead_letters", "payload", "error") == [("\\xff{", "not JSON")]


def test_heard_conversations_are_filled_and_are_no_gap(book: Book) -> None:
    """A conversation heard from start to end is unchanged, is filled in, and has no gap."""
    book.write(
        events.record, [event("c1", started=at(5), ended=at(20), last=at(20), received=at(21))], book.lag
    ).result(10)
    outcome = write(book, record("c1"))
    assert (outcome.classes, outcome.written) == ({"c1": "unchanged"}, 1)
    assert rows(book, "gaps", "count(*)") == [(0,)]
    assert rows(book, "conversations", "provenance", "conversation_end") == [("both", at(20))]


def test_an_end_that_was_not_heard_is_a_gap(book: Book) -> None:
    """A conversation that ended without capture hearing it is changed, with its cause."""
    book.write(events.record, [event("c1", started=at(5), last=at(6))], book.lag).result(10)
    assert write(book, record("c1")).classes == {"c1": "changed"}
    assert rows(book, "gaps", "conversation_id", "window_start", "kind", "cause") == [
        ("c1", "2026-03-02T10:00:00.000Z", "changed", "disconnected")
    ]


def test_an_end_missed_is_found_when_a_followed_conversation_ends(book: Book) -> None:
    """A conversation that was read while it went on and ended unheard becomes a gap when its end is read."""
    book.write(events.record, [event("c1", started=at(5), last=at(6))], book.lag).result(10)
    write(book, record("c1", end=None))
    assert rows(book, "gaps", "count(*)") == [(0,)]
    write(book, record("c1", end=at(90)), as_of=at(95), run_at=at(95))
    assert rows(book, "gaps", "kind") == [("changed",)]


def test_a_store_is_not_closed_under_a_read(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read in another thread is waited for a while, and then left alone: SQLite would not survive it."""
    monkeypatch.setattr(read_connection, "_LAST_READ", 0.01)
    reading, closed = threading.Event(), threading.Event()

    def read(db: sqlite3.Connection) -> Any:
        reading.set()
        closed.wait(10)
        return db.execute("SELECT 1").fetchone()

    with ThreadPoolExecutor(1) as other:
        answer = other.submit(book.read_now, read)
        reading.wait(10)
        book.close()
        closed.set()
        assert answer.result(10) == (1,)
    book.close()
    with pytest.raises(StoreError):
        book.read_now(read)


def test_a_grid_that_changes_holds_from_then_on(book: Book) -> None:
    """What is read by id is filed under the width that is set now, not under the one of an earlier read."""
    for width, conversation_id in ((30, "c1"), (10, "c2")):
        read = Read(RUN_AT, NOW, RUN_AT, frozenset(), book.lag)
        details(
            book, page(record(conversation_id, minute=25)), read, window=None, width=timedelta(minutes=width)
        ).result(10)
    assert rows(book, "gaps", "conversation_id", "window_start") == [("c1", at(0)), ("c2", at(20))]


def test_a_row_of_another_window_is_filed_under_its_own(book: Book) -> None:
    """A gap of a conversation that this run does not own lies in the window that owns it."""
    write(book, record("c1", minute=45, end=at(50)))
    assert rows(book, "gaps", "window_start") == [("2026-03-02T10:30:00.000Z",)]


def test_an_event_after_the_read_asks_for_another_look(book: Book) -> None:
    """What happened after the read, or so shortly before that the index may not have had it, makes it doubtful.

    A read takes that down only when it is later than the event by more than the lag.
    """
    write(book, record("c1"), record("c2"))
    book.write(
        events.record, [event("c1", last=at(34), received=at(46)), event("c2", last=at(36), received=at(46))], book.lag
    ).result(10)
    assert [row.conversation_id for row in book.read_now(conversations.open_conversations)] == ["c2"]
    book.write(events.record, [event("c1", body=b"{}", last=at(50), received=at(51))], book.lag).result(10)
    assert [row.conversation_id for row in book.read_now(conversations.open_conversations)] == ["c1", "c2"]
    for minute, doubtful in ((55, ["c1"]), (59, ["c1"]), (61, [])):
        write(book, record("c1"), record("c2"), as_of=at(minute), run_at=at(minute))
        assert [row.conversation_id for row in book.read_now(conversations.open_conversations)] == doubtful


def test_seen_first_during_the_run_counts_as_missing(book: Book) -> None:
    """The store as it stood when the run began decides."""
    book.write(
        events.record, [event("c1", started=at(5), ended=at(20), last=at(20), received=at(46))], book.lag
    ).result(10)
    assert write(book, record("c1")).classes == {"c1": "missing"}


def test_live_only_is_filed_and_explained_when_it_turns_up(book: Book) -> None:
    """A conversation that the platform does not list is an anomaly until a read brings it."""
    book.write(events.record, [event("c1", started=at(5), last=at(6)), event("c2", body=b"{}")], book.lag).result(10)
    assert book.read_now(conversations.live_only_ids, *WINDOW.texts) == ["c1", "c2"]
    book.write(gaps.add, [gaps.Gap("c1", at(0), GapKind.LIVE_ONLY, "unknown", at(45), None)]).result(10)
    write(book, record("c1"), as_of=at(50), run_at=at(50))
    assert rows(book, "gaps", "kind", "filled_at IS NOT NULL") == [("live_only", 1), ("changed", 1)] or rows(
        book, "gaps", "kind", "filled_at IS NOT NULL"
    ) == [("changed", 1), ("live_only", 1)]


def test_what_is_asked_for_beside_others_has_ended_if_any_has(book: Book) -> None:
    """The newest that has ended; without one, one that goes on, were it stuck; never one that is gone."""
    write(book, record("c1", end=None), record("c2", end=None))
    assert book.read_now(conversations.a_listed_id, ["c1", "c2"]) is None
    book.write(conversations.mark, ["c1"], SetAside.STUCK).result(10)
    book.write(conversations.mark, ["c2"], SetAside.GONE).result(10)
    assert book.read_now(conversations.a_listed_id) == "c1"
    write(book, record("c3", minute=1), record("c4", minute=2))
    assert (
        book.read_now(conversations.a_listed_id),
        book.read_now(conversations.a_listed_id, ["c4"]),
        book.read_now(conversations.a_listed_id, ["c3", "c4"]),
    ) == ("c4", "c3", "c1")


def test_stuck_and_gone_hold_nothing_up(book: Book) -> None:
    """A conversation that never ends stops counting as ongoing, and is asked for no more, unless it speaks again."""
    write(book, record("c1", end=None), record("c2", end=None))
    assert book.read_now(conversations.ongoing_count, *WINDOW.texts) == 2
    book.write(conversations.mark, ["c1"], SetAside.STUCK).result(10)
    book.write(conversations.mark, ["c2"], SetAside.GONE).result(10)
    assert (
        book.read_now(conversations.ongoing_count, *WINDOW.texts),
        book.read_now(conversations.open_conversations),
    ) == (0, [])
    book.write(events.record, [event("c1", last=at(70), received=at(71))], book.lag).result(10)
    assert [row.conversation_id for row in book.read_now(conversations.open_conversations)] == ["c1"]


# The ledger


def run(verdict: str = "complete", *, start: datetime = START, minutes: int = 30, **more: Any) -> RunRecord:
    """A run as the reconciler files it."""
    from rollbook.genesys.times import to_text

    values: dict[str, Any] = {
        "start": to_text(start),
        "end": to_text(start + timedelta(minutes=minutes)),
        "filter": "",
        "command": "manual",
        "via": "query",
        "started_at": RUN_AT,
        "finished_at": RUN_AT,
        "as_of": RUN_AT,
        "verdict": verdict,
        "reason": None,
        "reading": "interval",
        "passes_json": "[]",
        "id_digest": b"1",
        "query_json": "{}",
        "divisions_json": None,
        "seconds": 0.5,
        "figures": {"unique": 2, "owned": 2, "passes": 1},
    }
    return RunRecord(**(values | more))


def test_the_ledger_keeps_every_run(book: Book) -> None:
    """A window has one row with its last figures, and a row for each run."""
    book.write(windows.finish, run("failed", reason="moved", next_try_at=at(60))).result(10)
    book.write(windows.finish, run("complete")).result(10)
    window = book.read_now(windows.find, at(0), at(30))
    assert window is not None
    assert (window.verdict, window.attempts, window.unique, window.reason) == ("complete", 2, 2, None)
    assert [run["verdict"] for run in book.read_now(windows.runs, at(0), at(30))] == ["failed", "complete"]


def test_verdicts_follow_what_follow_up_found(book: Book) -> None:
    """An open window is complete once its last conversation has ended, and open again if one goes on again."""
    write(book, record("c1", end=None))
    book.write(windows.finish, run("open")).result(10)
    assert book.write(windows.refresh, at(50)).result(10) == 0
    write(book, record("c1"), as_of=at(50), run_at=at(50))
    assert book.write(windows.refresh, at(51)).result(10) == 1
    assert book.read_now(windows.find, at(0), at(30)).verdict == "complete"  # type: ignore[union-attr]
    write(book, record("c1", end=None), as_of=at(55), run_at=at(55))
    assert book.write(windows.refresh, at(56)).result(10) == 1
    assert book.read_now(windows.find, at(0), at(30)).verdict == "open"  # type: ignore[union-attr]
    assert len(book.read_now(windows.runs, at(0), at(30))) == 3


def test_grid_windows_inherit_a_proof_and_keep_a_better_one(book: Book) -> None:
    """Windows inside an interval that was read take over its proof; a settled one keeps its own."""
    write(book, record("c1"), record("c2", minute=40, end=None), window=Interval(START, START + timedelta(hours=1)))
    book.write(windows.finish, run("settled", settled=True)).result(10)
    book.write(windows.finish, run("open", minutes=60)).result(10)
    children = [(at(0), at(30)), (at(30), at(60))]
    assert book.write(windows.inherit, (at(0), at(60), ""), children, at=at(70)).result(10) == 1
    assert [
        (w.verdict, w.owned)
        for w in book.read_now(windows.listed, since=at(0), until=at(60))
        if w.end != at(60) or w.start == at(30)
    ]
    assert book.read_now(windows.find, *children[0]).verdict == "settled"  # type: ignore[union-attr]
    assert book.read_now(windows.find, *children[1]).verdict == "open"  # type: ignore[union-attr]


# Coverage


def test_a_killed_daemons_span_ends_at_its_last_sign_of_life(book: Book) -> None:
    """What nobody closed is closed where it was last known to be alive."""
    span = book.write(coverage.begin, "websocket", "queues", ["t1", "t2"], at(0)).result(10)
    other = book.write(coverage.begin, "websocket", "users", ["t3"], at(0)).result(10)
    book.write(coverage.alive, [span, other], at(10)).result(10)
    book.write(coverage.end, span, at(12), "disconnected").result(10)
    assert book.write(coverage.close_stale, NOW).result(10) == 1
    spans = book.read_now(coverage.overlapping, at(0), at(60))
    assert {(s.topics, s.ended_at, s.end_reason) for s in spans} == {
        (("t1", "t2"), at(12), "disconnected"),
        (("t3",), at(10), "killed"),
    }
    assert book.read_now(coverage.since) == at(0)


def test_a_killed_daemons_span_does_not_end_in_the_future(book: Book) -> None:
    """A sign of life that a clock gave before it was set back is no end; nor does a span end before it began."""
    for began, alive in ((10, 50), (48, 55)):
        span = book.write(coverage.begin, "websocket", "queues", [f"t{began}"], at(began)).result(10)
        book.write(coverage.alive, [span], at(alive)).result(10)
    assert book.write(coverage.close_stale, NOW).result(10) == 2
    assert rows(book, "coverage", "ended_at") == [(at(45),), (at(48),)]


def test_spans_that_heard_the_same_share_it(book: Book) -> None:
    """A month of a line's spans holds its thousand topics once."""
    for minute in (0, 10):
        for topics in (["t1", "t2"], ["t3"]):
            span = book.write(coverage.begin, "websocket", "line 1", topics, at(minute)).result(10)
            book.write(coverage.end, span, at(minute + 5), "stopped")
    first, other, second, another = book.read_now(coverage.overlapping, at(0), at(60))
    assert (first.topics, other.topics) == (("t1", "t2"), ("t3",))
    assert first.topics is second.topics
    assert other.topics is another.topics


def test_refused_topics_are_remembered_until_they_are_granted(book: Book) -> None:
    """A topic that was refused is listed with what it lacks."""
    book.write(
        coverage.reject, [{"topic": "t1", "reason": "not permitted", "missing_permissions": ["a:b:c"]}], at(0)
    ).result(10)
    assert [(topic["topic"], topic["missing_permissions"]) for topic in book.read_now(coverage.rejected)] == [
        ("t1", ["a:b:c"])
    ]
    book.write(coverage.accept, ["t1"]).result(10)
    assert book.read_now(coverage.rejected) == []


# Writing


def test_a_failing_job_takes_nothing_with_it(book: Book) -> None:
    """What is committed together is still separate: one failure undoes one job."""
    hold: Future[None] = Future()
    book.write(lambda db: hold.result(10))
    good = book.write(lambda db: db.execute("INSERT INTO dead_letters VALUES (1, 'a', 'b', 'c', 'd')"))
    bad = book.write(lambda db: db.execute("INSERT INTO dead_letters VALUES (2, NULL, 'b', 'c', 'd')"))
    after = book.write(lambda db: db.execute("INSERT INTO dead_letters VALUES (3, 'a', 'b', 'c', 'd')"))
    hold.set_result(None)
    good.result(10)
    after.result(10)
    with pytest.raises(StoreError):
        bad.result(10)
    assert rows(book, "dead_letters", "dead_letter_id") == [(1,), (3,)]


def _handled(conversation_id: str, seconds: int) -> dict[str, Any]:
    """A conversation that `queue_intervals` counts."""
    made = record(conversation_id)
    made["participants"][0]["sessions"][0]["metrics"] = [
        {"name": "tHandle", "value": 1000 * seconds, "emitDate": at(minute)} for minute in (10, 40)[: 1 + seconds % 2]
    ]
    return made


def _held_up(_: sqlite3.Connection, until: Future[None]) -> None:
    until.result(10)


def _deleted(db: sqlite3.Connection, conversation_id: str) -> None:
    for number in numbers.known(db, [conversation_id]).values():
        child_rows.delete(db, number, number)


def _job(book: Book, what: str, conversation_id: str, seconds: int) -> Future[Any]:
    """Something that writes or looks at half hours; whatever is done in which order, the later one counts."""
    if what == "read":
        read = Read(at(50, seconds), at(51), RUN_AT, frozenset(), book.lag)
        return details(book, page(_handled(conversation_id, seconds)), read, window=WINDOW)
    if what == "delete":
        return book.write(_deleted, conversation_id)
    return book.write(rebuild.step, 0, book.lag) if what == "rebuild" else book.write(lambda db: 1 // 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "read", "delete", "rebuild", "fail"]), st.sampled_from("abc")),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_half_hours_are_the_same_however_jobs_are_committed_together(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    """In one transaction or each in its own: the same rows, the same answers, and they are what the metrics say."""
    found, answers = [], []
    for alone in (True, False):
        hold: Future[None] = Future()
        with Book.open(tmp_path_factory.mktemp("together") / "rollbook.db") as book:
            if not alone:
                book.write(_held_up, hold)
            jobs = []
            for second, step in enumerate(steps):
                jobs.append(_job(book, *step, second))
                if alone:
                    wait([jobs[-1]])
            hold.set_result(None)
            wait(jobs)
            answers.append([str(job.exception()) if job.exception() else job.result() for job in jobs])
            found.append(rows(book, "half_hour_rows", "*"))
            assert rows(book, "half_hour_rows", "count(*), coalesce(sum(handle), 0)") == rows(
                book, "metric_rows", "count(*), coalesce(sum(value), 0)"
            )
            rebuild.rebuild(book)
            assert rebuild.rebuild(book)[1] == 0, "it makes what it has just made"
    assert found[0] == found[1]
    assert answers[0] == answers[1]


def test_a_page_whose_half_hours_cannot_be_made_takes_nothing_with_it(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made when all of a group has run, and still its other jobs are written."""
    real = half_hours.make_due

    def refuse_a(db: sqlite3.Connection) -> None:
        if numbers.known(db, ["a"]):
            raise OverflowError("too much")
        real(db)

    monkeypatch.setattr(half_hours, "make_due", refuse_a)
    hold: Future[None] = Future()
    book.write(_held_up, hold)
    bad, good = (_job(book, "read", conversation_id, 1) for conversation_id in "ab")
    hold.set_result(None)
    good.result(10)
    with pytest.raises(OverflowError):
        bad.result(10)
    assert rows(book, "conversations", "conversation_id") == [("b",)]
    assert len(rows(book, "half_hour_rows", "id")) == 2


@pytest.mark.parametrize("value", [10**12, 10**15, -(10**15), 2**63 - 1, 1e300])
def test_no_metrics_are_too_large_for_their_sums(book: Book, value: float) -> None:
    """However many a conversation has, it is stored, and its half hours count what can be a metric."""
    made = _handled("a", 1)
    [session] = made["participants"][0]["sessions"]
    session["metrics"] = [{"name": "tHandle", "value": value, "emitDate": at(10)}] * 10_000
    write(book, made)
    assert rows(book, "metric_rows", "count(*)") == [(10_000,)]
    assert rows(book, "half_hour_rows", "handled", "handle") == [(10_000, 10**16 if value == 10**12 else None)]
    assert rebuild.rebuild(book)[1] == 0


def test_a_write_says_that_it_ran_before_it_is_committed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What commits is not waited for by who only waits for its turn; and a write that failed holds up nobody."""
    may_commit: Future[None] = Future()

    @contextlib.contextmanager
    def slow(db: sqlite3.Connection) -> Iterator[None]:
        with transaction(db):
            yield
            may_commit.result(10)

    with Book.open(path) as book:
        monkeypatch.setattr(writer_module, "transaction", slow)
        wrote = book.write(lambda db: 7)
        wrote.ran.result(10)
        assert not wrote.done()
        may_commit.set_result(None)
        assert wrote.result(10) == 7
        failed = book.write(lambda db: 1 // 0)
        failed.ran.result(10)
        with pytest.raises(ZeroDivisionError):
            failed.result(10)


def test_a_write_that_was_taken_back_holds_up_nobody(book: Book) -> None:
    """It never runs, and says so to who waits for its turn; that wait itself cannot be taken back."""
    hold: Future[None] = Future()
    first = book.write(lambda db: hold.result(10))
    second = book.write(lambda db: 1)
    assert second.cancel()
    assert not second.ran.cancel()
    hold.set_result(None)
    second.ran.result(10)
    first.result(10)


def test_a_failing_page_counts_no_cause_twice(book: Book) -> None:
    """A group that is run again, one by one, files and counts every gap once."""
    hold: Future[None] = Future()
    book.write(lambda db: hold.result(10))
    wrote = details(
        book, page(record("c1"), record("c2")), Read(at(50), NOW, at(50), frozenset(), book.lag), window=None
    )
    bad = book.write(lambda db: 1 // 0)
    hold.set_result(None)
    assert wrote.result(10).causes == {"disconnected": 2}
    with pytest.raises(ZeroDivisionError):
        bad.result(10)
    assert rows(book, "gaps", "conversation_id", "cause") == [("c1", "disconnected"), ("c2", "disconnected")]


def test_a_closed_book_is_one_file(path: Path) -> None:
    """After a clean end nothing is left in the write-ahead log: a copy of the one file has everything."""
    with Book.open(path) as book:
        book.write(coverage.reject, [{"topic": "t1", "reason": "r", "missing_permissions": []}], at(0)).result(10)
    assert not Path(f"{path}-wal").exists()
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    with Book.open(copy, mode="ro") as book:
        assert [topic["topic"] for topic in book.read_now(coverage.rejected)] == ["t1"]


def test_a_closed_book_says_so(path: Path) -> None:
    """Writing after closing is an error, not silence."""
    book = Book.open(path)
    book.close()
    book.close()
    with pytest.raises(StoreError, match="closed"):
        book.write(events.record, [], book.lag)


def test_a_long_foreign_lock_is_one_clear_line(path: Path) -> None:
    """When another program keeps the file locked, the write fails with words, and the next one works."""
    with Book.open(path, busy=0.05) as book:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="let it finish"):
            book.write(events.record, [event("c1")], book.lag).result(10)
        other.execute("ROLLBACK")
        other.close()
        assert book.write(events.record, [event("c1")], book.lag).result(10).events_new == 1


def test_two_books_write_to_one_file(path: Path) -> None:
    """Two writers at once, thousands of transactions, nothing lost and nothing locked."""
    with Book.open(path) as first, Book.open(path) as two:
        pending: list[Future[Any]] = []

        def many(book: Book, name: str) -> None:
            for index in range(300):
                pending.append(
                    book.write(
                        events.record, [event(f"{name}{index}", body=json.dumps([name, index]).encode())], book.lag
                    )
                )

        threads = [threading.Thread(target=many, args=(book, name)) for book, name in ((first, "a"), (two, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for future in pending:
            future.result(30)
        assert rows(first, "events", "count(*)") == [(600,)]
        assert rows(two, "conversations", "count(*)") == [(600,)]


# Locks


def test_overlapping_windows_exclude_each_other(book: Book, path: Path) -> None:
    """A window that overlaps one being worked on is refused with its holder; its neighbour is not."""
    wider = Interval(START - timedelta(minutes=5), START + timedelta(minutes=1))
    after = Interval(WINDOW.end, WINDOW.end + timedelta(minutes=30))
    with book.lock_window(WINDOW, command="reconcile --window"):
        with pytest.raises(LockHeld, match="reconcile --window"), book.lock_window(wider, wait=0):
            pass
        with book.lock_window(after, wait=0):
            pass
    with book.lock_window(wider, wait=0):
        pass


HOLDER = """
import sys
from rollbook.store.book import Book
with Book.open(sys.argv[1]) as book, book.lock_daemon():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.process
def test_a_lock_names_its_process_and_dies_with_it(path: Path) -> None:
    """Another process' lock is refused with its number; killed, it holds nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with Book.open(path) as book:
            words = rf"(?s)has a daemon already: process {other.pid} .*; stop it, or give .* --db$"
            with pytest.raises(LockHeld, match=words), book.lock_daemon():
                pass
            other.kill()
            other.wait()
            with book.lock_daemon():
                pass


VISITOR = """
import sys
from rollbook.store.book import Book
from rollbook.store.tables import windows

with Book.open(sys.argv[1]) as book:
    book.write(windows.note, [("2026-03-02T10:00:00.000Z", "2026-03-02T10:30:00.000Z", "pending")], "").result()
"""


@pytest.mark.process
def test_a_visitor_takes_no_log_away(path: Path) -> None:
    """What is written after another process came and went is there, whatever else this process opened and closed.

    (To close any descriptor of the file is to lose SQLite's locks on it; the visitor then removes the log in use.)
    """
    with Book.open(path) as book:
        for mode in ("ro", "rw"):
            Book.open(path, mode=mode).close()
        subprocess.run([sys.executable, "-c", VISITOR, str(path)], check=True, cwd=Path.cwd(), timeout=60)
        write(book, record("c1"))
        fresh = sqlite3.connect(path)
        try:
            assert fresh.execute("SELECT count(*) FROM conversations").fetchone() == (1,)
            assert fresh.execute("SELECT count(*) FROM windows").fetchone() == (1,)
        finally:
            fresh.close()


def test_only_one_book_checkpoints(path: Path) -> None:
    """One connection checkpoints; when it closes, another takes over."""

    def pages(book: Book) -> int:
        return int(book.write(lambda db: db.execute("PRAGMA wal_autocheckpoint").fetchone()[0]).result(10))

    first, two = Book.open(path), Book.open(path)
    assert (pages(first) > 0, pages(two)) == (True, 0)
    first.close()
    for index in range(70):
        two.write(events.record, [event(f"c{index}", body=str(index).encode())], two.lag).result(10)
    assert pages(two) > 0
    two.close()


def test_the_store_is_readable_without_write_permission(book: Book, path: Path) -> None:
    """Reports open the file for reading only."""
    write(book, record("c1"))
    with Book.open(path, mode="ro") as reader:
        assert rows(reader, "conversations", "count(*)") == [(1,)]
        with pytest.raises(StoreUnwritable, match="reading only"):
            reader.write(events.record, [], reader.lag)
    assert os.access(path, os.R_OK)


def test_an_older_file_that_is_only_read_says_what_brings_it_up_to_date(tmp_path: Path) -> None:
    """Reading alone makes no tables: one clear line, and after any program that writes it can be read."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.execute("DROP TABLE asked_by_id")
        older.execute("PRAGMA user_version = 3")
    with pytest.raises(StoreUnwritable, match="earlier version") as said:
        Book.open(path, mode="ro")
    assert "rollbook rebuild" in str(said.value)


def test_what_waits_is_written_though_nobody_checkpoints_at_the_end(tmp_path: Path) -> None:
    """Closed while a job is under way, after which it would become the one that checkpoints: the next job is answered."""
    book = Book.open(tmp_path / "rollbook.db")
    assert book._role is not None
    assert book._writer is not None
    book._role.release()  # as if another process had checkpointed, and had just ended
    book._role._commits = 63
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(20)

    book.write(slow)
    assert begun.wait(20)
    waits = book.write(lambda _: 7)
    closing = threading.Thread(target=book.close, daemon=True)
    closing.start()
    while not book._writer._closed:
        closing.join(0.001)
    go_on.set()
    assert waits.result(20) == 7
    closing.join(20)
    assert not closing.is_alive()
    with Book.open(tmp_path / "rollbook.db") as again:
        assert again._role is not None
        assert again._role._ours, "nobody holds on to it"
