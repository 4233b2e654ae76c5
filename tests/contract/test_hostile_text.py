"""Hostile text in a store: no command, log, metric or page gives a terminal or a browser something to obey."""

import asyncio
import csv
import io
import json
import logging
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click.testing
import pytest

from realtime.daemon.json_logs import JsonLines
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from reconcile.run.runner import reconcile_window
from rollbook.commands import cli
from rollbook.genesys.api.client import Api
from rollbook.genesys.messages.notification import Unreadable, parse_frame
from rollbook.genesys.program import console
from rollbook.genesys.program.inert import inert
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import events
from tests.helpers.peek import command

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HALF = Interval(START, START + timedelta(minutes=30))
# Clears a screen, sets its title, begins a line that looks like a log's, links, turns the writing, opens a tag.
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n2026-03-02T10:00:00.000Z WARNING forged all is well\n"
    "\x1b]8;;https://evil.example\x1b\\\x7f\x90q\x9c\u2028\u202egpj.exe\u2066\u200f\ufeff\U000e0041"
    "<script>alert(1)</script><img src=x onerror='alert(1)'>\"[bold red]"
)
# What comes from somebody else and is text, by table; without what a view or a command must know to show a row at all.
TEXTS = {
    "organization": ["name"],
    "windows": ["reason"],
    "window_runs": ["reason", "command"],
    "coverage": ["end_reason", "scope"],
    "rejected_topics": ["topic", "reason"],
    "attribute_rows": ["name", "value"],
    "participant_rows": ["participant_name", "user_id"],
    "session_rows": ["direction", "provider", "ani", "dnis", "address_to", "remote"],
    "segment_rows": ["disconnect_type", "wrap_up_code", "wrap_up_note", "subject"],
    "metric_rows": ["name"],
    "texts": ["text"],
    "gap_rows": ["cause"],
    "names": ["name"],
    "name_listings": ["trouble", "permission"],
    "conversation_rows": ["originating_direction"],
}
COMMANDS = [
    ["status"],
    ["windows"],
    ["window", "2026-03-02T10:00Z"],
    ["gaps"],
    ["events"],
    ["show", "ID"],
    ["report", "queues", "2026-03-02"],
    ["report", "agents", "2026-03-02"],
    ["report", "wrapups", "2026-03-02"],
    ["names"],
    ["ready", "2026-03-02T10:00Z/PT30M"],
    ["dead-letters", "list"],
    ["dead-letters", "show", "LETTER"],
    ["dead-letters", "show", f"1{HOSTILE}"],
    ["window", HOSTILE.replace("\x00", "")],
    ["gaps", "--since", HOSTILE],
    ["show", HOSTILE],
    [HOSTILE],
]


def active(text: str) -> set[str]:
    """The characters of a text that steer, hide or turn around; line breaks are its own."""
    return {
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") and character != "\n")
        or character in "\u202e\u2066\u200f\ufeff\U000e0041"
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A store in which everything that comes from somebody else is hostile; a conversation's id, a letter's number."""
    return asyncio.run(_made(tmp_path_factory.mktemp("hostile") / "rollbook.db"))


async def _made(path: Path) -> tuple[Path, str, int]:
    async with Simulator(seed=5, start=START, rate=0, per_hour=20, rate_limit=100_000) as simulator:
        simulator.clock.advance(timedelta(hours=1, minutes=20))
        settings = load(env=simulator.env, cwd=path.parent)
        simulator.world.grow(simulator.now())
        lives = [life for life in simulator.world.conversations if HALF.start <= life.start < HALF.end]
        with Book.open(path, organization=("o", f"Organisation{HOSTILE}")) as book:
            at = to_text(START + timedelta(minutes=5))
            body = {"id": lives[0].id, "participants": [{"id": "p", "connectedTime": at, HOSTILE: HOSTILE}]}
            frame = {"topicName": f"v2.routing.queues.q{HOSTILE}.conversations", "eventBody": body}
            # As text, so that nothing of it is escaped where JSON lets it stand for itself.
            notification = parse_frame(json.dumps(frame, ensure_ascii=False), source="websocket", received_at=at)
            assert not isinstance(notification, Unreadable)
            letter = Unreadable("websocket", HOSTILE.encode(), f"it is not JSON: {HOSTILE}", at)
            book.write(events.record, [notification, letter], book.lag).result()  # type: ignore[list-item]
            async with Api(settings, now=simulator.now) as api:
                await reconcile_window(book, api, HALF, settings=settings, now=simulator.now)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO rejected_topics (topic, missing_permissions, rejected_at) VALUES ('t', '[]', ?)", (at,))
        db.execute(
            "INSERT INTO coverage (source, scope, topic_set_id, started_at, alive_at)"
            " SELECT 'websocket', 'line 1', topic_set_id, ?, ? FROM topic_sets LIMIT 1",
            (at, at),
        )
        for table, columns in TEXTS.items():
            unique = " || CASE rowid WHEN 1 THEN '' ELSE rowid END" if table == "texts" else ""
            for column in columns:
                db.execute(f"UPDATE {table} SET {column} = coalesce({column}, '') || ?{unique}", (HOSTILE,))
        number = db.execute("SELECT dead_letter_id FROM dead_letters").fetchone()[0]
    return path, lives[0].id, number


def _words(words: list[str], store: tuple[Path, str, int]) -> list[str]:
    path, conversation_id, number = store
    named = {"ID": conversation_id, "LETTER": str(number)}
    return [*(named.get(word, word) for word in words), "--db", str(path)]


@pytest.mark.parametrize("words", COMMANDS, ids=range(len(COMMANDS)))
def test_no_command_says_anything_active(
    words: list[str], store: tuple[Path, str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal everything that a command prints is inert, errors too, and no line of it was forged."""
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _: True)
    for flags in [[], ["--json"], *([["--csv"]] if words[0] in ("report", "names") else [])]:
        ran = command(cli, [*_words(words, store), *flags])
        said = ran.output if ran.exception is None or isinstance(ran.exception, SystemExit) else str(ran.exception)
        if isinstance(ran.exception, click.ClickException):
            continue  # what click says is told by `console.main`, below
        # A table without rows is an empty file.
        assert said or flags == ["--csv"], (words, ran.exception)
        assert not active(said), said
        assert not any(line.startswith("2026-03-02T10:00:00.000Z WARNING") for line in said.splitlines())
        if flags == ["--json"] and words[0] != "events" and not said.startswith("Usage: "):
            json.loads(said)


