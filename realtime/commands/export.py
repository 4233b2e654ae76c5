"""`rollbook export`: tables and views as files by day, in a folder or in S3, with a manifest."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.progress import shown
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count, fitted
from rollbook.genesys.times import Interval, parse_interval
from rollbook.store.book import Book
from rollbook.store.commands.report import keep_view_settings
from rollbook.store.export.columns import BY_NAME, Exported, TableGroup, chosen
from rollbook.store.export.day_files import DayExported, ExportOptions
from rollbook.store.export.exporting import Export
from rollbook.store.export.exporting import export as export_days
from rollbook.store.export.folder import ExportPlace, Folder
from rollbook.store.export.parts import Format

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def export(
    interval: str,
    to: str,
    form: str,
    tables: Sequence[str],
    settled: bool,
    settings: Settings,
    as_json: bool,
) -> None:
    """Run the command as its options say, and end with its exit status."""
    # As SIGINT does: what was made aside is removed, and the manifest says what there is. Other threads get no signal.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def work() -> None:
        asked, names = _interval(interval), _tables(tables)
        if any(table.group is TableGroup.VIEWS for table in names):
            keep_view_settings(settings, "export")
        with Book.open(settings.store_path, mode="ro") as book, shown() as show:

            def progress(days: int, rows: int) -> None:
                show(f"{count(days, 'day')}, {count(rows, 'row')}")

            wanted, place = ExportOptions(names, Format(form), settled, progress), _place(to, settings.store_path)
            found = export_days(book.read_now, asked, place, wanted, datetime.now(UTC), store=settings.store_path)
        console.show(as_json, found.as_dict, lambda: lines(found))

    console.run(work, as_json=as_json)


def _interval(text: str) -> Interval:
    whole = f"{text.strip()}/P1D" if _DATE.fullmatch(text.strip()) else text
    return parse_interval(whole, now=datetime.max.replace(tzinfo=UTC))


def _tables(words: Sequence[str]) -> tuple[Exported, ...]:
    for word in words:
        if word not in BY_NAME and word not in list(TableGroup):
            raise UsageError(f"--table: {word!r} is none of {', '.join([*TableGroup, *BY_NAME])}")
    return chosen(words)


def _place(to: str, store: Path) -> ExportPlace:
    if not to.startswith("s3://"):
        return Folder(Path(to))
    # Imported where it is needed: boto3 is slow to import.
    from realtime.aws.s3 import S3Prefix

    return S3Prefix(to, aside=store.resolve().with_name(f"{store.name}-export"))


def lines(found: Export) -> Iterator[str]:
    """The export in words, none longer than 80 columns."""
    for day in found.days:
        yield from fitted([f"{day.date}  {_words(day)}"], indent=12)
    if not found.days:
        yield "the store has nothing of these days"
    yield from fitted(
        [f"{found.to}: {count(found.written, 'file')} written, {found.unchanged:,} as they were"], indent=2
    )


def _words(day: DayExported) -> str:
    verdict = day.verdict or "not all of it has a window"
    if day.left_out:
        return f"{verdict}: left out, because not all is settled"
    said = f"{verdict}{'' if day.over else ', not over yet'}: {count(day.rows, 'row')}, {day.written:,} written"
    if day.unplaced:
        said += f"; {count(day.unplaced, 'conversation')} first seen on it without a known start"
    if day.unfit:
        said += f"; {count(day.unfit, 'value')} of no type left out"
    return said
