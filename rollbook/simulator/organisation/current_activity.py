"""What goes on at a moment: which user is busy, what waits in which queue; for the observations query and the topics
that tell the same.

Everything is read from the conversations' scenes. Only presence, which no conversation tells, follows a timetable of
its own. Knows no subscriber and no frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from rollbook.simulator.notifications.session_state import Leg
from rollbook.simulator.notifications.snapshots import Scene, scene
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import details_query, filters
from rollbook.simulator.rest.analytics.filters import Grammar
from rollbook.simulator.rest.entities.entity_pages import in_divisions
from rollbook.simulator.rest.errors import bad_request
from rollbook.simulator.rest.resources import Answer, Request, Route, decoded, told
from rollbook.simulator.times import midnight, text

if TYPE_CHECKING:
    from rollbook.simulator.server import Simulator

_LONGEST: Final = timedelta(days=7)  # what started earlier and still goes on never ends, and nobody works at it
MEDIA: Final = ("voice", "callback", "chat", "email", "message")
_SUMMARY: Final = {
    "voice": "call",
    "callback": "callback",
    "email": "email",
    "message": "message",
    "chat": "chat",
    "video": "video",
}
_OF_CONVERSATIONS: Final = ("oAlerting", "oInteracting", "oWaiting", "oLongestInteracting", "oLongestWaiting")
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
_BREAK, _SHIFT = 10, 120  # minutes of a break, and from one to the next
# The platform's own presence definitions have the same ids in every organisation; these are the simulator's.
_PRESENCES: Final = {
    "ON_QUEUE": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
    "BREAK": "227b37e2-f1d0-4dd0-8f50-badd7cf6d158",
}


class World(Protocol):
    """Where conversations are."""

    def between(self, start: datetime, end: datetime) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A session that waits for, rings or has a person. what: oWaiting, oAlerting, oInteracting, or acw."""

    what: str
    since: str
    queue: str | None
    user: str | None
    leg: Leg
    conversation: str
    name: str | None


def tasks(world: World, at: datetime) -> list[Task]:
    """Everything that goes on."""
    lives = world.between(at - _LONGEST, at + timedelta(milliseconds=1))
    now = text(at)
    return [one for life in lives if _goes_on(life, at) for one in _tasks(scene(life.record, now))]


def _goes_on(life: Any, at: datetime) -> bool:
    """Whether it has begun and something is still to come, or it never ends. Writes no record that it need not."""
    if not life.start <= at < life.over_by:
        return False
    return life.changes[-1] > at or "conversationEnd" not in life.record


def _tasks(now: Scene) -> Iterator[Task]:
    for party in now.parties:
        who = party.participant
        user, name = who.get("userId"), who.get("participantName")
        for leg in party.legs:
            what = _what(leg, str(who.get("purpose")), staff=bool(user))
            if what:
                since = leg.connected if what == "oInteracting" and leg.connected else leg.started
                yield Task(what, since, leg.queue, user, leg, now.record["conversationId"], name)


def _what(leg: Leg, purpose: str, *, staff: bool) -> str:
    if leg.over:
        work = leg.after_call_work
        return "acw" if staff and work is not None and work["state"] == "pending" else ""
    if purpose == "acd":
        return "oWaiting"
    if not staff:
        return ""
    return "oAlerting" if leg.state == "alerting" else "oInteracting"


# Users


def routing_status(world: World, user: str, at: datetime, going_on: Sequence[Task] | None = None) -> dict[str, str]:
    """INTERACTING since the first of what they are at, otherwise IDLE since the last of it, or OFF_QUEUE in a break."""
    mine = [one for one in (tasks(world, at) if going_on is None else going_on) if one.user == user]
    busy = [one.since for one in mine if one.what == "oInteracting"]
    if busy:
        return {"userId": user, "status": "INTERACTING", "startTime": min(busy)}
    away, since = _shift(user, at)
    ended = [one.leg.disconnected for one in mine if one.leg.disconnected]
    return {
        "userId": user,
        "status": "OFF_QUEUE" if away else "IDLE",
        "startTime": text(since) if away else max([text(since), *ended]),
    }


