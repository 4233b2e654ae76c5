"""Users: listed, one by id, searched for, and the user of a token, of which a client's token has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rollbook.simulator.organisation.current_activity import presence, routing_status, summary, tasks
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import details_query
from rollbook.simulator.rest.entities import entity_pages, routing
from rollbook.simulator.rest.entities.entity_pages import Entity, ListRules
from rollbook.simulator.rest.errors import bad_request, not_simulated
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, decoded, json_answer

_STATES: Final = ("active", "inactive", "deleted", "any")
_LISTED: Final = ListRules({"id": entity_pages.has_id, "jabberId": entity_pages.nothing}, sort="name")
_EXPANDS: Final = (
    "routingStatus",
    "presence",
    "integrationPresence",
    "conversationSummary",
    "outOfOffice",
    "geolocation",
    "station",
    "authorization",
    "lasttokenissued",
    "dateLastLogin",
    "authorization.unusedRoles",
    "team",
    "workPlanBidRanks",
    "profileSkills",
    "certifications",
    "locations",
    "groups",
    "skills",
    "languages",
    "languagePreference",
    "employerInfo",
    "biography",
    "customAttributes",
)
_SEARCH: Final = frozenset(
    {
        "pageSize",
        "pageNumber",
        "sortBy",
        "sortOrder",
        "sort",
        "query",
        "expand",
        "integrationPresenceSource",
        "enforcePermissions",
    }
)
_CRITERION: Final = frozenset(
    {
        "type",
        "operator",
        "fields",
        "value",
        "values",
        "group",
        "startValue",
        "endValue",
        "dateFormat",
    }
)
_TYPES: Final = (
    "EXACT",
    "STARTS_WITH",
    "CONTAINS",
    "TERM",
    "TERMS",
    "REQUIRED_FIELDS",
    "MATCH_ALL",
    "REGEX",
    "QUERY_STRING",
    "RANGE",
    "LESS_THAN",
    "LESS_THAN_EQUAL_TO",
    "GREATER_THAN",
    "GREATER_THAN_EQUAL_TO",
)
_SIMULATED: Final = frozenset(_TYPES[:7])


def _of_state(every: Sequence[Entity], query: Mapping[str, str]) -> list[Entity]:
    state = spelling.chosen(query.get("state") or "active", _STATES, "state")
    return [user for user in every if state in ("any", user["state"])]


def _expanded(organisation: Organisation, request: Request, user: Entity, wanted: Sequence[str]) -> Entity:
    """A user with what `expand` asks for; the SDK says that not everything asked for is answered."""
    more: dict[str, Any] = {}
    if "presence" in wanted:
        there = presence(str(user["id"]), request.now)
        words = there["presenceDefinition"]["systemPresence"].replace("_", " ").title()  # as REST spells them
        more["presence"] = there | {"presenceDefinition": {**there["presenceDefinition"], "systemPresence": words}}
    if "routingStatus" in wanted:
        more["routingStatus"] = routing_status(organisation.world, str(user["id"]), request.now)
    if "conversationSummary" in wanted:
        more["conversationSummary"] = summary(str(user["id"]), tasks(organisation.world, request.now))
    return {**user, **more}


def _wanted(query: Mapping[str, str]) -> list[str]:
    """Parts that `expand` asks for. Raises Refusal."""
    given = [name.strip() for name in query.get("expand", "").split(",")]
    wanted = [spelling.chosen(name, _EXPANDS, "expand") for name in given if name]
    if "presence" in wanted and query.get("integrationPresenceSource"):
        raise not_simulated("the presence of an integration")
    if "customAttributes" in wanted:
        raise not_simulated("expand customAttributes")
    return wanted


def _list(organisation: Organisation, request: Request) -> JsonAnswer:
    if request.query.get("id") and request.query.get("jabberId"):
        raise bad_request("jabberId cannot be used with id.")
    every = organisation.world.directory.every("user")
    seen = _of_state(entity_pages.in_divisions(every, request.client.divisions), request.query)
    found = entity_pages.page(entity_pages.chosen(seen, request.query, _LISTED), request.query, request.path)
    wanted = _wanted(request.query)
    return json_answer(
        found | {"entities": [_expanded(organisation, request, user, wanted) for user in found["entities"]]}
    )


def _user(organisation: Organisation, request: Request) -> JsonAnswer:
    user = routing.find_entity(organisation.world.users, request)
    _of_state([user], request.query)
    return json_answer(_expanded(organisation, request, user, _wanted(request.query)))


def _me(_: Organisation, __: Request) -> JsonAnswer:
    raise bad_request(
        "This request requires a user context. Client credentials cannot be used for requests that require a user"
        " context."
    )


# Search


def _search(organisation: Organisation, request: Request) -> JsonAnswer:
    body = details_query.known_fields(decoded(request.body), _SEARCH)
    if body.get("sort"):
        raise not_simulated("several fields to sort by")
    size = spelling.positive(body.get("pageSize") or entity_pages.DEFAULT_PAGE, "pageSize")
    number = spelling.positive(body.get("pageNumber") or 1, "pageNumber")
    if size > entity_pages.LARGEST_PAGE:
        raise bad_request(f"pageSize may not exceed {entity_pages.LARGEST_PAGE}.")
    criteria = _criteria(body.get("query"))
    seen = entity_pages.in_divisions(organisation.world.users, request.client.divisions)
    found = [user for user in seen if _all_hold(criteria, user)]
    order = spelling.chosen(body.get("sortOrder") or "SCORE", ("ASC", "DESC", "SCORE"), "sortOrder")
    if order != "SCORE" or body.get("sortBy"):
        by = str(body.get("sortBy") or "name")
        found.sort(key=lambda user: str(user.get(by, "")).lower(), reverse=order == "DESC")
    expand = body.get("expand") or []
    if not isinstance(expand, list) or not all(isinstance(name, str) for name in expand):
        raise bad_request("expand must be a list of names.")
    source = str(body.get("integrationPresenceSource") or "")
    wanted = _wanted({"expand": ",".join(expand), "integrationPresenceSource": source})
    rows = [_expanded(organisation, request, user, wanted) for user in found[(number - 1) * size : number * size]]
    return json_answer(
        {
            "total": len(found),
            "pageCount": max(1, -(-len(found) // size)),
            "pageSize": size,
            "pageNumber": number,
            "types": ["users"],
            "results": rows,
        }
    )


def _criteria(criteria: object) -> list[Mapping[str, Any]]:
    """Criteria that are in order. Raises Refusal."""
    if criteria is None:
        return []
    if not isinstance(criteria, list):
        raise bad_request("query must be a list of criteria.")
    found: list[Mapping[str, Any]] = []
    for criterion in criteria:
        given = dict(details_query.known_fields(criterion, _CRITERION))
        given["group"] = _criteria(given.get("group"))
        given["operator"] = spelling.chosen(given.get("operator") or "AND", ("AND", "OR", "NOT"), "operator")
        if not given["group"]:
            given["type"] = spelling.chosen(given.get("type"), _TYPES, "type of a criterion")
            if given["type"] not in _SIMULATED:
                raise not_simulated(f"a search criterion {given['type']}")
        found.append(given)
    return found


def _all_hold(criteria: Sequence[Mapping[str, Any]], user: Entity) -> bool:
    """Those joined by AND and NOT all hold, and of those joined by OR at least one does."""
    every = [(each["operator"], _holds(each, user)) for each in criteria]
    either = [fits for operator, fits in every if operator == "OR"]
    return all(fits != (operator == "NOT") for operator, fits in every if operator != "OR") and (
        not either or any(either)
    )


def _holds(criterion: Mapping[str, Any], user: Entity) -> bool:
    if criterion["group"]:
        return _all_hold(criterion["group"], user)
    kind, fields = criterion["type"], criterion.get("fields") or ()
    found = [str(user[name]).lower() for name in fields if user.get(name) is not None]
    if kind == "MATCH_ALL":
        return True
    if kind == "REQUIRED_FIELDS":
        return len(found) == len(fields)
    wanted = [str(each).lower() for each in (criterion.get("values") or [criterion.get("value")]) if each is not None]
    return any(_TESTS[kind](value, each) for value in found for each in wanted)


_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "EXACT": lambda value, wanted: value == wanted,
    "STARTS_WITH": lambda value, wanted: value.startswith(wanted),
    "CONTAINS": lambda value, wanted: wanted in value,
    "TERM": lambda value, wanted: wanted in value.split(),
    "TERMS": lambda value, wanted: wanted in value.split(),
}

ROUTES: Final = (
    Route("GET", "/api/v2/users", ("directory:user:view",), _list),
    Route("GET", "/api/v2/users/me", (), _me),
    Route("POST", "/api/v2/users/search", ("directory:user:view",), _search),
    Route("GET", "/api/v2/users/{id}", ("directory:user:view",), _user),
)
