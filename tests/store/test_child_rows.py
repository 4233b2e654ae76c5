"""Detail records as rows: nothing is refused, nothing that a column can hold is lost."""

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.messages.typed_details import typed
from rollbook.store.rows import child_rows, numbers, statements, typed_rows
from rollbook.store.rows.child_rows import ChildRows, Columns
from rollbook.store.rows.detail_columns import CHILD_TABLES, column, column_of
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import schema

EXPECTED = Path(__file__).parent.parent / "data" / "child_rows.jsonl"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("segmentStart", "segment_start"),
        ("minRFactor", "min_r_factor"),
        ("maxLatencyMs", "max_latency_ms"),
        ("q850ResponseCodes", "q850_response_codes"),
        ("oTotalScore", "o_total_score"),
        ("dnis", "dnis"),
        ("nNextContactAvoided", "n_next_contact_avoided"),
    ],
)
def test_the_api_names_become_snake_case(name: str, expected: str) -> None:
    """A column is the API's name in snake case."""
    assert column(name) == expected


def test_no_table_has_a_column_twice() -> None:
    """The places of the owners and the API's fields never collide."""
    for table, (_, where, fields) in CHILD_TABLES.items():
        names = ["id", *where, *(column_of(table, field) for field in fields)]
        assert len(names) == len(set(names)), table


def _session(**more: Any) -> dict[str, Any]:
    return {"sessionId": "s1", "mediaType": "voice", **more}


def stored(*rows: DetailRow) -> tuple[list[Columns], list[dict[str, list[dict[str, Any]]]]]:
    """The columns that each record has, and what the views then say of it (without what is null)."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        names = [f"c{place}" for place, _ in enumerate(rows)]
        numbers.given(db, ["before", *names])
        made = ChildRows(TextIds(db))
        columns = [made.add(number, row) for number, row in enumerate(rows, 2)]
        made.insert(db)
        return columns, [read(db, name) for name in names]


def read(db: sqlite3.Connection, conversation_id: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a conversation in each view that has some, in the order of their positions."""
    found = {}
    for view in CHILD_TABLES:
        cursor = db.execute(f"SELECT * FROM {view} WHERE conversation_id = ? ORDER BY 2, 3, 4", (conversation_id,))
        names = [name for name, *_ in cursor.description]
        rows = [
            {name: value for name, value in zip(names, row, strict=True) if value is not None and name != names[0]}
            for row in cursor
        ]
        if rows:
            found[view] = rows
    return found


