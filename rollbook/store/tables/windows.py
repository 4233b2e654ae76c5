"""The ledger: one row for each window and filter, one for each run over it. SQL only."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from msgspec import json

from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.file.transactions import one_moment
from rollbook.store.tables import alerts, conversations
from rollbook.store.tables.conversations import Cause, PageOutcome, Read
from rollbook.store.tables.schema import FIGURES
from rollbook.store.vocabulary import PROVEN, AlertKind, Verdict

# What a verdict is worth as a proof. A window takes over another's proof only if that is worth more.
RANK: Final[Mapping[Verdict, int]] = {
    Verdict.FAILED: 0,
    Verdict.PENDING: 1,
    Verdict.DUE: 2,
    Verdict.OPEN: 3,
    Verdict.COMPLETE: 4,
    Verdict.SETTLED: 5,
}
# What is no longer than this is read again at once when its proof is taken from it.
_NARROW: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """A window as the ledger knows it. Times are API text; figures are those of the last run (None: it had none)."""

    start: str
    end: str
    filter: str
    verdict: Verdict
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
    divisions_json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run over a window, as it goes into the ledger.

    figures: the report's keys (`schema.FIGURES`). as_of: how old the read is; None where nothing could be read.
    consistent reads have a verdict of `PROVEN`, those within the lag are pending again. next_try_at: when a failed
    one is tried again. keeps_proof: the run says nothing against a proof that is there (the platform did not answer, or
    another client saw less): the window's verdict and figures stay, its attempt and its reason are noted. answered: the
    ids that the run has accounted for, in the answer or beside it; None where it did not look for others (a filter).
    """

    start: str
    end: str
    filter: str
    command: str
    via: str
    started_at: str
    finished_at: str
    as_of: str | None = None
    verdict: Verdict
    reason: str | None = None
    reading: str | None = None
    passes_json: str = "[]"
    id_digest: bytes | None = None
    query_json: str
    divisions_json: str | None = None
    seconds: float
    next_try_at: str | None = None
    settled: bool = False
    drift: int = 0
    keeps_proof: bool = False
    answered: Collection[str] | None = None
    figures: Mapping[str, int | None] = field(default_factory=dict)


class LedgerView(NamedTuple):
    """The windows of a filter that matter to what is due, however many years are in the ledger.

    rows: those that wait, failed or are complete, those that started today or claim a read that is still to come, the
    proofs that they took over, and the newest query and the newest whole day; in order of their start.
    covered: the time that the proven windows cover together, as (start, end), in order and with holes between them.
    """

    rows: list[WindowRow]
    covered: list[tuple[str, str]]


# Why a window that could not be proven in time never will be.
GIVEN_UP: Final = "it began before the platform's retention: what was in it is deleted, and nobody can prove it now"
# Only what was read covers time: a window that waits is of the width that was set when it was noted, and one that
# failed is tried again by itself, and hides nothing that lies inside it.
_IS_PROVEN: Final = "verdict IN ('open', 'complete', 'settled')"
_WINDOW_COLUMNS: Final = tuple(WindowRow.__dataclass_fields__)
_NAMES: Final = ", ".join(f'"{name}"' for name in _WINDOW_COLUMNS)
_SELECT: Final = f"SELECT {_NAMES} FROM windows"


def find(connection: sqlite3.Connection, start: str, end: str, filter: str = "") -> WindowRow | None:
    """The window's row, if the ledger has it."""
    found = connection.execute(f'{_SELECT} WHERE start = ? AND "end" = ? AND filter = ?', (start, end, filter))
    row = found.fetchone()
    return _window(row) if row else None


def _window(row: tuple[Any, ...]) -> WindowRow:
    values = dict(zip(_WINDOW_COLUMNS, row, strict=True))
    return WindowRow(**values | {"verdict": Verdict(values["verdict"])})


