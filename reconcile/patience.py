"""Patience of a run: its clock, and the number of tries that a question gets before less is asked for. Pure.

A question that the platform refuses as it refuses a wide one (a gateway's 500, 502, 503, 504) is asked six times, which
takes half a minute: mostly the moment was wrong. A platform that refuses what is too much refuses it again with every
window, and that half minute for each size of each window would be all that a round does. So it is paid once: from then
on what can be made smaller is asked twice, and made smaller. What cannot be made smaller is asked as often as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

FEW_TRIES: Final = 2
# How a run waits for so many seconds: `asyncio.sleep`, or a clock of its own in a test.
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RunClock:
    """The time of a run: what it is, how the run waits, and whether it was asked to end. now: the organisation's."""

    now: Callable[[], datetime]
    sleep: Sleep = asyncio.sleep
    stop: asyncio.Event | None = None

    @property
    def stopped(self) -> bool:
        """True once the run was asked to stop."""
        return self.stop is not None and self.stop.is_set()


@dataclass(slots=True)
class QuestionPatience:
    """The experience with questions of one kind that all windows of a round share: they go to the same platform.

    refused: whether one was refused as often as it was asked, so that less was asked for.
    """

    refused: bool = False

    def tries(self, *, less: bool) -> int | None:
        """The most tries; None: as many as are sensible. less: whether less can be asked for instead."""
        return FEW_TRIES if self.refused and less else None
