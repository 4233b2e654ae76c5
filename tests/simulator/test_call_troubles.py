"""Troubles of the simulator's calls: whose audio is poor, which calls are long, which statistics are late."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbook.simulator import Simulator
from rollbook.simulator.faults.organisation_faults import ACTS
from rollbook.simulator.faults.script import ScriptError, load
from rollbook.simulator.organisation.call_troubles import CAUSES, PoorAudio, StruckShare
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import moment, text

START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = timedelta(hours=6)
Leg = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def a_world() -> World:
    """An organisation in which nothing has begun yet."""
    return World(4, START, 20, queues=3, users=5)


def records(world: World) -> list[dict[str, Any]]:
    """What begins in six hours, to its end."""
    world.grow(START + HOURS)
    return [life.record for life in world.conversations]


def legs(records: list[dict[str, Any]]) -> Iterator[Leg]:
    """Participant, session and statistics of each leg that was measured."""
    for record in records:
        for participant in record["participants"]:
            for session in participant["sessions"]:
                for stats in session.get("mediaEndpointStats", ()):
                    yield participant, session, stats


PLAIN = records(a_world())


def value_of(world: World, cause: str) -> str:
    """Something that legs have in common."""
    if cause in ("codec", "provider"):
        return {"codec": "audio/PCMU", "provider": "Edge"}[cause]
    return str(world.directory.lists[cause][1]["id"])


def has(leg: Leg, cause: str, value: str, world: World) -> bool:
    """Say whether a leg has it."""
    participant, session, stats = leg
    queues = {segment.get("queueId") for segment in session["segments"]}
    site = next((edge["site"]["id"] for edge in world.directory.lists["edge"] if edge["id"] == session["edgeId"]), None)
    found: dict[str, list[Any]] = {
        "edge": [session["edgeId"]],
        "site": [site],
        "user": [participant.get("userId")],
        "queue": [*queues],
        "codec": stats["codecs"],
        "provider": [session["provider"]],
    }
    return value in found[cause]


@pytest.mark.parametrize("cause", CAUSES)
def test_only_legs_that_have_it_are_poor(cause: str) -> None:
    """Most of them are, no other changes in anything, and each conversation has the lowest of its legs."""
    world = a_world()
    value = value_of(world, cause)
    edges = frozenset(edge["id"] for edge in world.directory.lists["edge"] if edge["site"]["id"] == value)
    world.spoil(START, PoorAudio(cause, value, START, edges=edges))
    spoilt = records(world)
    met = poorer = 0
    for before, after in zip(legs(PLAIN), legs(spoilt), strict=True):
        if has(before, cause, value, world):
            met += 1
            poorer += after[2]["minMos"] < before[2]["minMos"] and after[2]["minRFactor"] < before[2]["minRFactor"]
            assert after[2]["minMos"] >= 1
        else:
            assert after[2] == before[2]
    assert 0.6 * met < poorer < 0.95 * met
    for record in spoilt:
        measured = [stats for _, _, stats in legs([record])]
        assert record.get("mediaStatsMinConversationMos") == min((of["minMos"] for of in measured), default=None)
        assert record.get("mediaStatsMinConversationRFactor") == min(
            (of["minRFactor"] for of in measured), default=None
        )


def test_a_codec_that_nobody_had_is_used_by_a_share_of_the_legs() -> None:
    """The others keep theirs."""
    world = a_world()
    world.spoil(START, PoorAudio("codec", "audio/G729", START, spread=0.25))
    found = [stats["codecs"] for _, _, stats in legs(records(world))]
    assert 0.15 < found.count(["audio/G729"]) / len(found) < 0.35
    assert {codecs[0] for codecs in found} == {"audio/G729", "audio/opus", "audio/PCMU"}


def test_poor_audio_begins_and_ends() -> None:
    """Legs that were measured outside its time are as they were, in conversations that had begun before it too."""
    world, since = a_world(), START + HOURS / 3
    until = since + HOURS / 3
    world.grow(since)
    shown = {life.id: life.view(since) for life in world.conversations}
    world.spoil(since, PoorAudio("provider", "Edge", since, until, share=1.0))
    spoilt = records(world)
    for before, after in zip(legs(PLAIN), legs(spoilt), strict=True):
        inside = text(since) <= before[2]["eventTime"] < text(until)
        assert (before[2] != after[2]) == (inside and before[2]["minMos"] > 1)
    assert all(world.by_id[identity].view(since) == record for identity, record in shown.items())


def test_a_share_of_the_calls_is_long() -> None:
    """Agents talk for a quarter of an hour and more in them, all are over within three hours, and others stay the same."""
    world = a_world()
    world.call_troubles.long_calls.append(StruckShare(START + HOURS / 2, 0.3, 1))
    plain, found = {record["conversationId"]: record for record in PLAIN}, records(world)
    long = [record for record in found if record != plain[record["conversationId"]]]
    assert len(long) > 5
    assert all(record["conversationStart"] >= text(START + HOURS / 2) for record in long)
    for record in long:
        last = max(
            segment["segmentEnd"]
            for participant in record["participants"]
            for session in participant["sessions"]
            for segment in session["segments"]
            if segment["segmentType"] == "interact" and "segmentEnd" in segment
        )
        lasted = moment(last) - moment(record["conversationStart"])
        callback = any(s["mediaType"] == "callback" for p in record["participants"] for s in p["sessions"])
        assert callback or timedelta(minutes=15) < lasted < timedelta(hours=3)


def test_statistics_of_a_share_are_late() -> None:
    """Everything else of such a call is known as ever; its MOS comes the given time later, and is the same."""
    world = a_world()
    world.call_troubles.late_audio.append(StruckShare(START, 0.5, 2, timedelta(hours=5)))
    ordinary = a_world()
    assert records(world) == PLAIN == records(ordinary)
    late = 0
    for life in world.conversations:
        usual = ordinary.by_id[life.id]
        at = usual.final
        if "conversationEnd" not in usual.record or "mediaStatsMinConversationMos" not in usual.record:
            continue
        seen, expected = life.view(at), usual.view(at)
        assert life.view(at + timedelta(hours=5)).get("mediaStatsMinConversationMos") is not None
        if "mediaStatsMinConversationMos" not in seen:
            late += 1
            assert seen["conversationEnd"] == expected["conversationEnd"]
    assert late > 20


async def test_a_script_has_these_troubles() -> None:
    """By id, by number or by name; what there is not is refused before it starts."""
    script = (
        '[{"kind": "poor_audio", "at": 0, "what": "edge", "number": 2, "by": 1.5, "share": 0.5, "to": 7200},'
        ' {"kind": "poor_audio", "at": 0, "what": "codec", "name": "audio/G729", "spread": 0.1},'
        ' {"kind": "long_calls", "at": 0, "share": 0.2, "since": "2026-03-01T00:00:00Z"},'
        ' {"kind": "late_audio", "at": 0, "seconds": 3600}]'
    )
    organisation = Simulator(seed=4, start=START, rate=0, per_hour=0, faults=load(script))
    for fault in organisation.faults.due(START):
        ACTS[fault.kind](organisation, fault.parameters)
    troubles = organisation.world.call_troubles
    edge, codec = troubles.poor_audio
    assert edge.value == organisation.world.directory.lists["edge"][2]["id"]
    assert (edge.by, edge.share, edge.since, edge.until) == (1.5, 0.5, START, START + timedelta(hours=2))
    assert (codec.value, codec.spread) == ("audio/G729", 0.1)
    assert troubles.long_calls == [StruckShare(datetime(2026, 3, 1, tzinfo=UTC), 0.2, 0)]
    assert troubles.late_audio == [StruckShare(START, 1.0, 0, timedelta(hours=1))]
    for wrong, words in (('"what": "moon"', "edge, site"), ('"what": "codec"', "name of the codec")):
        with pytest.raises(ScriptError, match=words):
            Simulator(faults=load(f'[{{"kind": "poor_audio", "at": 0, {wrong}}}]'))
