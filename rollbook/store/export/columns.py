"""The tables and views that are exported: their columns, what kind of value each has, and what their days are. Pure.

A column's kind follows from its name, so that a file's schema never depends on what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from rollbook.genesys.messages import detail_fields
from rollbook.store.rows.detail_columns import CHILD_TABLES, column


def _names(text: str, *fields: str) -> frozenset[str]:
    return frozenset({*text.split(), *map(column, fields)})


# Columns that hold a time, a whole number, or a number with a point; all others hold text.
TIMES: Final = _names(
    "conversation_start conversation_end first_seen_at reconciled_at read_at heard_end last_heard attributes_at"
    " replaced_at window_start detected_at filled_at received_at start end first_read_at last_read_at settled_at"
    " next_try_at last_run_at started_at finished_at as_of ended_at alive_at interval_start interval_end offered_at"
    " answered_at began ended alerted_at connected_at at valid_from valid_to seen_at missing_since",
    *detail_fields.TIMES,
)
INTEGERS: Final = _names(
    "position participant_position session_position look_again details_open event_id dead_letter_id attempts passes"
    " requests initial_total_hits final_total_hits unique duplicates owned missing changed unchanged ongoing live_only"
    " written drift run_id coverage_id topic_set_id offered answered abandoned short_abandoned flow_outs over_sla"
    " transferred blind_transferred consult_transferred alerted not_responding handled answer_time wait talk hold acw"
    " handle leg legs duration received_packets discarded_packets guilty goes_on",
    *detail_fields.INTEGERS,
)
REALS: Final = _names("mos r_factor seconds service_level asa aht late_share conversation_mos", *detail_fields.REALS)
# A participant's attribute is any text.
_NAMED_LIKE_A_METRICS: Final = ("participant_attributes", "value")


class ColumnKind(StrEnum):
    """The kinds of values of a column."""

    TIME = "time"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"


def kind_of(table: str, name: str) -> ColumnKind:
    """The kind of a table's column."""
    if name in TIMES:
        return ColumnKind.TIME
    if name in INTEGERS and (table, name) != _NAMED_LIKE_A_METRICS:
        return ColumnKind.INTEGER
    return ColumnKind.REAL if name in REALS else ColumnKind.TEXT


class TableGroup(StrEnum):
    """The groups of tables that are asked for by one word."""

    TABLES = "tables"  # plain columns
    VIEWS = "views"  # made of the tables
    BODIES = "bodies"  # JSON as it came


class Proof(StrEnum):
    """What the rows of a day rest on."""

    DAY = "day"  # the windows of the day itself
    REACH = "reach"  # those, and the windows before in which what it counts can have begun
    NOTHING = "nothing"  # no window


class Exported(NamedTuple):
    """A table or view that is exported.

    by: the column whose day a row belongs to; None where it has no days. Of what belongs to a conversation that is
    `conversation_start`, whether or not the table has it.
    """

    name: str
    group: TableGroup
    proof: Proof
    by: str | None
    columns: tuple[str, ...]


_START: Final = "conversation_start"
_OF_SESSION: Final = ("participant_position", "session_position", "position", "participant_id", "session_id")
_PARENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "participants": ("position",),
    "sessions": ("participant_position", "position", "participant_id"),
    "segments": _OF_SESSION,
    "metrics": _OF_SESSION,
    "media_endpoint_stats": _OF_SESSION,
    "flows": ("participant_position", "session_position", "participant_id", "session_id"),
    "flow_outcomes": _OF_SESSION,
    "evaluations": ("position",),
    "surveys": ("position",),
    "resolutions": ("position",),
}


def _table(name: str, columns: str, *, by: str | None = _START, proof: Proof = Proof.DAY) -> Exported:
    return Exported(name, TableGroup.TABLES, proof, by, tuple(columns.split()))


def _view(name: str, columns: str, *, by: str = _START, proof: Proof = Proof.DAY) -> Exported:
    return Exported(name, TableGroup.VIEWS, proof, by, tuple(columns.split()))


def _bodies(name: str, columns: str, *, by: str = _START, proof: Proof = Proof.DAY) -> Exported:
    return Exported(name, TableGroup.BODIES, proof, by, tuple(columns.split()))


