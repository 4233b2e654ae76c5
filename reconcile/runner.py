"""A run over a window: lock, read, compare and write, ask for what is missing from the answer, judge, file.

It puts the pure parts and the two shells (the API, the book) together. How a reading is proven, what a figure means
and what is due are decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

import msgspec

from genesys.api import Api
from genesys.columns import count
from genesys.detail import DetailRow, DetailsPage
from genesys.errors import ApiError, StoreError, UsageError
from genesys.rest import Count, counting
from genesys.settings import Settings
from genesys.times import Interval, from_text, to_text
from reconcile import follow, jobs, journal, window
from reconcile.causes import Listening
from reconcile.proof import Reader, id_digest
from reconcile.read import Query, Sleep, read
from reconcile.report import Report
from reconcile.scan import end_of, moment, start_of, started_in
from reconcile.task import Command, Found, Progress, Show, Task
from reconcile.writing import Writing
from store.book import Book
from store.errors import LockHeld
from store.windows import RunRecord

log = logging.getLogger(__name__)

# The longest interval that the platform takes, without a filter and with one (reference, "Limits").
LONGEST: Final = timedelta(days=7)
LONGEST_FILTERED: Final = timedelta(days=31)
_LOCK_PAUSE: Final = 0.1

_encode: Final = msgspec.json.Encoder(order="sorted").encode


async def reconcile_window(
    book: Book | None,
    api: Api,
    interval: Interval,
    *,
    settings: Settings,
    now: Callable[[], datetime],
    dry_run: bool = False,
    via: Literal["query", "job", "auto"] = "query",
    ended_only: bool | None = None,
    filter: Mapping[str, Any] | None = None,
    command: Command = "manual",
    progress: Show = lambda _: None,
    sleep: Sleep = asyncio.sleep,
    wait: float = 60.0,
    stop: asyncio.Event | None = None,
) -> Report:
    """Read one interval until it is consistent, fill the book, and say what was found.

    book: None only for a dry run without a store. ended_only, filter: None takes the settings'. wait: seconds to wait
    for another run over the same time. Raises LockHeld, UsageError (the platform refuses the filter), PastWatermark,
    ApiError and its kinds, StoreError and its kinds, Stopped.
    """
    if via == "auto":
        via = await jobs.better_way(api, interval, settings.lag)
    task = Task(
        windows=[interval], settings=settings, now=now, command=command, via=via, dry_run=dry_run, progress=progress,
        sleep=sleep, stop=stop,
        filter=settings.filter if filter is None else filter,
        ended_only=settings.ended_only if ended_only is None else ended_only,
    )  # fmt: skip
    return (await run(task, book, api, wait=wait))[0]


async def run(
    task: Task, book: Book | None, api: Api, *, wait: float, wanted: Callable[[], bool] = lambda: True
) -> list[Report]:
    """Do a task under its lock: a report for each of its windows, in their order. Raises as `reconcile_window` does.

    wanted: asked once the lock is held; if somebody else has done the work meanwhile, there is no report.
    """
    if book is None or task.dry_run:
        return await Run(task, book, api).reports()
    async with locked(book, task.interval, wait=wait, sleep=task.sleep):
        if not wanted():
            return []
        reports = await Run(task, book, api).reports()
        if all(report.verdict != "failed" for report in reports):
            await _inherit(book, task)
    return reports


@asynccontextmanager
async def locked(book: Book, interval: Interval, *, wait: float, sleep: Sleep) -> AsyncIterator[None]:
    """Exclude other runs over the same time. Waits without blocking anything; raises LockHeld, naming the holder."""
    until = time.monotonic() + wait
    while True:
        lock = book.lock_window(interval, wait=0)
        try:
            lock.__enter__()
        except LockHeld as error:
            if time.monotonic() >= until:
                raise LockHeld(f"{error}{f' (waited {wait:.0f} s)' if wait >= 1 else ''}") from None
            await sleep(_LOCK_PAUSE)
        else:
            break
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


async def _inherit(book: Book, task: Task) -> None:
    """Whole windows of the grid inside an interval given by hand take over its proof."""
    inside = window.windows_inside(task.interval, task.settings.width)
    children = [(to_text(one.start), to_text(one.end)) for one in inside if one != task.interval]
    if children:
        start, end = to_text(task.interval.start), to_text(task.interval.end)
        await follow.done(book.inherit(start, end, task.key, children, at=to_text(task.now())))


_visible: WeakKeyDictionary[Api, str | None] = WeakKeyDictionary()


async def visible_divisions(api: Api) -> str | None:
    """The divisions that the client sees, as JSON; None where it may not ask. They belong to every proof."""
    if api not in _visible:
        try:
            _visible[api] = _encode(sorted(one.id for one in await api.divisions())).decode()
        except ApiError:
            _visible[api] = None
    return _visible[api]


class Run:
    """One run over neighbouring windows (mostly one): one reading, a report for each."""

    def __init__(self, task: Task, book: Book | None, api: Api) -> None:
        self._task = task
        self._book = book
        self._api = api
        self._kept = self._kept_entries()
        began = next((one.began for one in self._kept if one.began), None) or to_text(task.now())
        now = task.now()
        heard = Listening(()) if book is None else follow.listening(book, task.interval, now)
        self._heard = bool(heard.spans)
        self._count = Count()
        self._spent = 0  # requests before the run was cut short
        self._writing = Writing(
            task, book, began=began, cause=follow.explained(heard, now),
            spent=lambda: self._spent + self._count.requests,
        )  # fmt: skip
        self._told: list[journal.Entry] = []
        self._ended: set[str] = set()  # asked for by id after the reading, and ended by then
        self._live_only: list[int] = [0] * len(task.windows)
        self._query = Query(window.query_filters(task.filter, ended_only=task.ended_only))

    async def reports(self) -> list[Report]:
        """Do it."""
        started = time.monotonic()
        with counting() as self._count:
            divisions = None if self._task.dry_run else await visible_divisions(self._api)
            try:
                found = await (self._by_job() if self._task.via == "job" else self._by_query())
            except Exception:
                with contextlib.suppress(StoreError):
                    await self._writing.drain()  # the next run goes on from here
                raise
            await self._writing.drain()
            if found.consistent and not found.rows:
                await self._mistrust_nothing()
            if found.consistent and not self._query.members:
                await self._look_for_unlisted()
            await self._writing.drain()
        requests = self._spent + self._count.requests
        reports = []
        for position, one in enumerate(self._task.windows):
            report = await self._judge(found, position, one, requests, time.monotonic() - started)
            if not self._task.dry_run:
                await self._file(report, found, divisions)
            reports.append(report)
        await self._forget_progress()
        return reports

    async def _mistrust_nothing(self) -> None:
        """Raise UsageError for an answer without rows from a time that the platform may have forgotten."""
        try:
            window.check_kept(self._task.interval, self._task.now())
        except UsageError:
            await self._forget_progress()
            raise

    # Going on where a run was cut short

    def _kept_entries(self) -> list[journal.Entry]:
        """What is known of a run that was cut short, oldest first."""
        if self._book is None or self._task.dry_run:
            return []
        since = to_text(self._task.now() - journal.KEPT)
        return journal.decode(self._book.progress(self._task.journal_key, since=since))

    def _resumed(self) -> Reader:
        """A reader, which stands where the one of a run that was cut short stood."""
        reader = self._reader()
        if self._kept and journal.replay(reader, self._kept):
            self._go_on()
        elif self._kept:
            reader = self._reader()
        return reader

    def _go_on(self) -> None:
        pages = count(sum(entry.kind in ("page", "results") for entry in self._kept), "page")
        log.info("%s: going on where a run was cut short, after %s", self._task.interval.text, pages)
        self._writing.resume(self._kept)
        self._spent = self._kept[-1].spent

    def _reader(self) -> Reader:
        return Reader(self._task.interval, longest=LONGEST_FILTERED if self._query.members else LONGEST)

    async def _forget_progress(self) -> None:
        if self._book is not None and not self._task.dry_run:
            older = to_text(self._task.now() - journal.KEPT)
            await follow.done(self._book.drop_progress(self._task.journal_key, older_than=older))

    # Reading

    async def _by_query(self) -> Found:
        task, reader = self._task, self._resumed()

        async def take(page: DetailsPage, as_of: str) -> None:
            task.progress(Progress(task.interval, len(reader.passes), reader.rows_read, page.total_hits))
            *before, entry = self._told
            self._told.clear()
            for one in before:
                await self._writing.take((), as_of, one)
            await self._writing.take(page.rows, as_of, entry)

        doubted: frozenset[str] = frozenset(one for entry in self._kept for one in entry.doubted)
        while True:
            finished = await read(
                self._api, reader, self._query, now=task.now, sleep=task.sleep, take=take, stop=task.stop,
                told=self._told.append,
            )  # fmt: skip
            rows = reader.found()
            if not finished.consistent or self._query.members:
                break
            lost = {one: start for one, start in (await self._lost(rows)).items() if one not in doubted}
            if not lost:
                if len(reader.passes) > 1:
                    await self._ask_the_ongoing(rows)
                break
            doubted |= lost.keys()
            reason = f"{len(lost)} that are known to exist were not in the answer"
            reader.doubt(lost.values(), reason)
            doubt = journal.Entry("doubt", starts=list(lost.values()), doubted=list(lost), text=reason)
            await self._writing.take((), "", doubt)
        return Found(
            rows, finished.consistent, finished.reason, reader.as_of(self._writing.began),
            [p.as_dict() for p in reader.passes], reader.reading, reader.first_total, reader.final_total,
            reader.duplicates, reader.proof_requests,
        )  # fmt: skip

    async def _by_job(self) -> Found:
        task = self._task
        result = jobs.Result()
        if self._kept and await jobs.resume(self._api, result, self._kept):
            self._go_on()

        async def take(rows: Sequence[DetailRow], as_of: str, entry: journal.Entry | None) -> None:
            task.progress(Progress(task.interval, 1, len(result.rows), None))
            await self._writing.take(rows, as_of, entry)

        await jobs.read(
            self._api, task.interval, self._query.members, now=task.now, sleep=task.sleep, take=take,
            stop=task.stop, result=result,
        )  # fmt: skip
        if result.consistent and not self._query.members and (lost := await self._lost(result.rows)):
            result.consistent = False
            result.reason = f"{len(lost)} conversations that are known to exist were not in the job's answer"
        return Found(
            result.rows, result.consistent, result.reason, result.as_of, result.passes, "job",
            duplicates=result.duplicates,
        )  # fmt: skip

    # What the answer does not have

    async def _lost(self, rows: Mapping[str, int]) -> dict[str, str]:
        """Conversations that an earlier pass or an earlier run saw, the answer lacks, and exist: id → start.

        Those that do not exist any more are gone. Nothing is asked where nothing is lacking.
        """
        await self._writing.drain()
        lost: dict[str, str] = {}
        missing = self._writing.tally.seen() - rows.keys()
        if self._book is not None:
            missing |= {one for one in self._book.reconciled_ids(self._task.interval) if one not in rows}
        async for answer in follow.ask(self._api, missing, now=self._task.now, stop=self._task.stop):
            await self._writing.take(answer.rows, answer.as_of)
            lost |= {
                row.conversation_id: row.start
                for row in answer.rows
                if row.conversation_id and row.start and self._task.interval.contains(row.start)
            }
            if answer.unknown and self._book is not None and not self._task.dry_run:
                await follow.done(self._book.mark_gone(answer.unknown, answer.as_of))
        return lost

    async def _ask_the_ongoing(self, rows: Mapping[str, int]) -> None:
        """What went on when its page was read, several passes ago, may have ended since: ask once more."""
        ongoing = [one for one, value in started_in(rows, self._task.interval).items() if end_of(value) < 0]
        async for answer in follow.ask(self._api, ongoing, now=self._task.now, stop=self._task.stop):
            await self._writing.take(answer.rows, answer.as_of)
            self._ended.update(row.conversation_id for row in answer.rows if row.end and row.conversation_id)

    async def _look_for_unlisted(self) -> None:
        """Conversations that only capture knows: asked for by id, and explained or kept as anomalies."""
        if self._book is None:
            return
        for position, one in enumerate(self._task.windows):
            heard = [known for known in self._book.live_only_ids(one) if not self._writing.tally.kind(known)]
            async for answer in follow.ask(self._api, heard, now=self._task.now, stop=self._task.stop):
                await self._writing.take(answer.rows, answer.as_of)
                self._live_only[position] += len(answer.unknown)
                if answer.unknown and not self._task.dry_run:
                    await follow.done(
                        self._book.mark_live_only(
                            answer.unknown, window_start=to_text(one.start), cause="unknown", at=answer.as_of
                        )
                    )

    # What it means

    async def _judge(self, found: Found, position: int, one: Interval, requests: int, seconds: float) -> Report:
        task, share = self._task, self._writing.tally.shares[position]
        figures = self._writing.tally.figures(found.rows, one)
        going_on, stuck = await self._going_on(found, one)
        read_at = max(from_text(found.as_of), one.start)
        verdict = window.verdict(
            consistent=found.consistent, going_on=going_on, end=_settles_from(found, one), read_at=read_at,
            settle_after=task.settings.settle_after,
        )  # fmt: skip
        return Report(
            window=one, verdict=verdict, passes=len(found.passes), requests=requests,
            initial_total_hits=found.first_total, final_total_hits=found.final_total, unique=len(found.rows),
            duplicates=found.duplicates, **figures, live_only=self._live_only[position], written=share.written,
            seconds=seconds, reason=found.reason, via=task.via, reading=found.reading, filter=task.key,
            as_of=found.as_of, proof_requests=found.proof_requests, drift=share.drift, stuck=stuck, heard=self._heard,
            dry_run=task.dry_run, causes=dict(share.causes),
        )  # fmt: skip

    async def _going_on(self, found: Found, one: Interval) -> tuple[int, int]:
        """(conversations of a window that hold it open, those that are open for too long to)."""
        open_ids = [
            (known, moment(start_of(value)))
            for known, value in started_in(found.rows, one).items()
            if end_of(value) < 0 and known not in self._ended
        ]
        limit = self._task.now() - self._task.settings.stuck_after
        stuck = [known for known, start in open_ids if start < limit]
        if self._book is None or self._task.dry_run:
            return len(open_ids) - len(stuck), len(stuck)
        if stuck:
            await follow.done(self._book.mark_stuck(stuck, to_text(self._task.now())))
        if self._query.members:
            return len(open_ids) - len(stuck), len(stuck)
        return self._book.ongoing_count(one), len(stuck)

    async def _file(self, report: Report, found: Found, divisions: str | None) -> None:
        assert self._book is not None
        task, now = self._task, self._task.now()
        start, end = to_text(report.window.start), to_text(report.window.end)
        failed = report.verdict == "failed"
        failures = window.failures_in_a_row(self._book.runs_of(start, end, task.key)) + 1 if failed else 0
        record = RunRecord(
            start=start, end=end, filter=task.key, command=task.command, via=task.via, started_at=self._writing.began,
            finished_at=to_text(now), as_of=found.as_of, verdict=report.verdict, reason=report.reason,
            reading=found.reading, passes_json=_encode(found.passes).decode(),
            id_digest=id_digest(started_in(found.rows, report.window)),
            query_json=_encode({"interval": task.interval.text, **self._query.members}).decode(),
            divisions_json=divisions, seconds=report.seconds, drift=report.drift, figures=report.figures(),
            next_try_at=to_text(window.next_try(failures, now)) if failed else None,
            settled=report.verdict == "settled",
        )  # fmt: skip
        await follow.done(self._book.finish_run(record))


def _settles_from(found: Found, one: Interval) -> datetime:
    ended = max(map(end_of, started_in(found.rows, one).values()), default=-1)
    return window.settles_from(one.end, moment(ended) if ended >= 0 else None)
