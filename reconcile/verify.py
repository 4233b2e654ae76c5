"""A second opinion: the platform's own counts by media type, beside the same counts of what is stored.

The aggregates endpoint counts by itself, from other data than details. Each metric counts at the time when it was
emitted, not when its conversation began (reference, 3.1), so the stored ones are counted by their `emitDate` too.
Pure but for `verify`, which asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from rollbook.genesys.errors import RequestRefused, UsageError
from rollbook.genesys.lenient_json import as_object, number, objects, text_or_none
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.tables import metric_counts

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


@dataclass(frozen=True, slots=True)
class Verified:
    """Both counts, side by side."""

    interval: Interval
    lines: Sequence[MetricCount]

    @property
    def equal(self) -> bool:
        """True where every count is the same on both sides."""
        return all(line.platform == line.stored for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        return {
            "window": {"start": to_text(self.interval.start), "end": to_text(self.interval.end)},
            "equal": self.equal,
            "counts": [asdict(line) | {"difference": line.stored - line.platform} for line in self.lines],
        }


async def verify(api: Aggregates, book: Book, interval: Interval) -> Verified:
    """Ask the platform and the book. Raises ApiError and its kinds, UsageError (the platform refuses the interval)."""
    body = {"interval": interval.text, "groupBy": ["mediaType"], "metrics": list(METRICS)}
    try:
        platform = counted(await api.aggregates(body))
    except RequestRefused as error:
        raise UsageError(f"the platform does not count this interval: {error}") from None
    stored = await book.read(metric_counts.by_media, *interval.texts, METRICS)
    # A line for everything that either side has; what is not there is none.
    keys = sorted(platform.keys() | stored.keys())
    return Verified(interval, [MetricCount(*key, platform.get(key, 0), stored.get(key, 0)) for key in keys])


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
    if not found.equal:
        yield "A difference is no proof of a loss: the two are indexed apart. Read the windows"
        yield "around it again (`reconcile --window`), and ask once more."
