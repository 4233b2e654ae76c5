"""Bodies as they are stored: TEXT is the API's JSON as it came, a BLOB is that as a zstd frame."""

from __future__ import annotations

import sqlite3
from typing import Literal

Kind = Literal["details", "events"]


def pack(connection: sqlite3.Connection, kind: Kind, raw: bytes) -> str | bytearray:  # noqa: ARG001
    """The value that is bound for a body: text, or a bytearray (sqlite3 binds that faster than bytes).

    Raises ValueError for a body that is no UTF-8.
    """
    return raw.decode()


def text(connection: sqlite3.Connection, value: str | bytes) -> str:  # noqa: ARG001
    """The body that a stored value holds."""
    if isinstance(value, str):
        return value
    raise NotImplementedError