def listed(
    connection: sqlite3.Connection,
    *,
    verdicts: Sequence[Verdict] | None = None,
    since: str | None = None,
    until: str | None = None,
    filter: str | None = "",
) -> list[WindowRow]:
    """The windows that touch [since, until), in order of their start. filter None: those of every filter."""
    query = f'{_SELECT} WHERE "end" > ?1 AND start < ?2 AND (?3 IS NULL OR filter = ?3)'
    values: list[Any] = [since or "", until or "9", filter]
    if verdicts is not None:
        query += f" AND verdict IN ({', '.join(f'?{index + 4}' for index in range(len(verdicts)))})"
        values += verdicts
    return [_window(row) for row in connection.execute(f'{query} ORDER BY start, "end"', values)]


def ledger_view(connection: sqlite3.Connection, filter: str, at: str) -> LedgerView:
    """The windows that matter to what is due at `at`. Read at one moment: a window is in both parts, or in none."""
    with one_moment(connection):
        return LedgerView(_that_matter(connection, filter, at), covered(connection, filter))


def _that_matter(connection: sqlite3.Connection, filter: str, at: str) -> list[WindowRow]:
    query = (
        f"{_SELECT} WHERE filter = ? AND (verdict IN ('pending', 'due', 'failed', 'complete') OR start >= ?"
        " OR last_read_at > ?)"
    )
    rows = {(row[0], row[1]): _window(row) for row in connection.execute(query, (filter, at[:10], at))}
    beside = [tuple(row.proven_by.split("/")) for row in rows.values() if row.proven_by]
    newest = 'SELECT start, "end", max(last_run_at) FROM windows WHERE filter = ? AND reading IN (?, ?)'
    pairs = (("interval", "day"), ("day", "day"))
    beside += [connection.execute(newest, (filter, *readings)).fetchone()[:2] for readings in pairs]
    for start, end in beside:
        if (start, end) not in rows and (row := find(connection, start, end, filter)) is not None:
            rows[start, end] = row
    return [rows[key] for key in sorted(rows)]


def covered(connection: sqlite3.Connection, filter: str) -> list[tuple[str, str]]:
    """Each stretch of proven time, as (start, end).

    SQLite walks the windows: as rows here, years of them would stop everything else.
    """
    longest = (
        'SELECT 1 + 86400.0 * coalesce(max(julianday("end") - julianday(start)), 0) FROM windows WHERE filter = ?1'
    )
    # The ends from which none goes on that began in the window itself, and then, for these few, none that began before.
    query = (
        f'SELECT w."end" FROM windows w WHERE w.filter = ?1 AND w.{_IS_PROVEN} AND NOT EXISTS ('
        'SELECT 1 FROM windows n WHERE n.filter = ?1 AND n.start >= w.start AND n.start <= w."end"'
        f' AND n."end" > w."end" AND n.{_IS_PROVEN}) AND NOT EXISTS ('
        'SELECT 1 FROM windows n WHERE n.filter = ?1 AND n.start < w.start AND n."end" > w."end"'
        f" AND n.start > strftime('%Y-%m-%dT%H:%M:%fZ', w.start, -({longest}) || ' seconds') AND n.{_IS_PROVEN})"
        ' ORDER BY w.start, w."end"'
    )
    first = f"SELECT min(start) FROM windows WHERE filter = ? AND start > ? AND {_IS_PROVEN}"
    found, before = [], ""
    for (end,) in connection.execute(query, (filter,)).fetchall():
        [start] = connection.execute(first, (filter, before)).fetchone()
        if end > before:
            found.append((start, end))
        before = end
    return found


