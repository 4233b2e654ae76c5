"""The daemon as a service manager has it: what it is told, what it logs, what it answers, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbook.genesys.times import to_text
from rollbook.simulator.server import Simulator
from rollbook.store.book import Book
from tests.helpers.paths import ROOT
from tests.helpers.whole import start, until

pytestmark = pytest.mark.process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing running, whatever the test came to."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def test_a_service_manager_is_told_and_nobody_is_told_a_secret(tmp_path: Path) -> None:
    """READY, WATCHDOG, RELOADING, STOPPING; JSON logs without a secret; health and metrics; an end within ten seconds."""
    port = free_port()
    (tmp_path / "rollbook.toml").write_text(f'[realtime]\nhealth = "127.0.0.1:{port}"\n')
    begun = datetime.now(UTC) - timedelta(minutes=3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, contextlib.ExitStack() as cleanup:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        messages: list[str] = []

        def has_said(word: str) -> bool:
            while True:
                try:
                    messages.append(manager.recv(4_096).decode())
                except BlockingIOError:
                    return any(word in message for message in messages)

        async with Simulator(seed=5, start=begun, per_hour=3_600, rate_limit=100_000) as organisation:
            organisation.clock.advance(datetime.now(UTC) - organisation.now())
            env = organisation.env | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
            process = await start("run", "--log-format", "json", "-vv", env=env, cwd=tmp_path)
            cleanup.callback(end, process)
            reading = asyncio.create_task(process.communicate())
            await until(lambda: has_said("READY=1"), within=30)
            assert any(message.endswith("STATUS=6 topics on 1 line") for message in messages)
            await until(lambda: has_said("WATCHDOG=1"))
            health = json.loads(await asyncio.to_thread(get, port, "/healthz"))
            assert health["state"] in ("well", "degraded"), health
            await until(lambda: organisation.emitted.total() > 3)
            metrics = await asyncio.to_thread(get, port, "/metrics")
            for name in (
                "covered_topics",
                "rate_budget_left",
                "api_latency_seconds_bucket",
                "queue_depth",
                "line_state",
            ):
                assert f"rollbook_{name}" in metrics
            (tmp_path / "rollbook.toml").write_text(f'[realtime]\nhealth = "127.0.0.1:{port}"\nusers = true\n')
            process.send_signal(signal.SIGHUP)
            await until(lambda: has_said("RELOADING=1"))
            await until(lambda: any(len(channel.topics) > 6 for channel in organisation.channels.every()))
            secrets = [channel.id for channel in organisation.channels.every()] + organisation.sign_in.tokens
            secrets.append(organisation.client_secret)
            process.terminate()
            began = time.monotonic()
            out, err = await asyncio.wait_for(reading, 15)
            assert time.monotonic() - began < 10
            assert process.returncode == 0
            assert has_said("STOPPING=1")
    lines = err.decode().splitlines()
    assert all(json.loads(line)["message"] for line in lines)
    assert len(secrets) >= 3
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("rollbook.db*"))
    for secret in secrets:
        assert secret not in err.decode() + out.decode() + metrics
        assert secret.encode() not in kept
    database = sqlite3.connect(tmp_path / "rollbook.db")
    assert {row[0] for row in database.execute("SELECT end_reason FROM coverage")} == {"stopped"}
    database.close()


async def test_it_ends_at_once_while_nobody_answers(tmp_path: Path) -> None:
    """SIGTERM during the first requests, which are tried for minutes, ends it with 0."""
    async with Simulator(seed=5, per_hour=0) as organisation, contextlib.AsyncExitStack() as cleanup:
        organisation.fail += [503] * 50
        process = await start("run", "-v", env=organisation.env, cwd=tmp_path)
        cleanup.callback(end, process)
        reading = asyncio.create_task(process.communicate())
        await until(lambda: len(organisation.fail) < 50, within=30)
        process.terminate()
        await asyncio.wait_for(reading, 10)
        assert process.returncode == 0


async def stopped(process: asyncio.subprocess.Process, reading: asyncio.Task[tuple[bytes, bytes]]) -> bytes:
    """SIGTERM ends it with 0 and no traceback, long before a locked store is given up; answers what it logged."""
    process.terminate()
    _, err = await asyncio.wait_for(reading, 20)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
    return err


async def test_it_ends_before_the_store_is_free(tmp_path: Path) -> None:
    """SIGTERM while another program holds the store since before the start: it is not waited for."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    async with Simulator(seed=5, per_hour=0) as organisation, contextlib.AsyncExitStack() as cleanup:
        holder = cleanup.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
        holder.execute("BEGIN IMMEDIATE")
        process = await start("run", "-v", env=organisation.env, cwd=tmp_path)
        cleanup.callback(end, process)
        reading = asyncio.create_task(process.communicate())
        await until(lambda: any("organizations" in path for path in organisation.request_counts), within=30)
        await stopped(process, reading)


async def test_it_ends_while_another_program_holds_the_store(tmp_path: Path) -> None:
    """SIGTERM while what was heard cannot be stored: it ends with 0 all the same, and claims nothing of that time."""
    path = tmp_path / "rollbook.db"
    begun = datetime.now(UTC) - timedelta(minutes=3)
    async with contextlib.AsyncExitStack() as cleanup:
        organisation = Simulator(seed=5, start=begun, per_hour=3_600, rate_limit=100_000)
        await cleanup.enter_async_context(organisation)
        organisation.clock.advance(datetime.now(UTC) - organisation.now())
        process = await start("run", "-v", env=organisation.env, cwd=tmp_path)
        cleanup.callback(end, process)
        reading = asyncio.create_task(process.communicate())
        await until(lambda: path.exists() and organisation.emitted.total() > 3, within=30)
        holder = cleanup.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)))
        holder.execute("BEGIN IMMEDIATE")
        held_at, emitted = to_text(datetime.now(UTC)), organisation.emitted.total()
        await until(lambda: organisation.emitted.total() > emitted + 3)
        err = await stopped(process, reading)
        assert b"coverage does not claim them, and the next reconciliation finds" in err
        holder.execute("ROLLBACK")
        spans = holder.execute("SELECT ended_at, alive_at FROM coverage").fetchall()
    assert spans
    assert all(ended is None and alive <= held_at for ended, alive in spans)


def test_the_image_and_the_unit_are_without_rights() -> None:
    """The container's user is none, its file system read-only, its health asked for; the unit has a watchdog."""
    image = (ROOT / "deploy/docker/Dockerfile").read_text()
    compose = (ROOT / "deploy/docker/compose.yaml").read_text()
    unit = (ROOT / "deploy/systemd/rollbook.service").read_text()
    assert "USER rollbook" in image
    assert "HEALTHCHECK" in image
    assert "read_only: true" in compose
    assert "cap_drop: [ALL]" in compose
    for line in ("Type=notify", "WatchdogSec=", "DynamicUser=yes", "ProtectSystem=strict", "ExecReload="):
        assert line in unit
