"""Addresses that a secret travels to: what one may look like, and where a channel's address may lead. Pure.

Plain http goes to this machine alone. An address with user info is refused and never shown: what stands there may be a
password, and what stands behind the @ is another host than it seems. A channel's address is the platform's answer, so
it is held to the hosts of the region that the settings name.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from rollbook.genesys.regions import DOMAINS, INTERNAL, ZONES

_DEFAULT_PORTS: Final = {"https": 443, "http": 80, "wss": 443, "ws": 80}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


class Hidden(ValueError):
    """A value is wrong, and must not be shown with the words that say so."""


def is_loopback(host: str) -> bool:
    """Tell whether a host, as an address or a name of this machine, is reached without a network."""
    name = host.strip("[]").rstrip(".").lower()
    if name in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def checked(text: str, *, example: str) -> SplitResult:
    """The parts of an address over https, or over http to this machine. Raises ValueError, `Hidden` for user info."""
    parts = _split(text)
    if parts is None or parts.scheme not in ("https", "http"):
        # What cannot be taken apart may have user info all the same.
        words = f"must be an address such as {example}"
        raise Hidden(words) if "@" in text else ValueError(words)
    if "@" in text:  # behind a / too: a password with one in it leads to another host
        raise Hidden("must not have a user or a password in it (what stands before the @)")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// (http:// is for this machine alone, such as http://127.0.0.1:8080)")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must not have a ? or a # in it")
    return parts


def host_of(address: str) -> str:
    """The host of an address as people read it, with its port where that is not the usual one."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{shown}:{parts.port}"


def is_platforms(address: str) -> bool:
    """Tell whether the host of an address is below one of the platform's domains."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    return any(host.endswith(f".{domain}") for domain in (*DOMAINS.values(), *INTERNAL, *ZONES))


def why_no_socket(connect_uri: str, api_url: str) -> str | None:
    """The reason why a channel's address is not followed; None where it leads to a host of the API's region by wss.

    Such a host is one of the region's domain; where the API is reached by a name of somebody's own (a private endpoint,
    a proxy), any of the platform's domains, or that name. Who asks an API on this machine may be led to this machine.
    """
    parts, api = _split(connect_uri), urlsplit(api_url)
    if parts is None or parts.scheme not in ("wss", "ws"):
        return "it is no WebSocket address"
    host, asked = (parts.hostname or "").rstrip("."), (api.hostname or "").lower()
    if parts.username is not None or parts.password is not None:
        return "it has a user or a password in it"
    if is_loopback(asked) and is_loopback(host):
        return None
    if parts.scheme != "wss":
        return f"it leads to {host} without TLS"
    if parts.port not in (None, 443) and (host, parts.port) != (asked, api.port):
        return f"it leads to the port {parts.port} of {host}"
    if host == asked or any(host.endswith(f".{domain}") for domain in _domains(asked)):
        return None
    return f"it leads to {host}, which is no host of the region"


def _domains(api_host: str) -> frozenset[str]:
    platform = frozenset({*DOMAINS.values(), *INTERNAL})
    domain = api_host.removeprefix("api.")
    return frozenset({domain}) if domain != api_host else platform


def _split(text: str) -> SplitResult | None:
    if not text.isascii() or not text.isprintable() or any(character in text for character in ' \\"<>^`{|}'):
        return None
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if good else None
