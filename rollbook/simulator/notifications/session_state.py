"""What one session of a conversation was doing at a moment, read from its segments alone. Pure.

The analytics record has each session's whole life; a notification is told of it one moment at a time, in the words of
the conversation model. Nothing here looks at what lies ahead of the moment, except to know that a session goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

Segment = dict[str, Any]

# What a segment's type is as a communication's state.
_STATES: Final = {
    "alert": "alerting",
    "dialing": "dialing",
    "contacting": "contacting",
    "delay": "offering",
    "scheduled": "scheduled",
    "parked": "parked",
    "uploading": "uploading",
    "converting": "converting",
    "transmitting": "transmitting",
}
_LINE: Final = frozenset({"alerting", "dialing", "contacting", "offering", "connected", "disconnected", "terminated"})
# The states that each medium's communications have; another one is told as `connected`.
STATES: Final = {
    "voice": _LINE | {"uploading", "converting", "transmitting"},
    "callback": _LINE | {"scheduled", "uploading"},
    "email": frozenset({"alerting", "connected", "disconnected", "transmitting", "parked"}),
    "message": frozenset({"alerting", "connected", "disconnected", "parked"}),
}
_TALKING: Final = frozenset(
    {
        "interact",
        "ivr",
        "hold",
        "voicemail",
        "monitoring",
        "coaching",
        "barging",
        "system",
        "sharing",
        "parked",
    }
)
# disconnectType of the details -> of the conversation model.
DISCONNECTS: Final = {
    "transfer": "transfer",
    "conferenceTransfer": "transfer.conference",
    "consultTransfer": "transfer.consult",
    "forwardTransfer": "transfer.forward",
    "noAnswerTransfer": "transfer.noanswer",
    "dndTransfer": "transfer.dnd",
    "notAvailableTransfer": "transfer.notavailable",
    "transportFailure": "transport.failure",
    "dndEndpoint": "endpoint.dnd",
    "sessionExpired": "session.expired",
    "endpoint": "endpoint",
    "client": "client",
    "system": "system",
    "timeout": "timeout",
    "error": "error",
    "peer": "peer",
    "other": "other",
    "spam": "spam",
    "uncallable": "uncallable",
    "inactivity": "inactivity",
    "takeover": "takeover",
}
_MESSAGES_ONLY: Final = frozenset({"inactivity", "session.expired", "takeover"})
_NOT_EMAILS: Final = frozenset({"endpoint.dnd", "transfer.dnd"})


@dataclass(frozen=True, slots=True)
class Leg:
    """A session at a moment. Times are API text, None for what has not happened.

    passing: the instant between its disconnection and the word of it, when after-call work is due already.
    """

    session: dict[str, Any]
    started: str
    state: str
    initial: str
    connected: str | None
    disconnected: str | None
    disconnect: str | None
    queue: str | None
    held_since: str | None
    parked_since: str | None
    work: Segment | None
    work_due: bool
    passing: bool

    @property
    def medium(self) -> str:
        return str(self.session["mediaType"])

    @property
    def over(self) -> bool:
        """Disconnected, and told so."""
        return self.state == "disconnected"

    @property
    def after_call_work(self) -> dict[str, Any] | None:
        """The AfterCallWork of an agent who has disconnected."""
        if self.disconnected is None or not self.work_due:
            return None
        began = self.work["segmentStart"] if self.work else self.disconnected
        if self.work and "segmentEnd" in self.work:
            return {"state": "complete", "startTime": began, "endTime": self.work["segmentEnd"]}
        return {"state": "pending", "startTime": began}

    @property
    def wrapup(self) -> dict[str, Any] | None:
        """The Wrapup that after-call work ended with."""
        work = self.work
        if not work or "segmentEnd" not in work:
            return None
        told = {"code": work.get("wrapUpCode"), "notes": work.get("wrapUpNote"), "tags": work.get("wrapUpTags")}
        taken = (_moment(work["segmentEnd"]) - _moment(work["segmentStart"])) // timedelta(seconds=1)
        return {name: value for name, value in told.items() if value} | {
            "durationSeconds": taken,
            "endTime": work["segmentEnd"],
        }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def seen(segment: Segment, at: str) -> Segment:
    """A segment as it stood: what its end tells is not known before."""
    if segment.get("segmentEnd", "") > at:
        later = ("segmentEnd", "disconnectType", "wrapUpCode", "wrapUpNote", "wrapUpTags")
        return {name: value for name, value in segment.items() if name not in later}
    return segment


def leg(session: dict[str, Any], at: str, *, passing: bool) -> Leg | None:
    """A session at `at` (API text); None if it has not begun."""
    begun = [seen(one, at) for one in session.get("segments", ()) if one["segmentStart"] <= at]
    if not begun:
        return None
    line = [one for one in begun if one["segmentType"] != "wrapup"] or begun
    whole = [one for one in session["segments"] if one["segmentType"] != "wrapup"]
    work = [one for one in session["segments"] if one["segmentType"] == "wrapup"]
    over = all(one.get("segmentEnd", "~") <= at for one in whole)
    left = max((one["segmentEnd"] for one in line if "segmentEnd" in one), default=None) if over else None
    between = passing and left == at and bool(work)
    known = STATES.get(session["mediaType"], _LINE)
    current = max((one for one in line if "segmentEnd" not in one), key=_start, default=line[-1])
    doing = "" if over else current["segmentType"]
    talking = [one["segmentStart"] for one in line if one["segmentType"] in _TALKING]
    begun_work = [one for one in begun if one["segmentType"] == "wrapup"]
    return Leg(
        session=session,
        started=min(one["segmentStart"] for one in begun),
        state="disconnected" if over and not between else _state(doing, known),
        initial=_state(min(line, key=_start)["segmentType"], known),
        connected=min(talking, default=None),
        disconnected=left,
        disconnect=_disconnect(line, session["mediaType"]) if over else None,
        queue=next((one["queueId"] for one in reversed(begun) if one.get("queueId")), None),
        held_since=current["segmentStart"] if doing == "hold" else None,
        parked_since=current["segmentStart"] if doing == "parked" else None,
        work=_joined(begun_work) if begun_work else None,
        work_due=bool(work),
        passing=between,
    )


def _start(segment: Segment) -> str:
    return str(segment["segmentStart"])


def _state(kind: str, known: frozenset[str]) -> str:
    word = _STATES.get(kind, "connected")
    return word if word in known else "connected"


def _joined(work: list[Segment]) -> Segment:
    """After-call work in several segments is one."""
    return {**work[-1], "segmentStart": work[0]["segmentStart"]}


def _disconnect(line: Iterable[Segment], medium: str) -> str | None:
    told = [DISCONNECTS.get(one["disconnectType"], "other") for one in line if "disconnectType" in one]
    if not told:
        return None
    foreign = (
        _NOT_EMAILS | _MESSAGES_ONLY if medium == "email" else frozenset() if medium == "message" else _MESSAGES_ONLY
    )
    return "other" if told[-1] in foreign else told[-1]


@lru_cache(maxsize=8_192)
def _message_id(session: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{session} {number}"))


def messages(one: Leg, at: str) -> list[dict[str, Any]]:
    """The messages of a communication so far, each with an id and a time: the details have neither, so they are made up
    from the session's id, the same ones each time."""
    if one.connected is None:
        return []
    began, end = _moment(one.connected), _moment(min(one.disconnected or at, at))
    found = []
    for number in range(min(int((end - began).total_seconds() // 20) + 1, 40)):
        name = _message_id(one.session["sessionId"], number)
        when = _written(began + timedelta(seconds=20 * number))
        found.append(
            {"messageId": name, "messageTime": when, "messageStatus": "delivery-success", "messageSegmentCount": 1}
        )
    return found
