"""The values of a column, as they come from the store.

CSV and NDJSON go through all. Parquet takes what a column is made of, where that is less work.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Self


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


class SharedValues(list[Any]):
    """Values that several columns are taken from. typed: what a format has made of them, by what it made it for."""

    def __init__(self, values: Iterable[Any]) -> None:
        super().__init__(values)
        self.typed: dict[Any, Any] = {}


class TakenColumn:
    """A column of values that repeat: each row's is `values[place]`. places: of type "i", 32 bits."""

    def __init__(self, values: Sequence[Any], places: array[int]) -> None:
        self.values = values
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        return map(self.values.__getitem__, self.places)


class EqualTexts:
    """A column of texts without a NULL that are all of one length, as ids and times are. joined: one after the other.

    They are ASCII. Parquet takes them so; who wants each gets it.
    """

    def __init__(self, joined: str, width: int) -> None:
        self.joined = joined
        self.width = width

    @classmethod
    def of_json(cls, text: str) -> Self | None:
        """The texts of a JSON array without spaces; None where it has others, or what is escaped."""
        width = text.find('"', 2) - 2
        if width <= 0:
            return None
        size = width + 3  # with its quotes and its comma
        count, rest = divmod(len(text) - 1, size)
        quotes = '"' * count
        if rest or text[1::size] != quotes or text[width + 2 :: size] != quotes or not text.isascii():
            return None
        joined = text[2:-2].replace('","', "")
        # There are no more quotes than these, which begin and end a text each: so all are texts, and of this length.
        return None if len(joined) != count * width or '"' in joined or "\\" in joined else cls(joined, width)

    def __len__(self) -> int:
        return len(self.joined) // self.width

    def __iter__(self) -> Iterator[str]:
        joined, width = self.joined, self.width
        return (joined[at : at + width] for at in range(0, len(joined), width))
