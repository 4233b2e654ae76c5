"""Times at which an alert may be sent: back-off of its stream, and a pause while the receiver is down. Pure.

Seconds are of a clock that only goes forward, and come in as arguments. What is kept here is lost at a restart: then
everything is tried again at once, which is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# A stream whose alert was not taken waits so long, and twice as long each time up to the longest: a receiver that takes
# others now and then should not leave this one for long.
_FIRST_STEP: Final = 1.0
_LONGEST_STEP: Final = 60.0
# After so many failures in a row, whosever they were, it is the receiver: everything waits.
_IN_A_ROW: Final = 4
_LONGEST_PAUSE: Final = 60.0
# A receiver may ask for a longer one, but not for any.
_LONGEST_ASKED: Final = 3_600.0


@dataclass(slots=True)
class DeliveryTimes:
    """The failures so far. failures: in a row, whatever was sent."""

    first_step: float = _FIRST_STEP
    failures: int = 0
    _streams: dict[str, tuple[int, float]] = field(default_factory=dict)  # failures, and until when it waits
    _pause_until: float = 0.0

    def may_send(self, stream: str, now: float) -> bool:
        """Tell whether the oldest alert of a stream may be sent."""
        return now >= self._pause_until and now >= self._streams.get(stream, (0, 0.0))[1]

    def taken(self, stream: str) -> None:
        """An alert was taken: its stream goes on, and the receiver is there."""
        self.failures = 0
        self._streams.pop(stream, None)

    def failed(self, stream: str, now: float, asked: float | None = None) -> None:
        """An alert was not taken. asked: seconds after which the receiver wants to be asked again."""
        self.failures += 1
        times = self._streams.get(stream, (0, 0.0))[0] + 1
        self._streams[stream] = times, now + min(_LONGEST_STEP, self.first_step * 2.0 ** min(times - 1, 20))
        pause = 0.0
        if self.failures >= _IN_A_ROW:
            pause = min(_LONGEST_PAUSE, self.first_step * 2.0 ** min(self.failures - _IN_A_ROW, 20))
        if asked is not None:
            pause = max(pause, min(asked, _LONGEST_ASKED))
        self._pause_until = max(self._pause_until, now + pause)

    def rest(self, streams: list[str], now: float, longest: float) -> float:
        """Seconds until something may be sent, of the streams that have something; no more than `longest`."""
        due = min((self._streams.get(stream, (0, 0.0))[1] for stream in streams), default=now + longest)
        return min(max(due, self._pause_until, now) - now, longest)
