"""Lists of everything that records name: paged, renamed, deleted, made anew, and refused without a permission."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from rollbook.simulator.faults.organisation_faults import check
from rollbook.simulator.faults.script import Fault, ScriptError
from rollbook.simulator.organisation.directory import KINDS
from rollbook.simulator.rest.entities.authorization import PERMISSIONS
from tests.helpers.guest import START, Guest, refusal, signed_in

PATHS = {
    "queue": "/api/v2/routing/queues",
    "user": "/api/v2/users",
    "wrapupcode": "/api/v2/routing/wrapupcodes",
    "division": "/api/v2/authorization/divisions",
    "flow": "/api/v2/flows",
    "skill": "/api/v2/routing/skills",
    "language": "/api/v2/routing/languages",
    "team": "/api/v2/teams",
    "edge": "/api/v2/telephony/providers/edges",
    "site": "/api/v2/telephony/providers/edges/sites",
}
NEEDS = {
    "queue": "routing:queue:view",
    "user": "directory:user:view",
    "wrapupcode": "routing:wrapupCode:view",
    "division": "authorization:division:view",
    "flow": "architect:flow:view",
    "team": "groups:team:view",
    "edge": "telephony:plugin:all",
    "site": "telephony:plugin:all",
}
# Where the records of an organisation name an entity, by the field.
FIELDS = {
    "queueId": "queue",
    "userId": "user",
    "evaluatorId": "user",
    "selectedAgentId": "user",
    "assignerId": "user",
    "requestedRoutingUserIds": "user",
    "proposedAgentId": "user",
    "scoredAgentId": "user",
    "wrapUpCode": "wrapupcode",
    "divisionIds": "division",
    "flowId": "flow",
    "activeSkillIds": "skill",
    "removedSkillIds": "skill",
    "requestedRoutingSkillIds": "skill",
    "requestedLanguageId": "language",
    "teamId": "team",
    "edgeId": "edge",
}


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    """Signed in to an organisation of half a day with every kind of conversation."""
    async with signed_in(variety=True) as client:
        yield client


async def listed(guest: Guest, kind: str, **params: Any) -> list[dict[str, Any]]:
    """Every entity of a list, by its next pages."""
    found: list[dict[str, Any]] = []
    answer = (await guest.get(PATHS[kind], pageSize=2, **params)).json()
    while True:
        found += answer["entities"]
        if "nextUri" not in answer:
            return found
        answer = (await guest.get(answer["nextUri"])).json()


def named(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """(kind, id) of everything that a record names."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from named(member, name)
    elif isinstance(value, list):
        for member in value:
            yield from named(member, field)
    elif field in FIELDS and isinstance(value, str):
        yield FIELDS[field], value


