"""What `rollbook doctor` finds, check by check."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from realtime.commands import doctor, options
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import alerts, coverage, names
from rollbook.store.vocabulary import AlertKind
from tests.helpers.receiver import AlertReceiver


def test_what_was_refused_is_looked_at(tmp_path: Path) -> None:
    """Topics that the daemon was refused are told with what they lack; without any there is nothing to tell."""
    path = tmp_path / "rollbook.db"
    assert doctor._refused(path) is None
    with Book.open(path) as book:
        assert doctor._refused(path) is None
        lacks = ["conversation:communication:view"]
        rows = [{"topic": f"v2.{letter}", "missing_permissions": lacks} for letter in "ab"]
        book.write(coverage.reject, rows, "2026-08-03T14:00:00.000Z").result(10)
    check = doctor._refused(path)
    assert check is not None
    assert (check.state, check.mend) == ("warn", "give the OAuth client's role conversation:communication:view")
    assert check.found == "2 topics, when they were last asked for (2026-08-03 14:00 UTC)"


SET = Settings(api_url="http://127.0.0.1:9", login_url="http://127.0.0.1:9", client_id="c", client_secret=Secret("s"))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (Settings(), "GENESYSCLOUD_REGION"),
        (replace(SET, websocket=False), "nothing to listen to"),
        (replace(SET, health="127.0.0.1"), "HOST:PORT"),
        (replace(SET, hook_url=Secret("http://127.0.0.1:9"), hook_command=("true",)), "set one of them"),
    ],
)
async def test_settings_with_which_a_run_cannot_start(settings: Settings, word: str, tmp_path: Path) -> None:
    """What `rollbook run` would refuse is a failed row, and the store is looked at all the same."""
    checks: list[doctor.Check] = []
    await doctor.examine(replace(settings, store_path=tmp_path / "rollbook.db"), checks.append)
    looked = [(check.name, check.state) for check in checks if check.name != "hook"]
    assert looked == [("settings", "fail"), ("store", "ok")]
    assert word in checks[0].mend


def test_without_any_setting_the_status_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help promises it, in JSON too."""
    monkeypatch.chdir(tmp_path)
    for name in [variable for variable in os.environ if variable.startswith(("GENESYS", "ROLLBOOK"))]:
        monkeypatch.delenv(name)
    ran = CliRunner().invoke(options.doctor, ["--json"])
    assert ran.exit_code == 1
    assert json.loads(ran.output)["ok"] is False


async def test_names_that_cannot_be_told(tmp_path: Path) -> None:
    """Each permission that a kind of names lacks is said, and how many ids of the store have no name, by kind."""
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        ids = [("queue", "q1"), ("queue", "q2"), ("user", "u1"), ("wrapupcode", "ININ-WRAP-UP-TIMEOUT")]
        book.write(names.meet, ids).result(10)
    async with Simulator(seed=2, per_hour=0) as simulator:
        settings = load(env={**simulator.env, "ROLLBOOK_DB": str(path)}, cwd=tmp_path)

        async def look() -> doctor.Check:
            checks: list[doctor.Check] = []
            await doctor.examine(settings, checks.append)
            [check] = [check for check in checks if check.name == "names"]
            return check

        check = await look()
        assert (check.state, check.found) == ("ok", "10 of 10 kinds can be listed, 3 ids have no name")
        assert check.mend.startswith("without a name: 2 of queues, 1 of users")
        lacks = frozenset({"telephony:plugin:all", "routing:wrapupCode:view"})
        simulator.sign_in.change(simulator.client._replace(lacks=lacks))
        check = await look()
        assert (check.state, check.found) == ("warn", "7 of 10 kinds can be listed, 3 ids have no name")
        assert check.mend.startswith(
            "give the OAuth client's role the permission routing:wrapupCode:view for the names of wrap-up codes;"
            " telephony:plugin:all for the names of edges and sites. without a name: 2 of queues"
        )


AT = "2026-03-02T10:00:00.000Z"


async def hook(tmp_path: Path, **named: Any) -> doctor.Check | None:
    """The check of a hook."""
    return await doctor._hook(replace(SET, store_path=tmp_path / "rollbook.db", **named))


