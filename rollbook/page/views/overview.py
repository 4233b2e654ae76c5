"""The first page: the sentence, the band, and what capture, the API, the disk and the calls are like. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.genesys.program.terminal import shown_size
from rollbook.genesys.times import from_text, to_text
from rollbook.page.views import band, band_picture, charts, words
from rollbook.page.views.address import ShownTime, ends
from rollbook.page.views.band import Rows, Zoom
from rollbook.page.views.band_picture import BandPicture
from rollbook.page.vitals import DaemonVitals
from rollbook.store.upkeep.sizes import Sizes
from rollbook.store.views import page_rows, reports
from rollbook.store.views.page_rows import GapCount, Incident, QueueDay, Received
from rollbook.store.views.reports import GOOD, POOR, Row
from rollbook.store.vocabulary import GapKind

_DAYS: Final = 30  # of what was received, day by day
_QUEUES: Final = 25  # the busiest of the day
# The slots in which arrivals are counted.
SLOT: Final = timedelta(minutes=10)
SLOTS: Final = 144
# The size of a small chart, in its own units.
WIDTH: Final = 600.0
HEIGHT: Final = 100.0


@dataclass(frozen=True, slots=True)
class BandPart:
    """The band and what belongs to it. crumbs: (text, address) of the longer times around it."""

    picture: BandPicture | None
    counts: Sequence[tuple[str, int, str]]
    number: int
    filtered: int
    incidents: Sequence[Incident]
    more_incidents: bool
    crumbs: Sequence[tuple[str, str]]
    only_link: str
    older_link: str
    is_incomplete: bool


def zoomed(span: ShownTime, extent: tuple[str, str] | None, width: timedelta) -> Zoom | None:
    """The buckets of what an address asks for; None where the ledger has no window."""
    return None if extent is None else band.zoom(*ends(span, extent), width)


def band_part(
    span: ShownTime,
    zoom: Zoom | None,
    rows: Rows,
    all_counts: Sequence[tuple[str, str, int]],
    incidents: Sequence[Incident],
    *,
    filtered: int,
    most: int,
) -> BandPart:
    """The band of a span. all_counts: windows without a filter by verdict; filtered: how many have one.

    Of a part of all time those are counted that begin in it.
    """
    made = [] if zoom is None else band.buckets(zoom, rows)
    shown = all_counts
    if not span.is_all:
        shown = [("", verdict, number) for bucket in made for verdict, number in bucket.windows.items()]
    totals = band.totals(shown)
    return BandPart(
        picture=None if zoom is None else band_picture.picture(zoom, made, span),
        counts=[(verdict, totals[verdict], words.MEANINGS[verdict]) for verdict in words.ORDER if totals[verdict]],
        number=sum(totals.values()),
        filtered=filtered if span.is_all else 0,
        incidents=incidents[:most],
        more_incidents=len(incidents) > most,
        crumbs=_crumbs(span),
        only_link=ShownTime(span.since, span.until, not span.incomplete).link(),
        older_link=ShownTime(span.since, incidents[most - 1].start, incomplete=True).link()
        if len(incidents) > most
        else "",
        is_incomplete=span.incomplete,
    )


def _crumbs(span: ShownTime) -> list[tuple[str, str]]:
    """The way back: all time, then the month and the day that a shorter span lies in."""
    if span.is_all:
        return []
    crumbs = [("All time", ShownTime(incomplete=span.incomplete).link())]
    if span.since and span.until:
        start, end = from_text(span.since), from_text(span.until)
        month = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (month + timedelta(days=32)).replace(day=1)
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        for text, first, last in (
            (f"{start:%B %Y}", month, after),
            (f"{start:%d %B}", day, day + timedelta(days=1)),
        ):
            if first <= start and end <= last and end - start < last - first:
                crumbs.append((text, ShownTime(to_text(first), to_text(last), span.incomplete).link()))
    return crumbs


# What capture received


def received_by_day(
    received: Sequence[Received],
    gaps: Sequence[GapCount],
    times_off: Sequence[tuple[str, str, str | None]],
    now: datetime,
) -> dict[str, Any]:
    """The last days: of what happened, what was received whole, in part, and not at all."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    bounds = tuple(to_text(today + timedelta(days=at)) for at in range(1 - _DAYS, 2))
    zoom = Zoom(band.Unit("day", timedelta(days=1), page_rows.DAY), bounds)
    made = band.buckets(zoom, Rows(received=received, gaps=gaps, off=times_off))
    first = next((at for at, bucket in enumerate(made) if bucket.happened or bucket.off), len(made))
    days = made[first:]
    step = WIDTH / max(len(days), 1)
    rows: list[dict[str, Any]] = []
    parts: dict[str, list[str]] = {"whole": [], "in_part": [], "missed": []}
    for at, bucket in enumerate(days):
        in_part = min(bucket.changed, bucket.live)
        numbers = {"whole": bucket.live - in_part, "in_part": in_part, "missed": bucket.happened - bucket.live}
        off = words.length(bucket.off) if bucket.off else ""
        href = ShownTime(bucket.start, bucket.end).link()
        rows.append({"day": bucket.start[:10], "href": href, "happened": bucket.happened, "off": off, **numbers})
        ground = HEIGHT
        for name, number in numbers.items():
            if number:
                height = number / bucket.happened * HEIGHT
                parts[name].append(charts.box(at * step, ground - height, step * 0.9, max(height, 1.0)))
                ground -= height
    live, happened = sum(bucket.live for bucket in days), sum(bucket.happened for bucket in days)
    return {
        "rows": rows[::-1],
        **{name: "".join(drawn) for name, drawn in parts.items()},
        "share": reports.share(live, happened),
        "from": rows[0]["day"] if rows else None,
        "until": rows[-1]["day"] if rows else None,
    }


