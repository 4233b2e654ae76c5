"""Sign-in with client credentials: which clients there are, which tokens hold, and how a wrong one is refused.

Pure: a request's parts and the time (seconds of a forward clock) come in. Knows no HTTP server.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rollbook.simulator.rest.errors import Refusal, SignInRefusal


class Client(NamedTuple):
    """An OAuth client. divisions: ids that it may see; None: all. lacks: permissions that it was not given.

    misses: whether an answer lacks a conversation although the client may see it (a part of the index is away).
    """

    client_id: str
    secret: str
    divisions: frozenset[str] | None = None
    lacks: frozenset[str] = frozenset()
    misses: Callable[[str], bool] | None = None


class SignInService:
    """The clients and their tokens. lifetime: seconds that a token holds."""

    def __init__(self, clients: list[Client], lifetime: float = 86_400) -> None:
        self._clients = {client.client_id: client for client in clients}
        self.lifetime = lifetime
        self._tokens: dict[str, tuple[str, float]] = {}  # token: client id, when it ends

    def client(self, client_id: str) -> Client:
        """A client by its id."""
        return self._clients[client_id]

    def change(self, client: Client) -> None:
        """A client, or what it may see and do, from now on."""
        self._clients[client.client_id] = client

    def sign_in(self, form: Mapping[str, Any], authorization: str | None, now: float) -> dict[str, Any]:
        """`POST /oauth/token`. authorization: the header, if there is one. Raises SignInRefusal."""
        name, secret = _given(form, authorization)
        client = self._clients.get(name)
        if client is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            raise SignInRefusal(400, "invalid_client", "authentication failed")
        grant = form.get("grant_type")
        if not grant:
            raise SignInRefusal(400, "invalid_request", "missing grant_type")
        if grant != "client_credentials":
            raise SignInRefusal(400, "unsupported_grant_type", f"unsupported grant type: {grant}")
        token = secrets.token_urlsafe(48)
        self.admit(token, name, now)
        return {"access_token": token, "token_type": "bearer", "expires_in": int(self.lifetime)}

    @property
    def tokens(self) -> list[str]:
        """Every token that was given and not revoked."""
        return list(self._tokens)

    def admit(self, token: str, client_id: str, now: float) -> None:
        """Let a token hold from now on, whoever made it."""
        self._tokens[token] = client_id, now + self.lifetime

    def check(self, authorization: str | None, now: float) -> tuple[str, Client]:
        """The token of an API request and whose it is. Raises Refusal (401)."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refusal(
                401, "authentication.required", "No authentication bearer token specified in authorization header."
            )
        name, ends = self._tokens.get(token, ("", 0.0))
        if not name or now >= ends or name not in self._clients:
            raise Refusal(401)
        return token, self._clients[name]

    def revoke(self, token: str | None = None) -> None:
        """End one token, or all."""
        if token is None:
            self._tokens.clear()
        else:
            self._tokens.pop(token, None)


def _given(form: Mapping[str, Any], authorization: str | None) -> tuple[str, str]:
    """Client id and secret: from the header if there is one, else from the form."""
    if authorization is None:
        return str(form.get("client_id", "")), str(form.get("client_secret", ""))
    kind, _, encoded = authorization.partition(" ")
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if kind.lower() != "basic" or not colon:
        raise SignInRefusal(400, "invalid_client", "authentication failed")
    return name, secret
