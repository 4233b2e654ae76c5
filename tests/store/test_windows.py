"""The ledger read narrowly, as every look at it does: what comes of it is what comes of the whole, for any ledger."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconcile.due import plan as planning
from reconcile.due.plan import plan
from reconcile.window import grid_window
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables import schema, windows
from rollbook.store.tables.windows import WindowRow
from rollbook.store.vocabulary import PROVEN, WAITING, Verdict

NOW = datetime(2026, 3, 2, 12, 7, tzinfo=UTC)
STEP, HALF = timedelta(minutes=10), timedelta(minutes=30)
OLDEST = datetime(2026, 2, 20, tzinfo=UTC)
NOTHING: dict[str, Any] = dict.fromkeys((field.name for field in fields(WindowRow)), None)


@contextmanager
def ledger(rows: Sequence[WindowRow], ongoing: Sequence[datetime] = ()) -> Iterator[sqlite3.Connection]:
    """A store with these windows, and with conversations that have gone on since then."""
    names = ", ".join(f'"{field.name}"' for field in fields(WindowRow))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        marks = ", ".join("?" * len(fields(WindowRow)))
        db.executemany(f"INSERT OR IGNORE INTO windows ({names}) VALUES ({marks})", map(astuple, rows))
        db.executemany(
            "INSERT INTO conversation_rows (number, conversation_start, provenance, first_seen_at, read_at, details_open)"
            " VALUES (?, ?, 'both', '', '', 1)",
            [(number, to_text(start)) for number, start in enumerate(ongoing)],
        )
        yield db


# Ten minutes apart, so that they meet; many lately, some still to come.
_LAST = (NOW - OLDEST) // STEP
moments = (st.integers(_LAST - 30, _LAST) | st.integers(0, _LAST + 100)).map(lambda number: OLDEST + STEP * number)
texts = st.none() | moments.map(to_text)


@st.composite
def any_row(draw: st.DrawFn) -> WindowRow:
    """A window, on the grid or not."""
    start = draw(moments)
    fields = NOTHING | {
        "start": to_text(start),
        "end": to_text(start + draw(st.sampled_from([STEP, HALF, 2 * HALF, 12 * HALF, 48 * HALF]))),
        "filter": draw(st.sampled_from(["", "", "", "other"])),
        "verdict": draw(st.sampled_from(["settled", "open"]) | st.sampled_from(list(windows.RANK))),
        "reading": draw(st.sampled_from([None, "interval", "day", "job"])),
        "attempts": 1,
        "drift": 0,
        "last_run_at": draw(texts),
        "last_read_at": draw(texts),
        "next_try_at": draw(texts),
        "settled_at": draw(texts),
    }
    return WindowRow(**fields)


@st.composite
def ledgers(draw: st.DrawFn) -> list[WindowRow]:
    """Any windows, stretches of the grid as years of it are, and some that took over the proof of others."""
    rows = draw(st.lists(any_row(), max_size=12))
    for first, many in draw(st.lists(st.tuples(any_row(), st.integers(2, 60)), max_size=3)):
        begin = from_text(first.start)
        rows += [
            replace(first, start=to_text(begin + HALF * number), end=to_text(begin + HALF * (number + 1)))
            for number in range(many)
        ]
    intervals = [f"{row.start}/{row.end}" for row in rows]
    proven = st.none() | st.sampled_from(intervals) if intervals else st.none()
    return [replace(row, proven_by=draw(proven)) if row.verdict == "complete" else row for row in rows]


nows = st.just(NOW) | moments


rules = st.builds(
    Settings,
    width=st.sampled_from([STEP, HALF, 48 * HALF]),
    lag=st.sampled_from([STEP, 12 * HALF]),
    settle_after=st.sampled_from([HALF, timedelta(days=4)]),
    since=st.none() | moments,
)


@profile(max_examples=150)
@given(ledgers(), rules, st.none() | moments.map(to_text), nows)
def test_a_narrow_reading_plans_what_the_whole_ledger_plans(
    rows: list[WindowRow], rules: Settings, capture_since: str | None, now: datetime
) -> None:
    """The plan, whether days are answered, what is put off, and what has been read since: to the letter."""
    with ledger(rows) as db:
        whole = windows.listed(db, verdicts=None, since=None, until=None, filter="")
        narrow, covered = windows.ledger_view(db, "", to_text(now))
        late = windows.listed(db, verdicts=None, since=to_text(now), until=None, filter="")
        assert windows.by_verdict(db, since=to_text(now), filter="") == Counter(row.verdict for row in late)
    stretches = [Interval(from_text(start), from_text(end)) for start, end in covered]
    planned = plan(whole, now, rules, capture_since=capture_since)
    assert plan(narrow, now, rules, capture_since=capture_since, covered=stretches) == planned
    assert planning.answers_days(narrow) == planning.answers_days(whole)
    groups = planning.by_days(planned.due)
    for later in (now, now + timedelta(minutes=5)):
        assert planning.put_off(groups, narrow, later, rules.lag) == planning.put_off(groups, whole, later, rules.lag)
    keys = {(to_text(due_window.window.start), to_text(due_window.window.end)) for due_window in planned.due}
    assert [row for row in narrow if (row.start, row.end) in keys] == [
        row for row in whole if (row.start, row.end) in keys
    ]
    event(f"left out: {min(len(whole) - len(narrow), 10)}")


def test_a_look_that_fails_leaves_nothing_open() -> None:
    """The next look is as good as any: no transaction stays behind."""
    with ledger([]) as db:
        db.execute("ALTER TABLE windows RENAME TO elsewhere")
        with pytest.raises(sqlite3.OperationalError):
            windows.ledger_view(db, "", to_text(NOW))
        db.execute("ALTER TABLE elsewhere RENAME TO windows")
        assert windows.ledger_view(db, "", to_text(NOW)) == ([], [])


@pytest.mark.parametrize(
    ("wider", "settles"),
    [("complete", [2 * HALF]), ("settled", [HALF]), ("open", [HALF]), ("failed", [HALF]), (None, [HALF])],
)
def test_a_proof_that_was_taken_over_settles_with_the_wider_one(wider: str | None, settles: list[timedelta]) -> None:
    """A complete window waits for the wider one that proved it while that one is to be settled, and no longer.

    Where the wider one is settled already, goes on, failed or is not there, the window is settled by itself.
    """
    start, end = to_text(OLDEST), to_text(OLDEST + 2 * HALF)
    wide = WindowRow(
        **NOTHING
        | {
            "start": start,
            "end": end,
            "filter": "",
            "verdict": wider,
            "attempts": 1,
            "drift": 0,
            "last_read_at": to_text(OLDEST + 4 * HALF),
            "next_try_at": None,
        }
    )
    child = replace(wide, end=to_text(OLDEST + HALF), verdict=Verdict.COMPLETE, proven_by=f"{start}/{end}")
    with ledger([child] if wider is None else [wide, child]) as db:
        narrow, _ = windows.ledger_view(db, "", to_text(NOW))
    due = plan(narrow, NOW, Settings(width=HALF, lag=STEP, settle_after=HALF)).due
    assert [due_window.window.length for due_window in due if due_window.why == "settle"] == settles


def test_the_newest_query_counts_however_settled_its_window_is() -> None:
    """That whole days were answered is believed for two days of queries, which a narrow reading knows too."""
    day = WindowRow(
        **NOTHING
        | {
            "start": to_text(OLDEST),
            "end": to_text(OLDEST + HALF),
            "filter": "",
            "attempts": 1,
            "drift": 0,
            "verdict": "settled",
            "reading": "day",
            "last_run_at": to_text(OLDEST),
        }
    )
    for days, believed in ((1, True), (3, False)):
        later = OLDEST + timedelta(days=days)
        query = replace(
            day, start=to_text(later), end=to_text(later + HALF), reading="interval", last_run_at=to_text(later)
        )
        with ledger([day, query]) as db:
            assert planning.answers_days(windows.ledger_view(db, "", to_text(NOW)).rows) == believed


@given(ledgers(), rules, nows)
def test_what_is_not_covered_is_what_no_window_covers(rows: list[WindowRow], rules: Settings, now: datetime) -> None:
    """The grid is not walked window by window; what is planned afresh is what walking it finds.

    Only what is proven covers time. A window that has failed hides itself alone: it is tried again, not for the first
    time, and what lies inside it or beside it is planned.
    """
    read = [row for row in rows if row.verdict not in WAITING]
    begin = planning.beginning(read, now, rules, None)
    missing = [
        due_window.window
        for due_window in plan(read, now, rules).due
        if due_window.why == "first" and not _has_a_row(due_window.window, read)
    ]
    proven = [row for row in read if row.verdict in PROVEN]
    minutes = {from_text(row.start) + STEP * number for row in proven for number in range(_steps(row))}
    walked = []
    window = grid_window(begin, rules.width)
    while window.end + rules.lag <= now:
        covered = minutes.issuperset(window.start + STEP * number for number in range(rules.width // STEP))
        if not covered and not _has_a_row(window, read):
            walked.append(window)
        window = grid_window(window.end, rules.width)
    assert sorted(missing) == walked


def _steps(row: WindowRow) -> int:
    return (from_text(row.end) - from_text(row.start)) // STEP


def _has_a_row(window: Interval, rows: list[WindowRow]) -> bool:
    return any((row.start, row.end) == (to_text(window.start), to_text(window.end)) for row in rows)


@given(ledgers(), st.lists(moments, max_size=6), st.booleans())
def test_refreshing_changes_what_looking_at_every_window_would(
    rows: list[WindowRow], ongoing: list[datetime], on_the_edges: bool
) -> None:
    """Open without a conversation that goes on is complete, also if it had been settled: its last end is young.

    Proven with one is open again, where nothing filters.
    """
    if on_the_edges:
        ongoing = [from_text(edge) for row in rows[:2] for edge in (row.start, row.end)]
    with ledger(rows, ongoing) as db:
        before = windows.listed(db, verdicts=None, since=None, until=None, filter=None)
        changed = windows.refresh(db, to_text(NOW))
        after = {row: row.verdict for row in before} | {
            old: new.verdict
            for old, new in zip(
                before, windows.listed(db, verdicts=None, since=None, until=None, filter=None), strict=True
            )
        }
    expected = {row: _refreshed(row, [to_text(moment) for moment in ongoing]) for row in before}
    assert after == expected
    assert changed == sum(row.verdict != verdict for row, verdict in expected.items())


def _refreshed(row: WindowRow, ongoing: list[str]) -> str:
    going_on = any(row.start <= moment < row.end for moment in ongoing)
    if row.verdict not in PROVEN or (going_on and row.filter):
        return row.verdict
    if going_on:
        return "open"
    return Verdict.COMPLETE if row.verdict is Verdict.OPEN else row.verdict
