"""Conversations asked for by id: those that go on, until they end; those that the platform does not list.

It asks and writes; which window a conversation belongs to, and what that makes of the window, is the store's to say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from reconcile.causes import Listening, as_known, life_of
from reconcile.patience import Patience
from reconcile.window import WRONG_CLOCK
from rollbook.genesys.errors import ApiError, NotFound, PermissionRefused, RequestRefused
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow, ids_of
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables.conversations import OpenConversation

T = TypeVar("T")
# Ids in one request: used in production by others, the platform's own limit is not documented (reference, section 3).
BATCH: Final = 100
# Bytes of the ids in one request: an address of more than some 8,000 is refused by gateways.
LONGEST: Final = 6_000
# How long a conversation that was heard, and is not listed, is asked for again and again.
ANOMALY: Final = timedelta(days=2)
# Two answers that lack a conversation are two witnesses if they are this far apart: a replica or a shard that was away.
APART: Final = timedelta(minutes=10)
# Seconds between two questions of one run for what the first answer lacked.
SECOND_QUESTION: Final = 3.0
# How often the stuck and the gone are asked for, and what was heard and no window that waits will bring.
NOW_AND_THEN: Final = timedelta(days=1)
HEARD_AGAIN: Final = timedelta(hours=1)
_LONG_BEFORE: Final = timedelta(days=2)


class ById(Protocol):
    """What is needed of the API here."""

    async def details_by_id(self, ids: Sequence[str], /, *, tries: int | None = None) -> list[DetailRow]:
        """The details of up to 100 conversations; those that do not exist are not among them. tries: as `Rest.call`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for some ids. as_of: API text.

    knows: the answer had something that was asked for, so that what it lacks says something. refused: (id, why) of an
    id for which the platform refuses to answer, alone too.
    """

    asked: Sequence[str]
    rows: Sequence[DetailRow]
    as_of: str
    knows: bool = True
    refused: tuple[str, str] | None = None

    @property
    def absent(self) -> list[str]:
        """The ids that an answer lacks which knows something."""
        return self._lacking if self.knows and self.refused is None else []

    @property
    def undecided(self) -> list[str]:
        """The ids that an answer lacks which had nothing at all."""
        return self._lacking if not self.knows and self.refused is None else []

    @property
    def _lacking(self) -> list[str]:
        came = {row.conversation_id for row in self.rows}
        return [one for one in self.asked if one not in came]


async def ask(
    api: ById,
    ids: Iterable[str],
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None = None,
    known: str | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[Answer]:
    """Ask for conversations by id: a hundred a request, fewer if their ids are long or the platform refuses so many.

    A request that is refused, or that cannot be had, is halved down to the one id whose fault it is. known: a
    conversation that certainly exists; it is asked for beside each batch, so that an answer without it is known to know
    nothing. patience: of the round's windows together; what is refused for one id alone is only asked for again later,
    so no single id has more of it than a batch. Raises what is not one id's fault: ApiError and its kinds,
    ConnectionLost.
    """
    patience = patience or Patience()
    waiting = deque(_batches(sorted({one for one in ids if may_be_asked_for(one)}), BATCH))
    trouble = taken = 0  # requests that failed one after the other; and halves of such that were taken
    found = False  # whether anything came, so that an answer without an id says something
    while waiting and not (stop is not None and stop.is_set()):
        part = waiting.popleft()
        as_of = to_text(now())
        beside = [known] if known is not None and may_be_asked_for(known) and known not in part else []
        try:
            rows = await _by_id(api, [*part, *beside], patience)
        except ApiError as error:
            trouble, taken = trouble + 1, 0
            if not _of_one(error) or trouble > _MOST_TROUBLE:
                raise
            patience.refused = patience.refused or error.narrower
            if len(part) == 1 and beside and not await _comes(api, beside[0], patience):
                waiting.appendleft(part)
                known = None  # it may be the one whose fault it is
            elif len(part) == 1 and isinstance(error, NotFound):
                # The platform says that it does not know this one; which says something if it knows any at all.
                yield Answer(part, (), as_of, knows=found or bool(beside))
            elif len(part) == 1:
                yield Answer(part, (), as_of, refused=(part[0], error.message))
            else:
                half = len(part) // 2
                waiting.extendleft((part[half:], part[:half]))
            continue
        taken = taken + 1 if trouble or taken else 0
        if taken == 2:
            # Both halves were taken: it was how many, and nobody's id. The rest is asked for like that.
            waiting = deque(_batches([one for batch in waiting for one in batch], len(part)))
        trouble = 0
        came = [row for row in rows if not row.broken]
        # What nobody asked for is the answer to another question, and says nothing of these.
        knows = any(row.conversation_id in part or row.conversation_id in beside for row in came)
        found = found or knows
        yield Answer(part, [row for row in came if row.conversation_id in part], as_of, knows=knows)


# A batch of a hundred in halves is seven requests that fail, and then the next one may.
_MOST_TROUBLE: Final = 24


def _batches(ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """The ids in batches of `most` at most that fit into an address."""
    batch: list[str] = []
    size = 0
    for one in ids:
        if batch and (len(batch) >= most or size + len(one) >= LONGEST):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one) + 1
    if batch:
        yield batch


async def _by_id(api: ById, ids: Sequence[str], patience: Patience) -> list[DetailRow]:
    tries = patience.tries(less=True)
    return await (api.details_by_id(ids) if tries is None else api.details_by_id(ids, tries=tries))


async def _comes(api: ById, conversation_id: str, patience: Patience) -> bool:
    """Whether a conversation comes when it is asked for alone."""
    try:
        return bool(await _by_id(api, [conversation_id], patience))
    except ApiError as error:
        if not _of_one(error):
            raise
        return False


def _of_one(error: ApiError) -> bool:
    """Whether it may be the fault of one of the ids that were asked for."""
    return isinstance(error, NotFound | PermissionRefused | RequestRefused) or error.narrower


@dataclass(slots=True)
class Asked:
    """What came of asking for ids, and once more for those that the first answers lacked. as_of: of the last answer.

    absent: not in two answers that knew something. undecided: the answers knew nothing at all. refused: the platform
    refuses to be asked for these, each alone.
    """

    rows: list[DetailRow] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    as_of: str = ""


async def ask_twice(
    api: ById,
    ids: Iterable[str],
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
    take: Callable[[Answer], Awaitable[None]],
    stop: asyncio.Event | None = None,
    known: str | None = None,
    patience: Patience | None = None,
) -> Asked:
    """Ask for ids, and after a pause once more for those that did not come. take: is given each answer with rows."""
    asked, patience = Asked(), patience or Patience()
    first: list[str] = []
    for question in (1, 2):
        if question == 2 and not first:
            break
        wanted, first = (first, []) if question == 2 else (list(ids), first)
        if question == 2:
            await sleep(SECOND_QUESTION)
        async for answer in ask(api, wanted, now=now, stop=stop, known=known, patience=patience):
            asked.as_of = answer.as_of
            asked.rows += answer.rows
            if answer.rows:
                await take(answer)
            if question == 1:
                first += [*answer.absent, *answer.undecided]
            else:
                asked.absent += answer.absent
                asked.undecided += answer.undecided
            if answer.refused is not None:
                asked.refused.append(answer.refused[0])
    return asked


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
    sees: Callable[[str | None], bool] = lambda _: True,
    patience: Patience | None = None,
) -> Followed:
    """Ask once for every conversation that still goes on or was heard of since it was read, and settle what that means.

    Those open for longer than `stuck_after` are called stuck; those that two answers lack which knew something, some
    time apart, are gone. Both are asked for now and then all the same, and what was heard where no window is. Then the
    verdicts of their windows are made to agree. rest: what was asked for more lately than that is left for the next
    time. sees: whether the client that asks can see a conversation of these divisions. Raises what is nobody's fault
    alone: ApiError and its kinds.
    """
    began, patience = now(), patience or Patience()
    result = Followed()
    wanted = _due_by_id(book, began, rest, settings.lag)
    if wanted:
        started = [from_text(one.conversation_start) for one in wanted if one.conversation_start]
        around = Interval(max(min([*started, began]), began - _HEARD_FOR) - timedelta(minutes=1), began)
        cause = explained(await asyncio.to_thread(listening, book, around, began), began)
        known = book.a_listed_id()
        read_before = {one.conversation_id: one.division_ids for one in wanted if one.read_at is not None}
        ids = [one.conversation_id for one in wanted]
        async for answer in ask(api, ids, now=now, stop=stop, known=known, patience=patience):
            await _take(book, answer, result, settings, cause, began, read_before, sees=sees)
    await _anomalies(book, api, result, now=now, stop=stop, patience=patience)
    result.windows = await done(book.refresh_verdicts(to_text(now())))
    return result


# What was listened to longer ago explains no gap of what is only now asked for.
_HEARD_FOR: Final = timedelta(days=31)


def _due_by_id(book: Book, now: datetime, rest: timedelta, lag: timedelta) -> list[OpenConversation]:
    """The conversations that should be asked for by id now, each once."""
    at, before, latest = to_text(now), to_text(now - rest), to_text(now + WRONG_CLOCK)

    def past(time: str | None) -> str:
        """A time, unless a clock that ran ahead has written it."""
        return time if time is not None and time <= latest else ""

    wanted = {
        one.conversation_id: one
        for one in book.open_conversations()
        if max(past(one.asked_at), past(one.read_at)) <= before
        or (one.look_again and past(one.asked_at) <= before and (one.last_heard or "") <= to_text(now - lag))
    }
    aside = book.set_aside(asked_before=to_text(now - NOW_AND_THEN), now=at)
    aside += book.nobody_will_read(
        first_seen=to_text(now - lag), asked_before=(to_text(now - HEARD_AGAIN), to_text(now - NOW_AND_THEN)), now=at
    )
    for one in aside:
        wanted.setdefault(one.conversation_id, one)
    return list(wanted.values())


async def _take(
    book: Book,
    answer: Answer,
    result: Followed,
    settings: Settings,
    cause: Callable[[DetailRow, str], str],
    now: datetime,
    read_before: Mapping[str, str | None],
    *,
    sees: Callable[[str | None], bool],
) -> None:
    """Write an answer, and note of each id what it says. read_before: id → divisions, of those with details."""
    at = to_text(now)
    outcome = await done(write(book, answer, run_started_at=at, cause=cause))
    result.asked += len(answer.asked)
    result.written += outcome.written
    open_rows = [row for row in answer.rows if row.end is None]
    result.ended += len(answer.rows) - len(open_rows)
    stuck = stuck_ids(open_rows, now, settings.stuck_after)
    result.going_on += len(open_rows) - len(stuck)
    await done(
        book.found_by_id(ids_of(open_rows), ids_of([row for row in answer.rows if row.end is not None]), answer.as_of)
    )
    if stuck:
        result.stuck += await done(book.mark_stuck(stuck, at))
    if answer.refused is not None:
        await done(book.refused_by_id([answer.refused], answer.as_of))
    # Who sees less says nothing of what it does not see.
    absent = [one for one in answer.absent if sees(read_before.get(one))]
    unseen = [one for one in (*answer.absent, *answer.undecided) if one not in absent]
    if unseen:
        await done(book.undecided_by_id(unseen, answer.as_of))
    if absent:
        twice = await done(book.absent_by_id(absent, answer.as_of, since=to_text(from_text(answer.as_of) - APART)))
        result.gone += await done(book.mark_gone([one for one in twice if one in read_before], at))


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
        answer.rows,
        as_of=answer.as_of,
        run_started_at=run_started_at,
        window=window,
        already=already or {},
        cause=cause,
    )


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
    patience: Patience,
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
    async for answer in ask(api, found, now=now, stop=stop, patience=patience):
        outcome = await done(write(book, answer, run_started_at=to_text(began), cause=cause))
        result.asked += len(answer.asked)
        result.written += outcome.written
        result.explained += len(answer.rows)
