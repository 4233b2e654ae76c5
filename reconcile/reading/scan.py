"""A reading of an interval, page by page, and what can be said of it. Pure.

A scan sees ids and times only, never rows. It judges its own answer; how scans add up to a proof is `reader.py`'s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from reconcile.window import EPOCH
from rollbook.genesys.times import Interval

PAGE_SIZE: Final = 100
# A reading of so many pages of rows at most is held against the same pages once more.
MOST_CHECKED: Final = 6
# So many pages in a row that bring nothing new are no pages of a list that ends.
MOST_IDLE: Final = 3
# The platform ends a query at 100,000 rows; an answer with more pages than that takes has no end of its own.
MOST_PAGES: Final = 1_001

_BITS: Final = 48
_LOW: Final = (1 << _BITS) - 1
_DAY: Final = timedelta(days=1)
Judged = Literal["strictly", "twice alike"]


class RowTimes(NamedTuple):
    """The id and the times of a row, as a scan needs them. Times are API text."""

    id: str | None
    start: str | None
    end: str | None
    broken: bool = False  # its bytes cannot be decoded

    @property
    def is_unplaced(self) -> bool:
        """True for a row that goes on and has no start that can be read: no window knows that it holds it open."""
        return self.start is None and self.end is None and not self.broken


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a window that a query asks for: an interval, and (where time cannot split any more) a direction.

    size: rows a page; fewer where the platform cannot answer with a whole page.
    """

    interval: Interval
    direction: Literal["", "inbound", "outbound", "none"] = ""
    size: int = PAGE_SIZE

    @property
    def text(self) -> str:
        """For the ledger."""
        pages = f"by {self.size}" if self.size != PAGE_SIZE else ""
        return " ".join(word for word in (self.interval.text, self.direction, pages) if word)


@lru_cache(maxsize=4096)
def _day_ms(date: str) -> int:
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def milliseconds(text: str | None) -> int:
    """The API's text as milliseconds of the epoch; -1 for none, or a time before it."""
    if text is None:
        return -1
    day = _day_ms(text[:10])
    clock = int(text[11:13]) * 3_600_000 + int(text[14:16]) * 60_000 + int(text[17:19]) * 1_000 + int(text[20:23])
    return max(day + clock, -1)


def moment(ms: int) -> datetime:
    """Milliseconds of the epoch as a moment."""
    return EPOCH + timedelta(milliseconds=ms)


def packed(start: str | None, end: str | None) -> int:
    """A row's times in one number: 50,000 rows of them are 2 MB, as texts they would be 10."""
    return (milliseconds(start) + 1) << _BITS | (milliseconds(end) + 1)


def start_of(value: int) -> int:
    """The start in a packed value; -1 where there is none."""
    return (value >> _BITS) - 1


def end_of(value: int) -> int:
    """The end in a packed value; -1 where there is none."""
    return (value & _LOW) - 1


def started_in(rows: Mapping[str, int], interval: Interval) -> dict[str, int]:
    """Of id → packed times, those that an interval owns: what started in it."""
    start, end = _ms(interval)
    return {conversation_id: value for conversation_id, value in rows.items() if start <= start_of(value) < end}


