"""The band as a picture: columns by verdict, marks for the worst of each, what capture received, and links. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text
from rollbook.page.views import charts, words
from rollbook.page.views.address import ShownTime
from rollbook.page.views.band import Bucket, Zoom
from rollbook.store.vocabulary import Verdict

# Sizes in the picture's own units: a column and its gap, and the heights of its three lanes.
STEP: Final = 10.0
_COLUMN: Final = 9.0
MARKS: Final = 12.0
VERDICTS: Final = 60.0
RECEIVED: Final = 26.0
OFF: Final = 5.0
_GAP: Final = 4.0
HEIGHT: Final = MARKS + VERDICTS + _GAP + RECEIVED + OFF
# So many buckets are shown as a table below the picture, too.
_AS_TABLE: Final = 62
# unit → what a column is
_UNITS: Final = {
    "window": "a window",
    "hour": "an hour",
    "six hours": "six hours",
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "year": "a year",
}
_LABELS: Final = 5


class Link(NamedTuple):
    """A bucket's place to go to. x: of its column. title: everything that the bucket says, in a line."""

    x: str
    href: str
    title: str
    is_incident: bool


@dataclass(frozen=True, slots=True)
class BandPicture:
    """The picture. paths, marks: (state, path); labels: (place from 0 to 4, text)."""

    title: str
    unit: str
    width: str
    height: str
    paths: Sequence[tuple[str, str]]
    marks: Sequence[tuple[str, str]]
    received: str
    missed: str
    off: str
    links: Sequence[Link]
    labels: Sequence[str]
    table: Sequence[tuple[Bucket, Link]]
    says: str


def picture(zoom: Zoom, made: Sequence[Bucket], shown: ShownTime) -> BandPicture:
    """The picture of a band's buckets. shown: where the page is, so that links keep its filter."""
    verdicts: dict[str, list[str]] = {}
    marks: dict[str, list[str]] = {}
    received, missed, off, links = [], [], [], []
    # Where columns are few and wide, a mark that is as wide is no shape any more.
    wide = min(max(len(made) * 0.2, 0.4), _COLUMN)
    for at, bucket in enumerate(made):
        x = at * STEP
        links.append(_link(bucket, zoom, shown, x))
        _columns(bucket, x, verdicts)
        if not bucket.is_empty and bucket.worst not in (Verdict.COMPLETE, Verdict.SETTLED):
            marks.setdefault(words.state_name(bucket.worst), []).append(_mark(bucket.worst, x, wide))
        ground = MARKS + VERDICTS + _GAP + RECEIVED
        if (share := bucket.received) is not None:
            whole = share * RECEIVED
            if whole > 0:
                received.append(charts.box(x, ground - whole, _COLUMN, whole))
            if share < 1:
                # A missed conversation among thousands is seen all the same.
                size = max(RECEIVED - whole, 2.0)
                missed.append(charts.box(x, ground - RECEIVED, _COLUMN, size))
        if bucket.off > 0:
            off.append(charts.box(x, ground + 1, _COLUMN, OFF - 1))
    return BandPicture(
        title=words.between(zoom.start, zoom.end),
        unit=_UNITS[zoom.unit.name],
        width=charts.number(len(made) * STEP),
        height=charts.number(HEIGHT),
        paths=[(name, "".join(parts)) for name, parts in verdicts.items()],
        marks=[(name, "".join(parts)) for name, parts in marks.items()],
        received="".join(received),
        missed="".join(missed),
        off="".join(off),
        links=links,
        labels=_labels(zoom),
        table=list(zip(made, links, strict=True)) if len(made) <= _AS_TABLE else (),
        says=_says(made, zoom),
    )


def _columns(bucket: Bucket, x: float, verdicts: dict[str, list[str]]) -> None:
    """Add a bucket's column: the share of each verdict, from the ground up; what is there has at least a line."""
    ground = MARKS + VERDICTS
    if bucket.is_empty:
        return
    for verdict in (*words.ORDER, None):
        share = bucket.share(verdict)
        if share > 0:
            height = max(share * VERDICTS, 1.0)
            top = max(ground - height, MARKS)
            verdicts.setdefault(words.state_name(verdict), []).append(charts.box(x, top, _COLUMN, ground - top))
            ground = max(ground - share * VERDICTS, MARKS + 1)


def _mark(verdict: Verdict | None, x: float, wide: float) -> str:
    """The shape of a verdict above its column: a triangle, a frame, a half, a dot; a dash where there is no window."""
    left = x + (_COLUMN - wide) / 2
    at, whole, half, third = (charts.number(value) for value in (left, wide, wide / 2, wide / 3))
    if verdict == Verdict.FAILED:
        return f"M{at} 10h{whole}l-{half}-9z"
    if verdict == Verdict.DUE:
        return f"M{at} 2h{whole}v8h-{whole}zM{charts.number(left + wide / 3)} 4.5v3h{third}v-3z"
    if verdict == Verdict.OPEN:
        return f"M{at} 10v-8h{whole}z"
    if verdict == Verdict.PENDING:
        return charts.box(left + wide / 3, 5, wide / 3, 3)
    return charts.box(left, 5, wide, 2)


def _link(bucket: Bucket, zoom: Zoom, shown: ShownTime, x: float) -> Link:
    incident = not bucket.is_empty and bucket.worst in (Verdict.FAILED, Verdict.DUE, None)
    title = f"{words.between(bucket.start, bucket.end)} UTC: {said(bucket)}"
    href = ShownTime(bucket.start, bucket.end, shown.incomplete).link()
    if zoom.unit.name == "window" and bucket.windows:
        href = words.window_link(bucket.start)
    return Link(charts.number(x), href, title, incident)


def said(bucket: Bucket) -> str:
    """A bucket in words: its worst verdict, the share that is proven, what was received, how long capture was off."""
    if bucket.is_empty:
        return "before the first window, or after the last"
    parts = [f"{words.state_name(bucket.worst)}" if bucket.worst else "some of it has no window"]
    if bucket.proven < 1:
        parts.append(f"{words.percent(bucket.proven)} complete")
    if bucket.happened:
        parts.append(f"{words.percent(bucket.received)} of {count(bucket.happened, 'conversation')} received live")
    if bucket.missing or bucket.changed:
        parts.append(f"{count(bucket.missing + bucket.changed, 'gap')}, {bucket.unfilled:,} unfilled")
    if bucket.off:
        parts.append(f"capture was off for {words.length(bucket.off)}")
    return ", ".join(parts)


def _labels(zoom: Zoom) -> list[str]:
    """Some bounds as labels, at equal distances."""
    last = len(zoom.bounds) - 1
    number = _LABELS - 1 if last >= _LABELS - 1 else 1
    at = [round(last * place / number) for place in range(number + 1)]
    hours = from_text(zoom.end) - from_text(zoom.start) <= timedelta(days=7)
    return [words.minute(zoom.bounds[index]) if hours else zoom.bounds[index][:10] for index in at]


def _says(made: Sequence[Bucket], zoom: Zoom) -> str:
    """The picture in a sentence, for whoever does not see it."""
    known = [bucket for bucket in made if not bucket.is_empty]
    incidents = sum(bucket.worst in (Verdict.FAILED, Verdict.DUE, None) for bucket in known)
    return (
        f"{count(len(known), 'column')}, each {_UNITS[zoom.unit.name]}, from {words.between(zoom.start, zoom.end)} UTC;"
        f" {incidents:,} of them with time that failed, is due or has no window"
    )
