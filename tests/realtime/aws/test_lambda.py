"""The function on AWS: whatever it is called with is stored, kept as a dead letter, or reported as a failure."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime import lambda_handler
from reconcile import lambda_handler as reconciler
from reconcile.causes import as_known
from rollbook.genesys.api.client import Api, Organization
from rollbook.genesys.errors import StoreError
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.genesys.times import from_text
from rollbook.genesys.topics import DETAIL_MEMBERS, detail_member
from rollbook.store.book import Book
from rollbook.store.file.connections import choose_journal, network_file_system
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.tables import coverage, events
from tests.helpers.paths import EXAMPLES, ROOT
from tests.helpers.whole import AS_ANYBODY, MAY_BE_ANYBODY, rows

# What AWS calls; a test calls it with whatever may come.
handler: Callable[..., Any] = lambda_handler.handler
LINES = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()
EVENTS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
EVERY = list(DETAIL_MEMBERS)
# Whose events they are.
ORGANIZATION = EVENTS[0]["source"].split("/")[3]


class Clock:
    """A context with so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The store of a function that has just been started."""
    for name in list(os.environ):
        if name.startswith(("ROLLBOOK", "GENESYS", "AWS_LAMBDA")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DB", str(tmp_path / "book.db"))
    yield tmp_path / "book.db"
    lambda_handler._shelf.put_away()


def sqs(*bodies: Any) -> dict[str, Any]:
    """A batch as the event source mapping hands it over."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def snapshot() -> dict[str, Any]:
    """An event of a kind that nobody has seen."""
    event: dict[str, Any] = json.loads(LINES[0])
    return event | {"detail-type": "v2.some.new.{id}.thing"}


def test_every_member_of_the_detail_events_is_stored(path: Path) -> None:
    """Each of the sixteen members, as one event a call, is a row with its topic, time and whole body."""
    assert {detail_member(event["detail"]["topicName"]) for event in EVENTS} == set(DETAIL_MEMBERS)
    for event in EVENTS:
        assert handler(event) == {"events_new": 1, "events_repeated": 0, "dead_letters": 0}
        assert handler(event) == {"events_new": 0, "events_repeated": 1, "dead_letters": 0}
    stored = {topic: json.loads(body) for topic, body in rows(path, "SELECT topic, body FROM events")}
    assert stored == {event["detail"]["topicName"]: event["detail"]["eventBody"] for event in EVENTS}
    assert {row[0] for row in rows(path, "SELECT source FROM events")} == {"eventbridge"}
    assert rows(path, "SELECT count(*) FROM events WHERE event_time IS NULL OR conversation_id IS NULL") == [(0,)]
    ended = "SELECT conversation_end FROM conversations WHERE conversation_id LIKE '7c1f%'"
    assert rows(path, ended) == [("2026-08-03T14:03:39.600Z",)]


def test_an_event_as_it_was_recorded_on_a_bus(path: Path) -> None:
    """The envelope of a live capture: a topic that rollbook asks for nowhere, its template, `timestamp` inside."""
    message = json.loads((EXAMPLES / "ws_messages.json").read_text())["transcription"]
    conversation = "97b9dcb3-c182-4d1f-8123-76a4b5cf1f5a"
    event = {
        "version": "0",
        "id": "6efd5506-3fd6-09a1-5599-09ae48bd6dd8",
        "detail-type": "v2.conversations.{id}.transcription",
        "source": "aws.partner/genesys.com/cloud/3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10/capture",
        "account": "123456789012",
        "time": "2026-03-19T22:04:48Z",
        "region": "us-east-2",
        "resources": [],
        "detail": {
            "topicName": f"v2.conversations.{conversation}.transcription",
            "version": "2",
            "eventBody": message["eventBody"] | {"conversationId": conversation},
            "metadata": {"CorrelationId": "d1ab36e9-af51-4b3c-ab96-98d7349e75b4"},
            "timestamp": "2026-03-19T22:04:48.128Z",
        },
    }
    assert handler(event)["events_new"] == 1
    assert rows(path, "SELECT topic, conversation_id FROM events") == [(event["detail"]["topicName"], conversation)]  # type: ignore[index]


