"""A stage for live capture: a WebSocket server that sends what a test wants, and an API that makes channels on it.

It is no organisation (that is the simulator): it has no truth and no rules but those that a test gives it, and it can
send what no organisation would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from realtime.storing.inbox import Inbox
from realtime.websocket.back_off import BackOff
from realtime.websocket.channel_states import Timings
from realtime.websocket.supervisor import Supervisor
from rollbook.genesys.api.client import NotificationChannel, TopicState
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import NotFound, RequestRefused
from rollbook.genesys.program.settings import Secret, Settings
from rollbook.genesys.topics import expand, template_of
from rollbook.store.book import Book
from tests.helpers.peek import peek

QUEUES = [f"a1b2c3d4-1111-4222-8333-{number:012d}" for number in range(30_000)]
HEARTBEAT = '{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}'
PONG = '{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'
CLOSING = '{"topicName":"v2.system.socket_closing","eventBody":{"message":"Websocket closing soon"}}'
QUICK = Timings(back_off=BackOff(0.02, 0.1))


def now() -> datetime:
    return datetime.now(UTC)


def topic(queue: int = 0) -> str:
    return f"v2.routing.queues.{QUEUES[queue]}.conversations"


def snapshot(number: int, *, queue: int = 0, ended: bool = False, **more: Any) -> str:
    """A notification: the conversation of that number on a queue's topic."""
    participant = {"id": f"p{number}", "purpose": "customer", "connectedTime": "2026-08-03T14:00:00.000Z"}
    if ended:
        participant["endTime"] = "2026-08-03T14:05:00.000Z"
    body = {"id": conversation(number), "participants": [participant], **more}
    envelope = {"topicName": topic(queue), "version": "2", "eventBody": body, "metadata": {"CorrelationId": "c"}}
    return json.dumps(envelope, separators=(",", ":"))


def conversation(number: int) -> str:
    return f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}"


