"""A plain copy of a store in use is recognised; copies that are whole, and crashed stores, are opened as ever."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rollbook.store.book import Book
from rollbook.store.file import checkpointer, connections
from rollbook.store.file.copying import Manner
from rollbook.store.file.errors import StoreDamaged
from rollbook.store.tables import notes
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore
from tests.helpers.whole import environment, rollbook

AT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
LETTER = (
    "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('test', ?, 'e', '2026-03-02T00:00:00.000Z')"
)
PLAIN = r"is a plain copy of a store in use: what was committed last is not in it.*--as-it-is"


def add(book: Book, size: int = 10) -> None:
    """Commit a dead letter of so many bytes, and see what follows the commit done."""
    book.write(run, LETTER, "x" * size).result(10)
    book.write(run, "SELECT 1").result(10)


def run(db: sqlite3.Connection, sql: str, *values: str) -> None:
    """Execute a statement."""
    db.execute(sql, values)


def letters(path: Path) -> int:
    """The number of dead letters in a file, with its log."""
    with closing(sqlite3.connect(path)) as db:
        found: int = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are not kept apart in time."""
    monkeypatch.setattr(checkpointer, "_MARK_EVERY", 0.0)


@pytest.mark.parametrize("mode", ["rw", "r+", "ro"])
@pytest.mark.parametrize("written", [0, 3, 30])
def test_a_copy_of_the_file_alone_is_refused(
    mode: Any, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether anything was taken into the file meanwhile or not; the line says what to do, and nothing is changed."""
    store, copy = tmp_path / "rollbook.db", tmp_path / "copy.db"
    monkeypatch.setattr(connections, "CHECKPOINT_PAGES", 20)
    with Book.open(store) as book:
        add(book)
        for _ in range(written):
            add(book, 20_000)
        shutil.copyfile(store, copy)
        data = copy.read_bytes()
        with pytest.raises(StoreDamaged, match=PLAIN) as caught:
            Book.open(copy, mode=mode)
        assert "\n" not in str(caught.value)
        assert copy.read_bytes() == data
        with pytest.raises(StoreDamaged, match=PLAIN):
            back_up(copy, tmp_path / "second.db", at=AT, how=Manner())


def test_whole_copies_are_opened(tmp_path: Path) -> None:
    """By `rollbook backup`, VACUUM INTO, SQLite's own backup, file and log together; and of a store that nobody has."""
    store = tmp_path / "rollbook.db"
    with Book.open(store) as book:
        add(book)
        add(book)
        back_up(store, tmp_path / "ours.db", at=AT, how=Manner())
        with closing(sqlite3.connect(store)) as db, closing(sqlite3.connect(tmp_path / "api.db")) as target:
            db.execute("VACUUM INTO ?", (str(tmp_path / "vacuum.db"),))
            db.backup(target)
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{store}{suffix}", f"{tmp_path / 'both.db'}{suffix}")
    shutil.copyfile(store, tmp_path / "closed.db")
    for name in ("ours.db", "vacuum.db", "api.db", "both.db", "closed.db"):
        with Book.open(tmp_path / name) as copy:
            add(copy)
        assert letters(tmp_path / name) == 3, name


KILLED = """
import os, signal, sqlite3, sys
from rollbook.store.book import Book
from rollbook.store.file import checkpointer, connections
note = checkpointer.mark
def killing(connection, value):
    note(connection, value)
    if value == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] != "-":
    checkpointer.mark = killing
book = Book.open(sys.argv[1])
book.write(lambda db: db.execute(sys.argv[3], ("x",)) and None).result(10)
book.write(lambda db: None).result(10)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("how", "moment"),
    # In the milliseconds of a mark, another program that ends what a kill has left makes a copy of it: docs/backup.md.
    [
        (how, moment)
        for how in ("rw", "ro", "another program")
        for moment in "10-"
        if (how, moment) != ("another program", "1")
    ],
)
def test_a_store_that_crashed_is_opened(moment: str, how: Any, tmp_path: Path) -> None:
    """kill -9 within a mark, after it, or later: its log is there, so that it is no copy, whoever opens it next."""
    store = tmp_path / "rollbook.db"
    with Book.open(store) as book:
        add(book)
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, store, moment, LETTER], env=environment({}), check=False, timeout=60
    )
    assert ran.returncode == -signal.SIGKILL
    assert Path(f"{store}-wal").stat().st_size > 0
    if how == "another program":
        letters(store)  # it takes the log into the file, and removes it
        assert not Path(f"{store}-wal").exists()
    Book.open(store, mode="ro" if how == "ro" else "rw").close()
    with Book.open(store) as book:
        add(book)
    assert letters(store) >= 2
    Book.open(store, mode="ro").close()


def test_a_log_that_is_removed_after_a_crash_is_missed(tmp_path: Path) -> None:
    """Somebody tidies up and removes `-wal`: the file says that it lacks what was in it."""
    store = tmp_path / "rollbook.db"
    with Book.open(store) as book:
        add(book)
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{store}{suffix}", f"{tmp_path / 'crashed.db'}{suffix}")
    Path(f"{tmp_path / 'crashed.db'}-wal").unlink()
    with pytest.raises(StoreDamaged, match=PLAIN):
        Book.open(tmp_path / "crashed.db")


def test_the_last_that_closes_leaves_a_whole_file(tmp_path: Path) -> None:
    """Also where another wrote the mark and died within it."""
    store = tmp_path / "rollbook.db"
    with Book.open(store) as book:
        add(book)
        with closing(sqlite3.connect(store)) as other, other:
            notes.write(other, notes.IN_LOG, "1")
    shutil.copyfile(store, tmp_path / "copy.db")
    Book.open(tmp_path / "copy.db").close()


@pytest.mark.process
async def test_what_is_in_a_plain_copy_can_be_had(tmp_path: Path) -> None:
    """`restore --as-it-is` checks it whole and puts it in place; without the option it is refused."""
    store, copy = tmp_path / "there.db", tmp_path / "copy.db"
    with Book.open(store) as book:
        add(book)
        shutil.copyfile(store, copy)
    refused = await rollbook("restore", "copy.db", "--db", "new.db", env={}, cwd=tmp_path)
    assert refused.status == 1
    assert "is a plain copy of a store in use" in refused.one_line
    assert not (tmp_path / "new.db").exists()
    ran = await rollbook("restore", "copy.db", "--db", "new.db", "--as-it-is", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert letters(tmp_path / "new.db") <= 1
    ran = await rollbook("status", "--db", "new.db", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert restore(copy, tmp_path / "other.db", at=AT, how=Manner(full=True), as_it_is=True).kept is None


def test_a_rollback_journal_has_no_mark(tmp_path: Path) -> None:
    """With journal=delete all is in the one file after each commit: a copy between two commits is whole."""
    store = tmp_path / "rollbook.db"
    with Book.open(store, journal="delete") as book:
        add(book)
        shutil.copyfile(store, tmp_path / "copy.db")
    Book.open(tmp_path / "copy.db", mode="ro").close()
    assert letters(tmp_path / "copy.db") == 1
