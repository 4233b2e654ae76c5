"""Restoring a store from a backup: checked before it is put in place, and what was there is kept beside it.

A write-ahead log of the file that was there must never meet the file that comes: SQLite would apply it. So the log is
taken into its own file first, which SQLite does only where nobody else has that file open; a log that cannot be taken
in, because the file is damaged, goes aside with it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import to_text
from rollbook.store.erasure import again
from rollbook.store.file import connections, locks
from rollbook.store.file.copying import (
    LOGS,
    Copied,
    Manner,
    copy,
    need_folder,
    organization_of,
    sync_folder,
    take_log_in,
)
from rollbook.store.file.errors import (
    SQLITE_FAILS,
    StoreBusy,
    StoreDamaged,
    StoreForeign,
    StoreUnwritable,
    translate,
)
from rollbook.store.upkeep.backups import named_in

# Seconds for which another program may still have the file that is replaced.
_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that is in place. kept: where the store is that was there before; None: there was none.

    erased: how many conversations were erased again, because they had been since the backup was made.
    """

    origin: Path
    copied: Copied
    kept: Path | None
    erased: int = 0


def restore(
    origin: Path,
    store: Path,
    *,
    at: datetime,
    how: Manner,
    command: str = "rollbook restore",
    as_it_is: bool = False,
) -> Restored:
    """Put a copy of `origin` (or of the newest backup in the folder `origin`) in the place of `store`.

    as_it_is: a plain copy of a store that was in use will do, which lacks what was committed last.
    Raises StoreError, UsageError, and LockHeld while anybody works on the store.
    """
    store = store.resolve()
    origin = _origin(origin, store)
    need_folder(store.parent)
    connections.is_there(store)  # a folder is refused before a lock is put beside it
    with locks.locked(
        locks.lock_file(store),
        locks.EVERYTHING,
        what=str(store),
        command=command,
        wait=0.0,
        state="is in use by",
        remedy="stop it, then run this again",
    ):
        there = _look(store, origin, lambda: connections.connect_reader(origin, older=True, as_it_is=as_it_is))
        # Under a name of its own until what was there is aside.
        arrived = store.with_name(f".{store.name}.restored")
        copied = copy(lambda: connections.connect_reader(origin, older=True, as_it_is=as_it_is), origin, arrived, how)
        try:
            erased = again.erase_again(store, arrived, to_text(at)) if there else 0
            kept = _set_aside(store, _kept_name(store, at)) if there else None
            _give_to_owner(arrived, kept or store.parent)
            arrived.replace(store)
        finally:
            arrived.unlink(missing_ok=True)
        sync_folder(store.parent)
    return Restored(origin, Copied(store, copied.size, copied.organization, copied.counts), kept, erased)


def _origin(origin: Path, store: Path) -> Path:
    if origin.is_dir():
        found = named_in(list(origin.iterdir()), store)
        if not found:
            raise StoreUnwritable(f"there is no backup of {store.name} in {origin}; name the file")
        origin = found[-1].path
    if not origin.exists():
        raise StoreUnwritable(f"there is no backup at {origin}")
    if origin.resolve() == store or (store.exists() and origin.samefile(store)):
        raise UsageError(f"{origin} is the store itself; --db names the store that is to be restored")
    return origin


def _look(store: Path, origin: Path, connect: Callable[[], sqlite3.Connection]) -> bool:
    """Say whether a store is there. Raises StoreForeign where it is not one that what `connect` opens may replace."""
    if not connections.is_there(store):
        return False
    if not os.access(store, os.R_OK | os.W_OK):
        raise StoreUnwritable(f"{store} cannot be read and written by this user")
    if store.stat().st_size == 0:
        return False
    try:
        with closing(sqlite3.connect(store, timeout=_PATIENCE, isolation_level=None)) as db:
            connections.must_be_ours(db, store)
            ours = organization_of(db)
    except SQLITE_FAILS as error:
        found = translate(error, store)
        if isinstance(found, StoreForeign):
            raise StoreForeign(f"{store} is not an SQLite file; move it away, then run this again") from None
        # What is damaged may be replaced: that is what backups are for.
        if isinstance(found, StoreBusy):
            raise found from None
        return True
    try:
        with closing(connect()) as db:
            theirs = organization_of(db)
    except SQLITE_FAILS as error:
        raise translate(error, origin) from None
    if ours is not None and theirs is not None and ours[0] != theirs[0]:
        raise StoreForeign(
            f"the backup belongs to the organisation {theirs[1]} ({theirs[0]}), and {store} to {ours[1]} ({ours[0]});"
            " give each organisation a file of its own with --db"
        )
    return True


def _kept_name(store: Path, at: datetime) -> Path:
    return store.with_name(f"{store.stem}-before-restore-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}{store.suffix}")


def _set_aside(store: Path, kept: Path) -> Path:
    """Move what is there to the name `kept`, with its log in it, or beside it where SQLite cannot read it."""
    if kept.exists():
        raise StoreUnwritable(f"{kept} is there already; run this again")
    try:
        with closing(sqlite3.connect(store, timeout=_PATIENCE, isolation_level=None)) as db:
            take_log_in(db, store)
    except SQLITE_FAILS as error:
        found = translate(error, store)
        if not isinstance(found, StoreDamaged | StoreForeign):
            raise found from None
    for suffix in LOGS:
        with suppress(FileNotFoundError):
            Path(f"{store}{suffix}").replace(f"{kept}{suffix}")
    try:
        # A second name first, so that there is no moment without a store, in which a daemon would begin an empty one.
        os.link(store, kept)
    except OSError:
        store.rename(kept)  # a file system without links
    return kept


def _give_to_owner(path: Path, like: Path) -> None:
    """Give the file to whoever owned what was there, where root restores for a service's user."""
    owner = like.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)
