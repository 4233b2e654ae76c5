"""`rollbook report`: the views of queues, agents, wrap-ups and call quality as tables, JSON or CSV."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, parse_interval
from rollbook.store.book import Book
from rollbook.store.file.transactions import one_moment
from rollbook.store.views import call_quality, reports, view_rows, view_settings
from rollbook.store.views.call_quality import CallCounts, LegCounts
from rollbook.store.views.reports import Column, Row, Switches
from rollbook.store.vocabulary import Verdict

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_HALF_HOUR: Final = 1800
_LOWEST_CALLS: Final = 5


@dataclass(frozen=True, slots=True)
class ViewReport:
    """A report. verdict: the worst of the windows that it rests on. more: what it says beside its rows.

    head, notes: lines before and after the table.
    """

    name: str
    interval: Interval
    time_zone: str
    by: Sequence[str]
    verdict: str | None
    rows: Sequence[Row]
    columns: Sequence[Column]
    more: dict[str, Any] = field(default_factory=dict)
    head: Sequence[str] = ()
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """The report as a JSON object."""
        start, end = self.interval.texts
        return {
            "report": self.name,
            "interval": {"start": start, "end": end},
            "time_zone": self.time_zone,
            "by": list(self.by),
            "verdict": self.verdict,
            **self.more,
            "rows": list(self.rows),
        }


def report(what: str, interval: str, by: Sequence[str], settings: Settings, as_json: bool, as_csv: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        if as_json and as_csv:
            raise UsageError("give either --json or --csv")
        keep_view_settings(settings, "report")
        with Book.open(settings.store_path, mode="ro") as book:
            found = _REPORTS[what](book, interval, tuple(dict.fromkeys(by)))
        if as_csv:
            console.write_csv([*([found.rows[0]] if found.rows else []), *(row.values() for row in found.rows)])
        else:
            console.show(as_json, found.as_dict, lambda: _lines(found))

    console.run(work, as_json=as_json)


def keep_view_settings(settings: Settings, command: str) -> None:
    """Give the store's views what [views] sets, where that is something else, for a command that reads the views."""
    wanted = view_settings.asked(settings)
    with Book.open(settings.store_path, mode="ro") as book:
        differ = book.read_now(view_settings.differ, wanted)
    if differ:
        with Book.open(settings.store_path, mode="r+", journal=settings.journal, command=command) as book:
            book.write(view_settings.write, wanted).result()


def _lines(found: ViewReport) -> Iterator[str]:
    start, end = found.interval.texts
    yield f"{start[:16]}Z to {end[:16]}Z: {found.verdict or 'not all of it has a window'}"
    yield from found.head
    yield from reports.table(found.rows, found.by, found.columns)
    yield from found.notes


# The interval


def _zone(book: Book) -> tuple[str, tzinfo]:
    name = book.read_now(view_settings.stored)["time_zone"]
    return name, view_settings.zone_of(name)


def _interval(text: str, zone: tzinfo) -> Interval:
    """An interval, or a date: that day in the time zone of the views."""
    if not _DAY.fullmatch(text.strip()):
        return parse_interval(text, now=datetime.max.replace(tzinfo=UTC))
    try:
        day = date.fromisoformat(text.strip())
        return Interval(_begin(day, zone), _begin(day + timedelta(days=1), zone))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no day: {error}") from None


def _begin(day: date, zone: tzinfo) -> datetime:
    """The first moment of a local day: of a midnight that comes twice the second, after which it is that day."""
    at = datetime.combine(day, time(), zone)
    later = at.replace(fold=1).astimezone(UTC)
    earlier = at.astimezone(UTC)
    return later if later.astimezone(zone).date() == day and later > earlier else earlier


def _days(interval: Interval, zone: tzinfo) -> Iterator[tuple[str, Interval]]:
    """(day, the part of the interval that lies in it), in order."""
    day = interval.start.astimezone(zone).date()
    while (start := _begin(day, zone)) < interval.end:
        until = _begin(day + timedelta(days=1), zone)
        if until > interval.start and until > start:
            yield day.isoformat(), Interval(max(start, interval.start), min(until, interval.end))
        day += timedelta(days=1)


# The reports


