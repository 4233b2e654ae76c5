"""Reading by an asynchronous job: more rows a page and participants' attributes, from data as old as a watermark.

A job whose interval passes the watermark succeeds with a part of the rows and says nothing (reference, section 3).
So the watermark is asked for before and after, and every page of results must name it: a page that does not proves
nothing, and is no end. At last the details query is asked how many there are. What a job cannot bring as it was asked
is asked for in smaller pages, then over narrower intervals, and then left to the query (`Result.consistent` is False).

Every loop has an end of its own. What answers prove is `job_proof.py`'s to say.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Literal

from reconcile.patience import RunClock
from reconcile.reading import job_proof
from reconcile.reading.job_proof import CursorTrail
from reconcile.reading.query import DetailsQuery, Stopped
from reconcile.reading.resume import Entry, of_results
from reconcile.reading.scan import Part, RowTimes, packed, spans
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import ApiError, ConnectionLost, NotFound, RequestRefused, RollbookError, Unavailable
from rollbook.genesys.messages.details import DetailRow, DetailsPage
from rollbook.genesys.times import Interval, to_text

# The fastest jobs take some three seconds (reference, "States").
FIRST_POLL: Final = 3.0
LONGEST_POLL: Final = 30.0
# Rows of a page that are decoded, and handed on, together.
SLICE: Final = 100
# Jobs that brought nothing are waited for no longer than this, those of a reading together.
PATIENCE: Final = timedelta(hours=2)
# A state with an unknown name may be a new one on the way to FULFILLED, or a new kind of end.
UNFORESEEN: Final = timedelta(minutes=10)
# Looks at a job that fail in a row, each asked as often as is sensible.
MOST_FAILED_LOOKS: Final = 3
# How long other jobs are waited for, where the platform says that there are too many.
CROWDED: Final = timedelta(minutes=15)
FIRST_CROWDED: Final = 15.0
LONGEST_CROWDED: Final = 120.0
# Seconds before a page that proves nothing is asked for again, and before totals are that do not agree.
PAGE_PAUSES: Final = (1.0, 5.0, 15.0)
CHECK_PAUSES: Final = (5.0, 30.0)
_UNDER_WAY: Final = frozenset({"QUEUED", "PENDING"})
_OVER: Final = frozenset({"FAILED", "CANCELLED", "EXPIRED"})
_TOO_MANY: Final = re.compile(
    r"too.?many\b.*\b(?:jobs?|requests)\b|\bjobs?\b.*\blimit|\blimit.*\bjobs?\b|concurrent|rate.?limit|quota",
    re.IGNORECASE,
)
# From this length on a job is cheaper than pages of a hundred, if its data is there.
WORTH_A_JOB: Final = timedelta(hours=6)
# No limit is documented; others ask for a week (reference, section 7).
LONGEST_JOB: Final = timedelta(days=7)


# Takes rows, how old they are (API text), and what the journal has to know of them, if it has to.
OnPage = Callable[[Sequence[DetailRow], str, Entry | None], Awaitable[None]]


class PastWatermark(RollbookError):
    """The jobs' data does not reach to the end of the interval yet."""


