"""Waiting for another program's transaction: a little at a time, so that whoever has no time left can end it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

# How long SQLite itself waits, seconds. Nothing can interrupt it.
STEP: Final = 1.0
# Between two tries, seconds: there are cases in which SQLite does not wait at all.
_BREATH: Final = 0.05


@dataclass(frozen=True, slots=True)
class Patience:
    """busy: seconds for which another program's transaction is waited for; once `hurry` is set, no longer."""

    busy: float
    hurry: threading.Event

    @property
    def step(self) -> float:
        """Seconds for which a connection may wait by itself."""
        return min(self.busy, STEP)

    def spend_on(self, work: Callable[[], T]) -> T:
        """Do `work`, again while another program uses the file; answers what it answers.

        Whatever it began has to be undone when it raises. Raises what it raises at last.
        """
        until = time.monotonic() + self.busy
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() >= until or self.hurry.wait(_BREATH):
                    raise
