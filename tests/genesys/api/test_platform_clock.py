"""The platform's time: a lower bound, whatever one answer says and whatever our own clock does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.api.platform_clock import DRIFT, PlatformClock, date_of, finer

START = datetime(2026, 3, 2, 10, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """A moment of the platform's."""
    return START + timedelta(seconds=seconds)


def whole(seconds: float) -> datetime:
    """Such a moment as a Date writes it."""
    return after(seconds).replace(microsecond=0)


def test_before_an_answer_our_own_clock_serves() -> None:
    """There is nothing else."""
    clock = PlatformClock()
    assert clock.now(at=5, local=after(90)) == after(90)
    assert clock.skew is None


@given(
    st.lists(st.tuples(st.floats(0, 600), st.floats(0, 4)), min_size=1, max_size=20),
    st.floats(-55, 55),
    st.floats(0, 3600),
)
def test_the_time_is_a_lower_bound_that_never_goes_back(
    answers: list[tuple[float, float]], skew: float, later: float
) -> None:
    """Answers that were under way for a while, with whole seconds: never later than it is, nor far behind.

    Where our own clock is behind, by as much more as that.
    """
    clock, at, former = PlatformClock(), 0.0, None
    for pause, under_way in answers:
        at += pause + under_way
        clock.take(whole(at - under_way), at=at, local=after(at + skew))
        now = clock.now(at=at, local=after(-1e6))
        assert now <= after(at + 0.001)
        assert former is None or now >= former
        former = now
    at += later
    now = clock.now(at=at, local=after(1e6))
    assert timedelta() <= after(at + 0.001) - now <= timedelta(seconds=6 + max(0.0, -skew) + DRIFT * (at + 1))


@given(st.floats(0.001, 59), st.integers(1, 9), st.floats(0, 3600))
def test_a_date_that_is_a_little_ahead_brings_no_time_forward(ahead: float, answers: int, later: float) -> None:
    """However many answers in a row have it: our own clock says that it is not so late yet."""
    clock = PlatformClock()
    for number in range(answers):
        clock.take(after(number + ahead), at=number, local=after(number))
    assert clock.now(at=answers + later, local=after(answers + later)) <= after(answers + later)


@given(st.integers(-10_000_000, 10_000_000).filter(lambda n: abs(n) > 61), st.floats(0, 1000))
def test_our_clock_may_jump_once_the_platforms_is_known(jump: int, pause: float) -> None:
    """What is known goes on by monotonic seconds; the skew tells the jump."""
    clock = PlatformClock()
    clock.take(after(0), at=0, local=after(0))
    assert clock.now(at=pause, local=after(pause + jump)) == clock.now(at=pause, local=after(0))
    clock.take(whole(pause), at=pause, local=after(pause + jump))
    assert clock.skew == pytest.approx(jump, abs=2)


@given(st.integers(-10_000_000, 10_000_000).filter(lambda n: abs(n) > 70), st.integers(0, 3))
def test_one_strange_date_changes_nothing(strange: int, spoiled: int) -> None:
    """A gateway with a wrong clock, an answer out of a cache: among others, it is passed over."""
    clock = PlatformClock()
    for number in range(5):
        at = number * 10.0
        clock.take(after(at + strange if number == spoiled + 1 else at), at=at, local=after(at))
        assert abs((clock.now(at=at, local=after(at)) - after(at)).total_seconds()) < 1


@given(st.integers(-10_000_000, 10_000_000).filter(lambda n: abs(n) > 70), st.floats(0.1, 100))
def test_two_strange_dates_in_a_row_are_believed(strange: int, pause: float) -> None:
    """Then it was what was known that is wrong; the earlier of the two counts."""
    clock = PlatformClock()
    clock.take(after(0), at=0, local=after(0))
    clock.take(after(pause + strange), at=pause, local=after(pause))
    clock.take(after(2 * pause + strange), at=2 * pause, local=after(2 * pause))
    now = clock.now(at=2 * pause, local=after(0))
    assert -1 < (now - after(2 * pause + strange)).total_seconds() <= 0


