"""Copy of a store as it stood at one moment: made beside others' writes, checked whole, and put in place at once.

The copy is read in one transaction, a few megabytes at a time. Copied in steps without one, SQLite begins again at each
commit of another connection and never ends under a daemon; `VACUUM INTO` takes 1.4 times as long, says nothing of how
far it is, and cannot be ended (docs/performance.md).
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import Interrupted
from rollbook.genesys.program.terminal import shown_size
from rollbook.store.file.errors import (
    SQLITE_FAILS,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    StoreUnwritable,
    owner_of,
    translate,
)
from rollbook.store.tables import notes, schema

# The ends of the names of what SQLite keeps beside a file.
LOGS: Final = ("-wal", "-journal", "-shm")
# A step of a copy: 8 MB with our pages, some hundredths of a second.
_PAGES: Final = 1_000
# Room that is left free beside a copy, bytes: a full disk stops capture too.
_SPARE: Final = 32_000_000
# Instructions of SQLite between two looks whether a check is to be ended.
_INSTRUCTIONS: Final = 100_000
# Tables (or views of that name) whose rows are counted on both sides.
COUNTED: Final = ("conversations", "events", "windows", "window_runs", "gaps", "coverage", "dead_letters")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Manner of a copy. progress: called with (bytes done, bytes in all). rest: seconds between two steps.

    stop: once it is set, the copy is given up. full: check every index against its table, too.
    """

    progress: Progress = lambda *_: None
    stop: threading.Event = field(default_factory=threading.Event)
    rest: float = 0.0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is in place. organization: (id, name), None where the store is bound to none yet."""

    path: Path
    size: int
    organization: tuple[str, str] | None
    counts: dict[str, int]


def size_of(connection: sqlite3.Connection) -> int:
    """The size of a store without its log, bytes."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    page: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return pages * page


def need_room(folder: Path, size: int, purpose: str) -> None:
    """Raise StoreFull unless so many bytes, and some more, are free on the disk of `folder`."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreUnwritable(f"{folder}: {error.strerror}; choose another folder") from None
    if free < size + _SPARE:
        raise StoreFull(
            f"{purpose} needs {shown_size(size + _SPARE)}, and {shown_size(free)} are free at {folder}; free some space"
        )


def copy(connect: Callable[[], sqlite3.Connection], origin: Path, target: Path, how: Manner) -> Copied:
    """Copy the store that `connect` opens to `target`, which appears whole or not at all; one of that name is replaced.

    connect: a connection that reads. origin: its file, for messages. Raises StoreError; Interrupted once it is stopped.
    """
    partial = partial_of(target)
    try:
        with closing(connect()) as source, _removed_unless_used(partial):
            copied = _fill(source, origin, partial, target, how)
            partial.replace(target)
            sync_folder(target.parent)
            return copied
    except SQLITE_FAILS as error:
        raise _translated(error, origin, how) from None
    except OSError as error:
        raise StoreUnwritable(f"{target}: cannot be written ({error.strerror}); choose another place") from None


def partial_of(target: Path) -> Path:
    """The name under which a copy is made: hidden, not to be taken for a store, and bearing who makes it."""
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


@contextmanager
def _removed_unless_used(partial: Path) -> Iterator[None]:
    _remove_abandoned(partial)
    try:
        yield
    finally:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                Path(f"{partial}{suffix}").unlink()


def _remove_abandoned(partial: Path) -> None:
    """Remove what copies to the same name have left whose process was killed."""
    name = re.compile(re.escape(re.sub(r"\.\d+\.partial$", "", partial.name)) + r"\.(\d+)\.partial(-journal)?")
    with suppress(OSError):
        for path in list(partial.parent.iterdir()):
            match = name.fullmatch(path.name)
            if match is not None and (int(match[1]) == os.getpid() or not _lives(int(match[1]))):
                path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _fill(source: sqlite3.Connection, origin: Path, partial: Path, target: Path, how: Manner) -> Copied:
    # One read transaction for all steps and counts: without it, each commit of others would begin the copy again.
    source.execute("BEGIN")
    counts = counted_rows(source)
    need_room(target.parent, size_of(source), f"a copy of {origin}")
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(partial, isolation_level=None, check_same_thread=False)) as made:
        # Its journal is the name that it does not have yet.
        made.execute("PRAGMA journal_mode = OFF")
        made.execute("PRAGMA synchronous = OFF")
        _copy_pages(source, made, how)
    source.execute("ROLLBACK")
    with closing(sqlite3.connect(partial, isolation_level=None, check_same_thread=False)) as made:
        made.execute("PRAGMA synchronous = FULL")
        made.execute("PRAGMA journal_mode = DELETE")  # one file, also where it is opened from a read-only disk
        if notes.read(made, notes.IN_LOG) == "1":
            notes.write(made, notes.IN_LOG, "0")
        check(made, origin, how)
        if (found := counted_rows(made)) != counts:
            raise StoreDamaged(f"the copy of {origin} has other rows than it ({found} for {counts}); try again")
        size, whose = size_of(made), organization_of(made)
    if (actual := sync_file(partial)) != size:
        raise StoreDamaged(f"the copy of {origin} has {actual} bytes and not {size}; try again")
    return Copied(target, size, whose, counts)


def _copy_pages(source: sqlite3.Connection, made: sqlite3.Connection, how: Manner) -> None:
    page: int = source.execute("PRAGMA page_size").fetchone()[0]

    def step(_: int, remaining: int, total: int) -> None:
        how.progress((total - remaining) * page, total * page)
        if how.stop.is_set():
            raise Interrupted("the copy was interrupted; nothing is left of it")
        if how.rest:
            time.sleep(how.rest)

    source.backup(made, pages=_PAGES, progress=step)


def check(connection: sqlite3.Connection, origin: Path, how: Manner) -> None:
    """Raise StoreDamaged unless every page is where it belongs; with `how.full`, every index is compared, too."""
    connection.set_progress_handler(how.stop.is_set, _INSTRUCTIONS)
    pragma = "integrity_check" if how.full else "quick_check"
    found = [row[0] for row in connection.execute(f"PRAGMA {pragma}(1)")]
    connection.set_progress_handler(None, 0)
    if found != ["ok"]:
        raise StoreDamaged(f"{origin}: the file is damaged ({' '.join(str(found[0]).split())}); restore a backup")


def counted_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """The number of rows of each table that is counted, and is there."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED if name in there}


def organization_of(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """(id, name) of the organisation that a store is bound to."""
    found = schema.organization(connection)
    return (found[0], found[1] or "") if found and found[0] else None


def _translated(error: sqlite3.Error | UnicodeDecodeError, origin: Path, how: Manner) -> Exception:
    if how.stop.is_set() and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
        return Interrupted("the copy was interrupted; nothing is left of it")
    return translate(error, origin)


def sync_file(path: Path) -> int:
    """Make a file durable that nobody has open through SQLite, whose locks this would drop; answers its size."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # a file system on which folders cannot be opened
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_log_in(connection: sqlite3.Connection, store: Path) -> None:
    """Take the log into its file, which SQLite does only where nobody else has that open; else raise StoreBusy."""
    try:
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        if not isinstance(translate(error, store), StoreBusy):
            raise
        mode = "wal"
    if mode != "delete":
        raise StoreBusy(f"{store}: another program has the file open; close it")


def need_folder(folder: Path) -> None:
    """Raise StoreUnwritable unless there is such a folder and this user may write in it."""
    if not folder.is_dir():
        raise StoreUnwritable(f"there is no folder {folder}; make it, or choose another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreUnwritable(f"this user may not write in {folder}; run this as {owner_of(folder)}, or choose another")
