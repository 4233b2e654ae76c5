"""Rules for asking again: after what, and when. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

# Worth asking again: the moment was wrong, not the request. (The official SDKs take 429, 502, 503 and 504; 408 and 500
# are declared by the endpoints, and a query changes nothing.)
STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
# Gateways have numbers of their own beyond 504 (520 to 530); what was never built will not be there in a minute either.
_NEVER: Final = frozenset({501, 505})
# Of a request that must not be made twice, only those that say that it was not taken.
NOT_TAKEN: Final = frozenset({429, 503})
TRIES: Final = 6
FIRST: Final = 1.0  # seconds
LONGEST: Final = 30.0
# The official SDKs wait for no Retry-After beyond three minutes: that is a daily limit, not a burst.
RETRY_AFTER: Final = 180.0
# All waits of one request together.
PATIENCE: Final = 300.0


def passes(status: int) -> bool:
    """Tell whether to ask again after an answer of this status."""
    return status in STATUSES or (status >= 500 and status not in _NEVER)


def wait(
    attempt: int, *, retry_after: float | None, draw: Callable[[], float], waited: float = 0.0, tries: int = TRIES
) -> float | None:
    """Seconds to wait after try number `attempt` (from 1) has failed; None: give up.

    Doubling from a second to thirty, of which a random half is taken off, so that many clients do not come back
    together. A Retry-After is obeyed (plus up to a second). draw: uniform in [0, 1). waited: seconds waited for this
    request so far.
    """
    if attempt >= tries or (retry_after is not None and retry_after > RETRY_AFTER):
        return None
    if retry_after is not None:
        seconds = retry_after + draw()
    else:
        seconds = min(LONGEST, FIRST * 2.0 ** (attempt - 1)) * (0.5 + draw() / 2)
    return seconds if waited + seconds <= PATIENCE else None


@dataclass(slots=True)
class Outage:
    """Memory for the log of many tries: that they began to fail, and that there are answers again."""

    failures: int = 0  # since the last proper answer, of all requests

    def failed(self) -> int:
        """At which level to tell of a try that failed: the first is news, those after it are details."""
        self.failures += 1
        return logging.INFO if self.failures == 1 else logging.DEBUG

    def over(self) -> bool:
        """There was a proper answer: whether that is news, because tries were passed over."""
        news, self.failures = self.failures > 1, 0
        return news


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """The seconds of a `Retry-After`, or of the rate limit's reset on a 429 without one."""
    for name in ("retry-after", "inin-ratelimit-reset") if status == 429 else ("retry-after",):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if seconds >= 0:  # no NaN either
            return seconds
    return None
