"""What an export costs: the flat tables of many conversations, into Parquet and CSV, by the command as people run it.

    python tests/benchmarks/bench_export.py [CONVERSATIONS A DAY] [DAYS] [FORMAT …]

The first day is a simulated organisation's, with every kind of record there is; the others are that day again, later,
copied by SQL (without details and events, which are no flat tables). Shown are the seconds of the clock and of the
processor (both also of the same command once more, which writes nothing), and the most memory that the command and its
second process had at a moment. Only root may look at that.
200 days of 5,000 are a million conversations, 13 GB.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from rollbook.genesys.program.process_memory import tune_collector  # noqa: E402
from rollbook.store.rows.detail_columns import CHILD_TABLES  # noqa: E402
from tests.benchmarks.bench_views import START, multiplied, records, written  # noqa: E402

FLAT: Final = ("conversations", *CHILD_TABLES)
COPIED: Final = tuple(
    f"{name}_rows" for name in ("participant", "session", "segment", "metric", "media_endpoint_stat", "flow")
)


def made(path: Path, many: int, days: int) -> int:
    """A store of so many days; answers its conversations."""
    details = records(many)
    written(path, details)
    db = sqlite3.connect(path)
    # They are not multiplied, and each of the days is to cost the same.
    db.execute("DELETE FROM detail_rows")
    db.execute("DELETE FROM gap_rows")
    db.commit()
    db.close()
    multiplied(path, days, ("conversation_rows", *COPIED))
    return len(details) * days


class Used:
    """What the command and the process that it begins use together, as it is looked at again and again.

    memory: bytes at most, of both at one moment; what they share counts once. second: seconds of the processor that the
    second process had used when it was last seen.
    """

    def __init__(self, command: int) -> None:
        self._command = command
        self.memory = 0
        self.second = 0.0

    def look(self) -> None:
        """Look at both."""
        with contextlib.suppress(OSError):
            tasks = Path(f"/proc/{self._command}/task").iterdir()
            children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
            for child in children:
                times = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]
                self.second = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            self.memory = max(self.memory, sum(map(in_memory, [self._command, *children])))


def in_memory(process: int) -> int:
    """Bytes of a process in memory: of what it shares with others, its part (PSS). 0 when it has ended.

    The command keeps others from looking into it: only root reads this.
    """
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return 0


def exported(path: Path, to: Path, days: int, form: str) -> tuple[float, float, Used, dict[str, int]]:
    """(Seconds, seconds of the processor, what both processes used, what it says) of the command as a process."""
    interval = f"{START:%Y-%m-%d}/{START + timedelta(days=days):%Y-%m-%d}"
    words = [sys.executable, "-m", "rollbook", "export", interval, "--to", str(to), "--format", form, "--json"]
    words += ["--db", str(path), *(word for name in FLAT for word in ("--table", name))]
    began = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert process.stdout is not None
    both = Used(process.pid)
    while not select.select([process.stdout], [], [], 0.1)[0]:
        both.look()
    answer = process.stdout.read()
    # Those of the second process are in it: the command has waited for its end.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, answer
    found = json.loads(answer)
    counts = {"written": found["written"], "rows": sum(day["rows"] for day in found["days"])}
    return time.monotonic() - began, used.ru_utime + used.ru_stime, both, counts


def main(words: Sequence[str]) -> None:
    """Measure, and print."""
    tune_collector()
    many, days = int(words[0]) if words else 5_000, int(words[1]) if len(words) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollbook.db"
        total = made(path, many, days)
        print(f"{total:,} conversations, {path.stat().st_size / 1e9:.1f} GB", flush=True)
        for form in words[2:] or ("parquet", "csv"):
            to = Path(folder) / form
            for turn in ("first", "again"):
                seconds, processor, both, counts = exported(path, to, days, form)
                print(
                    f"{form:<8} {turn:<6}{seconds:>7.1f} s {processor:>7.1f} s of the processor"
                    f" ({both.second:.1f} of them the second process), {processor / total * 1e6:>4.0f} µs a"
                    f" conversation, {both.memory / 1e6:.0f} MB in both processes,"
                    f" {counts['rows']:,} rows, {counts['written']:,} files written",
                    flush=True,
                )
            size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
            print(f"{form:<8} {size / total:.0f} bytes a conversation")
            shutil.rmtree(to)


if __name__ == "__main__":
    main(sys.argv[1:])
