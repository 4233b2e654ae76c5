"""Every body that the simulator can send is one that the platform's own models describe."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbook.simulator.notifications.detail_events import events
from rollbook.simulator.notifications.frames import envelope
from rollbook.simulator.notifications.session_state import DISCONNECTS
from rollbook.simulator.notifications.snapshots import Scene, flattened, passes, scene, snapshot
from rollbook.simulator.notifications.topics import DETAIL_MEMBERS, MEDIA_SUFFIX
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import text
from tests.helpers.schemas import body_of, described

START = datetime(2026, 8, 3, 14, tzinfo=UTC)
SIDES = ("v2.routing.queues.{id}.conversations", "v2.users.{id}.conversations")
DETAIL = "v2.detail.events.conversation.{id}."


@pytest.fixture(scope="module")
def world() -> World:
    """Two hundred conversations and some."""
    made = World(5, START, per_hour=600, queues=5, users=9)
    made.grow(START + timedelta(minutes=25))
    assert len(made.conversations) > 200
    return made


def scenes(record: dict[str, Any], changes: list[datetime]) -> list[Scene]:
    """A conversation at each of its changes, with the moments between."""
    found = []
    for at in map(text, changes):
        if passes(record, at):
            found.append(scene(record, at, passing=True))
        found.append(scene(record, at))
    return found


def test_every_snapshot_is_one_of_the_models(world: World) -> None:
    """At every change of every conversation the body of all media, and of each medium, is valid on both sides."""
    media = set()
    for number, life in enumerate(world.conversations):
        side = SIDES[number % 2]  # the models of both are the same but for their names; each gets half
        for now in scenes(life.record, life.changes):
            body_of(side).validate(snapshot(now))
            for medium in now.media():
                media.add(medium)
                body_of(f"{side}.{MEDIA_SUFFIX[medium]}").validate(flattened(now, medium, {}))
    assert media >= {"voice", "message", "email", "callback"}


def test_every_detail_event_is_one_of_the_models(world: World) -> None:
    """Every event of every conversation is valid, in the order of time, and as late as what it tells."""
    for life in world.conversations:
        listed = events(life.record)
        assert [event.at for event in listed] == sorted(event.at for event in listed)
        for event in listed:
            body_of(DETAIL + event.member).validate(event.body)
            assert event.body["eventTime"] == round(event.at.timestamp() * 1000)
            assert event.body["conversationId"] == life.id


def at(seconds: float) -> str:
    return text(START + timedelta(seconds=seconds))


def segment(kind: str, start: float, end: float | None = None, **more: Any) -> dict[str, Any]:
    found = {"segmentType": kind, "segmentStart": at(start), "conference": False, **more}
    return found if end is None else found | {"segmentEnd": at(end)}


def session(name: str, medium: str, *segments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"sessionId": name, "mediaType": medium, "direction": "inbound", "segments": list(segments), **more}


def everything() -> dict[str, Any]:
    """A conversation in which all sixteen kinds of detail event happen, and several media."""
    line = {"ani": "tel:+13175550123", "dnis": "tel:+18005550100", "provider": "Edge", "recording": True}
    campaign = {"outboundCampaignId": "c1", "outboundContactListId": "l1", "outboundContactId": "k1"}
    outcome = {
        "flowOutcomeId": "o1",
        "flowOutcomeValue": "SUCCESS",
        "flowOutcomeStartTimestamp": at(2),
        "flowOutcomeEndTimestamp": at(8),
    }
    flow = {
        "flowId": "f1",
        "flowType": "INBOUNDCALL",
        "flowVersion": "7.0",
        "exitReason": "TRANSFER",
        "transferType": "ACD",
        "outcomes": [outcome],
    }
    queue = {"queueId": "q1"}
    people = [
        {
            "participantId": "p1",
            "purpose": "customer",
            "participantName": "Caller",
            "externalContactId": "e1",
            "attributes": {"account": 100234},
            "sessions": [
                session(
                    "s1",
                    "voice",
                    segment("system", -0.013, 0),
                    segment("interact", 0, 300, disconnectType="endpoint", **queue),
                    **line,
                    **campaign,
                )
            ],
        },
        {
            "participantId": "p2",
            "purpose": "ivr",
            "sessions": [
                session("s2", "voice", segment("ivr", 0, 10, disconnectType="transfer"), peerId="s1", flow=flow, **line)
            ],
        },
        {
            "participantId": "p3",
            "purpose": "acd",
            "sessions": [
                session(
                    "s3",
                    "voice",
                    segment("delay", 10, 11, **queue),
                    segment("interact", 11, 40, disconnectType="transfer", requestedRoutingSkillIds=["k"], **queue),
                    peerId="s1",
                    usedRouting="Standard",
                    requestedRoutings=["Standard"],
                    **line,
                )
            ],
        },
        {
            "participantId": "p4",
            "purpose": "agent",
            "userId": "u1",
            "sessions": [
                session(
                    "s4",
                    "voice",
                    segment("alert", 20, 30, disconnectType="noAnswerTransfer", **queue),
                    peerId="s1",
                    **line,
                )
            ],
        },
        {
            "participantId": "p5",
            "purpose": "agent",
            "userId": "u2",
            "sessions": [
                session(
                    "s5",
                    "voice",
                    segment("alert", 35, 40, **queue),
                    segment("interact", 40, 100, **queue),
                    segment("hold", 100, 120, **queue),
                    segment("interact", 120, 140, **queue),
                    segment("hold", 140, 160, **queue),
                    segment("interact", 160, 200, disconnectType="peer", **queue),
                    segment("wrapup", 200, 230, wrapUpCode="w1", wrapUpNote="done", **queue),
                    peerId="s1",
                    **line,
                ),
                session(
                    "s6",
                    "callback",
                    segment("scheduled", 205, 210),
                    segment("interact", 210, 220, disconnectType="client"),
                    callbackNumbers=["+13175550100"],
                    callbackScheduledTime=at(3600),
                    callbackUserName="Somebody",
                ),
            ],
        },
        {
            "participantId": "p6",
            "purpose": "voicemail",
            "userId": "u1",
            "sessions": [
                session(
                    "s7",
                    "voice",
                    segment("voicemail", 250, 300, disconnectType="endpoint", **queue),
                    peerId="s1",
                    **line,
                )
            ],
        },
        {
            "participantId": "p7",
            "purpose": "agent",
            "userId": "u3",
            "sessions": [
                session(
                    "s8",
                    "email",
                    segment("alert", 10, 12),
                    segment("interact", 12, 20, subject="Help"),
                    segment("parked", 20, 50),
                    segment("interact", 50, 60, disconnectType="inactivity"),
                ),
                session(
                    "s9",
                    "message",
                    segment("interact", 60, 290, disconnectType="sessionExpired"),
                    messageType="webmessaging",
                    addressFrom="a",
                    addressTo="b",
                ),
                session("s10", "chat", segment("interact", 70, None), provider="Webchat Provider"),
            ],
        },
    ]
    return {"conversationId": "c9", "conversationStart": at(0), "divisionIds": ["d1"], "participants": people}


def moments(record: dict[str, Any]) -> list[datetime]:
    times = {
        segment[name]
        for who in record["participants"]
        for each in who["sessions"]
        for segment in each["segments"]
        for name in ("segmentStart", "segmentEnd")
        if name in segment
    }
    return sorted(datetime.fromisoformat(time) for time in times)


def test_all_sixteen_members_are_told() -> None:
    """A conversation in which everything happens is told with each member, and each is valid."""
    found = events(everything())
    for event in found:
        body_of(DETAIL + event.member).validate(event.body)
    assert {event.member for event in found} == set(DETAIL_MEMBERS)
    ended = {event.body["userId"]: event.body for event in found if event.member == "user.end"}
    assert ended["u1"]["disconnectType"] in ("NO_ANSWER_TRANSFER", "ENDPOINT")
    lengths = {name: value for name, value in ended["u2"].items() if name.endswith("DurationMs")}
    assert len(lengths) == 6  # all six, with zeros
    acd = next(event.body for event in found if event.member == "acd.end")
    assert (acd["acdOutcome"], acd["answeredUserId"]) == ("ANSWERED", "u2")
    voice = next(event.body for event in found if event.member == "user.end" and event.body["sessionId"] == "s5")
    assert (voice["interactingDurationMs"], voice["heldDurationMs"], voice["alertingDurationMs"]) == (
        120_000,
        40_000,
        5_000,
    )


def test_everything_at_every_moment_is_one_of_the_models() -> None:
    """All media in one conversation, at each of its moments, on both sides."""
    record = everything()
    for now in scenes(record, moments(record)):
        for side in SIDES:
            body_of(side).validate(snapshot(now))
            for medium in now.media():
                body_of(f"{side}.{MEDIA_SUFFIX[medium]}").validate(flattened(now, medium, {"u2": "Dana Agent"}))


@pytest.mark.parametrize("word", DISCONNECTS)
@pytest.mark.parametrize("medium", ["voice", "callback", "email", "message", "chat"])
def test_every_end_has_a_word_in_every_medium(word: str, medium: str) -> None:
    """Each disconnectType of the details is one that the medium's communications, and detail events, have."""
    who = {
        "participantId": "p",
        "purpose": "agent",
        "userId": "u",
        "sessions": [session("s", medium, segment("interact", 0, 9, disconnectType=word))],
    }
    record = {"conversationId": "c", "participants": [who]}
    now = scene(record, at(9))
    body_of(SIDES[0]).validate(snapshot(now))
    body_of(f"{SIDES[0]}.{MEDIA_SUFFIX[medium]}").validate(flattened(now, medium, {}))
    for event in events(record):
        body_of(DETAIL + event.member).validate(event.body)


