"""Limit of the requests that a token may make in a minute, and the headers that the platform sends about it.

Pure: the time comes in as seconds of any clock that only goes forward. The window is fixed and begins with the first
request after the last one ended (assumed from a recorded answer: count 1, reset 61).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rollbook.simulator.rest.errors import Refusal


@dataclass(frozen=True)
class Spent:
    """Where a token stands. reset: seconds until its window ends."""

    count: int
    allowed: int
    reset: int

    @property
    def over(self) -> bool:
        return self.count > self.allowed

    def headers(self) -> dict[str, str]:
        """As they go with every answer of the API."""
        return {
            "inin-ratelimit-count": str(self.count),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(self.reset),
        }


class RateLimit:
    """The counters of all tokens. allowed: requests in a window; may be changed at any time."""

    def __init__(self, allowed: int = 300, seconds: float = 60.0) -> None:
        self.allowed, self._seconds = allowed, seconds
        self._windows: dict[str, tuple[float, int]] = {}  # token: when its window began, requests in it

    def spend(self, token: str, now: float) -> Spent:
        """Count one request."""
        began, count = self._windows.get(token, (now, 0))
        if now - began >= self._seconds:
            began, count = now, 0
        self._windows[token] = began, count + 1
        return Spent(count + 1, self.allowed, math.ceil(began + self._seconds - now) + 1)


def too_many(seconds: int) -> Refusal:
    """429, to be tried again after so many seconds."""
    return Refusal(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        headers={"Retry-After": str(seconds)},
    )
