"""Windows as values, and what is due: nothing is ever skipped."""

import random
from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconcile import failed_windows
from reconcile import window as windows
from reconcile.due import plan as planning
from reconcile.due.plan import Due, plan
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables.windows import WindowRow
from rollbook.store.vocabulary import Verdict

NOW = datetime(2026, 3, 2, 12, 7, tzinfo=UTC)
HALF = timedelta(minutes=30)
RULES = Settings(width=HALF, lag=timedelta(minutes=10), settle_after=timedelta(days=4))
LONG_AGO = to_text(NOW - timedelta(days=1))


def row(start: datetime, verdict: str, *, width: timedelta = HALF, **more: Any) -> WindowRow:
    """A row of the ledger."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(WindowRow))
    values |= {
        "start": to_text(start),
        "end": to_text(start + width),
        "filter": "",
        "verdict": verdict,
        "attempts": 1,
        "drift": 0,
    }
    return WindowRow(**(values | more))


def starts(due: Iterable[Due], why: str = "first") -> list[str]:
    """When the due windows start, as HH:MM."""
    return [f"{due_window.window.start:%H:%M}" for due_window in due if due_window.why == why]


def test_the_grid_begins_with_the_epoch() -> None:
    """Every process has the same windows, whatever the time it starts at."""
    assert windows.grid_window(NOW, HALF) == Interval(NOW.replace(minute=0), NOW.replace(minute=30))
    assert windows.grid_window(NOW.replace(minute=0), HALF).start == NOW.replace(minute=0)
    inside = windows.windows_inside(Interval(NOW, NOW + timedelta(hours=1)), HALF)
    assert [f"{row.start:%H:%M}" for row in inside] == ["12:30"]


@pytest.mark.parametrize(
    ("consistent", "going_on", "within_lag", "may_settle", "verdict"),
    [
        (False, 0, False, False, "failed"),
        (False, 3, True, True, "failed"),
        (True, 3, True, False, "pending"),
        (True, 0, True, True, "pending"),
        (True, 3, False, False, "open"),
        (True, 3, False, True, "open"),
        (True, 0, False, False, "complete"),
        (True, 0, False, True, "settled"),
    ],
)
def test_the_table_of_verdicts(
    consistent: bool, going_on: int, within_lag: bool, may_settle: bool, verdict: str
) -> None:
    """What a reading makes of a window, by what it found and when it was made."""
    assert (
        windows.verdict_of(consistent=consistent, going_on=going_on, within_lag=within_lag, may_settle=may_settle)
        == verdict
    )


def test_two_witnesses_are_an_hour_apart() -> None:
    """A second reading within the hour is the first one again; without a first one there is no second."""
    assert not windows.is_second_witness(None, NOW)
    assert not windows.is_second_witness(to_text(NOW - timedelta(minutes=59)), NOW)
    assert windows.is_second_witness(to_text(NOW - timedelta(hours=1)), NOW)


def test_a_failed_window_is_tried_again_after_growing_pauses() -> None:
    """Ten minutes, twenty, and so on, up to a day."""
    pauses = [(failed_windows.next_try(n, NOW) - NOW).total_seconds() / 60 for n in (1, 2, 3, 8, 9, 500)]
    assert pauses == [10, 20, 40, 1280, 1440, 1440]
    assert failed_windows.failures_in_a_row([{"verdict": v} for v in ("failed", "open", "failed", "failed")]) == 2


def test_filters_have_one_name_however_they_are_written() -> None:
    """The ledger's key of a filter does not depend on the order of keys; no filter is nothing."""
    spelling = {"conversationFilters": [{"type": "and", "predicates": []}], "segmentFilters": []}
    other = {"conversationFilters": [{"predicates": [], "type": "and"}]}
    assert windows.filter_key(spelling, ended_only=False) == windows.filter_key(other, ended_only=False) != ""
    assert windows.filter_key(None, ended_only=False) == windows.filter_key({}, ended_only=False) == ""
    assert windows.filter_key(None, ended_only=True) == '{"endedOnly":true}'
    both = windows.query_filters(other, ended_only=True)["conversationFilters"]
    assert [len(both), both[1]["predicates"][0]["operator"]] == [2, "exists"]
    assert windows.query_filters(None, ended_only=False) == {}
    assert len(other["conversationFilters"]) == 1, "what was given stays as it was"


def test_without_capture_the_last_closed_window_is_due_and_remembered() -> None:
    """A first `--due` reads one window, and leaves a row for the next, so that none is skipped later."""
    found = plan([], NOW, RULES)
    assert starts(found.due) == ["11:00"]
    assert [(f"{w.start:%H:%M}", verdict) for w, verdict in found.waiting] == [
        ("11:00", "due"),
        ("11:30", "pending"),
        ("12:00", "pending"),
    ]
    later = [row(w.start, "complete" if v == "due" else v) for w, v in found.waiting]
    assert starts(plan(later, NOW + timedelta(hours=2), RULES).due) == ["13:00", "12:30", "12:00", "11:30"]


