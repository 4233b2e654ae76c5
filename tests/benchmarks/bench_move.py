"""What the move of an earlier store to today's tables costs, and whether kill -9 in its middle changes what comes of it.

    python tests/benchmarks/bench_move.py [MB] [--schema 1..5] [--pack none|events|all] [--kill TIMES] [--folder FOLDER]

Conversations of the simulator with their detail events are written as the code of schema 3 (or another) had written
them; beyond 300 MB the rows are multiplied by SQL, each copy with ids of its own and some days later. Then the store is
opened by a process of its own. Printed are that process's seconds, the processor's (user and system) and those on the
clock, its greatest resident size, and the bytes of both files. With --kill, a second store with the same rows is opened
by a process that is killed so many times, at even distances, and opened again; every row of both is then compared.

It needs room for three to four times the store in FOLDER, and takes its time: 5,000 MB are 90,000 conversations.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from rollbook.store.book import Book  # noqa: E402
from rollbook.store.file import upgrade  # noqa: E402
from tests.store.test_move import START, Inputs  # noqa: E402
from tests.stores import as_earlier_schema  # noqa: E402

# Conversations of the simulator in a megabyte of schema 5, with their events; of one world; megabytes that are not
# multiplied.
A_MEGABYTE: Final = 18
OF_A_WORLD: Final = 600
WRITTEN: Final = 300
OPENING: Final = """
import sys
from pathlib import Path
from rollbook.store.book import Book
Book.open(Path(sys.argv[1]), pack=sys.argv[2]).close()
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
# Seconds between two looks at the file that is written.
PAUSE: Final = 0.01
# What differs from one opening to the next: when it was made.
OF_THE_OPENING: Final = ("_sqlite_migrations", "store_notes", "store_sizes", "dictionaries")


class Cost(NamedTuple):
    """Seconds of the processor and on the clock, and the most megabytes that were resident."""

    cpu: float
    wall: float
    resident: float

    def added(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.cpu + other.cpu, self.wall + other.wall, max(self.resident, other.resident))


