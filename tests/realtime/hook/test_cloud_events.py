"""Alerts as CloudEvents, signed as Standard Webhooks has it."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.hook.cloud_events import body_of, headers_of, key_of, signature
from rollbook.store.tables.alerts import Alert
from rollbook.store.vocabulary import AlertKind

ALERT = Alert(
    "3c0f5f4e-0b9e-4b8f-9a2c-1f5a3c2d1e0f",
    AlertKind.WINDOW_FAILED,
    "2026-03-02T10:00:00.000Z",
    "2026-03-02T10:00:00.000Z/2026-03-02T10:30:00.000Z",
    "2026-03-02T10:41:07.000Z",
    '{"verdict":"failed","reason":"it moved"}',
)


def test_it_has_what_an_event_must_have() -> None:
    """specversion, id, source and type are texts that are not empty; time, subject and data say the rest."""
    body = body_of(ALERT, "/rollbook/organizations/o1")
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": ALERT.event_id,
        "source": "/rollbook/organizations/o1",
        "type": "window.failed",
        "subject": ALERT.subject,
        "time": "2026-03-02T10:41:07.000Z",
        "datacontenttype": "application/json",
        "data": {"verdict": "failed", "reason": "it moved"},
    }
    assert body_of(ALERT, "/rollbook/organizations/o1") == body


def test_the_signature_is_the_published_one() -> None:
    """An example whose signature was made by another program: id, timestamp and body, joined by dots."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert (
        signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@given(st.binary(max_size=200), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_a_receiver_can_check_it(body: bytes, secret: str) -> None:
    """By the secret as it was given, or by what stands behind whsec_ in base64; another body has another signature."""
    wrapped = f"whsec_{base64.b64encode(secret.encode()).decode()}"
    assert key_of(wrapped) == secret.encode()
    headers = headers_of("id", body, secret=wrapped, seconds=1_700_000_000)
    digest = hmac.new(secret.encode(), b"id.1700000000." + body, hashlib.sha256).digest()
    assert headers["Webhook-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
    if not secret.startswith("whsec_"):
        assert signature(secret, "id", 1_700_000_000, body) == headers["Webhook-Signature"]
    assert signature(wrapped, "id", 1_700_000_000, body + b" ") != headers["Webhook-Signature"]


def test_without_a_secret_nothing_is_signed() -> None:
    """The other headers are there."""
    headers = headers_of("id", b"{}", secret=None, seconds=7)
    assert headers == {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "Webhook-Id": "id",
        "Webhook-Timestamp": "7",
    }


def test_a_secret_that_was_copied_badly_is_said() -> None:
    """whsec_ before what is no base64 is an error without the secret in it."""
    with pytest.raises(ValueError, match="no base64") as caught:
        key_of("whsec_not base64!")
    assert "not base64!" not in str(caught.value)
