"""The daemon's names: each kind listed daily, and ids that have no name asked for, at most once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from reconcile.names.due_listings import due_kinds
from reconcile.names.refresh import KindRead, ask, refresh
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.store.book import Book
from rollbook.store.tables import names

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(minutes=1)
# The share of the minute's requests that names leave to capture and to windows.
_LEAVE: Final = 0.25
# After an error, nothing is asked for so long.
_REST: Final = timedelta(minutes=10)


class NameKeeper:
    """Keeper of the names. failing: why the last look failed, None where it did not.

    unnamed: how many ids had no name after the last look, by kind; every kind of which there is a name is among them.
    """

    def __init__(self, book: Book, api: Api, *, now: Callable[[], datetime]) -> None:
        self._book = book
        self._api = api
        self._now = now
        self._stopped = False
        self._rests_until: datetime | None = None
        self.failing: str | None = None
        self.unnamed: dict[str, int] = {}

    async def look(self) -> None:
        """List what is due, then ask for ids that have no name yet."""
        now = self._now()
        scarce = self._api.requests_left() < _LEAVE * self._api.budget.limit
        if self._stopped or scarce or self._rests(now):
            return
        failing, unforeseen = None, None
        try:
            due = due_kinds(await self._book.read(names.listings), now)
            if due:
                self._tell(await refresh(self._book, self._api, now=self._now, kinds=due))
            asked = await ask(self._book, self._api, now=self._now)
            self._tell(asked)
            if any(each.trouble is not None and each.permission is None for each in asked):
                self._rests_until = now + _REST
            named = dict.fromkeys(await self._book.read(names.counted), 0)
            self.unnamed = named | await self._book.read(names.unnamed)
        except RollbookError as error:
            failing = str(error)
        except Exception as error:
            failing, unforeseen = f"an error that nobody foresaw ({type(error).__name__}: {error})", error
        if failing is not None:
            self._rests_until = now + _REST
            if failing != self.failing and not self._stopped:
                log.warning("names cannot be listed now, will try again: %s", failing, exc_info=unforeseen)
        self.failing = failing

    def _rests(self, now: datetime) -> bool:
        return self._rests_until is not None and now < self._rests_until <= now + _REST

    def _tell(self, read: Sequence[KindRead]) -> None:
        for kind, taken, whole, trouble, permission in read:
            if trouble is not None:
                level = logging.INFO if permission else logging.WARNING
                log.log(level, "names of kind %s were not listed: %s", kind, trouble)
            elif taken is not None and (taken.new or taken.renamed or taken.deleted):
                log.info(
                    "names of kind %s: %d new, %d renamed, %d deleted%s",
                    kind,
                    taken.new,
                    taken.renamed,
                    taken.deleted,
                    "" if whole else " (a part of the list)",
                )

    def stop(self) -> None:
        """Begin no other look."""
        self._stopped = True