# What snapshots say and when


def agent(body: dict[str, Any]) -> dict[str, Any]:
    found = [participant for participant in body["participants"] if participant["id"] == "p5"]
    return found[0]["calls"][0] if found else {}


def test_a_snapshot_goes_back_to_an_earlier_state_byte_for_byte() -> None:
    """Held, not held: the second is told in the bytes of before; it bears no time of its own."""
    record = everything()
    record["participants"] = record["participants"][:5]
    talking, on_hold, again = (json.dumps(snapshot(scene(record, at(second)))) for second in (40, 100, 120))
    assert talking == again != on_hold


def test_participants_accumulate() -> None:
    """Who has been in a conversation stays in its snapshots, in the order in which they came."""
    record = everything()
    former: list[str] = []
    for now in scenes(record, moments(record)):
        ids = [participant["id"] for participant in snapshot(now)["participants"]]
        assert set(former) <= set(ids)
        former = ids
    assert former == ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]


def test_a_disconnection_with_work_to_do_is_told_twice() -> None:
    """First connected, with the time of disconnection and pending work and no end; then disconnected, with one."""
    record = everything()
    first, second = (snapshot(scene(record, at(200), passing=passing)) for passing in (True, False))
    assert passes(record, at(200))
    assert agent(first)["state"] == "connected"
    assert agent(first)["disconnectedTime"] == agent(second)["disconnectedTime"] == at(200)
    assert agent(first)["afterCallWork"] == {"state": "pending", "startTime": at(200)}
    assert agent(second)["state"] == "disconnected"
    complete = agent(snapshot(scene(record, at(230))))
    assert complete["afterCallWork"] == {"state": "complete", "startTime": at(200), "endTime": at(230)}
    assert complete["wrapup"] == {"code": "w1", "notes": "done", "durationSeconds": 30, "endTime": at(230)}


