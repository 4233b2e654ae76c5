"""Several events in one payload: EventBridge events one after another, in lines, or in an array. Pure.

Firehose writes JSON objects one behind the other with nothing in between, a queue's message may hold several, an
archive has lines or an array. Pieces are cut out of the bytes without decoding them, so that each event is kept as it
came; one that is broken takes no neighbour with it. What an event looks like is read in `genesys/notification.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

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
    cutter = _Cutter(data)
    for token in _TOKEN.finditer(data):
        start, end = token.span()
        if more and end == len(data) and data[start] == _QUOTE:
            break  # the text may go on in the next bytes
        cutter.see(start, end)
    if not more or len(data) - cutter.begun > LONGEST:
        cutter.take(len(data))
    return cutter.found, data[cutter.begun :]


_QUOTE, _OPEN, _LIST, _CLOSE, _LINE = b'"{[}\n'


class _Cutter:
    """Sees brackets, texts and ends of lines in order. begun: where the piece that has not ended begins."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._depth = 0
        self._closed = 0  # behind the object that was closed last, if nothing but its surroundings has come since
        self.begun = 0
        self.found: list[bytes] = []

    def see(self, start: int, end: int) -> None:
        """The next token."""
        first = self._data[start]
        if first == _LINE:
            if self._depth == 0:
                self.take(end)
            return
        if first == _QUOTE:
            if self._depth and self._data[end - 1] == _LINE:
                self.take(end)  # broken: no text goes on in the next line
        elif first == _OPEN and (self._depth == 0 or self._follows(start)):
            self.take(start)
            self._depth = 1
        elif first in (_OPEN, _LIST):
            self._depth += self._depth > 0
        elif self._depth:
            self._depth -= 1
            if self._depth == 0:
                self.take(end)
        self._closed = end if first == _CLOSE and self._depth else 0

    def _follows(self, start: int) -> bool:
        """An object behind another without a comma is never inside one: the one before has lost its end."""
        return bool(self._closed) and not self._data[self._closed : start].strip()

    def take(self, end: int) -> None:
        """Cut here. Commas and brackets alone are an array's own; among other words they belong to these."""
        piece = self._data[self.begun : end].strip(b" \t\r\n")
        if piece.strip(_BETWEEN):
            self.found.append(piece)
        self.begun, self._depth = end, 0


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
