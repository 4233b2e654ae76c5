"""`rollbook windows` and `window`: the windows of the ledger, and the proof of each, from the store alone.

Words for a terminal of 80 columns, or JSON. What they say is read from the ledger; nothing is judged here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rollbook.genesys.errors import UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted
from rollbook.genesys.times import Interval, parse_interval
from rollbook.store import proof
from rollbook.store.book import Book
from rollbook.store.commands import period
from rollbook.store.tables import notes
from rollbook.store.tables import windows as table
from rollbook.store.tables.windows import WindowRow
from rollbook.store.vocabulary import PROVEN, Verdict


def windows(verdict: tuple[str, ...], since: str | None, until: str | None, settings: Settings, as_json: bool) -> None:
    """Run `rollbook windows`."""

    def work() -> None:
        start, end = period.moment("--since", since), period.moment("--until", until)
        verdicts = [Verdict(name) for name in verdict] or None
        with Book.open(settings.store_path, mode="ro") as book:
            rows = book.read_now(table.listed, verdicts=verdicts, since=start, until=end, filter=None)
        console.show(as_json, lambda: {"windows": [asdict(row) for row in rows]}, lambda: window_lines(rows))

    console.run(work, as_json=as_json)


def _title(row: WindowRow) -> str:
    end = row.end[11:16] if row.end[:10] == row.start[:10] else f"{row.end[:10]} {row.end[11:16]}"
    return f"{row.start[:10]} {row.start[11:16]} to {end}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def window_lines(rows: list[WindowRow]) -> Iterator[str]:
    """A line a window, and how many there are of each verdict."""
    if not rows:
        yield "no window is like that"
        return
    yield f"{'window (UTC)':<35} {'verdict':<9}{'owned':>7}{'missing':>8}{'changed':>8}{'drift':>6}"
    for row in rows:
        mark = " filtered" if row.filter else ""
        yield (
            f"{_title(row):<35} {row.verdict:<9}{_number(row.owned):>7}{_number(row.missing):>8}"
            f"{_number(row.changed):>8}{row.drift:>6}{mark}"
        )
    counts = Counter(row.verdict for row in rows)
    yield f"{len(rows):,} windows: {', '.join(f'{counts[name]:,} {name}' for name in Verdict if counts[name])}"


def window(start: str, settings: Settings, as_json: bool) -> None:
    """Run `rollbook window`."""

    def work() -> None:
        with Book.open(settings.store_path, mode="ro") as book:
            rows = _named(book, start)
            if not rows:
                raise UsageError(
                    f"no window of the ledger begins at {start} or goes on then; `rollbook windows` lists them"
                )
            proofs = [(row, book.read_now(proof.runs_over, row)) for row in rows]
            deleted = book.read_now(notes.retained).get("details", "")
            kept = book.read_now(notes.read, notes.PLATFORM_KEEPS)
            lost = (json.loads(kept)["lost_before"] if kept else None) or ""
        console.show(
            as_json,
            lambda: {
                "windows": [asdict(row) | {"runs": [proof.plain(run) for run in runs]} for row, runs in proofs],
                **({"details_deleted_before": deleted} if deleted else {}),
                **({"platform_deleted_before": lost} if lost else {}),
            },
            lambda: (line for row, runs in proofs for line in proof_lines(row, runs, deleted, lost)),
        )

    console.run(work, as_json=as_json)


def _named(book: Book, text: str) -> list[WindowRow]:
    if "/" in text:
        whole = parse_interval(text, now=datetime.max.replace(tzinfo=UTC))
        return [row for row in _touching(book, whole) if (row.start, row.end) == whole.texts]
    at = period.moment("START", text) or ""
    return book.read_now(proof.beginning_at, at)


def _touching(book: Book, interval: Interval) -> list[WindowRow]:
    since, until = interval.texts
    return book.read_now(table.listed, since=since, until=until, filter=None)


def proof_lines(row: WindowRow, runs: list[dict[str, Any]], deleted: str = "", lost: str = "") -> Iterator[str]:
    """The reasons for a window's verdict, run by run.

    deleted: before which time our retention has deleted details. lost: before which time the platform has.
    """
    return fitted(_proof_lines(row, runs, deleted, lost), indent=14)


def _proof_lines(row: WindowRow, runs: list[dict[str, Any]], deleted: str, lost: str) -> Iterator[str]:
    yield f"{_title(row)} UTC  {row.verdict}"
    if row.start < deleted:
        proven = "proven, since deleted: " if row.verdict in PROVEN else ""
        yield f"  details     {proven}[retention] keeps none of before {deleted}"
    if row.start < lost and row.verdict in PROVEN:
        yield f"  platform    proven, beyond the platform's retention (since {lost}): not read again"
    if row.filter:
        yield f"  for the filter {row.filter} only"
    if row.reason:
        yield f"  because     {row.reason}"
    if row.proven_by:
        yield f"  proven by   the reading of {row.proven_by}"
    for name, value in (
        ("first read", row.first_read_at),
        ("last read", row.last_read_at),
        ("settled", row.settled_at),
        ("next try", row.next_try_at),
    ):
        if value:
            yield f"  {name:<11} {value}"
    rewritten = f", {row.drift:,} conversations rewritten by the platform since the first" if runs else ""
    yield f"  runs        {len(runs) or 'none yet'}{rewritten}"
    for run in runs:
        yield from _run_lines(proof.plain(run))


def _run_lines(run: dict[str, Any]) -> Iterator[str]:
    yield f"{run['finished_at']}  {run['command']} by {run['via']}: {run['verdict']}"
    if run["reason"]:
        yield f"  because     {run['reason']}"
    if run["id_digest"] is None:
        return
    hits = "" if run["final_total_hits"] is None else f" of {run['final_total_hits']:,} hits"
    yield f"  read        {_number(run['unique'])} ids{hits}, {run['owned']:,} owned, as of {run['as_of']}"
    yield f"  found       {run['missing']:,} missing, {run['changed']:,} changed, {run['ongoing']:,} going on"
    yield f"  ids         digest {run['id_digest']}"
    yield f"  query       {json.dumps(run['query'])}"
    rule = {"day": "answered by whole days", "interval": "answered by the interval", "job": "a job's data"}
    yield f"  reading     {rule.get(run['reading'], 'not known')}; {_number(run['requests'])} requests"
    seen = run["divisions"]
    yield f"  saw         {'divisions not known' if seen is None else f'{len(seen)} divisions: ' + ', '.join(seen)}"
    for reading in run["read"] or ():
        moved = f"; moved: {'; '.join(reading['moved'])}" if reading.get("moved") else ""
        figures = f"{reading['pages']} pages, {reading['rows']} rows, {reading['duplicates']} twice"
        yield f"  pass {reading['pass']:<6} {figures}{moved}"
