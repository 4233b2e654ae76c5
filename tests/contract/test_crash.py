"""Killed at any moment, then run again: nothing that was committed is lost, and the result is exact.

Whole processes on one real file; the organisation is the simulator in this process.
"""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from rollbook.simulator import Simulator
from tests.helpers.whole import assert_store_is, finish, rollbook, rows_of, start, until

pytestmark = pytest.mark.process
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
HOUR = DAY + timedelta(hours=10)
WINDOW = f"{HOUR:%Y-%m-%dT%H:%M:%SZ}/PT1H"
QUERY = "POST /api/v2/analytics/conversations/details/query"


@pytest.fixture
async def organisation() -> AsyncIterator[Simulator]:
    """An organisation with 600 conversations in the hour."""
    async with Simulator(seed=3, start=HOUR, per_hour=600, rate_limit=100_000) as simulator:
        simulator.clock.advance(timedelta(hours=1))
        simulator.world.grow(simulator.now())
        simulator.world._per_hour = 0
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        yield simulator


def hour_of(organisation: Simulator) -> dict[str, dict[str, object]]:
    """The truth of the window."""
    return organisation.truth(HOUR, HOUR + timedelta(hours=1))


@pytest.mark.parametrize("requests", [1, 2, 4, 6])
async def test_a_reconcile_that_is_killed_is_run_again(organisation: Simulator, tmp_path: Path, requests: int) -> None:
    """kill -9 after so many pages, in the middle of whatever it does; the same command again, and the store is exact."""
    process = await start("reconcile", "--window", WINDOW, env=organisation.env, cwd=tmp_path)
    await until(lambda: organisation.request_counts[QUERY] >= requests)
    process.kill()
    await process.wait()
    path = tmp_path / "rollbook.db"
    committed = set()
    if path.exists():
        connection = sqlite3.connect(path)
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'conversations'").fetchone()[0]:
            committed = {row[0] for row in connection.execute("SELECT conversation_id FROM conversations")}
        connection.close()
    again = await rollbook("reconcile", "--window", WINDOW, "--json", env=organisation.env, cwd=tmp_path)
    assert again.status == 0, again.err
    assert committed <= set(hour_of(organisation)), "nothing that was committed was lost or made up"
    assert_store_is(path, hour_of(organisation))
    assert len(rows_of(path, "gaps")["gaps"]) == len(hour_of(organisation))


async def test_two_reconciles_of_one_window_take_turns(organisation: Simulator, tmp_path: Path) -> None:
    """The second waits for the first; both end well, and the second writes nothing."""
    both = [
        await start("reconcile", "--window", WINDOW, "--json", env=organisation.env, cwd=tmp_path) for _ in range(2)
    ]
    ran = [await finish(process) for process in both]
    assert [result.status for result in ran] == [0, 0], ran
    assert sorted(result.json["written"] for result in ran) == [0, len(hour_of(organisation))]
    assert_store_is(tmp_path / "rollbook.db", hour_of(organisation))


async def test_who_does_not_wait_is_told_who_holds_the_window(organisation: Simulator, tmp_path: Path) -> None:
    """With no patience the second ends with 1 and names the first's process."""
    organisation.latency = 0.3
    first = await start("reconcile", "--window", WINDOW, env=organisation.env, cwd=tmp_path)
    await until(lambda: organisation.request_counts[QUERY] >= 1)
    second = await rollbook("reconcile", "--window", WINDOW, "--wait", "0", env=organisation.env, cwd=tmp_path)
    organisation.latency = 0
    assert second.status == 1
    assert str(first.pid) in second.one_line
    assert (await finish(first)).status == 0


SETTINGS = '[reconcile]\nwidth = "PT5S"\nlag = "PT1S"\n'


def has_events(path: Path, least: int) -> bool:
    """Whether so many events are durable."""
    if not path.exists():
        return False
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return bool(connection.execute("SELECT count(*) FROM events").fetchone()[0] >= least)
    except sqlite3.OperationalError:
        return False  # its tables are not there yet
    finally:
        connection.close()


async def test_a_daemon_that_is_killed_and_started_again_ends_exact(tmp_path: Path) -> None:
    """kill -9 of the daemon in full flow, again, then SIGTERM: it ends with 0, and a reconcile makes the store exact."""
    (tmp_path / "rollbook.toml").write_text(SETTINGS)
    path = tmp_path / "rollbook.db"
    begun = datetime.now(UTC)
    async with Simulator(
        seed=5, start=begun - timedelta(minutes=5), per_hour=20_000, rate_limit=100_000
    ) as organisation:
        organisation.clock.advance(datetime.now(UTC) - organisation.now())
        stored_events = 0
        for _ in range(2):
            process = await start("run", env=organisation.env, cwd=tmp_path)
            await until(partial(has_events, path, stored_events + 20))
            process.kill()
            await process.communicate()
            connection = sqlite3.connect(path)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            stored_events = connection.execute("SELECT count(*) FROM events").fetchone()[0]
            connection.close()
        process = await start("run", env=organisation.env, cwd=tmp_path)
        await until(partial(has_events, path, stored_events + 20))
        manual = await rollbook(
            "reconcile",
            "--window",
            f"{begun - timedelta(minutes=4):%Y-%m-%dT%H:%M:%SZ}/PT3M",
            "--json",
            env=organisation.env,
            cwd=tmp_path,
        )
        assert manual.status == 0, manual.err
        process.terminate()
        ended = await finish(process, within=15)
        assert ended.status == 0, ended.err
        connection = sqlite3.connect(path)
        reasons = [row[0] for row in connection.execute("SELECT end_reason FROM coverage ORDER BY started_at")]
        connection.close()
        assert reasons.count("killed") == 2
        assert reasons[-1] == "stopped"
        organisation.clock.set_rate(0)
        organisation.clock.advance(timedelta(minutes=20))
        window = f"{begun:%Y-%m-%dT%H:%M:%SZ}/{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        last = await rollbook("reconcile", "--window", window, "--json", env=organisation.env, cwd=tmp_path)
        assert last.status == 0, last.err
        first, end = (datetime.fromisoformat(part.replace("Z", "+00:00")) for part in window.split("/"))
        truth = organisation.truth(first, end)
        texts = [f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in (first, end)]
        assert_store_is(path, truth, start=texts[0], end=texts[1])


async def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """One file has one daemon; the second ends with 1 and names the first."""
    async with Simulator(seed=5, per_hour=3600) as organisation:
        first = await start("run", env=organisation.env, cwd=tmp_path)
        await until(partial(has_events, tmp_path / "rollbook.db", 1))
        second = await rollbook("run", env=organisation.env, cwd=tmp_path)
        assert second.status == 1
        assert str(first.pid) in second.err
        first.terminate()
        assert (await finish(first, within=15)).status == 0
