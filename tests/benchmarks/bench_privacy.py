"""What redaction costs: of records of details and of events, under a policy, beside reading them without one.

    python tests/benchmarks/bench_privacy.py [POLICY] [ROUNDS]

POLICY: as the variable has it (default: strict); a hash gets a key. Printed: microseconds for a record, the least of
all rounds, which other work on the machine weighs least in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rollbook.genesys.messages.details import row_of
from rollbook.genesys.privacy.policy import parse
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.simulator import Simulator
from tests.helpers.paths import DATA

START = datetime(2026, 3, 2, 10, tzinfo=UTC)


async def records() -> list[bytes]:
    """The details of an hour of all media, as an answer spells them."""
    async with Simulator(seed=11, start=START, rate=0, per_hour=200, rate_limit=100_000) as simulator:
        simulator.clock.advance(timedelta(days=8))
        simulator.world.grow(START + timedelta(hours=1))
        truth = simulator.truth(START, START + timedelta(hours=1))
    return [json.dumps(record, separators=(",", ":")).encode() for record in truth.values()]


def events() -> list[bytes]:
    """The bodies of the platform's own example events."""
    lines = (DATA / "examples" / "ws_detail_events.jsonl").read_text().splitlines()
    return [json.dumps(json.loads(line)["eventBody"], separators=(",", ":")).encode() for line in lines]


def least(work: Callable[[bytes], object], items: list[bytes], rounds: int) -> float:
    """Microseconds for an item."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for item in items:
            work(item)
        best = min(best, time.process_time() - began)
    return best / len(items) * 1e6


def main() -> None:
    """Measure, and print."""
    redactor = Redactor(parse(sys.argv[1] if len(sys.argv) > 1 else "strict"), b"a key that is long enough")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    details = asyncio.run(records())
    for name, items, times in (("details", details, rounds), ("events", events(), rounds * 10)):
        size = sum(map(len, items)) / len(items) / 1024
        plain = f", a row of it without {least(row_of, items, times):.1f} µs" if name == "details" else ""
        work = redactor.record if name == "details" else redactor.body
        print(f"{name}: {size:.1f} KB each, redaction {least(work, items, times):.1f} µs{plain}")


if __name__ == "__main__":
    main()
