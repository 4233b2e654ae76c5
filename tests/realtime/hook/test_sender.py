"""The task that sends alerts: each at least once and in order per window, whatever ends it and whatever the receiver does."""

import asyncio
import itertools
import logging
import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.hook.delivery import DeliveryTimes
from realtime.hook.receivers import HttpReceiver, Outcome
from realtime.hook.sender import AlertSender
from rollbook.genesys.api.http import Http
from rollbook.genesys.errors import StoreError
from rollbook.genesys.program.settings import Secret
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.tables import alerts, coverage, windows
from rollbook.store.tables.alerts import Alert
from rollbook.store.tables.windows import RunRecord
from rollbook.store.vocabulary import AlertKind, Verdict
from tests.helpers.receiver import AlertReceiver

START = datetime(2026, 3, 2, tzinfo=UTC)
# With ROLLBOOK_HEAVY as the issue has it: each alert is a commit or two, which wait for the disk.
HEAVY = bool(os.environ.get("ROLLBOOK_HEAVY"))
EVENTS, RESTARTS = (1_000, 50) if HEAVY else (200, 20)
WINDOWS = 40


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def run(number: int) -> RunRecord:
    """The n-th run: window after window fails and settles by turns, so that each run is an alert."""
    start = START + number % WINDOWS * timedelta(minutes=30)
    verdict = Verdict.SETTLED if number // WINDOWS % 2 else Verdict.FAILED
    at = to_text(START + timedelta(days=9, seconds=number))
    return RunRecord(
        start=to_text(start),
        end=to_text(start + timedelta(minutes=30)),
        filter="",
        command="due",
        via="query",
        started_at=at,
        finished_at=at,
        as_of=at,
        verdict=verdict,
        reason=f"run {number}",
        query_json="{}",
        seconds=1.0,
        settled=verdict == Verdict.SETTLED,
    )


def sender_of(book: Book, receiver: Any, **more: Any) -> AlertSender:
    """A sender that does not wait long."""
    how: dict[str, Any] = {"look_every": 0.002, "delivery": DeliveryTimes(first_step=0.0005)}
    how["deaf_after"] = timedelta(days=9_999)
    return AlertSender(book=book, receiver=receiver, now=lambda: datetime.now(UTC), **how | more)


