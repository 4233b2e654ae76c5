"""Pages of conversation details: read leniently, kept byte for byte."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.messages.details import (
    DetailRow,
    DetailsPage,
    content_digest,
    content_of,
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
        ROW["conversationId"],
        ROW["conversationStart"],
        ROW["conversationEnd"],
    )
    assert (second.conversation_id, second.end) == ("b", None)
    assert second.record["somethingNew"] == {"x": 1}
    assert read.total_hits == 2
    assert ids_of(read.rows) == [ROW["conversationId"], "b"]


def test_the_bytes_are_kept_as_they_came() -> None:
    """Spaces, order, escapes and number formats of a record are the API's own."""
    raw = b'{ "conversationId":"c1" , "n": 1.50, "e": 1E2, "text":"\\u00e9\\/" ,\n "conversationStart":null }'
    read = parse_page(b'{"totalHits": 1, "conversations": [' + raw + b"]}")
    assert read.rows[0].raw == raw
    assert read.rows[0].record == json.loads(raw)


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
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"conversations":',
        b'{"conversations":[{]}',
        b'{"conversations":{}}',
        b'{"conversations":[{}],"totalHits":1',
        b"\xef\xbb\xbf{}",
        b'{"conversations":[{},]}',
        b"[" * 5000,
        b'{"conversations":"a"}',
        b'{"conversations":[{"x":NaN}',
        b'{"conversations":[{"x":NaN},{"y":1}],"totalHits":',
        b'{"conversations":[{"x":"\xff}]}',
        b'{"conversations":[{"x":NaN},]}',
        b'{"conversations":[NaN]}',
        b'{"conversations":[{"x":NaN}],"conversations":[{}]}',
        b'{"conversations":[{"x":NaN}],"cursor":"\xff"}',
    ],
)
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


def test_a_number_beyond_all_floats_in_an_unknown_field_spoils_nothing() -> None:
    """The record is a row, and says the same as another one only if it has the same bytes."""
    raw = b'{"conversationId":"huge","x":1e999}'
    row = row_of(raw)
    assert (row.conversation_id, row.broken) == ("huge", False)
    assert content_of(raw) == content_of(bytes(raw))
    assert content_of(raw) != content_of(b'{"conversationId":"huge","x":1e998}')
    assert content_of(b'{"a":1.0,"b":[]}') == content_of(b'{"b":[], "a":1}')


@pytest.mark.parametrize("parse", [parse_page, parse_results])
def test_a_row_beyond_decoding_is_kept_as_broken(parse: Callable[[bytes], DetailsPage]) -> None:
    """Nesting without end, or a number beyond all floats, spoils its own row and no other; its id can be seen."""
    deep = b'{"conversationId":"deep","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    huge = b'{"conversationId":"huge","mediaStatsMinConversationMos":1e999}'
    read = parse(b'{"conversations":[' + deep + b"," + huge + b',{"conversationId":"whole"}],"totalHits":3}')
    assert [row.raw for row in read.rows[:2]] == [deep, huge]
    assert read.rows[2].conversation_id == "whole"
    assert read.rows[1].record == {}
    assert [row.broken for row in read.rows] == [True, True, False]
    assert ids_of(read.rows) == ["deep", "huge", "whole"]
    assert len(content_digest(read.rows[0].record)) == 16


@pytest.mark.parametrize("parse", [parse_page, parse_results])
@pytest.mark.parametrize(
    ("bad", "mended"),
    [
        (b'{"conversationId":"bad","x":NaN}', b'{"conversationId":"bad","x":null}'),
        (
            b'{"x":[-Infinity, Infinity,"NaN"],"conversationId":"bad"}',
            b'{"x":[null, null,"NaN"],"conversationId":"bad"}',
        ),
        (b'{"conversationId":"bad","x":"a\xffb,]}"}', '{"conversationId":"bad","x":"a\ufffdb,]}"}'.encode()),
        (b'{"conversationId":"bad","x":"a\x01\n"}', b'{"conversationId":"bad","x":"a\\u0001\\u000a"}'),
        (
            b'{"conversationId":"bad","x":"\\q\\\\ \\u12"}',
            '{"conversationId":"bad","x":"\ufffdq\\\\ \ufffdu12"}'.encode(),
        ),
        (b'{"conversationId":"bad","x":NaN,"y":"\\ud83d"}', b'{"conversationId":"bad","x":null,"y":"\\ufffd"}'),
    ],
)
def test_a_record_with_bad_bytes_is_mended(parse: Callable[[bytes], DetailsPage], bad: bytes, mended: bytes) -> None:
    """What certainly is meant is read, and what is kept can be read by SQL; its neighbours stay byte for byte."""
    first, last = b'{ "conversationId":"a1" ,"n":1.50}', b'{"conversationId":"z"}'
    read = parse(b'{"totalHits":3,"conversations" : [' + b",\n".join([first, bad, last]) + b'],"cursor":"c"}')
    assert [row.raw for row in read.rows] == [first, mended, last]
    assert ids_of(read.rows) == ["a1", "bad", "z"]
    assert [(row.broken, row.mended) for row in read.rows] == [(False, False), (False, True), (False, False)]
    assert read.rows[1].record == json.loads(mended)
    assert (read.total_hits, read.cursor) == (3, "c")


