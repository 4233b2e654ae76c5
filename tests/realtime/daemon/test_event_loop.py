"""Reads of the store hold nothing up: what an event loop does meanwhile is done before the read ends.

Each read of the store is made to end only after something else was answered which began during the read. A read in the
loop's own thread would wait for itself. Nothing is measured: it is the order that counts.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon import daemon as daemon_module
from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.http_port import HttpPort
from reconcile.due.rounds import Round, run_due
from reconcile.verify import verify
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.file.read_connection import ReadConnection
from rollbook.store.tables import schema
from tests.helpers.organisation import START, Clock, Organisation, record, settings
from tests.helpers.stage import Stage, capture


class SlowReads:
    """Reads that end after `meanwhile` was done on the event loop. main: how many were asked of the loop's own thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.slow = self.main = 0
        self._loop, self._meanwhile = asyncio.get_running_loop(), meanwhile
        self._read = ReadConnection.read
        monkeypatch.setattr(ReadConnection, "read", lambda connection, job: self.read(connection, job))

    def read(self, connection: ReadConnection, job: Callable[..., Any]) -> Any:
        """Read, and see that something else is answered before the answer is there."""
        if threading.current_thread() is threading.main_thread():
            self.main += 1
        else:
            asyncio.run_coroutine_threadsafe(self._once(), self._loop).result(10)
            self.slow += 1
        return self._read(connection, job)

    async def _once(self) -> None:
        await self._meanwhile()


async def test_sockets_answer_while_the_store_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping is answered before each read ends: at the start of capture, in rounds, follow-up, dry runs, second counts."""
    clock, organisation = Clock(START + timedelta(hours=2)), Organisation()
    organisation.put(*(record(f"c{minute}", minute + 5, minute + 9) for minute in range(0, 120, 30)))
    organisation.put(record("open", 1))
    wanted = settings(since=START)
    async with Stage() as stage:
        reads = SlowReads(monkeypatch, stage.ping)
        async with capture(stage, tmp_path) as running:
            at_start = reads.slow
            book: Book = running.book

            async def round_(**how: Any) -> int:
                before = reads.slow
                options = Round(sleep=clock.sleep, wait=0, **how)
                report = await run_due(book, organisation, wanted, now=clock.now, how=options)  # type: ignore[arg-type]
                assert not report.errors
                return reads.slow - before

            assert await round_(dry_run=True) >= 10
            assert await round_() >= 10
            organisation.put(record("late", 3, 8))
            clock.at += timedelta(days=6)
            assert await round_(many=4) >= 10
            await verify(_Counts(), book, Interval(START, START + timedelta(hours=1)))
        assert (at_start, reads.main) == (2, 0)


class _Counts:
    async def aggregates(self, _body: Any, /) -> dict[str, Any]:
        return {"results": []}


async def test_health_answers_while_the_store_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole daemon, its rounds over the ledger too: /healthz is answered before each read ends."""
    monkeypatch.setattr(daemon_module, "_LOOKS_WITHIN", 0.01)
    async with Simulator(seed=5, per_hour=0) as organisation:
        daemon = Daemon(
            replace(
                load(env=organisation.env, cwd=tmp_path),
                store_path=tmp_path / "rollbook.db",
                since=organisation.now() - timedelta(hours=2),
                health="127.0.0.1:0",
            ),
            options=Options(now=organisation.now, look_every=timedelta(hours=1)),
        )
        ports: list[int] = []
        started = HttpPort.start

        async def start(port: Any) -> None:
            await started(port)
            ports.append(port.port)

        monkeypatch.setattr(HttpPort, "start", start)
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await asyncio.to_thread(_get, ports[0]))

        reads = SlowReads(monkeypatch, ask)
        running = asyncio.create_task(daemon.run())
        try:
            async with asyncio.timeout(60):
                while daemon._vitals.round_at is None or not daemon.ready.is_set() or reads.slow < 10:
                    assert not running.done(), running.result()
                    await asyncio.sleep(0.01)
        finally:
            daemon.stop()
            await running
        assert reads.main == 0
        assert len(answers) >= reads.slow >= 10
        assert all('"state"' in text for text in answers)


def _get(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


async def test_a_reader_that_gave_up_leaves_the_connection_usable(tmp_path: Path) -> None:
    """One read is cancelled while it is under way and one while it waits: the first is done, the second never begins."""
    async with await asyncio.to_thread(Book.open, tmp_path / "rollbook.db", organization=("o1", "Acme")) as book:
        begun, go_on, done = asyncio.Event(), threading.Event(), list[str]()
        loop = asyncio.get_running_loop()

        def slow(_db: Any, name: str) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            done.append(name)

        first = asyncio.create_task(book.read(slow, "under way"))
        await begun.wait()
        second = asyncio.create_task(book.read(slow, "waiting"))
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        assert [type(error) for error in await asyncio.gather(first, second, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        go_on.set()
        assert await book.read(schema.organization) == ("o1", "Acme")
        assert done == ["under way"]


async def test_a_read_that_stops_the_loop_warns(tmp_path: Path) -> None:
    """`read_now` where an event loop runs: the answer comes, and a warning names the line that should have awaited it."""
    async with await asyncio.to_thread(Book.open, tmp_path / "rollbook.db") as book:
        with pytest.warns(RuntimeWarning, match=r"await Book\.read") as warned:
            assert book.read_now(schema.organization) is None
        assert warned[0].filename == __file__
        assert await asyncio.to_thread(book.read_now, schema.organization) is None
