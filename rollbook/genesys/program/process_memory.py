"""The process and its memory: how often it looks for garbage, and what it gives back."""

from __future__ import annotations

import ctypes
import gc


def tune_collector() -> None:
    """Let the cycle collector look less often.

    A page of details is some 50,000 objects without a single cycle: at the default thresholds, decoding one took
    three times as long (docs/performance.md). What is loaded at the start is never garbage.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def give_back() -> None:
    """Return free memory to the system; for a process that lives on. Takes some milliseconds, without the GIL.

    The pages of a round leave holes all over glibc's heap, which keeps them: a busy daemon grew by megabytes a minute
    of which nothing was in use (docs/performance.md). Elsewhere than on glibc nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
