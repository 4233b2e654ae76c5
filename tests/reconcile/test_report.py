"""Reports: the contract's keys for programs, 80 columns for people, and the exit status for both."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.report import DueReport, Report, due_lines, lines, title
from rollbook.genesys.times import Interval
from rollbook.store.vocabulary import Verdict
from tests.helpers.organisation import START, WINDOW
from tests.helpers.reports import FIGURES

KEYS = {"window", "verdict", *FIGURES, "seconds"}
VERDICTS = ["open", "complete", "settled", "failed"]
PLAIN = Report(
    window=WINDOW,
    verdict=Verdict.COMPLETE,
    passes=1,
    requests=4,
    initial_total_hits=3,
    final_total_hits=3,
    unique=3,
    duplicates=0,
    owned=2,
    missing=1,
    changed=1,
    unchanged=0,
    ongoing=0,
    live_only=0,
    written=2,
    seconds=0.123456,
)


def test_json_has_at_least_the_contracts_keys() -> None:
    """One JSON object with every key of the contract, the window as start and end."""
    shown = json.loads(json.dumps(PLAIN.as_dict()))
    assert shown.keys() >= KEYS
    assert shown["window"] == {"start": "2026-03-02T10:00:00.000Z", "end": "2026-03-02T10:30:00.000Z"}
    assert {name: shown[name] for name in KEYS - {"window", "seconds"}} == {
        name: getattr(PLAIN, name) for name in KEYS - {"window", "seconds"}
    }
    assert shown["seconds"] == pytest.approx(PLAIN.seconds, abs=0.001)


def test_a_jobs_total_hits_are_null() -> None:
    """A job has no totalHits: the keys are there and null."""
    shown = json.loads(json.dumps(replace(PLAIN, via="job", initial_total_hits=None, final_total_hits=None).as_dict()))
    assert (shown["initial_total_hits"], shown["final_total_hits"]) == (None, None)


@pytest.mark.parametrize(("verdict", "status"), [("open", 0), ("complete", 0), ("settled", 0), ("failed", 3)])
def test_the_exit_status_follows_from_the_verdict(verdict: str, status: int) -> None:
    """0 where the window was read consistently, 3 where it could not be."""
    assert replace(PLAIN, verdict=Verdict(verdict)).exit_status == status


@pytest.mark.parametrize(
    ("verdicts", "errors", "status"),
    [
        ([], 0, 0),
        (["complete", "open"], 0, 0),
        (["complete"], 1, 1),
        ([], 1, 1),
        (["failed", "open"], 0, 3),
        (["failed"], 1, 3),
    ],
)
def test_a_rounds_exit_status_is_the_worst_of_its_windows(verdicts: list[str], errors: int, status: int) -> None:
    """What could not run counts as 1, what could not be proven as 3."""
    windows = [replace(PLAIN, verdict=Verdict(verdict)) for verdict in verdicts]
    report = DueReport(windows=windows, errors=[(WINDOW, "held by process 7")] * errors)
    assert report.exit_status == status
    shown = json.loads(json.dumps(report.as_dict()))
    assert [window["verdict"] for window in shown["windows"]] == verdicts
    assert [error["error"] for error in shown["errors"]] == ["held by process 7"] * errors


FIGURE = st.integers(0, 3) | st.integers(0, 10**12)
WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=300)
INTERVALS = st.builds(
    lambda start, length: Interval(
        START + timedelta(milliseconds=start), START + timedelta(milliseconds=start + length)
    ),
    st.integers(-(10**11), 10**11) | st.integers(-2000, 2000).map(lambda n: n * 1_800_000),
    st.integers(1, 10**10) | st.sampled_from([1_800_000, 86_400_000]),
)
REPORTS = st.builds(
    Report,
    window=INTERVALS,
    verdict=st.sampled_from(VERDICTS),
    passes=st.integers(1, 8),
    requests=FIGURE,
    initial_total_hits=st.none() | FIGURE,
    final_total_hits=st.none() | FIGURE,
    unique=FIGURE,
    duplicates=FIGURE,
    owned=FIGURE,
    missing=FIGURE,
    changed=FIGURE,
    unchanged=FIGURE,
    ongoing=FIGURE,
    live_only=FIGURE,
    written=FIGURE,
    seconds=st.floats(0, 1e6),
    reason=st.none() | WORDS,
    via=st.sampled_from(["query", "job"]),
    reading=st.sampled_from([None, "interval", "day"]),
    filter=st.just("") | WORDS,
    drift=FIGURE,
    stuck=FIGURE,
    as_of=st.just("2026-03-02T11:00:00.000Z"),
    dry_run=st.booleans(),
    causes=st.dictionaries(st.sampled_from(["disconnected", "not heard by this transport", "unknown"]), FIGURE),
)


@given(REPORTS)
def test_no_line_is_wider_than_a_terminal(report: Report) -> None:
    """Whatever the figures, the filter and the reason: 80 columns, and no empty line."""
    for line in lines(report):
        assert len(line) <= 80, line
        assert line.strip()
        assert "\n" not in line


FOLLOWED = ["asked", "written", "ended", "going_on", "stuck", "gone", "explained", "windows"]


@given(
    st.lists(REPORTS, max_size=3),
    st.lists(st.tuples(INTERVALS, WORDS), max_size=3),
    st.fixed_dictionaries(dict.fromkeys(FOLLOWED, FIGURE)),
    FIGURE,
)
def test_no_line_of_a_round_is_wider_than_a_terminal(
    windows: list[Report], errors: list[tuple[Interval, str]], followed: dict[str, int], left: int
) -> None:
    """The same for a round over everything that was due."""
    for line in due_lines(DueReport(windows=windows, errors=errors, followed=followed, left=left)):
        assert len(line) <= 80, line
        assert "\n" not in line


def test_the_usual_line_of_a_round_fits() -> None:
    """A half-hour window with small figures is one line."""
    shown = list(due_lines(DueReport(windows=[PLAIN])))
    assert len(shown) == 1
    assert len(shown[0]) <= 80
    assert "2 owned" in shown[0]
    assert "1 missing" in shown[0]


def test_what_was_followed_is_told_in_words() -> None:
    """The figures' names are words, without what does not count."""
    followed = {"asked": 3, "ended": 0, "going_on": 942}
    assert list(due_lines(DueReport(windows=[PLAIN], followed=followed)))[1] == "followed: 3 asked, 942 going on"


