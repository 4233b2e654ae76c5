"""The daemon's look at the size of the store: each hour, kept in the store; a warning before the disk is full."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from realtime.websocket.tasks import apart
from rollbook.store.file.errors import StoreError
from rollbook.store.upkeep.growth import Growth, note_now

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(hours=1)
_SAY_EVERY: Final = timedelta(days=1)


class SizeKeeper:
    """Keeper of the measurements. growth: as it was found last."""

    def __init__(self, store: Path, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._stop = threading.Event()
        self._said: datetime | None = None
        self.growth: Growth | None = None

    async def look(self) -> None:
        """Measure, keep, and warn where the disk will be full soon."""
        if self._stop.is_set():
            return
        now = self._now()
        try:
            self.growth = await apart(lambda: note_now(self._store, now, stop=self._stop))
        except (StoreError, OSError) as error:
            if not self._stop.is_set():
                log.warning("the size of the store was not noted: %s", error)
            return
        if self.growth.is_short and (self._said is None or now - self._said >= _SAY_EVERY):
            self._said = now
            log.warning("the disk of the store will be full soon: %s", self.growth.words)

    def stop(self) -> None:
        """End a count under way."""
        self._stop.set()
