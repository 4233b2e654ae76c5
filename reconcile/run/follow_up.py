"""Follow-up by id: conversations that go on are asked for until they end, and those that the platform does not list.

It asks and writes; which window a conversation belongs to, and what that makes of the window, is the store's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from reconcile.causes import explainer
from reconcile.patience import QuestionPatience
from reconcile.run.book_calls import committed, listening_around
from reconcile.run.by_id import APART, AnswerById, ById, ask
from reconcile.window import WRONG_CLOCK
from rollbook.genesys.messages.details import DetailRow, ids_of
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import asked_by_id, conversations, gaps, windows
from rollbook.store.tables.conversations import OpenConversation, PageOutcome, Read
from rollbook.store.vocabulary import GapKind, SetAside

# How long a conversation that was heard, and is not listed, is asked for again and again.
ANOMALY: Final = timedelta(days=2)
# How often the stuck and the gone are asked for, and what was heard and no window that waits will bring.
NOW_AND_THEN: Final = timedelta(days=1)
HEARD_AGAIN: Final = timedelta(hours=1)


@dataclass(slots=True)
class FollowUpCounts:
    """Counts of conversations that were followed up."""

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
    sees: Callable[[str | None], bool] = lambda _: True,
    patience: QuestionPatience | None = None,
) -> FollowUpCounts:
    """Ask once for every conversation that still goes on or was heard of since it was read, and settle what that means.

    Those open for longer than `stuck_after` are called stuck; those that two answers lack which knew something, some
    time apart, are gone. Both are asked for now and then all the same, and what was heard where no window is. Then the
    verdicts of their windows are made to agree. rest: what was asked for more lately than that is left for the next
    time. sees: whether the client that asks can see a conversation of these divisions. Raises what is nobody's fault
    alone: ApiError and its kinds.
    """
    began, patience = now(), patience or QuestionPatience()
    result = FollowUpCounts()
    wanted = await _due_by_id(book, began, rest, settings.lag)
    if wanted:
        started = [from_text(row.conversation_start) for row in wanted if row.conversation_start]
        around = Interval(max(min([*started, began]), began - _HEARD_FOR) - timedelta(minutes=1), began)
        cause = explainer(await listening_around(book, around, began), began)
        known = await book.read(conversations.a_listed_id)
        read_before = {row.conversation_id: row.division_ids for row in wanted if row.read_at is not None}
        ids = [row.conversation_id for row in wanted]
        async for answer in ask(api, ids, now=now, stop=stop, known=known, patience=patience):
            await _take(book, answer, result, settings, cause, began, read_before, now=now, sees=sees)
    await _anomalies(book, api, result, settings, now=now, stop=stop, patience=patience)
    result.windows = await committed(book.write(windows.refresh, to_text(now())))
    return result


# What was listened to longer ago explains no gap of what is only now asked for.
_HEARD_FOR: Final = timedelta(days=31)


async def _due_by_id(book: Book, now: datetime, rest: timedelta, lag: timedelta) -> list[OpenConversation]:
    """The conversations that should be asked for by id now, each once."""
    at, before, latest = to_text(now), to_text(now - rest), to_text(now + WRONG_CLOCK)

    def past(time: str | None) -> str:
        """A time, unless a clock that ran ahead has written it."""
        return time if time is not None and time <= latest else ""

    wanted = {
        row.conversation_id: row
        for row in await book.read(conversations.open_conversations)
        if max(past(row.asked_at), past(row.read_at)) <= before
        or (row.look_again and past(row.asked_at) <= before and (row.last_heard or "") <= to_text(now - lag))
    }
    often, seldom = to_text(now - HEARD_AGAIN), to_text(now - NOW_AND_THEN)
    aside = await book.read(conversations.set_aside, seldom, at)
    aside += await book.read(conversations.nobody_will_read, to_text(now - lag), (often, seldom), at)
    for row in aside:
        wanted.setdefault(row.conversation_id, row)
    return list(wanted.values())


async def _take(
    book: Book,
    answer: AnswerById,
    result: FollowUpCounts,
    settings: Settings,
    cause: Callable[[DetailRow, str], str],
    began: datetime,
    read_before: Mapping[str, str | None],
    *,
    now: Callable[[], datetime],
    sees: Callable[[str | None], bool],
) -> None:
    """Write an answer, and note of each id what it says. read_before: id → divisions, of those with details."""
    outcome = await _write(book, answer, settings, cause, began, now())
    result.asked += len(answer.asked)
    result.written += outcome.written
    open_rows = [row for row in answer.rows if row.end is None]
    result.ended += len(answer.rows) - len(open_rows)
    stuck = stuck_ids(open_rows, began, settings.stuck_after)
    result.going_on += len(open_rows) - len(stuck)
    ended = ids_of([row for row in answer.rows if row.end is not None])
    await committed(book.write(asked_by_id.found, ids_of(open_rows), ended, answer.as_of))
    if stuck:
        result.stuck += await committed(book.write(conversations.mark, stuck, SetAside.STUCK))
    if answer.refused is not None:
        await committed(book.write(asked_by_id.refused, [answer.refused], answer.as_of))
    # Who sees less says nothing of what it does not see.
    absent = [id_ for id_ in answer.absent if sees(read_before.get(id_))]
    unseen = [id_ for id_ in (*answer.absent, *answer.undecided) if id_ not in absent]
    if unseen:
        await committed(book.write(asked_by_id.undecided, unseen, answer.as_of))
    if absent:
        since = to_text(from_text(answer.as_of) - APART)
        twice = await committed(book.write(asked_by_id.absent, absent, answer.as_of, since))
        gone = [id_ for id_ in twice if id_ in read_before]
        result.gone += await committed(book.write(conversations.mark, gone, SetAside.GONE))


async def _write(
    book: Book,
    answer: AnswerById,
    settings: Settings,
    cause: Callable[[DetailRow, str], str],
    began: datetime,
    now: datetime,
) -> PageOutcome:
    """Write what an answer by id brought."""
    read = Read(answer.as_of, to_text(now), to_text(began), {}, settings.lag)
    return await committed(
        book.write(windows.write_details, answer.rows, read, window=None, width=settings.width, cause=cause)
    )


def stuck_ids(rows: Iterable[DetailRow], now: datetime, stuck_after: timedelta) -> list[str]:
    """The open conversations that began too long ago to be waited for."""
    limit = to_text(now - stuck_after)
    return [row.conversation_id for row in rows if row.conversation_id and row.start is not None and row.start < limit]


async def _anomalies(
    book: Book,
    api: ById,
    result: FollowUpCounts,
    settings: Settings,
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None,
    patience: QuestionPatience,
) -> None:
    """Ask again for what capture saw lately and the platform does not list: mostly it is only late with it."""
    began = now()
    recent = to_text(began - ANOMALY)
    found = [
        gap.conversation_id
        for gap in await book.read(gaps.listed, since=to_text(began - 2 * ANOMALY), kind=GapKind.LIVE_ONLY)
        if gap.filled_at is None and gap.detected_at >= recent
    ]
    if not found:
        return
    around = Interval(began - 2 * ANOMALY, began)
    cause = explainer(await listening_around(book, around, began), began)
    async for answer in ask(api, found, now=now, stop=stop, patience=patience):
        outcome = await _write(book, answer, settings, cause, began, now())
        result.asked += len(answer.asked)
        result.written += outcome.written
        result.explained += len(answer.rows)
