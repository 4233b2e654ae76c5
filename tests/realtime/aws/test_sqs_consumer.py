"""The consumer of a queue: deleted only when durable, hidden for as long as the store is slow, poison left to the queue."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from realtime.aws.sqs import region_of
from realtime.aws.sqs_consumer import QueueError, SqsConsumer
from realtime.daemon.health import judge
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures, QueueFigures
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.topics import DETAIL_TEMPLATES
from rollbook.store.book import Book
from tests.helpers.paths import EXAMPLES
from tests.helpers.stand_in import StandIn, at_work

LINES = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()


def numbered(number: int) -> str:
    """An event that no other number has."""
    event = json.loads(LINES[0])
    event["detail"]["eventBody"]["sessionId"] = str(number)
    return json.dumps(event)


@contextmanager
def consuming(queue: StandIn, path: Path, *, tick: float = 0.02, receivers: int = 4) -> Iterator[SqsConsumer]:
    """A consumer at work, and its store; stopped at the end."""
    with Book.open(path / "a.db", busy=0.05) as book:
        consumer = SqsConsumer(
            queue,
            book,
            now=lambda: datetime.now(UTC),
            topics=DETAIL_TEMPLATES,
            tick=tick,
            retry=0.02,
            receivers=receivers,
        )
        with at_work(consumer):
            yield consumer


def until(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait for what other threads do."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not come"
        threading.Event().wait(0.005)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path / "a.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_everything_is_stored_once_and_then_deleted(tmp_path: Path) -> None:
    """Repeated and reordered messages are one event each, and the queue is empty afterwards."""
    bodies = [numbered(number) for number in range(500)]
    queue = StandIn([*reversed(bodies), *bodies[::3]])
    with consuming(queue, tmp_path) as consumer:
        until(lambda: queue.empty and not consumer.figures().in_hand)
        figures = consumer.figures()
        assert (figures.new, figures.repeated, figures.dead_letters) == (500, 167, 0)
        assert figures.received == figures.deleted == 667
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT identity), max(source) FROM events") == [(500, 500, "sqs")]


def test_nothing_is_deleted_before_it_is_durable(tmp_path: Path) -> None:
    """While another program keeps the file locked, messages stay in the queue; they stay hidden, and are stored then."""
    queue = StandIn([numbered(number) for number in range(30)], visibility=1.0)
    Book.open(tmp_path / "a.db").close()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    with consuming(queue, tmp_path) as consumer:
        until(lambda: consumer.figures().deleted == 30)
        other.execute("BEGIN IMMEDIATE")
        for number in range(30, 60):
            queue.send(numbered(number))
        until(lambda: consumer.figures().store_failing is not None and consumer.figures().received == 60)
        until(lambda: len(queue.hides) >= 6)
        assert consumer.figures().deleted == 30
        assert len(queue.hidden) == 30
        assert set(queue.received.values()) == {1}, "they were delivered again although they were in hand"
        assert consumer.figures().oldest > 0
        other.execute("ROLLBACK")
        until(lambda: queue.empty)
        until(lambda: consumer.figures().store_failing is None)
    other.close()
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(60,)]
    assert all(seconds == 1 for _, seconds in queue.hides)


@pytest.mark.parametrize("redrives", [True, False])
def test_poison_is_one_dead_letter_and_comes_to_an_end(tmp_path: Path, redrives: bool) -> None:
    """With a redrive policy the message is left to it; without one it is deleted. Its good neighbours are stored."""
    queue = StandIn([LINES[0], "no JSON", LINES[1] + "{}" + LINES[2]], visibility=0.2, redrives=redrives)
    with consuming(queue, tmp_path):
        until(lambda: queue.empty)
    assert len(queue.redriven) == (2 if redrives else 0)
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(3,)]
    letters = rows(tmp_path, "SELECT source, payload FROM dead_letters ORDER BY payload")
    assert letters == [("sqs", "no JSON"), ("sqs", "{}")]


def test_a_message_that_cannot_be_deleted_is_a_repeat(tmp_path: Path) -> None:
    """Deleting is tried again; nothing is stored twice."""
    queue = StandIn([numbered(number) for number in range(10)], visibility=0.2)
    queue.refuse_deletes = 8
    with consuming(queue, tmp_path) as consumer:
        until(lambda: queue.empty)
        until(lambda: consumer.figures().new == 10)
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(10,)]


def test_a_queue_that_does_not_answer_is_a_recorded_hole(tmp_path: Path) -> None:
    """Coverage begins with the queue's first answer, ends when it answers no more, and begins again."""
    queue = StandIn([LINES[0]])
    with consuming(queue, tmp_path) as consumer:
        until(lambda: consumer.figures().is_listening)
        queue.down = True
        until(lambda: consumer.figures().failing)
        until(lambda: rows(tmp_path, "SELECT end_reason FROM coverage") == [("disconnected",)])
        assert "does not answer" not in (consumer.figures().failing or "")
        queue.down = False
        queue.send(LINES[1])
        until(lambda: consumer.figures().is_listening)
        until(lambda: consumer.figures().new == 2)
    spans = rows(tmp_path, "SELECT source, scope, end_reason, ended_at >= started_at FROM coverage")
    assert spans == [("sqs", "events", "disconnected", 1), ("sqs", "events", "stopped", 1)]
    (topics,) = rows(tmp_path, "SELECT topics FROM topic_sets")[0]
    assert len(json.loads(topics)) == 16


