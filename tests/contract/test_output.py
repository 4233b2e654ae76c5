"""What every command prints: in 80 columns, in a pipe without a colour, and as JSON and nothing else.

A command that is added has to be added here, or among those that have tests of their own for it.
"""

import asyncio
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from realtime.commands import init
from rollbook.commands import cli
from rollbook.genesys.program import console
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from tests.helpers.docs_pages import generator
from tests.helpers.paths import ROOT
from tests.helpers.peek import command
from tests.helpers.whole import rows

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
DAY, HALF_HOUR = f"{START:%Y-%m-%d}", f"{START:%Y-%m-%dT%H:%MZ}/PT30M"
# The organisation of the examples; a store takes the events of one alone.
THEIRS = "3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10"
EVENTS = ROOT / "tests/data/examples/eventbridge_detail_events.jsonl"
LETTER = "SELECT dead_letter_id FROM dead_letters"
HEARD = "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21"
# The words of each command that ends by itself, in an order in which each finds something. An answer of 3 is one too.
WORDS = [
    "init",
    "doctor",
    "ingest events.jsonl bad.json",
    f"reconcile --window {HALF_HOUR}",
    "status",
    "windows",
    f"window {START:%Y-%m-%dT%H:%MZ}",
    "gaps",
    f"show {HEARD}",
    *(f"report {name} {DAY}" for name in ("queues", "agents", "wrapups", "mos")),
    f"ready {HALF_HOUR}",
    f"verify {HALF_HOUR}",
    "names",
    "forget --phone +4930901820 --dry-run",
    "retain --dry-run",
    "rebuild",
    "pack",
    "compact",
    "dead-letters list",
    "dead-letters show LETTER",
    "dead-letters retry --all",
    "dead-letters drop --all",
]
# Those that listen to signals, which only a main thread may.
ALONE = ["backup copy.db", "restore copy.db", f"export {DAY} --to exported"]
# Those that go on until they are stopped, or whose lines are somebody else's: bodies as they came, a shell's script.
ELSEWHERE = {"run", "simulate", "browse", "page", "tail", "demo", "events", "completion"}


def test_every_command_is_here() -> None:
    """Each command of `rollbook` has words above, or is among those that are tested elsewhere."""
    ends = {" ".join(words[1:]) for words, each in generator().commands() if not isinstance(each, click.Group)}
    here = {name for name in ends for words in [*WORDS, *ALONE] if f"{words} ".startswith(f"{name} ")}
    assert ends == here | ELSEWHERE


def too_wide(output: str) -> list[str]:
    """The lines that are wider than a terminal, though they could be broken: a word never is."""
    return [line for line in output.splitlines() if len(line) > 80 and len(line.split()) > 1]


async def test_every_command_fits_a_terminal_a_pipe_and_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than 80 columns, nothing in it commands a terminal; with --json there is JSON alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "_is_person", lambda: False)
    (tmp_path / "bad.json").write_text("}{")
    wrong: list[str] = []
    async with Simulator(seed=4, start=START, per_hour=60, rate_limit=100_000) as simulator:
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        ours = str(simulator.world.organization["id"])
        (tmp_path / "events.jsonl").write_text(EVENTS.read_text(encoding="utf-8").replace(THEIRS, ours))
        env = {**simulator.env, "NO_COLOR": "1", "COLUMNS": "80", "ROLLBOOK_CONFIG": "", "ROLLBOOK_DB": ""}
        for words in WORDS:
            for as_json in (True, False):
                # What the first of the two did away with is not there for the second.
                if as_json and words.startswith(("dead-letters retry", "dead-letters drop")):
                    continue
                letter = str(rows(tmp_path / "rollbook.db", LETTER)[0][0]) if "LETTER" in words else ""
                asked = [
                    *words.replace("LETTER", letter).split(),
                    *(["--json"] if as_json else []),
                    *(["--overwrite"] if words == "init" else []),
                ]
                ran = await asyncio.to_thread(partial(command, cli, asked, env=env))
                wrong += complaints(asked, ran.exit_code, ran.stdout, as_json=as_json)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("as_json", [True, False])
def test_so_do_those_that_listen_to_signals(as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup and its return."""
    monkeypatch.chdir(tmp_path)
    Book.open(tmp_path / "rollbook.db").close()
    for words in ALONE:
        asked = [*words.split(), *(["--json"] if as_json else [])]
        ran = CliRunner().invoke(cli, asked, env={"NO_COLOR": "1", "ROLLBOOK_CONFIG": "", "ROLLBOOK_DB": ""})
        assert not complaints(asked, ran.exit_code, ran.stdout, as_json=as_json)


def complaints(asked: list[str], status: int, output: str, *, as_json: bool) -> list[str]:
    """What is wrong with an answer."""
    said = " ".join(asked)
    found = [f"{said}: ends with {status}: {output}"] if status not in (0, 3) and "bad.json" not in asked else []
    if "\x1b" in output or not output.endswith("\n"):
        found.append(f"{said}: {output!r}")
    if as_json:
        try:
            assert isinstance(json.loads(output), dict)
        except (ValueError, AssertionError):
            found.append(f"{said}: no object: {output[:200]}")
    return found + [f"{said}: {line}" for line in too_wide(output) if not as_json]


def test_letters_that_a_terminal_lacks_end_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output takes the letters of Western Europe alone, other signs are shown as a question mark."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", errors="strict"))
    monkeypatch.setattr(sys, "argv", ["rollbook"])

    @click.command()
    def greet() -> None:
        console.run(lambda: click.echo("Zoë – MOS"))

    with pytest.raises(SystemExit) as ended:
        console.main(greet, name="greet")
    sys.stdout.flush()
    assert (ended.value.code, written.getvalue()) == (0, b"Zo\xeb ? MOS\n")