# The columns of `window_runs` that a run brings, its figures aside.
_OF_RUN: Final = tuple(
    name
    for name in RunRecord.__dataclass_fields__
    if name not in ("next_try_at", "settled", "drift", "keeps_proof", "answered", "figures")
)
# A time that is later than the run's own end was noted by a clock that ran ahead.
_BELIEVED: Final = "CASE WHEN {0} <= excluded.last_run_at THEN {0} END"
# What a run changes in its window's row, where that is not simply the new value.
_MERGED_BY_RUN: Final = {
    "attempts": "attempts + 1",
    "reading": "coalesce(excluded.reading, reading)",
    "drift": "drift + excluded.drift",
    "first_read_at": f"coalesce({_BELIEVED.format('first_read_at')}, excluded.first_read_at)",
    "last_read_at": f"coalesce(excluded.last_read_at, {_BELIEVED.format('last_read_at')})",
    "settled_at": f"coalesce(excluded.settled_at, {_BELIEVED.format('settled_at')})",
    "divisions_json": "coalesce(excluded.divisions_json, divisions_json)",
    "proven_by": "NULL",
}
# The same for a window that takes over a proof.
_MERGED_BY_PROOF: Final = {
    "reading": "reading",
    "reason": "NULL",
    "next_try_at": "NULL",
    "first_read_at": "coalesce(first_read_at, excluded.first_read_at)",
    "settled_at": "coalesce(excluded.settled_at, settled_at)",
}


def _insert(
    connection: sqlite3.Connection, table: str, values: Mapping[str, Any], on_conflict: str = ""
) -> sqlite3.Cursor:
    """Insert a row: its values by column."""
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    return connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}) {on_conflict}", tuple(values.values()))


def _put(connection: sqlite3.Connection, values: Mapping[str, Any], merged: Mapping[str, str]) -> None:
    """Make a window's row say these values. merged: column → SQL, where it is not simply overwritten."""
    new = {name: f'excluded."{name}"' for name in values if name not in ("start", "end", "filter")}
    settings = ", ".join(f'"{name}" = {sql}' for name, sql in (new | dict(merged)).items())
    _insert(connection, "windows", values, f'ON CONFLICT (start, "end", filter) DO UPDATE SET {settings}')


def finish(connection: sqlite3.Connection, run: RunRecord) -> RunRecord:
    """File a run, and make the window's row say what it found. Answers the run as it is filed.

    What became known since the run looked for what its answer lacks is held against it here, in the same transaction:
    later, it would take the proof away; before, the run would have asked for it. What bears a time that is still to
    come is of a wrong clock, and is not kept.
    """
    run = _against_the_store(connection, run)
    figures = {name: run.figures.get(name) for name in FIGURES}
    _insert(connection, "window_runs", {name: getattr(run, name) for name in _OF_RUN} | figures)
    if not (run.keeps_proof and _note_attempt(connection, run)):
        window = run.start, run.end, run.filter
        _alert(connection, window, run.verdict, run.finished_at, reason=run.reason, next_try_at=run.next_try_at)
        copied = ("start", "end", "filter", "verdict", "seconds", "reading", "reason", "drift", "next_try_at")
        proven = run.verdict in PROVEN
        own = {
            "attempts": 1,
            "first_read_at": run.as_of if proven else None,
            "last_read_at": run.as_of if proven else None,
            "settled_at": run.finished_at if run.settled else None,
            "last_run_at": run.finished_at,
            "divisions_json": run.divisions_json if proven else None,
        }
        _put(connection, {name: getattr(run, name) for name in copied} | own | figures, _MERGED_BY_RUN)
    return run


def _against_the_store(connection: sqlite3.Connection, run: RunRecord) -> RunRecord:
    """Take the proof from a run whose window has conversations by now that it has not accounted for."""
    if run.answered is None or run.filter or run.verdict not in PROVEN:
        return run
    known = conversations.known_ids(connection, run.start, run.end)
    lacking = sum(conversation_id not in run.answered for conversation_id in known)
    if not lacking:
        return run
    reason = f"{lacking} of its conversations became known while it was read, and were not in the answer"
    return replace(run, verdict=Verdict.FAILED, reason=reason, settled=False, next_try_at=run.finished_at)


# The verdicts that the hook tells of, when a window comes to have them.
_ALERTS: Final[Mapping[Verdict, AlertKind]] = {
    Verdict.FAILED: AlertKind.WINDOW_FAILED,
    Verdict.SETTLED: AlertKind.WINDOW_SETTLED,
}


