"""The bar of the main job: 5,000 conversations whose rows move between the pages while they are read.

The organisation is the simulator; rows are inserted late, end, disappear and come back between one page and the next.
"""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import conversations
from tests.helpers.whole import assert_store_is, rows_of

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
QUERY = "POST /api/v2/analytics/conversations/details/query"


def moving(seed: int, *, until: int) -> Callable[[Simulator, int], None]:
    """Movement before each of the first `until` queries: rows held back appear, rows disappear, and come back."""
    draw = random.Random(seed)

    def drift(simulator: Simulator, queries: int) -> None:
        if queries > until:
            simulator.hidden.clear()
            return
        lives = simulator.world.conversations
        for _ in range(draw.randrange(4)):
            if simulator.hidden and draw.random() < 0.6:
                simulator.hidden.discard(draw.choice(sorted(simulator.hidden)))
            else:
                simulator.hidden.add(draw.choice(lives).id)

    return drift


async def run(book: Book, simulator: Simulator, window: Interval) -> dict[str, Any]:
    """One reconciliation; pauses between passes take no time."""

    async def at_once(_: float) -> None:
        return None

    async with Api(load(env=simulator.env, cwd=Path("/")), sleep=at_once) as api:
        settings = load(env=simulator.env, cwd=Path("/"))
        report = await reconcile_window(
            book, api, window, settings=settings, now=simulator.now, options=RunOptions(sleep=at_once)
        )
        return report.as_dict()


@pytest.mark.parametrize("reading", ["overlap", "day"])
async def test_five_thousand_moving_conversations_end_exact(reading: str, tmp_path: Path) -> None:
    """Under both readings of the interval the store equals the truth, every conversation once; again writes nothing."""
    path = tmp_path / "rollbook.db"
    simulator = Simulator(
        seed=11, start=START, rate=0, per_hour=2500, reading=reading, rate_limit=1_000_000, drift=moving(1, until=60)
    )
    async with simulator:
        simulator.clock.advance(timedelta(hours=2))
        draw = random.Random(2)
        simulator.world.grow(simulator.now())
        simulator.hidden.update(life.id for life in draw.sample(simulator.world.conversations, 40))
        window = Interval(START, START + timedelta(hours=2))
        simulator.clock.advance(timedelta(minutes=30))
        with Book.open(path) as book:
            report = await run(book, simulator, window)
            assert report["verdict"] in ("open", "complete"), report
            rows = len(simulator.world.between(START, simulator.now())) if reading == "day" else report["unique"]
            assert report["proof_requests"] <= math.ceil(rows / 100) * 1.1 + 6
            assert report["passes"] > 1, "movement was seen, and one pass was not believed"
            truth = simulator.truth(window.start, window.end)
            assert len(truth) > 4500
            assert report["owned"] == report["missing"] == len(truth)
            assert_store_is(path, truth, start="2026-03-02T10:00:00.000Z", end="2026-03-02T12:00:00.000Z")
            before = rows_of(path)
            asked = simulator.request_counts[QUERY]
            again = await run(book, simulator, window)
            assert (again["written"], again["missing"], again["changed"]) == (0, 0, 0)
            assert rows_of(path) == before
            answered = len(simulator.world.between(START, simulator.now())) if reading == "day" else again["unique"]
            spent = simulator.request_counts[QUERY] - asked
            passes = again["passes"]
            assert spent <= passes * (math.ceil(answered / 100) * 1.1 + 6)


@pytest.mark.parametrize("reading", ["overlap", "day"])
async def test_what_ends_while_it_is_read_is_followed(reading: str, tmp_path: Path) -> None:
    """Time passes between the pages: calls end, audio is measured late. One more look, and the store is the truth."""
    path = tmp_path / "rollbook.db"
    move = moving(3, until=40)

    def drift(simulator: Simulator, queries: int) -> None:
        move(simulator, queries)
        if queries <= 40:
            simulator.clock.advance(timedelta(seconds=5))

    simulator = Simulator(
        seed=12, start=START, rate=0, per_hour=1500, reading=reading, rate_limit=1_000_000, drift=drift
    )
    async with simulator:
        window = Interval(START, START + timedelta(hours=1))
        simulator.clock.advance(timedelta(hours=1, minutes=10))
        with Book.open(path) as book:
            report = await run(book, simulator, window)
            truth = simulator.truth(window.start, window.end)
            assert report["verdict"] in ("open", "complete"), report
            assert report["owned"] == len(truth)
            assert set(
                await book.read(conversations.details_of, "2026-03-02T10:00:00.000Z", "2026-03-02T11:00:00.000Z")
            ) == set(truth)
            simulator.clock.advance(timedelta(minutes=1))
            later = await run(book, simulator, window)
            assert later["missing"] == 0
            truth = simulator.truth(window.start, window.end)
            assert_store_is(path, truth, start="2026-03-02T10:00:00.000Z", end="2026-03-02T11:00:00.000Z")
            assert (await run(book, simulator, window))["written"] == 0
