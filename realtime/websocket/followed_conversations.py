"""Conversations that are followed in detail: from their first event until they end, the oldest giving way first.

Detail events need a concrete conversation id over WebSocket. This module only chooses, as a value: the line of each
conversation that is followed, what to subscribe and what to let go. It does not know how topics are written or sent.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple

# All sixteen members of one conversation do not fit into one combined topic of 200 characters, but into two.
TOPICS_A_CONVERSATION: Final = 2
# After-call work and wrap-up come after the end.
LINGER: Final = 60.0


class ConversationSeen(NamedTuple):
    """An event's facts about a conversation. last_at: the latest time that the event bears, API text."""

    conversation_id: str
    ended: bool
    last_at: str | None = None


class ConversationEnd(NamedTuple):
    """A conversation's end. until: when it is let go, seconds. last_at: the latest time that was known with it."""

    until: float
    last_at: str


@dataclass(frozen=True, slots=True)
class FollowChanges:
    """Conversations to subscribe and to unsubscribe: (conversation id, line)."""

    subscribe: tuple[tuple[str, int], ...] = ()
    unsubscribe: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Following:
    """The conversations that are followed, oldest first, and the line of each.

    ending: conversations that ended lately, followed or not, in order. Events may come out of order: an older snapshot
    that comes after the end resumes nothing. A snapshot with a later time than the end resumes the conversation, as in
    a message thread.
    """

    on_line: OrderedDict[str, int] = field(default_factory=OrderedDict)
    ending: dict[str, ConversationEnd] = field(default_factory=dict)

    def choose(self, seen: Iterable[ConversationSeen], room: Mapping[int, int], now: float) -> FollowChanges:
        """Take the conversations heard now.

        room: for each line that listens, how many topics a channel could take beside its base topics, those of
        followed conversations included. now: seconds, monotonic.
        """
        subscribe: dict[str, int] = {}
        unsubscribe = [
            self._drop(conversation_id) for conversation_id in self._forget_ends(now) if conversation_id in self.on_line
        ]
        taken = Counter(self.on_line.values())
        for conversation_id, ended, last_at in seen:
            if ended:
                until, latest = self.ending.get(conversation_id, ConversationEnd(now + LINGER, ""))
                self.ending[conversation_id] = ConversationEnd(until, max(latest, last_at or ""))
                continue
            end = self.ending.get(conversation_id)
            if end is not None and (last_at or "") <= end.last_at:
                continue
            self.ending.pop(conversation_id, None)
            if conversation_id not in self.on_line:
                line = self._line_with_room(room, taken)
                if line is None and (oldest := self._oldest(room)) is not None:
                    line = self.on_line[oldest]
                    dropped = self._drop(oldest)
                    if subscribe.pop(oldest, None) is None:
                        unsubscribe.append(dropped)
                    taken[line] -= 1
                if line is not None:
                    self.on_line[conversation_id] = subscribe[conversation_id] = line
                    taken[line] += 1
        return FollowChanges(tuple(subscribe.items()), tuple(unsubscribe))

    def of(self, line: int) -> list[str]:
        """The conversations that are followed on a line."""
        return [conversation_id for conversation_id, number in self.on_line.items() if number == line]

    def forget(self, line: int, keep: int = 0) -> list[str]:
        """Let go all but the newest `keep` of a line, as when it ends or its base topics need the room."""
        theirs = self.of(line)
        gone = theirs[: max(len(theirs) - keep, 0)]
        for conversation_id in gone:
            self._drop(conversation_id)
        return gone

    def _forget_ends(self, now: float) -> list[str]:
        over = list(takewhile(lambda conversation_id: self.ending[conversation_id].until <= now, self.ending))
        for conversation_id in over:
            del self.ending[conversation_id]
        return over

    def _drop(self, conversation_id: str) -> tuple[str, int]:
        return conversation_id, self.on_line.pop(conversation_id)

    @staticmethod
    def _line_with_room(room: Mapping[int, int], taken: Counter[int]) -> int | None:
        best = max(room, key=lambda line: room[line] // TOPICS_A_CONVERSATION - taken[line], default=None)
        if best is None or room[best] // TOPICS_A_CONVERSATION <= taken[best]:
            return None
        return best

    def _oldest(self, room: Mapping[int, int]) -> str | None:
        return next((conversation_id for conversation_id, line in self.on_line.items() if line in room), None)