def test_a_batch_of_a_queue_is_stored_and_no_failure_is_reported(path: Path) -> None:
    """Each message of an SQS batch is one event, a redelivered batch writes nothing, and several in a body are several."""
    batch = sqs(*LINES[:9], "".join(LINES[9:14]), "\n".join(LINES[14:]))
    assert handler(batch) == {"batchItemFailures": []}
    before = rows(path, "SELECT * FROM events ORDER BY event_id")
    assert len(before) == len(EVENTS)
    assert {row[5] for row in before} == {"sqs"}
    assert handler(batch) == {"batchItemFailures": []}
    assert rows(path, "SELECT * FROM events ORDER BY event_id") == before
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(0,)]


@pytest.mark.parametrize(
    "shape", ["text", "list", "pipe", "kinesis", "firehose", "array", "bare detail"], ids=lambda shape: shape
)
def test_every_kind_of_call_is_understood(path: Path, shape: str) -> None:
    """Whatever wraps them, the same events are the same rows."""
    packed = base64.b64encode("".join(LINES).encode()).decode()
    calls: dict[str, tuple[Any, Any]] = {
        "text": ("".join(LINES), {"events_new": 18, "events_repeated": 0, "dead_letters": 0}),
        "array": (json.dumps(EVENTS), {"events_new": 18, "events_repeated": 0, "dead_letters": 0}),
        "list": (EVENTS, {"events_new": 18, "events_repeated": 0, "dead_letters": 0}),
        "bare detail": (
            [event["detail"] for event in EVENTS],
            {"events_new": 18, "events_repeated": 0, "dead_letters": 0},
        ),
        "pipe": (sqs(*LINES)["Records"], {"batchItemFailures": []}),
        "kinesis": (
            {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": "1", "data": packed}}]},
            {"batchItemFailures": []},
        ),
        "firehose": (
            {"deliveryStreamArn": "arn", "records": [{"recordId": "a", "data": packed}]},
            {"records": [{"recordId": "a", "result": "Ok", "data": packed}]},
        ),
    }
    call, answer = calls[shape]
    assert handler(call) == answer
    assert rows(path, "SELECT count(*) FROM events") == [(18,)]


BAD: dict[str, Any] = {
    "not JSON": "this is not JSON",
    "cut off": LINES[0][:300],
    "not an object": "[1, 2]",
    "a number": "7",
    "nothing": "",
    "null": "null",
    "no detail": {"version": "0", "id": "x", "detail-type": "t", "source": "aws.partner/genesys.com"},
    "detail is null": EVENTS[0] | {"detail": None},
    "detail is a text": EVENTS[0] | {"detail": "text"},
    "no topic": EVENTS[0] | {"detail": {"eventBody": {"a": 1}}},
    "topic of another type": EVENTS[0] | {"detail": {"topicName": 7, "eventBody": {}}},
    "nested too deep": "[" * 100_000,
    "not UTF-8 inside": '{"detail": {"topicName": "a\ud800"',
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_never_be_understood_is_one_dead_letter(path: Path, name: str) -> None:
    """It is no failure (that would come again for ever), it is kept whole and once, and its neighbours are stored."""
    batch = sqs(LINES[0], BAD[name], LINES[1])
    for _ in range(3):
        assert handler(batch) == {"batchItemFailures": []}
    assert rows(path, "SELECT count(*) FROM events") == [(2,)]
    letters = rows(path, "SELECT source, payload, error FROM dead_letters")
    assert len(letters) == 1
    source, payload, error = letters[0]
    assert (source, bool(error)) == ("sqs", True)
    if isinstance(BAD[name], dict):
        assert json.loads(payload) == BAD[name]
    elif name != "not UTF-8 inside":
        assert payload == BAD[name]


@pytest.mark.parametrize("call", [None, 5, {}, [], [1], {"detail": {}}, "no", {"Records": [{}]}, {"Records": ["x"]}])
def test_a_call_that_is_no_event_is_a_dead_letter(path: Path, call: Any) -> None:
    """The function ends well, so that nobody calls it again with the same."""
    handler(call)
    handler(call)
    expected = 0 if call == [] else 1
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(expected,)]


def test_two_equal_messages_that_cannot_be_read_are_two_dead_letters(path: Path) -> None:
    """They were two, although they say the same."""
    handler(sqs("x", "x"))
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(2,)]


