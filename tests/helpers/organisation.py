"""For tests of the reconciler: a small organisation in memory that answers as `rollbook.genesys.api.client.Api` does, and moves.

It is the tests' own reading of the platform's rules and shares no code with the simulator. Pages are small, so that few
rows are enough for much paging: what ends a reading is the empty page, never a short one.
"""

import asyncio
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconcile.report import Report
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import DetailsJob
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.messages.details import DetailRow, DetailsPage, parse_page
from rollbook.genesys.messages.notification import LiveFacts, Notification
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
WINDOW = Interval(START, START + timedelta(minutes=30))
# An hour after the window's start: closed, and far from settled.
NOW = START + timedelta(hours=1)
Record = dict[str, Any]


def at(minute: float) -> str:
    """A time so many minutes after ten."""
    return to_text(START + timedelta(minutes=minute))


def record(conversation_id: str, minute: float = 5, end: float | None = 20, **more: Any) -> Record:
    """A small detail record that starts, and ends, so many minutes after ten."""
    segment = {"segmentStart": at(minute), "segmentType": "interact", "queueId": "q1"}
    session = {"sessionId": f"s-{conversation_id}", "mediaType": "voice", "segments": [segment]}
    made: Record = {
        "conversationId": conversation_id,
        "conversationStart": at(minute),
        "originatingDirection": "inbound",
        "participants": [{"participantId": f"p-{conversation_id}", "purpose": "customer", "sessions": [session]}],
    }
    if end is not None:
        made["conversationEnd"] = segment["segmentEnd"] = at(end)
    return made | more


def heard_of(
    conversation_id: str,
    *,
    started: float | None = 5,
    ended: float | None = None,
    minute: float = 6,
    received: float | None = None,
    source: str = "websocket",
) -> Notification:
    """An event of a conversation, as live capture reads it. minute: of the event; received: when it came."""
    body = json.dumps([conversation_id, started, ended, minute]).encode()
    last = max(time for time in (started, ended, minute) if time is not None)
    return Notification(
        topic="v2.routing.queues.q1.conversations",
        body=body,
        identity=hashlib.blake2b(body, digest_size=16).digest(),
        conversation_id=conversation_id,
        event_time=at(last),
        received_at=at(last if received is None else received),
        source=source,
        facts=LiveFacts(
            started_at=None if started is None else at(started),
            ended_at=None if ended is None else at(ended),
            last_at=at(last),
            media_types=("voice",),
            originating_direction="inbound",
            division_ids=(),
        ),
    )


def ended(old: Record, minute: float = 25) -> Record:
    """The same conversation, ended."""
    return {**old, "conversationEnd": at(minute)}


def page(records: Sequence[Mapping[str, Any]], total: int | None = None, **more: Any) -> DetailsPage:
    """Records as a page of the API; total: its totalHits (as many as there are, if None)."""
    body = {"conversations": list(records), "totalHits": len(records) if total is None else total, **more}
    return parse_page(json.dumps(body).encode())


class Clock:
    """A clock that goes on by a millisecond whenever it is looked at, and by as much as anybody sleeps."""

    def __init__(self, start: datetime = NOW) -> None:
        self.at = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


Move = Callable[["Organisation"], None]


