"""Bringing an older store up to date: room first, a copy of it as it was, the steps, and a look at what came of it.

Each step is one transaction, so that a kill leaves the store at the step before, and the next opening goes on there.
A store from before conversations had numbers takes no step: its rows are moved to a new file (`move.py`), and the
earlier one is then the copy.
The copy is removed once the store is whole and has every row that the copy has. What does the work is imported where
there is any: each opening asks this module if there is.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from rollbook.store.file import locks
from rollbook.store.file.errors import StoreDamaged
from rollbook.store.file.transactions import transaction
from rollbook.store.file.ways import Ways
from rollbook.store.tables import notes, schema

log = logging.getLogger(__name__)

# The daemon and whoever checkpoints: an earlier version that goes on writing would not know the new tables.
_WRITERS: Final = (locks.DAEMON[0], locks.CHECKPOINTER[1])
_PATIENCE: Final = 5.0
# Instructions of SQLite between two signs of life.
_INSTRUCTIONS: Final = 5_000_000


def copy_before(path: Path) -> Path:
    """The name of the copy of a store as it was before it is brought to this version's tables."""
    path = path.resolve()
    return path.with_name(f"{path.stem}-before-schema-{schema.VERSION}{path.suffix}")


def new_file(path: Path) -> Path:
    """The name of the file to which the rows of a store are moved, until it takes that of the store."""
    path = path.resolve()
    return path.with_name(f"{path.stem}-new-schema-{schema.VERSION}{path.suffix}")


def is_needed(connection: sqlite3.Connection, path: Path) -> bool:
    """Say whether there is anything to do: steps to take, or to look at what an upgrade that was killed has left."""
    return schema.version_of(connection)[1] < schema.VERSION or copy_before(path).exists() or new_file(path).exists()


def is_there(path: Path) -> bool:
    """Say whether there is a store, after finishing a move that was killed when it had just taken its place away."""
    if path.exists():
        return True
    if not new_file(path).exists():
        return False
    from rollbook.store.file import move

    return move.finish(path.resolve(), new_file(path), copy_before(path))


def bring_up_to_date(path: Path, ways: Ways) -> None:
    """Take the steps that are missing. The caller has the lock of a migration, and no connection.

    Raises StoreFull, LockHeld, StoreDamaged, StoreBusy, Interrupted; the store is then as it was, or at a later step,
    and the copy is there.
    """
    path = path.resolve()
    with closing(ways.connect(path)) as connection:
        if _is_created(connection):
            return
    before, new = copy_before(path), new_file(path)
    with locks.locked(
        locks.lock_file(path),
        _WRITERS,
        what=f"{path} has to be brought up to date, and",
        command="bringing the store up to date",
        wait=_PATIENCE,
        state="is in use by",
        remedy="stop it, then run this again",
    ):
        with closing(ways.connect(path)) as connection:
            version, is_moved = schema.version_of(connection)[1], schema.has_to_be_moved(connection)
            if version < schema.VERSION and not is_moved:
                _copy(connection, path, before, version, ways)
                _take_steps(connection, path, version)
        if is_moved:
            from rollbook.store.file import move

            move.move(path, new, before, ways)
        with closing(ways.connect(path)) as connection:
            _look(connection, path, before, is_checked=is_moved)
            _clear_away(connection, before, new)


def _is_created(connection: sqlite3.Connection) -> bool:
    """Make the tables of a new file, or of a creation that was cut short: there is nothing that could be lost."""
    from rollbook.store.file.copying import counted_rows

    _, version, empty = schema.version_of(connection)
    if not empty and (version > 0 or counted_rows(connection)):
        return False
    # A new file gets a map of its pages, by which `rollbook compact` gives some back beside a daemon; that costs a
    # twentieth of the time of SQLite's part in writing (docs/performance.md). To set this on a file that has one is to
    # write to it.
    if empty:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # One commit instead of one for each step: a commit waits for the disk, and whoever makes a store waits for it.
    with transaction(connection):
        schema.migrate(connection)
        notes.write(connection, notes.OVERWRITES, "1")
    return True


def _copy(connection: sqlite3.Connection, path: Path, before: Path, version: int, ways: Ways) -> None:
    """Keep the store as it is before the first step. A copy of an earlier try stays where a step was taken since."""
    from rollbook.genesys.program.progress import bytes_shown
    from rollbook.store.file.copying import Manner, copy, need_room, size_of

    if before.exists() and _version_in(before) < version:
        log.warning("%s: going on with bringing it up to date; the copy from before is %s", path, before)
        return
    # The steps write into the log what they change, which may be everything, beside the copy.
    need_room(path.parent, 2 * size_of(connection), f"bringing {path} up to date")
    log.warning("%s: bringing it up to date, from schema %d to %d; first a copy", path, version, schema.VERSION)
    with bytes_shown("copied") as progress:
        copy(lambda: ways.reader(path), path, before, Manner(progress=progress))


def _version_in(before: Path) -> int:
    with closing(sqlite3.connect(before)) as db:
        return schema.version_of(db)[1]


def _take_steps(connection: sqlite3.Connection, path: Path, version: int) -> None:
    from rollbook.genesys.program.progress import shown

    began = time.monotonic()
    with shown() as show:
        now = [version, ""]

        def begin(number: int, name: str) -> None:
            now[:] = number, name
            log.info("%s: step %d of %d (%s)", path, number, schema.VERSION, name)

        def tick() -> bool:
            show(f"step {now[0]} of {schema.VERSION} ({now[1]}): {time.monotonic() - began:.0f} s")
            return False

        connection.set_progress_handler(tick, _INSTRUCTIONS)
        try:
            schema.migrate(connection, on_step=begin)
        finally:
            connection.set_progress_handler(None, 0)
    log.warning("%s: up to date, %.1f s", path, time.monotonic() - began)


def _look(connection: sqlite3.Connection, path: Path, before: Path, *, is_checked: bool = False) -> None:
    """Raise StoreDamaged unless the store is whole and has the rows that the copy has. is_checked: it is whole."""
    from rollbook.store.file.copying import Manner, check, counted_rows

    if not before.exists():
        return
    if not is_checked:
        check(connection, path, Manner())
    with closing(sqlite3.connect(before)) as db:
        rows = counted_rows(db)
        if schema.version_of(db)[1] < schema.NUMBERS:
            rows["events"] -= _stored_twice(connection)
    found = counted_rows(connection)
    if any(found.get(name) != number for name, number in rows.items()):
        raise StoreDamaged(
            f"{path} has other rows after it was brought up to date ({found} for {rows}); stop rollbook, restore the"
            f" copy from before with `rollbook restore {before}` and the version that wrote it, and report this"
        )


def _stored_twice(connection: sqlite3.Connection) -> int:
    """The number of events that are left out of the store since it was moved: the file before had them twice."""
    return int((notes.read(connection, notes.MOVED) or "0").partition(" ")[0])


def _clear_away(connection: sqlite3.Connection, before: Path, new: Path) -> None:
    """Remove what an upgrade that has ended well needs no more."""
    before.unlink(missing_ok=True)
    if new.exists():  # a move that another store in this place has made needless
        from rollbook.store.file import move

        move.remove(new)
    if notes.read(connection, notes.MOVED) is not None:
        notes.drop(connection, notes.MOVED)
