"""The simulator as a source of EventBridge events, and the whole way: organisation, bus, queue, daemon, reconcile, truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from realtime import lambda_handler
from realtime.aws.sqs import SqsQueue
from realtime.daemon.daemon import Daemon, Options
from rollbook.genesys.program.settings import load
from rollbook.simulator import Simulator
from rollbook.simulator.eventbridge.aws import to_bus, to_queue
from rollbook.simulator.eventbridge.delivery import DeliveryTrouble, EventBridge
from rollbook.simulator.notifications.emitter import Event
from tests.helpers.aws import Aws, aws, aws_server
from tests.helpers.paths import EXAMPLES
from tests.helpers.whole import assert_store_is, finish, rollbook, rows, start, until

__all__ = ["aws", "aws_server"]

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
HOUR = DAY + timedelta(hours=10)
END = HOUR + timedelta(hours=1)
WINDOW = f"{HOUR:%Y-%m-%dT%H:%M:%SZ}/PT1H"
ORGANIZATION = "3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10"


def event(number: int, *, member: str = "acw", conversation: str = "c") -> Event:
    """An event that no other number has."""
    topic = f"v2.detail.events.conversation.{conversation}.{member}"
    template = f"v2.detail.events.conversation.{{id}}.{member}"
    at = datetime(2026, 8, 3, 14, tzinfo=UTC) + timedelta(seconds=number)
    return Event(at, topic, template, conversation, json.dumps({"n": number}), f"correlation-{number}")


def test_an_event_is_what_the_bus_carries() -> None:
    """The envelope as it was recorded: template with the literal braces, whole seconds outside, milliseconds inside."""
    bridge = EventBridge(ORGANIZATION)
    bridge.take(event(7))
    bridge.take(replace(event(8), template="v2.routing.queues.{id}.conversations"))
    (text,) = bridge.messages()
    event_sent = json.loads(text)
    recorded = json.loads((EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()[0])
    assert set(event_sent) == set(recorded)
    assert set(event_sent["detail"]) == set(recorded["detail"])
    assert event_sent["detail-type"] == "v2.detail.events.conversation.{id}.acw"
    assert event_sent["source"] == f"aws.partner/genesys.com/cloud/{ORGANIZATION}/simulated"
    assert (event_sent["time"], event_sent["detail"]["timestamp"]) == (
        "2026-08-03T14:00:07Z",
        "2026-08-03T14:00:07.350Z",
    )


def test_the_same_seed_has_the_same_trouble() -> None:
    """Loss, repeats, order and poison are drawn; nothing that was not lost is missing."""

    def play() -> tuple[list[str], EventBridge]:
        trouble = DeliveryTrouble(loss=0.1, deaf=0.2, repeats=0.2, reorder=20, bundled=0.3, poison=0.05)
        bridge = EventBridge(ORGANIZATION, trouble=trouble, seed=4)
        found = []
        for number in range(400):
            bridge.take(event(number, conversation=f"c{number // 10}"))
            if number % 30 == 0:
                found += bridge.messages()
        return found + bridge.messages(all=True), bridge

    (first, bridge), (second, _) = play(), play()
    assert first == second
    delivered = bridge.delivered
    assert len(delivered.sent) + len(delivered.lost) == 400
    assert delivered.poison > 5
    text = "".join(first)
    numbers = [int(part.partition("}")[0]) for part in text.split('"eventBody":{"n":')[1:]]
    assert set(numbers) == {json.loads(body)["n"] for _, body in delivered.sent}
    assert max(Counter(numbers).values()) == 2
    assert numbers != sorted(numbers)
    whole = Counter(event.conversation for event in delivered.lost)
    assert any(count == 10 for count in whole.values())


@contextlib.asynccontextmanager
async def organisation(*, per_hour: float = 60) -> AsyncIterator[Simulator]:
    """An hour of conversations, from then on nothing new."""
    async with Simulator(seed=11, start=HOUR, rate=0, per_hour=per_hour, rate_limit=100_000) as simulator:
        yield simulator


async def live(simulator: Simulator, bridge: EventBridge, send: Any) -> None:
    """Let the hour pass, and what began in it end; deliver as it goes."""
    for _ in range(12):
        simulator.clock.advance(timedelta(minutes=5))
        await simulator.notifications.settle()
        await asyncio.to_thread(send, bridge.messages())
    simulator.world._per_hour = 0
    simulator.clock.advance(datetime.now(UTC) - simulator.now())
    await simulator.notifications.settle()
    await asyncio.to_thread(send, bridge.messages(all=True))


@pytest.mark.parametrize("way", ["bus", "queue"])
async def test_from_the_organisation_to_the_truth(aws: Aws, tmp_path: Path, way: str) -> None:
    """Organisation → bus → queue → daemon, with redelivery, disorder, loss and poison; then reconcile ends at the truth.

    Whatever was delivered is in `events` exactly once; what was lost whole is what the reconciler finds missing.
    """
    url = await asyncio.to_thread(aws.queue, "events", redrive_after=6, visibility=1)
    if way == "bus":
        await asyncio.to_thread(aws.bus, "partner", url)
    path = tmp_path / "rollbook.db"
    trouble = DeliveryTrouble(
        loss=0.1, deaf=0.2, repeats=0.1, reorder=40, bundled=0.2 if way == "queue" else 0, poison=0.02
    )
    async with organisation() as simulator:
        bridge = EventBridge(str(simulator.world.organization["id"]), trouble=trouble, seed=2)
        simulator.notifications.listen(bridge.take)
        settings = load(env=simulator.env, cwd=tmp_path)
        settings = replace(settings, store_path=path, websocket=False, sqs_queue_url=url)
        queue = SqsQueue(url, receivers=2, wait=1)
        daemon = Daemon(settings, options=Options(now=simulator.now, reconcile=False, queue=lambda _: queue))
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(60):
            await daemon.ready.wait()
            send = to_bus("partner") if way == "bus" else to_queue(url)
            await live(simulator, bridge, send)
            while await asyncio.to_thread(aws.left, url):
                await asyncio.sleep(0.05)
        daemon.stop()
        assert await running == 0
        stored = {(topic, body) for topic, body in rows(path, "SELECT topic, body FROM events")}
        assert len(stored) == rows(path, "SELECT count(*) FROM events")[0][0]
        assert {topic for topic, _ in stored} == {topic for topic, _ in bridge.delivered.sent}
        assert len(stored) == len(bridge.delivered.sent)
        if way == "queue":
            assert rows(path, "SELECT count(*) FROM dead_letters")[0][0] > 0
        truth = simulator.truth(HOUR, END)
        stored_ids = {topic.split(".")[4] for topic, _ in stored}
        ran = await rollbook("reconcile", "--window", WINDOW, "--json", env=simulator.env, cwd=tmp_path)
        assert ran.status == 0, ran.err
        assert ran.json["missing"] == len(set(truth) - stored_ids) > 0
        again = await rollbook("reconcile", "--window", WINDOW, "--json", env=simulator.env, cwd=tmp_path)
        assert (again.json["missing"], again.json["written"]) == (0, 0)
        truth = simulator.truth(HOUR, END)
    assert_store_is(path, truth, start=f"{HOUR:%Y-%m-%dT%H}:00:00.000Z", end=f"{END:%Y-%m-%dT%H}:00:00.000Z")
    missed = rows(path, "SELECT conversation_id FROM gaps WHERE kind = 'missing'")
    assert {conversation_id for (conversation_id,) in missed} >= set(truth) - stored_ids


async def test_the_function_ends_at_the_truth_too(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same organisation by batches of a queue into the function, one batch failing in between, and its schedule."""
    path = tmp_path / "rollbook.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DB", str(path))
    trouble = DeliveryTrouble(loss=0.1, repeats=0.1, reorder=40, bundled=0.2, poison=0.02)
    bodies: list[str] = []
    async with organisation() as simulator:
        bridge = EventBridge(str(simulator.world.organization["id"]), trouble=trouble, seed=3)
        simulator.notifications.listen(bridge.take)
        await live(simulator, bridge, bodies.extend)
        waiting = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        calls = 0
        while waiting:
            calls += 1
            batch, waiting = waiting[:50], waiting[50:]
            other = None
            if calls == 3:
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
            answer = lambda_handler.handler(cast(Any, {"Records": batch}), Hurry() if other else None)
            if other is not None:
                other.execute("ROLLBACK")
                other.close()
                assert len(answer["batchItemFailures"]) == len(batch)
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            waiting += [record for record in batch if record["messageId"] in failed]
        assert rows(path, "SELECT count(*) FROM events")[0][0] == len(bridge.delivered.sent)
        for name, value in simulator.env.items():
            monkeypatch.setenv(name, value)
        report = await asyncio.to_thread(lambda_handler.handler, {"window": WINDOW})
        assert report["verdict"] in ("open", "complete", "settled")
        truth = simulator.truth(HOUR, END)
    lambda_handler._shelf.put_away()
    assert_store_is(path, truth, start=f"{HOUR:%Y-%m-%dT%H}:00:00.000Z", end=f"{END:%Y-%m-%dT%H}:00:00.000Z")


class Hurry:
    """A context with little time."""

    def get_remaining_time_in_millis(self) -> int:
        return 2_300


@pytest.mark.process
async def test_simulate_fills_a_queue(aws: Aws, tmp_path: Path) -> None:
    """`rollbook simulate --sqs URL` as people type it: events arrive in the queue, in EventBridge's envelope."""
    url = await asyncio.to_thread(aws.queue, "events")
    words = [
        "simulate",
        "--json",
        "--rate",
        "600",
        "--per-hour",
        "300",
        "--days",
        "0",
        "--sqs",
        url,
        "--repeats",
        "0.1",
    ]
    process = await start(*words, env=aws.env, cwd=tmp_path)
    await until(lambda: aws.left(url) > 20)
    process.terminate()
    ran = await finish(process)
    assert ran.status == 0, ran.err
    (message,) = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    assert json.loads(message["Body"])["detail-type"].startswith("v2.detail.events.conversation.{id}.")
