"""Waiting for another program's transaction: a little at a time, so that whoever has no time left can end it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

# How long SQLite itself waits, seconds. Nothing can interrupt it.
STEP: Final = 1.0
# Between two tries, seconds: there are cases in which SQLite does not wait at all.
_BREATH: Final = 0.05


def patiently(work: Callable[[], T], *, busy: float, hurry: threading.Event) -> T:
    """Do `work`, again while another program holds the file: for `busy` seconds, or until `hurry` is set.

    Whatever `work` began has to be undone when it raises. Raises what it raises at last.
    """
    until = time.monotonic() + busy
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            held = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not held or time.monotonic() >= until or hurry.wait(_BREATH):
                raise
