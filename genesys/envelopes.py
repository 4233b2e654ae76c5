"""Several events in one payload: EventBridge events one after another, in lines, or in an array. Pure.

Firehose writes JSON objects one behind the other with nothing in between, a queue's message may hold several, an
archive has lines or an array. Pieces are cut out of the bytes without decoding them, so that each event is kept as it
came; one that is broken takes no neighbour with it. What an event looks like is read in `genesys/notification.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from genesys.content import digest
from genesys.notification import Observation, Unreadable, parse_envelope

# Texts (one that runs into the end of its line is broken: JSON has no line break in a text), brackets, ends of lines.
_TOKEN: Final = re.compile(rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*(?:"|\n|\Z|\\)|[{}\[\]\n]')
# Between two events, and around the members of an array.
_BETWEEN: Final = b" \t\r\n,[]"
# Where another event may begin inside what could not be read: at the beginning of a line, or as AWS writes them.
_BEGINNING: Final = re.compile(rb'(?<=\n)(?=\{)|(?<!^)(?=\{"version"\s*:\s*"0"\s*,\s*"id")')
# EventBridge, SQS and Lambda take 1 MB. Beyond this a piece is cut, so that a broken file is no endless one.
LONGEST: Final = 16_000_000


def pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The objects of a stream in order, as they were spelled, and whatever stands between them and is no object."""
    rest = b""
    for chunk in chunks:
        found, rest = _cut(rest + chunk, more=True)
        yield from found
    yield from _cut(rest, more=False)[0]


def _cut(data: bytes, *, more: bool) -> tuple[list[bytes], bytes]:
    """The whole pieces, and what belongs to one that has not ended. more: whether other bytes will follow."""
    found: list[bytes] = []
    begun = depth = closed = 0

    def take(end: int) -> None:
        nonlocal begun, depth
        piece = data[begun:end].strip(b" \t\r\n") if depth or data[begun:end].startswith(b"{") else _between(begun, end)
        if piece:
            found.append(piece)
        begun, depth = end, 0

    def _between(start: int, end: int) -> bytes:
        # Commas and brackets alone are an array's own; among other words they belong to these.
        between = data[start:end].strip(b" \t\r\n")
        return between if between.strip(_BETWEEN) else b""

    for token in _TOKEN.finditer(data):
        start, end = token.span()
        first = data[start]
        if first == 0x22:  # a text
            if data[end - 1] == 0x0A and depth:
                take(end)
            elif more and end == len(data):
                break
        elif first == 0x7B and (depth == 0 or (closed and not data[closed:start].strip())):
            # An object that follows another without a comma is never inside one: the one before has lost its end.
            take(start)
            depth = 1
        elif first in b"{[":
            depth += depth > 0
        elif first == 0x0A:
            if depth == 0:
                take(end)
            continue
        elif depth:
            depth -= 1
            if depth == 0:
                take(end)
        closed = end if first in b"}" and depth else 0
    if not more or len(data) - begun > LONGEST:
        take(len(data))
    return found, data[begun:]


def parse_all(payload: bytes, *, source: str, received_at: str, once: str = "") -> list[Observation | Unreadable]:
    """Everything that one payload holds: at least one item, in order.

    once: what the same payload bears when it is delivered again, so that its dead letters are kept once.
    """
    whole = parse_envelope(payload, source=source, received_at=received_at)
    if isinstance(whole, Observation):
        return [whole]
    parts = list(pieces([payload]))
    if len(parts) < 2 and (not parts or parts[0] == payload.strip()) and not _BEGINNING.search(payload):
        return [_lettered(whole, once)]
    read = _reader(source, received_at)
    return [_lettered(one, once and f"{once} {at}") for at, part in enumerate(parts) for one in read(part)]


def parse_stream(
    chunks: Iterable[bytes], *, source: str, now: Callable[[], str]
) -> Iterator[tuple[int, Observation | Unreadable]]:
    """The events of a file, and how many of its bytes each stands for. now: API text."""
    for part in pieces(chunks):
        size = len(part)
        for one in _reader(source, now())(part):
            yield size, _lettered(one, "")
            size = 0


def _reader(source: str, received_at: str) -> Callable[[bytes], Iterator[Observation | Unreadable]]:
    def read(part: bytes) -> Iterator[Observation | Unreadable]:
        found = parse_envelope(part, source=source, received_at=received_at)
        others = _BEGINNING.split(part) if isinstance(found, Unreadable) else ()
        if len(others) < 2:
            yield found
            return
        for other in others:
            if other.strip():
                yield parse_envelope(other.strip(), source=source, received_at=received_at)

    return read


def _lettered(item: Observation | Unreadable, once: str) -> Observation | Unreadable:
    """Let a dead letter be known again: by its delivery, else by its content."""
    if isinstance(item, Observation):
        return item
    name = once or digest(item.error.encode(), item.payload).hex()
    return replace(item, once=name)