def make(path: Path, megabytes: int, schema: int) -> None:
    """Make the earlier store."""
    today = path.with_name("today.db")
    written = min(megabytes, WRITTEN)
    with Book.open(today, pack="none") as book:
        for seed in range(max(written * A_MEGABYTE // OF_A_WORLD, 1)):
            Inputs(OF_A_WORLD, random.Random(seed).randrange(2**30)).write(book)
    as_earlier_schema(schema, today, path)
    today.unlink()
    _multiply(path, megabytes * 1e6)


def _multiply(path: Path, size: float) -> None:
    """Write all rows again, until the file has so many bytes: with ids of their own, a day later each time.

    A conversation's id begins with the number of the copy, so that a copy is appended to the tables that are in the
    order of ids: otherwise this would take hours.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -200000")
        db.execute("PRAGMA wal_autocheckpoint = 20000")
        tables = [
            (name, [row[1] for row in db.execute(f"PRAGMA table_info ({name})")])
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        ]
        ours = [(name, columns) for name, columns in tables if "conversation_id" in columns]
        events = db.execute("SELECT max(event_id) FROM events").fetchone()[0]
        db.execute("CREATE TEMP TABLE first AS SELECT conversation_id, rowid AS place FROM conversations")
        db.execute("CREATE TEMP TABLE these AS SELECT conversation_id FROM conversations ORDER BY conversation_id")
        number = 0
        page = db.execute("PRAGMA page_size").fetchone()[0]
        while db.execute("PRAGMA page_count").fetchone()[0] * page < size:
            number += 1
            day = f"{START:%Y-%m-}{int(f'{START:%d}') + number % 28:02d}"
            db.execute("BEGIN")
            for name, columns in ours:
                values = [_copied(name, column, number, events, day) for column in columns]
                order = {"events": "event_id", "conversations": "rowid"}.get(name, "conversation_id")
                db.execute(
                    f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {name} AS t"
                    f" WHERE conversation_id IN these ORDER BY {order}".replace("IN these", "IN (SELECT * FROM these)")
                )
            db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copied(table: str, column: str, number: int, events: int, day: str) -> str:
    """The SQL of a column's value in a copy."""
    if column == "event_id":
        return f"event_id + {number * events}"
    if column == "identity":
        return "randomblob(32)"
    new_id = f"'{number:04x}' || substr(conversation_id, 5)"
    if column == "conversation_id":
        return new_id
    if column in ("topic", "body", "details"):
        return f"replace(replace({column}, conversation_id, {new_id}), '{START:%Y-%m-%d}', '{day}')"
    if column.endswith(("_start", "_end", "_at", "_time", "_date", "heard")):
        return f"replace({column}, '{START:%Y-%m-%d}', '{day}')"
    return column


def opened(path: Path, pack: str, limits: Iterable[float] = ()) -> tuple[Cost, int]:
    """What it costs to open the store; it is killed whenever the new file has so many bytes. Answers the kills too."""
    new, cost, kills, until = upgrade.new_file(path), Cost(0, 0, 0), 0, iter(limits)
    while True:
        limit, killed = next(until, float("inf")), False
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", OPENING, str(path), pack], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if not killed and sum(_bytes(Path(f"{new}{suffix}")) for suffix in ("", "-wal")) >= limit:
                process.send_signal(signal.SIGKILL)
                killed = True
            time.sleep(PAUSE)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall, resident = time.perf_counter() - began, int(process.stdout.read() or 0) * 1024 / 1e6
        process.stdout.close()
        cost = cost.added(Cost(usage.ru_utime + usage.ru_stime, wall, resident))
        if not killed:
            assert process.returncode == 0, process.returncode
            return cost, kills
        assert process.returncode == -signal.SIGKILL, process.returncode
        kills += 1


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def different(first: Path, second: Path) -> Iterator[str]:
    """The tables of which both have not the same rows, compared within SQLite, column by column."""
    with closing(sqlite3.connect(first)) as db:
        db.execute("ATTACH ? AS other", (str(second),))
        query = "SELECT name, sql FROM {}.sqlite_master WHERE type = 'table' ORDER BY 1"
        tables, others = (db.execute(query.format(schema)).fetchall() for schema in ("main", "other"))
        if tables != others:
            yield "the schema"
        for name, _ in tables:
            if name.startswith("sqlite_") or name in OF_THE_OPENING:
                continue
            columns = [(f'"{row[1]}"', row[5]) for row in db.execute(f"PRAGMA main.table_info ({name})")]
            counts = [db.execute(f"SELECT count(*) FROM {schema}.{name}").fetchone() for schema in ("main", "other")]
            key = " AND ".join(f"a.{column} = b.{column}" for column, is_key in columns if is_key)
            values = [", ".join(f"{table}.{column}" for column, _ in columns) for table in "ab"]
            same = (
                f"SELECT count(*) FROM main.{name} a JOIN other.{name} b ON {key} WHERE ({values[0]}) IS ({values[1]})"
                if key
                else f"SELECT count(*) FROM (SELECT * FROM main.{name} INTERSECT SELECT * FROM other.{name})"
            )
            if counts[0] != counts[1] or db.execute(same).fetchone() != counts[0]:
                yield name


def said(what: str, before: float, after: float, cost: Cost) -> str:
    """A line of what it cost."""
    return (
        f"{what}: {before / 1e6:,.0f} MB become {after / 1e6:,.0f} MB in {cost.wall:.1f} s on the clock"
        f" ({before / 1e6 / cost.wall:.0f} MB/s), {cost.cpu:.1f} s of the processor ({before / 1e6 / cost.cpu:.0f} MB/s),"
        f" {cost.resident:.0f} MB resident"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="?", type=int, default=300)
    parser.add_argument("--schema", type=int, default=3, choices=range(1, 6))
    parser.add_argument("--pack", default="events", choices=("none", "events", "all"))
    parser.add_argument("--kill", type=int, default=0, metavar="TIMES")
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    os.umask(0o077)  # a store that others can read is refused
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store, second = Path(folder) / "rollbook.db", Path(folder) / "killed.db"
        make(store, options.megabytes, options.schema)
        before = store.stat().st_size
        if options.kill:
            shutil.copy(store, second)
            os.sync()
        cost, _ = opened(store, options.pack)
        after = store.stat().st_size
        print(said(f"schema {options.schema}", before, after, cost), flush=True)
        if options.kill:
            limits = [after * (number + 1) / (options.kill + 1) for number in range(options.kill)]
            cost, kills = opened(second, options.pack, limits)
            print(said(f"killed {kills} times", before, second.stat().st_size, cost), flush=True)
            found = list(different(store, second))
            print(f"rows that differ: {', '.join(found) or 'none'}")
            sys.exit(1 if found or kills < options.kill else 0)


if __name__ == "__main__":
    main()
