"""No verdict better than `failed` on a window whose truth differs from the store, in any world.

Hypothesis draws the worlds. ROLLBOOK_WORLDS says how many (40 by default, 10000 for the whole claim).
"""

import asyncio
import logging
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.api.http import TransportError
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault, Script
from rollbook.simulator.rest.analytics import details_query
from rollbook.simulator.times import text
from tests import worlds
from tests.helpers.oracle import Oracle
from tests.helpers.wire import Organisation, Shown


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What goes wrong in a world is meant to: nothing of it belongs into a test's output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=int(os.environ.get("ROLLBOOK_WORLDS", "40")), deadline=None, print_blob=True)
@given(draw=st.randoms(note_method_calls=False, use_true_random=False), seed=st.integers(0, 10**6))
def test_no_window_is_proven_that_is_not_whole(draw: random.Random, seed: int) -> None:
    """Whatever the platform, the clocks, the crashes and the writers do: what is called proven is in the store."""
    plan = worlds.plan(seed, draw)
    outcome = worlds.play(plan)
    assert not outcome.wrong, "\n".join([str(plan), *outcome.said])


def test_a_world_is_made_of_its_seed() -> None:
    """The same seed is the same world with the same end, another seed is another.

    Two programs that run at once may ask one question more or less: which of them is first at the store is the
    machine's business.
    """
    assert worlds.plan(7) == worlds.plan(7)
    assert worlds.plan(7) != worlds.plan(8)
    first, other = worlds.play(worlds.plan(7)), worlds.play(worlds.plan(7))
    assert (first.verdicts, first.wrong) == (other.verdicts, other.wrong)
    assert abs(first.requests - other.requests) <= first.requests / 20


def test_the_judge_counts_what_there_was_when_an_answer_was_given() -> None:
    """A total that left a conversation out did so, though another that went on into the interval is deleted later."""
    start = datetime(2026, 3, 2, 6, tzinfo=UTC)
    simulator = Simulator(seed=1, start=start, rate=0, per_hour=200, reading="overlap")
    simulator.world.grow(start + timedelta(hours=1))
    simulator.clock.advance(timedelta(hours=1, minutes=10))
    oracle = Oracle(simulator, [], timedelta(0), timedelta(0), timedelta(0), lambda _: start)
    first, last = start + timedelta(minutes=30), start + timedelta(minutes=45)
    asked = {"interval": f"{text(first)}/{text(last)}", "paging": {"pageSize": 100, "pageNumber": 1}}
    found = details_query.select(simulator.world, details_query.parse(asked), simulator.now(), reading="overlap")
    left_out, before = (
        next(line for line in found if line.start >= first),
        next(line for line in found if line.start < first),
    )

    def admits(total: int) -> bool:
        shown = Shown(at, 1, "query", asked, b'{"totalHits":%d}' % total, None)
        return oracle._admits(shown, left_out)

    at = simulator.now()
    simulator.clock.advance(timedelta(minutes=1))
    assert (admits(len(found)), admits(len(found) - 1)) == (True, False)
    simulator.world.forget(before.id)
    assert (admits(len(found)), admits(len(found) - 1)) == (True, False)


@pytest.mark.parametrize(
    ("kind", "parameters"), [("cut", {"part": 0.5}), ("no_date", {}), ("date_off", {"seconds": 600.0})]
)
def test_what_is_below_an_answer_strikes_in_a_world_too(kind: str, parameters: dict[str, float]) -> None:
    """There are no sockets here, and still a connection is lost, and an answer's `Date` is absent or another."""
    start = datetime(2026, 3, 2, 6, tzinfo=UTC)
    simulator = Simulator(seed=1, start=start, rate=0)
    simulator.faults = Script((Fault(kind, path="GET */me", count=1, parameters=parameters),), start)
    organisation = Organisation(simulator, page=100)

    async def dates() -> list[str | None]:
        return [
            (await organisation.answer("GET", "/api/v2/organizations/me", {}, b"")).headers.get("Date") for _ in "ab"
        ]

    if kind == "cut":
        with pytest.raises(TransportError):
            asyncio.run(dates())
    first, second = asyncio.run(dates())
    assert second is not None
    assert second.endswith("06:00:00 GMT")
    assert kind == "cut" or first == (None if kind == "no_date" else second.replace("06:00", "06:10"))
