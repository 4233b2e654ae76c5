"""`rollbook demo`: the main job in under a minute, on a simulated organisation whose clock runs fast.

It uses the daemon and the reconciler as they are; only the organisation and the clock are simulated. Its numbers are
counted in the store and in the organisation's truth, and both are compared record by record. Then a day of calls, in
`demo_call_quality`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from rich.table import Table

from realtime.commands.demo_call_quality import Counted, QualityDay, quality_day
from realtime.daemon.daemon import Daemon, Options
from realtime.websocket.channel_states import Timings
from reconcile.names.refresh import refresh as refresh_names
from reconcile.patience import RunClock
from reconcile.report import Report
from reconcile.run.follow_up import follow
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.file.connections import is_there
from rollbook.store.tables import conversations, gaps, schema
from rollbook.store.views.reports import percent
from rollbook.store.vocabulary import GapKind

# Simulated time: the window; when and for how long the connection is cut; how long after its end it is read.
WIDTH: Final = timedelta(minutes=20)
CUT_AFTER: Final = timedelta(minutes=6)
CUT_FOR: Final = timedelta(minutes=5)
LAG: Final = timedelta(minutes=5)
# Before the window begins the daemon is already listening.
HEAD_START: Final = timedelta(minutes=2)
RATE: Final = 60.0
# Real seconds between the daemon's signs of life: often enough on this fast clock.
ALIVE: Final = 0.1
PER_HOUR: Final = 1800.0
# Seconds that a page of the real platform takes, roughly, at the clock's rate.
LATENCY: Final = 0.03


@dataclass(frozen=True, slots=True)
class Experiment:
    """A way of reading the same window, counted as in the platform's article."""

    name: str
    initial_total_hits: int | None
    final_total_hits: int | None
    unique: int
    duplicates: int
    requests: int
    seconds: float
    seen: frozenset[str]
    not_in_answer: int = 0  # conversations of the window that it did not answer

    def as_dict(self) -> dict[str, Any]:
        """The experiment as a JSON object."""
        shown = asdict(self) | {"seconds": round(self.seconds, 3)}
        del shown["seen"]
        return shown


