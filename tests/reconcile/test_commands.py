"""The command `reconcile` as a person meets it: at a terminal, and interrupted."""

import asyncio
import io
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from reconcile.commands import reconcile
from reconcile.due.rounds import Round
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import names
from tests.helpers.whole import finish, start, until

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
FIRST = Interval(NOW - timedelta(minutes=90), NOW - timedelta(minutes=60))
AGAIN = "interrupted; run it again to go on where it was"


@pytest.fixture
async def organisation() -> AsyncIterator[Simulator]:
    """An organisation with a past of two hours."""
    async with Simulator(seed=5, start=NOW - timedelta(hours=2), per_hour=30, rate_limit=100_000) as simulator:
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        yield simulator


@pytest.mark.parametrize("window", [None, FIRST])
async def test_what_was_found_stands_below_the_bar(
    organisation: Simulator, tmp_path: Path, window: Interval | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal that shows both, the report begins when the bar has been wiped away for good."""
    terminal = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=terminal, force_terminal=True, width=80))
    monkeypatch.setattr(sys, "stdout", terminal)
    settings = load(env=organisation.env, cwd=tmp_path)
    settings = replace(settings, store_path=tmp_path / "rollbook.db", since=NOW - timedelta(hours=1))
    words = reconcile.CommandLine(window=window, settings=settings, options=Round(wait=0), as_json=False)
    assert await reconcile._read(words) == 0
    shown = terminal.getvalue()
    assert shown.rindex("\x1b") < shown.index("missing")
    with Book.open(settings.store_path, mode="ro") as book:
        # A round lists names besides; a window by hand is read and nothing else.
        assert bool(await book.read(names.listings)) == (window is None)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_at_once_while_nobody_answers(
    organisation: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    """Either signal during the first requests, which are tried for minutes: 130 and one line."""
    organisation.fail += [503] * 50
    process = await start("reconcile", "--due", env=organisation.env, cwd=tmp_path)
    ending = asyncio.create_task(finish(process, within=30))
    await until(lambda: len(organisation.fail) < 50)
    process.send_signal(number)
    ran = await ending
    assert (ran.status, ran.out, ran.err) == (130, "", f"rollbook: {AGAIN}\n")


@pytest.mark.process
async def test_it_is_interrupted_while_it_reads(organisation: Simulator, tmp_path: Path) -> None:
    """SIGTERM between two pages: 130 and one object that says how to go on; a round has its report, and a line."""
    running: list[asyncio.subprocess.Process] = []
    organisation.drift = lambda _simulator, _requests: running[-1].send_signal(signal.SIGTERM)
    running.append(await start("reconcile", "--window", FIRST.text, "--json", env=organisation.env, cwd=tmp_path))
    ran = await finish(running[-1])
    assert (ran.status, json.loads(ran.out), ran.err) == (130, {"error": AGAIN}, "")
    running.append(await start("reconcile", "--due", "--json", env=organisation.env, cwd=tmp_path))
    ran = await finish(running[-1])
    assert (ran.status, list(ran.json), ran.err) == (
        130,
        ["windows", "errors", "followed", "left", "given_up", "requests"],
        f"rollbook: {AGAIN}\n",
    )
