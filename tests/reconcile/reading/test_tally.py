"""Figures from pages: what a run has read, against the store as it stood when the run began."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.reading.scan import packed
from reconcile.reading.tally import RowBatch, Tally
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import Interval
from tests.helpers.organisation import WINDOW, at, page, record

NEXT = Interval(WINDOW.end, WINDOW.end + timedelta(minutes=30))


def rows(*records: Mapping[str, Any]) -> Sequence[DetailRow]:
    """Records as a page brings them."""
    return page(records).rows


def packed_of(*records: Mapping[str, Any]) -> dict[str, int]:
    """What a proof keeps of them."""
    return {row.conversation_id: packed(row.start, row.end) for row in rows(*records) if row.conversation_id}


def shown(batches: Sequence[RowBatch]) -> list[tuple[int, list[str | None], bool]]:
    """Batches, briefly."""
    return [(batch.window, [row.conversation_id for row in batch.rows], batch.again) for batch in batches]


def test_a_row_is_handed_on_once_and_again_only_if_it_is_other_than_it_was() -> None:
    """The same bytes are written once a run; other bytes of the same conversation are written again."""
    tally = Tally([WINDOW])
    assert shown(tally.batches(rows(record("a"), record("b")))) == [(0, ["a", "b"], False)]
    assert tally.batches(rows(record("a"), record("b"))) == []
    assert shown(tally.batches(rows(record("a", end=21), record("b"), record("c")))) == [
        (0, ["a"], True),
        (0, ["c"], False),
    ]
    assert shown(tally.batches(rows(record("a")))) == [(0, ["a"], True)], "back to what it was is a change as well"


def test_twice_in_one_page_is_once_and_then_again() -> None:
    """A page that has a conversation twice, with different content, hands on both in their order."""
    first, second = Tally([WINDOW]).batches(rows(record("a", end=None), record("a")))
    assert (first.again, second.again) == (False, True)
    assert [tally.rows[0].end for tally in (first, second)] == [None, at(20)]


def test_a_row_without_an_id_is_not_handed_on() -> None:
    """It cannot be kept."""
    assert shown(Tally([WINDOW]).batches(rows({"conversationStart": at(5)}, record("a")))) == [(0, ["a"], False)]


@pytest.mark.parametrize(("minute", "window"), [(-10, 0), (0, 0), (29.99, 0), (30, 1), (59, 1), (60, 1), (600, 1)])
def test_a_row_counts_for_the_window_that_it_started_in(minute: float, window: int) -> None:
    """A start on the border belongs to the later window; what no window owns goes with the nearest before, or the first."""
    assert Tally([WINDOW, NEXT]).owner(at(minute)) == window


def test_a_row_without_a_start_is_owned_by_none() -> None:
    """It is written with the first window's rows, and counted in none."""
    tally = Tally([WINDOW, NEXT])
    nameless = record("a")
    del nameless["conversationStart"]
    [batch] = tally.batches(rows(nameless))
    tally.filed(batch, {"a": "missing"}, {"a": False})
    assert batch.window == 0
    assert [tally.figures(packed_of(nameless), window)["owned"] for window in (WINDOW, NEXT)] == [0, 0]
    assert tally.shares[0].written == 1


def test_figures_are_of_the_owned_rows_of_the_pass_that_counted() -> None:
    """Rows of other windows, and rows that only an earlier pass had, are written and not counted as owned."""
    tally = Tally([WINDOW])
    read = [
        record("a"),
        record("b", end=None),
        record("c"),
        record("before", -10, None),
        record("after", 30),
        record("x"),
    ]
    [batch] = tally.batches(rows(*read))
    kinds = {"a": "missing", "b": "changed", "c": "unchanged", "before": "missing", "after": "missing", "x": "missing"}
    tally.filed(
        batch, kinds, {conversation_id: False for conversation_id, kind in kinds.items() if kind != "unchanged"}
    )
    counted = packed_of(*read[:-1])
    assert tally.figures(counted, WINDOW) == {
        "owned": 3,
        "missing": 1,
        "changed": 1,
        "unchanged": 1,
        "ongoing": 1,
    }
    assert tally.shares[0].written == 5
    assert tally.seen() == {"a", "b", "c", "before", "after", "x"}
    assert (tally.kind("before"), tally.kind("nobody")) == ("missing", "")


def test_a_second_look_changes_only_what_was_written() -> None:
    """Other bytes that say the same are no change, although another row of the page has changed."""
    tally = Tally([WINDOW])
    [batch] = tally.batches(rows(record("same"), record("new", end=None), record("stood")))
    tally.filed(batch, {"same": "unchanged", "new": "missing", "stood": "unchanged"}, {"new": True})
    [again] = tally.batches(rows(dict(reversed(record("same").items())), record("new"), record("stood", end=21)))
    tally.filed(again, {}, {"new": True, "stood": True})
    assert [tally.kind(kind) for kind in ("same", "new", "stood")] == ["unchanged", "missing", "changed"]
    assert tally.shares[0].written == 2, "what was written twice counts once"


def test_details_filled_in_are_no_change_until_an_unheard_end_comes() -> None:
    """Known from capture alone and going on: written, unchanged. Its end, if nobody heard it, is a change."""
    for unheard, kind in ((False, "unchanged"), (True, "changed")):
        tally = Tally([WINDOW])
        [batch] = tally.batches(rows(record("a", end=None)))
        tally.filed(batch, {"a": "unchanged"}, {"a": False})
        [again] = tally.batches(rows(record("a")))
        tally.filed(again, {}, {"a": unheard})
        assert (tally.kind("a"), tally.shares[0].written) == (kind, 1)


KINDS = st.sampled_from(["missing", "changed", "unchanged"])
ROWS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.tuples(st.integers(-60, 120), st.none() | st.integers(121, 150), KINDS),
    max_size=20,
)


@given(ROWS, st.integers(1, 7))
def test_every_owned_row_is_counted_in_one_window_and_one_kind(
    found: dict[str, tuple[int, Any, str]], size: int
) -> None:
    """Over any rows: owned = missing + changed + unchanged in each window, and the windows share what they own."""
    tally = Tally([WINDOW, NEXT])
    records = [record(conversation_id, start, end) for conversation_id, (start, end, _) in found.items()]
    for first in range(0, len(records), size):
        for batch in tally.batches(rows(*records[first : first + size])):
            ids = [row.conversation_id for row in batch.rows if row.conversation_id]
            tally.filed(
                batch,
                {conversation_id: found[conversation_id][2] for conversation_id in ids},
                dict.fromkeys(ids, False),
            )
    for window, low in ((WINDOW, 0), (NEXT, 30)):
        own = [(start, end, kind) for start, end, kind in found.values() if low <= start < low + 30]
        expected = {kind: sum(row[2] == kind for row in own) for kind in ("missing", "changed", "unchanged")}
        figures = tally.figures(packed_of(*records), window)
        assert figures == {"owned": len(own), **expected, "ongoing": sum(end is None for _, end, _ in own)}
    assert sum(share.written for share in tally.shares) == len(found)