GOOD: dict[str, dict[str, Any]] = {
    "an unknown detail-type": snapshot(),
    "an unknown topic": EVENTS[0] | {"detail": {"topicName": "v2.never.heard.of", "eventBody": {"x": 1}}},
    "unknown fields": EVENTS[0] | {"detail": EVENTS[0]["detail"] | {"organizationId": "o"}, "more": [1]},
    "no conversation id": EVENTS[0] | {"detail": {"topicName": "v2.users.u.presence", "eventBody": {"id": "p"}}},
    "1 MB": EVENTS[0] | {"detail": {"topicName": "v2.x", "eventBody": {"text": "é" * 520_000}}},
    "half a surrogate pair": EVENTS[0] | {"detail": {"topicName": "v2.x", "eventBody": {"text": "\ud83d"}}},
    "an integer beyond 64 bits": EVENTS[0] | {"detail": {"topicName": "v2.x", "eventBody": {"n": 2**80}}},
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("way", ["single", "queue"])
def test_what_is_only_strange_is_an_event(path: Path, name: str, way: str) -> None:
    """Nothing of it is dropped."""
    event = GOOD[name]
    handler(event if way == "single" else sqs(event))
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(0,)]
    (body,) = rows(path, "SELECT body FROM events")[0]
    if name != "half a surrogate pair":
        assert json.loads(body) == event["detail"]["eventBody"]
    if name == "1 MB":
        assert len(body.encode()) > 1_000_000


def test_the_same_event_by_every_way_is_one(path: Path) -> None:
    """WebSocket first, then EventBridge alone, then a queue: one row, whose source is that of its first arrival."""
    from rollbook.genesys.messages.notification import parse_frame

    frame = json.dumps({key: value for key, value in EVENTS[0]["detail"].items() if key != "timestamp"})
    with Book.open(path) as book:
        parsed = parse_frame(frame, source="websocket", received_at="2026-08-03T15:00:00.000Z")
        book.write(events.record, [parsed], book.lag).result()  # type: ignore[list-item]
    assert handler(EVENTS[0])["events_repeated"] == 1
    assert handler(sqs(LINES[0])) == {"batchItemFailures": []}
    assert rows(path, "SELECT source FROM events") == [("websocket",)]


# What could not be stored now


def failing(batch: dict[str, Any], context: Clock | None = None) -> None:
    """The whole batch is reported, and a single event raises: nothing is taken for stored that is not."""
    names = [{"itemIdentifier": record["messageId"]} for record in batch["Records"]]
    assert handler(batch, context) == {"batchItemFailures": names}
    with pytest.raises(StoreError):
        handler(EVENTS[0], context)


def test_a_locked_store_is_a_reported_failure_in_time(path: Path) -> None:
    """While another program keeps the file locked every item is a failure, told before the deadline; then it is stored."""
    handler(EVENTS[5])
    lambda_handler._shelf.put_away()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    failing(sqs(*LINES[:3]), Clock(2.4))
    other.execute("ROLLBACK")
    other.close()
    assert handler(sqs(*LINES[:3])) == {"batchItemFailures": []}
    assert rows(path, "SELECT count(*) FROM events") == [(4,)]


