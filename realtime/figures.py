"""Figures of the daemon, its lines, its queue and its ledger: values that every room may build and read.

`daemon/health.py` judges them, `daemon/metrics.py` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollbook.store.upkeep.growth import Growth
from rollbook.store.views.call_mos import CallMos, DayShares


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """Figures of the SQS consumer. Counts since the start; oldest: seconds since the oldest message in hand came."""

    name: str = ""
    is_listening: bool = False
    silent_for: float = 0.0
    received: int = 0
    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    deleted: int = 0
    in_hand: int = 0
    oldest: float = 0.0
    failing: str | None = None
    store_failing: str | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """Figures of the ledger. oldest_due: when the oldest window that is due ended, API text."""

    verdicts: Mapping[str, int] = field(default_factory=dict)
    due: int = 0
    oldest_due: str | None = None
    calls: tuple[CallMos, ...] = ()
    shares: DayShares = field(default_factory=DayShares)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFigures:
    """Figures of a line."""

    number: int
    phase: str
    topics: int
    details: int
    connects: int
    losses: int
    heard_topics: int = 0  # topics that a socket hears now, and that coverage claims
    unheard_for: float = 0.0  # seconds without a socket, of all its life
    down_for: float = 0.0  # seconds since a socket heard it last, 0 while a socket does
    loss_reason: str = ""  # why the last socket was lost


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFigures:
    """Figures of the daemon. Seconds are of the daemon's clock, counts since its start."""

    lines: tuple[LineFigures, ...] = ()
    sqs: QueueFigures | None = None
    starting_for: float | None = None  # None once all that there is listens, or was given up on
    silent_for: float = 0.0  # since the last moment in which a line listened
    waiting_frames: int = 0
    waiting_bytes: int = 0
    waiting_for: float = 0.0  # the oldest notification that is not stored
    received: int = 0
    dropped: int = 0
    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    by_template: Mapping[str, int] = field(default_factory=dict)
    store_failing: str | None = None
    discovery_failing: str | None = None
    counting_failing: str | None = None  # why the client's channels cannot be counted
    looked_ago: float | None = None  # seconds since the last good look for queues; None where none is looked for
    rounds_ago: float | None = None  # seconds since the last good round over the ledger; None where none are made
    oldest_due: float | None = None  # seconds since the end of the oldest window that is due; None where none is
    due_windows: int = 0
    clock_jump: float | None = None  # by how many seconds this machine's clock jumped within the last hour
    letters_of_hour: int = 0
    dropped_of_hour: int = 0
    up_for: float = 0.0
    quiet_for: float | None = None  # seconds since the last event, of this run or of earlier ones; None: there is none
    reconcile_failing: str | None = None
    growth: Growth | None = None
    backup_failing: str | None = None
    backup_ago: float | None = None  # seconds since the last good daily backup; None: there is none, or none is wanted
    alerts_waiting: int | None = None  # None where no hook is set
    alerts_dropped: int = 0
    alerts_failing: str | None = None  # why none is taken
    ledger_failing: str | None = None  # why the windows cannot be counted
    refused_topics: int = 0
    missing_permissions: tuple[str, ...] = ()  # those that the refused topics lack
    unplaced_topics: int = 0
    channels_free: int = 0
    channels_of_others: int = 0
    windows_by_verdict: Mapping[str, int] = field(default_factory=dict)
    calls: tuple[CallMos, ...] = ()  # every call that was counted, by its labels
    shares: DayShares = field(default_factory=DayShares)
    unnamed_ids: Mapping[str, int] = field(default_factory=dict)  # by kind; those that had none at the last look
    requests: int = 0
    budget_left: float | None = None
    latency: tuple[Mapping[str, int], float] | None = None  # answers within so many seconds, cumulative; their sum
    clock_skew: float | None = None
    last_event_at: datetime | None = None
