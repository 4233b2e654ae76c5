"""What a copy of a store costs, and what it costs the daemon: `python tests/benchmarks/bench_backup.py [MB]`.

A process commits rows of 30 KB all the time. Meanwhile the store is copied: as `rollbook backup` does it, by SQLite's
backup in steps without a transaction around them, and by `VACUUM INTO`. Then the same file is compacted.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from rollbook.store.book import Book
from rollbook.store.file import connections
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.compacting import compact

LETTER = "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('bench', ?, 'e', '2026-03-02T00:00:00.000Z')"
GIVE_UP = 20.0


def write(store: Path) -> None:
    """Commit until a file `stop` is there; then say how long commits took."""
    took = []
    with closing(connections.connect(store, journal="wal", timeout=60)) as db:
        db.execute(f"PRAGMA wal_autocheckpoint = {connections.CHECKPOINT_PAGES}")
        while not (store.parent / "stop").exists():
            began = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            db.execute(LETTER, ("x" * 30_000,))
            db.execute("COMMIT")
            took.append(time.perf_counter() - began)
            time.sleep(0.01)
    took.sort()
    at = {name: round(took[int(len(took) * share)] * 1000, 1) for name, share in (("median", 0.5), ("99 %", 0.99))}
    print(json.dumps({**at, "longest": round(took[-1] * 1000, 1), "commits": len(took)}))


def beside_a_writer(name: str, store: Path, work: Callable[[], object]) -> None:
    """Do the work while another process commits; print both."""
    stop = store.parent / "stop"
    stop.unlink(missing_ok=True)
    with subprocess.Popen([sys.executable, __file__, "write", store], stdout=subprocess.PIPE, text=True) as writer:
        time.sleep(1)
        began = time.perf_counter()
        found = work()
        seconds = time.perf_counter() - began
        time.sleep(1)
        stop.touch()
        commits = writer.communicate()[0].strip()
    print(f"{name:<28} {seconds:6.1f} s  {found or ''}  commits, ms: {commits}", flush=True)


def in_steps(store: Path, target: Path) -> str:
    """Copy by SQLite's backup in steps that are no transaction."""
    begun, left, again = time.monotonic(), [0], [0]

    def step(_: int, remaining: int, total: int) -> None:
        again[0] += remaining > left[0] > 0
        left[0] = remaining
        if time.monotonic() - begun > GIVE_UP:
            raise TimeoutError

    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(target)) as made:
        try:
            source.backup(made, pages=500, progress=step)
        except TimeoutError:
            return f"given up, began again {again[0]} times"
    return f"began again {again[0]} times"


def main(megabytes: int) -> None:
    """Make a store, copy it in three ways, remove most of it, compact it."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "rollbook.db"
        Book.open(store).close()
        with closing(sqlite3.connect(store)) as db, db:
            db.executemany(LETTER, ((os.urandom(4_000).hex(),) for _ in range(megabytes * 125)))
        copy = Path(folder) / "copy.db"
        beside_a_writer("nothing", store, lambda: time.sleep(5))
        beside_a_writer(
            "rollbook backup", store, lambda: back_up(store, copy, at=datetime.now(UTC), how=Manner()) and None
        )
        copy.unlink()
        beside_a_writer("steps without a transaction", store, lambda: in_steps(store, copy))
        copy.unlink()

        def vacuum() -> None:
            with closing(sqlite3.connect(store)) as db:
                db.execute("VACUUM INTO ?", (str(copy),))

        beside_a_writer("VACUUM INTO", store, vacuum)
        with closing(sqlite3.connect(store)) as db, db:
            db.execute("DELETE FROM dead_letters WHERE dead_letter_id % 2 = 0")
        beside_a_writer("rollbook compact", store, lambda: compact(store, Manner()) and None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