class _Failed(Exception):
    """A job did not bring what it was asked for.

    again: the same may be asked once more. narrower: less may be asked for. over: the job need not be taken back.
    """

    def __init__(self, reason: str, *, again: bool = False, narrower: bool = False, over: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.again, self.narrower, self.over = reason, again, narrower, over


@dataclass(slots=True)
class Result:
    """The rows that a job brought, and how far they prove anything. rows: id → packed times."""

    rows: dict[str, int] = field(default_factory=dict)
    consistent: bool = False
    reason: str | None = None
    as_of: str = ""
    duplicates: int = 0
    repeated: int = 0  # rows of pages that brought nothing new
    nameless: int = 0
    unplaced: int = 0  # rows that go on, without a start
    unreadable: int = 0
    pages: int = 0
    watermarks: list[str] = field(default_factory=list)
    # Of the job under way: its part, its id, its rows a page, where its results go on; and the parts that are read.
    part: str = ""
    job: str | None = None
    size: int = job_proof.SIZES[0]
    cursor: str | None = None
    done: set[str] = field(default_factory=set)
    # Parts that are read in two; and of which a reading ended, or came, so that only a total can say that it is whole.
    halved: set[str] = field(default_factory=set)
    doubts: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    _of_part: set[str] = field(default_factory=set)
    _trail: CursorTrail = field(default_factory=CursorTrail)

    def begin(self, part: str, job: str, size: int = job_proof.SIZES[0]) -> None:
        """The results of a job will come, so many rows a page."""
        self.part, self.job, self.size, self.cursor = part, job, size, None
        self._of_part.clear()
        self._trail = CursorTrail()

    def halve(self, part: str) -> None:
        """A part is read in two."""
        self.halved.add(part)
        self.job = self.cursor = None

    def page(self, rows: Sequence[RowTimes], cursor: str | None, watermark: str | None) -> int:
        """A page of them has come; answers how many of its rows are new.

        What goes on for long comes with every job whose time it touches: that is once. A page that brings nothing new
        comes of a cursor that goes back, and its rows are no duplicates; but it may have come in another's place.
        """
        self.pages += 1
        if watermark is not None:
            self.watermarks.append(watermark)
        new = again = 0
        self.unreadable += sum(row.broken for row in rows)
        self.unplaced += sum(row.is_unplaced for row in rows)
        for row in rows:
            if row.id is None:
                self.nameless += 1
            elif row.id in self._of_part:
                again += 1
            else:
                new += 1
                self._of_part.add(row.id)
                self.rows[row.id] = packed(row.start, row.end)
        if new:
            self.duplicates += again
        elif again:
            self.repeated += again
            self.doubts.setdefault(self.part, "a page of the job's results came twice")
        if (stands_still := self._trail.take(cursor, new)) is not None:
            self.doubts[self.part] = stands_still
            cursor = None
        self.cursor = cursor
        if cursor is None:
            self.done.add(self.part)
            self.job = None
        return new

    def leads_on(self, cursor: str | None) -> bool:
        """True where the results go on at a cursor that a page names."""
        return cursor is not None and self._trail.leads_on(cursor)

    @property
    def too_many(self) -> bool:
        """True once the job under way has brought more rows than any organisation has."""
        return len(self._of_part) > job_proof.MOST_ROWS

    @property
    def is_counted(self) -> bool:
        """True where the query has counted every part of what the jobs brought."""
        return all(check["total_hits"] is not None for check in self.checks)

    @property
    def passes(self) -> list[dict[str, Any]]:
        """For the ledger. checks: the query's totals, null where it did not count them."""
        return [
            {
                "pass": 1,
                "pages": self.pages,
                "rows": len(self.rows) + self.duplicates,
                "duplicates": self.duplicates,
                "repeated": self.repeated,
                "watermarks": sorted(set(self.watermarks)),
                "halved": sorted(self.halved),
                "doubts": self.doubts,
                "checks": self.checks,
            }
        ]


async def better_way(api: Api, interval: Interval, lag: timedelta) -> Literal["query", "job"]:
    """`--via auto` for one interval: a job if it is worth one, else the query. lag: as `worth_a_job` takes it."""
    if interval.length < WORTH_A_JOB:
        return "query"
    try:
        return "job" if worth_a_job(interval, await api.data_availability(), lag) else "query"
    except ApiError:
        return "query"


def worth_a_job(interval: Interval, watermark: str | None, lag: timedelta) -> bool:
    """The rule of `--via auto`: the interval is long, and the jobs have its data for certain.

    lag: what has just come into their data may for so long be followed by what was indexed late.
    """
    reaches = watermark is not None and watermark >= to_text(interval.end + lag)
    return reaches and interval.length >= WORTH_A_JOB


async def read(
    api: Api, interval: Interval, query: DetailsQuery, clock: RunClock, *, on_page: OnPage, result: Result
) -> None:
    """Run a job over the interval (several, one after the other, over a long one) and hand the rows on.

    result: in which a run that was cut short may have left what it had. A job is kept when the reading is stopped, to
    be gone on with. Raises PastWatermark, UsageError (the platform refuses the filter), ApiError and its kinds,
    ConnectionLost, Stopped.
    """
    reading = _Reading(api, interval, query, clock, on_page, result)
    await reading.look_at_watermark()
    try:
        await reading.parts()
        await reading.look_at_watermark()
        if result.duplicates:
            raise _Failed(f"{result.duplicates} rows of the job came twice")
        if result.nameless:
            raise _Failed(f"{result.nameless} rows of the job have no id")
        if result.unplaced:
            raise _Failed(f"{result.unplaced} conversations of the job go on of which no start can be read")
        if result.unreadable:
            raise _Failed(f"{result.unreadable} records of the job cannot be decoded")
        await reading.check_totals()
    except _Failed as failed:
        result.reason = failed.reason
    result.as_of = min(result.watermarks)
    result.consistent = result.reason is None


async def resume(api: Api, result: Result, entries: Sequence[Entry]) -> bool:
    """Put what a reading that was cut short had into `result`.

    False, and nothing in it: its last job is not there any more, or the entries are not those of a reading by jobs.
    """
    if _replay(result, entries) and (result.job is None or await _is_fulfilled(api, result.job)):
        return True
    result.__init__()  # type: ignore[misc]
    return False


def _replay(result: Result, entries: Sequence[Entry]) -> bool:
    for entry in entries:
        if entry.kind == "job" and entry.part and entry.text:
            result.begin(entry.part, entry.text, entry.page or job_proof.SIZES[0])
        elif entry.kind == "refused" and entry.part:
            result.halve(entry.part)
        elif entry.kind == "doubt" and entry.part:
            result.doubts[entry.part] = entry.text
        elif entry.kind == "results" and result.job is not None and entry.watermark is not None:
            result.page([RowTimes(*row) for row in entry.rows], entry.text or None, entry.watermark)
        elif entry.kind != "begin":
            return False
    return True


async def _is_fulfilled(api: Api, job_id: str) -> bool:
    try:
        return (await api.job(job_id)).state.upper() == "FULFILLED"
    except ApiError:
        return False


@dataclass(slots=True)
class _Reading:
    """State that the jobs of a reading share."""

    api: Api
    interval: Interval
    query: DetailsQuery
    clock: RunClock
    on_page: OnPage
    result: Result
    wasted: timedelta = timedelta(0)  # time that jobs took which brought nothing

    # The watermark

    async def look_at_watermark(self) -> None:
        """Raise PastWatermark unless the jobs' data reaches to the end of the interval."""
        self._reaches(await self.api.data_availability())

    def _reaches(self, watermark: str | None) -> None:
        if watermark is None or watermark < to_text(self.interval.end):
            until = f"until {watermark}" if watermark else "for no time that it would name"
            raise PastWatermark(
                f"the platform's jobs have data {until}, and the window ends {to_text(self.interval.end)}: a job cannot"
                " prove it yet; use --via query, or wait"
            )
        self.result.watermarks.append(watermark)

    # The parts

    async def parts(self) -> None:
        """Every part by a job; what cannot be had is asked for in halves. Raises _Failed."""
        result, parts = self.result, deque(spans(self.interval, LONGEST_JOB))
        while parts:
            part = parts.popleft()
            if part.text in result.done:
                continue
            if part.text not in result.halved:
                try:
                    await self._part(part)
                    continue
                except _Failed as failed:
                    if not (failed.narrower and job_proof.narrower(part)):
                        raise
                result.halve(part.text)
                # Smaller pages of less: the next job need not find out again that the largest are too large.
                result.size = max(result.size, job_proof.SIZES[1])
                await self.on_page((), "", Entry("refused", part=part.text))
            parts.extendleft(reversed(job_proof.narrower(part)))

    async def _part(self, part: Part) -> None:
        """Read a part by a job, or by a second job. Raises _Failed."""
        try:
            await self._job(part)
        except _Failed as failed:
            self.result.job = None
            if not failed.again:
                raise
            await self._job(part)

    async def _job(self, part: Part) -> None:
        """Follow a job to its end: a new job, or the job that a run which was cut short has left."""
        result = self.result
        job_id = result.job if result.part == part.text else None
        fulfilled = job_id is not None
        try:
            if job_id is None:
                job_id = await self._create(part)
                await self._wait_for(job_id)
                fulfilled = True
                await self._begin(part.text, job_id, result.size)
            await self._results(job_id)
        except (Stopped, asyncio.CancelledError, ApiError, _Failed) as error:
            over = isinstance(error, _Failed) and error.over
            if job_id is not None and not over and not fulfilled:
                await self._cancel(job_id)
            raise

    async def _begin(self, part: str, job_id: str, size: int) -> None:
        self.result.begin(part, job_id, size)
        await self.on_page((), "", Entry("job", part=part, text=job_id, page=size))

    async def _create(self, part: Part) -> str:
        body = self.query.job_body(part)
        until, pause = self.clock.now() + CROWDED, FIRST_CROWDED
        while True:
            try:
                return await self.api.create_job(body)
            except (Unavailable, RequestRefused) as error:
                if error.status == 409 or _is_crowded(error):
                    if self.clock.stopped:
                        raise Stopped from None
                    if self.clock.now() > until:
                        raise _Failed(f"no job could be begun within {CROWDED}: {error}") from None
                elif error.narrower:
                    raise _Failed(f"no job could be begun: {error}", narrower=True) from None
                else:
                    raise self.query.as_raised(error) from None
            await self.clock.sleep(pause)
            pause = min(pause * 2, LONGEST_CROWDED)

    async def _cancel(self, job_id: str) -> None:
        try:
            await self.api.cancel_job(job_id)
        except (ApiError, ConnectionLost, asyncio.CancelledError):
            return  # it expires by itself

    async def _wait_for(self, job_id: str) -> None:
        """Until it is FULFILLED. Raises _Failed, Stopped."""
        began = self.clock.now()
        try:
            await self._look_until_fulfilled(job_id)
        except _Failed:
            self.wasted += self.clock.now() - began
            raise

    async def _look_until_fulfilled(self, job_id: str) -> None:
        until, pause, failed, unforeseen = self.clock.now() + PATIENCE - self.wasted, FIRST_POLL, 0, None
        while True:
            state, said = "", None
            try:
                job = await self.api.job(job_id)
            except NotFound:
                raise _Failed("the job was not there any more", again=True, narrower=True, over=True) from None
            except (Unavailable, ConnectionLost):
                failed += 1
                if failed >= MOST_FAILED_LOOKS:
                    raise
            else:
                state, said, failed = job.state.upper(), job.error_message, 0
                if state == "FULFILLED":
                    return
                if state not in _UNDER_WAY:
                    unforeseen = unforeseen or self.clock.now()
                    if state in _OVER or self.clock.now() > unforeseen + UNFORESEEN:
                        reason = f"the job ended as {job.state or 'nothing'}{f' ({said})' if said else ''}"
                        raise _Failed(reason, again=True, narrower=True, over=state in _OVER)
            if self.clock.stopped:
                raise Stopped
            if self.clock.now() > until:
                raise _Failed(
                    f"the job was still {state or 'without a state'} when jobs had been waited for {PATIENCE}"
                )
            await self.clock.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL)

    # Results

    async def _results(self, job_id: str) -> None:
        """Every page, in smaller ones where a page cannot be had: then from the first, as a cursor may count pages."""
        while True:
            try:
                return await self._pages(job_id)
            except (Unavailable, RequestRefused, NotFound) as error:
                # A body that is broken each time may be one record's fault, or a length's: less may be whole.
                of_less = error.narrower or (isinstance(error, Unavailable) and not _is_crowded(error))
                if not of_less and isinstance(error, Unavailable):
                    raise
                reason = f"the job's results cannot be read: {error}"
                if not of_less:  # they are not there any more, or a cursor is of no use any more
                    raise _Failed(reason, again=True, narrower=True) from None
                size = job_proof.smaller(self.result.size)
                if size is None:
                    raise _Failed(reason, narrower=True) from None
            await self._begin(self.result.part, job_id, size)

    async def _pages(self, job_id: str) -> None:
        """Every page; while one is written the next one is on its way."""
        result = self.result
        coming = asyncio.create_task(self._page(job_id, result.cursor))
        try:
            while True:
                page = await coming
                if result.leads_on(page.cursor):
                    coming = asyncio.create_task(self._page(job_id, page.cursor))
                await self._hand_on(page)
                if result.job is None:
                    return
                if result.too_many:
                    raise _Failed(f"the job's results do not end: {job_proof.MOST_ROWS:,} rows came")
                if self.clock.stopped:
                    raise Stopped
        finally:
            coming.cancel()
            await asyncio.wait({coming})
            if not coming.cancelled():
                coming.exception()  # of a page that nobody waits for any more

    async def _page(self, job_id: str, cursor: str | None) -> DetailsPage:
        """A page that names the watermark; one that does not is asked for again: it may be anything."""
        size: dict[str, Any] = {} if self.result.size == job_proof.SIZES[0] else {"size": self.result.size}
        for pause in (*PAGE_PAUSES, 0.0):
            page = await self.api.job_results(job_id, *([cursor] if cursor else []), **size)
            if page.data_availability_date is not None:
                return page
            await self.clock.sleep(pause)
        times = len(PAGE_PAUSES) + 1
        raise _Failed(f"a page of the job's results named no dataAvailabilityDate, {times} times: it proves nothing")

    async def _hand_on(self, page: DetailsPage) -> None:
        """A slice at a time: the first are written while the others are decoded."""
        self._reaches(page.data_availability_date)
        as_of = min(self.result.watermarks)
        listed: list[RowTimes] = []
        for at in range(0, max(len(page.rows), 1), SLICE):
            rows = page.rows[at : at + SLICE]
            listed += [RowTimes(row.conversation_id, row.start, row.end, row.broken) for row in rows]
            entry = None
            if at + SLICE >= len(page.rows):
                entry = await self._read(listed, page)
            await self.on_page(rows, as_of, entry)

    async def _read(self, listed: Sequence[RowTimes], page: DetailsPage) -> Entry | None:
        """Note a whole page; its entry, if the journal has to know it: one that brings nothing new is asked again."""
        result, known = self.result, dict(self.result.doubts)
        new = result.page(listed, page.cursor, None)
        if result.doubts != known:
            await self.on_page((), "", Entry("doubt", part=result.part, text=result.doubts[result.part]))
        if not new and result.job is not None:
            return None
        return of_results(listed, result.cursor, page.data_availability_date)

    # The query's word

    async def check_totals(self) -> None:
        """Compare the rows with the query's totals of the same time. Raises _Failed.

        The query knows more than the jobs' data, which ends at the watermark, but nothing more of who belongs to the
        interval: that is decided by starts before its end and by ends before its start, and both lie before the
        watermark. What starts, ends or changes after it moves no total. (A filter may ask for what changes, such as an
        end: then the totals differ rightly, nothing is proven, and the query, which knows it, is to be read.)
        """
        result, parts, uncounted = self.result, deque(spans(self.interval, LONGEST_JOB)), False
        result.checks.clear()
        while parts:
            part = parts.popleft()
            try:
                page = await self._agreeing(part)
            except (Unavailable, RequestRefused) as error:
                if not (error.narrower and (halves := job_proof.narrower(part))):
                    raise self.query.as_raised(error) from None
                parts.extendleft(reversed(halves))
                continue
            total = job_proof.counted(page)
            if total is None and page.total_hits is not None and (halves := job_proof.narrower(part)):
                parts.extendleft(reversed(halves))  # so many that they are not counted
                continue
            uncounted = uncounted or total is None
            result.checks.append({"interval": part.text, "total_hits": total})
        if result.doubts and uncounted:
            part_text, reason = next(iter(result.doubts.items()))
            raise _Failed(f"{part_text}: {reason}, and the query does not count what is there")

    async def _agreeing(self, part: Part) -> DetailsPage:
        """The query's first page, asked for until it fits the rows. Raises _Failed.

        An answer that does not count is asked for again, too, unless halves of the part can be counted instead: what
        one answer leaves out is no proof, and a total of very many is one of more than the job has brought. So is an
        answer of nothing, which must come twice in a row.
        """
        found = job_proof.groups(self.result.rows, part.interval)
        body = self.query.body(replace(part, size=1), 1)
        was_nothing = False
        for pause in (*CHECK_PAUSES, 0.0):
            if self.clock.stopped:
                raise Stopped
            as_of = to_text(self.clock.now())
            page = await self.api.query_details(body)
            fits = job_proof.agrees(found, page, self.result.rows)
            can_be_halved = page.total_hits is not None and bool(job_proof.narrower(part))
            is_nothing = not page.rows and not page.total_hits
            if fits and (job_proof.counted(page) is not None or can_be_halved) and (was_nothing or not is_nothing):
                return page
            was_nothing = is_nothing
            # It exists, whatever this job makes of it: stored, it is asked for by id where an answer lacks it.
            await self.on_page(page.rows, as_of, None)
            await self.clock.sleep(pause)
        if fits and not is_nothing and not job_proof.counts_more(found, page):
            return page
        reason = self.result.doubts.get(part.text, "")
        brought = " or ".join(str(group.rows) for group in found)
        raise _Failed(
            f"{part.text}: the jobs brought {brought} conversations, totalHits of the query says {page.total_hits or 0}"
            f"{f'; {reason}' if reason else ''}"
        )


def _is_crowded(error: ApiError) -> bool:
    """True for an error that says that the platform has no room for this now."""
    return error.status == 429 or bool(_TOO_MANY.search(f"{error.code or ''} {error.message}"))
