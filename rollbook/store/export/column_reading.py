"""Columns of rows as SQLite hands them over with the least work: each as one text, decoded in one go. SQL only.

The first rows of a day show which columns have little in them, and which have long texts. These are asked for in
another way for the rest of the day; what comes of it is the same.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from itertools import islice
from typing import Any, Final

import msgspec

from rollbook.store.export.column_values import Column, EqualTexts, IntegerColumn, TakenColumn
from rollbook.store.export.columns import ColumnKind
from rollbook.store.rows.numbers import LAST_PLACE, SHIFT

# A value that its column's type does not take (a number with a point, a BLOB) is refused, and the rows are fetched.
_INTEGERS: Final = msgspec.json.Decoder(list[int | str | None]).decode
_TEXTS: Final = msgspec.json.Decoder(list[str | None]).decode
_INTEGERS_BY_ID: Final = msgspec.json.Decoder(dict[int, int | str]).decode
_TEXTS_BY_ID: Final = msgspec.json.Decoder(dict[int, str]).decode
# The id of a child row: its conversation's number, and its place among the rows of its table.
ROW_ID: Final = "t.id"
# Rows that show what a column is like; of fewer, each column is asked for as a whole.
ENOUGH: Final = 20
_THIN: Final = 10  # of so many rows at most one has a value
_THICK: Final = 5  # of so many rows more than one has
LONG: Final = 150  # characters on the average
# Bits of a run that say how many numbers follow its first.
_LENGTH: Final = 12
# A character that hardly any text has: between texts that are asked for as one.
_BETWEEN: Final = "\x1e"


def runs(numbers: Sequence[int]) -> str:
    """The numbers, in the same order, as runs of those that follow each other: their rows lie together.

    Each is one number, the first and how many follow; SQLite took longer to take pairs apart than to find the rows.
    """
    found: list[int] = []
    end = -1
    for number in numbers:
        if found and number == end + 1 and (found[-1] + 1) & ((1 << _LENGTH) - 1):
            found[-1] += 1
        else:
            found.append(number << _LENGTH)
        end = number
    return json.dumps(found)


class Way(Enum):
    """The ways of asking for a column.

    WHOLE: a JSON array. THIN: an object of what is not NULL, by the rows' ids: NULLs cost a third. LONG: the texts that
    there are, one after the other, and their rows' ids: nothing is escaped.
    """

    WHOLE = auto()
    THIN = auto()
    LONG = auto()


# By the rows and the column's SQL.
Ways = dict[tuple[str, str], Way]


class _Unlike(Exception):
    """A column is not what it was taken for."""


class ColumnReader:
    """Reads columns of rows of a day's conversations. ways: of the days before; it is changed."""

    def __init__(self, connection: sqlite3.Connection, ways: Ways) -> None:
        self._connection = connection
        self._ways = ways
        # Columns of which this day's first rows have been looked at.
        self._known: set[tuple[str, str]] = set()

    def rows(self, columns: str, rows: str, key: str, runs: str, order: str = "") -> sqlite3.Cursor:
        """Rows of conversations. key: the column that has their number, or begins with it. runs: as `runs` makes it."""
        first = f"j.value >> {_LENGTH}"
        last = f"({first}) + (j.value & {(1 << _LENGTH) - 1})"
        if key == "id":
            first, last = f"({first}) << {SHIFT}", f"(({last}) << {SHIFT}) + {LAST_PLACE}"
        query = f"SELECT {columns} FROM json_each(?) j CROSS JOIN {rows} t ON t.{key} BETWEEN {first} AND {last}"
        return self._connection.execute(f"{query} ORDER BY j.key, {order}" if order else query, (runs,))

    def columns(self, wanted: Mapping[str, ColumnKind], rows: str, key: str, runs: str) -> dict[str, Column]:
        """Columns, all of one length, by the SQL that makes them. rows, key, runs: as for `rows`.

        In half the time in which rows would be fetched and turned (docs/performance.md). Numbers with a point lose
        digits on the way through JSON: columns that may have some are fetched, and all of them where one has what JSON
        has not.
        """
        real = [sql for sql, kind in wanted.items() if kind is ColumnKind.REAL]
        with suppress(sqlite3.Error, msgspec.DecodeError, _Unlike):
            found = self._from_texts({sql: kind for sql, kind in wanted.items() if sql not in real}, rows, key, runs)
            if real:
                found |= self._fetched(real, rows, key, runs)
            return {sql: found[sql] for sql in wanted}
        return self._fetched(list(wanted), rows, key, runs)

    def _fetched(self, wanted: Sequence[str], rows: str, key: str, runs: str) -> dict[str, Column]:
        fetched = self.rows(", ".join(wanted), rows, key, runs).fetchall()
        return dict(zip(wanted, zip(*fetched, strict=True) if fetched else [()] * len(wanted), strict=True))

    def _from_texts(self, wanted: Mapping[str, ColumnKind], rows: str, key: str, runs: str) -> dict[str, Column]:
        ways = {sql: self._ways.get((rows, sql), Way.WHOLE) for sql in wanted}
        if any(way is not Way.WHOLE for way in ways.values()):
            ways = {ROW_ID: Way.WHOLE} | ways
        asked = [part for sql, way in ways.items() for part in _ASKED[way](sql)]
        texts: Iterator[Any] = iter(self.rows(", ".join(asked), rows, key, runs).fetchone())
        found: dict[str, Column] = {}
        places = _Places()
        for sql, way in ways.items():
            column = rows, sql
            whole_numbers = sql == ROW_ID or wanted[sql] is ColumnKind.INTEGER
            if way is Way.WHOLE:
                text = next(texts)
                values = IntegerColumn(_INTEGERS(text)) if whole_numbers else _texts(text)
                if sql == ROW_ID:
                    places.ids = values
                elif key == "id" and column not in self._known:
                    self._look_at(column, values, 0 if whole_numbers else len(text))
                found[sql] = values
            elif way is Way.THIN:
                by_id = (_INTEGERS_BY_ID if whole_numbers else _TEXTS_BY_ID)(next(texts))
                found[sql] = places.column(by_id.values(), by_id)
                if len(by_id) * _THICK > len(places.ids):
                    self._ways[column] = Way.WHOLE
            else:
                ids, text, others = islice(texts, 3)
                long = [] if text is None else text.split(_BETWEEN)
                ids = _INTEGERS(ids)
                if others or len(long) != len(ids):
                    self._ways[column] = Way.WHOLE
                    raise _Unlike
                found[sql] = long if len(ids) == len(places.ids) else places.column(long, ids)
        return found

    def _look_at(self, column: tuple[str, str], values: Column, size: int) -> None:
        """Choose the way of asking for a column from now on. size: of the JSON that it came as, if it is of text."""
        count = len(values)
        if count >= ENOUGH:
            self._known.add(column)
            filled = count - (values.count(None) if isinstance(values, list) else 0)
            if size - (count - filled) * len("null,") > max(filled, 1) * LONG:
                self._ways[column] = Way.LONG
            elif filled * _THIN <= count:
                self._ways[column] = Way.THIN


