"""Retention of a large store down to 90 days, while events are captured into it.

    python tests/benchmarks/bench_retention.py [CONVERSATIONS]

A day is a simulated organisation's; the others, back to 360 days ago, are copies of it by SQL: with the rows of
conversations, participants, sessions and segments, and details of a few hundred bytes, so that a million of them fit on
a disk and a part of the day. The daemon's own keeper of retention deletes and compacts, in its thread; beside it the
event loop looks at the clock each 5 ms, and 50 events are written each 0.1 seconds and waited for, as live capture does.
Printed: conversations with details and bytes of the file before and after, the seconds that it took, the longest time
for which the event loop stood still, and the longest that a batch of events waited for its commit.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from realtime.daemon.retention_keeper import RetentionKeeper  # noqa: E402
from rollbook.genesys.messages.notification import Notification, parse_frame  # noqa: E402
from rollbook.genesys.program.process_memory import tune_collector  # noqa: E402
from rollbook.genesys.times import to_text  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from rollbook.store.erasure.retention import KeepingTimes  # noqa: E402
from rollbook.store.tables import events  # noqa: E402
from tests.benchmarks.bench_live import detail  # noqa: E402
from tests.benchmarks.bench_views import START, records, written  # noqa: E402

DAYS: Final = 360
KEPT: Final = timedelta(days=90)
NOW: Final = START + timedelta(days=DAYS)
CHILDREN: Final = ("participant_rows", "session_rows", "segment_rows")


def made(path: Path, many: int) -> int:
    """A store of so many conversations on all days; answers how many there are."""
    details = records(max(many // DAYS, 24))
    written(path, details)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute("UPDATE detail_rows SET details = ?", (json.dumps({"conversationId": "x", "note": "n" * 300}),))
        db.execute("DELETE FROM gap_rows")
        last: int = db.execute("SELECT max(number) FROM conversation_ids").fetchone()[0]
        copied = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in CHILDREN}
        rows = [row[1] for row in db.execute("PRAGMA table_info(conversation_rows)")]
        for day in range(1, DAYS):
            if day % 10 == 0:  # so that the log stays small
                db.execute("COMMIT")
                db.execute("BEGIN")
            more = day * last
            db.execute(
                "INSERT INTO conversation_ids SELECT number + ?1, substr('00000000' || ?2, -8) || substr(conversation_id, 9)"
                " FROM conversation_ids WHERE number <= ?3",
                (more, day, last),
            )
            later = {name: f"strftime('%Y-%m-%dT%H:%M:%fZ', {name}, '+{day} days')" for name in ("conversation_start", "conversation_end")}  # fmt: skip
            values = ", ".join("number + ?1" if name == "number" else later.get(name, name) for name in rows)
            db.execute(f"INSERT INTO conversation_rows ({', '.join(rows)}) SELECT {values} FROM conversation_rows WHERE number <= ?2", (more, last))  # fmt: skip
            db.execute("INSERT INTO detail_rows (number, details) SELECT number + ?1, details FROM detail_rows WHERE number <= ?2", (more, last))  # fmt: skip
            for table, names in copied.items():
                values = ", ".join("id + ?1" if name == "id" else name for name in names)
                db.execute(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE id <= ?2",
                    (more << 20, ((last + 1) << 20) - 1),
                )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return last * DAYS


def batch(number: int) -> list[Notification]:
    """Fifty new events."""
    frames = [detail(number * 50 + at, "customer.start") for at in range(50)]
    found = [parse_frame(frame, source="websocket", received_at=to_text(datetime.now(UTC))) for frame in frames]
    return [each for each in found if isinstance(each, Notification)]


async def retained(path: Path) -> tuple[float, float, float, int]:
    """(Seconds, the longest stop of the loop, the longest wait for a commit, events written) of a retention."""
    ended = asyncio.Event()
    stood = waited = 0.0
    number = 0

    async def look() -> None:
        nonlocal stood
        while not ended.is_set():
            began = time.monotonic()
            await asyncio.sleep(0.005)
            stood = max(stood, time.monotonic() - began - 0.005)

    async def capture(book: Book) -> None:
        nonlocal waited, number
        while not ended.is_set():
            some = batch(number)
            number += 1
            began = time.monotonic()
            await asyncio.wrap_future(book.write(events.record, some, book.lag))
            waited = max(waited, time.monotonic() - began)
            await asyncio.sleep(0.1)

    with Book.open(path) as book:
        keeper = RetentionKeeper(book, KeepingTimes(details=KEPT), now=lambda: NOW)
        others = [asyncio.create_task(look()), asyncio.create_task(capture(book))]
        began = time.monotonic()
        await keeper.look()
        seconds = time.monotonic() - began
        ended.set()
        await asyncio.gather(*others)
    return seconds, stood, waited, number * 50


def counted(path: Path) -> tuple[int, int]:
    """(Conversations with details, bytes of the file)."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM detail_rows").fetchone()[0]), path.stat().st_size


def main() -> None:
    """Measure, and print."""
    tune_collector()
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.db"
        began = time.monotonic()
        count = made(path, many)
        before, size = counted(path)
        print(f"{count:,} conversations, {size / 1e6:,.0f} MB (made in {time.monotonic() - began:.0f} s)", flush=True)
        seconds, stood, waited, number = asyncio.run(retained(path))
        after, left = counted(path)
        print(
            f"details of {before:,} became {after:,}; {size / 1e6:,.0f} MB became {left / 1e6:,.0f} MB in {seconds:.0f} s\n"
            f"the event loop stood still for {stood:.3f} s at most; {number:,} events were written meanwhile, and none"
            f" waited longer than {waited:.3f} s"
        )


if __name__ == "__main__":
    main()