def test_a_window_read_by_hand_long_ago_begins_nothing() -> None:
    """Reading an old window does not make everything since then due."""
    old = row(NOW.replace(month=1, minute=0), "settled")
    assert starts(plan([old], NOW, RULES).due) == ["11:00"]


def test_from_the_first_start_of_capture_everything_is_due() -> None:
    """Newest first, the one that capture began in included; a configured date counts instead."""
    found = plan([], NOW, RULES, capture_since=to_text(NOW - timedelta(hours=2)))
    assert starts(found.due) == ["11:00", "10:30", "10:00"]
    since = replace(RULES, since=NOW - timedelta(minutes=90))
    assert starts(plan([], NOW, since, capture_since=to_text(NOW - timedelta(hours=9))).due) == ["11:00", "10:30"]


def test_failures_wait_for_their_time_and_settling_for_its_age() -> None:
    """What is tried again comes after new windows, what settles comes last and oldest first."""
    day = timedelta(days=1)
    rows = [
        row(NOW - 5 * day, "complete", last_read_at=LONG_AGO),
        row(NOW - 6 * day, "complete", last_read_at=LONG_AGO),
        row(NOW - 10 * day, "complete", last_read_at=to_text(NOW - timedelta(minutes=59))),
        row(NOW - 11 * day, "complete", last_read_at=LONG_AGO, next_try_at=to_text(NOW + HALF)),
        row(NOW - 3 * day, "complete"),
        row(NOW - 7 * day, "settled"),
        row(NOW - 8 * day, "open"),
        row(NOW - 2 * day, "failed", next_try_at=to_text(NOW)),
        row(NOW - 2 * day + HALF, "failed", next_try_at=to_text(NOW + HALF)),
    ]
    found = plan(rows, NOW, RULES).due
    assert [due_window.why for due_window in found] == ["first", "again", "settle", "settle"]
    assert [due_window.window.start for due_window in found[2:]] == [NOW - 6 * day, NOW - 5 * day]


def test_windows_of_another_width_count_by_the_time_that_they_cover() -> None:
    """A change of the width in the settings makes nothing due twice and forgets nothing: what only waits gives way."""
    ten = NOW.replace(hour=10, minute=0)
    waiting = [row(ten + HALF, "pending", attempts=0), row(ten + 2 * HALF, "pending", attempts=0)]
    rows = [row(ten, "complete"), *waiting]
    quarter = plan(rows, NOW, replace(RULES, width=timedelta(minutes=15)), capture_since=to_text(ten))
    assert starts(quarter.due) == ["11:30", "11:15", "11:00", "10:45", "10:30"]
    assert {due_window.window.length for due_window in quarter.due} == {timedelta(minutes=15)}
    assert quarter.superseded == tuple((due_window.start, due_window.end) for due_window in waiting)
    wider = plan(rows, NOW, replace(RULES, width=timedelta(hours=1)), capture_since=to_text(ten))
    assert (starts(wider.due), wider.superseded) == (["10:00"], quarter.superseded)


def test_the_beginning_outlives_a_clock_that_ran_ahead() -> None:
    """Where all time until now is read, by a clock that was ahead, what is next after it waits: nothing is skipped."""
    noon = NOW.replace(minute=0)
    read = row(noon, "complete")
    ahead = row(noon + 2 * HALF, "pending", attempts=0)
    found = plan([read, ahead], NOW, replace(RULES, width=timedelta(minutes=15), since=None))
    assert found.superseded == ((ahead.start, ahead.end),)
    waiting = [row(w.start, v, width=w.length, attempts=0) for w, v in found.waiting if w.start >= noon]
    assert [(f"{from_text(due_window.start):%H:%M}", due_window.verdict) for due_window in waiting] == [
        ("12:30", "pending")
    ]
    later = plan([read, *waiting], noon + timedelta(hours=2, minutes=10), replace(RULES, width=timedelta(minutes=15)))
    assert starts(later.due) == ["13:45", "13:30", "13:15", "13:00", "12:45", "12:30"]


def test_a_wide_window_that_waits_hides_nothing() -> None:
    """Only what was read covers time: a week that nobody has read yet leaves every half hour of it due."""
    monday = NOW - timedelta(days=4)
    week = row(windows.grid_window(monday, timedelta(days=7)).start, "pending", width=timedelta(days=7), attempts=0)
    found = plan([week], NOW, RULES, capture_since=to_text(NOW - timedelta(hours=2)))
    assert found.superseded == ((week.start, week.end),)
    assert starts(found.due)[:3] == ["11:00", "10:30", "10:00"]
    failed = replace(week, verdict=Verdict.FAILED, attempts=1, next_try_at=to_text(NOW + HALF))
    assert starts(plan([failed], NOW, RULES, capture_since=to_text(NOW - timedelta(hours=1))).due) == ["11:00"]


