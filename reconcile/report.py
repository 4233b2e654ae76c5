"""The report of a run: the figures by the names that programs rely on, and the same in plain words for a person.

Pure apart from the words' width. It does not know how a figure came to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rollbook.genesys.program.terminal import WIDTH, count, fitted
from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables.schema import FIGURES
from rollbook.store.tables.windows import GIVEN_UP
from rollbook.store.vocabulary import Verdict

# Verdict → exit status (CONTRACT, "Commands").
FAILED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The findings of a run over a window. The names up to `seconds` are fixed by the contract."""

    window: Interval
    verdict: Verdict
    passes: int
    requests: int
    initial_total_hits: int | None
    final_total_hits: int | None
    unique: int
    duplicates: int
    owned: int
    missing: int
    changed: int
    unchanged: int
    ongoing: int
    live_only: int
    written: int
    seconds: float
    reason: str | None = None
    via: str = "query"
    reading: str | None = None
    filter: str = ""
    as_of: str | None = None
    proof_requests: int | None = None
    drift: int = 0
    stuck: int = 0
    dry_run: bool = False
    causes: Mapping[str, int] = field(default_factory=dict)
    next_try_at: str | None = None  # for the log; the ledger shows it, a report does not

    @property
    def exit_status(self) -> int:
        """0 where the window was read consistently, else 3."""
        return FAILED if self.verdict == Verdict.FAILED else 0

    def as_dict(self) -> dict[str, Any]:
        """The report as a JSON object: the contract's keys, and more behind them."""
        window = {"start": to_text(self.window.start), "end": to_text(self.window.end)}
        shown = {name: getattr(self, name) for name in self.__slots__ if name != "next_try_at"}
        return shown | {"window": window, "seconds": round(self.seconds, 3), "causes": dict(self.causes)}

    def figures(self) -> dict[str, int | None]:
        """The figures that the ledger keeps."""
        return {name: getattr(self, name) for name in FIGURES}


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """The findings of a run over everything that was due."""

    windows: Sequence[Report] = ()
    # What could not run: (window, one line).
    errors: Sequence[tuple[Interval, str]] = ()
    followed: Mapping[str, int] = field(default_factory=dict)
    left: int = 0
    # What was due, and nobody can prove any more, because the platform has deleted it.
    given_up: Sequence[Interval] = ()
    requests: int = 0

    @property
    def exit_status(self) -> int:
        """The worst of its windows."""
        others = (1 if self.errors else 0, 3 if self.given_up else 0)
        return max([*others, *(report.exit_status for report in self.windows)])

    def as_dict(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        return {
            "windows": [report.as_dict() for report in self.windows],
            "errors": [{"window": interval.text, "error": line} for interval, line in self.errors],
            "followed": dict(self.followed),
            "left": self.left,
            "given_up": [{"start": to_text(each.start), "end": to_text(each.end)} for each in self.given_up],
            "requests": self.requests,
        }


def title(interval: Interval) -> str:
    """A window as people read it: to the minute where it begins and ends on one, else as exactly as it takes."""
    start, end = to_text(interval.start), to_text(interval.end)
    clock = max(_needed(start), _needed(end))
    shown = end[11:clock] if start[:10] == end[:10] else f"{end[:10]} {end[11:clock]}"
    return f"{start[:10]} {start[11:clock]} to {shown} UTC"


def _needed(text: str) -> int:
    """Up to which character a time says something."""
    return 16 if text[16:] == ":00.000Z" else 19 if text[19:] == ".000Z" else 23


def lines(report: Report) -> Iterator[str]:
    """The report in words, none longer than 80 columns."""
    yield f"{title(report.window)}  {report.verdict}"
    if report.filter:
        yield from _row("filter", f"only what matches {report.filter}; proven for that, and for nothing else")
    yield from _row("why", _why(report))
    yield from _row("read", f"{count(report.unique, 'conversation')}, {report.owned:,} of them started in this window")
    if report.ongoing:
        stuck = f", {report.stuck:,} of them stuck" if report.stuck else ""
        yield from _row("", f"{report.ongoing:,} still going on{stuck}")
    found = f"{report.missing:,} missing, {report.changed:,} changed, {report.unchanged:,} as they were"
    yield from _row("would find" if report.dry_run else "found", found)
    for cause, number in sorted(report.causes.items(), key=lambda item: -item[1]):
        yield from _row("", f"{number:>7,}  {cause}")
    if report.live_only:
        yield from _row("", f"{count(report.live_only, 'conversation')} heard live that the platform does not list")
    if report.drift:
        yield from _row("", f"{report.drift:,} rewritten by the platform since they were read (drift, no gap)")
    yield from _row("would write" if report.dry_run else "written", f"{report.written:,}")
    yield from _row("cost", f"{count(report.requests, 'request')}, {report.seconds:.1f} s")


def _row(label: str, text: str) -> Iterator[str]:
    # A number is set to the right by spaces at its front, which wrapping would eat.
    front = " " * (len(text) - len(text.lstrip()))
    return _wrapped(f"  {label:<13}{front}", text)


def _why(report: Report) -> str:
    if report.verdict == Verdict.FAILED:
        return f"not proven: {report.reason}"
    if report.verdict == Verdict.PENDING:
        return "provisional: the platform may not have indexed all of it yet; it is read again when the lag is over"
    if report.via == "job":
        return f"a job read all of it, and the platform vouches for its data up to {report.as_of}"
    same = f"{count(report.final_total_hits or 0, 'hit')} on every page, no id twice, as many ids as hits"
    if report.reading == "day":
        same = "the platform answers with whole days; what this window owns was consistent"
    if report.passes == 1:
        return f"one pass: {same}"
    more = f"rows moved while it was read ({count(report.duplicates, 'row')} came twice)"
    return f"{report.passes} passes, because {more}; then {same}"


def _wrapped(label: str, text: str) -> Iterator[str]:
    room, line = WIDTH - len(label), ""
    for word in text.split():
        pieces = [word[at : at + room] for at in range(0, len(word), room)]
        for piece in pieces:
            if line and len(line) + 1 + len(piece) > room:
                yield label + line
                label, line = " " * len(label), piece
            else:
                line = f"{line} {piece}" if line else piece
    yield label + line


def due_lines(report: DueReport) -> Iterator[str]:
    """The report in words, a line a window, none longer than 80 columns."""
    return fitted(_due_lines(report), indent=13)


def _due_lines(report: DueReport) -> Iterator[str]:
    if not report.windows and not report.errors and not report.given_up:
        yield "nothing is due"
    for window in report.windows:
        yield (
            f"{title(window.window)}  {window.verdict:<8}"
            f" {window.owned:>6,} owned {window.missing:>5,} missing {window.changed:>5,} changed"
        )
        if window.verdict == Verdict.FAILED:
            yield from _wrapped("    ", window.reason or "")
    for interval, line in report.errors:
        yield from _wrapped(f"{title(interval)}  ", line)
    for interval in report.given_up:
        yield f"{title(interval)}  {Verdict.FAILED}"
        yield from _wrapped("    ", GIVEN_UP)
    if any(report.followed.values()):
        counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in report.followed.items() if number)
        yield f"followed: {counts}"
    if report.left:
        yield f"{count(report.left, 'window')} left for the next run"
