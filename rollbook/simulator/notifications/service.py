"""The notification half of the organisation: its REST routes, its sockets, its events, and what can go wrong with
them.

Joins what the other modules decide: `rollbook/simulator/notifications/channels.py` (rules),
`rollbook/simulator/notifications/sockets.py` (lines), `rollbook/simulator/notifications/emitter.py` (when what is
sent), `rollbook/simulator/faults/event_faults.py` (what becomes of it). Knows no more of the organisation than
`emitter.World` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from rollbook.simulator.clock import Clock
from rollbook.simulator.faults.event_faults import Alterations
from rollbook.simulator.faults.live_faults import FAULTS
from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.activity_events import Figures
from rollbook.simulator.notifications.channels import Channel, Channels, Refused
from rollbook.simulator.notifications.emitter import Emitter, Event, World, text
from rollbook.simulator.notifications.sockets import HEARTBEAT, Sockets
from rollbook.simulator.notifications.topics import EXPANDS, available
from rollbook.simulator.rest import answer_headers, spelling

_PATH: Final = "/api/v2/notifications"
_LOG: Final = 2_000  # events that are remembered
_WARNED: Final = timedelta(seconds=60)  # from "socket_closing" to the close

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Notifications:
    """Channels, sockets and events of one organisation.

    client_of: the OAuth client of a bearer token. on_revoke: told of a token that a fault revokes. heartbeat: seconds
    of the organisation's clock. emitted: events sent, by topic template; log: the last of them.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        organization: str,
        client_of: Callable[[str], str],
        seed: int = 1,
        on_revoke: Callable[[str], None] = lambda _: None,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.clock, self.organization = clock, organization
        self.client_of, self.on_revoke = client_of, on_revoke
        self.draw = random.Random(f"notifications {seed}")
        self.channels = Channels(self.draw)
        self.channels.on_gone = self._gone
        self.sockets = Sockets(self.channels, clock, heartbeat=heartbeat)
        self.sockets.refuse = self._refusal
        self.sockets.flapping = self._flaps
        self.emitter = Emitter(
            world,
            clock,
            heard=self.channels.heard,
            watched=self.channels.watched.__contains__,
            newly_watched=self._newly_watched,
            deliver=self._alter,
            breathe=self._breathe,
            seed=seed,
        )
        self.emitter.figures = self.figures = Figures(world, self.channels.figures)
        self.alterations = Alterations(seed, self.emitter.correlation_id)
        self.emitted: Counter[str] = Counter()
        self.log: deque[Event] = deque(maxlen=_LOG)
        self.down_until: datetime | None = None
        self.refuse_status: tuple[int, datetime] | None = None
        self.flapping_until: datetime | None = None
        self.keep_dead_sockets = False
        self._listeners: list[Callable[[Event], None]] = []
        self._running: list[asyncio.Task[None]] = []

    # Its life

    def add_routes(self, app: web.Application) -> None:
        """The REST routes and the socket's."""
        one = f"{_PATH}/channels/{{id}}"
        for method, path, handler in (
            ("GET", f"{_PATH}/availabletopics", self._available),
            ("GET", f"{_PATH}/channels", self._list),
            ("POST", f"{_PATH}/channels", self._create),
            ("HEAD", one, self._exists),
            ("*", f"{one}/subscriptions", self._subscriptions),
        ):
            app.router.add_route(method, path, self._answering(handler))
        app.router.add_get("/channels/{id}", self.sockets.handle)

    async def start(self) -> None:
        """Begin to emit."""
        self._running = [asyncio.create_task(self.emitter.run())]

    async def stop(self) -> None:
        """End everything; open sockets die."""
        for task in self._running:
            task.cancel()
        for task in self._running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.sockets.abort()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Be told of every event of the whole organisation, whoever subscribed: what EventBridge is to be fed with."""
        self._listeners.append(listener)
        self.emitter.everything = True

    async def settle(self) -> None:
        """Wait until everything due at this moment has been taken by the clients, which must be reading."""
        await self.emitter.settle()
        await asyncio.gather(*(line.drained() for line in self.sockets.lines.values()))

    # Events

    def _newly_watched(self) -> list[str]:
        """Also the moment at which channels expire: asked in every turn."""
        self.channels.expire(self.clock.now())
        fresh, self.channels.newly_watched = self.channels.newly_watched, []
        return fresh

    def _alter(self, event: Event) -> None:
        now = self.clock.now()
        for late, one in self.alterations.apply(event, now):
            if late:
                self.emitter.later(event.at + self.emitter.delay + late, lambda one=one: self.deliver(one))  # type: ignore[misc]
            else:
                self.deliver(one)
        if self.alterations.holding(event):
            self.emitter.later(event.at + timedelta(minutes=2), lambda: self._release(event))

    def _release(self, event: Event) -> None:
        for one in self.alterations.release(event):
            self.deliver(one)

    def deliver(self, event: Event) -> None:
        """Send an event to whoever hears its topic."""
        frame: str | None = None
        for channel in self._hearers(event):
            line = self.sockets.lines.get(channel.id)
            if line is not None and line.carries:
                frame = frame or event.frame()
                line.offer(frame)
        self.emitted[event.template] += 1
        self.log.append(event)
        for listener in self._listeners:
            listener(event)

    def _hearers(self, event: Event) -> list[Channel]:
        """A topic that nobody can subscribe to (a fault's) goes where the topic that it was made of goes."""
        heard = self.channels.heard
        return list((heard.get(event.topic) or heard.get(event.topic.rpartition(".")[0]) or {}).values())

    async def _breathe(self) -> None:
        await asyncio.sleep(0)
        await asyncio.gather(*(line.room() for line in list(self.sockets.lines.values())))

    # Channels that go, sockets that are refused

    def _gone(self, channel: Channel, why: str) -> None:
        line = self.sockets.lines.get(channel.id)
        if line is None or self.keep_dead_sockets:
            return
        line.offer(frames.reply(404, status="error", message=f"Channel {why}"))
        line.close(1001)

    def _refusal(self) -> int | None:
        now = self.clock.now()
        if self.down_until is not None and now < self.down_until:
            return 503
        if self.refuse_status is not None and now < self.refuse_status[1]:
            return self.refuse_status[0]
        return None

    def _flaps(self) -> bool:
        return self.flapping_until is not None and self.clock.now() < self.flapping_until

    def fault(self, name: str, /, **parameters: Any) -> None:
        """Make something go wrong: a name and parameters of `live_faults.FAULTS`. Raises ValueError: there is none."""
        made = FAULTS.get(name)
        if made is None:
            raise ValueError(f"{name} is no fault of the live side; there are {', '.join(FAULTS)}")
        made(self, **parameters)

    def cut(self, minutes: float) -> None:
        """Every socket dies without a word, and none is accepted for so many minutes of the organisation's clock."""
        self.down_until = self.clock.now() + timedelta(minutes=minutes)
        self.sockets.abort()

    def tell(self, channel: Channel, kind: str, reason: str) -> None:
        """Send a system message about a channel. kind: no_longer_subscribed, token_revoked."""
        line = self.sockets.lines.get(channel.id)
        if line is not None:
            line.offer(
                frames.system(
                    kind,
                    channel.id,
                    reason,
                    client=channel.client,
                    organization=self.organization,
                    correlation_id=self.emitter.correlation_id(),
                )
            )

    def announce_closing(self, after: timedelta = _WARNED) -> None:
        """`v2.system.socket_closing` on every socket; those still open after that time are closed."""
        lines = list(self.sockets.lines.values())
        for line in lines:
            line.offer(frames.socket_closing(self.emitter.correlation_id()))

        def close() -> None:
            for line in lines:
                line.close(1001)

        self.emitter.later(self.clock.now() + after, close)

    # REST

    def _answering(self, handler: Handler) -> Handler:
        """Refusals as error bodies, whose contextId is the answer's correlation id, which whoever lets in has drawn."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Refused as refused:
                return web.json_response(refused.body(answer_headers.context()), status=refused.status)

        return answer

    def _client(self, request: web.Request) -> tuple[str, str]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return token, self.client_of(token)

    async def _available(self, request: web.Request) -> web.StreamResponse:
        given = [one for each in request.query.getall("expand", []) for one in each.split(",")]
        wanted = [found for one in given if (found := spelling.word(one, EXPANDS)) is not None]
        if len(wanted) < len(given):
            raise _bad_query("expand")
        return web.json_response(available(expand=wanted, preview=_boolean(request, "includePreview", default=True)))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind = spelling.word(request.query.get("includechannels", "token"), ("token", "oauthclient"))
        if kind is None:
            raise _bad_query("includechannels")
        token, client = self._client(request)
        mine = self.channels.of(client, self.clock.now())
        told = [self._told(one, request) for one in mine if one.token == token]
        others = [{"expires": text(one.expires)} for one in mine if one.token != token]
        return web.json_response({"entities": told + (others if kind == "oauthclient" else [])})

    def _told(self, channel: Channel, request: web.Request) -> dict[str, Any]:
        return {
            "connectUri": f"{answer_headers.socket_address(request)}/channels/{channel.id}",
            "id": channel.id,
            "expires": text(channel.expires),
        }

    async def _create(self, request: web.Request) -> web.StreamResponse:
        token, client = self._client(request)
        return web.json_response(self._told(self.channels.create(token, client, self.clock.now()), request))

    def _channel(self, request: web.Request) -> Channel:
        return self.channels.get(request.match_info["id"], self.clock.now(), self._client(request)[1])

    async def _exists(self, request: web.Request) -> web.StreamResponse:
        self._channel(request)
        return web.Response()

    async def _subscriptions(self, request: web.Request) -> web.StreamResponse:
        channel, now = self._channel(request), self.clock.now()
        if request.method == "GET":
            path = request.path
            listed = [{"id": one, "state": "Permitted", "selfUri": path} for one in channel.topics]
            return web.json_response({"entities": listed})
        if request.method == "DELETE":
            self.channels.clear(channel)
            return web.Response(status=204)
        if request.method not in ("POST", "PUT"):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST", "PUT", "DELETE"])
        asked = await _asked(request)
        ignore = _boolean(request, "ignoreErrors", default=False)
        subscribe = self.channels.replace if request.method == "PUT" else self.channels.add
        return web.json_response({"entities": subscribe(channel, asked, now, ignore=ignore)})


def _bad_query(name: str) -> Refused:
    return Refused(400, "invalid.query.param.value", f"The value of the query parameter {name} is not valid.")


def _boolean(request: web.Request, name: str, *, default: bool) -> bool:
    found = spelling.word(request.query.get(name, str(default)), ("true", "false"))
    if found is None:
        raise _bad_query(name)
    return found == "true"


async def _asked(request: web.Request) -> list[str]:
    """The topics of a request's body."""
    try:
        told = await request.json()
    except ValueError:
        raise Refused(400, "bad.request", "The request could not be understood by the server.") from None
    if not isinstance(told, list) or not all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in told):
        raise Refused(400, "bad.request", "The request could not be understood by the server.")
    return [one["id"] for one in told]
