"""The plan of what is due: from the ledger's rows, the time and the settings to the windows to read now. Pure.

A window is forgotten never: whatever lies between the beginning (the first start of capture, a configured date, or the
first run that was asked for what is due) and now is either proven, on its way, or in this plan. Rows of another width
than the one that is set count by the time that they cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from reconcile.failed_windows import LONGEST_RETRY
from reconcile.window import WRONG_CLOCK, grid_window, is_aged, is_closed, is_second_witness
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables.windows import GIVEN_UP, WindowRow
from rollbook.store.vocabulary import PROVEN, WAITING, Verdict

Why = Literal["first", "again", "settle"]
# What is planned first. New windows before old troubles, and proofs before second looks.
_ORDER: Final = {"first": 0, "again": 1, "settle": 2}
# For so long it is believed that queries are answered with whole days, since the last answer that showed it.
DAYS_KNOWN: Final = timedelta(days=2)
# Where every query is answered with its whole day, a day that is not over is read this often, not with each window.
DAY_AGAIN: Final = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Due:
    """A window that should be read now, and why: for the first time, after a failure, or to settle it."""

    window: Interval
    why: Why


@dataclass(frozen=True, slots=True)
class DuePlan:
    """due: what to read, the most urgent first. waiting: windows that the ledger should show, with their verdicts.

    superseded: windows that nobody has read and nobody will, for they are of a width that is not set any more. since:
    from when on every window must be proven.
    """

    due: tuple[Due, ...]
    waiting: tuple[tuple[Interval, Verdict], ...]
    superseded: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None


def interval_of(row: WindowRow) -> Interval:
    """A row's interval."""
    return Interval(from_text(row.start), from_text(row.end))


def beginning(rows: Sequence[WindowRow], now: datetime, settings: Settings, capture_since: str | None) -> datetime:
    """From when on every window must be proven.

    Without capture and without a date it is the last closed window, from then on remembered by the rows of windows
    that wait. A window read by hand long ago begins nothing.
    """
    starts = [from_text(row.start) for row in rows if row.verdict in WAITING]
    if settings.since is not None:
        starts.append(settings.since)
    elif capture_since is not None:
        starts.append(from_text(capture_since))
    last_closed = grid_window(now - settings.lag, settings.width).start - settings.width
    return min([*starts, last_closed])


def plan(
    rows: Sequence[WindowRow],
    now: datetime,
    settings: Settings,
    *,
    capture_since: str | None = None,
    covered: Iterable[Interval] | None = None,
    lost_before: datetime | None = None,
) -> DuePlan:
    """Plan what is due at `now`. rows: the ledger's, of one filter, or as many of them as `Book.ledger_view` answers.

    covered: the time that the ledger's proven rows cover; None is that of `rows`. lost_before: what began earlier is
    deleted by the platform, as the store has noted: what is proven of that is not read again.
    """
    start = beginning(rows, now, settings, capture_since)
    superseded = {(row.start, row.end) for row in rows if _is_superseded(row, settings.width)}
    rows = [row for row in rows if (row.start, row.end) not in superseded]
    proven = {(row.start, row.end): row for row in rows if row.verdict in PROVEN}
    given_up = [interval_of(row) for row in rows if is_given_up(row)]
    cover = _Cover([*(map(interval_of, proven.values()) if covered is None else covered), *given_up])
    unproven = {(row.start, row.end) for row in rows} - proven.keys()
    fresh = [
        window for window in cover.left_of(grid_window(start, settings.width), now) if window.texts not in unproven
    ]
    due = [Due(window, "first") for window in fresh if is_closed(window, now, settings.lag)]
    for row in rows:
        why = _why(row, now, settings)
        is_lost = lost_before is not None and from_text(row.start) < lost_before
        if why is not None and not (why == "settle" and (is_lost or _settles_with(row, proven))):
            due.append(Due(interval_of(row), why))
    waiting: list[tuple[Interval, Verdict]] = [
        (window, Verdict.DUE if is_closed(window, now, settings.lag) else Verdict.PENDING) for window in fresh
    ]
    waiting += [
        (window, Verdict.PENDING) for window in _next_of(cover, now, settings.width, rows) if window not in fresh
    ]
    pending = [interval_of(row) for row in rows if row.verdict == Verdict.PENDING]
    waiting += [(window, Verdict.DUE) for window in pending if is_closed(window, now, settings.lag)]
    return DuePlan(tuple(sorted(due, key=_urgency)), tuple(waiting), tuple(sorted(superseded)), start)


