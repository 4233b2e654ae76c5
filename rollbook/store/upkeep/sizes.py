"""Sizes of the store, hour by hour, as the daemon notes them. SQL only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_COLUMNS: Final = "measured_at, bytes, unused, log_bytes, disk_free, parts"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a store at a time (API text): its file, what is unused of it, its log, what is free on its disk.

    parts: bytes by table and index; None where they were not counted.
    """

    at: str
    file: int
    unused: int
    log: int
    disk_free: int
    parts: Mapping[str, int] | None = None

    @property
    def used(self) -> int:
        """Bytes of the file that something uses."""
        return self.file - self.unused


def pages(db: sqlite3.Connection) -> tuple[int, int]:
    """(bytes of the file, bytes of its pages that nothing uses)."""
    size, count, unused = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    return size * count, size * unused


def parts(db: sqlite3.Connection) -> dict[str, int] | None:
    """Bytes by table and index, the largest first; None where this SQLite cannot count them. Reads the whole file."""
    query = "SELECT name, sum(pgsize) FROM dbstat WHERE aggregate = TRUE GROUP BY name ORDER BY 2 DESC, 1"
    try:
        return dict(db.execute(query).fetchall())
    except sqlite3.OperationalError as error:
        if "dbstat" in str(error):
            return None
        raise


def note(db: sqlite3.Connection, sizes: Sizes) -> None:
    """Keep a measurement; of days that are more than a week ago, only the first of each day stays."""
    known = json.dumps(sizes.parts) if sizes.parts is not None else None
    db.execute(
        f"INSERT OR REPLACE INTO store_sizes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        (sizes.at, sizes.file, sizes.unused, sizes.log, sizes.disk_free, known),
    )
    db.execute(
        "DELETE FROM store_sizes WHERE measured_at < strftime('%Y-%m-%dT%H:%M:%fZ', ?, '-8 days')"
        " AND measured_at NOT IN (SELECT min(measured_at) FROM store_sizes GROUP BY substr(measured_at, 1, 10))",
        (sizes.at,),
    )


def since(db: sqlite3.Connection, at: str) -> list[Sizes]:
    """The measurements since `at` (API text), oldest first, without their parts."""
    query = "SELECT measured_at, bytes, unused, log_bytes, disk_free FROM store_sizes WHERE measured_at >= ?"
    return [Sizes(*row) for row in db.execute(f"{query} ORDER BY measured_at", (at,))]


def last_parts(db: sqlite3.Connection) -> tuple[str, dict[str, int]] | None:
    """(when, bytes by table and index) of the last measurement that counted them."""
    query = "SELECT measured_at, parts FROM store_sizes WHERE parts IS NOT NULL ORDER BY measured_at DESC LIMIT 1"
    found = db.execute(query).fetchone()
    return (found[0], json.loads(found[1])) if found else None
