"""Placement of topics on lines: within the platform's limits, with few requests, and no topic moved without need.

A line is a number here. Lines keep the topics that they have; a topic that vanished leaves its line, and a new topic
goes where there is room, to the emptiest line first, so that a change touches few channels (each costs a request). This
module does not know what a topic means or how a line is kept alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# "Each WebSocket connection is limited to 1,000 topics"; "20 channels per user/app combination".
TOPICS_A_CHANNEL: Final = 1_000
CHANNELS_A_CLIENT: Final = 20

TopicsByLine = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Spread:
    """Topics by line, in order; `unplaced` found no room within the channels allowed."""

    lines: TopicsByLine
    unplaced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a line: topics to add and topics to remove."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def spread(
    topics: Sequence[str],
    placed: TopicsByLine,
    *,
    channels: int = CHANNELS_A_CLIENT,
    per_channel: int = TOPICS_A_CHANNEL,
) -> Spread:
    """Put `topics` on lines. placed: the topics that lines have now. channels: count of lines that there may be.

    If there are more lines than that, the shortest end, and their topics go where there is room.
    """
    wanted = dict.fromkeys(topics)
    lines: dict[int, list[str]] = {}
    for number, listed in placed.items():
        kept = [topic for topic in listed if topic in wanted]
        for topic in kept:
            del wanted[topic]
        if kept:
            lines[number] = kept
    left = list(wanted)
    for number in sorted(lines, key=lambda number: len(lines[number]))[: max(len(lines) - max(channels, 0), 0)]:
        left = [*lines.pop(number), *left]
    for number in sorted(lines, key=lambda number: len(lines[number])):
        left = _fill(lines[number], left, per_channel)
    free = (number for number in range(max(channels, 0) + len(lines)) if number not in lines)
    while left and len(lines) < channels:
        number = next(free)
        lines[number] = []
        left = _fill(lines[number], left, per_channel)
    return Spread({number: tuple(lines[number]) for number in sorted(lines)}, tuple(left))


def _fill(line: list[str], topics: list[str], per_channel: int) -> list[str]:
    room = max(per_channel - len(line), 0)
    line += topics[:room]
    return topics[room:]


def changes(before: TopicsByLine, after: TopicsByLine) -> dict[int, Change]:
    """Changes by line; all topics of a new line are added, and all of a line that is gone are removed."""
    found = {}
    for number in sorted(before.keys() | after.keys()):
        old, new = before.get(number, ()), after.get(number, ())
        added, removed = _without(new, old), _without(old, new)
        if added or removed:
            found[number] = Change(added, removed)
    return found


def _without(these: Iterable[str], those: Iterable[str]) -> tuple[str, ...]:
    known = set(those)
    return tuple(topic for topic in these if topic not in known)


def others(in_use: int, ours: int) -> int:
    """Count of the client's channels that are not ours: another program's, or left by an earlier run."""
    return max(in_use - ours, 0)


def free(in_use: int, ours: int, ours_in_use: int, *, limit: int = CHANNELS_A_CLIENT) -> int:
    """Count of channels that can be created without taking another program's.

    in_use: what the platform counted; ours: how many of those this process made; ours_in_use: how many it still uses.
    Those of ours that are not in use any more count as free: without a connection, the platform evicts them first.
    """
    return max(limit - others(in_use, ours) - ours_in_use, 0)
