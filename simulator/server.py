"""The organisation over HTTP and WebSocket on loopback: a shell that lets requests in and sends answers out.

What is answered is decided elsewhere: `rest` and what it calls for resources, `limits`, `sign_in` and `faults` for who
is let in and what goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import WSMsgType, web

from simulator import rest
from simulator.clock import Clock
from simulator.details import READINGS, Jitter
from simulator.errors import Refusal, SignInRefused, missing_permissions
from simulator.faults import Effect, Fault, Script, effect
from simulator.jobs import Jobs, Rules
from simulator.legs import identity
from simulator.limits import RateLimit, too_many
from simulator.mischief import ACTS
from simulator.sign_in import Client, SignIn
from simulator.world import Life, World, text

DAY = timedelta(days=1)
_ASKING: ContextVar[tuple[str, Client]] = ContextVar("asking")  # the token of a request that was let in, and whose


class Simulator:
    """`async with Simulator(...) as simulator`: then `api_url`, `env`, `truth(...)`.

    seed: the same seed and start are the same organisation. start: the first conversation and the clock's beginning
    (two hours ago). rate: simulated seconds in a real one; 0: time stands until `clock.advance`. per_hour:
    conversations an hour. reading: how a part of a day is matched, `overlap` or `day`. rate_limit: requests a minute.
    records: conversations to have besides. drift: called before each details query, with how many there were.
    latency: real seconds that every answer takes. jitter: how `totalHits` errs. visible_divisions: ids, None for all.
    token_lifetime: real seconds. job_rules: how asynchronous jobs behave. faults: a script.
    """

    def __init__(
        self, *, seed: int = 1, start: datetime | None = None, rate: float = 1.0, per_hour: float = 120,
        queues: int = 6, users: int = 12, reading: str = "overlap", rate_limit: int = 300,
        records: list[dict[str, Any]] | None = None,
        drift: Callable[[Simulator, int], None] | None = None, latency: float = 0.0, port: int = 0,
        jitter: Jitter | None = None, visible_divisions: Iterable[str] | None = None, token_lifetime: float = 86_400,
        job_rules: Rules | None = None, faults: Sequence[Fault] = (), monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        start = start or datetime.now(UTC) - timedelta(hours=2)
        if reading not in READINGS:
            raise ValueError(f"reading must be one of {', '.join(READINGS)}")
        self.clock = Clock(start, rate)
        self.world = World(seed, start, per_hour, queues, users)
        self.reading, self.latency, self.drift = reading, latency, drift
        self.jitter = jitter or Jitter()
        for record in records or ():
            self.world.add(Life(record, 0))
        self.draw = random.Random(seed)
        self._port, self._monotonic = port, monotonic
        self.client_id, self.client_secret = "simulated-client", "simulated-secret-7f3a"
        self.sign_in = SignIn([Client(self.client_id, self.client_secret)], token_lifetime)
        self.visible_divisions = visible_divisions
        self.limits = RateLimit(rate_limit)
        self.jobs = Jobs(job_rules or Rules(), lambda: identity(self.draw))
        self.faults = Script(faults, start)
        self.request_counts: Counter[str] = Counter()
        self.hidden: set[str] = set()
        self.channels: dict[str, dict[str, Any]] = {}
        self.down_until: datetime | None = None
        self.emitted: list[tuple[datetime, str, dict[str, Any]]] = []
        self.fail: list[int] = []

    @property
    def env(self) -> dict[str, str]:
        """Settings for a client, as Genesys' own tools name them."""
        return {
            "GENESYSCLOUD_API_URL": self.api_url, "GENESYSCLOUD_LOGIN_URL": self.login_url,
            "GENESYSCLOUD_OAUTHCLIENT_ID": self.client_id, "GENESYSCLOUD_OAUTHCLIENT_SECRET": self.client_secret,
        }  # fmt: skip

    @property
    def rate_limit(self) -> int:
        """Requests that a token may make in a minute."""
        return self.limits.allowed

    @rate_limit.setter
    def rate_limit(self, allowed: int) -> None:
        self.limits.allowed = allowed

    @property
    def client(self) -> Client:
        """The OAuth client; change it with `sign_in.change`."""
        return self.sign_in.client(self.client_id)

    @property
    def visible_divisions(self) -> frozenset[str] | None:
        """Ids of the divisions that the client sees; None: all."""
        return self.client.divisions

    @visible_divisions.setter
    def visible_divisions(self, ids: Iterable[str] | None) -> None:
        self.sign_in.change(self.client._replace(divisions=None if ids is None else frozenset(ids)))

    def now(self) -> datetime:
        """The organisation's time."""
        return self.clock.now()

    def truth(self, start: datetime, end: datetime) -> dict[str, dict[str, Any]]:
        """What the platform would answer at this moment for conversations that started in [start, end), by id."""
        now = self.now()
        self.world.grow(now)
        lives = self.world.between(start, end)
        return {life.id: life.view(now) for life in lives if life.visible(now) and rest.sees(self.client, life)}

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gate])
        add = app.router.add_route
        add("POST", "/oauth/token", self._token)
        for route in rest.ROUTES:
            add(route.method, route.path, self._handler(route))
        add(
            "GET",
            "/api/v2/notifications/availabletopics",
            self._json(
                lambda _: {
                    "entities": [
                        {"id": "v2.routing.queues.{id}.conversations", "transports": ["All"], "permissionDetails": []},
                        {"id": "v2.users.{id}.conversations", "transports": ["All"], "permissionDetails": []},
                    ]
                }
            ),
        )
        add(
            "GET",
            "/api/v2/notifications/channels",
            self._json(lambda _: {"entities": [c["told"] for c in self.channels.values()]}),
        )
        add("POST", "/api/v2/notifications/channels", self._json(lambda _: self._channel()))
        add("*", "/api/v2/notifications/channels/{id}/subscriptions", self._subscriptions)
        add("GET", "/channels/{id}", self._socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.api_url = self.login_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._playing = asyncio.create_task(self._play())
        self._emitting = asyncio.create_task(self._emit())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._playing, self._emitting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for channel in self.channels.values():
            if channel["socket"] is not None:
                channel["socket"]._req.transport and channel["socket"]._req.transport.abort()
        await self._runner.cleanup()

    # Letting requests in

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        name, context = f"{request.method} {request.path}", str(uuid.uuid4())
        self.request_counts[name] += 1
        headers = {"ININ-Correlation-Id": context}
        effect = self._strike(name)
        try:
            await asyncio.sleep(self.latency + effect.delay)
            if effect.refusal is not None:
                raise effect.refusal
            if request.path.startswith("/api/"):
                self._admit(request, headers)
            self.world.grow(self.now())
            answer: web.StreamResponse = await handler(request)
        except (Refusal, web.HTTPException) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(error.status)
            headers |= refusal.headers
            answer = web.json_response(refusal.body(context), status=refusal.status)
        if isinstance(answer, web.Response):
            answer.headers.update(headers)
            answer = await self._spoil(request, answer, effect)
        return answer

    def _admit(self, request: web.Request, headers: dict[str, str]) -> None:
        """Who is it, and may it ask once more? Raises Refusal."""
        clock = self._monotonic()
        token, client = self.sign_in.check(request.headers.get("Authorization"), clock)
        _ASKING.set((token, client))
        spent = self.limits.spend(token, clock)
        headers |= spent.headers()
        if spent.over:
            raise too_many(spent.reset, spent.allowed)
        if self.fail:
            status = self.fail.pop(0)
            raise too_many(1) if status == 429 else Refusal(status)

    def _strike(self, name: str) -> Effect:
        now = self.now()
        struck = [*self.faults.due(now), *self.faults.strike(name, now)]
        self._act(struck)
        return effect(struck)

    def _act(self, struck: Iterable[Fault]) -> None:
        for fault in struck:
            if fault.kind in ACTS:
                ACTS[fault.kind](self, fault.parameters)

    async def _play(self) -> None:
        """Let what the script has for a moment happen at that moment, whether or not anybody asks."""
        while (at := self.faults.next_moment()) is not None:
            await self.clock.until(at)
            self._act(self.faults.due(self.now()))

    async def _spoil(self, request: web.Request, answer: web.Response, effect: Effect) -> web.StreamResponse:
        body = answer.body if isinstance(answer.body, bytes) else b""
        if effect.broken:
            answer.body = body[: len(body) // 2].ljust(len(body), b" ")
        if effect.cut is None:
            return answer
        part = web.StreamResponse(status=answer.status, headers=answer.headers)
        part.content_length = len(body)
        await part.prepare(request)
        await part.write(body[: int(len(body) * effect.cut)])
        if request.transport is not None:
            request.transport.close()
        return part

    # Resources

    def _handler(self, route: rest.Route) -> Any:
        async def handler(request: web.Request) -> web.Response:
            token, client = _ASKING.get()
            if route.needs and client.lacks.issuperset(route.needs):
                raise missing_permissions(route.needs)
            body = await request.read()
            if body and request.content_type != "application/json":
                raise Refusal(415)
            query = {name: ",".join(request.query.getall(name)) for name in request.query}
            answer = route.handler(self, rest.Request(
                client, token, request.path, request.match_info, query, body, self.now(), self._monotonic(),
            ))  # fmt: skip
            return web.Response(status=answer.status, body=answer.body or None, content_type="application/json")

        return handler

    def _json(self, make: Callable[[web.Request], Any]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            return web.json_response(make(request))

        return handler

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            told = self.sign_in.sign_in(form, request.headers.get("Authorization"), self._monotonic())
        except SignInRefused as refused:
            return web.json_response(refused.body(), status=refused.status)
        return web.json_response(told, headers={"Cache-Control": "no-store"})

    # Notifications

    def _channel(self) -> dict[str, Any]:
        name = f"streaming-0-{uuid.uuid4().hex[:26]}"
        told = {"id": name, "connectUri": f"ws{self.api_url[4:]}/channels/{name}", "expires": text(self.now() + DAY)}
        self.channels[name] = {"told": told, "topics": {}, "socket": None}
        return told

    async def _subscriptions(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["id"])
        if channel is None:
            raise Refusal(404, "not.found", "The requested resource was not found.")
        if request.method == "GET":
            return web.json_response({"entities": [{"id": topic} for topic in channel["topics"]]})
        topics = [one["id"] for one in await request.json()]
        if request.method == "PUT":
            channel["topics"].clear()
        channel["topics"].update(dict.fromkeys(topics))
        return web.json_response({"entities": [{"id": topic, "state": "Permitted"} for topic in topics]})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        channel = self.channels.get(request.match_info["id"])
        if channel is None or (self.down_until is not None and self.now() < self.down_until):
            raise Refusal(404 if channel is None else 503, "not.found", "The requested resource was not found.")
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        channel["socket"] = socket
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                told = json.loads(message.data) if message.data.startswith("{") else {}
                if told.get("message") == "ping":
                    await socket.send_str('{"topicName":"channel.metadata","eventBody":{"message":"pong"}}')
                elif told.get("message") in ("subscribe", "unsubscribe"):
                    for topic in told["topics"]:
                        channel["topics"].pop(topic, None)
                        if told["message"] == "subscribe":
                            channel["topics"][topic] = None
                    await socket.send_json(
                        {"result": "200", "status": told["message"] + "d", "correlationId": told.get("correlationId")}
                    )
        if channel["socket"] is socket:
            channel["socket"] = None
        return socket

    def cut(self, minutes: float) -> None:
        """Every socket dies without a word, and none is accepted for so many simulated minutes."""
        self.down_until = self.now() + timedelta(minutes=minutes)
        for channel in self.channels.values():
            if channel["socket"] is not None:
                channel["socket"]._req.transport.abort()
                channel["socket"] = None

    async def _emit(self) -> None:
        """Send a snapshot at each change of each conversation, in the order of time."""
        done = self.now()
        while True:
            await asyncio.sleep(0.02 if self.clock.rate > 5 else 0.1)
            now = self.now()
            self.world.grow(now)
            due = [
                (at, life)
                for life in self.world.between(done - timedelta(days=3), now)
                for at in life.changes
                if done < at <= now
            ]
            for at, life in sorted(due, key=lambda pair: (pair[0], pair[1].id)):
                await self._tell(at, life)
            done = now

    async def _tell(self, at: datetime, life: Life) -> None:
        body = snapshot(life.record, text(at))
        queues = {p["queueId"] for p in body["participants"] if p.get("queueId")}
        users = {p["userId"] for p in body["participants"] if p.get("userId")}
        for topic in [
            *(f"v2.routing.queues.{q}.conversations" for q in sorted(queues)),
            *(f"v2.users.{u}.conversations" for u in sorted(users)),
        ]:
            frame = json.dumps(
                {
                    "topicName": topic,
                    "version": "2",
                    "eventBody": body,
                    "metadata": {"CorrelationId": str(uuid.uuid4())},
                }
            )
            for channel in self.channels.values():
                if topic in channel["topics"] and channel["socket"] is not None:
                    with contextlib.suppress(ConnectionError):
                        await channel["socket"].send_str(frame)


def snapshot(record: dict[str, Any], known: str) -> dict[str, Any]:
    """A queue's conversation as it stood at `known`."""
    from simulator.world import view

    names = {"voice": "calls", "message": "messages", "email": "emails", "callback": "callbacks"}
    seen = view(record, known)
    participants = []
    for participant in seen["participants"]:
        session = participant["sessions"][0]
        segments = session["segments"]
        whole = next(p for p in record["participants"] if p["participantId"] == participant["participantId"])
        ended = len(segments) == len(whole["sessions"][0]["segments"]) and all("segmentEnd" in one for one in segments)
        talking = [one for one in segments if one["segmentType"] in ("interact", "ivr", "hold")]
        wrapping = [one for one in segments if one["segmentType"] == "wrapup"]
        told: dict[str, Any] = {"id": participant["participantId"], "purpose": participant["purpose"]}
        if "userId" in participant:
            told["userId"] = participant["userId"]
        queue = next((one["queueId"] for one in segments if one.get("queueId")), None)
        if queue:
            told["queueId"] = queue
        if talking:
            told["connectedTime"] = talking[0]["segmentStart"]
        communication: dict[str, Any] = {
            "id": session["sessionId"],
            "state": "connected",
            "direction": session["direction"],
        }
        if talking:
            communication["connectedTime"] = talking[0]["segmentStart"]
        if ended:
            told["endTime"] = max(one["segmentEnd"] for one in segments)
            communication["state"] = "disconnected"
            communication["disconnectedTime"] = (talking or segments)[-1]["segmentEnd"]
        if wrapping:
            communication["afterCallWork"] = {
                "state": "complete" if ended else "pending",
                "startTime": wrapping[0]["segmentStart"],
            }
            if ended:
                communication["afterCallWork"]["endTime"] = wrapping[-1]["segmentEnd"]
        told[names[session["mediaType"]]] = [communication]
        participants.append(told)
    return {
        "id": record["conversationId"],
        "participants": participants,
        "recordingState": "none",
        "divisions": [{"division": {"id": one}} for one in record["divisionIds"]],
    }
