"""An alert as a CloudEvent (1.0, JSON, structured mode), and its signature as Standard Webhooks has it. Pure.

Signed is `ID.TIMESTAMP.BODY` by HMAC-SHA256. A secret that begins with `whsec_` is base64 behind that; any other is
taken as it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rollbook.store.tables.alerts import Alert

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_PREFIX: Final = "whsec_"
_encode: Final = msgspec.json.Encoder().encode


def source_of(organization_id: str) -> str:
    """The `source` of an organisation's alerts; with the id, it is unique."""
    return f"/rollbook/organizations/{organization_id}"


def body_of(alert: Alert, source: str) -> bytes:
    """The event as JSON: byte for byte the same at each try."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": alert.event_id,
        "source": source,
        "type": str(alert.kind),
        "subject": alert.subject,
        "time": alert.at,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(alert.data.encode()),
    }
    return _encode(event)


def headers_of(event_id: str, body: bytes, *, secret: str | None, seconds: int) -> Mapping[str, str]:
    """The headers of a request with this body, sent at `seconds` since 1970; signed where there is a secret."""
    headers = {"Content-Type": CONTENT_TYPE, "Webhook-Id": event_id, "Webhook-Timestamp": str(seconds)}
    if secret is not None:
        headers["Webhook-Signature"] = signature(secret, event_id, seconds, body)
    return headers


def signature(secret: str, event_id: str, seconds: int, body: bytes) -> str:
    """The signature of a body: `v1,` and base64."""
    signed = f"{event_id}.{seconds}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()}"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for. Raises ValueError for `whsec_` before what is no base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("begins with whsec_, and is no base64 behind it; copy it again") from None
