"""An older store is brought up to date with its copy beside it, through kills and a full disk; a newer one says its need."""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rollbook.store.book import Book
from rollbook.store.file import copying, locks, upgrade
from rollbook.store.file.errors import LockHeld, StoreDamaged, StoreForeign, StoreFull
from rollbook.store.tables import schema
from rollbook.store.tables.schema import VERSION, our_version
from tests.helpers.whole import killed_at, rollbook
from tests.stores import load

LETTER = (
    "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('test', ?, 'e', '2026-03-02T00:00:00.000Z')"
)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def version(path: Path) -> int:
    """The schema's version of a store."""
    found: int = query(path, "PRAGMA user_version")[0][0]
    return found


def old(folder: Path, number: int = schema.NUMBERS) -> Path:
    """A store of an earlier schema: of the first that is brought up to date in its own file."""
    load(number, folder / "rollbook.db")
    return folder / "rollbook.db"


def rows(path: Path) -> dict[str, int]:
    """The rows that an upgrade counts."""
    with closing(sqlite3.connect(path)) as db:
        return copying.counted_rows(db)


def test_a_copy_stays_until_the_upgrade_has_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, whole and as the store was, at each step, and gone afterwards."""
    store = old(tmp_path)
    before, seen = rows(store), []
    migrate = schema.migrate

    def watched(connection: sqlite3.Connection, on_step: Any) -> None:
        def step(number: int, name: str) -> None:
            copy = upgrade.copy_before(store)
            seen.append((number, version(copy), rows(copy) == before, any(before.values())))
            on_step(number, name)

        migrate(connection, step)

    monkeypatch.setattr(schema, "migrate", watched)
    Book.open(store).close()
    assert seen == [(number, schema.NUMBERS, True, True) for number in range(schema.NUMBERS + 1, VERSION + 1)]
    assert rows(store) == before
    assert not upgrade.copy_before(store).exists()


def test_a_new_store_needs_no_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said, and nothing stands beside it."""
    Book.open(tmp_path / "rollbook.db").close()
    assert {path.name for path in tmp_path.iterdir()} == {"rollbook.db", "rollbook.db-lock"}
    assert not caplog.records


def test_an_upgrade_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the copy and for what the steps write: without it nothing is changed."""
    store = old(tmp_path)
    data = store.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    with pytest.raises(StoreFull, match=r"bringing .* up to date needs 32\.\d MB, and 20\.0 MB are free"):
        Book.open(store)
    assert store.read_bytes() == data
    monkeypatch.undo()
    Book.open(store).close()
    assert version(store) == VERSION


def test_a_store_without_rows_is_brought_up_to_date_in_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to move: what the ledger says, and a letter, stay as they are."""
    store = old(tmp_path, 5)
    with closing(sqlite3.connect(store)) as db, db:
        for table in ("conversations", "conversation_versions", "participant_attributes", "events", "gaps"):
            db.execute(f"DELETE FROM {table}")
    kept = {table: query(store, f"SELECT * FROM {table}") for table in ("windows", "coverage", "dead_letters")}
    Book.open(store).close()
    assert version(store) == VERSION
    assert {table: query(store, f"SELECT * FROM {table}") for table in kept} == kept
    assert not any("moving" in record.getMessage() for record in caplog.records)
    assert not upgrade.copy_before(store).exists()


def test_a_store_that_somebody_else_writes_to_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier version's daemon would not know the new tables: it has to be stopped first."""
    store = old(tmp_path)
    monkeypatch.setattr(upgrade, "_PATIENCE", 0.0)
    with (
        locks.locked(locks.lock_file(store), locks.DAEMON, what="x", command="rollbook run", wait=0),
        pytest.raises(LockHeld, match=r"has to be brought up to date, and is in use by .*rollbook run.*stop it"),
    ):
        Book.open(store)
    assert version(store) == schema.NUMBERS


def test_an_upgrade_that_lost_a_row_is_an_error_each_time(tmp_path: Path) -> None:
    """What an upgrade leaves is held against the copy, also after a kill before that; the copy stays."""
    store = old(tmp_path)
    copy = upgrade.copy_before(store)
    copy.write_bytes(store.read_bytes())
    Book.open(store).close()
    assert not copy.exists(), "a copy of the same schema was of no use, and was made again"
    (tmp_path / "x").mkdir()
    copy.write_bytes(old(tmp_path / "x").read_bytes())
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DELETE FROM dead_letters")
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=r"has other rows after it was brought up to date.*rollbook restore"):
            Book.open(store)
        assert version(copy) == schema.NUMBERS


