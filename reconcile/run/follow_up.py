"""Follow-up by id: conversations that go on are asked for until they end, and those that the platform does not list.

It asks and writes; which window a conversation belongs to, and what that makes of the window, is the store's to say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from reconcile.causes import explainer
from reconcile.patience import QuestionPatience, RunClock
from reconcile.reading.platform_retention import PlatformRetention
from reconcile.run.book_calls import UNFORESEEN, cannot_take, committed, letter_of, listening_around
from reconcile.run.by_id import APART, AnswerById, ById, ask
from reconcile.window import WRONG_CLOCK
from rollbook.genesys.messages.details import DetailRow, ids_of
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import asked_by_id, conversations, events, gaps, windows
from rollbook.store.tables.conversations import Cause, OpenConversation, Read
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
    windows: int = 0

    def as_dict(self) -> dict[str, int]:
        """As reports show it."""
        return asdict(self)


async def follow(
    book: Book,
    api: ById,
    settings: Settings,
    clock: RunClock,
    *,
    rest: timedelta = timedelta(0),
    sees: Callable[[str | None], bool] = lambda _: True,
    patience: QuestionPatience | None = None,
    retention: PlatformRetention | None = None,
) -> FollowUpCounts:
    """Ask once for every conversation that still goes on or was heard of since it was read, and settle what that means.

    Those open for longer than `stuck_after` are called stuck; those that two answers lack which knew something, some
    time apart, are gone. Both are asked for now and then all the same, and what was heard where no window is. Then the
    verdicts of their windows are made to agree. rest: what was asked for more lately than that is left for the next
    time. sees: whether the client that asks can see a conversation of these divisions. retention: of the organisation;
    what is older is not gone because an answer lacks it. Raises what is nobody's fault alone: ApiError and its kinds.
    """
    work = _FollowUp(book, api, settings, clock, sees, patience or QuestionPatience(), retention)
    await work.of_the_due(rest)
    await work.of_anomalies()
    work.counts.windows = await committed(book.write(windows.refresh, to_text(clock.now())))
    return work.counts


# What was listened to longer ago explains no gap of what is only now asked for.
_HEARD_FOR: Final = timedelta(days=31)
# So many conversations that certainly existed are asked for beside what an answer lacks, one after the other.
_WITNESSES: Final = 3


@dataclass(slots=True)
class _FollowUp:
    """A follow-up: what it asks and writes with, and its counts so far."""

    book: Book
    api: ById
    settings: Settings
    clock: RunClock
    sees: Callable[[str | None], bool]
    patience: QuestionPatience
    retention: PlatformRetention | None
    counts: FollowUpCounts = field(default_factory=FollowUpCounts)

    async def of_the_due(self, rest: timedelta) -> None:
        """Ask for what goes on, was heard of, or was set aside. rest: as `follow` takes it."""
        began = self.clock.now()
        wanted = await self._due(began, rest)
        if not wanted:
            return
        started = [from_text(row.conversation_start) for row in wanted if row.conversation_start]
        around = Interval(max(min([*started, began]), began - _HEARD_FOR) - timedelta(minutes=1), began)
        read_before = {row.conversation_id: row for row in wanted if row.read_at is not None}
        ids, but = [row.conversation_id for row in wanted], list[str]()
        # The platform may have deleted what certainly existed, too: then another says whether an answer knows anything.
        while ids and len(but) < _WITNESSES and not self.clock.stopped:
            known = await self.book.read(conversations.a_listed_id, but)
            undecided: list[str] = []
            async for answer in self._answers(ids, around, began, known=known):
                await self._settle(answer, began, read_before)
                undecided += answer.undecided
            if known is None:
                return
            ids, but = undecided, [*but, known]

    async def of_anomalies(self) -> None:
        """Ask again for what capture saw lately and the platform does not list: mostly it is only late with it."""
        began = self.clock.now()
        around, recent = Interval(began - 2 * ANOMALY, began), to_text(began - ANOMALY)
        found = [
            gap.conversation_id
            for gap in await self.book.read(gaps.listed, since=to_text(around.start), kind=GapKind.LIVE_ONLY)
            if gap.filled_at is None and gap.detected_at >= recent
        ]
        if found:
            async for answer in self._answers(found, around, began):
                self.counts.explained += len(answer.rows)

    async def _answers(
        self, ids: Sequence[str], around: Interval, began: datetime, *, known: str | None = None
    ) -> AsyncIterator[AnswerById]:
        """Ask for conversations, and yield each answer once it is written. around: the time that explains their gaps.

        known: as `by_id.ask` takes it.
        """
        cause = explainer(await listening_around(self.book, around, began), began)
        async for answer in ask(self.api, ids, self.clock, known=known, patience=self.patience):
            read = Read(answer.as_of, to_text(self.clock.now()), to_text(began), frozenset(), self.settings.lag)
            taken = await self._written(answer.rows, read, cause)
            stored = frozenset(ids_of(taken))
            not_taken = [id_ for id_ in ids_of(answer.rows) if id_ not in stored]
            self.counts.asked += len(answer.asked)
            yield replace(answer, rows=taken, not_taken=not_taken)

    async def _written(self, rows: Sequence[DetailRow], read: Read, cause: Cause) -> list[DetailRow]:
        """Write an answer's rows; answers those that the store can take. The others are dead letters."""
        width = self.settings.width
        writing = self.book.write(windows.write_details, rows, read, window=None, width=width, cause=cause)
        try:
            self.counts.written += (await committed(writing)).written
        except UNFORESEEN as error:
            if len(rows) > 1:
                each = [await self._written([row], read, cause) for row in rows]
                return [row for taken in each for row in taken]
            letters = [letter_of(row, cannot_take(error), read.at) for row in rows]
            await committed(self.book.write(events.record, letters, self.settings.lag))
            return []
        return list(rows)

    async def _due(self, now: datetime, rest: timedelta) -> list[OpenConversation]:
        """The conversations that should be asked for by id now, each once."""
        lag = self.settings.lag
        at, before, latest = to_text(now), to_text(now - rest), to_text(now + WRONG_CLOCK)

        def past(time: str | None) -> str:
            """A time, unless a clock that ran ahead has written it."""
            return time if time is not None and time <= latest else ""

        wanted = {
            row.conversation_id: row
            for row in await self.book.read(conversations.open_conversations)
            if max(past(row.asked_at), past(row.read_at)) <= before
            or (row.look_again and past(row.asked_at) <= before and (row.last_heard or "") <= to_text(now - lag))
        }
        often, seldom = to_text(now - HEARD_AGAIN), to_text(now - NOW_AND_THEN)
        aside = await self.book.read(conversations.set_aside, seldom, at)
        aside += await self.book.read(conversations.nobody_will_read, to_text(now - lag), (often, seldom), at)
        for row in aside:
            wanted.setdefault(row.conversation_id, row)
        return list(wanted.values())

    async def _settle(self, answer: AnswerById, began: datetime, read_before: Mapping[str, OpenConversation]) -> None:
        """Note of each id what an answer says. read_before: those with details, by id."""
        book, counts = self.book, self.counts
        open_rows = [row for row in answer.rows if row.end is None]
        ended = [row for row in answer.rows if row.end is not None]
        # The open ones that began too long ago to be waited for.
        limit = to_text(began - self.settings.stuck_after)
        stuck = ids_of([row for row in open_rows if row.start is not None and row.start < limit])
        deleted = await self._deleted_for_its_age([known for id_ in answer.absent if (known := read_before.get(id_))])
        # Nobody can say of these whether they have ended: as little as of what goes on for too long.
        outlived = [id_ for id_ in deleted if (read_before[id_].conversation_start or "9") < limit]
        counts.ended += len(ended)
        counts.going_on += len(open_rows) - len(stuck)
        await committed(book.write(asked_by_id.found, ids_of(open_rows), ids_of(ended), answer.as_of))
        if stuck:
            counts.stuck += await committed(book.write(conversations.mark, stuck, SetAside.STUCK))
        if outlived:
            counts.stuck += await committed(book.write(conversations.outlive, outlived))
        if answer.refused is not None:
            await committed(book.write(asked_by_id.refused, [answer.refused], answer.as_of))
        # Who sees less says nothing of what it does not see.
        absent = [id_ for id_ in answer.absent if id_ not in deleted and self._sees(read_before.get(id_))]
        unseen = [id_ for id_ in (*answer.absent, *answer.undecided, *answer.not_taken) if id_ not in absent]
        if unseen:
            await committed(book.write(asked_by_id.undecided, unseen, answer.as_of))
        if absent:
            since = to_text(from_text(answer.as_of) - APART)
            twice = await committed(book.write(asked_by_id.absent, absent, answer.as_of, since))
            gone = [id_ for id_ in twice if id_ in read_before]
            counts.gone += await committed(book.write(conversations.mark, gone, SetAside.GONE))

    def _sees(self, known: OpenConversation | None) -> bool:
        return self.sees(None if known is None else known.division_ids)

    async def _deleted_for_its_age(self, absent: Sequence[OpenConversation]) -> set[str]:
        """Those that began before the platform's retention: that it lacks them says nothing of them."""
        now, found = self.clock.now(), set[str]()
        for known in absent:
            if self.retention is None or known.conversation_start is None:
                continue
            start = from_text(known.conversation_start)
            if not (await self.retention.of(start, now)).has(start):
                found.add(known.conversation_id)
        return found
