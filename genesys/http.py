"""The door to httpx: requests out, answers in. Knows nothing of the platform.

Proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) and a private certificate authority (`SSL_CERT_FILE`,
`SSL_CERT_DIR`) are taken from the usual environment variables.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

from genesys.errors import SettingsError

# The platform answers wide queries slowly; beyond a minute it answers 504 itself.
_TIMEOUT: Final = httpx.Timeout(90.0, connect=15.0)
_LIMITS: Final = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=30.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """status, headers (looked up without regard to case) and the body as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No answer. unreachable: not even a connection. The message has neither address nor secret."""

    def __init__(self, message: str, *, unreachable: bool) -> None:
        super().__init__(message)
        self.unreachable = unreachable


# The library's errors, the most special first: (what to say, whether there was no connection at all).
_ERRORS: Final[Mapping[type[Exception], tuple[str, bool]]] = {
    httpx.ConnectTimeout: ("no connection within 15 s", True),
    httpx.ProxyError: ("the proxy refused", True),
    httpx.ConnectError: ("connection failed", True),
    httpx.UnsupportedProtocol: ("the address does not begin with https://", True),
    httpx.InvalidURL: ("the address has no sense", True),
    httpx.ReadTimeout: ("no answer within 90 s", False),
    httpx.TimeoutException: ("too slow", False),
    httpx.RemoteProtocolError: ("the connection was closed in the middle of an answer", False),
    httpx.DecodingError: ("the answer could not be decompressed", False),
    httpx.TransportError: ("the connection was lost", False),
    httpx.HTTPError: ("the request failed", False),
    OSError: ("connection failed", True),
}
# Those of which the library's own words help: a name that does not resolve, a certificate that is not trusted.
_TELLING: Final = (httpx.ConnectError, httpx.ProxyError, OSError)


class Http:
    """One pool of connections; an async context manager."""

    def __init__(self) -> None:
        try:
            self._client = httpx.AsyncClient(
                timeout=_TIMEOUT, limits=_LIMITS, verify=_authorities(), follow_redirects=False,
                headers={"User-Agent": "rollbook"},
            )  # fmt: skip
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
        """One request, one answer, whatever its status. Raises TransportError."""
        try:
            response = await self._client.request(
                method, url, headers=headers, params=params, content=content, data=form,
                auth=auth if auth is not None else httpx.USE_CLIENT_DEFAULT,
            )  # fmt: skip
        except tuple(_ERRORS) as error:
            raise _transport_error(error) from None
        # A response and its stream hold each other. Every body (two megabytes of details) would lie there until the
        # cycle collector comes, which `memory.tune_collector` has made rare.
        response.stream = httpx.ByteStream(b"")
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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


def _transport_error(error: Exception) -> TransportError:
    for kind, (text, unreachable) in _ERRORS.items():
        if isinstance(error, kind):
            because = f": {error}" if isinstance(error, _TELLING) and str(error) else ""
            return TransportError(f"{text}{because}", unreachable=unreachable)
    raise error  # cannot happen: only these kinds are caught
