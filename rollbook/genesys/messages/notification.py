"""Frames of the notification socket and EventBridge envelopes, read. Pure.

A frame in; a `Notification` (an event, kept whole), a control message, or an `Unreadable` out. Never an exception,
whatever the bytes. The caller says who it came from and when. What an event says about a conversation is read in
`rollbook/genesys/messages/live_facts.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from rollbook.genesys.canonical_json import decode, mend_surrogates, spelled
from rollbook.genesys.ids import LONGEST as LONGEST_ID
from rollbook.genesys.ids import conversation_id as spelling
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.lenient_json import as_object, text, words
from rollbook.genesys.messages.documented_shapes import MEDIUM_SNAPSHOT, SNAPSHOT
from rollbook.genesys.messages.identity import identity_of, identity_of_spelling
from rollbook.genesys.messages.live_facts import LiveFacts, event_time, of_event, of_snapshot
from rollbook.genesys.messages.live_fields import fields_of_snapshot
from rollbook.genesys.topics import conversation_id_of, snapshot_media

if TYPE_CHECKING:
    from rollbook.genesys.privacy.redaction import Redactor

__all__ = [
    "Control",
    "Heartbeat",
    "LiveFacts",
    "Notification",
    "Pong",
    "Reply",
    "SocketClosing",
    "SystemMessage",
    "Unreadable",
    "envelope_of",
    "parse_envelope",
    "parse_frame",
]


# Structs where one is made for every event: a frozen dataclass takes ten times as long to make.
class Notification(msgspec.Struct, frozen=True):
    """An event on a topic. Times are API text; `body` is the eventBody as it came.

    identity: as `identity.py` has it. conversation_id, event_time, facts: None where the
    event has none. A value that cannot be an id is no id: the body keeps it, and nobody asks for it. organization: the
    id of the organisation whose EventBridge source it names; None where it names none. redactor: what has taken
    people's data out of the body already.
    """

    topic: str
    body: bytes
    identity: bytes
    conversation_id: str | None
    event_time: str | None
    received_at: str
    source: str
    facts: LiveFacts | None
    organization: str | None = None
    redactor: Redactor | None = None


class Unreadable(msgspec.Struct, frozen=True):
    """A payload that cannot be understood, whole, and why: it becomes a dead letter.

    once: of what may be delivered again, the same each time, so that it is kept once; else empty.
    """

    source: str
    payload: bytes
    error: str
    received_at: str
    once: str = ""


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


class _Message(msgspec.Struct):
    # Nothing here has a type that a message could fail to have: what is wrong is judged below, field by field.
    topicName: Any = None
    eventBody: msgspec.Raw = msgspec.Raw(b"null")
    result: Any = None
    status: Any = None
    message: Any = None
    correlationId: Any = None


class _Envelope(_Message):
    detail: msgspec.Raw = msgspec.Raw(b"")
    source: Any = None


# `aws.partner/genesys.com/cloud/ORGANISATION/SUFFIX`: AWS sets it, and lets nobody but the partner send so.
_PARTNER: Final = "aws.partner/genesys.com/cloud/"


_encode: Final = msgspec.json.Encoder().encode
_read_message: Final = msgspec.json.Decoder(_Message).decode
_read_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_T = TypeVar("_T")


def parse_frame(
    frame: str | bytes, *, source: str, received_at: str, redactor: Redactor | None = None
) -> Notification | Unreadable | Control:
    """Read a frame of the socket. received_at: API text. redactor: takes people's data out of it as it is read."""
    payload = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    try:
        message = _mended(_read_message, payload)
        topic = message.topicName
        if not isinstance(topic, str) or not topic:
            if message.result is not None:
                return _reply(message)
            return Unreadable(source, payload, "it has no topicName", received_at)
        if topic.startswith(_CONTROL_TOPICS):
            return _control(topic, decode(bytes(message.eventBody)))
        return _notification(topic, bytes(message.eventBody), source, received_at, redactor)
    except (ValueError, RecursionError) as error:
        return Unreadable(source, payload, _why(error), received_at)


def parse_envelope(
    envelope: bytes, *, source: str, received_at: str, redactor: Redactor | None = None
) -> Notification | Unreadable:
    """Read an EventBridge event, or its `detail` alone (an input transformer can leave just that).

    redactor: as `parse_frame` has it.
    """
    try:
        outer = _mended(_read_envelope, envelope)
        detail = bytes(outer.detail)
        message = _mended(_read_message, detail) if detail else outer
        topic = message.topicName
        if not isinstance(topic, str) or not topic:
            return Unreadable(source, envelope, "it has no topicName", received_at)
        found = _notification(topic, bytes(message.eventBody), source, received_at, redactor)
        organization = _organization_of(outer.source)
        return found if organization is None else replace(found, organization=organization)
    except (ValueError, RecursionError) as error:
        return Unreadable(source, envelope, _why(error), received_at)


