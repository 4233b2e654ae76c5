"""What a start costs: the help of each command, and a mistake, over an interpreter that starts and ends.

    python tests/benchmarks/bench_start.py [TIMES]

Printed: medians of the processor's time (user and system) in milliseconds, all in turns; other work on the machine
weighs less in it than in the time that passes.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = {
    "python": ["-c", "pass"],
    "rollbook --help": ["-m", "rollbook", "--help"],
    "reconcile --help": ["-m", "reconcile", "--help"],
    "rollbook --version": ["-m", "rollbook", "--version"],
    "rollbook nothing": ["-m", "rollbook", "nothing"],
}
COMMANDS = ("demo", "run", "status", "windows", "doctor", "ingest", "dead-letters retry", "simulate")
PROGRAMS |= {f"rollbook {name} --help": ["-m", "rollbook", *name.split(), "--help"] for name in COMMANDS}


def spent(program: list[str]) -> float:
    """Milliseconds of the processor that a process took from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *program],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> None:
    """Measure, and print."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for program in PROGRAMS.values():
        spent(program)
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(times):
        for name, program in PROGRAMS.items():
            took[name].append(spent(program))
    found = {name: statistics.median(values) for name, values in took.items()}
    for name, median in found.items():
        over = "" if name == "python" else f"{median - found['python']:>8.0f} ms over python"
        print(f"{name:<34} {median:>6.0f} ms{over}")


if __name__ == "__main__":
    main()
