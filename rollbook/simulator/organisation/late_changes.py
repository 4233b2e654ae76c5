"""Additions to a record, and corrections of it, long after the conversation ended.

Evaluations, surveys, resolutions, and the platform's nightly reprocessing of what is at least 48 hours old. Few
conversations have any. Answers whole records with the time from which each holds; knows nothing of who asks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.organisation.conversation_writer import Cast
from rollbook.simulator.organisation.participants import identity
from rollbook.simulator.times import DAY, midnight, text

Record = dict[str, Any]
Patch = Callable[[Record], Record]
REWRITTEN: Final = 0.04
EVALUATED: Final = 0.01
SURVEYED: Final = 0.01
RESOLVED: Final = 0.005
_NIGHT: Final = timedelta(hours=2)
_OLD: Final = timedelta(hours=48)


def aftermath(record: Record, final: datetime, cast: Cast, draw: random.Random) -> list[tuple[datetime, Record]]:
    """Later versions of a finished record. final: when it is all known. Ascending by time."""
    patches: list[tuple[datetime, Patch]] = []
    if draw.random() < REWRITTEN:
        seed = draw.getrandbits(64)
        patches.append((night(final), lambda original: rewritten(original, random.Random(seed))))
    if draw.random() < EVALUATED:
        patches += _evaluation(record, final, cast, draw)
    if draw.random() < SURVEYED:
        patches += _survey(record, final, cast, draw)
    if draw.random() < RESOLVED:
        patches.append(_resolution(record, final + timedelta(days=7, hours=draw.randrange(6)), cast, draw))
    revisions, now = [], record
    for at, patch in sorted(patches, key=lambda pair: pair[0]):
        now = patch(now)
        revisions.append((at, now))
    return revisions


def night(final: datetime) -> datetime:
    """The first nightly run at which it is old enough."""
    old = final + _OLD
    first = midnight(old) + _NIGHT
    return first if first >= old else first + DAY


def rewritten(record: Record, draw: random.Random) -> Record:
    """As the nightly reprocessing leaves it: a feature filled in, or a figure corrected. Always different."""
    if "conversationInitiator" not in record and draw.random() < 0.5:
        return record | {"conversationInitiator": record["participants"][0]["purpose"], "customerParticipation": True}
    at = draw.randrange(len(record["participants"]))
    participants = [
        _corrected(participant) if number == at else participant
        for number, participant in enumerate(record["participants"])
    ]
    return record | {"participants": participants}


def _corrected(participant: Record) -> Record:
    """Its first session with every duration one millisecond longer, or a mark if it has none."""
    first, *others = participant["sessions"]
    metrics = [
        metric | {"value": metric["value"] + 1} if metric["name"].startswith("t") else metric
        for metric in first.get("metrics", ())
    ]
    if metrics == first.get("metrics", []):
        return participant | {"flaggedReason": "general"}
    return participant | {"sessions": [first | {"metrics": metrics}, *others]}


def _whose(record: Record, cast: Cast) -> dict[str, str]:
    """The agent and the queue that it is about."""
    agents = [participant for participant in record["participants"] if "userId" in participant]
    user = agents[-1]["userId"] if agents else cast.users[0]["id"]
    return {"queueId": cast.queues[0]["id"], "userId": user}


def _with(key: str, identity_key: str, item: Record) -> Patch:
    """Put an item into one of the record's lists, in the place of its earlier version."""

    def patch(record: Record) -> Record:
        kept = [entry for entry in record.get(key, ()) if entry.get(identity_key) != item.get(identity_key)]
        return record | {key: [*kept, item]}

    return patch


def _evaluation(record: Record, final: datetime, cast: Cast, draw: random.Random) -> list[tuple[datetime, Patch]]:
    assigned = final + timedelta(hours=draw.uniform(1, 72))
    finished = assigned + timedelta(days=draw.uniform(0.5, 20))
    pending: Record = {
        "contextId": identity(draw),
        "deleted": False,
        "evaluationId": identity(draw),
        "evaluationStatus": "Pending",
        "evaluatorId": draw.choice(cast.users)["id"],
        "eventTime": text(assigned),
        "formId": identity(draw),
        "formName": "Quality",
        "released": False,
        "rescored": False,
        **_whose(record, cast),
    }
    done = pending | {
        "evaluationStatus": "Finished",
        "eventTime": text(finished),
        "oTotalCriticalScore": draw.randrange(50, 101),
        "oTotalScore": draw.randrange(50, 101),
        "released": True,
    }
    return [
        (at, _with("evaluations", "evaluationId", version)) for at, version in ((assigned, pending), (finished, done))
    ]


def _survey(record: Record, final: datetime, cast: Cast, draw: random.Random) -> list[tuple[datetime, Patch]]:
    sent = final + timedelta(minutes=draw.uniform(5, 120))
    answered = sent + timedelta(hours=draw.uniform(1, 100))
    asked: Record = {
        "eventTime": text(sent),
        "surveyFormContextId": identity(draw),
        "surveyFormId": identity(draw),
        "surveyFormName": "After the call",
        "surveyId": identity(draw),
        "surveyPartialResponse": False,
        "surveyStatus": "Sent",
        "surveyType": "Web",
        **_whose(record, cast),
    }
    done = asked | {
        "eventTime": text(answered),
        "oSurveyTotalScore": draw.randrange(20, 101),
        "surveyCompletedDate": text(answered),
        "surveyPromoterScore": draw.randrange(11),
        "surveyStatus": "Finished",
    }
    return [(at, _with("surveys", "surveyId", version)) for at, version in ((sent, asked), (answered, done))]


def _resolution(record: Record, at: datetime, cast: Cast, draw: random.Random) -> tuple[datetime, Patch]:
    item = {"eventTime": text(at), "nNextContactAvoided": draw.randrange(2), **_whose(record, cast)}
    return at, _with("resolutions", "eventTime", item)
