"""The door to httpx: requests out, answers in. Knows nothing of the platform.

Every request ends: it has a time until its last byte, a pace below which it is given up, and a size. Proxies
(`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) and a private certificate authority (`SSL_CERT_FILE`,
`SSL_CERT_DIR`) are taken from the usual environment variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from typing import Any, Final, Self

from rollbook.genesys.errors import SettingsError

# httpx is also a program: wherever rich is installed it imports that, and more that only a person at a terminal needs
# (40 ms and 5 MB), unless it finds its program missing.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
# httpcore imports sniffio anew at each of its locks, four times a request. Where nobody has installed it, Python looks
# through its whole path each time (45 µs), unless it is known to be missing.
if "sniffio" not in sys.modules and find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]
import httpx  # noqa: E402

LARGEST_ANSWER: Final = 64 * 1024 * 1024
_POOL: Final = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=30.0)
# An error says what it has to say at its beginning.
_LARGEST_ERROR: Final = 256 * 1024
# How much is unpacked at a time: a piece of 64 KB can become 64 MB.
_PIECE: Final = 1024 * 1024
_MANY: Final = 1024
# A gzip may consist of several; one that consists of thousands only costs time.
_MOST_MEMBERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a request: how long it may take, in seconds, and how large its answer may be.

    deadline: from sending to the last byte. head: until the answer begins (the platform answers wide queries slowly;
    beyond a minute it answers 504 itself). Then each `pace_seconds` must bring `pace_bytes`. largest: bytes, unpacked.
    """

    connect: float = 15.0
    head: float = 90.0
    deadline: float = 120.0
    pace_seconds: float = 20.0
    pace_bytes: int = 10 * 1024
    largest: int = LARGEST_ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """status, headers (looked up without regard to case) and the body as bytes, unpacked.

    took: seconds from its head to its last byte.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    took: float = 0.0


class Trouble(Enum):
    """The reason why there is no answer."""

    UNREACHABLE = "not even a connection"
    ADDRESS = "the request cannot be made at all"
    CUT = "the answer ended too early, or could not be unpacked"
    SLOW = "the answer did not come in time"
    LARGE = "the answer is too large"


class TransportError(Exception):
    """No answer. The message has neither address nor secret."""

    def __init__(self, message: str, *, trouble: Trouble = Trouble.CUT) -> None:
        super().__init__(message)
        self.trouble = trouble


# The library's errors, the most special first: what to say, and what it means.
_ERRORS: Final[Mapping[type[Exception], tuple[str, Trouble]]] = {
    httpx.ConnectTimeout: ("no connection in time", Trouble.UNREACHABLE),
    httpx.ProxyError: ("the proxy refused", Trouble.UNREACHABLE),
    httpx.ConnectError: ("connection failed", Trouble.UNREACHABLE),
    httpx.UnsupportedProtocol: ("the address does not begin with https://", Trouble.UNREACHABLE),
    httpx.InvalidURL: ("the address cannot be made", Trouble.ADDRESS),
    httpx.LocalProtocolError: ("the request cannot be made", Trouble.ADDRESS),
    httpx.ReadTimeout: ("no answer in time", Trouble.SLOW),
    httpx.TimeoutException: ("too slow", Trouble.SLOW),
    httpx.RemoteProtocolError: ("the connection was closed in the middle of an answer", Trouble.CUT),
    httpx.DecodingError: ("the answer could not be decompressed", Trouble.CUT),
    httpx.TransportError: ("the connection was lost", Trouble.CUT),
    httpx.HTTPError: ("the request failed", Trouble.CUT),
    OSError: ("connection failed", Trouble.UNREACHABLE),
}
# Those of which the library's own words help: a name that does not resolve, a certificate that is not trusted.
_TELLING: Final = (httpx.ConnectError, httpx.ProxyError, httpx.InvalidURL, OSError)


class Http:
    """A pool of connections; an async context manager."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        timeout = httpx.Timeout(self._limits.head, connect=self._limits.connect)
        try:
            self._client = httpx.AsyncClient(
                timeout=timeout,
                limits=_POOL,
                verify=_authorities(),
                follow_redirects=False,
                headers={"User-Agent": "rollbook", "Accept-Encoding": "gzip"},
            )
        except (OSError, ValueError, ImportError) as error:
            raise SettingsError(
                f"the proxy settings of the environment do not work ({error}); correct HTTPS_PROXY or ALL_PROXY"
            ) from None

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
    ) -> Answer:
        """Send a request once and answer its response, whatever the status. Raises TransportError."""
        try:
            request = self._client.build_request(
                method, url, headers=headers, params=params, content=content, data=form
            )
            return await self._answer(request, auth)
        except tuple(_ERRORS) as error:
            raise _transport_error(error) from None

    async def _answer(self, request: httpx.Request, auth: tuple[str, str] | None) -> Answer:
        clock = asyncio.get_running_loop().time
        ends = clock() + self._limits.deadline
        response = None
        try:
            async with asyncio.timeout_at(ends) as limit:
                response = await self._client.send(
                    request, auth=auth if auth is not None else httpx.USE_CLIENT_DEFAULT, stream=True
                )
                began = clock()
                body = await _body(response, _Pace(limit, ends, self._limits), self._limits.largest)
        except TimeoutError:
            late = "in time" if response is None or clock() >= ends else "at a pace worth waiting for"
            raise TransportError(f"the answer did not come {late}", trouble=Trouble.SLOW) from None
        finally:
            if response is not None:
                await response.aclose()
                # A response and its stream hold each other. Every body (two megabytes of details) would lie there until
                # the cycle collector comes, which `memory.tune_collector` has made rare.
                response.stream = httpx.ByteStream(b"")
        return Answer(response.status_code, response.headers, body, clock() - began)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _authorities() -> ssl.SSLContext | bool:
    """The certificate authorities to trust. Raises SettingsError for a file that does not exist or holds none."""
    file, folder = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    if file is None and folder is None:
        return True
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise SettingsError(
            f"SSL_CERT_FILE {file}: {error.strerror or error}; give it a file of certificates"
        ) from None


