"""Stores a batch of events and dead letters, and answers which of them are not stored, and why.

An item that the book can never take becomes a dead letter and takes no neighbour with it; an item that it cannot take
now is reported, and the caller decides: a queue or a function is called again, sockets cannot send again.
`store_batch` waits for the book in a thread. `store_frames.py` does so on the event loop, which is not imported here: a
function's cold start has no time for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rollbook.genesys.errors import StoreError
from rollbook.genesys.messages.notification import Notification, Unreadable, envelope_of
from rollbook.genesys.messages.payloads import parse_all
from rollbook.store.file.errors import StoreBusy, StoreFull, StoreUnwritable
from rollbook.store.tables.events import Recorded

if TYPE_CHECKING:
    from rollbook.genesys.privacy.redaction import Redactor

log = logging.getLogger(__name__)

Incoming = Notification | Unreadable
Record = Callable[[Sequence[Incoming]], Future[Recorded]]
# Items of a batch, and the position of the first of them.
Part = tuple[int, Sequence[Incoming]]
# Errors of the file and not of an item: no part of the batch would fare better, and waiting may mend them.
OF_THE_FILE: Final = (StoreBusy, StoreFull, StoreUnwritable, TimeoutError)


@dataclass(slots=True)
class StoredCounts:
    """Counts of what was stored: events that were new, events that were known already, dead letters.

    foreign: dead letters that are events of another organisation. refused: those that found no room, and are not kept.
    """

    events_new: int = 0
    events_repeated: int = 0
    dead_letters: int = 0
    foreign: int = 0
    refused: int = 0

    def add(self, counts: Recorded | StoredCounts) -> None:
        """Add the counts of a batch, or of a part of it."""
        self.events_new += counts.events_new
        self.events_repeated += counts.events_repeated
        self.dead_letters += counts.dead_letters
        self.foreign += counts.foreign
        self.refused += counts.refused


@dataclass(slots=True)
class BatchOutcome(StoredCounts):
    """Outcome of storing a batch. failed: position → why it is not stored."""

    failed: dict[int, Exception] = field(default_factory=dict)

    @property
    def error(self) -> Exception | None:
        """The first of the errors."""
        return next(iter(self.failed.values()), None)

    @property
    def is_file_failing(self) -> bool:
        """The reason is the file, so that the caller should wait."""
        return any(isinstance(error, OF_THE_FILE) for error in self.failed.values())

    def take_error(self, part: Part, error: Exception) -> list[Part]:
        """Take the error of a part; answers what to try in its place, the first last. Nothing: it is not stored."""
        first, items = part
        if not isinstance(error, OF_THE_FILE):
            if len(items) > 1:
                middle = len(items) // 2
                return [(first + middle, items[middle:]), (first, items[:middle])]
            if not (isinstance(error, StoreError) or _is_last_resort(items[0])):
                return [(first, [unstorable(items[0], error)])]
        if isinstance(error, TimeoutError):
            error = StoreBusy("the store did not answer in time")
        self.failed.update(dict.fromkeys(range(first, first + len(items)), error))
        return []


def store_batch(record: Record, batch: Sequence[Incoming], *, within: float = 3600.0) -> BatchOutcome:
    """Store a batch through `record`. within: seconds, after which what is not durable counts as failed."""
    outcome, parts = BatchOutcome(), whole(batch)
    until = time.monotonic() + within
    while parts:
        part = parts.pop()
        try:
            outcome.add(record(part[1]).result(max(until - time.monotonic(), 0.0)))
        except Exception as error:
            parts += outcome.take_error(part, error)
    return outcome


def whole(batch: Sequence[Incoming]) -> list[Part]:
    """The parts of a batch that has not been tried yet."""
    return [(0, batch)] if batch else []


def parse_items(
    items: Iterable[tuple[bytes, str]], *, source: str, at: str, redactor: Redactor | None = None
) -> tuple[list[Incoming], list[int]]:
    """Parse the items of a delivery, (payload, id); answers their events, and for each event its item's position.

    redactor: takes people's data out of them as they are read.
    """
    parsed: list[Incoming] = []
    owners: list[int] = []
    for position, (payload, name) in enumerate(items):
        found = parse_all(payload, source=source, received_at=at, once=name, redactor=redactor)
        parsed += found
        owners += [position] * len(found)
    return parsed, owners


def log_letters(counts: StoredCounts) -> None:
    """Warn of events of another organisation, which a rule or a folder should not bring, and of lack of room."""
    if counts.refused:
        log.warning(
            "%d dead letters found no room and are not kept: look at the others, and drop them (rollbook dead-letters)",
            counts.refused,
        )
    if counts.foreign:
        log.warning(
            "%d events of another organisation are dead letters: look at the rule, or the files", counts.foreign
        )


def log_change(before: str | None, now: str | None) -> None:
    """Log that the store takes nothing any more, and that it takes again. Each is why it takes nothing, or None."""
    if before is None and now is not None:
        log.error("cannot store what is heard, will keep trying: %s", now)
    elif before is not None and now is None:
        log.info("storing again")


_CANNOT: Final = "cannot be stored"


def unstorable(item: Incoming, error: Exception) -> Unreadable:
    """The dead letter of an item that the book can never take."""
    if isinstance(item, Unreadable):
        payload, once = item.payload, item.once
    else:
        # With its topic, so that it can be tried again.
        payload = envelope_of(item)
        once = item.identity.hex()
    return Unreadable(item.source, payload, f"{_CANNOT}: {error}", item.received_at, once)


def _is_last_resort(item: Incoming) -> bool:
    """Answer if it is such a dead letter itself: if it cannot be stored, then that is no fault of the item's."""
    return isinstance(item, Unreadable) and item.error.startswith(_CANNOT)
