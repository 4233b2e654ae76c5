"""A second opinion: the platform's own figures, beside the same figures of what is stored.

The aggregates endpoint counts by itself, from other data than details. Each metric counts at the time when it was
emitted, not when its conversation began (reference, 3.1), so the stored ones are counted by their `emitDate` too. By
media type every metric is counted; by queue, medium and half hour, the view `queue_intervals` is held to it, figure by
figure, and where one differs the platform is asked which conversations it counts there. Pure but for what asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from reconcile.reading.platform_retention import KeptSince
from rollbook.genesys.errors import RequestRefused, UsageError
from rollbook.genesys.lenient_json import as_object, number, objects, text_or_none
from rollbook.genesys.times import Interval, normalize, to_text
from rollbook.store.book import Book
from rollbook.store.rows.half_hours import FIGURES
from rollbook.store.tables import notes
from rollbook.store.views import metric_counts, view_rows, view_settings

# Metrics that details and aggregates both have by the same name. What begins with n is a count, what begins with t a
# time, of which it is counted how many there are.
METRICS: Final = (
    "nConnected",
    "nError",
    "nOffered",
    "nOutbound",
    "nOverSla",
    "nTransferred",
    "tAcd",
    "tAcw",
    "tAlert",
    "tAnswered",
    "tHandle",
    "tTalkComplete",
)
Counts = dict[tuple[str, str], int]
HALF_HOUR: Final = timedelta(minutes=30)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Half hours of an answer: a day of them, for some hundred queues and media, stays far below what an answer may have.
_ASKED_AT_ONCE: Final = timedelta(days=1)
# For so many half hours with a difference it is asked which conversations are behind it: a request each.
_LOOKED_INTO: Final = 48
# The platform's own share, which only aggregates have. It follows the organisation's switches, ours those of [views].
_SERVICE_LEVEL: Final = "oServiceLevel"
_ROUNDED: Final = 1e-6
# What a setting of ours counts in place of the platform: column of the settings → figure.
_BY_OUR_THRESHOLD: Final = {"short_abandon": "short_abandoned", "answered_within": "over_sla"}


class Aggregates(Protocol):
    """The part of the API that is used here."""

    async def aggregates(self, body: Mapping[str, Any], /) -> dict[str, Any]:
        """An aggregates query."""


@dataclass(frozen=True, slots=True)
class MetricCount:
    """A metric of a media type: how many the platform counts, and how many are stored."""

    media_type: str
    metric: str
    platform: int
    stored: int


class Cell(NamedTuple):
    """A half hour of a queue and a medium."""

    queue_id: str
    media_type: str
    interval_start: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of a half hour that is another here than there. Durations are milliseconds.

    verdict: of the windows that ours rests on. conversations: those that are counted otherwise; None: not known, since
    the platform does not say it by conversation, or there were too many half hours to ask.
    """

    cell: Cell
    queue_name: str | None
    figure: str
    platform: int
    stored: int
    verdict: str | None
    conversations: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class QueuesCompared:
    """The view of half hours beside the platform's: how many figures were compared, and which differ.

    service_levels: of how many half hours the platform says a service level; other_levels: in how many of these, where
    no figure differs, it is another than ours: then the organisation's switches are not those of our settings.
    """

    figures: int = 0
    differences: Sequence[Difference] = ()
    service_levels: int = 0
    other_levels: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """Both counts, side by side. queues: of the whole half hours of the interval."""

    interval: Interval
    lines: Sequence[MetricCount]
    queues: QueuesCompared = field(default_factory=QueuesCompared)

    @property
    def equal(self) -> bool:
        """True where every count is the same on both sides."""
        return all(line.platform == line.stored for line in self.lines) and not self.queues.differences

    def as_dict(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        return {
            "window": {"start": to_text(self.interval.start), "end": to_text(self.interval.end)},
            "equal": self.equal,
            "counts": [asdict(line) | {"difference": line.stored - line.platform} for line in self.lines],
            "queues": {
                "figures": self.queues.figures,
                "service_levels": self.queues.service_levels,
                "other_levels": self.queues.other_levels,
                "differences": [
                    found.cell._asdict()
                    | {name: value for name, value in asdict(found).items() if name != "cell"}
                    | {"difference": found.stored - found.platform}
                    for found in self.queues.differences
                ],
            },
        }


async def verify(api: Aggregates, book: Book, interval: Interval, *, kept: KeptSince | None = None) -> Verified:
    """Ask the platform and the book. kept: how far back the platform has everything; None: not known.

    Raises ApiError and its kinds, UsageError (the platform refuses the interval, or either side has deleted some of
    it).
    """
    if kept is not None:
        kept.check(interval)
    deleted = (await book.read(notes.retained)).get("details", "")
    if to_text(interval.start) < deleted:
        raise UsageError(f"[retention] has deleted the details before {deleted}; give a later interval")
    body = {"interval": interval.text, "groupBy": ["mediaType"], "metrics": list(METRICS)}
    try:
        platform = counted(await api.aggregates(body))
    except RequestRefused as error:
        raise UsageError(f"the platform does not count this interval: {error}") from None
    stored = await book.read(metric_counts.by_media, *interval.texts, METRICS)
    # A line for everything that either side has; what is not there is none.
    keys = sorted(platform.keys() | stored.keys())
    counts = [MetricCount(*key, platform.get(key, 0), stored.get(key, 0)) for key in keys]
    return Verified(interval, counts, await _compare_queues(api, book, interval))


def whole_half_hours(interval: Interval) -> Interval | None:
    """The half hours that lie in an interval as a whole; None: it has none."""
    start = _EPOCH - (_EPOCH - interval.start) // HALF_HOUR * HALF_HOUR
    end = _EPOCH + (interval.end - _EPOCH) // HALF_HOUR * HALF_HOUR
    return Interval(start, end) if start < end else None


async def _compare_queues(api: Aggregates, book: Book, interval: Interval) -> QueuesCompared:
    whole = whole_half_hours(interval)
    if whole is None:
        return QueuesCompared()
    known = await book.read(view_settings.stored)
    ours = {figure for setting, figure in _BY_OUR_THRESHOLD.items() if known[setting] is not None}
    wanted = [figure for figure in FIGURES if figure not in ours]
    compared, levels, others, differences = 0, 0, 0, list[Difference]()
    start = whole.start
    while start < whole.end:
        part = Interval(start, min(start + _ASKED_AT_ONCE, whole.end))
        platform = in_cells(await _asked(api, part, ["queueId"], granularity="PT30M", more=[_SERVICE_LEVEL]))
        stored = view_rows.in_cells(await book.read(view_rows.queue_intervals, *part.texts))
        for cell in sorted(platform.keys() | stored.keys()):
            row = stored.get(cell, {})
            there, here = _of_platform(platform.get(cell, {}), wanted), _of_row(row, wanted)
            compared += sum(there[figure] != 0 or here[figure] != 0 for figure in wanted)
            name, verdict = row.get("queue_name"), row.get("verdict")
            if not row:
                verdict = await book.read(view_rows.verdict_of, cell[2], to_text(_end_of(cell[2])))
            different = [
                Difference(Cell(*cell), name, figure, there[figure], here[figure], verdict)
                for figure in wanted
                if there[figure] != here[figure]
            ]
            level = _level(platform.get(cell, {}))
            if level is not None and not ours and not different:
                levels += 1
                others += abs(level - (row.get("service_level") or 0.0)) > _ROUNDED
            differences += different
        start = part.end
    return QueuesCompared(compared, await _explained(api, book, differences), levels, others)


def _level(stats: Stats) -> float | None:
    found = stats.get(_SERVICE_LEVEL, {})
    numerator, denominator = number(found.get("numerator")), number(found.get("denominator"))
    return numerator / denominator if numerator is not None and denominator else None


def _end_of(start: str) -> datetime:
    return datetime.fromisoformat(start) + HALF_HOUR


async def _asked(
    api: Aggregates,
    interval: Interval,
    group_by: Sequence[str],
    *,
    granularity: str | None = None,
    more: Sequence[str] = (),
) -> dict[str, Any]:
    metrics = [*sorted({metric for metric, _ in FIGURES.values()}), *more]
    body = {"interval": interval.text, "groupBy": ["mediaType", *group_by], "metrics": metrics}
    return await api.aggregates(body | ({"granularity": granularity} if granularity else {}))


Stats = dict[str, dict[str, Any]]


def in_cells(answer: Mapping[str, Any]) -> dict[tuple[str, str, str], Stats]:
    """Metric → its stats, of an aggregates answer by queue, medium and half hour. What is of no queue is left out."""
    cells: dict[tuple[str, str, str], Stats] = {}
    for group, begins, stats in _groups(answer):
        if (queue := text_or_none(group.get("queueId"))) is not None and begins is not None:
            cells.setdefault((queue, text_or_none(group.get("mediaType")) or "unknown", begins), {}).update(stats)
    return cells


def _groups(answer: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None, Stats]]:
    for result in objects(answer.get("results")):
        for data in objects(result.get("data")):
            begins = normalize((text_or_none(data.get("interval")) or "").partition("/")[0])
            stats = {
                name: as_object(metric.get("stats"))
                for metric in objects(data.get("metrics"))
                if (name := text_or_none(metric.get("metric"))) is not None
            }
            yield as_object(result.get("group")), begins, stats


