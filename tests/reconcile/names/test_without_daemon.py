"""Names where no daemon keeps them: a round over what is due lists them after its windows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconcile.names.without_daemon import keep_names
from rollbook.genesys.api.listing import Entities
from rollbook.genesys.named import LISTS, NameKind, NameList
from rollbook.simulator.faults.script import Fault
from rollbook.store.tables import names
from tests.helpers.peek import peek
from tests.reconcile.names.test_refresh import DAY, START, Names, organisation


@pytest.fixture
async def org(tmp_path: Path) -> AsyncIterator[Names]:
    """An organisation without conversations, whose list of queues fails for a day after the first two."""
    trouble = Fault("status", path="*routing/queues*", at=START + 2 * DAY, count=None, parameters={"status": 500})
    async with organisation(tmp_path, faults=[trouble]) as made:
        yield made


async def kept(org: Names, stop: asyncio.Event | None = None) -> list[NameKind]:
    """The kinds that are listed or asked for after a round."""
    return [each.kind for each in await keep_names(org.book, org.api, now=org.simulator.now, stop=stop)]


async def test_each_round_lists_what_is_due_and_no_more(org: Names) -> None:
    """All kinds at the first round, none at the next one, all again a day later; an id that is new is asked for."""
    assert await kept(org) == list(LISTS)
    assert await kept(org) == []
    org.directory.make("queue", "new", org.simulator.now())
    org.meet(("queue", org.directory.lists["queue"][-1]["id"]), ("user", org.directory.lists["user"][0]["id"]))
    assert await kept(org) == [NameKind.QUEUE]
    assert peek(org.book, names.unnamed) == {}
    org.simulator.clock.advance(DAY)
    assert await kept(org) == list(LISTS)


async def test_a_stop_ends_it_and_what_was_listed_stays(org: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function near its deadline answers its report, whatever list is on its way; the next run goes on."""
    stop, asked = asyncio.Event(), list[NameList]()
    names_of = org.api.names

    async def stopped_at_the_third(of: NameList) -> Entities:
        asked.append(of)
        if len(asked) == 3:
            stop.set()
            await asyncio.Event().wait()
        return await names_of(of)

    monkeypatch.setattr(org.api, "names", stopped_at_the_third)
    assert await kept(org, stop) == []
    assert await kept(org, stop) == []
    assert len(asked) == 3
    assert len(peek(org.book, names.listings)) == 2
    assert await kept(org) == list(LISTS)[2:]


async def test_trouble_with_names_is_a_line_and_nothing_else(org: Names, caplog: pytest.LogCaptureFixture) -> None:
    """What was reconciled is reconciled; a permission that is missing is the doctor's to say."""
    org.simulator.clock.advance(2 * DAY)
    org.simulator.sign_in.change(org.simulator.client._replace(lacks=frozenset({"routing:wrapupCode:view"})))
    assert await kept(org) == list(LISTS)
    states = peek(org.book, names.listings)
    assert states["queue"].trouble is not None
    assert states["wrapupcode"].permission == "routing:wrapupCode:view"
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [message.split(":")[0] for message in warned] == ["names of kind queue were not listed"]


async def test_names_leave_the_last_requests_of_a_minute_alone(org: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else uses the OAuth client needs them more."""
    monkeypatch.setattr(org.api, "requests_left", lambda: 10)
    assert await kept(org) == []
    assert peek(org.book, names.listings) == {}