async def test_each_alert_comes_at_least_once_and_in_order_through_restarts(tmp_path: Path) -> None:
    """1,000 alerts (or 200), 50 restarts (or 20) at any moment, a receiver that fails half the time, before or after it has taken one."""
    draw = random.Random(14)
    numbers = itertools.count()
    die = asyncio.Event()
    lives = 0

    def answer(_: dict[str, Any]) -> int:
        if lives < RESTARTS and draw.random() < 0.04:
            die.set()  # at once: its answer may or may not be read any more
        fails = draw.random()
        if fails < 0.1:
            raise ConnectionResetError
        return 500 if fails < 0.5 else 204

    async with AlertReceiver(answer) as server, Http() as http:
        while True:
            with Book.open(tmp_path / "rollbook.db") as book:
                if lives == 0:
                    await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
                receiver = HttpReceiver(http, Secret(server.url), Secret("s"), source="/x", now=lambda: 1.0)
                sending = asyncio.create_task(sender_of(book, receiver).run())
                die.clear()
                share = EVENTS if lives >= RESTARTS else draw.randrange(EVENTS // 25)
                for _ in range(share):
                    if (number := next(numbers)) < EVENTS:
                        await asyncio.wrap_future(book.write(windows.finish, run(number)))
                async with asyncio.timeout(300):
                    while await book.read(alerts.waiting) != (0, 0) and not die.is_set():
                        await asyncio.sleep(0.005)
                sending.cancel()
                await asyncio.wait({sending})
            lives += 1
            if lives > RESTARTS:
                break

    of_window: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in server.taken:
        of_window[event["subject"]].append(event)
    assert len(of_window) == WINDOWS
    ids = {event["id"] for event in server.taken}
    assert len(ids) == EVENTS
    for events in of_window.values():
        times = [event["time"] for event in events]
        assert times == sorted(times), "in order, also of those that came twice"
        distinct = list(dict.fromkeys((event["id"], event["type"]) for event in events))
        assert [kind for _, kind in distinct] == ["window.failed", "window.settled"] * (len(distinct) // 2) + (
            ["window.failed"] if len(distinct) % 2 else []
        )
    if HEAVY:
        print(f"{len(server.deliveries):,} tries, {len(server.taken):,} taken, {EVENTS:,} alerts")


class Fixed:
    """A receiver that ends each try as it is set to, and keeps what it was sent."""

    def __init__(self, outcome: Outcome | Exception = Outcome()) -> None:  # noqa: B008 (a value)
        self.outcome = outcome
        self.sent: list[Alert] = []
        self.changed = asyncio.Event()

    async def send(self, alert: Alert) -> Outcome:
        self.sent.append(alert)
        self.changed.set()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def until_sent(receiver: Fixed, number: int) -> None:
    """Wait for so many tries."""
    async with asyncio.timeout(20):
        while len(receiver.sent) < number:
            receiver.changed.clear()
            await receiver.changed.wait()


async def test_trouble_is_logged_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that fails again and again is one line; the first alert that it takes is another."""
    receiver = Fixed(Outcome("the receiver answered 500"))
    with Book.open(tmp_path / "rollbook.db") as book, caplog.at_level(logging.WARNING):
        await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        await asyncio.wrap_future(book.write(windows.finish, run(0)))
        sender = sender_of(book, receiver)
        task = asyncio.create_task(sender.run())
        await until_sent(receiver, 6)
        assert sender.failing == "the receiver answered 500"
        assert (await book.read(alerts.waiting)).number == 1
        receiver.outcome = Outcome()
        async with asyncio.timeout(20):
            while len(caplog.records) < 2:  # it is said after the store has let go of the alert
                await asyncio.sleep(0.01)
        assert await book.read(alerts.waiting) == (0, 0)
        assert len({alert.event_id for alert in receiver.sent}) == 1
        task.cancel()
        await asyncio.wait({task})
    assert [record.message for record in caplog.records] == [
        "alerts are not taken, will keep trying: the receiver answered 500",
        "alerts are taken again",
    ]
    assert sender.failing is None


async def test_a_mistake_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an error that nobody foresaw nor a store that cannot be read: it tries again."""
    monkeypatch.setattr("realtime.hook.sender._AGAIN", 0.001)
    receiver = Fixed(ZeroDivisionError())
    with Book.open(tmp_path / "rollbook.db") as book:
        await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        await asyncio.wrap_future(book.write(windows.finish, run(0)))
        sender = sender_of(book, receiver)
        task = asyncio.create_task(sender.run())
        await until_sent(receiver, 2)
        with monkeypatch.context() as broken:
            looks = asyncio.Event()

            def unreadable(_: Any) -> alerts.Waiting:
                loop.call_soon_threadsafe(looks.set)
                raise StoreError("the disk does not answer")

            loop = asyncio.get_running_loop()
            broken.setattr(alerts, "waiting", unreadable)
            await asyncio.wait_for(looks.wait(), 20)
        receiver.outcome = Outcome()
        async with asyncio.timeout(20):
            while await book.read(alerts.waiting) != (0, 0):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})


async def test_a_window_whose_alert_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    """The alerts of all others are taken; its own come in order when it is taken at last."""
    refused = run(0).start

    class Choosy(Fixed):
        async def send(self, alert: Alert) -> Outcome:
            await super().send(alert)
            return Outcome("no") if alert.stream == refused and refuses else Outcome()

    refuses = True
    receiver = Choosy()
    with Book.open(tmp_path / "rollbook.db") as book:
        await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        for number in range(3 * WINDOWS):
            await asyncio.wrap_future(book.write(windows.finish, run(number)))
        task = asyncio.create_task(sender_of(book, receiver).run())
        async with asyncio.timeout(60):
            while (await book.read(alerts.waiting)).number > 3:
                await asyncio.sleep(0.01)
            refuses = False
            while await book.read(alerts.waiting) != (0, 0):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    mine = list(dict.fromkeys(alert.kind for alert in receiver.sent if alert.stream == refused))
    assert mine == [AlertKind.WINDOW_FAILED, AlertKind.WINDOW_SETTLED]


