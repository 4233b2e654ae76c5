"""Redaction's share of the work: the reconcile and the live benchmark, under a policy and under none, in turns.

    python tests/benchmarks/bench_redaction.py [POLICY] [ROUNDS] [CONVERSATIONS] [EVENTS]

POLICY: as the variable has it (default: strict). The same servers and the same work as `bench_reconcile.py` and
`bench_live.py`; each run in a process and a file of its own. Printed: CPU seconds of our process for a thousand
conversations, or notifications, the least of all rounds, and the ratio of both.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.benchmarks import bench_live, bench_reconcile  # noqa: E402 (below the path)
from tests.benchmarks.bench_notifications import answer_of, serve  # noqa: E402


def _reconcile(port: int, path: str, policy: str, answer: Any) -> None:
    began = time.process_time()
    bench_reconcile.rollbook(port, path, policy=policy)
    answer.send(time.process_time() - began)


def reconcile(port: int, policy: str) -> float:
    """CPU seconds of a reconciliation."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=_reconcile, args=(port, f"{folder}/b.db", policy, theirs))
        process.start()
        seconds = float(ours.recv())
        process.join()
        return seconds


def _said(name: str, found: dict[str, list[float]], number: int) -> None:
    least = {policy: min(seconds) / number * 1_000 for policy, seconds in found.items()}
    (plain, without), (policy, under) = least.items()
    print(
        f"{name:<10}{without:.4f} CPU s for 1,000 under {plain}, {under:.4f} under {policy}: {under / without:.3f}",
        flush=True,
    )


def main() -> None:
    """Measure, and print."""
    policy = sys.argv[1] if len(sys.argv) > 1 else "strict"
    rounds, conversations, events = (
        int(sys.argv[place]) if len(sys.argv) > place else number for place, number in ((2, 3), (3, 2_000), (4, 30_000))
    )
    multiprocessing.set_start_method("spawn")
    found: dict[str, list[float]] = {"keep": [], policy: []}
    for port, _ in bench_reconcile.server_of(conversations):
        for _ in range(rounds):
            for each in found:
                found[each].append(reconcile(port, each))
    _said("reconcile", found, conversations)
    found = {"keep": [], policy: []}
    ours, theirs = multiprocessing.Pipe(False)
    server = multiprocessing.Process(target=serve, args=(bench_live.flood, events, theirs), daemon=True)
    server.start()
    port = ours.recv()
    for _ in range(rounds):
        for each in found:
            run = answer_of(functools.partial(bench_live.rollbook, policy=each), port, events)
            assert run["dropped"] == 0
            found[each].append(run["cpu"])
    _said("live", found, events)
    server.terminate()


if __name__ == "__main__":
    main()
