"""The daemon in this process: its order of things, with a queue in memory and the simulator for an organisation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from realtime.aws.sqs_consumer import About, Queue
from realtime.daemon import daemon as daemon_module
from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.health import judge
from realtime.daemon.http_port import HttpPort
from realtime.daemon.systemd import Notifier
from realtime.figures import DaemonFigures
from realtime.storing.inbox import Frame, Inbox
from realtime.storing.store_frames import FrameStore
from rollbook.genesys.api.client import Api, Organization
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import (
    ConnectionLost,
    NotAuthenticated,
    PermissionRefused,
    RollbookError,
    SignInRefused,
    TooSlow,
    Unavailable,
)
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.tables import readiness, windows
from rollbook.store.views import call_mos
from rollbook.store.views.call_mos import CallMos, DayShares
from rollbook.store.vocabulary import Verdict
from tests.helpers.reports import report
from tests.helpers.stand_in import StandIn


class Manager(Notifier):
    """A service manager that keeps the states that it gets."""

    def __init__(self) -> None:
        super().__init__({})
        self.states: list[str] = []

    def tell(self, **states: str | int) -> None:
        self.states += states


def settings_in(organisation: Simulator, path: Path, **more: Any) -> Settings:
    """The settings of a daemon whose store is in a folder."""
    return replace(load(env=organisation.env, cwd=path), store_path=path / "rollbook.db", **more)


def of_a_queue(organisation: Simulator, path: Path) -> Settings:
    """Those of a daemon that listens to a queue alone."""
    return settings_in(organisation, path, websocket=False, sqs_queue_url="http://x/events")


@contextlib.asynccontextmanager
async def at_work(daemon: Daemon) -> AsyncIterator[asyncio.Task[int]]:
    """It runs, and is stopped: that ends it with 0."""
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(20):
            yield task
            daemon.stop()
            assert await task == 0
    finally:
        task.cancel()
        await asyncio.wait({task})


@contextlib.asynccontextmanager
async def running(
    path: Path, queue: Queue, *, reread: Callable[[Settings], Settings] = lambda read: read
) -> AsyncIterator[tuple[Daemon, Manager, asyncio.Task[int]]]:
    """A daemon that listens to a queue alone."""
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings = of_a_queue(organisation, path)
        manager = Manager()
        daemon = Daemon(
            settings,
            reread=lambda: reread(settings),
            notifier=manager,
            options=Options(reconcile=False, queue=lambda _: queue),
        )
        async with at_work(daemon) as task:
            yield daemon, manager, task


async def test_the_width_and_the_lag_can_be_changed(tmp_path: Path) -> None:
    """SIGHUP with another `[reconcile] width` and `lag`: rounds and what is heard use them from then on."""
    hour = timedelta(hours=1)
    reread = partial(replace, width=hour, lag=hour)
    async with running(tmp_path, StandIn(), reread=reread) as (daemon, _, _):
        await daemon.ready.wait()
        daemon.reload()
        assert daemon._book is not None
        assert (daemon.settings.width, daemon._book.lag) == (hour, hour)


async def test_a_reload_says_what_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the names that the file has, now or from the next start; and nothing more once the file is as it was."""
    files: list[dict[str, Any]] = [
        {"width": timedelta(hours=1), "store_path": Path("other.db"), "client_id": "other"},
        {"width": timedelta(hours=1)},
        {},
        {},
    ]

    def reread(read: Settings) -> Settings:
        return replace(read, **files.pop(0))

    async with running(tmp_path, StandIn(), reread=reread) as (daemon, _, _):
        await daemon.ready.wait()
        with caplog.at_level(logging.INFO, logger="realtime.daemon.daemon"):
            for _ in range(len(files)):
                daemon.reload()
            said = caplog.messages[:]
        assert daemon.settings.store_path == tmp_path / "rollbook.db"
    later = "changed settings that hold from the next start: GENESYSCLOUD_OAUTHCLIENT_ID, [store] path"
    assert said == [
        later,
        "read the settings again: [reconcile] width is 1:00:00",
        "read the settings again: nothing changes now",
        "read the settings again: [reconcile] width is 0:30:00",
        "read the settings again: nothing changes now",
    ]


