"""Progress of work on the file, on a terminal alone: how much of how many bytes, on one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rollbook.genesys.program import console
from rollbook.store.file.copying import Progress, shown_size

# Seconds between two lines: a terminal far away is slow.
_EVERY: Final = 0.2


@contextmanager
def shown(verb: str) -> Iterator[Progress]:
    """A function that shows "verb 1.2 GB of 3.4 GB" on a terminal, and nothing elsewhere."""
    last = [0.0]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= _EVERY:
            last[0] = now
            _line(f"{verb} {shown_size(done)} of {shown_size(total)}")

    if not console.err.is_terminal:
        yield lambda *_: None
        return
    try:
        yield progress
    finally:
        if last[0]:
            _line("")


def _line(text: str) -> None:
    console.err.print(f"\r\x1b[2K{text}", end="", markup=False)
