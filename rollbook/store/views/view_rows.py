"""The views that people ask for, read for reports and for the comparison with the platform's own counts. SQL only.

What they are made of is in `rollbook/store/tables/migrations`, 9 to 13; docs/views.md says it column by column.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rollbook.store.rows.half_hours import COUNTED, figure
from rollbook.store.rows.numbers import SHIFT
from rollbook.store.tables.windows import RANK
from rollbook.store.vocabulary import Verdict

Row = dict[str, Any]

_IS_COUNTED: Final = "(" + " OR ".join(f"name = '{name}'" for name in COUNTED) + ")"
# The metrics of the conversations of which anything was counted between ?1 and ?2, and those alone: their sums are
# found by their time.
_COUNTED_BETWEEN: Final = (
    f"(SELECT DISTINCT id >> {SHIFT} AS number FROM half_hour_rows"
    " WHERE interval_start > strftime('%Y-%m-%dT%H:%M:%fZ', ?1, '-30 minutes') AND interval_start < ?2)"
    " CROSS JOIN conversation_ids USING (number) CROSS JOIN leg_metrics USING (conversation_id)"
)
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
        f" sum(CASE WHEN value BETWEEN -1e15 AND 1e15 THEN value END) AS sum FROM {_COUNTED_BETWEEN}"
        f" WHERE {_IS_COUNTED} AND interval_start >= ?1 AND interval_start < ?2 GROUP BY 1, 2, 3, 4"
    )
    return list(_rows(connection.execute(query, (start, end))))


def agents(connection: sqlite3.Connection, start: str, end: str) -> list[Row]:
    """The figures of each agent, queue and medium, of what was emitted in [start, end)."""
    query = (
        f"SELECT user_id, {_name('user')} AS user_name, queue_id, {_name('queue')} AS queue_name, media_type,"
        f" {', '.join(figure(name) for name in _OF_AGENTS)} FROM {_COUNTED_BETWEEN}"
        f" WHERE {_IS_COUNTED} AND interval_start IS NOT NULL AND emit_date >= ?1 AND emit_date < ?2"
        " AND user_id IS NOT NULL"
        " GROUP BY user_id, queue_id, media_type ORDER BY 2, 1"
    )
    return list(_rows(connection.execute(query, (start, end))))


def _name(kind: str) -> str:
    """The name of an id at the end of the interval."""
    return (
        f"(SELECT n.name FROM names n WHERE n.kind = '{kind}' AND n.id = {kind}_id AND n.valid_from <= ?2"
        " ORDER BY n.valid_from DESC LIMIT 1)"
    )


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


_ALL: Final = tuple(RANK.values())
# How far windows of at least a verdict have come before another begins; there is a hole where that is earlier.
_REACHED: Final = ", ".join(f'max(CASE WHEN rank >= {rank} THEN "end" END) OVER w AS until_{rank}' for rank in _ALL)
_WITHOUT_HOLE: Final = " ".join(
    f'WHEN max("end") FILTER (WHERE rank >= {rank}) >= ends AND NOT max(rank >= {rank}'
    f" AND start > coalesce(until_{rank}, at)) THEN {rank}"
    for rank in sorted(_ALL, reverse=True)
)
# As the views of 11_half_hours.sql say it: no window is looked at that does not touch the stretch.
# What is longer than a day is looked for by its length.
_VERDICT: Final = (
    "SELECT min(("
    f'SELECT CASE {_WITHOUT_HOLE} ELSE -1 END FROM (SELECT start, "end", rank, {_REACHED} FROM ('
    'SELECT start, "end", rank FROM ranked_windows'
    " WHERE start > strftime('%Y-%m-%dT%H:%M:%fZ', at, '-1 day') AND start < ends AND \"end\" > at"
    ' UNION ALL SELECT p.start, p."end", p.rank FROM windows l INDEXED BY windows_length'
    ' CROSS JOIN ranked_windows p ON p.start = l.start AND p."end" = l."end"'
    ' WHERE l.filter = \'\' AND julianday(l."end") - julianday(l.start) > 1.0 AND p."end" > at AND p.start < ends'
    " AND p.start <= strftime('%Y-%m-%dT%H:%M:%fZ', at, '-1 day'))"
    ' WINDOW w AS (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))),'
    " coalesce((SELECT min(rank) FROM contested_pieces WHERE failed_start < ends AND failed_end > at"
    ' AND start < ends AND "end" > at AND rank < was), 5),'
    " CASE WHEN EXISTS (SELECT 1 FROM conversation_rows WHERE details_open = 1 AND followed IS NULL"
    f" AND conversation_start >= at AND conversation_start < ends) THEN {RANK[Verdict.OPEN]} ELSE 5 END)"
    " FROM (SELECT ?2 AS ends, {begins} AS at)"
)
# How early that began which a number counts.
_REACH: Final = (
    "min(?1, max((SELECT min(start) FROM windows WHERE filter = ''),"
    " strftime('%Y-%m-%dT%H:%M:%fZ', ?1, -(SELECT reach FROM view_settings) || ' seconds')))"
)


def verdict_of(connection: sqlite3.Connection, start: str, end: str, *, began: bool = False) -> str | None:
    """The worst verdict of the windows that a number of [start, end) rests on, as the interval views say it.

    began: it counts what began in [start, end), and rests on no window before it.
    """
    query = _VERDICT.replace("{begins}", "?1" if began else _REACH)
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
