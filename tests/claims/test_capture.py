"""What live capture is told once, and how windows close where this machine's clock is not the platform's."""

import asyncio
import contextlib
import itertools
import json
import random
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.storing.inbox import Inbox
from realtime.websocket.supervisor import Supervisor
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import to_text
from tests.helpers import virtual
from tests.helpers.liar import ERROR_BODIES, LyingSimulator
from tests.helpers.virtual import Platform
from tests.helpers.whole import finish, rollbook, rows, start, until

# 24


class Forgetful(Platform):
    """Its list of queues is empty at these looks."""

    empty: tuple[int, ...] = ()
    looks = 0

    async def queues(self) -> list[Entity]:
        self.looks += 1
        found = await super().queues()
        return [] if self.looks in self.empty else found


@pytest.mark.parametrize("empty", [(2,), (2, 5), (4,)])
def test_from_something_to_nothing_needs_a_second_look(empty: tuple[int, ...]) -> None:
    """24: the list of queues is empty once: what was listened to is listened to all the same, without a hole."""

    async def work() -> None:
        platform = Forgetful(7, queues=40)
        platform.empty = empty
        supervisor = Supervisor(
            platform,  # type: ignore[arg-type]
            platform.ledger,  # type: ignore[arg-type]
            Settings(),
            now=virtual.now,
            inbox=Inbox(frames=12),
            opener=platform.opened,
            draw=random.Random(1),
        )
        stop = asyncio.Event()
        running = asyncio.create_task(supervisor.run(stop))
        await asyncio.sleep(5)
        emitting = asyncio.create_task(platform.emit(2))
        await asyncio.sleep(2400)
        emitting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await emitting
        stop.set()
        await running
        assert platform.looks >= max(empty)
        lost = [event for event in platform.sent if not platform.ledger.stored[event[2]]]
        assert lost == [], f"{len(lost)} of {len(platform.sent)} events were not heard"
        assert platform.covered() > 0.99

    virtual.run(work())


@pytest.mark.parametrize("page", [2, 3])
@pytest.mark.parametrize("said", [{}, {"entities": []}, *(lie({}) for lie in ERROR_BODIES.values())])
async def test_a_page_of_a_list_that_says_nothing_does_not_end_it(tmp_path: Path, said: Any, page: int) -> None:
    """24, K1: a page in the middle of the list of queues is `{}`, or an error's body, once: asked again or refused, and
    never a shorter list."""
    async with LyingSimulator(seed=5, per_hour=0, queues=250, rate_limit=100_000) as organisation:
        times = itertools.count()

        def lie(request: Any) -> Any:
            here = request.path == "/api/v2/routing/queues" and request.query.get("pageNumber") == str(page)
            return said if here and next(times) == 0 else None

        organisation.says = lie
        settings = load(env=organisation.env, cwd=tmp_path)

        async def no_time(_seconds: float) -> None:
            await asyncio.sleep(0)

        async with Api(settings, sleep=no_time) as api:
            try:
                found = await api.queues()
            except RollbookError:
                return
        assert len(found) == 250


# 10


@contextlib.asynccontextmanager
async def elsewhere(path: Path, differs: timedelta) -> AsyncIterator[LyingSimulator]:
    """An organisation whose clock differs from this machine's, in which something begins every few seconds."""
    now = datetime.now(UTC)
    begin = (now - timedelta(minutes=40)).replace(second=0, microsecond=0)
    (path / "rollbook.toml").write_text(
        f'[reconcile]\nwidth = "PT5M"\nlag = "PT2M"\nsince = "{begin:%Y-%m-%dT%H:%M:%SZ}"\n[realtime]\nusers = false\n'
    )
    first = now - timedelta(hours=2)
    async with LyingSimulator(seed=5, start=first, per_hour=600, rate_limit=100_000) as organisation:
        organisation.differ(differs)
        yield organisation


def proven(path: Path) -> list[tuple[str, str]]:
    """The windows that the ledger calls proven."""
    query = "SELECT start, \"end\" FROM windows WHERE verdict IN ('open', 'complete', 'settled') ORDER BY start"
    return rows(path / "rollbook.db", query)


def assert_true(path: Path, organisation: LyingSimulator) -> None:
    """Whatever is called proven has everything that the platform knows of it."""
    stored = {
        row[0]
        for row in rows(path / "rollbook.db", "SELECT conversation_id FROM conversations WHERE details IS NOT NULL")
    }
    for begin, end in proven(path):
        truth = organisation.truth(*(datetime.fromisoformat(edge.replace("Z", "+00:00")) for edge in (begin, end)))
        assert not truth.keys() - stored, f"{begin}: {len(truth.keys() - stored)} of {len(truth)} are missing"


