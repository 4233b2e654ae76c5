"""What a conversation and an event take: bytes on the disk, and the processor's time; and `status` on a large store.

    python tests/benchmarks/bench_store.py [CONVERSATIONS] [--status CONVERSATIONS]

The conversations are those of bench_reconcile.py (40 child rows each, with ids of their own in each session, which
cannot be packed) and those of a simulated organisation; the events are sixteen detail events for one snapshot of 3 KB, and
snapshots alone. All are written as the product writes them, from the API's bytes to the commit, after as many as a
dictionary is learnt from. The bytes are those of the pages in use, indexes included; the time is that of
all threads of the process (user and system), which other work on the machine changes little.

With --status: the time of `rollbook status` on a store of so many conversations (their rows, two segments and two
metrics of each), and then with a ledger of five years; and what the details of a window of 1,000 cost there, against
the same in an empty store.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from rollbook.genesys.messages.details import parse_page  # noqa: E402
from rollbook.genesys.messages.notification import Notification, parse_envelope, parse_frame  # noqa: E402
from rollbook.genesys.program.process_memory import tune_collector  # noqa: E402
from rollbook.simulator.organisation.world import World  # noqa: E402
from rollbook.store import status  # noqa: E402
from rollbook.store.bodies.packing import Mode  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from rollbook.store.tables import events, windows  # noqa: E402
from rollbook.store.tables.conversations import Read  # noqa: E402
from rollbook.store.upkeep.repack import repack  # noqa: E402
from tests.benchmarks import bench_notifications, bench_reconcile, bench_sqs  # noqa: E402

AT: Final = "2026-03-03T00:00:00.000Z"
HALF_HOUR: Final = timedelta(minutes=30)
LAG: Final = timedelta(minutes=5)
HALF_HOURS: Final = 5 * 365 * 48
PAGE: Final = 100
# Pages that wait together for a commit.
GROUP: Final = 4
# What is written before anything is measured: enough to learn a dictionary from.
BEFORE: Final = 1_000
# Conversations of a window, and windows that are measured.
WINDOW: Final = 1_000
ROUNDS: Final = 3
_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Write = Callable[[Book, list[bytes]], None]


def write_details(book: Book, records: list[bytes]) -> None:
    """Pages of details, as a run writes them."""
    read = Read(AT, AT, AT, frozenset(), LAG)
    for begin in range(0, len(records), GROUP * PAGE):
        waiting = []
        for at in range(begin, min(begin + GROUP * PAGE, len(records)), PAGE):
            page = parse_page(b'{"conversations":[' + b",".join(records[at : at + PAGE]) + b"]}")
            waiting.append(
                book.write(
                    windows.write_details, page.rows, read, window=None, width=HALF_HOUR, cause=lambda *_: "not running"
                )
            )
        for written in waiting:
            written.result()


def write_events(book: Book, bodies: list[bytes]) -> None:
    """Batches of events, as live capture writes them."""
    for at in range(0, len(bodies), 256):
        parsed = [
            parse_frame(body, source="websocket", received_at=AT)
            if body.startswith(b'{"topicName"')
            else parse_envelope(body, source="sqs", received_at=AT)
            for body in bodies[at : at + 256]
        ]
        batch = [item for item in parsed if isinstance(item, Notification)]
        assert len(batch) == len(parsed)
        book.write(events.record, batch, LAG).result()


def with_random_ids(text: str) -> bytes:
    """The text with other ids in it: a counter's ids would be packed to nothing."""
    return _UUID.sub(lambda found: str(uuid.uuid5(uuid.NAMESPACE_OID, found[0])), text).encode()


def used(path: Path) -> int:
    """The bytes of a file's pages that are in use."""
    connection = sqlite3.connect(path)
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    connection.close()
    return (pages - free) * size


