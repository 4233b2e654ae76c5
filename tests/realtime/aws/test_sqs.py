"""From an event bus to the store over AWS' own protocols (moto's server), and both transports at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web

from realtime import lambda_handler
from realtime.aws.sqs import SqsQueue
from realtime.aws.sqs_consumer import QueueError, SqsConsumer
from realtime.daemon.daemon import Daemon, Options
from realtime.storing.inbox import Frame, Inbox
from realtime.storing.store_frames import FrameStore
from reconcile.lambda_handler import handler as reconcile
from reconcile.lambda_handler import time_of
from rollbook.genesys.errors import RollbookError, SettingsError
from rollbook.genesys.topics import DETAIL_MEMBERS, DETAIL_TEMPLATES
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from tests.helpers.aws import Aws, aws, aws_server
from tests.helpers.paths import EXAMPLES
from tests.helpers.stand_in import StandIn, at_work
from tests.helpers.whole import finish, rollbook, rows, start, until

__all__ = ["aws", "aws_server"]

LINES = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()
# Whose events they are.
THEIRS = "3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10"
BUS = "aws.partner/genesys.com/cloud/3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10/rollbook"


def ours(line: str, organisation: Simulator) -> str:
    """An event as this organisation would send it."""
    return line.replace(THEIRS, str(organisation.world.organization["id"]))


def detail(number: int) -> dict[str, Any]:
    """A detail event that no other number has: some sixteen of each conversation."""
    conversation, member = str(uuid.UUID(int=number // 16 + 1)), DETAIL_MEMBERS[number % 16]
    return {
        "topicName": f"v2.detail.events.conversation.{conversation}.{member}",
        "version": "2",
        "eventBody": {"eventTime": 1785765600000 + number, "conversationId": conversation, "mediaType": "VOICE"},
        "metadata": {"CorrelationId": str(uuid.UUID(int=number))},
    }


def envelope(number: int, *, delivery: int = 0) -> str:
    """The same as EventBridge brings it; each delivery has an id of its own."""
    return json.dumps(
        {
            "version": "0",
            "id": f"{number}-{delivery}",
            "detail-type": "v2.detail.events.conversation.{id}.x",
            "source": BUS,
            "account": "123456789012",
            "time": "2026-08-03T14:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {**detail(number), "timestamp": f"2026-08-03T14:00:0{delivery}.000Z"},
        }
    )


def wait_for(condition: Callable[[], object], *, within: float = 30.0) -> None:
    """Wait for what other threads do."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not come"
        threading.Event().wait(0.02)


def put(*events: dict[str, Any]) -> None:
    """Put events on the bus, as the partner does."""
    client = boto3.client("events")
    for at in range(0, len(events), 10):
        entries = [
            {
                "EventBusName": "partner",
                "Source": BUS,
                "DetailType": "v2.detail.events.conversation.{id}.x",
                "Detail": json.dumps(event),
                "Time": datetime(2026, 8, 3, 14, tzinfo=UTC),
            }
            for event in events[at : at + 10]
        ]
        assert client.put_events(Entries=entries)["FailedEntryCount"] == 0


@contextmanager
def consuming(url: str, path: Path) -> Iterator[SqsConsumer]:
    """The daemon's consumer of a queue."""
    with Book.open(path) as book:
        queue = SqsQueue(url, receivers=2, wait=1)
        consumer = SqsConsumer(
            queue, book, now=lambda: datetime.now(UTC), topics=DETAIL_TEMPLATES, receivers=2, tick=0.1
        )
        with at_work(consumer):
            yield consumer


def test_what_is_put_on_the_bus_is_stored_and_the_queue_is_empty(aws: Aws, tmp_path: Path) -> None:
    """Bus, rule, queue, consumer: every event once, whatever came twice; poison ends in the dead-letter queue."""
    url = aws.queue("events", redrive_after=2, visibility=1)
    aws.bus("partner", url)
    numbers = [*range(120), *range(0, 120, 7)]
    random.Random(1).shuffle(numbers)
    put(*(detail(number) for number in numbers))
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="no JSON at all")
    sqs.send_message(QueueUrl=url, MessageBody="".join(LINES[:3]))
    dead = sqs.get_queue_url(QueueName="events-dead")["QueueUrl"]
    with consuming(url, tmp_path / "a.db") as consumer:
        wait_for(lambda: consumer.figures().new == 123)
        wait_for(lambda: aws.left(url) == 0 and aws.left(dead) == 1)
        assert consumer.figures().repeated >= len(numbers) - 120
    assert rows(tmp_path / "a.db", "SELECT count(*), count(DISTINCT identity) FROM events") == [(123, 123)]
    assert rows(tmp_path / "a.db", "SELECT source, payload FROM dead_letters") == [("sqs", "no JSON at all")]
    assert rows(tmp_path / "a.db", "SELECT source, scope, end_reason FROM coverage") == [("sqs", "events", "stopped")]