class _Pace:
    """A limit of time that is moved on each time that enough of a body has come."""

    def __init__(self, limit: asyncio.Timeout, ends: float, limits: Limits) -> None:
        self._limit, self._ends, self._limits = limit, ends, limits
        self._clock = asyncio.get_running_loop().time
        self._move()

    def _move(self) -> None:
        self._came = 0
        self._limit.reschedule(min(self._ends, self._clock() + self._limits.pace_seconds))

    def came(self, piece: bytes) -> None:
        """A piece has come."""
        self._came += len(piece)
        if self._came >= self._limits.pace_bytes:
            self._move()


async def _body(response: httpx.Response, pace: _Pace, largest: int) -> bytes:
    """The body, unpacked. Of an error, what its beginning says: its status must not be lost for the rest."""
    if response.status_code < 400:
        room = _Room(largest)
        try:
            await _fill(room, response, pace)
        except BaseException:
            room.clear()  # who keeps the error until the next try keeps its frames, and would keep two bodies
            raise
    else:
        room = _Room(min(largest, _LARGEST_ERROR))
        with contextlib.suppress(TransportError, httpx.HTTPError):
            await _fill(room, response, pace)
    return room.body


async def _fill(room: _Room, response: httpx.Response, pace: _Pace) -> None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    gzip = _Gzip(room) if encoding in ("gzip", "x-gzip") else None
    if gzip is None and encoding not in ("", "identity"):
        raise TransportError("the answer is packed in a way that was not asked for")
    add = room.add if gzip is None else gzip.add
    async for piece in response.aiter_raw():
        pace.came(piece)
        add(piece)
    if gzip is not None:
        gzip.end()


class _Room:
    """A buffer of a size for a body. Many small pieces are put together soon: each would take forty bytes more."""

    def __init__(self, largest: int) -> None:
        self._largest, self._size = largest, 0
        self._blocks: list[bytes] = []
        self._pieces: list[bytes] = []

    @property
    def body(self) -> bytes:
        """The bytes that were put there."""
        return b"".join((*self._blocks, *self._pieces))

    def clear(self) -> None:
        """Let go what was put there."""
        self._blocks.clear()
        self._pieces.clear()

    def add(self, piece: bytes) -> None:
        """Put it there. Raises TransportError if that is too much; what there is room for is there then."""
        room = self._largest - self._size
        self._pieces.append(piece if len(piece) <= room else piece[:room])
        self._size += len(self._pieces[-1])
        if len(self._pieces) == _MANY:
            # A copy of large pieces would be as much again, for a few bytes a piece.
            is_small = sum(map(len, self._pieces)) <= _PIECE
            self._blocks += [b"".join(self._pieces)] if is_small else self._pieces
            self._pieces.clear()
        if len(piece) > room:
            raise TransportError(
                f"it is larger than {self._largest:,} bytes ([genesys] largest_answer)", trouble=Trouble.LARGE
            )


class _Gzip:
    """The unpacking of a compressed body into a buffer, a piece at a time."""

    def __init__(self, room: _Room) -> None:
        self._room = room
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._members, self._began = 1, False

    def add(self, packed: bytes) -> None:
        """Unpack it. Raises TransportError if it is no gzip, or becomes too much."""
        try:
            while packed:
                if self._unpack.eof:
                    if not packed.startswith(b"\x1f") or self._members == _MOST_MEMBERS:
                        raise TransportError("the answer could not be decompressed")
                    self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    self._members += 1
                self._began = True
                self._room.add(self._unpack.decompress(packed, _PIECE))
                packed = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
        except zlib.error:
            raise TransportError("the answer could not be decompressed") from None

    def end(self) -> None:
        """Nothing more comes. Raises TransportError if something is missing."""
        while self._began and not self._unpack.eof:
            rest = self._unpack.decompress(b"", _PIECE)
            if not rest:
                raise TransportError("the connection was closed in the middle of an answer")
            self._room.add(rest)


def _transport_error(error: Exception) -> TransportError:
    text, trouble = next(meaning for kind, meaning in _ERRORS.items() if isinstance(error, kind))
    because = f": {error}" if isinstance(error, _TELLING) and str(error) else ""
    return TransportError(f"{text}{because}", trouble=trouble)
