"""Rows for the page: stretches of the ledger, what capture received by time, when it was off, events, call quality.

SQL only. Each function reads little of a store of any size, or adds up in SQLite: a page of years is some thousand
rows. Times are API text; a bucket's key is the beginning of such a text (`KEYS`).
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from rollbook.genesys.times import to_text
from rollbook.store.tables import conversations
from rollbook.store.tables.windows import RANK
from rollbook.store.views import view_rows, view_settings
from rollbook.store.views.reports import GOOD, POOR, Switches
from rollbook.store.vocabulary import Verdict

# Characters of API text that stand for a day, an hour and a minute.
DAY: Final = 10
HOUR: Final = 13
MINUTE: Final = 16
_OPEN: Final = RANK[Verdict.OPEN]
_VERDICTS: Final = {rank: verdict for verdict, rank in RANK.items()}
# Bounds of the classes of a MOS: the platform's words begin at POOR and GOOD.
MOS_BOUNDS: Final = (1.0, 2.0, 2.5, 3.0, POOR, 4.0, GOOD, 4.5, 5.0)
# Events that the delay is taken from: the newest.
_NEWEST: Final = 2_000


class LedgerStretch(NamedTuple):
    """Windows in a row that touch, are of one verdict and overlap no other.

    Of a window that overlaps another there is a stretch of its own, with what decides which of them counts.
    """

    start: str
    end: str
    verdict: Verdict
    last_read_at: str | None = None
    last_run_at: str | None = None


class Incident(NamedTuple):
    """A window that failed or waits, and why."""

    start: str
    end: str
    verdict: Verdict
    reason: str | None
    next_try_at: str | None
    attempts: int


class Received(NamedTuple):
    """What was read of a bucket: conversations, and those of them that capture had received."""

    key: str
    happened: int
    live: int


class GapCount(NamedTuple):
    """Gaps of a bucket and kind, and those of them that are filled."""

    key: str
    kind: str
    number: int
    filled: int


def extent(db: sqlite3.Connection) -> tuple[str, str] | None:
    """The start of the first window and the end of the last, of those without a filter; None where there is none."""
    first, last = db.execute("SELECT min(start), max(\"end\") FROM windows WHERE filter = ''").fetchone()
    return None if first is None else (first, last)


def stretches(db: sqlite3.Connection) -> list[LedgerStretch]:
    """The stretches of all windows without a filter, in order.

    A window that is complete and has a conversation that goes on again is open, before its verdict says so.
    """
    going_on = conversations.ongoing_starts(db)
    found: list[LedgerStretch] = []
    run: LedgerStretch | None = None  # windows that touch, without the last one that was read
    last: tuple[str, str, int, str | None, str | None] | None = None
    last_crosses, reached = False, ""
    query = 'SELECT start, "end", rank, last_read_at, last_run_at FROM ranked_windows ORDER BY start, "end"'
    for row in [*db.execute(query), None]:
        crosses = row is not None and row[0] < reached
        if last is not None:
            start, end, rank = last[:3]
            verdict = _VERDICTS[rank]
            if rank > _OPEN and going_on and going_on[0] < end and _has_any(going_on, start, end):
                verdict = Verdict.OPEN
            if crosses or last_crosses:
                found += [run] if run is not None else []
                run = None
                found.append(LedgerStretch(start, end, verdict, *last[3:]))
            elif run is not None and run.end == start and run.verdict is verdict:
                run = LedgerStretch(run.start, end, verdict)
            else:
                found += [run] if run is not None else []
                run = LedgerStretch(start, end, verdict)
        if row is not None:
            last, last_crosses, reached = row, crosses, max(reached, row[1])
    return found if run is None else [*found, run]


def _has_any(starts: Sequence[str], start: str, end: str) -> bool:
    """Tell whether any of the starts, in order, lies in [start, end)."""
    return bisect_left(starts, start) < bisect_left(starts, end)


def counts(db: sqlite3.Connection, length: int, since: str = "", until: str = "9") -> list[tuple[str, str, int]]:
    """(key, verdict, how many windows without a filter start then), of those that start in [since, until)."""
    query = (
        "SELECT substr(start, 1, ?1), verdict, count(*) FROM windows WHERE filter = '' AND start >= ?2 AND start < ?3"
        " GROUP BY 1, 2"
    )
    return db.execute(query, (length, since, until)).fetchall()


def incidents(db: sqlite3.Connection, since: str = "", until: str = "9", limit: int = 100) -> list[Incident]:
    """The windows without a filter that failed, are due or have conversations that go on, newest first."""
    query = """
        SELECT w.start, w."end", w.verdict, w.reason, w.next_try_at, w.attempts FROM (
            SELECT start AS at, "end" AS until FROM windows INDEXED BY windows_verdicts
            WHERE filter = '' AND verdict IN ('failed', 'due', 'open') AND start < ?2 AND "end" > ?1
            ORDER BY start DESC, "end" DESC LIMIT ?3
        ) CROSS JOIN windows w ON w.start = at AND w."end" = until AND w.filter = '' ORDER BY w.start DESC, w."end" DESC
    """
    return [Incident(row[0], row[1], Verdict(row[2]), *row[3:]) for row in db.execute(query, (since, until, limit))]


def received(db: sqlite3.Connection, length: int, since: str = "", until: str = "9") -> list[Received]:
    """Conversations that were read, by the time at which they started, in [since, until)."""
    query = (
        "SELECT substr(conversation_start, 1, ?1), count(*), sum(provenance = 'both') FROM conversation_rows"
        " WHERE conversation_start >= ?2 AND conversation_start < ?3 AND provenance <> 'live' GROUP BY 1"
    )
    return [Received(*row) for row in db.execute(query, (length, since, until))]


def gap_counts(db: sqlite3.Connection, length: int, since: str = "", until: str = "9") -> list[GapCount]:
    """Gaps by the start of their windows, in [since, until), and by kind."""
    query = (
        "SELECT substr(window_start, 1, ?1), kind, count(*), count(filled_at) FROM gap_rows"
        " WHERE window_start >= ?2 AND window_start < ?3 GROUP BY 1, 2"
    )
    return [GapCount(*row) for row in db.execute(query, (length, since, until))]


def times_off(db: sqlite3.Connection, now: str, since: str = "") -> list[tuple[str, str, str | None]]:
    """(from, to, why) of each time at which nothing at all listened, since capture first did; the oldest first.

    What goes on counts up to its last sign of life.
    """
    query = """
        SELECT before, start, (
            SELECT end_reason FROM coverage c WHERE coalesce(c.ended_at, c.alive_at) = before AND end_reason IS NOT NULL
            ORDER BY coverage_id DESC LIMIT 1
        ) FROM (
            SELECT started_at AS start, max(coalesce(ended_at, alive_at)) OVER
                (ORDER BY started_at, coverage_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM (SELECT * FROM coverage UNION ALL SELECT 1 << 62, '', '', ?1, ?1, NULL, ?1, NULL)
        ) WHERE before < start AND start > ?2 ORDER BY start
    """
    return db.execute(query, (now, since)).fetchall()


def arrivals(db: sqlite3.Connection, bounds: Sequence[str]) -> list[int]:
    """About how many events came between each two bounds (in order): the difference of their numbers.

    Events are numbered as they come, so that years of them need not be counted.
    """
    newest = db.execute("SELECT coalesce(max(event_id), 0) FROM event_rows").fetchone()[0]
    query = "SELECT event_id FROM event_rows WHERE received_at >= ? ORDER BY received_at, event_id LIMIT 1"
    first = []
    for bound in bounds:
        found = db.execute(query, (bound,)).fetchone()
        first.append(newest + 1 if found is None else found[0])
    return [max(later - earlier, 0) for earlier, later in pairwise(first)]


def delays(db: sqlite3.Connection, since: str) -> list[float]:
    """Seconds from an event's own time to its arrival, of the newest events that have a time, in order of length."""
    query = (
        "SELECT (julianday(received_at) - julianday(event_time)) * 86400 AS seconds FROM"
        " (SELECT received_at, event_time FROM event_rows ORDER BY event_id DESC LIMIT ?1)"
        " WHERE event_time IS NOT NULL AND received_at >= ?2 AND seconds IS NOT NULL ORDER BY 1"
    )
    return [row[0] for row in db.execute(query, (_NEWEST, since))]


def quality(db: sqlite3.Connection, since: str, until: str) -> tuple[int, dict[float, int]]:
    """(calls that started then and were read, lower bound of a class → calls whose worst MOS is in it)."""
    calls = db.execute(
        "SELECT count(*) FROM conversation_rows WHERE conversation_start >= ? AND conversation_start < ?"
        " AND media_types LIKE '%\"voice\"%' AND read_at IS NOT NULL",
        (since, until),
    ).fetchone()[0]
    cases = " ".join(f"WHEN mos >= {bound} THEN {bound}" for bound in reversed(MOS_BOUNDS))
    found = db.execute(
        f"SELECT CASE {cases} ELSE 0.0 END, count(*) FROM conversation_rows"
        " WHERE conversation_start >= ? AND conversation_start < ? AND mos IS NOT NULL GROUP BY 1",
        (since, until),
    )
    return calls, {float(bound): number for bound, number in found}


def worst_legs(db: sqlite3.Connection, since: str, until: str, limit: int = 10) -> list[dict[str, Any]]:
    """The guilty leg of each of the calls with the lowest MOS that started in [since, until), the worst first."""
    calls = db.execute(
        "SELECT i.conversation_id FROM conversation_rows c JOIN conversation_ids i ON i.number = c.number"
        " WHERE c.conversation_start >= ? AND c.conversation_start < ? AND c.mos IS NOT NULL ORDER BY c.mos LIMIT ?",
        (since, until, limit),
    ).fetchall()
    query = "SELECT * FROM mos_legs WHERE conversation_id = ? AND min_mos IS NOT NULL ORDER BY min_mos LIMIT 1"
    found = []
    for (conversation_id,) in calls:
        cursor = db.execute(query, (conversation_id,))
        names = [column[0] for column in cursor.description]
        found += [dict(zip(names, row, strict=True)) for row in cursor]
    return found


def of_window(db: sqlite3.Connection, start: str, end: str, limit: int = 100) -> dict[str, Any]:
    """Conversations of a window that somebody may want to look at, by what is with them; and how many there are.

    gaps: missed or wrong. going_on: without an end. rewritten: the platform has changed them after their end.
    """
    own = "c.conversation_start >= ?1 AND c.conversation_start < ?2"
    ids = "JOIN conversation_ids i ON i.number = c.number"
    gaps = (
        "SELECT i.conversation_id, g.kind, g.cause, g.detected_at, g.filled_at FROM gap_rows g JOIN conversation_ids i"
        " ON i.number = g.number WHERE g.window_start >= ?1 AND g.window_start < ?2 ORDER BY g.kind, 1 LIMIT ?3"
    )
    going_on = (
        f"SELECT i.conversation_id, c.conversation_start, c.followed FROM conversation_rows c {ids} WHERE {own}"
        " AND c.details_open = 1 ORDER BY c.conversation_start LIMIT ?3"
    )
    rewritten = (
        "SELECT i.conversation_id, count(*) AS versions, max(v.replaced_at) AS replaced_at FROM conversation_rows c"
        f" {ids} JOIN version_rows v ON v.number = c.number WHERE {own} GROUP BY c.number ORDER BY 3 DESC LIMIT ?3"
    )
    found: dict[str, Any] = {}
    for name, query in (("gaps", gaps), ("going_on", going_on), ("rewritten", rewritten)):
        cursor = db.execute(query, (start, end, limit))
        names = [column[0] for column in cursor.description]
        found[name] = [dict(zip(names, row, strict=True)) for row in cursor]
    found["number_of_gaps"] = db.execute(
        "SELECT count(*) FROM gap_rows WHERE window_start >= ? AND window_start < ?", (start, end)
    ).fetchone()[0]
    return found


def neighbours(db: sqlite3.Connection, start: str) -> tuple[str | None, str | None]:
    """The starts of the windows before and after, of those without a filter."""
    before = db.execute("SELECT max(start) FROM windows WHERE filter = '' AND start < ?", (start,)).fetchone()[0]
    after = db.execute("SELECT min(start) FROM windows WHERE filter = '' AND start > ?", (start,)).fetchone()[0]
    return before, after


def called(db: sqlite3.Connection, pairs: Sequence[tuple[str, str]], at: str) -> dict[tuple[str, str], str]:
    """(kind, id) → the name that it had at a time; one that got its name later has that."""
    query = (
        "SELECT name FROM names WHERE kind = ? AND id = ? ORDER BY valid_from > ?3,"
        " CASE WHEN valid_from <= ?3 THEN valid_from END DESC, valid_from LIMIT 1"
    )
    found = {}
    for kind, identity in set(pairs):
        row = db.execute(query, (kind, identity, at)).fetchone()
        if row is not None:
            found[kind, identity] = row[0]
    return found


class QueueDay(NamedTuple):
    """The half hours of a day in the views' time zone. day: such as 2026-03-05. switches: of the service level."""

    day: str
    time_zone: str
    rows: list[dict[str, Any]]
    switches: Switches


def queue_day(db: sqlite3.Connection, now: datetime) -> QueueDay:
    """The rows of `queue_intervals` of the day that it is now, in the time zone of the views."""
    known = view_settings.stored(db)
    zone = view_settings.zone_of(known["time_zone"])
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = view_rows.queue_intervals(db, to_text(midnight), to_text(now))
    switches = Switches(*(bool(known[f"include_{name}"]) for name in ("flow_outs", "short_abandons", "abandons")))
    return QueueDay(local.date().isoformat(), known["time_zone"], rows, switches)
