"""What the views cost: a day of queues, agents and MOS, in a store of that day and of many.

    python tests/benchmarks/bench_views.py [CONVERSATIONS A DAY] [DAYS]
    python tests/benchmarks/bench_views.py --million [CONVERSATIONS A DAY]

With --million: a day of `queue_intervals` alone, in a store of a million conversations. A sixth of a day is simulated;
the rest are copies of it, with what that view reads and no more.

The first day is a simulated organisation's, written as the product writes it; the others are that day again, later,
copied by SQL (without details). The time is the processor's, of the second run of three, so that the pages are in
memory. Also: what the sums for half hours take of the disk, and of the time to write a conversation.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from rollbook.genesys.messages.details import parse_page  # noqa: E402
from rollbook.genesys.program.process_memory import tune_collector  # noqa: E402
from rollbook.simulator.organisation.world import World  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from rollbook.store.rows import half_hours  # noqa: E402
from rollbook.store.rows.detail_columns import CHILD_TABLES  # noqa: E402
from rollbook.store.tables import windows  # noqa: E402
from rollbook.store.tables.conversations import Read  # noqa: E402

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
AT: Final = "2026-06-01T00:00:00.000Z"
# Columns with a time, by table: a copied day's are later.
TIMES: Final = {
    "conversation_rows": ("conversation_start", "conversation_end"),
    "segment_rows": ("segment_start", "segment_end"),
    "metric_rows": ("emit_date",),
    "media_endpoint_stat_rows": ("event_time",),
    "half_hour_rows": ("interval_start",),
}
COPIED: Final = (
    "participant_rows", "session_rows", "segment_rows", "metric_rows", "media_endpoint_stat_rows", "half_hour_rows"
)  # fmt: skip
MAKE: Final = half_hours.make
SUMMED: Final = ("half_hour_rows", "half_hour_rows_start")
MILLION: Final = 1_000_000
A_DAY: Final = 6
QUERIES: Final = {
    "queue_intervals, a day": "SELECT * FROM queue_intervals WHERE interval_start >= :start AND interval_start < :end",
    "agent_days, a day": "SELECT * FROM agent_days WHERE day = substr(:start, 1, 10)",
    "queue_legs, an hour": (
        "SELECT * FROM queue_legs WHERE conversation_start >= :start"
        " AND conversation_start < substr(:start, 1, 11) || '01:00'"
    ),
    "queue_legs, a conversation": (
        "SELECT * FROM queue_legs WHERE conversation_id = (SELECT conversation_id FROM conversations"
        " WHERE conversation_start >= :start LIMIT 1)"
    ),
    "mos_legs, a day": "SELECT * FROM mos_legs WHERE conversation_start >= :start AND conversation_start < :end",
    "mos_calls, a day": "SELECT * FROM mos_calls WHERE conversation_start >= :start AND conversation_start < :end",
}


def records(many: int) -> list[bytes]:
    """A day of conversations, as JSON."""
    world = World(7, START, many / 24, queues=40, users=200, variety=True)
    world.grow(START + timedelta(days=1))
    return [json.dumps(life.record, separators=(",", ":")).encode() for life in world.conversations]


def written(path: Path, details: Sequence[bytes], *, summed: bool = True) -> float:
    """Write them as a run does; the seconds of the processor that it took."""
    read = Read(AT, AT, AT, frozenset(), timedelta(minutes=10))
    with Book.open(path) as book:
        if not summed:
            half_hours.make = lambda *_: None
        began = time.process_time()
        for at in range(0, len(details), 400):
            page = parse_page(b'{"conversations":[' + b",".join(details[at : at + 400]) + b"]}")
            width = timedelta(minutes=30)
            book.write(
                windows.write_details, page.rows, read, window=None, width=width, cause=lambda *_: "not running"
            ).result()
        took = time.process_time() - began
        half_hours.make = MAKE
        book.write(ledger, 1).result()
    return took


def ledger(db: sqlite3.Connection, days: int) -> None:
    """Settled windows for the days."""
    for number in range(48 * days):
        start = START + number * timedelta(minutes=30)
        ends = start + timedelta(minutes=30)
        times = [f"{at:%Y-%m-%dT%H:%M:%S}.000Z" for at in (start, ends)]
        db.execute('INSERT OR IGNORE INTO windows (start, "end", verdict) VALUES (?, ?, ?)', (*times, "settled"))


def multiplied(
    path: Path, days: int, tables: Sequence[str] = ("conversation_rows", *COPIED), *, a_day: int = 1
) -> None:
    """What was written again, as far as these tables have it: so often a day, for so many days."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    last = db.execute("SELECT max(number) FROM conversation_ids").fetchone()[0]
    for copy in range(1, days * a_day):
        day, more = copy // a_day, copy * last
        db.execute(
            "INSERT INTO conversation_ids SELECT number + ?1, 'copy' || ?2 || conversation_id FROM conversation_ids"
            " WHERE number <= ?3",
            (more, copy, last),
        )
        for table in tables:
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            key, limit = ("number", last) if table == "conversation_rows" else ("id", ((last + 1) << 20) - 1)
            shift = more if table == "conversation_rows" else more << 20
            values = [
                f"{name} + {shift}"
                if name == key
                else f"strftime('%Y-%m-%dT%H:%M:%fZ', {name}, '+{day} days')"
                if name in TIMES.get(table, ())
                else name
                for name in names
            ]
            db.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table} WHERE {key} <= ?",
                (limit,),
            )
    ledger(db, days)
    db.execute("COMMIT")
    db.close()
    assert set(COPIED) <= {table.rows for table in CHILD_TABLES.values()} | {"half_hour_rows"}


