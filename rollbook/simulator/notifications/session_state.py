"""State of a session at a moment, read from its segments alone. Pure.

The analytics record has each session to its end; a notification shows it at one moment, in the words of
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
# The states that each medium's communications have; another state is sent as `connected`.
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
class SessionState:
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
        """Disconnected, and the platform has said so."""
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
        fields = {"code": work.get("wrapUpCode"), "notes": work.get("wrapUpNote"), "tags": work.get("wrapUpTags")}
        taken = (_moment(work["segmentEnd"]) - _moment(work["segmentStart"])) // timedelta(seconds=1)
        return {name: value for name, value in fields.items() if value} | {
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


def state_at(session: dict[str, Any], at: str, *, passing: bool) -> SessionState | None:
    """A session at `at` (API text); None if it has not begun."""
    begun = [seen(segment, at) for segment in session.get("segments", ()) if segment["segmentStart"] <= at]
    if not begun:
        return None
    line = [segment for segment in begun if segment["segmentType"] != "wrapup"] or begun
    whole = [segment for segment in session["segments"] if segment["segmentType"] != "wrapup"]
    work = [segment for segment in session["segments"] if segment["segmentType"] == "wrapup"]
    over = all(segment.get("segmentEnd", "~") <= at for segment in whole)
    left = max((segment["segmentEnd"] for segment in line if "segmentEnd" in segment), default=None) if over else None
    between = passing and left == at and bool(work)
    known = STATES.get(session["mediaType"], _LINE)
    current = max((segment for segment in line if "segmentEnd" not in segment), key=_start, default=line[-1])
    doing = "" if over else current["segmentType"]
    talking = [segment["segmentStart"] for segment in line if segment["segmentType"] in _TALKING]
    begun_work = [segment for segment in begun if segment["segmentType"] == "wrapup"]
    return SessionState(
        session=session,
        started=min(segment["segmentStart"] for segment in begun),
        state="disconnected" if over and not between else _state(doing, known),
        initial=_state(min(line, key=_start)["segmentType"], known),
        connected=min(talking, default=None),
        disconnected=left,
        disconnect=_disconnect(line, session["mediaType"]) if over else None,
        queue=next((segment["queueId"] for segment in reversed(begun) if segment.get("queueId")), None),
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
    kinds = [DISCONNECTS.get(segment["disconnectType"], "other") for segment in line if "disconnectType" in segment]
    if not kinds:
        return None
    foreign = (
        _NOT_EMAILS | _MESSAGES_ONLY if medium == "email" else frozenset() if medium == "message" else _MESSAGES_ONLY
    )
    return "other" if kinds[-1] in foreign else kinds[-1]


@lru_cache(maxsize=8_192)
def _message_id(session: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{session} {number}"))


def messages(leg: SessionState, at: str) -> list[dict[str, Any]]:
    """The messages of a communication so far, each with an id and a time: the details have neither, so they are made up
    from the session's id, the same ones each time."""
    if leg.connected is None:
        return []
    began, end = _moment(leg.connected), _moment(min(leg.disconnected or at, at))
    found = []
    for number in range(min(int((end - began).total_seconds() // 20) + 1, 40)):
        name = _message_id(leg.session["sessionId"], number)
        when = _written(began + timedelta(seconds=20 * number))
        found.append(
            {"messageId": name, "messageTime": when, "messageStatus": "delivery-success", "messageSegmentCount": 1}
        )
    return found
