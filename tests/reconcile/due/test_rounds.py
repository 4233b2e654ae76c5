"""Rounds over what is due, and the clock that calls for them."""

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES

from reconcile.due.rounds import Round, run_due
from reconcile.due.schedule import Schedule
from reconcile.report import DueReport, Report
from rollbook.genesys.errors import ConnectionLost, NotAuthenticated, RequestRefused, Unavailable, UsageError
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.file.errors import LockHeld, StoreFull
from rollbook.store.tables import coverage, windows
from rollbook.store.tables.windows import LedgerView, WindowRow
from tests.helpers.organisation import START, Clock, Organisation, at, dump, ended, only, read_window, record, settings
from tests.helpers.peek import peek

HALF = timedelta(minutes=30)
# Ten minutes' lag after 12:00: the windows from 10:00 to 12:00 are closed, the one from 12:00 is not.
NOON = START + timedelta(hours=2, minutes=10)
DOWN = Unavailable("down", status=503)


def half_hour(minute: float) -> Interval:
    """The window that starts so many minutes after ten."""
    begin = START + timedelta(minutes=minute)
    return Interval(begin, begin + HALF)


@dataclass
class Scene:
    """A store, a clock and an organisation; due since ten o'clock."""

    path: Path
    book: Book
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    org: Organisation = field(default_factory=Organisation)
    since: datetime | None = START

    async def due(
        self,
        *,
        dry_run: bool = False,
        many: int | None = None,
        wait: float = 0,
        stop: asyncio.Event | None = None,
        on_report: Callable[[Report], None] = lambda _: None,
        **changed: Any,
    ) -> DueReport:
        """One round, as `--due` makes it."""
        how = Round(dry_run=dry_run, many=many, wait=wait, stop=stop, on_report=on_report, sleep=self.clock.sleep)
        wanted = settings(**({"since": self.since} | changed))
        return await run_due(self.book, self.org, wanted, now=self.clock.now, how=how)  # type: ignore[arg-type]

    async def by_hand(self, window: Interval, **more: Any) -> Report:
        """One window, as `--window` reads it."""
        return await read_window(self.book, self.org, window, self.clock, **more)

    def ledger(self) -> dict[str, str]:
        """Start → verdict."""
        return {row.start: row.verdict for row in peek(self.book, windows.listed)}

    def row(self, minute: float) -> WindowRow:
        """A half hour's row."""
        found = peek(self.book, windows.find, at(minute), at(minute + 30))
        assert found is not None
        return found

    def details(self) -> dict[str, Any]:
        """Every conversation that has details."""
        query = "SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL"
        found: list[tuple[str, str]] = peek(self.book, lambda db: db.execute(query).fetchall())
        return {conversation_id: json.loads(text) for conversation_id, text in found}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A store and an organisation with a conversation in every half hour from ten to noon."""
    clock = Clock(NOON)
    with Book.open(tmp_path / "rollbook.db") as book:
        made = Scene(tmp_path / "rollbook.db", book, clock)
        made.org.put(*(record(f"c{minute}", minute + 5, minute + 9) for minute in range(0, 120, 30)))
        yield made


def starts(report: DueReport) -> list[str]:
    """The windows of a report."""
    return [to_text(result.window.start) for result in report.windows]


# What is read


async def test_everything_due_is_read_once_newest_first(scene: Scene) -> None:
    """Every closed window since the beginning, a report each, told one by one; then nothing is due."""
    reported: list[str] = []
    report = await scene.due(on_report=lambda result: reported.append(to_text(result.window.start)))
    assert starts(report) == reported == [at(90), at(60), at(30), at(0)]
    assert [result.verdict for result in report.windows] == ["complete"] * 4
    assert (report.exit_status, report.left, report.errors) == (0, 0, ())
    assert scene.details() == scene.org.truth
    queries = len(scene.org.bodies)
    again = await scene.due()
    assert (list(again.windows), again.exit_status, len(scene.org.bodies)) == ([], 0, queries)
    assert [scene.row(minute).attempts for minute in (0, 30, 60, 90)] == [1, 1, 1, 1]


async def test_the_ledger_is_looked_at_beside_the_loop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at years of windows holds no socket up: it is made in a thread, and never as a list of every row."""
    looks: list[bool] = []
    ledger_view = windows.ledger_view

    def look(db: sqlite3.Connection, filter: str, at: str) -> LedgerView:
        looks.append(threading.current_thread() is threading.main_thread())
        return ledger_view(db, filter, at)

    monkeypatch.setattr(windows, "ledger_view", look)
    monkeypatch.setattr(windows, "listed", None)
    assert len((await scene.due()).windows) == 4
    assert looks == [False]


