"""Everything that is due, several readings at a time, and what is still open followed up.

What is due is decided in `plan.py`, how a window is read in `reconcile/run/runner.py`; here is their order, and what
an error means for the rest: one window's trouble is noted and the next one is read, the platform's or the store's
trouble ends the round. Nothing is lost by that: what was not read is still due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconcile.due import plan
from reconcile.due.plan import Due, DuePlan
from reconcile.patience import RunClock
from reconcile.reading import jobs
from reconcile.reading.jobs import PastWatermark
from reconcile.reading.platform_retention import KeptSince, NoLongerKept, Noted, PlatformRetention
from reconcile.reading.query import Stopped
from reconcile.reading.visible_divisions import Eyes
from reconcile.report import DueReport, Report, title
from reconcile.run.book_calls import came_late_enough, committed
from reconcile.run.follow_up import FollowUpCounts, follow
from reconcile.run.options import Command, RoundMemory, RunOptions, RunTask, Via
from reconcile.run.progress import Meter
from reconcile.run.runner import OF_EVERY_WINDOW, run
from reconcile.window import WRONG_CLOCK, check_kept, filter_key, hull
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.request import Count, counting
from rollbook.genesys.errors import ApiError, PermissionRefused, RollbookError, TooSlow, UsageError
from rollbook.genesys.program.settings import Settings, personal_filter
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.file.errors import LockHeld
from rollbook.store.tables import coverage, notes, readiness, windows
from rollbook.store.tables.windows import WindowRow

log = logging.getLogger(__name__)

# Enough that the platform's answers, of half a second and more, do not hold the rate limit back.
AT_ONCE: Final = 6
# What concerns one window only: the others are read all the same.
_OF_ONE: Final = (LockHeld, PastWatermark)
# A permission that is lacking for so many windows in a row is lacking for all.
_REFUSED_TO_ALL: Final = 3
# So are answers that did not come in time: each window pays for that with up to two minutes. What is left stays due,
# and comes first in the next round, as these have a pause before them.
_TOO_SLOW_FOR_ALL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Round(RunOptions):
    """Options of a round over what is due.

    at_once: how many windows are read at a time. rest: open conversations that were read more lately than that are not
    asked for again. many: the most windows to read; the rest is left for the next round.
    """

    command: Command = "due"
    rest: timedelta = timedelta(0)
    many: int | None = None
    at_once: int = 1
    on_report: Callable[[Report], None] = lambda _: None


@dataclass(slots=True)
class _RoundState:
    """A round over what is due, with its results so far."""

    book: Book | None
    api: Api
    settings: Settings
    now: Callable[[], datetime]
    how: Round
    rows: Sequence[WindowRow]
    days: bool = False  # whether the platform answers every query with whole days
    watermark: str | None = None
    groups: deque[list[Due]] = field(default_factory=deque)
    reports: list[Report] = field(default_factory=list)
    errors: list[tuple[Interval, str]] = field(default_factory=list)
    failed: BaseException | None = None  # what ended the round
    followed: FollowUpCounts = field(default_factory=FollowUpCounts)
    alone: set[Interval] = field(default_factory=set)  # could not be read together with their neighbours
    order: dict[datetime, int] = field(default_factory=dict)
    left: int = 0
    given_up: tuple[Interval, ...] = ()  # what nobody can prove any more
    count: Count = field(default_factory=Count)
    refused: int = 0  # windows in a row for which the client lacked a permission
    too_slow: int = 0  # windows in a row whose answers did not come in time
    memory: RoundMemory = field(default_factory=RoundMemory)
    eyes: Eyes = field(init=False)
    retention: PlatformRetention = field(init=False)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.eyes = self.memory.eyes = Eyes(self.api)
        writes = not self.how.dry_run
        self.retention = self.memory.retention = PlatformRetention(self.api, self.book, writes=writes)
        self.meter = Meter(0, time.monotonic, self.api.requests_left)

    @property
    def over(self) -> bool:
        """True once no other window may be begun."""
        return self.failed is not None or (self.how.stop is not None and self.how.stop.is_set())

    def report(self) -> DueReport:
        """The report of the round, in the order in which its windows were planned."""
        reports = sorted(self.reports, key=lambda report: self.order.get(report.window.start, 0))
        return DueReport(
            windows=tuple(reports),
            errors=tuple(self.errors),
            followed=self.followed.as_dict(),
            left=self.left,
            given_up=self.given_up,
            requests=self.how.spent + self.count.requests,
        )

    def arrange(self, due: Sequence[Due]) -> None:
        """Group what to read together: each window alone, or a day's where days are answered or a job brings them."""
        self.groups.clear()
        for group in plan.by_days(due):
            if self.days or self._by_job(hull([due.window for due in group])):
                self.groups.append(group)
            else:
                self.groups.extend([item] for item in group)
        rank = {id(item): place for place, item in enumerate(due)}
        self.groups = deque(sorted(self.groups, key=lambda group: min(rank[id(due)] for due in group)))

    def _by_job(self, interval: Interval) -> bool:
        if self.how.via == "job":
            return True
        return self.how.via == "auto" and jobs.worth_a_job(interval, self.watermark, self.settings.lag)

    def via(self, group: Sequence[Due]) -> Via:
        """The way in which a group is read."""
        windows = [due.window for due in group]
        return "job" if self._by_job(hull(windows)) and self.alone.isdisjoint(windows) else "query"


