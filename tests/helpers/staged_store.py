"""A store as days of capture and reconciliation leave it, with what goes wrong in them: for what shows a store.

Its conversations are a simulated organisation's. The ledger is written by the functions that the product writes it
with; what the platform would have answered is not asked for.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.simulator.organisation.directory import KINDS
from rollbook.simulator.organisation.world import World
from rollbook.store.book import Book
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import coverage, events, names, schema, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.tables.windows import RunRecord
from rollbook.store.upkeep import sizes
from rollbook.store.upkeep.sizes import Sizes
from rollbook.store.vocabulary import GapKind, Verdict

NOW = datetime(2026, 3, 5, 10, 7, tzinfo=UTC)
WIDTH = timedelta(minutes=30)
LAG = timedelta(minutes=10)
TOPIC = "v2.routing.queues.{id}.conversations"


def staged(
    path: Path,
    *,
    days: int = 2,
    per_hour: float = 12,
    now: datetime = NOW,
    seed: int = 7,
    fails: Callable[[int], bool] = lambda number: number % 29 == 17,
) -> None:
    """Fill a store: `days` of windows up to now, some failed, due and open; capture that was off twice each day.

    fails: whether the window of a number, from 0 on, could not be read.
    """
    last = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0)
    start = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    world = World(seed, start, per_hour, queues=6, users=12, variety=True)
    world.grow(last)
    with Book.open(path, organization=("0c9e6f3a-5d2b-4c1e-9a77-2f1b8e4d6a10", "Northwind Care")) as book:
        book.write(_coverage, start, now).result()
        book.write(_names, world, now).result()
        book.write(_sizes, start, now).result()
        records = {str(life.record["conversationId"]): life.record for life in world.conversations}
        book.write(events.record, list(_events(records.values(), start, now)), LAG).result()
        moment, number = start, 0
        while moment + WIDTH <= last:
            window = Interval(moment, moment + WIDTH)
            own = [record for record in records.values() if window.contains(str(record["conversationStart"]))]
            book.write(_reconciled, window, own, now, fails(number)).result()
            moment, number = moment + WIDTH, number + 1
        book.write(windows.note, [(to_text(last), to_text(last + WIDTH), Verdict.PENDING)], "").result()


def _off(start: datetime, now: datetime) -> list[tuple[datetime, datetime, str]]:
    """The times at which capture was off: an hour each day, and ten minutes."""
    found = []
    day = start
    while day < now:
        found.append((day + timedelta(hours=5), day + timedelta(hours=6), "killed"))
        found.append((day + timedelta(hours=14, minutes=10), day + timedelta(hours=14, minutes=20), "disconnected"))
        day += timedelta(days=1)
    return [(begin, end, why) for begin, end, why in found if end < now]


def _coverage(db: Connection, start: datetime, now: datetime) -> None:
    began = start
    for begin, end, why in _off(start, now):
        span = coverage.begin(db, "websocket", "line 1", [TOPIC], to_text(began))
        coverage.end(db, span, to_text(begin), why)
        began = end
    span = coverage.begin(db, "websocket", "line 1", [TOPIC], to_text(began))
    coverage.alive(db, [span], to_text(now))
    refused = {"topic": "v2.users.{id}.conversations", "reason": "forbidden", "missing_permissions": ["user:view"]}
    coverage.reject(db, [refused], to_text(start))


def _names(db: Connection, world: World, now: datetime) -> None:
    for kind in KINDS:
        listed = {
            str(entity["id"]): ListedName(str(entity["id"]), str(entity["name"]))
            for entity in world.directory.every(kind)
        }
        names.take(db, kind, NameListing(to_text(now), listed, whole=True))


def _sizes(db: Connection, start: datetime, now: datetime) -> None:
    at, size = start, 40_000_000
    while at < now:
        sizes.note(db, Sizes(to_text(at), size, 0, 4_000_000, 80_000_000_000 - size, None))
        at, size = at + timedelta(hours=6), size + 9_000_000


def _events(records: Any, start: datetime, now: datetime) -> Iterator[Notification]:
    """A snapshot when a conversation starts and one when it ends, where capture was on then; oldest first."""
    off = [(to_text(begin), to_text(end)) for begin, end, _ in _off(start, now)]
    found = []
    for record in records:
        queue = next(
            (
                segment["queueId"]
                for participant in record["participants"]
                for session in participant.get("sessions", ())
                for segment in session.get("segments", ())
                if "queueId" in segment
            ),
            None,
        )
        for moment in (record["conversationStart"], record.get("conversationEnd")):
            if moment and queue and not any(begin <= moment < end for begin, end in off) and moment < to_text(now):
                found.append((moment, _frame(record, queue, moment)))
    for moment, frame in sorted(found):
        notification = parse_frame(frame, source="websocket", received_at=to_text(from_text(moment) + timedelta(0, 1)))
        assert isinstance(notification, Notification)
        yield notification


def _frame(record: dict[str, Any], queue: str, moment: str) -> str:
    customer = {"id": "c", "purpose": "customer", "name": "Ada Lovelace", "connectedTime": record["conversationStart"]}
    if moment == record.get("conversationEnd"):
        customer["endTime"] = moment
    body = {"id": record["conversationId"], "participants": [customer]}
    return json.dumps({"topicName": f"v2.routing.queues.{queue}.conversations", "eventBody": body})


def _reconciled(db: Connection, window: Interval, own: Sequence[dict[str, Any]], now: datetime, failed: bool) -> None:
    """Read a window, or fail to; the last is due, and one that has an ongoing conversation is open."""
    start, end = window.texts
    as_of = to_text(window.end + timedelta(minutes=12))
    if as_of > to_text(now):
        windows.note(db, [(start, end, Verdict.DUE)], "")
        return
    figures: dict[str, int | None] = {}
    if not failed:
        page = parse_page(json.dumps({"conversations": list(own)}).encode())
        read = Read(as_of, as_of, as_of, frozenset(), LAG)
        cause = {GapKind.MISSING: "not running", GapKind.CHANGED: "disconnected"}
        outcome = windows.write_details(
            db, page.rows, read, window=window, width=WIDTH, cause=lambda _, kind: cause.get(kind, "unknown")
        )
        going_on = sum("conversationEnd" not in record for record in own)
        missing = sum(kind == GapKind.MISSING for kind in outcome.gaps.values())
        changed = sum(kind == GapKind.CHANGED for kind in outcome.gaps.values())
        figures = {
            "passes": 1, "requests": 3, "initial_total_hits": len(own), "final_total_hits": len(own),
            "unique": len(own), "duplicates": 0, "owned": len(own), "missing": missing, "changed": changed,
            "unchanged": len(own) - missing - changed, "ongoing": going_on, "live_only": 0, "written": len(own),
        }  # fmt: skip
    settled = window.end < now - timedelta(days=1)
    verdict = Verdict.FAILED if failed else Verdict.SETTLED if settled else Verdict.COMPLETE
    if figures.get("ongoing"):
        verdict = Verdict.OPEN
    windows.finish(
        db,
        RunRecord(
            start=start,
            end=end,
            filter="",
            command="daemon",
            via="query",
            started_at=as_of,
            finished_at=to_text(from_text(as_of) + timedelta(seconds=2)),
            as_of=None if failed else as_of,
            verdict=verdict,
            reason="rows moved in every pass: 412, 413 and 415 hits" if failed else None,
            reading=None if failed else "interval",
            passes_json=json.dumps([{"pass": 1, "pages": 2, "rows": len(own), "duplicates": 0}]),
            id_digest=None if failed else bytes(range(16)),
            query_json=json.dumps({"interval": window.text, "order": "asc", "orderBy": "conversationStart"}),
            divisions_json=None if failed else '["*"]',
            seconds=1.62,
            settled=verdict == Verdict.SETTLED,
            next_try_at=to_text(now + timedelta(minutes=20)) if failed else None,
            figures=figures,
        ),
    )


def bare_windows(path: Path, verdicts: Sequence[Verdict], *, start: datetime = NOW, width: timedelta = WIDTH) -> None:
    """Fill a store's ledger alone: a window of each of these verdicts, one behind the other."""
    bounds = [to_text(start + width * number) for number in range(len(verdicts) + 1)]
    rows = [(begin, end, verdict, end, end) for (begin, end), verdict in zip(pairwise(bounds), verdicts, strict=True)]

    def write(db: Connection) -> None:
        query = 'INSERT INTO windows (start, "end", verdict, last_read_at, last_run_at) VALUES (?, ?, ?, ?, ?)'
        db.executemany(query, rows)

    with Book.open(path, organization=("o", "Organisation")) as book:
        book.write(write).result()
    assert schema.VERSION
