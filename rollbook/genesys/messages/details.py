"""Answers of conversation details, and a digest to tell whether two records say the same. Pure.

The platform's own SDK models are not used: they turn words that they do not know into `outdated_sdk_version` and drop
fields. Here a record stays what came, byte for byte, beside its decoded form. What is in a record below its head is
none of this module's business, so a record of a strange shape passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, overload

import msgspec

from rollbook.genesys import ids
from rollbook.genesys.api import mending
from rollbook.genesys.api.answers import refuse_others
from rollbook.genesys.canonical_json import canonical, decode, digest, mend_surrogates
from rollbook.genesys.lenient_json import as_object, text
from rollbook.genesys.messages.typed_details import typed
from rollbook.genesys.privacy.policy import Withheld
from rollbook.genesys.times import normalize

__all__ = [
    "DetailRow",
    "DetailsPage",
    "LazyRows",
    "content_digest",
    "content_of",
    "ids_of",
    "parse_page",
    "parse_results",
    "row_of",
]


class DetailRow(msgspec.Struct, frozen=True):
    """A conversation of an answer.

    conversation_id: None where absent or no text: such a row can be kept, not counted; a UUID in small letters. start,
    end: as 24-character text; None where absent or no time. raw: the API's bytes. typed: the fields that have a column
    (`typed_details`), or None where the record does not fit them; tree: then, all of it. broken: it cannot be decoded;
    the id (if there is one) was found by a look at its bytes, which need not be UTF-8 or JSON. mended: raw is the API's
    bytes with what is no JSON replaced.
    """

    conversation_id: str | None
    start: str | None
    end: str | None
    raw: bytes
    tree: dict[str, Any] | None = None
    typed: Any = None
    broken: bool = False
    mended: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """All of the record, decoded; {} if it is no object, or broken. ValueError: a number is beyond floats."""
        return as_object(decode(self.raw)) if self.tree is None else self.tree


class LazyRows(Sequence[DetailRow]):
    """The rows of a large page, each decoded when it is looked at, and not kept: a page of a job has a thousand.

    Looking may raise ValueError, as `row_of` does.
    """

    def __init__(self, records: Sequence[msgspec.Raw], redact: Redact = None) -> None:
        self._records, self._redact = records, redact

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, at: int) -> DetailRow: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[DetailRow, ...]: ...

    def __getitem__(self, at: int | slice) -> DetailRow | tuple[DetailRow, ...]:
        if isinstance(at, slice):
            return tuple([row_of(bytes(raw), self._redact) for raw in self._records[at]])
        return row_of(bytes(self._records[at]), self._redact)


class DetailsPage(msgspec.Struct, frozen=True):
    """A page of an answer. No rows: past the last page. total_hits is approximate (None where absent).

    cursor, data_availability_date: of a job's results; no cursor on the last page.
    """

    rows: Sequence[DetailRow]
    total_hits: int | None
    cursor: str | None = None
    data_availability_date: str | None = None


class PageBody(msgspec.Struct):
    # Everything may be missing: past the last page the body can be `{}` (reference, "End of results").
    conversations: list[msgspec.Raw] | None = None
    totalHits: Any = None
    cursor: Any = None
    dataAvailabilityDate: Any = None
    error: Any = None
    errors: Any = None
    errorCode: Any = None
    errorMessage: Any = None
    status: Any = None


_decode_page: Final = msgspec.json.Decoder(PageBody).decode
_MEMBERS: Final = frozenset({"conversations", "totalHits", "cursor", "dataAvailabilityDate", "aggregations"})


# What a record's bytes become before anything is made of them; None where they stay as they are.
Redact = Callable[[bytes], bytes] | None


def parse_page(body: bytes, redact: Redact = None) -> DetailsPage:
    """A page of the details query, or of details by id. Raises ValueError for a broken body, and for another's.

    redact: takes people's data out of a record (`rollbook/genesys/privacy`).
    """
    try:
        page = _read_page(body)
        rows = tuple([row_of(bytes(raw), redact) for raw in page.conversations or ()])
    except ValueError:
        page, rows = _in_parts(body, redact)
    return _page(page, rows, body)


def parse_results(body: bytes, redact: Redact = None) -> DetailsPage:
    """A page of a job's results, in the order of its ids. Its rows are decoded when they are looked at.

    Ids are random: in this order neighbours in the index of ids are written together, and a page of the file once.
    Raises ValueError for a broken body.
    """
    try:
        body.decode()  # what `row_of` would find when nobody asks again any more
        page = _read_page(body)
    except ValueError:
        page, found = _in_parts(body, redact)
        return _page(page, tuple(sorted(found, key=lambda row: row.conversation_id or "")), body)
    return _page(page, LazyRows(sorted(page.conversations or (), key=_about_the_id), redact), body)


def _in_parts(body: bytes, redact: Redact) -> tuple[PageBody, tuple[DetailRow, ...]]:
    """A page of which not every record can be decoded: each by itself, because its neighbours are not to blame."""
    try:
        head, records = mending.cut(body, "conversations")
        page = _read_page(head)
    except ValueError as error:
        raise ValueError(f"the answer is not a page of conversations: {error}") from None
    if page.conversations:
        raise ValueError("the answer is not a page of conversations: it has two lists of them")
    return page, tuple([_mended_row(raw, redact) for raw in records])


def _mended_row(raw: bytes, redact: Redact) -> DetailRow:
    """A record as a row: as it is, mended, or with nothing but its bytes."""
    if not (row := _row_or_broken(raw, redact)).broken:
        return row
    mended = mending.mend(raw)
    if mended == raw or (other := _row_or_broken(mended, redact)).broken:
        return row
    if "\ufffd" in (other.conversation_id or ""):  # an id of which a part is lost is another conversation's, or none
        return _broken(raw)
    return msgspec.structs.replace(other, mended=True)


def _row_or_broken(raw: bytes, redact: Redact) -> DetailRow:
    try:
        return row_of(raw, redact)
    except ValueError:
        return _broken(raw)


def _broken(raw: bytes) -> DetailRow:
    return DetailRow(ids.conversation_id(mending.member(raw, "conversationId")), None, None, raw, {}, broken=True)


# Enough for the id's name, a space or two, and the id.
_ID_LENGTH: Final = 64


def _about_the_id(record: msgspec.Raw) -> bytes:
    """A key that nearly always sorts as the id does, without decoding the record; a wrong place loses nothing."""
    raw = bytes(record)
    at = raw.find(b'"conversationId"')
    return raw[at : at + _ID_LENGTH]


def _page(page: PageBody, rows: Sequence[DetailRow], body: bytes) -> DetailsPage:
    _refuse_errors(page, rows, body)
    total = page.totalHits
    return DetailsPage(
        rows,
        total if total.__class__ is int else None,
        text(page.cursor) or None,
        normalize(page.dataAvailabilityDate),
    )


def _refuse_errors(page: PageBody, rows: Sequence[DetailRow], body: bytes) -> None:
    """Raise ValueError for the body of an error that came with status 200, beside a part of the rows too."""
    failed = page.status.__class__ is int and page.status >= 400
    if failed or page.error or page.errors or page.errorCode or page.errorMessage:
        raise ValueError("the answer is not a page of conversations: it names an error")
    if not rows:
        refuse_others(body, _MEMBERS)


def _read_page(body: bytes) -> PageBody:
    try:
        return _decode_page(body)
    except (ValueError, RecursionError) as error:
        mended = mend_surrogates(body)
        if mended != body:
            return _read_page(mended)
        raise ValueError(f"the answer is not a page of conversations: {error}") from None


def row_of(raw: bytes, redact: Redact = None) -> DetailRow:
    """Make a row of a record. Raises ValueError if its text is broken (no UTF-8).

    What cannot be opened to be redacted is a broken record, whose bytes the dead letter withholds.
    """
    if redact is not None:
        try:
            raw = redact(raw)
        except Withheld:
            return _broken(raw)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the answer is not UTF-8: {error}") from None
    record = typed(raw)
    if record is not None:
        start, end = record.conversationStart, record.conversationEnd
        identity = ids.conversation_id(record.conversationId)
        return DetailRow(identity, normalize(start), normalize(end), raw, typed=record)
    try:
        tree = as_object(decode(raw))
    except (msgspec.DecodeError, RecursionError):
        return _broken(raw)
    identity = ids.conversation_id(tree.get("conversationId"))
    return DetailRow(
        identity, normalize(tree.get("conversationStart")), normalize(tree.get("conversationEnd")), raw, tree
    )


def content_of(raw: bytes) -> bytes:
    """`content_digest` of a record that is given as JSON; of its bytes where it cannot be decoded."""
    try:
        return content_digest(as_object(decode(raw)))
    except (ValueError, RecursionError):
        return digest(raw)


def content_digest(record: dict[str, Any]) -> bytes:
    """16 bytes that are equal if and only if two records say the same.

    Key order and number formats (1, 1.0) do not matter; participants' `attributes` are left out, because only jobs
    return them (reference: the SDK's AnalyticsConversation and AnalyticsConversationWithoutAttributes).
    """
    return digest(canonical(_without_attributes(record)))


def _without_attributes(record: dict[str, Any]) -> dict[str, Any]:
    participants = record.get("participants")
    if not isinstance(participants, list):
        return record
    if not any("attributes" in participant for participant in participants if isinstance(participant, dict)):
        return record
    kept = [
        {name: value for name, value in participant.items() if name != "attributes"}
        if isinstance(participant, dict)
        else participant
        for participant in participants
    ]
    return {**record, "participants": kept}


def ids_of(rows: Sequence[DetailRow]) -> list[str]:
    """The ids of the rows that have one."""
    return [row.conversation_id for row in rows if row.conversation_id is not None]
