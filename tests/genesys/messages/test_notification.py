"""Frames and envelopes: events, messages about the channel, and what cannot be understood. Never an exception."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.messages.notification import (
    Control,
    Heartbeat,
    Notification,
    Pong,
    Reply,
    SocketClosing,
    SystemMessage,
    Unreadable,
    parse_envelope,
    parse_frame,
)
from rollbook.genesys.times import normalize
from tests.helpers.paths import EXAMPLES

MESSAGES: dict[str, dict[str, Any]] = json.loads((EXAMPLES / "ws_messages.json").read_text())
ENVELOPES = [line.encode() for line in (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()]
FRAMES = (EXAMPLES / "ws_detail_events.jsonl").read_text().splitlines()
CONVERSATION = "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21"
QUEUE_TOPIC = "v2.routing.queues.a1b2c3d4-1111-4222-8333-944445555666.conversations"
AT = "2026-08-03T15:00:00.000Z"

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(frame: str | bytes) -> Notification | Unreadable | Control:
    """A frame of the socket."""
    return parse_frame(frame, source="websocket", received_at=AT)


def event(topic: object, body: object, **more: object) -> Notification:
    """The observation of an event."""
    found = read(json.dumps({"topicName": topic, "version": "2", "eventBody": body} | more))
    assert isinstance(found, Notification)
    return found


@pytest.mark.parametrize(
    "name", [name for name in MESSAGES if name not in ("heartbeat", "pong") and "system" not in name]
)
def test_every_example_is_an_event(name: str) -> None:
    """The whole eventBody is kept, and the event stands under its full topic."""
    message = MESSAGES[name]
    found = read(json.dumps(message))
    assert isinstance(found, Notification)
    assert found.topic == message["topicName"]
    assert json.loads(found.body) == message["eventBody"]
    assert (found.source, found.received_at, len(found.identity)) == ("websocket", AT, 16)


def test_the_body_is_kept_byte_for_byte() -> None:
    """Spaces, escapes and number formats of the eventBody are the platform's."""
    body = b'{ "id" : "c1",\n "n": 1.50, "t": "\\u00e9" }'
    found = read(b'{"topicName":"' + QUEUE_TOPIC.encode() + b'", "eventBody":' + body + b"}")
    assert isinstance(found, Notification)
    assert found.body == body


@pytest.mark.parametrize(
    ("frame", "control"),
    [
        (MESSAGES["heartbeat"], Heartbeat()),
        (MESSAGES["pong"], Pong()),
        (MESSAGES["system_socket_closing"], SocketClosing()),
        ({"topicName": "v2.system.socket_closing"}, SocketClosing()),
        (
            MESSAGES["system_no_longer_subscribed"],
            SystemMessage(MESSAGES["system_no_longer_subscribed"]["topicName"], "another_channel_subscribed", True),
        ),
        (
            {"topicName": "v2.system.token_revoked.x", "eventBody": {}},
            SystemMessage("v2.system.token_revoked.x", "token_revoked", True),
        ),
        (
            {"topicName": "v2.system.x.y", "eventBody": {"systemTopicType": "subscription_changed"}},
            SystemMessage("v2.system.x.y", "subscription_changed", False),
        ),
        (
            {"topicName": "v2.subscription.updated", "eventBody": []},
            SystemMessage("v2.subscription.updated", "updated", False),
        ),
        (
            {"topicName": "channel.metadata", "eventBody": {"message": "news"}},
            SystemMessage("channel.metadata", "news", False),
        ),
        (
            {"result": "200", "status": "subscribed", "correlationId": "7"},
            Reply("200", "subscribed", None, "7"),
        ),
        ({"result": "404", "message": "gone"}, Reply("404", None, "gone", None)),
        ({"result": 400, "status": "failure", "message": ""}, Reply("400", "failure", None, None)),
    ],
)
def test_messages_about_the_channel_are_no_events(frame: dict[str, Any], control: Control) -> None:
    """Heartbeats, answers to pings and subscriptions, and the platform's system topics."""
    assert read(json.dumps(frame)) == control


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("null", "notification"),
        ("[]", "notification"),
        ('"text"', "notification"),
        ("{}", "topicName"),
        ('{"topicName":""}', "topicName"),
        ('{"topicName":5,"eventBody":{}}', "topicName"),
        ('{"message":"what?"}', "topicName"),
        (b"\xff\xfe", "JSON"),
        (b'{"topicName":"v2.a","eventBody":"\xff"}', "UTF-8"),
        ("[" * 100_000, "notification"),
        ('{"topicName":"v2.a","eventBody":' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        ("\ud800", "JSON"),
    ],
)
def test_what_cannot_be_understood_is_kept_with_its_reason(frame: str | bytes, why: str) -> None:
    """The payload is whole, and the reason is a line for a person."""
    found = read(frame)
    assert isinstance(found, Unreadable)
    assert why in found.error
    assert "\n" not in found.error
    assert found.payload == (frame if isinstance(frame, bytes) else frame.encode(errors="surrogatepass"))
    assert (found.source, found.received_at) == ("websocket", AT)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_bytes_are_something(frame: bytes | str) -> None:
    """No frame raises; what is no JSON object is unreadable."""
    found = read(frame)
    assert isinstance(found, Unreadable | Notification | Control)
    if isinstance(found, Unreadable):
        assert isinstance(parse_envelope(found.payload, source="sqs", received_at=AT), Unreadable | Notification)


