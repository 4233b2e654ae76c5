"""The command `reconcile` as a person meets it: at a terminal, and interrupted."""

import io
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from genesys import console
from genesys.settings import load
from genesys.times import Interval
from reconcile import cli
from simulator import Simulator

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
async def words(tmp_path: Path) -> AsyncIterator[cli.Words]:
    """`reconcile --due` for an organisation with a past of an hour."""
    async with Simulator(seed=5, start=NOW - timedelta(hours=2), per_hour=30, rate_limit=100_000) as simulator:
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        settings = load(env=simulator.env, cwd=tmp_path)
        settings = replace(settings, store_path=tmp_path / "rollbook.db", since=NOW - timedelta(hours=1))
        yield cli.Words(window=None, settings=settings, via="query", dry_run=False, wait=0, as_json=False)


@pytest.mark.parametrize("window", [None, Interval(NOW - timedelta(minutes=90), NOW - timedelta(minutes=60))])
async def test_what_was_found_stands_below_the_bar(
    words: cli.Words, window: Interval | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal that shows both, the report begins when the bar has been wiped away for good."""
    terminal = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=terminal, force_terminal=True, width=80))
    monkeypatch.setattr(sys, "stdout", terminal)
    assert await cli._work(replace(words, window=window)) == 0
    shown = terminal.getvalue()
    assert shown.rindex("\x1b") < shown.index("missing")
