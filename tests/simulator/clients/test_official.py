"""What official and public programs ask of the organisation, and could tell it by: spellings, parameters, headers, ids."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import signal
import ssl
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from rollbook.simulator import Simulator
from rollbook.simulator.certificates import LOOPBACK, PARTS, Certificate, CertificateError, make
from rollbook.simulator.faults.script import Fault
from rollbook.simulator.rest.analytics.details_query import Paging
from rollbook.simulator.rest.analytics.jobs import JobRules
from tests.helpers.whole import finish, rollbook, start

with warnings.catch_warnings():
    # Its generated modules hold invalid escape sequences, which Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    import PureCloudPlatformClientV2 as sdk

START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = "2026-03-02T08:00:00.000Z/2026-03-02T12:00:00.000Z"
EMPTY = "2026-02-20T08:00:00.000Z/2026-02-20T12:00:00.000Z"
QUERY = "/api/v2/analytics/conversations/details/query"
AGGREGATES = "/api/v2/analytics/conversations/aggregates/query"
CHANNELS = "/api/v2/notifications/channels"


class Program:
    """A client over HTTP that has signed in."""

    def __init__(self, simulator: Simulator, http: httpx.AsyncClient) -> None:
        self.simulator, self.http = simulator, http

    async def sign_in(self) -> None:
        answer = await self.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(self.simulator.client_id, self.simulator.client_secret),
        )
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def query(self, size: object = 200, number: object = 1, **body: Any) -> Any:
        return await self.post(QUERY, {"interval": HOURS, "paging": {"pageSize": size, "pageNumber": number}, **body})

    async def names(self, path: str, **params: Any) -> list[str]:
        return [entity["name"] for entity in (await self.get(path, pageSize=100, **params))["entities"]]


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    """In an organisation of half a day, whose clock stands."""
    simulator = Simulator(
        seed=9,
        start=START,
        rate=0,
        per_hour=120,
        queues=12,
        users=14,
        rate_limit=100_000,
        job_rules=JobRules(lag=timedelta(0), seconds=0.0),
    )
    simulator.clock.advance(timedelta(hours=12))
    async with simulator, httpx.AsyncClient(base_url=simulator.api_url) as http:
        made = Program(simulator, http)
        await made.sign_in()
        yield made


# Spellings of the details query


async def test_two_hundred_rows_a_page(program: Program) -> None:
    """200 rows are given where 200 are asked for, or 100 if the organisation caps them; 201 are refused with that number."""
    assert len((await program.query(200))["conversations"]) == 200
    program.simulator.paging = Paging(most_rows=100)
    first, second = [await program.query(200, number) for number in (1, 2)]
    assert [len(page["conversations"]) for page in (first, second)] == [100, 100]
    ids = {conversation["conversationId"] for page in (first, second) for conversation in page["conversations"]}
    assert len(ids) == 200
    refused = await program.post(QUERY, {"interval": HOURS, "paging": {"pageSize": 201, "pageNumber": 1}}, 400)
    assert "may not exceed 200" in refused["message"]


async def test_a_value_may_be_spelled_in_either_way(program: Program) -> None:
    """Numbers as text and words in capitals mean the same as numbers and small letters."""

    def asked(*, loud: bool) -> dict[str, Any]:
        def word(text: str) -> str:
            return text.upper() if loud else text

        predicates = [
            {"type": word("dimension"), "dimension": "conversationEnd", "operator": word("exists")},
            {"type": word("metric"), "metric": "tTalk", "range": {"gt": "60000" if loud else 60000}},
        ]
        return {
            "interval": HOURS,
            "order": word("desc"),
            "orderBy": word("conversationEnd"),
            "paging": {"pageSize": "50" if loud else 50, "pageNumber": "2" if loud else 2},
            "conversationFilters": [{"type": word("and"), "predicates": predicates}],
            "aggregations": [{"type": word("termFrequency"), "dimension": "divisionId", "size": "2" if loud else 2}],
        }

    quiet = await program.post(QUERY, asked(loud=False))
    assert await program.post(QUERY, asked(loud=True)) == quiet
    assert len(quiet["conversations"]) == 50
    job = {"interval": HOURS, "limit": "7", "startOfDayIntervalMatching": "true", "order": "ASC"}
    made = await program.post("/api/v2/analytics/conversations/details/jobs", job, 202)
    path = f"/api/v2/analytics/conversations/details/jobs/{made['jobId']}"
    assert (await program.get(path))["state"] == "FULFILLED"
    assert len((await program.get(f"{path}/results"))["conversations"]) == 7
    for listed in ("TOKEN", "oauthclient"):
        assert await program.get(CHANNELS, includechannels=listed) == {"entities": []}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"order": "sideways"}, "Invalid order"),
        ({"conversationFilters": [{"type": "xor", "predicates": []}]}, "Invalid filter type"),
        (
            {"segmentFilters": [{"type": "and", "predicates": [{"dimension": "queueId", "value": "x", "values": []}]}]},
            "values",
        ),
        ({"segmentFilters": [{"type": "and", "predicate": []}]}, "Unrecognized field: predicate"),
        ({"aggregations": [{"type": "termFrequency", "dimension": "nothing"}]}, "nothing"),
    ],
)
async def test_what_is_neither_is_refused(program: Program, more: dict[str, Any], words: str) -> None:
    """A field or a word that the platform does not have is refused with 400, wherever in the body it stands."""
    refused = await program.post(QUERY, {"interval": HOURS, **more}, 400)
    assert words in refused["message"]


async def test_no_hits_can_be_counted(program: Program) -> None:
    """No hits, and a page past the last: `{}`, or with `totalHits` if the organisation does it so."""
    assert await program.query(interval=EMPTY) == {}
    assert await program.query(number=400) == {}
    total = (await program.query())["totalHits"]
    program.simulator.paging = Paging(counts_nothing=True)
    assert await program.query(interval=EMPTY) == {"totalHits": 0}
    assert await program.query(number=400) == {"totalHits": total}


# Aggregates


async def test_every_group_names_its_medium(program: Program) -> None:
    """`mediaType` is in each group, before the others, whether or not it is asked for; the counts stay the same."""
    body = {"interval": HOURS, "metrics": ["nOffered", "tTalk"]}
    for asked in ([], ["queueId"], ["queueId", "mediaType"], ["QUEUEID"]):
        results = (await program.post(AGGREGATES, {**body, "groupBy": asked}))["results"]
        names = {tuple(result["group"]) for result in results}
        assert names == {("mediaType", "queueId") if asked else ("mediaType",)}
        offered = sum(
            metric["stats"]["count"]
            for result in results
            for data in result["data"]
            for metric in data["metrics"]
            if metric["metric"] == "nOffered"
        )
        counted = await program.post(AGGREGATES, {**body, "metrics": ["nOffered"], "groupBy": ["conversationId"]})
        assert offered == sum(result["data"][0]["metrics"][0]["stats"]["count"] for result in counted["results"]) > 100


@pytest.mark.parametrize(
    "more",
    [
        {"timeZone": "Europe/Berlin"},
        {"views": [{"target": "tTalk"}]},
        {"alternateTimeDimension": "eventTime"},
        {"queryType": "topN"},
        {"limit": 3},
        {"groupBy": ["wrapUpCode"]},
        {"granularity": "P1M"},
        {"filter": {"type": "and", "predicates": [{"dimension": "disconnectType", "value": "peer"}]}},
    ],
)
async def test_what_an_aggregates_query_cannot_do_here_is_said(program: Program, more: dict[str, Any]) -> None:
    """What the platform has and the simulator has not is 501 with its name; it was passed over in silence, or 400."""
    refused = await program.post(AGGREGATES, {"interval": HOURS, "metrics": ["tTalk"], **more}, 501)
    assert refused["code"] == "not.simulated"
    assert next(iter(more)) in refused["message"] or next(iter(more)) == "filter"


# Ids


async def test_no_id_is_given_twice(program: Program) -> None:
    """Jobs, organisation, divisions, queues, users, wrap-up codes and conversations all have ids of their own."""
    job = {"interval": HOURS}
    made = [(await program.post("/api/v2/analytics/conversations/details/jobs", job, 202))["jobId"] for _ in range(10)]
    world = program.simulator.world
    entities = [world.organization, *world.divisions, *world.queues, *world.users, *world.wrap_up_codes]
    every = [*made, *(entity["id"] for entity in entities), *world.by_id]
    assert len(set(every)) == len(every)


async def test_a_correlation_id_is_the_same_wherever_an_answer_has_it(program: Program) -> None:
    """`contextId` is the header's id in every refusal: of resources, channels, subscriptions, sockets."""
    made = await program.post(CHANNELS, {})
    answers = [
        await program.http.get("/api/v2/routing/queues/nothing"),
        await program.http.get("/api/v2/scripts"),
        await program.http.head(f"{CHANNELS}/nothing"),
        await program.http.get(f"{CHANNELS}/nothing/subscriptions"),
        await program.http.post(f"{CHANNELS}/{made['id']}/subscriptions", json=[{"id": "v2.nothing"}]),
        await program.http.patch(f"{CHANNELS}/{made['id']}/subscriptions", json=[]),
        await program.http.get("/channels/nothing"),
        await program.http.get(CHANNELS, params={"includechannels": "all"}),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        if answer.content:
            assert answer.json()["contextId"] == answer.headers["ININ-Correlation-Id"], answer.request.url


# Lists


async def test_queues_are_listed_as_asked(program: Program) -> None:
    """By name, whole or with asterisks, ids, divisions, peers; sorted by name, up or down."""
    queues = program.simulator.world.queues
    path, names = "/api/v2/routing/queues", sorted(entity["name"] for entity in queues)
    assert await program.names(path) == names
    assert await program.names(path, sortOrder="DESC") == names[::-1]
    assert await program.names(path, name="queue 1") == ["Queue 1"], "the name, not a part of it"
    assert await program.names(path, name="Queue 1*") == [name for name in names if name.startswith("Queue 1")]
    assert await program.names(path, name="*2") == ["Queue 12", "Queue 2"]
    assert await program.names(path, name="*EUE 3*") == ["Queue 3"]
    two = [queues[3], queues[5]]
    assert await program.names(path, id=[entity["id"] for entity in two]) == sorted(entity["name"] for entity in two)
    assert await program.names(path, id=",".join(entity["id"] for entity in two)) == sorted(
        entity["name"] for entity in two
    )
    division = queues[0]["division"]["id"]
    mine = sorted(entity["name"] for entity in queues if entity["division"]["id"] == division)
    assert await program.names(path, divisionId=division) == mine != names
    assert await program.names(path, hasPeer="true") == await program.names(path, peerId=division) == []
    assert await program.names(path, hasPeer="false") == names


async def test_users_are_listed_as_asked(program: Program) -> None:
    """By id and state, sorted up or down, with presence and routing status if `expand` asks for them."""
    users, path = program.simulator.world.users, "/api/v2/users"
    users[2]["state"] = "inactive"
    names = sorted(entity["name"] for entity in users if entity["state"] == "active")
    assert await program.names(path) == names
    assert await program.names(path, sortOrder="descending") == sorted(names, reverse=True)
    assert await program.names(path, state="INACTIVE") == [users[2]["name"]]
    assert await program.names(path, state="any", id=[users[1]["id"], users[2]["id"]]) == ["Agent 2", "Agent 3"]
    user = (await program.get(path, expand="presence, routingStatus,conversationSummary,skills", pageSize=1))[
        "entities"
    ][0]
    assert user["presence"]["presenceDefinition"]["systemPresence"] in ("On Queue", "Break")
    assert user["routingStatus"]["status"] in ("IDLE", "INTERACTING", "OFF_QUEUE")
    assert user["conversationSummary"]["call"]["contactCenter"].keys() == {"active", "acw"}
    for wrong in ({"state": "asleep"}, {"sortOrder": "upwards"}, {"id": "x", "jabberId": "y"}, {"expand": "presense"}):
        assert (await program.http.get(path, params=wrong)).status_code == 400
    asked = {"expand": "presence", "integrationPresenceSource": "ZoomPhone"}
    assert (await program.http.get(path, params=asked)).status_code == 501


async def test_divisions_roles_and_permissions_are_listed_as_asked(program: Program) -> None:
    """Divisions by id and by a part of the name, with counts; roles by name and permission; permissions by domain."""
    world = program.simulator.world
    path = "/api/v2/authorization/divisions"
    assert await program.names(path, name="s") == ["Sales", "Service"]
    assert await program.names(path, id=world.divisions[1]["id"]) == ["Sales"]
    assert await program.names(path, sortBy="name", sortOrder="desc") == ["Service", "Sales", "Home"]
    counted = (await program.get(path, objectCount="true"))["entities"]
    assert sum(result["objectCounts"]["QUEUE"] for result in counted) == 12
    path = "/api/v2/authorization/roles"
    assert await program.names(path) == ["employee", "supervisor", "admin"]
    assert await program.names(path, permission="authorization:role:view") == ["admin"]
    assert await program.names(path, name="super") == ["supervisor"]
    domains = (await program.get("/api/v2/authorization/permissions", query="analytics,routing"))["entities"]
    assert [domain["domain"] for domain in domains] == ["analytics", "routing"]
    assert domains[1]["permissionMap"]["queue"][0]["action"] == "view"


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/v2/routing/queues", "expand"),
        ("/api/v2/authorization/divisions", "nextPage"),
        ("/api/v2/authorization/divisions", "expand"),
        ("/api/v2/authorization/roles", "previousPage"),
    ],
)
async def test_a_parameter_that_is_not_simulated_is_refused(program: Program, path: str, parameter: str) -> None:
    """A documented parameter that would change nothing here is 501 with its name, and is not passed over."""
    answer = await program.http.get(path, params={parameter: "x"})
    assert (answer.status_code, answer.json()["code"]) == (501, "not.simulated")
    assert parameter in answer.json()["message"]


