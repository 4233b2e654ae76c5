"""Conversations that few organisations have, for `variety`: chats, video, a campaign's calls, seldom filled fields.

Names and values are those of the platform's SDK. Kept apart from `conversation_kinds`, so that an organisation without
it is the same as ever for the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from rollbook.simulator.organisation.conversation_writer import DESCRIBED, Cast, Story
from rollbook.simulator.organisation.participants import Leg, identity
from rollbook.simulator.times import moment, text

KINDS: Final = {"chat": 10, "video": 4, "dialer": 8}  # besides the others' hundred
LONGEST: Final = {"chat": timedelta(hours=4), "video": timedelta(hours=3), "dialer": timedelta(hours=3)}
_TEAMS: Final = 3


def _chat(story: Story) -> None:
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    served = story.serve(customer)
    story.leave(customer, begun, "peer" if served else "timeout")


def _dialer(story: Story) -> None:
    """A campaign calls; whoever answers waits for an agent."""
    begun = story.at
    story.pick_queue()
    customer = story.enter("customer")
    story.name(customer, story.number["name"])
    customer.session |= {
        "direction": "outbound",
        "outboundCampaignId": _own(story, "campaign"),
        "outboundContactListId": _own(story, "contact list"),
        "outboundContactId": identity(story.draw),
        "dispositionAnalyzer": "disposition.classification",
    }
    customer.count("nOutboundAttempted", begun)
    story.spend(4, 25)
    if story.chance(0.4):
        why = "error.ininedgecontrol.connection.outbound.noAnswer"
        customer.segment("dialing", begun, story.at, disconnectType="system", sipResponseCodes=[480], errorCode=why)
        customer.session["dispositionName"] = "disposition.classification.callable.noanswer"
        return
    customer.segment("dialing", begun, story.at)
    customer.session["dispositionName"] = "disposition.classification.callable.person"
    customer.spent(begun, story.at, "tDialing")
    talking = story.at
    customer.count("nOutboundConnected", talking)
    served = story.serve(customer)
    if not served:
        customer.count("nOutboundAbandoned", story.at)
    story.leave(customer, talking, "endpoint")


def _own(story: Story, what: str) -> str:
    """The id of one of a few things, the same in all conversations of the organisation."""
    return identity(random.Random(f"{what} {story.cast.queues[0]['id']} {story.draw.randrange(_TEAMS)}"))


PLOTS: Final[dict[str, Callable[[Story], None]]] = {"chat": _chat, "video": _chat, "dialer": _dialer}


def describe_chat(leg: Leg, draw: random.Random) -> None:
    """Add the fields of a chat session: its room, and the visitor's journey."""
    leg.session |= {
        "roomId": f"{identity(draw)}@conference.simulated.example",
        "journeyCustomerId": identity(draw),
        "journeyCustomerIdType": "cookie",
        "journeyCustomerSessionId": identity(draw),
        "journeyCustomerSessionIdType": "web",
        "journeyActionId": identity(draw),
        "journeyActionMapId": identity(draw),
        "journeyActionMapVersion": 2,
    }


def describe_video(leg: Leg, draw: random.Random) -> None:
    """Add the fields of a video session: its room."""
    room = identity(draw)
    leg.session |= {"videoRoomId": room, "videoAddressSelf": f"{room}@simulated.example", "sharingScreen": False}


DESCRIBED.update({"chat": describe_chat, "video": describe_video})

# Fields that are seldom filled


def enriched(record: dict[str, Any], draw: random.Random, cast: Cast) -> dict[str, Any]:
    """A record with some of them. cast: what their ids name."""
    made = {**record, **_some(draw, _of_conversation(record, draw))}
    made["participants"] = [_participant(participant, draw, cast) for participant in record["participants"]]
    return made


def _some(draw: random.Random, every: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in every.items() if draw.random() < 0.3}


def _of_conversation(record: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    return {
        "accessAttributes": [f"attribute-{draw.randrange(4)}"],
        "associatedConversationId": identity(draw),
        "consultationConversationIds": [identity(draw)],
        "conversationInitiator": record["participants"][0]["purpose"],
        "customerParticipation": True,
        "externalTag": f"order-{draw.randrange(10_000)}",
        "inactivityTimeout": text(moment(record["conversationStart"]) + timedelta(hours=72)),
        "knowledgeBaseIds": [identity(draw)],
        "originatingSocialMediaPublic": False,
        "selfServed": False,
        "conferenceStart": record["conversationStart"],
    }


def _participant(participant: dict[str, Any], draw: random.Random, cast: Cast) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if participant["purpose"] == "agent":
        more = {"teamId": cast.existing("team", identity(draw)), "screenRecording": True, "flaggedReason": "general"}
    elif participant["purpose"] == "customer":
        more = {"externalOrganizationId": identity(draw)}
    sessions = [_session(session, participant["purpose"], draw, cast) for session in participant["sessions"]]
    return {**participant, **_some(draw, more), "sessions": sessions}


def _session(session: dict[str, Any], purpose: str, draw: random.Random, cast: Cast) -> dict[str, Any]:
    more: dict[str, Any] = {
        "mediaBridgeId": identity(draw),
        "remote": "Somebody",
        "cleared": False,
        "agentOwned": False,
        "detectedSpeechStart": session["segments"][0]["segmentStart"],
        "detectedSpeechEnd": session["segments"][0].get("segmentEnd", session["segments"][0]["segmentStart"]),
    }
    if purpose in ("agent", "acd"):
        more |= {
            "agentAssistantId": identity(draw),
            "agentBullseyeRing": 1,
            "acwSkipped": False,
            "agentGroups": [{"agentGroupId": identity(draw), "agentGroupType": "Group"}],
            "selectedAgentRank": 1,
            "routingRule": identity(draw),
            "routingRuleType": "Preferred",
            "removedSkillIds": [cast.existing("skill", identity(draw))],
            "skillExpressionId": identity(draw),
            "assignerId": cast.existing("user", identity(draw)),
            "snippetRecording": False,
        }
    if session["mediaType"] == "message":
        more |= {
            "deliveryPushed": True,
            "deliveryStatusChangeDate": session["segments"][0]["segmentStart"],
            "extendedDeliveryStatus": "delivered",
            "destinationAddresses": ["deployment-1"],
        }
    segments = [_segment(segment, draw, cast) for segment in session["segments"]]
    return {**session, **_some(draw, more), "segments": segments}


def _segment(segment: dict[str, Any], draw: random.Random, cast: Cast) -> dict[str, Any]:
    more: dict[str, Any] = {
        "requestedLanguageId": cast.existing("language", identity(draw)),
        "requestedRoutingSkillIds": [cast.existing("skill", identity(draw))],
        "requestedRoutingUserIds": [cast.existing("user", identity(draw))],
        "groupId": identity(draw),
        "audioMuted": False,
        "videoMuted": False,
        "properties": [{"property": "stage", "propertyType": "string", "value": "first"}],
    }
    if segment["segmentType"] == "wrapup":
        more["wrapUpTags"] = ["follow-up"]
    return {**segment, **{name: value for name, value in more.items() if draw.random() < 0.1}}
