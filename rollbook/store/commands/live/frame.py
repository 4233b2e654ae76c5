"""A frame of `rollbook status --watch`: the sentence, bands of the last day and of all time, and what `status` says.

Pure: what was found goes in, lines of pieces with styles come out. It knows no terminal but its size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import WIDTH, wrapped
from rollbook.genesys.times import from_text, to_text
from rollbook.store.commands import status as status_lines
from rollbook.store.commands.live import bands
from rollbook.store.commands.live.bands import MARKS
from rollbook.store.file.transactions import one_moment
from rollbook.store.tables import coverage
from rollbook.store.views import page_rows, time_pieces
from rollbook.store.views.time_pieces import Piece

# (text, style) after each other make a line.
Line = list[tuple[str, str]]

_NAME: Final = 16  # columns before a band
_CELLS: Final = WIDTH - _NAME
_DAY: Final = timedelta(days=1)
_STYLES: Final[Mapping[str, str]] = {"well": "bold green", "degraded": "bold yellow", "dead": "bold red"}
_RATE_OVER: Final = 0.5  # seconds; what came in less says nothing of the rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The ledger and capture at a moment. found: `status --json`. Each band: its edges, then what its cells say."""

    at: datetime
    found: dict[str, Any]
    day: tuple[list[str], list[str]] | None
    listening: list[float | None]
    all_time: tuple[list[str], list[str]] | None


def look(db: sqlite3.Connection, settings: Settings, now: datetime) -> Picture:
    """Everything that a frame shows, read at one moment."""
    with one_moment(db):
        found = status_lines.collect(db, settings, now)
        pieces = time_pieces.pieces(page_rows.stretches(db))
        begin = found["since"] or (pieces[0].start if pieces else None)
        spans = coverage.overlapping(db, to_text(now - _DAY), to_text(now))
    if begin is None or from_text(begin) >= now:
        return Picture(at=now, found=found, day=None, listening=[], all_time=None)
    # A window closes at its end, and is noted after the lag: what is newer needs none yet.
    open_from = to_text(now - settings.lag - settings.width)
    day = bands.edges(max(from_text(begin), now - _DAY + bands.HALF_HOUR), now, 48)
    all_time = bands.edges(from_text(begin), now, _CELLS)
    return Picture(
        at=now,
        found=found,
        day=(day, bands.verdicts(_after(pieces, begin), day, open_from)),
        listening=bands.listening(spans, day, now),
        all_time=(all_time, bands.verdicts(_after(pieces, begin), all_time, open_from)),
    )


def _after(pieces: Iterable[Piece], begin: str) -> list[Piece]:
    return [piece for piece in pieces if piece.end > begin]


def frame(picture: Picture, before: Picture | None, *, height: int, plain: bool) -> list[Line]:
    """The lines of a frame, as many as fit. before: an earlier picture, for the rate of events. plain: ASCII alone."""
    found = picture.found
    lines: list[Line] = [[(text, "bold")] for text in wrapped(found["sentence"], WIDTH)]
    lines += [[(found["state"], _STYLES[found["state"]]), (f", as of {picture.at:%Y-%m-%d %H:%M:%S} UTC", "")]]
    lines += [[(text, "")] for why in found["why"] for text in wrapped(f"  {why}", WIDTH, indent=4)]
    lines += [[], *_bands(picture, plain=plain)]
    rest = list(status_lines.field_lines(found))
    if (rate := _rate(picture, before)) is not None:
        place = next((n for n, line in enumerate(rest) if line.startswith("last day")), len(rest))
        rest.insert(place, f"{'':<{_NAME}}{rate:,.1f} a second now")
    lines += [[(line, "")] for line in rest]
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], [(f"{hidden} more lines: `rollbook status` shows all", "dim")]]
    return lines


def line(picture: Picture) -> str:
    """A picture on one line, for a pipe."""
    return f"{to_text(picture.at)} {picture.found['state']}: {picture.found['sentence']}"


def _rate(picture: Picture, before: Picture | None) -> float | None:
    if before is None or (seconds := (picture.at - before.at).total_seconds()) < _RATE_OVER:
        return None
    came: int = picture.found["capture"]["events"] - before.found["capture"]["events"]
    return max(0.0, came / seconds)


def _bands(picture: Picture, *, plain: bool) -> Iterator[Line]:
    if picture.day is None or picture.all_time is None:
        yield [("no window yet: the bands begin with the first one", "dim")]
        yield []
        return
    edges, states = picture.day
    yield [(f"{'24 hours':<{_NAME}}", ""), *_painted(states, plain=plain)]
    heights = "".join(bands.height(share, plain=plain) for share in picture.listening)
    yield [(f"{'listened':<{_NAME}}{heights}", "")]
    yield [(f"{'':<{_NAME}}{_hours(edges)}", "dim")]
    edges, states = picture.all_time
    yield [(f"{'all time':<{_NAME}}", ""), *_painted(states, plain=plain)]
    yield [(f"{'':<{_NAME}}{_ends(edges)}", "dim")]
    yield from _legend({*states, *picture.day[1]}, plain=plain)
    yield []


def _painted(states: list[str], *, plain: bool) -> Iterator[tuple[str, str]]:
    for state_of_cell in states:
        yield bands.drawn([state_of_cell], plain=plain), MARKS[state_of_cell].style


def _hours(edges: list[str]) -> str:
    """The hours below a band of half hours: each sixth, where there is room for it."""
    row = [" "] * (_CELLS + 5)
    for place, edge in enumerate(edges[:-1]):
        if edge[11:16] in ("00:00", "06:00", "12:00", "18:00"):
            row[place : place + 5] = edge[11:16]
    return "".join(row)[:_CELLS].rstrip() or edges[0][11:16]


def _ends(edges: list[str]) -> str:
    """Below a band: from when on it shows what, and how much time a cell is."""
    width = from_text(edges[1]) - from_text(edges[0])
    halves = width // bands.HALF_HOUR
    cell = "half an hour" if halves == 1 else f"{halves / 2:g} hours" if halves < 96 else f"{halves / 48:.3g} days"
    return f"from {edges[0][:10]} {edges[0][11:16]} UTC on, a character is {cell}"


def _legend(shown: set[str], *, plain: bool) -> Iterator[Line]:
    """The words of the characters that are shown; a character is the worst of its time."""
    words = [f"{bands.drawn([name], plain=plain)} {name}" for name in MARKS if name in shown]
    yield [(f"{'':<{_NAME}}{'  '.join(words)}", "dim")]
