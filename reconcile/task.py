"""A run as values: what it is asked to do, how far it is, what it has read. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from genesys.settings import Settings
from genesys.times import Interval
from reconcile import plan, window
from reconcile.read import Sleep

Via = Literal["query", "job"]
Command = Literal["manual", "due", "daemon", "lambda"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. expected: rows, as far as it is known."""

    window: Interval
    passes: int
    rows: int
    expected: int | None


Show = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a run is asked to do. windows: neighbours in order; each gets a report and a row in the ledger."""

    windows: Sequence[Interval]
    settings: Settings
    now: Callable[[], datetime]
    command: Command = "manual"
    via: Via = "query"
    filter: Mapping[str, Any] | None = None
    ended_only: bool = False
    dry_run: bool = False
    progress: Show = lambda _: None
    sleep: Sleep = asyncio.sleep
    stop: asyncio.Event | None = None

    @property
    def interval(self) -> Interval:
        """What is read."""
        return plan.hull(self.windows)

    @property
    def key(self) -> str:
        """The ledger's name of the filter."""
        return window.filter_key(self.filter, ended_only=self.ended_only)


@dataclass(slots=True)
class Found:
    """What was read. rows: id → packed times of what counts."""

    rows: Mapping[str, int]
    consistent: bool
    reason: str | None
    as_of: str
    passes: list[dict[str, Any]] = field(default_factory=list)
    reading: str | None = None
    first_total: int | None = None
    final_total: int | None = None
    duplicates: int = 0
    proof_requests: int | None = None