def test_a_lock_on_a_warm_function_is_a_reported_failure(path: Path) -> None:
    """The same when the book is open already."""
    Book.open(path).close()  # to make a store, and to import what that takes, is no part of these 0.4 s
    assert handler(EVENTS[5], Clock(2.4))["events_new"] == 1
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    failing(sqs(*LINES[:3]), Clock(2.4))
    other.execute("ROLLBACK")
    other.close()
    assert handler(sqs(*LINES[:3])) == {"batchItemFailures": []}
    assert rows(path, "SELECT count(*) FROM events") == [(4,)]


def test_a_full_disk_is_a_reported_failure(path: Path) -> None:
    """What did not fit is reported, what is committed stays, and with room again it is stored."""
    handler(EVENTS[5])
    book = lambda_handler._shelf._book
    assert book is not None
    pages = rows(path, "PRAGMA page_count")[0][0]
    book.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages}")).result()
    big = EVENTS[0] | {"detail": {"topicName": "v2.x", "eventBody": {"text": "x" * 100_000}}}
    assert handler(sqs(big, big)) == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
    assert handler(sqs(big, big)) == {"batchItemFailures": []}
    assert rows(path, "SELECT count(*) FROM events") == [(2,)]


READ_ONLY = """
import json, sys
from realtime.lambda_handler import handler
print(json.dumps(handler(json.loads(sys.stdin.read()))))
"""


@pytest.mark.skipif(not MAY_BE_ANYBODY, reason="root may write everything")
def test_a_file_that_may_only_be_read_is_a_reported_failure(path: Path) -> None:
    """A user who may not write the file reports every item, and says what to mend."""
    handler(EVENTS[5])
    lambda_handler._shelf.put_away()
    path.chmod(0o444)
    ran = subprocess.run(
        [*AS_ANYBODY, sys.executable, "-c", READ_ONLY],
        input=json.dumps(sqs(*LINES[:2])),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert json.loads(ran.stdout) == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
    assert "check its permissions" in ran.stderr


def test_a_file_that_turns_read_only_is_a_reported_failure(path: Path) -> None:
    """SQLite's own refusal to write is one, too."""
    handler(EVENTS[5])
    book = lambda_handler._shelf._book
    assert book is not None
    book.write(lambda db: None).result()
    book._writer.submit(lambda db: db.execute("PRAGMA query_only = 1")).result()  # type: ignore[union-attr]
    assert handler(sqs(LINES[0])) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_a_store_that_cannot_be_made_is_a_reported_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there (a mount that failed) loses nothing."""
    monkeypatch.setenv("ROLLBOOK_DB", "/nowhere/at/all/book.db")
    failing(sqs(*LINES[:2]))


def test_one_item_that_breaks_the_write_takes_no_other_with_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that the book can never take becomes a dead letter; the others are stored."""
    from rollbook.store.rows.texts import general

    def breaks(topic: str, conversation_id: str | None) -> str | None:
        if topic.endswith("acd.start"):
            raise ValueError("cannot be bound")
        return general(topic, conversation_id)

    monkeypatch.setattr("rollbook.store.tables.events.general", breaks)
    bad = sum(event["detail"]["topicName"].endswith("acd.start") for event in EVENTS)
    assert bad
    for _ in range(2):
        assert handler(sqs(*LINES)) == {"batchItemFailures": []}
    assert rows(path, "SELECT count(*) FROM events") == [(len(EVENTS) - bad,)]
    assert rows(path, "SELECT DISTINCT error FROM dead_letters") == [("cannot be stored: cannot be bound",)]
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(bad,)]


# Mounted files


MOUNTS = (
    "overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n127.0.0.1:/ /mnt/rollbook nfs4 rw,vers=4.1 0 0\n"
    "fs:/ /mnt/with\\040space nfs4 rw 0 0\n"
)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/mnt/rollbook/rollbook.db", "nfs4"),
        ("/mnt/with space/a.db", "nfs4"),
        ("/mnt/rollbookish/a.db", None),
        ("/tmp/a.db", None),
        ("/var/lib/a.db", None),
    ],
)
def test_a_mounted_file_system_is_recognised(file: str, kind: str | None) -> None:
    """By the longest mount point that the path lies under."""
    assert network_file_system(Path(file), MOUNTS) == kind


