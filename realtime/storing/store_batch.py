"""Stores a batch and says, item by item, what could not be stored: for doors that can have an item delivered again.

What the book can never take becomes a dead letter and takes no neighbour with it; what it cannot take now is reported.
It waits for nothing but the commit. (`store_frames.py` does the same for sockets, which cannot send anything again.)
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

Heard = Notification | Unreadable
Record = Callable[[Sequence[Heard]], Future[Recorded]]
# What concerns the file and not an item: no part of the batch would fare better.
_OF_THE_FILE: Final = (StoreBusy, StoreFull, StoreUnwritable, TimeoutError)


@dataclass(slots=True)
class Deposited:
    """What became of a batch. failed: position → why it is not stored. file_fails: the file is why, so wait for it."""

    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    file_fails: bool = False

    def count(self, told: Recorded) -> None:
        """Add what the book says."""
        self.new += told.events_new
        self.repeated += told.events_repeated
        self.dead_letters += told.dead_letters


def deposit(record: Record, batch: Sequence[Heard], *, within: float = 3600.0) -> Deposited:
    """Store a batch through `record`. within: seconds, after which what is not durable counts as failed."""
    answer = Deposited()
    if batch:
        _deposit(record, list(batch), 0, time.monotonic() + within, answer)
    return answer


def _deposit(record: Record, batch: list[Heard], first: int, until: float, answer: Deposited) -> None:
    try:
        answer.count(record(batch).result(max(until - time.monotonic(), 0.0)))
    except _OF_THE_FILE as error:
        answer.file_fails = True
        _fail(answer, first, len(batch), str(error) or "the store did not answer in time")
    except Exception as error:
        if len(batch) > 1:
            middle = len(batch) // 2
            _deposit(record, batch[:middle], first, until, answer)
            _deposit(record, batch[middle:], first + middle, until, answer)
        elif isinstance(error, StoreError) or is_last_resort(batch[0]):
            _fail(answer, first, 1, str(error))
        else:
            _deposit(record, [unstorable(batch[0], error)], first, until, answer)


def _fail(answer: Deposited, first: int, many: int, why: str) -> None:
    answer.failed.update(dict.fromkeys(range(first, first + many), why))


_CANNOT: Final = "cannot be stored"


def unstorable(item: Heard, error: Exception) -> Unreadable:
    """The dead letter of an item that the book can never take."""
    if isinstance(item, Unreadable):
        payload, once = item.payload, item.once
    else:
        # With its topic, so that it can be tried again.
        payload = b'{"topicName":%b,"eventBody":%b}' % (json.dumps(item.topic).encode(), item.body)
        once = item.identity.hex()
    return Unreadable(item.source, payload, f"{_CANNOT}: {error}", item.received_at, once)


def is_last_resort(item: Heard) -> bool:
    """Whether it is such a dead letter itself: what cannot be stored then is no fault of the item's."""
    return isinstance(item, Unreadable) and item.error.startswith(_CANNOT)
