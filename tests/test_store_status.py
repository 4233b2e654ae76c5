"""What `rollbook status` says: the arithmetic of coverage, and the words."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from genesys.times import to_text
from store import cli, status
from store.book import Book
from store.coverage import Span

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
    found = status.heard([span(first, last) for first, last in stretches], START, END, END)
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
    found = status.heard(spans, START, END, END)
    assert found["share"] == pytest.approx(2 / 3)
    assert [(hole["topics"], hole["reason"]) for hole in found["holes"]] == [(1, "disconnected")]


def test_a_hole_bears_the_reason_of_what_ended() -> None:
    """What ended the listening before a hole is the hole's reason."""
    found = status.heard([span(0, 600), span(610, None)], START, END, END)
    assert [hole["reason"] for hole in found["holes"]] == ["disconnected"]
    assert found["holes"][0]["start"] == to_text(moment(600))


def test_a_span_whose_daemon_is_silent_ends_at_its_last_sign_of_life() -> None:
    """An open span without a sign of life for half a minute is not listening now."""
    quiet = Span("websocket", "queues", ("a",), to_text(START), None, to_text(moment(60)), None)
    found = status.heard([quiet], START, moment(120), moment(120))
    assert found["share"] == pytest.approx(0.5)


def test_what_goes_on_leaves_no_hole_before_now() -> None:
    """A daemon's sign of life is a few seconds old, and now is no whole millisecond: still it listens until now."""
    now = moment(120) + timedelta(microseconds=456)
    going = Span("websocket", "queues", ("a",), to_text(START), None, to_text(now - timedelta(seconds=4)), None)
    found = status.heard([going], START, now, now)
    assert (found["share"], found["holes"]) == (1.0, [])


def test_overlapping_channels_are_not_counted_twice() -> None:
    """Two channels that carry the same topic while one takes over from the other are one listening."""
    found = status.heard([span(0, 700), span(690, None)], START, END, END)
    assert (found["share"], found["holes"]) == (1.0, [])


def test_all_of_it_and_nearly_all_of_it_look_different() -> None:
    """Nothing short of everything is called 100 %."""
    assert cli._percent(1.0) == "100 %"
    assert cli._percent(0.999999) == "99.99 %"
    assert cli._percent(0.5) == "50.0 %"
    assert cli._percent(None) == "–"


def test_an_empty_store_is_described_without_a_figure_that_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has run: the words say so, within 80 columns, and the JSON agrees."""
    monkeypatch.chdir(tmp_path)
    with Book.open(tmp_path / "rollbook.db", organization=("o1", "Acme")):
        pass
    shown = CliRunner().invoke(cli.status, [])
    assert shown.exit_code == 0, shown.output
    assert "has never run" in shown.output
    assert max(len(line) for line in shown.output.splitlines()) <= 80
    told = json.loads(CliRunner().invoke(cli.status, ["--json"]).output)
    assert told["organization"] == {"id": "o1", "name": "Acme"}
    assert (told["capture"]["since"], told["windows"]["by_verdict"]) == (None, {})


def test_what_is_wider_than_a_terminal_goes_on_below(tmp_path: Path) -> None:
    """Nothing is cut: a long reason and the long line of the gaps are whole, below their field, within 80 columns."""
    with Book.open(tmp_path / "rollbook.db") as book:
        found = book.read(lambda db: status.collect(db, END))
    reason = " ".join(f"the total moved from {number} to {number + 1}," for number in range(9))
    found["windows"]["by_verdict"] = {"failed": 1}
    found["windows"]["failed"] = [{"start": to_text(START), "end": to_text(END), "reason": reason, "next_try_at": None}]
    found["gaps"] = [{"kind": "missing", "cause": "not running", "detected": 101, "filled": 101}]
    found["sums"] |= {"detected": 101, "recovered": 101}
    shown = list(cli.lines(found))
    assert max(len(line) for line in shown) <= 80
    told = " ".join(" ".join(shown).split())
    assert reason in told
    assert "(`rollbook gaps` lists them)" in told
    assert "`rollbook window START`" in told
    assert {line[:15] for line in shown} >= {"failed".ljust(15), "gaps".ljust(15), " " * 15}