def test_a_proof_taken_over_from_a_wider_interval_settles_with_it() -> None:
    """A day that was read by hand is read once more as a day, not window by window as well."""
    start = (NOW - timedelta(days=6)).replace(hour=0, minute=0)
    day = row(start, "complete", width=timedelta(days=1), last_read_at=LONG_AGO)
    inside = row(start, "complete", proven_by=f"{day.start}/{day.end}", last_read_at=LONG_AGO)
    open_day = replace(day, verdict=Verdict.OPEN)
    assert [
        due_window.window.length
        for due_window in plan([open_day, inside], NOW, RULES).due
        if due_window.why == "settle"
    ] == [HALF]
    stuck_day = replace(day, next_try_at=to_text(NOW + HALF))
    assert [
        due_window.window.length
        for due_window in plan([stuck_day, inside], NOW, RULES).due
        if due_window.why == "settle"
    ] == [HALF]
    assert [
        due_window.window.length for due_window in plan([day, inside], NOW, RULES).due if due_window.why == "settle"
    ] == [timedelta(1)]
    assert len([due_window for due_window in plan([inside], NOW, RULES).due if due_window.why == "settle"]) == 1


@given(seed=st.integers(0, 10**6), by_capture=st.booleans())
@profile(max_examples=30)
def test_no_window_is_ever_skipped(seed: int, by_capture: bool) -> None:
    """Whatever the downtime, failures, jumps of the clock and changes of the width: in the end all time is proven."""
    draw = random.Random(seed)
    begin = now = NOW
    ledger: dict[tuple[str, str], WindowRow] = {}
    rules = RULES
    first_start: datetime | None = None
    since = to_text(begin) if by_capture else None

    def run(share: float) -> None:
        nonlocal first_start
        found = plan(sorted(ledger.values(), key=lambda r: r.start), now, rules, capture_since=since)
        for key in found.superseded:
            del ledger[key]
        for window, verdict in found.waiting:
            waits = row(window.start, verdict, width=window.length, attempts=0)
            ledger[to_text(window.start), to_text(window.end)] = waits
        for due_window in found.due:
            first_start = min(first_start or due_window.window.start, due_window.window.start)
            if draw.random() > share:
                continue  # a crash, a deadline: it was not read
            key = to_text(due_window.window.start), to_text(due_window.window.end)
            failed = draw.random() > share
            ledger[key] = row(
                due_window.window.start,
                "failed" if failed else draw.choice(["complete", "open", "settled"]),
                width=due_window.window.length,
                next_try_at=to_text(now + timedelta(minutes=10)) if failed else None,
            )

    for _ in range(draw.randint(2, 12)):
        now += draw.choice(
            [timedelta(minutes=draw.randint(1, 90)), timedelta(days=draw.randint(0, 9)), -timedelta(hours=5)]
        )
        rules = replace(RULES, width=timedelta(minutes=draw.choice([15, 30, 60])))
        run(0.7)
    now = max(now, begin) + timedelta(days=10)
    run(1.0)
    now += timedelta(hours=1)
    run(1.0)
    unread = [
        row for row in ledger.values() if row.verdict in ("due", "failed") and from_text(row.end) + RULES.lag <= now
    ]
    assert unread == []
    covered = sorted((from_text(row.start), from_text(row.end)) for row in ledger.values())
    reached = min(begin, first_start or begin) if by_capture else first_start
    assert reached is not None
    for start, end in covered:
        assert start <= reached or start < begin, "a hole in the ledger"
        reached = max(reached, end)
    assert reached >= now


def test_windows_of_a_day_are_read_together_where_answers_are_whole_days() -> None:
    """Neighbours of one UTC day and one kind make one reading; a hole or a midnight makes two."""
    midnight = NOW.replace(hour=0, minute=0)
    due = [Due(Interval(midnight + n * HALF, midnight + (n + 1) * HALF), "first") for n in (5, 4, 3, 1, 0, -1)]
    groups = planning.by_days(due)
    assert [[f"{due_window.window.start:%H:%M}" for due_window in group] for group in groups] == [
        ["01:30", "02:00", "02:30"],
        ["00:00", "00:30"],
        ["23:30"],
    ]
    assert windows.hull([due_window.window for due_window in groups[0]]) == Interval(
        midnight + 3 * HALF, midnight + 6 * HALF
    )
