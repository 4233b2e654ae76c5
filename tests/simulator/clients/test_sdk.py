"""The platform's own SDK as the simulator's client, over real HTTP: what it can do there, it can do here.

The SDK blocks, so each test runs it in a thread.
"""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.simulator.rest.analytics.filters import GRAMMARS
from rollbook.simulator.rest.analytics.jobs import JobRules

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = "2026-03-02T10:00:00.000Z/2026-03-02T11:00:00.000Z"
QUERY = "POST /api/v2/analytics/conversations/details/query"


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The SDK, imported late (it takes seconds) and with a home of its own, where it finds no settings of anybody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        import PureCloudPlatformClientV2

    assert PureCloudPlatformClientV2.configuration.config_file_path.startswith(str(Path("/")))
    return PureCloudPlatformClientV2


@pytest.fixture
async def organisation() -> AsyncIterator[Simulator]:
    """An organisation a day old, whose clock stands."""
    rules = JobRules(lag=timedelta(0), seconds=0.0)
    simulator = Simulator(
        seed=4, start=START, rate=0, per_hour=120, queues=30, users=30, job_rules=rules, rate_limit=100_000
    )
    simulator.clock.advance(timedelta(hours=15))  # before it is up, so that nothing of the past is told live
    async with simulator:
        yield simulator


@pytest.fixture
async def client(sdk: Any, organisation: Simulator) -> Any:
    """The SDK, signed in with client credentials."""
    api = sdk.api_client.ApiClient(organisation.api_url)
    return await asyncio.to_thread(api.get_client_credentials_token, organisation.client_id, organisation.client_secret)


def error_of(failed: pytest.ExceptionInfo[Any]) -> dict[str, Any]:
    """The ErrorBody of an ApiException."""
    body: dict[str, Any] = json.loads(failed.value.body)
    assert body["status"] == failed.value.status
    assert re.fullmatch(r"[0-9a-f-]{36}", body["contextId"])
    return body


def same(value: Any) -> Any:
    """JSON with its times as times, so that two spellings of one are equal."""
    if isinstance(value, dict):
        return {key: same(part) for key, part in value.items()}
    if isinstance(value, list):
        return [same(part) for part in value]
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return datetime.fromisoformat(value)
    return value


async def test_credentials_are_needed(sdk: Any, organisation: Simulator) -> None:
    """A wrong secret is refused in the words of the sign-in."""
    api = sdk.api_client.ApiClient(organisation.api_url)
    with pytest.raises(sdk.rest.ApiException) as failed:
        await asyncio.to_thread(api.get_client_credentials_token, organisation.client_id, "wrong")
    assert failed.value.status == 400
    assert json.loads(failed.value.body)["error"] == "invalid_client"


async def test_queues_and_users_are_paged(sdk: Any, client: Any, organisation: Simulator) -> None:
    """Every queue and every user comes once, over several pages, with their divisions, in the order of names."""
    routing, users = sdk.RoutingApi(client), sdk.UsersApi(client)
    for ask, entities in (
        (routing.get_routing_queues, sorted(organisation.world.queues, key=lambda entity: entity["name"])),
        (users.get_users, sorted(organisation.world.users, key=lambda entity: entity["name"])),
    ):
        found, number = [], 1
        while True:
            page = await asyncio.to_thread(ask, page_size=12, page_number=number)
            found += page.entities
            if number == page.page_count:
                break
            number += 1
        assert [entity.id for entity in found] == [entity["id"] for entity in entities]
        assert all(entity.division.name for entity in found)
        assert page.total == 30
    assert (await asyncio.to_thread(sdk.ObjectsApi(client).get_authorization_divisions)).total == 3
    organization = await asyncio.to_thread(sdk.OrganizationApi(client).get_organizations_me)
    assert organization.id == organisation.world.organization["id"]


