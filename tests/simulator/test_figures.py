"""What the notifications tell besides conversations, and how a conversation's snapshots are shaped as recorded."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
import websockets

from rollbook.simulator import Simulator
from rollbook.simulator.notifications.emitter import Event
from rollbook.simulator.notifications.topics import TOPICS

with warnings.catch_warnings():
    # Its generated modules hold invalid escape sequences, which Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    import PureCloudPlatformClientV2 as sdk

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
# The topics that tell what goes on, and their bodies' models.
MODELS = {
    "v2.users.{id}.presence": "PresenceEventUserPresence",
    "v2.users.{id}.routingStatus": "UserRoutingStatusUserRoutingStatus",
    "v2.users.{id}.activity": "AgentActivityChangedTopicAgentActivity",
    "v2.users.{id}.conversationsummary": "UserConversationsEventUserConversationSummary",
    "v2.analytics.queues.{id}.observations": "StatEventQueueTopicStatsNotification",
    "v2.analytics.queues.{id}.activity": "V2QueueObservationObservationCountNotification",
    "v2.analytics.conversations.details.jobs.availability": "ConversationDetailsDatalakeAvailabilityTopicDataAvailabilityChangeNotification",
}


class Listener:
    """A channel that hears topics, and what came."""

    def __init__(self, simulator: Simulator, http: httpx.AsyncClient) -> None:
        self.simulator, self.http = simulator, http
        self.channel = ""

    async def begin(self) -> None:
        form = {"grant_type": "client_credentials"}
        who = (self.simulator.client_id, self.simulator.client_secret)
        token = (await self.http.post("/oauth/token", data=form, auth=who)).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        made = (await self.http.post("/api/v2/notifications/channels")).json()
        self.channel, self.uri = made["id"], made["connectUri"]

    async def subscribe(self, *topics: str, **params: Any) -> httpx.Response:
        path = f"/api/v2/notifications/channels/{self.channel}/subscriptions"
        return await self.http.post(path, json=[{"id": topic} for topic in topics], params=params)

    async def hear(self, *steps: timedelta) -> dict[str, list[Any]]:
        """Bodies by topic, of what comes while time goes on by steps."""
        found: dict[str, list[Any]] = {}
        async with websockets.connect(self.uri, max_size=None) as socket:
            for step in steps:
                self.simulator.clock.advance(step)
                await self.simulator.notifications.emitter.settle()
            await socket.send('{"message":"ping"}')
            async for frame in socket:
                message = json.loads(frame)
                if message["topicName"] == "channel.metadata":
                    return found
                found.setdefault(message["topicName"], []).append(message["eventBody"])
        return found


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """In an organisation of half an hour, whose clock stands."""
    simulator = Simulator(seed=3, start=START, rate=0, per_hour=60, queues=3, users=20)
    simulator.clock.advance(timedelta(minutes=30))
    async with simulator, httpx.AsyncClient(base_url=simulator.api_url) as http:
        made = Listener(simulator, http)
        await made.begin()
        yield made


def test_every_such_topic_is_tried() -> None:
    """The topics that tell what goes on are those of this page."""
    assert {topic.id for topic in TOPICS.values() if topic.figure} == MODELS.keys()


@pytest.mark.parametrize("template", MODELS)
async def test_a_topic_that_is_permitted_has_events(listener: Listener, template: str) -> None:
    """Each has events of its model within two hours, and no two in a row are the same."""
    world = listener.simulator.world
    owner = world.users[0]["id"] if ".users." in template else world.queues[0]["id"]
    topic = template.replace("{id}", owner)
    assert (await listener.subscribe(topic)).json()["entities"][0]["state"] == "Permitted"
    bodies_of = await listener.hear(*[timedelta(minutes=5)] * 26)
    assert bodies_of.keys() == {topic}
    bodies = bodies_of[topic]
    assert len(bodies) > 1
    assert all(before != after for before, after in pairwise(bodies))
    known = set(getattr(sdk, MODELS[template])().attribute_map.values())
    for body in bodies:
        assert body
        assert body.keys() <= known


async def test_a_user_is_busy_while_a_conversation_is(listener: Listener) -> None:
    """INTERACTING since the conversation's own moment, and IDLE or OFF_QUEUE when it has ended; the summary counts it."""
    world = listener.simulator.world
    user = world.users[0]["id"]
    status, summary = f"v2.users.{user}.routingStatus", f"v2.users.{user}.conversationsummary"
    await listener.subscribe(f"v2.users.{user}?routingStatus&conversationsummary")
    bodies_of = await listener.hear(*[timedelta(minutes=2)] * 30)
    states = [state["routingStatus"] for state in bodies_of[status]]
    assert {state["status"] for state in states} >= {"INTERACTING", "IDLE"}
    starts = {
        segment["segmentStart"]
        for life in world.by_id.values()
        for who in life.record["participants"]
        if who.get("userId") == user
        for session in who["sessions"]
        for segment in session["segments"]
    }
    assert {state["startTime"] for state in states if state["status"] == "INTERACTING"} <= starts
    active = [
        sum(side["active"] for side in medium.values()) for state in bodies_of[summary] for medium in [state["call"]]
    ]
    assert 0 in active
    assert max(active) > 0