async def test_a_hook_is_looked_for_and_no_alert_is_sent(tmp_path: Path) -> None:
    """Whether its address answers or its command is there, with how many alerts wait; no address and no secret is told."""
    assert await hook(tmp_path) is None
    with Book.open(tmp_path / "rollbook.db") as book:
        await asyncio.wrap_future(book.write(alerts.want, list(AlertKind)))
        await asyncio.wrap_future(book.write(alerts.add_deafness, None, AT, began=AT))
    async with AlertReceiver() as receiver:
        check = await hook(tmp_path, hook_url=Secret(receiver.url))
        assert check is not None
        assert (check.state, check.found) == ("ok", "the address answers, 1 alert waits")
        assert receiver.deliveries == []
        check = await hook(tmp_path, hook_url=Secret(receiver.url), hook_secret=Secret("whsec_?"))
        assert check is not None
        assert (check.state, "ROLLBOOK_HOOK_SECRET: begins with whsec_" in check.found) == ("warn", True)
    check = await hook(tmp_path, hook_url=Secret(receiver.url))
    assert check is not None
    assert check.state == "warn"
    assert "t0ken" not in check.found
    check = await hook(tmp_path, hook_command=("true",))
    assert check is not None
    assert (check.state, check.found) == ("ok", "the command is there, 1 alert waits")
    check = await hook(tmp_path, hook_command=("/no/such/command", "--team"))
    assert check is not None
    assert check.found == "/no/such/command is no command for this user, 1 alert waits"


async def test_the_organisation_s_retention_is_said_beside_ours(tmp_path: Path) -> None:
    """A beginning from before it is warned of, and so is a missing permission; nothing of it fails."""
    async with Simulator(seed=2, per_hour=0) as simulator:

        async def look(**more: Any) -> doctor.Check:
            settings = load(env={**simulator.env, "ROLLBOOK_DB": str(tmp_path / "rollbook.db")}, cwd=tmp_path)
            checks: list[doctor.Check] = []
            await doctor.examine(replace(settings, **more), checks.append)
            [check] = [check for check in checks if check.name == "retention"]
            return check

        check = await look()
        assert (check.state, check.found) == ("ok", "the organisation keeps 1,826 days, this store all")
        check = await look(retain_details=timedelta(days=90))
        assert (check.state, check.mend) == ("ok", "")
        check = await look(since=datetime(2015, 1, 1, tzinfo=UTC))
        assert check.state == "warn"
        assert "[reconcile] since is earlier" in check.mend
        simulator.sign_in.change(simulator.client._replace(lacks=frozenset({"analytics:dataRetention:view"})))
        check = await look()
        assert (check.state, check.found) == ("warn", "the permission is missing")


def full(_: int) -> None:
    """A disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("exists", [False, True])
def test_a_store_that_cannot_be_written(exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not ours to write, a full disk: whether the store is there already or not."""
    path = tmp_path / "rollbook.db"
    if exists:
        Book.open(path).close()
    assert doctor._store_file(path).state == "ok"
    assert list(tmp_path.glob("tmp*")) == []
    monkeypatch.setattr(os, "fsync", full)
    check = doctor._store_file(path)
    assert (check.state, "No space left" in check.found) == ("fail", True)
    # Nobody can write there, root neither.
    assert doctor._store_file(Path("/proc/self/rollbook.db")).state == "fail"


async def test_a_host_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and says nothing: the check gives up, and names whom it waited for."""
    monkeypatch.setattr(doctor, "_WITHIN", 0.05)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    checks: list[doctor.Check] = []
    try:
        await doctor.examine(
            replace(SET, api_url=host, login_url=host, store_path=tmp_path / "rollbook.db"), checks.append
        )
    finally:
        over.set()
        server.close()
    assert (checks[-1].name, checks[-1].state) == ("sign-in", "fail")
    assert host in checks[-1].mend


def test_all_is_not_well_where_something_is_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run can start all the same, so the status is 0."""

    async def examine(_: Settings, tell: Callable[[doctor.Check], None]) -> None:
        tell(doctor.Check("refused", "warn", "6 topics"))

    monkeypatch.setattr(doctor, "examine", examine)
    ran = CliRunner().invoke(options.doctor, [])
    assert (ran.exit_code, ran.output.splitlines()[-1]) == (0, "1 to look at; `rollbook run` can start.")
