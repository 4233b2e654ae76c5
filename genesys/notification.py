"""What a frame of the notification socket and an EventBridge envelope look like. Pure.

One frame in; an `Observation` (an event, kept whole), a control message, or an `Unreadable` out. Never an exception,
whatever the bytes. Who it came from and when are told by the caller. What an event says about a conversation is read in
`genesys/facts.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from genesys.facts import LiveFacts

__all__ = [
    "Control",
    "Heartbeat",
    "LiveFacts",
    "Observation",
    "Pong",
    "Reply",
    "SocketClosing",
    "SystemMessage",
    "Unreadable",
    "parse_envelope",
    "parse_frame",
]


@dataclass(frozen=True, slots=True)
class Observation:
    """One notification. Times are API text; `body` is the eventBody as it came.

    identity: 16 bytes, equal for the same content on the same topic. conversation_id, event_time, facts: None where the
    event has none.
    """

    topic: str
    body: bytes
    identity: bytes
    conversation_id: str | None
    event_time: str | None
    received_at: str
    source: str
    facts: LiveFacts | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot be understood, whole, and why: it becomes a dead letter."""

    source: str
    payload: bytes
    error: str
    received_at: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The platform's sign of life, every 30 seconds."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to our `{"message": "ping"}`."""


@dataclass(frozen=True, slots=True)
class SocketClosing:
    """The platform will close this socket within about a minute."""


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """Another message of the platform about the channel. channel_gone: it will hear nothing any more."""

    topic: str
    reason: str | None
    channel_gone: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a subscribe or unsubscribe over the socket, or an error. result: "200", "400", "404" (gone)."""

    result: str
    status: str | None
    message: str | None
    correlation_id: str | None


Control = Heartbeat | Pong | SocketClosing | SystemMessage | Reply


def parse_frame(frame: str | bytes, *, source: str, received_at: str) -> Observation | Unreadable | Control:
    """One frame of the socket."""
    raise NotImplementedError


def parse_envelope(envelope: bytes, *, source: str, received_at: str) -> Observation | Unreadable:
    """One EventBridge event (or its `detail` alone)."""
    raise NotImplementedError
