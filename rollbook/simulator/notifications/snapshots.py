"""Bodies of the conversation topics: a whole conversation as it stood at a moment. Pure.

Two shapes (notification reference, Annexes A and B): all media, each participant with lists of communications; and one
medium, flattened. Snapshots bear no time of their own, so a conversation that goes back to an earlier state has the
same bytes again. Knows no topic's subscribers and no frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rollbook.simulator.notifications.session_state import STATES, SessionState, messages, state_at

Record = Mapping[str, Any]

# mediaType -> the list of Annex A that holds its communications.
LISTS: Final = {
    "voice": "calls",
    "callback": "callbacks",
    "chat": "chats",
    "cobrowse": "cobrowsesessions",
    "email": "emails",
    "message": "messages",
    "screenshare": "screenshares",
    "video": "videos",
}
_STAFF: Final = frozenset({"agent", "user"})
_CUSTOMERS: Final = frozenset({"customer", "external"})
_MESSAGE_TYPES: Final = frozenset(
    {
        "sms",
        "twitter",
        "facebook",
        "line",
        "whatsapp",
        "webmessaging",
        "open",
        "instagram",
        "apple",
    }
)
_ALERTING_MS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Party:
    """A participant at a moment: who, and each session that has begun. more: sessions of theirs lie ahead."""

    participant: Record
    legs: tuple[SessionState, ...]
    more: bool

    @property
    def staff(self) -> bool:
        return self.participant.get("purpose") in _STAFF

    @property
    def ended(self) -> str | None:
        """When they went, if they have."""
        if self.more or not all(leg.over for leg in self.legs):
            return None
        return max((leg.disconnected or leg.started for leg in self.legs), default=None)

    @property
    def connected(self) -> str | None:
        return min((leg.connected for leg in self.legs if leg.connected), default=None)


@dataclass(frozen=True, slots=True)
class Scene:
    """A conversation at a moment (API text), from which every body of that moment is written."""

    record: Record
    at: str
    parties: tuple[Party, ...]
    queues: Mapping[str, str | None] = field(default_factory=dict)  # participant -> queue

    def queue_ids(self, *, former: bool) -> list[str]:
        """The queues that it concerns. former: those too that it has left (it leaves them at the end of their work)."""
        found = set()
        for party in self.parties:
            queue = self.queues.get(party.participant["participantId"])
            if queue and (former or party.participant.get("purpose") in _CUSTOMERS or _present(party, self.at)):
                found.add(queue)
        return sorted(found)

    def user_ids(self) -> list[str]:
        """The users that it concerns."""
        return sorted({party.participant["userId"] for party in self.parties if party.participant.get("userId")})

    def media(self) -> list[str]:
        """The media of what has begun."""
        return sorted({each.medium for party in self.parties for each in party.legs})


def _present(party: Party, at: str) -> bool:
    """There, or going at this very moment, or with after-call work that was not over before."""
    works = [work for leg in party.legs if (work := leg.after_call_work) is not None]
    if any(work.get("endTime", at) >= at for work in works):
        return True
    ended = party.ended
    return ended is None or ended >= at


def scene(record: Record, at: str, *, passing: bool = False) -> Scene:
    """The conversation at `at`. passing: whoever disconnects at `at` still counts as connected."""
    parties = []
    for participant in record["participants"]:
        sessions = participant["sessions"]
        begun = tuple(found for session in sessions if (found := state_at(session, at, passing=passing)) is not None)
        if begun:
            parties.append(Party(participant, begun, len(begun) < len(sessions)))
    return Scene(record, at, tuple(parties), _queues(parties))


def passes(record: Record, at: str) -> bool:
    """Say whether somebody with after-call work to do disconnects at this moment: then it has two snapshots."""
    for participant in record["participants"]:
        for session in participant["sessions"]:
            ends = {"": "", "wrapup": ""}
            for segment in session.get("segments", ()):
                kind = "wrapup" if segment["segmentType"] == "wrapup" else ""
                ends[kind] = max(ends[kind], segment.get("segmentEnd", "~"))
            if ends["wrapup"] and ends[""] == at:
                return True
    return False


def _queues(parties: Iterable[Party]) -> dict[str, str | None]:
    """Each participant's queue; the customer is in the one that came last (the record's segment has the very last)."""
    found: dict[str, str | None] = {}
    latest: tuple[str, str | None] = ("", None)
    for party in parties:
        if party.participant.get("purpose") not in _CUSTOMERS:
            queue = next((leg.queue for leg in reversed(party.legs) if leg.queue), None)
            found[party.participant["participantId"]] = queue
            if queue:
                latest = max(latest, (party.legs[-1].started, queue))
    for party in parties:
        # Recorded: a callback that is scheduled is in its queue before anything there has begun.
        scheduled = next((leg.queue for leg in party.legs if leg.initial == "scheduled"), None)
        found.setdefault(party.participant["participantId"], latest[1] or scheduled)
    return found


# Annex A: all media


def snapshot(now: Scene) -> dict[str, Any]:
    """The body of `v2.routing.queues.{id}.conversations` and `v2.users.{id}.conversations`."""
    calls = [leg for party in now.parties for leg in party.legs if leg.medium == "voice"]
    return {
        "id": now.record["conversationId"],
        "maxParticipants": 20,
        "participants": [_participant(party, now) for party in now.parties],
        "recordingState": "active" if any(_recorded(leg) for leg in calls) else "none",
        **_given(address=_address(now.parties)),
        "securePause": False,
        "divisions": _divisions(now),
    }


def _given(**values: Any) -> dict[str, Any]:
    """Absent values are omitted."""
    return {name: value for name, value in values.items() if value is not None}


def _address(parties: Iterable[Party]) -> str | None:
    for party in parties:
        for leg in party.legs:
            if party.participant.get("purpose") in _CUSTOMERS:
                return leg.session.get("ani") or leg.session.get("addressFrom")
    return None


def _divisions(now: Scene) -> list[dict[str, Any]]:
    entities = [{"id": entity_id} for entity_id in (*now.queue_ids(former=True), *now.user_ids())]
    return [{"division": {"id": division}, "entities": entities} for division in now.record.get("divisionIds", ())]


def _recorded(leg: SessionState) -> bool:
    return bool(leg.session.get("recording")) and leg.connected is not None and not leg.over


def _participant(party: Party, now: Scene) -> dict[str, Any]:
    who = party.participant
    queue = now.queues.get(who["participantId"])
    address = _address([party])
    body: dict[str, Any] = {
        "id": who["participantId"],
        **_given(
            connectedTime=party.connected,
            endTime=party.ended,
            userId=who.get("userId"),
            externalContactId=who.get("externalContactId"),
            externalOrganizationId=who.get("externalOrganizationId"),
            name=None if who.get("purpose") == "acd" else who.get("participantName"),
            queueId=queue,
            purpose=who.get("purpose"),
            address=address,
        ),
        **_wrapping(party),
        **_routing(party, queue),
        "attributes": {name: str(value) for name, value in (who.get("attributes") or {}).items()},
    }
    for leg in party.legs:
        if leg.medium in LISTS:
            body.setdefault(LISTS[leg.medium], []).append(_communication(leg, party, now))
    return body


def _wrapping(party: Party) -> dict[str, Any]:
    """Fields of after-call work: whether it is expected and, after they have disconnected, its state."""
    body: dict[str, Any] = {
        "wrapupRequired": party.staff and party.connected is not None,
        "wrapupExpected": party.staff,
    }
    if party.staff:
        body["wrapupPrompt"] = "mandatory"
    for leg in party.legs:
        work = leg.after_call_work
        if work is not None:
            body |= {"startAcwTime": work["startTime"]}
            body |= _given(endAcwTime=work.get("endTime"), wrapup=leg.wrapup)
    return body


def _routing(party: Party, queue: str | None) -> dict[str, Any]:
    if queue is None or party.participant.get("purpose") not in ("acd", "agent"):
        return {}
    skills = {
        skill: None
        for leg in party.legs
        for segment in leg.session.get("segments", ())
        for skill in segment.get("requestedRoutingSkillIds", ())
        if segment["segmentStart"] <= leg.started
    }
    # Recorded: an agent's does not name the queue, and the agents that routing has scored are left out.
    named = {"id": queue} if party.participant.get("purpose") == "acd" else {}
    routing: dict[str, Any] = {"queue": named, "language": {}, "priority": 0}
    if skills:
        routing["skills"] = [{"id": skill} for skill in skills]
    return {"conversationRoutingData": routing} | ({"alertingTimeoutMs": _ALERTING_MS} if party.staff else {})


def _peer(leg: SessionState, now: Scene) -> str | None:
    """Whom a session speaks with: it says so itself, or it is the customer's, which speaks with who came last."""
    own = leg.session.get("peerId")
    if own:
        return str(own)
    others = [
        (each.started, str(each.session["sessionId"]))
        for party in now.parties
        for each in party.legs
        if each.session.get("peerId") == leg.session["sessionId"] and not each.over
    ]
    return max(others)[1] if others else None


