"""The ledger: one row for each window and filter, one for each run over it. SQL only."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from store import conversations
from store.schema import FIGURES

# What a verdict is worth as a proof. A window takes over another's proof only if that is worth more.
RANK: Final[Mapping[str, int]] = {"failed": 0, "pending": 1, "due": 2, "open": 3, "complete": 4, "settled": 5}
PROVEN: Final = ("open", "complete", "settled")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """A window as the ledger knows it. Times are API text; figures are those of the last run (None: it had none)."""

    start: str
    end: str
    filter: str
    verdict: str
    attempts: int
    passes: int | None
    requests: int | None
    initial_total_hits: int | None
    final_total_hits: int | None
    unique: int | None
    duplicates: int | None
    owned: int | None
    missing: int | None
    changed: int | None
    unchanged: int | None
    ongoing: int | None
    live_only: int | None
    written: int | None
    seconds: float | None
    reading: str | None
    reason: str | None
    drift: int
    first_read_at: str | None
    last_read_at: str | None
    settled_at: str | None
    next_try_at: str | None
    last_run_at: str | None
    proven_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run over a window, as it goes into the ledger.

    figures: the report's keys (`schema.FIGURES`). as_of: how old the read is; None where nothing was read.
    consistent reads have a verdict of `PROVEN`. next_try_at: when a failed one is tried again.
    """

    start: str
    end: str
    filter: str
    command: str
    via: str
    started_at: str
    finished_at: str
    as_of: str | None
    verdict: str
    reason: str | None
    reading: str | None
    passes_json: str
    id_digest: bytes | None
    query_json: str
    divisions_json: str | None
    seconds: float
    next_try_at: str | None = None
    settled: bool = False
    drift: int = 0
    figures: Mapping[str, int | None] = field(default_factory=dict)


class Standing(NamedTuple):
    """What of the windows of one filter can matter to what is due, however many years the ledger holds.

    rows: those that wait, failed or are complete, those that started today or claim a read that is still to come, the
    proofs that they took over, and the newest query and the newest whole day; in order of their start.
    covered: the time that all windows cover together, as (start, end), in order and with holes between them.
    """

    rows: list[WindowRow]
    covered: list[tuple[str, str]]


_WINDOW_COLUMNS: Final = tuple(WindowRow.__dataclass_fields__)
_NAMES: Final = ", ".join(f'"{name}"' for name in _WINDOW_COLUMNS)
_SELECT: Final = f"SELECT {_NAMES} FROM windows"
_QUOTED: Final = ", ".join(f'"{name}"' for name in FIGURES)


def one(connection: sqlite3.Connection, start: str, end: str, filter: str) -> WindowRow | None:
    """The window's row, if the ledger has it."""
    found = connection.execute(f'{_SELECT} WHERE start = ? AND "end" = ? AND filter = ?', (start, end, filter))
    row = found.fetchone()
    return _window(row) if row else None


def _window(row: tuple[Any, ...]) -> WindowRow:
    return WindowRow(**dict(zip(_WINDOW_COLUMNS, row, strict=True)))


def listed(
    connection: sqlite3.Connection,
    *,
    verdicts: Sequence[str] | None,
    since: str | None,
    until: str | None,
    filter: str | None,
) -> list[WindowRow]:
    """The windows that touch [since, until), in order of their start. filter None: those of every filter."""
    query = f'{_SELECT} WHERE "end" > ?1 AND start < ?2 AND (?3 IS NULL OR filter = ?3)'
    values: list[Any] = [since or "", until or "9", filter]
    if verdicts is not None:
        query += f" AND verdict IN ({', '.join(f'?{index + 4}' for index in range(len(verdicts)))})"
        values += verdicts
    return [_window(row) for row in connection.execute(f'{query} ORDER BY start, "end"', values)]


def standing(connection: sqlite3.Connection, filter: str, at: str) -> Standing:
    """What can matter to what is due at `at`. One moment of the file: a window is in both parts, or in none."""
    connection.execute("BEGIN")
    try:
        return Standing(_that_matter(connection, filter, at), _covered(connection, filter))
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _that_matter(connection: sqlite3.Connection, filter: str, at: str) -> list[WindowRow]:
    query = (
        f"{_SELECT} WHERE filter = ? AND (verdict IN ('pending', 'due', 'failed', 'complete') OR start >= ?"
        " OR last_read_at > ?)"
    )
    rows = {(row[0], row[1]): _window(row) for row in connection.execute(query, (filter, at[:10], at))}
    beside = [tuple(row.proven_by.split("/")) for row in rows.values() if row.proven_by]
    newest = 'SELECT start, "end", max(last_run_at) FROM windows WHERE filter = ? AND reading IN (?, ?)'
    two = (("interval", "day"), ("day", "day"))
    beside += [connection.execute(newest, (filter, *readings)).fetchone()[:2] for readings in two]
    for start, end in beside:
        if (start, end) not in rows and (row := one(connection, start, end, filter)) is not None:
            rows[start, end] = row
    return [rows[key] for key in sorted(rows)]