async def test_the_answer_is_one_object_with_every_report(scene: Scene) -> None:
    """`--due --json`: {"windows": [report, …]}."""
    report = await scene.due()
    answer = json.loads(json.dumps(report.as_dict()))
    assert [result["window"]["start"] for result in answer["windows"]] == [at(90), at(60), at(30), at(0)]
    assert all(result["verdict"] == "complete" for result in answer["windows"])


async def test_the_ledger_shows_what_waits(scene: Scene) -> None:
    """A window that is not closed is pending; one that was not read for lack of time or of a network is due."""
    report = await scene.due(many=1)
    assert (starts(report), report.left) == ([at(90)], 3)
    assert scene.ledger() == {at(0): "due", at(30): "due", at(60): "due", at(90): "complete", at(120): "pending"}
    scene.clock.at = START + timedelta(minutes=161)
    scene.org.refuse = _down_from(1, ConnectionLost("no network"))
    with pytest.raises(ConnectionLost):
        await scene.due()
    assert scene.ledger()[at(120)] == "due"
    assert scene.ledger()[at(150)] == "pending"


async def test_a_window_within_the_lag_waits(scene: Scene) -> None:
    """The lag is a setting; a window is due when it has passed, not before."""
    scene.clock.at = START + timedelta(minutes=39)
    assert at(0) not in starts(await scene.due())
    assert starts(await scene.due(lag=timedelta(minutes=5))) == [at(0)]


async def test_without_a_beginning_the_last_closed_window_is_the_first(scene: Scene) -> None:
    """No capture, no date: it begins with the last closed window, and forgets none from then on."""
    scene.since = None
    assert starts(await scene.due()) == [at(90)]
    scene.clock.at = START + timedelta(hours=4, minutes=10)
    assert starts(await scene.due()) == [at(minute) for minute in (210, 180, 150, 120)]


async def test_what_capture_began_is_the_beginning(scene: Scene) -> None:
    """From capture's first start on every window is due."""
    scene.since = None
    scene.book.write(coverage.begin, "websocket", "line 1", ["v2.routing.queues.q1.conversations"], at(40)).result(10)
    assert starts(await scene.due()) == [at(90), at(60), at(30)]


async def test_what_was_read_by_hand_is_not_read_again(scene: Scene) -> None:
    """A wider interval has proven the half hours inside it."""
    await scene.by_hand(Interval(START, START + timedelta(minutes=90)))
    assert starts(await scene.due()) == [at(90)]


async def test_what_is_open_is_followed(scene: Scene) -> None:
    """After the windows come the conversations that still go on; their windows close without another reading."""
    scene.org.put(record("long", 7, None))
    report = await scene.due()
    assert {to_text(result.window.start): result.verdict for result in report.windows}[at(0)] == "open"
    scene.org.put(ended(scene.org.truth["long"], 125))
    queries = len(scene.org.bodies)
    report = await scene.due()
    assert (report.followed["ended"], scene.ledger()[at(0)], len(scene.org.bodies)) == (1, "complete", queries)
    assert scene.details()["long"] == scene.org.truth["long"]


async def test_a_filter_has_its_own_ledger(scene: Scene) -> None:
    """What is due under the filter is due although the plain windows have been read."""
    await scene.due()
    report = await scene.due(filter=only("originatingDirection", "outbound"))
    assert len(report.windows) == 4
    assert {result.filter == "" for result in report.windows} == {False}
    assert set(scene.ledger().values()) <= {"complete", "pending"}