def presence(user: str, at: datetime) -> dict[str, Any]:
    """On queue, but for ten minutes in every two hours."""
    away, since = _shift(user, at)
    kind = "BREAK" if away else "ON_QUEUE"
    return {
        "source": "PURECLOUD",
        "primary": True,
        "message": "",
        "modifiedDate": text(since),
        "presenceDefinition": {"id": _PRESENCES[kind], "systemPresence": kind},
    }


def _shift(user: str, at: datetime) -> tuple[bool, datetime]:
    """Whether a user has a break, and since when that is so."""
    own = zlib.crc32(user.encode()) % _SHIFT
    minutes = (at - midnight(at)) // timedelta(minutes=1)
    into = (minutes - own) % _SHIFT
    began = midnight(at) + timedelta(minutes=minutes - into)
    return (True, began) if into < _BREAK else (False, began + timedelta(minutes=_BREAK))


def activity(world: World, user: str, at: datetime, going_on: Sequence[Task], queues: Iterable[str]) -> dict[str, Any]:
    """The body of `v2.users.{id}.activity`."""
    status, there = routing_status(world, user, at, going_on), presence(user, at)
    since = there["modifiedDate"]
    return {
        "id": user,
        "routingStatus": {name: status[name] for name in ("status", "startTime")},
        "presence": {
            "presenceDefinition": there["presenceDefinition"],
            "presenceMessage": "",
            "modifiedDate": since,
        },
        "outOfOffice": {"active": False, "modifiedDate": text(midnight(at))},
        "activeQueueIds": [] if status["status"] == "OFF_QUEUE" else list(queues),
        "dateActiveQueuesChanged": since,
    }


def summary(user: str, going_on: Iterable[Task]) -> dict[str, Any]:
    """The body of `v2.users.{id}.conversationsummary`."""
    counts = {
        name: {"contactCenter": {"active": 0, "acw": 0}, "enterprise": {"active": 0, "acw": 0}}
        for name in (*_SUMMARY.values(), "socialExpression")
    }
    for one in going_on:
        if one.user == user and one.leg.medium in _SUMMARY and one.what != "oAlerting":
            side = "contactCenter" if one.queue else "enterprise"
            counts[_SUMMARY[one.leg.medium]][side]["acw" if one.what == "acw" else "active"] += 1
    return {"userId": user, **counts}


# Queues


def _of(going_on: Iterable[Task], queue: str, medium: str, what: str) -> list[Task]:
    found = [one for one in going_on if (one.queue, one.leg.medium, one.what) == (queue, medium, what)]
    return sorted(found, key=lambda one: one.since)


