"""What the half hours count of a conversation, summed up as it is written. SQL only.

The view `queue_intervals` adds these rows up and looks at no metric. They are made of the metrics and segments that
stand in the tables, whenever those are written and in the same transaction, so that they cannot say anything else.
`rollbook/store/tables/migrations/11_half_hours.sql` made them of what was there before; a test holds the two together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rollbook.store.bodies.packing import PackingConnection
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# The metrics that the interval views count.
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
# Columns with each value by itself, for thresholds that are set later.
_VALUES: Final[Mapping[str, str]] = {"answer_times": "tAnswered", "abandon_times": "tAbandon"}


def figure(name: str, of: str = "") -> str:
    """The SQL of a column of the views over rows of metrics; of: their table's name, with a dot."""
    metric, how = FIGURES[name]
    value = f"CASE WHEN {_is_number(metric, of)} THEN {of}value END"
    if how == "sum":
        return f"sum({value}) AS {name}"
    if metric.startswith("n"):
        return f"coalesce(sum({value}), 0) AS {name}"
    return f"count(CASE WHEN {of}name = '{metric}' THEN 1 END) AS {name}"


def _values(name: str, metric: str) -> str:
    those = _is_number(metric, "m.")
    return (
        f"CASE count(*) FILTER (WHERE {those}) WHEN 0 THEN NULL WHEN 1 THEN max(m.value) FILTER (WHERE {those})"
        f" ELSE json_group_array(m.value) FILTER (WHERE {those}) END AS {name}"
    )


def _is_number(metric: str, of: str) -> str:
    # What no metric can be is in no sum: a text, or more than 31 years in milliseconds. So the sum of a million rows,
    # the most of a conversation, stays within SQLite's integers; one beyond them would be an error of its whole page.
    return f"{of}name = '{metric}' AND {of}value BETWEEN -1e12 AND 1e12"


# Of two queues that meet when a metric was emitted, a count belongs to the later one, a duration to the earlier one.
_QUEUE: Final = (
    "coalesce((SELECT g.queue FROM segment_rows g"
    f" WHERE g.id BETWEEN m.id & ~{LAST_PLACE} AND m.id | {LAST_PLACE} AND g.session = m.session"
    " AND +g.queue IS NOT NULL AND (g.segment_start < m.emit_date OR g.segment_start = m.emit_date"
    " AND m.name GLOB 'n*') ORDER BY g.id DESC LIMIT 1), (SELECT g.queue FROM segment_rows g"
    f" WHERE g.id BETWEEN m.id & ~{LAST_PLACE} AND m.id | {LAST_PLACE} AND g.session = m.session"
    " AND +g.queue IS NOT NULL ORDER BY g.id LIMIT 1))"
)
_HALF_HOUR: Final = (
    "CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) ||"
    " CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END"
)
_IS_COUNTED: Final = " OR ".join(f"m.name = '{name}'" for name in COUNTED)
COLUMNS: Final = ("id", "interval_start", "queue", "media_type", *FIGURES, *_VALUES)
_MAKE: Final = (
    f"INSERT INTO half_hour_rows ({', '.join(COLUMNS)}) SELECT min(m.id), {_HALF_HOUR}, {_QUEUE}, s.media_type,"
    f" {', '.join(figure(name, 'm.') for name in FIGURES)},"
    f" {', '.join(_values(name, metric) for name, metric in _VALUES.items())}"
    f" FROM metric_rows m LEFT JOIN session_rows s ON s.id = (m.id & ~{LAST_PLACE}) | m.session"
    f" WHERE m.id BETWEEN ? AND ? AND ({_IS_COUNTED})"
    f" GROUP BY m.id >> {SHIFT}, 2, 3, 4"
)


def make(connection: sqlite3.Connection, conversations: Iterable[int]) -> None:
    """Make the rows of these conversations, by their numbers, once their other child rows are in the tables.

    Within `made_together` they are due from now on, and made at its end.
    """
    if isinstance(connection, PackingConnection) and connection.half_hours_due is not None:
        connection.half_hours_due.update(conversations)
    else:
        _make(connection, conversations)


def make_due(connection: sqlite3.Connection) -> None:
    """Make the rows that are due: before they are looked at in the transaction that writes them."""
    if isinstance(connection, PackingConnection) and connection.half_hours_due:
        _make(connection, connection.half_hours_due)
        connection.half_hours_due.clear()


@contextmanager
def made_together(connection: PackingConnection) -> Iterator[None]:
    """Make the rows of all conversations that are written inside at the end: a part of their transaction.

    Made so they take one long statement, which needs no lock of Python's, and others can work beside it.
    """
    connection.half_hours_due = set()
    try:
        yield
        make_due(connection)
    finally:
        connection.half_hours_due = None


def _make(connection: sqlite3.Connection, conversations: Iterable[int]) -> None:
    connection.executemany(
        _MAKE, ((first << SHIFT, (last << SHIFT) + LAST_PLACE) for first, last in _stretches(conversations))
    )


def delete(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Delete the rows of these conversations: from one number to another, both of them too."""
    query = "DELETE FROM half_hour_rows WHERE id BETWEEN ? AND ?"
    connection.execute(query, (first << SHIFT, (last << SHIFT) + LAST_PLACE))


def _stretches(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each stretch of numbers that follow each other."""
    first = last = None
    for number in sorted(set(numbers)):
        if first is None or last is None:
            first = number
        elif number > last + 1:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
