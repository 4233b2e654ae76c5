"""The organisation's clock: real time, faster, or standing still until it is advanced."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """`rate` simulated seconds pass in one real second; 0 stands still."""

    def __init__(self, start: datetime, rate: float = 1.0) -> None:
        self._base = start.astimezone(UTC)
        self._since = time.monotonic()
        self._rate = rate
        self._moved = asyncio.Event()

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> datetime:
        """The organisation's time."""
        return self._base + timedelta(seconds=(time.monotonic() - self._since) * self._rate)

    def advance(self, by: timedelta) -> None:
        """Jump ahead."""
        self._base += by
        self._moved.set()

    def set_rate(self, rate: float) -> None:
        """Run faster or slower from now on."""
        self._base, self._since, self._rate = self.now(), time.monotonic(), rate
        self._moved.set()

    async def until(self, moment: datetime) -> None:
        """Wait for a moment of this clock."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            self._moved.clear()
            wait = left / self._rate if self._rate else None
            try:
                await asyncio.wait_for(self._moved.wait(), wait)
            except TimeoutError:
                continue
