"""Reasons for not being well: their kinds, and the words that `/healthz` and `rollbook status` share. Pure.

`realtime/daemon/health.py` judges a daemon, `headline.py` what the store shows of it. docs/runbook.md has an entry for
each kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from rollbook.genesys.program.terminal import count

# Seconds in which nothing listens or is stored, after which nothing works.
DEAD: Final = 300.0
# A window is read some minutes after its end; every four hours where the platform answers with whole days.
DUE_LATE: Final = 6 * 3_600.0
# Dead letters of the last hour: a few are no reason to wake anybody.
LETTERS: Final = 10
# Seconds without an event: a quiet night, a weekend and a holiday are normal.
QUIET: Final = 7 * 86_400.0


class State(StrEnum):
    """The state of the daemon, or of what the store shows of it."""

    WELL = "well"
    DEGRADED = "degraded"
    DEAD = "dead"


class ReasonKind(StrEnum):
    """The kinds of reasons. Each is a heading of docs/runbook.md, and a label of `rollbook_reason`."""

    NOTHING_LISTENS = "nothing-listens"
    LINE_DOWN = "line-down"
    STARTING = "starting"
    NOTHING_TO_LISTEN_TO = "nothing-to-listen-to"
    QUEUE_FAILING = "queue-failing"
    NOTHING_STORED = "nothing-stored"
    STORED_LATE = "stored-late"
    STORE_FAILING = "store-failing"
    QUEUES_UNLISTED = "queues-unlisted"
    RECONCILE_FAILING = "reconcile-failing"
    BACKUP_FAILING = "backup-failing"
    BACKUP_OLD = "backup-old"
    ALERTS_WAIT = "alerts-wait"
    ALERTS_DROPPED = "alerts-dropped"
    CHANNELS_UNCOUNTED = "channels-uncounted"
    LOOK_OLD = "look-old"
    ROUND_OLD = "round-old"
    WINDOWS_DUE = "windows-due"
    CLOCK_WRONG = "clock-wrong"
    CLOCK_JUMPED = "clock-jumped"
    EVENTS_DROPPED = "events-dropped"
    NOT_UNDERSTOOD = "not-understood"
    NO_EVENTS = "no-events"
    LEDGER_UNREADABLE = "ledger-unreadable"
    WINDOWS_FAILED = "windows-failed"
    TOPICS_REFUSED = "topics-refused"
    TOPICS_UNPLACED = "topics-unplaced"


class Reason(NamedTuple):
    """A reason for not being well. is_dead: it is worse than degraded."""

    kind: ReasonKind
    text: str
    is_dead: bool = False


def state_of(reasons: Iterable[Reason]) -> State:
    """The state that the reasons come to."""
    worst = max((1 + reason.is_dead for reason in reasons), default=0)
    return (State.WELL, State.DEGRADED, State.DEAD)[worst]


def long(seconds: float) -> str:
    """A duration in the largest unit of which there are two."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def windows_due(number: int, oldest: float) -> Iterable[Reason]:
    """Windows that nobody reads. oldest: seconds since the end of the oldest of them."""
    if oldest > DUE_LATE:
        those = count(number, "window is due and not", "windows are due and not")
        yield Reason(ReasonKind.WINDOWS_DUE, f"{those} read; the oldest ended {long(oldest)} ago")


def windows_failed(number: int) -> Iterable[Reason]:
    """Windows that could not be read. number: of those of the last 31 days."""
    if number:
        text = f"{count(number, 'window')} of the last 31 days failed: `rollbook windows --verdict failed` says why"
        yield Reason(ReasonKind.WINDOWS_FAILED, text)


def not_understood(number: int) -> Iterable[Reason]:
    """Notifications that are dead letters. number: of those of the last hour."""
    if number >= LETTERS:
        text = f"{number:,} notifications of the last hour could not be understood: `rollbook dead-letters list` shows"
        yield Reason(ReasonKind.NOT_UNDERSTOOD, f"{text} them")


def no_events(seconds: float) -> Iterable[Reason]:
    """No event although something listens."""
    if seconds > QUIET:
        yield Reason(ReasonKind.NO_EVENTS, f"no event has come for {long(seconds)}")
