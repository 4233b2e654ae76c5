"""From a queue to a durable row: the daemon's SQS door against a bare loop that writes the same rows, in one run.

    python tests/benchmarks/bench_sqs.py [EVENTS]

EVENTS (100,000) distinct detail events as EventBridge puts them into a queue's messages, ten a call, from a queue in
memory that makes the four calls as fast as a list. Both write to a new file with `synchronous=FULL` until the queue is
empty and everything is durable and deleted:

  bare      one thread: receive until there are 100 messages, decode, and write the same rows: events with the same
            columns and a unique digest, and the conversation's row; one commit; delete
  rollbook  `realtime.aws.sqs_consumer.Door` and the book: receivers, identity, live picture, dead letters, visibility, coverage

Printed: events a second of each, best of three in turns, and the ratio, which is the figure that counts.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from realtime.aws.sqs_consumer import SqsConsumer  # noqa: E402
from rollbook.genesys.program.process_memory import tune_collector  # noqa: E402
from rollbook.genesys.topics import DETAIL_MEMBERS, DETAIL_TEMPLATES  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from tests.benchmarks import bare_events  # noqa: E402
from tests.helpers.stand_in import StandIn  # noqa: E402


def body(index: int) -> str:
    """One event, as EventBridge writes it: some sixteen of each conversation."""
    conversation, member = str(uuid.UUID(int=index // 16 + 1)), DETAIL_MEMBERS[index % 16]
    event = {
        "eventTime": 1785765600000 + index,
        "conversationId": conversation,
        "participantId": str(uuid.UUID(int=index)),
        "sessionId": str(uuid.UUID(int=index * 7 + 1)),
        "mediaType": "VOICE",
        "provider": "Edge",
        "direction": "INBOUND",
        "ani": "tel:+13175550123",
        "dnis": "tel:+18005550100",
        "queueId": "a1b2c3d4-1111-4222-8333-944445555666",
        "userId": "c3d4e5f6-3333-4444-8555-b66667777888",
        "divisionId": "d4e5f607-4444-4555-8666-c77778888999",
        "conversationExternalContactIds": ["5566aa77-8899-4aab-8bcc-cddeeff00112"],
    }
    topic = f"v2.detail.events.conversation.{conversation}.{member}"
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid.UUID(int=index)),
            "detail-type": topic.replace(conversation, "{id}"),
            "source": "aws.partner/genesys.com/cloud/3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10/rollbook",
            "account": "123456789012",
            "time": "2026-08-03T14:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {
                "topicName": topic,
                "version": "2",
                "eventBody": event,
                "metadata": {"CorrelationId": str(uuid.UUID(int=index))},
                "timestamp": "2026-08-03T14:00:00.350Z",
            },
        },
        separators=(",", ":"),
    )


def bare(queue: StandIn, path: str) -> float:
    """The bare loop."""
    database = bare_events.opened(path, page_bytes=8192)
    began = time.perf_counter()
    while not queue.empty:
        messages = [message for _ in range(10) for message in queue.receive()]
        bare_events.write(database, (message.body for message in messages))
        handles = [message.handle for message in messages]
        for at in range(0, len(handles), 10):
            queue.delete(handles[at : at + 10])
    took = time.perf_counter() - began
    database.close()
    return took


def rollbook(queue: StandIn, path: str) -> float:
    """The door."""
    with Book.open(path) as book:
        door = SqsConsumer(queue, book, now=lambda: datetime.now(UTC), topics=DETAIL_TEMPLATES)
        began = time.perf_counter()
        door.look()
        door.start()
        while not queue.empty:
            time.sleep(0.005)
        took = time.perf_counter() - began
        door.stop()
    return took


def main() -> None:
    """Run both three times, in turns."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    bodies = [body(index) for index in range(many)]
    tune_collector()
    rates: dict[str, list[float]] = {"bare": [], "rollbook": []}
    for _ in range(3):
        for name, contender in (("bare", bare), ("rollbook", rollbook)):
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/b.db"
                rates[name].append(many / contender(StandIn(bodies), path))
                database = sqlite3.connect(path)
                assert database.execute("SELECT count(*) FROM events").fetchone() == (many,)
                database.close()
    for name, found in rates.items():
        print(f"{name:<10} {max(found):>8,.0f} events/s   (of {', '.join(f'{rate:,.0f}' for rate in found)})")
    print(f"ratio      {max(rates['rollbook']) / max(rates['bare']):>8.2f}")


if __name__ == "__main__":
    main()