def test_the_four_calls_as_sqs_answers_them(aws: Aws) -> None:
    """How it is set up, receiving, hiding on, showing again, deleting; twice deleted is no failure."""
    queue = SqsQueue(aws.queue("events", visibility=45), wait=1)
    assert (queue.name, queue.about().visibility, queue.about().redrives) == ("events", 45, False)
    assert SqsQueue(aws.queue("other", redrive_after=3), wait=1).about().redrives
    boto3.client("sqs").send_message(QueueUrl=queue._url, MessageBody="x")
    (message,) = queue.receive()
    assert message.body == "x"
    queue.hide([message.handle], 600)
    queue.hide([message.handle], 0)
    (again,) = queue.receive()
    assert (again.id, again.handle != message.handle) == (message.id, True)
    assert list(queue.delete([again.handle])) == []
    assert list(queue.delete([again.handle])) == []
    assert list(queue.receive()) == []


def test_a_queue_that_does_not_exist_is_one_clear_line(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is AWS that cannot be reached, and a profile that does not exist."""
    url = aws.queue("events")
    with pytest.raises(QueueError, match=r"check \[realtime.sqs\] queue_url"):
        SqsQueue(url.replace("events", "nothing")).about()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(QueueError, match="check the network") as caught:
        SqsQueue(url).about()
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(QueueError, match="AWS_PROFILE"):
        SqsQueue(url)


@pytest.mark.skipif("ROLLBOOK_HEAVY" not in os.environ, reason="minutes: set ROLLBOOK_HEAVY=1")
def test_a_hundred_thousand_events_through_the_queue(aws: Aws, tmp_path: Path) -> None:
    """None is lost on the way."""
    many = 100_000
    url = aws.queue("events", visibility=120)
    sqs = boto3.client("sqs")
    with consuming(url, tmp_path / "a.db") as consumer:
        for at in range(0, many, 10):
            entries = [{"Id": str(number), "MessageBody": envelope(number)} for number in range(at, at + 10)]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
            if at % 1_000 == 0:  # moto walks through a queue at every call: a long one would take hours
                wait_for(lambda at=at: consumer.figures().deleted >= at - 1_000, within=600)  # type: ignore[misc]
        wait_for(lambda: aws.left(url) == 0, within=3600)
        assert consumer.figures().new == many
    assert rows(tmp_path / "a.db", "SELECT count(*), count(DISTINCT identity) FROM events") == [(many, many)]


# Both transports


async def test_the_same_ten_thousand_events_by_both_ways_are_each_one(tmp_path: Path) -> None:
    """By WebSocket and by the queue at the same time, interleaved and repeated: each once in `events`."""
    many = 10_000
    draw = random.Random(5)
    queue = StandIn()
    inbox = Inbox()
    path = tmp_path / "a.db"
    book = await asyncio.to_thread(Book.open, path)
    consumer = SqsConsumer(queue, book, now=lambda: datetime.now(UTC), topics=DETAIL_TEMPLATES)
    intake = FrameStore(book, inbox, now=lambda: datetime.now(UTC))
    storing = asyncio.create_task(intake.run())
    await asyncio.to_thread(consumer.look)
    consumer.start()
    work = [(number, way) for number in range(many) for way in "we"]
    work += draw.sample(work, many // 2)
    work.sort(key=lambda item: item[0] + draw.random() * 300)
    for at in range(0, len(work), 50):
        for number, way in work[at : at + 50]:
            if way == "w":
                assert inbox.put(Frame(json.dumps(detail(number)).encode(), datetime.now(UTC), 1))
            else:
                queue.send(envelope(number, delivery=draw.randrange(9)))
        # Nobody runs ahead: what comes by one way is stored before the other way's storing has to wait for it.
        while inbox.frames or len(queue.waiting) > 100:
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while not queue.empty:
            await asyncio.sleep(0.01)
    inbox.close()
    await storing
    await asyncio.to_thread(consumer.stop)
    figures = consumer.figures()
    await asyncio.to_thread(book.close)
    assert rows(path, "SELECT count(*), count(DISTINCT identity) FROM events") == [(many, many)]
    assert intake.stored.events_new + figures.new == many
    assert min(intake.stored.events_new, figures.new) > 0, "both brought some first"
    assert intake.stored.events_repeated + figures.repeated == len(work) - many
    assert {source for (source,) in rows(path, "SELECT DISTINCT source FROM events")} == {"websocket", "sqs"}
    assert rows(path, "SELECT count(*) FROM dead_letters") == [(0,)]


# The daemon


@pytest.mark.process
async def test_the_daemon_listens_to_a_queue_alone(aws: Aws, tmp_path: Path) -> None:
    """A whole process: what is in the queue is stored, SIGTERM ends it well, coverage says what it listened by."""
    url = await asyncio.to_thread(aws.queue, "events")
    file = f'[realtime]\nwebsocket = false\n[realtime.sqs]\nqueue_url = "{url}"\nreceivers = 2\n'
    (tmp_path / "rollbook.toml").write_text(file)
    async with Simulator(seed=5, start=datetime.now(UTC) - timedelta(hours=1), per_hour=10) as organisation:
        for line in LINES:
            aws.sqs.send_message(QueueUrl=url, MessageBody=ours(line, organisation))
        process = await start("run", env={**organisation.env, **aws.env}, cwd=tmp_path)
        path = tmp_path / "rollbook.db"

        def stored() -> bool:
            try:
                return rows(path, "SELECT count(*) FROM events") == [(18,)]
            except sqlite3.OperationalError:
                return False

        await until(stored)
        await until(lambda: aws.left(url) == 0)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ran = await finish(process)
        assert ran.status == 0, ran.err
        assert time.monotonic() - began < 10
    assert rows(path, "SELECT source, scope, end_reason FROM coverage") == [("sqs", "events", "stopped")]
    assert "the queue events" in ran.err


async def test_the_daemon_listens_by_both(tmp_path: Path) -> None:
    """Side by side; the ledger has a span for each, and its figures have both."""
    from dataclasses import replace

    from rollbook.genesys.program.settings import load

    async with Simulator(seed=5, start=datetime.now(UTC) - timedelta(hours=1), per_hour=10) as organisation:
        queue = StandIn([ours(LINES[0], organisation)])
        settings = replace(
            load(env=organisation.env, cwd=tmp_path), store_path=tmp_path / "a.db", sqs_queue_url="http://x/events"
        )
        daemon = Daemon(settings, options=Options(reconcile=False, queue=lambda _: queue))
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(20):
            await daemon.ready.wait()
            while not (
                daemon.sqs_consumer
                and daemon.sqs_consumer.figures().new == 1
                and daemon.sqs_consumer.figures().is_listening
            ):
                await asyncio.sleep(0.02)
        figures = await daemon.figures()
        assert figures.sqs is not None
        assert (len(figures.lines) > 0, figures.sqs.new) == (True, 1)
        daemon.stop()
        assert await running == 0
    sources = {
        source for (source,) in rows(tmp_path / "a.db", "SELECT source FROM coverage WHERE end_reason = 'stopped'")
    }
    assert sources == {"websocket", "sqs"}


@pytest.mark.process
async def test_the_doctor_looks_at_the_queue(aws: Aws, tmp_path: Path) -> None:
    """It answers, or it is said what to mend; without a redrive policy it is worth a look."""
    good = await asyncio.to_thread(aws.queue, "events", redrive_after=3)
    bare = await asyncio.to_thread(aws.queue, "bare")
    async with Simulator(seed=5, start=datetime.now(UTC) - timedelta(hours=1), per_hour=10) as organisation:
        for url, state in ((good, "ok"), (bare, "warn"), (good + "-not", "fail")):
            (tmp_path / "rollbook.toml").write_text(f'[realtime.sqs]\nqueue_url = "{url}"\n')
            ran = await rollbook("doctor", "--json", env={**organisation.env, **aws.env}, cwd=tmp_path)
            (check,) = [check for check in ran.json["checks"] if check["name"] == "queue"]
            assert check["state"] == state, ran
            assert check["mend"] or state == "ok"


async def test_a_daemon_with_nothing_to_listen_to_does_not_start() -> None:
    """It names both settings."""
    from dataclasses import replace

    from rollbook.genesys.program.settings import Secret, Settings

    settings = Settings(api_url="http://x", login_url="http://x", client_id="a", client_secret=Secret("b"))
    with pytest.raises(SettingsError, match="queue_url"):
        await Daemon(replace(settings, websocket=False)).run()


# The function reconciles


class Clock:
    """A context with so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)