async def test_wrap_up_codes_are_those_of_the_conversations(program: Program) -> None:
    """Every code that a record names is in the list, with a name."""
    listed = {entity["id"]: entity["name"] for entity in (await program.get("/api/v2/routing/wrapupcodes"))["entities"]}
    truth = program.simulator.truth(START, START + timedelta(hours=12))
    used = {
        segment["wrapUpCode"]
        for record in truth.values()
        for who in record["participants"]
        for session in who["sessions"]
        for segment in session["segments"]
        if "wrapUpCode" in segment
    }
    assert used - {"ININ-WRAP-UP-TIMEOUT"} == listed.keys()
    assert await program.names("/api/v2/routing/wrapupcodes", name="Comp*") == ["Complaint"]


# The programs that were stopped


async def test_a_conversation_that_goes_on(program: Program) -> None:
    """`GET /conversations/{id}` tells one as it stands, through the SDK's model; an unknown one is 404."""
    client = sdk.api_client.ApiClient(program.simulator.api_url)
    client.access_token = program.http.headers["Authorization"].removeprefix("Bearer ")
    conversations, now = sdk.ConversationsApi(client), program.simulator.now()
    lives = program.simulator.world.between(now - timedelta(hours=1), now)
    open_one = next(life for life in lives if life.end > now)
    over = next(life for life in lives if life.end < now)
    found = await asyncio.to_thread(conversations.get_conversation, open_one.id)
    assert (found.id, found.start_time, found.end_time) == (open_one.id, open_one.start.replace(tzinfo=UTC), None)
    assert found.participants[0].purpose in ("customer", "agent")
    assert (await asyncio.to_thread(conversations.get_conversation, over.id)).end_time is not None
    body = await program.get(f"/api/v2/conversations/{over.id}")
    assert body.keys() <= set(sdk.Conversation().attribute_map.values())
    for who in body["participants"]:
        assert who.keys() <= set(sdk.Participant().attribute_map.values())
        for call in who["calls"]:
            assert call.keys() <= set(sdk.Call().attribute_map.values())
            assert call["segments"][0]["startTime"] >= who["startTime"]
    answer = await program.http.get("/api/v2/conversations/00000000-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "not.found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/conversations/calls/x"),
        ("GET", "/api/v2/scripts"),
        ("POST", "/api/v2/routing/queues"),
        ("POST", "/api/v2/analytics/users/details/query"),
        ("PATCH", "/api/v2/users/x"),
    ],
)
async def test_what_is_not_simulated_does_not_claim_that_it_does_not_exist(
    program: Program, method: str, path: str
) -> None:
    """A resource of the platform that the simulator has not is 501 with its name; one of nobody's is 404."""
    answer = await program.http.request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (501, "not.simulated")
    assert f"{method} {path}" in answer.json()["message"]
    assert (await program.http.get("/api/v2/nothing")).status_code == 404