def test_on_a_mounted_file_system_a_rollback_journal_is_used(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WAL does not work there: unasked it is not used, and asked for it is refused plainly."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"overlay / overlay rw 0 0\n127.0.0.1:/ {tmp_path.resolve()} nfs4 rw 0 0\n")
    monkeypatch.setattr("rollbook.store.file.connections._MOUNTS", mounts)
    assert handler(EVENTS[0])["events_new"] == 1
    assert rows(path, "PRAGMA journal_mode") == [("delete",)]
    assert not path.with_name("book.db-wal").exists()
    with pytest.raises(StoreUnwritable, match=r"network file system \(nfs4\), where a write-ahead log does not work"):
        choose_journal(path, "wal")
    lambda_handler._shelf.put_away()
    monkeypatch.setenv("ROLLBOOK_JOURNAL", "wal")
    with pytest.raises(StoreError, match="leave journal"):
        handler(EVENTS[1])
    monkeypatch.setattr("rollbook.store.file.connections._MOUNTS", tmp_path / "none")
    assert handler(EVENTS[1])["events_new"] == 1


def test_the_journal_is_a_setting() -> None:
    """By environment or file; anything else than the two words is refused."""
    assert load(env={"ROLLBOOK_JOURNAL": "delete"}, cwd=Path("/")).journal == "delete"
    assert Settings().journal is None
    with pytest.raises(Exception, match='must be "wal" or "delete"'):
        load(env={"ROLLBOOK_JOURNAL": "off"}, cwd=Path("/"))


# Coverage


def test_being_called_is_coverage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls close together are one span of their transport; a long silence ends it at the last call."""
    from datetime import datetime

    moments = [datetime(2026, 8, 3, 14, tzinfo=UTC) + timedelta(minutes=minute) for minute in (0, 5, 9, 60)]

    class Then:
        @staticmethod
        def now(tz: Any = None) -> datetime:
            return moments.pop(0)

    monkeypatch.setattr(lambda_handler, "datetime", Then)
    for number in range(4):
        handler(sqs(LINES[number]))
    found = rows(path, "SELECT source, scope, started_at, ended_at, end_reason, alive_at FROM coverage")
    assert [row[:2] for row in found] == [("sqs", "lambda")] * 2
    assert [row[2][11:16] for row in found] == ["14:00", "15:00"]
    assert found[0][3:5] == ("2026-08-03T14:09:00.000Z", "no events")
    assert found[1][3] is None
    (topics,) = rows(path, "SELECT topics FROM topic_sets")[0]
    assert len(json.loads(topics)) == len(EVERY)


def test_a_schedule_is_no_coverage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule may be switched off while the schedule goes on: what no event has shown is not claimed."""

    async def organization(_api: Api) -> Organization:
        return Organization(ORGANIZATION, "Acme")

    async def scheduled() -> None:
        async with reconciler._opened(replace(load(env=os.environ, cwd=path.parent), **platform)):
            pass

    platform: dict[str, Any] = {"api_url": "http://x", "login_url": "http://x", "access_token": Secret("t")}
    monkeypatch.setattr(Api, "organization", organization)

    handler(sqs(LINES[0]))
    before = rows(path, "SELECT ended_at, alive_at FROM coverage")
    lambda_handler._shelf.put_away()
    for _ in range(3):
        asyncio.run(scheduled())
    assert rows(path, "SELECT ended_at, alive_at FROM coverage") == before
    with Book.open(path, mode="ro") as book:
        (span,) = book.read_now(coverage.overlapping, "0", "9")
    (known,) = as_known([span], from_text(span.alive_at) + timedelta(minutes=30))
    assert (known.ended_at, known.end_reason) == (span.alive_at, "no events")
