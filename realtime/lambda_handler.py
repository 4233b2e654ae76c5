"""The function on AWS: its events go into the book; a schedule goes to the reconciler.

A mounted file may have a single writer only, so capture and reconciliation are the same function, which recognises its
calls by their shape (`realtime/aws/lambda_events.py`). It is imported at every cold start, and so imports only what
capture needs: no HTTP, no AWS library, no scheduler. Its answers:

    an event        {"events_new": 1, "events_repeated": 0, "dead_letters": 0}; raises if it cannot be stored now
    SQS, Kinesis    {"batchItemFailures": [{"itemIdentifier": …}]}
    Firehose        {"records": [{"recordId", "result": "Ok" | "ProcessingFailed", "data"}]}
    a schedule      the reconciler's report
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from realtime.aws.lambda_events import CallItem, Delivery, ToReconcile, understand
from realtime.storing.store_batch import BatchOutcome, parse_items, store_batch
from rollbook.genesys.errors import StoreError
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import cloudwatch
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.tables import events

if TYPE_CHECKING:
    from reconcile.lambda_handler import FunctionContext

log = logging.getLogger(__name__)

# Seconds of the function's time that are kept for its answer. Without a context (a test) there is no hurry.
_TO_ANSWER: Final = 2.0
_NO_HURRY: Final = 60.0
_CLOSING: Final = 1.0


def handler(event: Any, context: FunctionContext | None = None) -> dict[str, Any]:
    """Answer a call, as above; raises StoreError for a single event that cannot be stored now."""
    until = time.monotonic() + _seconds_left(context)
    call = understand(event)
    if isinstance(call, ToReconcile):
        from reconcile.lambda_handler import handler as reconcile

        _shelf.put_away()
        return reconcile({} if call.window is None else {"window": call.window}, context)
    return _answer(call, event, *_store(call, until))


def _seconds_left(context: FunctionContext | None) -> float:
    if context is None or not hasattr(context, "get_remaining_time_in_millis"):
        return _NO_HURRY
    return max(context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER, 0.1)


def _store(call: Delivery, until: float) -> tuple[BatchOutcome, dict[int, str]]:
    """Store what came. Answers what became of it, and position of item → why it is not stored."""
    settings = load(env=os.environ, cwd=Path.cwd())
    at = to_text(datetime.now(UTC))
    source = "sqs" if call.shape == "sqs" else "eventbridge"
    parsed, owners = parse_items(((item.payload, item.name or "") for item in call.items), source=source, at=at)
    try:
        book = _shelf.book(settings, until)
        topics = settings.sqs_topics
        outcome = store_batch(
            lambda part: book.write(events.record_call, part, book.lag, source=source, topics=topics, at=at),
            parsed,
            within=until - time.monotonic(),
        )
    except StoreError as error:
        outcome = BatchOutcome(failed=dict.fromkeys(range(len(parsed)), error))
    failed = {owners[position]: str(error) for position, error in outcome.failed.items()}
    if failed:
        _shelf.put_away()
        log.error("%d of %d could not be stored: %s", len(failed), len(call.items), next(iter(failed.values())))
    if outcome.dead_letters:
        why = next((item.error for item in parsed if isinstance(item, Unreadable)), "it cannot be stored")
        log.warning("%d dead letters (table dead_letters); the first: %s", outcome.dead_letters, why)
        cloudwatch.count(DeadLetters=outcome.dead_letters)
    return outcome, failed


def _answer(call: Delivery, event: Any, outcome: BatchOutcome, failed: Mapping[int, str]) -> dict[str, Any]:
    """Answer to the caller, in the form that its kind expects."""
    if call.shape == "firehose":
        pairs = zip(call.items, event["records"], strict=True)
        return {"records": [_looked_through(*pair, failed=position in failed) for position, pair in enumerate(pairs)]}
    names = [call.items[position].name for position in sorted(failed)]
    if None in names:
        # A single event, or a message without an id: no name to report its failure, so the whole call must come again.
        raise StoreError(next(iter(failed.values())))
    if call.shape == "event":
        return {name: getattr(outcome, name) for name in ("events_new", "events_repeated", "dead_letters")}
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def _looked_through(item: CallItem, record: object, *, failed: bool) -> dict[str, Any]:
    data = record.get("data") if isinstance(record, Mapping) else None
    return {"recordId": item.name, "result": "ProcessingFailed" if failed else "Ok", "data": data}


class _Shelf:
    """Keeps the book open from call to call."""

    def __init__(self) -> None:
        self._book: Book | None = None
        self._file: tuple[int, int] | None = None

    def book(self, settings: Settings, until: float) -> Book:
        """The book, opened if it is not open, or if its file is another by now. Raises StoreError."""
        path = settings.store_path
        if self._book is not None and (self._book.path != path or self._file != _identity(path)):
            self.put_away()
        if self._book is None:
            # A program that keeps the file locked must not make this call wait until AWS ends the function.
            busy = max((until - time.monotonic()) / 3, 0.1)
            self._book = Book.open(
                path,
                command="lambda",
                journal=settings.journal,
                busy=busy,
                pack=settings.pack,
                redactor=redactor_of(settings),
            )
            self._file = _identity(path)
        return self._book

    def put_away(self) -> None:
        """Close the book. A write that waits for another program's lock goes on waiting in a thread of its own."""
        book, self._book = self._book, None
        if book is not None:
            closing = threading.Thread(target=book.close, daemon=True)
            closing.start()
            closing.join(_CLOSING)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


_shelf: Final = _Shelf()
