"""The daemon with a hook: alerts of any command of the store reach the receiver, and no secret reaches anything else."""

import asyncio
import logging
import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.health import judge
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.genesys.times import to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import alerts, gaps
from rollbook.store.tables.gaps import Gap
from rollbook.store.vocabulary import AlertKind
from tests.helpers.receiver import AlertReceiver
from tests.helpers.stand_in import StandIn
from tests.helpers.whole import finish, start, until

SECRET = "s3cret-that-signs"


def settings_in(organisation: Simulator, path: Path, **more: Any) -> Settings:
    """The settings of a daemon that listens to a queue alone."""
    read = load(env=organisation.env, cwd=path)
    return replace(read, store_path=path / "rollbook.db", websocket=False, sqs_queue_url="http://x/events", **more)


def gap(number: int) -> Gap:
    return Gap(f"c{number}", "2026-03-02T10:00:00.000Z", "missing", "disconnected", to_text(datetime.now(UTC)), None)


def found_in(server: AlertReceiver) -> set[str]:
    """The conversations whose gaps the receiver knows of."""
    gaps = [event["data"] for event in server.taken if event["type"] == "gap.found"]
    return {data["conversation_ids"][0] for data in gaps}


async def until_taken(server: AlertReceiver, number: int) -> None:
    """Wait until so many alerts were taken."""
    await until(lambda: len(server.taken) >= number, within=30)


async def test_an_alert_that_another_command_left_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run by hand leaves it in the store, the daemon sends it; secret and address are in no log and no file."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    refusals = 1
    # The libraries' own logs are silenced where the program sets up logging; the whole process below shows it.
    with caplog.at_level(logging.DEBUG, logger="realtime"):
        async with Simulator(seed=5, per_hour=0) as organisation, AlertReceiver() as server:
            server.answer = lambda _: 500 if len(server.deliveries) < refusals else 200
            settings = settings_in(organisation, tmp_path, hook_url=Secret(server.url), hook_secret=Secret(SECRET))
            daemon = Daemon(settings, options=Options(reconcile=False, queue=lambda _: StandIn()))
            task = asyncio.create_task(daemon.run())
            await asyncio.wait_for(daemon.ready.wait(), 20)
            with Book.open(tmp_path / "rollbook.db") as book:
                await asyncio.wrap_future(book.write(gaps.add, [gap(1), gap(2)]))
            await until_taken(server, 1)
            figures = await daemon.figures()
            daemon.stop()
            assert await asyncio.wait_for(task, 20) == 0
    (event,) = server.taken
    assert (event["type"], event["data"]["found"]) == ("gap.found", 2)
    assert event["source"].startswith("/rollbook/organizations/")
    assert len({delivery.event["id"] for delivery in server.deliveries}) == 1
    assert figures.alerts_waiting is not None
    written = caplog.text.encode() + b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET.encode() not in written
    assert b"t0ken-in-the-address" not in written


async def test_without_a_hook_nothing_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever takes the hook out of the settings is not sent what had waited: it is let go, and said."""
    with Book.open(tmp_path / "rollbook.db") as book:
        await asyncio.wrap_future(book.write(alerts.want, [AlertKind.GAP_FOUND]))
        await asyncio.wrap_future(book.write(gaps.add, [gap(1)]))
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings = settings_in(organisation, tmp_path)
        daemon = Daemon(settings, options=Options(reconcile=False, queue=lambda _: StandIn()))
        task = asyncio.create_task(daemon.run())
        await asyncio.wait_for(daemon.ready.wait(), 20)
        figures = await daemon.figures()
        daemon.stop()
        assert await asyncio.wait_for(task, 20) == 0
    assert "the hook was changed: 1 alert that waited are not sent" in caplog.text
    assert figures.alerts_waiting is None
    with Book.open(tmp_path / "rollbook.db") as book:
        await asyncio.wrap_future(book.write(gaps.add, [gap(2)]))
        assert await book.read(alerts.waiting) == (0, 0)


def test_two_receivers_are_one_clear_error() -> None:
    """Whether the address or the command has taken an alert is not kept: one of them is enough."""
    with pytest.raises(SettingsError, match=r"\[hook\] has a url and a command; set one of them"):
        Settings(hook_url=Secret("https://x"), hook_command=("x",)).require_one_hook()


def test_health_and_metrics_know_the_hook() -> None:
    """A receiver that takes nothing is degraded, with how many alerts wait and why; so is what found no room."""
    figures = DaemonFigures(alerts_waiting=7, alerts_failing="the receiver answered 500", alerts_dropped=1)
    reasons = judge(figures)[1]
    assert "7 alerts wait for the hook, will keep trying: the receiver answered 500" in reasons
    assert "1 alert found no room while the hook took none" in reasons
    shown = {family.name: family.samples[0].value for family in metrics(figures) if family.samples}
    assert (shown["rollbook_alerts_waiting"], shown["rollbook_alerts_dropped"]) == (7, 1)
    assert "rollbook_alerts_waiting" not in {family.name for family in metrics(DaemonFigures())}


@pytest.mark.process
async def test_alerts_survive_a_daemon_that_is_killed(tmp_path: Path) -> None:
    """Whole daemons, killed with alerts under way: the last one sends what is left, each alert is taken at last."""
    lives, each = (50, 20) if os.environ.get("ROLLBOOK_HEAVY") else (3, 4)
    async with Simulator(seed=5, per_hour=0) as organisation, AlertReceiver() as server:
        draw = random.Random(3)
        server.answer = lambda _: draw.choice((200, 200, 500))
        env = {
            **organisation.env,
            "ROLLBOOK_HOOK_URL": server.url,
            "ROLLBOOK_HOOK_SECRET": SECRET,
            "NO_PROXY": "127.0.0.1",
        }
        with Book.open(tmp_path / "rollbook.db") as book:
            await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        for life in range(lives):
            # Nobody reads what the killed ones say, and a full pipe would stop them.
            process = await start(*(["-v"] if life == lives - 1 else []), "run", env=env, cwd=tmp_path)
            with Book.open(tmp_path / "rollbook.db", mode="r+") as book:
                for number in range(life * each, (life + 1) * each):
                    at = to_text(datetime(2026, 3, 2, tzinfo=UTC) + number * timedelta(minutes=30))
                    await asyncio.wrap_future(book.write(gaps.add, [gap(number)._replace(window_start=at)]))
            if life < lives - 1:
                await until_taken(server, life * each // 2 + 1)
                process.kill()
                await process.wait()
            else:
                await until(lambda: len(found_in(server)) >= lives * each, within=300)
                process.terminate()
                ran = await finish(process)
                assert ran.status == 0, ran.err
                assert SECRET not in ran.err + ran.out
                assert "t0ken" not in ran.err + ran.out
    assert found_in(server) == {f"c{number}" for number in range(lives * each)}