def test_people_are_told_what_the_figures_are() -> None:
    """The words name the figures that matter, and do not say that a dry run wrote anything."""
    text = " ".join(
        "\n".join(lines(replace(PLAIN, missing=1234, changed=5, live_only=1, causes={"disconnected": 1234}))).split()
    )
    for word in ("complete", "1,234 missing", "5 changed", "1,234 disconnected", "1 conversation heard live"):
        assert word in text
    dry = "\n".join(lines(replace(PLAIN, dry_run=True)))
    assert "would write" in dry
    assert "written" not in dry


def test_a_failure_says_why_and_a_filter_says_for_what() -> None:
    """The reason is in the words; a filtered window claims its filter only."""
    text = " ".join(
        "\n".join(lines(replace(PLAIN, verdict=Verdict.FAILED, reason="rows came twice", filter='{"a":1}'))).split()
    )
    assert "not proven: rows came twice" in text
    assert 'only what matches {"a":1}' in text


def test_a_round_that_found_nothing_says_so() -> None:
    """Silence would look like an error."""
    assert list(due_lines(DueReport())) == ["nothing is due"]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (0, 30 * 60, "2026-03-02 10:00 to 10:30 UTC"),
        (0, 86400, "2026-03-02 10:00 to 2026-03-03 10:00 UTC"),
        (1, 60, "2026-03-02 10:00:01 to 10:01:00 UTC"),
        (0.5, 60, "2026-03-02 10:00:00.500 to 10:01:00.000 UTC"),
    ],
)
def test_a_window_is_named_as_people_name_it(start: float, end: float, words: str) -> None:
    """To the minute where that is exact, the date once where it is the same."""
    assert title(Interval(START + timedelta(seconds=start), START + timedelta(seconds=end))) == words


def test_the_ledger_keeps_the_contracts_figures() -> None:
    """Every figure of the report but window, verdict and seconds, which have columns of their own."""
    figures: dict[str, Any] = dict(PLAIN.figures())
    assert figures.keys() == KEYS - {"window", "verdict", "seconds"}
