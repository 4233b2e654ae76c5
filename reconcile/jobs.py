"""Reading by an asynchronous job: more rows a page and participants' attributes, from data as old as a watermark.

A job whose interval passes the watermark succeeds with a part of the rows and says nothing (reference, section 3).
So the watermark is asked for before and after, and looked at on every page of results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from genesys.api import Api
from genesys.detail import DetailsPage
from genesys.errors import ApiError, RequestRefused, RollbookError, UsageError
from genesys.times import Interval, to_text
from reconcile.journal import Entry, of_results
from reconcile.read import Sleep, Stopped
from reconcile.scan import Row, packed, spans

# The fastest jobs take some three seconds (reference, "States").
FIRST_POLL: Final = 3.0
LONGEST_POLL: Final = 30.0
# Rows of a page that are decoded, and handed on, together.
SLICE: Final = 100
# A job that is not done by then is given up.
PATIENCE: Final = timedelta(hours=2)
_UNDER_WAY: Final = frozenset({"QUEUED", "PENDING"})
# From this length on a job is cheaper than pages of a hundred, if its data is there.
WORTH_A_JOB: Final = timedelta(hours=6)
# No limit is documented; others ask for a week (reference, section 7).
LONGEST_JOB: Final = timedelta(days=7)


class PastWatermark(RollbookError):
    """The jobs' data does not reach to the end of the interval yet."""


@dataclass(slots=True)
class Result:
    """What a job brought. rows: id → packed times."""

    rows: dict[str, int] = field(default_factory=dict)
    consistent: bool = False
    reason: str | None = None
    as_of: str = ""
    duplicates: int = 0
    nameless: int = 0
    pages: int = 0
    watermarks: list[str] = field(default_factory=list)
    # Of the job under way: its part, its id, where its results go on; and the parts that have been read.
    part: str = ""
    job: str | None = None
    cursor: str | None = None
    done: set[str] = field(default_factory=set)
    _of_part: set[str] = field(default_factory=set)

    def begin(self, part: str, job: str) -> None:
        """The results of a job will come."""
        self.part, self.job, self.cursor = part, job, None
        self._of_part.clear()

    def page(self, rows: Sequence[Row], cursor: str | None, watermark: str | None) -> None:
        """A page of them has come. What goes on for long comes with every job whose time it touches: that is once."""
        self.pages += 1
        if watermark is not None:
            self.watermarks.append(watermark)
        for row in rows:
            if row.id is None:
                self.nameless += 1
            elif row.id in self._of_part:
                self.duplicates += 1
            else:
                self._of_part.add(row.id)
                self.rows[row.id] = packed(row.start, row.end)
        self.cursor = cursor
        if cursor is None:
            self.done.add(self.part)
            self.job = None

    @property
    def passes(self) -> list[dict[str, Any]]:
        """For the ledger."""
        return [
            {
                "pass": 1, "pages": self.pages, "rows": len(self.rows) + self.duplicates,
                "duplicates": self.duplicates, "watermarks": sorted(set(self.watermarks)),
            }
        ]  # fmt: skip


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
    api: Api,
    interval: Interval,
    members: Mapping[str, list[Any]],
    *,
    now: Callable[[], datetime],
    sleep: Sleep,
    take: Callable[..., Awaitable[None]],
    stop: asyncio.Event | None = None,
    result: Result | None = None,
) -> Result:
    """Run a job over the interval (several, one after the other, over a long one) and hand the rows on.

    take: is given rows and how old they are; with a `result` (in which a run that was cut short may have left what it
    had) also the journal's entry. A job is then kept when the reading is stopped, to be gone on with.
    Raises PastWatermark, UsageError (the platform refuses the filter), ApiError and its kinds, Stopped.
    """
    reading = _Reading(api, members, result or Result(), now, sleep, take, stop, keep=result is not None)
    result = reading.result
    await _watermark(api, interval, result)
    for part in spans(interval, LONGEST_JOB):
        if part.text not in result.done and not await reading.part(part.interval):
            result.as_of = result.watermarks[0]
            return result
    await _watermark(api, interval, result)
    result.as_of = min(result.watermarks)
    result.consistent = not (result.nameless or result.duplicates)
    if result.nameless:
        result.reason = f"{result.nameless} rows of the job have no id"
    elif result.duplicates:
        result.reason = f"{result.duplicates} rows of the job came twice"
    return result


