"""Frames that are not stored yet: a bounded, counted queue between the sockets and the book.

Frames go in from the sockets without waiting, in the order in which they came; notes about coverage go in among them,
so that the ledger never says "heard until now" before the frames are stored. When the queue is full, frames are dropped
and counted, and the first drop is reported at once, because from then on the channel does not hear. This module knows
neither sockets nor the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

# Bounds of memory, not of speed: a minute of a stalled disk at 500 frames/s of 1 KB fits twice.
FRAMES: Final = 60_000
BYTES: Final = 48_000_000
HOLD: Final = 1.0  # seconds that a source waits at most
# Frames that are read ahead of the disk, the largest batch. To store and read at the same time costs more than one
# after the other.
CROWD: Final = 1_024
# What one frame costs beside its own bytes.
_OVERHEAD: Final = 200


class Frame(NamedTuple):
    """A frame as it came: its bytes (text) or a note on why it is no text, when, and on which channel."""

    payload: bytes
    received_at: datetime
    serial: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class CoverageBegin:
    """Coverage: the channel hears `topics` from `at` on (API text)."""

    serial: int
    scope: str
    topics: tuple[str, ...]
    at: str


@dataclass(frozen=True, slots=True)
class CoverageEnd:
    """Coverage: the channel heard until `at`, and why no longer. topics: only these of it; None: all."""

    serial: int
    at: str
    reason: str
    topics: tuple[str, ...] | None = None


InboxItem = Frame | CoverageBegin | CoverageEnd


class PausableSource(Protocol):
    """A source that can be made to wait."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Inbox:
    """The queue. `put` never waits; `take` does."""

    def __init__(self, *, frames: int = FRAMES, size: int = BYTES) -> None:
        self._items: deque[InboxItem] = deque()
        self._limit, self._size_limit = frames, size
        self._ready = asyncio.Event()
        self._closed = False
        self.frames = 0  # waiting
        self.size = 0  # bytes waiting, with what a frame costs beside them
        self.received = 0  # since the start
        self.dropped = 0  # since the start
        self.dropping_serials: set[int] = set()  # channels that have lost frames and not begun to hear again
        self._taken = 0
        self._taken_when_paused = -1
        self._paused: set[PausableSource] = set()

    def put(self, frame: Frame) -> bool:
        """Take a frame; False if it was dropped. After a dropped frame its channel drops all until `take_again`."""
        self.received += 1
        cost = len(frame.payload) + _OVERHEAD
        if self.dropping_serials and frame.serial in self.dropping_serials:
            self.dropped += 1
            return False
        if self.frames >= self._limit or self.size + cost > self._size_limit:
            self.dropped += 1
            self.dropping_serials.add(frame.serial)
            return False
        self.frames += 1
        self.size += cost
        self._items.append(frame)
        if not self._ready.is_set():
            self._ready.set()
        return True

    def note(self, item: CoverageBegin | CoverageEnd) -> None:
        """Take a note about coverage; there is always room for a note."""
        self._items.append(item)
        self._ready.set()

    def crowded(self) -> bool:
        """Answer if more comes than is stored at the moment, so that sources should wait."""
        return self.frames >= CROWD or self.size * 4 >= self._size_limit * 3

    def pause(self, source: PausableSource) -> bool:
        """Let a source wait until there is room, a second at most, if what is here is being taken at all.

        Answers if it waits now.

        A burst then waits in the network's buffers. If the disk stands still, no source waits: the server closes a
        socket that is not read, so it is better to read and drop.
        """
        if source in self._paused or self._taken == self._taken_when_paused:
            return False
        self._taken_when_paused = self._taken
        self._paused.add(source)
        source.pause()
        asyncio.get_running_loop().call_later(HOLD, self._release, source)
        return True

    def _release(self, source: PausableSource) -> None:
        if source in self._paused:
            self._paused.discard(source)
            source.resume()

    def has_room(self) -> bool:
        """Answer if it is empty enough for the channels that dropped frames to begin again."""
        return self.frames <= self._limit // 2 and self.size <= self._size_limit // 2

    def take_again(self, serial: int) -> None:
        """Take frames of that channel again."""
        self.dropping_serials.discard(serial)

    def close(self) -> None:
        """Close the queue: `take` answers what is left, then nothing."""
        self._closed = True
        self._ready.set()

    async def take(self, limit: int, *, size: int = BYTES) -> list[InboxItem]:
        """Take the next items: frames, or a single note. Waits for them; [] when closed and empty.

        limit, size: the most frames, and the bytes with which there are enough of them.
        """
        while not self._items:
            if self._closed:
                return []
            self._ready.clear()
            await self._ready.wait()
        items = self._items
        if not isinstance(items[0], Frame):
            return [items.popleft()]
        taken: list[InboxItem] = []
        left = max(self.size - size, 0)
        while items and len(taken) < limit and isinstance(frame := items[0], Frame) and (self.size > left or not taken):
            items.popleft()
            self.size -= len(frame.payload) + _OVERHEAD
            taken.append(frame)
        self.frames -= len(taken)
        self._taken += len(taken)
        if self._paused and self.frames <= CROWD // 4 and self.has_room():
            for source in tuple(self._paused):
                self._release(source)
        return taken

    def oldest(self) -> datetime | None:
        """Time at which the oldest waiting frame was received."""
        return next((item.received_at for item in self._items if isinstance(item, Frame)), None)
