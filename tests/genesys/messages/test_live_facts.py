"""What an event says for certain: when a conversation began, that it ended, and the latest time that it bears."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.messages.live_facts import facts_of
from tests.helpers.paths import EXAMPLES

QUEUE = "v2.routing.queues.q1.conversations"
DETAIL = "v2.detail.events.conversation.c1"
MESSAGES = json.loads((EXAMPLES / "ws_messages.json").read_text())


def at(second: int) -> str:
    """A time of the hour."""
    return f"2026-08-03T14:{second // 60:02}:{second % 60:02}.000Z"


def participant(start: int | None, end: int | None = None, **more: Any) -> dict[str, Any]:
    """A participant who came and perhaps went."""
    known = {"connectedTime": start, "endTime": end}
    return {name: at(value) for name, value in known.items() if value is not None} | more


def snapshot(*participants: Any, topic: str = QUEUE, **more: Any) -> Any:
    """The facts of a snapshot."""
    return facts_of(topic, {"id": "c1", "participants": list(participants)} | more)


def test_a_going_conversation_has_a_beginning_and_no_end() -> None:
    """It began when the first participant came; somebody is still there."""
    facts = snapshot(participant(20, 30), participant(10), participant(None, 25))
    assert (facts.started_at, facts.ended_at, facts.last_at) == (at(10), None, at(30))


def test_a_conversation_has_ended_when_all_have_gone() -> None:
    """Its end is the latest of theirs, after-call work included."""
    assert snapshot(participant(10, 30), participant(20, 40)).ended_at == at(40)
    acw = {"startAcwTime": at(40), "endAcwTime": at(55)}
    facts = snapshot(participant(10, 30), participant(20, 40, **acw))
    assert (facts.ended_at, facts.last_at) == (at(55), at(55))


@pytest.mark.parametrize(
    "awaiting",
    [
        {"startAcwTime": at(40)},
        {"calls": [{"state": "disconnected", "afterCallWork": {"state": "pending"}}]},
        {"callbacks": [{"state": "scheduled"}]},
        {"state": "scheduled"},
    ],
)
def test_after_call_work_keeps_a_conversation_open(awaiting: dict[str, Any]) -> None:
    """All have hung up, but somebody still has something before him."""
    assert snapshot(participant(10, 30), participant(20, 40, **awaiting)).ended_at is None


def test_nobody_there_is_no_end() -> None:
    """A snapshot without participants, or with unreadable ends, says nothing of the end."""
    assert snapshot().ended_at is None
    assert snapshot(participant(1, None, endTime="soon")).ended_at is None
    assert snapshot("nobody", None, 5).ended_at is None


def test_the_latest_time_is_of_anything_in_it() -> None:
    """Communications, messages, holds, after-call work and wrap-up bear times; what lies ahead does not count."""
    call = {
        "connectedTime": at(20),
        "disconnectedTime": at(50),
        "afterCallWork": {"state": "complete", "endTime": at(58)},
    }
    assert snapshot(participant(10, calls=[call])).last_at == at(58)
    assert snapshot(participant(10, wrapup={"code": "x", "endTime": at(59)})).last_at == at(59)
    message = {"messages": [{"messageTime": at(33)}, {"messageTime": at(31)}]}
    assert snapshot(participant(10, messages=[message])).last_at == at(33)
    ahead = {"callbackScheduledTime": at(600)}
    assert snapshot(participant(10, callbacks=[ahead]), inactivityTimeout=at(900)).last_at == at(10)


def test_media_direction_and_divisions_of_a_snapshot() -> None:
    """Media by the lists that hold something; the direction is the customer's; divisions by their ids."""
    facts = snapshot(
        participant(20, purpose="agent", calls=[{"direction": "outbound"}], chats=[], cobrowsesessions=[{}]),
        participant(10, purpose="customer", calls=[{"direction": "inbound"}], callbacks=[{}]),
        divisions=[{"division": {"id": "d2"}}, {"division": {"id": "d1"}}, {"division": {}}, {}, 5],
    )
    assert facts.media_types == ("callback", "cobrowse", "voice")
    assert facts.originating_direction == "inbound"
    assert facts.division_ids == ("d1", "d2")
    assert snapshot(participant(1, purpose="agent", calls=[{"direction": "outbound"}])).originating_direction is None