@dataclass(slots=True)
class Scan:
    """A reading of `part`. Feed it every page in turn, the empty page too.

    window: what the run owns. at: API text of when the reading began, which is how old it is.
    rows: id → packed times. outside: rows of the asked days that do not even overlap what was asked for; a row whose
    own times make no sense, or that lies days away, is a bad row and shows nothing of how intervals are answered.
    unplaced: rows that go on, without a start.
    idle: pages in a row that brought nothing new. smallest_total: the smallest `totalHits` of all pages.
    before, beyond: the last page that begins before the window, and the first one that ends behind it. asked_again:
    these and what lies between were asked for a second time. doubted: such a page has shown a row of the window that
    the reading did not find, or could not be had.
    """

    part: Part
    window: Interval
    at: str
    rows: dict[str, int] = field(default_factory=dict)
    pages: int = 0
    done: bool = False
    first_total: int | None = None
    last_total: int | None = None
    totals_moved: bool = False
    duplicates: int = 0
    duplicates_owned: int = 0
    nameless: int = 0
    unplaced: int = 0
    unreadable: int = 0
    outside: int = 0
    first_pages: list[tuple[str | None, ...]] = field(default_factory=list)
    idle: int = 0
    endless: bool = False
    smallest_total: int | None = None
    before: int = 1
    beyond: int | None = None
    asked_again: bool = False
    doubted: bool = False
    judged: Judged | None = None

    def take(self, rows: Sequence[RowTimes], total_hits: int | None) -> None:
        """The next page. One without rows ends the reading: nothing else does."""
        self.pages += 1
        if total_hits is not None:
            if self.last_total is None:
                self.first_total = total_hits
            elif total_hits != self.last_total:
                self.totals_moved = True
            self.last_total = total_hits
            self.smallest_total = min(total_hits, total_hits if self.smallest_total is None else self.smallest_total)
        if not rows:
            self.done = True
            return
        asked, owned, days = self.part.interval.texts, self.window.texts, touched_days(self.part.interval).texts
        known = len(self.rows)
        self._place(rows, owned)
        if self.pages <= MOST_CHECKED:
            self.first_pages.append(tuple(row.id for row in rows))
        for row in rows:
            self._row(row, asked, owned, days)
        self.idle = 0 if len(self.rows) > known else self.idle + 1
        if self.idle >= MOST_IDLE or self.pages >= MOST_PAGES * PAGE_SIZE // self.part.size:
            self.done = self.endless = True

    def _place(self, rows: Sequence[RowTimes], owned: tuple[str, str]) -> None:
        starts = [row.start for row in rows if row.start is not None]
        if starts and min(starts) < owned[0]:
            self.before = self.pages
        if starts and self.beyond is None and max(starts) >= owned[1]:
            self.beyond = self.pages

    @property
    def window_pages(self) -> range:
        """The pages that hold the window's rows, whatever has come to them since.

        What came before them has moved the last of them on to the next page.
        """
        return range(self.before, min(self.beyond or self.pages, self.pages - 1) + 2)

    @property
    def reaches_the_end(self) -> bool:
        """True where rows of the window may be on the last page with rows, or behind it."""
        return self.beyond is None or self.beyond > self.pages - 2

    def look_again(self, rows: Sequence[RowTimes]) -> None:
        """The rows of a page that is asked for again, after the reading has ended."""
        start, end = self.window.texts
        owned = (row.id for row in rows if row.start is not None and start <= row.start < end)
        self.doubted = self.doubted or any(id_ is not None and id_ not in self.rows for id_ in owned)

    def _row(self, row: RowTimes, asked: tuple[str, str], owned: tuple[str, str], days: tuple[str, str]) -> None:
        self.outside += _lies_beside(row, asked, days)
        self.unreadable += row.broken
        self.unplaced += row.is_unplaced
        if row.id is None:
            self.nameless += 1
        elif row.id in self.rows:
            self.duplicates += 1
            self.duplicates_owned += row.start is not None and owned[0] <= row.start < owned[1]
        else:
            self.rows[row.id] = packed(row.start, row.end)

    def movement(self) -> str | None:
        """The movement while it was read, in words; None if the answer is consistent with itself."""
        total = self.last_total or 0
        if self.endless:
            return f"the pages have no end: {self.pages} came, the last {self.idle} of them with nothing new"
        if self.unreadable:
            return f"{self.unreadable} records cannot be decoded"
        if self.totals_moved:
            return f"totalHits moved while it was read (from {self.first_total} to {self.last_total}, or back)"
        if self.duplicates:
            return f"{self.duplicates} rows came twice"
        if self.nameless:
            return f"{self.nameless} rows have no id"
        if self.unplaced:
            return f"{self.unplaced} conversations go on of which no start can be read"
        if self.rows and self.last_total is None:
            return "the answer has rows and no totalHits"
        if len(self.rows) != total:
            return f"{len(self.rows)} conversations came, totalHits says {total}"
        return None

    def owned(self) -> frozenset[str]:
        """The ids of the rows that the run owns."""
        return frozenset(started_in(self.rows, self.window))

    def agrees_with(self, earlier: Scan) -> bool:
        """True where two readings in a row found the same owned rows, none of them twice.

        The rule for answers of whole days, which grow at their end while they are read. Rows are added, never taken
        away, so each reading has as many ids as the smallest total of its pages at least: one that has fewer lacks some
        that may be owned. What came to the window after its page was read shows where that is asked for again.
        """
        return self._is_whole() and earlier._is_whole() and self.owned() == earlier.owned()

    def _is_whole(self) -> bool:
        wrong = (
            self.nameless or self.unplaced or self.duplicates_owned or self.unreadable or self.endless or self.doubted
        )
        return not wrong and self.smallest_total is not None and len(self.rows) >= self.smallest_total


