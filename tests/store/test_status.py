"""What `rollbook status` says: the arithmetic of coverage, and the words."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.times import to_text
from rollbook.store import headline, status
from rollbook.store.book import Book
from rollbook.store.commands import options
from rollbook.store.commands import status as shown_status
from rollbook.store.reasons import ReasonKind
from rollbook.store.tables import coverage
from rollbook.store.tables.coverage import FUNCTION, Span
from tests.helpers.whole import AS_ANYBODY, MAY_BE_ANYBODY, environment

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=1)


def moment(minutes: int) -> datetime:
    """So many minutes after the start."""
    return START + timedelta(minutes=minutes)


def span(first: int, last: int | None, topics: tuple[str, ...] = ("a",), reason: str | None = "disconnected") -> Span:
    """A stretch of listening, in minutes after the start."""
    ended = None if last is None else to_text(moment(last))
    return Span(
        "websocket", "queues", topics, to_text(moment(first)), ended, ended or to_text(END), reason if ended else None
    )


STRETCHES = st.lists(
    st.tuples(st.integers(0, 1440), st.integers(0, 1440)).map(lambda pair: (min(pair), max(pair))), max_size=8
)


@given(STRETCHES)
def test_heard_and_holes_make_up_the_whole_day(stretches: list[tuple[int, int]]) -> None:
    """Every minute was either listened to or is a hole, and the share is that of the minutes."""
    listened = {minute for first, last in stretches for minute in range(first, last)}
    found = status.listened([span(first, last) for first, last in stretches], START, END, END)
    if not stretches:
        assert found["share"] is None
        return
    assert found["share"] == pytest.approx(len(listened) / 1440)
    gone = sum(
        (datetime.fromisoformat(hole["end"]) - datetime.fromisoformat(hole["start"])).total_seconds()
        for hole in found["holes"]
    )
    assert gone / 60 == pytest.approx(1440 - len(listened))


def test_one_channel_of_three_costs_a_third() -> None:
    """A share is one of topic-time: what one deaf channel carried counts for its topics only."""
    spans = [span(0, None, ("a",)), span(0, None, ("b",)), span(0, 0, ("c",))]
    found = status.listened(spans, START, END, END)
    assert found["share"] == pytest.approx(2 / 3)
    assert [(hole["topics"], hole["reason"]) for hole in found["holes"]] == [(1, "disconnected")]


def test_a_hole_bears_the_reason_of_what_ended() -> None:
    """What ended the listening before a hole is the hole's reason."""
    found = status.listened([span(0, 600), span(610, None)], START, END, END)
    assert [hole["reason"] for hole in found["holes"]] == ["disconnected"]
    assert found["holes"][0]["start"] == to_text(moment(600))


def test_a_span_whose_daemon_is_silent_ends_at_its_last_sign_of_life() -> None:
    """An open span without a sign of life for half a minute is not listening now."""
    quiet = Span("websocket", "queues", ("a",), to_text(START), None, to_text(moment(60)), None)
    found = status.listened([quiet], START, moment(120), moment(120))
    assert found["share"] == pytest.approx(0.5)


def test_what_goes_on_leaves_no_hole_before_now() -> None:
    """A daemon's sign of life is a few seconds old, and now is no whole millisecond: still it listens until now."""
    now = moment(120) + timedelta(microseconds=456)
    going = Span("websocket", "queues", ("a",), to_text(START), None, to_text(now - timedelta(seconds=4)), None)
    found = status.listened([going], START, now, now)
    assert (found["share"], found["holes"]) == (1.0, [])


def test_overlapping_channels_are_not_counted_twice() -> None:
    """Two channels that carry the same topic while one takes over from the other are one listening."""
    found = status.listened([span(0, 700), span(690, None)], START, END, END)
    assert (found["share"], found["holes"]) == (1.0, [])


def test_all_of_it_and_nearly_all_of_it_look_different() -> None:
    """Nothing short of everything is called 100 %."""
    assert shown_status._percent(1.0) == "100 %"
    assert shown_status._percent(0.999999) == "99.99 %"
    assert shown_status._percent(0.5) == "50.0 %"
    assert shown_status._percent(None) == "–"


