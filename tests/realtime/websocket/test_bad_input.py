"""Bad input: whatever comes on a socket becomes an event or a dead letter, in bounded memory, and stops nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.storing.store_frames import OTHER, TEMPLATES, Stored
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.store.book import Book
from rollbook.store.tables import events
from tests.helpers.memory import traced_memory
from tests.helpers.paths import EXAMPLES
from tests.helpers.stage import Stage, capture, snapshot, topic

AT = "2026-08-03T14:00:00.000Z"
MESSAGES = json.loads((EXAMPLES / "ws_messages.json").read_text())
WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    1e300,
    "",
    "x" * 5_000,
    "\x00",
    "\ud800",
    "9999-99-99T99:99:99.999Z",
    [],
    {},
    [[]],
    [None, 1, "a", {}],
    {"": {"a": []}},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a piece of JSON."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    """The same with something else at a place."""
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = wrong
    return made


def spoiled() -> Iterator[str]:
    """Every field of the published examples with a value of every wrong kind."""
    for number, message in enumerate(MESSAGES.values()):
        if isinstance(message, dict):
            for at, path in enumerate(places(message)):
                for which, wrong in enumerate(WRONG):
                    # Long snapshots repeat their shapes: of those, a part of the combinations.
                    if len(path) < 6 or (number + at + which) % 7 == 0:
                        yield json.dumps(put(message, path, wrong))


def test_wrong_types_in_every_field_are_stored(tmp_path: Path) -> None:
    """Thousands of events, each with one field that is not what it should be: all are stored, as events or letters."""
    book = Book.open(tmp_path / "rollbook.db")
    try:
        batch: list[Notification | Unreadable] = []
        seen = 0
        for frame in spoiled():
            found = parse_frame(frame, source="websocket", received_at=AT)
            if isinstance(found, Notification | Unreadable):
                batch.append(found)
                seen += 1
            if len(batch) == 500:
                book.write(events.record, batch, book.lag).result()
                batch = []
        recorded = book.write(events.record, batch, book.lag).result()
        assert recorded is not None
        assert seen > 5_000
        rows = book.read_now(lambda db: db.execute("SELECT count(*) FROM events").fetchone()[0])
        letters = book.read_now(lambda db: db.execute("SELECT count(*) FROM dead_letters").fetchone()[0])
        assert rows + letters > 0.8 * seen
        (sound,) = book.read_now(lambda db: db.execute("PRAGMA integrity_check").fetchone())
        assert sound == "ok"
    finally:
        book.close()


def frames() -> dict[str, str | bytes]:
    """What no platform should send."""
    deep = 200
    return {
        "empty": "",
        "no JSON": "hello",
        "half a frame": snapshot(1)[:100],
        "a list": "[1,2,3]",
        "a text": '"v2.x"',
        "no topic": '{"eventBody":{}}',
        "a number for a topic": '{"topicName":7,"eventBody":{}}',
        "no body": json.dumps({"topicName": topic()}),
        "null for a body": json.dumps({"topicName": topic(), "eventBody": None}),
        "a text for a body": json.dumps({"topicName": topic(), "eventBody": "x"}),
        "the key twice": '{"topicName":"v2.a","topicName":"v2.b","eventBody":{"id":"x","id":"y"}}',
        "nested beyond reading": '{"topicName":"v2.x","eventBody":' + "[" * 100_000 + "]" * 100_000 + "}",
        "nested and readable": '{"topicName":"v2.x","eventBody":' + '{"a":' * deep + "1" + "}" * deep + "}",
        "a million brackets": "[" * 1_000_000,
        "short enough to be read at once": "[" * 60_000,
        "escapes without end": '{"eventBody":"' + "\\ud800" * 10_000 + '"}',
        "binary": b'{"topicName":"v2.x","eventBody":{}}',
        "binary noise": bytes(range(256)) * 40,
        "half a surrogate": '{"topicName":"v2.x","eventBody":{"a":"\\ud800"}}',
        "a number without end": '{"topicName":"v2.x","eventBody":{"a":' + "9" * 10_000 + "}}",
        "beyond float": '{"topicName":"v2.x","eventBody":{"a":1e999}}',
        "a megabyte of topic": json.dumps({"topicName": "v2." + "x" * 1_000_000, "eventBody": {}}),
        "a megabyte of id": snapshot(1).replace("7c1f0d6e", "7" * 1_000_000),
        "a megabyte of key": json.dumps({"topicName": topic(), "eventBody": {"k" * 1_000_000: 1}}),
        "a megabyte of medium": json.dumps(
            {"topicName": "v2.conversations.x.y", "eventBody": {"conversationId": "x", "mediaType": "m" * 1_000_000}}
        ),
        "a control message of another shape": '{"topicName":"channel.metadata","eventBody":[1]}',
        "a system message without words": '{"topicName":"v2.system.x","eventBody":7}',
        "an answer nobody asked for": '{"result":{"a":1},"status":5,"message":["x"]}',
    }


@pytest.mark.parametrize("follow_details", [False, True])
async def test_nothing_that_comes_stops_anything(tmp_path: Path, *, follow_details: bool) -> None:
    """All of it on one socket, twice, and a good notification after each: the socket lives, the good ones are stored."""
    async with Stage() as stage, capture(stage, tmp_path, follow_details=follow_details) as running:
        good = 0
        for _ in range(2):
            for frame in frames().values():
                await stage.send(frame)
                await stage.send(snapshot(1_000 + good))
                good += 1
        wanted = f"SELECT count(*) FROM events WHERE conversation_id LIKE '7c1f0d6e%' AND topic = '{topic()}'"
        await running.until(lambda: running.rows(wanted)[0][0] >= good, within=20)
        assert stage.handshakes == 1 + follow_details
        assert {row[0] for row in running.rows("SELECT end_reason FROM coverage")} == {None}
        letters = running.rows("SELECT count(*), max(length(payload)) FROM dead_letters")[0]
        assert letters[0] >= 2 * 8
        assert letters[1] <= 1_000_000


def test_topics_that_are_none_fill_no_memory() -> None:
    """A megabyte of topic, thousands of times, and thousands of unknown ones: counted, and not kept."""
    stored = Stored()
    with traced_memory("realtime", "test_bad_input.py") as used:
        for number in range(2_000):
            stored.count(f"v2.{number}." + "x" * 1_000_000)
            stored.count(f"v2.strange{number}")
    assert used() < 2_000_000
    assert len(stored.by_template) <= TEMPLATES + 1
    assert stored.by_template[OTHER] > 2_000


def test_words_that_are_too_long_are_not_remembered(tmp_path: Path) -> None:
    """Events whose media and divisions are megabytes are stored one after the other without their words being kept."""
    book = Book.open(tmp_path / "rollbook.db")
    try:
        with traced_memory("realtime", "rollbook", "json", "test_bad_input.py") as used:
            for number in range(60):
                body = {"conversationId": f"c{number}", "mediaType": f"{number}" + "m" * 500_000}
                frame = json.dumps({"topicName": "v2.conversations.x.y", "eventBody": body})
                found = parse_frame(frame, source="websocket", received_at=AT)
                assert isinstance(found, Notification)
                book.write(events.record, [found], book.lag).result()
        assert used() < 10_000_000
    finally:
        book.close()
