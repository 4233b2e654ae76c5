"""The simulator's live side as a client meets it: REST, a real WebSocket, events with the clock, and every fault."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rollbook.simulator import Simulator
from rollbook.simulator.faults.event_faults import ODD_IDS
from rollbook.simulator.faults.live_faults import FAULTS, JUNK
from rollbook.simulator.notifications.emitter import DELAY, Event
from rollbook.simulator.notifications.snapshots import scene, snapshot
from rollbook.simulator.times import text

START = datetime(2026, 8, 3, 14, tzinfo=UTC)
PATH = "/api/v2/notifications"


class Client:
    """A client of the simulated organisation: a token, and what it asks."""

    def __init__(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        self.sim, self.http = sim, http

    async def channel(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.http.post(f"{PATH}/channels")).json()
        return answer

    async def subscribe(
        self, channel: dict[str, Any], *topics: str, method: str = "POST", **query: str
    ) -> httpx.Response:
        body = [{"id": topic} for topic in topics]
        return await self.http.request(
            method, f"{PATH}/channels/{channel['id']}/subscriptions", json=body, params=query
        )

    def queues(self) -> list[str]:
        return [f"v2.routing.queues.{queue['id']}.conversations" for queue in self.sim.world.queues]

    async def listening(self, *topics: str) -> tuple[dict[str, Any], ClientConnection]:
        """A channel with topics (the queues', if none are told) and an open socket."""
        channel = await self.channel()
        assert (await self.subscribe(channel, *(topics or self.queues()))).status_code == 200
        return channel, await opened(channel)

    async def pass_(self, **by: float) -> None:
        """Let simulated time pass, until all of it has been told."""
        self.sim.clock.advance(timedelta(**by))
        async with asyncio.timeout(30):
            await self.sim.notifications.settle()


async def opened(channel: dict[str, Any]) -> ClientConnection:
    return await connect(channel["connectUri"], max_size=None, max_queue=None, ping_interval=None, open_timeout=5)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of an organisation whose clock stands still until it is advanced."""
    async with Simulator(seed=11, start=START, rate=0, per_hour=240, queues=3, users=5) as sim, signed_in(sim) as http:
        yield Client(sim, http)


@pytest.fixture
async def quiet() -> AsyncIterator[Client]:
    """The same with nobody calling."""
    async with Simulator(seed=11, start=START, rate=0, per_hour=0, queues=3, users=5) as sim, signed_in(sim) as http:
        yield Client(sim, http)


def signed_in(sim: Simulator, token: str = "token-1") -> httpx.AsyncClient:
    sim.sign_in.admit(token, sim.client_id, time.monotonic())
    return httpx.AsyncClient(base_url=sim.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=10)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def everything(socket: ClientConnection) -> list[dict[str, Any]]:
    """What has been sent to a socket by now: all before the answer to a ping."""
    await socket.send('{"message":"ping"}')
    found = []
    while (frame := await receive(socket)) != PONG:
        found.append(frame)
    return found


PONG = {"topicName": "channel.metadata", "eventBody": {"message": "pong"}}


def code_of(closed: ConnectionClosed) -> int | None:
    """The code of the close frame that came; None where none did."""
    return closed.rcvd.code if closed.rcvd else None


async def ended(socket: ClientConnection) -> ConnectionClosed:
    """How a socket ended; frames before the end are dropped."""
    async with asyncio.timeout(5):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as error:
                return error


# REST


async def test_a_channel_is_made_found_and_gone(quiet: Client) -> None:
    """POST answers the three fields, HEAD 200; after a day both 404."""
    channel = await quiet.channel()
    assert set(channel) == {"id", "connectUri", "expires"}
    assert channel["connectUri"].endswith(f"/channels/{channel['id']}")
    assert channel["expires"] == "2026-08-04T14:00:00.000Z"
    assert (await quiet.http.head(f"{PATH}/channels/{channel['id']}")).status_code == 200
    quiet.sim.clock.advance(timedelta(hours=24))
    assert (await quiet.http.head(f"{PATH}/channels/{channel['id']}")).status_code == 404
    answer = await quiet.subscribe(channel, quiet.queues()[0], method="PUT")
    assert (answer.status_code, answer.json()["code"]) == (404, "not.found")


async def test_channels_of_other_tokens_are_told_without_an_id(client: Client) -> None:
    """`token` lists one's own; `oauthclient` shows that there are others."""
    mine = await client.channel()
    async with signed_in(client.sim, "token-2") as other:
        await other.post(f"{PATH}/channels")
        assert [topic["id"] for topic in (await client.http.get(f"{PATH}/channels")).json()["entities"]] == [mine["id"]]
        every = (await client.http.get(f"{PATH}/channels", params={"includechannels": "oauthclient"})).json()[
            "entities"
        ]
        assert [channel.get("id") for channel in every] == [mine["id"], None]
    bad = await client.http.get(f"{PATH}/channels", params={"includechannels": "all"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid.query.param.value")


async def test_subscriptions_are_added_replaced_listed_and_removed(client: Client) -> None:
    """POST adds, PUT replaces, GET lists, DELETE empties."""
    channel, queues = await client.channel(), client.queues()
    await client.subscribe(channel, queues[0])
    await client.subscribe(channel, queues[1], queues[1])
    assert await listed(client, channel) == queues[:2]
    await client.subscribe(channel, queues[2], method="PUT")
    assert await listed(client, channel) == queues[2:]
    assert (await client.http.delete(f"{PATH}/channels/{channel['id']}/subscriptions")).status_code == 204
    assert await listed(client, channel) == []


async def listed(client: Client, channel: dict[str, Any]) -> list[str]:
    answer = (await client.http.get(f"{PATH}/channels/{channel['id']}/subscriptions")).json()
    return [topic["id"] for topic in answer["entities"]]


@pytest.mark.parametrize("body", ["", "{", "{}", "[1]", '[{"id":1}]', "[[]]"])
async def test_a_body_that_is_no_list_of_topics_is_refused(client: Client, body: str) -> None:
    """400 bad.request."""
    channel = await client.channel()
    answer = await client.http.post(f"{PATH}/channels/{channel['id']}/subscriptions", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad.request")


async def test_available_topics_tell_what_is_asked(client: Client) -> None:
    """Transports and permissions are there if expanded; an unknown expansion is refused."""
    answer = await client.http.get(f"{PATH}/availabletopics", params={"expand": ["transports", "requiresPermissions"]})
    topics_by_id = {topic["id"]: topic for topic in answer.json()["entities"]}
    assert topics_by_id["v2.routing.queues.{id}.conversations"]["transports"] == ["Websocket"]
    assert "v2.detail.events.conversation.{id}.customer.end" in topics_by_id
    assert (await client.http.get(f"{PATH}/availabletopics", params={"expand": "colour"})).status_code == 400


# The socket


async def test_pings_are_answered_and_nonsense_is_tolerated(client: Client) -> None:
    """A ping is answered with a pong; whatever else a client says, the socket stays."""
    _, socket = await client.listening()
    for said in ("2026-08-03T14:00:00Z", "[]", "{}", '{"message":"sing"}', "[" * 50_000):
        await socket.send(said)
    await socket.send(b"\x00")
    assert await everything(socket) == []
    await asyncio.wait_for(await socket.ping(), 5)
    await socket.close()


async def test_subscriptions_over_the_socket(client: Client) -> None:
    """subscribe and unsubscribe answer result "200" as a string, with the correlation id; errors "400" and "403"."""
    channel, socket = await client.listening(client.queues()[0])
    queue, correlation = client.queues()[1], {"correlationId": "x-1"}
    await socket.send(json.dumps({"message": "subscribe", "topics": [queue]} | correlation))
    assert await receive(socket) == {"result": "200", "status": "subscribed"} | correlation
    assert await listed(client, channel) == client.queues()[:2]
    await socket.send(json.dumps({"message": "unsubscribe", "topics": [queue]} | correlation))
    assert await receive(socket) == {"result": "200", "status": "unsubscribed"} | correlation
    assert await listed(client, channel) == client.queues()[:1]
    client.sim.notifications.channels.refused[queue] = "some:permission:view"
    for topics, result in ((["nonsense"], "400"), ("nonsense", "400"), ([queue], "403")):
        await socket.send(json.dumps({"message": "subscribe", "topics": topics} | correlation))
        answer = await receive(socket)
        assert (answer["result"], answer["status"], answer["correlationId"]) == (result, "failure", "x-1")
    await socket.close()


async def test_a_channel_that_is_not_there_is_404_at_the_handshake(client: Client) -> None:
    """No socket without a channel."""
    channel = await client.channel()
    with pytest.raises(InvalidStatus) as caught:
        await opened(channel | {"connectUri": channel["connectUri"] + "x"})
    assert caught.value.response.status_code == 404


async def test_a_second_socket_takes_the_place_of_the_first(client: Client) -> None:
    """The first is closed with a close frame; events go to the second, and the topics stay."""
    channel, first = await client.listening()
    second = await opened(channel)
    assert code_of(await ended(first)) == 1000
    await client.pass_(minutes=5)
    assert await everything(second)
    await second.close()


async def test_heartbeats_come_every_thirty_seconds_of_the_clock() -> None:
    """With a clock sixty times as fast, twice in a real second; they bear no version and no metadata."""
    async with Simulator(seed=1, start=START, rate=60, per_hour=0) as sim, signed_in(sim) as http:
        _, socket = await Client(sim, http).listening()
        for _ in range(2):
            heartbeat = {"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}
            assert await receive(socket) == heartbeat
        await socket.close()


# Events


def states(frames: list[dict[str, Any]], conversation: str) -> list[str]:
    return [json.dumps(frame["eventBody"]) for frame in frames if frame["eventBody"]["id"] == conversation]


async def test_events_come_in_the_order_of_time_and_tell_each_change_once(client: Client) -> None:
    """After a jump of an hour every change of every conversation is there, in order, one frame for each topic."""
    _, socket = await client.listening()
    await client.pass_(minutes=25)
    frames = await everything(socket)
    log = list(client.sim.notifications.log)  # the last two thousand
    assert ids(frames)[-len(log) :] == [entry.correlation_id for entry in log]
    assert [entry.at for entry in log] == sorted(entry.at for entry in log)
    assert client.sim.emitted == {"v2.routing.queues.{id}.conversations": len(frames)}
    assert len(frames) > 500
    for life in client.sim.world.conversations[:20]:
        moments = [scene(life.record, text(at)) for at in life.changes if START < at < client.sim.now() - DELAY]
        expected = {json.dumps(snapshot(moment)) for moment in moments if moment.queue_ids(former=True)}
        assert expected <= set(states(frames, life.id))
    await socket.close()


async def test_a_clock_that_runs_is_followed() -> None:
    """At a thousand times the rate events come by themselves, in order, soon after what they tell."""
    async with Simulator(seed=6, start=START, rate=1000, per_hour=240) as sim, signed_in(sim) as http:
        _, socket = await Client(sim, http).listening()
        frames = [await receive(socket) for _ in range(50)]
        sim.clock.set_rate(0)
        assert all(frame["topicName"] == "channel.metadata" or frame["version"] == "2" for frame in frames)
        log = list(sim.notifications.log)
        assert [entry.at for entry in log] == sorted(entry.at for entry in log)
        await socket.close()


async def test_the_same_seed_is_told_in_the_same_frames() -> None:
    """Two organisations of one seed send the same bytes."""
    sent = []
    for _ in range(2):
        async with Simulator(seed=4, start=START, rate=0, per_hour=240) as sim, signed_in(sim) as http:
            client = Client(sim, http)
            _, socket = await client.listening()
            await client.pass_(minutes=20)
            sent.append(await everything(socket))
            await socket.close()
    assert sent[0] == sent[1] != []


async def test_nothing_is_told_of_before_the_subscription_or_while_no_socket_is_open(client: Client) -> None:
    """There is no queue and no replay."""
    channel, socket = await client.listening()
    await client.pass_(minutes=5)
    before = await everything(socket)
    await socket.close()
    await client.sim.notifications.settle()
    await client.pass_(minutes=5)
    again = await opened(channel)
    await client.pass_(minutes=5)
    after = await everything(again)
    assert before
    assert after
    correlations = {frame["metadata"]["CorrelationId"] for frame in (*before, *after)}
    assert len(correlations) < len(client.sim.notifications.log)
    await again.close()


async def test_users_media_and_detail_events_are_told_on_their_topics(client: Client) -> None:
    """A user's conversations, a medium's flattened ones, and a conversation's combined detail events."""
    user = client.sim.world.users[0]["id"]
    await client.pass_(minutes=10)
    first, last = (text(client.sim.now() + timedelta(minutes=minutes)) for minutes in (0, 55))
    life = next(
        life
        for life in client.sim.world.conversations
        if (
            worked := [
                part
                for party in life.record["participants"]
                if party["purpose"] == "agent"
                for session in party["sessions"]
                for part in session["segments"]
            ]
        )
        and min(part["segmentStart"] for part in worked) > first
        and any(part["segmentType"] == "wrapup" and part.get("segmentEnd", "9") < last for part in worked)
    )
    detail = f"v2.detail.events.conversation.{life.id}?customer.end&user.start&acw"
    _, socket = await client.listening(f"v2.users.{user}?conversations", f"v2.users.{user}.conversations.calls", detail)
    await client.pass_(hours=1)
    frames = await everything(socket)
    kinds = {frame["topicName"].partition(".conversation")[2].removeprefix(f".{life.id}") for frame in frames}
    assert {"s", "s.calls", ".user.start", ".acw"} <= kinds <= {"s", "s.calls", ".user.start", ".acw", ".customer.end"}
    calls = [frame["eventBody"] for frame in frames if frame["topicName"].endswith(".calls")]
    assert all("state" in who for body in calls for who in body["participants"])
    times = [frame["eventBody"]["eventTime"] for frame in frames if "detail" in frame["topicName"]]
    assert times == sorted(times)
    await socket.close()


async def test_detail_events_of_a_conversation_that_is_yet_to_come(client: Client) -> None:
    """A subscription may name a conversation that there is not yet."""
    async with Simulator(seed=11, start=START, rate=0, per_hour=240, queues=3, users=5) as twin:
        twin.world.grow(START + timedelta(minutes=10))
        name = twin.world.conversations[-1].id
    _, socket = await client.listening(f"v2.detail.events.conversation.{name}.customer.start")
    await client.pass_(minutes=30)
    assert [frame["eventBody"]["conversationId"] for frame in await everything(socket)] == [name]
    await socket.close()


async def test_a_listener_hears_the_whole_organisation(client: Client) -> None:
    """Without any channel a listener is told of every event: what an event bus is fed with."""
    frames_of_all: list[Event] = []
    client.sim.notifications.listen(frames_of_all.append)
    await client.pass_(minutes=30)
    templates = {event.template for event in frames_of_all}
    assert {"v2.routing.queues.{id}.conversations", "v2.detail.events.conversation.{id}.customer.end"} <= templates
    settled = {
        life.id for life in client.sim.world.conversations if life.start < client.sim.now() - timedelta(minutes=5)
    }
    assert settled <= {event.conversation for event in frames_of_all}


async def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    """Its socket is cut off when too much waits for it; the other one hears everything."""
    async with Simulator(seed=2, start=START, rate=0, per_hour=240) as sim, signed_in(sim) as http:
        client = Client(sim, http)
        channel, reading = await client.listening()
        sim.notifications.sockets.bound = 5
        stuck_channel = await client.channel()
        await client.subscribe(stuck_channel, *client.queues())
        stuck = await connect(stuck_channel["connectUri"], max_size=None, max_queue=1, ping_interval=None)
        for _ in range(3):
            sim.notifications.sockets.lines[stuck_channel["id"]].offer("x" * 8_000_000)
        await client.pass_(minutes=10)
        assert list(sim.notifications.sockets.lines) == [channel["id"]]
        frames = await everything(reading)
        assert len(frames) == sim.emitted["v2.routing.queues.{id}.conversations"]
        await reading.close()
        stuck.transport.abort()


# Faults


def fault(client: Client, name: str, **parameters: Any) -> None:
    client.sim.notifications.fault(name, **parameters)


def ids(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["metadata"]["CorrelationId"] for frame in frames]


async def test_a_cut_drops_every_socket_and_accepts_none_for_a_time(client: Client) -> None:
    """No close frame; 503 until the minutes have passed; then the channel has its topics still."""
    channel, socket = await client.listening()
    fault(client, "cut", minutes=5)
    assert code_of(await ended(socket)) is None
    with pytest.raises(InvalidStatus) as caught:
        await opened(channel)
    assert caught.value.response.status_code == 503
    await client.pass_(minutes=5)
    again = await opened(channel)
    await client.pass_(minutes=5)
    assert await everything(again)
    await again.close()


@pytest.mark.parametrize(
    ("name", "code"),
    [("drop", None), ("drop_all", None), ("close", 1001), ("flap", 1001), ("expire", 1001), ("evict", 1001)],
)
async def test_sockets_end(client: Client, name: str, code: int | None) -> None:
    """Dropped ones without a close frame, the others with one."""
    _, socket = await client.listening()
    fault(client, name)
    error = await ended(socket)
    assert code_of(error) == code


async def test_flapping_accepts_and_closes(client: Client) -> None:
    """Handshakes succeed and the socket is closed at once, until the minutes have passed."""
    channel = await client.channel()
    fault(client, "flap", minutes=1)
    assert code_of(await ended(await opened(channel))) == 1001
    await client.pass_(minutes=1)
    socket = await opened(channel)
    assert await everything(socket) == []
    await socket.close()


async def test_refused_handshakes_have_the_status_that_was_asked_for(client: Client) -> None:
    """Open sockets stay, new ones are refused."""
    channel, socket = await client.listening()
    fault(client, "refuse", status=429, minutes=1)
    with pytest.raises(InvalidStatus) as caught:
        await opened(channel)
    assert caught.value.response.status_code == 429
    assert await everything(socket) == []
    await socket.close()


async def test_a_closing_socket_is_announced_and_closed_a_minute_later(client: Client) -> None:
    """`v2.system.socket_closing`, then 1001 for the old socket; one that came instead stays."""
    _, socket = await client.listening("v2.users.u.presence")
    fault(client, "socket_closing")
    assert await client_told(socket) == "v2.system.socket_closing"
    _, staying = await client.listening("v2.users.u.presence")
    await client.pass_(seconds=59)
    assert await everything(socket) == []
    await client.pass_(seconds=2)
    assert code_of(await ended(socket)) == 1001
    assert await everything(staying) == []
    await staying.close()


async def client_told(socket: ClientConnection) -> str:
    return str((await receive(socket))["topicName"])


async def test_silence_keeps_the_connection(client: Client) -> None:
    """Neither heartbeats nor pongs, but events if those are wanted; then all again."""
    _, socket = await client.listening()
    fault(client, "silence", pongs=False, events=True)
    await socket.send('{"message":"ping"}')
    await client.pass_(minutes=5)
    assert await client_told(socket) != "channel.metadata"
    fault(client, "speak")
    assert await everything(socket)
    await socket.close()


@pytest.mark.parametrize("keep", [False, True])
async def test_a_channel_that_is_gone_is_404_everywhere(client: Client, keep: bool) -> None:
    """Its socket is told `result: "404"`: at once, with the close; or kept, in answer to a ping."""
    channel, socket = await client.listening()
    fault(client, "gone", channel=channel["id"], keep_socket=keep)
    if keep:
        await socket.send('{"message":"ping"}')
    assert (await receive(socket))["result"] == "404"
    assert (await client.subscribe(channel, *client.queues())).status_code == 404
    with pytest.raises(InvalidStatus):
        await opened(channel)
    await socket.close()


async def test_the_twenty_first_channel_ends_a_socket(client: Client) -> None:
    """With twenty sockets open the oldest is told 404 and closed."""
    _, socket = await client.listening()
    sockets = [await opened(await client.channel()) for _ in range(19)]
    await client.channel()
    assert (await receive(socket))["result"] == "404"
    assert code_of(await ended(socket)) == 1001
    for other in sockets:
        await other.close()


async def test_a_channel_expires_with_its_socket(quiet: Client) -> None:
    """24 hours after the last subscription the socket is told 404 and closed."""
    _, socket = await quiet.listening("v2.users.u.presence")
    await quiet.pass_(hours=24)
    assert (await receive(socket))["result"] == "404"
    assert code_of(await ended(socket)) == 1001


async def test_a_revoked_token_ends_its_channels_and_no_others(client: Client) -> None:
    """The channel's socket is told, REST answers 401; a channel of another token stays."""
    channel, socket = await client.listening()
    async with signed_in(client.sim, "token-2") as http:
        _, staying = await Client(client.sim, http).listening()
    fault(client, "revoke_token", token="token-1")
    message = await receive(socket)
    assert message["topicName"] == f"v2.system.token_revoked.{channel['id']}"
    assert message["eventBody"]["systemTopicType"] == "token_revoked"
    await ended(socket)
    assert (await client.http.get(f"{PATH}/channels")).status_code == 401
    assert await everything(staying) == []
    await staying.close()


async def test_no_longer_subscribed_is_told_and_true(client: Client) -> None:
    """The system message comes, and nothing more."""
    channel, socket = await client.listening()
    fault(client, "no_longer_subscribed", channel=channel["id"])
    assert await client_told(socket) == f"v2.system.no_longer_subscribed.{channel['id']}"
    await client.pass_(minutes=5)
    assert await everything(socket) == []
    await socket.close()


async def test_topics_and_permissions_can_be_taken_away_and_given_back(client: Client) -> None:
    """403 for the batch, Rejected with ignoreErrors; after `permit` all is as it was."""
    channel, queue = await client.channel(), client.queues()[0]
    fault(client, "reject", topic=queue, permission="a:b:view")
    answer = await client.subscribe(channel, *client.queues())
    assert (answer.status_code, answer.json()["code"]) == (403, "notification.unauthorized.topic")
    entities = (await client.subscribe(channel, *client.queues(), ignoreErrors="true")).json()["entities"]
    assert [topic["state"] for topic in entities] == ["Rejected", "Permitted", "Permitted"]
    assert entities[0]["missingPermissions"] == ["a:b:view"]
    fault(client, "forbid", permission="conversation:communication:view")
    assert (await client.subscribe(channel, client.queues()[1])).status_code == 403
    fault(client, "permit")
    assert (await client.subscribe(channel, *client.queues())).status_code == 200


async def test_lost_events_are_the_drawn_share(client: Client) -> None:
    """About half of them are not there, and all again when the minutes have passed."""
    _, socket = await client.listening()
    fault(client, "lose", share=0.5, minutes=20)
    await client.pass_(minutes=19)
    some = len(await everything(socket))
    async with (
        Simulator(seed=11, start=START, rate=0, per_hour=240, queues=3, users=5) as twin,
        signed_in(twin) as http,
    ):
        other = Client(twin, http)
        _, whole = await other.listening()
        await other.pass_(minutes=19)
        every = len(await everything(whole))
        await whole.close()
    assert 0.4 * every < some < 0.6 * every
    await socket.close()


@pytest.mark.parametrize("same", [False, True])
async def test_duplicates_have_the_same_id_or_a_new_one(client: Client, same: bool) -> None:
    """Each event twice: the same bytes, or the same body with another CorrelationId."""
    _, socket = await client.listening()
    fault(client, "duplicate", share=1, same_id=same)
    await client.pass_(minutes=5)
    frames = await everything(socket)
    pairs = list(zip(frames[::2], frames[1::2], strict=True))
    assert pairs
    assert all(first["eventBody"] == two["eventBody"] for first, two in pairs)
    assert all((first == two) is same for first, two in pairs)
    await socket.close()


def order(frames: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """(conversation, how much of its life a snapshot tells): grows, if in order."""
    for frame in frames:
        body = frame["eventBody"]
        yield body["id"], len(body["participants"])


async def test_reordered_events_change_places_within_their_conversation(client: Client) -> None:
    """Nothing is lost, and some conversation is told of fewer participants after more."""
    _, socket = await client.listening()
    fault(client, "reorder", share=0.5)
    await client.pass_(minutes=30)
    fault(client, "regular")
    frames = await everything(socket)
    latest: dict[str, int] = {}
    back = 0
    for conversation, people in order(frames):
        back += people < latest.get(conversation, 0)
        latest[conversation] = people
    assert back > 3
    assert len(frames) == len(set(ids(frames))) == sum(client.sim.emitted.values())
    await socket.close()


async def test_late_events_are_late(client: Client) -> None:
    """With three minutes' delay nothing comes for three minutes, and then everything."""
    _, socket = await client.listening()
    fault(client, "delay", seconds=180)
    await client.pass_(seconds=170)
    assert await everything(socket) == []
    await client.pass_(minutes=5)
    assert await everything(socket)
    await socket.close()


@pytest.mark.parametrize(
    ("name", "parameters", "sign"),
    [
        ("contradict", {}, "disconnectedTime"),
        ("strange", {"what": "field"}, "simulatedExtra"),
        ("strange", {"what": "enum"}, "levitating"),
        ("strange", {"what": "topic"}, ".holograms"),
    ],
)
async def test_strange_events_are_strange_and_still_json(
    client: Client, name: str, parameters: dict[str, str], sign: str
) -> None:
    """What was asked for stands in the frames."""
    _, socket = await client.listening()
    fault(client, name, share=1, **parameters)
    await client.pass_(minutes=2)
    frames = await everything(socket)
    assert any(sign in json.dumps(frame) for frame in frames)
    await socket.close()


async def test_the_times_of_events_are_ahead(client: Client) -> None:
    """Their own times are minutes from now; the organisation's truth is not."""
    _, socket = await client.listening()
    fault(client, "ahead", seconds=600)
    await client.pass_(minutes=2)
    frames = [json.dumps(frame) for frame in await everything(socket)]
    now = text(client.sim.now())
    assert any(now < at for frame in frames for at in re.findall(r'"(\d{4}-[^"]*Z)"', frame))
    truth = client.sim.truth(START, START + timedelta(days=1)).values()
    assert all(record["conversationStart"] <= now for record in truth)
    await socket.close()


@pytest.mark.parametrize("what", ODD_IDS)
async def test_events_of_conversations_whose_id_is_none(client: Client, what: str) -> None:
    """Each event comes, and beside it one that no question by id can be made of, or that is spelled otherwise."""
    _, socket = await client.listening()
    fault(client, "odd_id", what=what, share=1)
    await client.pass_(minutes=2)
    bodies = [frame["eventBody"] for frame in await everything(socket) if "conversations" in frame["topicName"]]
    ids = {body["id"] for body in bodies if "id" in body}
    known = ids & client.sim.world.by_id.keys()
    assert known
    assert ids - known
    assert (max(map(len, ids)) > 64) is (what in ("long", "long_words", "path"))
    await socket.close()


@pytest.mark.parametrize("kind", JUNK)
async def test_junk_frames_are_sent_as_they_are(client: Client, kind: str) -> None:
    """Not JSON, half, binary, deep, oversized: what is sent arrives, and the socket stays."""
    _, socket = await client.listening()
    fault(client, "junk", kind=kind)
    async with asyncio.timeout(10):
        frame = await socket.recv()
    assert isinstance(frame, bytes) is (kind == "binary")
    assert (len(frame) > 8_000_000) is (kind == "oversized")
    assert await everything(socket) == []
    await socket.close()


async def test_every_fault_can_be_called_by_name_with_defaults(client: Client) -> None:
    """All but those that must be told what to refuse; and the organisation goes on."""
    await client.listening()
    needed = {"reject": {"topic": "v2.users.u.presence"}, "forbid": {"permission": "x:y:z"}}
    for name in FAULTS:
        fault(client, name, **needed.get(name, {}))
    await client.pass_(minutes=10)
    assert (await client.http.post(f"{PATH}/channels")).status_code == 200
    with pytest.raises(ValueError, match="locusts"):
        fault(client, "locusts")


async def test_a_socket_that_cannot_begin_is_no_error(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the handshake's answer finds nobody there, nobody is shown a traceback for it."""
    channel = await client.channel()

    async def nobody(*_: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("aiohttp.web.WebSocketResponse.prepare", nobody)
    with pytest.raises(InvalidStatus):
        await opened(channel)
    assert not client.sim.notifications.sockets.lines
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_client_that_leaves_during_the_handshake_is_no_error(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Its socket was never there, and nobody is shown a traceback for it."""
    uri = urlsplit((await client.channel())["connectUri"])
    client.sim.latency = 0.05
    _, writer = await asyncio.open_connection(uri.hostname, uri.port)
    writer.write(
        f"GET {uri.path} HTTP/1.1\r\nHost: {uri.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await writer.drain()
    sockets = client.sim.notifications.sockets
    async with asyncio.timeout(10):
        while not client.sim.request_counts[f"GET {uri.path}"]:
            await asyncio.sleep(0)
        writer.transport.abort()
        while not sockets.handshakes:
            await asyncio.sleep(0)
    assert (await client.http.get(f"{PATH}/channels")).status_code == 200
    assert not sockets.lines
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
