"""The simulator's channels and subscriptions: limits, lives, permissions and refusals, without any network."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.simulator.notifications.channels import Channels, Refused
from rollbook.simulator.notifications.topics import TOPICS, available, expand, find

NOW = datetime(2026, 8, 3, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


def topic(number: int = 0, kind: str = "conversations") -> str:
    return f"v2.routing.queues.queue-{number}.{kind}"


def some(**options: object) -> Channels:
    return Channels(random.Random(1), **options)  # type: ignore[arg-type]


def refusal(channels: Channels, asked: list[str], *, ignore: bool = False) -> Refused:
    """What a channel's POST is refused with; and it changed nothing."""
    channel = channels.create("t", "c", NOW)
    channels.add(channel, [topic()], NOW, ignore=False)
    with pytest.raises(Refused) as caught:
        channels.add(channel, asked, NOW, ignore=ignore)
    assert list(channel.topics) == [topic()]
    return caught.value


def test_the_twenty_first_channel_takes_the_place_of_the_one_unused_longest() -> None:
    """Those without a socket go first, of them the one used longest ago; other clients' stay."""
    channels, gone = some(), []
    channels.on_gone = lambda channel, why: gone.append((channel, why))
    foreign = channels.create("t", "other", NOW - HOUR)
    mine = [channels.create("t", "c", NOW + timedelta(seconds=number)) for number in range(20)]
    mine[0].connected = True
    later = NOW + HOUR
    channels.add(mine[1], [topic()], later, ignore=False)
    channels.create("t", "c", later)
    assert gone == [(mine[2], "evicted")]
    assert channels.get(foreign.id, NOW) is foreign
    with pytest.raises(Refused) as caught:
        channels.get(mine[2].id, NOW)
    assert (caught.value.status, caught.value.code) == (404, "not.found")


def test_a_channel_lives_for_a_day_and_as_long_again_with_each_subscription() -> None:
    """24 hours after its last subscription it is gone, and hears nothing."""
    channels = some()
    channel = channels.create("t", "c", NOW)
    assert channel.expires == NOW + timedelta(hours=24)
    channels.replace(channel, [topic()], NOW + 10 * HOUR, ignore=False)
    assert channels.get(channel.id, NOW + 33 * HOUR) is channel
    with pytest.raises(Refused):
        channels.get(channel.id, NOW + 34 * HOUR)
    assert not channels.subscribers


def test_a_channel_takes_a_thousand_subscriptions() -> None:
    """The 1,001st is refused with 400 and changes nothing; a combined one counts once, one that is there already not."""
    channels = some()
    channel = channels.create("t", "c", NOW)
    channels.add(channel, [topic(number) for number in range(999)], NOW, ignore=False)
    channels.add(channel, [topic(0), "v2.users.u?presence&routingStatus"], NOW, ignore=False)
    with pytest.raises(Refused) as caught:
        channels.add(channel, [topic(2000)], NOW, ignore=True)
    assert caught.value.code == "notification.subscription.too.many.subscriptions"
    assert len(channel.topics) == 1000
    channels.replace(channel, [topic(2000)], NOW, ignore=False)
    assert list(channels.subscribers) == [topic(2000)]


@pytest.mark.parametrize(
    "name",
    [
        "v2.routing.queues.q.holograms",
        "v2.routing.queues.{id}.conversations",
        "v2.routing.queues.*.conversations",
        "nonsense",
        "",
        "v2.users.u?presence&holograms",
        "v2.users.u?",
        "v2.users..conversations",
        f"v2.users.{'u' * 200}.conversations",
    ],
)
def test_a_topic_that_is_none_fails_the_batch(name: str) -> None:
    """400 notification.invalid.topic, whether permissions are ignored or not; ids must be concrete."""
    for ignore in (False, True):
        error = refusal(some(), [topic(1), name], ignore=ignore)
        assert (error.status, error.code) == (400, "notification.invalid.topic")
        assert error.about == (name,)


def test_a_combined_topic_is_two_hundred_characters_at_most() -> None:
    """200 are taken, 201 are not."""
    channels = some()
    channel = channels.create("t", "c", NOW)
    combined = "v2.users.u?presence&activity&routingStatus"
    for length, taken in ((200, True), (201, False)):
        name = combined.replace(".u?", f".{'u' * (length - len(combined) + 1)}?")
        assert len(name) == length
        if taken:
            channels.add(channel, [name], NOW, ignore=False)
            assert len(channels.subscribers) == 3
        else:
            with pytest.raises(Refused):
                channels.add(channel, [name], NOW, ignore=False)


