"""A run as values: what it is asked to do, how far it is, what it has read. Pure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from reconcile.patience import QuestionPatience, RunClock, Sleep
from reconcile.reading.platform_retention import PlatformRetention
from reconcile.reading.reader import Pass
from reconcile.reading.visible_divisions import Eyes
from reconcile.window import filter_key, hull
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval

Via = Literal["query", "job"]
AskedVia = Literal["query", "job", "auto"]
Command = Literal["manual", "due", "daemon", "lambda"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run. expected: rows, as far as it is known.

    done, windows: of the whole round. rate: conversations a second. requests_left: in this minute. to_go: seconds.
    """

    window: Interval
    passes: int
    rows: int
    expected: int | None
    done: int = 0
    windows: int = 1
    rate: float | None = None
    requests_left: int | None = None
    to_go: float | None = None


Show = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run, or of the runs of a round.

    wait: seconds to wait for another run over the same time. progress: called after each page. stop: set to end after
    the page under way. spent: API requests that were made for the run before it began.
    """

    command: Command = "manual"
    via: AskedVia = "query"
    dry_run: bool = False
    wait: float = 60.0
    progress: Show = lambda _: None
    sleep: Sleep = asyncio.sleep
    stop: asyncio.Event | None = None
    spent: int = 0


class RowsWaiting:
    """The number of rows that the store has not inserted yet, of all runs that share it."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()  # the writer's thread counts down

    def add(self, number: int) -> None:
        """Count so many more, or fewer."""
        with self._lock:
            self.count += number


@dataclass(slots=True, kw_only=True)
class RoundMemory:
    """Memory that the runs of a round share."""

    # id → how it compares with the store as the round found it, for what another window of the round has read before.
    counted_before: dict[str, str] = field(default_factory=dict)
    # What the client sees, as the round last asked; None: the run asks for itself.
    eyes: Eyes | None = None
    # How far back the platform has everything, as the round asked; None: the run asks for itself.
    retention: PlatformRetention | None = None
    # What the platform has shown the round's windows of what it refuses: pages of the query, and questions by id.
    patience: QuestionPatience = field(default_factory=QuestionPatience)
    by_id: QuestionPatience = field(default_factory=QuestionPatience)
    rows_waiting: RowsWaiting = field(default_factory=RowsWaiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTask:
    """The work of a run.

    windows: neighbours in order; each gets a report and a row in the ledger. via: how they are read, decided.
    """

    windows: Sequence[Interval]
    settings: Settings
    now: Callable[[], datetime]
    options: RunOptions = RunOptions()
    via: Via = "query"
    memory: RoundMemory = field(default_factory=RoundMemory)

    @property
    def interval(self) -> Interval:
        """The interval that is read."""
        return hull(self.windows)

    @property
    def clock(self) -> RunClock:
        """The time by which it runs."""
        return RunClock(self.now, self.options.sleep, self.options.stop)

    @property
    def key(self) -> str:
        """The ledger's name of the filter."""
        return filter_key(self.settings.filter, ended_only=self.settings.ended_only)

    @property
    def journal_key(self) -> tuple[str, str, str, str]:
        """Under what its progress is kept."""
        return *self.interval.texts, self.key, self.via


@dataclass(slots=True)
class ReadResult:
    """The rows that were read, and whether they prove anything. rows: id → packed times of what counts."""

    rows: Mapping[str, int]
    consistent: bool
    reason: str | None
    as_of: str
    passes: Sequence[Pass | Mapping[str, Any]] = ()
    reading: str | None = None
    first_total: int | None = None
    final_total: int | None = None
    duplicates: int = 0
    proof_requests: int | None = None
    via: Via = "query"
    # It says nothing against a proof that is there.
    keeps_proof: bool = False
    # The ids that the run has accounted for, in the answer or beside it; None where it did not look for others.
    answered: Collection[str] | None = None
    # Some of it could not be had, however it was asked for.
    not_had: bool = False
