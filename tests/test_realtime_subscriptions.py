"""How a list of topics is told to the platform, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from genesys.api import Channel, TopicState
from genesys.errors import NotFound, RequestRefused
from genesys.settings import Secret
from realtime.subscriptions import MOST_REQUESTS, Told, ask

CHANNEL = Channel(Secret("c"), Secret("ws://c"), "")


class Api:
    """Takes up to `room` topics, and refuses a request with a bad one as a whole."""

    def __init__(self, *, room: int = 1_000, bad: frozenset[str] = frozenset(), gone: bool = False) -> None:
        self.room, self.bad, self.gone = room, bad, gone
        self.there: set[str] = set()
        self.requests = 0

    async def replace_subscriptions(
        self, channel: Channel, topics: Sequence[str], *, ignore_errors: bool
    ) -> list[TopicState]:
        self.there.clear()
        return await self.add_subscriptions(channel, topics, ignore_errors=ignore_errors)

    async def add_subscriptions(
        self, channel: Channel, topics: Sequence[str], *, ignore_errors: bool
    ) -> list[TopicState]:
        self.requests += 1
        if self.gone:
            raise NotFound("gone", status=404)
        if self.bad & set(topics):
            raise RequestRefused("The subscription topic is not valid.", status=400, code="notification.invalid.topic")
        if len(self.there | set(topics)) > self.room:
            code = "notification.subscription.too.many.subscriptions"
            raise RequestRefused("Too many subscriptions", status=400, code=code)
        self.there |= set(topics)
        return [TopicState(one, permitted=True, reason=None, missing_permissions=()) for one in topics]


def names(count: int) -> list[str]:
    return [f"v2.routing.queues.q{number}.conversations" for number in range(count)]


async def told(api: Api, topics: list[str]) -> tuple[set[str], set[str]]:
    states = await ask(api, CHANNEL, topics, replace=True)  # type: ignore[arg-type]
    assert sorted(one.id for one in states) == sorted(topics)
    taken = {one.id for one in states if one.permitted}
    return taken, {one.id for one in states if not one.permitted}


async def test_a_list_is_one_request() -> None:
    """A thousand topics are told in one request."""
    api = Api()
    taken, _ = await told(api, names(1_000))
    assert (len(taken), api.requests) == (1_000, 1)


@pytest.mark.parametrize("bad", [0, 500, 999])
async def test_one_bad_topic_costs_no_other(bad: int) -> None:
    """The one for which the whole request is refused is found, in few requests."""
    api = Api(bad=frozenset({names(1_000)[bad]}))
    taken, refused = await told(api, names(1_000))
    assert refused == api.bad
    assert api.there == taken
    assert api.requests <= 21


async def test_where_there_is_no_room_few_requests_find_out() -> None:
    """With room for 300 of 1,000, those that fit are taken, the rest is refused, and nobody asks 700 times."""
    api = Api(room=300)
    taken, refused = await told(api, names(1_000))
    assert api.there == taken
    assert len(taken) == 300
    assert len(refused) == 700
    assert api.requests <= 25


async def test_a_topic_that_is_always_refused_does_not_eat_the_rate_limit() -> None:
    """A template that the platform refuses for every queue costs a bounded number of requests."""
    api = Api(bad=frozenset(names(1_000)))
    _, refused = await told(api, names(1_000))
    assert len(refused) == 1_000
    assert api.requests <= MOST_REQUESTS


async def test_a_channel_that_is_gone_says_so() -> None:
    """NotFound is not halved."""
    with pytest.raises(NotFound):
        await told(Api(gone=True), names(10))


def test_what_the_platform_has_lost_is_seen() -> None:
    """A combined topic may be listed combined or plain, in any case; what it refused before is not missed."""
    one = Told()
    one.answered(["v2.users.a?calls&chats", "v2.users.b.conversations", "v2.users.c.conversations"], [
        TopicState("v2.users.a.chats", permitted=False, reason=None, missing_permissions=()),
    ])  # fmt: skip
    assert one.lost(["v2.users.A.calls", "v2.users.b.conversations", "v2.users.c.conversations"]) == []
    assert one.lost(["v2.users.a?calls&chats", "v2.users.b.conversations"]) == ["v2.users.c.conversations"]
    assert one.lost([]) == list(one.topics)