def is_given_up(row: WindowRow) -> bool:
    """True for a window that nobody can prove any more, since the platform has deleted what was in it."""
    return row.verdict == Verdict.FAILED and row.reason == GIVEN_UP


class KeptPlan(NamedTuple):
    """A plan of what the platform keeps. lost: what is to be given up; doubtful: what only one answer calls deleted."""

    planned: DuePlan
    lost: list[Interval]
    doubtful: list[Interval]


def of_what_is_kept(
    planned: DuePlan, rows: Sequence[WindowRow], kept_since: datetime, lost_before: datetime
) -> KeptPlan:
    """The plan without what begins before the platform's retention.

    What is proven stays as it is, and is not read again. What is not will never be: a window that the ledger has is
    given up by itself, the others stretch by stretch. lost_before: what began earlier is deleted for good.
    """
    old = [item for item in planned.due if item.window.start < kept_since]
    if not old:
        return KeptPlan(planned, [], [])
    known = {(row.start, row.end) for row in rows}
    unproven = [item.window for item in old if item.why != "settle"]
    lost = [window for window in unproven if window.start < lost_before]
    doubtful = [window for window in unproven if window.start >= lost_before]
    named = [window for window in lost if window.texts in known]
    stretches: list[Interval] = []
    for window in sorted(window for window in lost if window.texts not in known):
        if stretches and stretches[-1].end == window.start:
            stretches[-1] = Interval(stretches[-1].start, window.end)
        else:
            stretches.append(window)
    due = tuple(item for item in planned.due if item.window.start >= kept_since)
    waiting = tuple(item for item in planned.waiting if item[0].start >= kept_since)
    return KeptPlan(replace(planned, due=due, waiting=waiting), [*named, *stretches], doubtful)


def _next_of(cover: _Cover, now: datetime, width: timedelta, rows: Sequence[WindowRow]) -> list[Interval]:
    """The first window from now on that nobody has read, unless the ledger shows that it waits.

    It remembers the beginning: where the clock ran ahead, all time until now, and more, has been read already, and
    without a window that waits the next plan would begin with the last closed window of its own time.
    """
    verdicts = {(row.start, row.end): row.verdict for row in rows if row.verdict not in PROVEN}
    for window in cover.left_of(grid_window(now, width), now + _AHEAD):
        verdict = verdicts.get(window.texts)
        if verdict != Verdict.FAILED:
            return [window] if verdict is None else []
    return []


# A clock that was further ahead than that is one that nobody can plan with.
_AHEAD: Final = timedelta(days=3660)


def _is_superseded(row: WindowRow, width: timedelta) -> bool:
    """True for a row that only waits, as a plan of another width noted it, and that nobody has asked for."""
    if row.verdict not in WAITING or row.attempts:
        return False
    interval = interval_of(row)
    return interval != grid_window(interval.start, width)


def _settles_with(row: WindowRow, proven: Mapping[tuple[str, str], WindowRow]) -> bool:
    """True where a wider window, whose proof this one has taken over, is about to be settled, and this one with it.

    One that is held open by a conversation of another of its windows, or that cannot be settled, is not waited for.
    """
    if not row.proven_by:
        return False
    start, _, end = row.proven_by.partition("/")
    parent = proven.get((start, end))
    return parent is not None and parent.verdict == Verdict.COMPLETE and parent.next_try_at is None


