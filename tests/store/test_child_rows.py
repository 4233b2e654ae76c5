"""Detail records as rows: nothing is refused, nothing that a column can hold is lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.store.tables import child_rows
from rollbook.store.tables.detail_columns import CHILD_TABLES, column

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
    """Positions, the parents' ids and the API's fields never collide."""
    for table, (positions, fields) in CHILD_TABLES.items():
        names = [*positions, *(column(field) for field in fields)]
        assert len(names) == len(set(names)), table


def _session(**more: Any) -> dict[str, Any]:
    return {"sessionId": "s1", "mediaType": "voice", **more}


def _children(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    made = child_rows.child_rows()
    child_rows.add_children(made, "c1", record)
    found: dict[str, list[dict[str, Any]]] = {}
    for statement, values in made.items():
        table = statement.split()[2]
        names = statement[statement.index("(") + 1 : statement.index(")")].split(", ")
        found.setdefault(table, []).extend(dict(zip(names, row, strict=True)) for row in values)
    return found


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
    where = {"conversation_id": "c1", "participant_position": 1, "session_position": 0}
    ids = {"participant_id": "p1", "session_id": "s1"}
    assert [row["position"] for row in found["participants"]] == [0, 1]
    assert found["segments"] == [
        where | ids | {"position": 0, "segment_type": "ivr", "segment_start": "2026-03-02T17:30:43.134Z"}
    ]
    assert found["media_endpoint_stats"] == [where | ids | {"position": 0, "min_mos": 4.5, "codecs": '["audio/opus"]'}]
    assert found["flows"] == [where | ids | {"flow_id": "f1"}]
    assert found["flow_outcomes"] == [where | ids | {"position": 0, "flow_outcome_id": "o1"}]
    assert found["evaluations"] == [
        {"conversation_id": "c1", "position": 0, "evaluation_id": "e1", "o_total_score": 88.5}
    ]


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
    assert child_rows.storable(2**63) == str(2**63)
    assert child_rows.storable(2**63 - 1) == 2**63 - 1
    assert child_rows.storable({"a": [1]}) == '{"a":[1]}'


@given(st.dictionaries(st.sampled_from(["participants", "evaluations", "divisionIds", "x"]), JSON, max_size=4))
def test_no_record_is_refused(record: dict[str, Any]) -> None:
    """Whatever JSON a record holds, rows are made without an error."""
    _children(record)
    child_rows.media_types(record)
    list(child_rows.attributes("c1", record))


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
    found = _children(json.loads(json.dumps({"participants": participants})))
    sessions = [session for participant in participants for session in participant["sessions"]]
    assert len(found.get("participants", [])) == len(participants)
    assert len(found.get("sessions", [])) == len(sessions)
    assert len(found.get("segments", [])) == sum(len(session["segments"]) for session in sessions)