async def test_who_is_starting_is_not_ready_because_it_read_its_settings(tmp_path: Path) -> None:
    """SIGHUP before it listens: the settings are read, and the service manager goes on waiting for the first READY=1."""
    hour = timedelta(hours=1)
    async with running(tmp_path, StandIn(), reread=lambda read: replace(read, width=hour)) as (daemon, manager, _):
        daemon.reload()
        assert manager.states == []
        assert daemon.settings.width == hour
        await daemon.ready.wait()
        assert manager.states == ["READY", "STATUS"]
        daemon.reload()
        assert manager.states == ["READY", "STATUS", "RELOADING", "MONOTONIC_USEC", "READY"]


class Slow(StandIn):
    """A queue that does not say how it is set up before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = threading.Event(), threading.Event()

    def about(self) -> About:
        self.asked.set()
        self.answer.wait(20)
        return super().about()


async def test_the_port_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that the daemon starts while the platform does not answer; one in use ends the start before any sign-in."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Simulator(seed=5, per_hour=0) as organisation:
        organisation.fail += [503] * 50
        settings = settings_in(organisation, tmp_path, health=f"127.0.0.1:{port}")
        first = Daemon(settings, notifier=Manager())
        task = asyncio.create_task(first.run())
        try:
            async with asyncio.timeout(20):
                while len(organisation.fail) == 50:
                    await asyncio.sleep(0)
                _, text = await asyncio.to_thread(get, port, "/healthz")
                (why,) = json.loads(text)["why"]
                assert why.startswith("starting for")
                left = len(organisation.fail)
                with pytest.raises(RollbookError, match="Address already in use"):
                    await Daemon(settings, notifier=Manager()).run()
                assert len(organisation.fail) == left
                first.stop()
                assert await task == 0
        finally:
            task.cancel()
            await asyncio.wait({task})
    assert not settings.store_path.exists()


async def _starting(
    path: Path, monkeypatch: pytest.MonkeyPatch, troubles: list[RollbookError], *, reached: bool = True
) -> None:
    """A daemon of which the first questions come to these troubles, until it is ready."""
    monkeypatch.setattr(daemon_module, "_START_AGAIN", 0.0)
    organization = Api.organization

    async def asked(api: Api) -> Organization:
        found = await organization(api) if reached else None
        if troubles:
            raise troubles.pop(0)
        assert found is not None
        return found

    monkeypatch.setattr(Api, "organization", asked)
    async with Simulator(seed=5, per_hour=0, start=datetime.now(UTC)) as organisation:
        settings = settings_in(organisation, path)
        daemon = Daemon(settings, notifier=Manager(), options=Options(reconcile=False))
        async with at_work(daemon) as task:
            ready = asyncio.ensure_future(daemon.ready.wait())
            await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if task.done():
                task.result()


async def test_a_start_waits_for_a_platform_that_does_not_answer_properly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever may pass is asked again until it has passed, and said when it is another trouble than before."""
    slow = TooSlow("the answer did not come at a pace worth waiting for")
    broken = Unavailable("the platform's answer is broken", status=200, correlation_id="a")
    again = Unavailable("the platform's answer is broken", status=200, correlation_id="b")
    troubles = [slow, slow, broken, again, Unavailable("try again later", status=503), ConnectionLost("no route")]
    await _starting(tmp_path, monkeypatch, list(troubles))
    said = [record.getMessage() for record in caplog.records if "cannot start now" in record.getMessage()]
    assert len(said) == 4