class Stage:
    """The server, and the API's part of it. `queues`: how many there are; `refuse`: topics or templates, and what they lack."""

    def __init__(self, queues: int = 2) -> None:
        self.queue_ids = QUEUES[:queues]
        self.refuse: dict[str, str] = {}
        self.poison: set[str] = set()  # topics for which a whole request is refused
        self.topics: dict[str, set[str]] = {}  # channel -> what it was told
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.others = 0
        self.requests: list[tuple[str, int]] = []
        self.said: list[dict[str, Any]] = []  # over sockets
        self.refused_lists = 0  # of them
        self.lose_unsubscribes = 0
        self.answer_pings = True
        self.pongs = 0  # answers to pings of WebSocket itself, which `ping` sends
        self.refuse_handshake: int | None = None
        self.hang_up = False  # accept, then close at once
        self.handshakes = 0
        self.changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Stage:
        app = web.Application()
        app.add_routes([web.get("/channels/{id}", self._socket)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in list(self.sockets.values()):
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        name = request.match_info["id"]
        if self.refuse_handshake or name not in self.topics:
            return web.Response(status=self.refuse_handshake or 404)
        socket = web.WebSocketResponse(compress=False, max_msg_size=0, autoping=False)
        await socket.prepare(request)
        former = self.sockets.get(name)
        self.sockets[name] = socket
        if former is not None:
            await former.close()
        if self.hang_up:
            await socket.close()
        self._change()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._hear(name, socket, json.loads(message.data))
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.pongs += 1
                self._change()
        if self.sockets.get(name) is socket:
            del self.sockets[name]
        self._change()
        return socket

    async def _hear(self, name: str, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        self.said.append(said)
        if said["message"] == "ping" and self.answer_pings:
            await socket.send_str(PONG)
        elif said["message"] == "subscribe":
            if refused := any(self._lacks(name) for topic in said["topics"] for name in expand(topic)):
                await self._reply(socket, said, "403", "failure")
            else:
                self.topics[name] |= set(said["topics"])
                await self._reply(socket, said, "200", "subscribed")
            self.refused_lists += refused
        elif said["message"] == "unsubscribe" and self.lose_unsubscribes:
            self.lose_unsubscribes -= 1
        elif said["message"] == "unsubscribe":
            self.topics[name] -= set(said["topics"])
            await self._reply(socket, said, "200", "unsubscribed")
        self._change()

    @staticmethod
    async def _reply(socket: web.WebSocketResponse, said: dict[str, Any], result: str, status: str) -> None:
        await socket.send_json({"result": result, "status": status, "correlationId": said["correlationId"]})

    def _lacks(self, topic: str) -> str | None:
        return self.refuse.get(topic) or self.refuse.get(template_of(topic))

    def _change(self) -> None:
        self.changed.set()

    # What tests do

    async def until(self, condition: Callable[[], object], *, within: float = 10.0) -> None:
        """Wait for a condition over the stage or what listens to it. Looked at whenever something happens here."""
        async with asyncio.timeout(within):
            while not condition():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    # The store commits in its own thread, which sets no event of ours.
                    await asyncio.wait_for(self.changed.wait(), 0.01)

    async def send(self, frame: str | bytes, channel: str | None = None) -> None:
        """Send a frame on a channel's socket, or on all."""
        for name, socket in list(self.sockets.items()):
            if channel in (None, name):
                with contextlib.suppress(ConnectionError):
                    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))

    async def ping(self) -> None:
        """Ping every open socket, and wait for their answers."""
        before = self.pongs
        for socket in list(self.sockets.values()):
            await socket.ping()
        await self.until(lambda: self.pongs >= before + len(self.sockets))

    def drop(self) -> None:
        """Cut all connections without a close frame."""
        for socket in self.sockets.values():
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    def heard_by_all(self) -> set[str]:
        """The topics that some open socket hears."""
        return {topic for name in self.sockets for topic in self.topics[name]}

    # The API, as far as live capture uses it

    async def queues(self) -> list[Entity]:
        return [Entity(queue_id, f"Queue {queue_id[-3:]}") for queue_id in self.queue_ids]

    async def users(self) -> list[Entity]:
        return []

    def kept_words(self, said: str) -> str:
        return said

    async def channels(self) -> list[NotificationChannel]:
        self.requests.append(("channels", 0))
        return [self._channel(name) for name in [*self.topics, *(f"other-{n}" for n in range(self.others))]]

    def _channel(self, name: str) -> NotificationChannel:
        address = f"ws://127.0.0.1:{self._port}/channels/{name}"
        expires = (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return NotificationChannel(id=Secret(name), connect_uri=Secret(address), expires=expires)

    async def create_channel(self) -> NotificationChannel:
        self.requests.append(("create", 0))
        name = f"streaming-{len(self.topics)}"
        self.topics[name] = set()
        return self._channel(name)

    async def subscriptions(self, channel: NotificationChannel) -> list[str]:
        self.requests.append(("look", 0))
        topics = self.topics.get(channel.id.reveal())
        if topics is None:
            raise NotFound("gone", status=404)
        return sorted(topics)

    async def subscribe(
        self, channel: NotificationChannel, topics: Sequence[str], *, replace: bool
    ) -> list[TopicState]:
        if replace:
            self.topics[channel.id.reveal()] = set()
        self.requests.append(("subscribe", len(topics)))
        known = self.topics.get(channel.id.reveal())
        if known is None:
            raise NotFound("gone", status=404)
        if self.poison.intersection(name for topic in topics for name in expand(topic)):
            raise RequestRefused("The subscription topic is not valid.", status=400, code="notification.invalid.topic")
        if len(known.union(topics)) > 1_000:
            code = "notification.subscription.too.many.subscriptions"
            raise RequestRefused("Too many subscriptions", status=400, code=code)
        states = []
        for topic in topics:
            lacks = {name: lack for name in expand(topic) if (lack := self._lacks(name)) is not None}
            if len(lacks) < len(expand(topic)):
                known.add(topic)
                states.append(TopicState(topic, permitted=True, reason=None, missing_permissions=()))
            states += [
                TopicState(name, permitted=False, reason="Not authorized for this topic.", missing_permissions=(lack,))
                for name, lack in lacks.items()
            ]
        self._change()
        return states


class Capture:
    """A supervisor at work on a stage, and its store."""

    def __init__(self, stage: Stage, book: Book, supervisor: Supervisor) -> None:
        self.stage, self.book, self.supervisor = stage, book, supervisor

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the store says."""
        return peek(self.book, lambda db: db.execute(query).fetchall())

    def events(self) -> int:
        found: int = self.rows("SELECT count(*) FROM events")[0][0]
        return found

    async def until(self, condition: Callable[[], object], *, within: float = 10.0) -> None:
        await self.stage.until(condition, within=within)


@contextlib.asynccontextmanager
async def capture(
    stage: Stage,
    path: Path,
    *,
    timings: Timings = QUICK,
    rediscover: float = 300.0,
    look_within: float = 600.0,
    inbox: Inbox | None = None,
    follow_details: bool = False,
) -> AsyncIterator[Capture]:
    """Listen to the stage, and stop cleanly afterwards."""
    book = await asyncio.to_thread(Book.open, path / "rollbook.db")
    settings = Settings(follow_details=follow_details)
    supervisor = Supervisor(
        stage,  # type: ignore[arg-type]
        book,
        settings,
        now=now,
        timings=replace(timings, rediscover=rediscover, look_within=look_within),
        inbox=inbox,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    try:
        ready = asyncio.create_task(supervisor.listening.wait())
        await asyncio.wait({running, ready}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield Capture(stage, book, supervisor)
        stop.set()
        async with asyncio.timeout(10):
            await running
    finally:
        running.cancel()
        await asyncio.wait({running})
        await asyncio.to_thread(book.close)