def _queues(book: Book, text: str, by: Sequence[str]) -> ViewReport:
    by = by or ("queue", "media")
    name, zone = _zone(book)
    interval = _interval(text, zone)
    if any(at.timestamp() % _HALF_HOUR for at in (interval.start, interval.end)):
        raise UsageError(
            "queues are counted by half hours, which begin at :00 and :30 UTC; give an interval that begins and ends so"
        )
    known = book.read_now(view_settings.stored)
    switches = Switches(
        bool(known["include_flow_outs"]), bool(known["include_short_abandons"]), bool(known["include_abandons"])
    )
    found = book.read_now(view_rows.queue_intervals, *interval.texts)
    rows = reports.grouped(reports.with_times(found, "interval_start", zone), by, reports.of_queues(switches))
    rows = reports.in_order(rows, by)
    return _made("queues", book, interval, name, by, rows, reports.QUEUE_COLUMNS)


def _agents(book: Book, text: str, by: Sequence[str]) -> ViewReport:
    by = by or ("agent",)
    name, zone = _zone(book)
    interval = _interval(text, zone)
    parts = _days(interval, zone) if "day" in by else [("", interval)]
    found: list[Row] = []
    for day, part in parts:
        verdict = book.read_now(view_rows.verdict_of, *part.texts)
        found += [row | {"day": day, "verdict": verdict} for row in book.read_now(view_rows.agents, *part.texts)]
    rows = reports.in_order(reports.grouped(found, by, reports.of_agents), by)
    return _made("agents", book, interval, name, by, rows, reports.AGENT_COLUMNS)


def _wrapups(book: Book, text: str, by: Sequence[str]) -> ViewReport:
    by = by or ("code",)
    name, zone = _zone(book)
    interval = _interval(text, zone)
    found = book.read_now(view_rows.wrapups, *interval.texts)
    rows = reports.grouped(reports.with_times(found, "at", zone), by, reports.of_wrapups)
    rows.sort(key=lambda row: -row["wrapups"])
    return _made("wrapups", book, interval, name, by, rows, reports.WRAPUP_COLUMNS)


def _mos(book: Book, text: str, by: Sequence[str]) -> ViewReport:
    """Each call counts where it began, with all its legs: once, however long it was, however late it was measured."""
    by = by or ("purpose",)
    name, zone = _zone(book)
    interval = _interval(text, zone)
    legs, calls, unread, verdict = book.read_now(_counted, interval, by, zone)
    found = calls.as_row() | {"unread": unread}
    outliers = legs.outliers()
    head = [*call_quality.summary(found), *call_quality.outlier_lines(outliers, len(legs))]
    if verdict != Verdict.SETTLED:
        head.insert(0, "not settled: what was measured late may still come")
    return ViewReport(
        "mos",
        interval,
        name,
        by,
        verdict,
        legs.rows(),
        reports.MOS_COLUMNS,
        more=found | {"outliers": outliers, "worst_legs": calls.lowest},
        head=head,
        notes=list(call_quality.lowest_lines(calls.lowest)),
    )


def _counted(
    db: sqlite3.Connection, interval: Interval, by: Sequence[str], zone: tzinfo
) -> tuple[LegCounts, CallCounts, int, str | None]:
    """The legs and calls of an interval, how many were only heard, and the verdict: of one moment.

    They are counted as they are read, so that a month of calls needs no memory for each.
    """
    legs = LegCounts(by)
    with one_moment(db):
        for leg in reports.with_times(view_rows.mos_legs(db, *interval.texts), "conversation_start", zone):
            legs.add(leg)
        calls = CallCounts(view_rows.mos_calls(db, *interval.texts), _LOWEST_CALLS)
        unread = view_rows.unread_calls(db, *interval.texts)
        return legs, calls, unread, view_rows.verdict_of(db, *interval.texts, began=True)


def _made(
    report_name: str,
    book: Book,
    interval: Interval,
    time_zone: str,
    by: Sequence[str],
    rows: Iterable[Row],
    columns: Sequence[Column],
) -> ViewReport:
    verdict = book.read_now(view_rows.verdict_of, *interval.texts)
    return ViewReport(report_name, interval, time_zone, by, verdict, list(rows), columns)


_REPORTS: Final[dict[str, Callable[[Book, str, Sequence[str]], ViewReport]]] = {
    "queues": _queues,
    "agents": _agents,
    "wrapups": _wrapups,
    "mos": _mos,
}
