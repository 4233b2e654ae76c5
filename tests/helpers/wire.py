"""The simulated organisation without sockets: a transport in the place of `rollbook.genesys.api.http.Http`, in one process.

A request goes through the simulator's own gate, faults and handlers; what is left out is the network below. An answer
that comes in pieces (a trickle, one without an end) cannot be had here. Every answer is kept as it was given, with the
organisation's time, for whoever judges afterwards what the platform has shown.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from rollbook.genesys.api.http import Answer, TransportError
from rollbook.simulator.faults.script import Effect
from rollbook.simulator.rest import routes
from rollbook.simulator.server import _DATE_OFF, Simulator

DETAILS: Final = "/api/v2/analytics/conversations/details"


@dataclass(frozen=True)
class Shown:
    """An answer with status 200 about conversations, as the client got it. at: the organisation's time.

    way: `query`, `ids` or `job`. divisions: those that the client saw, None for all.
    """

    at: datetime
    step: int
    way: str
    asked: Mapping[str, Any]
    body: bytes
    divisions: frozenset[str] | None


class _Protocol:
    """What aiohttp's request wants to know of a connection."""

    transport = ssl_context = peername = sockname = None


class Organisation:
    """A simulator whose handlers are called. page: the largest page that a details query is answered with."""

    def __init__(self, simulator: Simulator, *, page: int) -> None:
        self.simulator, self.page = simulator, page
        self.shown: list[Shown] = []
        self.step = 0
        self._cut()
        self._app = web.Application(middlewares=[simulator._gate])
        self._app.router.add_route("POST", "/oauth/token", simulator._token)
        for route in routes.ROUTES:
            self._app.router.add_route(route.method, route.path, simulator._handler(route))
        self._app.freeze()

    async def answer(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """What the organisation answers. Raises TransportError where the connection is lost."""
        content, fewer = self._smaller(target, content)
        listed = CIMultiDict(headers)
        message = RawRequestMessage(
            method, target, HttpVersion11, CIMultiDictProxy(listed), (), False, None, False, False, URL(target)
        )
        request = web.Request(message, None, _Protocol(), None, None, asyncio.get_running_loop())  # type: ignore[arg-type]
        request._read_bytes = content
        _DATE_OFF.set(0.0)
        answer = await self._app._handle(request)
        if not isinstance(answer, web.Response):
            raise lost()
        body = answer.body if isinstance(answer.body, bytes) else b""
        headers_sent: CIMultiDict[str] = CIMultiDict(answer.headers)
        if (off := _DATE_OFF.get()) is not None:
            headers_sent["Date"] = format_datetime(self.simulator.now() + timedelta(seconds=off), usegmt=True)
        if answer.status == 200:
            self._keep(method, URL(target), fewer, body)
        return Answer(answer.status, headers_sent, body)

    def _cut(self) -> None:
        """Lose the connection where an answer is cut while it is sent: here is nothing that it could be sent over."""
        spoil = self.simulator._spoil

        async def spoiled(request: web.Request, answer: web.Response, effect: Effect) -> web.StreamResponse:
            if effect.cut is not None:
                raise lost()
            return await spoil(request, answer, effect)

        self.simulator._spoil = spoiled  # type: ignore[method-assign]

    def _smaller(self, target: str, content: bytes) -> tuple[bytes, Mapping[str, Any]]:
        """The query with pages of our size: a platform may answer with less than it is asked for."""
        if not target.endswith("/details/query"):
            return content, {}
        asked = json.loads(content)
        size = min(asked["paging"]["pageSize"], self.page)
        asked["paging"] = {**asked["paging"], "pageSize": size}
        return json.dumps(asked).encode(), asked

    def _keep(self, method: str, target: URL, asked: Mapping[str, Any], body: bytes) -> None:
        path = target.path
        if path == f"{DETAILS}/query":
            way = "query"
        elif path == DETAILS:
            way, asked = "ids", {"id": target.query.get("id", "").split(",")}
        elif path.startswith(f"{DETAILS}/jobs/") and path.endswith("/results"):
            way = "job"
        else:
            return
        now, seen = self.simulator.now(), self.simulator.visible_divisions
        self.shown.append(Shown(now, self.step, way, asked, body, seen))


def lost() -> TransportError:
    """The error of a connection that was lost in the middle of an answer."""
    return TransportError("the connection was lost")


class Wire:
    """In the place of `Http`, for one client program. before: awaited before each request, with its path."""

    def __init__(self, organisation: Organisation, before: Callable[[str], Awaitable[None]]) -> None:
        self._organisation, self._before = organisation, before

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_: Any,
    ) -> Answer:
        """One request, one answer. Raises TransportError."""
        parts = urlsplit(url)
        await self._before(parts.path)
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
        if form is not None:
            content, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        return await self._organisation.answer(method, f"{parts.path}{query}", sent, content or b"")

    async def close(self) -> None:
        """There is nothing to close."""
