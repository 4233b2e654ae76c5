"""Subscriptions of a channel: the topics it has, the topics the platform refused, and the requests that change them.

A refused topic costs no other topic: the platform is asked to ignore errors, a request that it refuses as a whole is
made again in halves, and a part that spoils a combined topic is left out of the others like it. This module knows no
socket and no life of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rollbook.genesys.api.client import Api, NotificationChannel, TopicState
from rollbook.genesys.errors import PermissionRefused, RequestRefused
from rollbook.genesys.ids import conversation_id
from rollbook.genesys.topics import combine, conversation_id_of, detail_member, expand, template_of

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class SubscribedTopics:
    """A channel's list as the platform has it. topics: combined topics; refused: plain topics, those of details aside.

    details: conversations, and the combined topics of each. spoils: templates for which combined topics were refused as
    a whole, and why; requests leave them out.
    """

    topics: dict[str, None] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    details: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spoils: dict[str, str] = field(default_factory=dict)
    let_go: set[str] = field(default_factory=set)  # plain ones in small letters, until they are seen to be off the list

    def copy(self) -> SubscribedTopics:
        """Copy of the list, for another socket on the same channel."""
        return deepcopy(self)

    def heard_topics(self) -> tuple[str, ...]:
        """Plain topics that are heard, those of details aside."""
        names = (name for topic in self.topics for name in expand(topic))
        return tuple(name for name in names if name not in self.refused)

    def take_answer(self, topics: Sequence[str], states: Iterable[TopicState]) -> None:
        """Note the platform's answer to `topics`."""
        self.topics.update(dict.fromkeys(topics))
        names = {name for topic in topics for name in expand(topic)}
        self.refused -= names
        self.refused |= {name for state in states if not state.permitted for name in expand(state.id)} & names
        self.let_go.difference_update(map(str.lower, names))

    def forget(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Take topics off the list; answers the plain topics."""
        names: list[str] = []
        for topic in topics:
            self.topics.pop(topic, None)
            names += expand(topic)
        self.refused.difference_update(names)
        self.let_go.update(map(str.lower, names))
        return tuple(names)

    def differences(self, wanted: Sequence[str], *, ask_again: bool) -> tuple[list[str], list[str]]:
        """Topics to add, and topics to remove. ask_again: add those that were refused, too."""
        wanted_topics = dict.fromkeys(wanted)
        added = [topic for topic in wanted_topics if topic not in self.topics]
        if ask_again:
            added += [topic for topic in wanted_topics if topic in self.topics and self._refuses(topic)]
        return added, [topic for topic in self.topics if topic not in wanted_topics]

    def lost(self, listed: Iterable[str]) -> list[str]:
        """Topics that are not in the platform's list, though it took them. Combined or plain makes no difference."""
        there = {name.lower() for topic in listed for name in expand(topic)}
        return [
            topic
            for topic in self.topics
            if any(name not in self.refused and name.lower() not in there for name in expand(topic))
        ]

    def surplus(self, listed: Iterable[str]) -> list[str]:
        """Topics of the platform's list that were let go: a request on a socket may be lost."""
        found: list[str] = []
        there: set[str] = set()
        for topic in listed:
            if topic in self.topics:
                continue
            names = expand(topic)
            followed = {conversation_id(conversation_id_of(name)) for name in names if detail_member(name)}
            plain = {name.lower() for name in names}
            if not followed <= self.details.keys() or not self.let_go.isdisjoint(plain):
                found.append(topic)
                there |= plain
        self.let_go &= there
        return found

    def _refuses(self, topic: str) -> bool:
        return bool(self.refused) and not self.refused.isdisjoint(expand(topic))


@dataclass(frozen=True, slots=True)
class Unasked(TopicState):
    """A topic for which there was no room or no patience: not heard, and of a permission nothing is known."""


# Requests that may be spent to find the topics for which a request is refused as a whole.
MOST_REQUESTS: Final = 64
_NO_ROOM: Final = "too.many.subscriptions"


async def ask(
    api: Api,
    channel: NotificationChannel,
    topics: Sequence[str],
    *,
    replace: bool,
    spoils: dict[str, str] | None = None,
    on_answer: Callable[[], None] = lambda: None,
) -> list[TopicState]:
    """Subscribe: replace the channel's list, or add to it. Raises NotFound: the channel is gone; ApiError.

    spoils: what is known to spoil combined topics; what is found is added. on_answer: called when a request has been
    answered, of which there may be many.
    """
    asking = _Asking(api, channel, {} if spoils is None else spoils, on_answer)
    states = await asking.ask(topics, replace=replace)
    while replace and asking.learned:
        # A combined topic that was asked part by part takes the room of several topics. The wrong part is known now.
        asking.learned = False
        states = await asking.ask(topics, replace=True)
    return states


class _Asking:
    """A list on its way. If a request is refused as a whole, halves of it show which topic is wrong, within a limit."""

    def __init__(
        self, api: Api, channel: NotificationChannel, spoils: dict[str, str], on_answer: Callable[[], None]
    ) -> None:
        self._api, self._channel, self._spoils, self._on_answer = api, channel, spoils, on_answer
        self._left = MOST_REQUESTS
        self._no_room: str | None = None
        self._wrong: dict[str, str] = {}  # plain topics for which a whole request was refused: why
        self.learned = False  # whether more is known to spoil combined topics than at the beginning

    async def ask(self, topics: Sequence[str], *, replace: bool) -> list[TopicState]:
        topics, left_out = self._without_spoiling(topics)
        if not topics:
            return left_out
        if self._no_room is not None or self._left <= 0:
            why = self._no_room or "not asked for: too many others of its request were refused"
            return left_out + [_refused(topic, why, Unasked) for topic in topics]
        self._left -= 1
        try:
            states = await self._api.subscribe(self._channel, topics, replace=replace)
        except (RequestRefused, PermissionRefused) as error:
            self._on_answer()
            if len(topics) == 1:
                # If this topic finds no room, the topics after it find none either.
                self._no_room = error.message if _NO_ROOM in (error.code or "") else None
                return left_out + await self._ask_parts(topics[0], error.message, replace=replace)
        else:
            self._on_answer()
            return left_out + states
        middle = len(topics) // 2
        first = await self.ask(topics[:middle], replace=replace)
        if replace and self.learned:
            return []  # all of it is asked again
        return left_out + first + await self.ask(topics[middle:], replace=False)

    async def _ask_parts(self, topic: str, why: str, *, replace: bool) -> list[TopicState]:
        """Ask for the parts of a topic that was refused: perhaps only a part of it is wrong."""
        parts = expand(topic)
        if len(parts) < 2 or self._no_room is not None:
            self._wrong[topic] = why
            return [_refused(topic, why, Unasked if self._no_room is not None else TopicState)]
        states = await self.ask(parts, replace=replace)
        spoiling = {template_of(part): self._wrong[part] for part in parts if part in self._wrong}
        if spoiling and self._no_room is None and any(state.permitted for state in states):
            # The queue or user is there, so the same part spoils the combined topics of all the others.
            self._spoils.update(spoiling)
            self.learned = self._left > 0
        return states

    def _without_spoiling(self, topics: Sequence[str]) -> tuple[list[str], list[TopicState]]:
        """Topics without the parts that spoil them, and the parts that were left out."""
        if not self._spoils:
            return list(topics), []
        kept: list[str] = []
        out: list[TopicState] = []
        for topic in topics:
            parts = expand(topic)
            spoiling = [part for part in parts if template_of(part) in self._spoils] if len(parts) > 1 else []
            out += [_refused(part, self._spoils[template_of(part)]) for part in spoiling]
            prefix = topic.partition("?")[0]
            rest = [part.removeprefix(f"{prefix}.") for part in parts if part not in spoiling]
            kept += combine(prefix, rest) if spoiling else [topic]
        return kept, out


def _refused(topic: str, why: str, kind: type[TopicState] = TopicState) -> TopicState:
    return kind(topic, permitted=False, reason=why, missing_permissions=())


def message(verb: str, topics: Sequence[str], correlation_id: str) -> str:
    """Message `subscribe` or `unsubscribe` for a socket."""
    return _encode({"message": verb, "topics": topics, "correlationId": correlation_id}).decode()
