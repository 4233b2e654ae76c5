"""A run over a window: lock, read, compare and write, ask for what is missing from the answer, judge, file.

It puts the pure parts and the two shells (the API, the book) together. How a reading is proven, what a figure means
and what is due are decided elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

import msgspec

from reconcile.causes import Listening, explainer
from reconcile.failed_windows import failures_in_a_row, next_try
from reconcile.patience import Sleep
from reconcile.reading import job_proof, jobs, resume, visible_divisions
from reconcile.reading.jobs import PastWatermark
from reconcile.reading.platform_retention import NoLongerKept, PlatformRetention
from reconcile.reading.query import DetailsQuery, Stopped, read_pages
from reconcile.reading.reader import SECOND_LOOK, Fetch, Finished, Reader
from reconcile.reading.reader import id_digest as digest_of_ids
from reconcile.reading.scan import Part, day_of, end_of, moment, spans, start_of, started_in
from reconcile.report import Report
from reconcile.run import by_id
from reconcile.run.book_calls import came_late_enough, committed, listening_around
from reconcile.run.options import Progress, ReadResult, RoundMemory, RunOptions, RunTask
from reconcile.run.page_writer import PageWriter
from reconcile.window import (
    check_kept,
    is_aged,
    is_late_enough,
    is_second_witness,
    query_filters,
    verdict_of,
    windows_inside,
)
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.request import Count, counting
from rollbook.genesys.canonical_json import digest
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    Interrupted,
    NotAuthenticated,
    RollbookError,
    SignInRefused,
    StoreError,
    TooSlow,
    UsageError,
)
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow, DetailsPage
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.file.errors import LockHeld
from rollbook.store.tables import asked_by_id, conversations, gaps, unfinished_readings, windows
from rollbook.store.tables.gaps import Gap
from rollbook.store.tables.windows import RunRecord, WindowRow, sees_less
from rollbook.store.vocabulary import GapKind, SetAside, Verdict

log = logging.getLogger(__name__)

# The longest interval that the platform takes, without a filter and with one (reference, "Limits").
LONGEST: Final = timedelta(days=7)
LONGEST_FILTERED: Final = timedelta(days=31)
_LOCK_PAUSE: Final = 0.1
# So many runs of a window are counted to know how often in a row it failed: the pause before the next try, and the
# pieces in which it is asked for, have grown to their most long before.
_LAST_RUNS: Final = 32
_A_FEW_SECONDS: Final = timedelta(seconds=5)
# What started so shortly before midnight is looked at with the first window of the next day; and so shortly behind it.
_AROUND_MIDNIGHT: Final = timedelta(minutes=5)
_MOST_PAGES_BEFORE_MIDNIGHT: Final = 1_000

_encode: Final = msgspec.json.Encoder(order="sorted").encode


async def reconcile_window(
    book: Book | None,
    api: Api,
    interval: Interval,
    *,
    settings: Settings,
    now: Callable[[], datetime],
    options: RunOptions | None = None,
) -> Report:
    """Read one interval until it is consistent, fill the book, and say what was found.

    book: None only for a dry run without a store. Raises LockHeld, UsageError (the platform refuses the filter; it no
    longer keeps all of the interval), PastWatermark, ApiError and its kinds, StoreError and its kinds, Stopped.
    """
    options = options or RunOptions()
    via = options.via
    retention = PlatformRetention(api, book, writes=not options.dry_run)
    memory = RoundMemory(retention=retention)
    with counting() as count:
        await retention.check(interval, now())
        if via == "auto":
            via = await jobs.better_way(api, interval, settings.lag)
    options = replace(options, spent=options.spent + count.requests)
    task = RunTask(windows=[interval], settings=settings, now=now, options=options, via=via, memory=memory)
    return (await run(task, book, api))[0]


async def run(
    task: RunTask,
    book: Book | None,
    api: Api,
    *,
    wanted: Callable[[], Awaitable[bool]] | None = None,
    settle: bool = False,
) -> list[Report]:
    """Do a task under its lock: a report for each of its windows, in their order. Raises as `reconcile_window` does.

    wanted: asked once the lock is held; if somebody else has done the work meanwhile, there is no report. settle: it is
    a second look at what was proven; where the first one was late enough already, a total that agrees is enough.
    """
    if book is None or task.options.dry_run:
        return await (await Run.begin(task, book, api)).reports()
    async with locked(book, task.interval, wait=task.options.wait, sleep=task.options.sleep):
        if wanted is not None and not await wanted():
            return []
        work = await Run.begin(task, book, api)
        try:
            reports = (await work.settle_by_total() if settle else []) or await work.reports()
        except _OF_NO_WINDOW:
            raise
        except Exception as error:
            # Trouble of this window, foreseen or not: an attempt, a reason and a pause, and nobody else is stopped.
            # Of several it is not known whose it is: each is read alone, and then it is.
            if len(task.windows) == 1:
                await work.file_failure(error)
            if isinstance(error, RollbookError):
                raise
            log.error("%s: unforeseen trouble", task.interval.text, exc_info=error)
            raise Unforeseen(
                f"{type(error).__name__}: {error}; this is a mistake in rollbook: please report it"
            ) from None
        if all(report.verdict != Verdict.FAILED for report in reports):
            await _inherit(book, task)
        if any(report.written for report in reports):
            # It may have brought details of other windows, too: of one that goes on again, say.
            await committed(book.write(windows.refresh, to_text(task.now())))
    return reports


class Unforeseen(RollbookError):
    """Trouble with one window that nobody has foreseen."""


class Apart(RollbookError):
    """Windows that were read together could not be proven together: each is to be read alone."""


# Trouble that every window would meet: there is no use in reading another one now.
OF_EVERY_WINDOW: Final = (ConnectionLost, Interrupted, NotAuthenticated, SignInRefused, StoreError, UsageError)
# Trouble that is no window's own: nothing is filed for it, and what was due stays due.
_OF_NO_WINDOW: Final = (*OF_EVERY_WINDOW, Apart, NoLongerKept, PastWatermark, Stopped)


@asynccontextmanager
async def locked(book: Book, interval: Interval, *, wait: float, sleep: Sleep) -> AsyncIterator[None]:
    """Exclude other runs over the same time. Waits without blocking anything; raises LockHeld, naming the holder."""
    until = time.monotonic() + wait
    with contextlib.ExitStack() as locks:
        while True:
            try:
                locks.enter_context(book.lock_window(interval, wait=0))
                break
            except LockHeld as error:
                if time.monotonic() >= until:
                    raise LockHeld(f"{error}{f' (waited {wait:.0f} s)' if wait >= 1 else ''}") from None
            await sleep(_LOCK_PAUSE)
        yield


async def _inherit(book: Book, task: RunTask) -> None:
    """Whole windows of the grid inside an interval given by hand take over its proof."""
    inside = windows_inside(task.interval, task.settings.width)
    children = [window.texts for window in inside if window != task.interval]
    if children:
        parent = (*task.interval.texts, task.key)
        await committed(book.write(windows.inherit, parent, children, at=to_text(task.now())))


def _client_of(settings: Settings) -> str:
    """What stands for who reads, where the client may not ask what it sees; "" where a ready token is all it has."""
    if settings.client_id is None:
        return ""
    return f"client {digest(settings.client_id.encode()).hex()}"


def _begins(now: datetime, last: str | None) -> str:
    """The beginning of a run, by the times that the store has: no earlier than `last`, when the last run has ended.

    Two programs know the platform's time to a second each, and not the same second; what the one has written just
    now would be later than the beginning of the other. More than a few seconds are of a wrong clock.
    """
    begins = to_text(now)
    return max(begins, last) if last is not None and last <= to_text(now + _A_FEW_SECONDS) else begins


class Run:
    """A run over neighbouring windows (mostly one): a single reading, a report for each window."""

    def __init__(
        self,
        task: RunTask,
        book: Book | None,
        api: Api,
        *,
        kept: list[resume.Entry],
        started: datetime,
        began: str,
        listening: Listening,
    ) -> None:
        self._task = task
        self._book = book
        self._into = None if task.options.dry_run else book  # the book, where the run writes
        self._api = api
        self._eyes = task.memory.eyes or visible_divisions.Eyes(api)
        self._retention = task.memory.retention or PlatformRetention(api, book, writes=self._into is not None)
        self._kept = kept
        self._started = started
        self._count = Count()
        self._spent = task.options.spent  # requests before this run, or before it was cut short
        self._writing = PageWriter(
            task,
            book,
            began=began,
            cause=explainer(listening, self._started),
            spent=lambda: self._spent + self._count.requests,
        )
        self._ended: set[str] = set()  # asked for by id after the reading, and ended by then
        self._live_only: list[int] = [0] * len(task.windows)
        self._accounted_for: set[str] = set()  # heard, not in the answer, and asked for by id
        self._query = DetailsQuery(query_filters(task.settings.filter, ended_only=task.settings.ended_only))
        self._all_have_ended = True
        self._sees_less = False
        self._began = time.monotonic()

    @classmethod
    async def begin(cls, task: RunTask, book: Book | None, api: Api) -> Self:
        """A run, with what the book knows: the journal of a run that was cut short, and who listened."""
        started = task.now()
        kept, last, listening = list[resume.Entry](), None, Listening(())
        if book is not None:
            if not task.options.dry_run:
                since = to_text(started - resume.KEPT)
                kept = resume.decode(await book.read(unfinished_readings.entries, task.journal_key, since))
            last = await book.read(windows.last_run_finished)
            listening = await listening_around(book, task.interval, started)
        began = next((entry.began for entry in kept if entry.began), None) or _begins(started, last)
        return cls(task, book, api, kept=kept, started=started, began=began, listening=listening)

    async def reports(self) -> list[Report]:
        """Do it. Raises Apart where several windows could not be proven together, and what reading raises."""
        task = self._task
        with counting() as self._count:
            before = visible_divisions.Sight(None) if task.options.dry_run else await self._eyes.before()
            self._started = task.now()  # by the platform's clock, now that it has answered
            await self._require_kept()
            self._writing.divisions = before.divisions or _client_of(task.settings)
            if self._kept and self._kept[0].divisions != self._writing.divisions:
                self._kept = []  # somebody has begun that reading who saw something else
            self._sees_less = await self._is_less_than_was_seen(before)
            midnight = self._midnight
            is_known = midnight is not None and await self._look_around_midnight(midnight)
            try:
                found = await self._read()
            except Exception:
                with contextlib.suppress(StoreError):
                    await self._writing.drain()  # the next run goes on from here
                raise
            await self._writing.drain()
            if self._writing.not_stored and found.consistent:
                found.consistent = False
                found.reason = f"{count(self._writing.not_stored, 'record')} could not be stored, but as dead letters"
            await self._require_kept()  # what was kept as the reading began may be deleted by its end
            if found.consistent and not found.rows:
                await self._mistrust_nothing(found)
            if found.consistent and midnight is not None:
                reason = await self._look_over_midnight(midnight, found.rows, is_known=is_known)
                found.consistent, found.reason = reason is None, reason
            if not task.options.dry_run:
                await self._hold_against_sight(found, before, await self._eyes.look())
            if not self._query.members:
                found.answered = found.rows.keys() | self._accounted_for
            if not found.consistent and len(task.windows) > 1 and found.reading != "day":
                await self._forget_progress()
                raise Apart(found.reason or "not consistent")
            aged = is_aged(task.interval.end, self._started, task.settings.settle_after)
            if task.settings.ended_only and found.consistent and aged:
                self._all_have_ended = await self._nothing_is_left_out(found)
            await self._writing.drain()
        reports = []
        for position, window in enumerate(task.windows):
            report = await self._judge(found, position, window)
            if self._into is not None:
                report = await self._file(self._into, report, found, before.divisions)
            reports.append(report)
        await self._forget_progress()
        return reports

    async def settle_by_total(self) -> list[Report]:
        """Settle a window that was read after the platform's reprocessing, if its total is still what it was.

        No report where that cannot be said by a total alone: then it is read again.
        """
        task, book, now = self._task, self._into, self._task.now()
        if book is None or task.settings.ended_only or len(task.windows) > 1:
            return []
        window = task.windows[0]
        row = await book.read(windows.find, *window.texts, task.key)
        if row is None or not await self._is_total_enough(book, row, window, now):
            return []
        known = frozenset(await book.read(conversations.known_ids, *window.texts))
        with counting() as self._count:
            before = await self._eyes.before()
            page = await self._api.query_details(self._query.body(Part(window, size=1), 1))
            await self._require_kept()
            # What is proven is what was read then: a total says nothing of what the records say now.
            found = ReadResult({}, True, None, row.last_read_at or "", reading="interval")
            found.first_total, found.final_total = row.final_total_hits, page.total_hits
            found.answered = None if self._query.members else known
            await self._hold_against_sight(found, before, await self._eyes.look())
            unknown = await self._take_what_a_total_shows(book, page.rows, window)
        if page.total_hits != row.final_total_hits or not found.consistent or unknown:
            self._spent += self._count.requests
            return []
        report = replace(
            self._report(found, 0, Verdict.SETTLED),
            unique=row.unique or 0,
            owned=row.owned or 0,
            unchanged=row.owned or 0,
            ongoing=row.ongoing or 0,
            live_only=row.live_only or 0,
        )
        runs = await book.read(windows.runs, *window.texts, task.key)
        last = next((run["id_digest"] for run in reversed(runs) if run["id_digest"] is not None), None)
        return [await self._file(book, report, found, before.divisions, id_digest=last)]

    async def _take_what_a_total_shows(self, book: Book, rows: Sequence[DetailRow], window: Interval) -> bool:
        """Write the rows of the page that was asked for its total, and say whether the window has not had them."""
        known = set(await book.read(conversations.reconciled_ids, *window.texts))
        await self._writing.take(rows, to_text(self._task.now()))
        await self._writing.drain()
        return any(row.start and window.contains(row.start) and row.conversation_id not in known for row in rows)

    async def _is_total_enough(self, book: Book, row: WindowRow, window: Interval, now: datetime) -> bool:
        if row.verdict != Verdict.COMPLETE or row.reading != "interval" or row.last_read_at is None:
            return False
        if window.length > self._longest:
            return False  # the platform counts no such interval
        late = await came_late_enough(book, window, from_text(row.last_read_at), self._task.settings.settle_after)
        is_witness = is_second_witness(row.last_read_at, now)
        # Of what was read in parts, the total is the sum of theirs, and counts what went on in two of them twice.
        is_of_the_whole = row.final_total_hits == row.unique
        return late and is_witness and is_of_the_whole and row.final_total_hits is not None and row.final_total_hits > 0

    @property
    def _requests(self) -> int:
        return self._spent + self._count.requests

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    async def _mistrust_nothing(self, found: ReadResult) -> None:
        """Take the proof from an answer without rows of a time that the platform may have deleted by the day.

        Raises UsageError where that time is longer ago than any retention.
        """
        interval, now = self._task.interval, self._task.now()
        try:
            check_kept(interval, now)
        except UsageError:
            await self._forget_progress()
            raise
        kept = await self._retention.of(interval.start, now)
        if kept.may_have_deleted_the_day(interval.start):
            found.consistent, found.keeps_proof = False, True
            found.reason = f"nothing was found, and the platform may have deleted it by the day: {kept.words}"

    async def _require_kept(self) -> None:
        """Raise NoLongerKept where the interval begins before the platform's retention by now."""
        try:
            await self._retention.check(self._task.interval, self._task.now())
        except NoLongerKept:
            await self._forget_progress()
            raise

    # Who reads

    async def _hold_against_sight(
        self, found: ReadResult, before: visible_divisions.Sight, after: visible_divisions.Sight
    ) -> None:
        """Take the proof from a reading of which it is not known who saw it, or which somebody made who sees less."""
        reason = visible_divisions.trouble(before, after)
        if reason is None and (self._sees_less or await self._is_less_than_was_seen(after)):
            reason = "this client sees fewer divisions than the one that proved it before; read it with that one"
        if reason is not None:
            found.consistent, found.reason, found.keeps_proof = False, reason, True

    async def _is_less_than_was_seen(self, sight: visible_divisions.Sight) -> bool:
        """True where somebody has proven a part of the interval who saw more than this client does now."""
        if self._book is None:
            return False
        proofs = await self._book.read(windows.proven_divisions, *self._task.interval.texts, self._task.key)
        return any(sees_less(sight.divisions, proof) for proof in proofs)

    # Just before the day

    @property
    def _midnight(self) -> datetime | None:
        """The midnight at which a window of the run begins; None where none does, or what it shows is not kept."""
        if self._query.members or self._into is None:
            return None
        return next((window.start for window in self._task.windows if window.start == day_of(window.start)), None)

    async def _look_around_midnight(self, midnight: datetime) -> bool:
        """Store what starts just before and behind midnight as the reading begins; tell whether that is all of it.

        Nothing can then move across midnight unseen: what the reading lacks of it is asked for by id. So the look
        afterwards may be believed when it shows nothing, without a pause and another one.
        """
        end = min(midnight + _AROUND_MIDNIGHT, self._task.interval.end)
        body = self._query.body(Part(Interval(midnight - _AROUND_MIDNIGHT, end)), 1)
        try:
            page = await self._shown(body, may_be_the_end=True)
        except ApiError:
            return False  # the reading meets it too, and knows what to do
        return len(page.rows) == (page.total_hits or 0)

    async def _look_over_midnight(self, midnight: datetime, known: Mapping[str, int], *, is_known: bool) -> str | None:
        """Read what started in the last minutes of the day before; why nothing is proven, or None.

        A start that was corrected across midnight between the readings of both days is in neither answer. What is
        found here takes the proof from the window that it started in, which is read again then. That holds for every
        row that is shown, whenever it started: an answer of the whole day may show what its windows' own answers lack.
        known: id → packed times of what the reading has. is_known: all that started around midnight was known before.
        """
        since = to_text(midnight - _AROUND_MIDNIGHT)
        part = Part(Interval(midnight - _AROUND_MIDNIGHT, midnight))
        latest, shown, total = to_text(midnight), 0, 0
        for number in range(1, _MOST_PAGES_BEFORE_MIDNIGHT + 1):
            body = {**self._query.body(part, number), "order": "desc"}
            page = await self._shown(body, may_be_the_end=is_known or 0 < total <= shown)
            shown, total = shown + len(page.rows), max(total, page.total_hits or 0)
            starts = [row.start for row in page.rows if row.start]
            if any(
                row.start and self._task.interval.contains(row.start) and row.conversation_id not in known
                for row in page.rows
            ):
                return "a look at what started just before midnight has shown conversations that were not in the answer"
            # The newest first, so that a platform that answers with the whole day need not be read to its morning.
            newest_first = len(set(starts)) > 1 and starts == sorted(starts, reverse=True) and starts[0] <= latest
            if not page.rows or (newest_first and starts[-1] < since):
                return None
            latest = starts[-1] if newest_first else ""
        return "what started just before midnight has no end"

    # Finished conversations only

    async def _nothing_is_left_out(self, found: ReadResult) -> bool:
        """True where as many conversations are counted without the filter on ends as were found with it.

        An answer that counts fewer, or nothing where something was found, knows less than was found: it says nothing.
        """
        everything = DetailsQuery(query_filters(self._task.settings.filter, ended_only=False))
        parts = spans(self._task.interval, LONGEST_FILTERED if everything.members else LONGEST)
        for part in parts:
            page = await self._shown(everything.body(replace(part, size=1), 1))
            if len(parts) == 1 and found.via == "query":
                is_all = job_proof.counted(page) == len(found.rows)
            else:
                is_all = any(
                    group.rows == job_proof.counted(page) for group in job_proof.groups(found.rows, part.interval)
                )
            if not is_all:
                return False
        return True

    async def _shown(self, body: Mapping[str, Any], *, may_be_the_end: bool = False) -> DetailsPage:
        """A page that is asked for beside the reading, whose rows are stored; asked for again where it has none.

        may_be_the_end: a page without rows is what ends the list.
        """
        for pause in (SECOND_LOOK, 0.0):
            as_of = to_text(self._task.now())
            page = await self._api.query_details(body)
            if not self._task.options.dry_run:
                await self._writing.take(page.rows, as_of)
            if page.rows or may_be_the_end or not pause:
                break
            await self._task.clock.sleep(pause)
        return page

    # Going on where a run was cut short

    async def _resumed(self) -> Reader:
        """A reader, which stands where the one of a run that was cut short stood.

        Its last page is asked for again: rows that have moved meanwhile, in either direction, show there.
        """
        while self._kept and self._kept[-1].kind == "refused":
            self._kept.pop()
        reader = await self._reader()
        *before, last = self._kept or [resume.Entry("begin")]
        if not self._kept or not resume.replay(reader, before):
            return await self._reader()
        if last.kind == "page":
            step = resume.next_question(reader, last.at)
            if not isinstance(step, Fetch) or not await self._is_unmoved(step, last):
                log.info("%s: what a run was cut short in has moved since: read anew", self._task.interval.text)
                return await self._reader()
        if not resume.replay(reader, [last]):
            return await self._reader()
        self._go_on()
        return reader

    async def _is_unmoved(self, step: Fetch, kept: resume.Entry) -> bool:
        as_of = to_text(self._task.now())
        page = await self._api.query_details(self._query.body(step.part, step.page))
        ids = [row.conversation_id for row in page.rows]
        # Without a total the page says nothing of the others, which may be of before the lag was over.
        if page.total_hits is not None and page.total_hits == kept.total and ids == [row[0] for row in kept.rows]:
            return True
        await self._writing.take(page.rows, as_of)  # what is read anew may lack what this page has shown
        return False

    def _go_on(self) -> None:
        pages = count(sum(entry.kind in ("page", "results") for entry in self._kept), "page")
        log.info("%s: going on where a run was cut short, after %s", self._task.interval.text, pages)
        self._writing.resume(self._kept)
        self._spent += self._kept[-1].spent

    async def _reader(self) -> Reader:
        pieces = 1 << min(2 * await self._could_not_be_had(), 6)
        return Reader(self._task.interval, longest=self._longest, pieces=pieces)

    @property
    def _longest(self) -> timedelta:
        """The longest interval that the platform takes in this run's questions."""
        return LONGEST_FILTERED if self._query.members else LONGEST

    async def _could_not_be_had(self) -> int:
        """The number of times in a row that the window could not be had: the more, the smaller the pieces."""
        if self._book is None or len(self._task.windows) > 1:
            return 0
        runs = await self._book.read(windows.runs, *self._task.interval.texts, self._task.key, last=_LAST_RUNS)
        return failures_in_a_row([run for run in runs if run["verdict"] != Verdict.FAILED or run["as_of"] is None])

    async def _forget_progress(self) -> None:
        if self._into is not None:
            older = to_text(self._task.now() - resume.KEPT)
            await committed(self._into.write(unfinished_readings.drop_with_older, self._task.journal_key, older))

    # Reading

    async def _read(self) -> ReadResult:
        """By the way that was asked for; where that cannot bring it, by the other one."""
        if self._task.via == "job":
            found = await self._by_job()
            if found.consistent:
                return found
            log.info("%s: the job did not prove it (%s): reading by the query", self._task.interval.text, found.reason)
            self._kept = []
            return await self._by_query()
        try:
            found = await self._by_query()
        except ApiError as error:
            # What does not come in time is not waited for in another way as well: the next try asks for less.
            if not error.narrower or isinstance(error, TooSlow) or (by_job := await self._by_job_instead()) is None:
                raise
            return by_job
        if found.not_had and (by_job := await self._by_job_instead()) is not None:
            return by_job
        return found

    async def _by_job_instead(self) -> ReadResult | None:
        """Read by a job where the query could not be had; None if it proves nothing either."""
        self._kept = []
        try:
            found = await self._by_job(keep=False)
        except (ApiError, PastWatermark, UsageError):
            return None
        return found if found.consistent else None

    async def _by_query(self) -> ReadResult:
        reader = await self._resumed()
        while True:
            await self._read_pages(reader)
            finished = reader.finished
            rows = reader.found()
            if not finished.consistent or self._task.settings.filter:
                break  # which of those that are known a filter lets through is not known
            starts, why = await self._lacking(rows)
            if not starts:
                if why is not None:
                    finished = Finished(False, why)
                elif len(reader.passes) > 1:
                    await self._ask_the_ongoing(rows)
                break
            reason = f"{len(starts)} conversations that are known to exist were not in the answer"
            reader.doubt(starts, reason)
            doubt = resume.Entry("doubt", starts=starts, text=reason)
            await self._writing.take((), "", doubt)
        found = ReadResult(rows, finished.consistent, finished.reason, reader.as_of(self._writing.began))
        found.passes, found.reading, found.duplicates = reader.passes, reader.reading, reader.duplicates
        found.first_total, found.final_total = reader.first_total, reader.final_total
        found.proof_requests, found.not_had = reader.proof_requests, reader.not_had
        return found

    async def _read_pages(self, reader: Reader) -> None:
        """Read until the reader has finished: each page is stored while the next page is on its way."""
        task = self._task
        pages = read_pages(self._api, reader, self._query, task.clock, patience=task.memory.patience)
        async with contextlib.aclosing(pages):
            async for read in pages:
                task.options.progress(
                    Progress(task.interval, len(reader.passes), reader.rows_read, read.page.total_hits)
                )
                *refusals, entry = read.entries
                for refusal in refusals:
                    await self._writing.take((), read.as_of, refusal)
                await self._writing.take(read.page.rows, read.as_of, entry)

    async def _by_job(self, *, keep: bool = True) -> ReadResult:
        """Read by a job. keep: its progress is remembered, and one that was cut short is gone on with."""
        task = self._task
        result = jobs.Result()
        if keep and self._kept and await jobs.resume(self._api, result, self._kept):
            self._go_on()

        async def on_page(rows: Sequence[DetailRow], as_of: str, entry: resume.Entry | None) -> None:
            task.options.progress(Progress(task.interval, 1, len(result.rows), None))
            await self._writing.take(rows, as_of, entry if keep else None)

        await jobs.read(self._api, task.interval, self._query, task.clock, on_page=on_page, result=result)
        if result.consistent and not self._task.settings.filter:
            starts, why = await self._lacking(result.rows)
            if starts:
                why = f"{len(starts)} conversations that are known to exist were not in the job's answer"
            if why is not None:
                result.consistent, result.reason = False, why
        reaches_past_the_lag = result.as_of >= to_text(task.interval.end + task.settings.lag)
        if result.consistent and not result.is_counted and not reaches_past_the_lag:
            # What is indexed late may be missing in data that end so early, and nobody else has counted.
            why = f"the query does not count what is there, and the jobs' data end within the lag ({result.as_of})"
            result.consistent, result.reason = False, why
        found = ReadResult(result.rows, result.consistent, result.reason, result.as_of, via="job")
        found.passes, found.reading, found.duplicates = result.passes, "job", result.duplicates
        return found

    # What the answer does not have

    async def _lacking(self, rows: Mapping[str, int]) -> tuple[list[str], str | None]:
        """Ask by id for known conversations that the answer lacks, twice for those that do not come.

        That is what an earlier pass or an earlier run read, and what only capture knows; of `ended_only`, what is known
        to have ended. Nothing is asked where nothing is lacking. What the platform no longer knows is gone, once two
        answers some time apart have said so; until then nothing is proven. Answers the starts of those that exist, and
        why nothing is proven, or None.
        """
        await self._writing.drain()
        ended_only = self._task.settings.ended_only
        read_before = frozenset() if ended_only else self._writing.tally.seen() - rows.keys()
        live_only: dict[str, int] = {}
        if self._book is not None and ended_only:
            latest = to_text(self._started - self._task.settings.lag)
            known = await self._book.read(conversations.ended_ids, *self._task.interval.texts, latest)
            live_only = {id_: 0 for id_, is_read in known if not is_read and id_ not in rows}
            read_before = frozenset(id_ for id_, is_read in known if is_read and id_ not in rows)
        elif self._book is not None:
            read = self._book.read
            known_ids = await read(conversations.reconciled_ids, *self._task.interval.texts)
            read_before |= {id_ for id_ in known_ids if id_ not in rows}
            for position, window in enumerate(self._task.windows):
                by_capture = await read(conversations.live_only_ids, *window.texts)
                live_only |= {id_: position for id_ in by_capture if id_ not in rows}
        self._accounted_for = set(live_only)
        missing = read_before | live_only.keys()
        if not missing:
            return [], None

        asked = await by_id.ask_twice(
            self._api,
            missing,
            self._task.clock,
            on_answer=lambda answer: self._writing.take(answer.rows, answer.as_of),
            known=await self._control(rows, missing),
            patience=self._task.memory.by_id,
        )
        if self._task.clock.stopped:
            raise Stopped
        # Where the answer by id names no start, what is known of it counts: that it began in this window.
        starts = {
            row.conversation_id: row.start or to_text(self._task.interval.start)
            for row in asked.rows
            if row.conversation_id
            and (row.start is None or self._task.interval.contains(row.start))
            and (row.end is not None or not ended_only)
        }
        # What cannot be asked for is no id of the platform's: it was heard, and that is all there is.
        never = {id_ for id_ in live_only if not may_be_asked_for(id_)} | (set(asked.refused) & live_only.keys())
        absent = [id_ for id_ in asked.absent if id_ in read_before]
        gone = await self._gone(absent, asked.as_of)
        unsure = {id_ for id_ in (*absent, *asked.undecided, *asked.refused) if id_ not in never and id_ not in gone}
        why = (
            f"{len(unsure)} conversations that are known were neither in the answer nor found by id;"
            " they count as gone when a later answer lacks them too"
        )
        if not ended_only:
            await self._note_live_only(
                live_only, {*asked.absent, *asked.undecided, *never} & live_only.keys(), asked.as_of
            )
        return list(starts.values()), why if unsure else None

    async def _control(self, rows: Mapping[str, int], but: Iterable[str]) -> str | None:
        """A conversation that certainly exists: an ended one at best; of a time when all go on, any of the answer."""
        able = [id_ for id_ in rows if may_be_asked_for(id_)]
        ended = next((id_ for id_ in able if end_of(rows[id_]) >= 0), None)
        known = ended or (None if self._book is None else await self._book.read(conversations.a_listed_id, list(but)))
        return known or next(iter(able), None)

    async def _gone(self, absent: Sequence[str], as_of: str) -> list[str]:
        """Of conversations that were read before and are absent now, those that an earlier answer lacked, too."""
        interval = self._task.interval
        if not absent or self._into is None or self._sees_less:
            return []
        if not (await self._retention.of(interval.start, self._task.now())).has(interval.start):
            return []  # the reading proves nothing, and what the platform has deleted for its age is not gone
        # Nobody may have proven them who saw more: then their own divisions say that this client does not see them.
        sight, divisions = await self._eyes.before(), await self._into.read(conversations.divisions_of, absent)
        absent = [id_ for id_ in absent if sight.sees(divisions[id_])]
        since = to_text(from_text(as_of) - by_id.APART)
        gone = await committed(self._into.write(asked_by_id.absent, absent, as_of, since))
        if gone:
            await committed(self._into.write(conversations.mark, gone, SetAside.GONE))
        return gone

    async def _note_live_only(self, live_only: Mapping[str, int], absent: Collection[str], as_of: str) -> None:
        """File what only capture knows and neither the list nor an answer by id has."""
        at = as_of or to_text(self._task.now())
        for position, window in enumerate(self._task.windows):
            ids = [id_ for id_ in absent if live_only[id_] == position]
            self._live_only[position] = len(ids)
            if ids and self._into is not None:
                start = to_text(window.start)
                found = [Gap(id_, start, GapKind.LIVE_ONLY, "unknown", at, None) for id_ in ids]
                await committed(self._into.write(gaps.add, found))

    async def _ask_the_ongoing(self, rows: Mapping[str, int]) -> None:
        """Ask once more for what went on when its page was read, several passes ago: it may have ended since."""
        ongoing = [id_ for id_, value in started_in(rows, self._task.interval).items() if end_of(value) < 0]
        task = self._task
        async for answer in by_id.ask(self._api, ongoing, task.clock, patience=task.memory.by_id):
            await self._writing.take(answer.rows, answer.as_of)
            self._ended.update(row.conversation_id for row in answer.rows if row.end and row.conversation_id)

    # What it means

    async def _judge(self, found: ReadResult, position: int, window: Interval) -> Report:
        going_on, stuck = await self._going_on(found, window)
        read_at = max(from_text(found.as_of), window.start)
        # Of a run that was cut short, and gone on with after the lag, the first pages are of before. (A job's rows are
        # as old as its data; what counts of it is when they were counted.)
        began = min(self._started, read_at) if found.via == "query" else self._started
        verdict = verdict_of(
            consistent=found.consistent,
            going_on=going_on,
            within_lag=window.end + self._task.settings.lag > began,
            may_settle=await self._may_settle(found, window, read_at),
        )
        return replace(self._report(found, position, verdict), stuck=stuck)

    def _report(self, found: ReadResult, position: int, verdict: Verdict) -> Report:
        task, tally, window = self._task, self._writing.tally, self._task.windows[position]
        share = tally.shares[position]
        return Report(
            window=window,
            verdict=verdict,
            passes=len(found.passes),
            requests=self._requests,
            initial_total_hits=found.first_total,
            final_total_hits=found.final_total,
            unique=len(found.rows),
            duplicates=found.duplicates,
            **tally.figures(found.rows, window),
            live_only=self._live_only[position],
            written=share.written,
            seconds=self._seconds,
            reason=found.reason,
            via=found.via,
            reading=found.reading,
            filter=task.key,
            as_of=found.as_of,
            proof_requests=found.proof_requests,
            drift=share.drift,
            dry_run=task.options.dry_run,
            causes=dict(share.causes),
            next_try_at=None,  # known when it is filed
        )

    async def _may_settle(self, found: ReadResult, window: Interval, read_at: datetime) -> bool:
        """True where this reading came after the platform's reprocessing, and another one well before this."""
        last = max(map(end_of, started_in(found.rows, window).values()), default=-1)
        ended = moment(last) if last >= 0 else None
        late = is_late_enough(window.end, ended, read_at, self._task.settings.settle_after)
        if not late or not self._all_have_ended or self._book is None:
            return False
        row = await self._book.read(windows.find, *window.texts, self._task.key)
        return row is not None and is_second_witness(row.first_read_at, read_at)

    async def _going_on(self, found: ReadResult, window: Interval) -> tuple[int, int]:
        """(conversations of a window that hold it open, those that are open for too long to)."""
        open_ids = [
            (known, moment(start_of(value)))
            for known, value in started_in(found.rows, window).items()
            if end_of(value) < 0 and known not in self._ended
        ]
        limit = self._task.now() - self._task.settings.stuck_after
        stuck = [known for known, start in open_ids if start < limit]
        if stuck and self._into is not None:
            await committed(self._into.write(conversations.mark, stuck, SetAside.STUCK))
        if self._into is None or self._query.members:
            return len(open_ids) - len(stuck), len(stuck)
        return await self._into.read(conversations.ongoing_count, *window.texts), len(stuck)

    async def _file(
        self, book: Book, report: Report, found: ReadResult, divisions: str | None, *, id_digest: bytes | None = None
    ) -> Report:
        """File what was found; the report says with it when the window is tried again."""
        now = self._task.now()
        again = report.verdict == Verdict.FAILED or not self._all_have_ended
        next_try_at = await self._next_try(book, report.window, now) if again else None
        record = replace(
            self._attempt(report.window, now),
            via=found.via,
            as_of=found.as_of,
            verdict=report.verdict,
            reason=report.reason,
            reading=found.reading,
            passes_json=_encode(found.passes).decode(),
            id_digest=id_digest or digest_of_ids(started_in(found.rows, report.window)),
            divisions_json=divisions,
            seconds=report.seconds,
            drift=report.drift,
            figures=report.figures(),
            next_try_at=next_try_at,
            settled=report.verdict == Verdict.SETTLED,
            keeps_proof=found.keeps_proof,
            answered=found.answered,
        )
        filed = await committed(book.write(windows.finish, record))
        return replace(report, verdict=filed.verdict, reason=filed.reason, next_try_at=filed.next_try_at)

    def _attempt(self, window: Interval, now: datetime) -> RunRecord:
        """A record of this run over a window, of which nothing could be read."""
        task, (start, end) = self._task, window.texts
        return RunRecord(
            start=start,
            end=end,
            filter=task.key,
            command=task.options.command,
            via=task.via,
            started_at=self._writing.began,
            finished_at=to_text(now),
            verdict=Verdict.FAILED,
            query_json=_encode({"interval": task.interval.text, **self._query.members}).decode(),
            seconds=self._seconds,
            figures={"requests": self._requests},
        )

    async def _next_try(self, book: Book, window: Interval, now: datetime) -> str:
        runs = await book.read(windows.runs, *window.texts, self._task.key, last=_LAST_RUNS)
        return to_text(next_try(failures_in_a_row(runs) + 1, now))

    async def file_failure(self, error: Exception) -> None:
        """File that the windows could not be read: an attempt each, with the reason, and when it is tried again."""
        book, now = self._into, self._task.now()
        assert book is not None
        reason = str(error) if isinstance(error, RollbookError) else f"unforeseen trouble: {type(error).__name__}"
        for window in self._task.windows:
            again = await self._next_try(book, window, now)
            record = replace(self._attempt(window, now), reason=reason, next_try_at=again, keeps_proof=True)
            await committed(book.write(windows.finish, record))
