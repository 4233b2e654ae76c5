"""The choice of the process that checkpoints the write-ahead log: one of those that write, another when it has died."""

from __future__ import annotations

import sqlite3
import weakref
from pathlib import Path
from typing import Final

from rollbook.store.file import connections, locks
from rollbook.store.file.errors import StoreError
from rollbook.store.file.writer import Writer

# How many commits pass between two tries to become the process that checkpoints.
_TRY_EVERY: Final = 64


class Checkpointer:
    """Called after each commit: sees to it that one process checkpoints, and takes over when it has died.

    SQLite before 3.51.3 can lose data when one connection resets the WAL while another writes; with one connection
    that ever checkpoints, it cannot.
    """

    def __init__(self, path: Path) -> None:
        self._lock = locks.lock_file(path)
        self._commits = 0
        self._ours = False
        self._writer: weakref.ref[Writer] | None = None

    def use(self, writer: Writer) -> None:
        """Checkpoint through this writer, as soon as nobody else does."""
        self._writer = weakref.ref(writer)
        self.take()

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

    def __call__(self) -> None:
        self._commits += 1
        if not self._ours and self._commits % _TRY_EVERY == 0:
            self.take()


def _checkpoint_by_itself(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {connections.CHECKPOINT_PAGES}")
