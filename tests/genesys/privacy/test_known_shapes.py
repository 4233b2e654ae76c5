"""Events whose every field is documented: the quick way leaves the same bytes and facts as the look at everything."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.messages.documented_shapes import DETAIL_EVENT, MEDIUM_SNAPSHOT, SNAPSHOT, Shape
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.privacy.personal_fields import PATHS, FieldClass
from rollbook.genesys.privacy.policy import STRICT, Treatment, parse
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.topics import snapshot_media
from tests.genesys.privacy.test_redaction import CANARY, JSON, KEY, places
from tests.helpers.canaries import Canaries
from tests.helpers.paths import EXAMPLES

AT = "2026-08-03T15:00:00.000Z"


class Thorough(Redactor):
    """A redactor that looks at everything."""

    def known(self, shape: Shape, raw: bytes) -> bytes | None:
        """Know nothing."""
        return None


@cache
def documented() -> dict[str, str]:
    """Each topic of conversations → a body with every field that it may have. No text of it seems to hold JSON."""
    bodies = Canaries(("canary-%d", "tel:+4930901%d", "ada@canary-%d.example")).bodies()
    return {topic: json.dumps(body) for topic, body in bodies}


def shape_of(topic: str) -> Shape:
    """The shape of the bodies of a topic."""
    media = snapshot_media(topic)
    return DETAIL_EVENT if media is None else MEDIUM_SNAPSHOT if media else SNAPSHOT


def frame(topic: str, body: bytes) -> bytes:
    """The frame of an event."""
    return b'{"topicName":%b,"eventBody":%b}' % (json.dumps(topic).encode(), body)


def read(topic: str, body: bytes, redactor: Redactor) -> list[Any]:
    """What is kept of an event."""
    found = parse_frame(frame(topic, body), source="s", received_at=AT, redactor=redactor)
    assert isinstance(found, Notification | Unreadable)
    return [getattr(found, name) for name in found.__struct_fields__ if name != "redactor"]


def examples() -> list[tuple[str, bytes]]:
    """The platform's own examples of events: topics and bodies."""
    lines = (EXAMPLES / "ws_detail_events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    events += json.loads((EXAMPLES / "ws_messages.json").read_text()).values()
    return [
        (event["topicName"], json.dumps(event["eventBody"]).encode())
        for event in events
        if event.get("topicName", "").startswith(("v2.detail", "v2.users", "v2.routing"))
    ]


# Paths of fields in every corner: parts, lists of parts, maps, and members of all of these.
PLACES = [
    *("self", "self.*", "other.name", "attributes", "attributes.key", "participants.attributes.*", "messageParams.key"),
    *("calls", "participants", "participants.calls", "messages", "divisions.*", "queue.name", "queue", "wrapup.tags"),
    *("errors.message", "errors", "limit.*", "toAddress", "participants.id", "id", "state", "connectedTime", "held"),
    *("eventTime", "conversationId", "mediaType", "communications", "journeyContext.*", "autoAnswerAlertToneSeconds"),
    *("disposition.timerStartTime", "timerStartTime", "calls.*", "participants.*", "purpose", "direction"),
]
POLICIES = st.just("strict") | st.dictionaries(
    st.sampled_from([*FieldClass, *PLACES]), st.sampled_from([*Treatment]), min_size=1, max_size=6
)
NAMES = sorted({path.split(".")[-1] for paths in PATHS.values() for path in paths} - {"*"})
# What a value may be spelled like, and what no JSON is.
SPELLINGS = [
    *(b"1.0", b"-0.0", b"1e3", b"1.5", b"1e400", b"123456789012345678901234567890", b"[1.0]", b"-7"),
    *(rb'"\ud800"', rb'"\ud83d\ude00"', b'"\xff"', '"ü😀"'.encode(), rb'"\u0000"', b'"\x01"', rb'"\x"', b'""', b"nul"),
    *(b'{"a":1,"a":{"ani":"x"}}', rb'"{\"ani\":\"x\"}"', b"[[{}]]", b'{"b":1,"a":2.0}', b"[" * 2_000 + b"]" * 2_000),
    *(b'1,"name":"x","name":{"ani":"x"}', b'1,"participants":null', b'1,"attributes":{"z":"","a":"x"}', b"{ } "),
]
VALUES = JSON | st.sampled_from(
    [{"ani": CANARY}, [{"subject": CANARY}], '{"ani":"x"}', {"key": 1, "a": ""}, {"z": CANARY, "key": None}, [], {}, ""]
)
MARK = "the mark"


@given(topic=st.sampled_from(sorted(documented())), policy=POLICIES, data=st.data())
def test_known_events_are_what_the_others_are(topic: str, policy: Any, data: st.DataObject) -> None:
    """Identity, body, facts and every other field, whatever came and whatever the policy names."""
    body = json.loads(documented()[topic])
    for _ in range(data.draw(st.integers(0, 3))):
        node, key = data.draw(st.sampled_from(list(places(body))))
        if isinstance(node, dict) and data.draw(st.booleans()):
            key = data.draw(st.sampled_from([*NAMES, "unknown", "participants", "messages", "eventTime", "key"]))
        if data.draw(st.booleans()) and isinstance(node, dict):
            node.pop(key, None)
        else:
            node[key] = data.draw(VALUES | st.just(MARK))
    raw = json.dumps(body).encode().replace(f'"{MARK}"'.encode(), data.draw(st.sampled_from(SPELLINGS)))
    assert read(topic, raw, Redactor(parse(policy), KEY)) == read(topic, raw, Thorough(parse(policy), KEY))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "name", ["address", "name", "attributes", "maxParticipants", "participants", "unknown", "eventTime", "subject"]
)
def test_a_value_of_any_spelling_is_what_it_is_to_others(name: str, spelling: bytes) -> None:
    """Numbers, escapes, members named twice, and what is no JSON, where something is left out and where it is not."""
    raw = b'{"id":"6e2cd9a4-8a6a-4f0c-9d2e-000000000001","participants":[{"name":"x","%b":%b}],"%b":%b}'
    raw %= (name.encode(), spelling, name.encode(), spelling)
    for topic in ("v2.users.u.conversations", "v2.users.u.conversations.calls", "v2.detail.events.conversation.c.acw"):
        assert read(topic, raw, Redactor(STRICT)) == read(topic, raw, Thorough(STRICT))