def test_an_empty_store_is_described_without_a_figure_that_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has run: the words say so, within 80 columns, and the JSON agrees."""
    monkeypatch.chdir(tmp_path)
    with Book.open(tmp_path / "rollbook.db", organization=("o1", "Acme")):
        pass
    shown = CliRunner().invoke(options.status, [])
    assert shown.exit_code == 0, shown.output
    assert "has never run" in shown.output
    assert max(len(line) for line in shown.output.splitlines()) <= 80
    with Book.open(tmp_path / "rollbook.db") as book:
        lacks = ["conversation:communication:view"]
        book.write(coverage.reject, [{"topic": "v2.a", "missing_permissions": lacks}], to_text(START)).result(10)
    refused = CliRunner().invoke(options.status, []).output
    assert "has run, and has heard nothing yet" in refused
    assert lacks[0] in refused
    answer = json.loads(CliRunner().invoke(options.status, ["--json"]).output)
    assert answer["organization"] == {"id": "o1", "name": "Acme"}
    assert (answer["capture"]["since"], answer["windows"]["by_verdict"]) == (None, {})


def add_window(db: sqlite3.Connection, values: tuple[str, ...]) -> None:
    """A window of the ledger: its start, its end, when it was read, its verdict."""
    db.execute('INSERT INTO windows (start, "end", last_read_at, verdict) VALUES (?, ?, ?, ?)', values)


def test_it_says_until_when_all_is_proven(tmp_path: Path) -> None:
    """At the top of the object, as the gate's view has it; null where nothing is."""
    with Book.open(tmp_path / "rollbook.db") as book:
        found = book.read_now(status.collect, END)
        assert (found["complete_until"], found["settled_until"]) == (None, None)
        for first, last, verdict in ((0, 30, "settled"), (30, 60, "complete"), (90, 120, "settled")):
            values = (to_text(moment(first)), to_text(moment(last)), to_text(moment(last)), verdict)
            book.write(add_window, values).result()
        found = book.read_now(status.collect, END)
        assert (found["complete_until"], found["settled_until"]) == (to_text(moment(60)), to_text(moment(30)))


@pytest.mark.parametrize(
    ("complete", "settled", "gaps", "unfilled", "expected"),
    [
        (None, None, 0, 0, "Nothing is complete yet, as of 2026-03-03 00:00 UTC; no gaps."),
        (60, None, 1, 0, "Complete until 2026-03-02 01:00 UTC, nothing settled yet; 1 gap, filled."),
        (60, None, 1, 1, "Complete until 2026-03-02 01:00 UTC, nothing settled yet; 1 gap, unfilled."),
        (
            60,
            30,
            1_200,
            0,
            "Complete until 2026-03-02 01:00 UTC, settled until 2026-03-02 00:30 UTC; 1,200 gaps, all filled.",
        ),
        (
            60,
            30,
            12,
            3,
            "Complete until 2026-03-02 01:00 UTC, settled until 2026-03-02 00:30 UTC; 12 gaps, 3 unfilled.",
        ),
        (60, 60, 2, 2, "Complete and settled until 2026-03-02 01:00 UTC; 2 gaps, none filled."),
    ],
)
def test_the_headline_is_a_sentence_with_a_time(
    complete: int | None, settled: int | None, gaps: int, unfilled: int, expected: str
) -> None:
    """It says until when, in whole words, whatever there is."""
    until = [None if minutes is None else to_text(moment(minutes)) for minutes in (complete, settled)]
    found = headline.sentence(
        complete_until=until[0], settled_until=until[1], gaps=gaps, unfilled=unfilled, now=to_text(END)
    )
    assert found == expected


def hear(db: sqlite3.Connection, last: datetime) -> None:
    """Capture that began a day ago and was seen to listen last then."""
    db.execute("DELETE FROM coverage")
    db.execute(
        "INSERT INTO coverage (source, scope, started_at, alive_at) VALUES ('websocket', 'queues', ?, ?)",
        (to_text(START), to_text(last)),
    )


