"""Identities: equal for equal content over every transport, and the same in every version of this program."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.canonical_json import canonical, decode
from rollbook.genesys.messages.identity import identity_of
from rollbook.genesys.messages.notification import Notification, parse_envelope, parse_frame
from rollbook.genesys.messages.payloads import parse_all
from tests.helpers.paths import DATA

AT = "2026-08-03T15:00:00.000Z"
CORPUS = [json.loads(line) for line in (DATA / "identities.jsonl").read_text().splitlines()]

times = st.datetimes(datetime(1960, 1, 1), datetime(2150, 1, 1)).map(
    lambda moment: f"{moment.isoformat()[:16]}:00.000Z"
)
names = st.sampled_from(["eventTime", "metricDate", "timestamp", "endTime", "callbackScheduledTime", "id", "é", "x"])
content = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(900_000_000_000, 4_200_000_000_000)
    | times
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def minute(topic: str, body: Any) -> str | None:
    """The minute that an identity begins with, as a text."""
    number = int.from_bytes(identity_of(topic, body)[:4])
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=number):%Y-%m-%dT%H:%M}" if number else None


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: str(case["body"])[:40])
def test_the_rule_never_changes(case: dict[str, str]) -> None:
    """Identities of stores that exist: one that is another now would let an event in a second time."""
    assert identity_of(case["topic"], decode(case["body"])).hex() == case["identity"]


def test_the_corpus_has_every_kind_of_minute() -> None:
    """With a minute and without, of detail events and of snapshots, on topics that differ in nothing else."""
    begun = [case["identity"].startswith("00000000") for case in CORPUS]
    assert 10 < sum(begun) < len(begun) - 10
    assert len({case["identity"] for case in CORPUS}) > len(CORPUS) - 5, "few of them say the same"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"eventTime": 1785765600123}, "2026-08-03T14:00"),
        ({"eventTime": "2026-03-02T10:15:59.999Z", "endTime": "2026-03-02T11:00:00.000Z"}, "2026-03-02T10:15"),
        ({"eventTime": 0, "metricDate": "2026-03-02T10:15:00.000Z"}, "2026-03-02T10:15"),
        ({"endTime": "2026-03-02T10:15:00.000Z", "a": [{"startTime": "2026-03-02T10:16:00Z"}]}, "2026-03-02T10:16"),
        ({"endTime": "2026-03-02T10:15:00.000Z", "callbackScheduledTime": "2026-04-02T10:16:00Z"}, "2026-03-02T10:15"),
        ({"endTime": "2026-03-02T10:15:00.000Z", "startTime": "9999-12-31T00:00:00.000Z"}, "2026-03-02T10:15"),
        ({"endTime": "2026-02-29T10:15:00.000Z"}, "2026-03-01T10:15"),
        ({"note": 'it says "Time":"2026-03-02T10:15:00.000Z"'}, None),
        ({"callbackScheduledTime": "2026-04-02T10:15:00.000Z"}, None),
        ({"eventTime": True}, None),
        ({"eventTime": 253402300799000}, None),
        ([], None),
        (None, None),
    ],
)
def test_an_identity_begins_with_the_minute_of_its_content(body: Any, expected: str | None) -> None:
    """Its own time if it has one of this century, else the latest that it names, but for what lies ahead."""
    assert minute("v2.a", body) == expected


@given(content)
def test_the_rest_is_the_digest_of_topic_and_content(body: Any) -> None:
    """Twelve bytes that only equal content on the same topic shares; so whatever the minute, no two are taken for one."""
    found = identity_of("v2.a", decode(json.dumps(body)))
    whole = hashlib.blake2b(b"v2.a\0" + canonical(decode(json.dumps(body))), digest_size=16).digest()
    assert (len(found), found[4:]) == (16, whole[4:])


def _other(value: Any) -> Any:
    """The same content, its keys the other way round and its whole numbers as floats."""
    if isinstance(value, dict):
        return {name: _other(value[name]) for name in reversed(list(value))}
    if isinstance(value, list):
        return [_other(item) for item in value]
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if whole else value


@given(content, st.booleans())
def test_the_same_content_has_one_identity_over_every_transport(body: Any, ascii_only: bool) -> None:
    """A frame, an EventBridge envelope, a queue's message and a line of a file; spelled in any way."""
    first = parse_frame(
        json.dumps({"topicName": "v2.a", "eventBody": body}), source="websocket", received_at="2020-01-01T00:00:00.000Z"
    )
    message = {"eventBody": _other(body), "metadata": {"CorrelationId": "2"}, "topicName": "v2.a"}
    again = json.dumps(message, ensure_ascii=ascii_only, indent=1)
    envelope = json.dumps({"id": "x", "time": AT, "detail": message}, ensure_ascii=ascii_only).encode()
    found = [
        parse_frame(again.encode(), source="websocket", received_at=AT),
        parse_envelope(envelope, source="eventbridge", received_at=AT),
        *parse_all(envelope + envelope, source="sqs", received_at=AT),
        *parse_all(b"[" + envelope + b"]", source="file", received_at=AT),
    ]
    assert isinstance(first, Notification)
    assert len(found) == 5
    assert {item.identity for item in found if isinstance(item, Notification)} == {first.identity}
    assert all(isinstance(item, Notification) for item in found)
