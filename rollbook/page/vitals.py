"""Figures of a running daemon, as the page shows them: values that whoever runs one builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Line(NamedTuple):
    """A line of live capture. down_for: seconds; why: what its last socket was lost for."""

    number: int
    phase: str
    topics: int
    covered: int
    down_for: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonVitals:
    """The state of a daemon as `/healthz` says it, and its figures since its start.

    latency: answers of the API within so many seconds, cumulative. waiting_for: seconds, the oldest that is not stored.
    """

    state: str
    why: Sequence[str] = ()
    lines: Sequence[Line] = ()
    queue: str | None = None
    channels_free: int = 0
    channels_of_others: int = 0
    refused: int = 0
    unplaced: int = 0
    new: int = 0
    repeated: int = 0
    dropped: int = 0
    dead_letters: int = 0
    waiting: int = 0
    waiting_for: float = 0.0
    requests: int = 0
    budget_left: float | None = None
    latency: Mapping[str, int] | None = None