_FIGURES: Final = (
    "passes requests initial_total_hits final_total_hits unique duplicates owned missing changed unchanged ongoing"
    " live_only written seconds"
)
_COUNTED: Final = "transferred blind_transferred consult_transferred"
EXPORTED: Final[Sequence[Exported]] = (
    _table(
        "conversations",
        "conversation_id conversation_start conversation_end originating_direction media_types division_ids mos"
        " r_factor provenance first_seen_at reconciled_at read_at heard_end last_heard look_again followed details_open"
        " attributes_at",
    ),
    *(
        Exported(
            name,
            TableGroup.TABLES,
            Proof.DAY,
            _START,
            ("conversation_id", *_PARENTS[name], *map(column, table.fields)),
        )
        for name, table in CHILD_TABLES.items()
    ),
    _table("participant_attributes", "conversation_id participant_id name value"),
    _table("gaps", "conversation_id window_start kind cause detected_at filled_at"),
    _table(
        "windows",
        f"start end filter verdict attempts {_FIGURES} reading reason drift first_read_at last_read_at settled_at"
        " next_try_at last_run_at proven_by divisions_json",
        by="start",
        proof=Proof.NOTHING,
    ),
    _table(
        "window_runs",
        "run_id start end filter command via started_at finished_at as_of verdict reason reading"
        f" {_FIGURES} passes_json id_digest query_json divisions_json",
        by="start",
        proof=Proof.NOTHING,
    ),
    _table(
        "coverage",
        "coverage_id source scope started_at ended_at end_reason alive_at topic_set_id",
        by="started_at",
        proof=Proof.NOTHING,
    ),
    _table(
        "names",
        "kind id name valid_from valid_to state seen_at division_id site_id missing_since",
        by=None,
        proof=Proof.NOTHING,
    ),
    _view(
        "queue_intervals",
        "queue_id queue_name media_type interval_start interval_end offered answered abandoned short_abandoned"
        f" flow_outs over_sla service_level asa aht {_COUNTED} alerted not_responding handled answer_time wait talk"
        " hold acw handle verdict",
        by="interval_start",
        proof=Proof.REACH,
    ),
    _view(
        "agent_days",
        "user_id user_name day media_type answered talk hold acw handle not_responding transferred alerted handled aht"
        " blind_transferred consult_transferred verdict",
        by="day",
        proof=Proof.REACH,
    ),
    _view(
        "queue_legs",
        "conversation_id queue_id queue_name media_type offered_at answered_at user_id user_name alerted wait talk hold"
        " acw outcome wrap_up_code wrap_up_name leg conversation_start began ended offered answered abandoned flow_outs"
        f" {_COUNTED} not_responding handled answer_time handle",
    ),
    _view(
        "agent_legs",
        "conversation_id user_id user_name queue_id queue_name media_type direction alerted_at answered_at connected_at"
        f" ended_at alerted answered not_responding {_COUNTED} handled answer_time talk hold acw handle wrap_up_code"
        " wrap_up_name conversation_start participant_position session_position session_id",
    ),
    _view(
        "wrapups",
        "conversation_id user_id user_name queue_id queue_name media_type wrap_up_code wrap_up_name at ended_at"
        " duration participant_position session_position position",
    ),
    _view(
        "mos_legs",
        "conversation_id purpose user_id user_name queue_id queue_name edge_id edge_name site_name codec provider"
        " event_time min_mos min_r_factor late_share media_type max_latency_ms conversation_start participant_position"
        " session_position position site_id received_packets discarded_packets conversation_mos guilty",
    ),
    _view(
        "mos_calls",
        "conversation_id conversation_start conversation_end mos r_factor goes_on legs purpose user_id user_name"
        " queue_id queue_name edge_id edge_name site_name codec provider event_time min_mos min_r_factor late_share"
        " site_id participant_position session_position position",
    ),
    _bodies("details", "conversation_id read_at details"),
    _bodies("conversation_versions", "conversation_id read_at replaced_at details"),
    _bodies(
        "events",
        "event_id topic conversation_id event_time received_at source body identity",
        by="received_at",
        proof=Proof.NOTHING,
    ),
    _bodies(
        "dead_letters",
        "dead_letter_id source payload error received_at",
        by="received_at",
        proof=Proof.NOTHING,
    ),
)
BY_NAME: Final[Mapping[str, Exported]] = {table.name: table for table in EXPORTED}


def chosen(words: Sequence[str]) -> tuple[Exported, ...]:
    """The tables that these words ask for: names, or groups; without any, all. In the order in which they are above."""
    return tuple(table for table in EXPORTED if not words or table.name in words or table.group in words)
