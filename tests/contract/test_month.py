"""A simulated month: outages, late arrivals, nightly rewrites, long conversations, deletions, a day of API trouble.

It ends with every window settled and the store equal to the truth. In CI it is a small organisation; ROLLBOOK_MONTH=full
runs it as the issue has it, 200,000 conversations in windows of half an hour (about an hour, on two slow cores).
"""

import heapq
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconcile.due.rounds import AT_ONCE, Round, run_due
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import Unavailable
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.store.book import Book
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import conversations, coverage, events, gaps, windows
from tests.helpers.peek import peek
from tests.helpers.whole import assert_rows_are

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 30
FULL = os.environ.get("ROLLBOOK_MONTH") == "full"
CONVERSATIONS = 200_000 if FULL else int(os.environ.get("ROLLBOOK_MONTH", "700"))
WIDTH = timedelta(minutes=30) if FULL else timedelta(hours=4)
DAY = timedelta(days=1)
TOPIC = "v2.routing.queues.{queue}.conversations"
# When the daemon was not there: from, how long.
OUTAGES = [(3 * DAY, timedelta(hours=2)), (9 * DAY, timedelta(hours=26)), (20.4 * DAY, timedelta(minutes=40))]
TROUBLE = 14 * DAY, 15 * DAY
# What comes long after the settling read: read once more at the end.
AFTERWARDS = ("evaluations", "surveys", "resolutions")


def snapshot(record: dict[str, Any], at: datetime) -> str | None:
    """What a queue's topic tells of a conversation at a moment."""
    now, participants, queue = to_text(at), [], None
    for participant in record["participants"]:
        segments = [
            part for session in participant["sessions"] for part in session["segments"] if part["segmentStart"] <= now
        ]
        if not segments:
            continue
        shown = {
            "id": participant["participantId"],
            "purpose": participant["purpose"],
            "connectedTime": segments[0]["segmentStart"],
        }
        queue = next((part["queueId"] for part in segments if "queueId" in part), queue)
        if all(
            part.get("segmentEnd", "9") <= now for session in participant["sessions"] for part in session["segments"]
        ):
            shown["endTime"] = max(part["segmentEnd"] for part in segments)
        participants.append(shown)
    if queue is None:
        return None
    body = {"id": record["conversationId"], "participants": participants}
    return json.dumps({"topicName": TOPIC.format(queue=queue), "eventBody": body})