def measured(path: Path, day: int, queries: Sequence[str] = tuple(QUERIES)) -> dict[str, tuple[float, int]]:
    """(Seconds, rows) of these queries on a day."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.execute("PRAGMA cache_size = -200000")
    start = START + timedelta(days=day)
    between = {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M}"}
    found = {}
    for name in queries:
        query = QUERIES[name]
        times = []
        for _ in range(3):
            began = time.process_time()
            rows = db.execute(query, between).fetchall()
            times.append(time.process_time() - began)
        found[name] = times[1], len(rows)
    db.close()
    return found


def among_a_million(many: int) -> None:
    """Measure a day of `queue_intervals` in a store of a million conversations, and print."""
    details = records(many // A_DAY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.db"
        written(path, details)
        a_day = len(details) * A_DAY
        days = -(-MILLION // a_day)
        multiplied(path, days, ("conversation_rows", "half_hour_rows"), a_day=A_DAY)
        [name] = [name for name in QUERIES if name.startswith("queue_intervals")]
        seconds, rows = measured(path, days // 2, [name])[name]
        print(f"{name}: {seconds:.3f} s, {rows:,} rows ({a_day:,} conversations of {a_day * days:,} on {days:,} days)")


def main(words: Sequence[str]) -> None:
    """Measure, and print."""
    tune_collector()
    if "--million" in words:
        among_a_million(int([*words, "33000"][1]))
        return
    many, days = int(words[0]) if words else 5_000, int(words[1]) if len(words) > 1 else 20
    details = records(many)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.db", Path(folder) / "large.db"
        bare = written(Path(folder) / "bare.db", details, summed=False)
        taken = written(small, details)
        db = sqlite3.connect(small)
        query = "SELECT sum(pgsize) FROM dbstat WHERE name IN (?, ?)"
        [size] = db.execute(query, SUMMED).fetchone()
        [whole] = db.execute("SELECT sum(pgsize) FROM dbstat").fetchone()
        with sqlite3.connect(large) as copy:
            db.backup(copy)
        copy.close()
        db.close()
        each = 1_000_000 / len(details)
        print(f"half hours: {size / len(details):.0f} of {whole / len(details):.0f} bytes a conversation,")
        print(f"{(taken - bare) * each:+.0f} of {taken * each:.0f} µs to write it")
        multiplied(large, days)
        alone, among = measured(small, 0), measured(large, days // 2)
        print(f"{len(details):,} conversations a day: alone, and among {len(details) * days:,}")
        for name, (seconds, rows) in alone.items():
            other, _ = among[name]
            print(
                f"{name:<28}{rows:>7,} rows {seconds * 1000:>8.1f} ms {other * 1000:>8.1f} ms {other / seconds:>5.2f}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
