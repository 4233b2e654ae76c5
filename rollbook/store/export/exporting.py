"""An export, a day at a time: read in one transaction, made aside, compared with what is there, then put in place.

A file that is there with the same bytes is left alone. The manifest is written last, and also where the run ends early:
what it says of a file is true of the bytes with that digest. A run that is killed leaves files of which the manifest
does not know yet; the next one finds them the same and says so in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import Interval, to_text
from rollbook.store.export import day_files, day_rows, manifest, parts
from rollbook.store.export.column_reading import Ways
from rollbook.store.export.columns import Exported
from rollbook.store.export.day_files import DayExported, ExportOptions, FileMade, Made
from rollbook.store.export.day_rows import Day
from rollbook.store.export.folder import ExportPlace, digest_of, made_aside
from rollbook.store.export.parts import Format
from rollbook.store.export.second_process import SecondProcess, cores
from rollbook.store.export.turns import Turn, Turns
from rollbook.store.export.writing import Content, Writing
from rollbook.store.tables import schema

_DAY: Final = timedelta(days=1)


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


# The whole


def export(
    read: Callable[..., Any],
    interval: Interval,
    place: ExportPlace,
    wanted: ExportOptions,
    now: datetime,
    *,
    store: Path | None = None,
) -> Export:
    """Export the days of an interval. read: calls a function with the connection that reads, as `Book.read_now` does.

    store: the file that is read, for a second process where there are days and cores for two; None: this one alone.
    Raises UsageError, StoreError, and RollbookError where the place has something else or cannot be written.
    """
    parts.need(wanted.form)
    found = Export(place.name)
    days = days_of(interval, read(day_rows.first_day), now)
    with made_aside(place):
        organization = read(schema.organization)
        known = manifest.Manifest.read(place.read(manifest.NAME), organization, f"{place.name}/{manifest.NAME}")
        known.organization = organization or known.organization
        turns = Turns(days, wanted.progress)
        second, apart = None, True
        if store is not None and len(days) > 1 and cores() > 1:
            apart = cores() > 2
            second = SecondProcess(store, place.aside, wanted, to_text(now), turns, apart=apart)

        def put(made: Made) -> None:
            _put(made, found, known, place, wanted.form)

        try:
            with Writing(place.aside, wanted.form, apart=apart) as writing, second or nullcontext():
                files = _made(read, turns, wanted, to_text(now), writing)
                if second is None:
                    for made in files:
                        put(made)
                else:
                    _put_meanwhile(files, put)
        finally:
            _put_manifest(known, place)
    return found


def _made(read: Callable[..., Any], turns: Turns, wanted: ExportOptions, now: str, writing: Writing) -> Iterator[Made]:
    """What is made of each day, and of what has none. No transaction is open when it comes."""

    ways = Ways()

    def make(turn: Turn) -> Made:
        def progress(rows: int) -> None:
            turns.count(turn, rows)
            turns.show()

        made: Made = read(day_files.of_day, turn.day, wanted, now, writing, ways, progress)
        return made

    yield from turns.in_order(make)
    yield read(day_files.of_no_day, wanted, writing)


def _put_meanwhile(files: Iterator[Made], put: Callable[[Made], None]) -> None:
    """Put files in their places, one day after the other, while the next is read: a disk takes its time over each.

    For two processes, of which nearly always one reads. One alone reads no day meanwhile, so that there are moments at
    which nobody reads: then the write-ahead log can begin again.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="export-placer") as thread:
        before: Future[None] | None = None
        for made in files:
            if before is not None:
                before.result()
            before = thread.submit(put, made)
        if before is not None:
            before.result()


def _put(made: Made, found: Export, known: manifest.Manifest, place: ExportPlace, form: Format) -> None:
    """Put files in their places, those that are not there already; and say in the manifest what they are."""
    day = made.day
    if day is not None:
        found.days.append(day)
        if day.left_out:
            return
    entries = [
        _put_file(file, content, day, found, place, form)
        for file, content in zip(made.files, made.contents.result(), strict=True)
    ]
    known.take(
        entries,
        None if day is None else {"date": day.date, "verdict": day.verdict, "over": day.over, "unplaced": day.unplaced},
    )


def _put_file(
    file: FileMade, content: Content, day: DayExported | None, found: Export, place: ExportPlace, form: Format
) -> manifest.File:
    """Put a file in its place, unless it is there already; answers what the manifest says of it."""
    date_ = None if day is None else day.date
    path = path_of(file.table, date_, form)
    same = place.has(path, content.size, content.digest)
    if same:
        file.path.unlink()
    else:
        place.put(file.path, path, content.digest)
    found.unchanged += same
    found.written += not same
    if day is not None:
        day.unchanged += same
        day.written += not same
        day.unfit += sum(content.unfit.values())
    return {
        "path": path,
        "table": file.table.name,
        "date": date_,
        "format": form.value,
        "rows": content.rows,
        "bytes": content.size,
        "sha256": content.digest,
        "schema": schema.VERSION,
        "verdict": file.verdict,
        "over": file.over,
    } | ({"unfit": dict(content.unfit)} if content.unfit else {})


def _put_manifest(known: manifest.Manifest, place: ExportPlace) -> None:
    raw = known.as_bytes()
    if known.files and place.read(manifest.NAME) != raw:
        path = place.aside / manifest.NAME
        path.write_bytes(raw)
        place.put(path, manifest.NAME, digest_of(path))
