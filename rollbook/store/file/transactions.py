"""Transactions: what is written together or not at all, and what is read at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is written inside, all of it; an error takes it back, and is raised.

    The write lock is taken at once: a transaction that reads first and then wants to write cannot be waited for.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Where SQLite has rolled back by itself (a full disk, for one), there is nothing to take back.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Let everything that is read inside be of one moment. While it lasts, the log is not taken into the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