# Again


async def test_a_failed_window_is_tried_again_at_its_time(scene: Scene) -> None:
    """Exit status 3; not before next_try_at, and then until it is proven."""
    scene.org.totals = lambda total, query: total + query
    scene.since = START + timedelta(minutes=90)
    first = await scene.due()
    assert ([result.verdict for result in first.windows], first.exit_status) == (["failed"], 3)
    next_try = scene.row(90).next_try_at
    assert next_try is not None
    assert (first.windows[0].next_try_at, "next_try_at" in first.windows[0].as_dict()) == (next_try, False)
    scene.clock.at = from_text(next_try) - timedelta(seconds=1)
    assert starts(await scene.due()) == []
    scene.clock.at = from_text(next_try)
    scene.org.totals = lambda total, _: total
    again = await scene.due()
    assert at(90) in starts(again)
    assert again.exit_status == 0
    assert scene.ledger()[at(90)] == "complete"


async def test_complete_windows_are_settled_after_five_days(scene: Scene) -> None:
    """Read once more after the reprocessing, once; a late change of then is kept beside what stood."""
    await scene.due()
    scene.since = None
    scene.clock.at = START + timedelta(days=5, minutes=59)
    scene.org.put(record("c0", 5, 9, conferenceStart=at(6)))
    for minute in (30, 60, 90):
        scene.clock.at = START + timedelta(days=5, minutes=minute, seconds=1)
        report = await scene.due()
        assert at(minute - 30) in starts(report)
        assert scene.ledger()[at(minute - 30)] == "settled"
        assert scene.ledger()[at(minute)] == "complete"
    assert scene.row(0).attempts == 2
    assert scene.row(0).changed == 1
    assert scene.details()["c0"] == scene.org.truth["c0"]


async def test_a_wide_proof_is_settled_with_what_inherited_it(scene: Scene) -> None:
    """The interval that was read by hand is read again, and its half hours are settled by that."""
    await scene.by_hand(Interval(START, START + timedelta(hours=2)))
    scene.clock.at = START + timedelta(days=5, hours=2, seconds=1)
    report = await scene.due(since=None, many=5)
    while report.left:
        report = await scene.due(since=None)
    verdicts = {(row.start, row.end): row.verdict for row in await scene.book.read(windows.listed, until=at(120))}
    assert set(verdicts.values()) == {"settled"}
    assert len(verdicts) == 5


# Trouble


def _down_from(query: int, error: Exception = DOWN) -> Callable[[Mapping[str, Any], int], None]:
    def refuse(_body: Mapping[str, Any], number: int) -> None:
        if number >= query:
            raise error

    return refuse


async def test_a_window_that_somebody_else_reads_is_noted_and_the_others_are_read(scene: Scene) -> None:
    """One lock is held: one error with its window, exit status 1, and the rest is proven; it is still due."""
    with scene.book.lock_window(half_hour(30), wait=0):
        report = await scene.due()
    assert starts(report) == [at(90), at(60), at(0)]
    [(window, line)] = report.errors
    assert window == half_hour(30)
    assert "being worked on" in line
    assert report.exit_status == 1
    assert starts(await scene.due()) == [at(30)]


@pytest.mark.parametrize("error", [NotAuthenticated("no token"), ConnectionLost("no network")])
async def test_everybodys_trouble_ends_a_round_and_keeps_what_was_read(scene: Scene, error: Exception) -> None:
    """After some windows: their reports, the error, exit status 1; what was not read is still due."""
    scene.org.refuse = _down_from(len(scene.org.bodies) + 5, error)
    report = await scene.due()
    assert starts(report) == [at(90), at(60)]
    assert [line for _, line in report.errors] == [str(error)]
    assert (report.exit_status, report.left) == (1, 2)
    scene.org.refuse = lambda _body, _number: None
    assert starts(await scene.due()) == [at(30), at(0)]