class Organisation:
    """An organisation whose `truth` the tests change, also between two pages.

    reading: which rows answer an interval ("overlap": those alive in it, "day": those of its whole days).
    moves: what happens before the n-th query (the first is 1). unlisted: what exists and no query answers with.
    unknown: what is not found by id. totals: what `totalHits` says of a true total. refuse: raises for a query.
    """

    def __init__(self, *records: Record, reading: str = "overlap", size: int = 3) -> None:
        self.truth: dict[str, Record] = {record["conversationId"]: record for record in records}
        self.reading, self.size = reading, size
        self.moves: dict[int, Move] = {}
        self.always: Move = lambda _: None
        self.unlisted: set[str] = set()
        self.unknown: set[str] = set()
        self.totals: Callable[[int, int], int | None] = lambda total, _: total
        self.refuse: Callable[[Mapping[str, Any], int], None] = lambda _body, _query: None
        self.bodies: list[Mapping[str, Any]] = []
        self.asked: list[str] = []
        self.watermark: str | None = "2026-03-20T00:00:00.000Z"
        self.keeps_days: int | Exception | None = None  # the organisation's retention, or why it cannot be asked
        self.retention_questions = 0
        self._jobs: dict[str, Mapping[str, Any]] = {}

    def put(self, *records: Record) -> None:
        """Rows appear, or are other than they were."""
        self.truth |= {record["conversationId"]: record for record in records}

    def now(self) -> datetime:
        """The platform's time: here it is this machine's."""
        return datetime.now(UTC)

    def requests_left(self) -> int:
        """It has no rate limit."""
        return 300

    @property
    def intervals(self) -> list[str]:
        """The intervals that were asked for, each once, in order."""
        return list(dict.fromkeys(body["interval"] for body in self.bodies))

    def owned(self, interval: Interval = WINDOW) -> dict[str, Record]:
        """The conversations that started in an interval."""
        return {
            conversation_id: row
            for conversation_id, row in self.truth.items()
            if interval.contains(row["conversationStart"])
        }

    def _matching(self, body: Mapping[str, Any]) -> list[Record]:
        start, end = body["interval"].split("/")
        if self.reading == "day":
            last = to_text(from_text(end) - timedelta(milliseconds=1))
            start, end = f"{start[:10]}T00:00:00.000Z", f"{last[:10]}T23:59:59.999Z"
        found = [
            row
            for conversation_id, row in self.truth.items()
            if conversation_id not in self.unlisted
            and (row["conversationStart"] <= end if self.reading == "day" else row["conversationStart"] < end)
            and (
                row["conversationStart"] >= start if self.reading == "day" else row.get("conversationEnd", "9") >= start
            )
            and all(_matches(row, condition) for condition in body.get("conversationFilters", ()))
        ]
        return sorted(found, key=lambda row: (row["conversationStart"], row["conversationId"]))

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """One page of the details query."""
        await asyncio.sleep(0)
        some, honest = self._queried(body, self.size)
        return page(honest["conversations"], totalHits=honest["totalHits"]) if some else parse_page(b"{}")

    def _queried(self, body: Mapping[str, Any], size: int) -> tuple[bool, dict[str, Any]]:
        """Let happen what a query brings about: (whether any row matches, a page of them with their total)."""
        self.bodies.append(body)
        query = len(self.bodies)
        self.refuse(body, query)
        self.move(query)
        self.always(self)
        rows = self._matching(body)
        first = (body["paging"]["pageNumber"] - 1) * size
        total = self.totals(len(rows), query)
        return bool(rows), {"conversations": rows[first : first + size], "totalHits": total}

    async def details_by_id(self, ids: Sequence[str], *, tries: int | None = None) -> list[DetailRow]:
        """Details by id."""
        await asyncio.sleep(0)
        self.asked += ids
        return list(
            page(
                [
                    self.truth[conversation_id]
                    for conversation_id in ids
                    if conversation_id in self.truth and conversation_id not in self.unknown
                ]
            ).rows
        )

    async def divisions(self) -> list[Entity]:
        """What the client sees."""
        return [Entity("d1", "Home")]

    async def retention_days(self, *, tries: int | None = None) -> int | None:
        """How long the organisation keeps its conversations."""
        self.retention_questions += 1
        if isinstance(self.keeps_days, Exception):
            raise self.keeps_days
        return self.keeps_days

    async def data_availability(self) -> str | None:
        """The jobs' watermark."""
        return self.watermark

    async def create_job(self, body: Mapping[str, Any]) -> str:
        """A job, done at once."""
        self._jobs["job"] = body
        return "job"

    async def job(self, job_id: str) -> DetailsJob:
        """Its state."""
        return DetailsJob(job_id, "FULFILLED", None)

    async def job_results(self, job_id: str, cursor: str | None = None) -> DetailsPage:
        """A page of its rows."""
        rows, first = self._matching(self._jobs[job_id]), int(cursor or 0)
        more: dict[str, Any] = {"cursor": str(first + self.size)} if first + self.size < len(rows) else {}
        return page(rows[first : first + self.size], dataAvailabilityDate=self.watermark, **more)

    def move(self, query: int) -> None:
        """Let happen what happens before this query."""
        if move := self.moves.get(query):
            move(self)

    async def cancel_job(self, job_id: str) -> None:
        """Take it back."""
        del self._jobs[job_id]


def _matches(row: Record, condition: Mapping[str, Any]) -> bool:
    return all(_holds(row, predicate) for predicate in condition["predicates"])


def _holds(row: Record, predicate: Mapping[str, Any]) -> bool:
    value = row.get(predicate["dimension"])
    if predicate.get("operator", "matches") == "matches":
        return bool(value is not None and value == predicate["value"])
    return bool((value is not None) == (predicate["operator"] == "exists"))


def settings(**changed: Any) -> Settings:
    """The settings of a run."""
    return Settings(**changed)


async def read_window(
    book: Book | None, org: Any, window: Interval, clock: Clock, wanted: Settings | None = None, **options: Any
) -> Report:
    """Run over a window as the programs do, in the clock's time; org answers as the API does.

    A window that somebody else reads is not waited for.
    """
    how = RunOptions(**{"sleep": clock.sleep, "wait": 0, **options})
    return await reconcile_window(book, org, window, settings=wanted or settings(), now=clock.now, options=how)


def only(dimension: str, value: str) -> dict[str, Any]:
    """A filter, as the API takes it."""
    predicate = {"type": "dimension", "dimension": dimension, "operator": "matches", "value": value}
    return {"conversationFilters": [{"type": "and", "predicates": [predicate]}]}


def read_by_people(connection: sqlite3.Connection) -> list[str]:
    """The names of a store's tables and views, but for the tables behind the views.

    What the file notes of itself (whether its log holds more) changes with each opening, and is left out too.
    """
    others = ("texts", "conversation_ids", "store_notes")
    listed = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    return [name for (name,) in listed if not name.endswith("_rows") and name not in others]


def about_runs(connection: sqlite3.Connection) -> set[str]:
    """The names of the tables that record runs, and of all views that read one of them."""
    views = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall()
    found = {"windows", "window_runs"}
    while True:
        words = re.compile(rf"\b({'|'.join(found)})\b")
        more = {name for name, sql in views if name not in found and words.search(sql)}
        if not more:
            return found
        found |= more


def dump(path: Path, *, ledger: bool = True) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table and view that people read; ledger: also of what records runs, or is made of that."""
    connection = sqlite3.connect(path)
    try:
        names = read_by_people(connection)
        left_out = set() if ledger else about_runs(connection)
        wanted = [name for name in names if name not in left_out]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in wanted}
    finally:
        connection.close()
