"""Bounds of the dead letters and of the write-ahead log: a flood fills no disk, and nothing is lost without a word."""

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from realtime.commands.options import dead_letters as command_group
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from realtime.storing.store_batch import log_letters, store_batch
from rollbook.genesys.messages.notification import Unreadable
from rollbook.store.book import Book
from rollbook.store.file import connections
from rollbook.store.tables import dead_letters, events, notes
from rollbook.store.tables.dead_letters import Totals
from rollbook.store.upkeep.growth import log_size
from tests.helpers.peek import command

AT = "2026-03-02T10:00:00.000Z"


def letter(number: int, length: int = 10) -> Unreadable:
    """A letter of its own, with a payload of that length."""
    return Unreadable("websocket", f"{number:<{length}}".encode(), "it is not JSON", AT)


def test_the_oldest_stay_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the bound no letter is kept: it is counted, the log and the list say so, and a drop makes room again."""
    monkeypatch.setattr(dead_letters, "MOST", 5)
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        batch = [letter(number) for number in range(8)]
        with caplog.at_level(logging.WARNING):
            outcome = store_batch(lambda part: book.write(events.record, part, book.lag), batch)
            log_letters(outcome)
        assert (outcome.dead_letters, outcome.refused, outcome.failed) == (8, 3, {})
        assert "3 dead letters found no room" in caplog.text
        assert book.read_now(dead_letters.totals) == Totals(5, 50, 3, AT)
        kept = book.read_now(dead_letters.listed)
        assert sorted(int(found.payload) for found in kept) == [0, 1, 2, 3, 4]
    said = command(command_group, ["list", "--db", str(path)]).output
    assert f"3 more found no room and are not kept, the last of them at {AT}" in said
    answer = json.loads(command(command_group, ["list", "--json", "--db", str(path)]).output)
    assert answer["totals"]["refused"] == 3
    command(command_group, ["drop", str(kept[0].dead_letter_id), "--db", str(path)])
    with Book.open(path) as book:
        assert book.read_now(dead_letters.totals) == Totals(4, 40, 3, AT)
        assert book.write(events.record, [letter(9)], book.lag).result().refused == 0
        assert book.write(events.record, [letter(10)], book.lag).result().refused == 1


def test_their_length_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large ones are as much as many small ones; a small one may still find room."""
    monkeypatch.setattr(dead_letters, "MOST_BYTES", 1_000)
    with Book.open(tmp_path / "rollbook.db") as book:
        for number, length, refused in ((1, 600, 0), (2, 600, 1), (3, 300, 0), (4, 300, 1), (5, 100, 0)):
            assert book.write(events.record, [letter(number, length)], book.lag).result().refused == refused
        assert book.read_now(dead_letters.totals)[:3] == (3, 1_000, 2)


def test_a_repeat_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is delivered again and kept already is not counted as refused."""
    monkeypatch.setattr(dead_letters, "MOST", 1)
    again = Unreadable("sqs", b"x", "it is not JSON", AT, "message-1")
    with Book.open(tmp_path / "rollbook.db") as book:
        for letters in (1, 0):
            recorded = book.write(events.record, [again], book.lag).result()
            assert (recorded.dead_letters, recorded.refused) == (letters, 0)


def test_letters_that_were_deleted_by_hand_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The totals are held to the table where the bound is met; those of an earlier store are counted from it."""
    monkeypatch.setattr(dead_letters, "MOST", 3)
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        book.write(events.record, [letter(number) for number in range(3)], book.lag).result()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM dead_letters")
    with Book.open(path) as book:
        assert book.write(events.record, [letter(7)], book.lag).result().refused == 0
        book.write(lambda db: notes.drop(db, notes.DEAD_LETTERS)).result()
        assert book.read_now(dead_letters.totals) == Totals(1, 10)


def test_the_metrics_say_how_many() -> None:
    """Kept letters, their length and those without room are metrics; without a look at the store there are none."""
    shown = metrics(DaemonFigures(letters=(5, 50, 3)))
    found = {metric.name: metric.samples[0].value for metric in shown if metric.samples}
    assert found["rollbook_dead_letters_kept"] == 5
    assert found["rollbook_dead_letters_bytes"] == 50
    assert found["rollbook_dead_letters_refused"] == 3
    assert "rollbook_dead_letters_kept" not in {metric.name for metric in metrics(DaemonFigures())}


def test_a_log_that_a_reader_let_grow_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads, the log grows; when they have gone it returns to its bound, and nobody need restart."""
    monkeypatch.setattr(connections, "CHECKPOINT_PAGES", 16)
    path = tmp_path / "rollbook.db"
    bound = connections.CHECKPOINT_PAGES * connections.PAGE_BYTES
    with Book.open(path) as book:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM dead_letters").fetchone()
            for number in range(12):
                book.write(events.record, [letter(number, 60_000)], book.lag).result()
            assert log_size(path) > 3 * bound
        for number in range(20, 26):
            book.write(events.record, [letter(number, 60_000)], book.lag).result()
        assert log_size(path) <= 2 * bound
