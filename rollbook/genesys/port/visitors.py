"""Who may ask at a port: this machine, or whoever brings the token; and by no name that is not the port's. Pure.

Whoever is on this machine needs no token: a health check, a collector beside the daemon. A browser here asks for any
address that a foreign page names, also one whose name was made to lead here (DNS rebinding): it sends that name as
`Host`, which is refused. A token is believed under every name, because no foreign page can send it.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from rollbook.genesys.addresses import is_loopback
from rollbook.genesys.program.settings import Secret

_SETTING: Final = "[page] token (ROLLBOOK_PAGE_TOKEN)"


class PortRefusal(NamedTuple):
    """A status, and a sentence that says what to do."""

    status: int
    sentence: str


def who_may(
    host: str | None, authorization: str | None, peer: str, *, token: Secret | None, bound: str
) -> PortRefusal | None:
    """The refusal of a request; None where it may be answered.

    host, authorization: these headers, None where there are none. peer: the address that the request comes from. token:
    what a request from elsewhere must bring. bound: the host that the port was bound to.
    """
    if token is not None and _brings(authorization, token):
        return None
    if not is_loopback(peer.partition("%")[0]):
        if token is None:
            return PortRefusal(403, f"this port answers this machine alone; to ask from another, set {_SETTING}")
        return PortRefusal(401, f"send the token of {_SETTING}: Authorization: Bearer TOKEN")
    if host is None or is_loopback(name := name_in(host)) or (name == bound.strip("[]").lower() and name):
        return None
    return PortRefusal(
        421, "this port does not answer by that name; ask at 127.0.0.1, localhost or the address that is set"
    )


def is_open(bound: str) -> bool:
    """Tell whether a port that is bound to this host is reached from other machines."""
    return not is_loopback(bound or "127.0.0.1")


def _brings(authorization: str | None, token: Secret) -> bool:
    scheme, _, given = (authorization or "").partition(" ")
    # The same time for every text: nobody finds the token a character at a time.
    right = hmac.compare_digest(given.strip().encode(errors="replace"), token.reveal().encode())
    return right and scheme.lower() == "bearer" and bool(token)


def name_in(host: str) -> str:
    """The name in a `Host` header without its port, in small letters."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text
