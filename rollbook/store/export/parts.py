"""The file of a table and day, in one of three formats: columns of values go in, a file is made."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from rollbook.store.export.column_values import Columns
from rollbook.store.export.columns import Exported


class Format(StrEnum):
    """The formats of files; each is the end of their names."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


class FilePart(Protocol):
    """A file in the making. rows: those that are in it.

    unfit: by column, how many values are left out, because no type of the format takes them where they stand.
    """

    rows: int
    unfit: Mapping[str, int]

    def write(self, columns: Columns) -> None:
        """Append rows, as their columns."""

    def close(self) -> None:
        """End the file."""


def need(form: Format) -> None:
    """Raise UsageError where this format cannot be written: for Parquet, where pyarrow is missing."""
    if form is Format.PARQUET:
        import rollbook.store.export.parquet  # noqa: F401


def opened(path: Path, table: Exported, form: Format) -> FilePart:
    """A new file. Raises UsageError for Parquet where pyarrow is missing."""
    if form is Format.PARQUET:
        from rollbook.store.export.parquet import ParquetPart  # pyarrow is an extra

        return ParquetPart(path, table)
    return CsvPart(path, table) if form is Format.CSV else NdjsonPart(path, table)


class CsvPart:
    """CSV with the names of the columns in its first line; what is absent is empty."""

    def __init__(self, path: Path, table: Exported) -> None:
        self.rows = 0
        self.unfit: Mapping[str, int] = {}
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(table.columns)

    def write(self, columns: Columns) -> None:
        """Append rows."""
        self.rows += len(columns[0])
        self._writer.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        """End the file."""
        self._file.close()


class NdjsonPart:
    """An object a line, with every column; JSON that a column holds stays text in it."""

    def __init__(self, path: Path, table: Exported) -> None:
        self.rows = 0
        self.unfit: Mapping[str, int] = {}
        self._names = table.columns
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    def write(self, columns: Columns) -> None:
        """Append rows."""
        self.rows += len(columns[0])
        names = self._names
        objects = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        self._file.write(self._encoder.encode_lines(objects))

    def close(self) -> None:
        """End the file."""
        self._file.close()
