"""Backups: whole, of one moment, in place at once; and the way back, which keeps what was there."""

import asyncio
import os
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from rollbook.genesys.errors import Interrupted, UsageError
from rollbook.genesys.times import Interval
from rollbook.store.book import Book
from rollbook.store.file.copying import Manner
from rollbook.store.file.errors import (
    LockHeld,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreUnwritable,
)
from rollbook.store.tables import schema
from rollbook.store.upkeep import backups
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore
from tests.helpers.whole import finish, rollbook, start, until
from tests.stores import load

AT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
OURS, OTHERS = ("o1", "Example"), ("o2", "Another")
LETTER = (
    "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('test', ?, 'e', '2026-03-02T00:00:00.000Z')"
)


def made(path: Path, *, letters: int = 3, size: int = 100, organization: tuple[str, str] = OURS) -> Path:
    """A store of an organisation with so many dead letters of so many bytes."""
    Book.open(path, organization=organization).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(LETTER, [("x" * size,)] * letters)
    return path


def run(db: sqlite3.Connection, sql: str, *values: str) -> None:
    """Execute a statement."""
    db.execute(sql, values)


def letters(path: Path) -> int:
    """The number of dead letters of a file, opened by SQLite alone."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found: int = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return found


def names(folder: Path) -> set[str]:
    """The files of a folder, hidden ones too, without locks and logs."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-lock", "-wal", "-shm"))}


# Making one


def test_a_backup_ends_and_is_of_its_moment_while_others_write(tmp_path: Path) -> None:
    """Between any two steps another connection commits: the copy ends after one reading, and has none of that."""
    store = made(tmp_path / "rollbook.db", letters=60, size=1_000_000)
    steps: list[tuple[int, int]] = []
    with Book.open(store), closing(sqlite3.connect(store, isolation_level=None)) as other:

        def write(done: int, total: int) -> None:
            steps.append((done, total))
            other.execute(LETTER, ("meanwhile",))

        copied = back_up(store, tmp_path / "copy.db", at=AT, how=Manner(progress=write))
    assert letters(tmp_path / "copy.db") == 60 == copied.counts["dead_letters"]
    assert letters(store) == 60 + len(steps)
    done = [part for part, _ in steps]
    assert len(done) >= 7
    assert done == sorted(done), "it never began again"
    assert done[-1] == steps[-1][1] == copied.size == (tmp_path / "copy.db").stat().st_size


def test_a_backup_has_what_is_in_the_log_alone(tmp_path: Path) -> None:
    """What was committed and not yet taken into the file is in the copy, which is one file without a log."""
    store = made(tmp_path / "rollbook.db")
    with Book.open(store) as book:
        book.write(run, LETTER, "in the log").result(10)
        assert Path(f"{store}-wal").stat().st_size > 0
        back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    assert names(tmp_path) == {"rollbook.db", "copy.db"}
    assert not Path(f"{tmp_path / 'copy.db'}-wal").exists()
    assert letters(tmp_path / "copy.db") == 4
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    with Book.open(tmp_path / "copy.db", mode="ro") as copy:
        assert copy.read_now(schema.organization) == OURS


@pytest.mark.parametrize("name", ["rollbook.db", "rollbook.db-wal", "rollbook.db-lock", "link.db", "hard.db"])
def test_a_backup_never_replaces_the_store_itself(name: str, tmp_path: Path) -> None:
    """Neither by its name, nor a file beside it, nor by a link to it."""
    store = made(tmp_path / "rollbook.db")
    (tmp_path / "link.db").symlink_to(store)
    os.link(store, tmp_path / "hard.db")
    before = store.read_bytes()
    with pytest.raises(UsageError, match="is the store itself"):
        back_up(store, tmp_path / name, at=AT, how=Manner())
    assert store.read_bytes() == before


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """The root of the file system, which has no name, too."""
    for folder in (tmp_path, Path("/")):
        with pytest.raises(StoreUnwritable, match="is a folder; --db takes the path of a file"):
            back_up(folder, tmp_path / "copy.db", at=AT, how=Manner())


