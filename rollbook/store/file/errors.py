"""The errors of the store, split by what the person does next.

    StoreError
    ├── StoreUnwritable   mend the path or its permissions
    ├── StoreForeign      choose another file
    ├── StoreFull         free some space; nothing that was committed is lost
    ├── StoreBusy         somebody writes for too long; try again
    ├── StoreDamaged      restore a copy
    └── LockHeld          wait for the process that is named

Every message is one line. `translate` is the only place that reads SQLite's own words.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import StoreError

__all__ = [
    "SQLITE_FAILS",
    "LockHeld",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreForeign",
    "StoreFull",
    "StoreUnwritable",
    "owner_of",
    "translate",
]


_THEN: Final = " and run the same command again"


class StoreUnwritable(StoreError):
    """The file cannot be opened, created or written."""


class StoreForeign(StoreError):
    """The file is not rollbook's, or belongs to another organisation, or to a newer version."""


class StoreFull(StoreError):
    """The disk is full."""

    then = _THEN


class StoreBusy(StoreError):
    """Another program kept the write lock for longer than we wait."""

    then = _THEN


class StoreDamaged(StoreError):
    """SQLite says that the file's content is damaged."""


class LockHeld(StoreError):
    """Another run works on the same window, or another daemon on the same file."""


def owner_of(path: Path) -> str:
    """Whose a file or folder is, for a message that says who can use it."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
    except OSError:
        return "its owner"


# What SQLite fails with. Its message about a damaged schema quotes that, which need be no UTF-8: then Python fails.
SQLITE_FAILS: Final = (sqlite3.Error, UnicodeDecodeError)


def translate(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> StoreError:
    """SQLite's error as one of ours, with the file's name and what to do."""
    text = "malformed: it is no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    low = text.lower()
    if "locked" in low or "busy" in low:
        return StoreBusy(f"{path}: another program has kept the file locked; close it (or let it finish)")
    if "full" in low:
        return StoreFull(f"{path}: the disk is full, nothing that was stored is lost; free some space")
    if "not a database" in low:
        return StoreForeign(f"{path} is not an SQLite file; choose another path with --db")
    if "malformed" in low or "corrupt" in low:
        return StoreDamaged(f"{path}: the file is damaged ({text}); restore a copy, or start a new one with --db")
    if "readonly" in low or "unable to open" in low or "i/o error" in low:
        return StoreUnwritable(f"{path}: cannot be written ({text}); check the folder, its permissions and the disk")
    return StoreError(f"{path}: {text}")
