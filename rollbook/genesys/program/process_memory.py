"""The process and its memory: how often it looks for garbage, what it keeps, and what it gives back."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# Of glibc's malloc.h: how much is kept at the end of the heap, and how large a piece is when it is none of the heap.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3


def tune_collector() -> None:
    """Let the cycle collector look less often.

    A page of details is some 50,000 objects without a single cycle: at the default thresholds, decoding one took
    three times as long (docs/performance.md). What is loaded at the start is never garbage.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def keep_freed() -> None:
    """Keep some of what is freed for what comes next; for a process that asks for large pieces again and again.

    glibc returns each to the system at once, and every page of the next one is a fault: a tenth of an export's time
    (docs/performance.md). Elsewhere than on glibc nothing is done.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, 64 << 20)
        set_option(_MMAP_THRESHOLD, 32 << 20)


def give_back() -> None:
    """Return free memory to the system; for a process that lives on. Takes some milliseconds, without the GIL.

    The pages of a round leave holes all over glibc's heap, which keeps them: a busy daemon grew by megabytes a minute
    of which nothing was in use (docs/performance.md). Elsewhere than on glibc nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