def test_no_backup_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    """Nor does a lock stay beside it."""
    store, folder = made(tmp_path / "rollbook.db"), tmp_path / "folder"
    folder.mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreUnwritable, match="is a folder; --db takes the path of a file"):
        restore(store, folder, at=AT, how=Manner())
    assert sorted(tmp_path.iterdir()) == before


def test_a_backup_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    """A file that is no store, another organisation's, and a store that somebody uses stay as they are."""
    store, target = made(tmp_path / "rollbook.db"), tmp_path / "copy.db"
    back_up(store, target, at=AT, how=Manner())
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(LETTER, ("later",))
    back_up(store, target, at=AT, how=Manner())
    assert letters(target) == 4

    (tmp_path / "letter.txt").write_text("x" * 4000)
    made(tmp_path / "theirs.db", organization=OTHERS)
    with Book.open(made(tmp_path / "used.db")):
        for name, why in (("letter.txt", "is no backup"), ("theirs.db", "another organisation"), ("used.db", "in use")):
            before = (tmp_path / name).read_bytes()
            with pytest.raises(StoreForeign, match=why):
                back_up(store, tmp_path / name, at=AT, how=Manner())
            assert (tmp_path / name).read_bytes() == before
    with pytest.raises(StoreUnwritable, match=r"there is no folder .*nowhere; make it"):
        back_up(store, tmp_path / "nowhere" / "copy.db", at=AT, how=Manner())
    assert not [name for name in names(tmp_path) if "partial" in name]


def test_a_folder_gets_a_dated_name(tmp_path: Path) -> None:
    """TO may be a folder: the name says which store, and of which moment."""
    store = made(tmp_path / "calls.db")
    (tmp_path / "copies").mkdir()
    copied = back_up(store, tmp_path / "copies", at=AT, how=Manner())
    assert copied.path == tmp_path / "copies" / "calls-20260302T020000Z.db"
    assert letters(copied.path) == 3


def test_a_backup_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk has no room for all of it, not a byte is written, and the line says how much is needed."""
    store = made(tmp_path / "rollbook.db")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    with pytest.raises(StoreFull, match=r"a copy of .* needs 32\.\d MB, and 20\.0 MB are free at"):
        back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    assert names(tmp_path) == {"rollbook.db"}


def test_a_backup_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """A stop between two steps, and a stop during the check, end it; no file of it is left."""
    store = made(tmp_path / "rollbook.db", letters=30, size=1_000_000)
    stop = threading.Event()
    with pytest.raises(Interrupted):
        back_up(store, tmp_path / "copy.db", at=AT, how=Manner(progress=lambda *_: stop.set(), stop=stop))
    assert names(tmp_path) == {"rollbook.db"}


def test_a_damaged_store_gives_no_backup(tmp_path: Path) -> None:
    """A page that is not what it should be is found by the check, before the copy has a name."""
    store = made(tmp_path / "rollbook.db", letters=400, size=500)
    with closing(sqlite3.connect(store)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'dead_letters'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(store.read_bytes())
    data[(root - 1) * size : (root - 1) * size + 200] = b"\x7f" * 200
    store.write_bytes(data)
    with pytest.raises(StoreDamaged):
        back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    assert "copy.db" not in names(tmp_path)
    assert not [name for name in names(tmp_path) if "partial" in name]


def test_a_store_of_an_earlier_schema_is_copied_as_it_is(tmp_path: Path) -> None:
    """Before an update is when people make a backup: it does not bring the store up to date."""
    load(2, tmp_path / "old.db")
    back_up(tmp_path / "old.db", tmp_path / "copy.db", at=AT, how=Manner())
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def test_two_backups_of_one_store_do_not_meet(tmp_path: Path) -> None:
    """The second is refused, and the line names the first."""
    store = made(tmp_path / "rollbook.db", letters=20, size=1_000_000)

    def again(*_: int) -> None:
        with pytest.raises(LockHeld, match="is being backed up by this process"):
            back_up(store, tmp_path / "second.db", at=AT, how=Manner())

    back_up(store, tmp_path / "first.db", at=AT, how=Manner(progress=again))
    assert names(tmp_path) == {"rollbook.db", "first.db"}


SLOW = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.backups import back_up
def wait(done, total):
    if done >= total * int(sys.argv[3]) // 100:
        print("here", flush=True)
        sys.stdin.read()
back_up(Path(sys.argv[1]), Path(sys.argv[2]), at=datetime.now(UTC), how=Manner(progress=wait))
"""


