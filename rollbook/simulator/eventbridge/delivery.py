"""The organisation's traffic as EventBridge brings it: at least once, in no order, and what can go wrong on the way.

Takes events as the organisation tells them and gives envelopes as JSON text, ready for a bus, a queue or a file. What
goes wrong is drawn with a seed, so that the same organisation loses the same events. Pure: it sends nothing
(`rollbook/simulator/eventbridge/aws.py` does) and knows no clock but the events' own.
"""

from __future__ import annotations

import fnmatch
import json
import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.emitter import Event

DETAIL_EVENTS: Final = "v2.detail.events.conversation.{id}.*"
# From what happens to its publication; the recorded ones lie between nothing and some hundred milliseconds.
PUBLISHED: Final = timedelta(milliseconds=350)
_POISON: Final = (
    "this is no JSON",
    "[1,2,3]",
    "{}",
    '{"detail":null}',
    '{"detail":{"eventBody":{}}}',
    '{"detail":{"topicName":17}}',
    '{"version":"0","id":"cut off","detail":{"topicName":"v2.detail.ev',
    "7",
    "\ufffd",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTrouble:
    """Faults of delivery: shares of all events, from 0 to 1; `reorder`: among how many neighbours the order is lost.

    loss: never delivered (the platform or AWS gave it up). deaf: conversations of which nothing is delivered.
    repeats: delivered again, by AWS with the same id or by the platform with another. bundled: several in one message.
    poison: messages that nobody can read, beside the events.
    """

    loss: float = 0.0
    deaf: float = 0.0
    repeats: float = 0.0
    reorder: int = 1
    bundled: float = 0.0
    poison: float = 0.0


@dataclass(slots=True)
class Delivered:
    """Fate of the events: (topic, body) of each that was delivered at least once, and of each that never was."""

    sent: set[tuple[str, str]] = field(default_factory=set)
    lost: list[Event] = field(default_factory=list)
    poison: int = 0
    messages: int = 0


class EventBridge:
    """An integration. `take` gets every event; `messages` gives the messages that are due now.

    topics: templates, `*` stands for anything, as the integration's filter lists them. organization: its id.
    """

    def __init__(
        self,
        organization: str,
        *,
        topics: Sequence[str] = (DETAIL_EVENTS,),
        trouble: DeliveryTrouble | None = None,
        seed: int = 1,
        suffix: str = "simulated",
        account: str = "123456789012",
        region: str = "us-east-1",
    ) -> None:
        self._organization, self._suffix = organization, suffix
        self._account, self._region = account, region
        self._topics = tuple(topics)
        self._trouble = trouble or DeliveryTrouble()
        self._draw = random.Random(f"eventbridge {seed}")
        self._seed = seed
        self._waiting: list[str] = []
        self.delivered = Delivered()

    def take(self, event: Event) -> None:
        """An event of the organisation; what the integration does not list is passed over."""
        # "{" and "}" are no wildcards; fnmatch knows "[", which no topic has.
        if not any(fnmatch.fnmatchcase(event.template, topic) for topic in self._topics):
            return
        trouble, draw = self._trouble, self._draw.random
        if self._is_deaf(event.conversation) or draw() < trouble.loss:
            self.delivered.lost.append(event)
            return
        self.delivered.sent.add((event.topic, event.body))
        first = self._envelope(event)
        self._waiting.append(first)
        if draw() < trouble.repeats:
            self._waiting.append(first if draw() < 0.5 else self._envelope(event))
        if draw() < trouble.poison:
            self.delivered.poison += 1
            self._waiting.append(self._draw.choice(_POISON))

    def _is_deaf(self, conversation: str) -> bool:
        return random.Random(f"{self._seed} {conversation}").random() < self._trouble.deaf

    def _envelope(self, event: Event) -> str:
        envelope = frames.envelope(
            event.template,
            event.topic,
            json.loads(event.body),
            published=event.at + PUBLISHED,
            identity=str(uuid.UUID(int=self._draw.getrandbits(128), version=4)),
            correlation_id=event.correlation_id,
            organization=self._organization,
            suffix=self._suffix,
            account=self._account,
            region=self._region,
        )
        return frames.encoded(envelope)

    def messages(self, *, all: bool = False) -> list[str]:
        """Message bodies that are due now. all: those too that wait for neighbours to overtake them."""
        keep = 0 if all else self._trouble.reorder - 1
        ready = self._shuffled(keep)
        self.delivered.messages += len(ready)
        return ready

    def _shuffled(self, keep: int) -> list[str]:
        found: list[str] = []
        while len(self._waiting) > keep:
            at = self._draw.randrange(min(self._trouble.reorder, len(self._waiting)))
            found.append(self._waiting.pop(at))
        return list(self._bundles(found))

    def _bundles(self, found: Iterable[str]) -> Iterable[str]:
        bundle = ""
        for message in found:
            bundle += message
            if not message.startswith('{"version"') or self._draw.random() >= self._trouble.bundled:
                yield bundle
                bundle = ""
        if bundle:
            yield bundle
