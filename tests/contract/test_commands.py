"""The commands as people type them, as whole processes: exit statuses, one clear line, no traceback, nothing half-written.

Written from the contract alone. The organisation is the simulator in this process.
"""

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbook.simulator import Simulator
from tests.helpers.whole import rollbook

pytestmark = pytest.mark.process
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY = TODAY - timedelta(days=2)
WINDOW = f"{DAY:%Y-%m-%d}T10:00:00Z/PT30M"


@pytest.fixture
async def organisation() -> AsyncIterator[Simulator]:
    """A simulated organisation with a past of a few days."""
    async with Simulator(seed=7, start=DAY, per_hour=60, rate_limit=100_000) as simulator:
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        yield simulator


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ("yesterday", "interval"),
        ("2026-03-02T10:00Z", "interval"),
        ("2026-03-02T10:00Z/2026-03-02T10:00Z", "after"),
        ("2026-03-02T11:00Z/2026-03-02T10:00Z", "after"),
        ("2099-01-01T00:00Z/PT30M", "future"),
        ("2026-03-02T10:00Z/PT0S", "after"),
        ("2026-13-02T10:00Z/PT30M", "interval"),
        ("", "interval"),
    ],
)
async def test_a_bad_interval_is_a_usage_error(interval: str, word: str, tmp_path: Path) -> None:
    """Exit status 2, one line that says what is wrong, and no store is made."""
    env = {
        "GENESYSCLOUD_REGION": "us-east-1",
        "GENESYSCLOUD_OAUTHCLIENT_ID": "a",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "b",
    }
    ran = await rollbook("reconcile", "--window", interval, env=env, cwd=tmp_path)
    assert ran.status == 2
    assert word in ran.one_line
    assert not list(tmp_path.iterdir())
    as_json = await rollbook("reconcile", "--window", interval, "--json", env=env, cwd=tmp_path)
    assert (as_json.status, list(as_json.json)) == (2, ["error"])


async def test_a_disk_that_takes_no_more_is_one_line(organisation: Simulator, tmp_path: Path) -> None:
    """Exit status 1 and one line, though many writes wait when the first one fails."""
    limited = "import resource; from rollbook import commands; resource.setrlimit(resource.RLIMIT_FSIZE, (700_000,) * 2); commands.main()"
    day = f"{DAY:%Y-%m-%d}T00:00:00Z/P1D"
    ran = await rollbook("reconcile", "--window", day, env=organisation.env, cwd=tmp_path, program=("-c", limited))
    assert ran.status == 1
    assert "cannot be written" in ran.one_line


async def test_an_unknown_region_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the region that nobody knows."""
    env = {
        "GENESYSCLOUD_REGION": "mars-north-1",
        "GENESYSCLOUD_OAUTHCLIENT_ID": "a",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "b",
    }
    ran = await rollbook("reconcile", "--window", WINDOW, env=env, cwd=tmp_path)
    assert ran.status == 2
    assert "mars-north-1" in ran.one_line


async def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    """A misspelt key in the settings file is an error that names it."""
    (tmp_path / "rollbook.toml").write_text('[reconcile]\nwidht = "PT30M"\n')
    ran = await rollbook("reconcile", "--window", WINDOW, env={}, cwd=tmp_path)
    assert ran.status == 2
    assert "widht" in ran.one_line


async def test_missing_credentials_are_one_line(tmp_path: Path) -> None:
    """Without credentials the command says which settings it needs."""
    ran = await rollbook("reconcile", "--window", WINDOW, env={"GENESYSCLOUD_REGION": "us-east-1"}, cwd=tmp_path)
    assert ran.status in (1, 2)
    assert "GENESYSCLOUD_OAUTHCLIENT_ID" in ran.one_line


async def test_wrong_credentials_are_one_line_without_the_secret(organisation: Simulator, tmp_path: Path) -> None:
    """Exit status 1; the secret is nowhere."""
    env = {**organisation.env, "GENESYSCLOUD_OAUTHCLIENT_SECRET": "very-wrong-secret"}
    for words in (["reconcile", "--window", WINDOW], ["run"]):
        ran = await rollbook(*words, env=env, cwd=tmp_path)
        assert ran.status == 1
        assert "very-wrong-secret" not in ran.err + ran.out


async def test_an_unreachable_platform_is_one_line(tmp_path: Path) -> None:
    """Exit status 1, naming the host."""
    env = {
        "GENESYSCLOUD_API_URL": "http://127.0.0.1:9",
        "GENESYSCLOUD_LOGIN_URL": "http://127.0.0.1:9",
        "GENESYSCLOUD_OAUTHCLIENT_ID": "a",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "b",
    }
    ran = await rollbook("reconcile", "--window", WINDOW, env=env, cwd=tmp_path)
    assert ran.status == 1
    assert "127.0.0.1" in ran.one_line


async def test_a_foreign_database_is_left_alone(organisation: Simulator, tmp_path: Path) -> None:
    """A file of another program is refused and stays as it was."""
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = other.read_bytes()
    ran = await rollbook("reconcile", "--window", WINDOW, "--db", str(other), env=organisation.env, cwd=tmp_path)
    assert ran.status == 1
    assert "other.db" in ran.one_line
    assert other.read_bytes() == before


async def test_an_unwritable_folder_is_one_line(organisation: Simulator, tmp_path: Path) -> None:
    """A store in a folder that does not exist is refused by name."""
    path = tmp_path / "no" / "rollbook.db"
    ran = await rollbook("reconcile", "--window", WINDOW, "--db", str(path), env=organisation.env, cwd=tmp_path)
    assert ran.status == 1
    assert str(path.parent) in ran.one_line


async def test_a_window_is_read_and_a_second_run_writes_nothing(organisation: Simulator, tmp_path: Path) -> None:
    """The report has the contract's keys; the store has the truth; again, and nothing is written."""
    first = await rollbook("reconcile", "--window", WINDOW, "--json", env=organisation.env, cwd=tmp_path)
    assert first.status == 0, first.err
    report = first.json
    expected = (
        "window verdict passes requests initial_total_hits final_total_hits unique duplicates owned missing changed"
        " unchanged ongoing live_only written seconds"
    )
    assert set(expected.split()) <= set(report)
    assert report["owned"] == report["missing"] > 0
    truth = organisation.truth(DAY + timedelta(hours=10), DAY + timedelta(hours=10, minutes=30))
    connection = sqlite3.connect(tmp_path / "rollbook.db")
    stored = dict(
        connection.execute(
            "SELECT conversation_id, details FROM conversations WHERE conversation_start >= ? AND conversation_start < ?",
            (f"{DAY:%Y-%m-%d}T10:00:00.000Z", f"{DAY:%Y-%m-%d}T10:30:00.000Z"),
        )
    )
    connection.close()
    assert set(stored) == set(truth)
    again = await rollbook("reconcile", "--window", WINDOW, "--json", env=organisation.env, cwd=tmp_path)
    assert (again.status, again.json["written"], again.json["missing"]) == (0, 0, 0)
    assert again.json["unchanged"] == report["owned"]