def test_who_never_answered_has_an_end_and_no_connection() -> None:
    """An unanswered alert leaves an ended participant without a connectedTime."""
    body = snapshot(scene(everything(), at(300)))
    unanswered = next(participant for participant in body["participants"] if participant["id"] == "p4")
    assert unanswered["endTime"] == at(30)
    assert "connectedTime" not in unanswered
    assert unanswered["calls"][0]["disconnectType"] == "transfer.noanswer"


def test_a_snapshot_tells_nothing_that_lies_ahead() -> None:
    """No time in a snapshot is after its moment, callbacks' appointments excepted."""
    record = everything()
    for now in scenes(record, moments(record)):
        text = json.dumps(snapshot(now)).replace(at(3600), "")
        times = [part for part in text.split('"') if part.startswith("2026-") and part.endswith("Z")]
        assert all(time <= now.at for time in times)


def test_a_queue_that_is_left_may_hear_on_or_not() -> None:
    """The former queue hears until the end in one reading, and until its last participant has gone in the other."""
    record = everything()
    record["participants"] = record["participants"][:5]
    late = {
        "participantId": "p8",
        "purpose": "acd",
        "sessions": [session("s11", "voice", segment("interact", 231, 300, queueId="q2"), peerId="s1")],
    }
    record["participants"].append(late)
    assert scene(record, at(230)).queue_ids(former=False) == ["q1"]
    after = scene(record, at(300))
    assert (after.queue_ids(former=True), after.queue_ids(former=False)) == (["q1", "q2"], ["q2"])


def test_an_envelope_is_eventbridges() -> None:
    """detail-type is the template, time has whole seconds, detail.timestamp milliseconds."""
    event = envelope(
        DETAIL + "acw",
        "v2.detail.events.conversation.c9.acw",
        {"eventTime": 1},
        published=START + timedelta(milliseconds=128),
        identity="6efd5506",
        correlation_id="d1ab36e9",
        organization="org",
    )
    assert list(event) == ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"]
    assert event["detail-type"] == "v2.detail.events.conversation.{id}.acw"
    assert event["source"] == "aws.partner/genesys.com/cloud/org/simulated"
    assert (event["time"], event["detail"]["timestamp"]) == ("2026-08-03T14:00:00Z", "2026-08-03T14:00:00.128Z")
    assert event["detail"]["metadata"] == {"CorrelationId": "d1ab36e9"}
    assert event["detail"]["version"] == "2"


def test_the_schemas_cover_what_is_emitted() -> None:
    """There is a schema for each topic that conversations of this world are told on."""
    emitted = {
        side + ending for side in SIDES for ending in ("", ".calls", ".callbacks", ".emails", ".messages", ".chats")
    }
    assert emitted | {DETAIL + member for member in DETAIL_MEMBERS} <= described()
