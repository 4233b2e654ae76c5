"""Calls of the book as runs make them: a write until its commit, what cannot be written, coverage, a last end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final, TypeVar

from reconcile.causes import Listening, as_known
from reconcile.window import is_late_enough
from rollbook.genesys.canonical_json import digest
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import conversations, coverage

T = TypeVar("T")
# What making rows of a strange record, or binding them, may raise; the store's own trouble is a StoreError.
UNFORESEEN: Final = (ValueError, TypeError, OverflowError, LookupError, AttributeError, RecursionError)
_LONG_BEFORE: Final = timedelta(days=2)


async def committed(future: Future[T]) -> T:
    """The answer of a write, once it is committed."""
    return await asyncio.wrap_future(future)


def cannot_take(error: Exception) -> str:
    """The reason why a record is a dead letter that the store cannot take, by an error that is the record's fault."""
    return f"a record of details that the store cannot take: {type(error).__name__}"


def letter_of(row: DetailRow, why: str, at: str) -> Unreadable:
    """A dead letter with the bytes of a record: one, however often it comes. at: API text."""
    return Unreadable("details", row.raw, why, at, f"details {digest(row.raw).hex()}")


async def listening_around(book: Book, interval: Interval, now: datetime) -> Listening:
    """Coverage around an interval, to explain what capture missed of it."""
    since, until = to_text(interval.start - _LONG_BEFORE), to_text(max(now, interval.end))
    spans = await book.read(coverage.overlapping, since, until)
    return Listening(as_known(spans, now), [topic["topic"] for topic in await book.read(coverage.rejected)])


async def came_late_enough(book: Book, window: Interval, read_at: datetime, settle_after: timedelta) -> bool:
    """True for a read after the platform's reprocessing of the last of a window's conversations that the book knows."""
    ended = await book.read(conversations.last_ended, *window.texts)
    return is_late_enough(window.end, from_text(ended) if ended else None, read_at, settle_after)
