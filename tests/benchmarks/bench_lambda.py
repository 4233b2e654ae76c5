"""What the function on AWS costs: its import against bare Python, and a warm batch of ten against a bare loop.

    python tests/benchmarks/bench_lambda.py [TIMES]

  python    an interpreter that starts and ends
  sqlite    the same, with sqlite3, json and threading imported: what any function that writes SQLite needs
  handler   the same, with realtime.lambda_handler imported
  first     the same, with one event stored in a store that is there
  bare 10   ten events decoded and written, one commit: the same rows, a digest, `synchronous=FULL`
  warm 10   the handler's call for an SQS batch of ten

Printed: medians in milliseconds, the differences and ratios, and which heavy modules were imported. The files of the
handler are compiled before (Lambda's are not; python deploy/aws/package.py leaves that to the first start).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
from tests.benchmarks import bare_events  # noqa: E402

HEAVY = (
    "boto3",
    "botocore",
    "httpx",
    "apscheduler",
    "websockets",
    "aiohttp",
    "click",
    "rich",
    "sqlite_utils",
    "asyncio",
)


def event(index: int) -> str:
    """A detail event as EventBridge brings it."""
    conversation = f"7c1f0d6e-52f1-4c1b-9a6c-{index // 16:012d}"
    topic = f"v2.detail.events.conversation.{conversation}.customer.start"
    body = {
        "eventTime": 1785765600000 + index,
        "conversationId": conversation,
        "participantId": f"p{index}",
        "sessionId": f"s{index}",
        "mediaType": "VOICE",
        "provider": "Edge",
        "direction": "INBOUND",
        "ani": "tel:+13175550123",
        "dnis": "tel:+18005550100",
        "queueId": "a1b2c3d4-1111-4222-8333-944445555666",
    }
    return json.dumps(
        {
            "version": "0",
            "id": str(index),
            "detail-type": "v2.detail.events.conversation.{id}.customer.start",
            "source": "aws.partner/genesys.com/cloud/o/s",
            "account": "1",
            "time": "2026-08-03T14:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {
                "topicName": topic,
                "version": "2",
                "eventBody": body,
                "metadata": {"CorrelationId": str(index)},
                "timestamp": "2026-08-03T14:00:00.350Z",
            },
        }
    )


def started(program: str, times: int, env: dict[str, str]) -> float:
    """The median of whole processes, in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", program], check=True, env=env, stdout=subprocess.DEVNULL)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def bare(path: str, batches: list[list[str]]) -> float:
    """Ten at a time, by a loop."""
    database = bare_events.opened(path)
    took = []
    for batch in batches:
        began = time.perf_counter()
        bare_events.write(database, batch)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def warm(batches: list[list[str]]) -> float:
    """Ten at a time, by the handler."""
    from realtime.lambda_handler import handler

    took = []
    for batch in batches:
        call: Any = {"Records": [{"messageId": str(at), "body": text} for at, text in enumerate(batch)]}
        began = time.perf_counter()
        answer = handler(call)
        took.append((time.perf_counter() - began) * 1000)
        assert answer == {"batchItemFailures": []}
    return statistics.median(took)


def main() -> None:
    """Measure, and print."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    # What -S leaves out: where the dependencies are.
    folders = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("-packages"))])
    batches = [[event(at * 10 + number) for number in range(10)] for at in range(300)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROLLBOOK_DB"] = f"{folder}/a.db"
        os.environ.pop("ROLLBOOK_CONFIG", None)
        os.chdir(folder)
        env = {**os.environ, "PYTHONPATH": folders}
        first = "import json, sys; from realtime.lambda_handler import handler; handler(json.loads(sys.stdin.read()))"
        programs = {
            "python": "pass",
            "sqlite": "import sqlite3, json, threading",
            "handler": "import realtime.lambda_handler",
            "first": first.replace("sys.stdin.read()", repr(event(999_999))),
        }
        for program in programs.values():
            started(program, 1, env)
        found = {name: started(program, times, env) for name, program in programs.items()}
        ran = subprocess.run(
            [
                sys.executable,
                "-S",
                "-c",
                f"import sys, realtime.lambda_handler; print([m for m in {HEAVY} if m in sys.modules])",
            ],
            check=True,
            env=env,
            capture_output=True,
            text=True,
        )
        found["bare 10"], found["warm 10"] = bare(f"{folder}/b.db", batches), warm(batches)
    for name, took in found.items():
        print(f"{name:<10} {took:>8.2f} ms")
    print(
        f"import over bare Python  {found['handler'] - found['python']:>8.2f} ms ({found['handler'] / found['python']:.1f} x)"
    )
    print(f"import over sqlite3      {found['handler'] - found['sqlite']:>8.2f} ms")
    print(f"warm 10 over bare 10     {found['warm 10'] / found['bare 10']:>8.2f} x")
    print(f"heavy modules imported   {ran.stdout.strip()}")


if __name__ == "__main__":
    main()
