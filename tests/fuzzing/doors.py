"""A door of the product that others send things through, and the doors of messages: sockets, queues, functions, files.

A door takes a source of chance, makes a case of it, puts it through, and says what people would see of that.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from realtime import lambda_handler
from realtime.commands import ingest
from realtime.commands.dead_letters import read_again
from realtime.storing.store_batch import parse_items, store_batch
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.book import Book
from rollbook.store.erasure import request
from rollbook.store.erasure.person import Person
from rollbook.store.tables import dead_letters, events
from tests.fuzzing.judge import SECRET, Output
from tests.fuzzing.mutations import altered, altered_tree
from tests.helpers.paths import EXAMPLES

AT: Final = "2026-08-03T14:00:00.000Z"
# A store is put away after so many cases: it is to be looked at, not filled.
_CASES_OF_A_STORE: Final = 1_500


@dataclass(frozen=True, slots=True)
class Door:
    """name: for `--door`. put: does a case. foreseen: errors that are answers. share: of the time, beside the others."""

    name: str
    put: Callable[[random.Random], Output | None]
    foreseen: tuple[type[Exception], ...] = (RollbookError,)
    share: float = 1.0


def frames() -> list[bytes]:
    """Frames of the socket."""
    messages = json.loads((EXAMPLES / "ws_messages.json").read_text())
    lines = (EXAMPLES / "ws_detail_events.jsonl").read_text().splitlines()
    replies = [
        '{"result":"200","status":"subscribed","correlationId":"a"}',
        '{"result":"404","message":"gone"}',
        '{"topicName":"v2.subscription.updated","eventBody":{"reason":"x"}}',
    ]
    return [*(json.dumps(message).encode() for message in messages.values()), *map(str.encode, (*lines, *replies))]


def envelopes() -> list[bytes]:
    """EventBridge events, several of them, and what queues and topics wrap around them."""
    lines = (EXAMPLES / "eventbridge_detail_events.jsonl").read_bytes().splitlines()
    wrapped = json.dumps({"Type": "Notification", "Message": lines[0].decode()}).encode()
    return [*lines, lines[0] + lines[1], b"\n".join(lines[:3]), b"[" + b",".join(lines[:3]) + b"]", wrapped]


def calls() -> list[Any]:
    """Calls of the function."""
    import base64

    lines = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()[:3]
    packed = [base64.b64encode(line.encode()).decode() for line in lines]
    messages = [{"messageId": f"m{at}", "body": line, "eventSource": "aws:sqs"} for at, line in enumerate(lines)]
    return [
        json.loads(lines[0]),
        {"Records": messages},
        messages,
        {"Records": [{"kinesis": {"data": data, "sequenceNumber": str(at)}} for at, data in enumerate(packed)]},
        {"records": [{"recordId": f"r{at}", "data": data} for at, data in enumerate(packed)]},
        {"source": "aws.scheduler", "detail-type": "Scheduled Event"},
        {"window": "2026-08-03T14:00Z/PT30M"},
        "\n".join(lines),
    ]


_ERASED: Final = Person(
    phones=["+13175550123"],
    emails=["ada@example.com"],
    names=["Ada Lovelace"],
    external_contacts=["c-1"],
    attributes=[("a", "b")],
)


class _Shelf:
    """A store for cases, another after a while. Every second one is under the strict policy, and in every third one
    somebody was erased, so that each body is looked through for them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._number = self._cases = 0
        self._book: Book | None = None

    def book(self) -> Book:
        if self._book is None or self._cases >= _CASES_OF_A_STORE:
            self.close()
            self._number, self._cases = self._number + 1, 0
            redactor = Redactor(STRICT) if self._number % 2 == 0 else None
            path = self._folder / f"{self._name}{self._number}.db"
            self._book = Book.open(path, organization=("o", "O"), redactor=redactor)
            if self._number % 3 == 1:
                request.forget(self._book, _ERASED, "2030-01-01T00:00:00.000Z", by="somebody")
        self._cases += 1
        return self._book

    def store(self, items: Sequence[Notification | Unreadable]) -> None:
        """Store them as a door does; each has to become an event or a dead letter."""
        book = self.book()
        outcome = store_batch(lambda part: book.write(events.record, part, book.lag), items)
        if outcome.error is not None:
            raise AssertionError(f"not stored: {outcome.error!r}")
        if outcome.dead_letters and self._cases % 20 == 0:
            for letter in book.read_now(dead_letters.listed)[:3]:
                read_again(letter)

    def close(self) -> None:
        if self._book is not None:
            self._book.close()
            for path in self._folder.glob(f"{self._name}{self._number}.db*"):
                path.unlink()
            self._book = None