@pytest.mark.parametrize(
    ("trouble", "reached"),
    [
        (ConnectionLost("cannot reach api.mypurecloud.com"), False),
        (SignInRefused("refuses these credentials", status=401), True),
        (NotAuthenticated("a new token was refused too", status=401), True),
        (PermissionRefused("give the role the permission", status=403), True),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_start_ends_for_what_somebody_has_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: RollbookError, reached: bool
) -> None:
    """No waiting mends credentials, a permission, or an address at which nobody ever answered."""
    with pytest.raises(type(trouble)):
        await _starting(tmp_path, monkeypatch, [trouble], reached=reached)


async def test_a_first_look_that_takes_long_is_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service manager is told that it is ready after a while; that there is nothing to listen to is not known."""
    monkeypatch.setattr(daemon_module, "_READY_WITHIN", 0.01)
    answer = asyncio.Event()

    async def slow(_: Api) -> list[Entity]:
        await answer.wait()
        return []

    monkeypatch.setattr(Api, "queues", slow)
    async with Simulator(seed=5, per_hour=0, start=datetime.now(UTC)) as organisation:
        settings = settings_in(organisation, tmp_path)
        daemon = Daemon(settings, notifier=Manager(), options=Options(reconcile=False))
        async with at_work(daemon):
            await daemon.ready.wait()
            assert (await daemon.figures()).starting_for is not None
            answer.set()
            while (figures := await daemon.figures()).starting_for is not None:
                await asyncio.sleep(0)
            assert judge(figures)[1] == ["there is nothing to listen to"]


async def test_it_ends_at_once_while_the_queue_does_not_answer(tmp_path: Path) -> None:
    """AWS is asked for a minute and a half before it counts as lost: who is told to stop does not wait for that."""
    queue = Slow()
    async with running(tmp_path, queue) as (daemon, _, task):
        await asyncio.to_thread(queue.asked.wait, 20)
        daemon.stop()
        assert await task == 0
        assert not queue.answer.is_set()
        assert daemon.sqs_consumer is None
    queue.answer.set()


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


async def test_a_ledger_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz answers with the reason, and /metrics with everything else; both are well again with the file."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    verdicts = windows.by_verdict

    def unreadable(db: Any, *, since: str, filter: str) -> dict[str, int]:
        raise StoreUnwritable("the disk does not answer")

    async with running(tmp_path, StandIn()) as (daemon, _, _):
        await daemon.ready.wait()
        port = HttpPort(daemon, "127.0.0.1:0")
        await port.start()
        try:
            monkeypatch.setattr(windows, "by_verdict", unreadable)
            status, text = await asyncio.to_thread(get, port.port, "/healthz")
            assert (status, json.loads(text)["state"]) == (200, "degraded")
            assert "the ledger cannot be read: the disk does not answer" in json.loads(text)["why"]
            status, text = await asyncio.to_thread(get, port.port, "/metrics")
            assert (status, "rollbook_sqs_in_hand" in text) == (200, True)
            monkeypatch.setattr(windows, "by_verdict", verdicts)
            _, text = await asyncio.to_thread(get, port.port, "/healthz")
            assert not any("ledger" in reason for reason in json.loads(text)["why"])
        finally:
            await port.stop()


async def test_calls_that_were_counted_before_a_start_are_shown_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/metrics has what the store has counted, whoever counted it: a restart does not begin anew."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    counted = CallMos(media_type="voice", codec="audio/opus", site="Bern", counts={"+Inf": 9_000}, total=38_000.0)
    monkeypatch.setattr(call_mos, "counted", lambda _: (counted,))
    monkeypatch.setattr(call_mos, "shares_of_day", lambda *_: DayShares(heard_live=0.98))
    async with running(tmp_path, StandIn()) as (daemon, _, _):
        await daemon.ready.wait()
        port = HttpPort(daemon, "127.0.0.1:0")
        await port.start()
        try:
            _, text = await asyncio.to_thread(get, port.port, "/metrics")
        finally:
            await port.stop()
    labels = 'codec="audio/opus",late="no",media_type="voice",site="Bern"'
    assert f"rollbook_call_mos_count{{{labels}}} 9000.0" in text
    assert f"rollbook_call_mos_sum{{{labels}}} 38000.0" in text
    assert "rollbook_heard_live_share 0.98" in text
    assert "rollbook_measured_share" not in text


async def test_the_gate_answers_on_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GET /ready: 200 where all is proven, 409 with the reasons where not, 400 for a mistake, 503 without an answer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    evidence = readiness.evidence

    def ask(port: int, query: str) -> tuple[int, dict[str, Any]]:
        try:
            status, text = get(port, f"/ready{query}")
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text)

    async with running(tmp_path, StandIn()) as (daemon, _, _):
        port = HttpPort(daemon, "127.0.0.1:0")
        await port.start()
        try:
            starting = await asyncio.to_thread(ask, port.port, "?interval=2026-03-02/PT30M")
            assert starting == (503, {"error": "the daemon is starting; ask again"})
            await daemon.ready.wait()
            book = daemon._book
            assert book is not None
            window = "2026-03-02T00:00:00.000Z", "2026-03-02T00:30:00.000Z"
            row = (*window, "complete", "2026-03-02T00:40:00.000Z")
            insert = 'INSERT INTO windows (start, "end", verdict, last_read_at) VALUES (?, ?, ?, ?)'
            await asyncio.wrap_future(book.write(lambda db: db.execute(insert, row).rowcount))
            status, found = await asyncio.to_thread(ask, port.port, "?interval=2026-03-02/PT30M")
            assert (status, found["ready"], found["complete_until"]) == (200, True, window[1])
            for query in (
                "?interval=2026-03-02/PT30M&settled=true",
                "?interval=2026-03-02/PT31M",
                "?interval=P1D/9998-01-01",
            ):
                status, found = await asyncio.to_thread(ask, port.port, query)
                assert (status, found["ready"], bool(found["reasons"])) == (409, False, True), query
            for query, reason in (("", "not an interval"), ("?interval=P1D/2026-03-02&settled=oui", "true or false")):
                status, found = await asyncio.to_thread(ask, port.port, query)
                assert status == 400
                assert reason in found["error"]
            monkeypatch.setattr(daemon_module, "_LOOKS_WITHIN", 0.01)
            locked = threading.Event()
            monkeypatch.setattr(readiness, "evidence", lambda *words: locked.wait(20) and evidence(*words))
            status, found = await asyncio.to_thread(ask, port.port, "?interval=2026-03-02/PT30M")
            assert (status, "no answer" in found["error"]) == (503, True)
            locked.set()
        finally:
            await port.stop()


async def test_a_ledger_that_does_not_answer_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told so after a while, the loop goes on meanwhile, and there is one look however many ask."""
    monkeypatch.setattr(daemon_module, "_LOOKS_WITHIN", 0.01)
    begun, locked, looks = threading.Event(), threading.Event(), []

    def slow(db: Any, *, since: str, filter: str) -> dict[str, int]:
        looks.append(since)
        begun.set()
        locked.wait(20)
        return {"due": 3}

    async with running(tmp_path, StandIn()) as (daemon, _, _):
        await daemon.ready.wait()
        monkeypatch.setattr(windows, "by_verdict", slow)
        answers = await asyncio.gather(*(daemon.figures() for _ in range(5)))
        assert {(figures.ledger_failing, len(figures.windows_by_verdict)) for figures in answers} == {
            ("no answer for 0 s", 0)
        }
        # Whoever asks may have been answered before the thread that reads has begun.
        assert await asyncio.to_thread(begun.wait, 20)
        assert len(looks) == 1
        locked.set()
        while (figures := await daemon.figures()).ledger_failing:
            pass
        assert figures.windows_by_verdict == {"due": 3}


def test_a_window_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the reason, and when it is tried again; one that is proven is told with its figures."""
    window = Interval(datetime(2026, 8, 3, 14, tzinfo=UTC), datetime(2026, 8, 3, 14, 30, tzinfo=UTC))
    again = "2026-08-03T15:10:00.000Z"
    failure = report(
        Verdict.FAILED,
        window=window,
        initial_total_hits=9,
        final_total_hits=8,
        reason="the total moved",
        next_try_at=again,
    )
    with caplog.at_level(logging.INFO):
        daemon_module._log_window(failure)
        daemon_module._log_window(replace(failure, verdict=Verdict.COMPLETE))
    failed, complete = caplog.records
    assert (failed.levelname, complete.levelname) == ("WARNING", "INFO")
    assert failed.getMessage().endswith(f"failed, the total moved; tried again from {again}")


async def _reconciling(
    path: Path, monkeypatch: pytest.MonkeyPatch, run_due: Callable[..., Awaitable[Any]], wanted: str
) -> DaemonFigures:
    """The figures of a daemon whose rounds over the ledger are `run_due`, once they say so."""
    monkeypatch.setattr(daemon_module, "run_due", run_due)
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings = of_a_queue(organisation, path)
        options = Options(
            queue=lambda _: StandIn(), look_every=timedelta(seconds=0.02), round_within=timedelta(seconds=0.05)
        )
        daemon = Daemon(settings, notifier=Manager(), options=options)
        async with at_work(daemon):
            await daemon.ready.wait()
            while wanted not in ((figures := await daemon.figures()).reconcile_failing or ""):
                await asyncio.sleep(0)
            return figures


async def test_a_round_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has an end of its own, the next one is begun, and it is said once; the age of the last good one goes on."""
    rounds = 0

    async def hangs(*_: object, **__: object) -> None:
        nonlocal rounds
        rounds += 1
        await asyncio.Event().wait()

    figures = await _reconciling(tmp_path, monkeypatch, hangs, "given up")
    assert figures.rounds_ago is not None
    assert figures.rounds_ago >= 0.05
    assert any("given up" in reason for reason in judge(figures)[1])
    assert sum("given up" in record.getMessage() for record in caplog.records) == 1


async def test_a_round_that_fails_unforeseen_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect ends the round and not the rounds: health knows it, and the log has its traceback, once."""

    async def broken(*_: object, **__: object) -> None:
        raise OverflowError("date value out of range")

    figures = await _reconciling(tmp_path, monkeypatch, broken, "OverflowError")
    assert "Traceback" in caplog.text
    assert judge(figures)[0] == "degraded"
    assert sum("nobody foresaw" in record.getMessage() for record in caplog.records) == 1


async def test_a_round_that_does_not_end_is_not_waited_for_by_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reconciliation whose answer does not come is interrupted, said, and leaves the daemon's end as it is."""
    monkeypatch.setattr(daemon_module, "_ROUND_ENDS_WITHIN", 0.01)
    begun, interrupted = asyncio.Event(), asyncio.Event()

    async def hangs(*_: object, **__: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()

    monkeypatch.setattr(daemon_module, "run_due", hangs)
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings = of_a_queue(organisation, tmp_path)
        async with at_work(Daemon(settings, notifier=Manager(), options=Options(queue=lambda _: StandIn()))):
            await begun.wait()
    assert interrupted.is_set()
    assert any("a reconciliation was interrupted" in record.getMessage() for record in caplog.records)


async def test_a_clock_that_jumps_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each jump in the log, and in health."""
    monkeypatch.setattr(daemon_module, "_CLOCKS", 0.001)
    offset = 0.0
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings = of_a_queue(organisation, tmp_path)
        options = Options(queue=lambda _: StandIn(), reconcile=False, wall=lambda: time.monotonic() + offset)
        daemon = Daemon(settings, notifier=Manager(), options=options)
        async with at_work(daemon):
            await daemon.ready.wait()
            assert (await daemon.figures()).clock_jump is None
            offset = -7_300.0
            while (figures := await daemon.figures()).clock_jump is None:
                await asyncio.sleep(0)
    assert figures.clock_jump == pytest.approx(-7_300, abs=5)
    assert any("jumped back by 2 hours" in reason for reason in judge(figures)[1])
    assert sum("clock jumped back" in record.getMessage() for record in caplog.records) == 1


async def test_rubbish_is_one_warning_a_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither silence nor a line for each: how many could not be understood, and why the first could not."""
    with Book.open(tmp_path / "rollbook.db") as book:
        inbox = Inbox()
        moment = datetime(2026, 3, 2, 10, tzinfo=UTC)
        for number in range(600):
            inbox.put(Frame(b"rubbish %d {" % number, moment, 1))
        inbox.close()
        intake = FrameStore(book, inbox, now=lambda: moment)
        await intake.run()
        assert intake.stored.dead_letters == 600
    messages = [record.getMessage() for record in caplog.records if "could not be understood" in record.getMessage()]
    assert 1 <= len(messages) <= 4
    assert messages[0].startswith("256 notifications could not be understood")
    assert "the first: it is not JSON" in messages[0]
