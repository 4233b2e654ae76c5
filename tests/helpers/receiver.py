"""A receiver of alerts on loopback, which answers as a test says, and keeps what it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from aiohttp import web


class Delivery(NamedTuple):
    """A request. status: what it was answered."""

    event: dict[str, Any]
    headers: Mapping[str, str]
    body: bytes
    status: int


class AlertReceiver:
    """The server. answer: the status of each request, by its event; it may raise, which cuts the connection."""

    def __init__(self, answer: Callable[[dict[str, Any]], int] = lambda _: 204) -> None:
        self.answer = answer
        self.more: dict[str, str] = {}  # headers of the answers
        self.deliveries: list[Delivery] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events that were answered with success, in their order."""
        return [delivery.event for delivery in self.deliveries if 200 <= delivery.status < 300]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.post("/{tail:.*}", self._take)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/alerts?token=t0ken-in-the-address"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = json.loads(body)
        try:
            status = self.answer(event)
        except ConnectionError:
            self.deliveries.append(Delivery(event, request.headers, body, 0))
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        self.deliveries.append(Delivery(event, request.headers, body, status))
        return web.Response(status=status, headers=self.more)
