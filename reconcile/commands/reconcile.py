"""The command `reconcile`, which is also `rollbook reconcile` and `python -m reconcile`.

It reads its words, puts API and store together, shows how far a run is, and prints what was found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconcile.due.rounds import AT_ONCE, Round, narrowed, run_due
from reconcile.names.without_daemon import keep_names
from reconcile.reading.query import Stopped
from reconcile.report import DueReport, Report, due_lines, lines, title
from reconcile.run import options, runner
from reconcile.run.options import AskedVia, Show
from reconcile.run.progress import Meter
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.request import counting
from rollbook.genesys.errors import Interrupted, UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings, check_filter
from rollbook.genesys.times import Interval, check_ended, parse_interval
from rollbook.store.book import Book
from rollbook.store.file.connections import is_there
from rollbook.store.organization_book import book_of

if TYPE_CHECKING:
    from rich.progress import Progress

# The platform's time is known in whole seconds, and to the time that an answer takes.
_WHOLE_SECONDS: Final = timedelta(seconds=2)
# Seconds by which this machine's clock may differ from the platform's without a word.
_WRONG: Final = 30.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """The options of a command line. window: None for `--due`."""

    window: Interval | None
    settings: Settings
    options: Round
    as_json: bool


def reconcile(
    *,
    interval: str | None,
    due: bool,
    dry_run: bool,
    via: AskedVia,
    ended_only: bool,
    filter_file: Path | None,
    wait: float,
    settings: Settings,
    as_json: bool,
) -> None:
    async def work() -> int:
        if (interval is None) == (not due):
            raise UsageError("give either --window INTERVAL or --due")
        words = CommandLine(
            # Whether it has ended is the platform's to say; what is a day ahead has not, whatever this clock is worth.
            window=None if interval is None else parse_interval(interval, now=datetime.now(UTC) + timedelta(days=1)),
            settings=narrowed(settings, ended_only=ended_only, filter=_filter(filter_file)),
            options=Round(command="due" if due else "manual", via=via, dry_run=dry_run, wait=wait, at_once=AT_ONCE),
            as_json=as_json,
        )
        words.settings.require_platform()
        try:
            return await _read(words)
        except (Stopped, asyncio.CancelledError):
            raise _interrupted(words) from None

    console.run(work(), as_json=as_json)


def _filter(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        return check_filter(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"--filter {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--filter {path}: {error}") from None


def _interrupted(words: CommandLine) -> Interrupted:
    return Interrupted("interrupted" if words.options.dry_run else "interrupted; run it again to go on where it was")


async def _read(words: CommandLine) -> int:
    async with _stop() as stop, Api(words.settings) as api, _asked(words, api) as (book, spent):
        stop.heeded = True
        with _progress(shown=not words.as_json and console.err.is_terminal) as show:
            report = await _run(words, api, book, stop, show, spent)
        # Once the bar has gone: it leaves the cursor at its own end, and a report would begin there.
        console.show(words.as_json, report.as_dict, lambda: _lines(report))
        if words.window is None and stop.is_set():
            # The report has been answered: with --json nothing may follow it on standard output.
            console.end_with(_interrupted(words), as_json=False)
        return report.exit_status


def _lines(report: Report | DueReport) -> Iterator[str]:
    return lines(report) if isinstance(report, Report) else due_lines(report)


async def _run(
    words: CommandLine, api: Api, book: Book | None, stop: asyncio.Event, show: Show, spent: int
) -> Report | DueReport:
    how = replace(words.options, progress=show, stop=stop, spent=spent)
    if words.window is None:
        report = await run_due(book, api, words.settings, now=api.now, how=how)
        # A round that did not come to its end has met trouble, which names would meet again.
        if book is not None and not how.dry_run and not report.left:
            await keep_names(book, api, now=api.now, stop=stop)
        return report
    meter = Meter(1, time.monotonic, api.requests_left)
    how = replace(how, progress=lambda at: show(meter.of_the_whole(at)))
    return await runner.reconcile_window(book, api, words.window, settings=words.settings, now=api.now, options=how)


@contextlib.asynccontextmanager
async def _asked(words: CommandLine, api: Api) -> AsyncIterator[tuple[Book | None, int]]:
    """The store of the organisation that the token belongs to, and how many requests it took to know that.

    It is made if need be; a dry run opens it for reading, and does without if there is none.
    """
    with counting() as count:
        organization = await api.organization()
    if api.clock_skew is not None and abs(api.clock_skew) > _WRONG:
        ahead = "ahead of" if api.clock_skew > 0 else "behind"
        log.warning(
            "this machine's clock is %s %s the platform's, by which windows close; set it right",
            timedelta(seconds=round(abs(api.clock_skew))),
            ahead,
        )
    if words.window is not None:
        check_ended(words.window, api.now() + _WHOLE_SECONDS)
    dry_run = words.options.dry_run
    if dry_run and not is_there(words.settings.store_path):
        yield None, count.requests
        return
    async with book_of(organization, words.settings, command="reconcile", mode="ro" if dry_run else "rw") as book:
        yield book, count.requests


class _Stop(asyncio.Event):
    """heeded: a run looks at it. Until then, during sign-in say, nothing is under way that would have to be stored."""

    heeded = False


@contextlib.asynccontextmanager
async def _stop() -> AsyncIterator[_Stop]:
    """Set by SIGINT and SIGTERM: the page under way is stored, then the run ends. A second one ends it at once."""
    stop = _Stop()
    ours = asyncio.current_task()

    def ask() -> None:
        if ours is not None and (stop.is_set() or not stop.heeded):
            ours.cancel()
        stop.set()

    with console.on_signals({signal.SIGINT: ask, signal.SIGTERM: ask}):
        yield stop


@contextlib.contextmanager
def _progress(*, shown: bool) -> Iterator[Show]:
    """A bar on a terminal; nothing anywhere else."""
    if not shown:
        yield lambda _: None
        return
    # Imported where it is needed: a run that nobody watches is lighter without it.
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=16), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console.err, transient=True) as bar:
        yield _shower(bar)


def _shower(bar: Progress) -> Callable[[options.Progress], None]:
    row = bar.add_task("reading", total=None, pace="")

    def show(at: options.Progress) -> None:
        again = f" pass {at.passes}" if at.passes > 1 else ""
        if at.windows > 1:
            bar.update(
                row,
                description=f"{at.done:,} of {at.windows:,} windows",
                completed=at.done,
                total=at.windows,
                pace=pace(at),
            )
            return
        total = at.expected if at.expected is None else max(at.expected, at.rows)
        bar.update(row, description=f"{title(at.window)}{again}", completed=at.rows, total=total, pace=pace(at))

    return show


def pace(at: options.Progress) -> str:
    """The rate, the requests that are left in this minute, and the time to go."""
    words = [f"{at.rate:,.0f}/s"] if at.rate else []
    if at.requests_left is not None:
        words.append(f"{at.requests_left} requests left")
    if at.to_go is not None:
        words.append(f"{timedelta(seconds=round(at.to_go))} to go")
    return ", ".join(words)