def test_a_mistake_in_a_command_is_told_inertly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed comes back in the error, and does nothing there."""
    for words in ([HOSTILE], ["status", f"--{HOSTILE}"], ["report", HOSTILE, "x"], ["ready", HOSTILE, "--json"]):
        monkeypatch.setattr("sys.argv", ["rollbook", *words])
        with pytest.raises(SystemExit):
            console.main(cli, name="rollbook")
        said = "".join(capsys.readouterr())
        assert said.strip()
        assert not active(said)
        assert "\nforged" not in said


def test_what_was_asked_for_comes_as_it_is_in_a_pipe(store: tuple[Path, str, int]) -> None:
    """What goes into a file or a pipe is what is stored, byte for byte: a payload, the cells of a table."""
    ran = command(cli, _words(["dead-letters", "show", "LETTER"], store))
    assert ran.stdout_bytes.decode() == f"{HOSTILE}\n"
    rows = csv.reader(io.StringIO(command(cli, _words(["names", "--unnamed", "--csv"], store)).output))
    assert next(rows) == ["kind", "id"]
    found = command(cli, _words(["report", "wrapups", "2026-03-02", "--csv"], store)).stdout_bytes.decode()
    cells = [cell for row in csv.reader(io.StringIO(found, newline="")) for cell in row]
    assert any(HOSTILE in cell for cell in cells), cells


def test_a_page_is_text(store: tuple[Path, str, int], tmp_path: Path) -> None:
    """On the page of a conversation nothing hostile is markup, and nothing hides or turns around."""
    out = tmp_path / "page.html"
    ran = command(cli, [*_words(["show", "ID"], store), "--html", str(out)])
    assert ran.exit_code == 0
    page = out.read_text()
    assert "script&gt;alert(1)" in page
    assert "<script" not in page
    assert "<img" not in page
    assert not active(page)
    assert out.stat().st_mode & 0o077 == 0


@pytest.fixture
def logged() -> Iterator[tuple[logging.Logger, io.StringIO, logging.Handler]]:
    """A logger of ours with the text log's form."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(console.Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("rollbook.hostile")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, out, handler
    logger.removeHandler(handler)


def test_a_log_line_cannot_be_forged(logged: tuple[logging.Logger, io.StringIO, logging.Handler]) -> None:
    """A message is one line, whatever it tells of; a traceback's lines are indented, and nothing in them is active."""
    logger, out, handler = logged
    logger.warning("the topic %s was refused: %s", HOSTILE, HOSTILE)
    assert out.getvalue().count("\n") == 1
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception("it failed")
    said = out.getvalue()
    assert not active(said)
    lines = said.splitlines()
    assert all(line.startswith("  ") for line in lines[2:])
    out.truncate(0)
    out.seek(0)
    handler.setFormatter(JsonLines())
    logger.warning("the topic %s was refused", HOSTILE)
    assert not active(out.getvalue())
    assert json.loads(out.getvalue())["message"] == f"the topic {HOSTILE} was refused"


def test_metrics_are_text_and_each_is_there_once() -> None:
    """A topic's template is a label that nothing obeys, and two that look the same are counted together."""
    templates = {f"v2.{HOSTILE}": 2, f"v2.{inert(HOSTILE)}": 3}
    found = next(iter(metrics(DaemonFigures(by_template=templates))))
    labels = [sample.labels["topic"] for sample in found.samples]
    assert len(labels) == 1
    assert not active(labels[0])
    assert "\n" not in labels[0]
    assert found.samples[0].value == 5