async def run_due(
    book: Book | None, api: Api, settings: Settings, *, now: Callable[[], datetime], how: Round | None = None
) -> DueReport:
    """Read what the ledger says is due, then follow up what is still open.

    book: None only for a dry run without a store. Raises what ends a round before it has read anything: UsageError (the
    platform refuses the filter), ApiError and its kinds, ConnectionLost, StoreError and its kinds.
    """
    how = how or Round()
    if settings.since is not None:
        check_kept(Interval(settings.since, max(now(), settings.since)), now(), since=True)
    key = filter_key(settings.filter, ended_only=settings.ended_only)
    if book is not None and not how.dry_run:
        taken = await committed(book.write(windows.forget_the_future, to_text(now() + WRONG_CLOCK)))
        if taken:
            log.warning("%s read by a clock that ran ahead: read again", count(taken, "window was", "windows were"))
    rows, covered = await _ledger_view(book, key, now())
    capture_since = await book.read(coverage.since) if book is not None else None
    known = Noted.of(None if book is None else await book.read(notes.read, notes.PLATFORM_KEEPS))
    planned = plan.plan(
        rows,
        now(),
        settings,
        capture_since=capture_since,
        covered=covered,
        lost_before=known.kept(now()).lost_before,
    )
    round_ = _RoundState(book, api, settings, now, how, rows, plan.answers_days(rows))
    with counting() as count_before:
        kept = await _kept_since(round_, planned)
    how = round_.how = replace(how, spent=how.spent + count_before.requests)
    planned, lost, doubtful = plan.of_what_is_kept(planned, rows, kept.since, kept.lost_before)
    if doubtful:
        log.warning("%s: not read, because %s", title(hull(doubtful)), kept.words)
    if book is not None and not how.dry_run and (planned.waiting or planned.superseded):
        waiting = [(*window.texts, verdict) for window, verdict in planned.waiting]
        await committed(book.write(windows.note, waiting, key, planned.superseded))
    if book is not None and not how.dry_run and planned.since is not None:
        await _note_since(book, to_text(planned.since), key)
    if book is not None and not how.dry_run and lost:
        round_.given_up = await _give_up(book, lost, key, kept, now())
    if how.via == "auto" and len(planned.due) > 1:
        with contextlib.suppress(ApiError):
            round_.watermark = await api.data_availability()
    after = settings.settle_after
    due = [
        item
        for item in planned.due
        if item.why != "settle" or book is None or await came_late_enough(book, item.window, now(), after)
    ]
    round_.order = {item.window.start: place for place, item in enumerate(due)}
    round_.arrange(due)
    round_.left = len(due)
    if round_.days:
        round_.groups = deque(plan.put_off(round_.groups, rows, now(), settings.lag))
    if how.many is not None:
        round_.groups = deque(list(round_.groups)[: how.many])
    round_.meter.windows = sum(map(len, round_.groups))
    with counting() as round_.count:
        await _read_all(round_)
        if book is not None and not how.dry_run and not round_.over:
            await _follow(round_)
    return round_.report()


