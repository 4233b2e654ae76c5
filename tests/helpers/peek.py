"""Reads of the store in conditions and helpers of tests, where nothing can be awaited."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.testing import CliRunner, Result

from rollbook.store.book import Book

P = ParamSpec("P")
T = TypeVar("T")


def peek(book: Book, fn: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Read in the calling thread, also where an event loop runs in it: a test may stand still, the product may not."""
    return book._reader.read(lambda db: fn(db, *args, **kwargs))


def command(main: click.Command, words: list[str], **how: Any) -> Result:
    """A command in a thread that has no event loop, as it would have none in a shell."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(partial(CliRunner().invoke, main, words, **how)).result()
