"""The gate: yes only where the verdicts say it, and the view `readiness` never says more."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile import gate
from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables import readiness
from rollbook.store.tables.readiness import Evidence, WindowClaim
from rollbook.store.tables.schema import migrate
from rollbook.store.views import view_rows, view_settings
from rollbook.store.vocabulary import Verdict

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=10)
STEPS = 12
NOW = START + 100 * STEP


def at(step: int) -> str:
    """The time of a step, as API text."""
    return to_text(START + step * STEP)


def claim(
    start: int, end: int, verdict: str, read: int | None = None, run: int | None = None, **more: Any
) -> WindowClaim:
    """A window of the ledger, its times in steps; a proof was read at its end unless said otherwise."""
    if read is None and verdict in ("open", "complete", "settled"):
        read = end
    times = [None if step is None else at(step) for step in (read, read if run is None else run)]
    return WindowClaim(at(start), at(end), Verdict(verdict), *times, **more)


def evidence(*windows: WindowClaim, going_on: tuple[int, ...] = (), since: int | None = 0) -> Evidence:
    """What a ledger of these windows has to say."""
    starts = sorted(at(step) for step in going_on)
    return Evidence(sorted(windows), starts, None if since is None else at(since), None, None)


def ask(known: Evidence, start: int, end: int, *, settled: bool = False, **more: Any) -> gate.Readiness:
    """The answer of the gate for [start, end)."""
    interval = Interval(START + start * STEP, START + end * STEP)
    touching = [window for window in known.windows if window.start < at(end) and window.end > at(start)]
    going_on = [start for start in known.going_on if interval.contains(start)]
    return gate.judge(interval, known._replace(windows=touching, going_on=going_on), NOW, settled=settled, **more)


@st.composite
def claims(draw: st.DrawFn) -> WindowClaim:
    """A window of any verdict, read and tried at any time, on a grid of steps."""
    start = draw(st.integers(0, STEPS - 1))
    end = draw(st.integers(start + 1, STEPS))
    verdict = draw(st.sampled_from(["complete"] * 3 + ["settled"] * 3 + ["failed"] * 2 + ["open", "due", "pending"]))
    read = draw(st.one_of(st.none(), st.integers(0, STEPS * 2))) if verdict in ("failed", "due", "pending") else None
    read = draw(st.integers(end, STEPS * 2)) if read is None and verdict != "pending" else read
    return claim(start, end, verdict, read, draw(st.integers(0, STEPS * 2)))


def ledgers() -> st.SearchStrategy[Evidence]:
    """A ledger in which no interval has two rows, some conversations that go on, and a beginning."""
    return st.builds(
        lambda windows, going_on, since: evidence(*windows, going_on=tuple(going_on), since=since),
        st.lists(claims(), max_size=9, unique_by=lambda window: window[:2]),
        st.lists(st.integers(0, STEPS - 1), max_size=1),
        st.integers(0, 3),
    )


def proven_at(known: Evidence, step: int, good: tuple[str, ...]) -> bool:
    """Whether the step is proven, as the page says it: looked at by itself, window by window."""
    moment = at(step)
    here = [window for window in known.windows if window.start <= moment < window.end]
    for proof in here:
        if proof.verdict not in good or proof.last_read_at is None or proof.last_read_at < proof.end:
            continue
        width = datetime.fromisoformat(proof.end) - datetime.fromisoformat(proof.start)
        failed_since = [
            other
            for other in here
            if other.verdict == "failed"
            and (other.last_run_at is None or other.last_run_at >= proof.last_read_at)
            and datetime.fromisoformat(other.end) - datetime.fromisoformat(other.start) <= width
        ]
        if not failed_since:
            return moment not in known.going_on
    return False


@settings(max_examples=400, deadline=None)
@given(ledgers(), st.integers(0, STEPS - 1), st.integers(1, STEPS), st.booleans())
def test_it_is_ready_where_each_moment_is_proven_and_nowhere_else(
    known: Evidence, start: int, length: int, settled: bool
) -> None:
    """The answer for an interval is what each of its steps, looked at alone, says."""
    good = ("settled",) if settled else ("complete", "settled")
    found = ask(known, start, start + length, settled=settled)
    assert found.ready == all(proven_at(known, step, good) for step in range(start, start + length))
    assert found.ready == (not found.reasons)


@settings(max_examples=400, deadline=None)
@given(ledgers(), st.integers(0, STEPS - 1), st.integers(1, STEPS))
def test_it_never_says_yes_before_a_verdict_does(known: Evidence, start: int, length: int) -> None:
    """Each moment of an interval that is ready lies in a window that is complete or settled, whatever else there is."""
    for settled, good in ((False, {"complete", "settled"}), (True, {"settled"})):
        if ask(known, start, start + length, settled=settled).ready:
            for step in range(start, start + length):
                assert any(w.start <= at(step) < w.end and w.verdict in good for w in known.windows)


@pytest.fixture(scope="module")
def store() -> Iterator[sqlite3.Connection]:
    """A new store in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        yield db