async def test_what_the_platform_does_not_answer_is_that_windows_trouble(scene: Scene) -> None:
    """A window of which neither a query nor a job can be had: an attempt, a reason and a pause; the others are read."""
    bad = at(60)

    def refuse(body: Mapping[str, Any], _number: int) -> None:
        start, end = body["interval"].split("/")
        if start < at(90) and end > bad:
            raise DOWN

    async def no_job(body: Mapping[str, Any]) -> str:
        raise DOWN

    scene.org.refuse = refuse
    scene.org.create_job = no_job  # type: ignore[method-assign]
    scene.org.put(record("long", 7, None))
    report = await scene.due()
    assert starts(report) == [at(90), at(30), at(0)]
    [(window, line)] = report.errors
    assert (to_text(window.start), line, report.exit_status) == (bad, str(DOWN), 1)
    kept = scene.row(60)
    assert (kept.verdict, kept.attempts, kept.reason) == ("failed", 1, str(DOWN))
    assert kept.next_try_at is not None
    assert report.followed["asked"] == 1, "what is open is followed all the same"
    scene.org.refuse = lambda _body, _number: None
    assert starts(await scene.due()) == []
    scene.clock.at = from_text(kept.next_try_at)
    assert bad in starts(await scene.due())


async def test_what_no_query_can_have_a_job_brings(scene: Scene) -> None:
    """A window's rows are refused to every query, and counted: a job proves it in the same round, nothing is failed."""

    def refuse(body: Mapping[str, Any], _number: int) -> None:
        start, end = body["interval"].split("/")
        counts = body["paging"] == {"pageSize": 1, "pageNumber": 1}
        if start < at(90) and end > at(60) and not counts:
            raise DOWN

    scene.org.refuse = refuse
    report = await scene.due()
    assert [(to_text(result.window.start), result.verdict, result.via) for result in report.windows] == [
        (at(90), "complete", "query"),
        (at(60), "complete", "job"),
        (at(30), "complete", "query"),
        (at(0), "complete", "query"),
    ]
    assert (report.exit_status, report.errors, scene.details()) == (0, (), scene.org.truth)


@pytest.mark.parametrize("error", [NotAuthenticated("no token"), ConnectionLost("no network")])
async def test_trouble_before_any_window_is_the_commands_own(scene: Scene, error: Exception) -> None:
    """Nothing could be read: the error itself, with exit status 1; the ledger shows what is due."""
    scene.org.refuse = _down_from(1, error)
    with pytest.raises(type(error)) as caught:
        await scene.due()
    assert caught.value.exit_status == 1  # type: ignore[attr-defined]
    assert {scene.ledger()[at(minute)] for minute in (0, 30, 60, 90)} == {"due"}


async def test_trouble_while_following_keeps_the_reports(scene: Scene) -> None:
    """The windows are read; what is open could not be asked for: exit status 1."""
    scene.org.put(record("long", 7, None))

    async def by_id(_ids: Any) -> Any:
        raise NotAuthenticated("down")

    scene.org.details_by_id = by_id  # type: ignore[method-assign, assignment]
    report = await scene.due()
    assert (len(report.windows), report.exit_status) == (4, 1)
    assert "down" in report.errors[0][1]