@pytest.fixture
def _function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DB", str(tmp_path / "a.db"))
    yield
    lambda_handler._shelf.put_away()


@pytest.mark.usefixtures("_function")
async def test_a_scheduled_call_reconciles_what_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EventBridge's schedule to the one function: windows are read into the file that capture writes; then nothing."""
    (tmp_path / "rollbook.toml").write_text(f'[reconcile]\nsince = "{DAY:%Y-%m-%d}T10:00:00Z"\nwidth = "P1D"\n')
    schedule: Any = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "version": "0"}
    async with Simulator(seed=7, start=DAY, per_hour=10, rate_limit=100_000) as organisation:
        organisation.clock.advance(datetime.now(UTC) - organisation.now())
        for name, value in organisation.env.items():
            monkeypatch.setenv(name, value)
        captured = await asyncio.to_thread(lambda_handler.handler, json.loads(ours(LINES[0], organisation)), Clock(60))
        assert captured["events_new"] == 1
        report = await asyncio.to_thread(lambda_handler.handler, schedule, Clock(120))
        assert report["errors"] == []
        assert len(report["windows"]) >= 1
        assert sum(window["missing"] for window in report["windows"]) > 0
        again = await asyncio.to_thread(lambda_handler.handler, schedule, Clock(120))
        assert again["windows"] == []
        window = f"{DAY:%Y-%m-%d}T10:00:00Z/PT30M"
        by_hand = await asyncio.to_thread(lambda_handler.handler, {"window": window}, Clock(120))
        assert (by_hand["verdict"] in ("open", "complete", "settled"), by_hand["missing"]) == (True, 0)
        direct = await asyncio.to_thread(reconcile, {"window": window}, None)
        assert direct["written"] == 0
        truth = organisation.truth(DAY + timedelta(hours=10), DAY + timedelta(hours=10, minutes=30))
        again = await asyncio.to_thread(lambda_handler.handler, json.loads(ours(LINES[0], organisation)), Clock(60))
        assert again["events_repeated"] == 1
    start_, end = f"{DAY:%Y-%m-%d}T10:00:00.000Z", f"{DAY:%Y-%m-%d}T10:30:00.000Z"
    query = f"SELECT conversation_id FROM conversations WHERE conversation_start >= '{start_}' AND conversation_start < '{end}'"
    assert {row[0] for row in rows(tmp_path / "a.db", query)} == set(truth)
    assert rows(tmp_path / "a.db", "SELECT DISTINCT command FROM window_runs") == [("lambda",)]


