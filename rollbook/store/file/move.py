"""The move of a store of an earlier schema to a new file beside it, which then takes its place.

The earlier file is only read, and nobody else can write to it meanwhile, so it is itself the copy from before. The new
file notes how far it is in each of its transactions, and which file it is made from (a fingerprint): a kill, a full
disk or a power cut costs the rows since the last commit, and a file that was written to since begins the move again.

The earlier file gets its second name first, the name of a copy from before, and then the new file takes the first in
one step: there is no moment without a store. (Where a file system knows no second names, there is one, and `finish`
ends it at the next opening.) Neither file has a log by then: SQLite would apply it to whatever bears the name.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import Interrupted
from rollbook.genesys.program.progress import shown
from rollbook.genesys.times import to_text
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.file import earlier_rows, locks
from rollbook.store.file.copying import LOGS, Manner, check, need_room, sync_file, sync_folder
from rollbook.store.file.errors import StoreBusy, StoreDamaged, StoreUnwritable, translate
from rollbook.store.file.transactions import transaction
from rollbook.store.file.ways import Ways
from rollbook.store.tables import notes, schema

log = logging.getLogger(__name__)

# Every lock but those that a migration has already: windows, a backup, a restore.
_OTHERS: Final = (locks.BACKUP[0], locks.EVERYTHING[1])
# Seconds for which another program may still have the file, and between two tries.
_PATIENCE: Final = 5.0
_PAUSE: Final = 0.05
# Pages of the new file's log between two checkpoints.
_CHECKPOINT_PAGES: Final = 8_000
# What the new file may be larger than the earlier one, at the worst.
_LARGER: Final = 1.1


def room_for(size: int) -> int:
    """The bytes that a move of a file of this size needs beside it."""
    return int(size * _LARGER)


def move(path: Path, new: Path, before: Path, ways: Ways) -> None:
    """Move the store, which has rows and is of a schema without numbers, to `new`, and put that in its place.

    The earlier file is `before` afterwards. The caller has the locks of a migration and of whoever writes. Raises
    StoreError, Interrupted; then the store is as it was.
    """
    began = time.monotonic()
    there = new.stat().st_size if new.exists() else 0
    need_room(path.parent, max(room_for(path.stat().st_size) - there, 0), f"bringing {path} up to date")
    with (
        _explained(path, ways),
        locks.locked(
            locks.lock_file(path),
            _OTHERS,
            what=f"{path} has to be brought up to date, and",
            command="bringing the store up to date",
            wait=_PATIENCE,
            state="is in use by",
            remedy="stop it, then run this again",
        ),
    ):
        _must_be_alone(path, ways)
        with _only_read(path, ways) as (old, fingerprint):
            _make(old, path, new, fingerprint, ways)
        _must_be_alone(path, ways)
        if _fingerprint(path) != fingerprint:
            raise StoreBusy(_open_elsewhere(path))
        _put_in_place(path, new, before)
    log.warning("%s: up to date, %.1f s", path, time.monotonic() - began)


def _make(old: sqlite3.Connection, path: Path, new: Path, fingerprint: str, ways: Ways) -> None:
    """Make the new file, as far as it is not made yet."""
    if lost := earlier_rows.immovable(old):
        raise StoreUnwritable(
            f"{path} has tables of another program that cannot be brought along ({', '.join(lost)}); keep a copy of"
            " the file, drop them, run this again, and make them anew afterwards"
        )
    is_new = not _goes_on(new, fingerprint, ways)
    log.warning(
        "%s: %s its rows from schema %d to the tables of schema %d, in %s",
        path,
        "moving" if is_new else "going on with moving",
        schema.version_of(old)[1],
        schema.VERSION,
        new,
    )
    try:
        _fill(old, path, new, fingerprint, ways)
    except StoreDamaged:
        remove(new)  # what is wrong in it would stay so
        raise


def finish(path: Path, new: Path, before: Path) -> bool:
    """Put the new file in the place of a store that has its second name alone; say whether the store is there now."""
    if not (before.exists() and new.exists()):
        return path.exists()
    lock = locks.lock_file(path)
    with (
        _explained(path),
        locks.locked(lock, locks.MIGRATION, what=str(path), command="bringing the store up to date", wait=_PATIENCE),
    ):
        if not path.exists() and _is_complete(new):
            _rename(path, new)
        return path.exists()


def _is_complete(new: Path) -> bool:
    with closing(sqlite3.connect(new)) as db:
        return _moved_from(db) is not None


@contextmanager
def _explained(path: Path, ways: Ways | None = None) -> Iterator[None]:
    """Errors of the system and of SQLite in our words."""
    try:
        yield
    except OSError as error:
        raise StoreUnwritable(
            f"{path}: cannot be brought up to date ({error.strerror}); check the folder, its permissions and the disk"
        ) from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if ways is not None and ways.stop.is_set() and code == sqlite3.SQLITE_INTERRUPT:
            raise Interrupted(_interrupted(path)) from None
        raise translate(error, path) from None


def _interrupted(path: Path) -> str:
    return f"{path}: bringing it up to date was interrupted, and goes on at the next opening"


def remove(new: Path) -> None:
    """Remove a new file that is of no use. The file first: its log alone is nothing, it without its log is another."""
    for suffix in ("", *LOGS):
        Path(f"{new}{suffix}").unlink(missing_ok=True)


# The earlier file


@contextmanager
def _only_read(path: Path, ways: Ways) -> Iterator[tuple[sqlite3.Connection, str]]:
    """A connection to the earlier file, which keeps all others from writing to it, and the file's fingerprint."""
    with closing(ways.connect(path)) as db:
        earlier_rows.complete(db)
        _at_last(lambda: db.execute("BEGIN IMMEDIATE"), path, ways)
        if _has_content(Path(f"{path}-wal")):
            raise StoreBusy(_open_elsewhere(path))  # somebody was faster
        yield db, _fingerprint(path)
        db.execute("ROLLBACK")


