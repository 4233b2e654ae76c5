"""The columns of the child tables: the API's field names, table by table, and how they are spelled as columns.

Data only. What has no column is not lost: it stays in the conversation's `details`, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from rollbook.genesys.messages.detail_fields import (
    EVALUATION,
    FLOW,
    FLOW_OUTCOME,
    INTEGERS,
    MEDIA_ENDPOINT_STAT,
    METRIC,
    PARTICIPANT,
    QUEUE,
    REALS,
    RESOLUTION,
    SEGMENT,
    SESSION,
    SURVEY,
)
from rollbook.genesys.named import NameKind

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def column(name: str) -> str:
    """The API's camelCase as a column: `segmentStart` → `segment_start`, `minRFactor` → `min_r_factor`."""
    return _WORD_START.sub("_", name).lower()


def affinity(name: str) -> str:
    """The column's SQLite affinity. A value of another type is still taken: SQLite keeps what it is given."""
    return "INTEGER" if name in INTEGERS else "REAL" if name in REALS else "TEXT"


class ChildTable(NamedTuple):
    """A table of child rows.

    A row's id is its conversation's number and its place (see `numbers`). where: the columns that say which row it
    belongs to, by that row's place, and its position there. fields: the API's.
    """

    rows: str
    where: tuple[str, ...]
    fields: tuple[str, ...]


# By the name of the view that people read. The API gives no id to a segment or a metric, and bad data lacks or repeats
# even those that it gives: the position within the answer is the one key that always exists.
_IN_SESSION: Final = ("session", "position")
CHILD_TABLES: Final[Mapping[str, ChildTable]] = {
    "participants": ChildTable("participant_rows", (), PARTICIPANT),
    "sessions": ChildTable("session_rows", ("participant", "position"), SESSION),
    "segments": ChildTable("segment_rows", _IN_SESSION, SEGMENT),
    "metrics": ChildTable("metric_rows", _IN_SESSION, METRIC),
    "media_endpoint_stats": ChildTable("media_endpoint_stat_rows", _IN_SESSION, MEDIA_ENDPOINT_STAT),
    "flows": ChildTable("flow_rows", (), FLOW),
    "flow_outcomes": ChildTable("flow_outcome_rows", _IN_SESSION, FLOW_OUTCOME),
    "evaluations": ChildTable("evaluation_rows", (), EVALUATION),
    "surveys": ChildTable("survey_rows", (), SURVEY),
    "resolutions": ChildTable("resolution_rows", (), RESOLUTION),
}


# The fields that hold ids of what has a name, by table; some hold a list of them.
NAMES: Final[Mapping[str, Mapping[str, NameKind]]] = {
    "participants": {"userId": NameKind.USER, "teamId": NameKind.TEAM},
    "sessions": {
        "edgeId": NameKind.EDGE,
        "selectedAgentId": NameKind.USER,
        "assignerId": NameKind.USER,
        "activeSkillIds": NameKind.SKILL,
        "removedSkillIds": NameKind.SKILL,
    },
    "segments": {
        QUEUE: NameKind.QUEUE,
        "wrapUpCode": NameKind.WRAPUPCODE,
        "requestedLanguageId": NameKind.LANGUAGE,
        "requestedRoutingSkillIds": NameKind.SKILL,
        "requestedRoutingUserIds": NameKind.USER,
    },
    "flows": {"flowId": NameKind.FLOW},
    "evaluations": {
        "evaluatorId": NameKind.USER,
        "userId": NameKind.USER,
        "assigneeId": NameKind.USER,
        QUEUE: NameKind.QUEUE,
    },
    "surveys": {"userId": NameKind.USER, QUEUE: NameKind.QUEUE},
    "resolutions": {"userId": NameKind.USER, QUEUE: NameKind.QUEUE},
}


def column_of(table: str, field: str) -> str:
    """The column of a table's rows for a field. A segment's queue is kept as the number of its id's text."""
    return "queue" if (table, field) == ("segments", QUEUE) else column(field)