def test_the_headline_stands_at_the_top_and_in_the_first_line(tmp_path: Path) -> None:
    """The fields of the contract come first; the sentence is what plain status begins with; the state is /healthz's."""
    with Book.open(tmp_path / "rollbook.db") as book:
        values = (to_text(moment(0)), to_text(moment(30)), to_text(moment(30)), "settled")
        book.write(add_window, values).result()
        book.write(hear, END).result()
        found = book.read_now(status.collect, END)
        top = ["sentence", "since", "complete_until", "settled_until", "gaps", "unfilled", "state", "why"]
        assert list(found)[: len(top)] == top
        assert [found[name] for name in top[1:]] == [
            to_text(START),
            to_text(moment(30)),
            to_text(moment(30)),
            0,
            0,
            "well",
            [],
        ]
        assert next(shown_status.lines(found)) == found["sentence"]
        assert "state           well" in list(shown_status.lines(found))


@pytest.mark.parametrize(
    ("silent", "state", "reason"),
    [
        (timedelta(seconds=5), "well", None),
        (timedelta(seconds=200), "degraded", "nothing listens now"),
        (timedelta(hours=9), "dead", "nothing has listened for 9 hours: is the daemon running? (`rollbook run`)"),
    ],
)
def test_the_state_follows_the_last_sign_of_life(
    tmp_path: Path, silent: timedelta, state: str, reason: str | None
) -> None:
    """A daemon that is gone is dead after five minutes, as /healthz of one that does not listen would say."""
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(hear, END - silent).result()
        found = book.read_now(status.collect, END)
    assert (found["state"], found["why"]) == (state, [] if reason is None else [reason])


def test_a_function_that_is_not_called_is_not_dead(tmp_path: Path) -> None:
    """Events call it; in a night without any it has nothing to do. After seven days that is a reason."""
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(coverage.note_call, "eventbridge", FUNCTION, ["v2.a"], to_text(END - timedelta(hours=9))).result(10)
        found = book.read_now(status.collect, END)
    assert (found["capture"]["listening"], found["state"], found["why"]) == (False, "well", [])
    found["capture"]["last_event_at"] = to_text(END - timedelta(days=8))
    [reason] = headline.why(found, last_sign=None, by_function=True, failed=0, now=END)
    assert reason.kind == ReasonKind.NO_EVENTS


def test_every_reason_that_the_store_shows_is_said(tmp_path: Path) -> None:
    """Windows that failed or wait, what is not understood or refused, and a silence of days: each is a reason."""
    with Book.open(tmp_path / "rollbook.db") as book:
        empty = book.read_now(status.collect, END)
        assert (empty["state"], len(empty["why"])) == ("degraded", 1)
    late, long_ago = to_text(END - timedelta(hours=7)), to_text(END - timedelta(days=8))
    found = {
        "capture": {"since": to_text(START), "listening": True, "last_event_at": long_ago},
        "windows": {"by_verdict": {"due": 2}, "due": {"count": 2, "oldest_end": late}},
        "dead_letters_last_hour": 10,
        "rejected_topics": [{"missing_permissions": ["routing:queue:view"]}],
    }
    kinds = {reason.kind for reason in headline.why(found, last_sign=None, by_function=False, failed=1, now=END)}
    assert kinds == {
        ReasonKind.WINDOWS_DUE,
        ReasonKind.WINDOWS_FAILED,
        ReasonKind.NOT_UNDERSTOOD,
        ReasonKind.NO_EVENTS,
        ReasonKind.TOPICS_REFUSED,
    }


def test_what_is_wider_than_a_terminal_goes_on_below(tmp_path: Path) -> None:
    """Nothing is cut: a long reason and the long line of the gaps are whole, below their field, within 80 columns."""
    with Book.open(tmp_path / "rollbook.db") as book:
        found = book.read_now(lambda db: status.collect(db, END))
    reason = " ".join(f"the total moved from {number} to {number + 1}," for number in range(9))
    found["windows"]["by_verdict"] = {"failed": 1}
    found["windows"]["failed"] = [{"start": to_text(START), "end": to_text(END), "reason": reason, "next_try_at": None}]
    found["gap_causes"] = [{"kind": "missing", "cause": "not running", "detected": 101, "filled": 101}]
    found["sums"] |= {"detected": 101, "recovered": 101}
    shown = list(shown_status.lines(found))
    assert max(len(line) for line in shown) <= 80
    shown_text = " ".join(" ".join(shown).split())
    assert reason in shown_text
    assert "(`rollbook gaps` lists them)" in shown_text
    assert "`rollbook window START`" in shown_text
    assert {line[:15] for line in shown} >= {"failed".ljust(15), "gaps".ljust(15), " " * 15}