def _children(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return stored(row_of(json.dumps(record).encode()))[1][0]


def _decoded(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Rows with their arrays and objects decoded, as far as they are JSON that a number of Python can hold."""
    return {
        view: [{name: _decoded_value(value) for name, value in row.items()} for row in rows]
        for view, rows in found.items()
    }


def _decoded_value(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
    except ValueError:
        return value


@pytest.mark.parametrize("line", EXPECTED.read_text(encoding="utf-8").splitlines())
def test_a_record_makes_the_rows_that_it_always_made(line: str) -> None:
    """Each column of each view is what the fourth schema had, for records of odd shapes and spellings too.

    Arrays and objects had one spelling then; they have the record's own now.
    """
    expected = json.loads(line)
    row = row_of(expected["record"].encode())
    assert (row.start, row.end) == (expected["start"], expected["end"])
    columns, (found,) = stored(row)
    assert list(columns[0]) == expected["columns"]
    assert _decoded(found) == _decoded(expected["rows"])
    assert [list(values[1:]) for values in child_rows.attributes(1, row)] == expected["attributes"]


def test_both_ways_are_among_the_expected_rows() -> None:
    """Records that fit their fields, and records that do not."""
    fits = [typed(json.loads(line)["record"].encode()) is not None for line in EXPECTED.read_text("utf-8").splitlines()]
    assert min(fits.count(True), fits.count(False)) > 10


@pytest.mark.parametrize("line", EXPECTED.read_text(encoding="utf-8").splitlines())
def test_rows_of_one_transaction_are_made_each_by_its_own_way(line: str) -> None:
    """A record beside others leaves no row of an attempt that did not fit, and takes none of its neighbours'."""
    odd = row_of(json.loads(line)["record"].encode())
    plain = row_of(b'{"conversationId":"c","participants":[{"sessions":[{"metrics":[{"name":"tAcd"}]}]}]}')
    assert stored(plain, odd, plain)[1] == [stored(plain)[1][0], stored(odd)[1][0], stored(plain)[1][0]]


def test_every_level_makes_its_rows() -> None:
    """Participants, sessions, segments, metrics, stats, flows and outcomes carry their parents' ids and positions."""
    record = {
        "participants": [
            {"participantId": "p0", "purpose": "customer"},
            {
                "participantId": "p1",
                "purpose": "ivr",
                "sessions": [
                    _session(
                        segments=[{"segmentType": "ivr", "segmentStart": "2026-03-02T17:30:43.134Z"}],
                        metrics=[{"name": "tIvr", "value": 64488, "emitDate": "2026-03-02T17:31:47.622Z"}],
                        mediaEndpointStats=[{"minMos": 4.5, "codecs": ["audio/opus"]}],
                        flow={"flowId": "f1", "outcomes": [{"flowOutcomeId": "o1"}]},
                    )
                ],
            },
        ],
        "evaluations": [{"evaluationId": "e1", "oTotalScore": 88.5}],
    }
    found = _children(record)
    where = {"participant_position": 1, "session_position": 0}
    ids = {"participant_id": "p1", "session_id": "s1"}
    assert [row["position"] for row in found["participants"]] == [0, 1]
    assert found["segments"] == [
        where | ids | {"position": 0, "segment_type": "ivr", "segment_start": "2026-03-02T17:30:43.134Z"}
    ]
    assert found["media_endpoint_stats"] == [where | ids | {"position": 0, "min_mos": 4.5, "codecs": '["audio/opus"]'}]
    assert found["flows"] == [where | ids | {"flow_id": "f1"}]
    assert found["flow_outcomes"] == [where | ids | {"position": 0, "flow_outcome_id": "o1"}]
    assert found["evaluations"] == [{"position": 0, "evaluation_id": "e1", "o_total_score": 88.5}]


def test_a_time_is_stored_as_utc_with_milliseconds() -> None:
    """A readable time becomes 24 characters of UTC."""
    segment = {"segmentStart": "2026-03-02T17:30:43Z", "segmentEnd": "2026-03-02T19:30:43.5+02:00"}
    found = _children({"participants": [{"sessions": [{"segments": [segment]}]}]})
    assert found["segments"][0]["segment_start"] == "2026-03-02T17:30:43.000Z"
    assert found["segments"][0]["segment_end"] == "2026-03-02T17:30:43.500Z"


@pytest.mark.parametrize("text", ["2021-04-2T15:30:51.418Z", "2021-13-02T15:30:51.418Z", "yesterday", ""])
def test_a_time_that_cannot_be_read_is_kept_verbatim(text: str) -> None:
    """An impossible date is stored as it came."""
    found = _children({"participants": [{"sessions": [{"segments": [{"segmentStart": text}]}]}]})
    assert found["segments"][0]["segment_start"] == text


def test_items_of_the_wrong_shape_make_no_row_and_keep_the_positions_of_the_others() -> None:
    """A participant that is a number is skipped; the next one is still at its own position."""
    found = _children({"participants": [7, {"participantId": "p"}], "surveys": "none"})
    assert [row["position"] for row in found["participants"]] == [1]
    assert "surveys" not in found


def test_integers_beyond_sqlite_are_text() -> None:
    """A number that SQLite cannot hold as an integer is kept as its digits."""
    assert statements.storable(2**63) == str(2**63)
    assert statements.storable(2**63 - 1) == 2**63 - 1
    assert statements.storable({"a": [1]}) == '{"a":[1]}'


def test_a_number_beyond_all_floats_stays_in_its_text() -> None:
    """Where no column takes it, it spoils nothing; where one takes the whole array, the array is kept as it came."""
    session = '{"sessionId":"s1","cc":[1e999],"new":1e999}'
    row = row_of(f'{{"conversationId":"c1","participants":[{{"sessions":[{session}]}}]}}'.encode())
    assert stored(row)[1][0]["sessions"] == [
        {"participant_position": 0, "position": 0, "session_id": "s1", "cc": "[1e999]"}
    ]


def test_arrays_and_objects_are_spelled_as_the_platform_spells_them() -> None:
    """Blanks, escapes and digits stay what they were; a text or a number in their place is a text or a number."""
    nested = r'"cc":[ "M\u00fcller" ,1.50],"bcc":"somebody","callbackNumbers":7,"agentGroups":null'
    row = row_of(f'{{"conversationId":"c1","participants":[{{"sessions":[{{{nested}}}]}}]}}'.encode())
    assert stored(row)[1][0]["sessions"] == [
        {
            "participant_position": 0,
            "position": 0,
            "cc": r'[ "M\u00fcller" ,1.50]',
            "bcc": "somebody",
            "callback_numbers": "7",  # of a column of texts
        }
    ]


def test_many_rows_of_a_table_keep_their_order_and_their_values() -> None:
    """More rows than a statement takes, of which some have a field that the others lack."""
    metrics = [{"name": f"m{place}", **({"value": place} if place % 3 else {})} for place in range(257)]
    found = _children({"participants": [{"sessions": [{"metrics": metrics}]}]})["metrics"]
    assert [(row["position"], row["name"], row.get("value")) for row in found] == [
        (place, f"m{place}", place if place % 3 else None) for place in range(257)
    ]


def test_a_time_of_another_spelling_changes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a page, each time is brought into the API's form by itself, and what is no time stays as it came.

    That holds beside a number that no tree could hold, and for a time that is null or not there.
    """
    monkeypatch.setattr(typed_rows, "_in_use", {})
    spelled = {
        "2026-03-02T17:30:43.134Z": "2026-03-02T17:30:43.134Z",
        "2026-03-02T17:30Z": "2026-03-02T17:30:00.000Z",
        "2026-03-02T18:30:43.134+01:00": "2026-03-02T17:30:43.134Z",
        "2026-99-02T17:30:43.134Z": "2026-99-02T17:30:43.134Z",
        "soon": "soon",
        None: None,
    }
    segments = [[{"segmentStart": time, "segmentType": "talk"}, {"segmentType": "hold"}] for time in spelled]
    records = [{"conversationId": "c", "participants": [{"sessions": [_session(segments=each)]}]} for each in segments]
    rows = [row_of(json.dumps(record).encode().replace(b'"hold"', b'"hold","new":1e999')) for record in records]
    assert all(row.typed is not None for row in rows)
    found = [each["segments"] for each in stored(*rows)[1]]
    assert [[row.get("segment_start") for row in each] for each in found] == [[time, None] for time in spelled.values()]


def test_a_time_does_not_depend_on_the_length_of_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign too many in a time, and a sign too few in the next conversation's, are no two right times."""
    monkeypatch.setattr(typed_rows, "_in_use", {})
    times = ["2026-03-02T17:30:43.134Z ", "2021-04-2T15:30:51.418Z"]
    records = [
        {"conversationId": "c", "participants": [{"sessions": [_session(segments=[{"segmentStart": time}])]}]}
        for time in times
    ]
    rows = [row_of(json.dumps(record).encode()) for record in records]
    alone = [stored(row)[1][0]["segments"][0].get("segment_start") for row in rows]
    assert [each["segments"][0].get("segment_start") for each in stored(*rows)[1]] == alone
    assert alone[0] == "2026-03-02T17:30:43.134Z"


def test_rows_of_many_parts_are_made_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the rows, and name what, they would be and name if they were made at once."""
    sessions = [_session(segments=[{"queueId": f"q{n % 3}", "wrapUpCode": f"w{n}"}] * 3) for n in range(9)]
    rows = [
        row_of(json.dumps({"participants": [{"userId": f"u{n}", "sessions": sessions}]}).encode()) for n in range(5)
    ]

    def made() -> tuple[Any, Any]:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            schema.migrate(db)
            numbers.given(db, [f"c{place}" for place, _ in enumerate(rows)])
            children = ChildRows(TextIds(db))
            for number, row in enumerate(rows, 1):
                children.add(number, row)
            named = children.named()
            children.insert(db)
            assert children.named() == named
            return named, [read(db, f"c{place}") for place, _ in enumerate(rows)]

    at_once = made()
    monkeypatch.setattr(typed_rows, "_PARTS_AT_ONCE", 7)
    assert made() == at_once
    assert len(at_once[1][4]["segments"]) == 27


@pytest.mark.parametrize("skills", ['[{"id":"s1"}]', '[["s1"]]', '"[1],5"', '"[1]"', '[7,null,"s2"]', '{"a":1}'])
def test_a_list_of_ids_that_holds_anything_else_names_nothing_by_it(skills: str) -> None:
    """What the platform does not send stops nothing."""
    session = f'{{"sessionId":"s","activeSkillIds":{skills},"segments":[{{"queueId":"q1"}}]}}'
    row = row_of(f'{{"conversationId":"c","participants":[{{"sessions":[{session}]}}]}}'.encode())
    for each in (row, DetailRow("c", None, None, row.raw, row.record)):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            schema.migrate(db)
            numbers.given(db, ["c"])
            children = ChildRows(TextIds(db))
            children.add(1, each)
            children.insert(db)
            assert children.named() == {("queue", "q1")} | ({("skill", "s2")} if "s2" in skills else set())


def test_a_record_that_no_tree_can_hold_has_the_rows_of_its_fields() -> None:
    """Beside a number beyond all floats there are no evaluations, and no attributes that hold it; all else is there."""
    rare = row_of(b'{"conversationId":"c","originatingDirection":"inbound","evaluations":[{}],"new":1e999}')
    assert rare.typed is not None
    (columns,), (found,) = stored(rare)
    assert (columns[0], found) == ("inbound", {})
    attributes = b'{"conversationId":"c","participants":[{"participantId":"p","attributes":{"a":1e999}}]}'
    assert list(child_rows.attributes(1, row_of(attributes))) == []
    assert list(child_rows.attribute_names(1, row_of(attributes))) == []


@pytest.mark.parametrize("ahead", [0, 1, 250])
def test_a_column_that_comes_into_use_late_keeps_its_values(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """Be it within a transaction or in the one after, and with the only column that nobody used before."""
    monkeypatch.setattr(typed_rows, "_in_use", {})
    metric = {"name": "tTalk", "value": 1, "emitDate": "2026-03-02T10:00:00.000Z"}
    early = {"participants": [{"sessions": [_session(metrics=[metric] * 3, segments=[{"conference": True}] * 3)]}]}
    late = {"participants": [{"sessions": [_session(ani="tel:+49", segments=[{"queueId": "q1", "wrapUpNote": ""}])]}]}
    bare: dict[str, Any] = {"participants": [{"sessions": [{}]}]}
    made = [row_of(json.dumps(each).encode()) for each in (*[early] * ahead, late, early, bare)]
    together = stored(*made)[1]
    monkeypatch.setattr(typed_rows, "_in_use", {})
    each_alone = [stored(row)[1][0] for row in made]
    assert together == each_alone
    assert together[ahead]["sessions"][0]["ani"] == "tel:+49"
    assert together[ahead]["segments"][0]["queue_id"] == "q1"
    assert together[ahead]["segments"][0]["wrap_up_note"] == ""


def test_rows_beyond_the_last_place_stay_in_the_details(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation with more rows than its numbers have room for takes none of the next conversation's."""
    monkeypatch.setattr(child_rows, "LAST_PLACE", 2)
    metrics = [{"name": str(place)} for place in range(5)]
    sessions = [{"sessionId": str(place), "metrics": metrics, "flow": {"flowId": "f"}} for place in range(5)]
    many = row_of(json.dumps({"conversationId": "c", "participants": [{"sessions": sessions}] * 5}).encode())
    found = stored(many)[1][0]
    assert {view: len(rows) for view, rows in found.items()} == {
        "participants": 3,
        "sessions": 3,
        "metrics": 3,
        "flows": 3,
    }
    assert [row["session_id"] for row in found["flows"]] == ["0", "1", "2"]


@given(st.dictionaries(st.sampled_from(["participants", "evaluations", "divisionIds", "x"]), JSON, max_size=4))
def test_no_record_is_refused(record: dict[str, Any]) -> None:
    """Whatever JSON a record holds, rows are made without an error."""
    _children(record)
    list(child_rows.attributes(1, row_of(json.dumps(record).encode())))


_VALUES = {
    "queueId": st.sampled_from(["q1", "q2"]) | JSON,
    "segmentStart": st.sampled_from(["2026-03-02T17:30:43.134Z"]) | st.sampled_from(["2026-03-02T17:30Z", "x", None]),
    "conference": st.booleans() | st.integers() | JSON,
    "scoredAgents": st.lists(JSON, max_size=2) | JSON,
    "subject": st.text(max_size=5) | JSON,
    "new": JSON,
}
_SEGMENT = st.lists(st.sampled_from(list(_VALUES)), unique=True, max_size=5).flatmap(
    lambda names: st.fixed_dictionaries({name: _VALUES[name] for name in names})
)


@given(st.lists(st.lists(_SEGMENT, max_size=2), max_size=2), st.booleans())
def test_the_fields_make_the_rows_that_the_tree_makes(sessions: list[list[dict[str, Any]]], blanks: bool) -> None:
    """A record that fits its fields has the same rows either way, however it is spelled."""
    record = {"conversationId": "c", "participants": [{"sessions": [{"segments": segments} for segments in sessions]}]}
    raw = json.dumps(record, separators=None if blanks else (",", ":")).encode()
    row = row_of(raw)
    if not row.broken:
        by_tree = DetailRow(row.conversation_id, row.start, row.end, raw, row.record)
        (columns, rows), (columns_by_tree, rows_by_tree) = stored(row), stored(by_tree)
        assert columns == columns_by_tree
        assert _decoded(rows[0]) == _decoded(rows_by_tree[0])


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "sessions": st.lists(
                    st.fixed_dictionaries(
                        {
                            "segments": st.lists(
                                st.dictionaries(
                                    st.sampled_from(["segmentType", "queueId", "new", "segmentStart"]), JSON, max_size=4
                                ),
                                max_size=3,
                            )
                        }
                    ),
                    max_size=3,
                )
            }
        ),
        max_size=3,
    )
)
def test_there_is_a_row_for_each_object(participants: list[dict[str, Any]]) -> None:
    """As many rows as objects, whatever their values are; unknown keys cost no row."""
    found = _children({"conversationId": "c", "participants": participants})
    sessions = [session for participant in participants for session in participant["sessions"]]
    assert len(found.get("participants", [])) == len(participants)
    assert len(found.get("sessions", [])) == len(sessions)
    assert len(found.get("segments", [])) == sum(len(session["segments"]) for session in sessions)


@given(
    st.lists(st.lists(JSON, max_size=4).map(json.dumps) | st.sampled_from(["[", '["a"', "[1e999]", "skill", None, 5]))
)
def test_what_lists_hold_is_what_each_holds(listed: list[Any]) -> None:
    """Lists are decoded at once; one that is broken hides none of the others."""
    expected = []
    for text in listed:
        if isinstance(text, str) and text.startswith("["):
            with suppress(ValueError):
                expected.append(decode(text.encode()))
    assert list(typed_rows.members(listed)) == [member for found in expected for member in found]
