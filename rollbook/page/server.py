"""The HTTP server: an address, the paths that are answered there, and each request's answer. The door to aiohttp.

It knows neither what is answered nor who may ask. `HOST:PORT` listens by TCP, `unix:PATH` by a socket for a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from rollbook.genesys.errors import RollbookError, SettingsError
from rollbook.genesys.port.doorway import Doorway, PortLimits


class _Requests(logging.Filter):
    """Leaves out what aiohttp says of who sends no HTTP, or goes away: a traceback each, and anybody can do so."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is about us."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))


_log: Final = logging.getLogger(__name__)
_log.addFilter(_Requests())

# Bytes of a form: a token, and nothing else is sent here.
_LARGEST: Final = 4_096
# Seconds that requests under way get when the server stops; streams end at once.
_ENDS_WITHIN: Final = 1.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request. headers: with names in small letters. path: decoded; address: path and query as they came.

    local: the address of this machine that it came to, peer: where it came from; "" where it came by a Unix socket.
    names: parts of the path.
    """

    method: str
    path: str
    address: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    local: str
    peer: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer. A body of pieces is sent as they come, until there are no more, nobody reads or the server stops."""

    body: str | bytes | AsyncIterator[bytes] = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[HttpRequest], Awaitable[HttpAnswer]]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A path that is answered: by aiohttp's spelling, `{name}` is a part of it."""

    path: str
    handler: Handler
    method: str = "GET"


class HttpServer:
    """The server. `start`, then `stop`. setting: the name of the setting that has the address, for messages."""

    def __init__(
        self,
        address: str,
        routes: Sequence[HttpRoute],
        *,
        setting: str = "[realtime] health",
        limits: PortLimits | None = None,
    ) -> None:
        self._address = address
        self._setting = setting
        self._routes = routes
        self._socket = socket_of(address)
        # The host that it is bound to; "" for a Unix socket.
        self.host, self._port = ("", 0) if self._socket is not None else split(address, setting)
        self._limits = limits
        self._doorway: Doorway | None = None
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self.port = 0

    async def start(self) -> None:
        """Begin to answer. Raises RollbookError if the address is not free: another program may use it for a while."""
        app = web.Application(client_max_size=_LARGEST, middlewares=[_one_answer])
        for route in self._routes:
            app.router.add_route(route.method, route.path, self._answering(route.handler))
            if route.method == "GET":
                app.router.add_route("HEAD", route.path, self._answering(route.handler))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_ENDS_WITHIN, logger=_log)
        await self._runner.setup()
        try:
            await self._listen(self._runner)
        except OSError as error:
            await self.stop()
            # The text of asyncio is longer. A name that does not resolve has an error number below zero.
            why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
            raise RollbookError(
                f"{self._setting} = {self._address!r}: cannot listen there ({why}); choose another, or end what has"
                " it (another daemon?)"
            ) from None

    async def _listen(self, runner: web.AppRunner) -> None:
        if self._socket is None:
            assert runner.server is not None
            self._doorway = Doorway(runner.server, self._limits)
            self.port = await self._doorway.start(self.host, self._port)
            return
        # A socket that nobody listens at is left by a process that was killed, and is taken over; no other one.
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            _, there = await asyncio.open_unix_connection(self._socket)
            there.close()
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        await web.UnixSite(runner, self._socket).start()
        # For its owner and its group: a proxy has a user of its own.
        self._socket.chmod(0o660)

    async def stop(self) -> None:
        """Answer no more."""
        self._stopping.set()
        if self._doorway is not None:
            self._doorway.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def doorway(self) -> Doorway:
        """The port's connections, once it listens by TCP."""
        assert self._doorway is not None
        return self._doorway

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            found = await handler(await _read(request))
            if isinstance(found.body, str | bytes):
                body = found.body.encode() if isinstance(found.body, str) else found.body
                headers = {**found.headers, "Content-Type": found.content_type}
                return web.Response(body=body, status=found.status, headers=headers)
            if request.method == "HEAD":
                return web.Response(headers={**found.headers, "Content-Type": found.content_type})
            return await self._stream(request, found, found.body)

        return answer

    async def _stream(
        self, request: web.Request, found: HttpAnswer, pieces: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        if self._doorway is not None and not self._doorway.goes_on(request.transport):
            return web.Response(text="too many pages are open here; this one stays as it is", status=503)
        response = web.StreamResponse(headers={**found.headers, "Content-Type": found.content_type})
        await response.prepare(request)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                coming = asyncio.ensure_future(anext(pieces, None))
                try:
                    await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        await asyncio.wait({coming})
                if coming.cancelled() or (piece := coming.result()) is None:
                    break
                await response.write(piece)
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            stopping.cancel()
        return response


@web.middleware
async def _one_answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer one request a connection: what is idle takes the place of others. An error is an object like all else."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = web.json_response({"error": error.reason.lower()}, status=error.status)
    if not response.prepared:
        response.force_close()
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


async def _read(request: web.Request) -> HttpRequest:
    transport = request.transport
    local = transport.get_extra_info("sockname") if transport is not None else None
    form: dict[str, str] = {}
    if request.method == "POST":
        with contextlib.suppress(ValueError):
            form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return HttpRequest(
        method=request.method,
        path=request.path,
        address=request.path_qs,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        local=str(local[0]) if isinstance(local, tuple) else "",
        peer=request.remote or "",
        names=dict(request.match_info),
        form=form,
    )


def socket_of(address: str) -> Path | None:
    """The path of `unix:PATH`; None where the address is another."""
    kind, _, path = address.partition(":")
    return Path(path) if kind == "unix" and path else None


def check_address(address: str, setting: str = "[realtime] health") -> None:
    """Raise SettingsError for what is no address to listen at."""
    if socket_of(address) is None:
        split(address, setting)


def split(address: str, setting: str = "[realtime] health") -> tuple[str, int]:
    """Host and port of an address. Raises SettingsError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"{setting} = {address!r}: must be HOST:PORT, e.g. 127.0.0.1:8125, or unix:PATH")
    return host.strip("[]") or "127.0.0.1", int(port)
