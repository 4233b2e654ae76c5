"""The files of a day: read in one transaction, and made aside by a thread that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollbook.store.export import day_rows
from rollbook.store.export.column_reading import Ways
from rollbook.store.export.column_values import Columns
from rollbook.store.export.columns import EXPORTED, Exported, Proof
from rollbook.store.export.day_rows import Day
from rollbook.store.export.parts import Format
from rollbook.store.export.writing import Content, Writing
from rollbook.store.file.transactions import one_moment
from rollbook.store.views import view_rows
from rollbook.store.vocabulary import Verdict

_START: Final = "conversation_start"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The parts of an export that are asked for. settled: only days of which all that is exported is settled.

    progress: called with how many days have been read, and how many rows of them and of those that are being read.
    """

    tables: Sequence[Exported] = EXPORTED
    form: Format = Format.PARQUET
    settled: bool = False
    progress: Callable[[int, int], None] = lambda *_: None


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


class FileMade(NamedTuple):
    """A file that is made aside, and what the manifest says of it but for its content."""

    path: Path
    table: Exported
    verdict: str | None = None
    over: bool | None = None


class Made(NamedTuple):
    """Files that are made aside: of a day, or of none. contents: what is in each, once they are whole."""

    day: DayExported | None
    files: Sequence[FileMade]
    contents: Future[list[Content]]


def of_day(
    connection: sqlite3.Connection,
    day: Day,
    wanted: ExportOptions,
    now: str,
    writing: Writing,
    ways: Ways,
    progress: Callable[[int], None],
) -> Made:
    """Read a day, and have its files written; none where it is left out.

    ways: what the days before have shown; it is changed. progress: called with the rows read so far.
    """
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
            return Made(exported, [], writing.end([]))
        files = {table.name: writing.begin(table, day.date) for table in tables}
        for table, columns in _columns(connection, day, tables, ways):
            writing.write(files[table.name], columns)
            exported.rows += len(columns[0])
            progress(exported.rows)
    made = [
        FileMade(files[table.name].path, table, verdict, end <= now)
        for table in tables
        for verdict, end in [proofs[table.name]]
    ]
    return Made(exported, made, writing.end(list(files.values())))


def of_no_day(connection: sqlite3.Connection, wanted: ExportOptions, writing: Writing) -> Made:
    """Read the tables that have no days, and have their files written."""
    files = [(writing.begin(table, None), table) for table in wanted.tables if table.by is None]
    with one_moment(connection):
        for file, table in files:
            for columns in day_rows.whole(connection, table):
                writing.write(file, columns)
    made = [FileMade(file.path, table) for file, table in files]
    return Made(None, made, writing.end([file for file, _ in files]))


def _columns(
    connection: sqlite3.Connection, day: Day, tables: Sequence[Exported], ways: Ways
) -> Iterator[tuple[Exported, Columns]]:
    yield from day_rows.of_conversations(connection, day, [table for table in tables if table.by == _START], ways)
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
