"""What an answer of conversation details looks like, and when two records say the same. Pure.

The platform's own SDK models are not used: they turn words that they do not know into `outdated_sdk_version` and drop
fields. Here a record stays what came, byte for byte, beside its decoded form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from genesys.times import normalize


@dataclass(frozen=True, slots=True)
class DetailRow:
    """One conversation of an answer.

    start, end: as 24-character text; None where absent or no time. raw: the API's bytes. record: the same, decoded.
    """

    conversation_id: str | None
    start: str | None
    end: str | None
    raw: bytes
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DetailsPage:
    """One page of an answer. No rows: past the last page. total_hits is approximate (None where absent)."""

    rows: tuple[DetailRow, ...]
    total_hits: int | None
    cursor: str | None = None
    data_availability_date: str | None = None


class _Page(msgspec.Struct):
    conversations: list[msgspec.Raw] | None = None
    totalHits: int | None = None  # noqa: N815 (the platform's name)
    cursor: str | None = None
    dataAvailabilityDate: str | None = None  # noqa: N815


_decode_page: Final = msgspec.json.Decoder(_Page).decode
_decode: Final = msgspec.json.Decoder().decode
_canonical: Final = msgspec.json.Encoder(order="sorted").encode
# A number that is whole and written as a float: `1.0`, `1e3`. Only where one occurs is the record walked.
_FLOAT_HINT: Final = re.compile(rb"[0-9]\.0[,}\]]|[0-9][eE]")


def row_of(raw: bytes) -> DetailRow:
    """One record. Raises ValueError if it is no JSON; a record that is no object has no id."""
    try:
        record = _decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        return DetailRow(None, None, None, raw, {})
    conversation_id = record.get("conversationId")
    if not isinstance(conversation_id, str) or not conversation_id:
        conversation_id = None
    return DetailRow(
        conversation_id, normalize(record.get("conversationStart")), normalize(record.get("conversationEnd")), raw, record
    )  # fmt: skip


def parse_page(body: bytes) -> DetailsPage:
    """A page of the details query, of details by id, or of a job's results. Raises ValueError for a broken body."""
    try:
        page = _decode_page(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the answer is not a page of conversations: {error}") from None
    rows = tuple(row_of(bytes(raw)) for raw in page.conversations or ())
    return DetailsPage(rows, page.totalHits, page.cursor, normalize(page.dataAvailabilityDate))


def content_digest(record: dict[str, Any]) -> bytes:
    """16 bytes that are equal when two records say the same.

    Key order and number formats (1, 1.0) do not matter; participants' `attributes` are left out, because only jobs
    return them (reference: the SDK's AnalyticsConversation and AnalyticsConversationWithoutAttributes).
    """
    plain = _without_attributes(record)
    encoded = _canonical(plain)
    if _FLOAT_HINT.search(encoded):
        encoded = _canonical(_integral(plain))
    return hashlib.blake2b(encoded, digest_size=16).digest()


def _without_attributes(record: dict[str, Any]) -> dict[str, Any]:
    participants = record.get("participants")
    if not isinstance(participants, list) or not any("attributes" in one for one in participants if isinstance(one, dict)):
        return record
    kept = [
        {name: value for name, value in one.items() if name != "attributes"} if isinstance(one, dict) else one
        for one in participants
    ]
    return {**record, "participants": kept}


def _integral(value: Any) -> Any:
    """The same with every whole float as the integer that it is."""
    if isinstance(value, dict):
        return {name: _integral(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_integral(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def ids_of(rows: Sequence[DetailRow]) -> list[str]:
    """The ids of the rows that have one."""
    return [row.conversation_id for row in rows if row.conversation_id is not None]
