"""What a job's answers prove: cursors that lead nowhere come to an end, parts become narrower, totals fit or do not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.reading import job_proof
from reconcile.reading.job_proof import CursorTrail, Group, agrees, counted, groups, narrower, smaller
from reconcile.reading.scan import Part, packed
from rollbook.genesys.times import Interval
from tests.helpers.organisation import START, WINDOW, at, page, record

CURSORS = st.text("ab", min_size=1, max_size=2)


@given(st.lists(st.tuples(CURSORS, st.integers(0, 2)), min_size=60, max_size=80))
def test_whatever_cursors_come_a_reading_ends(pages: list[tuple[str, int]]) -> None:
    """Six names are few: before any has been followed twice, the reading has ended."""
    trail, followed = CursorTrail(), []
    for cursor, new in pages:
        leads_on = trail.leads_on(cursor)
        if trail.take(cursor, new) is not None:
            break
        assert leads_on
        followed.append(cursor)
    assert len(followed) == len(set(followed)) <= 6


@given(st.lists(st.integers(0, 3), max_size=100))
def test_new_names_that_bring_nothing_end_too(new: list[int]) -> None:
    """A cursor of a new name each time is followed while rows come; a few pages without one are no end."""
    trail, idle = CursorTrail(), 0
    for number, rows in enumerate(new):
        ends = trail.take(f"c{number}", rows)
        idle = 0 if rows else idle + 1
        assert (ends is not None) == (idle > job_proof.MOST_IDLE)
        if ends:
            return
    assert trail.take(None, 0) is None, "a page without a cursor is the last, and nothing odd"


def test_pages_become_smaller_and_come_to_an_end() -> None:
    """A thousand rows, and at last ten."""
    assert [smaller(size) for size in job_proof.SIZES] == [*job_proof.SIZES[1:], None]


@given(st.integers(1, 40 * 86_400_000), st.integers(0, 86_400_000))
def test_a_part_becomes_narrower_until_it_is_an_hour_or_two(length: int, offset: int) -> None:
    """In two, without a gap; in midnights while it has some; after a few steps no more."""
    start = START + timedelta(milliseconds=offset)
    parts, steps = [Part(Interval(start, start + timedelta(milliseconds=length)))], 0
    while halves := narrower(parts[0]):
        assert len(halves) == 2
        first, second = (half.interval for half in halves)
        assert (first.start, second.end) == (parts[0].interval.start, parts[0].interval.end)
        assert first.end == second.start
        if parts[0].interval.length > timedelta(days=2):
            assert first.end.hour == first.end.minute == first.end.second == 0
        parts, steps = halves, steps + 1
        assert steps <= 12
    assert parts[0].interval.length < 2 * job_proof.NARROWEST


DAY = Interval(START.replace(hour=0), START.replace(hour=0) + timedelta(days=1))
ROWS = {
    "of last week": packed(at(-9000), None),
    "of this morning": packed(at(-60), at(5)),
    "over before": packed(at(-60), at(-5)),
    "first": packed(at(0), at(1)),
    "last": packed(at(29), None),
    "after": packed(at(30), None),
}


def test_the_rules_by_which_the_query_may_answer() -> None:
    """By start, by lifetime within the days' indexes, by lifetime: each its number and its first row."""
    assert [group.rows for group in groups(ROWS, WINDOW)] == [2, 3, 4]
    assert groups(ROWS, DAY)[0].rows == 5, "over whole days, what started on them is what started in them"
    assert groups({"a": packed(at(3), at(1))}, WINDOW)[0].rows == 1, "what ends before it starts did start"
    assert groups({"a": packed(None, None), "b": packed(at(3), at(4))}, WINDOW)[0].rows == 2, "no start, and it came"
    assert groups({}, WINDOW) == [Group(0, -1)]


@pytest.mark.parametrize(
    ("shown", "total", "fits"),
    [
        ("first", 2, True),
        ("of this morning", 3, True),
        ("of last week", 4, True),
        ("of last week", 3, False),
        ("of this morning", 2, False),
        ("first", 3, False),
        ("first", 4, False),
        ("first", 5, False),
        ("unknown", 2, False),
    ],
)
def test_a_total_fits_one_rule_with_its_first_row(shown: str, total: int, fits: bool) -> None:
    """As many as another rule would answer with are not the same rows: the first row tells them apart."""
    minutes = {"of last week": -9000, "of this morning": -60, "first": 0, "unknown": 0}
    assert agrees(groups(ROWS, WINDOW), page([record(shown, minutes[shown])], total), ROWS) == fits


def test_what_is_not_counted_is_no_total() -> None:
    """A saturated total counts nothing; an answer without rows and total counts none."""
    assert counted(page([], 0)) == 0
    assert counted(page([record("a")], job_proof.SATURATED - 1)) == job_proof.SATURATED - 1
    assert counted(page([record("a")], job_proof.SATURATED)) is None
    rows = {"a": packed(at(1), at(2))}
    assert agrees(groups(rows, WINDOW), page([record("a", 1)], job_proof.SATURATED), rows)
    assert not agrees(groups(rows, WINDOW), page([record("b", 1)], job_proof.SATURATED), rows), "it shows another"
    assert not agrees(groups(rows, WINDOW), page([], 0), rows)
