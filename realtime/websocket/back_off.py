"""The back-off of a line: how long it waits before it tries to connect again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Steps that double with each failure in a row. Seconds."""

    first_step: float = 0.5
    longest_step: float = 60.0

    def seconds(self, failures: int, draw: float) -> float:
        """Seconds to wait after the n-th failure in a row: half to all of a step, by a draw from 0 to 1.

        The draw keeps lines that failed together from coming back together.
        """
        step: float = min(self.longest_step, self.first_step * 2 ** min(max(failures, 1) - 1, 20))
        return step * (0.5 + draw / 2)
