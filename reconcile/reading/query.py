"""Pages that a `Reader` asks for, read through the API: each is handed on while the next page is on its way.

A thin shell: what to ask next, and when to believe it, is decided in `reader.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reconcile.patience import QuestionPatience, RunClock
from reconcile.reading.reader import Fetch, Finished, Pause, Reader
from reconcile.reading.resume import Entry, of_page
from reconcile.reading.scan import Part, RowTimes
from rollbook.genesys.errors import ApiError, RequestRefused, RollbookError, TooSlow, Unavailable, UsageError
from rollbook.genesys.messages.details import DetailsPage
from rollbook.genesys.times import to_text

_DIRECTION: Final[Mapping[str, Mapping[str, Any]]] = {
    "inbound": {"dimension": "originatingDirection", "operator": "matches", "value": "inbound"},
    "outbound": {"dimension": "originatingDirection", "operator": "matches", "value": "outbound"},
    "none": {"dimension": "originatingDirection", "operator": "notExists"},
}
# Questions in a row that may be given up because no answer came in time, and the seconds that they may take: one whose
# answer trickles is given up after twenty, one that never comes after two minutes.
MOST_TOO_SLOW: Final = 3
TOO_SLOW_FOR: Final = 100.0
# Seconds that questions in a row may take which the platform answers with an error: it does so after a minute, and is
# asked several times.
REFUSED_FOR: Final = 900.0


class Queries(Protocol):
    """The part of the API that is used here."""

    async def query_details(self, body: Mapping[str, Any], /, *, tries: int | None = None) -> DetailsPage:
        """A page of the details query. tries: as `Rest.call` has it."""


class Stopped(Exception):
    """The run was asked to stop. What was read is written; nothing was proven."""


@dataclass(frozen=True, slots=True)
class DetailsQuery:
    """The details query of a run, or its job. members: its filters, as the API takes them."""

    members: Mapping[str, list[Any]]

    def body(self, part: Part, page: int) -> dict[str, Any]:
        """The body that asks for one page."""
        return {**self.job_body(part), "paging": {"pageSize": part.size, "pageNumber": page}}

    def job_body(self, part: Part) -> dict[str, Any]:
        """The body that asks for a job."""
        members = dict(self.members)
        if part.direction:
            only = {"type": "and", "predicates": [{"type": "dimension", **_DIRECTION[part.direction]}]}
            members["conversationFilters"] = [*members.get("conversationFilters", ()), only]
        return {"interval": part.interval.text, "order": "asc", "orderBy": "conversationStart", **members}

    def as_raised(self, error: ApiError) -> RollbookError:
        """A refusal of the first question, as a run raises it: what is refused is the filter, where there is one."""
        if isinstance(error, RequestRefused) and self.members:
            return UsageError(f"the platform refuses the filter: {error}")
        return error


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page of an answer. as_of: API text, a moment before the page was asked for.

    entries: for the journal, of the questions before this page that were refused, and last of the page itself.
    """

    page: DetailsPage
    as_of: str
    entries: Sequence[Entry]


async def read_pages(
    api: Queries, reader: Reader, query: DetailsQuery, clock: RunClock, *, patience: QuestionPatience | None = None
) -> AsyncGenerator[ReadPage, None]:
    """Do what the reader says until it has finished, and yield each page while the next page is on its way.

    Whoever stops before the end closes the iterator, and with it the question on its way. patience: of the round's
    windows together. Raises UsageError (the platform refuses the filter), ApiError and its kinds, Stopped.
    """
    waits, patience = _Waits(), patience or QuestionPatience()
    error_before: Unavailable | RequestRefused | None = None
    refusals: list[Entry] = []
    read: ReadPage | None = None
    while True:
        at = to_text(clock.now())
        step = reader.step(at)
        if read is not None and (clock.stopped or not isinstance(step, Fetch)):
            yield read
            read = None
        if isinstance(step, Finished):
            if error_before is not None and reader.untouched:
                raise query.as_raised(error_before)  # nothing at all could be had
            return
        if clock.stopped:
            raise Stopped
        if isinstance(step, Pause):
            await clock.sleep(step.seconds)
            continue
        asked = time.monotonic()
        tries = patience.tries(less=reader.may_ask_for_less)
        again = {} if tries is None else {"tries": tries}
        coming = asyncio.create_task(api.query_details(query.body(step.part, step.page), **again))
        try:
            if read is not None:
                yield read
                read = None
            page = await coming
        except (Unavailable, RequestRefused) as error:
            too_long = waits.add(error, time.monotonic() - asked)
            less = error.narrower and not step.probe and not too_long
            if not (less and reader.refused(_words(error), too_large=_large(error))):
                raise (query.as_raised(error) if reader.untouched else error) from None
            patience.refused = True
            error_before = error
            refusals.append(
                Entry("refused", at, step.part.text, step.page, text=_words(error), too_large=_large(error))
            )
            continue
        finally:
            coming.cancel()
        waits = _Waits()
        rows = [RowTimes(row.conversation_id, row.start, row.end, row.broken) for row in page.rows]
        reader.take(rows, page.total_hits)
        read = ReadPage(page, at, [*refusals, of_page(step, at, rows, page.total_hits)])
        refusals.clear()


@dataclass(slots=True)
class _Waits:
    """The time that was waited in vain since the last page. seconds: for errors, and for what came too late."""

    too_slow: int = 0
    too_slow_for: float = 0.0
    refused_for: float = 0.0

    def add(self, error: ApiError, seconds: float) -> bool:
        """Count another answer that did not come, after so long; True once that is enough."""
        if isinstance(error, TooSlow):
            self.too_slow += 1
            self.too_slow_for += seconds
        else:
            self.refused_for += seconds
        slow = self.too_slow > MOST_TOO_SLOW or self.too_slow_for > TOO_SLOW_FOR
        return slow or self.refused_for > REFUSED_FOR


def _large(error: ApiError) -> bool:
    """True where the size of the answer was refused: fewer rows a page are tried first, then narrower intervals."""
    return error.status == 413 or "large" in f"{error.code or ''} {error.message}".lower()


def _words(error: ApiError) -> str:
    return f"{error.message} ({error.status})" if error.status else error.message
