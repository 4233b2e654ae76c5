"""How the daemon is, in numbers, and what they mean: well, degraded or dead. Pure; it does not know who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from realtime.aws.sqs_consumer import QueueFigures
from rollbook.genesys.program.terminal import count
from rollbook.store.vocabulary import Verdict

# Not heard yet, not stored yet: seconds that are normal, and seconds beyond which nothing works.
_LATE: Final = 30.0
_DEAD: Final = 300.0
# What is made every few minutes and has not been made well for so long has failed several times in a row: the look for
# queues (every five minutes, ten at most for each), and the round over the ledger (every minute; a long one gets on by
# every window that it reads).
_LOOK_LATE: Final = 1_200.0
_ROUND_LATE: Final = 3_600.0
# A window is read some minutes after its end; every four hours where the platform answers with whole days.
_DUE_LATE: Final = 6 * 3_600.0
_SKEW: Final = 30.0
# Of the last hour. One that nobody understands is no reason to wake anybody; one that was dropped is a hole.
_LETTERS: Final = 10
# A quiet night, a weekend and a feast are normal.
_QUIET: Final = 7 * 86_400.0
# Before that long after a start it is not known whether nothing comes.
_SETTLING: Final = 600.0


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
    counting_failing: str | None = None  # why the client's channels cannot be counted
    looked_ago: float | None = None  # seconds since the last good look for queues; None where none is looked for
    rounds_ago: float | None = None  # seconds since the last good round over the ledger; None where none are made
    oldest_due: float | None = None  # seconds since the end of the oldest window that is due; None where none is
    due: int = 0
    clock_jump: float | None = None  # by how many seconds this machine's clock jumped within the last hour
    letters_of_hour: int = 0
    dropped_of_hour: int = 0
    up_for: float = 0.0
    quiet_for: float | None = None  # seconds since the last event, of this run or of earlier ones; None: there is none
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
    _judge_ages(figures, degraded)
    if figures.ledger_failing:
        degraded.append(f"the ledger cannot be read: {figures.ledger_failing}")
    if failed := figures.windows.get(Verdict.FAILED, 0):
        degraded.append(
            f"{count(failed, 'window')} of the last 31 days failed: `rollbook windows --verdict failed` says why"
        )
    if figures.refused:
        none = ", and none is heard" if not any(line.heard for line in figures.lines) else ""
        degraded.append(f"{count(figures.refused, 'topic is', 'topics are')} refused{none}{mend(figures.missing)}")
    if figures.unplaced:
        degraded.append(f"{count(figures.unplaced, 'topic finds', 'topics find')} no room")
    return ("dead" if dead else "degraded" if degraded else "well"), dead + degraded


def _judge_ages(figures: Figures, degraded: list[str]) -> None:
    """What goes on and gets nowhere; what this machine's clock and the last hour say."""
    if figures.counting_failing:
        degraded.append(f"the client's channels cannot be counted: {figures.counting_failing}")
    if figures.looked_ago is not None and figures.looked_ago > _LOOK_LATE:
        degraded.append(f"the last good look for queues was {_long(figures.looked_ago)} ago")
    if figures.rounds_ago is not None and figures.rounds_ago > _ROUND_LATE:
        degraded.append(f"no window has been read and no round has ended well for {_long(figures.rounds_ago)}")
    if figures.oldest_due is not None and figures.oldest_due > _DUE_LATE:
        degraded.append(
            f"{count(figures.due, 'window is due and not', 'windows are due and not')} read; the oldest ended"
            f" {_long(figures.oldest_due)} ago"
        )
    if figures.clock_skew is not None and abs(figures.clock_skew) > _SKEW:
        side = "ahead of" if figures.clock_skew > 0 else "behind"
        degraded.append(
            f"this machine's clock is {_long(abs(figures.clock_skew))} {side} the platform's: set it right (NTP)"
        )
    if figures.clock_jump is not None:
        way = "forward" if figures.clock_jump > 0 else "back"
        degraded.append(
            f"this machine's clock jumped {way} by {_long(abs(figures.clock_jump))} within the last hour, or slept"
        )
    if figures.dropped_of_hour:
        dropped = count(figures.dropped_of_hour, "notification was", "notifications were")
        degraded.append(f"{dropped} dropped within the last hour: the store takes them too slowly")
    if figures.letters_of_hour >= _LETTERS:
        degraded.append(
            f"{figures.letters_of_hour:,} notifications of the last hour could not be understood:"
            " `rollbook dead-letters list` shows them"
        )
    if figures.up_for > _SETTLING and (figures.lines or figures.sqs is not None):
        quiet = figures.up_for if figures.quiet_for is None else figures.quiet_for
        if quiet > _QUIET:
            degraded.append(f"no event has come for {_long(quiet)}")


def _long(seconds: float) -> str:
    """A duration in the largest unit of which there are two."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


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