@pytest.mark.parametrize("template", [topic.id for topic in TOPICS.values() if topic.silent])
async def test_a_topic_without_events_is_refused_with_a_word(listener: Listener, template: str) -> None:
    """A topic of the platform that would stay silent here is refused, with its name; alone or among others."""
    topic = template.replace("{id}", listener.simulator.world.queues[0]["id"])
    good = f"v2.routing.queues.{listener.simulator.world.queues[0]['id']}.conversations"
    for asked in ([topic], [good, topic]):
        answer = await listener.subscribe(*asked, ignoreErrors="TRUE")
        assert (answer.status_code, answer.json()["code"]) == (501, "not.simulated")
        assert [detail["entityId"] for detail in answer.json()["details"]] == [topic]
    path = f"/api/v2/notifications/channels/{listener.channel}/subscriptions"
    assert (await listener.http.get(path)).json() == {"entities": []}


# Snapshots as recorded


async def snapshots(**more: Any) -> list[dict[str, Any]]:
    """Every snapshot of an organisation's three hours."""
    found: list[Event] = []
    simulator = Simulator(seed=5, start=START, rate=0, per_hour=120, **more)
    async with simulator:
        simulator.notifications.listen(found.append)
        for _ in range(18):
            simulator.clock.advance(timedelta(minutes=10))
            await simulator.notifications.emitter.settle()
    return [json.loads(event.body) for event in found if event.template == "v2.routing.queues.{id}.conversations"]


async def test_snapshots_are_shaped_as_recorded() -> None:
    """acd without a name, agents' routing without a queue, no scored agents; callbacks without direction, with a script."""
    purposes, callbacks = set(), 0
    for body in await snapshots():
        for who in body["participants"]:
            purposes.add(who["purpose"])
            routing = who.get("conversationRoutingData", {})
            assert "scoredAgents" not in routing
            if who["purpose"] == "acd":
                assert "name" not in who
                assert routing["queue"] == {"id": who["queueId"]}
            elif who["purpose"] == "agent" and routing:
                assert routing["queue"] == {}
            for callback in who.get("callbacks", ()):
                callbacks += 1
                assert "direction" not in callback
                assert callback["scriptId"]
                assert callback["callerIdName"] == callback["callbackUserName"]
    assert purposes >= {"acd", "agent", "customer", "ivr"}
    assert callbacks > 10


async def test_a_scheduled_callback_is_in_its_queue_from_the_beginning() -> None:
    """Its queue hears of it hours before an agent does."""
    first: dict[str, dict[str, Any]] = {}
    for body in await snapshots():
        first.setdefault(body["id"], body)
    found = [
        participant["callbacks"][0]["initialState"]
        for body in first.values()
        for participant in body["participants"]
        if participant.get("callbacks")
    ]
    assert len(found) > 5
    assert set(found) == {"scheduled"}


async def test_no_snapshot_is_without_the_customer() -> None:
    """The first snapshot of an outbound call too has the customer beside the agent: official samples look for him."""
    outbound = 0
    for body in await snapshots():
        found = {who["purpose"] for who in body["participants"]}
        assert "customer" in found
        outbound += found == {"agent", "customer"}
    assert outbound > 3


# More kinds of conversations


async def test_variety() -> None:
    """With variety there are chats, video calls and campaigns' calls, and far more fields; all are the SDK's own."""
    fields: dict[bool, set[str]] = {}
    for variety in (False, True):
        simulator = Simulator(seed=3, start=START, rate=0, per_hour=100, variety=variety)
        simulator.clock.advance(timedelta(hours=5))
        truth = simulator.truth(START, START + timedelta(hours=5))
        sessions = [
            session for record in truth.values() for who in record["participants"] for session in who["sessions"]
        ]
        media = {session["mediaType"] for session in sessions}
        assert {"chat", "video"} <= media if variety else media == {"voice", "message", "email", "callback"}
        assert any("outboundCampaignId" in session for session in sessions) == variety
        fields[variety] = set()
        for record in truth.values():
            _walk(record, sdk.AnalyticsConversationWithoutAttributes(), fields[variety])
    assert fields[False] < fields[True]
    assert len(fields[True]) > len(fields[False]) + 40
    bodies = await snapshots(variety=True)
    assert any(who.get("chats") for body in bodies for who in body["participants"])


def _walk(value: dict[str, Any], model: Any, found: set[str]) -> None:
    """Each field is one of the model's, and each value one that its setter takes (it says so by a value of its own)."""
    names = {spelled: name for name, spelled in model.attribute_map.items()}
    for field, inner in value.items():
        assert field in names, f"{type(model).__name__} has no {field}"
        found.add(f"{type(model).__name__}.{field}")
        kind = model.swagger_types[names[field]]
        name = kind.removeprefix("list[").removesuffix("]")
        if hasattr(sdk, name):
            for item in inner if kind.startswith("list[") else [inner]:
                _walk(item, getattr(sdk, name)(), found)
        else:
            setattr(model, names[field], inner)
            assert getattr(model, names[field]) == inner, f"{field} may not be {inner}"
