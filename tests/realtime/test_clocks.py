"""Clocks and the last hour: what jumps, what is wrong, and what counts for an hour and no longer."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.clocks import HOUR, Jumps, LastHour, Skew, corrected

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("jump", [31, -31, 3_600, -432_000, 1e9])
def test_a_jump_is_said_once_and_known_for_an_hour(jump: float) -> None:
    """Forward or back, by an hour or by years: the tick that sees it answers it, and no other."""
    jumps = Jumps()
    assert jumps.tick(1e9, 100) is None
    assert jumps.tick(1e9 + 5, 105) is None
    assert jumps.tick(1e9 + 10 + jump, 110) == pytest.approx(jump)
    assert jumps.tick(1e9 + 15 + jump, 115) is None
    assert jumps.of_last_hour(110 + HOUR) == pytest.approx(jump)
    assert jumps.of_last_hour(111 + HOUR) is None


@given(st.lists(st.floats(-29, 29), max_size=20))
def test_small_corrections_are_no_jumps(steps: list[float]) -> None:
    """A clock that is slewed by seconds at a time, however often, has not jumped."""
    jumps, wall = Jumps(), 1e9
    for at, step in enumerate(steps):
        wall += 5 + step
        assert jumps.tick(wall, 5.0 * at) is None or at == 0


@pytest.mark.parametrize(
    ("skew", "by"), [(None, 0), (0.0, 0), (29.0, 0), (-29.0, 0), (2_700.0, 2_700), (-3_600.0, -3_600)]
)
def test_a_clock_that_is_clearly_wrong_is_corrected(skew: float | None, by: float) -> None:
    """By what the platform says; a difference that a slow answer makes changes nothing."""
    assert corrected(NOW, skew) == NOW - timedelta(seconds=by)


def test_a_slow_answer_is_no_skew() -> None:
    """Among readings of some minutes the smallest counts; a clock that stays wrong is wrong, and at once at the start."""
    skew = Skew()
    for at, reading in enumerate([0.4, 61.0, None, -0.2, 75.0]):
        skew.take(reading, 5.0 * at)
        assert skew.steady is not None
        assert abs(skew.steady) < 1
    for at in range(200):
        skew.take(2_700.0, 100 + 5.0 * at)
    assert skew.steady == 2_700.0
    early = Skew()
    early.take(-3_600.0, 0)
    assert early.steady == -3_600.0
    skew.forget()
    skew.take(0.1, 1_200)
    assert skew.steady == 0.1


def test_the_last_hour_forgets() -> None:
    """What was counted counts for an hour, to a minute, whoever asks in between and whether anybody does."""
    for every in (5.0, 61.0, 1_800.0):
        letters, at = LastHour(), 1_000.0
        assert letters.take(0, at) == 0
        assert letters.take(7, at + 1) == 7
        while at < 1_000 + HOUR - every:
            at += every
            assert letters.take(7, at) == 7
        assert letters.take(9, 1_000 + HOUR + 130 + every) in (2, 9)
        assert letters.take(9, 1_000 + 3 * HOUR) == 0
