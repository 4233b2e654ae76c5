"""The observations query: counts of what goes on in queues at this moment, and how many users are in which state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rollbook.simulator.organisation.current_activity import (
    CONVERSATION_METRICS,
    MEDIA,
    OngoingSession,
    members,
    presence,
    routing_status,
    sessions_of,
    statistics,
    tasks,
)
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import details_query, filters
from rollbook.simulator.rest.analytics.filters import Grammar
from rollbook.simulator.rest.entities.entity_pages import in_divisions
from rollbook.simulator.rest.errors import bad_request
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, decoded, json_answer

_OF_USERS: Final = (
    "oActiveUsers",
    "oMemberUsers",
    "oOffQueueUsers",
    "oOnQueueUsers",
    "oUserPresences",
    "oUserRoutingStatuses",
)
_KNOWN: Final = frozenset({"filter", "metrics", "detailMetrics"})
_GRAMMAR: Final = Grammar(frozenset({"queueId", "mediaType"}), frozenset())
_ADDRESSES: Final = ("ani", "dnis", "addressFrom", "addressTo")


def _query(organisation: Organisation, request: Request) -> JsonAnswer:
    body = details_query.known_fields(decoded(request.body), _KNOWN)
    if not body.get("filter"):
        raise bad_request("filter is needed.")
    where = filters.parse_filter(body["filter"], _GRAMMAR)
    every = (*CONVERSATION_METRICS, *_OF_USERS)
    lists = {name: body.get(name) or [] for name in ("metrics", "detailMetrics")}
    if not all(isinstance(names, list) for names in lists.values()) or not any(lists.values()):
        raise bad_request("metrics or detailMetrics must be names of metrics, at least one.")
    metrics = [spelling.chosen(name, every, "metric") for name in lists["metrics"]]
    detailed = [spelling.chosen(name, every, "metric") for name in lists["detailMetrics"]]
    going_on = tasks(organisation.world, request.now)
    results = []
    for queue in in_divisions(organisation.world.queues, request.client.divisions):
        media = [
            medium for medium in MEDIA if filters.row_matches(where, {"queueId": queue["id"], "mediaType": medium})
        ]
        named = list(dict.fromkeys([*metrics, *detailed]))
        if media and (of_users := [name for name in named if name in _OF_USERS]):
            data = [each for name in of_users for each in _users(name, organisation, queue, going_on, request.now)]
            results.append({"group": {"queueId": queue["id"]}, "data": data})
        for medium in media:
            of_conversations = [name for name in named if name in CONVERSATION_METRICS]
            if of_conversations:
                data = [
                    {"metric": name, "stats": statistics(name, going_on, queue["id"], medium, request.now)}
                    | (_observed(going_on, queue["id"], medium, name) if name in detailed else {})
                    for name in of_conversations
                ]
                results.append({"group": {"queueId": queue["id"], "mediaType": medium}, "data": data})
    return json_answer({"results": results})


def _observed(going_on: Sequence[OngoingSession], queue: str, medium: str, metric: str) -> dict[str, Any]:
    found = [
        {
            "observationDate": task.since,
            "conversationId": task.conversation,
            "sessionId": task.leg.session["sessionId"],
            "routingPriority": 0,
            "direction": task.leg.session.get("direction", "inbound"),
        }
        | {name: value for name, value in (("participantName", task.name), ("userId", task.user)) if value}
        | {name: task.leg.session[name] for name in _ADDRESSES if name in task.leg.session}
        for task in sessions_of(going_on, queue, medium, metric.replace("Longest", ""))
    ]
    return {"truncated": False, "observations": found} if found else {}


def _users(
    metric: str, organisation: Organisation, queue: Mapping[str, Any], going_on: Sequence[OngoingSession], at: datetime
) -> list[dict[str, Any]]:
    who = members(organisation.world.users, queue)
    if metric in ("oMemberUsers", "oActiveUsers"):
        return [{"metric": metric, "stats": {"count": len(who)}}]
    if metric == "oUserPresences":
        states = [presence(user, at)["presenceDefinition"]["id"] for user in who]
    else:
        states = [routing_status(organisation.world, user, at, going_on)["status"] for user in who]
    if metric == "oOnQueueUsers":
        states = [state for state in states if state != "OFF_QUEUE"]
    elif metric == "oOffQueueUsers":
        states = ["OFF_QUEUE" for state in states if state == "OFF_QUEUE"]
    return [
        {"metric": metric, "qualifier": state, "stats": {"count": states.count(state)}} for state in sorted(set(states))
    ]


ROUTES: Final = (
    Route("POST", "/api/v2/analytics/queues/observations/query", ("analytics:queueObservation:view",), _query),
)