async def _kept_since(state: _RoundState, planned: DuePlan) -> KeptSince:
    """How far back the platform keeps what is planned, by its own clock: it is asked only where that may matter."""
    starts = [item.window.start for item in planned.due]
    if not starts:
        return KeptSince()
    return await state.retention.of(min(starts), state.now())


async def _give_up(
    book: Book, lost: Sequence[Interval], key: str, kept: KeptSince, now: datetime
) -> tuple[Interval, ...]:
    """File what nobody can prove any more, because the platform has deleted what was in it, and say so once."""
    given_up = await committed(book.write(windows.give_up, [window.texts for window in lost], key, to_text(now)))
    if not given_up:
        return ()
    log.warning("%s: %s; %s", title(hull(lost)), windows.GIVEN_UP, kept.words)
    return tuple(lost)


async def _note_since(book: Book, since: str, key: str) -> None:
    """Note from when on every window is to be proven, where that is not noted: the gate has no other way to know."""
    noted = await book.read(readiness.noted_since, key)
    if noted is None or since < noted:
        await committed(book.write(readiness.note_since, since, key))


async def _ledger_view(book: Book | None, key: str, now: datetime) -> tuple[list[WindowRow], list[Interval]]:
    """Read the ledger's rows that matter and the time that it covers: of an old ledger that takes a while."""
    if book is None:
        return [], []
    rows, covered = await book.read(windows.ledger_view, key, to_text(now))
    return rows, [Interval(from_text(start), from_text(end)) for start, end in covered]


