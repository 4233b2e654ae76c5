"""The token of a request: what it is, and its end."""

from __future__ import annotations

from typing import Final

from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, json_answer

_ME: Final = "/api/v2/tokens/me"


def _what(organisation: Organisation, request: Request) -> JsonAnswer:
    whose = {name: organisation.world.organization[name] for name in ("id", "name")}
    client = {"id": request.client.client_id, "name": "A connector", "organization": whose}
    return json_answer({"organization": whose, "homeOrganization": whose, "authorizedScope": [], "OAuthClient": client})


def _holds(_: Organisation, __: Request) -> JsonAnswer:
    return JsonAnswer(200, b"")


def _end(organisation: Organisation, request: Request) -> JsonAnswer:
    organisation.sign_in.revoke(request.token)
    return JsonAnswer(200, b"")


ROUTES: Final = (
    Route("GET", _ME, (), _what),
    Route("HEAD", _ME, (), _holds),
    Route("DELETE", _ME, (), _end),
)