def _communication(leg: SessionState, party: Party, now: Scene) -> dict[str, Any]:
    body: dict[str, Any] = {"id": leg.session["sessionId"], "state": leg.state, "initialState": leg.initial}
    if leg.medium in STATES and leg.medium != "callback":  # recorded: a callback has none
        body["direction"] = leg.session.get("direction", "inbound")
    if leg.medium not in ("cobrowse", "screenshare", "video"):
        body |= {"held": leg.held_since is not None} | _given(startHoldTime=leg.held_since)
    body |= _given(
        disconnectType=leg.disconnect,
        provider=leg.session.get("provider"),
        peerId=_peer(leg, now),
        connectedTime=leg.connected,
        disconnectedTime=leg.disconnected,
        wrapup=leg.wrapup,
        afterCallWork=leg.after_call_work,
    )
    body["afterCallWorkRequired"] = leg.after_call_work is not None
    if party.staff:
        body["queueMediaSettings"] = {"alertingTimeoutSeconds": _ALERTING_MS // 1_000, "enableAutoAnswer": False}
    return body | _OF_MEDIUM.get(leg.medium, _nothing)(leg, now)


def _nothing(_leg: SessionState, _now: Scene) -> dict[str, Any]:
    return {}


def _party_address(address: str | None, name: str = "") -> dict[str, str] | None:
    if not address:
        return None
    return {
        "name": name or address,
        "nameRaw": name or address,
        "addressNormalized": address,
        "addressRaw": address,
        "addressDisplayable": address,
    }


def _call(leg: SessionState, _now: Scene) -> dict[str, Any]:
    ani, dnis = (_party_address(leg.session.get(name)) for name in ("ani", "dnis"))
    theirs = leg.session.get("peerId") is None
    return {
        **_recording(leg),
        **_given(self=ani if theirs else dnis, other=dnis if theirs else ani),
    }


def _recording(leg: SessionState) -> dict[str, Any]:
    recorded = _recorded(leg)
    return {
        "recording": recorded,
        "recordingState": "active" if recorded else "none",
        "muted": False,
        "confined": False,
        "securePause": False,
    }


def _callback(leg: SessionState, now: Scene) -> dict[str, Any]:
    script, name = leg.session.get("scriptId"), leg.session.get("callbackUserName")
    return _flat_callback(leg, now) | _given(scriptId=script, callerIdName=name)


def _flat_callback(leg: SessionState, _now: Scene) -> dict[str, Any]:
    names = ("callbackNumbers", "callbackUserName", "callbackScheduledTime", "timeoutSeconds")
    body = {name: leg.session[name] for name in names if leg.session.get(name) is not None}
    return body | {"skipEnabled": bool(leg.session.get("skipEnabled")), "externalCampaign": False}


def _email(leg: SessionState, _now: Scene) -> dict[str, Any]:
    subjects = [text for segment in leg.session["segments"] if (text := segment.get("subject"))]
    body = {"autoGenerated": False, "messagesSent": 0, "spam": False}
    return body | _given(subject=subjects[0] if subjects else None, parkTime=leg.parked_since)


def _message(leg: SessionState, now: Scene) -> dict[str, Any]:
    return {
        **_given(
            toAddress=_party_address(leg.session.get("addressTo")),
            fromAddress=_party_address(leg.session.get("addressFrom")),
        ),
        "messages": messages(leg, now.at),
        "type": _message_type(leg),
    }


def _message_type(leg: SessionState) -> str:
    kind = str(leg.session.get("messageType", "")).lower()
    return kind if kind in _MESSAGE_TYPES else "unknown"


_OF_MEDIUM: Final = {"voice": _call, "callback": _callback, "email": _email, "message": _message}


# Annex B: one medium, flattened


def flattened(now: Scene, medium: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The body of a media topic, such as `v2.users.{id}.conversations.calls`. names: of queues and users."""
    body: dict[str, Any] = {"id": now.record["conversationId"], "participants": []}
    for party in now.parties:
        legs = [leg for leg in party.legs if leg.medium == medium]
        if legs:
            more = any(session["mediaType"] == medium for session in party.participant["sessions"][len(party.legs) :])
            body["participants"].append(_flat(Party(party.participant, tuple(legs), more), now, names))
    body |= {"otherMediaUris": []} | _given(address=_address(now.parties))
    if medium == "voice":
        active = any(participant["recording"] for participant in body["participants"])
        body |= {"recordingState": "active" if active else "none", "securePause": False, "maxParticipants": 20}
    return body | {"divisions": _divisions(now)}


def _flat(party: Party, now: Scene, names: Mapping[str, str]) -> dict[str, Any]:
    who, leg = party.participant, party.legs[-1]
    queue = now.queues.get(who["participantId"])
    wrapping = _wrapping(party)
    del wrapping["wrapupExpected"]
    return {
        "id": who["participantId"],
        **_given(
            name=who.get("participantName"),
            address=_address([party]),
            startTime=party.legs[0].started,
            connectedTime=party.connected,
            endTime=party.ended,
            startHoldTime=leg.held_since,
            purpose=who.get("purpose"),
            state=leg.state,
            initialState=leg.initial,
            direction=leg.session.get("direction", "inbound"),
            disconnectType=leg.disconnect,
        ),
        "held": leg.held_since is not None,
        **wrapping,
        **_given(user=_named(who.get("userId"), names), queue=_named(queue, names)),
        **_given(externalContact=_named(who.get("externalContactId"), {})),
        "attributes": {name: str(value) for name, value in (who.get("attributes") or {}).items()},
        **_given(provider=leg.session.get("provider"), peer=_peer(leg, now)),
        **_routing(party, queue),
        **_FLAT.get(leg.medium, _nothing)(leg, now),
    }


def _named(identity: str | None, names: Mapping[str, str]) -> dict[str, str] | None:
    if not identity:
        return None
    return {"id": identity} | ({"name": names[identity]} if identity in names else {})


def _flat_call(leg: SessionState, _now: Scene) -> dict[str, Any]:
    return _recording(leg) | _given(ani=leg.session.get("ani"), dnis=leg.session.get("dnis"))


def _flat_message(leg: SessionState, now: Scene) -> dict[str, Any]:
    """Here a message is named by a reference."""
    named = [{"message": {"id": each.pop("messageId")}, **each} for each in messages(leg, now.at)]
    return {"messages": named, "type": _message_type(leg)}


_FLAT: Final = {"voice": _flat_call, "callback": _flat_callback, "email": _email, "message": _flat_message}
