"""The choice of the process that checkpoints the write-ahead log: one of those that write, another when it has died.

It also sees to it that a plain copy of the file alone can be recognised. After each checkpoint the file itself says
`in_log = 1` (what was committed later is in the log), while the log goes on with `in_log = 0`. So SQLite, which reads
both, sees 0, and so does every copy that was made through it; the file without its log says 1. When the last connection
closes, the log is taken into the file, and with it the 0.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from rollbook.store.file import connections, locks
from rollbook.store.file.errors import StoreError
from rollbook.store.file.transactions import transaction
from rollbook.store.file.writer import Writer
from rollbook.store.tables import notes
from rollbook.store.tables.notes import mark

# How many commits pass between two tries to become the process that checkpoints.
_TRY_EVERY: Final = 64
# Seconds between two marks: where a reader keeps the log from being taken in whole, each commit takes in a part.
_MARK_EVERY: Final = 1.0
# Seconds between two looks whether another program asks for an empty log.
_LOOK_EVERY: Final = 1.0
# Seconds for which opening a store waits for the first mark.
_MARKED_WITHIN: Final = 0.5


class Checkpointer:
    """Called after each commit: sees to it that one process checkpoints, and takes over when it has died.

    SQLite before 3.51.3 can lose data when one connection resets the WAL while another writes; with one connection
    that ever checkpoints, it cannot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = locks.lock_file(path)
        self._commits = 0
        self._ours = False
        self._writer: weakref.ref[Writer] | None = None
        self._file_at: int | None = None  # when the file itself was written last, as far as it has been marked
        self._marked = -_MARK_EVERY
        self._looked = 0.0
        self._has_tried = threading.Event()  # to mark the file, for the first time

    def use(self, writer: Writer) -> None:
        """Checkpoint through this writer, as soon as nobody else does."""
        self._writer = weakref.ref(writer)
        self.take()
        if self._ours:
            # Nobody should meet the mark half made; but behind another program's transaction it is not waited for: it
            # comes with a later commit then.
            self._has_tried.wait(_MARKED_WITHIN)

    def take(self) -> None:
        """Become the one that checkpoints, if nobody is."""
        writer = self._writer() if self._writer is not None else None
        if writer is not None and self._lock.try_lock(locks.CHECKPOINTER, "checkpoints") is None:
            self._ours = True
            try:
                writer.submit(_checkpoint_by_itself)
            except StoreError:
                # It is being closed, and this is its own thread: an error would end that before what waits is written.
                self.release()

    def release(self) -> None:
        """Let another process checkpoint."""
        if self._ours:
            self._ours = False
            self._lock.unlock(locks.CHECKPOINTER)

    def __call__(self, connection: sqlite3.Connection) -> None:
        self._commits += 1
        if not self._ours and self._commits % _TRY_EVERY == 0:
            self.take()
        if self._ours and time.monotonic() - self._looked >= _LOOK_EVERY:
            self._looked = time.monotonic()
            with suppress(sqlite3.Error):
                if notes.read(connection, notes.EMPTY_LOG) is not None:
                    empty_log(connection)
        # In this journal a checkpoint alone writes to the file itself: ours, or another program's.
        if self._ours and self._written_at() != self._file_at and time.monotonic() - self._marked >= _MARK_EVERY:
            self._mark(connection)

    def _written_at(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _mark(self, connection: sqlite3.Connection) -> None:
        # Whatever keeps it from being made (a full disk, another program's transaction), the next commit tries again.
        is_marked = False
        with suppress(sqlite3.Error):
            mark(connection, "1")
            _, in_log, taken_in = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # Somebody who reads keeps the newest part of the log out of the file, and the mark with it.
            is_marked = in_log == taken_in
        with suppress(sqlite3.Error):
            mark(connection, "0")
            self._file_at = self._written_at() if is_marked else None
        self._marked = time.monotonic()
        self._has_tried.set()


def empty_log(connection: sqlite3.Connection) -> bool:
    """Take the log into the file and cut it to nothing, as an erasure asks for; tell whether it was possible now.

    For the process that checkpoints. Somebody who reads an earlier state keeps it from being done.
    """
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
        return False
    with transaction(connection):
        notes.drop(connection, notes.EMPTY_LOG)
    return True


def _checkpoint_by_itself(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {connections.CHECKPOINT_PAGES}")