_ASKED: Final[Mapping[Way, Callable[[str], tuple[str, ...]]]] = {
    Way.WHOLE: lambda sql: (f"json_group_array({sql})",),
    Way.THIN: lambda sql: (f"json_group_object({ROW_ID}, {sql}) FILTER (WHERE {sql} IS NOT NULL)",),
    Way.LONG: lambda sql: (
        f"json_group_array({ROW_ID}) FILTER (WHERE {sql} IS NOT NULL)",
        f"group_concat({sql}, char({ord(_BETWEEN)})) FILTER (WHERE {sql} IS NOT NULL)",
        f"count(*) FILTER (WHERE {sql} IS NOT NULL AND typeof({sql}) <> 'text')",
    ),
}


def _texts(text: str) -> Column:
    """The values of a JSON array of texts."""
    return EqualTexts.of_json(text) or _TEXTS(text)


class _Places:
    """The places of rows by their ids. ids: of all, in their order."""

    ids: Column = ()

    def __init__(self) -> None:
        self._by_id: dict[int, int] | None = None

    def column(self, values: Any, ids: Any) -> TakenColumn:
        """The column of these values, in the rows with these ids; NULL in all others."""
        if self._by_id is None:
            self._by_id = {row_id: place for place, row_id in enumerate(self.ids)}
        places, by_id = array("i", bytes(4 * len(self.ids))), self._by_id
        for at, row_id in enumerate(ids, 1):
            places[by_id[row_id]] = at
        return TakenColumn([None, *values], places)
