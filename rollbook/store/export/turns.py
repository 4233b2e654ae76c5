"""Days that several make at the same time, each by whoever is free; and what is made of them, in their order.

Of days that are asked for, only some are made ahead, so that few files lie aside. No clock, no thread of its own.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rollbook.store.export.day_files import Made
from rollbook.store.export.day_rows import Day

# Days whose files are made, or in the making, at most: from the next one on that is handed out.
_AHEAD: Final = 5


class Turn(NamedTuple):
    """A day that somebody makes. place: among the days, in their order."""

    place: int
    day: Day


class Turns:
    """The days. Its methods may be called from any thread; `in_order` by one.

    progress: called in the thread of `in_order` with the days and rows that have been read.
    """

    def __init__(self, days: Sequence[Day], progress: Callable[[int, int], None]) -> None:
        self._left = [Turn(*each) for each in enumerate(days)]  # a heap: what is given back is the next
        self._count = len(days)
        self._next = 0
        self._made: dict[int, Made] = {}
        self._rows: dict[int, int] = {}
        self._sum = 0
        self._read = 0
        self._progress = progress
        self._closed = False
        self._changed = threading.Condition()

    def take(self) -> Turn | None:
        """The next day; None where none is left, or enough are made ahead."""
        with self._changed:
            return heapq.heappop(self._left) if self._is_due() else None

    def wait(self) -> Turn | None:
        """The next day, as soon as there is one to be made; None where there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_due() or not self._left or self._closed)
            return heapq.heappop(self._left) if self._is_due() and not self._closed else None

    def give_back(self, turns: Iterable[Turn]) -> None:
        """Leave days to others."""
        with self._changed:
            for turn in turns:
                heapq.heappush(self._left, turn)
            self._changed.notify_all()

    def count(self, turn: Turn, rows: int) -> None:
        """Note how many rows of a day have been read so far."""
        with self._changed:
            self._sum += rows - self._rows.get(turn.place, 0)
            self._rows[turn.place] = rows
            self._changed.notify_all()

    def show(self) -> None:
        """Show how far it is; in the thread of `in_order`."""
        self._progress(self._read, self._sum)

    def put(self, turn: Turn, made: Made) -> None:
        """Hand in what is made of a day."""
        with self._changed:
            self._made[turn.place] = made
            self._read += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer for a day to be made."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def in_order(self, make: Callable[[Turn], Made]) -> Iterator[Made]:
        """What is made of each day. Days that nobody else has taken are made meanwhile, by `make` in this thread.

        A day's files may still be in the making, where nothing else can be done while they become whole.
        """
        for place in range(self._count):
            while (made := self._ready(place)) is None:
                if (turn := self.take()) is not None:
                    self.put(turn, make(turn))
                else:
                    self._wait_for(place)
            yield made
            with self._changed:
                self._next = place + 1
                self._changed.notify_all()

    def _is_due(self) -> bool:
        return bool(self._left) and self._left[0].place < self._next + _AHEAD

    def _ready(self, place: int) -> Made | None:
        with self._changed:
            made = self._made.get(place)
            if made is None or (self._is_due() and not made.contents.done()):
                return None
            return self._made.pop(place)

    def _wait_for(self, place: int) -> None:
        with self._changed:
            if place not in self._made and not self._is_due():
                self._changed.wait()
        self.show()
