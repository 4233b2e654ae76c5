"""The daemon's HTTP port: `/healthz` says how it is and why, `/metrics` in numbers, `/ready` if an interval is proven.

Beside them the page, where it is shown (`page_source.py`). Off unless `[realtime] health = "127.0.0.1:8125"` is set.
What is answered here asks nobody who they are; the page does. `health.py` judges the figures, `metrics.py` names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from realtime.daemon.health import reasons
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from reconcile.gate import Readiness
from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.page.server import HttpAnswer, HttpRequest, HttpRoute, HttpServer
from rollbook.store.reasons import State, state_of

if TYPE_CHECKING:
    from rollbook.page.site import Site


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
    """The port. `start`, then `stop`. site: the page, where it is shown."""

    def __init__(self, source: FiguresSource, address: str, *, site: Site | None = None) -> None:
        self._source = source
        self._site = site
        routes = [
            HttpRoute("/healthz", self._healthz),
            HttpRoute("/metrics", self._metrics),
            HttpRoute("/ready", self._ready),
            *(site.routes() if site is not None else ()),
        ]
        self._server = HttpServer(address, routes)

    @property
    def port(self) -> int:
        """The number of the port; 0 before it has started, and for a Unix socket."""
        return self._server.port

    async def start(self) -> None:
        """Begin to answer. Raises RollbookError if the address is not free: another program may use it for a while."""
        await self._server.start()

    async def stop(self) -> None:
        """Answer no more."""
        await self._server.stop()
        if self._site is not None:
            await self._site.close()

    async def _healthz(self, _: HttpRequest) -> HttpAnswer:
        found = reasons(await self._source.figures())
        state = state_of(found)
        answer = {
            "state": state,
            "why": [reason.text for reason in found],
            "reasons": [reason.kind for reason in found],
        }
        return _json(answer, status=503 if state == State.DEAD else 200)

    async def _ready(self, request: HttpRequest) -> HttpAnswer:
        """200 where all of the interval is proven, 409 where not; 400 for no interval, 503 where there is no answer."""
        try:
            settled = _is_true(request.query.get("settled", "false"))
            found = await self._source.readiness(request.query.get("interval", ""), settled=settled)
        except RollbookError as error:
            return _json({"error": str(error)}, status=400 if isinstance(error, UsageError) else 503)
        return _json(found.as_dict(), status=200 if found.ready else 409)

    async def _metrics(self, _: HttpRequest) -> HttpAnswer:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(await self._source.figures()))
        return HttpAnswer(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _json(found: Any, *, status: int) -> HttpAnswer:
    return HttpAnswer(json.dumps(found), status=status, content_type="application/json; charset=utf-8")


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0", ""):
        raise UsageError(f"settled = {text!r}: must be true or false")
    return text.lower() in ("true", "1")
