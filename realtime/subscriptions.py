"""What a channel has been told to hear, what the platform refused of it, and how it is told.

A topic that is refused costs no other: the platform is asked to ignore errors, and a request that it refuses as a whole
is made again in halves. Knows no socket and no life of a channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from genesys.api import Api, Channel, TopicState
from genesys.errors import PermissionRefused, RequestRefused
from genesys.topics import detail_topics, expand

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Told:
    """A channel's list as the platform has it. topics: combined ones; refused: plain ones; details: conversations."""

    topics: dict[str, None] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    details: set[str] = field(default_factory=set)

    def copy(self) -> Told:
        """The same list, for another socket on the same channel."""
        return Told(dict(self.topics), set(self.refused), set(self.details))

    def heard(self) -> tuple[str, ...]:
        """The plain topics that are really heard, those of details aside."""
        names = (name for topic in self.topics for name in expand(topic))
        return tuple(name for name in names if name not in self.refused)

    def answered(self, topics: Sequence[str], states: Iterable[TopicState]) -> None:
        """The platform was told `topics`, and answered so."""
        self.topics.update(dict.fromkeys(topics))
        self.refused.difference_update(name for topic in topics for name in expand(topic))
        self.refused.update(name for state in states if not state.permitted for name in expand(state.id))

    def forget(self, topics: Iterable[str]) -> tuple[str, ...]:
        """These were taken off; answers the plain topics."""
        names: list[str] = []
        for topic in topics:
            self.topics.pop(topic, None)
            names += expand(topic)
        self.refused.difference_update(names)
        return tuple(names)

    def differs(self, wanted: Sequence[str], *, ask_again: bool) -> tuple[list[str], list[str]]:
        """(what to add, what to remove). ask_again: those that were refused too."""
        standing = dict.fromkeys(wanted)
        added = [topic for topic in standing if topic not in self.topics]
        if ask_again:
            added += [topic for topic in standing if topic in self.topics and self._refuses(topic)]
        return added, [topic for topic in self.topics if topic not in standing]

    def lost(self, listed: Iterable[str]) -> list[str]:
        """Which of the topics are not in the platform's list, though it took them. Combined or plain, it is one."""
        there = {name.lower() for topic in listed for name in expand(topic)}
        return [
            topic
            for topic in self.topics
            if any(name not in self.refused and name.lower() not in there for name in expand(topic))
        ]

    def _refuses(self, topic: str) -> bool:
        return bool(self.refused) and not self.refused.isdisjoint(expand(topic))


# How many requests may be spent on finding the topics for which a request is refused as a whole.
MOST_REQUESTS: Final = 64
_NO_ROOM: Final = "too.many.subscriptions"


async def ask(api: Api, channel: Channel, topics: Sequence[str], *, replace: bool) -> list[TopicState]:
    """Tell the platform: replace the channel's list, or add to it. Raises NotFound: the channel is gone; ApiError."""
    return await _Asking(api, channel).ask(topics, replace=replace)


class _Asking:
    """One list on its way. What a request as a whole is refused for is looked for by halves, with bounded patience."""

    def __init__(self, api: Api, channel: Channel) -> None:
        self._api, self._channel = api, channel
        self._left = MOST_REQUESTS
        self._no_room: str | None = None

    async def ask(self, topics: Sequence[str], *, replace: bool) -> list[TopicState]:
        if self._no_room is not None or self._left <= 0:
            why = self._no_room or "not asked for: too many others of its request were refused"
            return [_refused(topic, why) for topic in topics]
        self._left -= 1
        try:
            if replace:
                return await self._api.replace_subscriptions(self._channel, topics, ignore_errors=True)
            return await self._api.add_subscriptions(self._channel, topics, ignore_errors=True)
        except (RequestRefused, PermissionRefused) as error:
            if len(topics) == 1:
                # Where one finds no room, those behind it find none either.
                self._no_room = error.message if _NO_ROOM in (error.code or "") else None
                return [_refused(topics[0], error.message)]
        middle = len(topics) // 2
        first = await self.ask(topics[:middle], replace=replace)
        return first + await self.ask(topics[middle:], replace=False)


def _refused(topic: str, why: str) -> TopicState:
    return TopicState(topic, permitted=False, reason=why, missing_permissions=())


def details_of(conversations: Iterable[str]) -> list[str]:
    """The combined topics of these conversations' detail events."""
    return [topic for one in conversations for topic in detail_topics(one)]


def message(verb: str, topics: Sequence[str]) -> str:
    """`subscribe` or `unsubscribe`, as it is said on a socket."""
    return _encode({"message": verb, "topics": topics, "correlationId": verb}).decode()
