"""Lists of what records name beside queues, users and codes: skills, languages, flows, teams, edges and sites.

Which deleted ones are listed differs: flows when asked for, skills, languages, edges and sites with their state (as
programs in public repositories expect, which leave them out), teams never.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.entities import entity_pages
from rollbook.simulator.rest.entities.entity_pages import Entity, ListRules
from rollbook.simulator.rest.errors import bad_request
from rollbook.simulator.rest.resources import Handler, JsonAnswer, Organisation, Request, Route, json_answer


def _starts(entity: Entity, given: str) -> bool:
    return str(entity["name"]).lower().startswith(given.lower())


def _managed(entity: Entity, given: str) -> bool:
    return bool(entity["managed"]) == spelling.truth(given, "managed")


def _at_site(entity: Entity, given: str) -> bool:
    return str(entity["site"]["id"]) == given


def _of_type(entity: Entity, given: str) -> bool:
    return str(entity["type"]).lower() in given.lower().split(",")


_BY_NAME: Final = ("name", "id", "dateCreated", "dateModified")
_SKILLS: Final = ListRules({"name": _starts, "id": entity_pages.has_id}, sort="name")
_LANGUAGES: Final = ListRules({"name": entity_pages.named, "id": entity_pages.has_id}, sort="name")
_EDGES: Final = ListRules(
    {"name": entity_pages.named, "siteId": _at_site, "managed": _managed, "edgeGroupId": entity_pages.nothing},
    sort="name",
    sort_by=_BY_NAME,
    absent=("showCloudMedia",),
)
_SITES: Final = ListRules(
    {"name": entity_pages.named, "managed": _managed, "locationId": entity_pages.nothing},
    sort="name",
    sort_by=_BY_NAME,
    absent=("expand",),
)
_FLOWS: Final = ListRules(
    {
        "type": _of_type,
        "name": entity_pages.named,
        "nameOrDescription": entity_pages.has_in_name,
        "divisionId": entity_pages.in_division,
    },
    sort="id",
    sort_by=_BY_NAME,
    absent=("includeSchemas", "publishedAfter", "publishedBefore", "editableBy", "lockedBy", "secure"),
)


def _with_deleted(kind: str, rules: ListRules) -> Handler:
    """Answer a list whose entities say themselves that they were deleted."""

    def handler(organisation: Organisation, request: Request) -> JsonAnswer:
        found = entity_pages.chosen(organisation.world.directory.every(kind), request.query, rules)
        return json_answer(entity_pages.page(found, request.query, request.path))

    return handler


def _flows(organisation: Organisation, request: Request) -> JsonAnswer:
    query, directory = request.query, organisation.world.directory
    deleted = bool(query.get("deleted")) and spelling.truth(query["deleted"], "deleted")
    ids = query.get("id")
    # The SDK: where ids are given, all matching flows are answered, and no other parameter is looked at.
    seen = entity_pages.in_divisions(
        directory.every("flow") if deleted or ids else directory.lists["flow"], request.client.divisions
    )
    if ids:
        found = [flow for flow in seen if entity_pages.has_id(flow, ids)]
    else:
        found = entity_pages.chosen(seen, query, _FLOWS)
    return json_answer(entity_pages.page(found, query, request.path))


def _teams(organisation: Organisation, request: Request) -> JsonAnswer:
    """A page of teams: a cursor says where it begins, and nothing counts them."""
    query = request.query
    seen = entity_pages.in_divisions(organisation.world.directory.lists["team"], request.client.divisions)
    if name := query.get("name"):
        seen = [team for team in seen if _starts(team, name)]
    seen = sorted(seen, key=lambda team: str(team["id"]))
    size = spelling.positive(query.get("pageSize") or entity_pages.DEFAULT_PAGE, "pageSize")
    if size > entity_pages.LARGEST_PAGE:
        raise bad_request(f"pageSize may not exceed {entity_pages.LARGEST_PAGE}.")
    left = [team for team in seen if str(team["id"]) > query.get("after", "")]
    body = {"entities": left[:size], "selfUri": f"{request.path}?{urlencode(query)}"}
    if len(left) > size:
        after = {**query, "pageSize": size, "after": left[size - 1]["id"]}
        body["nextUri"] = f"{request.path}?{urlencode(after)}"
    return json_answer(body)


ROUTES: Final = (
    # The SDK: no permission is required for these two.
    Route("GET", "/api/v2/routing/skills", (), _with_deleted("skill", _SKILLS)),
    Route("GET", "/api/v2/routing/languages", (), _with_deleted("language", _LANGUAGES)),
    Route("GET", "/api/v2/flows", ("architect:flow:view",), _flows),
    Route("GET", "/api/v2/teams", ("groups:team:view",), _teams),
    Route("GET", "/api/v2/telephony/providers/edges", ("telephony:plugin:all",), _with_deleted("edge", _EDGES)),
    Route("GET", "/api/v2/telephony/providers/edges/sites", ("telephony:plugin:all",), _with_deleted("site", _SITES)),
)
