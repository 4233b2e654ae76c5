"""`rollbook ready`: the answer of the gate, from the store alone; with `--wait`, once it is yes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from reconcile.gate import Readiness, judge
from reconcile.report import title
from reconcile.window import filter_key
from rollbook.genesys.errors import UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted
from rollbook.genesys.times import Interval, parse_duration, parse_interval
from rollbook.store.book import Book
from rollbook.store.tables import readiness

NOT_READY: Final = 3
# Seconds between two looks while waiting: verdicts change a few times an hour.
_AGAIN: Final = 5.0


def ready(interval: str, settled: bool, wait: str | None, settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> int:
        patience = _duration(wait)
        # What ends while it is waited for can be asked for now.
        wanted = parse_interval(interval, now=datetime.now(UTC) + patience)
        found = _wait(lambda: _look(wanted, settings, settled=settled), patience)
        console.show(as_json, found.as_dict, lambda: lines(found))
        return 0 if found.ready else NOT_READY

    console.run(work, as_json=as_json)


def _duration(text: str | None) -> timedelta:
    try:
        return timedelta(0) if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None


def _wait(look: Callable[[], Readiness], patience: timedelta) -> Readiness:
    ends = time.monotonic() + patience.total_seconds()
    while not (found := look()).ready and (left := ends - time.monotonic()) > 0:
        time.sleep(min(_AGAIN, left))
    return found


def _look(interval: Interval, settings: Settings, *, settled: bool) -> Readiness:
    key = filter_key(settings.filter, ended_only=settings.ended_only)
    # Opened for each look: while it is waited, another file may have been put in the store's place.
    with Book.open(settings.store_path, mode="ro") as book:
        known = book.read_now(readiness.evidence, *interval.texts, key)
    return judge(interval, known, datetime.now(UTC), settled=settled, filter=key, ended_only=settings.ended_only)


def lines(found: Readiness) -> Iterator[str]:
    """The answer in words, none longer than 80 columns."""
    what = "settled" if found.settled else "complete"
    yield f"{title(found.interval)}: {f'ready, {what}' if found.ready else f'not ready (not all {what})'}"
    for reason in found.reasons:
        yield from fitted([f"  {reason}"], indent=4)
    for name, moment in (("complete", found.complete_until), ("settled", found.settled_until)):
        yield f"{name:<8} until {moment or 'nowhere yet'}"
    if found.filter:
        yield from fitted([f"(of what this filter lets through alone: {found.filter})"], indent=2)
