"""Pages of conversation details: read leniently, kept byte for byte."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys.detail import (
    DetailRow,
    DetailsPage,
    content_digest,
    decode_record,
    ids_of,
    parse_page,
    parse_results,
    row_of,
)

ROW: dict[str, Any] = {
    "conversationId": "a1000000-0000-4000-8000-000000000001",
    "conversationStart": "2026-03-02T17:30:43.090Z",
    "conversationEnd": "2026-03-02T17:38:17.974Z",
    "participants": [],
}
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def page(*rows: object, **more: object) -> DetailsPage:
    """A page as the platform writes it."""
    return parse_page(json.dumps({"conversations": rows, "totalHits": len(rows)} | more).encode())


def test_a_page_is_its_rows_and_its_total() -> None:
    """Head fields are taken out; the rest stays in the record."""
    read = page(ROW, {**ROW, "conversationId": "b", "conversationEnd": None, "somethingNew": {"x": 1}})
    first, second = read.rows
    assert (first.conversation_id, first.start, first.end) == (
        ROW["conversationId"], ROW["conversationStart"], ROW["conversationEnd"],
    )  # fmt: skip
    assert (second.conversation_id, second.end) == ("b", None)
    assert second.record["somethingNew"] == {"x": 1}
    assert read.total_hits == 2
    assert ids_of(read.rows) == [ROW["conversationId"], "b"]


def test_the_bytes_are_kept_as_they_came() -> None:
    """Spaces, order, escapes and number formats of a record are the API's own."""
    raw = b'{ "conversationId":"c1" , "n": 1.50, "e": 1E2, "text":"\\u00e9\\/" ,\n "conversationStart":null }'
    read = parse_page(b'{"totalHits": 1, "conversations": [' + raw + b"]}")
    assert read.rows[0].raw == raw
    assert decode_record(raw) == decode_record(raw.decode()) == read.rows[0].record