def gaps_by_cause(causes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The gaps by kind and cause, each with its length beside the longest."""
    most = max((cause["detected"] for cause in causes), default=0)
    kinds = {GapKind.MISSING: "missed", GapKind.CHANGED: "end missed", GapKind.LIVE_ONLY: "not listed"}
    return [
        {
            "kind": kinds.get(cause["kind"], cause["kind"]),
            "cause": cause["cause"],
            "detected": cause["detected"],
            "unfilled": cause["detected"] - cause["filled"],
            "bar": charts.box(0, 0, max(cause["detected"] / most * 100, 0.5), 10),
        }
        for cause in causes
    ]


def slot_bounds(now: datetime) -> list[str]:
    """The bounds of the slots of the last day; the last of them ends now."""
    first = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    return [to_text(first - SLOT * at) for at in range(SLOTS - 1, -1, -1)] + [to_text(now)]


def arrivals(numbers: Sequence[int], bounds: Sequence[str], delays: Sequence[float]) -> dict[str, Any]:
    """The events of the last day by slot, and how late they came."""
    # The last slot is not over, and would always look like a fall.
    per_minute = [number / 10 for number in numbers[:-1]]
    most = charts.ceiling(max(per_minute, default=0.0))
    drawn, area = charts.line(per_minute, width=WIDTH, height=HEIGHT, least=0.0, most=most)
    middle = delays[len(delays) // 2] if delays else None
    late = delays[int(len(delays) * 0.95)] if delays else None
    return {
        "line": drawn,
        "area": area,
        "most": words.number(int(most) if most == int(most) else most),
        "from": bounds[0],
        "until": bounds[-2],
        "last": words.number(round(per_minute[-1], 1)) if per_minute else "–",
        "total": sum(numbers),
        "median": None if middle is None else words.length(max(middle, 0.0)),
        "late": None if late is None else words.length(max(late, 0.0)),
        "with_time": len(delays),
    }


def topics(refused: Sequence[Mapping[str, Any]], vitals: DaemonVitals | None) -> dict[str, Any]:
    """The lines of capture, its channels, and the topics that were refused, by what they lack."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for topic in refused:
        lacks = ", ".join(topic["missing_permissions"])
        by_reason.setdefault((lacks, topic["reason"] or ""), []).append(topic["topic"])
    groups = [
        {"lacks": lacks, "reason": reason, "number": len(names), "some": names[:3]}
        for (lacks, reason), names in by_reason.items()
    ]
    return {"vitals": vitals, "groups": groups, "number": len(refused)}


# The API, the disk


def api(vitals: DaemonVitals | None) -> dict[str, Any] | None:
    """The requests of a daemon, and how fast they were answered; None without a daemon."""
    if vitals is None:
        return None
    return {
        "requests": vitals.requests,
        "left": vitals.budget_left,
        "median": _within(vitals.latency, 0.5),
        "late": _within(vitals.latency, 0.95),
    }


def _within(latency: Mapping[str, int] | None, share: float) -> str | None:
    """The bound within which that share of the answers came."""
    if not latency or not (whole := latency.get("+Inf", 0)):
        return None
    return next((bound for bound, number in latency.items() if number >= whole * share), None)


def disk(sizes: Sequence[Sizes], store: Mapping[str, Any]) -> dict[str, Any]:
    """The growth of the file."""
    values = [float(size.used) for size in sizes]
    most = charts.ceiling(max(values, default=0.0))
    drawn, area = charts.line(values, width=WIDTH, height=HEIGHT, least=0.0, most=most)
    return {
        "words": store["words"],
        "is_short": store["is_short"],
        "full_at": store.get("disk_full_at"),
        "line": drawn,
        "area": area,
        "most": shown_size(most),
        "from": sizes[0].at[:10] if sizes else None,
        "until": sizes[-1].at[:10] if sizes else None,
        "number": len(sizes),
    }


# Calls and queues


def quality(calls: int, classes: Mapping[float, int], legs: Sequence[Row]) -> dict[str, Any]:
    """The calls of the last day by the MOS of their worst leg, and the worst legs."""
    measured = sum(classes.values())
    bounds = (0.0, *page_rows.MOS_BOUNDS)
    most = charts.ceiling(max(classes.values(), default=0))
    step = WIDTH / len(bounds)
    bars = [
        {
            "label": f"< {bounds[1]:g}" if not at else f"{bound:g}",
            "number": classes.get(bound, 0),
            "path": charts.columns([classes.get(bound, 0)], step=step, height=HEIGHT, most=most, gap=step * 0.12),
            "x": charts.number(at * step),
            "state": "poor" if bound < POOR else "fair" if bound < GOOD else "good",
        }
        for at, bound in enumerate(bounds)
    ]
    poor = sum(number for bound, number in classes.items() if bound < POOR)
    below = sum(number for bound, number in classes.items() if bound < GOOD)
    return {
        "calls": calls,
        "measured": measured,
        "bars": bars,
        "poor": reports.share(poor, measured),
        "poor_number": poor,
        "below_good": reports.share(below, measured),
        "legs": [
            {
                "href": words.conversation_link(leg["conversation_id"]),
                "conversation_id": leg["conversation_id"],
                "mos": leg["min_mos"],
                "purpose": leg["purpose"],
                "who": leg["user_name"] or leg["queue_name"] or "–",
                "where": leg["site_name"] or leg["edge_name"] or leg["provider"] or "–",
                "codec": leg["codec"] or "–",
            }
            for leg in legs
            if isinstance(leg["min_mos"], int | float)
        ],
    }


def queues(day: QueueDay) -> dict[str, Any]:
    """The queues of the day, the busiest first."""
    rows = reports.grouped(day.rows, ("queue",), reports.of_queues(day.switches))
    rows.sort(key=lambda row: -row["offered"])
    shown = [
        {
            "name": row["queue_name"] or row["queue_id"] or "no queue",
            "verdict": words.state_name(row["verdict"]),
            "cells": [
                (title, form(row[column])) for column, title, form in reports.QUEUE_COLUMNS if column != "verdict"
            ],
        }
        for row in rows
    ]
    titles = [title for column, title, _ in reports.QUEUE_COLUMNS if column != "verdict"]
    return {
        "day": day.day,
        "time_zone": day.time_zone,
        "rows": shown[:25],
        "more": max(len(shown) - 25, 0),
        "titles": titles,
    }


def sentence_of(found: Mapping[str, Any], vitals: DaemonVitals | None) -> dict[str, Any]:
    """The first line: that of `status --json`; the state is the daemon's own, where there is one."""
    return {
        **{name: found[name] for name in ("sentence", "complete_until", "settled_until", "gaps", "unfilled", "since")},
        "state": found["state"] if vitals is None else vitals.state,
        "why": found["why"] if vitals is None else list(vitals.why),
        "organization": found["organization"],
    }


def state_words(state: str) -> str:
    """A state of the daemon in words."""
    return {"well": "All is well", "degraded": "Degraded", "dead": "Dead"}.get(state, state)
