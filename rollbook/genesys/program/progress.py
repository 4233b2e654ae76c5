"""Progress of long work, on a terminal alone: one line that says how much of how many bytes, or how far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rollbook.genesys.program import console
from rollbook.genesys.program.inert import inert
from rollbook.genesys.program.terminal import shown_size

# Seconds between two lines: a terminal may be far away.
_EVERY: Final = 0.2


@contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """A function that shows a text in place of the one before, on a terminal; elsewhere it does nothing."""
    last = [0.0]

    def show(text: str) -> None:
        now = time.monotonic()
        if now - last[0] >= _EVERY:
            last[0] = now
            _line(text)

    if not console.err.is_terminal:
        yield lambda _: None
        return
    try:
        yield show
    finally:
        if last[0]:
            _line("")


@contextmanager
def bytes_shown(verb: str) -> Iterator[Callable[[int, int], None]]:
    """A function of (bytes done, bytes in all) that shows "verb 1.2 GB of 3.4 GB"."""
    with shown() as show:
        yield lambda done, total: show(f"{verb} {shown_size(done)} of {shown_size(total)}")


def _line(text: str) -> None:
    console.err.print(f"\r\x1b[2K{inert(text)}", end="", markup=False)
