"""The book's part for proofs: windows, runs over them, readings under way, gaps."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rollbook.genesys.times import to_text
from rollbook.store.access import Access
from rollbook.store.tables import gaps, unfinished_readings, windows
from rollbook.store.tables.windows import LedgerView, RunRecord, WindowRow
from rollbook.store.vocabulary import Verdict


class Ledger(Access):
    """Access to what is proven, and to what capture missed."""

    def window(self, start: str, end: str, filter: str = "") -> WindowRow | None:
        """The window's row, if the ledger has it."""
        return self.read(lambda db: windows.find(db, start, end, filter))

    def windows(
        self,
        *,
        verdicts: Sequence[Verdict] | None = None,
        since: str | None = None,
        until: str | None = None,
        filter: str | None = "",
    ) -> list[WindowRow]:
        """The windows that touch [since, until), in order of their start. filter None: those of every filter."""
        return self.read(lambda db: windows.listed(db, verdicts=verdicts, since=since, until=until, filter=filter))

    def verdicts(self, *, since: str) -> dict[str, int]:
        """The number of windows without a filter for each verdict, of those that end after `since`."""
        return self.read(lambda db: windows.by_verdict(db, since=since, filter=""))

    def ledger_view(self, filter: str, at: str) -> LedgerView:
        """The windows of a filter that matter to what is due at `at`. Takes a tenth of a second for five years."""
        return self.read(lambda db: windows.ledger_view(db, filter, at))

    def forget_the_future(self, latest: str) -> Future[int]:
        """Take back the proofs that were read after `latest` (API text), which is still to come."""
        return self._write(lambda db: windows.forget_the_future(db, latest))

    def note_windows(
        self, waiting: Sequence[tuple[str, str, Verdict]], filter: str, superseded: Sequence[tuple[str, str]] = ()
    ) -> Future[int]:
        """Show windows that wait to be read: (start, end, a verdict of `WAITING`), in the place of superseded ones."""
        listed, gone = list(waiting), list(superseded)
        return self._write(lambda db: windows.note(db, listed, filter, gone))

    def last_run_finished(self) -> str | None:
        """The end of the run that was filed last."""
        return self.read(windows.last_run_finished)

    def proven_divisions(self, start: str, end: str, filter: str) -> list[str]:
        """The divisions that the clients saw which proved windows that touch [start, end), as JSON for each."""
        return self.read(lambda db: windows.proven_divisions(db, start, end, filter))

    def finish_run(self, run: RunRecord) -> Future[int]:
        """File a run over a window."""
        return self._write(lambda db: windows.finish(db, run))

    def set_verdict(
        self,
        start: str,
        end: str,
        filter: str,
        verdict: Verdict,
        *,
        reason: str | None = None,
        ongoing: int | None = None,
        at: str,
    ) -> Future[None]:
        """Change a window's verdict without a read of it."""
        return self._write(
            lambda db: windows.set_verdict(db, start, end, filter, verdict, reason=reason, ongoing=ongoing, at=at)
        )

    def refresh_verdicts(self, at: str) -> Future[int]:
        """Make the verdicts of proven windows agree with what follow-up found; answers how many changed."""
        return self._write(lambda db: windows.refresh(db, at))

    def inherit(
        self, start: str, end: str, filter: str, children: Sequence[tuple[str, str]], *, at: str
    ) -> Future[int]:
        """Let these grid windows take over the proof of the interval that they lie in."""
        return self._write(lambda db: windows.inherit(db, (start, end, filter), children, at=at))

    def runs_of(self, start: str, end: str, filter: str = "", *, last: int | None = None) -> list[dict[str, Any]]:
        """The runs over a window, oldest first. last: no more than the newest."""
        return self.read(lambda db: windows.runs(db, start, end, filter, last))

    # Readings that are not finished yet

    def note_progress(self, key: unfinished_readings.Key, number: int, entry: bytes) -> Future[None]:
        """Keep entry `number` of a reading under way, after everything that was written before."""
        at = to_text(self._now())
        return self._write(lambda db: unfinished_readings.append(db, key, number, at, entry))

    def progress(self, key: unfinished_readings.Key, *, since: str) -> list[bytes]:
        """The kept entries of a reading that was begun at or after `since` and cut short."""
        return self.read(lambda db: unfinished_readings.entries(db, key, since))

    def drop_progress(self, key: unfinished_readings.Key, *, older_than: str) -> Future[None]:
        """Forget a reading, and any that nobody has gone on with since."""

        def job(db: sqlite3.Connection) -> None:
            unfinished_readings.drop(db, key)
            unfinished_readings.drop_older(db, older_than)

        return self._write(job)

    def gaps(self, *, since: str = "", until: str = "9", kind: str | None = None, limit: int = -1) -> list[gaps.Gap]:
        """The gaps of windows that start in [since, until)."""
        return self.read(lambda db: gaps.listed(db, since=since, until=until, kind=kind, limit=limit))