async def test_everything_with_a_name_is_listed_for_the_sdk(sdk: Any, client: Any, organisation: Simulator) -> None:
    """Flows, skills, languages, teams, edges with their sites and deleted divisions fit the SDK's models."""
    directory, now = organisation.world.directory, organisation.now()
    division = directory.make("division", "Old", now)
    directory.delete("division", division["id"], now)
    flow = directory.lists["flow"][0]
    directory.delete("flow", flow["id"], now)
    routing, edges = sdk.RoutingApi(client), sdk.TelephonyProvidersEdgeApi(client)
    architect, objects = sdk.ArchitectApi(client), sdk.ObjectsApi(client)
    for kind, ask, more in (
        ("skill", routing.get_routing_skills, {}),
        ("language", routing.get_routing_languages, {}),
        ("wrapupcode", routing.get_routing_wrapupcodes, {}),
        ("flow", architect.get_flows, {"deleted": True}),
        ("team", sdk.TeamsApi(client).get_teams, {}),
        ("edge", edges.get_telephony_providers_edges, {}),
        ("site", edges.get_telephony_providers_edges_sites, {}),
    ):
        found = (await asyncio.to_thread(ask, page_size=100, **more)).entities
        expected = {entity["id"]: entity["name"] for entity in directory.every(kind)}
        assert {entity.id: entity.name for entity in found} == expected, kind
    assert all(
        edge.site.id in expected for edge in (await asyncio.to_thread(edges.get_telephony_providers_edges)).entities
    )
    flows = (await asyncio.to_thread(architect.get_flows, page_size=100, deleted=True)).entities
    assert [each.id for each in flows if each.deleted] == [flow["id"]]
    gone = (await asyncio.to_thread(objects.get_authorization_divisions_deleted)).entities
    assert [each.name for each in gone] == ["Old"]


async def test_the_details_query_to_its_last_page(sdk: Any, client: Any, organisation: Simulator) -> None:
    """All conversations of the hour come once; the page past the last has no conversations."""
    api, number = sdk.AnalyticsApi(client), 1
    found: dict[str, Any] = {}
    while True:
        body = sdk.ConversationQuery()
        body.interval, body.order, body.order_by = HOUR, "asc", "conversationStart"
        body.paging = {"pageSize": 40, "pageNumber": number}
        answer = await asyncio.to_thread(api.post_analytics_conversations_details_query, body)
        if not answer.conversations:
            break
        assert answer.total_hits >= len(answer.conversations)
        found |= {conversation.conversation_id: conversation for conversation in answer.conversations}
        number += 1
    assert number > 2
    assert answer.conversations is None
    truth = organisation.truth(START + timedelta(hours=10), START + timedelta(hours=11))
    assert truth.keys() <= found.keys()


async def test_the_sdk_knows_every_field_and_every_value(sdk: Any, client: Any, organisation: Simulator) -> None:
    """Records go through the SDK's models and back without loss: no field and no enum value is made up."""
    organisation.clock.advance(timedelta(days=40))
    organisation.world._per_hour = 0
    truth = organisation.truth(START, START + timedelta(hours=10))
    late = [
        conversation
        for conversation in truth.values()
        if {"evaluations", "surveys", "resolutions"} & conversation.keys()
    ]
    chosen = [*late, *(conversation for conversation in truth.values() if conversation not in late)][:200]
    assert len(late) > 5
    api = sdk.AnalyticsApi(client)
    kinds = set()
    for at in range(0, len(chosen), 100):
        batch = chosen[at : at + 100]
        ids = ",".join(conversation["conversationId"] for conversation in batch)
        answer = await asyncio.to_thread(api.get_analytics_conversations_details, id=ids)
        for sent, record in zip(answer.conversations, batch, strict=True):
            assert same(client.sanitize_for_serialization(sent)) == same(record)
            kinds |= {
                session["mediaType"] for participant in record["participants"] for session in participant["sessions"]
            }
    assert kinds == {"voice", "message", "email", "callback"}
    for model, entity in ((sdk.Queue, organisation.world.queues[0]), (sdk.User, organisation.world.users[0])):
        assert entity.keys() <= set(model().attribute_map.values())


@pytest.mark.parametrize("filters", [key for key in GRAMMARS if key != "resolutionFilters"])
def test_filters_may_name_what_the_sdk_names(sdk: Any, filters: str) -> None:
    """Dimensions and metrics are those of the SDK's predicate models, no more and no fewer."""
    kind = filters.removesuffix("Filters").capitalize()
    model = getattr(sdk, f"{kind}DetailQueryPredicate")
    for name, known in zip(("dimension", "metric"), GRAMMARS[filters][:2], strict=True):
        source = inspect.getsource(getattr(model, name).fset)
        allowed = re.search(r"allowed_values = \[(.*)\]", source)
        assert allowed is not None
        assert set(re.findall(r'"(\w+)"', allowed[1])) == known