def test_a_flattened_snapshot() -> None:
    """Of one medium: participants hold the communication themselves, and `messages` are messages, not another medium."""
    participant = {
        "startTime": at(5),
        "connectedTime": at(8),
        "state": "connected",
        "direction": "Inbound",
        "purpose": "customer",
    }
    facts = snapshot(participant | {"messages": [{"messageTime": at(44)}]}, topic=f"{QUEUE}.emails")
    assert (facts.media_types, facts.originating_direction) == (("email",), "inbound")
    assert (facts.started_at, facts.last_at) == (at(5), at(44))


def test_the_published_examples_agree_with_each_other() -> None:
    """The whole and the flattened snapshot of one conversation say the same."""
    whole = facts_of(MESSAGES["queue_conversation"]["topicName"], MESSAGES["queue_conversation"]["eventBody"])
    flat = facts_of(
        MESSAGES["queue_conversation_calls"]["topicName"], MESSAGES["queue_conversation_calls"]["eventBody"]
    )
    assert whole == flat
    assert whole.started_at == "2026-08-03T14:00:00.000Z"


@pytest.mark.parametrize(
    ("member", "started", "ended", "direction"),
    [
        ("customer.start", True, False, "inbound"),
        ("customer.end", False, True, "inbound"),
        ("user.start", True, False, None),
        ("user.end", False, False, None),
        ("acd.start", True, False, None),
        ("acd.end", False, False, None),
        ("acw", False, False, None),
        ("outbound", False, False, "inbound"),
        ("brand.new", False, False, None),
    ],
)
def test_detail_events_say_one_thing_each(member: str, started: bool, ended: bool, direction: str | None) -> None:
    """A start is no later than the event; only the customer's end is the conversation's; words become lowercase."""
    body = {"eventTime": 1785765600000, "mediaType": "VOICE", "direction": "INBOUND", "divisionId": "d1"}
    facts = facts_of(f"{DETAIL}.{member}", body)
    time = "2026-08-03T14:00:00.000Z"
    assert (facts.started_at, facts.ended_at, facts.last_at) == (
        time if started else None,
        time if ended else None,
        time,
    )
    assert (facts.media_types, facts.originating_direction, facts.division_ids) == (("voice",), direction, ("d1",))


def test_words_that_say_nothing() -> None:
    """UNKNOWN is no medium and no direction."""
    facts = facts_of(f"{DETAIL}.customer.start", {"eventTime": 1, "mediaType": "UNKNOWN", "direction": "UNKNOWN"})
    assert (facts.media_types, facts.originating_direction, facts.division_ids) == ((), None, ())


def test_other_events_tell_when_and_where() -> None:
    """A metric says that the conversation is alive, and what it is; it says nothing of beginning or end."""
    message = MESSAGES["analytics_conversation_metric"]
    facts = facts_of(message["topicName"], message["eventBody"])
    assert (facts.started_at, facts.ended_at, facts.last_at) == (None, None, "2026-08-03T14:03:39.500Z")
    assert (facts.media_types, facts.originating_direction) == (("voice",), "inbound")


@given(st.permutations(range(4)), st.lists(st.tuples(st.integers(0, 50), st.integers(51, 99)), min_size=4, max_size=4))
def test_the_order_of_participants_does_not_matter(order: list[int], spans: list[tuple[int, int]]) -> None:
    """Beginning and end are a minimum and a maximum."""
    people = [participant(start, end) for start, end in spans]
    facts = snapshot(*(people[index] for index in order))
    assert facts == snapshot(*people)
    assert facts.started_at == at(min(start for start, _ in spans))
    assert facts.ended_at == facts.last_at == at(max(end for _, end in spans))