@given(junk)
def test_any_json_is_something(value: Any) -> None:
    """No message raises, whatever its fields are."""
    assert read(json.dumps(value)) is not None
    assert parse_envelope(json.dumps(value).encode(), source="sqs", received_at=AT) is not None


@given(
    st.sampled_from(
        [QUEUE_TOPIC, f"{QUEUE_TOPIC}.calls", f"v2.detail.events.conversation.{CONVERSATION}.customer.end", "v2.x"]
    ),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "id",
                "conversationId",
                "eventTime",
                "mediaType",
                "direction",
                "divisionId",
                "divisionIds",
                "divisions",
                "metricDate",
            ),
            junk,
        ),
    ),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                (
                    "connectedTime",
                    "endTime",
                    "startAcwTime",
                    "state",
                    "purpose",
                    "direction",
                    "calls",
                    "messages",
                    "wrapup",
                ),
                junk,
            ),
        )
        | junk,
        max_size=3,
    ),
)
def test_any_field_of_any_type_is_an_event(topic: str, body: dict[str, Any], participants: list[Any]) -> None:
    """Valid JSON with a topic is an event, whatever its known fields hold; facts are texts of time or nothing."""
    found = event(topic, body | {"participants": participants})
    if found.facts is not None:
        for time in (found.facts.started_at, found.facts.ended_at, found.facts.last_at, found.event_time):
            assert time is None or normalize(time) == time
        assert all(isinstance(word, str) for word in (*found.facts.media_types, *found.facts.division_ids))


@given(junk, junk)
def test_identity_is_topic_and_content(body: Any, other: Any) -> None:
    """Correlation id, envelope, order of keys and number formats make no other event; topic and content do."""
    first = event("v2.a", body, metadata={"CorrelationId": "1"})
    again = read(
        json.dumps(
            {"metadata": {"CorrelationId": "2"}, "eventBody": body, "topicName": "v2.a"}, sort_keys=True, indent=1
        )
    )
    assert isinstance(again, Notification)
    assert again.identity == first.identity
    assert event("v2.b", body).identity != first.identity
    bridged = parse_envelope(
        json.dumps({"id": "x", "detail": {"topicName": "v2.a", "eventBody": body, "timestamp": AT}}).encode(),
        source="eventbridge",
        received_at="2026-08-03T16:00:00.000Z",
    )
    assert isinstance(bridged, Notification)
    assert bridged.identity == first.identity
    assert event("v2.a", [body, other]).identity != first.identity


def test_the_same_event_comes_over_either_transport() -> None:
    """The socket's and EventBridge's copies of the sixteen detail events agree in all but the source."""
    assert len(FRAMES) == len(ENVELOPES) == 18
    for frame, envelope in zip(FRAMES, ENVELOPES, strict=True):
        over_socket = read(frame)
        bridged = parse_envelope(envelope, source="eventbridge", received_at=AT)
        assert isinstance(over_socket, Notification)
        assert isinstance(bridged, Notification)
        assert (bridged.topic, bridged.identity, bridged.conversation_id, bridged.event_time, bridged.facts) == (
            over_socket.topic,
            over_socket.identity,
            over_socket.conversation_id,
            over_socket.event_time,
            over_socket.facts,
        )


def test_an_envelope_may_be_its_detail_alone() -> None:
    """An input transformer can pass on only that."""
    whole = json.loads(ENVELOPES[0])
    found = parse_envelope(json.dumps(whole["detail"]).encode(), source="sqs", received_at=AT)
    assert isinstance(found, Notification)
    assert found.conversation_id == CONVERSATION


