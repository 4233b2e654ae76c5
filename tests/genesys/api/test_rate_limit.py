"""When the next request may go, and what is asked again: decisions over a virtual clock."""

import math
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.api import rate_limit, retry
from rollbook.genesys.api.rate_limit import MARGIN, MINUTE, Budget, Figures, figures


def run_dry(budget: Budget, now: float) -> int:
    """How many requests the budget lets go at once."""
    gone = 0
    while budget.take(now) == 0:
        gone += 1
    return gone


def test_a_burst_to_the_limit_then_the_next_minute() -> None:
    """Requests go as they come until the minute's are used; then they wait for its end."""
    budget = Budget(allowed=300)
    assert run_dry(budget, 100.0) == 300
    assert budget.take(110.0) == pytest.approx(MINUTE + MARGIN - 10)
    for _ in range(300):
        budget.answered(120.0)
    assert run_dry(budget, 100.0 + MINUTE + MARGIN) == 300


def test_a_share_of_the_minute() -> None:
    """A daemon leaves the rest to a run by hand; at least one request a minute is always its own."""
    assert run_dry(Budget(share=0.8, allowed=300), 0.0) == 240
    assert run_dry(Budget(share=0.001, allowed=300), 0.0) == 1


def test_the_servers_count_is_believed() -> None:
    """What others have used of the same token's minute is not there for us, nor what is under way."""
    budget = Budget()
    budget.take(0.0)
    budget.answered(1.0, Figures(count=180, allowed=200, reset=30.0))
    assert budget.left == 20
    assert run_dry(budget, 1.0) == 20
    assert budget.take(1.0) == pytest.approx(30.0 + MARGIN)


def test_a_minute_that_the_server_began_earlier() -> None:
    """If its minute is a new one, its count replaces ours, with what is still on its way."""
    budget = Budget(allowed=10)
    assert run_dry(budget, 0.0) == 10
    for _ in range(9):
        budget.answered(1.0, Figures(count=10, allowed=10, reset=20.0))
    budget.answered(22.0, Figures(count=1, allowed=10, reset=59.0))
    assert budget.left == 9


def test_nothing_is_sent_while_the_platform_refuses() -> None:
    """A 429 stops every request of the process until its Retry-After is over."""
    budget = Budget()
    budget.take(0.0)
    budget.answered(0.5)
    budget.refused(0.5, 7.0)
    assert budget.take(1.0) == pytest.approx(6.5)
    assert budget.take(7.6) == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"inin-ratelimit-count": "1", "inin-ratelimit-allowed": "180", "inin-ratelimit-reset": "61"},
            Figures(1, 180, 61.0),
        ),
        ({}, Figures()),
        ({"inin-ratelimit-count": "x", "inin-ratelimit-allowed": "-5", "inin-ratelimit-reset": "nan"}, Figures()),
        ({"inin-ratelimit-reset": "1e300", "inin-ratelimit-allowed": ""}, Figures()),
    ],
)
def test_headers_are_read_leniently(headers: dict[str, str], expected: Figures) -> None:
    """What is no sensible number is not there."""
    assert figures(headers) == expected


@given(
    st.integers(1, 40),
    st.floats(0.3, 1.0),
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 3)), min_size=1, max_size=150),
    st.booleans(),
)
def test_a_server_that_counts_by_fixed_minutes_never_refuses(
    allowed: int, share: float, steps: list[tuple[float, float]], has_headers: bool
) -> None:
    """Whatever the pauses and delays, no minute of the server's has more requests than our share of what it allows.

    A server that tells no figures can begin its minute within ours: then it is twice that, and a 429 says the rest.
    """
    budget = Budget(share=share, allowed=allowed)
    now, began, count = 0.0, -math.inf, 0
    flying: deque[tuple[float, Figures]] = deque()

    def answer_until(moment: float) -> None:
        while flying and flying[0][0] <= moment:
            answered, what = flying.popleft()
            budget.answered(answered, what if has_headers else Figures())

    for pause, delay in steps:
        now += pause
        answer_until(now)
        waits = 0
        while (wait := budget.take(now)) > 0:
            now += wait
            answer_until(now)
            waits += 1
            assert waits <= 3
        if now >= began + MINUTE:
            began, count = now, 0
        count += 1
        assert count <= max(1, int(allowed * share)) * (1 if has_headers else 2)
        at = max(now + delay, flying[-1][0]) if flying else now + delay
        flying.append((at, Figures(count, allowed, max(0.0, began + MINUTE - at))))


def test_waits_double_to_half_a_minute_and_end() -> None:
    """Five waits after six tries: a second, two, four, eight, sixteen, of which a random half may be missing."""
    longest = [retry.wait(attempt, retry_after=None, draw=lambda: 1.0) for attempt in range(1, 7)]
    shortest = [retry.wait(attempt, retry_after=None, draw=lambda: 0.0) for attempt in range(1, 7)]
    assert longest == [1.0, 2.0, 4.0, 8.0, 16.0, None]
    assert shortest == [0.5, 1.0, 2.0, 4.0, 8.0, None]


def test_retry_after_is_obeyed_or_given_up() -> None:
    """Never earlier than told; beyond three minutes it is a daily limit, and waiting has no sense."""
    assert retry.wait(1, retry_after=30.0, draw=lambda: 0.25) == 30.25
    assert retry.wait(1, retry_after=0.0, draw=lambda: 0.0) == 0.0
    assert retry.wait(1, retry_after=180.0, draw=lambda: 0.0) == 180.0
    assert retry.wait(1, retry_after=181.0, draw=lambda: 0.0) is None


@given(st.lists(st.none() | st.floats(0, 400), min_size=10, max_size=10), st.integers())
def test_the_waits_of_a_request_are_bounded(after: list[float | None], seed: int) -> None:
    """However the platform answers, six tries and five minutes are the end."""
    draw, waited, attempt = random.Random(seed).random, 0.0, 1
    while (wait := retry.wait(attempt, retry_after=after[attempt - 1], draw=draw, waited=waited)) is not None:
        asked = after[attempt - 1]
        assert asked is None or wait >= asked
        waited += wait
        attempt += 1
    assert attempt <= retry.TRIES
    assert waited <= retry.PATIENCE


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7.0),
        (429, {"inin-ratelimit-reset": "41"}, 41.0),
        (429, {}, None),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "inin-ratelimit-reset": "5"}, 5.0),
        (503, {"retry-after": "2.5"}, 2.5),
        (503, {"inin-ratelimit-reset": "41"}, None),
        (429, {"retry-after": "-1"}, None),
        (429, {"retry-after": "nan"}, None),
        (429, {"retry-after": "inf"}, math.inf),
    ],
)
def test_how_long_the_platform_asks_to_wait(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """Retry-After in seconds; on a 429 without it, the end of the minute."""
    assert retry.retry_after(status, headers) == seconds


def test_what_is_worth_asking_again() -> None:
    """The moments that pass: timeouts, rate limits, gateways and servers; never a refusal."""
    assert set(retry.STATUSES) == {408, 429, 500, 502, 503, 504}
    assert not retry.STATUSES & {400, 401, 403, 404, 409, 413, 415}
    assert rate_limit.ALLOWED == 300
