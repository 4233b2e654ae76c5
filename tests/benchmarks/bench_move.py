"""What the move of a store of schema 5 to today's tables costs: `python tests/benchmarks/bench_move.py [MB] [PACK]`.

Conversations of the simulator with their detail events are written as the code of schema 5 had written them; then the
store is opened. Printed are the processor's seconds of this process and those on the clock, and the bytes of both files.
"""

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from rollbook.store.book import Book
from tests.store.test_move import Inputs
from tests.stores import as_schema_5

# Conversations of the simulator in a megabyte of schema 5, with their events.
A_MEGABYTE = 18


def main(megabytes: int = 300, pack: Any = "events") -> None:
    """Make the store, move it, and print."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        today, store = Path(folder) / "today.db", Path(folder) / "rollbook.db"
        with Book.open(today, pack="none") as book:
            for seed in range(max(megabytes * A_MEGABYTE // 600, 1)):
                Inputs(600, random.Random(seed).randrange(2**30)).write(book)
        as_schema_5(today, store)
        today.unlink()
        before, cpu, wall = store.stat().st_size / 1e6, time.process_time(), time.perf_counter()
        Book.open(store, pack=pack).close()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        after = store.stat().st_size / 1e6
        print(
            f"{before:.0f} MB -> {after:.0f} MB: {cpu:.1f} s of CPU ({before / cpu:.0f} MB a second),"
            f" {wall:.1f} s on the clock ({before / wall:.0f} MB a second)"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 300, sys.argv[2] if sys.argv[2:] else "events")
