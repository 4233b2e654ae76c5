"""Compaction: pages that nothing uses are given back to the disk.

A store whose file keeps a map of its pages (`auto_vacuum`, which new ones have) is compacted a few megabytes at a time,
in transactions of some hundredths of a second, beside whoever works on it. An older file has no such map: it is written
anew while nobody else has it open, and has the map from then on.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import Interrupted
from rollbook.store.file import connections, locks
from rollbook.store.file.copying import (
    Manner,
    check,
    counted_rows,
    need_room,
    partial_of,
    size_of,
    sync_file,
    sync_folder,
    take_log_in,
)
from rollbook.store.file.errors import StoreDamaged, StoreUnwritable, translate
from rollbook.store.file.transactions import transaction
from rollbook.store.tables import notes
from rollbook.store.upkeep import sizes

# Pages that a transaction gives back: 2 MB with our pages. The daemon waits for it, and has its turn after it.
_PAGES: Final = 256
_REST: Final = 0.05
_SECONDS: Final = 60.0
_PATIENCE: Final = 2.0
_INCREMENTAL: Final = 2
_INSTRUCTIONS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Compacted:
    """Sizes of a file before and after, bytes. anew: it was written anew, while nobody else had it open."""

    before: int
    after: int
    anew: bool


def compact(store: Path, how: Manner, *, command: str = "rollbook compact") -> Compacted:
    """Give back what nothing uses. Raises StoreError, LockHeld where it must be alone and is not, Interrupted."""
    connections.connect_reader(store).close()
    try:
        with closing(connections.connect(store, journal="wal", timeout=_SECONDS)) as db:
            before, unused = sizes.pages(db)
            if db.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
                _in_steps(db, store, unused, how)
                return Compacted(before, size_of(db), anew=False)
        if not unused:
            return Compacted(before, before, anew=False)
        return Compacted(before, _anew(store, before - unused, how, command), anew=True)
    except sqlite3.Error as error:
        raise _translated(error, store, how) from None


def write_anew(store: Path, how: Manner, *, command: str) -> Compacted:
    """Write the file anew, so that nothing is left in it of what was deleted. Raises as `compact` does."""
    try:
        with closing(connections.connect(store, journal="wal", timeout=_SECONDS)) as db:
            before, unused = sizes.pages(db)
        return Compacted(before, _anew(store, before - unused, how, command), anew=True)
    except sqlite3.Error as error:
        raise _translated(error, store, how) from None


def _translated(error: sqlite3.Error, store: Path, how: Manner) -> Exception:
    if how.stop.is_set():
        return Interrupted("the compaction was interrupted; the store is as it was")
    return translate(error, store)


def _in_steps(db: sqlite3.Connection, store: Path, unused: int, how: Manner) -> None:
    lock = locks.lock_file(store)
    alone = lock.try_lock(locks.CHECKPOINTER, "rollbook compact") is None
    try:
        if alone:
            db.execute(f"PRAGMA wal_autocheckpoint = {connections.CHECKPOINT_PAGES}")
        while (left := sizes.pages(db)[1]) > 0:
            how.progress(max(unused - left, 0), unused)
            if how.stop.is_set():
                raise Interrupted("the compaction was interrupted; what was given back stays so")
            with transaction(db):
                for _ in range(_PAGES):
                    # A call gives back a single page: sqlite3 takes one step of a statement that answers no columns.
                    db.execute("PRAGMA incremental_vacuum(1)")
            time.sleep(_REST)
    finally:
        if alone:
            lock.unlock(locks.CHECKPOINTER)


def _anew(store: Path, size: int, how: Manner, command: str) -> int:
    """Write the file anew, and put that in its place; answers its size."""
    store = store.resolve()
    partial = partial_of(store)
    with locks.locked(
        locks.lock_file(store),
        locks.EVERYTHING,
        what=f"{store} must be written anew this time, and",
        command=command,
        wait=0.0,
        state="is in use by",
        remedy="stop it, then run this again",
    ):
        need_room(store.parent, size, f"writing {store} anew")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with closing(sqlite3.connect(store, timeout=_PATIENCE, isolation_level=None)) as db:
                take_log_in(db, store)
                _vacuum_into(db, partial, size, how)
                rows = counted_rows(db)
            with closing(sqlite3.connect(partial, isolation_level=None)) as db:
                check(db, store, how)
                if (found := counted_rows(db)) != rows:
                    raise StoreDamaged(f"{store} written anew has other rows ({found} for {rows}); it stays as it was")
                # It has no page that anything was ever deleted from.
                notes.write(db, notes.OVERWRITES, "1")
                written = size_of(db)
            sync_file(partial)
            owner = store.stat()
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(partial, owner.st_uid, owner.st_gid)
            partial.replace(store)
            sync_folder(store.parent)
        except OSError as error:
            raise StoreUnwritable(f"{store}: cannot be written anew ({error.strerror})") from None
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
    return written


def _vacuum_into(db: sqlite3.Connection, partial: Path, size: int, how: Manner) -> None:
    def tick() -> bool:
        how.progress(min(partial.stat().st_size, size), size)
        return how.stop.is_set()

    db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    db.set_progress_handler(tick, _INSTRUCTIONS)
    try:
        db.execute("VACUUM INTO ?", (str(partial),))
    finally:
        db.set_progress_handler(None, 0)
