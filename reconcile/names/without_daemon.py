"""Names for who runs no daemon: after a round over what is due, whatever kind is due is listed again.

A command that runs every few minutes, or a function on AWS, does so what the daemon's keeper does: daily listings, and
the names of ids that are new. It never fails for that: what was reconciled is reconciled, and the next round tries
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from reconcile.names.due_listings import due_kinds
from reconcile.names.refresh import KindRead, ask, refresh
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.store.book import Book
from rollbook.store.tables import names

log = logging.getLogger(__name__)

# The share of the minute's requests that is left to whoever else uses the OAuth client.
_LEAVE: Final = 0.25
# Seconds for all lists together: names can wait for the next round, and whoever started this one waits for its end.
_LONGEST: Final = 30.0


async def keep_names(
    book: Book, api: Api, *, now: Callable[[], datetime], stop: asyncio.Event | None = None
) -> list[KindRead]:
    """List the kinds that are due, then ask for ids that have no name yet; answers what was asked.

    stop: once it is set, nothing more is asked for; what was listed by then is written. Raises nothing of ours.
    """
    if api.requests_left() < _LEAVE * api.budget.limit or (stop is not None and stop.is_set()):
        return []
    work = asyncio.create_task(_listed(book, api, now=now))
    asked = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({work, asked}, timeout=_LONGEST, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, asked):
            task.cancel()
        await asyncio.wait({work, asked})
    return [] if work.cancelled() else work.result()


async def _listed(book: Book, api: Api, *, now: Callable[[], datetime]) -> list[KindRead]:
    read: list[KindRead] = []
    try:
        if due := due_kinds(await book.read(names.listings), now()):
            read += await refresh(book, api, now=now, kinds=due)
        read += await ask(book, api, now=now)
    except RollbookError as error:
        log.warning("names could not be listed, another run will try again: %s", error)
    except Exception as error:  # a mistake of ours here must not cost the report of what was reconciled
        log.warning("names could not be listed, an error that nobody foresaw (%r)", error, exc_info=error)
    _tell(read)
    return read


def _tell(read: Sequence[KindRead]) -> None:
    for each in read:
        if each.trouble is not None and each.permission is None:
            log.warning("names of kind %s were not listed: %s", each.kind, each.trouble)