def test_other_transports_and_system_topics_are_not_for_channels() -> None:
    """A topic of EventBridge alone is 400 transport.not.allowed; the platform's own messages are forbidden."""
    assert refusal(some(), ["v2.operations.events.x"]).code == "notification.transport.not.allowed"
    error = refusal(some(), ["v2.system.socket_closing"])
    assert (error.status, error.code) == (403, "notification.forbidden.topic")


def test_one_unauthorized_topic_fails_the_batch_unless_errors_are_ignored() -> None:
    """403 that names it and subscribes none; with ignoreErrors it is Rejected with what is missing, and the others taken."""
    channels = some()
    channels.permissions.discard("analytics:conversationDetail:view")
    detail = "v2.detail.events.conversation.c1.acw"
    error = refusal(channels, [topic(1), detail])
    assert (error.status, error.code, error.about) == (403, "notification.unauthorized.topic", (detail,))
    channel = channels.create("t", "c", NOW)
    answer = channels.add(channel, [topic(1), detail], NOW, ignore=True)
    assert [(entity["id"], entity["state"]) for entity in answer] == [(topic(1), "Permitted"), (detail, "Rejected")]
    assert answer[1]["missingPermissions"] == ["analytics:conversationDetail:view"]
    assert list(channel.topics) == [topic(1)]
    assert not channels.watched


def test_part_of_a_combined_topic_can_be_rejected() -> None:
    """It is Permitted, with an entity of its own for the part that is Rejected and is not heard."""
    channels = some()
    channels.refused["v2.users.u.presence"] = "presence:view"
    channel = channels.create("t", "c", NOW)
    answer = channels.add(channel, ["v2.users.u?presence&activity"], NOW, ignore=True)
    assert [(entity["id"], entity["state"]) for entity in answer] == [
        ("v2.users.u?presence&activity", "Permitted"),
        ("v2.users.u.presence", "Rejected"),
    ]
    assert list(channels.subscribers) == ["v2.users.u.activity"]


def test_an_error_body_is_the_platforms() -> None:
    """message, code, status, contextId, details and errors; the topics stand in the details."""
    body = refusal(some(), ["nonsense"]).body("context-1")
    assert body["message"] == "The subscription topic is not valid."
    assert (body["code"], body["status"], body["contextId"]) == ("notification.invalid.topic", 400, "context-1")
    assert [detail["entityId"] for detail in body["details"]] == ["nonsense"]


names = st.sampled_from(
    [*(topic(number) for number in range(4)), "v2.users.u.presence", "v2.users.u?presence&activity"]
)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["add", "replace", "drop", "clear", "remove"]), st.lists(names))
    )
)
def test_who_hears_what_is_what_the_subscriptions_say(steps: list[tuple[int, str, list[str]]]) -> None:
    """After any sequence of changes the index of hearers is exactly what the channels' lists stand for."""
    channels = some()
    made = [channels.create("t", "c", NOW) for _ in range(3)]
    for which, what, asked in steps:
        channel = made[which]
        if channel not in channels.every():
            continue
        if what in ("add", "replace"):
            getattr(channels, what)(channel, asked, NOW, ignore=False)
        elif what == "drop":
            channels.drop(channel, asked)
        elif what == "clear":
            channels.clear(channel)
        else:
            channels.remove(channel, "test")
    wanted = {(topic, each.id) for each in channels.every() for asked in each.topics for topic in expand(asked)}
    assert {(topic, name) for topic, hearers in channels.subscribers.items() for name in hearers} == wanted


def test_watched_conversations_are_those_whose_detail_events_are_heard() -> None:
    """A conversation is watched from the first subscription to its detail events to the last's end."""
    channels = some()
    first, two = (channels.create("t", "c", NOW) for _ in range(2))
    channels.add(first, ["v2.detail.events.conversation.c1?acw&wrapup"], NOW, ignore=False)
    channels.add(two, ["v2.detail.events.conversation.c1.acw"], NOW, ignore=False)
    assert channels.newly_watched == ["c1"]
    channels.clear(first)
    assert "c1" in channels.watched
    channels.remove(two, "test")
    assert not channels.watched


def test_every_template_is_found_by_a_concrete_name() -> None:
    """Each template with ids put in is a topic; availabletopics lists them all, the preview ones only if asked."""
    for template in TOPICS:
        found = find(template.replace("{id}", "an-id"))
        assert found is not None
        assert found.id == template
    every = available(expand=["transports", "requiresPermissions"], preview=True)["entities"]
    assert len(every) == len(TOPICS) > len(available(expand=[], preview=False)["entities"])
    assert set(every[0]) == {"id", "description", "transports", "requiresPermissions"}
