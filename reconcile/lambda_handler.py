"""The scheduled side of the function on AWS: what `reconcile --due` does, or `--window`, within the function's time.

It stops in good time: first it asks the run to end after the page under way, and if that takes too long (the platform
may tell us to wait for a minute), it ends it. What was read is stored by then; what was not read is still due.
Imported at every cold start of a function that mostly captures, it imports what reconciling needs when it reconciles.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program import cloudwatch
from rollbook.store.vocabulary import Verdict

if TYPE_CHECKING:
    from reconcile.report import Report
    from rollbook.genesys.api.client import Api
    from rollbook.genesys.program.settings import Settings
    from rollbook.store.book import Book


class FunctionContext(Protocol):
    """The part of Lambda's context that is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until AWS ends the function."""


# Without a context (a test, a shell) a run may take as long as a function may at most.
_LONGEST: Final = 900.0


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds from the start: when the run is asked to end, and when it is ended."""

    ask: float
    end: float


def time_of(left: float) -> Time:
    """Divide the seconds left: the last fifth (30 s at most) to end the run, the last tenth (5 s) to answer."""
    return Time(left - min(left / 5, 30.0), left - min(left / 10, 5.0))


def handler(event: Mapping[str, Any] | None, context: FunctionContext | None = None) -> dict[str, Any]:
    """Reconcile what is due, or `{"window": "START/END"}`; answers the report.

    Raises RollbookError for what prevents a run, as the command would end with status 1 or 2.
    """
    left = context.get_remaining_time_in_millis() / 1000 if context is not None else _LONGEST
    window = event.get("window") if isinstance(event, Mapping) else None
    report = asyncio.run(_reconcile(window, time_of(left)))
    _count(report)
    return report


async def _reconcile(window: Any, time: Time) -> dict[str, Any]:
    from rollbook.genesys.program.settings import load
    from rollbook.genesys.times import parse_interval

    settings = load(env=os.environ, cwd=Path.cwd())
    settings.require_platform()
    interval = None if window is None else parse_interval(str(window), now=datetime.now(UTC) + timedelta(days=1))
    done: list[Report] = []
    async with _asked_to_stop(time.ask) as stop:
        try:
            async with asyncio.timeout(time.end):
                return await (_due(settings, done, stop) if interval is None else _window(settings, interval, stop))
        except TimeoutError:
            if interval is not None:
                raise _out_of_time() from None
            from reconcile.report import DueReport

            return DueReport(windows=tuple(done), left=1).as_dict()


def _out_of_time() -> RollbookError:
    return RollbookError(
        "stopped before the function's deadline; what was read is stored: give the function more time, or a narrower"
        " window"
    )


async def _window(settings: Settings, interval: Any, stop: asyncio.Event) -> dict[str, Any]:
    from reconcile.reading.query import Stopped
    from reconcile.run.options import RunOptions
    from reconcile.run.runner import reconcile_window
    from rollbook.genesys.times import check_ended

    async with _opened(settings) as (api, book):
        check_ended(interval, api.now() + timedelta(seconds=2))
        options = RunOptions(command="lambda", wait=0.0, stop=stop)
        try:
            report = await reconcile_window(book, api, interval, settings=settings, now=api.now, options=options)
        except Stopped:
            raise _out_of_time() from None
        return report.as_dict()


async def _due(settings: Settings, done: list[Report], stop: asyncio.Event) -> dict[str, Any]:
    from reconcile.due.rounds import Round, run_due
    from reconcile.names.without_daemon import keep_names

    async with _opened(settings) as (api, book):
        how = Round(command="lambda", wait=0.0, on_report=done.append, stop=stop)
        report = await run_due(book, api, settings, now=api.now, how=how)
        if not report.left:
            await keep_names(book, api, now=api.now, stop=stop)
        return report.as_dict()


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Api, Book]]:
    from rollbook.genesys.api.client import Api
    from rollbook.store.organization_book import book_of

    async with Api(settings) as api, book_of(await api.organization(), settings, command="lambda") as book:
        yield api, book


@contextlib.asynccontextmanager
async def _asked_to_stop(after: float) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(after, stop.set)
    try:
        yield stop
    finally:
        timer.cancel()


def _count(report: Mapping[str, Any]) -> None:
    """Tell CloudWatch how many windows were read, and how many of them could not be proven or not be read."""
    windows = report.get("windows", [report])
    failed = sum(window.get("verdict") == Verdict.FAILED for window in windows) + len(report.get("errors", ()))
    cloudwatch.count(Windows=len(windows), FailedWindows=failed)
