"""The platform's time, from the `Date` of its answers and monotonic seconds; our clock only until it is known. Pure.

A `Date` was true some moment before its answer came, so it is a lower bound; so is every time that is given out here.
A single strange `Date` (a gateway with a wrong clock, an answer out of a cache) is not believed: it takes a second
answer in a row that says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# Farther ahead than this, a Date takes a second witness; farther from our clock, the first of a process too.
STRANGE: Final = 60.0
# Behind by less than this, a Date says what is known already: it has whole seconds, and its answer was under way.
UNDER_WAY: Final = 5.0
# So far behind the truth a lower bound may be: a whole second, and the time that an answer was under way.
WHOLE_SECONDS: Final = 2.0
# Two strange times say the same if they differ by no more than this.
ALIKE: Final = 5.0
# No monotonic clock runs faster than right by more than this part of a second in each.
DRIFT: Final = 0.0005
# What `Age` may be: an answer that lay in a cache for longer is known by its Date alone.
_OLDEST: Final = 366 * 86_400


class PlatformClock:
    """The platform's time, as far as it is known. at: monotonic seconds; local: our wall clock at the same moment."""

    def __init__(self) -> None:
        self._known: tuple[datetime, float] | None = None  # the platform's time, and when it was that
        self._doubted: tuple[datetime, float] | None = None
        self._ours: tuple[datetime, float] | None = None  # our wall clock at the last Date, which is not set back
        self.skew: float | None = None  # by how many seconds our wall clock is ahead, at the last Date

    def take(self, date: datetime, *, at: float, local: datetime) -> None:
        """An answer that came at `at` has this Date."""
        if self._believes(date, at, local):
            known = self._estimate(self._known, at)
            self._known, self._doubted = (date if known is None or date > known else known, at), None
        elif (former := self._estimate(self._doubted, at)) is not None and _apart(date, former) <= ALIKE:
            self._known, self._doubted = (min(date, former), at), None
        else:
            self._doubted = date, at
        ours = self._estimate(self._ours, at)
        self._ours = local if ours is None else max(local, ours), at
        best = self._estimate(self._known, at)
        self.skew = round((local - (date if best is None else best)).total_seconds(), 1)

    def _believes(self, date: datetime, at: float, local: datetime) -> bool:
        known = self._estimate(self._known, at)
        if known is None:
            return _apart(date, local) <= STRANGE
        return -UNDER_WAY <= (date - known).total_seconds() <= STRANGE

    @staticmethod
    def _estimate(known: tuple[datetime, float] | None, at: float) -> datetime | None:
        if known is None:
            return None
        date, since = known
        return date + timedelta(seconds=max(0.0, at - since) * (1 - DRIFT))

    def now(self, *, at: float, local: datetime) -> datetime:
        """The platform's time: it is this or later. Before a Date is believed: our own, or a doubted one if earlier.

        A Date that is ahead of our clock by less than a minute is believed at once, and may still be wrong by so much.
        So the earlier of the two counts: to be late by seconds costs nothing, and what is read early is not all there.
        """
        known, ours = self._estimate(self._known, at), self._estimate(self._ours, at)
        if known is not None and ours is not None:
            return ours if timedelta(0) < known - ours <= timedelta(seconds=STRANGE) else known
        doubted = self._estimate(self._doubted, at)
        return local if doubted is None else min(local, doubted)


def finer(known: datetime, local: datetime) -> datetime:
    """Our own time where it is what the platform's may be, else the platform's.

    A `Date` has whole seconds. Two programs on one machine, each with an estimate of its own, would take what the other
    has just written for something later than now.
    """
    return local if 0 <= (local - known).total_seconds() <= WHOLE_SECONDS else known


def _apart(moment: datetime, other: datetime) -> float:
    return abs((moment - other).total_seconds())


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` of an answer, with the seconds (`Age`) that it has lain in a cache; None where there is none."""
    try:
        date = parsedate_to_datetime(headers["date"])
        if date.tzinfo is None:
            return None
        date = date.astimezone(UTC)
        if not 2000 <= date.year < 2200:  # beyond what can be counted on from
            return None
        age = headers.get("age", "").strip()
        return date + timedelta(seconds=int(age)) if age.isdecimal() and int(age) <= _OLDEST else date
    except (KeyError, ValueError, OverflowError, IndexError, TypeError):
        return None
