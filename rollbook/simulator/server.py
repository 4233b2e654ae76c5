"""The organisation over HTTP and WebSocket on loopback: a shell that lets requests in and sends answers out.

Answers are decided elsewhere: by `rest.routes` and the modules that it joins; `rest.rate_limit` and `rest.sign_in` say
who is let in, and `faults` what goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Self

from aiohttp import web, web_app

from rollbook.simulator.certificates import Certificate
from rollbook.simulator.clock import Clock
from rollbook.simulator.faults import broken_bytes, gateways, partial_answers, slow_answers
from rollbook.simulator.faults.answer_faults import OutgoingAnswer, SeenRequest, Struck, altered, look, refusal
from rollbook.simulator.faults.organisation_faults import ACTS, check
from rollbook.simulator.faults.script import Effect, Fault, Script, effect
from rollbook.simulator.notifications.channels import Channels
from rollbook.simulator.notifications.service import Notifications
from rollbook.simulator.organisation.participants import identity
from rollbook.simulator.organisation.world import Conversation, World
from rollbook.simulator.rest import answer_headers, routes
from rollbook.simulator.rest.analytics.details_query import LARGEST_PAGE, READINGS, Jitter, Paging
from rollbook.simulator.rest.analytics.jobs import JobRules, Jobs
from rollbook.simulator.rest.errors import LARGEST_BODY, Refusal, SignInRefusal, missing_permissions, not_simulated
from rollbook.simulator.rest.rate_limit import RateLimit, too_many
from rollbook.simulator.rest.resources import LONGEST_RETENTION
from rollbook.simulator.rest.sign_in import Client, SignInService

_ASKING: ContextVar[tuple[str, Client]] = ContextVar("asking")  # the token of a request that was let in, and whose
_SEEN: ContextVar[SeenRequest | None] = ContextVar("seen")  # what a quirk takes the request for
_DATE_OFF: ContextVar[float | None] = ContextVar("date_off", default=0.0)  # of the answer; None: it has no Date
_QUIRKS: Final = (broken_bytes, gateways, partial_answers, slow_answers)  # each has registered its kinds
_LONGEST_ADDRESS: Final = 8_000  # bytes of path and query (assumed: what most gateways take)
_DETAILS_QUERY: Final = "POST /api/v2/analytics/conversations/details/query"
_PATIENCE: Final = 0.05  # real seconds between two looks whether a client is still there


class Simulator:
    """`async with Simulator(...) as simulator`: then `api_url`, `env`, `truth(...)`.

    seed: the same seed and start are the same organisation. start: the first conversation and the clock's beginning
    (two hours ago). rate: simulated seconds in a real one; 0: time stands until `clock.advance`. per_hour:
    conversations an hour. reading: how a part of a day is matched, `overlap` or `day`. rate_limit: requests a minute.
    records: conversations to have besides. drift: called before each details query, with how many there were.
    latency: real seconds that every answer takes. jitter: how `totalHits` errs. visible_divisions: ids, None for all.
    token_lifetime: real seconds. job_rules: how asynchronous jobs behave. faults: a script. paging: what is not
    documented of a details query's pages. tls: a certificate, for https and wss. variety: chats, video calls and calls
    of campaigns too. retention_days: after so many days conversations are deleted; None: no limit is set.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        start: datetime | None = None,
        rate: float = 1.0,
        per_hour: float = 120,
        queues: int = 6,
        users: int = 12,
        reading: str = "overlap",
        rate_limit: int = 300,
        records: list[dict[str, Any]] | None = None,
        drift: Callable[[Simulator, int], None] | None = None,
        latency: float = 0.0,
        port: int = 0,
        jitter: Jitter | None = None,
        visible_divisions: Iterable[str] | None = None,
        token_lifetime: float = 86_400,
        job_rules: JobRules | None = None,
        faults: Sequence[Fault] = (),
        monotonic: Callable[[], float] = time.monotonic,
        paging: Paging | None = None,
        tls: Certificate | None = None,
        variety: bool = False,
        retention_days: int | None = LONGEST_RETENTION,
    ) -> None:
        start = start or datetime.now(UTC) - timedelta(hours=2)
        if reading not in READINGS:
            raise ValueError(f"reading must be one of {', '.join(READINGS)}")
        self.clock = Clock(start, rate)
        self.world = World(seed, start, per_hour, queues, users, variety=variety)
        self.reading, self.latency, self.drift = reading, latency, drift
        self.jitter = jitter or Jitter()
        for record in records or ():
            self.world.add(Conversation(record, 0))
        self.paging = paging or Paging()
        if not 1 <= self.paging.most_rows <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} rows")
        self._tls = tls
        # Streams of their own: one that began like another's would make the same ids.
        self.draw, names = random.Random(f"answers {seed}"), random.Random(f"jobs {seed}")
        self._port, self._monotonic = port, monotonic
        self.client_id, self.client_secret = "simulated-client", "simulated-secret-7f3a"
        self.sign_in = SignInService([Client(self.client_id, self.client_secret)], token_lifetime)
        self.visible_divisions = visible_divisions
        self.retention_days = retention_days
        self.limits = RateLimit(rate_limit)
        self.jobs = Jobs(job_rules or JobRules(), lambda: identity(names))
        check(faults)
        self.faults = Script(faults, start)
        self.request_counts: Counter[str] = Counter()
        self.hidden: set[str] = set()
        self.forgotten: set[str] = set()  # by a `shift`
        self.notifications = Notifications(
            self.world,
            self.clock,
            organization=str(self.world.organization["id"]),
            seed=seed,
            client_of=self._client_of,
            on_revoke=self.sign_in.revoke,
        )
        self.notifications.figures.watermark = self.jobs.watermark
        self.fail: list[int] = []

    @property
    def env(self) -> dict[str, str]:
        """Settings for a client: rollbook's names of the addresses, and those of Genesys' tools for the sign-in.

        With TLS also what makes Python's and Node's clients trust the certificate.
        """
        trusted = (
            {name: str(self._tls.certificate) for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")}
            if self._tls is not None
            else {}
        )
        return {
            "GENESYSCLOUD_API_URL": self.api_url,
            "GENESYSCLOUD_LOGIN_URL": self.login_url,
            "GENESYSCLOUD_OAUTHCLIENT_ID": self.client_id,
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": self.client_secret,
            **trusted,
        }

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

    def _go_on(self, now: datetime) -> None:
        """Let there be what started by now, and delete what is older than the organisation keeps."""
        self.world.grow(now)
        if self.retention_days is not None:
            self.world.delete_before(now - timedelta(days=self.retention_days))

    def before_details_query(self) -> None:
        """Call `drift`, with how many details queries there were."""
        if self.drift is not None:
            self.drift(self, self.request_counts[_DETAILS_QUERY])

    def truth(self, start: datetime, end: datetime) -> dict[str, dict[str, Any]]:
        """Records that the platform would give at this moment, of conversations that started in [start, end), by id."""
        now = self.now()
        self._go_on(now)
        conversations = self.world.between(start, end)
        return {
            conversation.id: conversation.view(now)
            for conversation in conversations
            if conversation.visible(now) and routes.sees(self.client, conversation)
        }

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gate], client_max_size=LARGEST_BODY)
        app.on_response_prepare.append(self._finish)
        add = app.router.add_route
        add("POST", "/oauth/token", self._token)
        for route in routes.ROUTES:
            add(route.method, route.path, self._handler(route))
        self.notifications.add_routes(app)
        # Too long an address is refused as the platform would, with its own Date; the library's refusal has neither.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, max_line_size=1_000_000)
        await self._runner.setup()
        context = self._tls.context() if self._tls is not None else None
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=context).start()
        scheme = "http" if context is None else "https"
        self.api_url = self.login_url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}"
        self._playing = asyncio.create_task(self._play())
        await self.notifications.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._playing
        await self.notifications.stop()
        await self._runner.cleanup()
        forget_handlers()

    # Letting requests in

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        name, context = f"{request.method} {request.path}", str(uuid.uuid4())
        answer_headers.CONTEXT.set(context)
        if (browser_answer := answer_headers.preflight(request)) is not None:
            return browser_answer
        self.request_counts[name] += 1
        headers = {"ININ-Correlation-Id": context}
        effect = self._strike(name)
        _DATE_OFF.set(effect.date_off)
        try:
            await asyncio.sleep(self.latency + effect.delay)
            if effect.refusal is not None:
                raise effect.refusal
            if len(request.raw_path) > _LONGEST_ADDRESS:
                raise Refusal(414)
            if request.path.startswith("/api/"):
                self._admit(request, headers)
            self._go_on(self.now())
            answer: web.StreamResponse = await self._answer(request, handler, name)
        except (Refusal, web.HTTPException) as error:
            refusal = error if isinstance(error, Refusal) else _refused(request, error)
            headers |= refusal.headers
            if refusal.status == 429 and refusal.limit is None:
                headers |= self._spent(request, refusal, headers)
            answer = web.json_response(refusal.body(context), status=refusal.status)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # whoever asked has gone; nobody gets this
        if isinstance(answer, web.Response):
            for header, value in headers.items():
                answer.headers.setdefault(header, value)
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
            raise too_many(spent.reset)
        if self.fail:
            status = self.fail.pop(0)
            raise too_many(1) if status == 429 else Refusal(status)

    def _spent(self, request: web.Request, refusal: Refusal, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers of the limit in a 429 that a fault makes: the limit is exceeded until the wait is over."""
        reset = refusal.headers.get("Retry-After", "60")
        if not request.path.startswith("/api/") or headers.get("inin-ratelimit-reset") == reset:
            return {}
        allowed = self.limits.allowed
        return {
            "inin-ratelimit-count": str(allowed + 1),
            "inin-ratelimit-allowed": str(allowed),
            "inin-ratelimit-reset": reset,
        }

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

    async def _answer(self, request: web.Request, handler: Any, name: str) -> web.StreamResponse:
        """Answer of the organisation, altered by the quirks that wait for such a request."""
        lines = self.faults.waiting(name, self.now())
        _SEEN.set(None)
        if not lines:
            answer: web.StreamResponse = await handler(request)
            return answer
        waiting = [Struck(line) for line in lines]
        query = {key: ",".join(request.query.getall(key)) for key in request.query}
        # Whose request a sign-in is, is not known before it is answered; there is one client.
        client = _ASKING.get()[1] if request.path.startswith("/api/") else self.client
        asked = look(
            SeenRequest(self, client, self.now(), name, query, await request.read(), len(request.path_qs.encode())),
            waiting,
        )
        _SEEN.set(asked)
        found = refusal(asked, waiting)
        if found is None:
            answer = await handler(request)
            if not isinstance(answer, web.Response):
                return answer
            body = answer.body if isinstance(answer.body, bytes) else b""
            reply = OutgoingAnswer(answer.status, body, answer.content_type)
            found = altered(asked, waiting, reply)
            if found is reply:
                return answer
        if isinstance(found, Refusal):
            raise found
        return await self._send(request, found)

    async def _send(self, request: web.Request, reply: OutgoingAnswer) -> web.StreamResponse:
        answer = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type, **reply.headers})
        try:
            async with asyncio.timeout(reply.cut_after):
                until = time.monotonic() + reply.delay
                while _there(request) and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 (nothing tells)
                    await asyncio.sleep(min(left, _PATIENCE))
                if reply.pieces is None:
                    return web.Response(status=reply.status, body=reply.body or None, headers=answer.headers)
                await answer.prepare(request)
                async for piece in reply.pieces():
                    if not _there(request):
                        break
                    await answer.write(piece)
                await answer.write_eof()
        except ConnectionError:
            pass  # whoever asked has gone
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return answer

    async def _finish(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Every answer has the platform's headers, and the organisation's Date whatever this machine's clock says."""
        answer_headers.finish(request, answer)
        off = _DATE_OFF.get()
        if off is None:
            answer.headers.popall("Date", None)
        else:
            answer.headers["Date"] = format_datetime(self.now() + timedelta(seconds=off), usegmt=True)

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

    def _handler(self, route: routes.Route) -> Any:
        async def handler(request: web.Request) -> web.Response:
            token, client = _ASKING.get()
            if route.needs and client.lacks.issuperset(route.needs):
                raise missing_permissions(route.needs)
            body = await request.read()
            if body and request.content_type != "application/json":
                raise Refusal(415)
            query = {name: ",".join(request.query.getall(name)) for name in request.query}
            asked = routes.Request(
                client, token, request.path, request.match_info, query, body, self.now(), self._monotonic()
            )
            seen = _SEEN.get()
            if seen is not None:
                asked = asked._replace(client=seen.client, query=seen.query, body=seen.body, now=seen.now)
            answer = route.handler(self, asked)
            return web.Response(status=answer.status, body=answer.body or None, content_type="application/json")

        return handler

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            answer = self.sign_in.sign_in(form, request.headers.get("Authorization"), self._monotonic())
        except SignInRefusal as refused:
            return web.json_response(refused.body(), status=refused.status)
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    # Notifications

    def _client_of(self, token: str) -> str:
        """Whose token this is; the gate has let it in already."""
        return self.sign_in.check(f"Bearer {token}", self._monotonic())[1].client_id

    @property
    def channels(self) -> Channels:
        """The notification channels."""
        return self.notifications.channels

    @property
    def emitted(self) -> Counter[str]:
        """Events sent so far, by topic template."""
        return self.notifications.emitted

    @property
    def down_until(self) -> datetime | None:
        """Until when no socket is accepted."""
        return self.notifications.down_until

    def cut(self, minutes: float) -> None:
        """Every socket dies without a word, and none is accepted for so many simulated minutes."""
        self.notifications.cut(minutes)


def _refused(request: web.Request, error: web.HTTPException) -> Refusal:
    """A refusal of the library's own, as the platform would spell it."""
    if request.match_info.http_exception is error and answer_headers.exists_elsewhere(request.path):
        return not_simulated(f"{request.method} {request.path}")
    return Refusal(error.status)


def _there(request: web.Request) -> bool:
    """Say whether the client is still there."""
    return request.transport is not None and not request.transport.is_closing()


def forget_handlers() -> None:
    """Let aiohttp forget the handlers of servers that have ended.

    It keeps those of its last thousand routes in a cache for the whole process, and with each handler its organisation:
    a suite of tests that starts many organisations grew by megabytes with each.
    """
    clear = getattr(getattr(web_app, "_cached_build_middleware", None), "cache_clear", None)
    if clear is not None:
        clear()
