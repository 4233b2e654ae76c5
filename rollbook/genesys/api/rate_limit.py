"""The budget of a token: when the next request may be sent, by the rate-limit headers of the answers. Pure.

The platform counts requests by the minute and says with each answer how many it has counted, how many it allows and in
how many seconds it begins again (`inin-ratelimit-count`, `-allowed`, `-reset`). Within the minute nothing is gained by
spreading: requests go out as they come until the budget is used, and then wait for the next minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ALLOWED: Final = 300  # a minute and token, unless the headers say otherwise
MINUTE: Final = 60.0
# The server's clock and ours do not begin a minute together: wait this much longer than it says.
MARGIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the minute that an answer's headers give; None where they do not."""

    count: int | None = None
    allowed: int | None = None
    reset: float | None = None


_NONE: Final = Figures()


def figures(headers: Mapping[str, str]) -> Figures:
    """The rate-limit headers of an answer; what is no number is not there."""
    count, allowed, reset = (_number(headers.get(f"inin-ratelimit-{name}")) for name in ("count", "allowed", "reset"))
    return Figures(None if count is None else int(count), None if allowed is None else int(allowed), reset)


def _number(text: str | None) -> float | None:
    """A number that is not negative and of a size that can be waited for or counted to."""
    try:
        number = float(text) if text else -1.0
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


@dataclass(slots=True)
class Budget:
    """The requests of one token. All times are seconds of one monotonic clock.

    share: the part of what is allowed that this process may use (a daemon leaves some of it to a run by hand).
    """

    share: float = 1.0
    allowed: int = ALLOWED
    sent: int = 0  # in this minute, by the server's count where it told one
    begins_again: float | None = None
    guessed: bool = True  # that is our own guess; no answer of this minute has said
    in_flight: int = 0
    not_before: float = 0.0

    @property
    def limit(self) -> int:
        """The number of requests of a minute that are ours."""
        return max(1, int(self.allowed * self.share))

    @property
    def left(self) -> int:
        """The number of them that are left."""
        return max(0, self.limit - self.sent)

    def left_at(self, now: float) -> int:
        """The number that is left at this moment: all of them once the minute is over."""
        over = self.begins_again is not None and now >= self.begins_again
        return max(0, self.limit - self.in_flight) if over else self.left

    def take(self, now: float) -> float:
        """0.0 and one request is counted, or the seconds to wait before asking again."""
        if now < self.not_before:
            return self.not_before - now
        if self.begins_again is None or now >= self.begins_again:
            self.sent = self.in_flight
            self.begins_again, self.guessed = now + MINUTE + MARGIN, True
        if self.sent >= self.limit:
            return self.begins_again - now
        self.sent += 1
        self.in_flight += 1
        return 0.0

    def answered(self, now: float, figures: Figures = _NONE) -> None:
        """An answer came (or the request failed: no figures), with what its headers say."""
        self.in_flight = max(0, self.in_flight - 1)
        if figures.allowed:
            self.allowed = figures.allowed
        if figures.count is None or figures.reset is None:
            return
        begins_again = now + figures.reset + MARGIN
        if self.begins_again is None or begins_again > self.begins_again + 5 * MARGIN:
            # The server has begun a new minute before we did: what it counted, and what is on its way to it.
            self.sent = figures.count + self.in_flight
            self.begins_again = begins_again
        else:
            # Whole seconds, rounded up: of what one minute's answers say, the earliest is the nearest.
            self.sent = max(self.sent, figures.count)
            if not self.guessed:
                begins_again = min(self.begins_again, begins_again)
        self.begins_again, self.guessed = begins_again, False

    def refused(self, now: float, retry_after: float) -> None:
        """A 429: nothing is sent for so many seconds."""
        self.not_before = max(self.not_before, now + retry_after)