def test_what_an_upgrade_does_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each step has a line in the log, and begin and end are warnings."""
    caplog.set_level(logging.INFO)
    Book.open(old(tmp_path)).close()
    lines = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert lines[0] == f"bringing it up to date, from schema {schema.NUMBERS} to {VERSION}; first a copy"
    assert [line.partition(" (")[0] for line in lines[1:-1]] == [
        f"step {number} of {VERSION}" for number in range(schema.NUMBERS + 1, VERSION + 1)
    ]
    assert lines[-1].startswith("up to date, ")


def test_a_store_that_has_to_be_moved_takes_no_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is copied or changed in it first: its rows go from the schema that it has to the new tables."""
    caplog.set_level(logging.INFO)
    Book.open(old(tmp_path, 3)).close()
    lines = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert lines[0].startswith(f"moving its rows from schema 3 to the tables of schema {VERSION}, in ")
    assert lines[1].startswith("up to date, ")
    assert len(lines) == 2


SLOW = """
import sys
from pathlib import Path
from rollbook.store.book import Book
from rollbook.store.file import upgrade
from rollbook.store.tables import schema
statements, at = schema.statements, [0]
def slow(file):
    for statement in statements(file):
        yield statement
        at[0] += 1
        if at[0] == int(sys.argv[2]):
            print("here", flush=True)
            sys.stdin.read()
schema.statements = slow
Book.open(Path(sys.argv[1])).close()
"""


@pytest.mark.process
async def test_an_upgrade_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9 within three steps: whole each time, the copy from the very beginning stays; the last opening ends it."""
    store = old(tmp_path)
    before = rows(store)
    copy = upgrade.copy_before(store)
    reached = []
    a_step = len(list(schema.statements(schema.STEPS[schema.NUMBERS][1])))
    for statements in (1, a_step + 1, 2):
        assert await killed_at(SLOW, statements, store) == "here"
        assert query(store, "PRAGMA integrity_check") == [("ok",)]
        assert rows(store) == before
        assert version(copy) == schema.NUMBERS
        reached.append(version(store))
    assert reached == sorted(reached)
    assert reached[-1] > reached[0], "it went on where it was"
    ran = await rollbook("rebuild", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert "the copy from before is" in ran.err
    assert version(store) == VERSION
    assert rows(store) == before
    assert not copy.exists()
    assert (await rollbook("rebuild", env={}, cwd=tmp_path)).err == ""


def newer(path: Path, needs: str | None) -> Path:
    """A store of a later schema."""
    Book.open(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA user_version = {VERSION + 3}")
        if needs is None:
            db.execute("DROP TABLE store_notes")
        else:
            db.execute("UPDATE store_notes SET value = ? WHERE name = 'needs'", (needs,))
    return path


@pytest.mark.parametrize("mode", ["rw", "r+", "ro"])
def test_a_newer_store_names_the_version_that_it_needs(mode: Any, tmp_path: Path) -> None:
    """Whoever made it has noted that; a later table of another shape is no error of its own."""
    store = newer(tmp_path / "rollbook.db", "9.9.0")
    data = store.read_bytes()
    line = f"was written by a newer rollbook and needs rollbook 9.9.0 or newer; update this one, which is {our_version()} ("
    with pytest.raises(StoreForeign) as caught:
        Book.open(store, mode=mode)
    assert line in str(caught.value)
    assert store.read_bytes() == data
    with pytest.raises(StoreForeign, match="was written by a newer rollbook; update this one"):
        Book.open(newer(tmp_path / "other.db", None), mode=mode)


def test_a_store_notes_what_it_needs(tmp_path: Path) -> None:
    """A new one and one that was brought up to date, each by the version that did it."""
    Book.open(tmp_path / "new.db").close()
    Book.open(old(tmp_path)).close()
    for name in ("new.db", "rollbook.db"):
        assert query(tmp_path / name, "SELECT name, value FROM store_notes WHERE name = 'needs'") == [
            ("needs", our_version())
        ]