def _lies_beside(row: RowTimes, asked: tuple[str, str], days: tuple[str, str]) -> bool:
    """True for a row of the asked days that does not overlap what was asked for: then whole days were answered."""
    if row.start is None or (row.end is not None and row.end < row.start) or not days[0] <= row.start < days[1]:
        return False
    return row.start > asked[1] or (row.end is not None and row.end < asked[0])


def _ms(interval: Interval) -> tuple[int, int]:
    millisecond = timedelta(milliseconds=1)
    return (interval.start - EPOCH) // millisecond, (interval.end - EPOCH) // millisecond


def requests_for(rows: int) -> int:
    """The number of pages that it takes to read so many rows, the empty page included."""
    return math.ceil(rows / PAGE_SIZE) + 1


def expected_rows(scan: Scan, interval: Interval) -> int:
    """The number of a scan's rows that a part of its interval would be answered with, if lifetimes are what matches."""
    start, end = _ms(interval)
    return sum(start_of(value) < end and not -1 < end_of(value) < start for value in scan.rows.values())


def cut(scan: Scan, parts: int) -> list[Part]:
    """The scan's part in `parts` narrower ones with about as many starts each; fewer if it is too narrow."""
    interval = scan.part.interval
    start, end = _ms(interval)
    starts = sorted(at for value in scan.rows.values() if start < (at := start_of(value)) < end)
    if len(set(starts)) >= parts:
        edges = [starts[len(starts) * index // parts] for index in range(1, parts)]
    else:
        edges = [start + (end - start) * index // parts for index in range(1, parts)]
    return pieces(scan.part, (moment(edge) for edge in edges))


def pieces(part: Part, edges: Iterable[datetime]) -> list[Part]:
    """A part cut at the edges that lie inside it."""
    interval = part.interval
    inside = sorted({edge for edge in edges if interval.start < edge < interval.end})
    bounds = [interval.start, *inside, interval.end]
    return [Part(Interval(a, b), part.direction, part.size) for a, b in itertools.pairwise(bounds)]


def by_days(part: Part) -> list[Part]:
    """A part cut at midnights (UTC): the platform keeps conversations by the day that they started on."""
    days = touched_days(part.interval)
    return pieces(part, (days.start + _DAY * number for number in range(days.length // _DAY)))


def day_of(when: datetime) -> datetime:
    """The midnight (UTC) before."""
    return when.replace(hour=0, minute=0, second=0, microsecond=0)


def touched_days(interval: Interval) -> Interval:
    """The whole UTC days that an interval touches."""
    last = day_of(interval.end - timedelta(milliseconds=1))
    return Interval(day_of(interval.start), last + _DAY)


def evenly(part: Part, count: int) -> list[Part]:
    """A part cut into `count` equal times, to the millisecond."""
    start, end = _ms(part.interval)
    return pieces(part, (moment(start + (end - start) * index // count) for index in range(1, count)))


def spans(interval: Interval, longest: timedelta) -> list[Part]:
    """An interval in parts that the platform takes: none longer than `longest`, cut at midnights where it can be."""
    edges = []
    edge = interval.start
    while edge + longest < interval.end:
        midnight = day_of(edge + longest)
        edge = midnight if midnight > edge else edge + longest
        edges.append(edge)
    return pieces(Part(interval), edges)
