"""Growth of the store: how large it is and of what, how much a day comes to it, and when its disk is full."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.program.terminal import shown_size
from rollbook.genesys.times import from_text, to_text
from rollbook.store.file import connections
from rollbook.store.file.errors import translate
from rollbook.store.file.transactions import transaction
from rollbook.store.upkeep import sizes
from rollbook.store.upkeep.sizes import Sizes

# Time over which growth is measured, and the least of it: an hour of a night says nothing of a day.
_OVER: Final = timedelta(days=7)
_LEAST: Final = timedelta(hours=12)
_DAY: Final = timedelta(days=1)
# So long before the disk is full it is said.
WARN_BEFORE: Final = timedelta(days=14)
# A store of up to this size is counted by tables and indexes in seconds, and one of the other at once.
QUICKLY_COUNTED: Final = 2_000_000_000
_COUNTED_AT_ONCE: Final = 64_000_000
_SECONDS: Final = 60.0
_INSTRUCTIONS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of a store. a_day: bytes; full_in: until the disk is full. None where it is not known, or never."""

    now: Sizes
    a_day: float | None = None
    full_in: timedelta | None = None
    parts_at: str | None = None

    @property
    def is_short(self) -> bool:
        """Say whether the disk will be full so soon that somebody should know."""
        return self.full_in is not None and self.full_in <= WARN_BEFORE

    @property
    def words(self) -> str:
        """How large it is and how it grows, in a line."""
        said = [shown_size(self.now.file)]
        if self.now.unused > self.now.file // 20:
            said.append(f"{shown_size(self.now.unused)} of it unused (`rollbook compact`)")
        if self.a_day is not None and self.a_day > 0:
            said.append(f"{shown_size(self.a_day)} more a day")
        free = f"{shown_size(self.now.disk_free)} are free"
        if self.full_in is not None:
            years, days = self.full_in.days // 365, self.full_in.days
            free += f", for {years:,} years at this rate" if years >= 3 else f", for {days:,} days at this rate"
        return ", ".join([*said, free])


# Decisions


def growth(now: Sizes, earlier: Sequence[Sizes]) -> Growth:
    """What earlier measurements of the last week say of what comes. earlier: oldest first."""
    at = from_text(now.at)
    usable = [sizes_then for sizes_then in earlier if _LEAST <= at - from_text(sizes_then.at) <= _OVER]
    if not usable:
        return Growth(now)
    first = usable[0]
    days = (at - from_text(first.at)) / _DAY
    a_day = (now.used - first.used) / days
    if a_day <= 0:
        return Growth(now, a_day)
    # Pages that nothing uses are filled first. More than some years is no forecast.
    left = min((now.disk_free + now.unused) / a_day, 36_500)
    return Growth(now, a_day, timedelta(days=left))


def report(found: Growth) -> dict[str, Any]:
    """The growth as `status --json` has it."""
    now = found.now
    full = from_text(now.at) + found.full_in if found.full_in is not None else None
    return {
        "bytes": now.file,
        "unused": now.unused,
        "log_bytes": now.log,
        "disk_free": now.disk_free,
        "parts": dict(now.parts) if now.parts is not None else None,
        "parts_at": found.parts_at,
        "growth_a_day": round(found.a_day) if found.a_day is not None else None,
        "disk_full_at": to_text(full) if full is not None else None,
    }


def largest(parts: Mapping[str, int], number: int = 4) -> str:
    """The largest parts in words: `events 4.0 GB (60 %), …`."""
    total = sum(parts.values()) or 1
    ordered = sorted(parts.items(), key=lambda part: -part[1])[:number]
    return ", ".join(f"{name} {shown_size(size)} ({size / total:.0%})".replace("%", " %") for name, size in ordered)


# The file


def look(db: sqlite3.Connection, path: Path, now: datetime) -> Growth:
    """The size and growth now. Quick on a store of any size: parts of a large one are as they were counted last."""
    return counted(db, path, now, up_to=_COUNTED_AT_ONCE)


def counted(db: sqlite3.Connection, path: Path, now: datetime, *, up_to: int = QUICKLY_COUNTED) -> Growth:
    """The size and growth now, with parts that are counted now in a store of `up_to` bytes or less."""
    found = growth(measured(db, path, now), sizes.since(db, to_text(now - _OVER)))
    if found.now.file <= up_to:
        at, parts = found.now.at, sizes.parts(db)
    else:
        at, parts = sizes.last_parts(db) or ("", None)
    if parts is None or is_outgrown(parts, found.now):
        return found
    return replace(found, now=replace(found.now, parts=parts), parts_at=at)


def is_outgrown(parts: Mapping[str, int], now: Sizes) -> bool:
    """Say whether parts were counted in a store of less than half its size now: they say nothing of it any more."""
    return sum(parts.values()) * 2 < now.used


def measured(db: sqlite3.Connection, path: Path, now: datetime) -> Sizes:
    """The sizes now, without parts."""
    return Sizes(to_text(now), *sizes.pages(db), log_size(path), shutil.disk_usage(path.parent).free)


def log_size(path: Path) -> int:
    """Bytes of the write-ahead log now."""
    try:
        return Path(f"{path.resolve()}-wal").stat().st_size
    except OSError:
        return 0


def note_now(path: Path, now: datetime, *, stop: threading.Event, count_every: timedelta = _DAY) -> Growth:
    """Measure the store and keep that in it; with its parts where they were counted `count_every` ago or earlier.

    Raises StoreError.
    """
    try:
        with closing(connections.connect_reader(path)) as db:
            last = sizes.last_parts(db)
            here = measured(db, path, now)
            again = count_every - timedelta(minutes=5)
            if last is None or now - from_text(last[0]) >= again or is_outgrown(last[1], here):
                db.set_progress_handler(stop.is_set, _INSTRUCTIONS)
                here = replace(here, parts=sizes.parts(db))
                db.set_progress_handler(None, 0)
            found = counted(db, path, now, up_to=0)
        with closing(connections.connect(path, journal="wal", timeout=_SECONDS)) as db, transaction(db):
            sizes.note(db, here)
    except sqlite3.Error as error:
        raise translate(error, path) from None
    if here.parts is None:
        return found
    return replace(found, now=here, parts_at=here.at)
