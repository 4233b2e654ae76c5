"""The fields that facts are read from: with no others of a body, the facts are the same."""

from __future__ import annotations

import json

import pytest

from rollbook.genesys.messages.live_facts import facts_of
from rollbook.genesys.messages.live_fields import fields_of_snapshot
from tests.genesys.privacy.test_known_shapes import documented
from tests.genesys.privacy.test_redaction import places

LATER = "2026-03-02T11:00:00.000Z"


@pytest.mark.parametrize("topic", sorted(documented()))
def test_the_fields_tell_all_facts(topic: str) -> None:
    """Of a body with every field that is documented, whatever any of them says."""
    body = json.loads(documented()[topic])
    # Lists are what they are for: others are refused.
    members = [(node, key) for node, key in places(body) if isinstance(node, dict) and not isinstance(node[key], list)]
    for node, key in members:
        before = node[key]
        for value in [LATER, 1_785_765_600_000, "pending", "outbound", "customer", None, {"state": "pending"}]:
            node[key] = value
            raw = json.dumps(body).encode()
            assert facts_of(topic, fields_of_snapshot(raw)) == facts_of(topic, body), (key, value)
        node[key] = before


@pytest.mark.parametrize("body", ['{"participants":["a"]}', '{"participants":[{"calls":{}}]}', "[]", '"a"', "{"])
def test_a_body_of_another_shape_is_refused(body: str) -> None:
    """Who reads it decodes all of it."""
    with pytest.raises(ValueError, match=r"Expected|truncated"):
        fields_of_snapshot(body.encode())
