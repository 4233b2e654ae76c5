"""Events of another organisation: never stored as ours, by whatever door they come, and never lost."""

import json
import logging
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from realtime import lambda_handler
from realtime.aws.sqs_consumer import SqsConsumer
from realtime.commands.options import dead_letters, ingest
from rollbook.genesys.messages.notification import Notification, envelope_of, parse_envelope
from rollbook.genesys.topics import DETAIL_TEMPLATES
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreForeign
from rollbook.store.tables import dead_letters as letters
from rollbook.store.tables import events
from tests.helpers.paths import EXAMPLES
from tests.helpers.peek import command, peek
from tests.helpers.stand_in import StandIn, at_work

LINE = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()[0]
THEIRS = "3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10"
OURS = "11111111-2222-4333-8444-555555555555"
LINES = [LINE, LINE.replace(THEIRS, OURS)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of our organisation, which the settings name."""
    made = tmp_path / "rollbook.db"
    Book.open(made, organization=(OURS, "Ours")).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DB", str(made))
    return made


def kept(path: Path) -> tuple[int, list[str]]:
    """How many events are stored, and the errors of the dead letters."""
    with Book.open(path, mode="ro") as book:
        count = book.read_now(lambda db: db.execute("SELECT count(*) FROM events").fetchone()[0])
        return count, [letter.error for letter in book.read_now(letters.listed)]


def test_whose_an_event_is() -> None:
    """The partner's source names the organisation; nothing else does."""
    found = parse_envelope(LINE.encode(), source="eventbridge", received_at="2026-03-02T10:00:00.000Z")
    assert isinstance(found, Notification)
    assert found.organization == THEIRS
    again = parse_envelope(envelope_of(found), source="eventbridge", received_at=found.received_at)
    assert again == found
    for source in (None, 5, "", "aws.partner/genesys.com/cloud/", "my.app", ["aws.partner/genesys.com/cloud/x"]):
        event = json.loads(LINE) | {"source": source}
        other = parse_envelope(json.dumps(event).encode(), source="sqs", received_at=found.received_at)
        assert isinstance(other, Notification)
        assert other.organization is None


def test_from_files(path: Path, tmp_path: Path) -> None:
    """Ours are events, theirs dead letters of which the command tells; tried again, they stay what they are."""
    (tmp_path / "events").write_text("\n".join(LINES))
    ran = command(ingest, ["events"])
    assert "1 of them are events of another organisation" in ran.output
    assert kept(path) == (1, [f"it is of another organisation ({THEIRS}) than what is stored here"])
    assert json.loads(command(ingest, ["events", "--json"]).output)["foreign"] == 1
    assert kept(path)[0] == 1
    assert len(kept(path)[1]) == 1
    assert json.loads(command(dead_letters, ["retry", "--all", "--json"]).output)["left"] == 1
    assert kept(path) == (1, [f"it is of another organisation ({THEIRS}) than what is stored here"])


def test_from_a_queue(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The message is deleted once its letter is durable, and the log says what to look at."""
    queue = StandIn(LINES)
    with caplog.at_level(logging.WARNING), Book.open(path) as book:
        consumer = SqsConsumer(queue, book, now=lambda: datetime.now(UTC), topics=DETAIL_TEMPLATES)
        with at_work(consumer):
            end = time.monotonic() + 20
            while not queue.empty and time.monotonic() < end:
                threading.Event().wait(0.005)
        assert queue.empty
        assert peek(book, lambda db: db.execute("SELECT count(*) FROM events").fetchone()) == (1,)
    assert "1 events of another organisation are dead letters" in caplog.text
    assert len(kept(path)[1]) == 1


def test_from_a_function(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The call succeeds: to send the event again would not make it ours."""
    event: dict[str, Any] = json.loads(LINES[0])
    assert os.environ["ROLLBOOK_DB"] == str(path)
    with caplog.at_level(logging.WARNING):
        answer = lambda_handler.handler(event)
        assert answer == {"events_new": 0, "events_repeated": 0, "dead_letters": 1}
        assert lambda_handler.handler(json.loads(LINES[1]))["events_new"] == 1
    lambda_handler._shelf.put_away()
    assert "another organisation" in caplog.text
    assert kept(path) == (1, [f"it is of another organisation ({THEIRS}) than what is stored here"])


def test_a_store_that_nobody_has_bound_is_that_of_its_first_event(tmp_path: Path) -> None:
    """Until the platform has said whose it is, other events are held to the first; and then the store to these."""
    path = tmp_path / "new.db"
    at = "2026-03-02T10:00:00.000Z"
    batch = [parse_envelope(line.encode(), source="eventbridge", received_at=at) for line in LINES]
    with Book.open(path) as book:
        recorded = book.write(events.record, batch, book.lag).result()
        assert (recorded.events_new, recorded.dead_letters, recorded.foreign) == (1, 1, 1)
    with pytest.raises(StoreForeign, match=f"has events of the organisation {THEIRS}"):
        Book.open(path, organization=(OURS, "Ours"))
    with Book.open(path, organization=(THEIRS.upper(), "Theirs")) as book:
        recorded = book.write(events.record, batch, book.lag).result()
        assert (recorded.events_repeated, recorded.foreign) == (1, 1)


def test_a_folder_is_not_left(path: Path, tmp_path: Path) -> None:
    """Links in a folder lead nowhere, whatever they lead to; a link that is named itself is read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(LINES[1])
    folder = tmp_path / "archive"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "events").write_text("")
    (folder / "link").symlink_to(outside / "secret")
    (folder / "away").symlink_to(outside)
    (folder / "day" / "up").symlink_to("../..")
    (folder / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")
    answer = json.loads(command(ingest, ["archive", "--json"]).output)
    assert (answer["files"], answer["links"], answer["events_new"], answer["errors"]) == (1, 4, 0, [])
    assert "4 links in the folder not followed" in command(ingest, ["archive"]).output
    assert json.loads(command(ingest, ["archive/link", "--json"]).output)["events_new"] == 1


def test_a_file_that_becomes_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """What was a file when the folder was looked through, and leads out of it when it is read, is an error of its own."""
    from realtime.commands import ingest as module

    (tmp_path / "outside").write_text(LINES[1])
    (tmp_path / "archive" / "day").mkdir(parents=True)
    file = tmp_path / "archive" / "day" / "events"
    file.write_text(LINES[1])
    (found,) = [origin for origin in module._files(tmp_path / "archive") if isinstance(origin, module.Origin)]
    file.unlink()
    file.symlink_to(tmp_path / "outside")
    with Book.open(path) as book:
        assert module.read_all([found], book, advance=lambda _name, _size: None).errors
        file.unlink()
        (tmp_path / "archive" / "day").rename(tmp_path / "day")
        (tmp_path / "day" / "events").write_text(LINES[1])
        (tmp_path / "archive" / "day").symlink_to(tmp_path / "day")
        result = module.read_all([found], book, advance=lambda _name, _size: None)
    assert result.errors == [(str(file), "it leads out of the folder")]
    assert result.events_new == 0