def fill(db: sqlite3.Connection, known: Evidence) -> None:
    """Make the store's ledger say that, and nothing else."""
    for table in ("windows", "conversation_rows", "store_notes", "coverage"):
        db.execute(f"DELETE FROM {table}")
    db.executemany(
        'INSERT INTO windows (start, "end", filter, verdict, last_read_at, last_run_at, reason, next_try_at)'
        " VALUES (?, ?, '', ?, ?, ?, ?, ?)",
        known.windows,
    )
    db.executemany(
        "INSERT INTO conversation_rows (conversation_start, provenance, first_seen_at, details_open)"
        " VALUES (?, 'both', '', 1)",
        [(start,) for start in known.going_on],
    )
    if known.since is not None:
        readiness.note_since(db, known.since)


@settings(max_examples=500, deadline=None)
@given(ledgers())
def test_the_view_never_says_more_than_the_gate(store: sqlite3.Connection, known: Evidence) -> None:
    """Until where nothing failed, both say the same; where something did, the view says no more."""
    fill(store, known)
    since, *found = readiness.until(store)
    assert since == known.since
    for shown, settled in zip(found, (False, True), strict=True):
        decided = gate.until(known, NOW, settled=settled)
        assert (shown or "") <= (decided or "")
        if all(window.verdict != "failed" for window in known.windows):
            assert shown == decided
        if shown is not None and since is not None:
            steps = [step for step in range(STEPS) if since <= at(step) < shown]
            assert ask(known, steps[0], steps[-1] + 1, settled=settled).ready
    assert (found[1] or "") <= (found[0] or "")


@settings(max_examples=500, deadline=None)
@given(ledgers(), st.integers(0, STEPS - 1), st.integers(1, STEPS))
def test_a_figure_never_rests_on_more_than_the_gate_says(
    store: sqlite3.Connection, known: Evidence, start: int, length: int
) -> None:
    """The verdicts of the views, too: where nothing failed, they say the same; where something did, no more."""
    fill(store, known)
    view_settings.write(store, {"reach": 0})
    found = view_rows.verdict_of(store, at(start), at(start + length))
    for settled, good in ((False, {"complete", "settled"}), (True, {"settled"})):
        ready = ask(known, start, start + length, settled=settled).ready
        assert ready or found not in good
        if all(window.verdict != "failed" for window in known.windows):
            assert ready == (found in good)


@settings(max_examples=200, deadline=None)
@given(ledgers(), st.integers(0, STEPS - 1), st.integers(1, STEPS))
def test_a_day_of_an_export_never_rests_on_more_than_the_gate_says(
    store: sqlite3.Connection, known: Evidence, start: int, length: int
) -> None:
    """Nor does what began in an interval: what was before the first window of all is not proven either."""
    fill(store, known)
    found = view_rows.verdict_of(store, at(start), at(start + length), began=True)
    for settled, good in ((False, {"complete", "settled"}), (True, {"settled"})):
        ready = ask(known, start, start + length, settled=settled).ready
        assert ready or found not in good
        if all(window.verdict != "failed" for window in known.windows):
            assert ready == (found in good)


def test_one_window_that_failed_ends_the_view_where_its_wider_proof_is_older(store: sqlite3.Connection) -> None:
    """And a narrower proof of what both have, read since, goes on again."""
    wide, failed = claim(0, 6, "settled", 7), claim(2, 3, "failed", run=9)
    fill(store, evidence(wide, failed))
    assert readiness.until(store) == (at(0), at(2), at(2))
    fill(store, evidence(wide, failed, claim(1, 4, "complete", 10)))
    assert readiness.until(store) == (at(0), at(6), at(2))


def test_the_view_begins_where_every_window_must_be_proven(store: sqlite3.Connection) -> None:
    """What was read by hand long ago begins nothing, where there is a beginning; a hole after it ends what is proven."""
    known = evidence(claim(0, 1, "complete"), claim(4, 6, "complete"), claim(7, 9, "complete"), since=5)
    fill(store, known)
    assert readiness.until(store) == (at(5), at(6), None)
    store.execute("DELETE FROM store_notes")
    assert readiness.until(store) == (at(0), at(1), None)
    store.execute(
        "INSERT INTO coverage (source, scope, started_at, alive_at) VALUES ('websocket', '', ?, ?)", (at(7), at(8))
    )
    assert readiness.until(store) == (at(7), at(9), None)


