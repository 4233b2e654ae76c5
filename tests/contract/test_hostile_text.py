"""Hostile text in a store: no command, log, metric or page gives a terminal or a browser something to obey."""

import asyncio
import csv
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

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
from tests.helpers.hostile import FORGED, HOSTILE, MARKUP, active, hostile_texts
from tests.helpers.peek import command
from tests.helpers.shown_page import shown

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HALF = Interval(START, START + timedelta(minutes=30))
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


# A thousand texts, each in a row of its own


@pytest.fixture(scope="module")
def thousand(store: tuple[Path, str, int], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The store with a thousand hostile texts as names, attributes, topics, bodies, dead letters, causes and reasons."""
    path = tmp_path_factory.mktemp("thousand") / "rollbook.db"
    with closing(sqlite3.connect(store[0])) as db:
        db.execute("VACUUM INTO ?", (str(path),))
    path.chmod(0o600)
    at = to_text(START + timedelta(minutes=6))
    texts = [(text, f"{text} of {at}", str(number)) for number, text in enumerate(hostile_texts(1_000))]
    with closing(sqlite3.connect(path)) as db, db:
        number = db.execute("SELECT number FROM conversation_ids WHERE conversation_id = ?", (store[1],)).fetchone()[0]
        participant = "p"
        db.executemany(
            "INSERT INTO dead_letters (source, payload, error, received_at) VALUES (?1, ?1, ?2, ?3)",
            [(text, error, at) for text, error, _ in texts],
        )
        db.executemany(
            "INSERT INTO names (kind, id, name, valid_from, state, seen_at) VALUES ('queue', ?1, ?2, ?3, 'active', ?3)",
            [(f"{place}{text}", text, at) for text, _, place in texts],
        )
        db.executemany(
            "INSERT INTO attribute_rows (number, participant_id, name, value) VALUES (?, ?, ?, ?)",
            [(number, participant, f"{place}{text}", text) for text, _, place in texts],
        )
        first = db.execute("SELECT max(text_id) + 1 FROM texts").fetchone()[0]
        db.executemany(
            "INSERT INTO texts (text_id, text) VALUES (?, ?)",
            [(first + int(place), f"v2.{text}.{place}") for text, _, place in texts],
        )
        db.executemany(
            "INSERT INTO event_rows (identity, topic, number, received_at, source, body) VALUES (?, ?, ?, ?, 'websocket', ?)",
            [(place.encode(), first + int(place), number, at, json.dumps({"a": text})) for text, _, place in texts],
        )
    return path, store[1]


def test_a_thousand_texts_in_rows_are_inert(thousand: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What every listing command says of them at a terminal, as text and as JSON; and each of them is said."""
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _: True)
    path, identity = thousand
    listing = (
        *(["dead-letters", "list", "--limit", "2000"], ["events", identity, "--limit", "5000"], ["show", identity]),
        *(["names", "--history"], ["status"], ["windows"], ["window", "2026-03-02T10:00Z"], ["gaps"]),
        *(["report", kind, "2026-03-02"] for kind in ("queues", "agents", "wrapups", "mos")),
        *(["ready", "2026-03-02T10:00Z/PT30M"], ["names", "--unnamed"], ["forget", "--name", HOSTILE, "--dry-run"]),
    )
    for words in listing:
        for flags in ([], ["--json"]):
            ran = command(cli, [*words, "--db", str(path), *flags])
            assert ran.exit_code in (0, 3), (words, ran.output, ran.exception)
            assert not active(ran.stdout), words
            assert not any(line.startswith(FORGED) for line in ran.stdout.splitlines()), words
            if words[0] in ("dead-letters", "events", "show", "names") and "--unnamed" not in words:
                assert ran.stdout.count("owned") > 50


async def test_a_thousand_texts_on_the_page_are_text(thousand: tuple[Path, str]) -> None:
    """The overview, a conversation with all of them, its window: nothing is markup, hides or turns around."""
    path, identity = thousand
    async with shown(path, personal=True, now=START + timedelta(hours=1)) as page:
        for address in ("/", f"/conversations/{identity}", "/windows/2026-03-02T10:00:00.000Z", "/status.json"):
            found = await page.get(address)
            assert found.status == 200, address
            assert not active(found.text), address
            if "html" in found.headers["Content-Type"]:
                assert [each for each in MARKUP if each in found.text] == []
        for text in hostile_texts(200, seed=3):
            found = await page.get(f"/conversations/{quote(text, safe='')}?since={quote(text, safe='')}")
            assert found.status in (400, 404)
            assert not active(found.text)
            assert [each for each in MARKUP if each in found.text and "html" in found.headers["Content-Type"]] == []


def test_a_thousand_texts_in_words_and_logs_are_inert(
    logged: tuple[logging.Logger, io.StringIO, logging.Handler],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Each as a word of some command, which refuses it in a line; each in a line of the log, which stays one line."""
    logger, out, _ = logged
    monkeypatch.chdir(tmp_path)
    words = [words for words in COMMANDS if len(words) > 1 and HOSTILE not in words]
    for number, text in enumerate(hostile_texts(1_000)):
        logger.warning("the topic %s was refused", text)
        if number % 5 == 0:
            some = [*words[number // 5 % len(words)][:-1], text.replace("\0", "") or "x"]
            monkeypatch.setattr("sys.argv", ["rollbook", *some])
            with pytest.raises(SystemExit):
                console.main(cli, name="rollbook")
            said = "".join(capsys.readouterr())
            assert said.strip()
            assert not active(said), some
            assert not any(line.startswith(FORGED) for line in said.splitlines())
    assert out.getvalue().count("\n") == 1_000
    assert not active(out.getvalue())
