"""The gate: whether an interval is all proven, and why not, from the ledger's windows. Pure.

It says yes only to what the verdicts say: each moment of the interval lies in a window that is `complete` (where that
is asked for, `settled`), and none of the interval's conversations goes on. `open` is no yes, because rows of what goes
on are still to come. Of windows that overlap, a proof stands unless a window that is no wider has failed since: what a
wide interval could not bring says nothing of the windows inside it that were read by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from reconcile.report import title
from reconcile.window import WRONG_CLOCK
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables.readiness import Evidence, WindowClaim
from rollbook.store.vocabulary import Verdict

# So many reasons are given at most: of a year that nobody has read, one says as much as a thousand.
MOST_REASONS: Final = 20
# Of several windows that touch a moment and do not prove it, the one whose verdict says most of why.
_TELLING: Final = (Verdict.FAILED, Verdict.OPEN, Verdict.COMPLETE, Verdict.SETTLED, Verdict.DUE, Verdict.PENDING)


class Stretch(NamedTuple):
    """A stretch of time that is not proven. window: the window that says why; None where the ledger has none."""

    start: str
    end: str
    window: WindowClaim | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The answer of the gate. The reasons are sentences, in order of time; there are none where it is ready."""

    interval: Interval
    ready: bool
    settled: bool
    complete_until: str | None
    settled_until: str | None
    reasons: tuple[str, ...]
    filter: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As `rollbook ready --json` and `GET /ready` show it."""
        start, end = self.interval.texts
        found: dict[str, Any] = {"interval": {"start": start, "end": end}, "ready": self.ready, "settled": self.settled}
        found |= {"complete_until": self.complete_until, "settled_until": self.settled_until}
        return found | {"reasons": list(self.reasons)} | ({"filter": self.filter} if self.filter else {})


def judge(
    interval: Interval, known: Evidence, now: datetime, *, settled: bool, filter: str = "", ended_only: bool = False
) -> Readiness:
    """Decide whether all of an interval is proven.

    known: of the windows that were read with this filter. settled: it must be settled, too. ended_only: what goes on
    was left out when it was read, so that a window has everything only once it is settled.
    """
    strict = settled or ended_only
    stretches = unproven(known.windows, interval.texts, now, settled=strict)
    reasons = [_reason(stretch, now, settled=settled) for stretch in stretches]
    going_on = [start for start in known.going_on if interval.contains(start)]
    if not reasons and going_on:
        those = count(len(going_on), "conversation that started in it goes", "conversations that started in it go")
        reasons = [f"{title(Interval(from_text(going_on[0]), interval.end))}: {those} on"]
    if interval.end > now:
        reasons.append(f"{title(interval)}: it has not ended yet")
    if (more := len(reasons) - MOST_REASONS) > 0:
        reasons[MOST_REASONS:] = [f"and {count(more, 'more stretch', 'more stretches')} of it"]
    if filter:
        known = known._replace(
            complete_until=until(known, now, settled=ended_only), settled_until=until(known, now, settled=True)
        )
    return Readiness(
        interval=interval,
        ready=not reasons,
        settled=settled,
        complete_until=known.complete_until,
        settled_until=known.settled_until,
        reasons=tuple(reasons),
        filter=filter,
    )


def until(known: Evidence, now: datetime, *, settled: bool) -> str | None:
    """The time until which all is proven, from `known.since` on; None where nothing is. known: of all windows."""
    if known.since is None or not known.windows:
        return None
    end = max(window.end for window in known.windows)
    first = next(unproven(known.windows, (known.since, max(end, known.since)), now, settled=settled), None)
    reached = end if first is None else first.start
    reached = min([reached, *(start for start in known.going_on if start >= known.since)])
    return reached if reached > known.since else None


def unproven(
    windows: Sequence[WindowClaim], within: tuple[str, str], now: datetime, *, settled: bool
) -> Iterator[Stretch]:
    """The stretches of [start, end) that are not proven, in order. windows: in order of their starts."""
    begin, end = within
    latest = to_text(now + WRONG_CLOCK)
    bounds = {begin, end, *(bound for window in windows for bound in window[:2] if begin < bound < end)}
    ordered = sorted(bounds)
    open_stretch: Stretch | None = None
    touching: list[WindowClaim] = []
    at = 0
    for opened, closed in pairwise(ordered):
        touching = [window for window in touching if window.end > opened]
        while at < len(windows) and windows[at].start <= opened:
            if windows[at].end > opened:
                touching.append(windows[at])
            at += 1
        if _is_proven(touching, latest, settled=settled):
            if open_stretch is not None:
                yield open_stretch
            open_stretch = None
            continue
        window = min(touching, key=_telling, default=None)
        if open_stretch is not None and _says_the_same(open_stretch.window, window):
            open_stretch = open_stretch._replace(end=closed)
            continue
        if open_stretch is not None:
            yield open_stretch
        open_stretch = Stretch(opened, closed, window)
    if open_stretch is not None:
        yield open_stretch


def _is_proven(touching: Sequence[WindowClaim], latest: str, *, settled: bool) -> bool:
    """Tell whether one of the windows that touch a moment proves it, and nothing stands against that."""
    failed = [window for window in touching if window.verdict == Verdict.FAILED]
    return any(
        _proves(window, latest, settled=settled) and not any(_stands_against(other, window) for other in failed)
        for window in touching
    )


def _proves(window: WindowClaim, latest: str, *, settled: bool) -> bool:
    """Tell whether a window is proven as far as asked; what a wrong clock has read is not believed."""
    enough = window.verdict == Verdict.SETTLED or (window.verdict == Verdict.COMPLETE and not settled)
    return enough and window.last_read_at is not None and window.end <= window.last_read_at <= latest


def _stands_against(failed: WindowClaim, proof: WindowClaim) -> bool:
    """Tell whether a window that failed takes away what it shares with a proof."""
    return (failed.last_run_at or "9") >= (proof.last_read_at or "") and _length(failed) <= _length(proof)


def _length(window: WindowClaim) -> float:
    return (from_text(window.end) - from_text(window.start)).total_seconds()


def _telling(window: WindowClaim) -> tuple[int, float]:
    return _TELLING.index(window.verdict), _length(window)


def _says_the_same(first: WindowClaim | None, second: WindowClaim | None) -> bool:
    """Tell whether two windows give the same reason: that of a window that failed is its own."""
    if first is None or second is None:
        return first is second
    return first.verdict == second.verdict and (first == second or first.verdict != Verdict.FAILED)


def _reason(stretch: Stretch, now: datetime, *, settled: bool) -> str:
    where = title(Interval(from_text(stretch.start), from_text(stretch.end)))
    return f"{where}: {_why(stretch.window, now, settled=settled)}"


def _why(window: WindowClaim | None, now: datetime, *, settled: bool) -> str:
    if window is None:
        return "no window of the ledger has it"
    match window.verdict:
        case Verdict.PENDING:
            return "pending, not over for long enough to be read"
        case Verdict.DUE:
            return "due, and not read yet"
        case Verdict.OPEN:
            return "open, because some of its conversations go on"
        case Verdict.FAILED:
            again = f"; tried again from {window.next_try_at}" if window.next_try_at else ""
            return f"failed, {window.reason or 'no reason kept'}{again}"
    if window.last_read_at is None or not window.end <= window.last_read_at <= to_text(now + WRONG_CLOCK):
        return f"{window.verdict}, but read at a time that cannot be right: {window.last_read_at or 'none is kept'}"
    return "complete, and not settled yet" if settled else "complete, but what went on was left out (ended_only)"
