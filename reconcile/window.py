"""Windows as values: the grid they lie on, when one may be read, what a reading makes of it. Pure.

It decides verdicts from facts that others bring; it does not know how a window is read or where its row is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.vocabulary import Verdict

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The longest that an organisation can keep conversations (reference, section 5: 90 days to five years).
RETENTION: Final = timedelta(days=5 * 365 + 2)

# The nightly reprocessing takes hours, and each conversation in the second night after its third day at the latest: a
# hundred hours after its end. Of the default of 120, that leaves more than this.
LATE_END: Final = timedelta(hours=12)
# So far apart are two readings at least that are two witnesses.
SECOND_WITNESS: Final = timedelta(hours=1)
# A read that claims to be this much later than now was made while the clock was wrong.
WRONG_CLOCK: Final = timedelta(minutes=5)

_encode: Final = msgspec.json.Encoder(order="sorted").encode


def grid_window(moment: datetime, width: timedelta) -> Interval:
    """The window of the grid that `moment` lies in. The grid begins with the epoch, so every process has the same."""
    start = EPOCH + (moment - EPOCH) // width * width
    return Interval(start, start + width)


def grid_windows(start: datetime, end: datetime, width: timedelta) -> Iterator[Interval]:
    """The windows of the grid that touch [start, end), in order."""
    window = grid_window(start, width)
    while window.start < end:
        yield window
        window = Interval(window.end, window.end + width)


def windows_inside(interval: Interval, width: timedelta) -> list[Interval]:
    """The windows of the grid that lie wholly inside an interval."""
    return [
        window
        for window in grid_windows(interval.start, interval.end, width)
        if interval.start <= window.start and window.end <= interval.end
    ]


def hull(windows: Sequence[Interval]) -> Interval:
    """The interval from the first start to the last end."""
    return Interval(min(window.start for window in windows), max(window.end for window in windows))


def is_closed(window: Interval, now: datetime, lag: timedelta) -> bool:
    """True where a window ended long enough ago for the platform to have indexed what started in it."""
    return window.end + lag <= now


def is_aged(end: datetime, read_at: datetime, settle_after: timedelta) -> bool:
    """True for a read that came after the platform's nightly reprocessing of what started before `end`."""
    return end + settle_after <= read_at


def is_late_enough(end: datetime, last_ended: datetime | None, read_at: datetime, settle_after: timedelta) -> bool:
    """True for a read after the platform's reprocessing of the last conversation of the window that ends at `end`.

    That takes each conversation some two days after it has ended: the time counts from the end of the window, or
    (nearly) from the last end of its conversations. last_ended: that end. After the read it is an error of a clock, and
    counts as the read.
    """
    settles = end if last_ended is None else max(end, min(last_ended, read_at) - LATE_END)
    return is_aged(settles, read_at, settle_after)


def is_second_witness(first_read_at: str | None, read_at: datetime) -> bool:
    """True for a reading far enough from the first reading to be another witness (CONTRACT, "Verdicts of a window")."""
    return first_read_at is not None and from_text(first_read_at) + SECOND_WITNESS <= read_at


def verdict_of(*, consistent: bool, going_on: int, within_lag: bool, may_settle: bool) -> Verdict:
    """The verdict that a reading gives a window.

    going_on: owned conversations whose details have no end, stuck ones left out. within_lag: it was read before the
    platform had the time to index it, so that it still waits to be read. may_settle: it was read after the platform's
    reprocessing, and well before, too.
    """
    if not consistent:
        return Verdict.FAILED
    if within_lag:
        return Verdict.PENDING
    if going_on:
        return Verdict.OPEN
    return Verdict.SETTLED if may_settle else Verdict.COMPLETE


def check_kept(interval: Interval, now: datetime, *, since: bool = False) -> None:
    """Raise UsageError for an interval so old that the platform may have forgotten it: "nothing" would prove nothing.

    To be asked of an answer without rows; what it still answers is as good as ever. since: the configured beginning.
    """
    oldest = now - RETENTION
    if (interval.start if since else interval.end) <= oldest:
        what = f"[reconcile] since = {to_text(interval.start)}" if since else f"the interval {interval.text}"
        raise UsageError(
            f"{what} lies before the platform's retention: it keeps conversations for five years at most (now since"
            f" {to_text(oldest)[:10]}), so an empty answer would prove nothing; choose a later one"
        )


def filter_key(filter: Mapping[str, Any] | None, *, ended_only: bool) -> str:
    """The ledger's name for a filter; "" where everything is read."""
    parts = {name: members for name, members in (filter or {}).items() if members}
    return _encode(parts | ({"endedOnly": True} if ended_only else {})).decode() if parts or ended_only else ""


# The platform's own recommendation for those who want finished conversations only.
ENDED: Final[Mapping[str, Any]] = {
    "type": "and",
    "predicates": [{"type": "dimension", "dimension": "conversationEnd", "operator": "exists"}],
}


def query_filters(filter: Mapping[str, Any] | None, *, ended_only: bool) -> dict[str, list[Any]]:
    """The filter members of a query or a job. Several filters in one list must all hold."""
    members = {name: list(value) for name, value in (filter or {}).items() if value}
    if ended_only:
        members.setdefault("conversationFilters", []).append(ENDED)
    return members
