"""Bands of time in characters: a cell shows the worst verdict of its windows, or the share of it that was listened to.

Pure. A state is told by its character and by the word beside it in the legend; colour comes on top. Times are API text,
which sorts as time does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from rollbook.genesys.times import from_text, to_text
from rollbook.store.status import union
from rollbook.store.tables import coverage
from rollbook.store.tables.coverage import Span
from rollbook.store.vocabulary import Verdict

HALF_HOUR: Final = timedelta(minutes=30)
# A stretch of closed time of which the ledger has no window.
NO_WINDOW: Final = "no window"


class Mark(NamedTuple):
    """The character of a state, in UTF-8 and in ASCII, and its colour."""

    character: str
    plain: str
    style: str


# From the best to the worst. Each has a shape of its own, for eyes and terminals without colour.
MARKS: Final[Mapping[str, Mark]] = {
    Verdict.SETTLED: Mark("█", "#", "green"),
    Verdict.COMPLETE: Mark("▓", "=", "green"),
    Verdict.OPEN: Mark("░", "o", "yellow"),
    Verdict.PENDING: Mark("·", ".", ""),
    Verdict.DUE: Mark("◦", "d", "cyan"),
    NO_WINDOW: Mark("?", "?", "magenta"),
    Verdict.FAILED: Mark("X", "X", "bold red"),
}
_BADNESS: Final = {state: place for place, state in enumerate(MARKS)}
_HEIGHTS: Final = "▁▂▃▄▅▆▇"


def edges(start: datetime, end: datetime, most: int) -> list[str]:
    """The edges of at most so many cells, each some half hours wide, of which the last one has `end` in it."""
    start = start.astimezone(UTC).replace(minute=start.minute // 30 * 30, second=0, microsecond=0)
    halves = max(0, (end - start) // HALF_HOUR) + 1
    width = HALF_HOUR * -(-halves // most)
    return [to_text(start + width * number) for number in range((end - start) // width + 2)]


def verdicts(windows: Iterable[tuple[str, str, str]], edges: Sequence[str], open_from: str) -> list[str]:
    """The worst state of each cell: that of its windows, or `NO_WINDOW` where closed time of it has none.

    windows: (start, end, verdict). open_from: time from then on has not closed, and needs no window yet.
    """
    worst = [Verdict.SETTLED.value] * (len(edges) - 1)
    covered: list[list[tuple[str, str]]] = [[] for _ in worst]
    for start, end, verdict in windows:
        for place in range(max(0, bisect_right(edges, start) - 1), len(worst)):
            if edges[place] >= end:
                break
            covered[place].append((start, end))
            worst[place] = max(worst[place], verdict, key=_BADNESS.__getitem__)
    for place, spans in enumerate(covered):
        first, last = edges[place], edges[place + 1]
        if not _fill(spans, first, min(last, open_from)):
            worst[place] = max(worst[place], NO_WINDOW, key=_BADNESS.__getitem__)
        elif not _fill(spans, first, last):
            worst[place] = max(worst[place], Verdict.PENDING, key=_BADNESS.__getitem__)
    return worst


def _fill(spans: Iterable[tuple[str, str]], first: str, last: str) -> bool:
    """Tell whether these cover [first, last)."""
    if first >= last:
        return True
    for start, end in sorted(spans):
        if start > first:
            return False
        first = max(first, end)
        if first >= last:
            return True
    return False


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
