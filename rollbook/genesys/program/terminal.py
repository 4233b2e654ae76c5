"""Lines for people: how many of what, how wide a terminal is, and where a line that is wider is broken."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

WIDTH: Final = 80


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 pass`, `2 passes`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def shown_size(size: float) -> str:
    """A number of bytes as people read it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} bytes"


def inert(text: str) -> str:
    """A text of somebody else's without what a terminal would obey: control characters and marks of direction."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else "\ufffd" for mark in text)


def fitted(lines: Iterable[str], *, indent: int) -> Iterator[str]:
    """The lines, broken at spaces where they are wider than a terminal, and gone on with `indent` spaces below.

    A word is never broken: ids and times are there to be copied.
    """
    for line in lines:
        yield from wrapped(line, WIDTH, indent=indent)


def wrapped(line: str, width: int, *, indent: int = 0) -> list[str]:
    """Break a line at spaces where it is wider than `width`."""
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
