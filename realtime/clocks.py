"""Clocks: jumps of this machine's clock, its distance from the platform's, standstills, counts of an hour.

Pure: readings come in as numbers. If a clock jumps, windows close too early or too late and spans of coverage overlap
or leave holes, so each jump is logged once, and shown for an hour in `/healthz`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

# Seconds between the two clocks that are too many for drift or a slow answer.
FAR: Final = 30.0
HOUR: Final = 3_600.0
_STEADY: Final = 300.0


@dataclass(slots=True)
class Jumps:
    """Compares the wall clock with monotonic time. Seconds; the last jump is kept for an hour."""

    _offset: float | None = None
    _last: tuple[float, float] | None = None  # when, on the monotonic clock, and by how much

    def tick(self, wall: float, monotonic: float) -> float | None:
        """Take a reading of both; answers by how many seconds the wall clock has jumped since the last, if it has.

        A machine that slept counts: its monotonic clock stood still meanwhile.
        """
        offset = wall - monotonic
        before, self._offset = self._offset, offset
        if before is None or abs(offset - before) <= FAR:
            return None
        self._last = (monotonic, offset - before)
        return offset - before

    def of_last_hour(self, monotonic: float) -> float | None:
        """The last jump, if it was less than an hour ago."""
        if self._last is None or monotonic - self._last[0] > HOUR:
            return None
        return self._last[1]


@dataclass(slots=True)
class Awake:
    """Notices that this process stood still: the machine slept, the process was stopped, or had too much to do.

    most: seconds between two looks that are no standstill.
    """

    most: float
    _last: tuple[float, float, datetime] | None = None

    def look(self, tick: float, real: float, now: datetime) -> datetime | None:
        """Take a reading; answers since when it stood still, if it did: the moment of the look before.

        tick: monotonic seconds, which may not go on while the machine sleeps. real: seconds of a clock that does.
        """
        before, self._last = self._last, (tick, real, now)
        if before is None or max(tick - before[0], real - before[1]) <= self.most:
            return None
        return before[2]


@dataclass(slots=True)
class Skew:
    """By how many seconds our clock is ahead of the platform's, without the spikes that slow answers make.

    The smallest of the readings of some minutes counts; `forget` them when the clock has been set.
    """

    steady: float | None = None
    _readings: deque[tuple[float, float]] = field(default_factory=deque)

    def take(self, skew: float | None, monotonic: float) -> None:
        """Take a reading."""
        if skew is not None:
            self._readings.append((monotonic, skew))
        while self._readings and self._readings[0][0] < monotonic - _STEADY:
            self._readings.popleft()
        self.steady = min((reading for _, reading in self._readings), key=abs, default=None)

    def forget(self) -> None:
        """Forget the readings: the clock has been set."""
        self._readings.clear()


def corrected(now: datetime, skew: float | None) -> datetime:
    """The platform's time where our clock is clearly wrong, else our own. skew: seconds that ours is ahead."""
    return now if skew is None or abs(skew) <= FAR else now - timedelta(seconds=skew)


@dataclass(slots=True)
class LastHour:
    """Growth of a counter within the last hour, to the minute."""

    _readings: deque[tuple[float, int]] = field(default_factory=lambda: deque([(-HOUR, 0)]))

    def take(self, total: int, monotonic: float) -> int:
        """Take a reading of the counter; answers the growth. Seconds of the monotonic clock."""
        readings = self._readings
        while len(readings) > 1 and readings[1][0] <= monotonic - HOUR:
            readings.popleft()
        grown = total - readings[0][1]
        if monotonic - readings[-1][0] >= 60.0:
            readings.append((monotonic, total))
        return grown
