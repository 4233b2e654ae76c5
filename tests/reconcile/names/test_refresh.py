"""Names as they are listed: against the simulator, with renames, deletions, re-used names and lists that fail."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconcile.names.refresh import KindRead, ask, refresh
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.request import counting
from rollbook.genesys.errors import SignInRefused
from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.simulator.organisation.directory import Directory
from rollbook.store.book import Book
from rollbook.store.tables import names
from tests.helpers.peek import peek

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


class Names(NamedTuple):
    """An organisation whose clock stands, and a store that lists its names."""

    simulator: Simulator
    book: Book
    api: Api

    @property
    def directory(self) -> Directory:
        return self.simulator.world.directory

    async def refresh(self, *kinds: NameKind, days: float = 1) -> dict[NameKind, KindRead]:
        """After some days, list these kinds, or all."""
        self.simulator.clock.advance(days * DAY)
        read = await refresh(self.book, self.api, now=self.simulator.now, kinds=kinds or tuple(LISTS))
        return {each.kind: each for each in read}

    async def ask(self) -> list[KindRead]:
        """Ask for ids that have no name."""
        return await ask(self.book, self.api, now=self.simulator.now)

    def meet(self, *ids: tuple[str, str]) -> None:
        """Details name these."""
        self.book.write(names.meet, ids).result(10)

    def rows(self, kind: str, identity: str) -> list[tuple[str, str]]:
        """(name, state) of an id, the earlier ones first."""
        query = "SELECT name, state FROM names WHERE kind = ? AND id = ? ORDER BY valid_from"
        return peek(self.book, lambda db: db.execute(query, (kind, identity)).fetchall())


async def at_once(_: float) -> None:
    """Pauses take no time."""


@asynccontextmanager
async def organisation(path: Path, **more: Any) -> AsyncIterator[Names]:
    """With as many entities as a test wants."""
    simulator = Simulator(seed=5, start=START, rate=0, per_hour=0, rate_limit=100_000, **more)
    async with simulator:
        settings = load(env=simulator.env, cwd=path)
        with Book.open(path / "rollbook.db", organization=("o", "o")) as book:
            async with Api(settings, now=simulator.now, sleep=at_once) as api:
                yield Names(simulator, book, api)


@pytest.fixture
async def org(tmp_path: Path) -> AsyncIterator[Names]:
    """A small organisation."""
    async with organisation(tmp_path) as made:
        yield made


async def test_a_refresh_costs_a_request_for_each_hundred(tmp_path: Path) -> None:
    """And one more a kind at most; the next day it costs the same."""
    async with organisation(tmp_path, queues=230, users=500) as org:
        now = org.simulator.now()
        for number in range(301):
            org.directory.make("wrapupcode", f"Code {number}", now)
        for number in range(40):
            org.directory.delete("user", org.simulator.world.users[number]["id"], now)
        for _ in range(2):
            org.simulator.request_counts.clear()
            with counting() as count:
                read = await org.refresh()
            spent = Counter(org.simulator.request_counts)
            for kind, of in LISTS.items():
                many = len(org.directory.every(kind))
                asked = spent[f"GET {of.path}"] + (spent[f"GET {of.deleted[0]}"] if of.deleted else 0)
                assert 1 <= asked <= -(-many // 100) + 1, kind
                assert read[kind].whole
            assert count.requests == sum(spent.values()) - spent["POST /oauth/token"]
        assert read[NameKind.USER].taken == names.Taken(0, 0, 0, 500)


async def test_a_rename_a_deletion_and_a_name_that_is_used_again(org: Names) -> None:
    """Each kind remembers: what it was called, that it is gone, and who has the name now."""
    await org.refresh()
    for kind in NameKind:
        old = org.directory.lists[kind][-1]
        name = old["name"]
        org.directory.rename(kind, old["id"], f"{name} before", org.simulator.now())
        await org.refresh(kind, NameKind.DIVISION)
        org.directory.delete(kind, old["id"], org.simulator.now())
        made = org.directory.make(kind, name, org.simulator.now())
        await org.refresh(kind, NameKind.DIVISION)
        await org.refresh(kind, NameKind.DIVISION)
        expected = [(name, "active"), (f"{name} before", "active"), (f"{name} before", "deleted")]
        assert org.rows(kind, old["id"]) == expected, kind
        assert org.rows(kind, made["id"]) == [(name, "active")], kind


async def test_a_change_is_dated_as_the_platform_dates_it(org: Names) -> None:
    """Where it says when an entity was changed; else by the listing that shows it."""
    await org.refresh()
    org.simulator.clock.advance(timedelta(hours=5))
    changed = org.simulator.now()
    for kind in (NameKind.QUEUE, NameKind.USER):
        org.directory.rename(kind, org.directory.lists[kind][0]["id"], "New", changed)
    await org.refresh(days=0.5)
    query = "SELECT kind, valid_from FROM names WHERE name = 'New' ORDER BY kind"
    dated = dict(peek(org.book, lambda db: db.execute(query).fetchall()))
    assert datetime.fromisoformat(dated["queue"]) == changed
    assert datetime.fromisoformat(dated["user"]) == changed + 0.5 * DAY


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "failed": ("status", {"status": 503}),
    "forbidden": ("forbid", {"permission": "routing:queue:view"}),
    "partial": ("fewer", {"share": 0.5}),
    "empty": ("empty_page", {}),
    "nothing": ("empty", {}),
    "an error": ("error_body", {}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_list_that_is_not_whole_deletes_nothing(fault: str, org: Names) -> None:
    """However often it fails, is a part or is empty; and it says so."""
    await org.refresh()
    kind, parameters = FAULTS[fault]
    org.simulator.faults.add(Fault(kind, path="GET */routing/queues", count=None, parameters=parameters))
    for _ in range(3):
        read = (await org.refresh(NameKind.DIVISION, NameKind.QUEUE))[NameKind.QUEUE]
        assert read.trouble is not None or not read.whole or read.taken == names.Taken()
    ids = [queue["id"] for queue in org.simulator.world.queues]
    assert [org.rows("queue", each)[-1][1] for each in ids] == ["active"] * len(ids)


async def test_who_sees_fewer_divisions_deletes_nothing(org: Names) -> None:
    """What lies in a division that the client no longer sees was not deleted; what lies in one that it sees was."""
    await org.refresh()
    seen = org.simulator.world.divisions[0]["id"]
    org.simulator.visible_divisions = [seen]
    there = [queue for queue in org.simulator.world.queues if queue["division"]["id"] == seen]
    hidden = [queue for queue in org.simulator.world.queues if queue["division"]["id"] != seen]
    assert len(there) > 1
    assert hidden
    org.directory.delete("queue", there[0]["id"], org.simulator.now())
    for _ in range(3):
        await org.refresh(NameKind.DIVISION, NameKind.QUEUE)
    assert [org.rows("queue", queue["id"])[-1][1] for queue in hidden] == ["active"] * len(hidden)
    assert org.rows("queue", there[0]["id"])[-1][1] == "deleted"
    divisions = [org.rows("division", division["id"])[-1][1] for division in org.simulator.world.divisions]
    assert divisions == ["active"] * 3


async def test_a_kind_without_permission_leaves_the_others_alone(org: Names) -> None:
    """It is noted with the permission, what was known of it stays, and the day after it is listed again."""
    await org.refresh()
    before = org.rows("team", org.directory.lists["team"][0]["id"])
    client = org.simulator.client
    org.simulator.sign_in.change(client._replace(lacks=frozenset({"groups:team:view", "telephony:plugin:all"})))
    read = await org.refresh()
    lacking = {kind: each.permission for kind, each in read.items() if each.permission}
    assert lacking == {
        NameKind.TEAM: "groups:team:view",
        NameKind.EDGE: "telephony:plugin:all",
        NameKind.SITE: "telephony:plugin:all",
    }
    assert org.rows("team", org.directory.lists["team"][0]["id"]) == before
    assert peek(org.book, names.listings)["team"].permission == "groups:team:view"
    org.simulator.sign_in.change(client)
    assert all(each.trouble is None for each in (await org.refresh()).values())
    assert peek(org.book, names.listings)["team"].permission is None


async def test_ids_without_a_name_are_asked_for_together(org: Names) -> None:
    """One request a kind; what nobody knows is asked for once, and stays counted."""
    await org.refresh()
    made = {kind: org.directory.make(kind, f"New {kind}", org.simulator.now()) for kind in NameKind}
    org.meet(*((kind, entity["id"]) for kind, entity in made.items()))
    org.meet(("queue", "11111111-1111-4111-8111-111111111111"), ("wrapupcode", "ININ-WRAP-UP-TIMEOUT"))
    org.simulator.clock.advance(timedelta(minutes=1))
    org.simulator.request_counts.clear()
    await org.ask()
    assert all(org.rows(kind, entity["id"]) == [(f"New {kind}", "active")] for kind, entity in made.items())
    paths = [f"GET {of.path}" for of in LISTS.values()]
    assert {path: org.simulator.request_counts[path] for path in paths} == dict.fromkeys(paths, 1)
    assert peek(org.book, names.unnamed) == {"queue": 1}
    org.simulator.request_counts.clear()
    assert await org.ask() == []
    assert not org.simulator.request_counts


async def test_ids_that_the_platform_refuses_are_left(org: Names) -> None:
    """One bad id spoils its request: it is not made again every minute, and the other kinds are asked for all the same."""
    await org.refresh()
    team = org.directory.make("team", "New", org.simulator.now())
    org.meet(("queue", "not-an-id"), ("skill", "x"), ("team", team["id"]))
    for path, status in (("GET */queues", 400), ("GET */skills", 503)):
        org.simulator.faults.add(Fault("status", path=path, count=None, parameters={"status": status}))
    org.simulator.clock.advance(timedelta(minutes=1))
    read = {each.kind: each.trouble for each in await org.ask()}
    assert read[NameKind.QUEUE]
    assert read[NameKind.SKILL]
    assert read[NameKind.TEAM] is None
    assert org.rows("team", team["id"]) == [("New", "active")]
    assert peek(org.book, names.to_ask, 100) == {"skill": ["x"]}


async def test_nobody_is_asked_for_what_may_not_be_seen(org: Names) -> None:
    """Ids of a kind whose permission is missing wait for the listing that shows that it is there again."""
    client = org.simulator.client
    org.simulator.sign_in.change(client._replace(lacks=frozenset({"directory:user:view"})))
    user = org.simulator.world.users[0]
    org.meet(("user", user["id"]))
    [read] = await org.ask()
    assert read.permission == "directory:user:view"
    org.simulator.request_counts.clear()
    assert await org.ask() == []
    assert not org.simulator.request_counts
    org.simulator.sign_in.change(client)
    await org.refresh()
    assert org.rows("user", user["id"]) == [(user["name"], "active")]


async def test_a_sign_in_that_is_refused_is_nobody_elses_trouble(org: Names, tmp_path: Path) -> None:
    """It is raised, not noted for each kind."""
    wrong = Settings(
        api_url=org.simulator.api_url,
        login_url=org.simulator.login_url,
        client_id=org.simulator.client_id,
        client_secret=Secret("wrong"),
        store_path=tmp_path / "other.db",
    )
    async with Api(wrong, sleep=at_once) as api:
        with pytest.raises(SignInRefused):
            await refresh(org.book, api, now=org.simulator.now)
    assert peek(org.book, names.listings) == {}
