"""The band: all time by verdict, in as many buckets as fit, and what capture received in each. Pure.

A bucket has the worst verdict of its time and the share of each verdict: a short failure in a long bucket is seen all
the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from rollbook.genesys.times import to_text
from rollbook.store.views import page_rows
from rollbook.store.views.page_rows import GapCount, Received
from rollbook.store.views.reports import worst
from rollbook.store.views.time_pieces import Piece, seconds_between
from rollbook.store.vocabulary import GapKind, Verdict

# At most so many buckets: each is a link, and a column of some pixels.
MOST: Final = 160
_SOME: Final = 124
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class Unit(NamedTuple):
    """The length of the buckets. step: None for calendar months and years. key: characters of a time (`page_rows`)."""

    name: str
    step: timedelta | None
    key: int


@dataclass(frozen=True, slots=True)
class Zoom:
    """The time that a band shows, and its buckets' bounds, one more than there are buckets. Times are API text."""

    unit: Unit
    bounds: tuple[str, ...]

    @property
    def start(self) -> str:
        """The start of the first bucket."""
        return self.bounds[0]

    @property
    def end(self) -> str:
        """The end of the last bucket."""
        return self.bounds[-1]


@dataclass(slots=True)
class Bucket:
    """A bucket of the band. seconds: by verdict, of the time that the ledger spans. off: seconds that capture was off.

    windows: how many start in it, by verdict. happened, live, missing, changed, unfilled: conversations.
    """

    start: str
    end: str
    seconds: dict[Verdict | None, float] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)
    happened: int = 0
    live: int = 0
    missing: int = 0
    changed: int = 0
    unfilled: int = 0
    off: float = 0.0

    @property
    def worst(self) -> Verdict | None:
        """The worst verdict of its time; None where some of it has no window, or all of it lies outside the ledger."""
        found = worst(self.seconds)
        return None if found is None else Verdict(found)

    @property
    def is_empty(self) -> bool:
        """Tell whether all of it lies outside the ledger."""
        return not self.seconds

    def share(self, *verdicts: Verdict | None) -> float:
        """The share of its time that has one of these verdicts."""
        whole = sum(self.seconds.values())
        return sum(self.seconds.get(verdict, 0.0) for verdict in verdicts) / whole if whole else 0.0

    @property
    def proven(self) -> float:
        """The share of its time that is complete or settled."""
        return self.share(Verdict.COMPLETE, Verdict.SETTLED)

    @property
    def received(self) -> float | None:
        """The share of its conversations that capture received; None where none was read."""
        return self.live / self.happened if self.happened else None


def seconds_by_day(pieces: Iterable[Piece]) -> list[tuple[str, Verdict | None, float]]:
    """(day, verdict, seconds) of all time: years of windows that differ are added up once, and not for every page."""
    found: dict[tuple[str, Verdict | None], float] = {}
    for start, end, verdict in pieces:
        while start < end:
            day = start[:10]
            midnight = f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00.000Z"
            until = min(midnight, end)
            found[day, verdict] = found.get((day, verdict), 0.0) + seconds_between(start, until)
            start = until
    return [(day, verdict, seconds) for (day, verdict), seconds in found.items()]


# The buckets


