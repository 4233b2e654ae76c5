"""Stores a batch and reports each item that could not be stored: for sources that can deliver an item again.

An item that the book can never take becomes a dead letter and takes no neighbour with it; an item that it cannot take
now is reported. It waits only for the commit. (`store_frames.py` does the same for sockets, which cannot send again.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from rollbook.genesys.errors import StoreError
from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.store.file.errors import StoreBusy, StoreFull, StoreUnwritable
from rollbook.store.tables.events import Recorded

Incoming = Notification | Unreadable
Record = Callable[[Sequence[Incoming]], Future[Recorded]]
# Errors of the file and not of an item: no part of the batch would fare better.
_OF_THE_FILE: Final = (StoreBusy, StoreFull, StoreUnwritable, TimeoutError)


@dataclass(slots=True)
class BatchOutcome:
    """Outcome of storing a batch. failed: position → why it is not stored.

    is_file_failing: the reason is the file, so that the caller should wait.
    """

    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    is_file_failing: bool = False

    def count(self, recorded: Recorded) -> None:
        """Add the book's counts."""
        self.new += recorded.events_new
        self.repeated += recorded.events_repeated
        self.dead_letters += recorded.dead_letters


def store_batch(record: Record, batch: Sequence[Incoming], *, within: float = 3600.0) -> BatchOutcome:
    """Store a batch through `record`. within: seconds, after which what is not durable counts as failed."""
    answer = BatchOutcome()
    if batch:
        _store_part(record, list(batch), 0, time.monotonic() + within, answer)
    return answer


def _store_part(record: Record, batch: list[Incoming], first: int, until: float, answer: BatchOutcome) -> None:
    try:
        answer.count(record(batch).result(max(until - time.monotonic(), 0.0)))
    except _OF_THE_FILE as error:
        answer.is_file_failing = True
        _fail(answer, first, len(batch), str(error) or "the store did not answer in time")
    except Exception as error:
        if len(batch) > 1:
            middle = len(batch) // 2
            _store_part(record, batch[:middle], first, until, answer)
            _store_part(record, batch[middle:], first + middle, until, answer)
        elif isinstance(error, StoreError) or is_last_resort(batch[0]):
            _fail(answer, first, 1, str(error))
        else:
            _store_part(record, [unstorable(batch[0], error)], first, until, answer)


def _fail(answer: BatchOutcome, first: int, many: int, why: str) -> None:
    answer.failed.update(dict.fromkeys(range(first, first + many), why))


_CANNOT: Final = "cannot be stored"


def unstorable(item: Incoming, error: Exception) -> Unreadable:
    """The dead letter of an item that the book can never take."""
    if isinstance(item, Unreadable):
        payload, once = item.payload, item.once
    else:
        # With its topic, so that it can be tried again.
        payload = b'{"topicName":%b,"eventBody":%b}' % (json.dumps(item.topic).encode(), item.body)
        once = item.identity.hex()
    return Unreadable(item.source, payload, f"{_CANNOT}: {error}", item.received_at, once)


def is_last_resort(item: Incoming) -> bool:
    """Answer if it is such a dead letter itself: if it cannot be stored, then that is no fault of the item's."""
    return isinstance(item, Unreadable) and item.error.startswith(_CANNOT)