@pytest.mark.process
@pytest.mark.parametrize("program", ["reconcile", "run"])
async def test_the_platforms_clock_decides_what_has_closed(tmp_path: Path, program: str) -> None:
    """10: this machine's clock is twelve minutes ahead, and every answer's `Date` says so: no window is read before its
    end, and later all of them are true."""
    async with elsewhere(tmp_path, timedelta(minutes=-12)) as organisation:
        if program == "reconcile":
            ran = await rollbook("reconcile", "--due", "--json", env=organisation.env, cwd=tmp_path)
            assert ran.status in (0, 3)
        else:
            await looked(tmp_path, organisation)
        late = to_text(organisation.now())
        assert proven(tmp_path)
        assert [end for _, end in proven(tmp_path) if end > late] == []
        organisation.clock.advance(timedelta(minutes=25))
        assert_true(tmp_path, organisation)


async def looked(path: Path, organisation: LyingSimulator) -> None:
    """The daemon runs until it has looked at the ledger and read what it found due."""
    process = await start("run", env=organisation.env, cwd=path)
    ending = asyncio.create_task(finish(process, within=60))
    database = path / "rollbook.db"

    def read() -> bool:
        with contextlib.suppress(Exception):
            waits = rows(database, "SELECT count(*) FROM windows WHERE verdict = 'due'")
            return bool(proven(path)) and waits == [(0,)]
        return False

    try:
        await until(read, within=40)
    finally:
        process.send_signal(signal.SIGTERM)
        ran = await ending
    assert ran.status == 0


@pytest.mark.process
async def test_an_interval_by_hand_that_the_platform_has_not_ended_is_not_proven(tmp_path: Path) -> None:
    """10: by hand, over half an hour that has ended by this machine's clock alone."""
    async with elsewhere(tmp_path, timedelta(minutes=-12)) as organisation:
        end = datetime.now(UTC) - timedelta(minutes=4)
        window = f"{end - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
        ran = await rollbook("reconcile", "--window", window, "--json", env=organisation.env, cwd=tmp_path)
        assert ran.status in (0, 1, 2, 3)
        if (tmp_path / "rollbook.db").exists():
            assert [until for _, until in proven(tmp_path) if until > to_text(organisation.now())] == []
        organisation.clock.advance(timedelta(minutes=25))
        if (tmp_path / "rollbook.db").exists():
            assert_true(tmp_path, organisation)


@pytest.mark.process
async def test_a_clock_that_is_behind_leaves_no_window_waiting(tmp_path: Path) -> None:
    """10, K6: backwards: this machine is twelve minutes behind: what the platform's clock has closed is read."""
    async with elsewhere(tmp_path, timedelta(minutes=12)) as organisation:
        before = organisation.now()
        ran = await rollbook("reconcile", "--due", "--json", env=organisation.env, cwd=tmp_path)
        assert ran.status == 0
        closed = before - timedelta(minutes=2 + 5)
        assert max(end for _, end in proven(tmp_path)) >= to_text(closed - timedelta(minutes=1))
        assert_true(tmp_path, organisation)


# Small


@pytest.mark.process
@pytest.mark.parametrize("said", [{}, {"id": ""}, {"name": "Acme"}, {"message": "busy", "status": 503}])
async def test_an_answer_that_names_no_organisation_binds_no_store(tmp_path: Path, said: Any) -> None:
    """Small: once, whose token it is, is not said: the command ends with one line or asks again, and the store belongs
    to the right organisation afterwards."""
    async with elsewhere(tmp_path, timedelta(0)) as organisation:
        times = itertools.count()

        def lie(request: Any) -> Any:
            return said if request.path == "/api/v2/organizations/me" and next(times) == 0 else None

        organisation.says = lie
        first = await rollbook("reconcile", "--due", "--json", env=organisation.env, cwd=tmp_path)
        assert first.status in (0, 1)
        assert first.status == 0 or list(json.loads(first.out)) == ["error"]
        again = await rollbook("reconcile", "--due", "--json", env=organisation.env, cwd=tmp_path)
        assert again.status == 0, again
        assert rows(tmp_path / "rollbook.db", "SELECT id FROM organization") == [
            (organisation.world.organization["id"],)
        ]
