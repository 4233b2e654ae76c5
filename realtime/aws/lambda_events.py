"""Calls of a function on AWS, recognised by their shape. Pure.

An EventBridge event; a batch of an SQS queue, of a Kinesis stream, of a Firehose to be looked through; JSON text with
objects in a row; a schedule, or a window to reconcile. Any other call is taken for an event, so that it ends as a dead
letter and is not tried for ever. This module knows what AWS wraps around an event, not the event.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from rollbook.genesys.canonical_json import canonical
from rollbook.genesys.lenient_json import as_object, text

_encode: Final = msgspec.json.Encoder().encode


Shape = Literal["event", "sqs", "kinesis", "firehose"]


@dataclass(frozen=True, slots=True)
class CallItem:
    """A part of a call. name: by which its failure is reported, None where it has no name."""

    payload: bytes
    name: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events to be stored. shape: of the call, which decides how a failure is reported."""

    shape: Shape
    items: Sequence[CallItem]


@dataclass(frozen=True, slots=True)
class ToReconcile:
    """A call for the reconciler; window: None for what is due."""

    window: str | None


def understand(call: object) -> Delivery | ToReconcile:
    """Recognise a call. Never raises: a call without a known shape is an event that cannot be read."""
    if isinstance(call, Mapping):
        if (wanted := _to_reconcile(call)) is not None:
            return wanted
        for key, shape in (("Records", "sqs"), ("records", "firehose")):
            if isinstance(records := call.get(key), list) and "detail" not in call:
                return _batch(records, "firehose" if shape == "firehose" else _shape(records))
    elif isinstance(call, list):
        if call and all(isinstance(record, Mapping) and "body" in record and "messageId" in record for record in call):
            return _batch(call, "sqs")  # as an EventBridge pipe hands a queue's messages over
        return Delivery("event", [CallItem(as_bytes(event), None) for event in call])
    elif isinstance(call, str | bytes):
        return Delivery("event", [CallItem(_utf8(call), None)])
    return Delivery("event", [CallItem(as_bytes(call), None)])


_SCHEDULES: Final = ("aws.events", "aws.scheduler")


def _to_reconcile(call: Mapping[str, Any]) -> ToReconcile | None:
    if isinstance(window := call.get("window"), str) and "detail" not in call:
        return ToReconcile(window)
    scheduled = call.get("source") in _SCHEDULES and call.get("detail-type") == "Scheduled Event"
    return ToReconcile(None) if scheduled or call.get("due") is True else None


def _shape(records: list[Any]) -> Shape:
    return "kinesis" if records and isinstance(records[0], Mapping) and "kinesis" in records[0] else "sqs"


def _batch(records: list[Any], shape: Shape) -> Delivery:
    return Delivery(
        shape, [_READ[shape](record) if isinstance(record, Mapping) else _whole(record) for record in records]
    )


def _whole(record: object) -> CallItem:
    return CallItem(as_bytes(record), None)


def _message(record: Mapping[str, Any]) -> CallItem:
    body = record.get("body")
    return CallItem(_utf8(body) if isinstance(body, str) else as_bytes(record), text(record.get("messageId")) or None)


def _of_stream(record: Mapping[str, Any]) -> CallItem:
    inner = as_object(record.get("kinesis"))
    return CallItem(_unpacked(inner.get("data"), record), text(inner.get("sequenceNumber")) or None)


def _of_firehose(record: Mapping[str, Any]) -> CallItem:
    return CallItem(_unpacked(record.get("data"), record), text(record.get("recordId")) or None)


_READ: Final = {"sqs": _message, "kinesis": _of_stream, "firehose": _of_firehose, "event": _whole}


def _unpacked(data: object, record: Mapping[str, Any]) -> bytes:
    """Decode base64; the whole record if it is none."""
    if isinstance(data, str):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            pass
    return as_bytes(record)


def _utf8(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode(errors="surrogatepass")


def as_bytes(value: object) -> bytes:
    """Decoded JSON as JSON again; what is no JSON, as Python shows it."""
    for spell in (_encode, _with_escapes, canonical):
        try:
            return spell(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            continue  # half a surrogate pair, an integer beyond 64 bits, nested too deep
    return repr(type(value)).encode()


def _with_escapes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
