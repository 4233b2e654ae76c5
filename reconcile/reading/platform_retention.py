"""The organisation's own retention: how far back the platform has all conversations, asked when it first matters.

What began before that may be deleted by now, so an answer that lacks it proves nothing: no reading calls such a window
proven, and a conversation of that time which an answer by id lacks is not called gone. What is proven stays proven.
The answer is one witness: that time is lost for good is believed when two answers, some time apart, have said it, and
then also after the organisation has chosen a longer retention, because what is deleted does not come back.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from rollbook.genesys.errors import ApiError, NotAuthenticated, SignInRefused, UsageError
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import notes

log = logging.getLogger(__name__)

# A retention is a number of whole days, and one at least: what is younger is there, whatever the answer would be.
_LEAST: Final = timedelta(days=1)
# The least that the platform lets an organisation choose: where the answer cannot be had, what is older is in doubt.
_LEAST_TO_CHOOSE: Final = timedelta(days=90)
# The platform's time may be wrong by so much before anybody notices (docs/verdicts.md, "Whose time").
_CLOCK: Final = timedelta(minutes=1)
# The setting is the longest that is kept. Who deletes once a day, by the day, deletes up to a day earlier than that.
_BY_THE_DAY: Final = timedelta(days=1)
# An answer is asked for anew after so long; and two answers so far apart are two witnesses.
_ASKED_AGAIN: Final = timedelta(minutes=10)
# Longer than anything that is kept: a number of days that no date can be counted back by is no limit.
_LONGEST: Final = 36_500
_FEW_TRIES: Final = 2
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_UNKNOWN: Final = (
    "how long the organisation keeps its conversations is not known: what it has deleted is missing without a word"
)
_AS_BEFORE: Final = "how long the organisation keeps its conversations cannot be asked; it was {} days before"


class NoLongerKept(UsageError):
    """The window begins before the organisation's retention: whatever is answered would prove nothing."""


class AsksRetention(Protocol):
    """The part of the API that is used here."""

    async def retention_days(self, *, tries: int | None = None) -> int | None:
        """How long the organisation keeps its conversations; None: it has set no limit."""


@dataclass(frozen=True, slots=True)
class KeptSince:
    """From when on the platform has all conversations. days: as the organisation has set them; None: not known.

    lost_before: what began earlier has been deleted for good, as far as two answers have said so.
    """

    since: datetime = _NEVER
    days: int | None = None
    lost_before: datetime = _NEVER

    def has(self, start: datetime) -> bool:
        """True where the platform keeps what started then."""
        return start >= self.since

    def may_have_deleted_the_day(self, start: datetime) -> bool:
        """True for a start so shortly after the limit that a platform which deletes by the day may have deleted it."""
        return start < self.since + _BY_THE_DAY

    @property
    def words(self) -> str:
        """How long the organisation keeps what, in words."""
        limit = "" if self.days is None else f"for {count(self.days, 'day')}, "
        return f"the organisation keeps its conversations {limit}now since {to_text(self.since)[:16]}Z"

    def check(self, interval: Interval) -> None:
        """Raise NoLongerKept for an interval that begins before it, also where only its beginning does."""
        if not self.has(interval.start):
            raise NoLongerKept(
                f"the interval {interval.text} begins before the platform's retention: {self.words}, so an answer would"
                " prove nothing; give a later beginning"
            )


class Noted(NamedTuple):
    """The note of the store about it: the last answer, since when it is the same, the answer before, and what is lost.

    days: None where the organisation has set no limit, or nothing is noted.
    """

    days: int | None = None
    said_since: str = ""
    former: int | None = None
    lost_before: str = ""

    @classmethod
    def of(cls, text: str | None) -> Noted:
        """What a note says."""
        return cls(**json.loads(text)) if text is not None else cls()

    def after(self, days: int | None, now: datetime) -> Noted:
        """The note after an answer. What is older than two answers in a row allow is lost from then on."""
        at = to_text(now)
        if not self.said_since or days != self.days or self.said_since > at:
            return Noted(days, at, self.days if self.said_since <= at else None, self.lost_before)
        if days is None or days > _LONGEST or now < from_text(self.said_since) + _ASKED_AGAIN:
            return self
        return self._replace(lost_before=max(self.lost_before, to_text(now - timedelta(days=days))))

    def kept(self, now: datetime) -> KeptSince:
        """What is known by it: an answer that allows more than the one before is believed when it is said again."""
        days = self.days
        if self.former is not None and now < from_text(self.said_since) + _ASKED_AGAIN:
            days = self.former if days is None else min(days, self.former)
        lost = from_text(self.lost_before) if self.lost_before else _NEVER
        if days is None or days > _LONGEST:
            return KeptSince(lost, None, lost)
        return KeptSince(max(lost, now - timedelta(days=days) + _CLOCK), days, lost)


class PlatformRetention:
    """Asks for the organisation's retention when something is old enough for it to matter, once for a round.

    book: where the last answer is noted, so that a question that fails is not the end of what is known. writes: whether
    it may be noted.
    """

    def __init__(self, api: AsksRetention, book: Book | None, *, writes: bool = True) -> None:
        self._api = api
        self._book = book
        self._writes = writes
        self._asked_at: datetime | None = None
        self._known = Noted()
        self._lock = asyncio.Lock()  # the windows of a round share one question

    async def of(self, start: datetime, now: datetime) -> KeptSince:
        """What is known for something that started then, asked if need be. now: the platform's time.

        Raises ConnectionLost, StoreError and its kinds, and what a sign-in raises.
        """
        if start >= now - _LEAST + _CLOCK:
            return KeptSince()
        async with self._lock:
            if self._asked_at is None or not self._asked_at <= now < self._asked_at + _ASKED_AGAIN:
                await self._ask(start, now)
        return self._known.kept(now)

    async def check(self, interval: Interval, now: datetime) -> None:
        """Raise NoLongerKept for an interval that begins before the retention."""
        (await self.of(interval.start, now)).check(interval)

    async def _ask(self, start: datetime, now: datetime) -> None:
        book = self._book
        before = Noted.of(None if book is None else await book.read(notes.read, notes.PLATFORM_KEEPS))
        try:
            self._known = before.after(await self._api.retention_days(tries=_FEW_TRIES), now)
        except (NotAuthenticated, SignInRefused):
            raise
        except ApiError as error:
            self._known = before
            if self._asked_at is None and start < now - _LEAST_TO_CHOOSE:
                log.warning("%s: %s", _UNKNOWN if before.days is None else _AS_BEFORE.format(before.days), error)
        else:
            if book is not None and self._writes and self._known != before:
                note = json.dumps(self._known._asdict())
                await asyncio.wrap_future(book.write(notes.write, notes.PLATFORM_KEEPS, note))
        self._asked_at = now
