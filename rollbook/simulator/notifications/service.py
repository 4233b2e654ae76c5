"""The notifications' REST routes, over the live side of the organisation; and its faults by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from rollbook.simulator.faults.live_faults import FAULTS
from rollbook.simulator.notifications.channels import Channel, Refused
from rollbook.simulator.notifications.live_side import LiveSide
from rollbook.simulator.notifications.topics import EXPANDS, available
from rollbook.simulator.rest import answer_headers, spelling
from rollbook.simulator.times import text

_PATH: Final = "/api/v2/notifications"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Notifications(LiveSide):
    """Channels, sockets and events of one organisation, with the REST routes that make and change channels."""

    def add_routes(self, app: web.Application) -> None:
        """The REST routes and the socket's."""
        channel = f"{_PATH}/channels/{{id}}"
        for method, path, handler in (
            ("GET", f"{_PATH}/availabletopics", self._available),
            ("GET", f"{_PATH}/channels", self._list),
            ("POST", f"{_PATH}/channels", self._create),
            ("HEAD", channel, self._exists),
            ("*", f"{channel}/subscriptions", self._subscriptions),
        ):
            app.router.add_route(method, path, self._answering(handler))
        app.router.add_get("/channels/{id}", self.sockets.handle)

    def fault(self, name: str, /, **parameters: Any) -> None:
        """Make something go wrong: a name and parameters of `live_faults.FAULTS`. Raises ValueError: there is none."""
        made = FAULTS.get(name)
        if made is None:
            raise ValueError(f"{name} is no fault of the live side; there are {', '.join(FAULTS)}")
        made(self, **parameters)

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
        given = [name for each in request.query.getall("expand", []) for name in each.split(",")]
        wanted = [found for name in given if (found := spelling.word(name, EXPANDS)) is not None]
        if len(wanted) < len(given):
            raise _bad_query("expand")
        return web.json_response(available(expand=wanted, preview=_boolean(request, "includePreview", default=True)))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind = spelling.word(request.query.get("includechannels", "token"), ("token", "oauthclient"))
        if kind is None:
            raise _bad_query("includechannels")
        token, client = self._client(request)
        mine = self.channels.of(client, self.clock.now())
        own = [self._entity(channel, request) for channel in mine if channel.token == token]
        others = [{"expires": text(channel.expires)} for channel in mine if channel.token != token]
        return web.json_response({"entities": own + (others if kind == "oauthclient" else [])})

    def _entity(self, channel: Channel, request: web.Request) -> dict[str, Any]:
        return {
            "connectUri": f"{answer_headers.socket_address(request)}/channels/{channel.id}",
            "id": channel.id,
            "expires": text(channel.expires),
        }

    async def _create(self, request: web.Request) -> web.StreamResponse:
        token, client = self._client(request)
        return web.json_response(self._entity(self.channels.create(token, client, self.clock.now()), request))

    def _channel(self, request: web.Request) -> Channel:
        return self.channels.get(request.match_info["id"], self.clock.now(), self._client(request)[1])

    async def _exists(self, request: web.Request) -> web.StreamResponse:
        self._channel(request)
        return web.Response()

    async def _subscriptions(self, request: web.Request) -> web.StreamResponse:
        channel, now = self._channel(request), self.clock.now()
        if request.method == "GET":
            path = request.path
            listed = [{"id": topic, "state": "Permitted", "selfUri": path} for topic in channel.topics]
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
        content = await request.json()
    except ValueError:
        raise Refused(400, "bad.request", "The request could not be understood by the server.") from None
    if not isinstance(content, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in content
    ):
        raise Refused(400, "bad.request", "The request could not be understood by the server.")
    return [entry["id"] for entry in content]
