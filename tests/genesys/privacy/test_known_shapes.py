"""Snapshots whose every field is documented: the quick way leaves the same bytes and facts as the look at everything."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.messages.documented_shapes import MEDIUM_SNAPSHOT, SNAPSHOT, Shape
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.privacy import known_shapes
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


class Quick(Redactor):
    """A redactor that looks at nothing but what it knows."""

    def decoded(self, tree: Any, raw: bytes) -> Any:
        """Refuse."""
        raise AssertionError(raw)


@cache
def documented() -> dict[str, str]:
    """Each topic of snapshots → a body with every field that it may have. No text of it seems to hold JSON."""
    bodies = Canaries(("canary-%d", "tel:+4930901%d", "ada@canary-%d.example")).bodies()
    return {topic: json.dumps(body) for topic, body in bodies if snapshot_media(topic) is not None}


def shape_of(topic: str) -> Shape:
    """The shape of the bodies of a topic."""
    return MEDIUM_SNAPSHOT if snapshot_media(topic) else SNAPSHOT


def frame(topic: str, body: bytes) -> bytes:
    """The frame of an event."""
    return b'{"topicName":%b,"eventBody":%b}' % (json.dumps(topic).encode(), body)


def read(topic: str, body: bytes, redactor: Redactor) -> list[Any]:
    """What is kept of an event."""
    found = parse_frame(frame(topic, body), source="s", received_at=AT, redactor=redactor)
    assert isinstance(found, Notification | Unreadable)
    return [getattr(found, name) for name in found.__struct_fields__ if name != "redactor"]


def examples() -> list[tuple[str, bytes]]:
    """The platform's own examples of snapshots: topics and bodies."""
    events = json.loads((EXAMPLES / "ws_messages.json").read_text()).values()
    return [
        (event["topicName"], json.dumps(event["eventBody"]).encode())
        for event in events
        if snapshot_media(event.get("topicName", "")) is not None
    ]