def zoom(start: datetime, end: datetime, width: timedelta) -> Zoom:
    """The buckets of [start, end): of the windows' own width where they fit, else of the next longer unit that does."""
    units = [
        Unit("window", width, page_rows.MINUTE),
        Unit("hour", _HOUR, page_rows.HOUR),
        Unit("six hours", 6 * _HOUR, page_rows.HOUR),
        Unit("day", _DAY, page_rows.DAY),
        Unit("week", 7 * _DAY, page_rows.DAY),
    ]
    for unit in units:
        step = unit.step
        if step is None or step < _MINUTE or (unit.name == "window" and (_HOUR % step or step > _HOUR)):
            continue
        first = _floor(start, step)
        number = -((first - end) // step)
        if number <= (MOST if unit.name == "week" else _SOME):
            bounds = (first + step * at for at in range(max(number, 1) + 1))
            return Zoom(unit, tuple(to_text(bound) for bound in bounds))
    months = Zoom(Unit("month", None, page_rows.DAY), tuple(map(to_text, _months(start, end, 1))))
    if len(months.bounds) <= MOST:
        return months
    return Zoom(Unit("year", None, page_rows.DAY), tuple(map(to_text, _months(start, end, 12))))


def _floor(moment: datetime, step: timedelta) -> datetime:
    """The bound at or before a moment; weeks begin on Mondays."""
    monday = datetime(1970, 1, 5, tzinfo=UTC)
    return monday + (moment - monday) // step * step


def _months(start: datetime, end: datetime, length: int) -> Iterator[datetime]:
    number = (start.year * 12 + start.month - 1) // length * length
    while True:
        bound = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        yield bound
        if bound >= end:
            return
        number += length


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read for a band: of its time, or of more. by_day: (day, verdict, seconds); off: (from, to, why)."""

    pieces: Sequence[Piece] = ()
    by_day: Sequence[tuple[str, Verdict | None, float]] = ()
    counts: Sequence[tuple[str, str, int]] = ()
    received: Sequence[Received] = ()
    gaps: Sequence[GapCount] = ()
    off: Sequence[tuple[str, str, str | None]] = ()


def buckets(zoom: Zoom, rows: Rows) -> list[Bucket]:
    """The buckets of a band, in order."""
    made = [Bucket(start, end) for start, end in pairwise(zoom.bounds)]
    if zoom.unit.key == page_rows.DAY:
        for day, verdict, seconds in rows.by_day:
            if (found := _of(made, zoom, day)) is not None:
                found.seconds[verdict] = found.seconds.get(verdict, 0.0) + seconds
    else:
        first = max(bisect_right(rows.pieces, zoom.start, key=lambda piece: piece.start) - 1, 0)
        last = bisect_right(rows.pieces, zoom.end, key=lambda piece: piece.start)
        for piece in rows.pieces[first:last]:
            for bucket, seconds in _parts(made, zoom, piece.start, piece.end):
                bucket.seconds[piece.verdict] = bucket.seconds.get(piece.verdict, 0.0) + seconds
    for start, end, _ in rows.off:
        for bucket, seconds in _parts(made, zoom, start, end):
            bucket.off += seconds
    for key, counted, number in rows.counts:
        if (found := _of(made, zoom, key)) is not None:
            found.windows[counted] = found.windows.get(counted, 0) + number
    for row in rows.received:
        if (found := _of(made, zoom, row.key)) is not None:
            found.happened += row.happened
            found.live += row.live
    for gap in rows.gaps:
        if (found := _of(made, zoom, gap.key)) is not None:
            found.missing += gap.number if gap.kind == GapKind.MISSING else 0
            found.changed += gap.number if gap.kind == GapKind.CHANGED else 0
            found.unfilled += gap.number - gap.filled
    return made


def _parts(made: list[Bucket], zoom: Zoom, start: str, end: str) -> Iterator[tuple[Bucket, float]]:
    """Each bucket that a time touches, and for how many seconds."""
    at = max(bisect_right(zoom.bounds, start) - 1, 0)
    while at < len(made) and made[at].start < end:
        seconds = seconds_between(max(start, made[at].start), min(end, made[at].end))
        if seconds > 0:
            yield made[at], seconds
        at += 1


def _of(made: list[Bucket], zoom: Zoom, key: str) -> Bucket | None:
    """The bucket of what has this key; None where it lies outside."""
    # A key is the beginning of a time: behind a tilde comes nothing that a time has.
    at = bisect_right(zoom.bounds, f"{key}~") - 1
    return made[at] if 0 <= at < len(made) else None


def totals(counts: Iterable[tuple[str, str, int]]) -> dict[Verdict, int]:
    """How many windows there are of each verdict."""
    found = dict.fromkeys(Verdict, 0)
    for _, verdict, number in counts:
        found[Verdict(verdict)] += number
    return found