def _why(row: WindowRow, now: datetime, settings: Settings) -> Why | None:
    window = interval_of(row)
    # What was read while the clock ran ahead, perhaps before it had closed, has not been read.
    is_of_the_future = row.last_read_at is not None and from_text(row.last_read_at) > now + WRONG_CLOCK
    if is_of_the_future or row.verdict in WAITING:
        return "first" if is_closed(window, now, settings.lag) else None
    if is_given_up(row):
        return None
    if row.verdict == Verdict.FAILED:
        return "again" if _may_be_tried(row, now) else None
    if row.verdict == Verdict.COMPLETE and is_aged(window.end, now, settings.settle_after):
        return "settle" if _may_be_tried(row, now) and is_second_witness(row.last_read_at, now) else None
    return None


def _may_be_tried(row: WindowRow, now: datetime) -> bool:
    """True once the pause after a failure is over. A longer pause than any was set by a clock that ran ahead."""
    if row.next_try_at is None:
        return True
    again = from_text(row.next_try_at)
    return again <= now or again > now + 2 * LONGEST_RETRY


def _urgency(due: Due) -> tuple[int, float]:
    """New windows newest first, so that what is looked at is right first; what is to be settled, oldest first."""
    at = due.window.start.timestamp()
    return _ORDER[due.why], at if due.why == "settle" else -at


class _Cover:
    """The time that intervals cover together."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._stretches: list[list[datetime]] = []
        for interval in sorted(intervals):
            if self._stretches and interval.start <= self._stretches[-1][1]:
                self._stretches[-1][1] = max(self._stretches[-1][1], interval.end)
            else:
                self._stretches.append([interval.start, interval.end])

    def left_of(self, window: Interval, until: datetime) -> Iterator[Interval]:
        """The windows of the grid, from this one on, that start before `until` and lie wholly inside no stretch."""
        width, at = window.end - window.start, 0
        while window.start < until:
            while at < len(self._stretches) and self._stretches[at][1] < window.end:
                at += 1
            if at < len(self._stretches) and self._stretches[at][0] <= window.start:
                # Years that are covered are not walked window by window.
                window = grid_window(self._stretches[at][1], width)
                continue
            yield window
            window = Interval(window.end, window.end + width)


def by_days(due: Sequence[Due]) -> list[list[Due]]:
    """Windows that one reading can prove together: of one UTC day, of one kind, without a hole between them.

    In the order of their most urgent member.
    """
    groups: list[list[Due]] = []
    for item in sorted(due, key=lambda item: (_ORDER[item.why], item.window)):
        last = groups[-1][-1] if groups else None
        together = (
            last is not None
            and last.why == item.why
            and last.window.end == item.window.start
            and last.window.start.date() == item.window.start.date()
            and (item.window.end - timedelta(milliseconds=1)).date() == item.window.start.date()
        )
        if together:
            groups[-1].append(item)
        else:
            groups.append([item])
    rank = {item.window: position for position, item in enumerate(due)}
    return sorted(groups, key=lambda group: min(rank[item.window] for item in group))


def answers_days(rows: Iterable[WindowRow]) -> bool:
    """True where the platform has lately answered a query with whole days, whatever was asked for.

    An answer that keeps to its interval is no sign of the contrary: perhaps there was nothing else on that day.
    """
    read = [row for row in rows if row.last_run_at is not None and row.reading in ("interval", "day")]
    newest = max((row.last_run_at or "" for row in read), default=None)
    if newest is None:
        return False
    lately = to_text(from_text(newest) - DAYS_KNOWN)
    return any(row.reading == "day" and (row.last_run_at or "") >= lately for row in read)


def put_off(groups: Iterable[list[Due]], rows: Iterable[WindowRow], now: datetime, lag: timedelta) -> list[list[Due]]:
    """The groups without what has closed in a day that is not over since that day was read, a short while ago.

    For where every query is answered with the whole day: else it would be read with each of its windows.
    """
    today = to_text(now)[:10]
    read = [row.last_run_at for row in rows if row.last_run_at is not None and row.start[:10] == today]
    last = max((read_at for read_at in read if read_at <= to_text(now)), default="")
    if last <= to_text(now - DAY_AGAIN):
        return list(groups)
    return [group for group in groups if not all(_since(due, today, last, lag) for due in group)]


def _since(due: Due, today: str, last: str, lag: timedelta) -> bool:
    closed = to_text(due.window.end + lag)
    return due.why == "first" and to_text(due.window.start)[:10] == today and closed > last
