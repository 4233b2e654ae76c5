"""Topics over lines, and who is followed in detail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.websocket.followed_conversations import LINGER, ConversationSeen, Following
from realtime.websocket.topic_placement import spread


def test_twenty_thousand_topics_fill_twenty_channels() -> None:
    """20,000 topics need 20 lines of 1,000, the fewest there can be."""
    plan = spread([f"t{n}" for n in range(20_000)], {})
    assert len(plan.lines) == 20
    assert {len(line) for line in plan.lines.values()} == {1_000}
    assert plan.unplaced == ()


def test_what_does_not_fit_is_said() -> None:
    """Topics beyond the channels allowed are answered as unplaced, the rest is placed."""
    plan = spread([f"t{n}" for n in range(25)], {}, channels=2, per_channel=10)
    assert len(plan.unplaced) == 5


def test_where_too_many_lines_stand_the_shortest_ends() -> None:
    """One channel less costs one line, and what finds room elsewhere is heard on; the other lines keep what they have."""
    before = {0: ("a", "b", "c"), 1: ("d",), 2: ("e", "f")}
    plan = spread("abcdef", before, channels=2, per_channel=3)
    assert plan.lines == {0: ("a", "b", "c"), 2: ("e", "f", "d")}
    assert spread("abcdef", before, channels=1, per_channel=3).unplaced == ("e", "f", "d")


def test_a_queue_more_and_a_queue_less_touch_one_line_each() -> None:
    """What stays is not moved: only the lines change that lose a topic or take one."""
    before = spread([f"t{n}" for n in range(30)], {}, per_channel=10).lines
    after = spread([*(f"t{n}" for n in range(30) if n != 17), "new"], before, per_channel=10).lines
    touched = {number for number in before if before[number] != after[number]}
    assert (before.keys(), touched) == (after.keys(), {1})
    assert after[1] == (*(topic for topic in before[1] if topic != "t17"), "new")


TOPICS = st.lists(st.integers(0, 60).map(lambda n: f"t{n}"), unique=True)


@given(TOPICS, TOPICS, st.integers(0, 6), st.integers(1, 12))
def test_every_topic_is_somewhere_once(first: list[str], second: list[str], channels: int, per_channel: int) -> None:
    """After any change each topic is on one line or unplaced, within the limits, and none is unplaced in vain."""
    earlier = spread(first, {}, channels=channels, per_channel=per_channel).lines
    plan = spread(second, earlier, channels=channels, per_channel=per_channel)
    placed = [topic for line in plan.lines.values() for topic in line]
    assert sorted([*placed, *plan.unplaced]) == sorted(second)
    assert len(plan.lines) <= channels
    assert all(0 < len(line) <= per_channel for line in plan.lines.values())
    if plan.unplaced:
        assert len(placed) == channels * per_channel
    for topic in second:
        before = next((n for n, line in earlier.items() if topic in line), None)
        if before is not None:
            assert topic in plan.lines[before]


def test_the_oldest_gives_way() -> None:
    """When no line has room for a new conversation, the one followed for longest is let go."""
    following = Following()
    room = {0: 4}
    first = following.choose([ConversationSeen("a", False), ConversationSeen("b", False)], room, 0)
    assert first.subscribe == (("a", 0), ("b", 0))
    then = following.choose([ConversationSeen("c", False)], room, 1)
    assert then.subscribe == (("c", 0),)
    assert then.unsubscribe == (("a", 0),)


def at(minute: int) -> str:
    return f"2026-08-03T14:{minute:02}:00.000Z"


def test_an_ended_conversation_is_let_go_after_its_wrap_up() -> None:
    """The end is followed for a while, because wrap-up comes after it; resuming keeps it."""
    following = Following()
    following.choose([ConversationSeen("a", False, at(0)), ConversationSeen("b", False, at(0))], {0: 10}, 0)
    following.choose([ConversationSeen("a", True, at(5)), ConversationSeen("b", True, at(5))], {0: 10}, 1)
    assert following.choose([ConversationSeen("b", False, at(6))], {0: 10}, 2).unsubscribe == ()
    assert following.choose([], {0: 10}, 2 + LINGER).unsubscribe == (("a", 0),)
    assert following.of(0) == ["b"]


@pytest.mark.parametrize("late", [at(4), at(5), None])
def test_an_older_snapshot_after_the_end_resumes_nothing(late: str | None) -> None:
    """Order is not guaranteed: what bears no later time than the end had is from before it, followed or not."""
    following = Following()
    following.choose([ConversationSeen("a", False, at(0))], {0: 10}, 0)
    following.choose([ConversationSeen("a", True, at(5)), ConversationSeen("b", True, at(5))], {0: 10}, 1)
    assert (
        following.choose([ConversationSeen("a", False, late), ConversationSeen("b", False, late)], {0: 10}, 2).subscribe
        == ()
    )
    assert following.choose([ConversationSeen("a", True, at(3))], {0: 10}, 3).unsubscribe == ()
    assert following.choose([ConversationSeen("a", False, late)], {0: 10}, 4).subscribe == ()
    assert following.choose([], {0: 10}, 1 + LINGER).unsubscribe == (("a", 0),)
    assert following.ending == {}


def test_an_end_is_remembered_of_what_has_given_way() -> None:
    """It gave way to another, and ended: an older snapshot does not push that one out in turn."""
    following = Following()
    following.choose([ConversationSeen("a", False, at(0))], {0: 2}, 0)
    following.choose([ConversationSeen("a", True, at(5)), ConversationSeen("b", False, at(5))], {0: 2}, 1)
    assert following.choose([ConversationSeen("a", False, at(4))], {0: 2}, 2).subscribe == ()
    assert following.of(0) == ["b"]
    assert following.choose([ConversationSeen("a", False, at(6))], {0: 2}, 3).subscribe == (("a", 0),)


def test_an_ended_conversation_is_never_begun() -> None:
    """A conversation first heard when it has ended is not followed."""
    assert Following().choose([ConversationSeen("a", True)], {0: 10}, 0).subscribe == ()


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.floats(0, 50)), max_size=80), st.integers(0, 5))
def test_followed_conversations_fit_their_line(script: list[tuple[int, bool, float]], lines: int) -> None:
    """Two topics a conversation never exceed the room, and what is subscribed is what is followed."""
    following, now = Following(), 0.0
    live: dict[str, Any] = {}
    room = {line: 2 + line * 2 for line in range(lines)}
    for step, (name, ended, seconds) in enumerate(script):
        now += seconds
        found = following.choose([ConversationSeen(str(name), ended, at(step % 60))], room, now)
        for conversation_id, line in found.unsubscribe:
            assert live.pop(conversation_id) == line
        for conversation_id, line in found.subscribe:
            assert conversation_id not in live
            live[conversation_id] = line
        assert live == dict(following.on_line)
        for line in room:
            assert 2 * len(following.of(line)) <= room[line]
