"""Parquet: the door to pyarrow. Times are timestamps in UTC, numbers are numbers, all other values are text.

SQLite keeps what it is given: a column of numbers may have a text, and a time that cannot be read is kept as it came. A
typed column cannot: such a value is left out, and counted. The same rows make the same bytes, with the same version of
pyarrow.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.program.process_memory import keep_freed
from rollbook.genesys.times import normalize
from rollbook.store.export.column_values import Column, Columns, EqualTexts, IntegerColumn, SharedValues, TakenColumn
from rollbook.store.export.columns import ColumnKind, Exported, kind_of

# The system's allocator: Arrow's own keeps what it was given, 50 MB of an export (docs/performance.md). Arrow asks for
# this when it is loaded; who has set it wants it so.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    raise UsageError(
        f"Parquet is written by pyarrow, which is not there ({error}): pip install 'rollbook[parquet]', or give"
        " --format csv or ndjson"
    ) from None

keep_freed()
# Bytes of columns in memory that become a row group.
_GROUP_BYTES: Final = 4_000_000
_BATCH_ROWS: Final = 16_384  # of a column, that are encoded at a time
_LEVEL: Final = 1  # of zstd: a higher one takes more time than it saves room
_TYPES: Final[Mapping[ColumnKind, Any]] = {
    ColumnKind.TIME: pa.timestamp("ms", tz="UTC"),
    ColumnKind.INTEGER: pa.int64(),
    ColumnKind.REAL: pa.float64(),
    ColumnKind.TEXT: pa.string(),
}
# Where texts of one length end, by that: the same for all columns.
_ENDS: Final[dict[int, array[int]]] = {}
_SPELLED: Final = (ColumnKind.TEXT, ColumnKind.TIME)
_REFUSED: Final = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError)


class ParquetPart:
    """A Parquet file in the making. unfit: by column, the values that its type did not take."""

    def __init__(self, path: Path, table: Exported) -> None:
        self.rows = 0
        self.unfit: Mapping[str, int] = {}
        self._unfit: Counter[str] = Counter()
        self._kinds = [(name, kind_of(table.name, name)) for name in table.columns]
        self._schema = pa.schema([(name, _TYPES[kind]) for name, kind in self._kinds])
        # Dictionaries of values make a file a little larger, and take a fifth more time; so do the smallest and the
        # largest of each column's texts, by which no reader finds an id (docs/performance.md).
        self._writer = pq.ParquetWriter(
            path.absolute(),  # one with a colon in it is taken for an address, unless it begins at the root
            self._schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=False,
            write_statistics=[name for name, kind in self._kinds if kind is not ColumnKind.TEXT],
            write_batch_size=_BATCH_ROWS,
        )
        self._waiting: list[Any] = []
        self._bytes = 0

    def write(self, columns: Columns) -> None:
        """Append rows; they are written once there are enough for a row group."""
        arrays = [self._array(name, kind, column) for (name, kind), column in zip(self._kinds, columns, strict=True)]
        batch = pa.record_batch(arrays, schema=self._schema)
        self.rows += batch.num_rows
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """End the file."""
        self._flush()
        self._writer.close()
        self.unfit = dict(sorted(self._unfit.items()))

    def _flush(self) -> None:
        if self._waiting:
            group = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(group, row_group_size=group.num_rows)
            self._waiting, self._bytes = [], 0

    def _array(self, name: str, kind: ColumnKind, column: Column) -> Any:
        try:
            return _as_array(kind, column)
        except _REFUSED:
            values = list(column)
            fitting = [_FITTING[kind](value) for value in values]
            left_out = sum(value is not None for value in values) - sum(value is not None for value in fitting)
            if left_out:
                self._unfit[name] += left_out
            return _typed(kind, fitting)


def _as_array(kind: ColumnKind, column: Column) -> Any:
    if isinstance(column, TakenColumn):
        if column.values == [None]:
            return pa.nulls(len(column), _TYPES[kind])
        places = pa.Array.from_buffers(pa.int32(), len(column), [None, pa.py_buffer(column.places)])
        return _shared(kind, column.values).take(places)
    if isinstance(column, EqualTexts):
        # No text is a number here, whatever Arrow would make of it.
        return pc.cast(_equal(column), _TYPES[kind]) if kind in _SPELLED else _typed(kind, list(column))
    if kind is ColumnKind.INTEGER and not isinstance(column, IntegerColumn) and any(map(_has_point, column)):
        # pyarrow would cut it off, and make some number of one that is infinite.
        raise pa.ArrowInvalid
    return _typed(kind, column)


def _equal(column: EqualTexts) -> Any:
    """Texts of one length as Arrow has them: where each begins, and all of them one after the other."""
    count, width = len(column), column.width
    ends = _ENDS.get(width)
    if ends is None or len(ends) <= count:
        ends = _ENDS[width] = array("i", range(0, width * (count + 1), width))
    data = [None, pa.py_buffer(ends).slice(0, (count + 1) * ends.itemsize), pa.py_buffer(column.joined.encode())]
    return pa.Array.from_buffers(pa.string(), count, data)


def _shared(kind: ColumnKind, values: Column) -> Any:
    """The values of a column, typed once for all columns that are taken from them."""
    if not isinstance(values, SharedValues):
        return _typed(kind, values)
    if kind not in values.typed:
        values.typed[kind] = _typed(kind, values)
    return values.typed[kind]


def _has_point(value: Any) -> bool:
    return isinstance(value, float)


def _typed(kind: ColumnKind, values: Column) -> Any:
    if kind is not ColumnKind.TIME:
        return pa.array(values, _TYPES[kind])
    return pc.cast(pa.array(values, pa.string()), _TYPES[kind])


# Values that a type takes; None for all others.


def _time(value: Any) -> str | None:
    text = normalize(value)
    # Years that the type's arithmetic does not reach are none either.
    return text if text is not None and "0001" <= text[:4] <= "9999" else None


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


_FITTING: Final[Mapping[ColumnKind, Callable[[Any], Any]]] = {
    ColumnKind.TIME: _time,
    ColumnKind.INTEGER: _integer,
    ColumnKind.REAL: _real,
    ColumnKind.TEXT: _text,
}
