"""The platform's own SDK for Python as a client of the simulator's notification API."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbook.simulator import Simulator
from tests.helpers.schemas import model

with warnings.catch_warnings():
    # Its generated modules hold invalid escape sequences, which Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    import PureCloudPlatformClientV2 as sdk
    from PureCloudPlatformClientV2.rest import ApiException

START = datetime(2026, 8, 3, 14, tzinfo=UTC)


class Sdk:
    """The SDK's notification API, which is synchronous, called in a thread."""

    def __init__(self, sim: Simulator, token: str) -> None:
        sim.sign_in.admit(token, sim.client_id, time.monotonic())
        self.sim = sim
        client = sdk.api_client.ApiClient(host=sim.api_url)
        client.access_token = token
        self.api = sdk.NotificationsApi(client)

    async def call(self, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return await asyncio.to_thread(method, *args, **more)

    async def refusal(self, method: Callable[..., Any], *args: Any, **more: Any) -> ApiException:
        with pytest.raises(ApiException) as caught:
            await self.call(method, *args, **more)
        error: ApiException = caught.value
        return error

    def topics(self) -> list[Any]:
        return [topic(queue["id"]) for queue in self.sim.world.queues]


def topic(queue: str) -> Any:
    made = sdk.ChannelTopic()
    made.id = f"v2.routing.queues.{queue}.conversations"
    return made


@pytest.fixture
async def client() -> AsyncIterator[Sdk]:
    """The SDK, signed in to an organisation whose clock stands still."""
    async with Simulator(seed=8, start=START, rate=0, per_hour=0, queues=3) as sim:
        yield Sdk(sim, "token-1")


async def test_the_sdk_creates_lists_and_verifies_channels(client: Sdk) -> None:
    """The channel's fields are read, its expiry as a time; it is in the list, and HEAD finds it."""
    channel = await client.call(client.api.post_notifications_channels)
    assert channel.connect_uri == f"ws{client.sim.api_url[4:]}/channels/{channel.id}"
    assert channel.expires == START + timedelta(days=1)
    listed = await client.call(client.api.get_notifications_channels, includechannels="oauthclient")
    assert [entity.id for entity in listed.entities] == [channel.id]
    await client.call(client.api.head_notifications_channel, channel.id)


async def test_the_sdk_manages_subscriptions(client: Sdk) -> None:
    """post adds, put replaces, get lists, delete empties; states are read."""
    api, topics = client.api, client.topics()
    channel = (await client.call(api.post_notifications_channels)).id
    added = await client.call(api.post_notifications_channel_subscriptions, channel, topics[:1])
    assert [(entity.id, entity.state) for entity in added.entities] == [(topics[0].id, "Permitted")]
    await client.call(api.put_notifications_channel_subscriptions, channel, topics[1:])
    listed = await client.call(api.get_notifications_channel_subscriptions, channel)
    assert [entity.id for entity in listed.entities] == [topic.id for topic in topics[1:]]
    await client.call(api.delete_notifications_channel_subscriptions, channel)
    assert not (await client.call(api.get_notifications_channel_subscriptions, channel)).entities


async def test_the_sdk_reads_rejections(client: Sdk) -> None:
    """With ignore_errors the entity says what is missing."""
    api, topics = client.api, client.topics()
    client.sim.channels.refused[topics[0].id] = "a:b:view"
    channel = (await client.call(api.post_notifications_channels)).id
    answer = await client.call(api.put_notifications_channel_subscriptions, channel, topics, ignore_errors=True)
    assert [entity.state for entity in answer.entities] == ["Rejected", "Permitted", "Permitted"]
    assert answer.entities[0].missing_permissions == ["a:b:view"]
    assert answer.entities[0].rejection_reason == "Not authorized for this topic."


async def test_the_sdk_reads_error_bodies(client: Sdk) -> None:
    """Each refusal is an ApiException whose body is the platform's ErrorBody, with the correlation id as its context."""
    api, topics = client.api, client.topics()
    channel = (await client.call(api.post_notifications_channels)).id
    client.sim.channels.refused[topics[0].id] = "a:b:view"
    client.sim.channels.per_channel = 1
    for method in (api.post_notifications_channel_subscriptions, api.put_notifications_channel_subscriptions):
        for asked, status, code in (
            ([topic("{id}")], 400, "notification.invalid.topic"),
            (topics[1:], 400, "notification.subscription.too.many.subscriptions"),
            (topics[:1], 403, "notification.unauthorized.topic"),
        ):
            error = await client.refusal(method, channel, asked)
            body = json.loads(error.body)
            model("ErrorBody").validate(body)
            assert (error.status, body["status"], body["code"]) == (status, status, code)
        assert (await client.refusal(method, "streaming-0-none", topics)).status == 404
    assert (await client.refusal(api.head_notifications_channel, "streaming-0-none")).status == 404


async def test_the_sdk_reads_available_topics(client: Sdk) -> None:
    """Every expansion gives entities of the AvailableTopic model."""
    wanted = [
        "description",
        "enforced",
        "visibility",
        "transports",
        "requiresPermissions",
        "permissionDetails",
        "topicParameters",
    ]
    answer = await client.call(client.api.get_notifications_availabletopics, expand=wanted)
    found = {entity.id: entity for entity in answer.entities}
    queue = found["v2.routing.queues.{id}.conversations"]
    assert queue.requires_permissions == ["conversation:communication:view"]
    assert queue.permission_details[0].type == "requiresPermissions"
    assert queue.topic_parameters == ["queueId"]
