"""Part of a participant in a conversation, as details records spell it: participant, session, segments, metrics, audio.

Knows the shapes of each media type and how to write a stretch of time; knows nothing of what happens in a conversation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.times import milliseconds, text

PROVIDERS: Final = {
    "voice": "Edge",
    "message": "PureCloud Messaging",
    "email": "PureCloud Email",
    "callback": "PureCloud Callback",
    "chat": "PureCloud Webchat v2",
    "video": "PureCloud Video",  # assumed
}


def identity(draw: random.Random) -> str:
    """A UUID, from the seeded stream."""
    digits = f"{draw.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Leg:
    """A participant and its session of one medium, while they are written."""

    def __init__(self, draw: random.Random, purpose: str, media: str, *, peer: Leg | None = None) -> None:
        self._draw = draw
        self.media = media
        self.queue_id: str | None = None
        self.participant: dict[str, Any] = {"participantId": identity(draw), "purpose": purpose}
        self.participant["sessions"] = []
        self.session: dict[str, Any] = {}
        self.open(media, peer)

    def open(self, media: str, peer: Leg | None = None) -> None:
        """A further session of the same participant."""
        self.media = media
        self.session = {
            "direction": "inbound",
            "mediaType": media,
            "provider": PROVIDERS[media],
            "sessionId": identity(self._draw),
            "metrics": [],
            "segments": [],
        }
        if peer is not None:
            self.session["peerId"] = peer.session["sessionId"]
        self.participant["sessions"].append(self.session)

    def segment(self, kind: str, start: datetime, end: datetime | None, **more: Any) -> dict[str, Any]:
        """A stretch of time; `end` None: it goes on."""
        segment: dict[str, Any] = {"conference": False, "segmentStart": text(start), "segmentType": kind}
        if self.queue_id is not None:
            segment["queueId"] = self.queue_id
        if end is not None:
            segment["segmentEnd"] = text(end)
        segment |= more
        self.session["segments"].append(segment)
        return segment

    def count(self, name: str, at: datetime) -> None:
        """An `n` metric: it happened once."""
        self.session["metrics"].append({"emitDate": text(at), "name": name, "value": 1})

    def spent(self, start: datetime, end: datetime, *names: str) -> None:
        """`t` metrics: milliseconds, emitted when what they measure is over."""
        value = milliseconds(start, end)
        self.session["metrics"] += [{"emitDate": text(end), "name": name, "value": value} for name in names]

    def measure(self, start: datetime, end: datetime) -> None:
        """The audio statistics of the leg that ended; other media have none."""
        if self.media != "voice":
            return
        draw = self._draw
        quality = 4.9 - draw.expovariate(2.2)
        stats: dict[str, Any] = {
            "codecs": ["audio/PCMU" if self.participant["purpose"] == "customer" else "audio/opus"],
            "eventTime": text(end + timedelta(milliseconds=50 + draw.randrange(50))),
            "maxLatencyMs": draw.randrange(20, 220),
            "minMos": max(1.0, quality - draw.random() * 0.1),
            "minRFactor": max(20.0, quality * 18.9 - draw.random() * 3),
            "receivedPackets": milliseconds(start, end) // 20 + 1,
        }
        # Counters of nothing are left out, as in recorded answers.
        stats |= {name: draw.randrange(1, 90) for name in ("discardedPackets", "overrunPackets") if draw.random() < 0.3}
        self.session.setdefault("mediaEndpointStats", []).append(stats)


def describe_voice(leg: Leg, draw: random.Random, number: Mapping[str, str]) -> None:
    """Add the fields of a voice session: numbers, edge, SIP call."""
    leg.session |= {
        "ani": number["ani"],
        "dnis": number["dnis"],
        "edgeId": identity(draw),
        "protocolCallId": identity(draw),
        "recording": True,
        "remoteNameDisplayable": number["name"],
        "sessionDnis": number["dnis"],
    }


def describe_routing(leg: Leg, draw: random.Random, users: list[dict[str, Any]]) -> None:
    """Add the fields that routing leaves: skills, who was eligible, who was proposed and with which score."""
    size = draw.randrange(10, 34)
    ranked = [draw.choice(users)["id"] for _ in range(size)]
    leg.session |= {
        "activeSkillIds": [identity(draw) for _ in range(draw.randrange(4))],
        "eligibleAgentCounts": [draw.randrange(1, 40) for _ in range(draw.randrange(1, 4))],
        "proposedAgents": [{"agentRank": rank + 1, "proposedAgentId": agent} for rank, agent in enumerate(ranked)],
        "requestedRoutings": ["Standard"],
        "routingRing": 1,
        "usedRouting": "Standard",
        "waitingInteractionCounts": [draw.randrange(30) for _ in range(2)],
    }


def scores(draw: random.Random, users: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The agents that predictive or bullseye routing weighed, as a segment carries them."""
    return [
        {"agentScore": draw.randrange(1, 101), "scoredAgentId": draw.choice(users)["id"]}
        for _ in range(draw.randrange(8, 24))
    ]


def describe_message(leg: Leg, draw: random.Random, guest: str) -> None:
    """Add the fields of a message session: addresses, kind, delivery."""
    leg.session |= {
        "addressFrom": guest,
        "addressTo": "deployment-1",
        "authenticated": False,
        "deliveryStatus": "Received",
        "engagementSource": "OpenMessaging",
        "mediaCount": draw.randrange(3),
        "messageType": "webmessaging",
    }


def describe_email(leg: Leg, sender: str) -> None:
    """Add the fields of an email session: addresses and copies."""
    leg.session |= {
        "addressFrom": sender,
        "addressOther": sender,
        "addressSelf": "help@example.com",
        "addressTo": "help@example.com",
        "bcc": [],
        "cc": ["team@example.com"],
    }


def describe_callback(leg: Leg, number: Mapping[str, str], due: datetime, script: str) -> None:
    """Add the fields of a callback session: whom to call, when, with which script."""
    leg.session |= {
        "callbackNumbers": [number["ani"].removeprefix("tel:")],
        "callbackScheduledTime": text(due),
        "callbackUserName": number["name"],
        "scriptId": script,
        "skipEnabled": True,
        "timeoutSeconds": 0,
    }