@pytest.mark.parametrize("topic", sorted(documented()))
@pytest.mark.parametrize("policy", ["strict", "phone_numbers=hash, names=shorten, attributes=drop"])
def test_documented_events_take_the_quick_way(topic: str, policy: str) -> None:
    """With every field that the platform's schema has; with one more an event does not, and is redacted all the same."""
    redactor = Redactor(parse(policy), KEY)
    raw = documented()[topic].encode()
    assert redactor.known(shape_of(topic), raw) == spelled(redactor.decoded(decode(raw), raw))
    raw = json.dumps({**json.loads(raw), "more": {"ani": CANARY}}).encode()
    assert redactor.known(shape_of(topic), raw) is None
    assert CANARY.encode() not in read(topic, raw, redactor)[1]


@pytest.mark.parametrize(("topic", "raw"), examples())
def test_the_platform_s_examples_take_the_quick_way(topic: str, raw: bytes) -> None:
    """Each is of a shape that is known."""
    assert Redactor(STRICT).known(shape_of(topic), raw) is not None
    assert read(topic, raw, Redactor(STRICT)) == read(topic, raw, Thorough(STRICT))


def test_a_new_field_of_the_platform_s_is_not_looked_for_in_vain() -> None:
    """Where nothing that comes is known, little is tried; what comes afterwards is known again, all of it."""
    redactor = Redactor(STRICT)
    known, new = b'{"id":"a"}', b'{"id":"a","new":1}'
    tries = 0
    for _ in range(1_000):
        assert redactor.known(SNAPSHOT, new) is None
        shape = redactor._known_shape(SNAPSHOT, canonical=True)
        tries = shape._missed
    assert tries < 250
    answers = [redactor.known(SNAPSHOT, known) for _ in range(100)]
    assert None in answers[:40]
    assert answers[40:] == [known] * 60
