"""The signs of the daemon's own health: ages, clocks, and counts of the last hour. Pure: readings come in as values.

What they mean is decided in `health.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from realtime.daemon.clocks import Jumps, LastHour, Skew
from realtime.daemon.health import Figures
from rollbook.genesys.times import from_text


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a look at the ledger says. oldest_due: when the oldest window that is due ended, API text."""

    verdicts: Mapping[str, int] = field(default_factory=dict)
    due: int = 0
    oldest_due: str | None = None


@dataclass(slots=True)
class Vitals:
    """One for a run. began, round_at: monotonic seconds; round_at: when a round ended well, or read a window.

    last_event: when the newest event of earlier runs came, API text.
    """

    began: float
    round_at: float = field(init=False)
    last_event: str | None = None
    skew: Skew = field(default_factory=Skew)
    _jumps: Jumps = field(default_factory=Jumps)
    _letters: LastHour = field(default_factory=LastHour)
    _drops: LastHour = field(default_factory=LastHour)
    _of_hour: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.round_at = self.began

    def clocks(self, wall: float, tick: float, skew: float | None) -> float | None:
        """Take a reading of the clocks; answers by how much this machine's has jumped since the last one, if it has."""
        jump = self._jumps.tick(wall, tick)
        if jump is not None:
            self.skew.forget()
        self.skew.take(skew, tick)
        return jump

    def count(self, letters: int, dropped: int, tick: float) -> None:
        """Take a reading of the counters: dead letters and dropped notifications since the start."""
        self._of_hour = self._letters.take(letters, tick), self._drops.take(dropped, tick)

    def added_to(self, figures: Figures, ledger: Ledger, tick: float, now: datetime, *, reconciles: bool) -> Figures:
        """The figures with these signs. now: by the clock that stamps events; reconciles: whether rounds are made."""
        sqs = figures.sqs
        events = [
            moment for moment in (figures.last_event_at, None if sqs is None else sqs.last_at) if moment is not None
        ]
        if not events and self.last_event is not None:
            events = [from_text(self.last_event)]
        return replace(
            figures,
            rounds_ago=tick - self.round_at if reconciles else None,
            oldest_due=None if ledger.oldest_due is None else _age(from_text(ledger.oldest_due), now),
            clock_skew=figures.clock_skew if self.skew.steady is None else self.skew.steady,
            clock_jump=self._jumps.of_last_hour(tick),
            letters_of_hour=self._of_hour[0],
            dropped_of_hour=self._of_hour[1],
            up_for=tick - self.began,
            quiet_for=_age(max(events), now) if events else None,
        )


def _age(moment: datetime, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0)