async def resume(api: Api, result: Result, entries: Sequence[Entry]) -> bool:
    """Put what a reading that was cut short had into `result`. False: its last job is not there any more."""
    for entry in entries:
        if entry.kind == "job":
            result.begin(entry.part, entry.text)
        elif entry.kind == "results":
            result.page([Row(*one) for one in entry.rows], entry.text or None, entry.watermark)
    if result.job is None:
        return True
    try:
        known = await api.job(result.job)
    except ApiError:
        known = None
    if known is not None and known.state == "FULFILLED":
        return True
    result.__init__()  # type: ignore[misc]
    return False


@dataclass(slots=True)
class _Reading:
    """What the jobs of one reading share."""

    api: Api
    members: Mapping[str, list[Any]]
    result: Result
    now: Callable[[], datetime]
    sleep: Sleep
    take: Callable[..., Awaitable[None]]
    stop: asyncio.Event | None
    keep: bool

    async def part(self, interval: Interval) -> bool:
        """One job to its end; False (and the reason) if it did not do what it was asked."""
        result = self.result
        job_id = result.job or await _create(self.api, interval, self.members)
        state = "QUEUED"
        try:
            state, told = await _finished(self.api, job_id, now=self.now, sleep=self.sleep, stop=self.stop)
            if state != "FULFILLED":
                result.reason = f"the job ended as {state}{f' ({told})' if told else ''}"
                return False
            if result.job is None:
                result.begin(interval.text, job_id)
                if self.keep:
                    await self.take((), "", Entry("job", part=interval.text, text=job_id))
            await self._results(job_id, interval)
        except (Stopped, asyncio.CancelledError):
            if not (self.keep and state == "FULFILLED"):
                await _cancel(self.api, job_id)
            raise
        return True

    async def _results(self, job_id: str, interval: Interval) -> None:
        """Every page; while one is written the next one is on its way."""
        result = self.result
        coming = asyncio.create_task(self._page(job_id, result.cursor))
        try:
            while True:
                page = await coming
                if page.cursor is not None:
                    coming = asyncio.create_task(self._page(job_id, page.cursor))
                if page.data_availability_date is not None:
                    _reaches(interval, page.data_availability_date, result)
                await self._hand_on(page)
                if page.cursor is None:
                    return
                if self.stop is not None and self.stop.is_set():
                    raise Stopped
        finally:
            coming.cancel()

    async def _page(self, job_id: str, cursor: str | None) -> DetailsPage:
        return await (self.api.job_results(job_id, cursor) if cursor else self.api.job_results(job_id))

    async def _hand_on(self, page: DetailsPage) -> None:
        """A slice at a time: the first are written while the others are decoded."""
        as_of = min(self.result.watermarks)
        listed: list[Row] = []
        for at in range(0, max(len(page.rows), 1), SLICE):
            rows = page.rows[at : at + SLICE]
            listed += [Row(row.conversation_id, row.start, row.end) for row in rows]
            entry = None
            if at + SLICE >= len(page.rows):
                self.result.page(listed, page.cursor, None)
                entry = of_results(listed, page.cursor, page.data_availability_date)
            await (self.take(rows, as_of, entry) if self.keep else self.take(rows, as_of))


async def _create(api: Api, interval: Interval, members: Mapping[str, list[Any]]) -> str:
    body = {"interval": interval.text, "order": "asc", "orderBy": "conversationStart", **members}
    try:
        return await api.create_job(body)
    except RequestRefused as error:
        if members:
            raise UsageError(f"the platform refuses the filter: {error}") from None
        raise


async def _cancel(api: Api, job_id: str) -> None:
    try:
        await api.cancel_job(job_id)
    except (ApiError, asyncio.CancelledError):
        return  # it expires by itself


def _reaches(interval: Interval, watermark: str | None, result: Result) -> None:
    if watermark is None or watermark < to_text(interval.end):
        until = f"until {watermark}" if watermark else "for no time that it would name"
        raise PastWatermark(
            f"the platform's jobs have data {until}, and the window ends {to_text(interval.end)}: a job cannot prove"
            " it yet; use --via query, or wait"
        )
    result.watermarks.append(watermark)


async def _watermark(api: Api, interval: Interval, result: Result) -> None:
    _reaches(interval, await api.data_availability(), result)


async def _finished(
    api: Api, job_id: str, *, now: Callable[[], datetime], sleep: Sleep, stop: asyncio.Event | None
) -> tuple[str, str | None]:
    until, pause = now() + PATIENCE, FIRST_POLL
    while True:
        job = await api.job(job_id)
        if job.state not in _UNDER_WAY:
            return job.state, job.error_message
        if stop is not None and stop.is_set():
            raise Stopped
        if now() > until:
            return job.state, f"not done after {PATIENCE}"
        await sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL)
