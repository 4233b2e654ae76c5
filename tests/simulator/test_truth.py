"""The simulator's truth: stories that repeat, records that hold together, and what is known of them at each moment."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.simulator.organisation.known_when import Conversation, view
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import FAR, moment, text

START = datetime(2026, 3, 2, tzinfo=UTC)


def world(seed: int = 1, *, hours: float = 4, per_hour: float = 100) -> World:
    """A world that has grown for some hours."""
    made = World(seed, START, per_hour, queues=6, users=12)
    made.grow(START + timedelta(hours=hours))
    return made


LIVES = world(2, hours=10).conversations
CHOSEN = st.sampled_from(LIVES)


def sessions(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [session for participant in record["participants"] for session in participant["sessions"]]


def rows(record: dict[str, Any]) -> Counter[str]:
    """How many rows of each sort a record has."""
    found = Counter(participants=len(record["participants"]))
    for session in sessions(record):
        for kind in ("segments", "metrics", "mediaEndpointStats"):
            found[kind] += len(session.get(kind, ()))
    return found


def media(life: Conversation) -> str:
    found: str = sessions(life.record)[0]["mediaType"]
    return found


# Stories


def test_the_same_seed_is_the_same_organisation() -> None:
    """Everything repeats, whatever order it is looked at in; another seed is another organisation."""
    first, two = world(5), world(5)
    backwards = [life.record for life in reversed(two.conversations)]
    assert [life.record for life in first.conversations] == backwards[::-1]
    assert (first.queues, first.users, first.organization) == (two.queues, two.users, two.organization)
    assert world(6).conversations[0].id != first.conversations[0].id


def test_growing_in_steps_is_growing_at_once() -> None:
    """How often the world is asked changes nothing of what happens in it."""
    steps = World(3, START, 100, queues=6, users=12)
    made = [life for minute in range(0, 241, 7) for life in steps.grow(START + timedelta(minutes=minute))]
    steps.grow(START + timedelta(hours=4))
    assert [life.id for life in steps.conversations] == [life.id for life in world(3).conversations]
    assert made == steps.conversations[: len(made)]


def test_a_large_past_costs_nothing_until_it_is_read() -> None:
    """20,000 conversations are there, and none of them is written yet: that is what takes the time."""
    made = world(1, hours=100, per_hour=200)
    assert len(made.conversations) > 19_000
    assert all(life._history is None for life in made.conversations)


def test_every_kind_of_conversation_and_every_turn_is_there() -> None:
    """Media, directions, transfers, unanswered alerts, holds, abandons, consults, outbound: all in half a day."""
    records = [life.record for life in LIVES]
    assert {media(life) for life in LIVES} == {"voice", "message", "email", "callback"}
    assert {record["originatingDirection"] for record in records} == {"inbound", "outbound"}
    metrics = {metric["name"] for record in records for session in sessions(record) for metric in session["metrics"]}
    turns = (
        "tIvr tAcd tAbandon tNotResponding tHeld tAcw tHandle nTransferred nBlindTransferred nConsult nOutbound tPark"
    )
    assert set(turns.split()) <= metrics
    segments = {
        segment["segmentType"] for record in records for session in sessions(record) for segment in session["segments"]
    }
    assert {
        "ivr",
        "delay",
        "alert",
        "interact",
        "hold",
        "parked",
        "wrapup",
        "system",
        "scheduled",
        "dialing",
    } <= segments


def test_a_voice_conversation_has_its_real_size() -> None:
    """About 15 KB and 40 rows on average, as measured on the platform."""
    voice = [
        life.record for life in LIVES if media(life) == "voice" and life.record["originatingDirection"] == "inbound"
    ]
    size = sum(len(json.dumps(record)) for record in voice) / len(voice)
    assert 13_000 < size < 20_000
    assert 30 < sum(sum(rows(record).values()) for record in voice) / len(voice) < 60


@given(CHOSEN)
def test_a_record_holds_together(life: Conversation) -> None:
    """The conversation ends with its last segment, starts with its first, and its audio is the lowest of its legs."""
    record = life.record
    assert record["conversationId"] == life.id
    segments = [segment for session in sessions(record) for segment in session["segments"]]
    for segment in segments:
        assert segment["segmentStart"] <= segment.get("segmentEnd", "9")
    if "conversationEnd" in record:
        assert record["conversationEnd"] == max(segment["segmentEnd"] for segment in segments)
        assert moment(record["conversationEnd"]) <= life.over_by
    assert abs(moment(min(segment["segmentStart"] for segment in segments)) - life.start) <= timedelta(milliseconds=13)
    stats = [stat for session in sessions(record) for stat in session.get("mediaEndpointStats", ())]
    assert record.get("mediaStatsMinConversationMos") == min((stat["minMos"] for stat in stats), default=None)
    assert record.get("mediaStatsMinConversationRFactor") == min((stat["minRFactor"] for stat in stats), default=None)
    ids = [session["sessionId"] for session in sessions(record)]
    assert len(set(ids)) == len(ids)
    assert {session["peerId"] for session in sessions(record) if "peerId" in session} <= set(ids)
    assert "attributes" not in json.dumps(record)
    assert life.history.attributes


def test_few_conversations_never_end() -> None:
    """Some are stuck: without an end for ever, and some of these with every segment ended."""
    stuck = [life for life in world(1, hours=30, per_hour=200).conversations if life.over_by == FAR]
    assert 5 < len(stuck) < 60
    assert all("conversationEnd" not in life.view(FAR - timedelta(days=900)) for life in stuck)
    done = [all("segmentEnd" in segment for s in sessions(life.record) for segment in s["segments"]) for life in stuck]
    assert len(set(done)) == 2


# What is known when


@given(CHOSEN, st.lists(st.integers(0, 6 * 86_400_000), min_size=2, max_size=6))
def test_knowledge_only_grows(life: Conversation, offsets: list[int]) -> None:
    """Rows appear and never go away, and in the end the record is whole."""
    views = [life.view(life.known_from + timedelta(milliseconds=offset)) for offset in sorted(offsets)]
    for earlier, later in pairwise(views):
        assert rows(earlier) <= rows(later)
    assert rows(views[-1]) <= rows(life.record)
    assert life.view(life.final) == life.record


@given(CHOSEN, st.integers(-10_000, 6 * 86_400_000))
def test_a_moment_is_told_without_the_future(life: Conversation, offset: int) -> None:
    """Nothing that is known happened later; what still goes on has no end, no disconnect type and no wrap-up code."""
    now = life.start + timedelta(milliseconds=offset)
    seen = life.view(now)
    if now >= life.final:
        return
    known = text(now - timedelta(seconds=life.extra))
    assert seen.get("conversationEnd", "") <= known
    for session in sessions(seen):
        for segment in session["segments"]:
            assert segment["segmentStart"] <= known
            assert segment.get("segmentEnd", "") <= known
            assert "segmentEnd" in segment or not {"disconnectType", "wrapUpCode"} & segment.keys()
        assert all(metric["emitDate"] <= known for metric in session["metrics"])
        assert all(stat["eventTime"] <= known for stat in session.get("mediaEndpointStats", ()))


@given(CHOSEN, st.integers(0, 3 * 86_400_000))
def test_what_is_kept_is_what_is_worked_out_anew(life: Conversation, offset: int) -> None:
    """Bytes, ends and views that were kept from other moments are those of this moment."""
    now = life.known_from + timedelta(milliseconds=offset)
    fresh = Conversation.unwritten(life.id, life.start, life.extra, lambda: life.history, life.over_by)
    assert json.loads(life.encoded(now)) == life.view(now) == fresh.view(now)
    assert life.known_end(now) == fresh.view(now).get("conversationEnd")


def test_audio_and_after_work_come_later_than_the_rest() -> None:
    """A field's own delay adds to the conversation's: an ended conversation may still lack its MOS or its wrap-up."""
    lacking = Counter[str]()
    for life in LIVES:
        if life.over_by == FAR:
            continue
        seen = life.view(life.end + timedelta(seconds=life.extra + 1))
        lacking["mos"] += "mediaStatsMinConversationMos" in life.record and rows(seen) != rows(life.record)
        lacking["wrapup"] += (
            "conversationEnd" in seen
            and "wrapup" in json.dumps(life.record)
            and (json.dumps(seen).count('"wrapup"') < json.dumps(life.record).count('"wrapup"'))
        )
    assert lacking["mos"] > 20
    assert lacking["wrapup"] > 5


def test_a_thread_is_taken_up_again_within_72_hours() -> None:
    """A message conversation that has ended goes on: its end disappears, and a later one comes."""
    resumed = [
        life for life in world(9, hours=30, per_hour=80).conversations if media(life) == "message" and life.breaks
    ]
    assert resumed
    for life in resumed:
        ((ended, again),) = life.breaks
        late = timedelta(seconds=life.extra)
        assert timedelta(0) < again - ended <= timedelta(hours=72)
        assert life.view(ended + late)["conversationEnd"] == text(ended)
        assert life.known_end(again + late) is None
        assert life.record["conversationEnd"] > text(again)


def test_few_records_change_long_after_the_end() -> None:
    """Evaluations, surveys, resolutions, and a nightly rewrite not before 48 hours: each another record, for ever."""
    seen = Counter[str]()
    for life in world(1, hours=20, per_hour=120).conversations:
        last = life.record
        for at, record in life.history.revisions:
            assert at >= life.final
            assert record != last
            assert life.view(at - timedelta(milliseconds=1)) == last
            assert life.view(at) == record
            rewritten = (
                record["participants"] != last["participants"] or "conversationInitiator" in record.keys() - last.keys()
            )
            if rewritten:
                assert at - life.end >= timedelta(hours=48)
                assert (at.hour, at.minute) == (2, 0)
            seen["rewritten"] += rewritten
            seen.update(key for key in ("evaluations", "surveys", "resolutions") if record.get(key) != last.get(key))
            last = record
    assert set(seen) == {"rewritten", "evaluations", "surveys", "resolutions"}


def test_a_night_can_be_called_for() -> None:
    """`rewrite_night` changes a share of what is old enough, and nothing younger."""
    made = world(1, hours=20)
    now = START + timedelta(hours=58)
    before = {life.id: life.view(now) for life in made.conversations}
    changed = made.rewrite_night(now, share=0.5, seed=3)
    assert 20 < len(changed) < len(made.conversations)
    for life in made.conversations:
        assert (life.view(now) != before[life.id]) == (life in changed)
        assert life not in changed or life.final <= now - timedelta(hours=48)


def test_forgotten_is_gone() -> None:
    """A deleted conversation is in no list any more; deleting it again is nothing."""
    made = world(1)
    gone = made.conversations[10]
    made.forget(gone.id)
    made.forget(gone.id)
    assert gone not in made.conversations
    assert gone.id not in made.by_id
    assert len(made.conversations) == len(made.starts)


def test_conversations_are_kept_in_the_order_of_their_starts() -> None:
    """One that is added anywhere is found where it belongs."""
    made = world(1)
    added = Conversation(
        {
            **made.conversations[0].record,
            "conversationId": "added",
            "conversationStart": text(START + timedelta(hours=2)),
        }
    )
    made.add(added)
    assert made.starts == sorted(made.starts)
    assert added in made.between(START + timedelta(hours=2), START + timedelta(hours=2, milliseconds=1))
    assert added not in made.between(START, START + timedelta(hours=2))


@pytest.mark.parametrize("step", [7, 90])
def test_what_happens_is_told_once_and_in_order(step: int) -> None:
    """Step by step, every change of every conversation comes once, in the order of time."""
    made, changes, last = World(8, START, 60, queues=3, users=5), [], START
    for minute in range(step, 600, step):
        now = START + timedelta(minutes=minute)
        made.grow(now)
        changes += made.changes(last, now)
        last = now
    expected = [(at, life) for life in made.conversations for at in life.changes if START < at <= last]
    assert sorted(changes, key=lambda change: (change[0], change[1].id)) == changes
    assert Counter(changes) == Counter(expected)


def test_a_record_given_by_hand_is_seen_like_any_other() -> None:
    """A plain record has no delays: what happened is known."""
    record = random.Random(1).choice(LIVES).record
    life = Conversation(record)
    assert life.visible(life.start)
    middle = moment(life.record["conversationStart"]) + timedelta(seconds=30)
    assert life.view(middle) == view(record, text(middle))
    changed = {**record, "externalTag": "x"}
    life.change(changed)
    assert life.record == changed
