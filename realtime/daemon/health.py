"""Health of the daemon: ages and counts of the last hour are added to its figures, and the figures judged. Pure.

The verdicts are well, degraded and dead. `http_port.py` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from realtime.clocks import Jumps, LastHour, Skew
from realtime.figures import DaemonFigures, LedgerFigures, QueueFigures
from realtime.websocket.refused_topics import mend
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text
from rollbook.store.vocabulary import Verdict

# Seconds in which lines do not listen or frames are not stored: more than normal, and so many that nothing works.
_LATE: Final = 30.0
_DEAD: Final = 300.0
# After so many seconds without success, work that is repeated has failed several times in a row: the look for queues
# (every five minutes, ten at most for each), and the round over the ledger (every minute; each window that a long round
# reads counts as success).
_LOOK_LATE: Final = 1_200.0
_ROUND_LATE: Final = 3_600.0
# A window is read some minutes after its end; every four hours where the platform answers with whole days.
_DUE_LATE: Final = 6 * 3_600.0
# A backup is made once a day; the next is tried for hours.
_BACKUP_LATE: Final = 2 * 86_400.0
_SKEW: Final = 30.0
# Dead letters of the last hour: a few are no reason to wake anybody. (A dropped notification always is: it is a hole.)
_LETTERS: Final = 10
# Seconds without an event: a quiet night, a weekend and a holiday are normal.
_QUIET: Final = 7 * 86_400.0
# Seconds after a start in which it is not known yet if events come.
_SETTLING: Final = 600.0


@dataclass(slots=True)
class Vitals:
    """Signs of health. began, round_at: monotonic seconds; round_at: when a round ended well, or read a window.

    last_event: when the newest event of earlier runs came, API text.
    """

    began: float
    round_at: float = field(init=False)
    last_event: str | None = None
    skew: Skew = field(default_factory=Skew)
    _jumps: Jumps = field(default_factory=Jumps)
    _letters: LastHour = field(default_factory=LastHour)
    _drops: LastHour = field(default_factory=LastHour)
    _of_hour: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.round_at = self.began

    def clocks(self, wall: float, tick: float, skew: float | None) -> float | None:
        """Take a reading of the clocks; answers by how much this machine's clock has jumped, if it has."""
        jump = self._jumps.tick(wall, tick)
        if jump is not None:
            self.skew.forget()
        self.skew.take(skew, tick)
        return jump

    def count(self, letters: int, dropped: int, tick: float) -> None:
        """Take a reading of the counters: dead letters and dropped notifications since the start."""
        self._of_hour = self._letters.take(letters, tick), self._drops.take(dropped, tick)

    def added_to(
        self, figures: DaemonFigures, ledger: LedgerFigures, tick: float, now: datetime, *, reconciles: bool
    ) -> DaemonFigures:
        """The figures with these signs. now: by the clock that stamps events; reconciles: whether rounds are made."""
        sqs = figures.sqs
        events = [
            moment for moment in (figures.last_event_at, None if sqs is None else sqs.last_at) if moment is not None
        ]
        if not events and self.last_event is not None:
            events = [from_text(self.last_event)]
        return replace(
            figures,
            rounds_ago=tick - self.round_at if reconciles else None,
            oldest_due=None if ledger.oldest_due is None else _age(from_text(ledger.oldest_due), now),
            clock_skew=figures.clock_skew if self.skew.steady is None else self.skew.steady,
            clock_jump=self._jumps.of_last_hour(tick),
            letters_of_hour=self._of_hour[0],
            dropped_of_hour=self._of_hour[1],
            up_for=tick - self.began,
            quiet_for=_age(max(events), now) if events else None,
        )


def _age(moment: datetime, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0)


def judge(figures: DaemonFigures) -> tuple[str, list[str]]:
    """("well" | "degraded" | "dead", why)."""
    dead: list[str] = []
    degraded: list[str] = []
    down = [line for line in figures.lines if line.phase != "listening"]
    if figures.lines and len(down) == len(figures.lines) and figures.silent_for > _DEAD:
        dead.append(f"no line has listened for {figures.silent_for:.0f} s")
    elif down:
        longest = max(down, key=lambda line: line.down_for)
        why = f" ({longest.loss_reason})" if longest.loss_reason else ""
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
    if figures.backup_failing:
        degraded.append(f"no backup was made, will try again: {figures.backup_failing}")
    if figures.alerts_failing:
        degraded.append(
            f"{count(figures.alerts_waiting or 0, 'alert waits', 'alerts wait')} for the hook, will keep trying:"
            f" {figures.alerts_failing}"
        )
    if figures.alerts_dropped:
        degraded.append(f"{count(figures.alerts_dropped, 'alert')} found no room while the hook took none")
    _judge_ages(figures, degraded)
    if figures.ledger_failing:
        degraded.append(f"the ledger cannot be read: {figures.ledger_failing}")
    if failed := figures.windows_by_verdict.get(Verdict.FAILED, 0):
        degraded.append(
            f"{count(failed, 'window')} of the last 31 days failed: `rollbook windows --verdict failed` says why"
        )
    if figures.refused_topics:
        advice = mend(figures.missing_permissions)
        none = ", and none is heard" if not any(line.heard_topics for line in figures.lines) else ""
        degraded.append(f"{count(figures.refused_topics, 'topic is', 'topics are')} refused{none}{advice}")
    if figures.unplaced_topics:
        degraded.append(f"{count(figures.unplaced_topics, 'topic finds', 'topics find')} no room")
    return ("dead" if dead else "degraded" if degraded else "well"), dead + degraded


def _judge_ages(figures: DaemonFigures, degraded: list[str]) -> None:
    """Judge work that goes on and gets nowhere, this machine's clock, and the counts of the last hour."""
    if figures.counting_failing:
        degraded.append(f"the client's channels cannot be counted: {figures.counting_failing}")
    if figures.looked_ago is not None and figures.looked_ago > _LOOK_LATE:
        degraded.append(f"the last good look for queues was {_long(figures.looked_ago)} ago")
    if figures.rounds_ago is not None and figures.rounds_ago > _ROUND_LATE:
        degraded.append(f"no window has been read and no round has ended well for {_long(figures.rounds_ago)}")
    if figures.backup_ago is not None and figures.backup_ago > _BACKUP_LATE:
        degraded.append(f"the last good backup is {_long(figures.backup_ago)} old")
    if figures.oldest_due is not None and figures.oldest_due > _DUE_LATE:
        degraded.append(
            f"{count(figures.due_windows, 'window is due and not', 'windows are due and not')} read; the oldest ended"
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


def hearing(figures: DaemonFigures) -> str:
    """Topics that are heard now, in a few words."""
    topics, lines = sum(line.heard_topics for line in figures.lines), len(figures.lines)
    refused = f", {figures.refused_topics} refused" if figures.refused_topics else ""
    return f"{count(topics, 'topic')} on {count(lines, 'line')}{refused}"


def _judge_queue(queue: QueueFigures, dead: list[str], degraded: list[str]) -> None:
    if queue.failing:
        (dead if queue.silent_for > _DEAD else degraded).append(f"nothing is received: {queue.failing}")
    if queue.store_failing:
        degraded.append(f"the store takes nothing of the queue, will keep trying: {queue.store_failing}")
    if queue.oldest > _DEAD:
        dead.append(f"nothing of the queue has been stored for {queue.oldest:.0f} s")
    elif queue.oldest > _LATE:
        degraded.append(f"what is received is stored {queue.oldest:.0f} s late")
