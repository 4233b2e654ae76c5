"""Queries for as many values as there are, in parts that SQLite takes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

_PART: Final = 500


def in_parts(connection: sqlite3.Connection, query: str, values: Iterable[Any], *after: Any) -> Iterator[Any]:
    """The rows of a query that ends with `IN `, for these values. after: what the query's own marks before it take."""
    rest = list(values)
    for at in range(0, len(rest), _PART):
        part = rest[at : at + _PART]
        yield from connection.execute(f"{query}({', '.join('?' * len(part))})", [*after, *part])