@pytest.mark.parametrize("parse", [parse_page, parse_results])
@pytest.mark.parametrize(
    ("bad", "conversation_id"),
    [
        (
            b'{"x":{"conversationId":"inner"},"conversationId" : "A1000000-0000-4000-8000-000000000001","y":}',
            ROW["conversationId"],
        ),
        (b'{"conversationId":"bad","x":01}', "bad"),
        (b'{"conversationId":"bad","x":[1}', "bad"),
        (b'{"conversationId":"bad" \xff}', "bad"),
        (b'{"conversationId":"b\xffd"}', None),
        (b'{"conversationId":NaN,"x":.5}', None),
        (b'{"x":{"conversationId":"inner"},,}', None),
    ],
)
def test_a_record_that_cannot_be_mended_keeps_its_bytes(
    parse: Callable[[bytes], DetailsPage], bad: bytes, conversation_id: str | None
) -> None:
    """It costs none of its neighbours, and says which conversation it is about if that can be seen."""
    first, last = b'{"conversationId":"a0"}', b'{"conversationId":"z"}'
    read = parse(b'{"conversations":[' + b",".join([first, bad, last]) + b'],"totalHits":3}')
    (row,) = [row for row in read.rows if row.broken]
    assert (row.conversation_id, row.start, row.end, row.raw, row.record, row.mended) == (
        conversation_id,
        None,
        None,
        bad,
        {},
        False,
    )
    assert [other.raw for other in read.rows if other is not row and not other.broken] == [first, last]


@given(st.lists(junk.map(lambda x: {"conversationId": "c", "x": x}), min_size=1, max_size=5), st.data())
def test_a_bad_record_among_good_ones_costs_none(records: list[Any], data: st.DataObject) -> None:
    """Whatever the records hold, and wherever the bad one stands."""
    raws = [json.dumps(record, ensure_ascii=data.draw(st.booleans())).encode() for record in records]
    raws.insert(data.draw(st.integers(0, len(raws))), b'{"conversationId":"bad","x":NaN}')
    read = parse_page(b'{"a":{"b":[",]"]},"conversations":[' + b" , ".join(raws) + b'],"totalHits":1}')
    assert len(read.rows) == len(raws)
    for row, raw in zip(read.rows, raws, strict=True):
        assert row.mended or row.raw == raw
        assert not row.broken


@given(st.lists(st.binary(max_size=12), max_size=4))
def test_bytes_of_any_kind_are_a_page_or_broken(parts: list[bytes]) -> None:
    """What is mended is JSON; no bytes make another error, or a page that is not a page."""
    body = b'{"conversations":[' + b'"},{"'.join([b'{"x":NaN,"a":"', *parts, b'"}']) + b"]}"
    try:
        read = parse_page(body)
    except ValueError:
        return
    for row in read.rows:
        assert row.broken or isinstance(json.loads(row.raw), dict)


@pytest.mark.parametrize("parse", [parse_page, parse_results])
@pytest.mark.parametrize(
    "body",
    [
        {"message": "The service is unavailable", "code": "service.unavailable", "status": 503},
        {"errors": [{"message": "x"}]},
        {"error": "down"},
        {"message": "Endpoint request timed out"},
        {"hello": 1},
        {"conversations": [], "message": "Internal server error"},
        {"conversations": None, "status": 503},
        {"conversations": [], "totalHits": 0, "errors": ["a shard failed"]},
        {"totalHits": 0, "code": "internal"},
        {"conversations": [], "Message": "x"},
        {"conversations": [], "title": "Bad gateway", "detail": "…"},
        {"conversations": [], "timedOut": True},
        {"conversations": [], "fault": {"faultstring": "x"}},
        {"conversations": [ROW], "errors": [{"message": "a part is missing"}]},
        {"conversations": [ROW], "status": 503},
    ],
)
def test_the_body_of_an_error_is_no_page(parse: Callable[[bytes], DetailsPage], body: Any) -> None:
    """With status 200, whoever spells it; beside an empty list, or a part of one, as well."""
    with pytest.raises(ValueError, match="answer"):
        parse(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"conversations": [], "totalHits": 0, "queryId": "q"},
        {"conversations": [], "status": 200},
        {"conversations": [], "errors": [], "message": None},
        {"conversations": [], "status": "OK", "correlationId": "c"},
        {"conversations": [ROW], "message": "fine"},
    ],
)
def test_members_that_nobody_knows_are_no_error(body: Any) -> None:
    """The platform may add some; and an error that is empty is none."""
    assert len(parse_page(json.dumps(body).encode()).rows) == len(body["conversations"])


def test_an_id_in_capitals_is_the_same_conversation() -> None:
    """A UUID has one spelling; the bytes stay as they came."""
    row = page(ROW | {"conversationId": ROW["conversationId"].upper()}).rows[0]
    assert row.conversation_id == ROW["conversationId"]
    assert ROW["conversationId"].upper().encode() in row.raw


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
    odd: tuple[object, ...] = ("1", True, None, 1.5, [])
    assert [page(ROW, totalHits=total).total_hits for total in odd] == [None] * 5


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
    rows = [
        ROW | {"conversationId": conversation_id, "conversationStart": None} for conversation_id in ("c", "a", "d", "b")
    ]
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
        assert row.raw.startswith(b"{")
        assert isinstance(row.record, dict)
