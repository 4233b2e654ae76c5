"""Troubles of calls: poor audio of an edge, an agent or a codec; calls that last long; audio statistics that come late.

Each begins at a time and strikes a share. What it strikes is drawn from its own seed and the conversation's id, so that
it can be worked out again, and conversations that it leaves alone are as they were. Knows no query and no server.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.simulator.organisation.conversation_writer import lowest
from rollbook.simulator.times import FAR, text

Record = dict[str, Any]
# What the audio of a leg can be poor for.
CAUSES: Final = ("edge", "site", "user", "queue", "codec", "provider")
# Minutes that an agent talks in a long call. With two transfers it is still over within a call's three hours.
LONG_TALK: Final = (15 * 60.0, 50 * 60.0)
_LOWEST_MOS, _LOWEST_R_FACTOR = 1.0, 20.0
_R_FACTOR_OF_MOS: Final = 18.9  # how many points of it a point of MOS is


class PoorAudio(NamedTuple):
    """Legs with something in common that sound worse.

    cause: what they have in common (one of CAUSES), value: its id, or the name of a codec or a provider. by: points of
    MOS that they lose, more or less. share: of them. spread: of a codec, the share of all legs that use it.
    """

    cause: str
    value: str
    since: datetime
    until: datetime = FAR
    by: float = 2.0
    share: float = 0.8
    spread: float = 0.0
    seed: int = 0
    edges: frozenset[str] = frozenset()  # those of a site

    def meets(self, participant: Mapping[str, Any], session: Mapping[str, Any], stats: Mapping[str, Any]) -> bool:
        """Say whether a leg has it."""
        match self.cause:
            case "edge":
                return bool(session.get("edgeId") == self.value)
            case "site":
                return session.get("edgeId") in self.edges
            case "user":
                return bool(participant.get("userId") == self.value)
            case "queue":
                return any(segment.get("queueId") == self.value for segment in session["segments"])
            case "codec":
                return self.value in stats.get("codecs", ())
            case _:
                return bool(session.get("provider") == self.value)


class StruckShare(NamedTuple):
    """A share of the conversations that start from a time on. later: by how much their audio statistics are."""

    since: datetime
    share: float
    seed: int
    later: timedelta = timedelta(0)

    def meets(self, conversation_id: str, start: datetime) -> bool:
        """Say whether a conversation is among them."""
        return start >= self.since and random.Random(f"{self.seed} {conversation_id}").random() < self.share


@dataclass
class CallTroubles:
    """Troubles of an organisation's calls, in the order in which they came."""

    poor_audio: list[PoorAudio] = field(default_factory=list)
    long_calls: list[StruckShare] = field(default_factory=list)
    late_audio: list[StruckShare] = field(default_factory=list)

    def talk(self, conversation_id: str, start: datetime) -> tuple[float, float] | None:
        """Seconds that an agent talks in this call, from and to; None: as usual."""
        return LONG_TALK if any(trouble.meets(conversation_id, start) for trouble in self.long_calls) else None

    def audio_later(self, conversation_id: str, start: datetime) -> timedelta:
        """By how much its audio statistics are later than usual."""
        met = (trouble.later for trouble in self.late_audio if trouble.meets(conversation_id, start))
        return sum(met, timedelta(0))

    def with_audio(self, record: Record) -> Record:
        """The record with the audio that its legs really have."""
        for trouble in self.poor_audio:
            record = _spoilt(record, trouble)
        return record


def _in_time(trouble: PoorAudio, stats: Mapping[str, Any]) -> bool:
    return bool(text(trouble.since) <= stats["eventTime"] < text(trouble.until))


def _spoilt(record: Record, trouble: PoorAudio) -> Record:
    draw = random.Random(f"audio {trouble.seed} {record['conversationId']}")
    participants = []
    for participant in record["participants"]:
        sessions = []
        for session in participant["sessions"]:
            if measured := session.get("mediaEndpointStats"):
                legs = [_leg(participant, session, stats, trouble, draw) for stats in measured]
                session = session | {"mediaEndpointStats": legs}
            sessions.append(session)
        participants.append(participant | {"sessions": sessions})
    return record | {"participants": participants} | lowest(participants)


def _leg(
    participant: Record, session: Record, stats: Record, trouble: PoorAudio, draw: random.Random
) -> dict[str, Any]:
    # Every leg takes the same draws: one that is left alone changes no other.
    uses, strikes, by = draw.random() < trouble.spread, draw.random() < trouble.share, draw.uniform(0.7, 1.3)
    if not _in_time(trouble, stats):
        return stats
    if uses and trouble.cause == "codec":
        stats = stats | {"codecs": [trouble.value]}
    if not strikes or not trouble.meets(participant, session, stats):
        return stats
    by *= trouble.by
    return stats | {
        "minMos": max(_LOWEST_MOS, stats["minMos"] - by),
        "minRFactor": max(_LOWEST_R_FACTOR, stats["minRFactor"] - by * _R_FACTOR_OF_MOS),
    }
