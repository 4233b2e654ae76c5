"""Events of the topics that tell what goes on, not what happens in a conversation: users, queues, the jobs' watermark.

Such an event is sent when its body has changed since the last look, and only of topics with a subscriber. Looked at
when a conversation of theirs changes, and every minute of the organisation's clock for what changes by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.topics import find
from rollbook.simulator.organisation import current_activity
from rollbook.simulator.organisation.current_activity import OngoingSession
from rollbook.simulator.organisation.world import World
from rollbook.simulator.times import text

_EVERY: Final = timedelta(minutes=1)
_MOVING: Final = re.compile(r',?"calculatedMetricValue":\d+')  # moves with every moment, which is no change
AVAILABILITY: Final = "v2.analytics.conversations.details.jobs.availability"


class ActivityEvent(NamedTuple):
    """Event of a topic that says what goes on. body: JSON text."""

    topic: str
    template: str
    body: str


class ActivityEvents:
    """The event that was sent last on each topic. subscribed: the topics of this kind that have a subscriber.

    watermark: of the jobs.
    """

    def __init__(
        self, world: World, subscribed: Mapping[str, object], watermark: Callable[[datetime], datetime] | None = None
    ) -> None:
        self._world, self._subscribed, self.watermark = world, subscribed, watermark
        self._last: dict[tuple[str, int], str] = {}
        self._begun: set[str] = set()
        self._looked: datetime | None = None

    @property
    def wanted(self) -> bool:
        """Say whether any such topic has a subscriber."""
        return bool(self._subscribed)

    def begin(self, at: datetime) -> None:
        """Take in topics that are new: what holds already is no news of theirs."""
        if self._begun == self._subscribed.keys():
            return
        for gone in self._begun - self._subscribed.keys():
            self._last = {key: body for key, body in self._last.items() if key[0] != gone}
        fresh = self._subscribed.keys() - self._begun
        self._begun = set(self._subscribed)
        for _ in self._changed(fresh, at):
            pass

    def by_itself(self, at: datetime) -> Iterator[ActivityEvent]:
        """Events of changes that no conversation caused."""
        if self._subscribed and (self._looked is None or at - self._looked >= _EVERY):
            self._looked = at
            yield from self._changed(list(self._subscribed), at)

    def of(self, owners: Iterable[str], at: datetime) -> Iterator[ActivityEvent]:
        """Events that a change causes on topics of users and queues. owners: their ids."""
        if self._subscribed:
            concerned = set(owners)
            yield from self._changed(
                [topic for topic in self._subscribed if not concerned.isdisjoint(topic.split("."))], at
            )

    def _changed(self, topics: Iterable[str], at: datetime) -> Iterator[ActivityEvent]:
        going_on: list[OngoingSession] | None = None
        for topic in topics:
            found = find(topic)
            assert found is not None
            if going_on is None:
                going_on = current_activity.tasks(self._world, at)
            for number, body in enumerate(self._bodies(found.id, topic, at, going_on)):
                written = frames.encoded(body)
                same = _MOVING.sub("", written)
                if self._last.get((topic, number)) != same:
                    self._last[topic, number] = same
                    yield ActivityEvent(topic, found.id, written)

    def _bodies(
        self, template: str, topic: str, at: datetime, going_on: Sequence[OngoingSession]
    ) -> Iterator[dict[str, Any]]:
        owner = topic.split(".")[3 if template.startswith("v2.analytics") else 2]
        if template == AVAILABILITY:
            if self.watermark is not None:
                yield {"dataAvailabilityDate": text(self.watermark(at))}
        elif template.endswith(".presence"):
            yield current_activity.presence(owner, at)
        elif template.endswith(".routingStatus"):
            status = current_activity.routing_status(self._world, owner, at, going_on)
            yield {"id": owner, "routingStatus": {name: status[name] for name in ("status", "startTime")}}
        elif template.endswith(".conversationsummary"):
            yield current_activity.summary(owner, going_on)
        elif template == "v2.users.{id}.activity":
            queues = [
                queue["id"]
                for queue in self._world.queues
                if owner in current_activity.members(self._world.users, queue)
            ]
            yield current_activity.activity(self._world, owner, at, going_on, queues)
        elif template == "v2.analytics.queues.{id}.activity":
            yield current_activity.queue_activity(owner, going_on, at)
        else:
            for medium in current_activity.MEDIA:
                yield current_activity.queue_observations(owner, medium, going_on, at)
