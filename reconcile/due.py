"""Everything that is due, one reading after the other, and what is still open followed up.

What is due is decided in `plan.py`, how a window is read in `runner.py`; here is their order, and what an error means
for the rest: one window's trouble is noted and the next one is read, the platform's or the store's trouble ends the
round. Nothing is lost by that: what was not read is still due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from genesys.api import Api
from genesys.errors import RollbookError, UsageError
from genesys.settings import Settings
from genesys.times import Interval, to_text
from reconcile import jobs, plan, window
from reconcile.follow import Followed, done, follow
from reconcile.jobs import PastWatermark
from reconcile.plan import Due, Rules
from reconcile.read import Sleep, Stopped
from reconcile.report import DueReport, Report, title
from reconcile.runner import run
from reconcile.task import Command, Show, Task
from store.book import Book
from store.errors import LockHeld
from store.windows import WindowRow

log = logging.getLogger(__name__)

Via = Literal["query", "job", "auto"]
# What concerns one window only: the others are read all the same.
_OF_ONE: Final = (LockHeld, PastWatermark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How one round over what is due is made.

    wait: seconds to wait for another run over the same time. rest: open conversations that were read more lately than
    that are not asked for again. many: the most windows to read; the rest is left for the next round.
    """

    command: Command = "due"
    via: Via = "query"
    dry_run: bool = False
    wait: float = 60.0
    rest: timedelta = timedelta(0)
    many: int | None = None
    progress: Show = lambda _: None
    told: Callable[[Report], None] = lambda _: None
    sleep: Sleep = asyncio.sleep
    stop: asyncio.Event | None = None


@dataclass(slots=True)
class _State:
    """What a round has come to so far."""

    reports: list[Report] = field(default_factory=list)
    errors: list[tuple[Interval, str]] = field(default_factory=list)
    followed: Followed = field(default_factory=Followed)
    left: int = 0

    def report(self) -> DueReport:
        return DueReport(
            windows=tuple(self.reports), errors=tuple(self.errors), followed=self.followed.as_dict(), left=self.left
        )


def rules_of(settings: Settings) -> Rules:
    """The settings that decide what is due."""
    return Rules(width=settings.width, lag=settings.lag, settle_after=settings.settle_after, since=settings.since)


async def run_due(
    book: Book | None, api: Api, settings: Settings, *, now: Callable[[], datetime], how: Round | None = None
) -> DueReport:
    """Read what the ledger says is due, then follow up what is still open.

    book: None only for a dry run without a store. Raises what ends a round before it has read anything: UsageError (the
    platform refuses the filter), ApiError and its kinds, ConnectionLost, StoreError and its kinds.
    """
    how = how or Round()
    key = window.filter_key(settings.filter, ended_only=settings.ended_only)
    rows = book.windows(filter=key) if book is not None else []
    planned = plan.plan(
        rows, now(), rules_of(settings), capture_since=book.capture_since() if book is not None else None
    )
    if book is not None and not how.dry_run and planned.waiting:
        waiting = [(to_text(one.start), to_text(one.end), verdict) for one, verdict in planned.waiting]
        await done(book.note_windows(waiting, key))
    state = _State()
    groups = _groups(planned.due, rows)
    state.left = sum(map(len, groups))
    for group in groups[: how.many]:
        if not await _one(group, book, api, settings, now, how, rows, state):
            return state.report()
    if book is not None and not how.dry_run:
        await _follow(book, api, settings, now, how, state)
    return state.report()


def _groups(due: Sequence[Due], rows: Sequence[WindowRow]) -> list[list[Due]]:
    """What to read together: a window each, or a day's, where the platform answers every query with whole days."""
    read = [row for row in rows if row.last_run_at is not None and row.reading in ("interval", "day")]
    newest = max(read, key=lambda row: row.last_run_at or "", default=None)
    return plan.by_days(due) if newest is not None and newest.reading == "day" else [[one] for one in due]


async def _one(
    group: list[Due],
    book: Book | None,
    api: Api,
    settings: Settings,
    now: Callable[[], datetime],
    how: Round,
    rows: Sequence[WindowRow],
    state: _State,
) -> bool:
    """Read one group; whether the round goes on."""
    windows = [one.window for one in group]
    hull = plan.hull(windows)
    if how.stop is not None and how.stop.is_set():
        return False
    try:
        via = await jobs.better_way(api, hull) if how.via == "auto" else how.via
        task = Task(
            windows=windows, settings=settings, now=now, command=how.command, via=via, dry_run=how.dry_run,
            filter=settings.filter, ended_only=settings.ended_only, progress=how.progress, sleep=how.sleep,
            stop=how.stop,
        )  # fmt: skip
        reports = await run(task, book, api, wait=how.wait, wanted=lambda: _unread_since(book, windows, task.key, rows))
    except Stopped:
        return False
    except UsageError:
        raise
    except _OF_ONE as error:
        log.warning("%s: %s", title(hull), error)
        state.errors.append((hull, str(error)))
    except RollbookError as error:
        if not state.reports:
            raise
        state.errors.append((hull, str(error)))
        return False
    else:
        state.left -= len(group)
        for report in reports:
            state.reports.append(report)
            how.told(report)
    return True


def _unread_since(book: Book | None, windows: Sequence[Interval], key: str, rows: Sequence[WindowRow]) -> bool:
    """Whether no other run has read these windows since the plan was made."""
    if book is None:
        return True
    planned = {(row.start, row.end): row.last_run_at for row in rows}
    for one in windows:
        start, end = to_text(one.start), to_text(one.end)
        row = book.window(start, end, key)
        if row is not None and row.last_run_at != planned.get((start, end)):
            return False
    return True


async def _follow(
    book: Book, api: Api, settings: Settings, now: Callable[[], datetime], how: Round, state: _State
) -> None:
    try:
        state.followed = await follow(book, api, settings, now=now, stop=how.stop, rest=how.rest)
    except RollbookError as error:
        if not state.reports:
            raise
        at = now()
        state.errors.append((Interval(at - timedelta(milliseconds=1), at), f"cannot follow what is open: {error}"))


def narrowed(settings: Settings, *, ended_only: bool, filter: dict[str, object] | None) -> Settings:
    """The settings with what a command line narrows."""
    return replace(
        settings,
        ended_only=settings.ended_only or ended_only,
        filter=filter if filter is not None else settings.filter,
    )
