"""No verdict better than `failed` on a window whose truth differs from the store, in any world.

Hypothesis draws the worlds. ROLLBOOK_WORLDS says how many (500 by default, 10000 for the whole claim).
"""

import logging
import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import worlds


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What goes wrong in a world is meant to: nothing of it belongs into a test's output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=int(os.environ.get("ROLLBOOK_WORLDS", "500")), deadline=None, print_blob=True)
@given(draw=st.randoms(note_method_calls=False, use_true_random=False), seed=st.integers(0, 10**6))
def test_no_window_is_proven_that_is_not_whole(draw: random.Random, seed: int) -> None:
    """Whatever the platform, the clocks, the crashes and the writers do: what is called proven is in the store."""
    plan = worlds.plan(seed, draw)
    outcome = worlds.play(plan)
    assert not outcome.wrong, "\n".join([str(plan), *outcome.said])


def test_a_world_is_made_of_its_seed() -> None:
    """The same seed is the same world with the same end, another seed is another."""
    assert worlds.plan(7) == worlds.plan(7)
    assert worlds.plan(7) != worlds.plan(8)
    one, other = worlds.play(worlds.plan(7)), worlds.play(worlds.plan(7))
    assert (one.requests, one.verdicts, one.wrong) == (other.requests, other.verdicts, other.wrong)
