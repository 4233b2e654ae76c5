"""Compaction: free pages go back to the disk, beside a writer where the file has a map of its pages, else alone."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from rollbook.genesys.errors import Interrupted
from rollbook.store.book import Book
from rollbook.store.file.copying import Manner
from rollbook.store.file.errors import LockHeld, StoreBusy
from rollbook.store.upkeep import sizes
from rollbook.store.upkeep.compacting import compact
from tests.helpers.whole import rollbook

LETTER = (
    "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('test', ?, 'e', '2026-03-02T00:00:00.000Z')"
)


def emptied(path: Path, *, mapped: bool = True) -> Path:
    """A store most of whose pages nothing uses any more."""
    Book.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        if not mapped:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA auto_vacuum = 0")
            db.execute("VACUUM")
        db.executemany(LETTER, [("x" * 6_000,)] * 2_000)
        db.execute("DELETE FROM dead_letters WHERE dead_letter_id > 10")
    return path


def state(path: Path) -> tuple[int, int, int]:
    """(rows, bytes that nothing uses, bytes of the file) once its log is taken in."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows: int = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return rows, sizes.pages(db)[1], path.stat().st_size


def test_it_gives_pages_back_beside_a_writer(tmp_path: Path) -> None:
    """Between two steps another commits at once; afterwards nothing is unused, and every row is there."""
    store = emptied(tmp_path / "rollbook.db")
    steps: list[int] = []
    with Book.open(store), closing(sqlite3.connect(store, isolation_level=None, timeout=1)) as other:

        def write(done: int, total: int) -> None:
            steps.append(done)
            other.execute(LETTER, ("meanwhile",))

        done = compact(store, Manner(progress=write))
    assert not done.anew
    assert done.before > 10_000_000
    assert done.after < 1_500_000
    assert len(steps) > 3
    rows, unused, size = state(store)
    assert (rows, unused) == (10 + len(steps), 0)
    assert size < 1_500_000
    assert compact(store, Manner()).before == size


def test_an_interrupted_one_keeps_what_it_gave_back(tmp_path: Path) -> None:
    """It is whole, smaller, and the next one goes on."""
    store, stop = emptied(tmp_path / "rollbook.db"), threading.Event()
    before = state(store)[1]
    with pytest.raises(Interrupted):
        compact(store, Manner(progress=lambda done, _: stop.set() if done else None, stop=stop))
    assert 0 < state(store)[1] < before
    compact(store, Manner())
    assert state(store)[:2] == (10, 0)


def test_an_older_file_is_written_anew_once(tmp_path: Path) -> None:
    """Alone; then it has the map, and the next time goes beside others. No other file is left."""
    store = emptied(tmp_path / "rollbook.db", mapped=False)
    with Book.open(store), pytest.raises(LockHeld, match=r"must be written anew this time, and is in use by"):
        compact(store, Manner())
    with closing(sqlite3.connect(store)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dead_letters").fetchone()
        with pytest.raises(StoreBusy, match="another program has the file open"):
            compact(store, Manner())
    done = compact(store, Manner())
    assert done.anew
    assert done.after == store.stat().st_size < 1_500_000
    assert state(store)[:2] == (10, 0)
    assert store.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir()} - {"rollbook.db-lock"} == {"rollbook.db"}
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DELETE FROM dead_letters")
    with Book.open(store):
        assert not compact(store, Manner()).anew


def test_an_interrupted_writing_anew_leaves_the_store(tmp_path: Path) -> None:
    """The store is as it was, and nothing stands beside it."""
    store, stop = emptied(tmp_path / "rollbook.db", mapped=False), threading.Event()
    with closing(sqlite3.connect(store)) as db, db:
        db.executemany(LETTER, [("y" * 3_000,)] * 3_000)
    before = state(store)
    with pytest.raises(Interrupted):
        compact(store, Manner(progress=lambda *_: stop.set(), stop=stop))
    assert state(store) == before
    assert {path.name for path in tmp_path.iterdir()} - {"rollbook.db-lock"} == {"rollbook.db"}


@pytest.mark.process
async def test_the_command_says_what_it_gave_back(tmp_path: Path) -> None:
    """In words, and as one JSON object; a second time there is nothing to give back."""
    emptied(tmp_path / "rollbook.db")
    ran = await rollbook("compact", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert " MB given back: " in ran.out
    ran = await rollbook("compact", "--json", env={}, cwd=tmp_path)
    assert (ran.json["freed"], ran.json["anew"]) == (0, False)
    ran = await rollbook("compact", env={}, cwd=tmp_path)
    assert ran.out.startswith("nothing to give back: all ")
    assert (await rollbook("compact", "--db", "no.db", env={}, cwd=tmp_path)).status == 1