class Clocks:
    """The two clocks of a sender, set by a test: the daemon's own, and the one that only goes forward."""

    def __init__(self) -> None:
        self.wall = START + timedelta(hours=9)
        self.ticks = 0.0

    def pass_by(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds


async def deaf_sender(book: Book, receiver: Fixed, clocks: Clocks) -> AlertSender:
    """A sender that looks whether anything listens each time that it is asked to."""
    await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
    how: dict[str, Any] = {"deaf_after": timedelta(minutes=5), "deaf_every": 0.0}
    return AlertSender(book=book, receiver=receiver, now=lambda: clocks.wall, ticks=lambda: clocks.ticks, **how)


async def deafness(sender: AlertSender, clocks: Clocks, minutes: int) -> int:
    """Let minutes pass with a look every ten seconds; answers how many alerts wait then."""
    for _ in range(minutes * 6):
        clocks.pass_by(10)
        await sender._look_for_deafness()
    return (await sender.book.read(alerts.waiting)).number


async def test_deafness_is_an_alert(tmp_path: Path) -> None:
    """Not while something listens, nor for the five minutes after; then once, with the last sign of listening."""
    receiver, clocks = Fixed(), Clocks()
    with Book.open(tmp_path / "rollbook.db") as book:
        sender = await deaf_sender(book, receiver, clocks)
        span = await asyncio.wrap_future(book.write(coverage.begin, "websocket", "1", ["v2.x"], to_text(clocks.wall)))
        for _ in range(20):
            assert await deafness(sender, clocks, 1) == 0
            await asyncio.wrap_future(book.write(coverage.alive, [span], to_text(clocks.wall)))
        last = to_text(clocks.wall)
        await asyncio.wrap_future(book.write(coverage.end, span, last, "disconnected"))
        assert await deafness(sender, clocks, 4) == 0
        assert await deafness(sender, clocks, 2) == 1
        assert await deafness(sender, clocks, 60) == 1
        assert await sender._send_what_waits() == 0
    assert [(alert.kind, alert.data) for alert in receiver.sent] == [(AlertKind.CAPTURE_DEAF, f'{{"since":"{last}"}}')]


async def test_a_start_after_a_night_is_no_deafness(tmp_path: Path) -> None:
    """Whoever starts, or whose clock was set, has a minute to connect; who does not is deaf, since the last sign."""
    clocks = Clocks()
    with Book.open(tmp_path / "rollbook.db") as book:
        last = to_text(clocks.wall - timedelta(hours=8))
        span = await asyncio.wrap_future(book.write(coverage.begin, "websocket", "1", ["v2.x"], last))
        await asyncio.wrap_future(book.write(coverage.close_stale, to_text(clocks.wall)))
        sender = await deaf_sender(book, Fixed(), clocks)
        clocks.pass_by(50)
        await sender._look_for_deafness()
        span = await asyncio.wrap_future(book.write(coverage.begin, "websocket", "1", ["v2.x"], to_text(clocks.wall)))
        assert await deafness(sender, clocks, 4) == 0
        await asyncio.wrap_future(book.write(coverage.end, span, to_text(clocks.wall), "stopped"))
        clocks.wall += timedelta(hours=2)
        assert (await deafness(sender, clocks, 0)) == 0
        assert (await deafness(sender, clocks, 3)) == 1


async def test_a_daemon_that_never_comes_to_listen_is_deaf(tmp_path: Path) -> None:
    """After five minutes, since it began; a new start says so no second time."""
    clocks, receiver = Clocks(), Fixed()
    began = to_text(clocks.wall)
    with Book.open(tmp_path / "rollbook.db") as book:
        sender = await deaf_sender(book, receiver, clocks)
        assert await deafness(sender, clocks, 4) == 0
        assert await deafness(sender, clocks, 2) == 1
        again = await deaf_sender(book, receiver, clocks)
        assert await deafness(again, clocks, 10) == 1
        await again._send_what_waits()
    assert [alert.data for alert in receiver.sent] == [f'{{"since":"{began}"}}']


async def test_no_room_is_a_clear_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where alerts find no room it is said once, with how many wait; and how many were lost, once all others are sent."""
    monkeypatch.setattr(alerts, "MOST", 5)
    receiver = Fixed(Outcome("no"))
    with Book.open(tmp_path / "rollbook.db") as book, caplog.at_level(logging.ERROR):
        await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        for number in range(7):
            await asyncio.wrap_future(book.write(windows.finish, run(number)))
        task = asyncio.create_task(sender_of(book, receiver).run())
        await until_sent(receiver, 4)
        receiver.outcome = Outcome()
        async with asyncio.timeout(20):
            while await book.read(alerts.waiting) != (0, 0):
                await asyncio.sleep(0.01)
        await until_sent(receiver, 5)
        while not caplog.messages[-1].startswith("all alerts"):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    assert caplog.messages[0] == (
        "5 alerts wait for the receiver: there is no room for more, and those that come now are dropped and counted"
    )
    assert caplog.messages[-1] == "all alerts were taken but 2 alerts that found no room while they waited"
