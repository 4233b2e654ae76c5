"""Activity at a moment: which user is busy, and what waits in which queue; for the observations query and the topics
that say the same.

Everything is read from the conversations' scenes. Only presence, which no conversation tells, follows a timetable of
its own. Knows no subscriber and no frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.notifications.session_state import SessionState
from rollbook.simulator.notifications.snapshots import Scene, scene
from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import midnight, text

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
CONVERSATION_METRICS: Final = ("oAlerting", "oInteracting", "oWaiting", "oLongestInteracting", "oLongestWaiting")
_BREAK, _SHIFT = 10, 120  # minutes of a break, and from one to the next
# The platform's own presence definitions have the same ids in every organisation; these are the simulator's.
_PRESENCES: Final = {
    "ON_QUEUE": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
    "BREAK": "227b37e2-f1d0-4dd0-8f50-badd7cf6d158",
}


@dataclass(frozen=True, slots=True)
class OngoingSession:
    """A session that waits for, rings or has a person. what: oWaiting, oAlerting, oInteracting, or acw."""

    what: str
    since: str
    queue: str | None
    user: str | None
    leg: SessionState
    conversation: str
    name: str | None


def tasks(world: World, at: datetime) -> list[OngoingSession]:
    """Everything that goes on."""
    conversations = world.between(at - _LONGEST, at + timedelta(milliseconds=1))
    now = text(at)
    return [
        task
        for conversation in conversations
        if _goes_on(conversation, at)
        for task in _tasks(scene(conversation.record, now))
    ]


def _goes_on(conversation: Conversation, at: datetime) -> bool:
    """Say whether it has begun and has changes ahead, or never ends. Writes no record without need."""
    if not conversation.start <= at < conversation.over_by:
        return False
    return conversation.changes[-1] > at or "conversationEnd" not in conversation.record


def _tasks(now: Scene) -> Iterator[OngoingSession]:
    for party in now.parties:
        who = party.participant
        user, name = who.get("userId"), who.get("participantName")
        for leg in party.legs:
            what = _what(leg, str(who.get("purpose")), staff=bool(user))
            if what:
                since = leg.connected if what == "oInteracting" and leg.connected else leg.started
                yield OngoingSession(what, since, leg.queue, user, leg, now.record["conversationId"], name)


def _what(leg: SessionState, purpose: str, *, staff: bool) -> str:
    if leg.over:
        work = leg.after_call_work
        return "acw" if staff and work is not None and work["state"] == "pending" else ""
    if purpose == "acd":
        return "oWaiting"
    if not staff:
        return ""
    return "oAlerting" if leg.state == "alerting" else "oInteracting"


# Users


def routing_status(
    world: World, user: str, at: datetime, going_on: Sequence[OngoingSession] | None = None
) -> dict[str, str]:
    """INTERACTING since the first of what they are at, otherwise IDLE since the last of it, or OFF_QUEUE in a break."""
    mine = [task for task in (tasks(world, at) if going_on is None else going_on) if task.user == user]
    busy = [task.since for task in mine if task.what == "oInteracting"]
    if busy:
        return {"userId": user, "status": "INTERACTING", "startTime": min(busy)}
    away, since = _shift(user, at)
    ended = [task.leg.disconnected for task in mine if task.leg.disconnected]
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
    """Say whether a user has a break, and since when that is so."""
    own = zlib.crc32(user.encode()) % _SHIFT
    minutes = (at - midnight(at)) // timedelta(minutes=1)
    into = (minutes - own) % _SHIFT
    began = midnight(at) + timedelta(minutes=minutes - into)
    return (True, began) if into < _BREAK else (False, began + timedelta(minutes=_BREAK))


def activity(
    world: World, user: str, at: datetime, going_on: Sequence[OngoingSession], queues: Iterable[str]
) -> dict[str, Any]:
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


def summary(user: str, going_on: Iterable[OngoingSession]) -> dict[str, Any]:
    """The body of `v2.users.{id}.conversationsummary`."""
    counts = {
        name: {"contactCenter": {"active": 0, "acw": 0}, "enterprise": {"active": 0, "acw": 0}}
        for name in (*_SUMMARY.values(), "socialExpression")
    }
    for task in going_on:
        if task.user == user and task.leg.medium in _SUMMARY and task.what != "oAlerting":
            side = "contactCenter" if task.queue else "enterprise"
            counts[_SUMMARY[task.leg.medium]][side]["acw" if task.what == "acw" else "active"] += 1
    return {"userId": user, **counts}


# Queues


def sessions_of(going_on: Iterable[OngoingSession], queue: str, medium: str, what: str) -> list[OngoingSession]:
    found = [task for task in going_on if (task.queue, task.leg.medium, task.what) == (queue, medium, what)]
    return sorted(found, key=lambda task: task.since)


def statistics(
    metric: str, going_on: Sequence[OngoingSession], queue: str, medium: str, at: datetime
) -> dict[str, int]:
    """Counts; of the longest, how long it has been so in milliseconds."""
    found = sessions_of(going_on, queue, medium, metric.replace("Longest", ""))
    if not metric.startswith("oLongest"):
        return {"count": len(found)}
    if not found:
        return {"count": 0}
    since = datetime.fromisoformat(found[0].since)
    return {"count": 1, "calculatedMetricValue": (at - since) // timedelta(milliseconds=1)}


def queue_activity(queue: str, going_on: Sequence[OngoingSession], at: datetime) -> dict[str, Any]:
    """The body of `v2.analytics.queues.{id}.activity`."""
    return {
        "results": [
            {
                "mediaType": medium,
                "data": [
                    {"metric": name, **statistics(name, going_on, queue, medium, at)} for name in CONVERSATION_METRICS
                ],
            }
            for medium in MEDIA
        ]
    }


def queue_observations(queue: str, medium: str, going_on: Sequence[OngoingSession], at: datetime) -> dict[str, Any]:
    """The body of `v2.analytics.queues.{id}.observations`: of the half hour that it is in."""
    begins = at - (at - midnight(at)) % timedelta(minutes=30)
    metrics = [
        {"metric": name, "qualifier": medium, "stats": statistics(name, going_on, queue, medium, at)}
        for name in ("oInteracting", "oWaiting")
    ]
    within = f"{text(begins)}/{text(begins + timedelta(minutes=30))}"
    return {"group": {"queueId": queue, "mediaType": medium}, "data": [{"interval": within, "metrics": metrics}]}


def members(users: Sequence[Mapping[str, Any]], queue: Mapping[str, Any]) -> list[str]:
    """The users of a queue."""
    return [user["id"] for user in users[: queue["memberCount"]]]
