"""The proof in a job's answers: whether its results lead on, what can be asked for instead, and whether totals agree.

Pure: cursors, rows' times and totals come in, decisions go out. `jobs.py` asks and waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reconcile.reading.scan import Part, day_of, end_of, evenly, milliseconds, pieces, start_of
from reconcile.window import EPOCH
from rollbook.genesys.messages.details import DetailsPage
from rollbook.genesys.times import Interval

# Rows a page, the next smaller one where a page cannot be had.
SIZES: Final = (1000, 250, 50, 10)
# Pages in a row that bring nothing new and name another cursor: one is no end, more than these are no progress.
MOST_IDLE: Final = 5
# More rows than any organisation has in a week, and fewer than fill the memory: results without an end have one here.
MOST_ROWS: Final = 1_000_000
# `totalHits` counts no further (reference, "Limits": results are reachable to 100,000).
SATURATED: Final = 100_000
# A job over less brings no more than a job over this.
NARROWEST: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class CursorTrail:
    """The cursors that a job's results have named, and whether a page leads on.

    A cursor is opaque, so a reading that stands still is known by what comes: a cursor that was named before (it was
    followed, and leads to where it led), or page after page without a new row.
    """

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._idle = 0

    def leads_on(self, cursor: str) -> bool:
        """True for a cursor that has not been named before."""
        return cursor not in self._named

    def take(self, cursor: str | None, new_rows: int) -> str | None:
        """A page came, with so many rows that were not known. Why the reading ends here though it names a cursor."""
        if cursor is None:
            return None
        if cursor in self._named:
            return "a page of the job's results names a cursor that was followed before"
        self._named.add(cursor)
        self._idle = 0 if new_rows else self._idle + 1
        if self._idle > MOST_IDLE:
            return f"{self._idle} pages of the job's results in a row brought nothing new and named another cursor"
        return None


def smaller(size: int) -> int | None:
    """The next smaller size of a page; None: there is none."""
    return next((each for each in SIZES if each < size), None)


def narrower(part: Part) -> list[Part]:
    """A part in two: at a midnight while it has some, else in the middle. Empty: it is as narrow as is sensible."""
    length = part.interval.length
    if length < 2 * NARROWEST:
        return []
    if length > _DAY:
        middle = day_of(part.interval.start + length / 2)
        for edge in (middle, middle + _DAY):
            if part.interval.start < edge < part.interval.end:
                return pieces(part, [edge])
    return evenly(part, 2)


@dataclass(frozen=True, slots=True)
class Group:
    """Of a job's rows, those that the query answers an interval with, by one of its rules. earliest: start, or -1."""

    rows: int
    earliest: int


def groups(rows: Mapping[str, int], interval: Interval) -> list[Group]:
    """The groups of rows with which the query may answer an interval, each once.

    Which rule it follows is not documented to the end: what started in the interval; what was alive in it, of what
    started on the days (UTC) that it touches; what was alive in it. rows: id → packed times. (Where it answers with
    all that started on those days, a job over whole days has them all: they started in the interval.) A row whose start
    cannot be read came for this interval, so it counts: where the query does not count it, nothing is proven.
    """
    step = timedelta(milliseconds=1)
    start, end = (interval.start - EPOCH) // step, (interval.end - EPOCH) // step
    day = (day_of(interval.start) - EPOCH) // step
    counts, earliest = [0, 0, 0], [-1, -1, -1]
    for value in rows.values():
        began, ended = start_of(value), end_of(value)
        if began >= end:
            continue
        went_on = not -1 < ended < start
        for rule, since in enumerate((start, day, -1)):
            if began == -1:
                counts[rule] += 1
            elif began >= since and (went_on or rule == 0):
                counts[rule] += 1
                earliest[rule] = began if earliest[rule] == -1 else min(earliest[rule], began)
    return list(dict.fromkeys(map(Group, counts, earliest)))


def counted(page: DetailsPage) -> int | None:
    """The number of conversations that a page of the query names. None: it does not count them.

    An answer without rows and without a total counts none: that is how the platform answers for nothing.
    """
    total = page.total_hits
    if total is None:
        return None if page.rows else 0
    return total if total < SATURATED else None


def counts_more(found: list[Group], page: DetailsPage) -> bool:
    """True where a total that counts no further is larger than any group: it says that there are at least so many."""
    return (page.total_hits or 0) >= SATURATED > max(group.rows for group in found)


def agrees(found: list[Group], page: DetailsPage, rows: Mapping[str, int]) -> bool:
    """True where the query's first page, ascending by start, fits the job's rows.

    Where the rules mean different rows, a number alone might fit the wrong rule: as many as went on into the interval
    may lack of those that started in it. So the first row must be the first of the same rule. What the page shows and
    the job has not brought fits nothing, even where nothing is counted.
    """
    shown = page.rows[0] if page.rows else None
    if shown is not None and shown.conversation_id is not None and shown.conversation_id not in rows:
        return False
    total = counted(page)
    if total is None:
        return True
    fitting = [group for group in found if group.rows == total]
    first = milliseconds(shown.start) if shown is not None else -1
    if len(found) > 1 and total and first >= 0:
        return any(group.earliest == first for group in fitting)
    return bool(fitting)
