"""The door to AWS of the simulator: puts messages into an SQS queue, or events on a bus. boto3, and nothing else.

Real AWS or a stand-in on loopback: `AWS_ENDPOINT_URL` and the other usual variables decide.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import boto3

from rollbook.simulator.eventbridge.delivery import EventBridge

_CALL: Final = 10  # messages, or events, in one call: both services' limit
_EVERY: Final = 0.1

Send = Callable[[Sequence[str]], None]


def to_queue(url: str) -> Send:
    """Each message is one of the queue's."""
    client = boto3.client("sqs")

    def send(messages: Sequence[str]) -> None:
        for at in range(0, len(messages), _CALL):
            entries = [
                {"Id": str(number), "MessageBody": text} for number, text in enumerate(messages[at : at + _CALL])
            ]
            answer = client.send_message_batch(QueueUrl=url, Entries=entries)
            if answer.get("Failed"):
                raise RuntimeError(f"the queue refuses: {answer['Failed'][0].get('Message')}")

    return send


def to_bus(name: str) -> Send:
    """Each message that is an event goes on the bus, whose rules send it on; a bus takes nothing else."""
    client = boto3.client("events")

    def send(messages: Sequence[str]) -> None:
        events = [found for message in messages if (found := _entry(message, name)) is not None]
        for at in range(0, len(events), _CALL):
            answer = client.put_events(Entries=events[at : at + _CALL])
            if answer["FailedEntryCount"]:
                raise RuntimeError(f"the bus refuses: {answer['Entries'][0].get('ErrorMessage')}")

    return send


def _entry(message: str, bus: str) -> dict[str, Any] | None:
    try:
        content = json.loads(message)
        return {
            "EventBusName": bus,
            "Source": content["source"],
            "DetailType": content["detail-type"],
            "Detail": json.dumps(content["detail"], ensure_ascii=False),
        }
    except (ValueError, KeyError, TypeError):
        return None


async def deliver(bridge: EventBridge, send: Send) -> None:
    """Deliver what comes, until cancelled; then the rest."""
    try:
        while True:
            await asyncio.to_thread(send, bridge.messages())
            await asyncio.sleep(_EVERY)
    finally:
        send(bridge.messages(all=True))
