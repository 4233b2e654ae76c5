"""Bands of time in characters, held against the same time cut into minutes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.times import to_text
from rollbook.store.commands.live import bands
from rollbook.store.tables.coverage import Span
from rollbook.store.views.reports import worst
from rollbook.store.views.time_pieces import Piece
from rollbook.store.vocabulary import PROVEN, Verdict

START = datetime(2026, 3, 2, tzinfo=UTC)
# Six hours in steps of ten minutes, as API text.
STEPS = [to_text(START + timedelta(minutes=10 * step)) for step in range(37)]
PLACES = st.integers(0, 36)


def at(minutes: int) -> str:
    """API text of so many minutes after the start."""
    return to_text(START + timedelta(minutes=minutes))


# A verdict for each step, or no window.
LEDGERS = st.lists(st.sampled_from([None, *Verdict]), max_size=len(STEPS) - 1)
FEW = settings(max_examples=50)


def test_every_state_has_a_shape_of_its_own() -> None:
    """No two states look alike without colour, in UTF-8 or in ASCII; and every verdict is a state."""
    assert {verdict.value for verdict in Verdict} < set(bands.MARKS)
    for shapes in (
        [mark.character for mark in bands.MARKS.values()],
        [mark.plain for mark in bands.MARKS.values()],
    ):
        assert len(set(shapes)) == len(shapes) == sum(map(len, shapes))
    assert "".join(mark.plain for mark in bands.MARKS.values()).isascii()


@FEW
@given(st.integers(0, 600), st.integers(0, 600), st.integers(1, 64))
def test_cells_reach_from_the_start_over_the_end(first: int, length: int, most: int) -> None:
    """They are as wide as each other, begin at a half hour, are at most so many, and the end lies in the last."""
    start, end = START + timedelta(minutes=first), START + timedelta(minutes=first + length)
    edges = [datetime.fromisoformat(edge) for edge in bands.edges(start, end, most)]
    assert len({b - a for a, b in pairwise(edges)}) == 1
    assert 1 <= len(edges) - 1 <= most
    assert edges[0] <= start < edges[0] + bands.HALF_HOUR
    assert edges[-2] <= end < edges[-1]


@FEW
@given(LEDGERS, PLACES, st.integers(1, 12))
def test_a_cell_shows_the_worst_of_its_time(found: list[Verdict | None], open_from: int, most: int) -> None:
    """No moment of it is worse than what it shows; closed time without a window shows, and nothing is invented.

    Time to come makes a cell pending, unless something in it is worse than a proof.
    """
    edges = bands.edges(START, START + timedelta(minutes=359), most)
    pieces = [Piece(STEPS[at], STEPS[at + 1], verdict) for at, verdict in enumerate(found) if verdict is not None]
    verdicts = [*found, *[None] * (len(STEPS) - len(found))]
    for state, first, last in zip(bands.verdicts(pieces, edges, STEPS[open_from]), edges, edges[1:], strict=False):
        inside = [at for at, step in enumerate(STEPS) if first <= step < last]
        to_come = [at for at in inside if verdicts[at] is None and at >= open_from]
        closed = [verdicts[at] for at in inside if at not in to_come]
        expected = worst(closed) if closed else Verdict.PENDING
        if to_come and expected in PROVEN:
            expected = Verdict.PENDING
        assert state == (expected or bands.NO_WINDOW)


def test_the_marks_are_in_the_order_of_the_verdicts_worth() -> None:
    """The legend names them from the best to the worst."""
    verdicts: list[str | None] = [None if state == bands.NO_WINDOW else state for state in bands.MARKS]
    assert all(worst(verdicts[: place + 1]) == verdict for place, verdict in enumerate(verdicts))


def span(first: int, last: int | None) -> Span:
    """A stretch of listening, in minutes after the start."""
    ended = None if last is None else at(last)
    return Span("websocket", "queues", ("a",), at(first), ended, ended or at(600), None)


def test_what_was_listened_to_is_a_share_of_the_cell() -> None:
    """Before the first listening a cell says nothing; after it, the share of its time; of what is to come, nothing."""
    edges = [at(minute) for minute in (0, 30, 60, 90, 120)]
    shares = bands.listening([span(30, 45), span(75, None)], edges, START + timedelta(minutes=90))
    assert shares == [None, 0.5, 0.5, None]


@pytest.mark.parametrize("plain", [True, False])
def test_only_all_of_it_is_a_full_block(plain: bool) -> None:
    """A height never looks like everything, or like nothing, when it is not."""
    full, nothing = bands.height(1.0, plain=plain), bands.height(0.0, plain=plain)
    for share in (0.0001, 0.5, 0.99, 0.999999):
        assert bands.height(share, plain=plain) not in (full, nothing)
    assert len({full, nothing, bands.height(None, plain=plain)}) == 3