def test_a_queue_that_is_not_there_prevents_the_start(tmp_path: Path) -> None:
    """It is said at once, not tried for ever."""
    queue = StandIn()
    queue.down = True
    with pytest.raises(QueueError, match="check the network"), consuming(queue, tmp_path):
        pass


def test_what_is_in_hand_at_the_end_is_shown_to_others_at_once(tmp_path: Path) -> None:
    """A stop during a locked store takes seconds, loses nothing and hides nothing."""
    queue = StandIn([numbered(number) for number in range(25)], visibility=600)
    Book.open(tmp_path / "a.db").close()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with consuming(queue, tmp_path) as consumer:
        until(lambda: consumer.figures().received == 25)
    assert time.monotonic() - began < 8
    assert len(queue.waiting) == 25
    other.execute("ROLLBACK")
    other.close()


def test_more_than_fits_in_hand_is_left_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers wait while the store is slow: memory has a bound."""
    monkeypatch.setattr("realtime.aws.sqs_consumer.IN_HAND", 40)
    queue = StandIn([numbered(number) for number in range(500)])
    Book.open(tmp_path / "a.db").close()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with consuming(queue, tmp_path) as consumer:
        until(lambda: consumer.figures().in_hand > 40)
        until(lambda: consumer.figures().store_failing)
        assert consumer.figures().in_hand <= 80
        assert len(queue.waiting) >= 420
        other.execute("ROLLBACK")
        until(lambda: queue.empty)
    other.close()
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(500,)]


def test_the_daemon_says_how_the_queue_does() -> None:
    """A queue that is silent is a reason to be degraded, then dead; its numbers are metrics."""
    well = QueueFigures(name="events", is_listening=True, received=3)
    assert judge(DaemonFigures(sqs=well)) == ("well", [])
    assert judge(DaemonFigures(sqs=QueueFigures(failing="no answer", silent_for=5)))[0] == "degraded"
    assert judge(DaemonFigures(sqs=QueueFigures(failing="no answer", silent_for=500)))[0] == "dead"
    assert judge(DaemonFigures(sqs=QueueFigures(oldest=400)))[0] == "dead"
    assert judge(DaemonFigures(sqs=QueueFigures(oldest=40, store_failing="locked")))[0] == "degraded"
    assert judge(DaemonFigures())[1] == ["there is nothing to listen to"]
    names = {metric.name for metric in metrics(DaemonFigures(sqs=well))}
    assert {"rollbook_sqs_messages", "rollbook_sqs_in_hand", "rollbook_sqs_listening"} <= names


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/events", "eu-central-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/events", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/events", "cn-north-1"),
        ("http://127.0.0.1:5000/123456789012/events", None),
    ],
)
def test_the_queues_address_names_its_region(url: str, region: str | None) -> None:
    """Where it does not, AWS' settings do."""
    assert region_of(url) == region


def test_settings_of_the_queue(tmp_path: Path) -> None:
    """Its keys are read, and what has no sense is refused by name."""
    file = tmp_path / "rollbook.toml"
    file.write_text(
        '[realtime]\nwebsocket = false\n[realtime.sqs]\nqueue_url = "https://sqs.eu-west-1.amazonaws.com/1/q"\n'
        'topics = ["v2.detail.events.conversation.{id}.acw"]\nreceivers = 2\n'
    )
    settings = load(env={}, cwd=tmp_path)
    assert settings.sqs_queue_url == "https://sqs.eu-west-1.amazonaws.com/1/q"
    assert (settings.websocket, settings.sqs_receivers, len(settings.sqs_topics)) == (False, 2, 1)
    assert len(Settings().sqs_topics) == 16
    for line, words in (("receivers = 0", "between 1 and 64"), ('topics = "x"', "a list")):
        file.write_text(f"[realtime.sqs]\n{line}\n")
        with pytest.raises(SettingsError, match=words):
            load(env={}, cwd=tmp_path)