def as_anybody(command: str, path: Path, **env: str) -> tuple[int, str]:
    """What a command on a store answers to somebody who has no more rights than the files give: its first line."""
    ran = subprocess.run(
        [*AS_ANYBODY, sys.executable, "-m", "rollbook", command, "--db", str(path)],
        capture_output=True,
        text=True,
        env=environment(env),
        cwd=path.parent.parent,
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode, (ran.stdout or ran.stderr).splitlines()[0]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A store in a folder of its own, with nothing beside it."""
    path = tmp_path / "kept" / "rollbook.db"
    path.parent.mkdir()
    Book.open(path, organization=("o1", "Acme")).close()
    for beside in ("-wal", "-shm", "-lock"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    yield path
    path.parent.chmod(0o755)


@pytest.mark.process
@pytest.mark.skipif(not MAY_BE_ANYBODY, reason="root may do everything")
def test_a_store_is_read_where_nothing_may_be_written(kept: Path) -> None:
    """In a folder that may only be read a store is shown; while its log holds something, it is said whom to be."""
    kept.parent.chmod(0o555)
    status, line = as_anybody("status", kept)
    assert (status, line[:24]) == (0, "Nothing is complete yet,")
    kept.parent.chmod(0o755)
    Path(f"{kept}-wal").write_bytes(b"something that is not in the file yet")
    kept.parent.chmod(0o555)
    status, line = as_anybody("status", kept)
    assert (status, f"write in {kept.parent} while" in line, f"run this as {kept.owner()}" in line) == (1, True, True)


@pytest.mark.process
@pytest.mark.skipif(not MAY_BE_ANYBODY, reason="root may do everything")
@pytest.mark.parametrize("command", ["status", "rebuild"])
def test_whoever_may_not_use_a_store_is_told_who_may(kept: Path, command: str) -> None:
    """A file, a lock or a folder that this user may not open: status 1, which one, and whose it is."""
    kept.chmod(0o000)
    status, line = as_anybody(command, kept)
    assert (status, line.startswith(f"rollbook: {kept} cannot be read")) == (1, True)
    assert f"run this as {kept.owner()}" in line
    kept.parent.chmod(0o000)
    status, line = as_anybody(command, kept)
    assert (status, line.startswith(f"rollbook: {kept}: this user may not look into {kept.parent}")) == (1, True)


@pytest.mark.process
@pytest.mark.skipif(not MAY_BE_ANYBODY, reason="root may do everything")
def test_a_lock_of_somebody_else_is_named(kept: Path) -> None:
    """A lock file that may not be opened is not said to be missing: whose it is, and what to do."""
    lock = Path(f"{kept}-lock")
    lock.touch(0o000)
    status, line = as_anybody("rebuild", kept)
    assert (status, line.startswith(f"rollbook: {lock}: cannot be opened")) == (1, True)
    assert f"run this as {lock.owner()}" in line


@pytest.mark.process
@pytest.mark.skipif(not MAY_BE_ANYBODY, reason="root may do everything")
def test_a_folder_that_one_may_not_look_into_is_named(kept: Path, tmp_path: Path) -> None:
    """The demo's store, or the settings file: one line with the folder, and the status of what is wrong."""
    kept.parent.chmod(0o000)
    status, line = as_anybody("demo", kept)
    assert (status, f"this user may not look into {kept.parent}" in line) == (1, True)
    status, line = as_anybody("status", tmp_path / "any.db", ROLLBOOK_CONFIG=str(kept.parent / "rollbook.toml"))
    assert (status, f"this user may not look into {kept.parent}" in line) == (2, True)
