"""Frames that are not stored yet: a bounded, counted queue between the sockets and the book.

Frames go in from the sockets without waiting, in the order in which they came; notes about coverage go in among them,
so that the ledger never says "heard until now" before the frames are stored. When the queue is full, frames are dropped
and counted, and the first drop is reported at once, because from then on the channel does not hear. This module knows
neither sockets nor the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec

# Bounds of memory, not of speed: a minute of a stalled disk at 500 frames/s of 1 KB fits twice.
FRAMES: Final = 60_000
BYTES: Final = 48_000_000
HOLD: Final = 1.0  # seconds that a source waits at most
# What is read between two waits that nothing but their time has ended. The platform sends less in a second, so nothing
# of its waits for long; a flood needs half a minute to fill the queue, and most of what stalls a disk is over by then.
SLICE: Final = 2_000_000
# Frames that are read ahead of the disk, the largest batch. To store and read at the same time costs more than one
# after the other.
CROWD: Final = 2_048
# What one frame costs beside its own bytes.
_OVERHEAD: Final = 200


# A struct, as what is made for every frame: a named tuple takes four times as long to make.
class Frame(msgspec.Struct, frozen=True, gc=False):
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
        self._crowded_size = size * 3 // 4
        self._ready = asyncio.Event()
        self._closed = False
        self.frames = 0  # waiting
        self.size = 0  # bytes waiting, with what a frame costs beside them
        self.received = 0  # since the start
        self.dropped = 0  # since the start
        self.dropping_serials: set[int] = set()  # channels that have lost frames and not begun to hear again
        self._came = 0  # bytes since the start
        self._waits_from = 0  # the count of bytes that came from which on sources wait again
        self._paused: dict[PausableSource, asyncio.TimerHandle] = {}

    def put(self, frame: Frame) -> bool:
        """Take a frame; False if it was dropped. After a dropped frame its channel drops all until `take_again`."""
        self.received += 1
        cost = len(frame.payload) + _OVERHEAD
        self._came += cost
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
        return self.frames >= CROWD or self.size >= self._crowded_size

    def pause(self, source: PausableSource) -> bool:
        """Let a source wait until there is room, a second at most. Answers if it waits now.

        A burst then waits in the network's buffers. If the disk stands still, a slice is read after each second: the
        platform closes a socket that is not read, and its pings want an answer; but what is read faster than needed
        only fills the queue, and is dropped.
        """
        if source in self._paused or self._came < self._waits_from:
            return False
        source.pause()
        self._paused[source] = asyncio.get_running_loop().call_later(HOLD, self._release_for_a_slice, source)
        return True

    def _release_for_a_slice(self, source: PausableSource) -> None:
        self._waits_from = self._came + SLICE
        self._release(source)

    def _release(self, source: PausableSource) -> None:
        self._paused.pop(source).cancel()
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

    async def take(self, limit: int, size: int = BYTES) -> Sequence[InboxItem]:
        """Take the next items: frames, or a single note. Waits for them; [] when closed and empty.

        limit, size: the most frames, and the bytes with which there are enough of them.
        """
        while not self._items:
            if self._closed:
                return []
            self._ready.clear()
            await self._ready.wait()
        return self.take_frames(limit, size) or [self._items.popleft()]

    def take_frames(self, limit: int, size: int) -> list[Frame]:
        """Take the next frames, as `take` does; none where a note comes first, or nothing waits."""
        items = self._items
        taken: list[Frame] = []
        left = max(self.size - size, 0)
        while items and len(taken) < limit and isinstance(frame := items[0], Frame) and (self.size > left or not taken):
            items.popleft()
            self.size -= len(frame.payload) + _OVERHEAD
            taken.append(frame)
        self.frames -= len(taken)
        if self._paused and self.frames <= CROWD // 4 and self.has_room():
            for source in tuple(self._paused):
                self._release(source)
        return taken

    def oldest(self) -> datetime | None:
        """Time at which the oldest waiting frame was received."""
        return next((item.received_at for item in self._items if isinstance(item, Frame)), None)
