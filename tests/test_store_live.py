"""The live picture: any order, any repetition, the same result; details are never overruled."""

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from genesys.notification import LiveFacts, Observation
from store import live
from store.book import Book

TIMES = st.integers(0, 59).map(lambda second: f"2026-03-02T10:00:{second:02}.000Z")
MAYBE = st.none() | TIMES
FACTS = st.builds(
    LiveFacts,
    started_at=MAYBE,
    ended_at=MAYBE,
    last_at=MAYBE,
    media_types=st.sampled_from([(), ("voice",), ("voice", "message")]),
    originating_direction=st.sampled_from([None, "inbound", "outbound"]),
    division_ids=st.sampled_from([(), ("d1",), ("d2",)]),
)
ARRIVED = "2026-03-02T10:01:00.000Z"


def _apply(known: live.Known, heard: live.Heard) -> live.Known:
    after = live.merge(known, heard)
    if after is None:
        return known
    values = dict(zip(live.COLUMNS, after, strict=True))
    return known._replace(**values)


def _heard(facts: LiveFacts) -> live.Heard:
    entry = live.Heard(ARRIVED)
    entry.add(facts, ARRIVED)
    return entry


def _first(facts: LiveFacts) -> live.Known:
    values = dict(zip(live.COLUMNS, live.first(_heard(facts)), strict=True))
    return live.Known(**values, read_at=None, has_details=0)


@given(st.lists(FACTS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(facts: list[LiveFacts], draw: random.Random) -> None:
    """The same events in another order, some of them twice, leave the same picture."""
    again = [*facts, *draw.sample(facts, k=draw.randint(0, len(facts)))]
    draw.shuffle(again)

    def picture(events: list[LiveFacts]) -> live.Known:
        known = _first(events[0])
        for event in events[1:]:
            known = _apply(known, _heard(event))
        return known

    assert picture(facts) == picture(again)


@given(st.lists(FACTS, min_size=1, max_size=8), st.integers(0, 8))
def test_batches_do_not_matter(facts: list[LiveFacts], cut: int) -> None:
    """Events gathered in one batch say what they say one by one."""

    def event(one: LiveFacts) -> Observation:
        return Observation(
            topic="t", body=b"{}", identity=b"", conversation_id="c", event_time=None, received_at=ARRIVED, source="s",
            facts=one,
        )  # fmt: skip

    whole = live.gather([event(one) for one in facts])["c"]
    values = dict(zip(live.COLUMNS, live.first(whole), strict=True))
    together = live.Known(**values, read_at=None, has_details=0)
    known = _first(facts[0])
    for one in facts[1:]:
        known = _apply(known, _heard(one))
    assert together == known


@given(st.lists(FACTS, min_size=1, max_size=6), st.none() | TIMES, TIMES)
def test_beside_details_only_an_end_after_the_read_is_taken(
    facts: list[LiveFacts], end: str | None, read_at: str
) -> None:
    """Details stand: events change neither start, direction, media nor divisions, and add no end older than the read."""
    if end is not None and end > read_at:
        end = read_at
    known = live.Known(
        "2026-03-02T09:00:00.000Z", end, "inbound", '["voice"]', "[]", "reconciled", None, None, 0, read_at, None, 1
    )
    for one in facts:
        after = _apply(known, _heard(one))
        assert after[0] == known[0]
        assert after[2:5] == known[2:5]
        assert end is None or after.conversation_end == end
        if after.conversation_end != known.conversation_end:
            assert after.conversation_end is not None
            assert after.conversation_end > read_at
        assert bool(after.look_again) == (after.last_heard is not None and after.last_heard > read_at)
        known = after


def test_a_clock_in_the_future_asks_for_no_endless_looking(tmp_path: Path) -> None:
    """An event that bears a time after its own arrival counts as of its arrival."""
    facts = LiveFacts(
        started_at=None, ended_at=None, last_at="2999-01-01T00:00:00.000Z", media_types=(), originating_direction=None,
        division_ids=(),
    )  # fmt: skip
    assert _first(facts).last_heard == ARRIVED
    with Book.open(tmp_path / "b.db") as book:
        assert book.open_conversations() == []
