"""How long it takes to close a day of windows: what the share of the rate limit allows, without one refusal.

Seconds are virtual ones, the same for the client's budget and the organisation's limiter: a pause passes at once.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime.daemon.daemon import SHARE
from reconcile.due.rounds import AT_ONCE, Round, run_due
from rollbook.genesys.api.client import Api
from rollbook.genesys.program.settings import load
from rollbook.simulator import Simulator
from rollbook.store.book import Book

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
QUERY = "POST /api/v2/analytics/conversations/details/query"


class Seconds:
    """A clock that a pause moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.under_way: Callable[[], int] = lambda: 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.under_way():
            await asyncio.sleep(0.001)  # answers come within the minute in which they were asked for
        self.now = max(self.now, until)


@pytest.mark.parametrize(("share", "width"), [(SHARE, 4)])
async def test_a_day_is_closed_as_fast_as_the_limit_allows(tmp_path: Path, share: float, width: int) -> None:
    """24 hours of windows at 300 requests a minute: within 5 % of what the share of it allows, and without one 429."""
    clock = Seconds()
    simulator = Simulator(seed=3, start=START, rate=0, per_hour=40, rate_limit=300, monotonic=clock)
    async with simulator:
        simulator.clock.advance(DAY + timedelta(hours=1))
        settings = load(env=simulator.env, cwd=tmp_path, flags={"width": timedelta(minutes=width), "since": START})
        with Book.open(tmp_path / "rollbook.db") as book:
            async with Api(settings, clock=clock, sleep=clock.sleep, share=share, now=simulator.now) as api:
                clock.under_way = lambda: api.budget.in_flight
                began = clock.now
                how = Round(at_once=AT_ONCE, sleep=clock.sleep, wait=0)
                report = await run_due(book, api, settings, now=simulator.now, how=how)
                seconds = clock.now - began
                assert api.budget.not_before == 0, "the platform never said 429"
        requests = sum(
            count for name, count in simulator.request_counts.items() if name.startswith(("POST /api", "GET"))
        )
        assert len(report.windows) >= DAY / settings.width
        assert not report.errors
        least = (math.ceil(requests / (300 * share)) - 1) * 60
        print(f"{requests} requests of {300 * share:.0f} a minute: {seconds:.0f} s, at least {least} s")
        assert least >= 120, "more than a few minutes' worth"
        assert seconds <= least * 1.05
        owned = sum(result.owned for result in report.windows)
        assert owned == len(simulator.truth(START, report.windows[0].window.end))
        assert simulator.request_counts[QUERY] <= 2 * len(report.windows) + owned / 100 + AT_ONCE


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 730])
async def test_a_quiet_window_costs_its_pages_and_two(tmp_path: Path, rows: int) -> None:
    """A closed window that answers n rows takes no more than ⌈n/100⌉ + 2 details queries when nothing moves.

    One that begins a day takes three more, for what starts around midnight, before the reading and twice after it.
    """
    simulator = Simulator(seed=3, start=START, rate=0, per_hour=0, rate_limit=100_000)
    async with simulator:
        simulator.world._per_hour = 10_000
        while len(simulator.world.conversations) < rows:
            simulator.clock.advance(timedelta(seconds=0.2))
            simulator.world.grow(simulator.now())
        simulator.world._per_hour = 0
        for life in simulator.world.conversations[rows:]:
            simulator.world.forget(life.id)
        simulator.clock.advance(timedelta(hours=1) + (START + DAY - simulator.now()))
        settings = load(env=simulator.env, cwd=tmp_path, flags={"width": timedelta(days=1), "since": START})
        with Book.open(tmp_path / "rollbook.db") as book:
            async with Api(settings, now=simulator.now) as api:
                report = await run_due(book, api, settings, now=simulator.now)
                again = simulator.request_counts[QUERY]
        assert report.windows[0].unique == rows
        assert again <= math.ceil(rows / 100) + 5
