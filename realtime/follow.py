"""Whose detail events are subscribed: conversations heard live, until they end, the oldest giving way first.

Detail events need a concrete conversation id over WebSocket. This is only the choice, as a value: which conversation is
followed on which line, what to subscribe and what to let go. It does not know how topics are spelled or sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

# All sixteen members of one conversation do not fit into one combined topic of 200 characters, but into two.
TOPICS_A_CONVERSATION: Final = 2
# After-call work and wrap-up come after the end.
LINGER: Final = 60.0


@dataclass(frozen=True, slots=True)
class Followed:
    """What to subscribe and unsubscribe: (conversation id, line)."""

    subscribe: tuple[tuple[str, int], ...] = ()
    unsubscribe: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Following:
    """The conversations that are followed, oldest first, and the line of each."""

    on_line: OrderedDict[str, int] = field(default_factory=OrderedDict)
    ending: dict[str, float] = field(default_factory=dict)
    gave_way: int = 0

    def choose(
        self,
        heard: Iterable[tuple[str, bool]],
        room: Mapping[int, int],
        now: float,
    ) -> Followed:
        """Take the conversations heard now.

        heard: (conversation id, has it ended). room: for each line that listens, how many topics a channel could take
        beside its base topics, those of followed conversations included. now: seconds, monotonic.
        """
        subscribe: dict[str, int] = {}
        unsubscribe = [self._drop(one) for one, until in list(self.ending.items()) if until <= now]
        taken = self._taken()
        for conversation_id, ended in heard:
            if ended:
                if conversation_id in self.on_line:
                    self.ending.setdefault(conversation_id, now + LINGER)
            elif conversation_id in self.on_line:
                self.ending.pop(conversation_id, None)
            else:
                line = self._line_with_room(room, taken)
                if line is None and (oldest := self._oldest(room)) is not None:
                    line = self.on_line[oldest]
                    dropped = self._drop(oldest)
                    if subscribe.pop(oldest, None) is None:
                        unsubscribe.append(dropped)
                    taken[line] -= 1
                    self.gave_way += 1
                if line is not None:
                    self.on_line[conversation_id] = subscribe[conversation_id] = line
                    taken[line] = taken.get(line, 0) + 1
        return Followed(tuple(subscribe.items()), tuple(unsubscribe))

    def of(self, line: int) -> list[str]:
        """The conversations that are followed on a line."""
        return [one for one, number in self.on_line.items() if number == line]

    def forget(self, line: int, keep: int = 0) -> list[str]:
        """Let go all but the newest `keep` of a line, as when it ends or its base topics need the room."""
        theirs = self.of(line)
        gone = theirs[: max(len(theirs) - keep, 0)]
        for one in gone:
            self._drop(one)
        return gone

    def _drop(self, conversation_id: str) -> tuple[str, int]:
        self.ending.pop(conversation_id, None)
        return conversation_id, self.on_line.pop(conversation_id)

    def _taken(self) -> dict[int, int]:
        taken: dict[int, int] = {}
        for line in self.on_line.values():
            taken[line] = taken.get(line, 0) + 1
        return taken

    @staticmethod
    def _line_with_room(room: Mapping[int, int], taken: Mapping[int, int]) -> int | None:
        best = max(room, key=lambda line: room[line] // TOPICS_A_CONVERSATION - taken.get(line, 0), default=None)
        if best is None or room[best] // TOPICS_A_CONVERSATION <= taken.get(best, 0):
            return None
        return best

    def _oldest(self, room: Mapping[int, int]) -> str | None:
        return next((one for one, line in self.on_line.items() if line in room), None)
