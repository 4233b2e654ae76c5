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
from genesys.detail import DetailRow
from genesys.errors import ApiError, RequestRefused, RollbookError, UsageError
from genesys.times import Interval, to_text
from reconcile.read import Sleep, Stopped
from reconcile.scan import packed

Take = Callable[[Sequence[DetailRow], str], Awaitable[None]]

# The fastest jobs take some three seconds (reference, "States").
FIRST_POLL: Final = 3.0
LONGEST_POLL: Final = 30.0
# A job that is not done by then is given up.
PATIENCE: Final = timedelta(hours=2)
_UNDER_WAY: Final = frozenset({"QUEUED", "PENDING"})
# From this length on a job is cheaper than pages of a hundred, if its data is there.
_WORTH_A_JOB: Final = timedelta(days=1)


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

    @property
    def passes(self) -> list[dict[str, Any]]:
        """For the ledger."""
        return [
            {
                "pass": 1, "pages": self.pages, "rows": len(self.rows) + self.duplicates,
                "duplicates": self.duplicates, "watermarks": sorted(set(self.watermarks)),
            }
        ]  # fmt: skip


async def better_way(api: Api, interval: Interval) -> Literal["query", "job"]:
    """A job for long intervals whose data is all there, else the query."""
    if interval.length < _WORTH_A_JOB:
        return "query"
    try:
        watermark = await api.data_availability()
    except ApiError:
        return "query"
    return "job" if watermark is not None and watermark >= to_text(interval.end) else "query"


async def read(
    api: Api,
    interval: Interval,
    members: Mapping[str, list[Any]],
    *,
    now: Callable[[], datetime],
    sleep: Sleep,
    take: Take,
    stop: asyncio.Event | None = None,
) -> Result:
    """Run a job over the interval and hand its rows on.

    Raises PastWatermark, UsageError (the platform refuses the filter), ApiError and its kinds, Stopped.
    """
    result = Result()
    await _watermark(api, interval, result)
    job_id = await _create(api, interval, members)
    try:
        state, told = await _finished(api, job_id, now=now, sleep=sleep, stop=stop)
        if state != "FULFILLED":
            result.reason = f"the job ended as {state}{f' ({told})' if told else ''}"
            result.as_of = result.watermarks[0]
            return result
        await _results(api, job_id, interval, result, take, stop)
    except (Stopped, asyncio.CancelledError):
        await _cancel(api, job_id)
        raise
    await _watermark(api, interval, result)
    result.as_of = min(result.watermarks)
    result.consistent = not (result.nameless or result.duplicates)
    if result.nameless:
        result.reason = f"{result.nameless} rows of the job have no id"
    elif result.duplicates:
        result.reason = f"{result.duplicates} rows of the job came twice"
    return result


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


async def _results(
    api: Api, job_id: str, interval: Interval, result: Result, take: Take, stop: asyncio.Event | None
) -> None:
    cursor: str | None = None
    while True:
        page = await api.job_results(job_id, cursor)
        if page.data_availability_date is not None:
            _reaches(interval, page.data_availability_date, result)
        result.pages += 1
        for row in page.rows:
            if row.conversation_id is None:
                result.nameless += 1
            elif row.conversation_id in result.rows:
                result.duplicates += 1
            else:
                result.rows[row.conversation_id] = packed(row.start, row.end)
        await take(page.rows, min(result.watermarks))
        cursor = page.cursor
        if cursor is None:
            return
        if stop is not None and stop.is_set():
            raise Stopped
