"""The daemon's HTTP port: `/healthz` says how it is and why, `/metrics` in numbers, `/ready` if an interval is proven.

Beside them the page, where it is shown (`page_source.py`). Off unless `[realtime] health = "127.0.0.1:8125"` is set;
meant for loopback, where it asks for no token. Who may ask is `visitors.py`'s to say (of the page, `guard.py`'s), how
many at a time `doorway.py`'s. `health.py` judges the figures, `metrics.py` names them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from realtime.daemon.health import reasons
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from reconcile.gate import Readiness
from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.port.doorway import Doorway, PortLimits
from rollbook.genesys.port.visitors import is_open, who_may
from rollbook.genesys.program.inert import inert_json
from rollbook.genesys.program.settings import Secret
from rollbook.page.server import Handler, HttpAnswer, HttpRequest, HttpRoute, HttpServer
from rollbook.store.reasons import State, state_of

if TYPE_CHECKING:
    from rollbook.page.site import Site

log = logging.getLogger(__name__)


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
    """The port. `start`, then `stop`. token: what a request from elsewhere must bring. site: the page, if shown."""

    def __init__(
        self,
        source: FiguresSource,
        address: str,
        *,
        token: Secret | None = None,
        limits: PortLimits | None = None,
        site: Site | None = None,
    ) -> None:
        self._source = source
        self._token = token
        self._site = site
        self._address = address
        routes = [
            HttpRoute("/healthz", self._guarded(self._healthz)),
            HttpRoute("/metrics", self._guarded(self._metrics)),
            HttpRoute("/ready", self._guarded(self._ready)),
            *(site.routes() if site is not None else ()),
            HttpRoute("/{anything:.*}", self._guarded(_nothing)),
        ]
        self._server = HttpServer(address, routes, limits=limits)

    @property
    def port(self) -> int:
        """The number of the port; 0 before it has started, and for a Unix socket."""
        return self._server.port

    @property
    def doorway(self) -> Doorway:
        """The port's connections, once it has started."""
        return self._server.doorway

    async def start(self) -> None:
        """Begin to answer. Raises RollbookError if the address is not free: another program may use it for a while."""
        await self._server.start()
        if self._server.host and is_open(self._server.host):
            until = "" if self._token is not None else ", and until it is set nobody there is answered"
            log.warning(
                "[realtime] health = %r is reached from other machines: they need [page] token%s", self._address, until
            )

    async def stop(self) -> None:
        """Answer no more."""
        await self._server.stop()
        if self._site is not None:
            await self._site.close()

    def _guarded(self, handler: Handler) -> Handler:
        """The same for those who may ask. Whoever comes by a Unix socket has been let in by its folder."""

        async def answer(request: HttpRequest) -> HttpAnswer:
            host, authorization = request.headers.get("host"), request.headers.get("authorization")
            bound = self._server.host
            refusal = bound and who_may(host, authorization, request.peer, token=self._token, bound=bound)
            if not refusal:
                return await handler(request)
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            return _json({"error": refusal.sentence}, refusal.status, headers)

        return answer

    async def _healthz(self, _: HttpRequest) -> HttpAnswer:
        found = reasons(await self._source.figures())
        state = state_of(found)
        answer = {
            "state": state,
            "why": [reason.text for reason in found],
            "reasons": [reason.kind for reason in found],
        }
        return _json(answer, 503 if state == State.DEAD else 200)

    async def _ready(self, request: HttpRequest) -> HttpAnswer:
        """200 where all of the interval is proven, 409 where not; 400 for no interval, 503 where there is no answer."""
        try:
            settled = _is_true(request.query.get("settled", "false"))
            found = await self._source.readiness(request.query.get("interval", ""), settled=settled)
        except RollbookError as error:
            return _json({"error": str(error)}, 400 if isinstance(error, UsageError) else 503)
        return _json(found.as_dict(), 200 if found.ready else 409)

    async def _metrics(self, _: HttpRequest) -> HttpAnswer:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(await self._source.figures()))
        return HttpAnswer(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


async def _nothing(_: HttpRequest) -> HttpAnswer:
    return _json({"error": "not found"}, 404)


def _json(found: Any, status: int, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    return HttpAnswer(
        inert_json(json.dumps(found)),
        status=status,
        content_type="application/json; charset=utf-8",
        headers=headers or {},
    )


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0", ""):
        raise UsageError(f"settled = {text!r}: must be true or false")
    return text.lower() in ("true", "1")