async def test_a_dry_run_makes_no_store(organisation: Simulator, tmp_path: Path) -> None:
    """The figures come as if, and the folder stays empty."""
    ran = await rollbook("reconcile", "--window", WINDOW, "--dry-run", "--json", env=organisation.env, cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert ran.json["missing"] == ran.json["owned"] > 0
    assert not list(tmp_path.glob("rollbook.db*"))


async def test_a_broken_filter_file_is_a_usage_error(organisation: Simulator, tmp_path: Path) -> None:
    """A filter that is no JSON, or that the API refuses, ends with 2 and says why."""
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "refused.json").write_text(
        json.dumps({"conversationFilters": [{"type": "and", "predicates": [{"dimension": "shoeSize", "value": "44"}]}]})
    )
    for name in ("broken.json", "refused.json", "absent.json"):
        ran = await rollbook("reconcile", "--window", WINDOW, "--filter", name, env=organisation.env, cwd=tmp_path)
        assert ran.status == 2, ran
        assert ran.one_line


async def test_both_names_of_the_reconciler_are_one(tmp_path: Path) -> None:
    """`python -m reconcile` is `rollbook reconcile`, and every command explains itself."""
    as_module = await rollbook("--help", env={}, cwd=tmp_path, program=("-m", "reconcile"))
    assert as_module.status == 0
    assert "--window" in as_module.out
    for words in (["reconcile"], ["run"], ["demo"], ["status"], ["simulate"], ["doctor"]):
        ran = await rollbook(*words, "--help", env={}, cwd=tmp_path)
        assert ran.status == 0, words
    unknown = await rollbook("recnocile", env={}, cwd=tmp_path)
    assert unknown.status == 2


async def test_status_works_from_the_store_alone(organisation: Simulator, tmp_path: Path) -> None:
    """No credentials are needed to say how things stand; without a store it says so."""
    none = await rollbook("status", env={}, cwd=tmp_path)
    assert none.status == 1
    assert "rollbook.db" in none.one_line
    await rollbook("reconcile", "--window", WINDOW, env=organisation.env, cwd=tmp_path)
    ran = await rollbook("status", "--json", env={}, cwd=tmp_path)
    assert ran.status == 0
    assert ran.json["windows"]["by_verdict"]
    shown = await rollbook("status", env={}, cwd=tmp_path)
    assert shown.status == 0
    assert max(len(line) for line in shown.out.splitlines()) <= 80


async def test_doctor_says_that_all_is_well(organisation: Simulator, tmp_path: Path) -> None:
    """Against a working organisation the doctor ends with 0, and with wrong credentials with 1 and a way to mend it."""
    well = await rollbook("doctor", env=organisation.env, cwd=tmp_path)
    assert well.status == 0, well.out + well.err
    assert "in the hour that ended 15 minutes ago" in " ".join(well.out.split())
    env = {**organisation.env, "GENESYSCLOUD_OAUTHCLIENT_SECRET": "very-wrong-secret"}
    ill = await rollbook("doctor", env=env, cwd=tmp_path)
    assert ill.status == 1
    assert "very-wrong-secret" not in ill.out + ill.err
