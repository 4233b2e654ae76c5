"""Access to the store: writes through the one writer, reads from a connection of their own. Knows no table."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from rollbook.store.file.errors import StoreUnwritable, translate
from rollbook.store.file.writer import Writer

T = TypeVar("T")
# Seconds that a read under way in another thread may take when the store is closed.
_LAST_READ: Final = 1.0
# How far the platform's index is believed to be behind its events, unless the settings say otherwise.
LAG: Final = timedelta(minutes=10)


class Access:
    """The base of every part of the book. writer: None where the file was opened for reading only."""

    def __init__(
        self,
        path: Path,
        *,
        writer: Writer | None,
        reader: sqlite3.Connection,
        now: Callable[[], datetime],
        lag: timedelta = LAG,
    ) -> None:
        self.path = path
        self._lag = lag
        self._writer = writer
        self._reader = reader
        self._reading = threading.Lock()
        self._now = now

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        if self._writer is None:
            raise StoreUnwritable(f"{self.path} was opened for reading only")
        return self._writer.submit(job)

    def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` on the reading connection. Reports use it; from any thread, one at a time."""
        with self._reading:
            try:
                return job(self._reader)
            except sqlite3.Error as error:
                raise translate(error, self.path) from None

    def _end_reading(self) -> None:
        """Close the reading connection; never under a read, which SQLite would not survive.

        One that waits for another program is not waited for: it ends with the process.
        """
        if self._reading.acquire(timeout=_LAST_READ):
            try:
                self._reader.close()
            finally:
                self._reading.release()

    @property
    def waiting(self) -> int:
        """The number of writes that wait for their commit (approximate)."""
        return 0 if self._writer is None else self._writer.waiting
