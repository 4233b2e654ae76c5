"""Who may look at the page: this machine, or whoever has the token; and never by a name that is not the page's. Pure.

A browser on this machine asks for any address that a foreign page names, also one whose name was made to lead here
(DNS rebinding): its `Host` is that name, and is refused. Beyond loopback the page is shown to whoever brings the token,
and to nobody where none is set. A Unix socket is for a proxy, which decides itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final

from rollbook.genesys.addresses import is_loopback
from rollbook.genesys.port.visitors import name_in

COOKIE: Final = "rollbook_page"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as it decides who may look. local: the address of this machine that it came to; "": a socket.

    headers: with names in small letters.
    """

    local: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotShown:
    """A status, and a sentence that says what to do. may_sign_in: a token would do."""

    status: int
    sentence: str
    may_sign_in: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules. token: None where none is set. hosts: names that the page is reached by, beside this machine's own."""

    token: str | None = None
    hosts: frozenset[str] = frozenset()

    def refusal(self, asked: Asked) -> NotShown | None:
        """The refusal of a request; None where it may look."""
        if asked.local and not self._knows(asked):
            return NotShown(
                421,
                "This page does not answer by that name. Use the address that [realtime] health names, or add the name"
                " to [page] hosts.",
            )
        if self.token is not None:
            return None if self._has_token(asked) else NotShown(401, "This page asks for a token.", may_sign_in=True)
        if asked.local and not is_loopback(asked.local.partition("%")[0]):
            return NotShown(
                403,
                "This page is shown to this machine alone. To look from another, set a token (ROLLBOOK_PAGE_TOKEN), or"
                " put a proxy before a Unix socket (docs/page.md).",
            )
        return None

    def _knows(self, asked: Asked) -> bool:
        host = name_in(asked.headers.get("host", ""))
        return host in _LOCAL or host in self.hosts or (host == asked.local and self.token is not None)

    def _has_token(self, asked: Asked) -> bool:
        scheme, _, given = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(asked.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self.cookie().encode())

    def is_token(self, given: str) -> bool:
        """Tell whether a text is the token; it takes as long for every text."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self) -> str:
        """The value of the cookie of somebody who has given the token. The token cannot be had from it."""
        return hmac.new((self.token or "").encode(), b"rollbook page", hashlib.sha256).hexdigest()
