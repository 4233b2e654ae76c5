"""Queues and wrap-up codes, as `/api/v2/routing` answers them."""

from __future__ import annotations

from typing import Final

from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.entities import entity_pages
from rollbook.simulator.rest.entities.entity_pages import Entity, ListRules
from rollbook.simulator.rest.errors import Refusal, not_simulated
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, json_answer


def _without_peer(_: Entity, given: str) -> bool:
    """No queue has a peer: `hasPeer=true` asks for those that have one."""
    return not spelling.truth(given, "hasPeer")


_QUEUES: Final = ListRules(
    {
        "name": entity_pages.named,
        "id": entity_pages.has_id,
        "divisionId": entity_pages.in_division,
        "peerId": entity_pages.nothing,
        "cannedResponseLibraryId": entity_pages.nothing,
        "hasPeer": _without_peer,
    },
    sort="name",
    absent=("expand",),
)
_CODES: Final = ListRules(
    {"name": entity_pages.named, "id": entity_pages.has_id, "divisionId": entity_pages.in_division},
    sort="name",
    sort_by=("name", "id", "dateCreated", "dateModified"),
)


def _queues(organisation: Organisation, request: Request) -> JsonAnswer:
    seen = entity_pages.in_divisions(organisation.world.queues, request.client.divisions)
    return json_answer(
        entity_pages.page(entity_pages.chosen(seen, request.query, _QUEUES), request.query, request.path)
    )


def _queue(organisation: Organisation, request: Request) -> JsonAnswer:
    if request.query.get("expand"):
        raise not_simulated("the parameter expand of a queue")
    return json_answer(find_entity(organisation.world.queues, request))


def find_entity(every: list[dict[str, object]], request: Request) -> Entity:
    """The entity that a request names. Raises Refusal (404)."""
    for entity in entity_pages.in_divisions(every, request.client.divisions):
        if entity["id"] == request.ids["id"]:
            return entity
    raise Refusal(404)


def _codes(organisation: Organisation, request: Request) -> JsonAnswer:
    seen = entity_pages.in_divisions(organisation.world.wrap_up_codes, request.client.divisions)
    # The SDK: sortBy is ignored unless a name is given.
    query = request.query if request.query.get("name") else {**request.query, "sortBy": ""}
    return json_answer(entity_pages.page(entity_pages.chosen(seen, query, _CODES), request.query, request.path))


def _code(organisation: Organisation, request: Request) -> JsonAnswer:
    return json_answer(find_entity(organisation.world.wrap_up_codes, request))


ROUTES: Final = (
    Route("GET", "/api/v2/routing/queues", ("routing:queue:view",), _queues),
    Route("GET", "/api/v2/routing/queues/{id}", ("routing:queue:view",), _queue),
    Route("GET", "/api/v2/routing/wrapupcodes", ("routing:wrapupCode:view",), _codes),
    Route("GET", "/api/v2/routing/wrapupcodes/{id}", ("routing:wrapupCode:view",), _code),
)
