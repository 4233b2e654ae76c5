"""Hosts that will see a secret, by the settings alone: what `rollbook doctor` shows before any secret goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from rollbook.genesys.addresses import host_of, is_loopback, is_platforms
from rollbook.genesys.program.named_secrets import file_of, is_reference, origin_of
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.trusted_files import is_private


class SecretHosts(NamedTuple):
    """What is known, in words. first: the most important host; look: what a person should look at; more: the rest."""

    first: str
    look: list[str]
    more: list[str]


def who_sees(settings: Settings, env: Mapping[str, str]) -> SecretHosts:
    """Every host that will see a secret. env: of the process, for what decides whose certificates are believed."""
    api, login = settings.api_url or "", settings.login_url or ""
    first, more = f"{host_of(api)} (the API) gets the token", []
    if settings.access_token is None:
        first = f"{host_of(login)} (the sign-in) gets the client's secret"
        more.append(f"{host_of(api)} (the API) gets its tokens")
    if settings.websocket:
        more.append("Sockets, whose addresses are secrets, go to hosts of the API's region alone")
    if settings.hook_url is not None:
        more.append(f"{host_of(settings.hook_url.reveal())} gets alerts, at an address that may hold a token")
    if settings.sqs_queue_url is not None:
        more.append(f"{host_of(settings.sqs_queue_url)} (AWS) gets requests that AWS' credentials sign")
    secrets = {
        "client's secret": settings.client_secret if settings.access_token is None else None,
        "token": settings.access_token,
        "hook's secret": settings.hook_secret,
    }
    given = {name: secret.reveal() for name, secret in secrets.items() if secret is not None}
    named = {name: text for name, text in given.items() if is_reference(text)}
    more += [f"The {name} comes from {origin_of(text)}" for name, text in named.items()]
    if authorities := [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if env.get(name)]:
        say = "says" if len(authorities) == 1 else "say"
        more.append(f"{' and '.join(authorities)} {say} whose certificates are believed")
    strange = sorted({host_of(url) for url in (api, login) if not _is_known(url)})
    look = [f"{host} is no host of the platform's: be sure that it is meant" for host in strange]
    paths = [path for path in map(file_of, named.values()) if path is not None]
    look += [f"{path} can be read by others (`chmod 600 {path}`)" for path in paths if not _is_private(path)]
    return SecretHosts(first, look, more)


def _is_known(url: str) -> bool:
    return is_platforms(url) or is_loopback(urlsplit(url).hostname or "")


def _is_private(path: Path) -> bool:
    try:
        return is_private(path)
    except OSError:
        return True  # it cannot be read at all, which the sign-in says
