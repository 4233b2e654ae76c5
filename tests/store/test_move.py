"""A store of an earlier schema is moved to a new file with every row, whatever happens on the way, and no other way."""

import json
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.errors import Interrupted
from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator.notifications import detail_events
from rollbook.simulator.organisation.world import World
from rollbook.store.bodies import packing
from rollbook.store.book import Book
from rollbook.store.file import copying, earlier_rows, locks, move, upgrade
from rollbook.store.file.errors import LockHeld, StoreBusy, StoreDamaged, StoreFull, StoreUnwritable
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import events, schema, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.tables.schema import VERSION
from tests.helpers.whole import killed_at, rollbook
from tests.stores import as_schema_5, load

START: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
LONG_AFTER: Final = START + timedelta(days=60)
LAG: Final = timedelta(minutes=10)
FOLDED: Final = ("body", "details")
# The names that the earlier schemas have, which are read today as they were then.
NAMES: Final = (
    "organization",
    "conversations",
    "conversation_versions",
    "participant_attributes",
    "events",
    "dead_letters",
    "windows",
    "window_runs",
    "topic_sets",
    "coverage",
    "rejected_topics",
    "gaps",
    "participants",
    "sessions",
    "segments",
    "metrics",
    "media_endpoint_stats",
    "flows",
    "flow_outcomes",
    "evaluations",
    "surveys",
    "resolutions",
    "unfinished_readings",
    "channels",
    "asked_by_id",
    "store_notes",
    "store_sizes",
)


def query(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, values).fetchall()


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that people read, with bodies unpacked; the rows of a table in one order."""
    with closing(sqlite3.connect(path, factory=packing.PackingConnection)) as db:
        db.create_function("unpacked", 1, lambda body: None if body is None else packing.text(db, body))
        found = {}
        for table in NAMES:
            names = [row[1] for row in db.execute(f"PRAGMA table_info ({table})") if row[1] != "rowid"]
            values = ", ".join(f'unpacked("{name}")' if name in FOLDED else f'"{name}"' for name in names)
            rows = db.execute(f"SELECT {values} FROM {table}").fetchall()
            # A file that is written anew has nothing that was deleted, and says so.
            found[table] = sorted((row for row in rows if row[0] != "overwrites"), key=repr)
        return found


def without_identities(found: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """The same without what an event is recognised by, which is made again."""
    return {**found, "events": [row[:-1] for row in found["events"]]}


class Inputs:
    """What a store gets: pages of details, and batches of events."""

    def __init__(self, conversations: int, seed: int = 3) -> None:
        world = World(seed, START, 600, 5, 40, variety=True)
        world.grow(START + timedelta(hours=conversations / 600))
        self.pages: list[list[DetailRow]] = []
        self.batches: list[list[Notification]] = []
        for place in range(0, len(world.conversations), 100):
            some = world.conversations[place : place + 100]
            # Of some there are details alone, of others events.
            captured = [life for number, life in enumerate(some) if number % 9]
            self.batches.append([event for life in captured for event in self._events(life.view(LONG_AFTER))])
            read = [life for number, life in enumerate(some) if number % 10]
            self.pages.append([row_of(json.dumps(life.with_attributes(LONG_AFTER)).encode()) for life in read])
            # Some are read again when they have changed.
            again = [{**life.view(LONG_AFTER), "externalTag": "x"} for life in read[::7]]
            self.pages.append([row_of(json.dumps(record).encode()) for record in again])

    def _events(self, record: dict[str, Any]) -> Iterator[Notification]:
        for found in detail_events.events(record):
            topic = f"v2.detail.events.conversation.{record['conversationId']}.{found.member}"
            frame = json.dumps({"topicName": topic, "eventBody": found.body})
            at = to_text(found.at + timedelta(seconds=1))
            event = parse_frame(frame, source="websocket", received_at=at)
            assert isinstance(event, Notification)
            yield event

    def write(self, book: Book) -> None:
        """Write all of it."""
        window = Interval(START, START + timedelta(minutes=30))
        for batch in self.batches:
            book.write(events.record, batch, LAG).result()
        for number, rows in enumerate(self.pages):
            at = to_text(LONG_AFTER + timedelta(minutes=number))
            read = Read(at, at, at, frozenset(), LAG)
            book.write(
                windows.write_details,
                rows,
                read,
                window=window,
                width=window.end - window.start,
                cause=lambda *_: "lost",
            ).result()


INPUTS: Final = Inputs(120)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of today's schema, in which nothing is packed."""
    path = tmp_path_factory.mktemp("fresh") / "fresh.db"
    with Book.open(path, organization=("o1", "Example"), pack="none") as book:
        INPUTS.write(book)
    return path


