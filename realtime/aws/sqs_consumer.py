"""Consumer of an SQS queue: receives messages, stores them, and deletes them only after the commit.

It owns the threads that do so, the messages in hand, and coverage by this transport. It makes four calls to a queue
(`sqs.py` has them). Several receivers wait for messages; one thread reads and stores, since several would only wait for
each other; deleting has threads of its own, because it waits for the network. Messages in hand stay invisible to others
for as long as the store is slow. A message that cannot be understood becomes a dead letter and is left to the queue's
redrive policy; where there is no policy it is deleted, or it would come again for ever.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol, TypeVar

from realtime.figures import QueueFigures
from realtime.storing.store_batch import BatchOutcome, Incoming, log_change, log_letters, parse_items, store_batch
from rollbook.genesys.errors import RollbookError, StoreError
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.tables import coverage, events
from rollbook.store.tables.events import Recorded
from rollbook.store.vocabulary import EndReason

log = logging.getLogger(__name__)
T = TypeVar("T")

# Messages of a commit. A queue gives ten messages a call; many receivers bring so many while a batch is written.
BATCH: Final = 256
# Messages in hand at most: received and neither deleted nor let go.
IN_HAND: Final = 2_000
DELETERS: Final = 2
TICK: Final = 2.0
RETRY: Final = 1.0
_BACK_OFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_CALL: Final = 10  # messages in one call, by SQS' own limit
# Seconds that stopping may take: for polls under way, to store messages in hand, to delete them.
_POLLS, _STORING, _DELETING = 0.3, 4.0, 2.0


class QueueError(RollbookError):
    """The queue does not answer, or refuses."""


class Message(NamedTuple):
    """id: the same each time it is delivered. handle: of this delivery."""

    id: str
    handle: str
    body: str


@dataclass(frozen=True, slots=True)
class About:
    """Settings of a queue. visibility: seconds for which a received message is hidden.

    redrives: whether the queue takes poisonous messages away.
    """

    visibility: float
    redrives: bool


class Queue(Protocol):
    """A queue, by four calls. Each may raise QueueError; each may be made from any thread."""

    name: str

    def about(self) -> About:
        """Settings of the queue."""

    def receive(self) -> Sequence[Message]:
        """Receive up to ten messages; waits for the first."""

    def delete(self, handles: Sequence[str]) -> Sequence[str]:
        """Delete up to ten; answers those that could not be deleted now."""

    def hide(self, handles: Sequence[str], seconds: int) -> None:
        """Keep up to ten hidden for so long from now on; 0 shows them to others at once."""


@dataclass(slots=True)
class _MessageInHand:
    message: Message
    received_at: datetime
    hidden_at: float


class SqsConsumer:
    """Brings the messages of a queue into the book. `look`, `start`, then `stop`; `look` and `stop` block."""

    def __init__(
        self,
        source: Queue,
        book: Book,
        *,
        now: Callable[[], datetime],
        topics: Sequence[str],
        receivers: int = 4,
        tick: float = TICK,
        retry: float = RETRY,
    ) -> None:
        self._queue, self._book, self._now = source, book, now
        self._topics = topics
        self._tick, self._retry = tick, retry
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Condition()
        self._hand: dict[str, _MessageInHand] = {}
        self._arrived: queue.SimpleQueue[_MessageInHand | None] = queue.SimpleQueue()
        self._stored: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._about = About(30.0, redrives=True)
        self._counts: Counter[str] = Counter()  # by the names of the figures
        self._store_failing: str | None = None
        self._last_at: datetime | None = None  # when what was stored last was received
        self._failing: dict[int, str] = {}  # receiver → why it hears nothing
        self._reached_at: datetime | None = None
        self._reached_tick = time.monotonic()
        self._span: int | None = None
        self._receivers = [self._thread(self._receive, number) for number in range(receivers)]
        self._storing = self._thread(self._store)
        self._deleting = [self._thread(self._delete) for _ in range(DELETERS)]
        self._keeping = self._thread(self._keep)

    def _thread(self, work: Callable[..., None], *given: int) -> threading.Thread:
        # A poll under way cannot be cancelled: it ends with the process.
        name = f"{self._queue.name} {work.__name__.strip('_')}"
        return threading.Thread(target=work, args=given, name=name, daemon=True)

    def look(self) -> None:
        """Ask how the queue is set up: takes minutes if AWS does not answer.

        Raises QueueError if the queue is not there, or may not be used.
        """
        self._about = self._queue.about()

    def start(self) -> None:
        """Begin to listen."""
        if not self._about.redrives:
            log.warning(
                "the queue %s has no redrive policy: what cannot be understood is deleted once its dead letter is"
                " stored",
                self._queue.name,
            )
        for thread in (*self._receivers, self._storing, *self._deleting, self._keeping):
            thread.start()

    def stop(self) -> None:
        """Receive no more, store and delete what is in hand, show the rest to others. Within seven seconds."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
        _join(self._receivers, _POLLS)
        self._arrived.put(None)
        _join([self._storing], _STORING)
        for _ in self._deleting:
            self._stored.put(None)
        _join(self._deleting, _DELETING)
        self._ended.set()
        _join([self._keeping], self._tick + 1.0)
        self._let_go(list(self._hand))
        if self._hand:
            log.warning("%s left to be received again", count(len(self._hand), "message is", "messages are"))

    def figures(self) -> QueueFigures:
        """Figures of this consumer."""
        with self._lock:
            first = next(iter(self._hand.values()), None)
            lost = len(self._failing) >= len(self._receivers)
            return QueueFigures(
                **self._counts,
                name=self._queue.name,
                store_failing=self._store_failing,
                last_at=self._last_at,
                is_listening=self._span is not None and not lost,
                silent_for=time.monotonic() - self._reached_tick if lost else 0.0,
                in_hand=len(self._hand),
                oldest=max((self._now() - first.received_at).total_seconds(), 0.0) if first else 0.0,
                failing=next(iter(self._failing.values())) if lost else None,
            )

    def _add(self, **more: int) -> None:
        with self._lock:
            self._counts.update(more)

    # Receiving

    def _receive(self, number: int) -> None:
        failures = 0
        while self._has_room():
            try:
                messages = self._queue.receive()
            except QueueError as error:
                self._lost(number, error)
                self._stopping.wait(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
                continue
            failures = 0
            self._take(number, messages)

    def _has_room(self) -> bool:
        """Wait until the messages of another call may be taken in hand; False when no more are wanted."""
        with self._lock:
            while len(self._hand) > IN_HAND and not self._stopping.is_set():
                self._lock.wait()
        return not self._stopping.is_set()

    def _lost(self, number: int, error: QueueError) -> None:
        with self._lock:
            if not self._failing:
                log.warning("cannot receive now, will try again: %s", error)
            self._failing[number] = str(error)

    def _take(self, number: int, messages: Sequence[Message]) -> None:
        now, tick = self._now(), time.monotonic()
        taken = [_MessageInHand(message, now, tick) for message in messages]
        with self._lock:
            self._reached_at, self._reached_tick = now, tick
            if self._failing.pop(number, None) is not None and not self._failing:
                log.info("receiving again")
            if self._ended.is_set() or (self._stopping.is_set() and not self._storing.is_alive()):
                self._let_go([message.handle for message in messages])
                return
            self._hand.update((in_hand.message.handle, in_hand) for in_hand in taken)
        if taken:
            self._add(received=len(taken))
            for in_hand in taken:
                self._arrived.put(in_hand)

    # Storing

    def _store(self) -> None:
        for batch in _batches(self._arrived, BATCH):
            self._store_batch(batch)

    def _store_batch(self, batch: list[_MessageInHand]) -> None:
        messages = [in_hand.message for in_hand in batch]
        bodies = ((message.body.encode(errors="surrogatepass"), message.id) for message in messages)
        at, redactor = to_text(batch[0].received_at), self._book.redactor
        parsed, owners = parse_items(bodies, source="sqs", at=at, redactor=redactor)
        unread = zip(owners, parsed, strict=True)
        poison = {position: item.error for position, item in unread if isinstance(item, Unreadable)}
        failed = {owners[number] for number in self._insist(parsed)}
        self._settle(batch, poison, failed)
        self._last_at = batch[-1].received_at

    def _insist(self, parsed: list[Incoming]) -> list[int]:
        """Store; again, for as long as waiting may mend it. Answers the positions of what cannot be stored."""
        left = list(range(len(parsed)))
        while left:
            outcome = store_batch(self._record, [parsed[position] for position in left])
            self._count(outcome)
            left = [left[number] for number in outcome.failed]
            if not outcome.is_file_failing or self._stopping.wait(self._retry):
                break
        return left

    def _record(self, batch: Sequence[Incoming]) -> Future[Recorded]:
        return self._book.write(events.record, batch, self._book.lag)

    def _count(self, outcome: BatchOutcome) -> None:
        self._add(new=outcome.events_new, repeated=outcome.events_repeated, dead_letters=outcome.dead_letters)
        log_letters(outcome)
        before, self._store_failing = self._store_failing, None if outcome.error is None else str(outcome.error)
        log_change(before, self._store_failing)

    def _settle(self, batch: list[_MessageInHand], poison: Mapping[int, str], failed: set[int]) -> None:
        """Have deleted what is durable; leave the rest to be delivered again, or to the redrive policy."""
        left = []
        for position, in_hand in enumerate(batch):
            if position in failed or (position in poison and self._about.redrives):
                left.append(in_hand.message.handle)
            else:
                self._stored.put(in_hand.message.handle)
        if failed and self._stopping.is_set():
            self._let_go([batch[position].message.handle for position in failed])
        if poison:
            log.warning(
                "%s could not be understood (table dead_letters); the first: %s",
                count(len(poison), "message"),
                next(iter(poison.values())),
            )
        self._forget(left)

    def _forget(self, handles: Sequence[str]) -> None:
        with self._lock:
            for handle in handles:
                self._hand.pop(handle, None)
            self._lock.notify_all()

    # Deleting

    def _delete(self) -> None:
        for handles in _batches(self._stored, _CALL):
            self._delete_now(handles)

    def _delete_now(self, handles: list[str]) -> None:
        """Delete; what cannot be deleted comes again, and is then a repeat that is deleted."""
        deleted, left = 0, list(handles)
        for _ in range(3):
            try:
                failed = set(self._queue.delete(left))
            except QueueError as error:
                log.warning("cannot delete now: %s", error)
                failed = set(left)
            deleted += len(left) - len(failed)
            left = [handle for handle in left if handle in failed]
            if not left or self._stopping.wait(self._retry):
                break
        self._add(deleted=deleted)
        self._forget(handles)

    # What time asks for: visibility and coverage

    def _keep(self) -> None:
        while not self._ended.wait(self._tick):
            self._hide_on()
            try:
                self._cover()
            except StoreError as error:
                log.warning("cannot note coverage: %s", error)
        with contextlib.suppress(StoreError):
            self._cover()
            if self._span is not None:
                self._uncover(self._span, EndReason.STOPPED)

    def _hide_on(self) -> None:
        """Hide messages again that were in hand for a third of their time: the queue must not deliver them again."""
        tick = time.monotonic()
        with self._lock:
            old = [in_hand for in_hand in self._hand.values() if tick - in_hand.hidden_at >= self._about.visibility / 3]
        for at in range(0, len(old), _CALL):
            part = old[at : at + _CALL]
            try:
                self._queue.hide([in_hand.message.handle for in_hand in part], round(self._about.visibility))
            except QueueError as error:
                log.warning("cannot keep messages hidden: %s", error)
                return
            for in_hand in part:
                in_hand.hidden_at = tick

    def _let_go(self, handles: Sequence[str]) -> None:
        for at in range(0, len(handles), _CALL):
            with contextlib.suppress(QueueError):
                self._queue.hide(handles[at : at + _CALL], 0)

    def _cover(self) -> None:
        """Let the ledger say what is heard: from the first answer of the queue on, for as long as it answers."""
        reached = self._reached_at
        lost = len(self._failing) >= len(self._receivers)
        if self._span is None:
            if reached is not None and not lost:
                at = to_text(reached)
                self._span = self._book.write(coverage.begin, "sqs", self._queue.name, self._topics, at).result()
        elif lost:
            self._uncover(self._span, EndReason.DISCONNECTED)
            self._span = None
        else:
            self._book.write(coverage.alive, [self._span], to_text(self._heard_until()))

    def _uncover(self, span: int, reason: EndReason) -> None:
        self._book.write(coverage.end, span, to_text(self._heard_until()), reason).result(_STORING)

    def _heard_until(self) -> datetime:
        """Everything that was received before this is durable."""
        with self._lock:
            first = next(iter(self._hand.values()), None)
            moments = [self._reached_at or self._now()]
        return min([*moments, first.received_at] if first else moments)


def _batches(items: queue.SimpleQueue[T | None], most: int) -> Iterator[list[T]]:
    """Wait for an item, and yield it with what else is there; until the end (None) comes."""
    while (item := items.get()) is not None:
        found = [item]
        with contextlib.suppress(queue.Empty):
            while len(found) < most and (item := items.get_nowait()) is not None:
                found.append(item)
        yield found
        if item is None:
            return


def _join(threads: Sequence[threading.Thread], within: float) -> None:
    until = time.monotonic() + within
    for thread in threads:
        if thread.is_alive():
            thread.join(max(until - time.monotonic(), 0.0))
