"""Parts of statements: values that may be absent, and queries for as many values as there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rollbook.genesys.messages.typed_details import ABSENT

# The mark for a value that may be absent, which is bound as `ABSENT`. sqlite3 asks its adapters about every None, true,
# false and bytes that is bound, which takes ten times as long as to bind a number (docs/performance.md). For the same
# reason bytes are bound as a bytearray.
OR_NULL: Final = f"nullif(?, {ABSENT})"

_PART: Final = 500


def in_parts(connection: sqlite3.Connection, query: str, values: Iterable[Any], *after: Any) -> Iterator[Any]:
    """The rows of a query that ends with `IN `, for these values. after: what the query's own marks before it take."""
    rest = list(values)
    for at in range(0, len(rest), _PART):
        part = rest[at : at + _PART]
        yield from connection.execute(f"{query}({', '.join('?' * len(part))})", [*after, *part])