def _covered(connection: sqlite3.Connection, filter: str) -> list[tuple[str, str]]:
    """Where the windows' time begins and ends. SQLite walks them: as rows here, years of them stop everything else."""
    query = (
        'SELECT start, before FROM (SELECT start, max("end") OVER'
        ' (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before'
        " FROM windows WHERE filter = ?) WHERE before IS NULL OR start > before ORDER BY start"
    )
    found = connection.execute(query, (filter,)).fetchall()
    latest = connection.execute('SELECT max("end") FROM windows WHERE filter = ?', (filter,)).fetchone()
    ends = [before for _, before in found[1:]] + [*latest]
    return [(start, end) for (start, _), end in zip(found, ends, strict=False)]


def finish(connection: sqlite3.Connection, run: RunRecord) -> int:
    """File a run, and make the window's row say what it found. Answers the run's id."""
    figures = [run.figures.get(name) for name in FIGURES]
    cursor = connection.execute(
        f'INSERT INTO window_runs (start, "end", filter, command, via, started_at, finished_at, as_of, verdict, reason,'
        f" reading, seconds, passes_json, id_digest, query_json, divisions_json, {_QUOTED})"
        f" VALUES ({', '.join('?' * (16 + len(FIGURES)))})",
        (
            run.start, run.end, run.filter, run.command, run.via, run.started_at, run.finished_at, run.as_of,
            run.verdict, run.reason, run.reading, run.seconds, run.passes_json, run.id_digest, run.query_json,
            run.divisions_json, *figures,
        ),
    )  # fmt: skip
    proven = run.verdict in PROVEN
    connection.execute(
        f'INSERT INTO windows (start, "end", filter, verdict, attempts, seconds, reading, reason, drift, first_read_at,'
        f" last_read_at, settled_at, next_try_at, last_run_at, {_QUOTED})"
        f" VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?{', ?' * len(FIGURES)})"
        ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = excluded.verdict, attempts = attempts + 1,'
        " seconds = excluded.seconds, reading = coalesce(excluded.reading, reading), reason = excluded.reason,"
        " drift = drift + excluded.drift, first_read_at = coalesce(first_read_at, excluded.first_read_at),"
        " last_read_at = coalesce(excluded.last_read_at, last_read_at),"
        " settled_at = coalesce(excluded.settled_at, settled_at), next_try_at = excluded.next_try_at,"
        " last_run_at = excluded.last_run_at, proven_by = NULL, "
        + ", ".join(f'"{name}" = excluded."{name}"' for name in FIGURES),
        (
            run.start, run.end, run.filter, run.verdict, run.seconds, run.reading, run.reason, run.drift,
            run.as_of if proven else None, run.as_of if proven else None,
            run.finished_at if run.settled else None, run.next_try_at, run.finished_at, *figures,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def set_verdict(
    connection: sqlite3.Connection,
    start: str,
    end: str,
    filter: str,
    verdict: str,
    *,
    reason: str | None,
    ongoing: int | None,
    at: str,
) -> None:
    """Change a window's verdict without a read of it (its last conversation ended), and keep that on record."""
    connection.execute(
        'INSERT INTO windows (start, "end", filter, verdict, reason, last_run_at) VALUES (?, ?, ?, ?, ?, ?)'
        ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason,'
        " ongoing = coalesce(?, ongoing)",
        (start, end, filter, verdict, reason, at, ongoing),
    )
    connection.execute(
        'INSERT INTO window_runs (start, "end", filter, command, via, started_at, finished_at, verdict, reason,'
        " ongoing)"
        " VALUES (?, ?, ?, 'follow', 'query', ?, ?, ?, ?, ?)",
        (start, end, filter, at, at, verdict, reason, ongoing),
    )


def note(connection: sqlite3.Connection, waiting: Sequence[tuple[str, str, str]], filter: str) -> int:
    """Show windows that wait to be read: (start, end, "pending" or "due"). One that has been read stays as it is."""
    before = connection.total_changes
    connection.executemany(
        'INSERT INTO windows (start, "end", filter, verdict) VALUES (?, ?, ?, ?)'
        ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = excluded.verdict'
        " WHERE verdict = 'pending' AND excluded.verdict = 'due'",
        [(start, end, filter, verdict) for start, end, verdict in waiting],
    )
    return connection.total_changes - before


def refresh(connection: sqlite3.Connection, at: str) -> int:
    """Make the verdicts of proven windows agree with what follow-up found; answers how many changed.

    An open window whose conversations have all ended is complete (settled, if it had been settled before);
    one that has an ongoing conversation again is open again. Which conversations a filter matches is not known here:
    a filtered window waits for all of them, and is opened again by a read of it only.
    """
    changed = 0
    starts = conversations.ongoing_starts(connection)
    first, last = (starts[0], starts[-1]) if starts else ("9", "")
    # The others, years of them, are not open and cannot become so.
    query = (
        "SELECT start, \"end\", filter, verdict, settled_at FROM windows WHERE verdict = 'open' OR"
        " (verdict IN ('complete', 'settled') AND filter = '' AND start <= ? AND \"end\" > ?) ORDER BY start, \"end\""
    )
    for start, end, filter, was, settled_at in connection.execute(query, (last, first)).fetchall():
        ongoing = bisect_left(starts, end) - bisect_left(starts, start)
        verdict = "open" if ongoing and not filter else was
        if not ongoing and was == "open":
            verdict = "settled" if settled_at else "complete"
        if verdict != was:
            changed += 1
            reason = f"{ongoing} of its conversations go on again" if ongoing else None
            set_verdict(connection, start, end, filter, verdict, reason=reason, ongoing=ongoing, at=at)
    return changed


def inherit(
    connection: sqlite3.Connection,
    parent: tuple[str, str, str],
    children: Sequence[tuple[str, str]],
    *,
    at: str,
) -> int:
    """Let grid windows inside a wider interval that was read take over its proof; answers how many did.

    Their figures are counted from the conversations. Which of them match a filter is not known here: there are no
    figures then, and the verdict is the wider one's. A window that has a proof worth as much keeps its own.
    """
    proof = one(connection, *parent)
    if proof is None or proof.verdict not in PROVEN:
        return 0
    taken = 0
    for start, end in children:
        if (start, end) == parent[:2]:
            continue
        owned = ongoing = None
        verdict = proof.verdict
        if not parent[2]:
            owned, ongoing = conversations.owned_counts(connection, start, end)
            verdict = "open" if ongoing else ("settled" if proof.settled_at else "complete")
        standing = one(connection, start, end, parent[2])
        if standing is not None and RANK[standing.verdict] >= RANK[verdict]:
            continue
        taken += 1
        connection.execute(
            'INSERT INTO windows (start, "end", filter, verdict, "unique", owned, ongoing, reading, first_read_at,'
            " last_read_at, settled_at, last_run_at, proven_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = excluded.verdict, owned = excluded.owned,'
            ' "unique" = excluded."unique", ongoing = excluded.ongoing, reason = NULL, next_try_at = NULL,'
            " first_read_at = coalesce(first_read_at, excluded.first_read_at), last_read_at = excluded.last_read_at,"
            " settled_at = coalesce(excluded.settled_at, settled_at), last_run_at = excluded.last_run_at,"
            " proven_by = excluded.proven_by",
            (
                start, end, parent[2], verdict, owned, owned, ongoing, proof.reading, proof.last_read_at,
                proof.last_read_at, proof.settled_at if verdict == "settled" else None, at, f"{parent[0]}/{parent[1]}",
            ),
        )  # fmt: skip
    return taken


def runs(connection: sqlite3.Connection, start: str, end: str, filter: str) -> list[dict[str, Any]]:
    """Every run over a window, oldest first, as dicts of the columns of `window_runs`."""
    cursor = connection.execute(
        'SELECT * FROM window_runs WHERE start = ? AND "end" = ? AND filter = ? ORDER BY run_id', (start, end, filter)
    )
    names = [entry[0] for entry in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def by_verdict(connection: sqlite3.Connection, *, since: str = "", filter: str | None = None) -> dict[str, int]:
    """How many windows have each verdict, of those that end after `since`. filter None: those of every filter."""
    query = 'SELECT verdict, count(*) FROM windows WHERE "end" > ?1 AND (?2 IS NULL OR filter = ?2) GROUP BY verdict'
    return dict(connection.execute(query, (since, filter)).fetchall())
