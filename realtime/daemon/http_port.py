"""The daemon's HTTP port: `/healthz` says how it is and why, `/metrics` in numbers, `/ready` if an interval is proven.

Off unless `[realtime] health = "127.0.0.1:8125"` is set; meant for loopback, it asks for no sign-in. `health.py` judges
the figures, `metrics.py` names them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from realtime.daemon.health import reasons
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from reconcile.gate import Readiness
from rollbook.genesys.errors import RollbookError, SettingsError, UsageError
from rollbook.store.reasons import State, state_of


class FiguresSource(Protocol):
    """Source of the figures, and of the gate's answers: the daemon."""

    async def figures(self) -> DaemonFigures: ...

    async def readiness(self, interval: str, *, settled: bool) -> Readiness: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Collector:
    figures: DaemonFigures

    def collect(self) -> Iterator[Metric]:
        yield from metrics(self.figures)


class HttpPort:
    """The server. `start`, then `stop`."""

    def __init__(self, source: FiguresSource, address: str) -> None:
        self._source = source
        self._address = address
        self._host, self._port = split(address)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Begin to answer. Raises RollbookError if the address is not free: another program may use it for a while."""
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", self._healthz), web.get("/metrics", self._metrics), web.get("/ready", self._ready)]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            # The text of asyncio is longer. A name that does not resolve has an error number below zero.
            why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
            raise RollbookError(
                f"[realtime] health = {self._address!r}: cannot listen there ({why}); choose another, or end what has"
                " it (another daemon?)"
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Answer no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        found = reasons(await self._source.figures())
        state = state_of(found)
        answer = {
            "state": state,
            "why": [reason.text for reason in found],
            "reasons": [reason.kind for reason in found],
        }
        return web.json_response(answer, status=503 if state == State.DEAD else 200)

    async def _ready(self, request: web.Request) -> web.Response:
        """200 where all of the interval is proven, 409 where not; 400 for no interval, 503 where there is no answer."""
        try:
            settled = _is_true(request.query.get("settled", "false"))
            found = await self._source.readiness(request.query.get("interval", ""), settled=settled)
        except RollbookError as error:
            return web.json_response({"error": str(error)}, status=400 if isinstance(error, UsageError) else 503)
        return web.json_response(found.as_dict(), status=200 if found.ready else 409)

    async def _metrics(self, _: web.Request) -> web.Response:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(await self._source.figures()))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0", ""):
        raise UsageError(f"settled = {text!r}: must be true or false")
    return text.lower() in ("true", "1")


def split(address: str) -> tuple[str, int]:
    """Host and port of `[realtime] health`. Raises SettingsError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"[realtime] health = {address!r}: must be HOST:PORT, e.g. 127.0.0.1:8125")
    return host.strip("[]") or "127.0.0.1", int(port)
