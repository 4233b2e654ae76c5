"""From a queue into the book: messages are received, stored, and deleted only after the commit.

It owns the threads that do so, the messages in hand, and coverage by this transport. It knows a queue by four calls
(`sqs.py` makes them) and the book by its door. Several receivers wait for messages; one thread reads and stores, since
more would only wait for each other; deleting has threads of its own, because it waits for the network. What is in hand
stays invisible to others for as long as the store is slow. What cannot be understood is a dead letter and is left to
the queue's redrive policy; where there is none it is deleted, or it would come again for ever.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from realtime.storing.store_batch import Deposited, Heard, deposit
from rollbook.genesys.errors import RollbookError, StoreError
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.messages.payloads import parse_all
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.vocabulary import EndReason

log = logging.getLogger(__name__)

# Of one commit. A queue gives ten messages a call, so this is what many receivers bring while one batch is written.
BATCH: Final = 256
# Messages in hand at most: received and neither deleted nor let go.
IN_HAND: Final = 2_000
DELETERS: Final = 2
TICK: Final = 2.0
RETRY: Final = 1.0
_BACK_OFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_CALL: Final = 10  # messages in one call, by SQS' own limit
# How long an ending may take: the polls under way, what is in hand, its deletion.
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
    """visibility: seconds for which a received message is hidden. redrives: whether a poisonous one is taken away."""

    visibility: float
    redrives: bool


class Queue(Protocol):
    """The four calls. Each may raise QueueError; each may be made from any thread."""

    name: str

    def about(self) -> About:
        """How the queue is set up."""

    def receive(self) -> Sequence[Message]:
        """Up to ten messages; waits for the first one."""

    def delete(self, handles: Sequence[str]) -> Sequence[str]:
        """Delete up to ten; answers those that could not be deleted now."""

    def hide(self, handles: Sequence[str], seconds: int) -> None:
        """Keep up to ten hidden for so long from now on; 0 shows them to others at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """How the door does. Counts since the start; oldest: seconds since the oldest message in hand came."""

    name: str = ""
    listening: bool = False
    silent_for: float = 0.0
    received: int = 0
    new: int = 0
    repeated: int = 0
    dead_letters: int = 0
    deleted: int = 0
    in_hand: int = 0
    oldest: float = 0.0
    failing: str | None = None
    store_failing: str | None = None
    last_at: datetime | None = None


@dataclass(slots=True)
class _Held:
    message: Message
    received_at: datetime
    hidden_at: float


