"""A queue in memory that keeps SQS' promises and no more: at least once, in no order, hidden while in hand.

The four calls of `realtime.aws.sqs_consumer.Queue`, as fast as a list. Tests and benchmarks put it in SQS' place.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from realtime.aws.sqs_consumer import About, Message, QueueError, SqsConsumer


class Hidden(NamedTuple):
    """A message that somebody has in hand."""

    message: Message
    until: float


class StandIn:
    """about: how it is set up. down: it does not answer. reject: handles that cannot be deleted the first time."""

    name = "events"

    def __init__(self, bodies: Iterable[str] = (), *, visibility: float = 30.0, redrives: bool = True) -> None:
        self._about = About(visibility, redrives)
        self._lock = threading.Condition()
        self._numbers = itertools.count()
        self.waiting: deque[Message] = deque()
        self.hidden: dict[str, Hidden] = {}
        self.received: dict[str, int] = {}
        self.deleted: list[str] = []
        self.hides: list[tuple[int, int]] = []
        self.calls = 0
        self.down = False
        self.refuse_deletes = 0
        self.redriven: list[Message] = []
        self.many = 0
        for body in bodies:
            self.send(body)

    def send(self, body: str) -> None:
        """Put a message in."""
        with self._lock:
            number = next(self._numbers)
            self.waiting.append(Message(f"m{number}", "", body))
            self._lock.notify()

    def about(self) -> About:
        self._look()
        return self._about

    def _look(self) -> None:
        self.calls += 1
        if self.down:
            raise QueueError("the queue events: no answer; check the network")

    def receive(self) -> Sequence[Message]:
        self._look()
        with self._lock:
            if not self.waiting:
                self._lock.wait(0.02)
                self._show()
            found: list[Message] = []
            now = time.monotonic()
            while self.waiting and len(found) < 10:
                message = self.waiting.popleft()
                handle = f"h{next(self._numbers)}"
                self.received[message.id] = self.received.get(message.id, 0) + 1
                delivered = message._replace(handle=handle)
                self.hidden[handle] = Hidden(delivered, now + self._about.visibility)
                found.append(delivered)
        return found

    def _show(self) -> None:
        now = time.monotonic()
        for handle in [handle for handle, hidden in self.hidden.items() if hidden.until <= now]:
            message = self.hidden.pop(handle).message
            if self._about.redrives and self.received[message.id] >= 3:
                self.redriven.append(message)
            else:
                self.waiting.append(message)

    def delete(self, handles: Sequence[str]) -> Sequence[str]:
        self._look()
        if self.refuse_deletes > 0:
            self.refuse_deletes -= 1
            return list(handles)
        with self._lock:
            for handle in handles:
                if self.hidden.pop(handle, None) is not None:
                    self.deleted.append(handle)
        return []

    def hide(self, handles: Sequence[str], seconds: int) -> None:
        self._look()
        self.hides.append((len(handles), seconds))
        with self._lock:
            for handle in handles:
                if handle in self.hidden:
                    self.hidden[handle] = self.hidden[handle]._replace(until=time.monotonic() + seconds)
            if seconds == 0:
                self._show()

    @property
    def empty(self) -> bool:
        """Whether nothing is left in it, in hand or not."""
        return not self.waiting and not self.hidden


@contextmanager
def at_work(consumer: SqsConsumer) -> Iterator[None]:
    """A consumer takes messages meanwhile, and has ended afterwards."""
    consumer.look()
    consumer.start()
    try:
        yield
    finally:
        consumer.stop()
