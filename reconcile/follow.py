"""Conversations asked for by id: those that go on, until they end; those that the platform does not list.

It asks and writes; which window a conversation belongs to, and what that makes of the window, is the store's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from genesys.detail import DetailRow
from genesys.errors import RequestRefused
from genesys.settings import Settings
from genesys.times import Interval, from_text, to_text
from reconcile.causes import Listening, as_known, life_of
from store.book import Book

T = TypeVar("T")
# When this process last asked for a conversation that goes on, book by book.
_asked: WeakKeyDictionary[Book, dict[str, str]] = WeakKeyDictionary()
# Ids in one request: used in production by others, the platform's own limit is not documented (reference, section 3).
BATCH: Final = 100
# How long a conversation that was heard, and is not listed, is asked for again and again.
ANOMALY: Final = timedelta(days=2)
_LONG_BEFORE: Final = timedelta(days=2)


class ById(Protocol):
    """What is needed of the API here."""

    async def details_by_id(self, ids: Sequence[str], /) -> list[DetailRow]:
        """The details of up to 100 conversations; those that do not exist are not among them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for some ids. as_of: API text."""

    asked: Sequence[str]
    rows: Sequence[DetailRow]
    as_of: str

    @property
    def unknown(self) -> list[str]:
        """The ids that the platform does not know."""
        came = {row.conversation_id for row in self.rows}
        return [one for one in self.asked if one not in came]


async def ask(
    api: ById, ids: Iterable[str], *, now: Callable[[], datetime], stop: asyncio.Event | None = None
) -> AsyncIterator[Answer]:
    """Ask for conversations by id, a hundred a request (fewer, if the platform does not take so many)."""
    wanted = sorted(set(ids))
    at, size = 0, BATCH
    while at < len(wanted):
        if stop is not None and stop.is_set():
            return
        part = wanted[at : at + size]
        as_of = to_text(now())
        try:
            rows = await api.details_by_id(part)
        except RequestRefused:
            if len(part) == 1:
                raise
            size = len(part) // 2
            continue
        yield Answer(part, rows, as_of)
        at += len(part)


async def done(future: Future[T]) -> T:
    """The answer of a write, once it is committed."""
    return await asyncio.wrap_future(future)


def listening(book: Book, interval: Interval, now: datetime) -> Listening:
    """What was listened to around an interval, to explain what was not heard of it."""
    spans = book.coverage(to_text(interval.start - _LONG_BEFORE), to_text(max(now, interval.end)))
    return Listening(as_known(spans, now), [topic["topic"] for topic in book.rejected_topics()])


def explained(heard: Listening, now: datetime) -> Callable[[DetailRow, str], str]:
    """The cause of a gap, from the details that show it."""
    at = to_text(now)
    return lambda row, kind: heard.cause(life_of(row, kind, now=at))


@dataclass(slots=True)
class Followed:
    """What following came to: counts of conversations."""

    asked: int = 0
    written: int = 0
    ended: int = 0
    going_on: int = 0
    stuck: int = 0
    gone: int = 0
    explained: int = 0
    windows: int = field(default=0)

    def as_dict(self) -> dict[str, int]:
        """As reports show it."""
        return {name: getattr(self, name) for name in self.__slots__}


async def follow(
    book: Book,
    api: ById,
    settings: Settings,
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None = None,
    rest: timedelta = timedelta(0),
) -> Followed:
    """Ask once for every conversation that still goes on or was heard of since it was read, and settle what that means.

    Those open for longer than `stuck_after` are called stuck; those that the platform no longer knows, gone. Then the
    verdicts of their windows are made to agree. rest: what was read more lately than that is left for the next time.
    Raises ApiError and its kinds.
    """
    began = now()
    result = Followed()
    limit = to_text(began - rest)
    asked = _asked.setdefault(book, {})
    standing = [
        one
        for one in book.open_conversations()
        if max(one.read_at or "", asked.get(one.conversation_id, "")) <= limit or one.look_again
    ]
    if rest:
        # An answer that says nothing new leaves no trace in the store: that it was asked for is remembered here.
        kept = {one: at for one, at in asked.items() if at > limit}
        _asked[book] = kept | dict.fromkeys((one.conversation_id for one in standing), to_text(began))
    if standing:
        started = [from_text(one.conversation_start) for one in standing if one.conversation_start]
        around = Interval(min([*started, began - timedelta(minutes=1)]), began)
        cause = explained(await asyncio.to_thread(listening, book, around, began), began)
        async for answer in ask(api, (one.conversation_id for one in standing), now=now, stop=stop):
            await _take(book, answer, result, settings, cause, began)
    await _anomalies(book, api, result, now=now, stop=stop)
    result.windows = await done(book.refresh_verdicts(to_text(now())))
    return result


async def _take(
    book: Book,
    answer: Answer,
    result: Followed,
    settings: Settings,
    cause: Callable[[DetailRow, str], str],
    now: datetime,
) -> None:
    at = to_text(now)
    outcome = await done(write(book, answer, run_started_at=at, cause=cause))
    result.asked += len(answer.asked)
    result.written += outcome.written
    open_rows = [row for row in answer.rows if row.end is None]
    result.ended += len(answer.rows) - len(open_rows)
    stuck = stuck_ids(open_rows, now, settings.stuck_after)
    result.going_on += len(open_rows) - len(stuck)
    if stuck:
        result.stuck += await done(book.mark_stuck(stuck, at))
    if answer.unknown:
        result.gone += await done(book.mark_gone(answer.unknown, at))


def write(
    book: Book,
    answer: Answer,
    *,
    run_started_at: str,
    cause: Callable[[DetailRow, str], str],
    window: Interval | None = None,
    already: Mapping[str, Any] | None = None,
) -> Future[Any]:
    """Write what an answer by id brought."""
    return book.write_details(
        answer.rows, as_of=answer.as_of, run_started_at=run_started_at, window=window, already=already or {},
        cause=cause,
    )  # fmt: skip


def stuck_ids(rows: Iterable[DetailRow], now: datetime, stuck_after: timedelta) -> list[str]:
    """Those of the open conversations that began too long ago to be waited for."""
    limit = to_text(now - stuck_after)
    return [row.conversation_id for row in rows if row.conversation_id and row.start is not None and row.start < limit]


async def _anomalies(
    book: Book,
    api: ById,
    result: Followed,
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None,
) -> None:
    """What was heard lately and is not listed is asked for again: mostly the platform is only late with it."""
    began = now()
    recent = to_text(began - ANOMALY)
    found = [
        gap.conversation_id
        for gap in book.gaps(since=to_text(began - 2 * ANOMALY), kind="live_only")
        if gap.filled_at is None and gap.detected_at >= recent
    ]
    if not found:
        return
    around = Interval(began - 2 * ANOMALY, began)
    cause = explained(await asyncio.to_thread(listening, book, around, began), began)
    async for answer in ask(api, found, now=now, stop=stop):
        outcome = await done(write(book, answer, run_started_at=to_text(began), cause=cause))
        result.asked += len(answer.asked)
        result.written += outcome.written
        result.explained += len(answer.rows)