@given(st.integers(100, 10_000), st.integers(100, 10_000))
def test_strange_dates_that_differ_are_two_single_ones(first: int, other: int) -> None:
    """They do not bear each other out."""
    if abs(first - other) <= 6:
        return
    clock = PlatformClock()
    clock.take(after(0), at=0, local=after(0))
    clock.take(after(first), at=1, local=after(0))
    clock.take(after(other), at=2, local=after(0))
    assert abs((clock.now(at=2, local=after(0)) - after(2)).total_seconds()) < 1


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_the_first_date_needs_a_witness_if_our_clock_disagrees(ahead: int) -> None:
    """Until there are two, the earlier time counts; then the platform's."""
    clock = PlatformClock()
    clock.take(after(0), at=0, local=after(ahead))
    assert clock.skew == ahead
    assert clock.now(at=0, local=after(ahead)) == min(after(0), after(ahead))
    clock.take(after(5), at=5, local=after(5 + ahead))
    assert abs((clock.now(at=5, local=after(5 + ahead)) - after(5)).total_seconds()) < 1
    assert clock.skew == pytest.approx(ahead, abs=1)


@given(st.lists(st.integers(-100_000, 100_000), max_size=12))
def test_no_time_is_made_up(offsets: list[int]) -> None:
    """Whatever the answers say, the time is our own clock's or a Date's, gone on by the seconds since."""
    clock = PlatformClock()
    for number, offset in enumerate(offsets):
        clock.take(after(number + offset), at=float(number), local=after(number))
        now = clock.now(at=float(number), local=after(number))
        known = [after(number + offset) for offset in offsets[: number + 1]] + [after(number)]
        assert min(abs((now - moment).total_seconds()) for moment in known) < 1


def test_a_date_that_is_a_little_late_is_corrected_by_two() -> None:
    """A server that is some seconds ahead is believed at once, and the two that follow it as well."""
    clock = PlatformClock()
    for at, date in enumerate([0, 41, 2, 3]):
        clock.take(after(date), at=float(at), local=after(at))
    assert abs((clock.now(at=3, local=after(3)) - after(3)).total_seconds()) < 1


@pytest.mark.parametrize(
    ("headers", "date"),
    [
        ({"date": "Mon, 02 Mar 2026 10:00:00 GMT"}, START),
        ({"date": "Mon, 02 Mar 2026 11:00:00 +0100"}, START),
        ({"date": "Mon, 02 Mar 2026 10:00:00 GMT", "age": "90"}, after(90)),
        ({"date": "Mon, 02 Mar 2026 10:00:00 GMT", "age": "-5"}, START),
        ({"date": "Mon, 02 Mar 2026 10:00:00 GMT", "age": "9" * 30}, START),
        ({"date": "Mon, 02 Mar 2026 10:00:00"}, None),
        ({"date": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"date": "some day"}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_a_date_is_read_with_its_age(headers: dict[str, str], date: datetime | None) -> None:
    """What has lain in a cache is older than it says; what is no time is none."""
    assert date_of(headers) == date
    assert date is None or date_of(headers) == date.astimezone(timezone(timedelta(hours=5)))


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_headers_are_a_date_or_none(date: str, age: str) -> None:
    """No header makes an error."""
    found = date_of({"date": date, "age": age})
    assert found is None or found.tzinfo is not None


@given(st.floats(-30, 30, allow_nan=False))
def test_our_own_time_serves_where_it_may_be_the_platforms(ahead: float) -> None:
    """Within the two seconds that a lower bound may be behind, our clock is the finer one; outside, it is not asked."""
    known = datetime(2026, 3, 2, 10, tzinfo=UTC)
    local = known + timedelta(seconds=ahead)
    late = (local - known).total_seconds()
    assert finer(known, local) == (local if 0 <= late <= 2 else known)
