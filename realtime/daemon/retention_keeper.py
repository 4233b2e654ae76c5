"""The daemon's retention: once a day, what is older than the settings say is deleted, and its pages are given back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from realtime.websocket.tasks import apart
from rollbook.genesys.errors import Interrupted, RollbookError
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.erasure import erasing, retention, stricter
from rollbook.store.erasure.retention import KeepingTimes
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.compacting import compact

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(hours=1)
_EVERY: Final = timedelta(days=1)


class RetentionKeeper:
    """Keeper of what is kept for a time only. A failure is logged, and tried again within the hour."""

    def __init__(
        self,
        book: Book,
        limits: KeepingTimes,
        *,
        now: Callable[[], datetime],
        redactor: Callable[[], Redactor | None] = lambda: None,
    ) -> None:
        self._book = book
        self._redactor = redactor  # it may have to look its key up
        self._limits = limits
        self._now = now
        self._stop = threading.Event()
        self._done: datetime | None = None

    async def look(self) -> None:
        """Delete what is due, if a day has gone by since it was done."""
        now = self._now()
        if self._stop.is_set() or (self._done is not None and now - self._done < _EVERY):
            return
        try:
            found = await apart(lambda: self._retain(now))
        except Interrupted:
            return
        except RollbookError as error:
            log.error("what is older than [retention] says was not deleted, will try again in an hour: %s", error)
            return
        if not self._stop.is_set():
            self._done = now
        if any(found.values()):
            log.info("retention: %s", ", ".join(f"{number} of {part}" for part, number in found.items() if number))

    def _retain(self, now: datetime) -> dict[str, int]:
        book, stop, redactor = self._book, self._stop, self._redactor()

        def rest(seconds: float) -> None:
            stop.wait(seconds)

        swept = stricter.sweep(book, redactor, rest=rest, stopped=stop.is_set) if redactor else 0
        # What was stored of a conversation before its details showed whose it is that was erased.
        late = erasing.erase_late(book, to_text(now), rest=rest)
        found = retention.retain(book, self._limits, now, rest=rest, stopped=stop.is_set)
        found |= {"redacted": swept, "erased": late}
        if any(found.values()) and not stop.is_set():
            compact(book.path, Manner(stop=stop), command="the daily retention")
        return found

    def stop(self) -> None:
        """Give up after the step under way; the next day goes on."""
        self._stop.set()
