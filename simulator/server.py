"""The organisation over HTTP and WebSocket on loopback."""

from __future__ import annotations

import asyncio
import base64
import random
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web

from simulator.channels import Channels
from simulator.clock import Clock
from simulator.notifications import Notifications
from simulator.world import Life, World, moment

DAY = timedelta(days=1)


class Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Simulator:
    """`async with Simulator(...) as sim`: then `sim.api_url`, `sim.env`, `sim.truth(...)`."""

    def __init__(
        self, *, seed: int = 1, start: datetime | None = None, rate: float = 1.0, per_hour: float = 120, queues: int = 6,
        users: int = 12, reading: str = "overlap", rate_limit: int = 300, records: list[dict[str, Any]] | None = None,
        drift: Callable[[Simulator, int], None] | None = None, latency: float = 0.0, port: int = 0,
    ) -> None:  # fmt: skip
        start = start or datetime.now(UTC) - timedelta(hours=2)
        self.clock = Clock(start, rate)
        self.world = World(seed, start, per_hour, queues, users)
        self.reading, self.rate_limit, self.latency = reading, rate_limit, latency
        self.drift = drift
        self._records = records
        self._draw = random.Random(seed)
        self._port = port
        self.client_id, self.client_secret = "simulated-client", "simulated-secret-7f3a"
        self.tokens: set[str] = set()
        self.request_counts: Counter[str] = Counter()
        self.hidden: set[str] = set()
        self.notifications = Notifications(
            self.world, self.clock, organization=str(self.world.organization["id"]), seed=seed,
            client_of=lambda _: self.client_id, on_revoke=self.tokens.discard,
        )  # fmt: skip
        self.fail: list[int] = []

    @property
    def env(self) -> dict[str, str]:
        return {
            "GENESYSCLOUD_API_URL": self.api_url, "GENESYSCLOUD_LOGIN_URL": self.login_url,
            "GENESYSCLOUD_OAUTHCLIENT_ID": self.client_id, "GENESYSCLOUD_OAUTHCLIENT_SECRET": self.client_secret,
        }  # fmt: skip

    def now(self) -> datetime:
        return self.clock.now()

    def truth(self, start: datetime, end: datetime) -> dict[str, dict[str, Any]]:
        self.world.grow(self.now())
        return {life.id: life.view(self.now()) for life in self.world.between(start, end)}

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gate])
        add = app.router.add_route
        add("POST", "/oauth/token", self._token)
        add("GET", "/api/v2/organizations/me", self._json(lambda _: self.world.organization))
        add("GET", "/api/v2/authorization/divisions", self._paged(lambda: self.world.divisions))
        add("GET", "/api/v2/routing/queues", self._paged(lambda: self.world.queues))
        add("GET", "/api/v2/users", self._paged(lambda: self.world.users))
        self.notifications.add_routes(app)
        add("POST", "/api/v2/analytics/conversations/details/query", self._query)
        add("GET", "/api/v2/analytics/conversations/details", self._by_id)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.api_url = self.login_url = f"http://127.0.0.1:{port}"
        for record in self._records or ():
            self.world.add(Life(record, 0))
        await self.notifications.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.notifications.stop()
        await self._runner.cleanup()

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        name = f"{request.method} {request.path}"
        self.request_counts[name] += 1
        try:
            if request.path.startswith("/api/"):
                if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                    raise Refusal(401, "bad.credentials", "Invalid login credentials.")
                if self.fail:
                    raise Refusal(self.fail.pop(0), "service.unavailable", "The service is currently unavailable.")
            if self.latency:
                await asyncio.sleep(self.latency)
            self.world.grow(self.now())
            answer = await handler(request)
        except Refusal as refusal:
            answer = web.json_response(
                {"message": refusal.message, "code": refusal.code, "status": refusal.status, "contextId": str(uuid.uuid4())},
                status=refusal.status,
            )
        if not isinstance(answer, web.WebSocketResponse):
            answer.headers["ININ-Correlation-Id"] = str(uuid.uuid4())
            answer.headers["inin-ratelimit-count"] = "1"
            answer.headers["inin-ratelimit-allowed"] = str(self.rate_limit)
            answer.headers["inin-ratelimit-reset"] = "60"
        return answer

    def _json(self, make: Callable[[web.Request], Any]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            return web.json_response(make(request))

        return handler

    def _paged(self, items: Callable[[], list[Any]]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            size, number = int(request.query.get("pageSize", 25)), int(request.query.get("pageNumber", 1))
            every = items()
            return web.json_response({
                "entities": every[(number - 1) * size : number * size], "pageSize": size, "pageNumber": number,
                "total": len(every), "pageCount": -(-len(every) // size)})

        return handler

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        given = base64.b64decode(basic).decode() if basic else f"{form.get('client_id')}:{form.get('client_secret')}"
        if given != f"{self.client_id}:{self.client_secret}":
            return web.json_response({"error": "invalid_client", "description": "authentication failed",
                                      "error_description": "authentication failed"}, status=400)
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": 86400})

    # Details

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.drift is not None:
            self.drift(self, self.request_counts["POST /api/v2/analytics/conversations/details/query"])
        start, end = (moment(part) for part in body["interval"].split("/"))
        filters = [*body.get("conversationFilters", ()), *body.get("segmentFilters", ())]
        if end - start > timedelta(days=31 if filters else 7):
            raise Refusal(400, "bad.request", "You must specify a search interval as part of your query that does not exceed 31 days.")
        paging = body.get("paging") or {}
        size, number = paging.get("pageSize", 25), paging.get("pageNumber", 1)
        if size > 100:
            raise Refusal(400, "bad.request", "pageSize")
        if size * number > 100_000:
            raise Refusal(400, "bad.request", "Pagination may not exceed 100000 results.")
        now = self.now()
        first = start.replace(hour=0, minute=0, second=0, microsecond=0)
        last = (end - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        found = []
        for life in self.world.between(first, last):
            if life.id in self.hidden or not life.visible(now):
                continue
            if self.reading == "overlap" and (life.start >= end or life.end < start):
                continue
            if all(self._holds(one, life, now) for one in filters):
                found.append(life)
        if body.get("order") == "desc":
            found.reverse()
        page = found[(number - 1) * size : number * size]
        if not page:
            return web.json_response({})
        rows = b",".join(life.encoded(now) for life in page)
        return web.Response(body=b'{"conversations":[%b],"totalHits":%d}' % (rows, len(found)), content_type="application/json")

    def _holds(self, one: dict[str, Any], life: Life, now: datetime) -> bool:
        parts = [self._predicate(p, life, now) for p in one.get("predicates", ())]
        parts += [self._holds(clause, life, now) for clause in one.get("clauses", ())]
        return any(parts) if one.get("type") == "or" else all(parts)

    def _predicate(self, predicate: dict[str, Any], life: Life, now: datetime) -> bool:
        record = life.view(now)
        dimension, operator = predicate.get("dimension"), predicate.get("operator", "matches")
        if dimension in ("conversationEnd", "conversationId", "mediaStatsMinConversationMos", "originatingDirection"):
            values = {record[dimension]} if dimension in record else set()
        elif dimension == "divisionId":
            values = set(record["divisionIds"])
        elif dimension in ("mediaType", "queueId", "userId"):
            values = {v for p in record["participants"] for v in [p.get(dimension)]}
            values |= {s.get(dimension) for p in record["participants"] for s in p["sessions"]}
            values |= {g.get(dimension) for p in record["participants"] for s in p["sessions"] for g in s["segments"]}
            values.discard(None)
        else:
            raise Refusal(400, "bad.request", f"Unknown dimension {dimension}")
        if operator == "exists":
            return bool(values)
        if operator == "notExists":
            return not values
        return predicate.get("value") in values

    async def _by_id(self, request: web.Request) -> web.Response:
        now = self.now()
        ids = [one for part in request.query.getall("id", []) for one in part.split(",")]
        found = [self.world.by_id[one] for one in ids if one in self.world.by_id and self.world.by_id[one].visible(now)]
        if not found:
            return web.json_response({})
        return web.Response(body=b'{"conversations":[%b]}' % b",".join(life.encoded(now) for life in found), content_type="application/json")

    # Notifications

    @property
    def channels(self) -> Channels:
        return self.notifications.channels

    @property
    def emitted(self) -> Counter[str]:
        return self.notifications.emitted

    @property
    def down_until(self) -> datetime | None:
        return self.notifications.down_until

    def cut(self, minutes: float) -> None:
        """Every socket dies without a word, and none is accepted for so many simulated minutes."""
        self.notifications.cut(minutes)
