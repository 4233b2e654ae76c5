"""Several events in one payload: EventBridge events one after another, in lines, or in an array. Pure.

Firehose writes JSON objects one behind the other with nothing in between, a queue's message may hold several, an
archive has lines or an array. Pieces are cut out of the bytes without decoding them, so that each event is kept as it
came; one that is broken takes no neighbour with it. What cannot be read is one dead letter, whole: of a message
everything that could not be, of a file the line. What an event looks like is read in
`rollbook/genesys/messages/notification.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from rollbook.genesys.canonical_json import decode, digest
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_envelope

if TYPE_CHECKING:
    from rollbook.genesys.privacy.redaction import Redactor

# Texts (one that runs into the end of its line is broken: JSON has no line break in a text), brackets, ends of lines.
_TOKEN: Final = re.compile(rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*(?:"|\n|\Z|\\)|[{}\[\]\n]')
# Between two events, and around the members of an array.
_BETWEEN: Final = b" \t\r\n,[]"
# Where another event may begin inside what could not be read: at the beginning of a line, or as AWS writes them.
_BEGINNING: Final = re.compile(rb'(?<=\n)(?=\{)|(?<!^)(?=\{"version"\s*:\s*"0"\s*,\s*"id")')
# EventBridge, SQS and Lambda take 1 MB. What is longer is no event: its beginning is kept, and its end is skipped.
LONGEST: Final = 16_000_000
# How much of what is skipped is looked at together with the next bytes: a beginning may lie across them.
_OVERLAP: Final = 256


class _Piece(NamedTuple):
    """A part that was cut out. begins: whether a message begins here, as far as the bytes before it tell.

    before: blanks, commas and brackets that stand between it and the piece before, in the same line.
    """

    raw: bytes
    begins: bool
    before: bytes = b""
    cut_off: bool = False

    @property
    def payload(self) -> bytes:
        return self.raw.strip(_BLANK)


def _pieces(chunks: Iterable[bytes]) -> Iterator[_Piece]:
    """The objects of a stream in order, as they were spelled, and whatever is between them and is no object."""
    cutter: _Cutter | None = _Cutter()
    skipped = b""
    for chunk in chunks:
        if cutter is None:
            skipped += chunk
            found = _BEGINNING.search(skipped)
            if found is None:
                skipped = skipped[-_OVERLAP:]
                continue
            cutter, chunk = _Cutter(), skipped[found.start() :]
        yield from cutter.more(chunk)
        if len(rest := cutter.rest) > LONGEST:
            # One that has lost its end seems to hold all that follow: from where the last of them may begin it goes on.
            last = max((found.start() for found in _BEGINNING.finditer(rest)), default=0)
            yield _Piece(rest[: last or len(rest)], cutter.begins, cutter.before, cut_off=last == 0)
            cutter, skipped = None, rest[-_OVERLAP:]
            if last:
                cutter = _Cutter()
                yield from cutter.more(rest[last:])
    if cutter is not None:
        yield from cutter.end()


_BLANK: Final = b" \t\r\n"
_QUOTE, _OPEN, _LIST, _CLOSE, _LINE = b'"{[}\n'
# A line that begins so goes on with the line before.
_GOES_ON: Final = (b" ", b"\t", b"}", b"]")


class _Cutter:
    """Sees brackets, texts and ends of lines in order.

    begun: where the piece that has not ended begins. begins: whether a message begins there. before: what parts them.
    """

    def __init__(self) -> None:
        self._data = b""
        self._seen = 0  # what lies before is not looked at again: a piece may come in many parts
        self._depth = 0
        self._closed = 0  # behind the object that was closed last, if nothing but its surroundings has come since
        self.begun, self.begins, self.before = 0, True, b""
        self.found: list[_Piece] = []

    @property
    def rest(self) -> bytes:
        """The piece that has not ended, as far as it has come."""
        return self._data[self.begun :]

    def more(self, chunk: bytes) -> list[_Piece]:
        """The pieces that these further bytes end."""
        self._data = self.rest + chunk
        self._seen, self._closed, self.begun = self._seen - self.begun, max(self._closed - self.begun, 0), 0
        for token in _TOKEN.finditer(self._data, self._seen):
            start, end = token.span()
            if end == len(self._data) and self._data[start] == _QUOTE:
                break  # the text may go on in the next bytes
            self._see(start, end)
            self._seen = end
        found, self.found = self.found, []
        if len(rest := self.rest) > _OVERLAP and not rest.strip(_BETWEEN):
            self._data, self._seen, self._closed, self.begun = b"", 0, 0, 0
        return found

    def end(self) -> list[_Piece]:
        """The pieces of what is left, where no bytes follow."""
        for token in _TOKEN.finditer(self._data, self._seen):
            self._see(*token.span())
        self.take(len(self._data), begins=True)
        return self.found

    def _see(self, start: int, end: int) -> None:
        """The next token."""
        first = self._data[start]
        if first == _LINE:
            if self._depth == 0:
                self.take(end, begins=True)
            return
        if first == _QUOTE:
            if self._depth and self._data[end - 1] == _LINE:
                self.take(end, begins=True)  # broken: no text goes on in the next line
        elif first == _OPEN and (self._depth == 0 or self._follows(start)):
            self.take(start, begins=self._depth > 0)
            self._depth = 1
        elif first in (_OPEN, _LIST):
            self._depth += self._depth > 0
        elif self._depth:
            self._depth -= 1
            if self._depth == 0:
                self.take(end, begins=False)
        self._closed = end if first == _CLOSE and self._depth else 0

    def _follows(self, start: int) -> bool:
        """An object behind another without a comma is never inside one: the one before has lost its end."""
        return bool(self._closed) and not self._data[self._closed : start].strip()

    def take(self, end: int, *, begins: bool) -> None:
        """Cut here. Commas and brackets alone are an array's own; among other words they belong to these.

        begins: whether another message begins behind it, or the bytes there may belong to this one.
        """
        raw = self._data[self.begun : end]
        if raw.strip(_BETWEEN):
            self.found.append(_Piece(raw, self.begins and not raw.startswith(_GOES_ON), self.before))
            self.before, self.begins = b"", begins
        elif begins:
            self.before, self.begins = b"", True
        else:
            self.before += raw[-_OVERLAP:]
        self.begun, self._depth = end, 0


def parse_all(
    payload: bytes, *, source: str, received_at: str, once: str = "", redactor: Redactor | None = None
) -> list[Notification | Unreadable]:
    """Everything that one message holds, in order: what can be read, and one dead letter of all that cannot.

    once: what the same message bears when it is delivered again, so that its dead letter is kept once. redactor: as
    `parse_frame` has it, for a message that is one event; others lose people's data when they are written.
    """
    whole = parse_envelope(payload, source=source, received_at=received_at, redactor=redactor)
    if isinstance(whole, Notification):
        return [whole]
    found = list(_by_lines([payload], source, lambda: received_at))
    events = [item for _, item in found if isinstance(item, Notification)]
    broken = [item for _, item in found if isinstance(item, Unreadable)]
    if not events:
        return [_lettered(whole, once)]
    return [*events, _lettered(_rest(whole, broken), once)] if broken else list(events)


def _rest(whole: Unreadable, broken: Sequence[Unreadable]) -> Unreadable:
    """The unreadable parts; but all of the message, if two parts side by side would make an event that never came."""
    rest = b"\n".join(part.payload for part in broken)
    made = parse_envelope(rest, source=whole.source, received_at=whole.received_at)
    again = (part for _, part in _by_lines([rest], whole.source, lambda: whole.received_at))
    if any(isinstance(part, Notification) for part in (made, *again)):
        rest = whole.payload
    return replace(whole, payload=rest, error=broken[0].error)


def parse_stream(
    chunks: Iterable[bytes], *, source: str, now: Callable[[], str]
) -> Iterator[tuple[int, Notification | Unreadable]]:
    """The events of a file, and how many of its bytes each stands for. now: API text."""
    for size, item in _by_lines(chunks, source, now):
        yield size, _lettered(item, "") if isinstance(item, Unreadable) else item


def _by_lines(
    chunks: Iterable[bytes], source: str, now: Callable[[], str]
) -> Iterator[tuple[int, Notification | Unreadable]]:
    """The readable events piece by piece, and what cannot be read in as few parts as it came in."""
    waiting: Unreadable | None = None  # the part of a line that cannot be read; what follows may belong to it
    for piece in _pieces(chunks):
        for item, begins in _read(piece, source, now()):
            if waiting is not None:
                together = None if begins else _together(waiting, item)
                if together is not None:
                    waiting = together
                    continue
                yield _whole_line(waiting)
                waiting = None
            if isinstance(item, Unreadable):
                waiting = item
            else:
                yield len(piece.raw), item
    if waiting is not None:
        yield _whole_line(waiting)


def _whole_line(line: Unreadable) -> tuple[int, Unreadable]:
    return len(line.payload), replace(line, payload=line.payload.strip(_BLANK))


def _together(before: Unreadable, after: Notification | Unreadable) -> Unreadable | None:
    """Two parts of a line as one dead letter; None if the second can be read, or both are JSON: two messages then."""
    if isinstance(after, Notification) or len(before.payload) > LONGEST or (_is_json(before) and _is_json(after)):
        return None
    return replace(before, payload=before.payload + after.payload)


def _is_json(item: Unreadable) -> bool:
    try:
        decode(item.payload)
    except (ValueError, RecursionError):
        return False
    return True


def _read(piece: _Piece, source: str, received_at: str) -> Iterator[tuple[Notification | Unreadable, bool]]:
    """Read a piece, and tell whether it begins a message; or the parts of it that seem to be events of their own.

    What cannot be read keeps the blanks around it, so that the parts of a line can be put together again.
    """
    found = parse_envelope(piece.payload, source=source, received_at=received_at)
    if isinstance(found, Notification):
        yield found, piece.begins
        return
    if piece.cut_off:
        error = f"it is longer than {LONGEST:,} bytes, which no event is; the rest of it is not kept"
        yield replace(found, payload=piece.raw, error=error), piece.begins
        return
    others = _BEGINNING.split(piece.before + piece.raw)
    if len(others) < 2:
        yield replace(found, payload=piece.before + piece.raw), piece.begins
        return
    begins = piece.begins
    for other in others:
        for part in _pieces([other]):
            parsed = parse_envelope(part.payload, source=source, received_at=received_at)
            whole = replace(parsed, payload=part.before + part.raw) if isinstance(parsed, Unreadable) else parsed
            yield whole, begins and part.begins
        begins = True


def _lettered(item: Unreadable, once: str) -> Unreadable:
    """Let a dead letter be known again: by its delivery, else by its content."""
    return replace(item, once=once or digest(item.error.encode(), item.payload).hex())