async def killed_at(share: int, store: Path, target: Path) -> None:
    """Make a backup in a process of its own, and kill that when so many hundredths are copied."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SLOW,
        store,
        target,
        str(share),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    process.kill()
    await process.wait()


@pytest.mark.process
@pytest.mark.parametrize("share", [1, 60, 100])
async def test_a_backup_that_is_killed_leaves_the_earlier_one(share: int, tmp_path: Path) -> None:
    """kill -9 at any step: the name still stands for the whole earlier copy, and the next backup clears what is left."""
    store, target = made(tmp_path / "rollbook.db", letters=30, size=1_000_000), tmp_path / "copy.db"
    back_up(store, target, at=AT, how=Manner())
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(LETTER, ("later",))
    await killed_at(share, store, target)
    assert letters(target) == 30
    (left,) = names(tmp_path) - {"rollbook.db", "copy.db"}
    assert left.startswith(".copy.db.")
    assert left.endswith(".partial")
    ran = await rollbook("backup", "copy.db", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert letters(target) == 31
    assert names(tmp_path) == {"rollbook.db", "copy.db"}


# The commands


@pytest.mark.process
async def test_the_commands_answer_as_the_others_do(tmp_path: Path) -> None:
    """`--json` is one object; lines for people say how much; errors are one line with their status."""
    made(tmp_path / "rollbook.db")
    (tmp_path / "copies").mkdir()
    ran = await rollbook("backup", "copies", "--json", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert ran.err == ""
    path = Path(ran.json["path"])
    assert ran.json["bytes"] == (tmp_path / path).stat().st_size
    assert ran.json["organization"] == {"id": "o1", "name": "Example"}
    assert ran.json["rows"]["dead_letters"] == 3
    ran = await rollbook("backup", "copy.db", env={}, cwd=tmp_path)
    assert ran.out.startswith("copy.db: 0 conversations, 0 events, ")
    for words, status, line in (
        (("backup", "rollbook.db"), 2, "is the store itself"),
        (("backup", "no/copy.db"), 1, "there is no folder"),
        (("backup", "copy.db", "--db", "no.db"), 1, "there is no store at no.db"),
        (("restore", "no.db"), 1, "there is no backup at no.db"),
        (("restore", "rollbook.db"), 2, "is the store itself"),
    ):
        ran = await rollbook(*words, env={}, cwd=tmp_path)
        assert (ran.status, line in ran.one_line) == (status, True), ran
        ran = await rollbook(*words, "--json", env={}, cwd=tmp_path)
        assert line in ran.json["error"]
    ran = await rollbook("restore", "copies", "--json", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert ran.json["from"] == str(path)
    assert letters(Path(ran.json["kept"])) == 3


# Restoring


def test_what_was_there_is_kept_whole(tmp_path: Path) -> None:
    """The store is the backup afterwards; the one that was there is beside it, with what was in its log."""
    store = made(tmp_path / "rollbook.db")
    back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    ours = sqlite3.connect(store)
    ours.execute("PRAGMA wal_autocheckpoint = 0")
    ours.execute("PRAGMA journal_mode = WAL")
    ours.execute(LETTER, ("in the log",))
    ours.commit()
    with pytest.raises(StoreBusy, match="another program has the file open; close it"):
        restore(tmp_path / "copy.db", store, at=AT, how=Manner())
    ours.close()
    restored = restore(tmp_path / "copy.db", store, at=AT, how=Manner(full=True))
    assert letters(store) == 3
    assert restored.kept == tmp_path / "rollbook-before-restore-20260302T020000Z.db"
    assert letters(restored.kept) == 4
    assert store.stat().st_nlink == restored.kept.stat().st_nlink == 1
    assert names(tmp_path) == {"rollbook.db", "copy.db", restored.kept.name}
    with Book.open(store, organization=OURS) as book:
        book.write(run, LETTER, "new").result(10)
    assert (letters(store), letters(restored.kept)) == (4, 4)


def test_a_log_is_never_applied_to_another_file(tmp_path: Path) -> None:
    """Where the old file is damaged its log cannot be taken in: it goes aside with it, and the new file is as it was."""
    store = made(tmp_path / "rollbook.db", letters=30, size=5_000)
    back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.executemany(LETTER, [("y" * 9_000,)] * 30)
        db.commit()
        saved = Path(f"{store}-wal").read_bytes()
        assert saved
    store.write_bytes(b"no database at all" * 4096)
    # A file that is no database at all is not ours to move.
    with pytest.raises(StoreForeign, match="is not an SQLite file; move it away"):
        restore(tmp_path / "copy.db", store, at=AT, how=Manner())
    data = bytearray((tmp_path / "copy.db").read_bytes())
    data[100:8192] = b"\x7f" * (8192 - 100)
    store.write_bytes(data)
    Path(f"{store}-wal").write_bytes(saved[:3000])
    restored = restore(tmp_path / "copy.db", store, at=AT, how=Manner())
    assert letters(store) == 30
    assert restored.kept is not None
    assert restored.kept.read_bytes() == data
    assert not Path(f"{store}-wal").exists() or letters(store) == 30


def test_a_backup_that_is_damaged_replaces_nothing(tmp_path: Path) -> None:
    """An index that lacks a row of its table is found before anything is moved."""
    store = made(tmp_path / "rollbook.db")
    back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    with closing(sqlite3.connect(tmp_path / "copy.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE extra (a TEXT)")
        db.execute("CREATE INDEX extra_a ON extra (a)")
        db.execute("PRAGMA writable_schema = 1")
        text = db.execute("SELECT sql FROM sqlite_master WHERE name = 'extra_a'").fetchone()[0]
        db.execute("DELETE FROM sqlite_master WHERE name = 'extra_a'")
        root = db.execute("SELECT max(rootpage) + 1 FROM sqlite_master").fetchone()[0]
        db.execute("PRAGMA writable_schema = RESET")
        db.execute("INSERT INTO extra VALUES ('in no index')")
        db.execute("PRAGMA writable_schema = 1")
        db.execute("INSERT INTO sqlite_master VALUES ('index', 'extra_a', 'extra', ?, ?)", (root, text))
    before = store.read_bytes()
    with pytest.raises(StoreDamaged):
        restore(tmp_path / "copy.db", store, at=AT, how=Manner(full=True))
    assert store.read_bytes() == before
    assert names(tmp_path) == {"rollbook.db", "copy.db"}


def test_a_restore_is_for_the_same_organisation(tmp_path: Path) -> None:
    """A backup of another organisation is refused; where there is no store yet, any is taken."""
    made(tmp_path / "theirs.db", organization=OTHERS)
    store = made(tmp_path / "rollbook.db")
    with pytest.raises(StoreForeign, match=r"Another \(o2\), and .* to Example \(o1\)"):
        restore(tmp_path / "theirs.db", store, at=AT, how=Manner())
    restored = restore(tmp_path / "theirs.db", tmp_path / "new.db", at=AT, how=Manner())
    assert restored.kept is None
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE t (a)")
    with pytest.raises(StoreForeign, match="SQLite file of another program"):
        restore(store, other, at=AT, how=Manner())


@pytest.mark.parametrize("moment", ["a daemon", "a run", "a backup"])
def test_a_store_that_somebody_works_on_is_not_replaced(moment: str, tmp_path: Path) -> None:
    """A daemon, a run and a backup each exclude it; the line names them."""
    store = made(tmp_path / "rollbook.db", letters=20, size=1_000_000)
    back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    before = store.stat().st_ino

    def refused(*_: int) -> None:
        with pytest.raises(LockHeld, match=r"is in use by this process \(.+\); stop it, then run this again"):
            restore(tmp_path / "copy.db", store, at=AT, how=Manner())

    if moment == "a backup":
        back_up(store, tmp_path / "second.db", at=AT, how=Manner(progress=refused))
    else:
        hour = Interval(AT, AT + timedelta(hours=1))
        with (
            Book.open(store, journal="delete", command="rollbook run") as book,
            book.lock_daemon() if moment == "a daemon" else book.lock_window(hour),
        ):
            refused()
    assert store.stat().st_ino == before


def test_nobody_opens_a_store_for_writing_while_it_is_replaced(tmp_path: Path) -> None:
    """What opens it in the middle of a restore is refused: it would go on with the file that is set aside."""
    store = made(tmp_path / "rollbook.db", letters=20, size=1_000_000)
    back_up(store, tmp_path / "copy.db", at=AT, how=Manner())
    tried: list[StoreError] = []

    def open_it(*_: int) -> None:
        if not tried:
            with pytest.raises(LockHeld, match="is being restored by") as caught:
                Book.open(store)
            tried.append(caught.value)

    restore(tmp_path / "copy.db", store, at=AT, how=Manner(progress=open_it))
    assert tried
    assert letters(store) == 20


@pytest.mark.process
async def test_a_running_daemon_keeps_its_store(tmp_path: Path) -> None:
    """`rollbook restore` beside a process that writes ends with 1 and names it; afterwards it works."""
    store = made(tmp_path / "rollbook.db")
    await rollbook("backup", "copy.db", env={}, cwd=tmp_path)
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from rollbook.store.book import Book\n"
        "with Book.open('rollbook.db') as book, book.lock_daemon():\n"
        "    print('here', flush=True); sys.stdin.read()",
        cwd=tmp_path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    ran = await rollbook("restore", "copy.db", env={}, cwd=tmp_path)
    assert ran.status == 1
    assert f"is in use by process {holder.pid}" in ran.one_line
    holder.kill()
    await holder.wait()
    ran = await rollbook("restore", "copy.db", env={}, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert "the store that was there is" in " ".join(ran.out.split())
    assert letters(store) == 3


@pytest.mark.process
async def test_a_restore_that_is_killed_leaves_a_store(tmp_path: Path) -> None:
    """kill -9 while the backup is copied: the store is as it was, and the next restore works."""
    store = made(tmp_path / "rollbook.db", letters=3)
    made(tmp_path / "copy.db", letters=40, size=1_000_000)
    process = await start("restore", "copy.db", env={}, cwd=tmp_path)
    await until(lambda: process.returncode is not None or any("partial" in name for name in names(tmp_path)))
    process.kill()
    await process.wait()
    assert letters(store) in (3, 40)
    ran = await finish(await start("restore", "copy.db", env={}, cwd=tmp_path))
    assert ran.status == 0, ran.err
    assert letters(store) == 40
    assert not [name for name in names(tmp_path) if name.startswith(".")]


# What is kept in a folder


def test_the_days_backup_is_due_once(tmp_path: Path) -> None:
    """Due at once where there is none, then at the time of day; what was missed is made up for, once."""
    two = time(2, 0)
    day = datetime(2026, 3, 2, tzinfo=UTC)
    assert backups.is_due(None, day, two)
    made_at = day + timedelta(hours=2, minutes=1)
    assert not backups.is_due(made_at, day + timedelta(hours=23), two)
    assert not backups.is_due(made_at, day + timedelta(days=1, hours=1, minutes=59), two)
    assert backups.is_due(made_at, day + timedelta(days=1, hours=2), two)
    assert backups.is_due(made_at, day + timedelta(days=9), two)
    assert not backups.is_due(day + timedelta(days=9, hours=-1), day + timedelta(days=9), two)


def test_only_backups_of_this_store_are_let_go(tmp_path: Path) -> None:
    """The newest stay; other names, other stores' and other organisations' backups are nobody's to remove."""
    store, folder = made(tmp_path / "rollbook.db"), tmp_path / "copies"
    folder.mkdir()
    days = [AT + timedelta(days=number) for number in range(5)]
    for day in days:
        back_up(store, folder, at=day, how=Manner())
    (tmp_path / "x").mkdir()
    theirs = made(tmp_path / "x" / "rollbook.db", organization=OTHERS)
    foreign = back_up(theirs, folder, at=AT - timedelta(days=9), how=Manner()).path
    for name in ("rollbook-20260101T000000Z.db.txt", "rollbook-99999999T999999Z.db", "mine.db"):
        (folder / name).write_text("kept")
    removed = backups.let_go(store, folder, 2)
    assert removed == [folder / backups.file_name(store, day) for day in days[:3]]
    assert [kept.at for kept in backups.backups_of(store, folder)] == days[3:]
    assert foreign.exists()
    assert len(names(folder)) == 2 + 1 + 3
