"""What a channel has been told to hear, what the platform refused of it, and how it is told.

A topic that is refused costs no other: the platform is asked to ignore errors, and a request that it refuses as a whole
is made again in halves, and what spoils a combined topic is left out of the others like it. Knows no socket and no life
of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from rollbook.genesys.api.client import Api, NotificationChannel, TopicState
from rollbook.genesys.errors import PermissionRefused, RequestRefused
from rollbook.genesys.ids import conversation_id
from rollbook.genesys.topics import combine, conversation_id_of, detail_member, expand, template_of

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Told:
    """A channel's list as the platform has it. topics: combined ones; refused: plain ones, but those of details.

    details: conversations, and the combined topics of each. spoils: templates for which combined topics as a whole were
    refused, and why; they are asked without.
    """

    topics: dict[str, None] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    details: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spoils: dict[str, str] = field(default_factory=dict)
    let_go: set[str] = field(default_factory=set)  # plain ones in small letters, until they are seen to be off the list

    def copy(self) -> Told:
        """The same list, for another socket on the same channel."""
        return Told(dict(self.topics), set(self.refused), dict(self.details), dict(self.spoils), set(self.let_go))

    def heard(self) -> tuple[str, ...]:
        """The plain topics that are really heard, those of details aside."""
        names = (name for topic in self.topics for name in expand(topic))
        return tuple(name for name in names if name not in self.refused)

    def answered(self, topics: Sequence[str], states: Iterable[TopicState]) -> None:
        """The platform was told `topics`, and answered so."""
        self.topics.update(dict.fromkeys(topics))
        names = {name for topic in topics for name in expand(topic)}
        self.refused -= names
        self.refused |= {name for state in states if not state.permitted for name in expand(state.id)} & names
        self.let_go.difference_update(map(str.lower, names))

    def forget(self, topics: Iterable[str]) -> tuple[str, ...]:
        """These were taken off; answers the plain topics."""
        names: list[str] = []
        for topic in topics:
            self.topics.pop(topic, None)
            names += expand(topic)
        self.refused.difference_update(names)
        self.let_go.update(map(str.lower, names))
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

    def surplus(self, listed: Iterable[str]) -> list[str]:
        """Which of the platform's list were let go: what is said on a socket may be lost."""
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


# How many requests may be spent on finding the topics for which a request is refused as a whole.
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
    """Tell the platform: replace the channel's list, or add to it. Raises NotFound: the channel is gone; ApiError.

    spoils: what is known to spoil combined topics; what is found is added. on_answer: called when a request has been
    answered, of which there may be many.
    """
    asking = _Asking(api, channel, {} if spoils is None else spoils, on_answer)
    states = await asking.ask(topics, replace=replace)
    while replace and asking.learned:
        # What was asked part by part takes the room of several topics. It need not, now that the wrong part is known.
        asking.learned = False
        states = await asking.ask(topics, replace=True)
    return states


class _Asking:
    """One list on its way. What a request as a whole is refused for is looked for by halves, with bounded patience."""

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
            tell = self._api.replace_subscriptions if replace else self._api.add_subscriptions
            states = await tell(self._channel, topics, ignore_errors=True)
        except (RequestRefused, PermissionRefused) as error:
            self._on_answer()
            if len(topics) == 1:
                # Where one finds no room, those behind it find none either.
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
        """A topic was refused as a whole request: a combined one perhaps for a part of it only."""
        parts = expand(topic)
        if len(parts) < 2 or self._no_room is not None:
            self._wrong[topic] = why
            return [_refused(topic, why, Unasked if self._no_room is not None else TopicState)]
        states = await self.ask(parts, replace=replace)
        spoiling = {template_of(one): self._wrong[one] for one in parts if one in self._wrong}
        if spoiling and self._no_room is None and any(state.permitted for state in states):
            # The queue or user is there, so the same part spoils the combined topics of all the others.
            self._spoils.update(spoiling)
            self.learned = self._left > 0
        return states

    def _without_spoiling(self, topics: Sequence[str]) -> tuple[list[str], list[TopicState]]:
        """(topics, combined ones without what spoils them; what was left out)."""
        if not self._spoils:
            return list(topics), []
        kept: list[str] = []
        out: list[TopicState] = []
        for topic in topics:
            parts = expand(topic)
            spoiling = [one for one in parts if template_of(one) in self._spoils] if len(parts) > 1 else []
            out += [_refused(one, self._spoils[template_of(one)]) for one in spoiling]
            prefix = topic.partition("?")[0]
            rest = [one.removeprefix(f"{prefix}.") for one in parts if one not in spoiling]
            kept += combine(prefix, rest) if spoiling else [topic]
        return kept, out


def _refused(topic: str, why: str, kind: type[TopicState] = TopicState) -> TopicState:
    return kind(topic, permitted=False, reason=why, missing_permissions=())


def message(verb: str, topics: Sequence[str], correlation_id: str) -> str:
    """`subscribe` or `unsubscribe`, as it is said on a socket."""
    return _encode({"message": verb, "topics": topics, "correlationId": correlation_id}).decode()
