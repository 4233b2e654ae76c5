"""The rows that a run has read, compared with the store as the run found it: which to hand on, and the figures. Pure.

It remembers a number per conversation, never a row: memory stays flat however large the rows are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reconcile.reading.scan import end_of, started_in
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import Interval, to_text
from rollbook.store.vocabulary import Comparison

_CODES: Final[Mapping[str, int]] = {Comparison.MISSING: 1, Comparison.CHANGED: 2, Comparison.UNCHANGED: 3}
_KINDS: Final[tuple[str, ...]] = ("", *Comparison)
# Below a hash: the class, and whether the conversation's content was written.
_CLASS: Final = 3
_WRITTEN: Final = 4
_STATE: Final = _CLASS | _WRITTEN


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows to write together. again: they were written in this run, and differ from what was written then."""

    window: int  # which of the run's windows owns them; the first one takes what none owns
    rows: Sequence[DetailRow]
    again: bool


@dataclass(slots=True)
class Share:
    """Figures of a window of the run."""

    written: int = 0
    drift: int = 0
    causes: Counter[str] = field(default_factory=Counter)


class Tally:
    """The rows of one run over neighbouring windows (mostly one)."""

    def __init__(self, windows: Sequence[Interval]) -> None:
        self._starts = [to_text(window.start) for window in windows]
        self._known: dict[str, int] = {}  # id → hash of the bytes written last, and below it `_STATE`
        self.shares = [Share() for _ in windows]

    def owner(self, start: str | None) -> int:
        """The window that a row counts for."""
        return 0 if start is None else max(bisect_right(self._starts, start) - 1, 0)

    def batches(self, rows: Sequence[DetailRow]) -> list[RowBatch]:
        """Batches of what is new in a page, or other than it was. Rows without an id, or broken, cannot be kept."""
        fresh: dict[tuple[int, bool], list[DetailRow]] = {}
        for row in rows:
            if row.conversation_id is None or row.broken:
                continue
            digest = hash(row.raw) << 3
            known = self._known.get(row.conversation_id)
            if known is not None and known & ~_STATE == digest:
                continue
            self._known[row.conversation_id] = digest | (known or 0) & _STATE
            fresh.setdefault((self.owner(row.start), known is not None), []).append(row)
        return [RowBatch(window, found, again) for (window, again), found in fresh.items()]

    def filed(self, batch: RowBatch, classes: Mapping[str, str], written: Mapping[str, bool], drifted: int = 0) -> None:
        """Count what the store made of a batch. written: its `PageOutcome.content`."""
        share = self.shares[batch.window]
        share.drift += drifted
        for id_, kind in classes.items():
            self._known[id_] |= _CODES[kind]
        for id_, unheard_end in written.items():
            before = self._known[id_] & _WRITTEN
            # It was equal at first sight, and changed while it was read. One that only capture knew is filled in by
            # every read: that is no change, unless its end has come, and capture did not hear it.
            if batch.again and self.kind(id_) == Comparison.UNCHANGED and (unheard_end or not before):
                self._known[id_] = self._known[id_] & ~_CLASS | _CODES[Comparison.CHANGED]
            self._known[id_] |= _WRITTEN
            share.written += not before

    def kind(self, conversation_id: str) -> str:
        """The comparison of a conversation with the store as the run found it; "" if it was not read."""
        return _KINDS[self._known.get(conversation_id, 0) & _CLASS]

    def state(self, conversation_id: str) -> int:
        """The comparison, and whether it was written, as a number that `remember` takes."""
        return self._known.get(conversation_id, 0) & _STATE

    def remember(self, conversation_id: str, state: int) -> None:
        """Take over what a run that was cut short knew. A row that comes again is handed on, and not written."""
        self._known[conversation_id] = state

    def seen(self) -> frozenset[str]:
        """Every id that this run has read."""
        return frozenset(self._known)

    def figures(self, found: Mapping[str, int], window: Interval) -> dict[str, int]:
        """owned, missing, changed, unchanged and ongoing of one window. found: id → packed times, of what counts."""
        owned = started_in(found, window)
        counts = Counter(self.kind(id_) for id_ in owned)
        ongoing = sum(end_of(value) < 0 for value in owned.values())
        return {
            "owned": counts.total(),
            "missing": counts[Comparison.MISSING],
            "changed": counts[Comparison.CHANGED],
            "unchanged": counts[Comparison.UNCHANGED],
            "ongoing": ongoing,
        }
