"""Calls of the book as runs make them: a write awaited until its commit, coverage around an interval, a last end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final, TypeVar

from reconcile.causes import Listening, as_known
from reconcile.window import is_late_enough
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import conversations, coverage

T = TypeVar("T")
_LONG_BEFORE: Final = timedelta(days=2)


async def committed(future: Future[T]) -> T:
    """The answer of a write, once it is committed."""
    return await asyncio.wrap_future(future)


async def listening_around(book: Book, interval: Interval, now: datetime) -> Listening:
    """Coverage around an interval, to explain what capture missed of it."""
    since, until = to_text(interval.start - _LONG_BEFORE), to_text(max(now, interval.end))
    spans = await book.read(coverage.overlapping, since, until)
    return Listening(as_known(spans, now), [topic["topic"] for topic in await book.read(coverage.rejected)])


async def came_late_enough(book: Book, window: Interval, read_at: datetime, settle_after: timedelta) -> bool:
    """True for a read after the platform's reprocessing of the last of a window's conversations that the book knows."""
    ended = await book.read(conversations.last_ended, *window.texts)
    return is_late_enough(window.end, from_text(ended) if ended else None, read_at, settle_after)