# Paths of fields in every corner: parts, lists of parts, maps, and members of all of these.
PLACES = [
    *("self", "self.*", "other.name", "attributes", "attributes.key", "participants.attributes.*", "messageParams.key"),
    *("calls", "participants", "participants.calls", "messages", "divisions.*", "queue.name", "queue", "wrapup.tags"),
    *("errors.message", "errors", "limit.*", "toAddress", "participants.id", "id", "state", "connectedTime", "held"),
    *("eventTime", "mediaType", "media.mediaType", "customer", "journeyContext.*", "autoAnswerAlertToneSeconds"),
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
HOSTILE = [
    {"ani": CANARY},
    [{"subject": CANARY}],
    '{"ani":"x"}',
    {"key": 1, "a": ""},
    {"z": CANARY, "key": None},
    [],
    {},
]
VALUES = JSON | st.sampled_from([json.dumps(value) for value in HOSTILE]).map(json.loads)
MARK = "the mark"


@given(topic=st.sampled_from(sorted(documented())), policy=POLICIES, data=st.data())
def test_known_snapshots_are_what_the_others_are(topic: str, policy: Any, data: st.DataObject) -> None:
    """Identity, body, facts and every other field, whatever came and whatever the policy names."""
    body = json.loads(documented()[topic])
    for _ in range(data.draw(st.integers(0, 3))):
        found = list(places(body))
        node, key = found[data.draw(st.integers(0, len(found) - 1))]
        if isinstance(node, dict) and data.draw(st.booleans()):
            key = data.draw(st.sampled_from([*NAMES, "unknown", "participants", "messages", "eventTime", "key"]))
        if data.draw(st.booleans()) and isinstance(node, dict):
            node.pop(key, None)
        else:
            node[key] = data.draw(VALUES | st.just(MARK))
    raw = json.dumps(body).encode().replace(f'"{MARK}"'.encode(), data.draw(st.sampled_from(SPELLINGS)))
    assert read(topic, raw, Redactor(parse(policy), KEY)) == read(topic, raw, Thorough(parse(policy), KEY))


ALL, CALLS = "v2.users.u.conversations", "v2.users.u.conversations.calls"
SOMEWHERE = [
    *(
        (ALL, where)
        for where in ('{"maxParticipants":@}', '{"address":@}', '{"participants":@}', '{"eventTime":@}', "@")
    ),
    *((ALL, f'{{"participants":[{{{where}}}]}}') for where in ('"attributes":@', '"attributes":{"b":"x","key":@}')),
    *((ALL, f'{{"participants":[{{{where}}}]}}') for where in ('"name":@', '"endTime":@', '"calls":@', '"calls":[@]')),
    *(
        (ALL, f'{{"participants":[{{"calls":[{{{where}}}]}}]}}')
        for where in ('"self":{"name":@}', '"self":@', '"provider":@', '"errorInfo":{"messageParams":{"a":"x","b":@}}')
    ),
    (ALL, '{"participants":[{"calls":[{"queueMediaSettings":{"autoAnswerAlertToneSeconds":@}}]}]}'),
    (CALLS, '{"participants":[{"errorInfo":{"errors":[{"message":@,"code":@}],"details":[{"entityId":@}]}}]}'),
    (CALLS, '{"participants":[{"user":{"name":@,"id":"x"},"ani":@}],"name":@}'),
]
SOME_POLICIES: list[Any] = [
    "strict",
    "phone_numbers=hash, names=shorten, free_text=drop, attributes=hash",
    "attributes=drop, attributes.key=keep, maxParticipants=hash, provider=drop, participants.endTime=drop",
    "mediaType=shorten, autoAnswerAlertToneSeconds=hash, calls=drop, errors=drop, participants.name=keep",
]


@pytest.mark.parametrize(("topic", "where"), SOMEWHERE)
def test_a_value_of_any_spelling_is_what_it_is_to_others(
    topic: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, escapes, members named twice, deep nests, and what is no JSON, wherever it stands."""
    monkeypatch.setattr(known_shapes, "_PATIENCE", 1_000_000)
    for policy in SOME_POLICIES:
        quick, thorough = Redactor(parse(policy), KEY), Thorough(parse(policy), KEY)
        for spelling in [*SPELLINGS, *(json.dumps(value).encode() for value in HOSTILE), b"null", b"true", b'"x"']:
            raw = where.encode().replace(b"@", spelling)
            assert read(topic, raw, quick) == read(topic, raw, thorough), (policy, raw)


@pytest.mark.parametrize("topic", sorted(documented()))
@pytest.mark.parametrize("policy", ["strict", "phone_numbers=hash, names=shorten, attributes=drop"])
def test_documented_snapshots_take_the_quick_way(topic: str, policy: str) -> None:
    """With every field that the platform's schema has; with one more a snapshot does not, and is redacted all the same."""
    redactor = Redactor(parse(policy), KEY)
    raw = documented()[topic].encode()
    assert redactor.known(shape_of(topic), raw) == spelled(redactor.decoded(decode(raw), raw))
    assert read(topic, raw, Quick(parse(policy), KEY)) == read(topic, raw, redactor)
    raw = json.dumps({**json.loads(raw), "more": {"ani": CANARY}}).encode()
    assert redactor.known(shape_of(topic), raw) is None
    assert CANARY.encode() not in read(topic, raw, redactor)[1]


@pytest.mark.parametrize(("topic", "raw"), examples())
def test_the_platform_s_examples_take_the_quick_way(topic: str, raw: bytes) -> None:
    """Each is of a shape that is known."""
    assert read(topic, raw, Quick(STRICT)) == read(topic, raw, Thorough(STRICT))


def test_a_new_field_of_the_platform_s_is_not_looked_for_in_vain() -> None:
    """Where nothing that comes is known, little is tried; what comes afterwards is known again, all of it."""
    redactor = Redactor(STRICT)
    known, new = b'{"id":"a"}', b'{"id":"a","new":1}'
    for _ in range(1_000):
        assert redactor.known(SNAPSHOT, new) is None
    assert redactor._known_shape(SNAPSHOT, canonical=True)._missed < 250
    answers = [redactor.known(SNAPSHOT, known) for _ in range(100)]
    assert None in answers[:40]
    assert answers[40:] == [known] * 60
    assert redactor.known(SNAPSHOT, new) is None
    assert redactor.known(SNAPSHOT, known) == known