def _of_platform(stats: Stats, wanted: Collection[str]) -> dict[str, int]:
    return {
        figure: int(number(stats.get(metric, {}).get(how)) or 0)
        for figure, (metric, how) in FIGURES.items()
        if figure in wanted
    }


def _of_row(row: Mapping[str, Any], wanted: Collection[str]) -> dict[str, int]:
    return {figure: int(row.get(figure) or 0) for figure in wanted}


async def _explained(api: Aggregates, book: Book, differences: Sequence[Difference]) -> list[Difference]:
    """The differences with the conversations behind them: both sides, conversation by conversation."""
    starts = list(dict.fromkeys(found.cell.interval_start for found in differences))[:_LOOKED_INTO]
    behind: dict[str, dict[tuple[Cell, str], set[str]]] = {}
    for start in starts:
        half_hour = Interval(datetime.fromisoformat(start), _end_of(start))
        try:
            answer = await _asked(api, half_hour, ["queueId", "conversationId"])
        except RequestRefused:  # some platforms do not say it by conversation
            break
        stored = await book.read(view_rows.figures_by_conversation, *half_hour.texts)
        behind[start] = _behind(start, _by_conversation(answer), _stored_by_conversation(stored))
    return [
        Difference(
            found.cell,
            found.queue_name,
            found.figure,
            found.platform,
            found.stored,
            found.verdict,
            None
            if (of := behind.get(found.cell.interval_start)) is None
            else sorted(of.get((found.cell, found.figure), ())),
        )
        for found in differences
    ]


