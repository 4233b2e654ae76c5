"""The clock that says "look at the ledger": the one door to APScheduler. What is due is not its business.

APScheduler's default forgets a job that starts more than a second late; here a late look is made all the same, late
ones are made as one, and never two at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger(__name__)


class Schedule:
    """Calls `job` after `wait` and then every so often. `start` and `stop` from the loop's own thread."""

    def __init__(self, job: Callable[[], Awaitable[None]], every: timedelta, wait: timedelta = timedelta(0)) -> None:
        self._job = job
        self._every = every
        self._wait = wait
        self._running: asyncio.Task[None] | None = None
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def start(self) -> None:
        """Begin."""
        self._scheduler.add_job(
            self._look,
            IntervalTrigger(seconds=self._every.total_seconds(), timezone=UTC),
            next_run_time=datetime.now(UTC) + self._wait,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=2,  # the second only sees that the first goes on; else there is a warning every time
        )
        self._scheduler.start()

    async def _look(self) -> None:
        if self._running is not None and not self._running.done():
            return
        # The scheduler cancels what runs when it shuts down, and calls that a failure. A look is a task of its own, so
        # that it may end well; `stop` waits for it.
        self._running = asyncio.ensure_future(self._job())
        try:
            await asyncio.shield(self._running)
        except asyncio.CancelledError:
            return

    async def stop(self) -> None:
        """Begin no more, and wait for the look under way, however it ends. Cancelling this cancels that."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._running is None or self._running.done():
            return  # how it ended, the scheduler has said
        [outcome] = await asyncio.gather(self._running, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.error("the last look at the ledger failed: %s", outcome)
