"""The daemon's names: listed daily, asked for when an id has none, and never at the cost of what is captured."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.metrics import metrics
from realtime.daemon.name_keeper import NameKeeper
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.listing import Entities, Entity
from rollbook.genesys.errors import ConnectionLost, PermissionRefused, Unavailable
from rollbook.genesys.named import LISTS, NameKind, NameList
from rollbook.genesys.program.settings import load
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import names
from tests.helpers.peek import peek

MINUTE = timedelta(minutes=1)


class Platform:
    """The part of the API that is used, with a clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 12, tzinfo=UTC)
        self.asked: list[str] = []
        self.left = 240
        self.error: dict[NameKind, Exception] = {}
        self.budget = SimpleNamespace(limit=240)

    def now(self) -> datetime:
        return self.at

    def requests_left(self) -> int:
        return self.left

    async def names(self, of: NameList) -> Entities:
        self.asked.append(of.kind)
        if of.kind in self.error:
            raise self.error[of.kind]
        return Entities([Entity(f"{of.kind}-1", "First")])

    async def names_by_id(self, of: NameList, ids: Sequence[str]) -> Entities:
        self.asked.append(f"{of.kind} {','.join(ids)}")
        return Entities(Entity(identity, "Found") for identity in ids if identity.endswith("2"))

    def take(self) -> list[str]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[tuple[NameKeeper, Platform, Book]]:
    """A keeper of a new store."""
    platform = Platform()
    with Book.open(tmp_path / "rollbook.db") as book:
        yield NameKeeper(book, cast(Api, platform), now=platform.now), platform, book


Kept = tuple[NameKeeper, Platform, Book]


async def test_names_are_listed_once_a_day(kept: Kept) -> None:
    """At the first look and then daily, whatever number of looks there are."""
    keeper, platform, _ = kept
    for _ in range(24 * 3):
        await keeper.look()
        platform.at += 20 * MINUTE
    assert platform.take() == list(LISTS)
    await keeper.look()
    assert platform.take() == list(LISTS)


async def test_ids_without_a_name_are_asked_for_at_a_look(kept: Kept) -> None:
    """All of them in one request a kind; once."""
    keeper, platform, book = kept
    await keeper.look()
    platform.take()
    book.write(names.meet, [("user", "u2"), ("user", "u3"), ("queue", "queue-1"), ("team", "t2")]).result(10)
    platform.at += MINUTE
    await keeper.look()
    assert sorted(platform.take()) == ["team", "user u2,u3"]
    platform.at += MINUTE
    await keeper.look()
    assert platform.take() == []
    assert peek(book, names.unnamed) == {"team": 1, "user": 1}
    assert (keeper.unnamed["team"], keeper.unnamed["queue"]) == (1, 0)


async def test_names_wait_where_requests_are_scarce(kept: Kept) -> None:
    """A quarter of the minute's requests is left to capture and windows, however few they are."""
    keeper, platform, _ = kept
    platform.left = 59
    await keeper.look()
    assert platform.take() == []
    platform.budget.limit, platform.left = 40, 10
    await keeper.look()
    assert platform.take() == list(LISTS)


async def test_trouble_is_told_once_and_tried_again(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """A kind's own trouble after an hour; a missing permission after a day."""
    keeper, platform, _ = kept
    platform.error = {
        NameKind.SKILL: Unavailable("down", status=503),
        NameKind.TEAM: PermissionRefused("missing", status=403),
    }
    caplog.set_level(logging.INFO)
    await keeper.look()
    platform.take()
    assert "names of kind skill were not listed: down" in caplog.text
    for _ in range(60):
        platform.at += MINUTE
        await keeper.look()
    assert platform.take() == [NameKind.SKILL]


async def test_a_platform_that_is_away_is_left_alone_for_a_while(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; the other kinds wait too, and are listed when it is back."""
    keeper, platform, _ = kept
    platform.error = dict.fromkeys(LISTS, ConnectionLost("cannot be reached"))
    for _ in range(10):
        await keeper.look()
        platform.at += MINUTE
    assert platform.take() == [NameKind.DIVISION]
    assert keeper.failing == "cannot be reached"
    assert caplog.text.count("cannot be reached") == 1
    platform.error = {}
    await keeper.look()
    assert set(platform.take()) == set(LISTS) - {NameKind.DIVISION}
    assert keeper.failing is None


async def test_what_nobody_foresaw_ends_no_daemon(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept and logged, with its trace."""
    keeper, platform, _ = kept

    async def broken(_: Any) -> Entities:
        raise RuntimeError("defect")

    monkeypatch.setattr(platform, "names", broken)
    await keeper.look()
    assert keeper.failing is not None
    assert "defect" in keeper.failing


async def test_after_a_stop_nothing_is_asked(kept: Kept) -> None:
    """A look that comes too late does nothing."""
    keeper, platform, _ = kept
    keeper.stop()
    await keeper.look()
    assert platform.take() == []


async def test_a_daemon_lists_names(tmp_path: Path) -> None:
    """Some time after its start, with the same API as everything else; and a stop does not wait for it."""
    async with Simulator(seed=5, per_hour=0, users=3) as organisation:
        settings = replace(load(env=organisation.env, cwd=tmp_path), store_path=tmp_path / "rollbook.db")
        daemon = Daemon(settings, options=Options(names_every=timedelta(milliseconds=20)))
        task = asyncio.create_task(daemon.run())
        async with asyncio.timeout(30):
            await daemon.ready.wait()
            assert daemon._book is not None
            while len(await daemon._book.read(names.listings)) < len(LISTS):
                await asyncio.sleep(0)
            assert (await daemon._book.read(names.counted))["user"] == 3
            while not (await daemon.figures()).unnamed_ids:
                await asyncio.sleep(0)
            samples = {family.name: family.samples for family in metrics(await daemon.figures())}
            assert {sample.labels["kind"]: sample.value for sample in samples["rollbook_unnamed_ids"]} == dict.fromkeys(
                LISTS, 0
            )
            daemon.stop()
            assert await task == 0
