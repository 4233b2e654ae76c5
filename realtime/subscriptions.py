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

    def _refuses(self, topic: str) -> bool:
        return bool(self.refused) and not self.refused.isdisjoint(expand(topic))


async def ask(api: Api, channel: Channel, topics: Sequence[str], *, replace: bool) -> list[TopicState]:
    """Tell the platform: replace the channel's list, or add to it. Raises NotFound: the channel is gone; ApiError."""
    try:
        if replace:
            return await api.replace_subscriptions(channel, topics, ignore_errors=True)
        return await api.add_subscriptions(channel, topics, ignore_errors=True)
    except (RequestRefused, PermissionRefused) as error:
        if len(topics) == 1:
            return [TopicState(topics[0], permitted=False, reason=error.message, missing_permissions=())]
    middle = len(topics) // 2
    first = await ask(api, channel, topics[:middle], replace=replace)
    return first + await ask(api, channel, topics[middle:], replace=False)


def details_of(conversations: Iterable[str]) -> list[str]:
    """The combined topics of these conversations' detail events."""
    return [topic for one in conversations for topic in detail_topics(one)]


def message(verb: str, topics: Sequence[str]) -> str:
    """`subscribe` or `unsubscribe`, as it is said on a socket."""
    return _encode({"message": verb, "topics": topics, "correlationId": verb}).decode()