@pytest.mark.parametrize(
    "envelope", [b"", b"{}", b'{"detail":5}', b'{"detail":{}}', b'{"detail":null}', b"[]", b'{"detail":"x"}']
)
def test_an_envelope_without_a_topic_is_unreadable(envelope: bytes) -> None:
    """It is kept whole with the reason."""
    found = parse_envelope(envelope, source="sqs", received_at=AT)
    assert isinstance(found, Unreadable)
    assert found.payload == envelope


def test_an_unknown_topic_is_an_event() -> None:
    """Valid JSON with a topic is one, whatever it is about, with or without a body."""
    assert event("v2.brand.new", {"x": 1}).conversation_id is None
    assert event("v2.brand.new", [1]).facts is None
    assert event("v2.brand.new", {"conversationId": "c9"}).conversation_id == "c9"
    empty = read('{"topicName":"v2.brand.new"}')
    assert isinstance(empty, Notification)
    assert empty.body == b"null"


def test_conversation_and_time_of_an_event() -> None:
    """Taken from the body where it has them, from the topic where it has not; snapshots have no time of their own."""
    assert event(QUEUE_TOPIC, {"id": "c1", "conversationId": "no"}).conversation_id == "c1"
    assert event(QUEUE_TOPIC, {}).conversation_id is None
    assert event(f"v2.conversations.{CONVERSATION}.transcription", "text").conversation_id == CONVERSATION
    assert event(f"v2.detail.events.conversation.{CONVERSATION}.acw", {}).conversation_id == CONVERSATION
    assert event("v2.x", {"eventTime": 1785765600000}).event_time == "2026-08-03T14:00:00.000Z"
    assert event("v2.x", {"eventTime": "2026-08-03T14:00:00Z"}).event_time == "2026-08-03T14:00:00.000Z"
    assert event("v2.x", {"eventTime": "soon"}).event_time is None
    assert read(json.dumps(MESSAGES["queue_conversation"])).event_time is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "odd",
    [
        "x" * 65,
        "x" * 9_000,
        "a,b",
        "a b",
        "a/b",
        "a%2Fb",
        "../../x",
        "\u00e9",
        "\n",
        "a\x00b",
        "a&b=c",
        "'; --",
        "\U0001f600",
    ],
)
def test_what_cannot_be_an_id_makes_an_event_alone(odd: str) -> None:
    """It is kept whole in the body, and names no conversation, wherever the id stands."""
    for topic, body in (
        (QUEUE_TOPIC, {"id": odd}),
        (f"{QUEUE_TOPIC}.calls", {"id": odd, "participants": [{"connectedTime": AT}]}),
        ("v2.x", {"conversationId": odd}),
        (f"v2.detail.events.conversation.{odd}.customer.end", {"conversationId": odd, "eventTime": 1785765600000}),
    ):
        found = event(topic, body)
        assert (found.conversation_id, found.facts) == (None, None)
        assert json.loads(found.body) == body
    assert event(f"v2.conversations.{'y' * 70}.transcription", "text").conversation_id is None


def test_an_id_in_capitals_is_the_same_conversation() -> None:
    """A UUID is spelled in small letters, from a body or from a topic; an id of another form stays as it is."""
    loud = CONVERSATION.upper()
    assert event(QUEUE_TOPIC, {"id": loud}).conversation_id == CONVERSATION
    assert event("v2.x", {"conversationId": loud}).conversation_id == CONVERSATION
    assert event(f"v2.conversations.{loud}.transcription", "text").conversation_id == CONVERSATION
    assert event(f"v2.detail.events.conversation.{loud}.acw", {}).conversation_id == CONVERSATION
    assert event("v2.x", {"conversationId": "Ab12"}).conversation_id == "Ab12"


def test_half_an_emoji_is_still_an_event() -> None:
    """A text that was cut within a surrogate pair spoils no notification."""
    found = read('{"topicName":"v2.x","eventBody":{"conversationId":"c","name":"Ann \\ud83d"}}')
    assert isinstance(found, Notification)
    assert json.loads(found.body)["name"] == "Ann \ufffd"


def test_shuffled_snapshots_are_one_event() -> None:
    """A real snapshot keeps its identity with its keys in any order, and loses it with any value changed."""
    message = MESSAGES["queue_conversation"]
    body = message["eventBody"]
    draw = random.Random(1)
    items = list(body.items())
    draw.shuffle(items)
    first = event(QUEUE_TOPIC, body)
    assert event(QUEUE_TOPIC, dict(items)).identity == first.identity
    changed = json.loads(json.dumps(body))
    changed["participants"][-1]["calls"][0]["held"] = True
    assert event(QUEUE_TOPIC, changed).identity != first.identity
