"""Detail events: each fact of a conversation on its own, for `v2.detail.events.conversation.{id}.<member>`. Pure.

One record in, its events in the order of time out: epoch milliseconds, words in capitals (notification reference, 4.2).
What the record does not say is omitted. Knows nothing of who listens or when a frame is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

Record = Mapping[str, Any]

_FLOWS: Final = frozenset(
    {
        "INBOUNDCALL",
        "OUTBOUNDCALL",
        "INQUEUECALL",
        "SECURECALL",
        "INBOUNDEMAIL",
        "SURVEYINVITE",
        "INBOUNDSHORTMESSAGE",
        "INBOUNDCHAT",
        "WORKFLOW",
        "BOT",
        "DIGITALBOT",
        "COMMONMODULE",
        "INQUEUEEMAIL",
        "INQUEUESHORTMESSAGE",
        "VOICE",
        "VOICEMAIL",
        "WORKITEM",
        "VOICESURVEY",
    }
)
_EXITS: Final = frozenset(
    {
        "DISCONNECT",
        "FLOW_DISCONNECT",
        "FLOW_ERROR_DISCONNECT",
        "TRANSFER",
        "SESSION_EXPIRE_DISCONNECT",
        "RECOGNITION_FAILURE_DISCONNECT",
        "RECOGNITION_FAILURE_EXIT",
        "USER_EXIT",
        "FLOW_EXIT",
        "FLOW_ERROR_EXIT",
    }
)
_TRANSFERS: Final = frozenset(
    {
        "ACD",
        "USER",
        "NUMBER",
        "ACD_VOICEMAIL",
        "USER_VOICEMAIL",
        "GROUP_VOICEMAIL",
        "GROUP",
        "FLOW",
        "SECURE_FLOW",
        "RETURN_TO_AGENT",
    }
)
_MESSAGE_TYPES: Final = frozenset(
    {
        "SMS",
        "TWITTER",
        "FACEBOOK",
        "LINE",
        "WHATSAPP",
        "WEBMESSAGING",
        "OPEN",
        "INSTAGRAM",
        "APPLE",
        "LINKEDIN",
    }
)
_ROUTINGS: Final = frozenset(
    {
        "MANUAL",
        "PREDICTIVE",
        "PREFERRED",
        "LAST",
        "BULLSEYE",
        "STANDARD",
        "OTHER",
        "CONDITIONAL",
        "VIP",
    }
)
_OUTCOMES: Final = frozenset({"SUCCESS", "FAILURE"})
_CALLBACK: Final = ("callbackUserName", "callbackNumbers", "callbackScheduledTime")
_TEXT: Final = ("addressTo", "addressFrom", "subject", "messageType")
# What the members do not have of the fields that all could.
_WITHOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "acw": ("divisionId",),
    "wrapup": ("divisionId",),
    "contact": ("queueId",),
    "customer": ("queueId",),
    "outbound": ("queueId", *_CALLBACK),
    "flow": ("queueId", *_CALLBACK),
    "voicemail": (*_CALLBACK, *_TEXT),
}
# The six lengths of `user.end`, which has zeros too, and the segments that each sums.
_LENGTHS: Final = {
    "interactingDurationMs": "interact",
    "heldDurationMs": "hold",
    "alertingDurationMs": "alert",
    "contactingDurationMs": "contacting",
    "dialingDurationMs": "dialing",
    "callbackDurationMs": "callback",
}
_CUSTOMERS: Final = ("customer", "external")
_MOMENT: Final = timedelta(milliseconds=300)


@dataclass(frozen=True, slots=True)
class DetailEvent:
    """Detail event: its time, its member of the topic, its body."""

    at: datetime
    member: str
    body: dict[str, Any]


def events(record: Record) -> list[DetailEvent]:
    """Every event of a conversation, as far as its record knows, in the order of time."""
    found = [event for participant in record["participants"] for event in _of(record, participant)]
    return sorted(found, key=lambda event: event.at)


def _of(record: Record, participant: Record) -> Iterator[DetailEvent]:
    purpose = participant.get("purpose")
    for session in participant["sessions"]:
        placed = _Session(record, participant, session)
        if not placed.segments:
            continue
        if purpose in _CUSTOMERS:
            yield from _customer(placed)
        elif purpose == "acd":
            yield from _acd(placed)
        elif "flow" in session:
            yield from _flow(placed)
        elif participant.get("userId"):
            yield from _user(placed)
        yield from _voicemail(placed)
        yield from _after_call_work(placed)


class _Session:
    """A session with where it stands in its conversation."""

    def __init__(self, record: Record, participant: Record, session: Record) -> None:
        self.record, self.participant, self.session = record, participant, session
        self.segments: list[dict[str, Any]] = list(session.get("segments", ()))
        self.line = [segment for segment in self.segments if segment["segmentType"] != "wrapup"]
        begun = self.line or self.segments
        self.start = min((_moment(segment["segmentStart"]) for segment in begun), default=datetime.max)
        over = bool(self.line) and all("segmentEnd" in segment for segment in self.line)
        self.end = max(_moment(segment["segmentEnd"]) for segment in self.line) if over else None

    def event(self, at: datetime, member: str, **more: Any) -> DetailEvent:
        """An event with the fields that its member shares with the others."""
        without = _WITHOUT.get(member, _WITHOUT.get(member.partition(".")[0], ()))
        shared = {name: value for name, value in self._shared().items() if name not in without and value is not None}
        body = {"eventTime": _ms(at), "conversationId": self.record["conversationId"]}
        return DetailEvent(
            at, member, body | shared | {name: value for name, value in more.items() if value is not None}
        )

    def _shared(self) -> dict[str, Any]:
        session = self.session
        scheduled = session.get("callbackScheduledTime")
        kind = session.get("messageType")
        return {
            "participantId": self.participant["participantId"],
            "sessionId": session["sessionId"],
            "mediaType": str(session["mediaType"]).upper(),
            "provider": session.get("provider"),
            "direction": str(session.get("direction", "unknown")).upper(),
            "ani": session.get("ani"),
            "dnis": session.get("dnis"),
            "addressTo": session.get("addressTo"),
            "addressFrom": session.get("addressFrom"),
            "callbackUserName": session.get("callbackUserName"),
            "callbackNumbers": session.get("callbackNumbers"),
            "callbackScheduledTime": _ms(_moment(scheduled)) if scheduled else None,
            "subject": next((segment["subject"] for segment in self.segments if segment.get("subject")), None),
            "messageType": _word(kind, _MESSAGE_TYPES) if kind else None,
            "queueId": self.queue,
            "divisionId": next(iter(self.record.get("divisionIds", ())), None),
            **self.contacts,
        }

    @property
    def queue(self) -> str | None:
        return next((segment["queueId"] for segment in self.segments if segment.get("queueId")), None)

    @property
    def contacts(self) -> dict[str, Any]:
        """The external contacts of the conversation."""
        ids = [
            participant["externalContactId"]
            for participant in self.record["participants"]
            if participant.get("externalContactId")
        ]
        return {"conversationExternalContactIds": ids} if ids else {}

    @property
    def disconnect(self) -> str | None:
        kinds = [segment["disconnectType"] for segment in self.line if "disconnectType" in segment]
        return _capitals(kinds[-1]) if kinds else None

    @property
    def lasted(self) -> int:
        return _ms(self.end) - _ms(self.start) if self.end is not None else 0

    def length(self, kind: str) -> int:
        """Milliseconds in the segments of a type."""
        of_kind = [segment for segment in self.line if segment["segmentType"] == kind and "segmentEnd" in segment]
        return sum(_ms(_moment(segment["segmentEnd"])) - _ms(_moment(segment["segmentStart"])) for segment in of_kind)

    def shortly(self) -> datetime:
        """A moment after its start, and in it: when things become known of it that the record gives no time for."""
        return self.start + _MOMENT if self.end is None else min(self.start + _MOMENT, self.end)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1_000 + at.microsecond // 1_000


def _capitals(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _word(value: object, known: frozenset[str]) -> str:
    word = str(value).upper()
    return word if word in known else "UNKNOWN"


def _customer(session: _Session) -> Iterator[DetailEvent]:
    who = session.participant
    contact = {name: who.get(name) for name in ("externalContactId", "externalOrganizationId")}
    yield session.event(session.start, "customer.start", **contact)
    if contact["externalContactId"]:
        yield session.event(session.shortly(), "contact", **contact)
    if who.get("attributes"):
        yield _attributes(session)
    if session.session.get("outboundCampaignId"):
        names = ("outboundCampaignId", "outboundContactListId", "outboundContactId")
        yield session.event(session.start, "outbound", **{name: session.session.get(name) for name in names})
    if session.end is not None:
        spoke = session.length("interact")
        yield session.event(
            session.end, "customer.end", disconnectType=session.disconnect, interactingDurationMs=spoke, **contact
        )


def _attributes(session: _Session) -> DetailEvent:
    at, media = session.shortly(), str(session.session["mediaType"]).upper()
    body = {
        "eventTime": _ms(at),
        "conversationId": session.record["conversationId"],
        "participantId": session.participant["participantId"],
        "attributes": {name: str(value) for name, value in session.participant["attributes"].items()},
        "communications": [{"id": session.session["sessionId"], "mediaType": media}],
        "participantStartTime": _ms(session.start),
        **session.contacts,
    }
    return DetailEvent(at, "attributes", body)


def _acd(session: _Session) -> Iterator[DetailEvent]:
    skills = [skill for part in session.segments for skill in part.get("requestedRoutingSkillIds", ())]
    asked = {"requestedRoutingSkillIds": list(dict.fromkeys(skills)) or None, "routingPriority": 0}
    yield session.event(session.start, "acd.start", skillExpressionApplied=False, **asked)
    if session.end is None:
        return
    answered = _answered(session)
    outcome = "ANSWERED" if answered else "FLOW_OUT" if session.disconnect == "TRANSFER" else "ABANDON"
    used = session.session.get("usedRouting")
    yield session.event(
        session.end,
        "acd.end",
        disconnectType=session.disconnect,
        acdOutcome=outcome,
        answeredUserId=answered,
        requestedRoutings=[str(each).upper() for each in session.session.get("requestedRoutings", ())] or None,
        usedRouting=_word(used, _ROUTINGS) if used else None,
        connectedDurationMs=session.lasted,
        **asked,
    )


def _answered(acd: _Session) -> str | None:
    """The user who took it: the first to interact in that queue since, and before it is in a queue again."""
    others = [_Session(acd.record, who, session) for who in acd.record["participants"] for session in who["sessions"]]
    again = [other.start for other in others if other.participant.get("purpose") == "acd" and other.start > acd.start]
    taken = sorted(
        (_moment(part["segmentStart"]), str(other.participant["userId"]))
        for other in others
        for part in other.line
        if other.participant.get("userId") and part["segmentType"] == "interact" and part.get("queueId") == acd.queue
    )
    since = [each for each in taken if each[0] >= acd.start and (not again or each[0] < min(again))]
    return since[0][1] if since else None


def _flow(session: _Session) -> Iterator[DetailEvent]:
    flow = session.session["flow"]
    names = {"flowId": flow.get("flowId"), "flowVersion": flow.get("flowVersion")}
    names["flowType"] = _word(flow.get("flowType"), _FLOWS)
    yield session.event(session.start, "flow.start", **names)
    for outcome in flow.get("outcomes", ()):
        yield from _outcome(session, names, outcome)
    if session.end is not None:
        exits, moved = flow.get("exitReason"), flow.get("transferType")
        yield session.event(
            session.end,
            "flow.end",
            disconnectType=session.disconnect,
            connectedDurationMs=session.lasted,
            exitReason=_word(exits, _EXITS) if exits else None,
            transferType=_word(moved, _TRANSFERS) if moved else None,
            **names,
        )


def _outcome(session: _Session, names: Mapping[str, Any], outcome: Mapping[str, Any]) -> Iterator[DetailEvent]:
    began, ended = (outcome.get(f"flowOutcome{which}Timestamp") for which in ("Start", "End"))
    if ended:
        yield session.event(
            _moment(ended),
            "flow.outcome",
            flowOutcomeId=outcome.get("flowOutcomeId"),
            flowOutcomeStartTime=_ms(_moment(began)) if began else None,
            flowOutcomeEndTime=_ms(_moment(ended)),
            flowOutcomeValue=_word(outcome.get("flowOutcomeValue"), _OUTCOMES),
            flowMilestones=[],
            **names,
        )


def _user(session: _Session) -> Iterator[DetailEvent]:
    user = session.participant["userId"]
    yield session.event(session.start, "user.start", userId=user)
    if session.end is not None:
        lengths = {name: session.length(kind) for name, kind in _LENGTHS.items()}
        yield session.event(session.end, "user.end", disconnectType=session.disconnect, userId=user, **lengths)


def _voicemail(session: _Session) -> Iterator[DetailEvent]:
    user = session.participant.get("userId")
    for part in session.line:
        if part["segmentType"] == "voicemail":
            began = _moment(part["segmentStart"])
            yield session.event(began, "voicemail.start", userId=user)
            if "segmentEnd" in part:
                ended, why = _moment(part["segmentEnd"]), part.get("disconnectType")
                yield session.event(
                    ended,
                    "voicemail.end",
                    userId=user,
                    disconnectType=_capitals(why) if why else None,
                    voicemailDurationMs=_ms(ended) - _ms(began),
                )


def _after_call_work(session: _Session) -> Iterator[DetailEvent]:
    for part in session.segments:
        if part["segmentType"] == "wrapup" and "segmentEnd" in part:
            ended = _moment(part["segmentEnd"])
            work = {
                "wrapupCode": part.get("wrapUpCode"),
                "wrapupNotes": part.get("wrapUpNote"),
                "wrapupDurationMs": _ms(ended) - _ms(_moment(part["segmentStart"])),
            }
            yield session.event(ended, "acw", userId=session.participant.get("userId"), **work)
            yield session.event(ended, "wrapup", **work)
