"""An export, a day at a time: read in one transaction, made aside, compared with what is there, then put in place.

A file that is there with the same bytes is left alone. The manifest is written last, and also where the run ends early:
what it says of a file is true of the bytes with that digest. A run that is killed leaves files of which the manifest
does not know yet; the next one finds them the same and says so in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import Interval, to_text
from rollbook.store.export import day_rows, manifest, parts
from rollbook.store.export.column_values import Columns
from rollbook.store.export.columns import EXPORTED, Exported, Proof
from rollbook.store.export.day_rows import Day
from rollbook.store.export.folder import ExportPlace, digest_of, made_aside
from rollbook.store.export.parts import Format
from rollbook.store.export.writing import Content, Unfinished, Writing
from rollbook.store.file.transactions import one_moment
from rollbook.store.tables import schema
from rollbook.store.views import view_rows
from rollbook.store.vocabulary import Verdict

_DAY: Final = timedelta(days=1)
_START: Final = "conversation_start"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The parts of an export that are asked for. settled: only days of which all that is exported is settled.

    progress: called with a day and how many rows of it were read.
    """

    tables: Sequence[Exported] = EXPORTED
    form: Format = Format.PARQUET
    settled: bool = False
    progress: Callable[[str, int], None] = lambda *_: None


@dataclass(slots=True)
class DayExported:
    """A day that was exported, or left out. verdict: of the windows of the day itself. over: it has ended.

    written, unchanged: files. unplaced: conversations first seen on it that no day has, because their start is unknown.
    """

    date: str
    verdict: str | None
    over: bool
    left_out: bool = False
    written: int = 0
    unchanged: int = 0
    rows: int = 0
    unplaced: int = 0
    unfit: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The day as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Export:
    """An export that has been made. written, unchanged: files, those without days too."""

    to: str
    days: list[DayExported] = field(default_factory=list)
    written: int = 0
    unchanged: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The export as a JSON object."""
        return {
            "to": self.to,
            "manifest": manifest.NAME,
            "written": self.written,
            "unchanged": self.unchanged,
            "days": [day.as_dict() for day in self.days],
        }


class _Made(NamedTuple):
    """Files that are made aside: of a day, or of none. contents: what is in each, once they are whole."""

    day: DayExported | None
    files: Sequence[_File]
    contents: Future[list[Content]]


class _File(NamedTuple):
    """A file that is made aside, and what the manifest says of it but for its bytes."""

    unfinished: Unfinished
    table: Exported
    verdict: str | None = None
    over: bool | None = None


# Days


def days_of(interval: Interval, first: str | None, now: datetime) -> list[Day]:
    """The UTC days that an interval touches, from `first` on, as far as they have begun.

    Raises UsageError where none of the interval has begun.
    """
    if interval.start > now:
        raise UsageError(f"the interval {interval.text} has not begun yet (it is {to_text(now)} now)")
    day = interval.start.date()
    if first is None:
        return []
    day = max(day, date.fromisoformat(first))
    found = []
    while (begins := datetime(day.year, day.month, day.day, tzinfo=UTC)) < interval.end and begins <= now:
        found.append(Day(day.isoformat(), to_text(begins), to_text(begins + _DAY)))
        day += _DAY
    return found


def path_of(table: Exported, day: str | None, form: Format) -> str:
    """The path of a file: `sessions/date=2026-03-02/part.parquet`; without a day `names/part.parquet`."""
    return f"{table.name}/date={day}/part.{form}" if day else f"{table.name}/part.{form}"


# Reading, in one transaction


def _read_day(
    connection: sqlite3.Connection, day: Day, wanted: ExportOptions, now: str, writing: Writing
) -> tuple[DayExported, _Made | None]:
    """Read a day, and have its files written; none where it is left out."""
    with one_moment(connection):
        verdict = view_rows.verdict_of(connection, day.start, day.end, began=True)
        exported = DayExported(day.date, verdict, day.end <= now, unplaced=day_rows.unplaced(connection, day))
        tables = [table for table in wanted.tables if table.by is not None]
        proofs = {table.name: _proof(connection, table, day, verdict) for table in tables}
        if wanted.settled and any(
            of != Verdict.SETTLED
            for of in (verdict, *(proofs[table.name][0] for table in tables if table.proof is not Proof.NOTHING))
        ):
            exported.left_out = True
            return exported, None
        files = {table.name: writing.begin(table, day.date) for table in tables}
        for table, columns in _columns(connection, day, tables):
            writing.write(files[table.name], columns)
            exported.rows += len(columns[0])
            wanted.progress(day.date, exported.rows)
    made = [_File(files[table.name], table, proofs[table.name][0], proofs[table.name][1] <= now) for table in tables]
    return exported, _Made(exported, made, writing.end(list(files.values())))


def _columns(
    connection: sqlite3.Connection, day: Day, tables: Sequence[Exported]
) -> Iterator[tuple[Exported, Columns]]:
    yield from day_rows.of_conversations(connection, day, [table for table in tables if table.by == _START])
    for table in tables:
        if table.by != _START:
            for columns in day_rows.of_time(connection, day, table):
                yield table, columns


def _proof(connection: sqlite3.Connection, table: Exported, day: Day, verdict: str | None) -> tuple[str | None, str]:
    """(The worst verdict of the windows that a table's rows of a day rest on, when that day ends)."""
    if table.proof is Proof.NOTHING:
        return None, day.end
    if table.proof is Proof.DAY:
        return verdict, day.end
    start, end = view_rows.local_day(connection, day.date) if table.by == "day" else day[1:]
    return view_rows.verdict_of(connection, start, end), end


def _read_whole(connection: sqlite3.Connection, wanted: ExportOptions, writing: Writing) -> _Made:
    made = [_File(writing.begin(table, None), table) for table in wanted.tables if table.by is None]
    with one_moment(connection):
        for file in made:
            for columns in day_rows.whole(connection, file.table):
                writing.write(file.unfinished, columns)
    return _Made(None, made, writing.end([file.unfinished for file in made]))


# The whole


def export(
    read: Callable[..., Any], interval: Interval, place: ExportPlace, wanted: ExportOptions, now: datetime
) -> Export:
    """Export the days of an interval. read: calls a function with the connection that reads, as `Book.read_now` does.

    Raises UsageError, StoreError, and RollbookError where the place has something else or cannot be written.
    """
    parts.need(wanted.form)
    found = Export(place.name)
    days = days_of(interval, read(day_rows.first_day), now)
    with made_aside(place):
        organization = read(schema.organization)
        known = manifest.Manifest.read(place.read(manifest.NAME), organization, f"{place.name}/{manifest.NAME}")
        known.organization = organization or known.organization
        try:
            with Writing(place.aside, wanted.form) as writing:
                for made in _read(read, days, wanted, to_text(now), writing, found):
                    _put(made, found, known, place, wanted.form)
        finally:
            _put_manifest(known, place)
    return found


def _read(
    read: Callable[..., Any],
    days: Sequence[Day],
    wanted: ExportOptions,
    now: str,
    writing: Writing,
    found: Export,
) -> Iterator[_Made]:
    """What is made of each day, and of what has none: a day's files come when the next day has been read.

    They have become whole meanwhile; and no transaction is open while they are put in their places.
    """
    before = None
    for day in days:
        exported, made = read(_read_day, day, wanted, now, writing)
        found.days.append(exported)
        if before is not None:
            yield before
        before = made
    made = read(_read_whole, wanted, writing)
    if before is not None:
        yield before
    yield made


def _put(made: _Made, found: Export, known: manifest.Manifest, place: ExportPlace, form: Format) -> None:
    """Put files in their places, those that are not there already; and say in the manifest what they are."""
    entries = [
        _put_file(file, content, made.day, found, place, form)
        for file, content in zip(made.files, made.contents.result(), strict=True)
    ]
    day = made.day
    known.take(
        entries,
        None if day is None else {"date": day.date, "verdict": day.verdict, "over": day.over, "unplaced": day.unplaced},
    )


def _put_file(
    file: _File, content: Content, day: DayExported | None, found: Export, place: ExportPlace, form: Format
) -> manifest.File:
    """Put a file in its place, unless it is there already; answers what the manifest says of it."""
    made, part = file.unfinished
    date_ = None if day is None else day.date
    path = path_of(file.table, date_, form)
    same = place.has(path, content.size, content.digest)
    if same:
        made.unlink()
    else:
        place.put(made, path, content.digest)
    found.unchanged += same
    found.written += not same
    if day is not None:
        day.unchanged += same
        day.written += not same
        day.unfit += sum(part.unfit.values())
    return {
        "path": path,
        "table": file.table.name,
        "date": date_,
        "format": form.value,
        "rows": part.rows,
        "bytes": content.size,
        "sha256": content.digest,
        "schema": schema.VERSION,
        "verdict": file.verdict,
        "over": file.over,
    } | ({"unfit": dict(part.unfit)} if part.unfit else {})


def _put_manifest(known: manifest.Manifest, place: ExportPlace) -> None:
    raw = known.as_bytes()
    if known.files and place.read(manifest.NAME) != raw:
        path = place.aside / manifest.NAME
        path.write_bytes(raw)
        place.put(path, manifest.NAME, digest_of(path))