def _has_content(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _must_be_alone(path: Path, ways: Ways) -> None:
    """Raise StoreBusy while another program has the file open. Else its log is taken in and away, and it is as it was.

    Whoever has a file with a write-ahead log open, and has read in it, is known to SQLite, also when it does nothing:
    so the file keeps that log while it is moved. Otherwise who has opened it meanwhile would not be found at the end,
    and would then mix what it has of this file with the log of the new one.
    """
    _at_last(lambda: _lock_for_itself(path), path, ways)
    with closing(ways.connect(path)) as db:
        if ways.journal == "wal":
            _at_last(lambda: db.execute("PRAGMA journal_mode = WAL").fetchone(), path, ways)
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _lock_for_itself(path: Path) -> None:
    # Before anything is read, or it is no longer asked for.
    with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _at_last(work: Callable[[], object], path: Path, ways: Ways) -> None:
    """Do what another program keeps from being done, as soon as it lets it. Raises StoreBusy if it does not."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            work()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= until or ways.stop.wait(_PAUSE):
                raise StoreBusy(_open_elsewhere(path)) from None


def _open_elsewhere(path: Path) -> str:
    return f"{path} has to be brought up to date, and another program has the file open; close it"


def _fingerprint(path: Path) -> str:
    """A text that is another as soon as anybody has written to the file, or another rollbook moves it.

    Of what the system says of a file without a log: to open it beside SQLite would drop SQLite's locks.
    """
    known = path.stat()
    return f"{known.st_size} {known.st_mtime_ns} {schema.our_version()}"


# The new file


def _goes_on(new: Path, fingerprint: str, ways: Ways) -> bool:
    """Say whether the new file is there, made from this very file; if not, there is none afterwards."""
    if new.exists():
        try:
            with closing(ways.connect(new)) as db:
                found = earlier_rows.origin(db) or _moved_from(db)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            found = None
        if found == fingerprint:
            return True
        if found is not None:
            log.warning("%s was made from another state of the store; from the beginning", new)
    remove(new)
    return False


def _moved_from(db: sqlite3.Connection) -> str | None:
    """The fingerprint of the file from which all rows were moved; None where this is not all of them."""
    if schema.version_of(db)[0] != schema.APPLICATION_ID:
        return None
    return (notes.read(db, notes.MOVED) or "").partition(" ")[2] or None


def _fill(old: sqlite3.Connection, path: Path, new: Path, fingerprint: str, ways: Ways) -> None:
    """Move what is not moved yet, and look whether the new file is whole. It is one file then, and on the disk."""
    if not new.exists():
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(ways.connect(new)) as db:
        if _moved_from(db) is None:
            _set_up(old, db, fingerprint, ways)
            _move_rows(old, db, path, ways)
        try:
            check(db, new, Manner(stop=ways.stop, full=True))
        except StoreDamaged:
            raise StoreDamaged(
                f"the new file for {path} came out damaged, and {path} stays as it was; look at the disk, then run this"
                " again"
            ) from None
        db.execute("PRAGMA journal_mode = DELETE")
    sync_file(new)


def _set_up(old: sqlite3.Connection, db: packing.PackingConnection, fingerprint: str, ways: Ways) -> None:
    """Let the connection write as a move writes, and make the tables if they are not there."""
    kinds = packing.KINDS[ways.pack] if frames.available() else ()
    db.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is moved again
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if earlier_rows.origin(db) is None:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        at = to_text(datetime.now(UTC))
        with transaction(db):
            earlier_rows.begin(old, db, fingerprint, kinds, at=at)
    if ways.journal == "wal":
        db.execute("PRAGMA journal_mode = WAL")
    for kind in kinds:
        if (found := dictionaries.newest(db, kind)) is not None:
            packing.use(db, kind, found.body, level=frames.SMALL)


def _move_rows(old: sqlite3.Connection, db: packing.PackingConnection, path: Path, ways: Ways) -> None:
    totals = {
        "conversations": old.execute("SELECT count(*) FROM conversations").fetchone()[0],
        "events": old.execute("SELECT coalesce(max(event_id), 0) FROM events").fetchone()[0],
    }
    with shown() as show:
        place = earlier_rows.place(db)
        while place.part != "end":
            if ways.stop.is_set():
                raise Interrupted(_interrupted(path))
            total = totals.get(place.part, 0)
            far = f" {max(place.after, 0):,} of {total:,}" if total else ""
            show(f"moving rows to new tables: {place.part}{far}")
            with transaction(db):
                place = earlier_rows.step(old, db)
    with transaction(db):
        lost, different = earlier_rows.carry_over(old, db), earlier_rows.end(old, db)
    if different:
        counts = ", ".join(f"{name} {after} for {was}" for name, (was, after) in different.items())
        raise StoreDamaged(
            f"{path} would have other rows in the new tables ({counts}), and stays as it was; go on with the version of"
            " rollbook that wrote it, and report this"
        )
    if place.twice:
        log.warning("%s: %d events were stored twice, and are kept once", path, place.twice)
    if lost:
        log.warning(
            "%s: made by others and not brought along: %s; they stood on what are views now, or rollbook has views of"
            " their names",
            path,
            ", ".join(lost),
        )


# The places of both


def _put_in_place(path: Path, new: Path, before: Path) -> None:
    """Give the earlier file its second name, and the new one its first."""
    for suffix in LOGS:
        for file in (path, new):
            if Path(f"{file}{suffix}").exists():
                raise StoreBusy(_open_elsewhere(file))
    was = path.stat()
    new.chmod(stat.S_IMODE(was.st_mode))
    if (was.st_uid, was.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        with suppress(PermissionError):
            os.chown(new, was.st_uid, was.st_gid)
    before.unlink(missing_ok=True)
    try:
        os.link(path, before)
    except OSError:
        path.rename(before)  # a file system without second names
    _rename(path, new)


def _rename(path: Path, new: Path) -> None:
    new.replace(path)
    sync_folder(path.parent)
