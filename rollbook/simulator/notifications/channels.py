"""Channels and their subscriptions: who has which, for how long, and what the platform refuses. Pure.

Time and every name are given; sockets, HTTP and events are somebody else's. Limits and codes are those of the
platform's documents (notification reference, 2.3 and 2.4); where they are silent the choice is marked as one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.notifications.topics import EVERYTHING, LONGEST, Topic, detail_conversation, expand, find

LIFE: Final = timedelta(hours=24)
CHANNELS: Final = 20  # of a client (user and app)
PER_CHANNEL: Final = 1_000  # subscriptions, a combined one counting once
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Refused(Exception):
    """Refusal of a request. status: of HTTP; code, text: the error body's. about: the topics that it names."""

    def __init__(self, status: int, code: str, text: str, about: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.about = status, code, text, tuple(about)

    def body(self, context: str) -> dict[str, Any]:
        """The ErrorBody; context: the request's correlation id."""
        details = [{"errorCode": self.code, "fieldName": "id", "entityId": entity_id} for entity_id in self.about]
        return {
            "message": self.text,
            "code": self.code,
            "status": self.status,
            "messageParams": {},
            "contextId": context,
            "details": details,
            "errors": [],
        }


def gone() -> Refused:
    """The channel is not there, or not any more."""
    return Refused(404, "not.found", "The requested resource was not found.")


def _invalid(about: Iterable[str]) -> Refused:
    return Refused(400, "notification.invalid.topic", "The subscription topic is not valid.", list(about))


@dataclass(slots=True, eq=False)
class Channel:
    """Channel of a client. topics: each subscription as it was asked for, with the topics that are delivered for it.

    used: when it last did something. connected: a socket is open on it (set by whoever has the sockets).
    """

    id: str
    client: str
    token: str
    expires: datetime
    used: datetime
    topics: dict[str, tuple[str, ...]] = field(default_factory=dict)
    connected: bool = False


# Told of every channel that goes, and why: "evicted", "expired" or the reason given to `remove`.
OnGone = Callable[[Channel, str], None]


def _ignore(_channel: Channel, _why: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Answer:
    """Entity of the answer to a subscription, and the topics that the channel gets for it."""

    entity: dict[str, Any]
    permitted: tuple[str, ...] = ()


class Channels:
    """Every channel of every client. permissions: what clients may; a test takes some away.

    refused: topics that are refused although all permissions are there, with the permission that is said to be missing.
    subscribers: topic -> the channels that are subscribed to it; figures: those topics that say what goes on. watched:
    conversation -> how many topics of its detail events have a subscriber.
    """

    def __init__(
        self, draw: random.Random, *, limit: int = CHANNELS, per_channel: int = PER_CHANNEL, life: timedelta = LIFE
    ) -> None:
        self._draw, self.limit, self.per_channel, self.life = draw, limit, per_channel, life
        self.permissions: set[str] = set(EVERYTHING)
        self.refused: dict[str, str] = {}
        self.on_gone: OnGone = _ignore
        self.subscribers: dict[str, dict[str, Channel]] = {}
        self.figures: dict[str, None] = {}
        self.watched: Counter[str] = Counter()
        self.newly_watched: list[str] = []
        self._all: dict[str, Channel] = {}

    def restore(self, permission: str | None = None) -> None:
        """Give a permission back; None for all, and every refused topic with them."""
        self.permissions |= {permission} if permission else EVERYTHING
        if permission is None:
            self.refused.clear()

    # Channels

    def create(self, token: str, client: str, now: datetime) -> Channel:
        """A new channel; past the limit the one used longest ago goes, those without a socket first."""
        self.expire(now)
        mine = [channel for channel in self._all.values() if channel.client == client]
        if len(mine) >= self.limit:
            self.remove(min(mine, key=lambda channel: (channel.connected, channel.used)), "evicted")
        name = f"streaming-{self._draw.randrange(10)}-{''.join(self._draw.choices(_BASE36, k=26))}"
        made = self._all[name] = Channel(name, client, token, now + self.life, now)
        return made

    def get(self, name: str, now: datetime, client: str | None = None) -> Channel:
        """The channel of that id. client: None for the socket, where knowing the id is enough. Raises Refused (404)."""
        self.expire(now)
        found = self._all.get(name)
        if found is None or client not in (None, found.client):
            raise gone()
        return found

    def of(self, client: str, now: datetime) -> list[Channel]:
        """The client's channels, oldest first."""
        self.expire(now)
        return [channel for channel in self._all.values() if channel.client == client]

    def every(self) -> list[Channel]:
        """All channels, those that have expired and were not asked for since included."""
        return list(self._all.values())

    def remove(self, channel: Channel, why: str) -> None:
        """Take a channel away."""
        if self._all.pop(channel.id, None) is not None:
            self.clear(channel)
            self.on_gone(channel, why)

    def expire(self, now: datetime) -> None:
        """Take away those whose time is over."""
        for channel in [channel for channel in self._all.values() if channel.expires <= now]:
            self.remove(channel, "expired")

    # Subscriptions

    def replace(self, channel: Channel, asked: Sequence[str], now: datetime, *, ignore: bool) -> list[dict[str, Any]]:
        """PUT: these and no others. Raises Refused and leaves everything as it was."""
        answers = self._judge(asked, ignore=ignore)
        self._refuse_too_many(
            {answer.entity["id"] for answer in answers if answer.permitted}, "Too many subscriptions."
        )
        self.clear(channel)
        return self._take(channel, answers, now)

    def add(self, channel: Channel, asked: Sequence[str], now: datetime, *, ignore: bool) -> list[dict[str, Any]]:
        """POST, or `subscribe` over the socket: these too. Raises Refused and leaves everything as it was."""
        answers = self._judge(asked, ignore=ignore)
        wanted = {answer.entity["id"] for answer in answers if answer.permitted}
        self._refuse_too_many(wanted | set(channel.topics), "Too many subscriptions")
        return self._take(channel, answers, now)

    def drop(self, channel: Channel, asked: Iterable[str]) -> None:
        """`unsubscribe` over the socket: those and no others."""
        for name in asked:
            for topic in channel.topics.pop(name, ()):
                if not any(topic in others for others in channel.topics.values()):
                    self._unsubscribe(channel, topic)

    def clear(self, channel: Channel) -> None:
        """DELETE: all."""
        for topic in {topic for topics in channel.topics.values() for topic in topics}:
            self._unsubscribe(channel, topic)
        channel.topics.clear()

    def _take(self, channel: Channel, answers: list[_Answer], now: datetime) -> list[dict[str, Any]]:
        for answer in answers:
            if answer.permitted:
                self.drop(channel, [answer.entity["id"]])
                channel.topics[answer.entity["id"]] = answer.permitted
                for topic in answer.permitted:
                    self._subscribe(channel, topic)
        channel.used, channel.expires = now, now + self.life
        path = f"/api/v2/notifications/channels/{channel.id}/subscriptions"
        return [answer.entity | {"selfUri": path} for answer in answers]

    def _subscribe(self, channel: Channel, topic: str) -> None:
        channels = self.subscribers.setdefault(topic, {})
        conversation = detail_conversation(topic)
        if conversation is not None and channel.id not in channels:
            if not self.watched[conversation]:
                self.newly_watched.append(conversation)
            self.watched[conversation] += 1
        channels[channel.id] = channel
        found = find(topic)
        if found is not None and found.figure:
            self.figures[topic] = None

    def _unsubscribe(self, channel: Channel, topic: str) -> None:
        channels = self.subscribers.get(topic, {})
        if channels.pop(channel.id, None) is None:
            return
        if not channels:
            del self.subscribers[topic]
            self.figures.pop(topic, None)
        conversation = detail_conversation(topic)
        if conversation is not None:
            self.watched[conversation] -= 1
            if not self.watched[conversation]:
                del self.watched[conversation]

    def _refuse_too_many(self, wanted: set[str], text: str) -> None:
        if len(wanted) > self.per_channel:
            raise Refused(400, "notification.subscription.too.many.subscriptions", text)

    # Judging

    def _judge(self, asked: Sequence[str], *, ignore: bool) -> list[_Answer]:
        """Judge each topic. `ignoreErrors` forgives permissions only; a topic that does not exist fails every batch."""
        names = list(dict.fromkeys(asked))
        found = {name: [(topic_name, find(topic_name)) for topic_name in expand(name)] for name in names}
        bad = [name for name, each in found.items() if len(name) > LONGEST or any(topic is None for _, topic in each)]
        if bad:
            raise _invalid(bad)
        known = {
            name: [(topic_name, topic) for topic_name, topic in each if topic is not None]
            for name, each in found.items()
        }
        _refuse_kinds(known)
        answers = [answer for name, each in known.items() for answer in self._answers(name, each)]
        rejected = [answer.entity["id"] for answer in answers if answer.entity["state"] == "Rejected"]
        if rejected and not ignore:
            raise Refused(403, "notification.unauthorized.topic", "Not authorized for this topic.", rejected)
        return answers

    def _answers(self, name: str, each: list[tuple[str, Topic]]) -> list[_Answer]:
        """Answer for the subscription, and for each topic of a combined subscription that is refused alone."""
        missing = {topic_name: self._missing(topic_name, topic) for topic_name, topic in each}
        permitted = tuple(topic_name for topic_name, lacks in missing.items() if not lacks)
        if not permitted:
            return [_rejected(name, sorted({lack for lacks in missing.values() for lack in lacks}))]
        alone = [_rejected(topic_name, lacks) for topic_name, lacks in missing.items() if lacks]
        return [_Answer({"id": name, "state": "Permitted"}, permitted), *alone]

    def _missing(self, name: str, topic: Topic) -> list[str]:
        if name in self.refused:
            return [self.refused[name]]
        return [permission for permission in topic.permissions if permission not in self.permissions]


def _rejected(name: str, missing: list[str]) -> _Answer:
    return _Answer(
        {
            "id": name,
            "state": "Rejected",
            "rejectionReason": "Not authorized for this topic.",
            "missingPermissions": missing,
        }
    )


def _refuse_kinds(known: dict[str, list[tuple[str, Topic]]]) -> None:
    """Topics that no channel can have: other transports', and the platform's own messages."""
    system = [name for name, each in known.items() if any(topic.id.startswith("v2.system.") for _, topic in each)]
    if system:
        raise Refused(403, "notification.forbidden.topic", "Topic is forbidden", system)
    elsewhere = [name for name, each in known.items() if not all(topic.on_websocket for _, topic in each)]
    if elsewhere:
        raise Refused(
            400, "notification.transport.not.allowed", "unable to subscribe, transport type not permitted.", elsewhere
        )
    silent = [name for name, each in known.items() if any(topic.silent for _, topic in each)]
    if silent:
        raise Refused(501, "not.simulated", "The simulator has no events for this topic.", silent)
