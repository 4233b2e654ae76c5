"""Reading through the API what a `Reader` asks for, and handing each page on while the next one is on its way.

A thin shell: what to ask next, and when to believe it, is decided in `proof.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from genesys.detail import DetailsPage
from genesys.errors import RequestRefused, Unavailable, UsageError
from genesys.times import to_text
from reconcile.journal import Entry, of_page
from reconcile.proof import Fetch, Finished, Pause, Reader
from reconcile.scan import PAGE_SIZE, Part, Row

# A page, and how old it is (API text: a moment before it was asked for).
Take = Callable[[DetailsPage, str], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

_DIRECTION: Final[Mapping[str, Mapping[str, Any]]] = {
    "inbound": {"dimension": "originatingDirection", "operator": "matches", "value": "inbound"},
    "outbound": {"dimension": "originatingDirection", "operator": "matches", "value": "outbound"},
    "none": {"dimension": "originatingDirection", "operator": "notExists"},
}
_TOO_SLOW: Final = frozenset({408, 504})


class Queries(Protocol):
    """What is needed of the API here."""

    async def query_details(self, body: Mapping[str, Any], /) -> DetailsPage:
        """One page of the details query."""


class Stopped(Exception):
    """The run was asked to stop. What was read is written; nothing was proven."""


@dataclass(frozen=True, slots=True)
class Query:
    """The details query of a run. members: its filters, as the API takes them."""

    members: Mapping[str, list[Any]]

    def body(self, part: Part, page: int) -> dict[str, Any]:
        """The body that asks for one page."""
        members = dict(self.members)
        if part.direction:
            only = {"type": "and", "predicates": [{"type": "dimension", **_DIRECTION[part.direction]}]}
            members["conversationFilters"] = [*members.get("conversationFilters", ()), only]
        return {
            "interval": part.interval.text,
            "order": "asc",
            "orderBy": "conversationStart",
            "paging": {"pageSize": PAGE_SIZE, "pageNumber": page},
            **members,
        }


async def read(
    api: Queries,
    reader: Reader,
    query: Query,
    *,
    now: Callable[[], datetime],
    sleep: Sleep,
    take: Take,
    stop: asyncio.Event | None = None,
    told: Callable[[Entry], None] = lambda _: None,
) -> Finished:
    """Do what the reader says until it has finished.

    take: is given each page in turn; while it works, the next page is on its way. told: what the reader was told, of a
    page just before `take` is given it. Raises UsageError (the platform refuses the filter), ApiError and its kinds,
    Stopped, and whatever `take` raises.
    """
    held: tuple[DetailsPage, str, Entry] | None = None

    async def hand_on() -> None:
        nonlocal held
        if held is not None:
            (page, as_of, entry), held = held, None
            told(entry)
            await take(page, as_of)

    while True:
        at = to_text(now())
        step = reader.step(at)
        if not isinstance(step, Fetch):
            await hand_on()
        if isinstance(step, Finished):
            return step
        if stop is not None and stop.is_set():
            await hand_on()
            raise Stopped
        if isinstance(step, Pause):
            await sleep(step.seconds)
            continue
        coming = asyncio.create_task(api.query_details(query.body(step.part, step.page)))
        try:
            await hand_on()
            page = await coming
        except (Unavailable, RequestRefused) as error:
            if not _split(reader, step, error):
                raise _told(error, query, reader) from None
            told(Entry("split", at, step.part.text, step.page))
            continue
        finally:
            coming.cancel()
        rows = [Row(row.conversation_id, row.start, row.end) for row in page.rows]
        reader.take(rows, page.total_hits)
        held = page, at, of_page(step, at, rows, page.total_hits)


def _split(reader: Reader, step: Fetch, error: Unavailable | RequestRefused) -> bool:
    """Whether what could not be answered as it was asked is now asked for in pieces."""
    too_slow = isinstance(error, Unavailable) and error.status in _TOO_SLOW
    too_many = isinstance(error, RequestRefused) and "agination" in error.message
    return (too_slow or too_many) and not step.probe and reader.split()


def _told(error: Unavailable | RequestRefused, query: Query, reader: Reader) -> Exception:
    if isinstance(error, RequestRefused) and query.members and reader.untouched:
        return UsageError(f"the platform refuses the filter: {error}")
    return error
