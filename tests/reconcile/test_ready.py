"""`rollbook ready` as a person and a scheduler meet it: a sentence, an object, an exit status, and waiting."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

from reconcile.commands import ready as command_module
from rollbook.commands import cli
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.tables import windows
from rollbook.store.tables.windows import RunRecord
from rollbook.store.vocabulary import Verdict
from tests.helpers.peek import command

HALF = timedelta(minutes=30)
NOW = datetime.now(UTC)
START = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
FIRST, SECOND = Interval(START, START + HALF), Interval(START + HALF, START + 2 * HALF)
BOTH = Interval(FIRST.start, SECOND.end)


def finish(path: Path, window: Interval, verdict: Verdict, *, reason: str | None = None, filter: str = "") -> None:
    """File a run over a window, as a reading an hour after its end."""
    start, end = window.texts
    read = to_text(window.end + timedelta(hours=1))
    run = RunRecord(
        start=start,
        end=end,
        filter=filter,
        command="window",
        via="query",
        started_at=read,
        finished_at=read,
        as_of=read,
        verdict=verdict,
        reason=reason,
        query_json="{}",
        seconds=1.0,
        settled=verdict == Verdict.SETTLED,
    )
    with Book.open(path) as book:
        book.write(windows.finish, run).result(10)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in which the first window is settled, and the second complete."""
    path = tmp_path / "rollbook.db"
    finish(path, FIRST, Verdict.SETTLED)
    finish(path, SECOND, Verdict.COMPLETE)
    return path


def ready(path: Path, *words: str) -> Result:
    """Run the command."""
    return command(cli, ["ready", *words, "--db", str(path)])


def test_it_ends_with_0_where_all_is_proven(store: Path) -> None:
    """Also for an interval that begins and ends within windows; the words and the object say until when that holds."""
    ran = ready(store, BOTH.text)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.splitlines()[0].endswith("UTC: ready, complete")
    odd = Interval(FIRST.start + timedelta(minutes=7), SECOND.end - timedelta(seconds=1))
    ran = ready(store, odd.text, "--json")
    assert (ran.exit_code, json.loads(ran.stdout)) == (
        0,
        {
            "interval": dict(zip(("start", "end"), odd.texts, strict=True)),
            "ready": True,
            "settled": False,
            "complete_until": to_text(SECOND.end),
            "settled_until": to_text(FIRST.end),
            "reasons": [],
        },
    )


def test_it_ends_with_3_and_the_reasons_where_not(store: Path) -> None:
    """What is complete is not settled; what nobody has read is neither."""
    ran = ready(store, BOTH.text, "--settled", "--json")
    assert ran.exit_code == 3
    found = json.loads(ran.stdout)
    assert (found["ready"], len(found["reasons"])) == (False, 1)
    assert "complete, and not settled yet" in found["reasons"][0]
    ran = ready(store, Interval(FIRST.start, SECOND.end + HALF).text)
    assert ran.exit_code == 3
    assert "no window of the ledger has it" in ran.stdout
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["yesterday"], "is not an interval"),
        ([Interval(NOW, NOW + timedelta(days=1)).text], "ends in the future"),
        ([Interval(NOW, NOW + timedelta(days=1)).text, "--wait", "PT1H"], "ends in the future"),
        ([BOTH.text, "--wait", "an hour"], "--wait: 'an hour' is not a duration"),
    ],
)
def test_a_mistake_is_one_line(store: Path, words: list[str], reason: str) -> None:
    """Exit status 2, with words and as an object."""
    ran = ready(store, *words)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert reason in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    ran = ready(store, *words, "--json")
    assert ran.exit_code == 2
    assert reason in json.loads(ran.stdout)["error"]


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    """A gate that finds no store is not passed: exit status 1."""
    ran = ready(tmp_path / "none.db", BOTH.text)
    assert ran.exit_code == 1
    assert "none.db" in ran.stderr
    assert not (tmp_path / "none.db").exists()


def test_it_waits_until_it_is_proven(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look reads the ledger anew; the first that finds all proven ends the command with 0."""
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert seconds <= 5
        if looks == 3:
            finish(store, SECOND, Verdict.SETTLED)

    # Only the command's own: whatever else of this process sleeps does not count.
    monkeypatch.setattr(command_module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    ran = ready(store, BOTH.text, "--settled", "--wait", "PT1H")
    assert (ran.exit_code, looks) == (0, 3), ran.output


def test_it_waits_no_longer_than_it_may(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over the last look counts: 3, with its reasons."""
    clock = iter(range(0, 100_000, 600))
    monkeypatch.setattr(command_module, "time", SimpleNamespace(monotonic=clock.__next__, sleep=lambda _: None))
    ran = ready(store, BOTH.text, "--settled", "--wait", "PT1H", "--json")
    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["reasons"]


def test_what_a_filter_lets_through_has_a_gate_of_its_own(store: Path, tmp_path: Path) -> None:
    """With a filter set, its own windows count and no others, and the answer names it."""
    config = tmp_path / "other.toml"
    config.write_text("[reconcile]\nended_only = true\n")
    words = (BOTH.text, "--json", "--config", str(config))
    assert ready(store, *words).exit_code == 3
    for window in (FIRST, SECOND):
        finish(store, window, Verdict.COMPLETE, filter='{"endedOnly":true}')
    found = json.loads(ready(store, *words).stdout)
    assert "what went on was left out" in found["reasons"][0]
    for window in (FIRST, SECOND):
        finish(store, window, Verdict.SETTLED, filter='{"endedOnly":true}')
    ran = ready(store, *words)
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["filter"] == '{"endedOnly":true}'
    assert json.loads(ran.stdout)["settled_until"] == to_text(SECOND.end)
