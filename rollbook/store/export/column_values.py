"""The values of a column, as they come from the store.

CSV and NDJSON go through all. Parquet takes what a column is made of, where that is less work.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Column(Protocol):
    """The values of a column, in the order of the rows: a list, a tuple, or what follows here."""

    def __len__(self) -> int:
        """The number of rows."""

    def __iter__(self) -> Iterator[Any]:
        """Each row's value."""


# The columns of a table, in its order: each as long as the others.
Columns = Sequence[Column]


class IntegerColumn(list[int | str | None]):
    """A column without a number with a point: who wants whole numbers need not look for one."""


class TakenColumn:
    """A column of values that repeat: each row's is `values[place]`. places: of type "i", 32 bits."""

    def __init__(self, values: Sequence[Any], places: array[int]) -> None:
        self.values = values
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        return map(self.values.__getitem__, self.places)
