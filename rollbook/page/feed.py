"""The looks at the store that all open pages share: each kept for a while, made once at a time, and never too often.

Whoever asks for what was read within the last seconds gets that. What takes long to read is read more seldom, so that
looking takes a small part of the time, however large the store and however many pages are open; a page has the time of
each look beside it. It knows neither SQL nor HTML.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.times import to_text

# Seconds for which a look serves everybody.
FRESH: Final = 5.0
# A look is made again after so many times the seconds that it took; longer where there are many.
_RESTS: Final = 100.0
_FEW: Final = 15
# Seconds after which a look that nobody asks for is forgotten; and so many are kept at most.
_FORGOTTEN: Final = 60.0
_MOST: Final = 200
# Seconds that a page waits for what it can do without: it comes with the next look, and meanwhile says so.
PATIENCE: Final = 0.12
_QUICK: Final = 0.03


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the store, or at the daemon. key: parts the looks of a name. needed: there is no page without it."""

    name: str
    read: Callable[[], Awaitable[Any]]
    key: Hashable = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that was seen. value: None where it could not be read, and trouble says why. at: API text."""

    value: Any
    at: str
    number: int
    trouble: str | None = None


@dataclass(slots=True)
class _Entry:
    seen: Seen | None = None
    read_at: float = 0.0
    cost: float = 0.0
    asked_at: float = 0.0
    reading: asyncio.Task[None] | None = field(default=None)


class Feed:
    """The looks. tick: monotonic seconds. now: the time that a look bears."""

    def __init__(self, tick: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._tick = tick
        self._now = now
        self._entries: dict[tuple[str, Hashable], _Entry] = {}
        self.reads = 0

    async def take(self, looks: Sequence[Look], *, patience: float = PATIENCE) -> dict[str, Seen | None]:
        """Answer each look by its name; None for one that has never been made and takes longer than `patience` seconds.

        Raises RollbookError where one that is needed fails.
        """
        self._forget()
        entries = {look.name: self._ask(look) for look in looks}
        reading = {look: entry.reading for look in looks if (entry := entries[look.name]).reading is not None}
        needed = {task for look, task in reading.items() if look.needed and _lacks(entries[look.name])}
        if needed:
            await asyncio.wait(needed)
        # What was seen before is better than to wait long for what is there now: the page says as of when it is.
        soon = {task for look, task in reading.items() if look.needed or _comes_soon(entries[look.name])} - needed
        if soon:
            await asyncio.wait(soon, timeout=patience)
        for look in looks:
            seen = entries[look.name].seen
            if look.needed and (seen is None or seen.trouble is not None):
                raise RollbookError("nothing was read" if seen is None or seen.trouble is None else seen.trouble)
        return {name: entry.seen for name, entry in entries.items()}

    def _ask(self, look: Look) -> _Entry:
        entry = self._entries.setdefault((look.name, look.key), _Entry())
        entry.asked_at = self._tick()
        rest = max(FRESH, entry.cost * _RESTS * max(1.0, len(self._entries) / _FEW))
        if entry.reading is None and (entry.seen is None or self._tick() - entry.read_at >= rest):
            entry.reading = asyncio.create_task(self._read(look, entry))
        return entry

    async def _read(self, look: Look, entry: _Entry) -> None:
        began = self._tick()
        value, trouble = None, None
        try:
            value = await look.read()
        except RollbookError as error:
            trouble = str(error)
        finally:
            entry.reading = None
        self.reads += 1
        entry.read_at, entry.cost = self._tick(), self._tick() - began
        entry.seen = Seen(value, to_text(self._now()), self.reads, trouble)

    def _forget(self) -> None:
        """Let go of what nobody asks for any more."""
        latest = self._tick() - _FORGOTTEN
        idle = [key for key, entry in self._entries.items() if entry.asked_at < latest and entry.reading is None]
        if len(self._entries) > _MOST:
            by_age = sorted(self._entries, key=lambda key: self._entries[key].asked_at)
            idle += [key for key in by_age[: len(self._entries) - _MOST] if self._entries[key].reading is None]
        for key in idle:
            self._entries.pop(key, None)

    async def close(self) -> None:
        """End the looks under way."""
        reading = {entry.reading for entry in self._entries.values() if entry.reading is not None}
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading)


def _lacks(entry: _Entry) -> bool:
    """Tell whether nothing good was ever seen by a look."""
    return entry.seen is None or entry.seen.trouble is not None


def _comes_soon(entry: _Entry) -> bool:
    """Tell whether a look under way is worth a short wait: nothing is in its place, or it takes next to no time."""
    return _lacks(entry) or entry.cost < _QUICK
