"""The views that people ask for, read for reports and for the comparison with the platform's own counts. SQL only.

What they are made of is in `9_views.sql` and `10_call_quality.sql` below `rollbook/store/tables/migrations/`;
docs/views.md says it column by column.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rollbook.store.tables.windows import RANK
from rollbook.store.vocabulary import Verdict

Row = dict[str, Any]

# The metrics that the interval views count, in the order in which their index has them: a query that names the same in
# the same way uses it.
COUNTED: Final = (
    "tHandle",
    "tAcw",
    "tAnswered",
    "tAcd",
    "nOffered",
    "tTalkComplete",
    "tAlert",
    "nOverSla",
    "tHeldComplete",
    "nTransferred",
    "tNotResponding",
    "tAbandon",
    "tFlowOut",
    "nBlindTransferred",
    "nConsultTransferred",
    "tShortAbandon",
)
IS_COUNTED: Final = "(" + " OR ".join(f"name = '{name}'" for name in COUNTED) + ")"
# column of the views → (metric, whether it counts them or adds them up). Of what begins with n, a count is a sum.
FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "offered": ("nOffered", "count"),
    "answered": ("tAnswered", "count"),
    "abandoned": ("tAbandon", "count"),
    "short_abandoned": ("tShortAbandon", "count"),
    "flow_outs": ("tFlowOut", "count"),
    "over_sla": ("nOverSla", "count"),
    "transferred": ("nTransferred", "count"),
    "blind_transferred": ("nBlindTransferred", "count"),
    "consult_transferred": ("nConsultTransferred", "count"),
    "alerted": ("tAlert", "count"),
    "not_responding": ("tNotResponding", "count"),
    "handled": ("tHandle", "count"),
    "answer_time": ("tAnswered", "sum"),
    "wait": ("tAcd", "sum"),
    "talk": ("tTalkComplete", "sum"),
    "hold": ("tHeldComplete", "sum"),
    "acw": ("tAcw", "sum"),
    "handle": ("tHandle", "sum"),
}
_OF_AGENTS: Final = (
    "answered",
    "talk",
    "hold",
    "acw",
    "handle",
    "not_responding",
    "transferred",
    "alerted",
    "handled",
    "blind_transferred",
    "consult_transferred",
)


def queue_intervals(connection: sqlite3.Connection, start: str, end: str) -> list[Row]:
    """The rows of `queue_intervals` whose half hours begin in [start, end)."""
    query = (
        "SELECT * FROM queue_intervals WHERE interval_start >= ? AND interval_start < ?"
        " ORDER BY interval_start, queue_id, media_type"
    )
    return list(_rows(connection.execute(query, (start, end))))


def figures_by_conversation(connection: sqlite3.Connection, start: str, end: str) -> list[Row]:
    """conversation_id, queue_id, media_type, name, count and sum of what queues count in half hours of [start, end)."""
    query = (
        "SELECT conversation_id, queue_id, media_type, name, count(*) AS count,"
        " sum(CASE WHEN value BETWEEN -1e15 AND 1e15 THEN value END) AS sum FROM leg_metrics"
        f" WHERE {IS_COUNTED} AND interval_start >= ? AND interval_start < ? GROUP BY 1, 2, 3, 4"
    )
    return list(_rows(connection.execute(query, (start, end))))


def agents(connection: sqlite3.Connection, start: str, end: str) -> list[Row]:
    """The figures of each agent, queue and medium, of what was emitted in [start, end)."""
    query = (
        f"SELECT user_id, {_name('user')} AS user_name, queue_id, {_name('queue')} AS queue_name, media_type,"
        f" {', '.join(_figure(name) for name in _OF_AGENTS)} FROM leg_metrics"
        f" WHERE {IS_COUNTED} AND interval_start > strftime('%Y-%m-%dT%H:%M:%fZ', ?1, '-30 minutes')"
        " AND interval_start < ?2 AND emit_date >= ?1 AND emit_date < ?2 AND user_id IS NOT NULL"
        " GROUP BY user_id, queue_id, media_type ORDER BY 2, 1"
    )
    return list(_rows(connection.execute(query, (start, end))))


def _name(kind: str) -> str:
    """The name of an id at the end of the interval."""
    return (
        f"(SELECT n.name FROM names n WHERE n.kind = '{kind}' AND n.id = {kind}_id AND n.valid_from <= ?2"
        " ORDER BY n.valid_from DESC LIMIT 1)"
    )


def _figure(name: str) -> str:
    metric, how = FIGURES[name]
    value = f"WHEN name = '{metric}' AND value BETWEEN -1e15 AND 1e15 THEN value"
    if how == "sum":
        return f"sum(CASE {value} END) AS {name}"
    if metric.startswith("n"):
        return f"coalesce(sum(CASE {value} END), 0) AS {name}"
    return f"count(CASE WHEN name = '{metric}' THEN 1 END) AS {name}"


def wrapups(connection: sqlite3.Connection, start: str, end: str) -> list[Row]:
    """The rows of `wrapups` whose work began in [start, end)."""
    return list(_rows(connection.execute("SELECT * FROM wrapups WHERE at >= ? AND at < ? ORDER BY at", (start, end))))


def mos_legs(connection: sqlite3.Connection, start: str, end: str) -> Iterator[Row]:
    """The rows of `mos_legs` that have a MOS, of calls that began in [start, end): call by call, earlier ones first."""
    query = (
        "SELECT * FROM mos_legs WHERE conversation_start >= ? AND conversation_start < ?"
        " AND min_mos BETWEEN -1e15 AND 1e15 ORDER BY conversation_start, conversation_id"
    )
    return _rows(connection.execute(query, (start, end)))


def mos_calls(connection: sqlite3.Connection, start: str, end: str) -> Iterator[Row]:
    """The rows of `mos_calls` that began in [start, end)."""
    query = "SELECT * FROM mos_calls WHERE conversation_start >= ? AND conversation_start < ?"
    return _rows(connection.execute(query, (start, end)))


def unread_calls(connection: sqlite3.Connection, start: str, end: str) -> int:
    """How many conversations with a voice session began in [start, end), and were only heard so far."""
    query = (
        "SELECT count(*) FROM conversation_rows WHERE conversation_start >= ? AND conversation_start < ?"
        " AND media_types LIKE '%\"voice\"%' AND read_at IS NULL"
    )
    found: int = connection.execute(query, (start, end)).fetchone()[0]
    return found


def verdict_of(connection: sqlite3.Connection, start: str, end: str, *, began: bool = False) -> str | None:
    """The worst verdict of the windows that a number of [start, end) rests on, as the interval views say it.

    began: it counts what began in [start, end), and rests on no window before it.
    """
    before = (
        "SELECT ?1"
        if began
        else "SELECT max((SELECT min(start) FROM windows WHERE filter = ''),"
        " strftime('%Y-%m-%dT%H:%M:%fZ', ?1, -reach || ' seconds')) FROM view_settings"
    )
    query = (
        f"WITH begins (at) AS ({before})"
        ' SELECT min(coalesce((SELECT max(rank) FROM proven_spans WHERE "end" >= ?2 AND start <= at), -1),'
        ' coalesce((SELECT min(rank) FROM contested_proofs WHERE start < ?2 AND "end" > at), 5),'
        " CASE WHEN EXISTS (SELECT 1 FROM conversation_rows WHERE details_open = 1 AND followed IS NULL"
        f" AND conversation_start >= at AND conversation_start < ?2) THEN {RANK[Verdict.OPEN]} ELSE 5 END) FROM begins"
    )
    rank: int | None = connection.execute(query, (start, end)).fetchone()[0]
    return next((verdict for verdict, of in RANK.items() if of == rank), None)


def local_day(connection: sqlite3.Connection, day: str) -> tuple[str, str]:
    """(start, end) of a day of the time zone that is set; where nothing was counted on it, of all zones' days."""
    found: tuple[str, str] | None = connection.execute(
        "SELECT starts_at, ends_at FROM local_days WHERE day = ?1 UNION ALL"
        " SELECT date(?1, '-1 day') || 'T00:00:00.000Z', date(?1, '+2 days') || 'T00:00:00.000Z' LIMIT 1",
        (day,),
    ).fetchone()
    assert found is not None
    return found


def _rows(found: sqlite3.Cursor) -> Iterator[Row]:
    names = [column[0] for column in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)


def in_cells(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """Rows of `queue_intervals` by (queue, medium, start); what is of no queue is left out."""
    return {
        (row["queue_id"], row["media_type"] or "unknown", row["interval_start"]): row
        for row in rows
        if row["queue_id"] is not None and row["interval_end"] is not None
    }
