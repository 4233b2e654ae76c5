"""How the daemon is, in numbers, and what they mean: well, degraded or dead. Pure; it does not know who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from genesys.columns import count
from realtime.queue import QueueFigures

# Not heard yet, not stored yet: seconds that are normal, and seconds beyond which nothing works.
_LATE: Final = 30.0
_DEAD: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one line does."""

    number: int
    phase: str
    topics: int
    details: int
    connects: int
    losses: int
    heard: int = 0  # topics that a socket hears now, and that coverage claims
    unheard_for: float = 0.0  # seconds without a socket, of all its life
    down_for: float = 0.0  # seconds since one heard it last, 0 while one does
    lost: str = ""  # why it went


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How the daemon is, in numbers. Seconds are of the daemon's clock, counts since its start."""

    lines: tuple[Line, ...] = ()
    sqs: QueueFigures | None = None
    starting_for: float | None = None  # None once all that there is listens, or was given up on
    silent_for: float = 0.0  # since the last moment in which a line listened
    queue: int = 0
    queue_bytes: int = 0
    waiting_for: float = 0.0  # the oldest notification that is not stored
    heard: int = 0
    dropped: int = 0
    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    by_template: Mapping[str, int] = field(default_factory=dict)
    store_failing: str | None = None
    discovery_failing: str | None = None
    reconcile_failing: str | None = None
    ledger_failing: str | None = None  # why the windows cannot be counted
    refused: int = 0
    missing: tuple[str, ...] = ()  # the permissions that they lack
    unplaced: int = 0
    channels_free: int = 0
    channels_of_others: int = 0
    windows: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    budget_left: float | None = None
    latency: tuple[Mapping[str, int], float] | None = None  # answers within so many seconds, cumulative; their sum
    clock_skew: float | None = None
    last_event_at: datetime | None = None


def judge(figures: Figures) -> tuple[str, list[str]]:
    """("well" | "degraded" | "dead", why)."""
    dead: list[str] = []
    degraded: list[str] = []
    down = [line for line in figures.lines if line.phase != "listening"]
    if figures.lines and len(down) == len(figures.lines) and figures.silent_for > _DEAD:
        dead.append(f"no line has listened for {figures.silent_for:.0f} s")
    elif down:
        longest = max(down, key=lambda line: line.down_for)
        why = f" ({longest.lost})" if longest.lost else ""
        degraded.append(
            f"{len(down)} of {len(figures.lines)} lines do not listen, line {longest.number + 1} for"
            f" {longest.down_for:.0f} s{why}"
        )
    if figures.starting_for is not None:
        (dead if figures.starting_for > _DEAD else degraded).append(f"starting for {figures.starting_for:.0f} s")
    elif not figures.lines and figures.sqs is None:
        degraded.append("there is nothing to listen to")
    if figures.sqs is not None:
        _judge_queue(figures.sqs, dead, degraded)
    if figures.waiting_for > _DEAD:
        dead.append(f"nothing has been stored for {figures.waiting_for:.0f} s")
    elif figures.waiting_for > _LATE:
        degraded.append(f"what is heard is stored {figures.waiting_for:.0f} s late")
    if figures.store_failing:
        degraded.append(f"the store takes nothing, will keep trying: {figures.store_failing}")
    if figures.discovery_failing:
        degraded.append(f"queues cannot be listed: {figures.discovery_failing}")
    if figures.reconcile_failing:
        degraded.append(f"cannot reconcile, will try again: {figures.reconcile_failing}")
    if figures.ledger_failing:
        degraded.append(f"the ledger cannot be read: {figures.ledger_failing}")
    if failed := figures.windows.get("failed", 0):
        degraded.append(
            f"{count(failed, 'window')} of the last 31 days failed: `rollbook windows --verdict failed` says why"
        )
    if figures.refused:
        none = ", and none is heard" if not any(line.heard for line in figures.lines) else ""
        degraded.append(f"{count(figures.refused, 'topic is', 'topics are')} refused{none}{mend(figures.missing)}")
    if figures.unplaced:
        degraded.append(f"{count(figures.unplaced, 'topic finds', 'topics find')} no room")
    return ("dead" if dead else "degraded" if degraded else "well"), dead + degraded


def hearing(figures: Figures) -> str:
    """What is heard now, in a few words."""
    heard, lines = sum(line.heard for line in figures.lines), len(figures.lines)
    refused = f", {figures.refused} refused" if figures.refused else ""
    return f"{count(heard, 'topic')} on {count(lines, 'line')}{refused}"


def remedy(missing: Sequence[str]) -> str:
    """What to do about a refusal; nothing where the platform names no permission."""
    return f"give the OAuth client's role {', '.join(missing)}" if missing else ""


def mend(missing: Sequence[str]) -> str:
    """The same, to put behind the refusal."""
    return f": {remedy(missing)}" if missing else ""


def _judge_queue(queue: QueueFigures, dead: list[str], degraded: list[str]) -> None:
    if queue.failing:
        (dead if queue.silent_for > _DEAD else degraded).append(f"nothing is received: {queue.failing}")
    if queue.store_failing:
        degraded.append(f"the store takes nothing of the queue, will keep trying: {queue.store_failing}")
    if queue.oldest > _DEAD:
        dead.append(f"nothing of the queue has been stored for {queue.oldest:.0f} s")
    elif queue.oldest > _LATE:
        degraded.append(f"what is received is stored {queue.oldest:.0f} s late")