@pytest.fixture(scope="module")
def earlier(fresh: Path) -> Path:
    """The same as the code of schema 5 had written it."""
    path = fresh.with_name("earlier.db")
    as_schema_5(fresh, path)
    return path


@pytest.fixture
def store(earlier: Path, tmp_path: Path) -> Path:
    """A copy of that, to be moved."""
    return Path(shutil.copy(earlier, tmp_path / "rollbook.db"))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows in a transaction."""
    monkeypatch.setattr(earlier_rows, "CONVERSATIONS", 7)
    monkeypatch.setattr(earlier_rows, "EVENTS", 50)


def open_again(store: Path, **how: Any) -> None:
    """Bring the store up to date."""
    Book.open(store, **how).close()


def is_alone(store: Path) -> bool:
    """Say whether nothing is left beside a store but its locks."""
    return {path.name for path in store.parent.iterdir()} == {store.name, f"{store.name}-lock"}


# Every row


def test_a_moved_store_is_what_a_new_one_would_be(store: Path, fresh: Path) -> None:
    """The same inputs stored by today's code alone make the same rows, in every column, identities too."""
    assert query(store, "PRAGMA user_version") == [(5,)]
    assert all(
        contents(store)[table] for table in ("conversation_versions", "participant_attributes", "gaps", "surveys")
    )
    open_again(store, pack="none")
    found, expected = contents(store), contents(fresh)
    for table in NAMES:
        assert found[table] == expected[table], table
    assert query(store, "PRAGMA integrity_check") == [("ok",)]
    assert is_alone(store)
    with Book.open(store) as book:
        assert rebuild(book)[1] == 0, "nothing that is derived is other than it is made today"


def test_a_moved_store_has_what_a_new_one_has_beside_it(store: Path, fresh: Path, small_steps: None) -> None:
    """Also what no earlier schema had: every other table, and every view, the ids that details name among them."""
    open_again(store)
    expected = read_today(fresh)
    met = {kind for kind, *_ in expected["ids_met"]}
    assert met >= {"queue", "user", "wrapupcode", "division", "flow", "skill", "language"}
    assert expected["names"], "words are their own names"
    assert all(expected[view] for view in ("queue_intervals", "agent_days", "queue_legs", "agent_legs", "mos_legs"))
    found = read_today(store)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name


# What another order of numbers makes another, what is packed, and what is said of the file itself.
NOT_COMPARED: Final = {"number", "rowid", "queue", *FOLDED}
OF_THE_FILE: Final = {"_sqlite_migrations", "store_notes", "dictionaries", "texts", "conversation_ids"}