def measure(what: str, write: Write, bodies: list[bytes], pack: Mode) -> None:
    """Write all but the first, and print what each took."""
    first, rest = bodies[:BEFORE], bodies[BEFORE:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        with Book.open(path, pack=pack) as book:
            write(book, first)
            repack(book, pack, rest=lambda _: None)
        before = used(path)
        with Book.open(path, pack=pack) as book:
            began = time.process_time()
            write(book, rest)
            took = time.process_time() - began
        size = sum(map(len, rest)) / len(rest)
        each = (used(path) - before) / len(rest)
        name = f"{what}, pack = {pack}"
        print(f"{name:<40}{size / 1000:>6.1f} KB become {each / 1000:>5.2f} KB, {took / len(rest) * 1e6:>5.0f} µs")


def of_status(total: int) -> None:
    """Print how long `status` takes on so many conversations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        Book.open(path).close()
        connection = sqlite3.connect(path)
        count = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {total})"
        connection.execute(f"INSERT INTO conversation_ids {count} SELECT i, hex(randomblob(16)) FROM n")
        connection.execute(
            "INSERT INTO conversation_rows (number, conversation_start, conversation_end, originating_direction,"
            f" media_types, division_ids, mos, provenance, first_seen_at, reconciled_at, read_at) {count} SELECT i,"
            " strftime('%Y-%m-%dT%H:%M:%fZ', 1735689600 + i * 20, 'unixepoch'), :at, 'inbound', '[\"voice\"]',"
            " '[\"5566aa77-8899-4aab-8bcc-cddeeff00112\"]', 4.2, CASE WHEN i % 50 THEN 'both' ELSE 'live' END,"
            " :at, :at, :at FROM n",
            {"at": AT},
        )
        for table, columns, values in (
            (
                "segment_rows",
                "segment_start, segment_end, segment_type, queue",
                "strftime('%Y-%m-%dT%H:%M:%fZ', 1735689600 + i * 10, 'unixepoch'), :at, 'interact', i % 40",
            ),
            ("metric_rows", "name, value, emit_date", "'tHandle', i, :at"),
        ):
            connection.execute(
                f"INSERT INTO {table} (id, session, position, {columns})"
                f" {count.replace(str(total), str(2 * total))} SELECT ((i + 1) / 2 << 20) | (i & 1), 0, i & 1, {values}"
                " FROM n",
                {"at": AT},
            )
        connection.commit()
        _print_status(path, f"{total:,} conversations")
        _print_window(path, total)
        connection.execute(
            'INSERT INTO windows (start, "end", verdict, last_read_at, last_run_at) WITH RECURSIVE n (i) AS'
            f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HALF_HOURS}) SELECT"
            " strftime('%Y-%m-%dT%H:%M:%fZ', :at, (-i * 30) || ' minutes'),"
            " strftime('%Y-%m-%dT%H:%M:%fZ', :at, ((1 - i) * 30) || ' minutes'),"
            " CASE WHEN i % 500 = 77 THEN 'failed' WHEN i < 240 THEN 'complete' ELSE 'settled' END, :at, :at FROM n",
            {"at": AT},
        )
        connection.commit()
        _print_status(path, f"them and five years of half hours, {HALF_HOURS // 500} of them failed")
        connection.execute("UPDATE windows SET verdict = 'settled' WHERE verdict = 'failed'")
        connection.commit()
        connection.close()
        _print_status(path, "the same, all of it proven")


def _print_window(path: Path, total: int) -> None:
    world = World(1, bench_reconcile.START, 600, queues=6, users=12, variety=True)
    lives = world.grow(bench_reconcile.START + timedelta(hours=WINDOW * ROUNDS / 500))[: WINDOW * ROUNDS]
    records = [json.dumps(life.record, separators=(",", ":")).encode() for life in lives]
    took: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for is_large, store in ((False, Path(folder) / f"{number}.db"), (True, path)):
                with Book.open(store, pack="none") as book:
                    began = time.process_time()
                    write_details(book, records[number * WINDOW : (number + 1) * WINDOW])
                    took[is_large].append(time.process_time() - began)
    alone, among = (statistics.median(took[is_large]) for is_large in (False, True))
    print(
        f"a window of {WINDOW:,}: {alone:.3f} s in an empty store, {among:.3f} s beside {total:,} conversations,"
        f" {among / alone:.2f} times as long"
    )


def _print_status(path: Path, of: str) -> None:
    with Book.open(path, mode="ro") as book:
        for _ in range(3):
            began = time.process_time()
            book.read_now(status.collect, datetime(2026, 3, 3, tzinfo=UTC))
            took = time.process_time() - began
    print(f"status on {of}: {took * 1000:.0f} ms")


def _mix(many: int) -> Iterable[bytes]:
    for index in range(many):
        frame = bench_notifications.snapshot(index) if index % 17 == 16 else bench_sqs.body(index)
        yield with_random_ids(frame)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conversations", nargs="?", type=int, default=3_000)
    parser.add_argument("--status", type=int, metavar="CONVERSATIONS")
    options = parser.parse_args()
    if options.status:
        of_status(options.status)
        return
    tune_collector()
    many = BEFORE + options.conversations
    records = [json.dumps(bench_reconcile.conversation(index, many)).encode() for index in range(many)]
    modes: tuple[Mode, ...] = ("none", "all")
    world = World(1, bench_reconcile.START, 600, queues=6, users=12, variety=True)
    simulated = world.grow(bench_reconcile.START + timedelta(hours=many / 500))[:many]
    for pack in modes:
        measure("a conversation", write_details, records, pack)
        lives = [json.dumps(life.record, separators=(",", ":")).encode() for life in simulated]
        measure("a simulated conversation", write_details, lives, pack)
    many = BEFORE + 3 * options.conversations
    snapshots = [with_random_ids(bench_notifications.snapshot(index)) for index in range(many)]
    for pack in modes:
        measure("an event of the mix", write_events, list(_mix(many)), pack)
        measure("a snapshot", write_events, snapshots, pack)


if __name__ == "__main__":
    main()
