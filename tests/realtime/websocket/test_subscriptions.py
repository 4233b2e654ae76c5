"""How a list of topics is told to the platform, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from realtime.websocket.subscriptions import MOST_REQUESTS, SubscribedTopics, ask
from rollbook.genesys.api.client import NotificationChannel, TopicState
from rollbook.genesys.errors import NotFound, RequestRefused
from rollbook.genesys.program.settings import Secret
from rollbook.genesys.topics import expand

CHANNEL = NotificationChannel(Secret("c"), Secret("ws://c"), "")


class Api:
    """Takes up to `room` topics, and refuses a request with a bad one as a whole."""

    def __init__(self, *, room: int = 1_000, bad: frozenset[str] = frozenset(), gone: bool = False) -> None:
        self.room, self.bad, self.gone = room, bad, gone
        self.there: set[str] = set()
        self.requests = 0

    async def subscribe(
        self, channel: NotificationChannel, topics: Sequence[str], *, replace: bool
    ) -> list[TopicState]:
        if replace:
            self.there.clear()
        self.requests += 1
        if self.gone:
            raise NotFound("gone", status=404)
        if self.bad.intersection(name for topic in topics for name in expand(topic)):
            raise RequestRefused("The subscription topic is not valid.", status=400, code="notification.invalid.topic")
        if len(self.there | set(topics)) > self.room:
            code = "notification.subscription.too.many.subscriptions"
            raise RequestRefused("Too many subscriptions", status=400, code=code)
        self.there |= set(topics)
        return [TopicState(name, permitted=True, reason=None, missing_permissions=()) for name in topics]


def names(count: int) -> list[str]:
    return [f"v2.routing.queues.q{number}.conversations" for number in range(count)]


async def asked_for(api: Api, topics: list[str]) -> tuple[set[str], set[str]]:
    states = await ask(api, CHANNEL, topics, replace=True)  # type: ignore[arg-type]
    assert sorted(state.id for state in states) == sorted(topics)
    taken = {state.id for state in states if state.permitted}
    return taken, {state.id for state in states if not state.permitted}


async def test_a_list_is_one_request() -> None:
    """A thousand topics are told in one request."""
    api = Api()
    taken, _ = await asked_for(api, names(1_000))
    assert (len(taken), api.requests) == (1_000, 1)


@pytest.mark.parametrize("bad", [0, 500, 999])
async def test_one_bad_topic_costs_no_other(bad: int) -> None:
    """The one for which the whole request is refused is found, in few requests."""
    api = Api(bad=frozenset({names(1_000)[bad]}))
    taken, refused = await asked_for(api, names(1_000))
    assert refused == api.bad
    assert api.there == taken
    assert api.requests <= 21


@pytest.mark.parametrize("users", [1, 12, 1_000])
async def test_a_suffix_that_there_is_not_costs_no_other(users: int) -> None:
    """Of combined topics that are refused for one part, for every user, the other parts are heard, in few requests."""
    listed = [f"v2.users.u{number}?conversations&activity&bogus" for number in range(users)]
    api = Api(bad=frozenset(f"v2.users.u{number}.bogus" for number in range(users)))
    subscribed = SubscribedTopics()
    subscribed.take_answer(listed, await ask(api, CHANNEL, listed, replace=True, spoils=subscribed.spoils))  # type: ignore[arg-type]
    assert set(subscribed.heard_topics()) == {name for combined_topic in api.there for name in expand(combined_topic)}
    assert len(subscribed.heard_topics()) == 2 * users
    assert subscribed.refused == api.bad
    assert api.requests <= 16
    asked, _ = subscribed.differences(listed, ask_again=True)
    there, requests = set(api.there), api.requests
    subscribed.take_answer(asked, await ask(api, CHANNEL, asked, replace=False, spoils=subscribed.spoils))  # type: ignore[arg-type]
    assert (api.there, api.requests) == (there, requests + 1)
    assert subscribed.refused == api.bad


async def test_a_user_that_there_is_not_costs_no_other() -> None:
    """Where all of a combined topic is refused, its parts are not held against the other users."""
    listed = [f"v2.users.u{number}?conversations&activity" for number in range(100)]
    bad = frozenset(expand(listed[40]))
    subscribed = SubscribedTopics()
    subscribed.take_answer(listed, await ask(Api(bad=bad), CHANNEL, listed, replace=True))  # type: ignore[arg-type]
    assert subscribed.refused == bad


async def test_where_there_is_no_room_few_requests_find_out() -> None:
    """With room for 300 of 1,000, those that fit are taken, the rest is refused, and nobody asks 700 times."""
    api = Api(room=300)
    taken, refused = await asked_for(api, names(1_000))
    assert api.there == taken
    assert len(taken) == 300
    assert len(refused) == 700
    assert api.requests <= 25


async def test_a_topic_that_is_always_refused_does_not_eat_the_rate_limit() -> None:
    """A template that the platform refuses for every queue costs a bounded number of requests."""
    api = Api(bad=frozenset(names(1_000)))
    _, refused = await asked_for(api, names(1_000))
    assert len(refused) == 1_000
    assert api.requests <= MOST_REQUESTS


async def test_a_channel_that_is_gone_says_so() -> None:
    """NotFound is not halved."""
    with pytest.raises(NotFound):
        await asked_for(Api(gone=True), names(10))


def test_what_the_platform_has_lost_is_seen() -> None:
    """A combined topic may be listed combined or plain, in any case; what it refused before is not missed."""
    subscribed = SubscribedTopics()
    subscribed.take_answer(
        ["v2.users.a?calls&chats", "v2.users.b.conversations", "v2.users.c.conversations"],
        [
            TopicState("v2.users.a.chats", permitted=False, reason=None, missing_permissions=()),
        ],
    )
    assert subscribed.lost(["v2.users.A.calls", "v2.users.b.conversations", "v2.users.c.conversations"]) == []
    assert subscribed.lost(["v2.users.a?calls&chats", "v2.users.b.conversations"]) == ["v2.users.c.conversations"]
    assert subscribed.lost([]) == list(subscribed.topics)


def test_what_was_let_go_and_is_still_listed_is_seen() -> None:
    """Topics that were taken off, in any spelling, and details of what is not followed any more; nothing else."""
    subscribed = SubscribedTopics()
    settings = "v2.detail.events.conversation.c0.acw"
    subscribed.take_answer(["v2.users.a?calls&chats", "v2.users.b.conversations", settings], [])
    subscribed.details = {"c1": ("v2.detail.events.conversation.c1?acw&wrapup",)}
    listed = [
        "v2.users.A.calls",
        "v2.users.a.chats",
        "v2.users.b.conversations",
        "v2.elsewhere",
        settings,
        *subscribed.details["c1"],
    ]
    assert subscribed.surplus(listed) == []
    subscribed.forget(["v2.users.a?calls&chats"])
    subscribed.take_answer(["v2.users.a.chats"], [])
    assert subscribed.surplus(listed) == ["v2.users.A.calls"]
    assert subscribed.surplus(["v2.users.a?calls&chats"]) == ["v2.users.a?calls&chats"]
    assert subscribed.surplus([]) == []
    assert subscribed.surplus(listed) == []  # it was seen to be off the list: whoever put it there again is not us
    subscribed.details.clear()
    assert subscribed.surplus(listed) == ["v2.detail.events.conversation.c1?acw&wrapup"]
