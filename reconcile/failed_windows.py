"""Failed windows: when each is tried again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from rollbook.store.vocabulary import Verdict

# A failed window is tried again after this, then after twice as long, and so on.
FIRST_RETRY: Final = timedelta(minutes=10)
LONGEST_RETRY: Final = timedelta(days=1)


def next_try(failures: int, failed_at: datetime) -> datetime:
    """When a window that has failed `failures` times in a row is tried again: pauses double, up to a day."""
    pause: timedelta = FIRST_RETRY * (1 << min(max(failures, 1) - 1, 12))
    return failed_at + min(pause, LONGEST_RETRY)


def failures_in_a_row(runs: Sequence[Mapping[str, Any]]) -> int:
    """The number of the newest runs of a window (oldest first) that failed in a row."""
    return sum(1 for _ in takewhile(lambda run: run["verdict"] == Verdict.FAILED, reversed(runs)))