async def _read_all(state: _RoundState) -> None:
    """Read the groups, several at a time: what one waits for (an answer, a pause) is another's time."""

    working = max(1, min(state.how.at_once, len(state.groups)))

    async def worker() -> None:
        nonlocal working
        while state.groups and not state.over:
            await _read_group(state.groups.popleft(), state)
            if state.too_slow and working > 1:
                break  # what waits in vain beside it shows whether this is the platform's slowness: begin no other yet
        working -= 1

    workers = [asyncio.create_task(worker()) for _ in range(working)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.wait(workers)
    if state.failed is not None and (not state.reports or isinstance(state.failed, UsageError)):
        raise state.failed


async def _read_group(group: list[Due], state: _RoundState) -> None:
    """Read one group. Its own trouble is noted; trouble that the others would have too ends the round.

    What could not be read together is read window by window, so that only the one whose trouble it is fails.
    """
    group_windows, how = [due.window for due in group], state.how
    interval = hull(group_windows)
    task = RunTask(
        windows=group_windows,
        settings=state.settings,
        now=state.now,
        options=replace(how, progress=lambda at: how.progress(state.meter.of_the_whole(at)), spent=0),
        via=state.via(group),
        memory=state.memory,
    )
    try:
        reports = await run(
            task,
            state.book,
            state.api,
            wanted=lambda: _unread_since(state.book, group_windows, task.key, state.rows),
            settle=group[0].why == "settle",
        )
    except Stopped:
        return
    except NoLongerKept as error:
        # It crossed the limit while it waited or was read: the next round makes of it what it makes of all of these.
        log.info("%s: %s", title(interval), error)
        state.left -= len(group)
    except _OF_ONE as error:
        log.warning("%s: %s", title(interval), error)
        state.errors.append((interval, str(error)))
    except RollbookError as error:
        if not isinstance(error, OF_EVERY_WINDOW) and len(group) > 1:
            state.alone |= {due.window for due in group}
            state.groups.extendleft([due] for due in reversed(group))
            return
        _note_trouble(state, interval, error)
    else:
        state.refused = 0
        state.left -= len(group)
        state.meter.finished(interval, len(group))
        _notice_slowness(state, slow=state.eyes.last is not None and state.eyes.last.too_slow)
        for report in reports:
            state.reports.append(report)
            how.on_report(report)
        if not state.days and any(report.reading == "day" for report in reports):
            # The platform has turned out to answer with whole days: what is left is read by days.
            state.days = True
            state.arrange([due for group in state.groups for due in group])


def _note_trouble(state: _RoundState, interval: Interval, error: RollbookError) -> None:
    """Note what became of a window. The round ends where every other window would meet the same."""
    state.refused = state.refused + 1 if isinstance(error, PermissionRefused) else 0
    everybodys = isinstance(error, OF_EVERY_WINDOW) or (state.refused >= _REFUSED_TO_ALL and not state.reports)
    if everybodys and state.failed is not None:
        return
    log.warning("%s: %s", title(interval), error)
    state.errors.append((interval, str(error)))
    if everybodys:
        state.failed = error
    else:
        state.left -= 1
        state.meter.finished(interval, 1)
        _notice_slowness(state, slow=isinstance(error, TooSlow))


def _notice_slowness(state: _RoundState, *, slow: bool) -> None:
    """Begin no other window where one after the other waited in vain: it is the platform that is slow, for all."""
    state.too_slow = state.too_slow + 1 if slow else 0
    left = [due.window for group in state.groups for due in group]
    if state.too_slow >= _TOO_SLOW_FOR_ALL and left:
        why = f"the platform was too slow for {state.too_slow} windows in a row; the next round reads what is left"
        log.warning("%s: %s", title(hull(left)), why)
        state.errors.append((hull(left), why))
        state.groups.clear()


async def _unread_since(book: Book | None, due: Sequence[Interval], key: str, rows: Sequence[WindowRow]) -> bool:
    """True while no other run has read these windows since the plan was made."""
    if book is None:
        return True
    planned = {(row.start, row.end): row.last_run_at for row in rows}
    for window in due:
        row = await book.read(windows.find, *window.texts, key)
        if row is not None and row.last_run_at != planned.get(window.texts):
            return False
    return True


async def _follow(state: _RoundState) -> None:
    assert state.book is not None
    at = state.now()
    try:
        sight = await state.eyes.look()
        state.followed = await follow(
            state.book,
            state.api,
            state.settings,
            RunClock(state.now, stop=state.how.stop),
            rest=state.how.rest,
            sees=sight.sees,
            patience=state.memory.by_id,
            retention=state.retention,
        )
    except RollbookError as error:
        if not state.reports and not state.errors:
            raise
        state.errors.append((_moment(at), f"cannot follow what is open: {error}"))
    except Exception as error:  # what nobody has foreseen of one conversation ends no round
        log.error("cannot follow what is open", exc_info=error)
        state.errors.append((_moment(at), f"cannot follow what is open: {type(error).__name__}: {error}"))


def _moment(at: datetime) -> Interval:
    return Interval(at - timedelta(milliseconds=1), at)


def narrowed(settings: Settings, *, ended_only: bool, filter: dict[str, object] | None) -> Settings:
    """The settings with what a command line narrows. Raises UsageError for a filter that [privacy] does not allow."""
    if filter is not None and (wrong := personal_filter(filter, settings.privacy)):
        raise UsageError(f"--filter {wrong}")
    return replace(
        settings,
        ended_only=settings.ended_only or ended_only,
        filter=filter if filter is not None else settings.filter,
    )