async def test_queue_observations(program: Program) -> None:
    """The query of the platform's sample, in its spelling, gives users by status, and each medium with who is at it."""
    for busy in program.simulator.world.queues:
        if (await _observed(program, busy["id"]))[0]:
            break
    found, results = await _observed(program, busy["id"])
    assert results[0]["group"] == {"queueId": busy["id"]}
    assert sum(result["stats"]["count"] for result in results[0]["data"]) == busy["memberCount"]
    truth = program.simulator.world.by_id
    for result in found:
        record = truth[result["conversationId"]].view(program.simulator.now())
        users = {who["userId"] for who in record["participants"] if "userId" in who}
        assert result["userId"] in users
    assert {result["group"].get("mediaType") for result in results} == {
        None,
        "voice",
        "callback",
        "chat",
        "email",
        "message",
    }


async def _observed(program: Program, queue: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Who interacts in a queue, and the whole answer."""
    clause = {"type": "or", "predicates": [{"dimension": "queueId", "value": queue}]}
    body = {
        "filter": {"type": "AND", "clauses": [clause]},
        "detailMetrics": ["oInteracting"],
        "metrics": ["oUserRoutingStatuses"],
    }
    results = (await program.post("/api/v2/analytics/queues/observations/query", body))["results"]
    found = [each for result in results for data in result["data"] for each in data.get("observations", ())]
    counts = [data["stats"]["count"] for result in results[1:] for data in result["data"]]
    assert sum(counts) == len(found)
    return found, results


async def test_users_are_searched(program: Program) -> None:
    """By the criteria that programs send, joined by AND, OR and NOT; a sort of criterion that is not simulated is 501."""
    path = "/api/v2/users/search"

    async def search(*criteria: dict[str, Any], **more: Any) -> list[str]:
        return [result["name"] for result in (await program.post(path, {"query": list(criteria), **more}))["results"]]

    exact = {"type": "EXACT", "fields": ["email"], "value": "AGENT2@simulated.example"}
    starts = {"type": "STARTS_WITH", "fields": ["name"], "value": "Agent 1"}
    assert await search(exact) == ["Agent 2"]
    assert await search(starts) == ["Agent 1", "Agent 10", "Agent 11", "Agent 12", "Agent 13", "Agent 14"]
    assert await search(starts, {**exact, "value": "agent11@simulated.example", "operator": "not"}, pageSize="3") == [
        "Agent 1",
        "Agent 10",
        "Agent 12",
    ]
    either = {"group": [{**exact, "operator": "OR"}, {**starts, "value": "Agent 3", "operator": "OR"}]}
    assert await search(either, sortBy="name", sortOrder="desc") == ["Agent 3", "Agent 2"]
    refused = await program.post(path, {"query": [{"type": "REGEX", "fields": ["name"], "value": ".*"}]}, 501)
    assert "REGEX" in refused["message"]


async def test_the_token_and_its_user(program: Program) -> None:
    """`tokens/me` tells the client and its organisation; `users/me` is 400, because a client has no user."""
    about_token = await program.get("/api/v2/tokens/me")
    assert about_token["organization"]["id"] == program.simulator.world.organization["id"]
    assert about_token["OAuthClient"]["id"] == program.simulator.client_id
    answer = await program.http.head("/api/v2/tokens/me")
    assert (answer.status_code, answer.content) == (200, b"")
    answer = await program.http.get("/api/v2/users/me")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("This request requires a user context.")


# Headers


async def test_headers_are_as_recorded(program: Program) -> None:
    """Every part answers JSON as JSON, with what was recorded, and none tells a version of the server."""
    made = await program.post(CHANNELS, {})
    answers = [
        await program.http.get("/api/v2/routing/queues"),
        await program.http.get(CHANNELS),
        await program.http.get("/api/v2/nothing"),
        await program.http.post(f"{CHANNELS}/{made['id']}/subscriptions", json=[]),
        await program.http.post("/oauth/token", data={}),
    ]
    for answer in answers:
        assert answer.headers["Content-Type"] == "application/json", answer.request.url
        assert answer.headers["Strict-Transport-Security"] == "max-age=600; includeSubDomains"
        assert answer.headers["Cache-Control"].startswith("no-")
        assert "Server" not in answer.headers


@pytest.mark.parametrize("after", [None, 7, 240])
async def test_a_429_of_a_script_is_like_one_of_the_limit(program: Program, after: int | None) -> None:
    """It has the limit's headers; the seconds in its message, its header and its reset are the same."""
    parameters = {"status": 429} | ({} if after is None else {"retry_after": after})
    program.simulator.faults.add(Fault("status", path="GET */users", parameters=parameters))
    answer = await program.http.get("/api/v2/users")
    seconds = str(after or 60)
    assert answer.status_code == 429
    assert answer.headers["inin-ratelimit-reset"] == seconds
    assert int(answer.headers["inin-ratelimit-count"]) > int(answer.headers["inin-ratelimit-allowed"]) == 100_000
    assert answer.headers.get("Retry-After") == (None if after is None else seconds)
    assert f"[{seconds}] seconds" in answer.json()["message"]


async def test_a_429_that_a_test_asks_for_agrees_with_itself(program: Program) -> None:
    """`fail` with 429: the reset, the wait and the message name the same seconds."""
    program.simulator.fail.append(429)
    answer = await program.http.get("/api/v2/users")
    seconds = answer.headers["Retry-After"]
    assert answer.headers["inin-ratelimit-reset"] == seconds
    assert f"[{seconds}] seconds" in answer.json()["message"]


async def test_the_largest_body_is_the_one_that_is_named(program: Program) -> None:
    """A body of as many bytes as the message of 413 says is read, and one of one byte more is refused with it."""
    headers = {"Content-Type": "application/json"}
    refused = await program.http.post(QUERY, content=b" " * 3_145_729, headers=headers)
    assert refused.status_code == 413
    most = int(re.findall(r"\d+", refused.json()["message"])[0])
    body = json.dumps({"interval": EMPTY}).encode()
    assert (await program.http.post(QUERY, content=body.ljust(most), headers=headers)).text == "{}"


async def test_a_browser_may_ask(program: Program) -> None:
    """A preflight is answered without a token, and answers and refusals allow the origin and show the headers."""
    origin = {"Origin": "https://app.example"}
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    async with httpx.AsyncClient(base_url=program.simulator.api_url) as browser:
        answer = await browser.options(QUERY, headers=origin | wanted)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for path in ("/api/v2/users", "/api/v2/nothing"):
        answer = await program.http.get(path, headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "inin-ratelimit-count" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in (await program.http.get("/api/v2/users")).headers


# TLS


@pytest.mark.parametrize(
    ("headers", "begins"),
    [
        ({"X-Forwarded-Proto": "https"}, "wss://127.0.0.1:"),
        ({"X-Forwarded-Proto": "https", "Host": "api.mypurecloud.com"}, "wss://streaming.mypurecloud.com/channels/"),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example:8443"},
            "wss://streaming.example:8443/channels/",
        ),
        ({}, "ws://127.0.0.1:"),
    ],
)
async def test_sockets_are_where_the_client_can_reach_them(
    program: Program, headers: dict[str, str], begins: str
) -> None:
    """`connectUri` has the scheme that the client speaks to what stands before the server, and `streaming.` for `api.`."""
    answer = await program.http.post(CHANNELS, headers=headers)
    assert answer.json()["connectUri"].startswith(begins)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """One for loopback and a domain."""
    if shutil.which("openssl") is None:
        pytest.skip("TLS is not tried: there is no openssl")
    return make(tmp_path, [*LOOPBACK, *(f"{part}.simulated.example" for part in PARTS)])


async def test_https_and_wss(certificate: Certificate) -> None:
    """With a certificate requests and sockets are encrypted, and a client that does not trust it is refused."""
    trusting = ssl.create_default_context(cafile=str(certificate.certificate))
    async with Simulator(seed=2, start=START, rate=0, per_hour=0, tls=certificate) as simulator:
        assert simulator.api_url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(base_url=simulator.api_url, verify=trusting) as http:
            program = Program(simulator, http)
            await program.sign_in()
            made = await program.post(CHANNELS, {})
            assert made["connectUri"].startswith("wss://127.0.0.1:")
            async with websockets.connect(made["connectUri"], ssl=trusting) as socket:
                await socket.send('{"message":"ping"}')
                assert "pong" in str(await socket.recv())
        async with httpx.AsyncClient(base_url=simulator.api_url, trust_env=False) as http:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await http.get("/api/v2/users")


def test_a_certificate_needs_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program, and with files that are no certificate, one line says what is wrong."""
    monkeypatch.setattr("rollbook.simulator.certificates.shutil.which", lambda _: None)
    with pytest.raises(CertificateError, match="openssl is needed"):
        make(tmp_path, LOOPBACK)
    with pytest.raises(CertificateError, match="no certificate and its key"):
        Certificate(tmp_path / "none.pem", tmp_path / "none.key").context()


@pytest.mark.process
@pytest.mark.skipif(shutil.which("openssl") is None, reason="TLS is not tried: there is no openssl")
async def test_the_command_makes_a_certificate(tmp_path: Path) -> None:
    """`simulate --tls` prints https addresses and the certificate's file, which is gone when it has ended."""
    words = ("simulate", "--tls", "--domain", "mypurecloud.com", "--days", "0", "--per-hour", "0", "--json")
    process = await start(*words, env={}, cwd=tmp_path)
    assert process.stdout is not None
    answer = json.loads(await process.stdout.readline())
    file = Path(answer["SSL_CERT_FILE"])
    trusting = ssl.create_default_context(cafile=str(file))
    async with httpx.AsyncClient(base_url=answer["GENESYSCLOUD_API_URL"], verify=trusting) as http:
        assert str(http.base_url).startswith("https://")
        assert (await http.get("/api/v2/users")).status_code == 401
    process.send_signal(signal.SIGTERM)
    assert (await finish(process)).status == 0
    assert not file.exists()


@pytest.mark.process
@pytest.mark.parametrize("words", [["--key", "key.pem"], ["--certificate", "a.pem", "--key", "b.pem"]])
async def test_a_wrong_certificate_is_one_line(tmp_path: Path, words: list[str]) -> None:
    """A key without its certificate, and files that are none, end the command with status 2 and a line."""
    ran = await rollbook("simulate", *words, "--days", "0", env={}, cwd=tmp_path)
    assert ran.status == 2
    assert "certificate" in ran.one_line


# Those who leave


async def test_nobody_hears_of_a_client_that_left(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes in the middle of its own body leaves no traceback behind."""
    caplog.set_level(logging.DEBUG)
    host, _, port = program.simulator.api_url.removeprefix("http://").partition(":")
    token = program.http.headers["Authorization"]
    for head in (
        f"POST {QUERY} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{{",
        f"POST {CHANNELS}/x/subscriptions HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 999\r\n\r\n[",
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n\r\ng",
    ):
        before = program.simulator.request_counts.total()
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode())
        await writer.drain()
        while program.simulator.request_counts.total() == before:
            await asyncio.sleep(0)
        writer.transport.abort()
        assert (await program.http.get("/api/v2/users")).status_code == 200
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
