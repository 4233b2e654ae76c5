"""Bands of time in characters, held against the same time cut into minutes."""

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.times import to_text
from rollbook.store.commands.live import bands
from rollbook.store.tables import schema, windows
from rollbook.store.tables.coverage import Span
from rollbook.store.vocabulary import Verdict

START = datetime(2026, 3, 2, tzinfo=UTC)
ORDER = list(bands.MARKS)
# Six hours in steps of ten minutes, as API text.
STEPS = [to_text(START + timedelta(minutes=10 * step)) for step in range(37)]
PLACES = st.integers(0, 36)


def at(minutes: int) -> str:
    """API text of so many minutes after the start."""
    return to_text(START + timedelta(minutes=minutes))


WINDOWS = st.lists(
    st.tuples(PLACES, st.integers(1, 12), st.sampled_from([verdict.value for verdict in Verdict]))
    .filter(lambda window: sum(window[:2]) < len(STEPS))
    .map(lambda window: (STEPS[window[0]], STEPS[window[0] + window[1]], window[2])),
    max_size=8,
)
FEW = settings(max_examples=50)


@cache
def ledger_in_memory() -> sqlite3.Connection:
    """A new store in memory, made once."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    return db


def ledger() -> sqlite3.Connection:
    """A store in memory without windows."""
    db = ledger_in_memory()
    db.execute("DELETE FROM windows")
    return db


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
@given(WINDOWS, PLACES, st.integers(1, 12))
def test_a_cell_shows_the_worst_of_its_time(found: list[tuple[str, str, str]], open_from: int, most: int) -> None:
    """No window in it is worse than what it shows; closed time without a window shows, and nothing is invented."""
    edges = bands.edges(START, START + timedelta(minutes=359), most)
    states = bands.verdicts(found, edges, STEPS[open_from])
    for state, first, last in zip(states, edges, edges[1:], strict=False):
        possible = [verdict for start, end, verdict in found if start < last and end > first]
        bare = [
            step
            for step in STEPS[:-1]
            if first <= step < last and not any(start <= step < end for start, end, _ in found)
        ]
        if any(step < STEPS[open_from] for step in bare):
            possible.append(bands.NO_WINDOW)
        if bare or last > STEPS[-1]:
            possible.append(Verdict.PENDING.value)
        assert state == max(possible, key=ORDER.index)


@FEW
@given(WINDOWS)
def test_windows_that_follow_each_other_are_a_run(found: list[tuple[str, str, str]]) -> None:
    """Runs of a verdict say of each minute what the windows say of it."""
    db = ledger()
    rows = {(start, end): verdict for start, end, verdict in found}
    db.executemany(
        'INSERT INTO windows (start, "end", verdict) VALUES (?, ?, ?)', [(*key, value) for key, value in rows.items()]
    )
    runs = windows.runs_of_verdicts(db)

    def said(spans: list[tuple[str, str, str]]) -> list[set[str]]:
        return [{verdict for start, end, verdict in spans if start <= step < end} for step in STEPS]

    assert said(runs) == said([(*key, value) for key, value in rows.items()])
    assert len(runs) <= len(rows)


def test_years_of_windows_are_a_few_runs() -> None:
    """A thousand settled half hours with a failed one among them are three stretches."""
    db = ledger()
    rows = [(at(30 * n), at(30 * n + 30), "failed" if n == 400 else "settled") for n in range(1000)]
    db.executemany('INSERT INTO windows (start, "end", verdict) VALUES (?, ?, ?)', rows)
    assert [verdict for *_, verdict in windows.runs_of_verdicts(db)] == ["settled", "failed", "settled"]


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
