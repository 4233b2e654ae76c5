"""A conversation as `GET /api/v2/conversations/{id}` answers it: as it stands now, whether or not it is indexed yet.

Made from the same scene as the snapshots of the notifications, with what only REST has: when it and its participants
began, names of queues, addresses of entities, the segments of each communication. Segments are spelled as in
recorded answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rollbook.simulator.notifications.session_state import DISCONNECTS, SessionState
from rollbook.simulator.notifications.session_state import seen as as_it_stood
from rollbook.simulator.notifications.snapshots import LISTS, Party, Scene, scene, snapshot
from rollbook.simulator.rest.errors import Refusal
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, json_answer, sees
from rollbook.simulator.times import text

_LISTS: Final = tuple(LISTS.values())
# What the conversation model of notifications has, and that of REST has not.
_NOT_HERE: Final = ("wrapupExpected",)
_TYPES: Final = {"alert": "Alert", "interact": "Interact", "hold": "Hold", "wrapup": "Wrapup", "scheduled": "Scheduled"}


def _conversation(organisation: Organisation, request: Request) -> JsonAnswer:
    conversation = organisation.world.by_id.get(request.ids["id"])
    if conversation is None or conversation.start > request.now or not sees(request.client, conversation):
        raise Refusal(404)
    names = {entity["id"]: entity["name"] for entity in (*organisation.world.queues, *organisation.world.users)}
    return json_answer(conversation_body(scene(conversation.record, text(request.now)), names))


def conversation_body(now: Scene, names: Mapping[str, str]) -> dict[str, Any]:
    """The body. names: of queues and users."""
    body = snapshot(now)
    path = f"/api/v2/conversations/{body['id']}"
    end = now.record.get("conversationEnd")
    return {
        **body,
        "startTime": now.record["conversationStart"],
        **({"endTime": end} if end is not None and end <= now.at else {}),
        "participants": [
            _participant(part, party, now, names) for part, party in zip(body["participants"], now.parties, strict=True)
        ],
        "recordingState": body["recordingState"].upper(),
        "selfUri": path,
    }


def _participant(body: dict[str, Any], party: Party, now: Scene, names: Mapping[str, str]) -> dict[str, Any]:
    made = {name: value for name, value in body.items() if name not in (*_NOT_HERE, *_LISTS)}
    made["startTime"] = min(leg.started for leg in party.legs)
    if user := body.get("userId"):
        made |= {"userUri": f"/api/v2/users/{user}", "name": names.get(user, body.get("name", ""))}
    if queue := body.get("queueId"):
        made["queueName"] = names.get(queue, "")
    if routing := made.get("conversationRoutingData"):
        made["conversationRoutingData"] = {"skills": [], "scoredAgents": [], **routing}
    legs = {leg.session["sessionId"]: leg for leg in party.legs}
    for name in _LISTS:
        made[name] = [
            {**communication, "segments": list(_segments(legs[communication["id"]], now.at))}
            for communication in body.get(name, ())
        ]
    return made


def _segments(leg: SessionState, at: str) -> Iterable[dict[str, Any]]:
    for segment in leg.session.get("segments", ()):
        if segment["segmentStart"] > at or segment["segmentType"] == "wrapup":
            continue
        part = as_it_stood(segment, at)
        kind = part["segmentType"]
        yield {
            "startTime": part["segmentStart"],
            **({"endTime": part["segmentEnd"]} if "segmentEnd" in part else {}),
            "type": _TYPES.get(kind, kind.capitalize()),
            **({"howEnded": "Disconnect" if "disconnectType" in part else "Interact"} if "segmentEnd" in part else {}),
            **(
                {"disconnectType": DISCONNECTS.get(part["disconnectType"], "other")} if "disconnectType" in part else {}
            ),
        }


ROUTES: Final = (Route("GET", "/api/v2/conversations/{id}", ("conversation:communication:view",), _conversation),)
