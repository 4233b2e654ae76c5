"""Progress of a run over many windows: how far, how fast, how long it will take. Pure: the time comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reconcile.run.options import Progress
from rollbook.genesys.times import Interval


@dataclass(slots=True)
class Meter:
    """Adds what each window's reading tells to what the whole is. clock: monotonic seconds."""

    windows: int
    clock: Callable[[], float]
    requests_left: Callable[[], int | None] = lambda: None
    done: int = 0
    _began: float = field(init=False)
    _rows: int = 0  # of windows that are done
    _under_way: dict[Interval, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def of_the_whole(self, at: Progress) -> Progress:
        """The progress of a window's reading, with the figures of the whole added."""
        self._under_way[at.window] = at.rows
        seconds = self.clock() - self._began
        rows = self._rows + sum(self._under_way.values())
        return replace(
            at,
            done=self.done,
            windows=self.windows,
            rate=rows / seconds if seconds > 0 else None,
            requests_left=self.requests_left(),
            to_go=self._to_go(at, seconds),
        )

    def finished(self, window: Interval, windows: int) -> None:
        """A reading that was of so many windows is done."""
        self.done += windows
        self._rows += self._under_way.pop(window, 0)

    def _to_go(self, at: Progress, seconds: float) -> float | None:
        """Seconds: by the windows, or while there is but one by its rows."""
        if self.windows > 1:
            return seconds / self.done * (self.windows - self.done) if self.done else None
        if not at.expected or not at.rows or at.rows > at.expected:
            return None
        return seconds / at.rows * (at.expected - at.rows)