class Month:
    """The organisation, its clock, the daemon that listens and looks at the ledger every so often."""

    def __init__(self, simulator: Simulator, book: Book, api: Api, settings: Settings) -> None:
        self.simulator, self.book, self.api, self.settings = simulator, book, api, settings
        self.seen = 0
        self.coming: list[tuple[datetime, str]] = []
        self.span: int | None = None
        self.rounds = self.failing = 0
        self.topics = [TOPIC.format(queue=queue["id"]) for queue in simulator.world.queues]
        self.deleted: set[str] = set()

    @property
    def up(self) -> bool:
        """Whether the daemon runs now."""
        passed = self.simulator.now() - START
        return not any(begin <= passed < begin + length for begin, length in OUTAGES)

    def listen(self) -> None:
        """What happened since the last step is told; who does not listen hears nothing of it."""
        simulator = self.simulator
        now = simulator.now()
        simulator.world.grow(now)
        lives = simulator.world.conversations
        for life in lives[self.seen :]:
            for at in {life.changes[0], life.changes[len(life.changes) // 2], life.changes[-1]}:
                heapq.heappush(self.coming, (at, life.id))
        self.seen = len(lives)
        notifications = list(self._notifications(now))
        if self.up and self.span is None:
            self.span = self.book.write(coverage.begin, "websocket", "1", self.topics, to_text(now)).result(10)
        elif not self.up and self.span is not None:
            self.book.write(coverage.end, self.span, to_text(now), "stopped").result()
            self.span = None
        elif self.span is not None:
            self.book.write(coverage.alive, [self.span], to_text(now)).result()
            for first in range(0, len(notifications), 500):
                self.book.write(events.record, notifications[first : first + 500], self.book.lag).result()

    def _notifications(self, now: datetime) -> Iterator[Notification]:
        while self.coming and self.coming[0][0] <= now:
            at, conversation_id = heapq.heappop(self.coming)
            life = self.simulator.world.by_id.get(conversation_id)
            frame = snapshot(life.record, at) if life is not None else None
            if frame is not None:
                found = parse_frame(frame, source="websocket", received_at=to_text(at))
                assert isinstance(found, Notification)
                yield found

    async def look(self) -> None:
        """The daemon's look at the ledger."""
        self.rounds += 1
        how = Round(command="daemon", wait=0, sleep=at_once, at_once=AT_ONCE, via="auto", rest=timedelta(hours=2))
        try:
            report = await run_due(self.book, self.api, self.settings, now=self.simulator.now, how=how)
            self.failing += bool(report.errors)
        except Unavailable:
            self.failing += 1

    def drop(self, days: Interval) -> None:
        """Let the organisation forget how it had written what started then: it writes it again when it is asked."""
        for life in self.simulator.world.between(days.start, days.end):
            life._history = None
            life._forget()

    def forget(self, number: int) -> None:
        """A privacy request: a conversation of three days ago is gone."""
        now = self.simulator.now()
        lives = self.simulator.world.between(now - 3 * DAY, now - 2 * DAY)
        if lives:
            life = lives[number % len(lives)]
            self.deleted.add(life.id)
            self.simulator.world.forget(life.id)
            self.seen -= 1


async def at_once(_: float) -> None:
    """Pauses take no time: the organisation's clock stands still meanwhile."""


async def test_a_month_ends_settled_and_true(tmp_path: Path) -> None:
    """Every window is settled, and every conversation of the month is as the platform has it, stuck ones marked so."""
    path = tmp_path / "rollbook.db"
    trouble = [
        Fault(
            "status",
            path="*details/query",
            count=None,
            at=START + TROUBLE[0],
            until=START + TROUBLE[1],
            parameters={"status": 503},
        ),
        Fault("status", path="*details/query", count=40, at=START + 5 * DAY, parameters={"status": 504}),
        Fault("broken", path="*details*", count=30, at=START + 7 * DAY),
        Fault("cut", path="*details*", count=30, at=START + 8 * DAY),
    ]
    simulator = Simulator(
        seed=7,
        start=START,
        rate=0,
        per_hour=CONVERSATIONS / DAYS / 24,
        rate_limit=10_000_000,
        faults=trouble,
        job_rules=JobRules(seconds=0.0),
    )
    async with simulator:
        settings = load(
            env=simulator.env,
            cwd=tmp_path,
            flags={
                "width": WIDTH,
                "settle_after": 5 * DAY,
                "stuck_after": 20 * DAY,
                "since": START,
                "lag": timedelta(minutes=10),
            },
        )
        began = time.monotonic()
        with Book.open(path, organization=("o", "o")) as book:
            async with Api(settings, sleep=at_once, now=simulator.now) as api:
                month = Month(simulator, book, api, settings)
                await live_through(month)
                lived = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                await hold_to_the_truth(month, book)
        print(
            f"{month.seen:,} conversations, {month.rounds:,} rounds, {month.failing} of them failing,"
            f" {sum(simulator.request_counts.values()):,} requests, {time.monotonic() - began:.0f} s,"
            f" organisation and daemon together {lived:.0f} MB at most until it was over, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} in all"
        )


async def live_through(month: Month) -> None:
    """The month, and what comes after it until nothing does any more."""
    simulator = month.simulator
    steps = int(DAYS * DAY / WIDTH)
    for step in range(steps):
        simulator.clock.advance(WIDTH)
        month.listen()
        if step % int(3 * DAY / WIDTH) == int(2.5 * DAY / WIDTH):
            month.forget(step)
        if month.up:
            await month.look()
        if step % int(DAY / WIDTH) == 0:
            now = simulator.now()
            month.drop(Interval(now - 9 * DAY, now - 8 * DAY))
    month.listen()
    simulator.world._per_hour = 0
    for _ in range(30):
        simulator.clock.advance(DAY)
        month.listen()
        await month.look()
        now = simulator.now()
        month.drop(Interval(now - 9 * DAY, now - 8 * DAY))


async def hold_to_the_truth(month: Month, book: Book) -> None:
    """The ledger, the details, the rows, the gaps; and a last read for what comes months later."""
    end = START + DAYS * DAY
    verdicts = {row.verdict for row in await book.read(windows.listed, until=to_text(end))}
    assert verdicts == {"settled"}, [
        (row.start, row.verdict, row.reason)
        for row in await book.read(windows.listed, until=to_text(end))
        if row.verdict != "settled"
    ]
    assert not covered_gaps(book, end), "a window was skipped"
    assert sum(row.drift for row in await book.read(windows.listed)) > 0, "the nightly rewrites were counted as such"
    assert month.failing > 0
    ways = await book.read(lambda db: db.execute("SELECT DISTINCT via FROM window_runs").fetchall())
    assert {via for (via,) in ways} >= {"query", "job"}, "what an outage left was read by jobs"
    assert {gap.cause for gap in await book.read(gaps.listed)} >= {"not running"}
    # A day at a time: the records of 200,000 conversations, ours and theirs, are some twenty gigabytes.
    known = sum(hold_a_day(month, book, day, without) for day in range(DAYS))
    assert known > CONVERSATIONS * 0.8
    for day in range(DAYS):
        await read_by_job(month, book, day, "complete")
    month.simulator.clock.advance(DAY)
    await read_by_job(month, book, 0, "settled")
    assert rebuild(book)[1] == 0


async def read_by_job(month: Month, book: Book, day: int, verdict: str) -> None:
    """A day once more, months later, by a job: then evaluations and surveys are as the platform has them, too.

    The first reading of that interval is complete however late it is made; another one, a day later, settles it.
    """
    whole = Interval(START + day * DAY, START + (day + 1) * DAY)
    report = await reconcile_window(
        book,
        month.api,
        whole,
        settings=month.settings,
        now=month.simulator.now,
        options=RunOptions(via="job", sleep=at_once),
    )
    assert (report.verdict, report.missing) == (verdict, 0), report
    hold_a_day(month, book, day, without_attributes)


def hold_a_day(month: Month, book: Book, day: int, part: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """What started on a day: every conversation of the truth, and beside it only what was deleted; how many."""
    whole = Interval(START + day * DAY, START + (day + 1) * DAY)
    truth = month.simulator.truth(whole.start, whole.end)
    stored = {
        conversation_id: json.loads(text)
        for conversation_id, text in peek(
            book, conversations.details_of, to_text(whole.start), to_text(whole.end)
        ).items()
    }
    assert stored.keys() - month.deleted == truth.keys()
    for conversation_id, record in truth.items():
        assert part(stored[conversation_id]) == part(record), conversation_id
    followed = dict(
        peek(
            book,
            lambda db: db.execute(
                "SELECT conversation_id, followed FROM conversations WHERE conversation_start >= ? AND conversation_start < ?",
                (to_text(whole.start), to_text(whole.end)),
            ).fetchall(),
        )
    )
    for conversation_id in stored:
        expected = (
            "gone"
            if conversation_id in month.deleted
            else None
            if "conversationEnd" in truth[conversation_id]
            else "stuck"
        )
        assert followed[conversation_id] == expected, conversation_id
    open_gaps = {
        gap.conversation_id
        for gap in peek(book, gaps.listed, since=to_text(whole.start), until=to_text(whole.end))
        if not gap.filled_at
    }
    assert not open_gaps & truth.keys()
    if part is without_attributes:
        ids = list(truth)
        for at in range(0, len(ids), 500):
            assert_rows_are(
                book.path, {conversation_id: truth[conversation_id] for conversation_id in ids[at : at + 500]}
            )
    month.drop(whole)
    return len(truth)


def covered_gaps(book: Book, end: datetime) -> list[str]:
    """Stretches of the month that no window covers."""
    at, holes = to_text(START), []
    for row in peek(book, windows.listed, until=to_text(end)):
        if row.start > at:
            holes.append(f"{at}/{row.start}")
        at = max(at, row.end)
    return holes if at >= to_text(end) else [*holes, f"{at}/"]


def without(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what comes long afterwards, and what only jobs tell."""
    return {name: value for name, value in without_attributes(record).items() if name not in AFTERWARDS}


def without_attributes(record: dict[str, Any]) -> dict[str, Any]:
    participants = [
        {k: v for k, v in participant.items() if k != "attributes"} for participant in record["participants"]
    ]
    return record | {"participants": participants}