async def test_the_stores_trouble_ends_a_round(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no one window's matter: no other window is read."""
    full = StoreFull("the disk is full")

    def write(*_: Any, **__: Any) -> Any:
        raise full

    monkeypatch.setattr(windows, "write_details", write)
    with pytest.raises(StoreFull):
        await scene.due()
    assert len(scene.org.intervals) == 1


async def test_a_refused_filter_is_a_usage_error(scene: Scene) -> None:
    """Exit status 2, and nothing is called failed for it."""
    scene.org.refuse = _down_from(1, RequestRefused("no such dimension", status=400))
    with pytest.raises(UsageError, match="no such dimension"):
        await scene.due(filter=only("color", "red"))
    assert {row.verdict for row in await scene.book.read(windows.listed, filter=None)} <= {"due", "pending"}


async def test_a_window_that_somebody_has_read_meanwhile_is_left_alone(scene: Scene) -> None:
    """Another run proves a window between the plan and its turn: it is not read twice, and it is no error."""
    other = Organisation(*scene.org.truth.values())

    async def first_query(body: Mapping[str, Any]) -> Any:
        del scene.org.query_details
        await read_window(scene.book, other, half_hour(30), scene.clock)
        return await scene.org.query_details(body)

    scene.org.query_details = first_query  # type: ignore[method-assign, assignment]
    report = await scene.due()
    assert starts(report) == [at(90), at(60), at(0)]
    assert (report.exit_status, report.left) == (0, 0)
    assert half_hour(30).text not in scene.org.intervals
    assert scene.row(30).attempts == 1


async def test_stopped_it_begins_no_other_window(scene: Scene) -> None:
    """The window under way is finished or given up; the rest is left, and still due."""
    stop = asyncio.Event()
    report = await scene.due(stop=stop, on_report=lambda _: stop.set())
    assert (starts(report), report.left) == ([at(90)], 3)
    assert starts(await scene.due()) == [at(60), at(30), at(0)]


async def test_a_lock_is_no_reason_to_wait_for_ever(scene: Scene) -> None:
    """`--wait` seconds, then the next window; the error says who holds it."""
    scene.since = START + timedelta(minutes=90)
    with scene.book.lock_window(half_hour(90), wait=0, command="reconcile --window"):
        report = await scene.due()
        assert "reconcile --window" in report.errors[0][1]
        with pytest.raises(LockHeld, match="this process"):
            await scene.by_hand(half_hour(90))


# A dry run


async def test_a_dry_round_writes_nothing(scene: Scene) -> None:
    """Reports as if; neither windows that wait nor what is followed are written."""
    scene.org.put(record("long", 97, None))
    before = dump(scene.path)
    dry = await scene.due(dry_run=True)
    assert dump(scene.path) == before
    real = await scene.due()
    assert starts(dry) == starts(real)
    names = ("owned", "missing", "changed", "unchanged", "ongoing", "live_only", "unique", "verdict")
    for result, other in zip(dry.windows, real.windows, strict=True):
        assert [getattr(result, name) for name in names] == [getattr(other, name) for name in names]
    scene.org.put(ended(scene.org.truth["long"], 125))
    before = dump(scene.path)
    await scene.due(dry_run=True)
    assert dump(scene.path) == before


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_round_counts_what_was_missing_when_it_began(scene: Scene, dry_run: bool) -> None:
    """A conversation that later windows overlap is written with them, and is missing in the window that owns it."""
    scene.org.put(record("long", 7, None))
    results = {to_text(result.window.start): result for result in (await scene.due(dry_run=dry_run)).windows}
    assert {start: (result.owned, result.missing) for start, result in results.items()} == {
        at(0): (2, 2),
        at(30): (1, 1),
        at(60): (1, 1),
        at(90): (1, 1),
    }
    assert sum(result.written for result in results.values()) == 5


async def test_a_dry_round_without_a_store(scene: Scene) -> None:
    """Nothing is known, so the last closed window is what would be read."""
    report = await run_due(None, scene.org, settings(), now=scene.clock.now, how=Round(dry_run=True))  # type: ignore[arg-type]
    assert [(to_text(result.window.start), result.missing) for result in report.windows] == [(at(90), 1)]


# Whole days


async def test_windows_of_a_day_are_read_together_where_days_are_answered(scene: Scene) -> None:
    """Once the platform is known to answer with whole days, one reading proves a day's windows: each has its own report."""
    scene.org.reading = "day"
    await scene.by_hand(half_hour(90))
    queries = len(scene.org.bodies)
    report = await scene.due()
    assert sorted(starts(report)) == [at(0), at(30), at(60)]
    assert [(result.owned, result.missing, result.verdict) for result in report.windows] == [(1, 0, "complete")] * 3, (
        "the first reading has brought the whole day"
    )
    assert len(scene.org.bodies) - queries <= 4, "one reading of four rows, not three"
    assert [scene.row(minute).owned for minute in (0, 30, 60)] == [1, 1, 1]


async def test_a_days_windows_have_their_own_figures(scene: Scene) -> None:
    """What is new in one of them is missing there and nowhere else; a failure would be all of theirs."""
    scene.org.reading = "day"
    await scene.by_hand(half_hour(90))
    scene.org.put(record("new", 31, 33), record("open", 61, None))
    report = await scene.due()
    figures_of = {
        to_text(result.window.start): (result.owned, result.missing, result.ongoing, result.written, result.verdict)
        for result in report.windows
    }
    assert figures_of == {
        at(0): (1, 0, 0, 0, "complete"),
        at(30): (2, 1, 0, 1, "complete"),
        at(60): (2, 1, 1, 1, "open"),
    }


# The clock


@dataclass
class Looks:
    """A job that says when it begins, and goes on until it is let go."""

    begun: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most: int = 0
    ended: int = 0

    async def __call__(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.put_nowait(self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        self.ended += 1


async def soon(waited: Any) -> Any:
    """What is waited for comes, or the test fails."""
    async with asyncio.timeout(10):
        return await waited


async def test_the_schedule_looks_at_once() -> None:
    """The first look does not wait for the first interval to pass."""
    looks = Looks()
    looks.go.set()
    schedule = Schedule(looks, timedelta(hours=1))
    schedule.start()
    await soon(looks.begun.get())
    await soon(schedule.stop())
    assert looks.ended == 1


async def test_the_schedule_never_looks_twice_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    """A look that takes longer than the interval is not overtaken, which is no news; afterwards it goes on."""
    looks, skipped = Looks(), asyncio.Event()
    schedule = Schedule(looks, timedelta(milliseconds=20))
    schedule._scheduler.add_listener(lambda _: skipped.set(), EVENT_JOB_EXECUTED | EVENT_JOB_MAX_INSTANCES)
    schedule.start()
    await soon(looks.begun.get())
    await soon(skipped.wait())
    assert looks.running == 1
    looks.go.set()
    await soon(looks.begun.get())
    await soon(schedule.stop())
    assert looks.most == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_stopping_waits_for_the_look_under_way() -> None:
    """It ends well, is not cancelled, and no other begins."""
    looks = Looks()
    schedule = Schedule(looks, timedelta(milliseconds=20))
    schedule.start()
    await soon(looks.begun.get())
    stopping = asyncio.create_task(schedule.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not stopping.done()
    assert looks.running == 1
    looks.go.set()
    await soon(stopping)
    assert (looks.ended, looks.begun.qsize()) == (1, 0)


async def test_a_schedule_that_never_began_can_be_stopped() -> None:
    """A daemon may end before it has got that far."""
    await soon(Schedule(Looks(), timedelta(hours=1)).stop())


async def test_stopping_may_be_cut_short() -> None:
    """Whoever cannot wait any longer cancels the stop, and with it the look."""
    looks = Looks()
    schedule = Schedule(looks, timedelta(hours=1))
    schedule.start()
    await soon(looks.begun.get())
    stopping = asyncio.create_task(schedule.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await soon(asyncio.wait({stopping}))
    assert stopping.cancelled(), "whoever gave up can tell that it was not waited for"
    assert (looks.running, looks.ended) == (0, 0)


async def test_a_look_that_fails_is_not_the_last() -> None:
    """The next one is made all the same, and stopping is no error."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def look() -> None:
        calls.put_nowait(1)
        raise RuntimeError("this look went wrong")

    schedule = Schedule(look, timedelta(milliseconds=10))
    schedule.start()
    await soon(calls.get())
    await soon(calls.get())
    await soon(schedule.stop())


async def test_a_last_look_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Stopping waits for it, is no error, and loses nothing of what went wrong."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        begun.set()
        await go.wait()
        raise RuntimeError("this look went wrong")

    schedule = Schedule(look, timedelta(hours=1))
    schedule.start()
    await soon(begun.wait())
    stopping = asyncio.create_task(schedule.stop())
    await asyncio.sleep(0)
    go.set()
    await soon(stopping)
    assert "this look went wrong" in caplog.text