def read_today(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table and view but those that bear a conversation's number in their keys."""
    with closing(sqlite3.connect(path)) as db:
        made = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' ORDER BY 1"
        found = {}
        for (name,) in db.execute(made).fetchall():
            names = [row[1] for row in db.execute(f"PRAGMA table_info ({name})") if row[1] not in NOT_COMPARED]
            if name not in OF_THE_FILE and not name.endswith("_rows"):
                values = ", ".join(f'"{column}"' for column in names)
                found[name] = sorted(db.execute(f"SELECT {values} FROM {name}").fetchall(), key=repr)
        return found


def test_numbers_follow_the_start_of_conversations(store: Path) -> None:
    """What began earlier has the lower number, so that rows of a time stand together."""
    open_again(store)
    starts = [start for (start,) in query(store, "SELECT conversation_start FROM conversations ORDER BY rowid")]
    assert len(starts) >= 100
    assert starts == sorted(starts)


def test_what_is_delivered_again_is_known(store: Path) -> None:
    """Events that a store had before it was moved are not stored twice."""
    open_again(store)
    before = contents(store)
    with Book.open(store) as book:
        for batch in INPUTS.batches:
            assert book.write(events.record, batch, LAG).result().events_new == 0
    assert contents(store) == before


@pytest.mark.parametrize("pack", ["none", "events", "all"])
def test_bodies_are_packed_as_the_setting_says(pack: packing.Mode, store: Path, fresh: Path) -> None:
    """In the new file at once, with a dictionary that is learnt from what is there; and read as they were."""
    open_again(store, pack=pack)
    assert contents(store) == contents(fresh)
    for kind, column in (("event_rows", "body"), ("detail_rows", "details")):
        is_packed = pack == "all" or (pack == "events" and kind == "event_rows")
        kinds = dict(query(store, f"SELECT typeof({column}), count(*) FROM {kind} GROUP BY 1"))
        enough = query(store, "SELECT count(*) FROM dictionaries WHERE kind = ?", kind.partition("_")[0][:6]) != [(0,)]
        assert (kinds.get("blob", 0) > kinds.get("text", 0)) == is_packed or not enough


def test_every_small_thing_of_old_stores_is_there(tmp_path: Path, fresh: Path) -> None:
    """Odd topics and bodies, events of nobody, gaps and versions of conversations that are not there."""
    store = tmp_path / "rollbook.db"
    load(5, store)
    with closing(sqlite3.connect(store)) as db, db:
        rows = [
            ("v2.users.u1.presence", None, None, "null"),
            ("v2.{id}.c1", "c1", None, "[1.0, 2]"),
            ("v2.conversations.c1.c1.x", "c1", None, '{"a": 1.0}'),
            ("v2.conversations.C1", "c1", "2026-03-02T10:00:00.000Z", '"text"'),
            ("v2.conversations.nobody", "nobody", None, "[]"),
            ("v2.broken", None, None, "no JSON"),
        ]
        for number, (topic, conversation_id, at, body) in enumerate(rows):
            db.execute(
                "INSERT INTO events (topic, conversation_id, event_time, received_at, source, body, identity)"
                " VALUES (?, ?, ?, '2026-03-02T10:00:00.000Z', 'sqs', ?, ?)",
                (topic, conversation_id, at, body, bytes([number] * 16)),
            )
        db.execute("INSERT INTO gaps VALUES ('gone', '2026-03-02T10:00:00.000Z', 'missing', 'x', 'y', NULL)")
        db.execute("INSERT INTO conversation_versions VALUES ('gone too', 'a', 'b', '{}')")
        db.execute("INSERT INTO participant_attributes VALUES ('gone', 'p', 'n', NULL)")
        db.execute("UPDATE conversations SET details = 'no JSON' WHERE conversation_id = 'c6'")
    before = contents(store)
    open_again(store)
    after = contents(store)
    children = [table for table in NAMES if any(row[0] == "c6" for row in before[table])][-5:]
    for table in NAMES:
        was = [row for row in before[table] if table not in children or row[0] != "c6"]
        now = after[table]
        assert ([row[:-1] for row in now] == [row[:-1] for row in was]) if table == "events" else now == was, table


def test_events_that_are_the_same_by_now_are_kept_once(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first of them stays; how many were left out is said."""
    count = query(store, "SELECT count(*) FROM events")[0][0]
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(
            "INSERT INTO events (topic, conversation_id, event_time, received_at, source, body, identity)"
            " SELECT topic, conversation_id, event_time, 'later', source, body, randomblob(16) FROM events WHERE event_id <= 3"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "_look", _crashing(upgrade._look, "_look", 0, []))
        with pytest.raises(Crash):
            open_again(store)
    assert upgrade.copy_before(store).exists()
    open_again(store)
    assert query(store, "SELECT count(*) FROM events WHERE received_at <> 'later'") == [(count,)]
    assert query(store, "SELECT count(*) FROM events") == [(count,)]
    assert any("3 events were stored twice, and are kept once" in record.getMessage() for record in caplog.records)
    assert is_alone(store)
    open_again(store)


def test_what_the_user_has_made_is_brought_along(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Own tables, with indexes, triggers and views; what stands on a table that is a view now is named."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute('CREATE TABLE "my notes" (about TEXT, "the note" TEXT, loud TEXT AS (upper(about)))')
        db.execute("INSERT INTO \"my notes\" VALUES ('c1', 'call back')")
        db.execute('CREATE INDEX mine ON "my notes" (about)')
        db.execute("CREATE VIEW calls AS SELECT * FROM conversations WHERE media_types LIKE '%voice%'")
        db.execute("CREATE VIEW wrapups AS SELECT wrap_up_code FROM segments")
        db.execute("CREATE INDEX by_wrap_up ON segments (wrap_up_code)")
        db.execute("CREATE INDEX letters_by_source ON dead_letters (source)")
        db.execute("CREATE TRIGGER watched AFTER INSERT ON events BEGIN SELECT 1; END")
    calls = query(store, "SELECT count(*) FROM calls")
    open_again(store)
    assert query(store, 'SELECT * FROM "my notes"') == [("c1", "call back", "C1")]
    assert query(store, "SELECT count(*) FROM calls") == calls
    made = {name for (name,) in query(store, "SELECT name FROM sqlite_master")}
    assert {"mine", "letters_by_source"} <= made
    lost = "made by others and not brought along: index by_wrap_up, view wrapups, trigger watched; they stood on"
    assert any(lost in record.getMessage() for record in caplog.records)


def test_a_full_text_index_has_to_be_dropped_first(store: Path) -> None:
    """Such a table is no rows: the line says which it is, and the store stays as it was."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("CREATE VIRTUAL TABLE found USING fts5 (words)")
        db.execute("CREATE TABLE texts (text)")
    with pytest.raises(
        StoreUnwritable, match=r"of another program that cannot be brought along \(found, texts\).*drop them"
    ):
        open_again(store)
    assert query(store, "PRAGMA user_version") == [(5,)]
    assert not upgrade.new_file(store).exists()
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DROP TABLE found")
        db.execute("DROP TABLE texts")
    open_again(store)
    assert query(store, "PRAGMA user_version") == [(VERSION,)]


def test_a_store_is_not_moved_through_a_symbolic_link(store: Path, tmp_path: Path) -> None:
    """The file itself is to be named; it is moved where it is, and the link stays a link."""
    (tmp_path / "elsewhere").mkdir()
    real = store.rename(tmp_path / "elsewhere" / "real.db")
    store.symlink_to(real)
    with pytest.raises(StoreUnwritable, match=f"--db {real}"):
        open_again(store)
    open_again(real)
    assert store.is_symlink()
    assert query(real, "PRAGMA user_version") == [(VERSION,)]
    assert real.stat().st_mode & 0o777 == 0o600
    assert is_alone(real)


def test_a_journal_that_is_no_log_will_do(store: Path, fresh: Path) -> None:
    """On a network file system, where there is no write-ahead log."""
    open_again(store, journal="delete")
    assert contents(store) == contents(fresh)
    assert query(store, "PRAGMA journal_mode") == [("delete",)]


# What keeps it from being moved


def test_a_move_asks_for_room_first(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the new file beside the old one; what is there of it already needs none."""
    data = store.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    with pytest.raises(StoreFull, match=r"bringing .* up to date needs \d\d\.\d MB, and 20\.0 MB are free"):
        open_again(store)
    assert store.read_bytes() == data
    assert is_alone(store)
    monkeypatch.undo()
    open_again(store)
    assert query(store, "PRAGMA user_version") == [(VERSION,)]


def places_reached(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[sqlite3.Connection], None] = lambda _: None
) -> list[earlier_rows.Place]:
    """The places at which each step of a move begins, from now on. then: called with the new file's connection there."""
    step, places = earlier_rows.step, list[earlier_rows.Place]()

    def watched(old: sqlite3.Connection, new: sqlite3.Connection) -> earlier_rows.Place:
        places.append(earlier_rows.place(new))
        then(new)
        return step(old, new)

    monkeypatch.setattr(earlier_rows, "step", watched)
    return places


def test_a_disk_that_fills_meanwhile_loses_nothing(
    store: Path, fresh: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, the store as it was, and the next opening goes on where it was."""

    def fill(new: sqlite3.Connection) -> None:
        if len(reached) == 12:
            new.execute(f"PRAGMA max_page_count = {new.execute('PRAGMA page_count').fetchone()[0]}")

    reached = places_reached(monkeypatch, fill)
    with pytest.raises(StoreFull, match="the disk is full, nothing that was stored is lost; free some space"):
        open_again(store)
    assert query(store, "PRAGMA user_version") == [(5,)]
    ended = len(reached)
    open_again(store)
    assert reached[ended] == reached[ended - 1]
    assert contents(store) == contents(fresh)


def test_a_store_that_another_program_has_open_stays(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; and as soon as it is closed, the store is moved."""
    monkeypatch.setattr(move, "_PATIENCE", 0.0)
    with closing(sqlite3.connect(store)) as db:
        count = db.execute("SELECT count(*) FROM events").fetchone()
        with pytest.raises(
            StoreBusy, match="has to be brought up to date, and another program has the file open; close it"
        ):
            open_again(store)
        assert db.execute("SELECT count(*) FROM events").fetchone() == count
    open_again(store)
    assert query(store, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize("span", [locks.window_range(0, 1), locks.BACKUP, locks.RESTORE, locks.DAEMON])
def test_nobody_works_on_a_store_that_is_moved(span: Any, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reconciliation, a backup, a restore or a daemon of an earlier version is waited for, and named."""
    monkeypatch.setattr(move, "_PATIENCE", 0.0)
    monkeypatch.setattr(upgrade, "_PATIENCE", 0.0)
    with (
        locks.locked(locks.lock_file(store), span, what="x", command="reconcile", wait=0),
        pytest.raises(LockHeld, match=r"has to be brought up to date, and is in use by .*reconcile.*stop it"),
    ):
        open_again(store)
    assert query(store, "PRAGMA user_version") == [(5,)]


def test_nobody_can_write_to_a_store_while_it_is_moved(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program reads it, and finds it locked when it would write."""
    step, found = earlier_rows.step, []

    def watched(old: sqlite3.Connection, new: sqlite3.Connection) -> Any:
        with closing(sqlite3.connect(store, timeout=0)) as db:
            count = db.execute("SELECT count(*) FROM events").fetchone()[0]
            try:
                db.execute("DELETE FROM events")
            except sqlite3.OperationalError as error:
                found.append((count > 0, str(error)))
        return step(old, new)

    monkeypatch.setattr(earlier_rows, "step", watched)
    open_again(store)
    assert set(found) == {(True, "database is locked")}


def test_who_has_opened_a_store_while_it_was_moved_is_found(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is not taken away from under it; when it is closed, the new file takes the place without another move."""
    monkeypatch.setattr(move, "_PATIENCE", 0.0)
    readers: list[sqlite3.Connection] = []

    def come(_: sqlite3.Connection) -> None:
        if not readers:
            readers.append(sqlite3.connect(store))
            readers[0].execute("SELECT count(*) FROM events").fetchone()

    places = places_reached(monkeypatch, come)
    with pytest.raises(StoreBusy, match="another program has the file open; close it"):
        open_again(store)
    assert query(store, "PRAGMA user_version") == [(5,)]
    readers[0].close()
    moved = len(places)
    open_again(store)
    assert len(places) == moved
    assert query(store, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_log_that_was_left_is_in_the_moved_store(journal: str, store: Path) -> None:
    """What a killed process had committed last, too, and neither file has a log of the other's afterwards."""
    with closing(sqlite3.connect(store)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute("DELETE FROM dead_letters")
        db.execute("INSERT INTO dead_letters VALUES (7, 'sqs', 'x', 'e', '2026-03-02T10:00:00.000Z')")
        db.commit()
        for suffix in ("", "-wal"):
            if Path(f"{store}{suffix}").exists():
                shutil.copy(f"{store}{suffix}", f"{store}.kept{suffix}")
    killed = Path(f"{store}.kept")
    open_again(killed)
    assert query(killed, "SELECT dead_letter_id FROM dead_letters") == [(7,)]
    assert query(killed, "PRAGMA user_version") == [(VERSION,)]


def test_a_move_that_would_lose_a_row_is_given_up(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are counted on both sides before the new file takes the place; it is removed, and the store is as it was."""
    before = contents(store)
    insert = earlier_rows._insert

    def losing(db: sqlite3.Connection, table: str, names: Any, rows: Any) -> None:
        insert(db, table, names, list(rows)[:-1] if table == "gap_rows" else rows)

    monkeypatch.setattr(earlier_rows, "_insert", losing)
    with pytest.raises(
        StoreDamaged, match=r"would have other rows in the new tables \(gaps \d+ for \d+\), and stays as it was"
    ):
        open_again(store)
    assert contents(store) == before
    assert is_alone(store)


def test_a_new_file_that_comes_out_damaged_is_made_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at before it takes the place; the line does not say that the store is damaged."""
    check = copying.check

    def failing(*_: Any) -> None:
        raise StoreDamaged("x: the file is damaged (y); restore a backup")

    monkeypatch.setattr(move, "check", failing)
    with pytest.raises(StoreDamaged, match=r"came out damaged, and .* stays as it was; look at the disk"):
        open_again(store)
    assert query(store, "PRAGMA user_version") == [(5,)]
    assert is_alone(store)
    monkeypatch.setattr(move, "check", check)
    open_again(store)
    assert query(store, "PRAGMA user_version") == [(VERSION,)]


def test_a_move_is_ended_when_the_process_is_to_end(store: Path, small_steps: None, fresh: Path) -> None:
    """It stops between two transactions, says that it goes on, and goes on."""
    hurry = threading.Event()
    hurry.set()
    with pytest.raises(Interrupted, match="was interrupted, and goes on at the next opening"):
        open_again(store, hurry=hurry)
    assert upgrade.new_file(store).exists()
    open_again(store)
    assert contents(store) == contents(fresh)


# Whatever ends it


class Crash(BaseException):
    """The end of a process, as far as a process can have it of itself."""


POINTS: Final = (
    (earlier_rows, "begin"),
    (earlier_rows, "step"),
    (earlier_rows, "carry_over"),
    (earlier_rows, "end"),
    (move, "check"),
    (os, "fsync"),
    (os, "link"),
    (move, "_rename"),
    (upgrade, "_look"),
    (upgrade, "_clear_away"),
)


@contextmanager
def crash_at(point: int, seen: list[str]) -> Iterator[None]:
    """Raise Crash before, or after, the so-many-th of the calls that a move is made of."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in POINTS:
            patch.setattr(owner, name, _crashing(getattr(owner, name), name, point, seen))
        yield


def _crashing(call: Callable[..., Any], name: str, point: int, seen: list[str]) -> Callable[..., Any]:
    def crashing(*args: Any, **more: Any) -> Any:
        for what in (f"before {name}", f"after {name}"):
            answer = call(*args, **more) if what.startswith("after") else None
            seen.append(what)
            if len(seen) - 1 == point:
                raise Crash(what)
        return answer

    return crashing


@cache
def _moved(version: int) -> dict[str, list[tuple[Any, ...]]]:
    """What a store of that schema has once it is moved."""
    with TemporaryDirectory() as folder:
        store = Path(folder) / "rollbook.db"
        load(version, store)
        open_again(store)
        return contents(store)


@given(st.sampled_from([1, 5, 5]), st.lists(st.integers(0, 70), min_size=1, max_size=4), st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_move_that_ends_anywhere_goes_on(version: int, points: list[int], has_links: bool) -> None:
    """Wherever it ends, and again: there is a whole store each time, and at last the same rows as without."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(earlier_rows, "CONVERSATIONS", 2)
        patch.setattr(earlier_rows, "EVENTS", 2)
        if not has_links:
            patch.setattr(os, "link", _no_links)
        store = Path(folder) / "rollbook.db"
        load(version, store)
        before = rows(store)
        for point in points:
            with crash_at(point, []), suppress(Crash):
                open_again(store)
            there = store if store.exists() else upgrade.copy_before(store)
            assert rows(there) == before
            assert query(there, "PRAGMA integrity_check") == [("ok",)]
        open_again(store)
        assert contents(store) == _moved(version)
        assert query(store, "PRAGMA user_version") == [(VERSION,)]
        assert is_alone(store)


def rows(path: Path) -> dict[str, int]:
    """The numbers of rows that a copy of a store is held to."""
    with closing(sqlite3.connect(path)) as db:
        return copying.counted_rows(db)


def _no_links(*_: Any) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_the_points_of_a_crash_are_all_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test before this one says nothing of calls that are never made."""
    monkeypatch.setattr(earlier_rows, "CONVERSATIONS", 2)
    monkeypatch.setattr(earlier_rows, "EVENTS", 2)
    store, seen = tmp_path / "rollbook.db", list[str]()
    load(5, store)
    with crash_at(-2, seen):
        open_again(store)
    assert {what.partition(" ")[2] for what in seen} == {name for _, name in POINTS}
    assert 40 < len(seen) <= 71


@pytest.mark.parametrize("how", ["ro", "rw", "r+"])
def test_a_store_between_two_names_is_found(how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file has one name only, a kill between the two renames is mended by whoever opens the store next."""
    store = tmp_path / "rollbook.db"
    load(5, store)
    before = without_identities(contents(store))
    monkeypatch.setattr(os, "link", _no_links)
    rename = move._rename
    monkeypatch.setattr(move, "_rename", _crashing(rename, "_rename", 0, []))
    with pytest.raises(Crash):
        open_again(store)
    assert not store.exists()
    monkeypatch.setattr(move, "_rename", rename)
    with Book.open(store, mode=how):
        assert query(store, "PRAGMA user_version") == [(VERSION,)]
    open_again(store)
    assert without_identities(contents(store)) == before
    assert is_alone(store)


def test_a_store_that_was_written_to_since_is_moved_from_the_beginning(
    store: Path, fresh: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What an earlier version has added after a move was ended is in the new file, too."""
    with crash_at(9, []), pytest.raises(Crash):
        open_again(store)
    assert upgrade.new_file(store).exists()
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("INSERT INTO dead_letters VALUES (1, 'sqs', 'x', 'e', '2026-03-02T10:00:00.000Z')")
    open_again(store)
    assert any(
        "was made from another state of the store; from the beginning" in each.getMessage() for each in caplog.records
    )
    found = contents(store)
    assert found["dead_letters"] == [(1, "sqs", "x", "e", "2026-03-02T10:00:00.000Z")]
    assert found | {"dead_letters": []} == contents(fresh)


def test_a_move_that_goes_on_does_not_begin_again(
    store: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was committed is not moved again."""
    with crash_at(30, []), pytest.raises(Crash):
        open_again(store)
    places = places_reached(monkeypatch)
    open_again(store)
    assert places[0].part == "conversations"
    assert places[0].after > 0
    assert any("going on with moving" in record.getMessage() for record in caplog.records)


def test_a_new_file_of_no_use_is_removed(store: Path, fresh: Path) -> None:
    """Another store in this place, of today's schema, makes a move that was ended needless."""
    with crash_at(9, []), pytest.raises(Crash):
        open_again(store)
    shutil.copy(fresh, store)
    open_again(store)
    assert is_alone(store)
    assert contents(store) == contents(fresh)


KILLED = """
import sys
from pathlib import Path
from rollbook.store.book import Book
from rollbook.store.file import earlier_rows, move
earlier_rows.CONVERSATIONS, earlier_rows.EVENTS = 7, 50
at = [0]
def watched(call):
    def calling(*args, **more):
        answer = call(*args, **more)
        at[0] += 1
        if at[0] == int(sys.argv[2]):
            print("here", flush=True)
            sys.stdin.read()
        return answer
    return calling
earlier_rows.step = watched(earlier_rows.step)
earlier_rows.end = watched(earlier_rows.end)
move.check = watched(move.check)
move._put_in_place = watched(move._put_in_place)
print(str(Book.open(Path(sys.argv[1])).close() or at[0]), flush=True)
"""


@pytest.mark.process
async def test_a_move_that_is_killed_goes_on(store: Path, fresh: Path) -> None:
    """kill -9 again and again: in the middle of a transaction of each part, and when the file has its place."""
    said = "here"
    for calls in (1, 5, 9, 8, 25, 10, 5, 3, 2, 3, 2):
        if said != "here":
            break
        said = await killed_at(KILLED, calls, store)
        assert query(store, "PRAGMA integrity_check") == [("ok",)]
    ran = await rollbook("rebuild", env={"ROLLBOOK_DB": str(store)}, cwd=store.parent)
    assert ran.status == 0, ran.err
    assert contents(store) == contents(fresh)
    assert is_alone(store)


def test_two_openings_at_once_move_it_once(store: Path, fresh: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The second waits for the first, and finds it done."""
    caplog.set_level(logging.WARNING)
    errors: list[BaseException] = []

    def opening() -> None:
        try:
            open_again(store)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=opening) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum("moving its rows" in record.getMessage() for record in caplog.records) == 1
    assert contents(store) == contents(fresh)


def test_the_steps_that_a_store_has_taken_are_noted(store: Path) -> None:
    """As sqlite-utils notes them, so that none is taken twice; a foreign set stays."""
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('mine', 'x', 'y')")
    open_again(store)
    names = query(store, "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id")
    ours = [(schema.STEPS_OF, name) for name, _ in schema.STEPS]
    assert names == [*ours[:5], ("mine", "x"), *ours[5:]]