class Gaps(NamedTuple):
    """Gaps of a kind with the same cause: count of conversations, and count of those that are filled by now."""

    kind: str
    cause: str
    number: int
    filled: int


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Result of the demo."""

    happened: int
    heard_live: int
    report: Report
    gaps: list[Gaps]
    equal: int
    different: int
    child_rows: int
    truth: frozenset[str]
    stored: frozenset[str]


def demo(*, path: Path, seed: int, as_json: bool, is_shown: bool) -> None:
    # The demo cuts the connection itself and says so: warnings about it would only confuse.
    logging.getLogger("realtime").setLevel(logging.ERROR)

    async def work() -> int:
        await asyncio.to_thread(_make_room, path, seed)
        began = time.monotonic()
        tell: Callable[[str], object] = (lambda _: None) if as_json else console.out.print
        tell(f"[bold]A simulated Genesys Cloud organisation[/bold], its clock {RATE:.0f} times as fast as yours.\n")
        experiments, found = await _play(path, seed, tell)
        with tempfile.TemporaryDirectory(prefix="rollbook-demo-") as folder:
            tell("  and a day of calls, watched by others, then read\n")
            quality = await quality_day(Path(folder) / "calls.db", seed)
        if as_json:
            console.answer(_as_dict(experiments, found, path) | {"call_quality": quality.as_dict()})
        else:
            _show(experiments, found, path, time.monotonic() - began, quality)
        if is_shown:
            await _show_page(path)
        return 0 if found.different == 0 else 3

    console.run(work(), as_json=as_json)


async def _show_page(path: Path) -> None:
    """Show the page of what was made until somebody ends it."""
    # Most demos show no page, and need not load it.
    from rollbook.page.commands.page import serve
    from rollbook.page.site import PageSettings

    async with await asyncio.to_thread(Book.open, path, mode="ro") as book:
        missed = await book.read(gaps.listed, kind=GapKind.MISSING, limit=1)
        beside = f"conversations/{missed[0].conversation_id}" if missed else ""
        shown = PageSettings(store_path=path, width=WIDTH)
        await serve(book, shown, "127.0.0.1:0", in_browser=console.out.is_terminal, beside=beside)


def _make_room(path: Path, seed: int) -> None:
    """Remove an earlier demo's store; refuse any other file."""
    if not is_there(path):
        return
    ours = Simulator(seed=seed, per_hour=0).world.organization["name"]
    with Book.open(path, mode="ro") as book:
        organization = book.read_now(schema.organization)
    if organization is None or organization[1] != ours:
        whose = "not an earlier demo's" if organization is None else f"the store of {organization[1]}"
        raise RollbookError(f"{path} is {whose}; give the demo a file of its own with --db")
    for ending in ("", "-wal", "-shm", "-lock"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").unlink()


async def _play(path: Path, seed: int, tell: Callable[[str], object]) -> tuple[list[Experiment], DemoResult]:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    window = Interval(start, start + WIDTH)
    simulator = Simulator(
        seed=seed, start=start - HEAD_START, rate=RATE, per_hour=PER_HOUR, rate_limit=100_000, latency=LATENCY
    )
    async with simulator:
        settings = replace(load(env=simulator.env, cwd=Path("/")), store_path=path, lag=LAG)
        async with _listening(settings, simulator):
            tell("  listening to the conversations of every queue, over a WebSocket")
            await simulator.clock.until(window.start + CUT_AFTER)
            simulator.cut(CUT_FOR.total_seconds() / 60)
            tell("  [red]the connection is cut[/red], and refused for five simulated minutes")
            await simulator.clock.until(window.start + CUT_AFTER + CUT_FOR)
            tell("  listening again; what happened meanwhile was never heard")
            await simulator.clock.until(window.end)
            tell("  the window closes")
            async with Api(settings, now=simulator.now) as api:
                experiments = [await _naive(api, window, simulator), await _recommended(api, window, simulator)]
                await simulator.clock.until(window.end + LAG)
                # From here on time passes as it does for everybody: nothing is on its way for simulated minutes.
                simulator.clock.set_rate(1)
                await simulator.notifications.settle()
                tell("  reconciling it with what the platform says happened")
                async with await asyncio.to_thread(Book.open, path) as book:
                    report = await reconcile_window(book, api, window, settings=settings, now=simulator.now)
                    await refresh_names(book, api, now=simulator.now)
                    # Time stands still, so that the store and a truth that moves can be compared at one moment.
                    simulator.clock.set_rate(0)
                    await follow(book, api, settings, RunClock(simulator.now))
                    found = await _compare(book, window, report, simulator.truth(window.start, window.end))
    experiments.append(_ours(report, frozenset(found.stored)))
    return [replace(experiment, not_in_answer=len(found.truth - experiment.seen)) for experiment in experiments], found


@contextlib.asynccontextmanager
async def _listening(settings: Settings, simulator: Simulator) -> AsyncIterator[None]:
    daemon = Daemon(settings, options=Options(now=simulator.now, reconcile=False, timings=Timings(alive=ALIVE)))
    running = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            await running
        yield
    finally:
        ready.cancel()
        daemon.stop()
        await running


# The platform article's own experiment


async def _read(api: Api, name: str, interval: Interval, filters: Mapping[str, Any], end: str) -> Experiment:
    """Page through a query once, and count as the article does."""
    began = time.monotonic()
    seen: set[str] = set()
    rows, requests = 0, 0
    initial = final = None
    while True:
        requests += 1
        page = await api.query_details(
            {
                "interval": f"{to_text(interval.start)}/{end}",
                "order": "asc",
                "orderBy": "conversationStart",
                "paging": {"pageSize": 100, "pageNumber": requests},
                **filters,
            }
        )
        if not page.rows:
            break
        initial = page.total_hits if initial is None else initial
        final = page.total_hits
        rows += len(page.rows)
        seen.update(row.conversation_id for row in page.rows if row.conversation_id)
    return Experiment(
        name, initial, final, len(seen), rows - len(seen), requests, time.monotonic() - began, frozenset(seen)
    )


async def _naive(api: Api, window: Interval, simulator: Simulator) -> Experiment:
    return await _read(api, "naive: until now", window, {}, to_text(simulator.now()))


async def _recommended(api: Api, window: Interval, simulator: Simulator) -> Experiment:
    ended = {"type": "and", "predicates": [{"dimension": "conversationEnd", "operator": "exists"}]}
    end = to_text(simulator.now() - timedelta(minutes=1))
    return await _read(api, "recommended: ended", window, {"conversationFilters": [ended]}, end)


def _ours(report: Report, seen: frozenset[str]) -> Experiment:
    totals, rows = (report.initial_total_hits, report.final_total_hits), (report.unique, report.duplicates)
    return Experiment("rollbook: closed", *totals, *rows, report.requests, report.seconds, seen)


# What was found


async def _compare(book: Book, window: Interval, report: Report, truth: Mapping[str, Any]) -> DemoResult:
    start, end = window.texts
    stored = await book.read(conversations.details_of, start, end)
    equal = sum(
        msgspec.json.decode(stored.get(conversation_id, "null")) == record for conversation_id, record in truth.items()
    )
    found = [gap for gap in await book.read(gaps.listed, since=start, until=end) if gap.conversation_id in truth]
    counted = Counter((gap.kind, gap.cause) for gap in found)
    filled = Counter((gap.kind, gap.cause) for gap in found if gap.filled_at is not None)
    return DemoResult(
        happened=len(truth),
        heard_live=len(truth) - sum(gap.kind == GapKind.MISSING for gap in found),
        report=report,
        gaps=[Gaps(*key, counted[key], filled[key]) for key in sorted(counted)],
        equal=equal,
        different=len(set(truth) | set(stored)) - equal,
        child_rows=await book.read(conversations.count_child_rows),
        truth=frozenset(truth),
        stored=frozenset(stored),
    )


_KINDS: Final = {
    GapKind.MISSING: "were never heard",
    GapKind.CHANGED: "were heard, but not how they ended",
    GapKind.LIVE_ONLY: "were heard, and the platform does not list them",
}
_WHY: Final = {
    "disconnected": "while the connection was lost",
    "not running": "while nobody listened",
    "channel lost": "after the platform had ended the channel",
    "topic rejected": "on a topic that the platform refuses",
    "not heard by this transport": "on no topic that is listened to",
    "unknown": "though somebody listened: the notification never came",
}


def _figures(found: DemoResult) -> Iterator[tuple[str, str]]:
    """Number and words, line by line. What is indented adds up to the line above it."""
    yield f"{found.happened:,}", "conversations started in the window:"
    yield f"{found.heard_live:,}", f"  were heard live ({found.heard_live / max(found.happened, 1):.1%})"
    yield f"{found.happened - found.heard_live:,}", "  were never heard"
    for kind, words in _KINDS.items():
        gaps = [gap for gap in found.gaps if gap.kind == kind]
        if gaps:
            yield from _of_kind(words, gaps)
    answer = found.report.as_dict()
    verdict = f"verdict [bold]{answer['verdict']}[/bold]"
    if answer["ongoing"]:
        verdict += f": {answer['ongoing']:,} still going on, followed until they end"
    yield "", verdict
    state = "[green]equal[/green]" if not found.different else f"[red]{found.different:,} different[/red]"
    yield f"{found.equal:,}", f"of {found.happened:,} records in the store and in the organisation's truth: {state}"
    yield f"{found.child_rows:,}", "rows of participants, sessions, segments, metrics, audio"


def _of_kind(words: str, gaps: list[Gaps]) -> Iterator[tuple[str, str]]:
    """The gaps of a kind: how many, why, and what became of them."""
    count, filled = sum(gap.number for gap in gaps), sum(gap.filled for gap in gaps)
    yield f"{count:,}", f"{words}:"
    for gap in gaps:
        yield f"{gap.number:,}", f"  {_WHY.get(gap.cause, gap.cause)} ([red]{gap.cause}[/red])"
    left = f", {count - filled:,} are not" if count > filled else ""
    all_of = "all of them" if count == filled else f"{filled:,} of them"
    yield "", f"  {all_of} are filled in by now{left}"


def _show(
    experiments: list[Experiment], found: DemoResult, path: Path, seconds: float, quality: QualityDay | None = None
) -> None:
    figures = Table.grid(padding=(0, 2))
    figures.add_column(justify="right", min_width=8)
    figures.add_column(max_width=66)
    for number, words in _figures(found):
        figures.add_row(number, words)
    console.out.print(figures)
    console.out.print("\nThree ways to read the same window (the platform's own experiment, and ours):\n")
    console.out.print(_experiments(experiments))
    if quality is not None:
        console.out.print(
            f"\nThe MOS of {quality.calls:,} calls of a day, {quality.measured:,} of them measured. Some are long, some"
            "\nstatistics come six hours late. Three ways to count them:\n"
        )
        console.out.print(_qualities(quality))
    filled = all(gap.filled == gap.number for gap in found.gaps)
    console.out.print(
        f"\n[bold]{found.happened:,} conversations happened, {found.heard_live:,} were heard live (whole or in part),\n"
        f"{found.happened - found.heard_live:,} were missed.[/bold] "
        + ("All are filled in" if filled else "Not all are filled in")
        + (", and the store equals the truth." if not found.different else "; the store differs from the truth.")
    )
    console.out.print(
        f"\nDone in {seconds:.0f} s. The file is [bold]{path}[/bold]. Look into it:\n\n"
        f"  rollbook status --db {path}\n"
        f"  sqlite-utils {path} 'select kind, cause, count(*) from gaps group by 1, 2' -t\n"
        f"  rollbook page --db {path}      (rollbook demo --open shows it at once)\n"
        f"  pip install 'rollbook\\[browse]' && rollbook browse --db {path}\n\n"
        "Status and page say that nothing listens now: the demo's own daemon has ended.\n",
        soft_wrap=True,
    )


def _experiments(experiments: list[Experiment]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("\n", no_wrap=True)
    for name in ("hits\nfirst", "hits\nlast", "differ\nby", "rows\ntwice", "\nrequests", "\nseconds", "not in\nanswer"):
        table.add_column(name, justify="right")
    for experiment in experiments:
        differ = (experiment.final_total_hits or 0) - (experiment.initial_total_hits or 0)
        table.add_row(
            experiment.name,
            f"{experiment.initial_total_hits:,}",
            f"{experiment.final_total_hits:,}",
            f"{differ:+,}" if differ else "0",
            f"{experiment.duplicates:,}",
            f"{experiment.requests:,}",
            f"{experiment.seconds:.1f}",
            f"{experiment.not_in_answer:,}",
        )
    return table


def _qualities(quality: QualityDay) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("\n", no_wrap=True)
    for name in ("\ncalls", "counted\ntwice", "\nmissed", "read too\nearly", "below\n3.5"):
        table.add_column(name, justify="right")
    truth = Counted("what happened", quality.measured, quality.measured, 0, 0, 0, quality.poor_share)
    for counted in (truth, *quality.counted):
        figures = (counted.calls, counted.twice, counted.missed, counted.early)
        table.add_row(counted.name, *(f"{figure:,}" for figure in figures), percent(counted.poor_share))
    return table


def _as_dict(experiments: list[Experiment], found: DemoResult, path: Path) -> dict[str, Any]:
    return {
        "store": str(path),
        "happened": found.happened,
        "heard_live": found.heard_live,
        "gaps": [
            {"kind": gap.kind, "cause": gap.cause, "count": gap.number, "filled": gap.filled} for gap in found.gaps
        ],
        "equal_to_truth": found.equal,
        "different_from_truth": found.different,
        "child_rows": found.child_rows,
        "report": found.report.as_dict(),
        "experiments": [experiment.as_dict() for experiment in experiments],
    }
