"""Random fault scripts against the daemon as a real process (tests/faults.py runs as many as asked)."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import KINDS
from rollbook.simulator.times import text
from tests import faults
from tests.helpers import unfriendly_faults as unfriendly
from tests.helpers.unfriendly_faults import Behaviour

pytestmark = pytest.mark.process
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
# Of jobs, which the daemon does not use so soon, and of more pages than a window of seconds has.
NOT_DRAWN = {"failing_jobs", "stuck_job", "standing_cursor", "shift"}

# Seeds that found something once are kept, whatever else is tried.
SCRIPTS = int(os.environ.get("ROLLBOOK_FAULTS", "6"))
AT_ONCE = 3


def test_a_script_is_made_of_its_seed() -> None:
    """The same seed is the same script, another is another."""
    assert faults.script(7) == faults.script(7)
    assert faults.script(7) != faults.script(8)


async def test_whatever_goes_wrong_the_store_ends_as_the_truth() -> None:
    """After each script and a reconcile: every conversation and row once, coverage kept its word, SIGTERM ended well."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def play(seed: int) -> str:
        async with turns:
            run, _, wrong = await faults.run_script(seed, seconds=3.0)
        return f"seed {seed}: {wrong}\n" + "\n".join(map(str, run.steps)) if wrong else ""

    wrong = [outcome for outcome in await asyncio.gather(*map(play, range(1, SCRIPTS + 1))) if outcome]
    assert not wrong, "\n".join(wrong)


# The platform's part of a script, and how the ledger is judged


def test_an_unfriendly_platform_is_made_of_the_seed_and_every_kind_is_drawn() -> None:
    """The same seed behaves the same; each line can be played; every kind that is no old one comes up."""
    drawn = {seed: unfriendly.behaviours(seed, seconds=5) for seed in range(300)}
    assert drawn[7] == unfriendly.behaviours(7, seconds=5) != unfriendly.behaviours(7, seconds=5, scene="due")
    played = {fault.fault(START, START).kind for each in drawn.values() for fault in each}
    new = {name for name, kind in KINDS.items() if kind.chooses} | {
        "odd_record",
        "index_lag",
        "clock_jump",
        "failing_jobs",
    }
    assert new - played == NOT_DRAWN


@pytest.fixture
def organisation() -> Simulator:
    """An hour of conversations, each known at once, some hours later."""
    other = Simulator(seed=3, start=START, rate=0, per_hour=60)
    other.world.grow(START + timedelta(hours=1))
    records = [life.record for life in other.world.conversations if "conversationEnd" in life.record]
    made = Simulator(seed=3, start=START, rate=0, per_hour=0, records=records)
    made.clock.advance(timedelta(hours=200))
    return made


@pytest.fixture
def ledger(organisation: Simulator) -> Iterator[sqlite3.Connection]:
    """A store that has all of it, and says that the hour is complete: as much of its tables as is looked at."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript("""
            CREATE TABLE conversations (conversation_id, details);
            CREATE TABLE events (conversation_id, received_at);
            CREATE TABLE windows (start, "end", filter, verdict);
            CREATE TABLE window_runs (run_id, start, "end", filter, verdict, finished_at, divisions_json);""")
        window = text(START), text(START + timedelta(hours=1)), "", "complete"
        db.execute("INSERT INTO windows VALUES (?, ?, ?, ?)", window)
        read = text(START + timedelta(hours=2))
        db.execute("INSERT INTO window_runs VALUES (1, ?, ?, ?, ?, ?, '[1, 2, 3]')", (*window, read))
        for life in organisation.world.conversations:
            record = json.dumps(life.view(organisation.now()))
            db.execute("INSERT INTO conversations VALUES (?, ?)", (life.id, record))
        yield db


def test_a_true_claim_stands(ledger: sqlite3.Connection, organisation: Simulator) -> None:
    """What is stored as it is, or was at some moment after the window, is no false claim."""
    assert unfriendly.false_claims(ledger, organisation, given=[]) == []
    late = next(life for life in organisation.world.conversations if life.stage(START + timedelta(hours=1)) >= 0)
    between = late.final - timedelta(milliseconds=1)
    ledger.execute(
        "UPDATE conversations SET details = ? WHERE conversation_id = ?", (json.dumps(late.view(between)), late.id)
    )
    assert unfriendly.false_claims(ledger, organisation, given=[]) == []


def test_a_false_claim_falls(ledger: sqlite3.Connection, organisation: Simulator) -> None:
    """One that is missing, one that never was so, one without its end: each is told, and none of it if it `failed`."""
    missing, never, endless = [
        life.id for life in organisation.world.conversations if life.end < START + timedelta(minutes=50)
    ][:3]
    ledger.execute("DELETE FROM conversations WHERE conversation_id = ?", (missing,))
    ledger.execute("UPDATE conversations SET details = '{}' WHERE conversation_id = ?", (never,))
    ledger.execute(
        "UPDATE conversations SET details = json_remove(details, '$.conversationEnd') WHERE conversation_id = ?",
        (endless,),
    )
    wrong = " ".join(unfriendly.false_claims(ledger, organisation, given=[]))
    assert all(trouble in wrong for trouble in (missing, never, endless))
    ledger.execute("UPDATE windows SET verdict = 'failed'")
    assert unfriendly.false_claims(ledger, organisation, given=[]) == []


def test_what_nobody_could_know_is_excused_and_nothing_else(
    ledger: sqlite3.Connection, organisation: Simulator
) -> None:
    """Missing because a part of the index was away: excused if no event had told of it before the window was read."""
    gone = organisation.world.conversations[3].id
    ledger.execute("DELETE FROM conversations WHERE conversation_id = ?", (gone,))
    away = [Behaviour(1.0, 1.0, {"kind": "shard"})]
    assert unfriendly.false_claims(ledger, organisation, given=[])
    assert unfriendly.false_claims(ledger, organisation, given=away) == []
    ledger.execute("INSERT INTO events VALUES (?, ?)", (gone, text(START + timedelta(hours=1))))
    assert unfriendly.false_claims(ledger, organisation, given=away)
    # Fewer divisions are excused where the proof itself says so.
    fewer = [Behaviour(1.0, 1.0, {"kind": "fewer_divisions"})]
    assert unfriendly.false_claims(ledger, organisation, given=fewer)
    ledger.execute("UPDATE window_runs SET divisions_json = '[1]'")
    assert unfriendly.false_claims(ledger, organisation, given=fewer) == []
