"""Bands of time in characters: a cell shows the worst verdict of its time, or the share of it that was listened to.

Pure. A state is told by its character and by the word beside it in the legend; colour comes on top. Times are API text,
which sorts as time does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from rollbook.genesys.times import from_text, to_text
from rollbook.store.status import union
from rollbook.store.tables import coverage
from rollbook.store.tables.coverage import Span
from rollbook.store.views.reports import worst
from rollbook.store.views.time_pieces import Piece
from rollbook.store.vocabulary import PROVEN, Verdict

HALF_HOUR: Final = timedelta(minutes=30)
# A stretch of closed time of which the ledger has no window.
NO_WINDOW: Final = "no window"


class Mark(NamedTuple):
    """The character of a state, in UTF-8 and in ASCII, and its colour."""

    character: str
    plain: str
    style: str


# From the best to the worst, as `reports.worst` judges. Each has a shape of its own, for eyes and terminals without
# colour.
MARKS: Final[Mapping[str, Mark]] = {
    Verdict.SETTLED: Mark("█", "#", "green"),
    Verdict.COMPLETE: Mark("▓", "=", "green"),
    Verdict.OPEN: Mark("░", "o", "yellow"),
    Verdict.DUE: Mark("◦", "d", "cyan"),
    Verdict.PENDING: Mark("·", ".", ""),
    Verdict.FAILED: Mark("X", "X", "bold red"),
    NO_WINDOW: Mark("?", "?", "magenta"),
}
_HEIGHTS: Final = "▁▂▃▄▅▆▇"


def edges(start: datetime, end: datetime, most: int) -> list[str]:
    """The edges of at most so many cells, each some half hours wide, of which the last one has `end` in it."""
    start = start.astimezone(UTC).replace(minute=start.minute // 30 * 30, second=0, microsecond=0)
    halves = max(0, (end - start) // HALF_HOUR) + 1
    width = HALF_HOUR * -(-halves // most)
    return [to_text(start + width * number) for number in range((end - start) // width + 2)]


def verdicts(pieces: Iterable[Piece], edges: Sequence[str], open_from: str) -> list[str]:
    """The worst state of each cell, as `reports.worst` judges: `NO_WINDOW` where closed time of it has no window.

    pieces: each moment once, in order. open_from: time from then on has not closed, and needs no window yet; a cell
    with such time is pending, unless something in it is worse than a proof.
    """
    found: list[set[Verdict | None]] = [set() for _ in edges[1:]]
    to_come: set[int] = set()
    for start, end, verdict in _whole(pieces, edges[0], edges[-1]):
        closed = min(end, open_from) if verdict is None else end
        for place in range(max(0, bisect_right(edges, start) - 1), len(found)):
            if edges[place] >= end:
                break
            if max(start, edges[place]) < closed:
                found[place].add(verdict)
            if edges[place + 1] > closed < end:
                to_come.add(place)
    return [_state(verdicts, place in to_come) for place, verdicts in enumerate(found)]


def _whole(pieces: Iterable[Piece], first: str, last: str) -> Iterator[Piece]:
    """The pieces of [first, last), and those of no window before, between and behind them."""
    for piece in pieces:
        if piece.end <= first or piece.start >= last:
            continue
        if piece.start > first:
            yield Piece(first, piece.start, None)
        yield piece
        first = piece.end
    if first < last:
        yield Piece(first, last, None)


def _state(verdicts: Iterable[Verdict | None], to_come: bool) -> str:
    found = list(verdicts)
    state = worst(found)
    if to_come and (not found or state in PROVEN):
        return Verdict.PENDING
    return NO_WINDOW if state is None else state


def listening(spans: Sequence[Span], edges: Sequence[str], now: datetime) -> list[float | None]:
    """The share of each cell in which some channel listened; None where nothing did before, or the cell is to come."""
    stretches = union(_stretch(span, now) for span in spans)
    limits = [from_text(edge) for edge in edges]
    shares: list[float | None] = []
    for first, edge in pairwise(limits):
        last = min(edge, now)
        if last <= first or not stretches or last <= stretches[0][0]:
            shares.append(None)
            continue
        first = max(first, stretches[0][0])
        seconds = sum((min(b, last) - max(a, first)).total_seconds() for a, b in stretches if b > first and a < last)
        shares.append(seconds / (last - first).total_seconds())
    return shares


def _stretch(span: Span, now: datetime) -> tuple[datetime, datetime]:
    last = span.ended_at or (span.alive_at if coverage.is_silent(span, now) else None)
    return from_text(span.started_at), now if last is None else from_text(last)


def drawn(states: Iterable[str], *, plain: bool) -> str:
    """A band of states, a character each."""
    return "".join(MARKS[state].plain if plain else MARKS[state].character for state in states)


def height(share: float | None, *, plain: bool) -> str:
    """The character of a share: a line at the ground for nothing, a full block for all and no less, else a blank."""
    if share is None:
        return " "
    if share <= 0:
        return "_"
    if plain:
        return "#" if share >= 1 else str(min(9, int(share * 10)))
    return "█" if share >= 1 else _HEIGHTS[min(len(_HEIGHTS) - 1, int(share * len(_HEIGHTS)))]
