"""Placement of topics on lines: within the platform's limits, with few requests, and no topic moved without need.

A line is a number here. Lines keep the topics that they have; a topic that vanished leaves its line, and a new topic
goes where there is room, to the emptiest line first, so that a change touches few channels (each costs a request). This
module does not know what a topic means or how a line is kept alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
