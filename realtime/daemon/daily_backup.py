"""The daemon's daily backup: made when it is due, beside everything else. A failure is logged, and tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from realtime.websocket.tasks import apart
from rollbook.genesys.errors import Interrupted, RollbookError
from rollbook.genesys.program.settings import DailyBackup
from rollbook.genesys.program.terminal import shown_size
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.backups import back_up, backups_of, is_due, let_go

log = logging.getLogger(__name__)

# How often it is asked if the day's backup is due.
LOOK_EVERY: Final = timedelta(minutes=5)
# After a failure: a backup reads the whole store.
_AGAIN: Final = timedelta(hours=1)
# Seconds between two steps of 8 MB: the disk is for what is heard, too.
_REST: Final = 0.02


class BackupKeeper:
    """Keeper of the backups in a folder. last: the time of the newest good one; failing: why the last try failed."""

    def __init__(self, store: Path, how: DailyBackup, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._how = how
        self._now = now
        self._stop = threading.Event()
        self._looked = False
        self._tried: datetime | None = None
        self.last: datetime | None = None
        self.failing: str | None = None

    async def look(self) -> None:
        """Make the day's backup if it is due."""
        now = self._now().astimezone(UTC)
        if not self._looked:
            kept = await apart(lambda: backups_of(self._store, self._how.to))
            self.last = kept[-1].at if kept else None
            self._looked = True
        rests = self.failing is not None and self._tried is not None and now - self._tried < _AGAIN
        if self._stop.is_set() or rests or not is_due(self.last, now, self._how.at):
            return
        self._tried = now
        try:
            await apart(lambda: self._make(now))
        except Interrupted:
            return
        except RollbookError as error:
            self.failing = str(error)
            log.error("no backup was made, will try again in an hour: %s", error)
        except Exception as error:
            self.failing = f"an error that nobody foresaw ({type(error).__name__}: {error})"
            log.exception("no backup was made, will try again in an hour")
        else:
            self.last, self.failing = now, None

    def _make(self, now: datetime) -> None:
        copied = back_up(
            self._store,
            self._how.to,
            at=now,
            how=Manner(stop=self._stop, rest=_REST),
            command="the daily backup",
            into_folder=True,
        )
        try:
            gone = let_go(self._store, self._how.to, self._how.keep)
        except OSError as error:
            gone = []
            log.warning("older backups cannot be removed: %s", error)
        log.info("backup: %s, %s, checked; %d older removed", copied.path, shown_size(copied.size), len(gone))

    def age(self, now: datetime) -> float | None:
        """Seconds since the newest good backup; None where there is none."""
        return None if self.last is None else max((now.astimezone(UTC) - self.last).total_seconds(), 0.0)

    def stop(self) -> None:
        """Give up a copy under way."""
        self._stop.set()