class Door:
    """One queue's way into the book. `look`, `start`, then `stop`; `look` and `stop` block, the others do not."""

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
        self._hand: dict[str, _Held] = {}
        self._arrived: queue.SimpleQueue[list[_Held] | None] = queue.SimpleQueue()
        self._stored: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._about = About(30.0, redrives=True)
        self._numbers = QueueFigures(name=source.name)
        self._failing: dict[int, str] = {}  # receiver → why it hears nothing
        self._reached_at: datetime | None = None
        self._reached_tick = time.monotonic()
        self._span: int | None = None
        self._receivers = [self._thread(self._receive, number) for number in range(receivers)]
        self._storing = self._thread(self._store)
        self._deleting = [self._thread(self._delete) for _ in range(DELETERS)]
        self._keeping = self._thread(self._keep)

    def _thread(self, work: Callable[..., None], *given: int) -> threading.Thread:
        # A poll under way cannot be called back: it ends with the process.
        name = f"{self._queue.name} {work.__name__.strip('_')}"
        return threading.Thread(target=work, args=given, name=name, daemon=True)

    def look(self) -> None:
        """See how the queue is set up: minutes, where nobody answers.

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
        for one in (*self._receivers, self._storing, *self._deleting, self._keeping):
            one.start()

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
        """How it does."""
        with self._lock:
            first = next(iter(self._hand.values()), None)
            lost = len(self._failing) >= len(self._receivers)
            return replace(
                self._numbers,
                listening=self._span is not None and not lost,
                silent_for=time.monotonic() - self._reached_tick if lost else 0.0,
                in_hand=len(self._hand),
                oldest=max((self._now() - first.received_at).total_seconds(), 0.0) if first else 0.0,
                failing=next(iter(self._failing.values())) if lost else None,
            )

    def _say(self, **what: Any) -> None:
        with self._lock:
            self._numbers = replace(self._numbers, **what)

    def _add(self, **more: int) -> None:
        with self._lock:
            counts = {name: getattr(self._numbers, name) + number for name, number in more.items()}
            self._numbers = replace(self._numbers, **counts)

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
        """Wait until another call's messages may be taken in hand; False when no more are wanted."""
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
        held = [_Held(message, now, tick) for message in messages]
        with self._lock:
            self._reached_at, self._reached_tick = now, tick
            if self._failing.pop(number, None) is not None and not self._failing:
                log.info("receiving again")
            if self._ended.is_set() or (self._stopping.is_set() and not self._storing.is_alive()):
                self._let_go([one.handle for one in messages])
                return
            self._hand.update((one.message.handle, one) for one in held)
        if held:
            self._add(received=len(held))
            self._arrived.put(held)

    # Storing

    def _store(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next()
            if batch:
                self._store_batch(batch)

    def _next(self) -> tuple[list[_Held], bool]:
        """Wait for messages, then take what else is there."""
        batch: list[_Held] = []
        item = self._arrived.get()
        while item is not None:
            batch += item
            if len(batch) >= BATCH:
                return batch, False
            try:
                item = self._arrived.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _store_batch(self, batch: list[_Held]) -> None:
        heard: list[Heard] = []
        owners: list[int] = []
        poison: dict[int, str] = {}
        at = to_text(batch[0].received_at)
        for position, held in enumerate(batch):
            body = held.message.body.encode(errors="surrogatepass")
            found = parse_all(body, source="sqs", received_at=at, once=held.message.id)
            poison.update((position, one.error) for one in found if isinstance(one, Unreadable))
            heard += found
            owners += [position] * len(found)
        failed = {owners[one] for one in self._insist(heard)}
        self._settle(batch, poison, failed)
        self._say(last_at=batch[-1].received_at)

    def _insist(self, heard: list[Heard]) -> set[int]:
        """Store; again, for as long as waiting may mend it. Answers the positions of what cannot be stored."""
        waiting = dict(enumerate(heard))
        failed: set[int] = set()
        while waiting:
            told = deposit(self._book.record, list(waiting.values()))
            self._count(told)
            names = list(waiting)
            waiting = {names[one]: waiting[names[one]] for one in told.failed}
            if waiting and (not told.file_fails or self._stopping.wait(self._retry)):
                failed, waiting = set(waiting), {}
        return failed

    def _count(self, told: Deposited) -> None:
        self._add(new=told.new, repeated=told.repeated, dead_letters=told.dead_letters)
        failing = next(iter(told.failed.values()), None)
        if failing is not None and self._numbers.store_failing is None:
            log.error("cannot store what is heard, will keep trying: %s", failing)
        elif failing is None and self._numbers.store_failing is not None:
            log.info("storing again")
        if failing != self._numbers.store_failing:
            self._say(store_failing=failing)

    def _settle(self, batch: list[_Held], poison: Mapping[int, str], failed: set[int]) -> None:
        """Have deleted what is durable; leave the rest to be delivered again, or to the redrive policy."""
        left = []
        for position, held in enumerate(batch):
            if position in failed or (position in poison and self._about.redrives):
                left.append(held.message.handle)
            else:
                self._stored.put(held.message.handle)
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
        ended = False
        while not ended:
            handle = self._stored.get()
            handles = [] if handle is None else [handle]
            ended = handle is None
            while handles and not ended and len(handles) < _CALL:
                try:
                    handle = self._stored.get_nowait()
                except queue.Empty:
                    break
                if handle is None:
                    ended = True
                else:
                    handles.append(handle)
            if handles:
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
            left = [one for one in left if one in failed]
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
                self._book.end_coverage(self._span, to_text(self._heard_until()), EndReason.STOPPED).result(_STORING)

    def _hide_on(self) -> None:
        """Hide on what has been in hand for a third of its time, so that nobody else is given it meanwhile."""
        tick = time.monotonic()
        with self._lock:
            old = [one for one in self._hand.values() if tick - one.hidden_at >= self._about.visibility / 3]
        for at in range(0, len(old), _CALL):
            part = old[at : at + _CALL]
            try:
                self._queue.hide([one.message.handle for one in part], round(self._about.visibility))
            except QueueError as error:
                log.warning("cannot keep messages hidden: %s", error)
                return
            for one in part:
                one.hidden_at = tick

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
                self._span = self._book.begin_coverage("sqs", self._queue.name, self._topics, at)
        elif lost:
            self._book.end_coverage(self._span, to_text(self._heard_until()), EndReason.DISCONNECTED).result(_STORING)
            self._span = None
        else:
            self._book.alive(to_text(self._heard_until()), [self._span])

    def _heard_until(self) -> datetime:
        """Everything that was received before this is durable."""
        with self._lock:
            first = next(iter(self._hand.values()), None)
            moments = [self._reached_at or self._now()]
        return min([*moments, first.received_at] if first else moments)


def _join(threads: Sequence[threading.Thread], within: float) -> None:
    until = time.monotonic() + within
    for one in threads:
        if one.is_alive():
            one.join(max(until - time.monotonic(), 0.0))