async def test_details_by_id(sdk: Any, client: Any, organisation: Simulator) -> None:
    """One that exists is answered; one that does not is a 404 with the platform's error body."""
    api = sdk.AnalyticsApi(client)
    conversation_id = next(iter(organisation.truth(START, START + timedelta(hours=1))))
    assert (
        await asyncio.to_thread(api.get_analytics_conversation_details, conversation_id)
    ).conversation_id == conversation_id
    with pytest.raises(sdk.rest.ApiException) as failed:
        await asyncio.to_thread(api.get_analytics_conversation_details, conversation_id[::-1])
    assert (failed.value.status, error_of(failed)["code"]) == (404, "not.found")
    assert failed.value.headers["ININ-Correlation-Id"] == error_of(failed)["contextId"]


async def test_a_job_to_its_end(sdk: Any, client: Any, organisation: Simulator) -> None:
    """Submit, ask until it is done, read by cursor: every conversation once, with attributes."""
    api = sdk.AnalyticsApi(client)
    body = sdk.AsyncConversationQuery()
    body.interval, body.start_of_day_interval_matching = HOUR, True
    job = (await asyncio.to_thread(api.post_analytics_conversations_details_jobs, body)).job_id
    status = await asyncio.to_thread(api.get_analytics_conversations_details_job, job)
    assert (status.state, status.error_message) == ("FULFILLED", None)
    found, cursor = [], None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        page = await asyncio.to_thread(api.get_analytics_conversations_details_job_results, job, page_size=50, **more)
        found += page.conversations
        cursor = page.cursor
        assert page.data_availability_date == organisation.now()
        if not cursor:
            break
    truth = organisation.truth(START + timedelta(hours=10), START + timedelta(hours=11))
    assert truth.keys() <= {conversation.conversation_id for conversation in found}
    assert len({conversation.conversation_id for conversation in found}) == len(found)
    assert found[0].participants[0].attributes
    available = await asyncio.to_thread(api.get_analytics_conversations_details_jobs_availability)
    assert available.data_availability_date == organisation.now()
    await asyncio.to_thread(api.delete_analytics_conversations_details_job, job)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: setattr(body, "interval", "2026-03-02T10:00Z"), "Invalid interval"),
        (
            lambda body: setattr(body, "interval", "2026-03-01T00:00:00Z/2026-03-09T00:00:00Z"),
            "does not exceed 7 days.",
        ),
        (lambda body: setattr(body, "paging", {"pageSize": 100, "pageNumber": 1001}), "Pagination may not exceed"),
        (lambda body: setattr(body, "paging", {"pageSize": 201, "pageNumber": 1}), "pageSize"),
    ],
)
async def test_a_query_that_is_refused(sdk: Any, client: Any, change: Callable[[Any], None], words: str) -> None:
    """The SDK raises its ApiException with 400 and a sentence."""
    body = sdk.ConversationQuery()
    body.interval = HOUR
    change(body)
    with pytest.raises(sdk.rest.ApiException) as failed:
        await asyncio.to_thread(sdk.AnalyticsApi(client).post_analytics_conversations_details_query, body)
    assert (failed.value.status, error_of(failed)["code"]) == (400, "bad.request")
    assert words in error_of(failed)["message"]


async def test_too_many_requests(sdk: Any, client: Any, organisation: Simulator) -> None:
    """With Retry-After the SDK waits and tries again by itself; without it, it raises."""
    api = sdk.RoutingApi(client)
    organisation.faults.add(
        Fault("status", path="GET /api/v2/routing/*", count=2, parameters={"status": 429, "retry_after": 0})
    )
    assert (await asyncio.to_thread(api.get_routing_queues)).total == 30
    assert organisation.request_counts["GET /api/v2/routing/queues"] == 3
    organisation.faults.add(Fault("status", path="GET /api/v2/routing/*", parameters={"status": 429}))
    with pytest.raises(sdk.rest.ApiException) as failed:
        await asyncio.to_thread(api.get_routing_queues)
    assert (failed.value.status, error_of(failed)["code"]) == (429, "too.many.requests.retry.after")


async def test_a_token_that_ended(sdk: Any, client: Any, organisation: Simulator) -> None:
    """401 with the platform's code."""
    organisation.sign_in.revoke()
    with pytest.raises(sdk.rest.ApiException) as failed:
        await asyncio.to_thread(sdk.RoutingApi(client).get_routing_queues)
    assert (failed.value.status, error_of(failed)["code"]) == (401, "bad.credentials")