def _organization_of(source: object) -> str | None:
    if not isinstance(source, str) or not source.startswith(_PARTNER):
        return None
    return source.removeprefix(_PARTNER).partition("/")[0].lower() or None


def envelope_of(event: Notification) -> bytes:
    """An event as an envelope that says the same: for a dead letter, which may be read again."""
    detail = b'{"topicName":%b,"eventBody":%b}' % (_encode(event.topic), event.body)
    if event.organization is None:
        return detail
    return b'{"source":%b,"detail":%b}' % (_encode(f"{_PARTNER}{event.organization}/"), detail)


def _mended(read: Callable[[bytes], _T], payload: bytes) -> _T:
    try:
        return read(payload)
    except msgspec.DecodeError:
        mended = mend_surrogates(payload)
        if mended == payload:
            raise
        return read(mended)


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8: {error}"
    if isinstance(error, msgspec.ValidationError):
        return f"it is not a notification: {error}"
    return f"it is not JSON: {error}"


def _notification(
    topic: str, event_body: bytes, source: str, received_at: str, redactor: Redactor | None
) -> Notification:
    media = snapshot_media(topic)
    known = None if redactor is None or media is None else _known(media, event_body, redactor)
    body, spelling = (decode(event_body), None) if known is None else known
    time = facts = None
    if isinstance(body, dict):
        named = text(body.get("conversationId" if media is None else "id"))
        conversation_id = _id(named or conversation_id_of(topic))
        time = event_time(body)
        if conversation_id is not None:
            facts = of_event(topic, body, time) if media is None else of_snapshot(media, body)
    else:
        conversation_id = _id(conversation_id_of(topic))
    if redactor is None:
        identity = identity_of(topic, body)
        return Notification(topic, event_body, identity, conversation_id, time, received_at, source, facts)
    if spelling is None:
        # While it is decoded anyway: to decode what was stored, and to spell it twice, would take half as long again.
        body = redactor.decoded(body, event_body)
        spelling = spelled(body)
    identity = identity_of_spelling(topic, body, spelling)
    return Notification(topic, spelling, identity, conversation_id, time, received_at, source, facts, redactor=redactor)


def _known(media: str, body: bytes, redactor: Redactor) -> tuple[dict[str, Any], bytes] | None:
    """The fields of a snapshot that its facts are read from, and its redacted spelling; None where it has a field that
    is not documented. media: as `topics.snapshot_media` answers it.
    """
    spelling = redactor.known(MEDIUM_SNAPSHOT if media else SNAPSHOT, body)
    if spelling is None:
        return None
    try:
        return fields_of_snapshot(body), spelling
    except ValueError:  # a part that the policy leaves out may have any shape
        return None


def _id(named: str | None) -> str | None:
    """The id in its one spelling; None for what cannot be one, which would have every other id refused with it."""
    return None if not named or len(named) > LONGEST_ID else _known_id(named)


# A conversation's events come together.
@lru_cache(maxsize=8_192)
def _known_id(named: str) -> str | None:
    found = spelling(named)
    return found if found is not None and may_be_asked_for(found) else None


_METADATA: Final = "channel.metadata"
_CONTROL_TOPICS: Final = (_METADATA, "v2.system.", "v2.subscription.updated")
# What a system topic is about when the channel will hear nothing any more.
_GONE: Final = ("no_longer_subscribed", "token_revoked")


def _control(topic: str, body: object) -> Control:
    """The platform's messages about the channel itself, that nobody subscribes to."""
    fields = as_object(body)
    message = words(fields.get("message"))
    if topic == _METADATA:
        spoken = (message or "").lower()
        if spoken == "pong":
            return Pong()
        return Heartbeat() if "heartbeat" in spoken else SystemMessage(topic, message, channel_gone=False)
    if topic == "v2.system.socket_closing":
        return SocketClosing()
    parts = topic.split(".")
    about = words(fields.get("systemTopicType")) or (parts[2] if len(parts) > 2 else topic)
    return SystemMessage(topic, words(fields.get("reason")) or about, channel_gone=about in _GONE)


def _reply(message: _Message) -> Reply:
    result = message.result
    said = str(result) if isinstance(result, str | int) else ""
    return Reply(said, words(message.status), words(message.message), words(message.correlationId))
