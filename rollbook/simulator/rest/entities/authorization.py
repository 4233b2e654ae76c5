"""The organisation, its divisions, roles and permissions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from rollbook.simulator.notifications.topics import EVERYTHING
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.entities import entity_pages
from rollbook.simulator.rest.entities.entity_pages import Entity, ListRules
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, json_answer

_DIVISIONS: Final = ListRules(
    {"id": entity_pages.has_id, "name": entity_pages.has_in_name},
    sort_by=("name", "id"),
    absent=("expand", "nextPage", "previousPage"),
)
# What the resources of the simulator need, besides what its topics do.
_OF_RESOURCES: Final = frozenset(
    {
        "analytics:agentConversationDetail:view",
        "analytics:conversationAggregate:view",
        "analytics:conversationDetail:view",
        "analytics:queueObservation:view",
        "architect:flow:view",
        "authorization:division:view",
        "authorization:divisionDeleted:view",
        "analytics:dataRetention:view",
        "authorization:role:view",
        "conversation:communication:view",
        "directory:user:view",
        "groups:team:view",
        "routing:queue:view",
        "routing:wrapupCode:view",
        "telephony:plugin:all",
    }
)
PERMISSIONS: Final = EVERYTHING | _OF_RESOURCES
_ROLES: Final[Mapping[str, frozenset[str]]] = {
    "employee": frozenset({"directory:user:view"}),
    "supervisor": frozenset(permission for permission in PERMISSIONS if not permission.startswith("authorization:")),
    "admin": PERMISSIONS,
}


def _organization(organisation: Organisation, _: Request) -> JsonAnswer:
    return json_answer(organisation.world.organization)


def _retention(organisation: Organisation, _: Request) -> JsonAnswer:
    days = organisation.retention_days
    return json_answer({} if days is None else {"retentionDays": days})


def _divisions(organisation: Organisation, request: Request) -> JsonAnswer:
    seen = request.client.divisions
    known = [division for division in organisation.world.divisions if seen is None or division["id"] in seen]
    found: list[Entity] = entity_pages.chosen(known, request.query, _DIVISIONS)
    if request.query.get("objectCount") and spelling.truth(request.query["objectCount"], "objectCount"):
        found = [{**division, "objectCounts": _objects(organisation, str(division["id"]))} for division in found]
    return json_answer(entity_pages.page(found, request.query, request.path))


def _deleted(organisation: Organisation, request: Request) -> JsonAnswer:
    """Divisions that were deleted; whoever may ask sees all of them."""
    return json_answer(entity_pages.page(organisation.world.directory.gone["division"], request.query, request.path))


def _objects(organisation: Organisation, division: str) -> dict[str, int]:
    world = organisation.world
    kinds = {"QUEUE": world.queues, "USER": world.users, "WRAPUPCODE": world.wrap_up_codes}
    return {kind: sum(entity["division"]["id"] == division for entity in every) for kind, every in kinds.items()}


def _has_permission(role: Entity, given: str) -> bool:
    return not set(given.split(",")).isdisjoint(role["permissions"])


def _of_default(role: Entity, given: str) -> bool:
    return role["defaultRoleId"] in given.split(",")


_LISTED_ROLES: Final = ListRules(
    {
        "id": entity_pages.has_id,
        "name": entity_pages.has_in_name,
        "permission": _has_permission,
        "defaultRoleId": _of_default,
    },
    sort_by=("name", "id"),
    absent=("expand", "nextPage", "previousPage"),
)


def _roles(organisation: Organisation, request: Request) -> JsonAnswer:
    every = [
        _role(organisation.world.organization["id"], name, len(organisation.world.users), permissions)
        for name, permissions in _ROLES.items()
    ]
    found: list[Entity] = entity_pages.chosen(every, request.query, _LISTED_ROLES)
    counted = request.query.get("userCount")
    if counted and not spelling.truth(counted, "userCount"):
        found = [{name: value for name, value in role.items() if name != "userCount"} for role in found]
    return json_answer(entity_pages.page(found, request.query, request.path))


def _role(organization: str, name: str, users: int, permissions: frozenset[str]) -> dict[str, Any]:
    identity = str(uuid.uuid5(uuid.UUID(organization), f"role {name}"))
    return {
        "id": identity,
        "name": name,
        "description": f"The role of every {name}",
        "defaultRoleId": name,
        "permissions": sorted(permissions),
        "permissionPolicies": _policies(permissions),
        "userCount": users if name == "employee" else 1,
        "roleNeedsUpdate": False,
        "default": True,
        "base": True,
        "selfUri": f"/api/v2/authorization/roles/{identity}",
    }


def _policies(permissions: frozenset[str]) -> list[dict[str, Any]]:
    actions: dict[tuple[str, str], list[str]] = {}
    for domain, entity, action in sorted(permission.split(":") for permission in permissions):
        actions.setdefault((domain, entity), []).append(action)
    return [
        {"domain": domain, "entityName": entity, "actionSet": found, "allowConditions": False}
        for (domain, entity), found in actions.items()
    ]


@cache
def _collections() -> list[Entity]:
    domains: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for domain, entity, action in sorted(permission.split(":") for permission in PERMISSIONS):
        domains.setdefault(domain, {}).setdefault(entity, []).append(
            {
                "domain": domain,
                "entityType": entity,
                "action": action,
                "label": f"{action} {entity}",
                "allowsConditions": False,
                "divisionAware": True,
            }
        )
    return [
        {
            "id": domain,
            "domain": domain,
            "permissionMap": found,
            "selfUri": f"/api/v2/authorization/permissions/{domain}",
        }
        for domain, found in domains.items()
    ]


def _permissions(_: Organisation, request: Request) -> JsonAnswer:
    kind = spelling.chosen(request.query.get("queryType") or "domain", ("domain", "permission"), "queryType")
    wanted = [name for name in request.query.get("query", "").split(",") if name]
    found = _collections()
    if wanted and kind == "domain":
        found = [domain for domain in found if domain["domain"] in wanted]
    elif wanted:
        found = [domain for domain in found if any(each.partition(":")[0] == domain["domain"] for each in wanted)]
    return json_answer(entity_pages.page(found, request.query, request.path))


ROUTES: Final = (
    Route("GET", "/api/v2/organizations/me", (), _organization),
    Route("GET", "/api/v2/analytics/dataretention/settings", ("analytics:dataRetention:view",), _retention),
    Route("GET", "/api/v2/authorization/divisions", ("authorization:division:view",), _divisions),
    Route("GET", "/api/v2/authorization/divisions/deleted", ("authorization:divisionDeleted:view",), _deleted),
    Route("GET", "/api/v2/authorization/roles", ("authorization:role:view",), _roles),
    Route("GET", "/api/v2/authorization/permissions", (), _permissions),
)
