"""The daemon for hours, with faults: does its memory, its files or its WAL grow?

    python tests/soak.py --minutes 180 [--every 15] [--per-hour 7200] [--width PT1M] [--unfriendly] [--csv soak.csv]

One daemon process against the simulated organisation, with a fault now and then (sockets, channels, events, the API, a
locked store, a frozen process; it is not killed, since the growth of one process is what is looked for). A window's answer
has all that goes on during it, so narrow ones (--width) are a load that grows with the conversations that go on. Its resident
memory, open files, threads, WAL and store are noted every few seconds. Printed: where each began and ended, its most,
and how fast memory grew over the second half. In the end the store is held against the truth, as after every script.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults import Run, script
from tests.helpers import unfriendly_faults as unfriendly

COLUMNS = ("seconds", "rss_mb", "files", "threads", "wal_mb", "store_mb")
EVERY = 5.0
# What ends the process, or cannot be taken back within it.
WITHOUT = ("kill", "restart", "forbid")


def look(pid: int, path: Path, began: float) -> tuple[float, ...]:
    """One row of figures."""
    status = Path(f"/proc/{pid}/status").read_text()

    def number(name: str) -> int:
        return int(status.partition(f"{name}:")[2].split()[0])

    def size(file: Path) -> float:
        return file.stat().st_size / 1e6 if file.exists() else 0.0

    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    wal = path.with_name(f"{path.name}-wal")
    return time.monotonic() - began, number("VmRSS") / 1024, files, number("Threads"), size(wal), size(path)


async def watch(run: Run, rows: list[tuple[float, ...]], out: Path | None) -> None:
    """Note the figures until cancelled."""
    began = time.monotonic()
    with contextlib.ExitStack() as files:
        writer = None
        if out is not None:
            writer = csv.writer(files.enter_context(out.open("w", newline="", buffering=1)))
            writer.writerow(COLUMNS)
        while True:
            await asyncio.sleep(EVERY)
            if run.pid is not None:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    rows.append(look(run.pid, run.path, began))
                    if writer is not None:
                        writer.writerow(f"{value:.2f}" for value in rows[-1])


def slope(rows: list[tuple[float, ...]]) -> float:
    """Megabytes of memory an hour, by least squares."""
    times, values = [row[0] / 3_600 for row in rows], [row[1] for row in rows]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((moment - middle) ** 2 for moment in times)
    return sum((moment - middle) * (value - mean) for moment, value in zip(times, values, strict=True)) / spread


async def soak(
    *, minutes: float, every: float, per_hour: float, width: str, seed: int, out: Path | None, unfriendly_too: bool
) -> None:
    """Run, and print."""
    steps = script(seed, seconds=minutes * 60, every=every, without=WITHOUT)
    with tempfile.TemporaryDirectory(prefix="rollbook-soak-") as folder:
        behaviours = unfriendly.behaviours(seed, seconds=minutes * 60, every=every) if unfriendly_too else ()
        run = Run(seed, Path(folder), steps=steps, per_hour=per_hour, width=width, behaviours=behaviours)
        rows: list[tuple[float, ...]] = []
        watching = asyncio.create_task(watch(run, rows, out))
        figures = await run.run()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    print(f"{rows[-1][0] / 60:.0f} minutes, {len(steps)} faults, {figures}")
    for place, name in enumerate(COLUMNS[1:], start=1):
        values = [row[place] for row in rows]
        print(f"{name:<9} {values[0]:8.1f} at first {values[-1]:8.1f} at last {max(values):8.1f} at most")
    print(f"memory grew by {slope(rows[len(rows) // 2 :]):+.1f} MB an hour in the second half")


def main() -> None:
    """As the module's text says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=15, help="seconds from one fault to the next, on the whole")
    parser.add_argument("--per-hour", type=float, default=7_200, help="conversations")
    parser.add_argument("--width", default="PT1M", help="of a window")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unfriendly", action="store_true", help="the platform misbehaves as often, too")
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    asyncio.run(
        soak(
            minutes=given.minutes,
            every=given.every,
            per_hour=given.per_hour,
            width=given.width,
            seed=given.seed,
            out=given.csv,
            unfriendly_too=given.unfriendly,
        )
    )


if __name__ == "__main__":
    main()