@pytest.mark.parametrize(
    "body",
    [b"{}", b" { } ", b'{"totalHits":7}', b'{"conversations":null}', b'{"conversations":[]}', b'{"aggregations":[]}'],
)
def test_past_the_last_page(body: bytes) -> None:
    """An answer without conversations is a page without rows, whichever way it says so."""
    assert parse_page(body).rows == ()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>", b'{"conversations":', b'{"conversations":[{]}', b'{"conversations":{}}',
        b'{"conversations":[{"conversationId":"\xff"}]}', b'{"conversations":[{}],"totalHits":1', b"\xef\xbb\xbf{}",
        b'{"conversations":[{},]}', b"[" * 5000, b'{"conversations":"a"}',
    ],
)  # fmt: skip
def test_a_broken_body_is_told_apart(body: bytes) -> None:
    """It is a ValueError, which makes the request worth repeating, and never a page that is too short."""
    for parse in (parse_page, parse_results):
        with pytest.raises(ValueError, match="answer"):
            parse(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_or_broken(body: bytes) -> None:
    """No body makes another error."""
    try:
        parse_page(body)
    except ValueError:
        return


@given(st.lists(junk, max_size=4), junk, junk, junk)
def test_any_rows_are_kept(rows: list[Any], total: Any, cursor: Any, available: Any) -> None:
    """Rows of any shape come through with their bytes; what has no readable id says so."""
    read = page(*rows, totalHits=total, cursor=cursor, dataAvailabilityDate=available)
    assert [json.loads(row.raw) for row in read.rows] == rows
    assert read.total_hits is None or read.total_hits == total
    for row in read.rows:
        assert row.conversation_id is None
        assert len(content_digest(row.record)) == 16


@given(st.dictionaries(st.sampled_from([*ROW, "sessions", "segments", "attributes"]), junk))
def test_fields_of_wrong_types_never_fail(record: dict[str, Any]) -> None:
    """A record whose fields are anything at all is a row with a digest."""
    row = page(record).rows[0]
    assert row.record == record
    identity = record.get("conversationId")
    assert row.conversation_id == (identity if isinstance(identity, str) and identity else None)
    assert len(content_digest(row.record)) == 16


def test_times_are_normalized_or_none() -> None:
    """Impossible dates are no times; other spellings are the same time."""
    row = page(
        ROW | {"conversationStart": "2021-04-2T15:30:51.418Z", "conversationEnd": "2026-03-02T18:38:17+01:00"}
    ).rows[0]
    assert (row.start, row.end) == (None, "2026-03-02T17:38:17.000Z")
    assert row.record["conversationStart"] == "2021-04-2T15:30:51.418Z"


@pytest.mark.parametrize("parse", [parse_page, parse_results])
def test_a_row_beyond_decoding_is_kept_without_an_id(parse: Callable[[bytes], DetailsPage]) -> None:
    """Nesting without end, or a number beyond all floats, spoils its own row and no other."""
    deep = b'{"conversationId":"deep","x":' + b"[" * 600 + b"]" * 600 + b"}"
    huge = b'{"conversationId":"huge","x":1e999}'
    read = parse(b'{"conversations":[' + deep + b"," + huge + b',{"conversationId":"whole"}],"totalHits":3}')
    assert [row.raw for row in read.rows[:2]] == [deep, huge]
    assert read.rows[2].conversation_id == "whole"
    assert read.rows[1].record == {}
    assert len(content_digest(read.rows[0].record)) == 16


@pytest.mark.parametrize("parse", [parse_page, parse_results])
def test_half_an_emoji_spoils_nothing(parse: Callable[[bytes], DetailsPage]) -> None:
    """A name that was cut within a surrogate pair is read with a replacement character."""
    read = parse(b'{"conversations":[{"conversationId":"c","name":"Ann \\ud83d","ok":"\\ud83d\\ude00"}],"totalHits":1}')
    assert read.rows[0].conversation_id == "c"
    assert (read.rows[0].record["name"], read.rows[0].record["ok"]) == ("Ann \ufffd", "\U0001f600")


def test_a_jobs_page_has_a_cursor_and_a_watermark() -> None:
    """No cursor, or an empty one, is the last page."""
    read = page(ROW, cursor="abc", dataAvailabilityDate="2026-03-02T07:12:00Z")
    assert (read.cursor, read.data_availability_date) == ("abc", "2026-03-02T07:12:00.000Z")
    assert page(ROW, cursor="").cursor is None
    assert page(ROW).data_availability_date is None


def test_totals_that_are_no_numbers_are_unknown() -> None:
    """A total of another type is not guessed at."""
    assert [page(ROW, totalHits=total).total_hits for total in ("1", True, None, 1.5, [])] == [None] * 5


def test_a_record_that_is_no_object_has_no_id() -> None:
    """It is kept, and counts as a row without an id."""
    row = row_of(b'"text"')
    assert (row.conversation_id, row.record, row.raw) == (None, {}, b'"text"')


@given(st.lists(junk | st.sampled_from([ROW, ROW | {"conversationId": "b"}]), max_size=6), st.integers(1, 4))
def test_rows_that_are_decoded_when_looked_at_are_the_same(rows: list[Any], length: int) -> None:
    """A job's page differs from a query's in when its rows are decoded and in their order, and in nothing else."""
    body = json.dumps({"conversations": rows, "cursor": "next"}).encode()
    eager, lazy = parse_page(body), parse_results(body)
    assert sorted(lazy.rows, key=_raw) == sorted(eager.rows, key=_raw)
    slices = [lazy.rows[at : at + length] for at in range(0, len(rows), length)]
    assert [row for part in slices for row in part] == [lazy.rows[at] for at in range(len(rows))] == list(lazy.rows)
    assert (len(lazy.rows), lazy.cursor) == (len(rows), "next")


def _raw(row: DetailRow) -> bytes:
    return row.raw


def test_a_jobs_page_is_in_the_order_of_its_ids() -> None:
    """Rows that are neighbours in the tables are handed on together."""
    rows = [ROW | {"conversationId": one, "conversationStart": None} for one in ("c", "a", "d", "b")]
    assert ids_of(parse_results(json.dumps({"conversations": rows}).encode()).rows) == ["a", "b", "c", "d"]


@given(st.binary(max_size=40))
def test_any_results_are_a_page_or_broken(text: bytes) -> None:
    """What is broken is found while it can still be asked for again, never when its rows are looked at."""
    body = b'{"conversations": [{"conversationId": "' + text + b'"}]}'
    try:
        read = parse_results(body)
    except ValueError:
        return
    for row in read.rows:
        assert row.record == decode_record(row.raw)