@asynccontextmanager
async def slow_platform() -> AsyncIterator[dict[str, str]]:
    """A platform that signs in and then never answers a query."""

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "token_type": "bearer", "expires_in": 3600})

    async def organization(_: web.Request) -> web.Response:
        return web.json_response({"id": "o", "name": "Slow"})

    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.add_routes(
        [
            web.post("/oauth/token", token),
            web.get("/api/v2/organizations/me", organization),
            web.get("/api/v2/authorization/divisions", never),
            web.post("/api/v2/analytics/conversations/details/query", never),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield {
            "GENESYSCLOUD_API_URL": address,
            "GENESYSCLOUD_LOGIN_URL": address,
            "GENESYSCLOUD_OAUTHCLIENT_ID": "a",
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": "b",
        }
    finally:
        await runner.cleanup()


@pytest.mark.usefixtures("_function")
async def test_a_run_stops_in_good_time_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when the platform does not answer at all: what is due answers a report, a window says what to do."""
    async with slow_platform() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        context = Clock(1.2)
        report = await asyncio.to_thread(reconcile, {}, context)
        assert context.get_remaining_time_in_millis() > 50
        assert (report["windows"], report["left"]) == ([], 1)
        context = Clock(1.2)
        with pytest.raises(RollbookError, match="before the function's deadline"):
            await asyncio.to_thread(reconcile, {"window": f"{DAY:%Y-%m-%d}T10:00:00Z/PT30M"}, context)
        assert context.get_remaining_time_in_millis() > 50


@pytest.mark.usefixtures("_function")
def test_what_prevents_a_run_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing settings and a malformed window raise, which Lambda counts as an error."""
    with pytest.raises(SettingsError, match="GENESYSCLOUD_REGION"):
        reconcile({}, None)
    monkeypatch.setenv("GENESYSCLOUD_REGION", "us-east-1")
    monkeypatch.setenv("GENESYSCLOUD_ACCESS_TOKEN", "t")
    with pytest.raises(RollbookError, match="interval"):
        reconcile({"window": "yesterday"}, None)


@pytest.mark.parametrize("left_", [3.0, 60.0, 120.0, 900.0])
def test_time_is_kept_for_the_end(left_: float) -> None:
    """First it is asked to end, then ended, and a moment is left to answer."""
    time_ = time_of(left_)
    assert 0 < time_.ask < time_.end < left_
    assert left_ - time_.end >= min(left_ / 10, 5) - 1e-6
