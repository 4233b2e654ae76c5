"""What statements take: values as SQLite takes them, and queries for as many values as there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

_PART: Final = 500
_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = frozenset({int, str, float, type(None)})
_INT64: Final = 2**63


def in_parts(connection: sqlite3.Connection, query: str, values: Iterable[Any], *after: Any) -> Iterator[Any]:
    """The rows of a query that ends with `IN `, for these values. after: what the query's own marks before it take."""
    rest = list(values)
    for at in range(0, len(rest), _PART):
        part = rest[at : at + _PART]
        yield from connection.execute(f"{query}({', '.join('?' * len(part))})", [*after, *part])


def storable(value: Any) -> Any:
    """A JSON value as SQLite takes it: arrays and objects as JSON text, integers beyond 64 bits as text."""
    if value.__class__ is int:
        return value if -_INT64 <= value < _INT64 else str(value)
    if value.__class__ is bool:
        return int(value)
    return value if value.__class__ in _PLAIN else _encode(value).decode()
