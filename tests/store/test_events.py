"""Events as rows: what is read through the view is what came, whatever else the transaction had to go through."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.store.book import Book
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import events
from rollbook.store.tables.events import Recorded

LAG = timedelta(minutes=10)
AT = "2026-08-03T15:00:00.000Z"
IDS = [f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}" for number in range(2_000)]


def event(topic: str, body: object, at: str = AT) -> Notification:
    """A notification of the socket."""
    found = parse_frame(json.dumps({"topicName": topic, "eventBody": body}), source="websocket", received_at=at)
    assert isinstance(found, Notification)
    return found


def detail(number: int, member: str = "customer.start", **more: object) -> Notification:
    """A detail event of the conversation of that number."""
    body = {"conversationId": IDS[number], "eventTime": 1_785_765_600_000 + number, **more}
    return event(f"v2.detail.events.conversation.{IDS[number]}.{member}", body)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book."""
    with Book.open(tmp_path / "rollbook.db") as opened:
        yield opened


def rows(book: Book, query: str) -> list[Any]:
    """The rows of a query."""
    return book.read_now(lambda db: db.execute(query).fetchall())


def record(book: Book, *batch: Notification) -> Recorded:
    """Store a batch."""
    return book.write(events.record, batch, LAG).result()


def test_the_view_gives_back_what_came(book: Book) -> None:
    """Topics with the conversation's id, in any letters, with another's, with none; bodies of any kind."""
    came = [
        detail(1),
        event(f"v2.detail.events.conversation.{IDS[1].upper()}.acw", {"conversationId": IDS[1].upper()}),
        event(f"v2.conversations.{IDS[2]}.x", [1, 2]),
        event(f"v2.conversations.{IDS[3]}.{{id}}", {"a": 1}),
        event("v2.users.u1.presence", {"a": 1.50}),
        event("v2.users.u1.presence", None),
        event("v2.{id}", "text"),
    ]
    assert record(book, *came) == Recorded(len(came), 0, 0)
    found = rows(book, "SELECT topic, conversation_id, event_time, received_at, source, body, identity FROM events")
    assert found == [
        (item.topic, item.conversation_id, item.event_time, AT, "websocket", item.body.decode(), item.identity)
        for item in came
    ]


def test_an_id_without_facts_is_no_conversation_until_an_event_says_something_of_it(book: Book) -> None:
    """Its number is given by its first event, and the picture begins with the first that has facts."""
    record(book, event(f"v2.conversations.{IDS[1]}.x", [1]))
    assert rows(book, "SELECT conversation_id FROM conversations") == []
    assert rows(book, "SELECT conversation_id FROM events") == [(IDS[1],)]
    record(book, detail(1))
    assert rows(book, "SELECT conversation_id, provenance FROM conversations") == [(IDS[1], "live")]
    assert rows(book, "SELECT count(*), max(number) FROM conversation_ids") == [(1, 1)]


def test_a_batch_is_stored_once_however_it_is_cut(book: Book) -> None:
    """More conversations than one query asks for, some known and some not, some of the events twice in a batch."""
    batch = [detail(number) for number in range(1_300)]
    assert record(book, *batch[:600], batch[0]) == Recorded(600, 1, 0)
    assert record(book, *batch, *batch[1_290:]) == Recorded(700, 610, 0)
    assert record(book, *batch) == Recorded(0, 1_300, 0)
    assert rows(
        book, "SELECT count(*), count(DISTINCT conversation_id), count(conversation_start) FROM conversations"
    ) == [(1_300, 1_300, 1_300)]
    assert rows(book, "SELECT conversation_id FROM events ORDER BY event_id") == [(IDS[at],) for at in range(1_300)]
    assert rows(book, "SELECT text FROM texts") == [
        ("v2.detail.events.conversation.{id}.customer.start",),
        ("websocket",),
    ]


def test_what_a_failed_transaction_gave_out_is_forgotten(book: Book) -> None:
    """One of a group fails: the others run again, and every row has the conversation, topic and source that came."""
    gate = threading.Event()

    def waits(db: sqlite3.Connection) -> None:
        gate.wait(30)

    def fails(db: sqlite3.Connection) -> None:
        events.record(db, [detail(9, "acw"), detail(8, "flow.start")], LAG)
        raise ValueError("no")

    first = book.write(waits)
    jobs: list[Future[Any]] = [book.write(events.record, [detail(1), detail(2, "acw")], LAG), book.write(fails)]
    jobs += [book.write(events.record, [detail(3, "voicemail.end"), detail(1, "acd.end")], LAG)]
    gate.set()
    first.result()
    assert [type(job.exception()) for job in jobs] == [type(None), ValueError, type(None)]
    assert rows(book, "SELECT topic, conversation_id, source FROM events ORDER BY event_id") == [
        (item.topic, item.conversation_id, "websocket")
        for item in (detail(1), detail(2, "acw"), detail(3, "voicemail.end"), detail(1, "acd.end"))
    ]
    assert rows(book, "SELECT conversation_id FROM conversation_ids ORDER BY number") == [
        (IDS[at],) for at in (1, 2, 3)
    ]
    assert rows(book, "SELECT conversation_id FROM conversations") == [(IDS[at],) for at in (1, 2, 3)]


def test_only_what_an_event_changes_of_the_picture_is_written(book: Book) -> None:
    """The picture is the same as that which is made of all events again, whatever the order in which they came."""
    later = {"eventTime": 1_785_765_700_000, "mediaType": "VOICE", "divisionId": "d1"}
    for item in (
        detail(1, "acd.start", **later),
        detail(1, "customer.end", **later | {"eventTime": 1_785_765_800_000}),
        detail(1, mediaType="CHAT", direction="INBOUND"),
        detail(1, "user.start", **later | {"eventTime": 1_785_765_900_000}),
    ):
        record(book, item)
    columns = "conversation_start, conversation_end, media_types, originating_direction, division_ids, last_heard"
    assert rows(book, f"SELECT {columns} FROM conversations") == [
        (
            "2026-08-03T14:00:00.001Z",
            "2026-08-03T14:03:20.000Z",
            '["chat","voice"]',
            "inbound",
            '["d1"]',
            "2026-08-03T14:05:00.000Z",
        )
    ]
    assert rebuild(book) == (1, 0)


def test_new_identities_are_written_at_the_end_of_their_index(book: Book) -> None:
    """They sort as the minutes of their contents do, so that a large store's new events are on few of its pages."""
    record(book, *(detail(number, eventTime=1_785_765_600_000 + number * 60_000) for number in range(50)))
    found = rows(book, "SELECT conversation_id FROM events ORDER BY identity")
    assert found == [(IDS[number],) for number in range(50)]
