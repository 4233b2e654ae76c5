"""Texts that go over the wire: frames of the notification socket, and EventBridge's envelope. Pure.

Shapes are those of the notification reference, 3.1, 3.2 and 5.2. Bodies come from elsewhere, as JSON text where they
are sent to many.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

HEARTBEAT: Final = '{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}'
PONG: Final = '{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'
VERSION: Final = "2"
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def encoded(value: Any) -> str:
    """JSON without blanks, as the platform sends it."""
    return _encode(value)


def event(topic: str, body: str, correlation_id: str) -> str:
    """An event's frame. body: the eventBody's JSON text."""
    start = f'{{"topicName":{encoded(topic)},"version":"{VERSION}","eventBody":'
    return f'{start}{body},"metadata":{{"CorrelationId":"{correlation_id}"}}}}'


def socket_closing(correlation_id: str) -> str:
    """The socket will be closed in about a minute."""
    return event("v2.system.socket_closing", encoded({"message": "Websocket closing soon"}), correlation_id)


def system(kind: str, channel: str, reason: str, *, client: str, organization: str, correlation_id: str) -> str:
    """A message about the channel. kind: no_longer_subscribed, token_revoked."""
    body = {
        "channelId": channel,
        "systemTopicType": kind,
        "correlationId": correlation_id,
        "organizationId": organization,
        "oauthClientId": client,
        "oauthClientOrgId": organization,
        "reason": reason,
        "message": "",
        "data": {},
    }
    return event(f"v2.system.{kind}.{channel}", encoded(body), correlation_id)


def reply(result: int, *, status: str, correlation_id: object = None, message: str | None = None) -> str:
    """The answer to what a client said over the socket; its result is a string."""
    content: dict[str, Any] = {"result": str(result), "status": status}
    if message is not None:
        content["message"] = message
    if correlation_id is not None:
        content["correlationId"] = correlation_id
    return encoded(content)


def envelope(
    template: str,
    topic: str,
    body: Any,
    *,
    published: datetime,
    identity: str,
    correlation_id: str,
    organization: str,
    suffix: str = "simulated",
    account: str = "123456789012",
    region: str = "us-east-1",
) -> dict[str, Any]:
    """An event on an EventBridge bus. template: the topic with the literal `{id}`; identity: AWS's own id of the entry.

    `time` has whole seconds, `detail.timestamp` milliseconds.
    """
    text = published.strftime("%Y-%m-%dT%H:%M:%S")
    detail = {
        "topicName": topic,
        "version": VERSION,
        "eventBody": body,
        "metadata": {"CorrelationId": correlation_id},
        "timestamp": f"{text}.{published.microsecond // 1000:03}Z",
    }
    return {
        "version": "0",
        "id": identity,
        "detail-type": template,
        "source": f"aws.partner/genesys.com/cloud/{organization}/{suffix}",
        "account": account,
        "time": f"{text}Z",
        "region": region,
        "resources": [],
        "detail": detail,
    }
