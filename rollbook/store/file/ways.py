"""The ways of opening a store, for what has to open one several times: the upgrade, and the move to a new file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rollbook.store.bodies import packing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways in which the store is opened. connect, reader: to write, to read, whatever its version.

    journal: "wal" or "delete". pack: which bodies are packed in a new file. stop: once it is set, the work is given up.
    """

    connect: Callable[[Path], packing.PackingConnection]
    reader: Callable[[Path], sqlite3.Connection]
    journal: str
    pack: packing.Mode
    stop: threading.Event
