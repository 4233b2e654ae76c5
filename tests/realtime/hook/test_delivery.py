"""When an alert may be sent: a stream in its order, back-off, and a pause while the receiver is down."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.hook.delivery import DeliveryTimes

OUTCOMES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 100)), max_size=60)


@given(OUTCOMES)
def test_nothing_is_put_off_for_ever(outcomes: list[tuple[str, bool, float]]) -> None:
    """Whatever went wrong, each stream may be tried again within a minute, and the rest says when."""
    delivery, now = DeliveryTimes(), 0.0
    for stream, is_taken, passed in outcomes:
        now += passed
        if is_taken:
            delivery.taken(stream)
        else:
            delivery.failed(stream, now)
    for stream in "abc":
        assert delivery.may_send(stream, now + 60.0)
        due = now + delivery.rest([stream], now, 10_000.0)
        assert delivery.may_send(stream, due + 1e-6)
        assert due == now or not delivery.may_send(stream, due - 1e-3)


def test_a_stream_that_fails_waits_longer_each_time_and_holds_no_other() -> None:
    """1, 2, 4 seconds … up to a minute; another stream is sent meanwhile; what is taken begins anew."""
    delivery = DeliveryTimes()
    for seconds in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        delivery.failed("a", 0.0)
        delivery.taken("b")
        assert delivery.may_send("b", 0.0)
        assert not delivery.may_send("a", seconds - 0.1)
        assert delivery.may_send("a", seconds)
    delivery.taken("a")
    delivery.failed("a", 0.0)
    assert delivery.may_send("a", 1.0)


def test_failures_in_a_row_are_the_receivers() -> None:
    """After the fourth everything waits, longer each time up to a minute; the first that is taken ends it."""
    delivery = DeliveryTimes()
    for number in range(3):
        delivery.failed(f"{number}", 0.0)
    assert delivery.may_send("other", 0.0)
    delivery.failed("3", 0.0)
    assert not delivery.may_send("other", 0.9)
    assert delivery.may_send("other", 1.0)
    for number in range(40):
        delivery.failed(f"more {number}", 100.0)
    assert not delivery.may_send("other", 159.0)
    assert delivery.may_send("other", 160.0)
    delivery.taken("other")
    delivery.failed("again", 200.0)
    assert delivery.may_send("yet another", 200.0)


def test_a_receiver_may_ask_for_a_pause() -> None:
    """Everything waits for as long as it says, but for an hour at most."""
    delivery = DeliveryTimes()
    delivery.failed("a", 0.0, asked=90.0)
    assert not delivery.may_send("b", 89.0)
    assert delivery.may_send("b", 90.0)
    delivery.failed("a", 100.0, asked=1e9)
    assert delivery.may_send("b", 3_700.0)


def test_it_rests_until_something_may_be_sent() -> None:
    """No longer than it is told to, and not at all where something may be sent now."""
    delivery = DeliveryTimes()
    assert delivery.rest([], 5.0, 1.0) == 1.0
    delivery.failed("a", 5.0)
    assert delivery.rest(["a"], 5.25, 10.0) == 0.75
    assert delivery.rest(["a", "b"], 5.25, 10.0) == 0.0
    assert delivery.rest(["a"], 5.0, 0.5) == 0.5