def test_what_was_read_later_than_now_is_in_no_view(store: sqlite3.Connection) -> None:
    """A clock that ran ahead has read windows that are still to come, or these: until they are read again, they count not."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    wrong = WindowClaim(at(2), at(4), Verdict.SETTLED, to_text(ahead), to_text(ahead))
    fill(store, evidence(claim(0, 2, "settled"), wrong))
    assert readiness.until(store) == (at(0), at(2), at(2))
    store.execute("UPDATE windows SET verdict = 'complete'")
    assert readiness.until(store) == (at(0), at(2), None)


def test_the_beginning_only_moves_back(store: sqlite3.Connection) -> None:
    """A later beginning is not noted: what was to be proven once is to be proven always."""
    fill(store, evidence(since=None))
    assert readiness.note_since(store, at(3))
    assert not readiness.note_since(store, at(4))
    assert readiness.until(store)[0] == at(3)
    assert readiness.note_since(store, at(2))
    assert readiness.note_since(store, at(5), '{"endedOnly":true}')
    assert readiness.until(store)[0] == at(2)


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (None, "no window of the ledger has it"),
        (claim(1, 2, "pending"), "pending, not over for long enough to be read"),
        (claim(1, 2, "due"), "due, and not read yet"),
        (claim(1, 2, "open"), "open, because some of its conversations go on"),
        (
            claim(1, 2, "failed", reason="it moved", next_try_at=at(9)),
            f"failed, it moved; tried again from {at(9)}",
        ),
        (claim(1, 2, "complete"), "complete, and not settled yet"),
        (claim(1, 2, "settled", 1), f"settled, but read at a time that cannot be right: {at(1)}"),
        (claim(1, 2, "settled", 200), f"settled, but read at a time that cannot be right: {at(200)}"),
    ],
)
def test_the_reason_names_the_time_and_what_it_lacks(window: WindowClaim | None, reason: str) -> None:
    """A part that is not settled is named with its own bounds, not with those of the interval that was asked for."""
    around = [claim(0, 1, "settled"), claim(2, 5, "settled")]
    found = ask(evidence(*around, *([window] if window else [])), 0, 4, settled=True)
    assert found.reasons == (f"2026-03-02 00:10 to 00:20 UTC: {reason}",)


def test_windows_that_lack_the_same_are_named_together() -> None:
    """Three windows that are due are one reason; two that failed are two."""
    known = evidence(*(claim(step, step + 1, "due") for step in range(3)), claim(3, 4, "failed"), claim(4, 5, "failed"))
    assert [reason[:26] for reason in ask(known, 0, 5).reasons] == [
        "2026-03-02 00:00 to 00:30 ",
        "2026-03-02 00:30 to 00:40 ",
        "2026-03-02 00:40 to 00:50 ",
    ]


def test_the_reasons_come_to_an_end() -> None:
    """Of a day of failures the first are named, and the rest counted."""
    found = ask(evidence(*(claim(step, step + 1, "failed") for step in range(60))), 0, 60)
    assert len(found.reasons) == gate.MOST_REASONS + 1
    assert found.reasons[-1] == "and 40 more stretches of it"


def test_an_interval_that_goes_on_is_not_ready() -> None:
    """However the ledger came to say that it is settled."""
    found = ask(evidence(claim(98, 105, "settled", 105)), 99, 101)
    assert not found.ready
    assert found.reasons[-1].endswith("it has not ended yet")


def test_what_goes_on_is_seen_before_the_verdict_says_so() -> None:
    """A conversation that goes on again holds its interval, and no other, also while its window is still complete."""
    known = evidence(claim(0, 4, "settled"), going_on=(2,))
    assert ask(known, 0, 2).ready
    assert ask(known, 1, 4).reasons == ("2026-03-02 00:20 to 00:40 UTC: 1 conversation that started in it goes on",)


def test_read_without_what_goes_on_only_settled_is_ready() -> None:
    """With `ended_only`, a complete window may lack what had not ended; a settled one lacks nothing."""
    known = evidence(claim(0, 2, "complete"), claim(2, 4, "settled"))
    assert ask(known, 0, 2, ended_only=True).reasons == (
        "2026-03-02 00:00 to 00:20 UTC: complete, but what went on was left out (ended_only)",
    )
    assert ask(known, 2, 4, ended_only=True).ready


def test_a_wide_interval_that_failed_hides_no_proof() -> None:
    """A year that could not be read by hand says nothing of the windows inside it that were."""
    known = evidence(claim(0, 12, "failed", run=20), claim(3, 4, "complete"))
    assert ask(known, 3, 4).ready
    assert not ask(known, 3, 5).ready
