"""Bringing an older store up to date: room first, a copy of it as it was, the steps, and a look at what came of it.

Each step is one transaction, so that a kill leaves the store at the step before, and the next opening goes on there.
The copy is removed once the store is whole and has every row that the copy has. What does the work is imported where
there is any: each opening asks this module if there is.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from rollbook.store.file import locks
from rollbook.store.file.errors import StoreDamaged
from rollbook.store.tables import schema

log = logging.getLogger(__name__)

# The daemon and whoever checkpoints: an earlier version that goes on writing would not know the new tables.
_WRITERS: Final = (locks.DAEMON[0], locks.CHECKPOINTER[1])
_PATIENCE: Final = 5.0
# Instructions of SQLite between two signs of life.
_INSTRUCTIONS: Final = 5_000_000

Connect = Callable[[], sqlite3.Connection]


def copy_before(path: Path) -> Path:
    """The name of the copy of a store as it was before it is brought to this version's tables."""
    return path.with_name(f"{path.stem}-before-schema-{schema.VERSION}{path.suffix}")


def is_needed(connection: sqlite3.Connection, path: Path) -> bool:
    """Say whether there is anything to do: steps to take, or to look at what an upgrade that was killed has left."""
    return schema.version_of(connection)[1] < schema.VERSION or copy_before(path).exists()


def bring_up_to_date(connection: sqlite3.Connection, path: Path, reader: Connect) -> None:
    """Take the steps that are missing. reader: opens the store for reading, whatever its version.

    Raises StoreFull, LockHeld, StoreDamaged; the store is then as it was, or at a later step, and the copy is there.
    """
    from rollbook.store.file.copying import counted_rows

    _, version, empty = schema.version_of(connection)
    if empty or (version == 0 and not counted_rows(connection)):
        # A new file, or a creation that was cut short: there is nothing that could be lost. It gets a map of its pages,
        # by which `rollbook compact` gives some back beside a daemon; that costs a twentieth of the time of SQLite's
        # part in writing (docs/performance.md). To set this on a file that has one is to write to it.
        if empty:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.migrate(connection)
        return
    before = copy_before(path)
    with locks.locked(
        locks.lock_file(path),
        _WRITERS,
        what=f"{path} has to be brought up to date, and",
        command="bringing the store up to date",
        wait=_PATIENCE,
        state="is in use by",
        remedy="stop it, then run this again",
    ):
        if version < schema.VERSION:
            _copy(connection, path, before, version, reader)
            _take_steps(connection, path, version)
        _look(connection, path, before)
    before.unlink(missing_ok=True)


def _copy(connection: sqlite3.Connection, path: Path, before: Path, version: int, reader: Connect) -> None:
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
        copy(reader, path, before, Manner(progress=progress))


def _version_in(before: Path) -> int:
    with closing(sqlite3.connect(before)) as db:
        return schema.version_of(db)[1]


def _take_steps(connection: sqlite3.Connection, path: Path, version: int) -> None:
    from rollbook.genesys.program.progress import shown

    began, last = time.monotonic(), schema.VERSION
    with shown() as show:
        now = [version, ""]

        def begin(number: int, name: str) -> None:
            now[:] = number, name
            log.info("%s: step %d of %d (%s)", path, number, last, name)

        def tick() -> bool:
            show(f"step {now[0]} of {last} ({now[1]}): {time.monotonic() - began:.0f} s")
            return False

        connection.set_progress_handler(tick, _INSTRUCTIONS)
        try:
            schema.migrate(connection, on_step=begin)
        finally:
            connection.set_progress_handler(None, 0)
    log.warning("%s: up to date, %.1f s", path, time.monotonic() - began)


def _look(connection: sqlite3.Connection, path: Path, before: Path) -> None:
    """Raise StoreDamaged unless the store is whole and has the rows that the copy has."""
    from rollbook.store.file.copying import Manner, check, counted_rows

    if not before.exists():
        return
    check(connection, path, Manner())
    with closing(sqlite3.connect(before)) as db:
        rows = counted_rows(db)
    found = counted_rows(connection)
    if any(found.get(name) != number for name, number in rows.items()):
        raise StoreDamaged(
            f"{path} has other rows after it was brought up to date ({found} for {rows}); stop rollbook, restore the"
            f" copy from before with `rollbook restore {before}` and the version that wrote it, and report this"
        )
