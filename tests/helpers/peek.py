"""Reads of the store in conditions and helpers of tests, where nothing can be awaited."""

import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from rollbook.store.book import Book

P = ParamSpec("P")
T = TypeVar("T")


def peek(book: Book, fn: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Read in the calling thread, also where an event loop runs in it: a test may stand still, the product may not."""
    return book._reader.read(lambda db: fn(db, *args, **kwargs))
