"""The token of a request: what it is, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rollbook.simulator.rest.resources import Answer, Request, Route, told

if TYPE_CHECKING:
    from rollbook.simulator.server import Simulator

_ME: Final = "/api/v2/tokens/me"


def _what(simulator: Simulator, request: Request) -> Answer:
    whose = {name: simulator.world.organization[name] for name in ("id", "name")}
    client = {"id": request.client.client_id, "name": "A connector", "organization": whose}
    return told({"organization": whose, "homeOrganization": whose, "authorizedScope": [], "OAuthClient": client})


def _holds(_: Simulator, __: Request) -> Answer:
    return Answer(200, b"")


def _end(simulator: Simulator, request: Request) -> Answer:
    simulator.sign_in.revoke(request.token)
    return Answer(200, b"")


ROUTES: Final = (
    Route("GET", _ME, (), _what),
    Route("HEAD", _ME, (), _holds),
    Route("DELETE", _ME, (), _end),
)