def _alert(
    connection: sqlite3.Connection,
    window: tuple[str, str, str],
    verdict: Verdict,
    at: str,
    *,
    reason: str | None = None,
    next_try_at: str | None = None,
) -> None:
    """Leave an alert for a verdict that a window gets now; of one that fails again and again there is a single one.

    Before the window's row is changed. window: (start, end, filter).
    """
    kind = _ALERTS.get(verdict)
    if kind is None or kind not in alerts.wanted(connection):
        return
    start, end, filter = window
    row = find(connection, start, end, filter)
    if row is not None and row.verdict == verdict:
        return
    data: dict[str, Any] = {"window": {"start": start, "end": end}, "verdict": verdict}
    more = {"was": row.verdict if row else None, "reason": reason, "next_try_at": next_try_at, "filter": filter}
    data |= {name: value for name, value in more.items() if value}
    alerts.add(connection, kind, stream=start, subject=f"{start}/{end}", at=at, data=data)


def _note_attempt(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Note a run that says nothing against the proof that is there; False where there is none."""
    cursor = connection.execute(
        "UPDATE windows SET attempts = attempts + 1, reason = ?, next_try_at = ?, last_run_at = ?, drift = drift + ?"
        f' WHERE start = ? AND "end" = ? AND filter = ? AND {_IS_PROVEN}',
        (run.reason, run.next_try_at, run.finished_at, run.drift, run.start, run.end, run.filter),
    )
    return cursor.rowcount > 0


def set_verdict(
    connection: sqlite3.Connection,
    start: str,
    end: str,
    filter: str,
    verdict: Verdict,
    *,
    reason: str | None = None,
    ongoing: int | None = None,
    at: str,
) -> None:
    """Change a window's verdict without a read of it (its last conversation ended), and keep that on record."""
    _alert(connection, (start, end, filter), verdict, at, reason=reason)
    connection.execute(
        "UPDATE windows SET verdict = ?, reason = ?, ongoing = coalesce(?, ongoing)"
        ' WHERE start = ? AND "end" = ? AND filter = ?',
        (verdict, reason, ongoing, start, end, filter),
    )
    connection.execute(
        'INSERT INTO window_runs (start, "end", filter, command, via, started_at, finished_at, verdict, reason,'
        " ongoing) VALUES (?, ?, ?, 'follow', 'query', ?, ?, ?, ?, ?)",
        (start, end, filter, at, at, verdict, reason, ongoing),
    )


def forget_the_future(connection: sqlite3.Connection, latest: str) -> int:
    """Take back what was read at a time that is still to come, by a clock that ran ahead; answers how many windows.

    latest: no read can be later than this (API text). Such a window waits to be read as if for the first time.
    """
    cursor = connection.execute(
        "UPDATE windows SET verdict = 'pending', reason = 'read by a clock that ran ahead', first_read_at = NULL,"
        " last_read_at = NULL, settled_at = NULL, next_try_at = NULL, proven_by = NULL WHERE last_read_at > ?",
        (latest,),
    )
    return cursor.rowcount


def note(
    connection: sqlite3.Connection,
    waiting: Sequence[tuple[str, str, Verdict]],
    filter: str,
    superseded: Sequence[tuple[str, str]] = (),
) -> int:
    """Show windows that wait to be read: (start, end, a verdict of `WAITING`). One that has been read stays as it is.

    superseded: (start, end) of windows that nobody has read and that others of `waiting` have taken the place of.
    """
    before = connection.total_changes
    connection.executemany(
        'DELETE FROM windows WHERE start = ? AND "end" = ? AND filter = ? AND attempts = 0'
        " AND verdict IN ('pending', 'due')",
        [(start, end, filter) for start, end in superseded],
    )
    connection.executemany(
        'INSERT INTO windows (start, "end", filter, verdict) VALUES (?, ?, ?, ?)'
        ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = excluded.verdict'
        " WHERE verdict = 'pending' AND excluded.verdict = 'due'",
        [(start, end, filter, verdict) for start, end, verdict in waiting],
    )
    return connection.total_changes - before


def give_up(connection: sqlite3.Connection, lost: Sequence[tuple[str, str]], filter: str, at: str) -> int:
    """File windows, (start, end), that are not proven and never will be; answers how many that is new of.

    There is one alert for all of them: it is one piece of news, and they may be thousands.
    """
    before = connection.total_changes
    connection.executemany(
        'INSERT INTO windows (start, "end", filter, verdict, reason, last_run_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)'
        ' ON CONFLICT (start, "end", filter) DO UPDATE SET verdict = ?4, reason = ?5, next_try_at = NULL,'
        f" last_run_at = coalesce(last_run_at, ?6), proven_by = NULL WHERE NOT {_IS_PROVEN} AND reason IS NOT ?5",
        [(start, end, filter, Verdict.FAILED, GIVEN_UP, at) for start, end in lost],
    )
    changed = connection.total_changes - before
    if changed and AlertKind.WINDOW_FAILED in alerts.wanted(connection):
        start, end = min(lost)[0], max(end for _, end in lost)
        data: dict[str, Any] = {"window": {"start": start, "end": end}, "verdict": Verdict.FAILED, "reason": GIVEN_UP}
        data |= {"filter": filter} if filter else {}
        alerts.add(connection, AlertKind.WINDOW_FAILED, stream=start, subject=f"{start}/{end}", at=at, data=data)
    return changed


def refresh(connection: sqlite3.Connection, at: str) -> int:
    """Make the verdicts of proven windows agree with what follow-up found; answers how many changed.

    An open window whose conversations have all ended is complete, also if it had been settled before: the platform's
    nightly reprocessing of its last end is still to come. One that has an ongoing conversation again is open again.
    Which conversations a filter matches is not known here: a filtered window waits for all of them, and is opened again
    by a read of it only.
    """
    changed = 0
    starts = conversations.ongoing_starts(connection)
    first, last = (starts[0], starts[-1]) if starts else ("9", "")
    # The others, years of them, are not open and cannot become so.
    query = (
        "SELECT start, \"end\", filter, verdict FROM windows WHERE verdict = 'open' OR"
        " (verdict IN ('complete', 'settled') AND filter = '' AND start <= ? AND \"end\" > ?) ORDER BY start, \"end\""
    )
    for start, end, filter, was in connection.execute(query, (last, first)).fetchall():
        ongoing = bisect_left(starts, end) - bisect_left(starts, start)
        verdict = Verdict.OPEN if ongoing and not filter else Verdict(was)
        if not ongoing and was == Verdict.OPEN:
            verdict = Verdict.COMPLETE
        if verdict != was:
            changed += 1
            reason = f"{ongoing} of its conversations go on again" if ongoing else None
            set_verdict(connection, start, end, filter, verdict, reason=reason, ongoing=ongoing, at=at)
    return changed


def write_details(
    connection: sqlite3.Connection,
    details: Iterable[DetailRow],
    read: Read,
    *,
    window: Interval | None,
    width: timedelta,
    cause: Cause,
) -> PageOutcome:
    """Write a page of details, and take the proof from the windows whose answers lacked some of it.

    window: what the run owns (None: a read by id). width: of the grid that the gaps of all others are filed under.
    """
    outcome = conversations.write(connection, details, read, window=window, width=width, cause=cause)
    if outcome.first_read:
        contradict(connection, outcome.first_read, read.at)
    return outcome


def contradict(connection: sqlite3.Connection, starts: Sequence[str], at: str) -> int:
    """Take the proof from every window that these conversations started in; answers how many windows.

    starts: of conversations whose details nobody had read before, or that nobody had heard of, so that the answer that
    proved the window lacked them. Such a window is read again at once; a wide interval given by hand after a while, as
    long as it is wide.
    """
    query = f'SELECT start, "end" FROM windows WHERE filter = \'\' AND {_IS_PROVEN} AND start <= ? AND "end" > ?'
    taken = 0
    for start, end in connection.execute(query, (max(starts), min(starts))).fetchall():
        lacking = sum(start <= began < end for began in starts)
        if lacking:
            taken += 1
            reason = f"{lacking} of its conversations were not in the answer that proved it"
            wait = max(from_text(end) - from_text(start) - _NARROW, timedelta(0)) / 24
            set_verdict(connection, start, end, "", Verdict.FAILED, reason=reason, at=at)
            connection.execute(
                "UPDATE windows SET next_try_at = ?, proven_by = NULL WHERE start = ? AND \"end\" = ? AND filter = ''",
                (to_text(from_text(at) + wait), start, end),
            )
    return taken


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
    proof = find(connection, *parent)
    if proof is None or proof.verdict not in PROVEN:
        return 0
    taken = 0
    for start, end in children:
        if (start, end) == parent[:2]:
            continue
        owned = ongoing = None
        verdict: Verdict = proof.verdict
        if not parent[2]:
            owned, ongoing = conversations.owned_counts(connection, start, end)
            ended = Verdict.SETTLED if proof.verdict == Verdict.SETTLED else Verdict.COMPLETE
            verdict = Verdict.OPEN if ongoing else ended
        stored = find(connection, start, end, parent[2])
        if stored is not None and (
            RANK[stored.verdict] >= RANK[verdict] or sees_less(proof.divisions_json, stored.divisions_json)
        ):
            continue
        taken += 1
        _alert(connection, (start, end, parent[2]), verdict, at)
        values = {
            "start": start,
            "end": end,
            "filter": parent[2],
            "verdict": verdict,
            "unique": owned,
            "owned": owned,
            "ongoing": ongoing,
            "reading": proof.reading,
            "first_read_at": proof.last_read_at,
            "last_read_at": proof.last_read_at,
            "settled_at": proof.settled_at if verdict == Verdict.SETTLED else None,
            "last_run_at": at,
            "proven_by": f"{parent[0]}/{parent[1]}",
            "divisions_json": proof.divisions_json,
        }
        _put(connection, values, _MERGED_BY_PROOF)
    return taken


def last_run_finished(connection: sqlite3.Connection) -> str | None:
    """The end of the run that was filed last."""
    found = connection.execute("SELECT finished_at FROM window_runs ORDER BY run_id DESC LIMIT 1").fetchone()
    return None if found is None else str(found[0])


def proven_divisions(connection: sqlite3.Connection, start: str, end: str, filter: str) -> list[str]:
    """The divisions that clients saw which have proven windows that touch [start, end): as JSON, each once.

    Also where the proof does not stand any more: what somebody has seen is there.
    """
    query = (
        'SELECT DISTINCT divisions_json FROM windows WHERE filter = ? AND start < ? AND "end" > ?'
        " AND divisions_json IS NOT NULL"
    )
    return [row[0] for row in connection.execute(query, (filter, end, start))]


def sees_less(eyes: str | None, than: str | None) -> bool:
    """Tell whether a client that sees the divisions `eyes` (JSON; None: not known) may lack some of `than`."""
    if than is None:
        return False
    return eyes is None or not set(json.decode(than)) <= set(json.decode(eyes))


def runs(
    connection: sqlite3.Connection, start: str, end: str, filter: str = "", *, last: int | None = None
) -> list[dict[str, Any]]:
    """The runs over a window, oldest first, as dicts of the columns of `window_runs`. last: no more than the newest."""
    cursor = connection.execute(
        'SELECT * FROM (SELECT * FROM window_runs WHERE start = ? AND "end" = ? AND filter = ?'
        " ORDER BY run_id DESC LIMIT ?) ORDER BY run_id",
        (start, end, filter, -1 if last is None else last),
    )
    names = [entry[0] for entry in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def by_verdict(connection: sqlite3.Connection, *, since: str = "", filter: str | None = None) -> dict[str, int]:
    """The number of windows for each verdict, of those that end after `since`. filter None: those of every filter."""
    query = 'SELECT verdict, count(*) FROM windows WHERE "end" > ?1 AND (?2 IS NULL OR filter = ?2) GROUP BY verdict'
    return dict(connection.execute(query, (since, filter)).fetchall())