# (conversation, queue, medium) → figure → what it is
_Figures = dict[tuple[str, str, str], dict[str, int]]


def _by_conversation(answer: Mapping[str, Any]) -> _Figures:
    found: _Figures = {}
    for group, _, stats in _groups(answer):
        who, queue = text_or_none(group.get("conversationId")), text_or_none(group.get("queueId"))
        if who is not None and queue is not None:
            found[who.lower(), queue, text_or_none(group.get("mediaType")) or "unknown"] = _of_platform(stats, FIGURES)
    return found


def _stored_by_conversation(rows: Sequence[Mapping[str, Any]]) -> _Figures:
    found: _Figures = {}
    for row in rows:
        if row["queue_id"] is None:
            continue
        figures = found.setdefault(
            (row["conversation_id"], row["queue_id"], row["media_type"] or "unknown"), dict.fromkeys(FIGURES, 0)
        )
        for figure, (metric, how) in FIGURES.items():
            if metric == row["name"]:
                counted = how == "count" and not metric.startswith("n")
                figures[figure] += int((row["count"] if counted else row["sum"]) or 0)
    return found


def _behind(start: str, platform: _Figures, stored: _Figures) -> dict[tuple[Cell, str], set[str]]:
    found: dict[tuple[Cell, str], set[str]] = {}
    for key in platform.keys() | stored.keys():
        there, here = platform.get(key, {}), stored.get(key, {})
        for figure in FIGURES:
            if there.get(figure, 0) != here.get(figure, 0):
                conversation, queue, media = key
                found.setdefault((Cell(queue, media, start), figure), set()).add(conversation)
    return found


def counted(answer: Mapping[str, Any]) -> Counts:
    """The counts of an aggregates answer, summed over its intervals. Empty ones are left out there, not zero."""
    counts: Counts = {}
    for result in objects(answer.get("results")):
        media_type = text_or_none(as_object(result.get("group")).get("mediaType"))
        for data in objects(result.get("data")):
            for metric in objects(data.get("metrics")):
                name, count = text_or_none(metric.get("metric")), number(as_object(metric.get("stats")).get("count"))
                if name is not None and count:
                    key = ("unknown" if media_type is None else media_type, name)
                    counts[key] = counts.get(key, 0) + int(count)
    return counts


def lines(found: Verified) -> Iterator[str]:
    """Both sides in words, none longer than 80 columns."""
    if not found.lines:
        yield "neither the platform nor the store counts anything there"
        return
    yield f"{'media type':<14} {'metric':<14} {'platform':>11} {'stored':>11} {'difference':>11}"
    for line in found.lines:
        difference = f"{line.stored - line.platform:+,}" if line.stored != line.platform else "same"
        yield f"{line.media_type:<14} {line.metric:<14} {line.platform:>11,} {line.stored:>11,} {difference:>11}"
    yield from _queue_lines(found.queues)
    if not found.equal:
        yield "A difference is no proof of a loss: the two are indexed apart. Read the windows"
        yield "around it again (`reconcile --window`), and ask once more."


def _queue_lines(found: QueuesCompared) -> Iterator[str]:
    if not found.differences:
        yield f"{found.figures:,} figures of queues, media and half hours: no difference"
        yield from _level_lines(found)
        return
    cells = dict.fromkeys(difference.cell for difference in found.differences)
    yield f"{found.figures:,} figures of queues, media and half hours: {len(found.differences):,} differ"
    for cell in cells:
        of = [difference for difference in found.differences if difference.cell == cell]
        name = (of[0].queue_name or cell.queue_id)[:34]
        yield f"{cell.interval_start[:16]}Z {name} {cell.media_type[:12]}: {of[0].verdict or 'no window'}"
        for difference in of:
            yield (
                f"  {difference.figure:<20} {difference.platform:>14,} {difference.stored:>14,}"
                f" {difference.stored - difference.platform:>+14,}"
            )
        conversations = sorted({identity for difference in of for identity in difference.conversations or ()})
        yield from (f"    {identity}" for identity in conversations)
        if any(difference.conversations is None for difference in of):
            yield "    the platform was not asked, or did not say, which conversations"
    yield from _level_lines(found)


def _level_lines(found: QueuesCompared) -> Iterator[str]:
    if found.other_levels:
        of = f"{found.other_levels:,} of {found.service_levels:,} half hours"
        yield f"the platform's service level is another in {of}:"
        yield "its options are not those of [views] here (include_flow_outs and the like)"