async def test_everything_that_a_record_names_is_listed(guest: Guest) -> None:
    """Each id is in the list of its kind, but for the code that is a word; edges name their site."""
    records = guest.simulator.truth(START, guest.simulator.now())
    guest.simulator.clock.advance(timedelta(days=30))
    records |= guest.simulator.truth(START, START + timedelta(hours=12))
    names = {pair for record in records.values() for pair in named(record)}
    assert {kind for kind, _ in names} == set(KINDS) - {"site"}
    there = {(kind, entity["id"]) for kind in KINDS for entity in await listed(guest, kind)}
    assert names - there == {("wrapupcode", "ININ-WRAP-UP-TIMEOUT")}
    assert {edge["site"]["id"] for edge in await listed(guest, "edge")} <= {id for kind, id in there if kind == "site"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kind_is_read_page_by_page(guest: Guest, kind: str) -> None:
    """Each entity comes once, with a name; some of them can be asked for by id where the platform has that."""
    found = await listed(guest, kind)
    ids = [entity["id"] for entity in found]
    assert len(ids) == len(set(ids)) == len(guest.simulator.world.directory.lists[kind])
    assert all(entity["name"] for entity in found)
    if kind not in ("team", "edge", "site"):
        some = await listed(guest, kind, id=",".join(ids[:2]))
        assert [entity["id"] for entity in some] == ids[:2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_permission_for_each_kind(guest: Guest, kind: str) -> None:
    """Whoever lacks it is told its name; skills and languages need none."""
    simulator = guest.simulator
    simulator.sign_in.change(simulator.client._replace(lacks=PERMISSIONS))
    answer = await guest.get(PATHS[kind])
    if kind in NEEDS:
        assert NEEDS[kind] in refusal(answer, 403, "missing.permissions")["message"]
    else:
        assert answer.status_code == 200


async def test_a_script_renames_deletes_and_makes(guest: Guest) -> None:
    """From its moment on a list shows it; a new entity may take the name that another had; history answers for before."""
    simulator, now = guest.simulator, guest.simulator.now()
    first, second = (queue["id"] for queue in simulator.world.queues[:2])
    for seconds, fault in (
        (60, Fault("rename", parameters={"what": "queue", "id": first, "name": "Orders"})),
        (120, Fault("remove", parameters={"what": "queue", "id": first})),
        (180, Fault("make", parameters={"what": "queue", "name": "Orders"})),
    ):
        simulator.faults.add(Fault(fault.kind, at=now + timedelta(seconds=seconds), parameters=fault.parameters))
    shown = []
    for _ in range(4):
        shown.append({queue["id"]: queue["name"] for queue in await listed(guest, "queue")})
        simulator.clock.advance(timedelta(minutes=1))
    assert shown[0][first] == "Queue 1"
    assert shown[1][first] == "Orders"
    assert first not in shown[2]
    [made] = shown[3].keys() - shown[0].keys()
    assert shown[3][made] == "Orders"
    assert shown[3][second] == "Queue 2"
    directory = simulator.world.directory
    then = [directory.named("queue", first, now + timedelta(seconds=at)) for at in (0, 90, 150)]
    assert [(each.name, each.state) for each in then if each] == [
        ("Queue 1", "active"),
        ("Orders", "active"),
        ("Orders", "deleted"),
    ]
    assert directory.named("queue", made, now) is None


async def test_conversations_name_who_is_there(guest: Guest) -> None:
    """A queue that is gone gets no calls any more, one that is new does; a record keeps the name of its time."""
    simulator = guest.simulator
    directory, at = simulator.world.directory, simulator.now()
    gone, renamed = (queue["id"] for queue in simulator.world.queues[:2])
    directory.delete("queue", gone, at)
    directory.rename("queue", renamed, "Renamed", at)
    made = directory.make("queue", "Queue 1", at)["id"]
    simulator.clock.advance(timedelta(hours=12))

    def queues(start: Any, end: Any) -> dict[str, set[str]]:
        legs = [
            (leg["sessions"][0]["segments"][0]["queueId"], leg["participantName"])
            for record in simulator.truth(start, end).values()
            for leg in record["participants"]
            if leg["purpose"] == "acd"
        ]
        return {queue: {name for other, name in legs if other == queue} for queue, _ in legs}

    before, after = queues(START, at), queues(at, simulator.now())
    assert made not in before
    assert before[renamed] == {"Queue 2"}
    assert gone in before
    assert gone not in after
    assert after[renamed] == {"Renamed"}
    assert after[made] == {"Queue 1"}


async def test_which_deleted_ones_can_be_listed(guest: Guest) -> None:
    """Users by state, flows and divisions on request, skills with their state; queues, codes and teams are gone."""
    directory, now = guest.simulator.world.directory, guest.simulator.now()
    gone = {}
    for kind in KINDS:
        gone[kind] = directory.lists[kind][-1]["id"]
        directory.delete(kind, gone[kind], now)

    async def states(kind: str, **params: Any) -> str | None:
        found = [entity for entity in await listed(guest, kind, **params) if entity["id"] == gone[kind]]
        return str(found[0].get("state", found[0].get("deleted"))) if found else None

    assert [await states(kind) for kind in ("queue", "wrapupcode", "team", "division", "user", "flow")] == [None] * 6
    assert await states("user", state="any") == "deleted"
    assert await states("user", state="deleted") == "deleted"
    assert await states("flow", deleted="true") == "True"
    assert [await states(kind) for kind in ("skill", "language", "edge", "site")] == ["deleted"] * 4
    answer = (await guest.get(f"{PATHS['division']}/deleted")).json()
    assert [division["id"] for division in answer["entities"]] == [gone["division"]]


async def test_a_list_may_be_a_part_or_nothing(guest: Guest) -> None:
    """The faults of answers strike these lists too."""
    faults = guest.simulator.faults
    faults.add(Fault("fewer", path="GET */teams", parameters={"share": 0.5}))
    assert len((await guest.get(PATHS["team"])).json()["entities"]) == 1
    faults.add(Fault("empty_page", path="GET */flows"))
    assert (await guest.get(PATHS["flow"])).json()["entities"] == []
    faults.add(Fault("status", path="GET */edges", parameters={"status": 503}))
    refusal(await guest.get(PATHS["edge"]), 503, "service.unavailable")


def test_a_kind_that_there_is_not() -> None:
    """A script that renames what has no name is refused before it is played."""
    with pytest.raises(ScriptError, match="what must be one of queue, user"):
        check([Fault("rename", at=1.0, parameters={"what": "door", "name": "Front"})])