@contextlib.contextmanager
def socket_door(folder: Path) -> Iterator[Door]:
    """Frames, as text and as bytes."""
    examples, shelf = frames(), _Shelf(folder, "socket")

    def put(draw: random.Random) -> None:
        payload = altered(draw.choice(examples), draw, examples)
        items = [parse_frame(payload, source="websocket", received_at=AT)]
        with contextlib.suppress(UnicodeDecodeError):
            items.append(parse_frame(payload.decode(errors="surrogatepass"), source="websocket", received_at=AT))
        shelf.store([item for item in items if isinstance(item, Notification | Unreadable)])

    with contextlib.closing(shelf):
        yield Door("socket", put)


@contextlib.contextmanager
def queue_door(folder: Path) -> Iterator[Door]:
    """Messages of a queue."""
    examples, shelf = envelopes(), _Shelf(folder, "queue")

    def put(draw: random.Random) -> None:
        payload = altered(draw.choice(examples), draw, examples)
        parsed, _ = parse_items([(payload, "m1"), (examples[0], "m2")], source="sqs", at=AT)
        shelf.store(parsed)

    with contextlib.closing(shelf):
        yield Door("queue", put)


@contextlib.contextmanager
def function_door(folder: Path) -> Iterator[Door]:
    """Calls of the function on AWS."""
    import os

    examples, path, number = calls(), folder / "function.db", 0
    env = {"ROLLBOOK_DB": str(path), "ROLLBOOK_JOURNAL": "delete", "GENESYSCLOUD_CLIENT_SECRET": SECRET}
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)

    def put(draw: random.Random) -> Output:
        nonlocal number
        number += 1
        if number % _CASES_OF_A_STORE == 0:
            lambda_handler._shelf.put_away()
            path.unlink(missing_ok=True)
        call = altered_tree(copy.deepcopy(draw.choice(examples)), draw)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            answer = lambda_handler.handler(call)
        json.dumps(answer)
        return Output([out.getvalue()])

    try:
        yield Door("function", put)
    finally:
        lambda_handler._shelf.put_away()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def packed(megabyte: bytes, times: int) -> bytes:
    """So many megabytes as gzip, never whole in memory."""
    packing = zlib.compressobj(1, wbits=31)
    return b"".join(packing.compress(megabyte) for _ in range(times)) + packing.flush()


@contextlib.contextmanager
def files_door(folder: Path) -> Iterator[Door]:
    """Files of `ingest`: plain and gzip, read in pieces of any size."""
    lines = (EXAMPLES / "eventbridge_detail_events.jsonl").read_bytes()
    plain = [lines[:6_000], *envelopes()[-4:]]
    examples = [*plain, *map(gzip.compress, plain), gzip.compress(plain[0]) + gzip.compress(plain[1])]
    # Tenths of a second each, and far more than what they are packed into.
    kinds = ((b"\0", 100), (b"[", 10), (b'{"a":', 2))
    bombs = [packed(piece * (1_000_000 // len(piece)), megabytes) for piece, megabytes in kinds]
    bombs.append(packed(b"{}\n" * 20_000, 1))
    shelf = _Shelf(folder, "files")

    def put(draw: random.Random) -> Output:
        payload = altered(draw.choice(examples), draw, examples)
        if draw.random() < 0.02:
            payload = draw.choice(bombs)
        size = draw.choice((1 << 20, 1 << 20, 7, 100, 4_096)) if len(payload) < 50_000 else 1 << 20

        class Pieces(io.BytesIO):
            def read(self, _: int | None = None) -> bytes:
                return super().read(size)

        origin = ingest.Origin("file", len(payload), lambda: Pieces(payload))
        result = ingest.read_all([origin], shelf.book(), advance=lambda *_: None)
        from rollbook.genesys.program.inert import inert

        return Output([json.dumps(result.as_dict()), *map(inert, ingest._lines(result))])

    with contextlib.closing(shelf):
        yield Door("files", put, share=1.5)
