"""Health of the daemon: ages and counts of the last hour are added to its figures, and the figures judged. Pure.

The verdicts are well, degraded and dead. `http_port.py` shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from realtime.clocks import Jumps, LastHour, Skew
from realtime.figures import DaemonFigures, LedgerFigures, QueueFigures
from realtime.websocket.refused_topics import mend
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text
from rollbook.store import reasons as words
from rollbook.store.reasons import DEAD, Reason, ReasonKind, State, long, state_of
from rollbook.store.vocabulary import Verdict

# Seconds in which lines do not listen or frames are not stored that are more than normal.
_LATE: Final = 30.0
# After so many seconds without success, work that is repeated has failed several times in a row: the look for queues
# (every five minutes, ten at most for each), and the round over the ledger (every minute; each window that a long round
# reads counts as success).
_LOOK_LATE: Final = 1_200.0
_ROUND_LATE: Final = 3_600.0
# A backup is made once a day; the next is tried for hours.
_BACKUP_LATE: Final = 2 * 86_400.0
_SKEW: Final = 30.0
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


def judge(figures: DaemonFigures) -> tuple[State, list[str]]:
    """(state, why): the worst first."""
    found = reasons(figures)
    return state_of(found), [reason.text for reason in found]


def reasons(figures: DaemonFigures) -> list[Reason]:
    """The reasons for which a daemon is not well: the worst first."""
    return sorted(_reasons(figures), key=lambda reason: not reason.is_dead)


def _reasons(figures: DaemonFigures) -> Iterator[Reason]:
    down = [line for line in figures.lines if line.phase != "listening"]
    if figures.lines and len(down) == len(figures.lines) and figures.silent_for > DEAD:
        text = f"no line has listened for {figures.silent_for:.0f} s"
        yield Reason(ReasonKind.NOTHING_LISTENS, text, is_dead=True)
    elif down:
        longest = max(down, key=lambda line: line.down_for)
        because = f" ({longest.loss_reason})" if longest.loss_reason else ""
        yield Reason(
            ReasonKind.LINE_DOWN,
            f"{len(down)} of {len(figures.lines)} lines do not listen, line {longest.number + 1} for"
            f" {longest.down_for:.0f} s{because}",
        )
    if (starting := figures.starting_for) is not None:
        yield Reason(ReasonKind.STARTING, f"starting for {starting:.0f} s", is_dead=starting > DEAD)
    elif not figures.lines and figures.sqs is None:
        yield Reason(ReasonKind.NOTHING_TO_LISTEN_TO, "there is nothing to listen to")
    if figures.sqs is not None:
        yield from _of_queue(figures.sqs)
    if figures.waiting_for > DEAD:
        text = f"nothing has been stored for {figures.waiting_for:.0f} s"
        yield Reason(ReasonKind.NOTHING_STORED, text, is_dead=True)
    elif figures.waiting_for > _LATE:
        yield Reason(ReasonKind.STORED_LATE, f"what is heard is stored {figures.waiting_for:.0f} s late")
    if figures.store_failing:
        text = f"the store takes nothing, will keep trying: {figures.store_failing}"
        yield Reason(ReasonKind.STORE_FAILING, text)
    if figures.discovery_failing:
        yield Reason(ReasonKind.QUEUES_UNLISTED, f"queues cannot be listed: {figures.discovery_failing}")
    if figures.reconcile_failing:
        text = f"cannot reconcile, will try again: {figures.reconcile_failing}"
        yield Reason(ReasonKind.RECONCILE_FAILING, text)
    if figures.backup_failing:
        text = f"no backup was made, will try again: {figures.backup_failing}"
        yield Reason(ReasonKind.BACKUP_FAILING, text)
    if figures.alerts_failing:
        waiting = count(figures.alerts_waiting or 0, "alert waits", "alerts wait")
        text = f"{waiting} for the hook, will keep trying: {figures.alerts_failing}"
        yield Reason(ReasonKind.ALERTS_WAIT, text)
    if figures.alerts_dropped:
        text = f"{count(figures.alerts_dropped, 'alert')} found no room while the hook took none"
        yield Reason(ReasonKind.ALERTS_DROPPED, text)
    yield from _of_ages(figures)
    if figures.ledger_failing:
        yield Reason(ReasonKind.LEDGER_UNREADABLE, f"the ledger cannot be read: {figures.ledger_failing}")
    yield from words.windows_failed(figures.windows_by_verdict.get(Verdict.FAILED, 0))
    if figures.refused_topics:
        advice = mend(figures.missing_permissions)
        none = ", and none is heard" if not any(line.heard_topics for line in figures.lines) else ""
        text = f"{count(figures.refused_topics, 'topic is', 'topics are')} refused{none}{advice}"
        yield Reason(ReasonKind.TOPICS_REFUSED, text)
    if figures.unplaced_topics:
        text = f"{count(figures.unplaced_topics, 'topic finds', 'topics find')} no room"
        yield Reason(ReasonKind.TOPICS_UNPLACED, text)


def _of_ages(figures: DaemonFigures) -> Iterator[Reason]:
    """Reasons of work that goes on and gets nowhere, of this machine's clock, and of the counts of the last hour."""
    if figures.counting_failing:
        text = f"the client's channels cannot be counted: {figures.counting_failing}"
        yield Reason(ReasonKind.CHANNELS_UNCOUNTED, text)
    if figures.looked_ago is not None and figures.looked_ago > _LOOK_LATE:
        yield Reason(ReasonKind.LOOK_OLD, f"the last good look for queues was {long(figures.looked_ago)} ago")
    if figures.rounds_ago is not None and figures.rounds_ago > _ROUND_LATE:
        text = f"no window has been read and no round has ended well for {long(figures.rounds_ago)}"
        yield Reason(ReasonKind.ROUND_OLD, text)
    if figures.backup_ago is not None and figures.backup_ago > _BACKUP_LATE:
        yield Reason(ReasonKind.BACKUP_OLD, f"the last good backup is {long(figures.backup_ago)} old")
    if figures.oldest_due is not None:
        yield from words.windows_due(figures.due_windows, figures.oldest_due)
    if figures.clock_skew is not None and abs(figures.clock_skew) > _SKEW:
        side = "ahead of" if figures.clock_skew > 0 else "behind"
        text = f"this machine's clock is {long(abs(figures.clock_skew))} {side} the platform's: set it right (NTP)"
        yield Reason(ReasonKind.CLOCK_WRONG, text)
    if figures.clock_jump is not None:
        way = "forward" if figures.clock_jump > 0 else "back"
        text = f"this machine's clock jumped {way} by {long(abs(figures.clock_jump))} within the last hour, or slept"
        yield Reason(ReasonKind.CLOCK_JUMPED, text)
    # A few dead letters are no reason; a dropped notification always is: it is a hole.
    if figures.dropped_of_hour:
        dropped = count(figures.dropped_of_hour, "notification was", "notifications were")
        text = f"{dropped} dropped within the last hour: the store takes them too slowly"
        yield Reason(ReasonKind.EVENTS_DROPPED, text)
    yield from words.not_understood(figures.letters_of_hour)
    if figures.up_for > _SETTLING and (figures.lines or figures.sqs is not None):
        yield from words.no_events(figures.up_for if figures.quiet_for is None else figures.quiet_for)


def hearing(figures: DaemonFigures) -> str:
    """Topics that are heard now, in a few words."""
    topics, lines = sum(line.heard_topics for line in figures.lines), len(figures.lines)
    refused = f", {figures.refused_topics} refused" if figures.refused_topics else ""
    return f"{count(topics, 'topic')} on {count(lines, 'line')}{refused}"


def _of_queue(queue: QueueFigures) -> Iterator[Reason]:
    if queue.failing:
        text = f"nothing is received: {queue.failing}"
        yield Reason(ReasonKind.QUEUE_FAILING, text, is_dead=queue.silent_for > DEAD)
    if queue.store_failing:
        text = f"the store takes nothing of the queue, will keep trying: {queue.store_failing}"
        yield Reason(ReasonKind.STORE_FAILING, text)
    if queue.oldest > DEAD:
        text = f"nothing of the queue has been stored for {queue.oldest:.0f} s"
        yield Reason(ReasonKind.NOTHING_STORED, text, is_dead=True)
    elif queue.oldest > _LATE:
        yield Reason(ReasonKind.STORED_LATE, f"what is received is stored {queue.oldest:.0f} s late")