def _stats(metric: str, going_on: Sequence[Task], queue: str, medium: str, at: datetime) -> dict[str, int]:
    """Counts; of the longest, how long it has been so in milliseconds."""
    found = _of(going_on, queue, medium, metric.replace("Longest", ""))
    if not metric.startswith("oLongest"):
        return {"count": len(found)}
    if not found:
        return {"count": 0}
    since = datetime.fromisoformat(found[0].since)
    return {"count": 1, "calculatedMetricValue": (at - since) // timedelta(milliseconds=1)}


def queue_activity(queue: str, going_on: Sequence[Task], at: datetime) -> dict[str, Any]:
    """The body of `v2.analytics.queues.{id}.activity`."""
    return {
        "results": [
            {
                "mediaType": medium,
                "data": [{"metric": name, **_stats(name, going_on, queue, medium, at)} for name in _OF_CONVERSATIONS],
            }
            for medium in MEDIA
        ]
    }


def queue_observations(queue: str, medium: str, going_on: Sequence[Task], at: datetime) -> dict[str, Any]:
    """The body of `v2.analytics.queues.{id}.observations`: of the half hour that it is in."""
    begins = at - (at - midnight(at)) % timedelta(minutes=30)
    metrics = [
        {"metric": name, "qualifier": medium, "stats": _stats(name, going_on, queue, medium, at)}
        for name in ("oInteracting", "oWaiting")
    ]
    within = f"{text(begins)}/{text(begins + timedelta(minutes=30))}"
    return {"group": {"queueId": queue, "mediaType": medium}, "data": [{"interval": within, "metrics": metrics}]}


# The query


def _query(simulator: Simulator, request: Request) -> Answer:
    body = details_query.known_fields(decoded(request.body), _KNOWN)
    if not body.get("filter"):
        raise bad_request("filter is needed.")
    where = filters.parse_filter(body["filter"], _GRAMMAR)
    every = (*_OF_CONVERSATIONS, *_OF_USERS)
    lists = {name: body.get(name) or [] for name in ("metrics", "detailMetrics")}
    if not all(isinstance(one, list) for one in lists.values()) or not any(lists.values()):
        raise bad_request("metrics or detailMetrics must be names of metrics, at least one.")
    metrics = [spelling.chosen(one, every, "metric") for one in lists["metrics"]]
    detailed = [spelling.chosen(one, every, "metric") for one in lists["detailMetrics"]]
    going_on = tasks(simulator.world, request.now)
    results = []
    for queue in in_divisions(simulator.world.queues, request.client.divisions):
        media = [one for one in MEDIA if filters.row_matches(where, {"queueId": queue["id"], "mediaType": one})]
        named = list(dict.fromkeys([*metrics, *detailed]))
        if media and (of_users := [one for one in named if one in _OF_USERS]):
            data = [each for name in of_users for each in _users(name, simulator, queue, going_on, request.now)]
            results.append({"group": {"queueId": queue["id"]}, "data": data})
        for medium in media:
            of_conversations = [one for one in named if one in _OF_CONVERSATIONS]
            if of_conversations:
                data = [
                    {"metric": name, "stats": _stats(name, going_on, queue["id"], medium, request.now)}
                    | (_observed(going_on, queue["id"], medium, name) if name in detailed else {})
                    for name in of_conversations
                ]
                results.append({"group": {"queueId": queue["id"], "mediaType": medium}, "data": data})
    return told({"results": results})


def _observed(going_on: Sequence[Task], queue: str, medium: str, metric: str) -> dict[str, Any]:
    found = [
        {
            "observationDate": one.since,
            "conversationId": one.conversation,
            "sessionId": one.leg.session["sessionId"],
            "routingPriority": 0,
            "direction": one.leg.session.get("direction", "inbound"),
        }
        | {name: value for name, value in (("participantName", one.name), ("userId", one.user)) if value}
        | {name: one.leg.session[name] for name in _ADDRESSES if name in one.leg.session}
        for one in _of(going_on, queue, medium, metric.replace("Longest", ""))
    ]
    return {"truncated": False, "observations": found} if found else {}


def members(users: Sequence[Mapping[str, Any]], queue: Mapping[str, Any]) -> list[str]:
    """The users of a queue."""
    return [one["id"] for one in users[: queue["memberCount"]]]


def _users(
    metric: str, simulator: Simulator, queue: Mapping[str, Any], going_on: Sequence[Task], at: datetime
) -> list[dict[str, Any]]:
    who = members(simulator.world.users, queue)
    if metric in ("oMemberUsers", "oActiveUsers"):
        return [{"metric": metric, "stats": {"count": len(who)}}]
    if metric == "oUserPresences":
        states = [presence(one, at)["presenceDefinition"]["id"] for one in who]
    else:
        states = [routing_status(simulator.world, one, at, going_on)["status"] for one in who]
    if metric == "oOnQueueUsers":
        states = [one for one in states if one != "OFF_QUEUE"]
    elif metric == "oOffQueueUsers":
        states = ["OFF_QUEUE" for one in states if one == "OFF_QUEUE"]
    return [
        {"metric": metric, "qualifier": state, "stats": {"count": states.count(state)}} for state in sorted(set(states))
    ]


ROUTES: Final = (
    Route("POST", "/api/v2/analytics/queues/observations/query", ("analytics:queueObservation:view",), _query),
)
