"""The state of capture, coverage and windows, from the store alone: what `rollbook status` says, as data.

Pure arithmetic on spans, and the queries that feed it. It does not know how anything is printed.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.times import from_text, to_text
from rollbook.store import headline
from rollbook.store.reasons import state_of
from rollbook.store.tables import channels, coverage, gaps, readiness, schema, windows
from rollbook.store.tables.coverage import Span
from rollbook.store.upkeep import growth
from rollbook.store.vocabulary import Provenance, Verdict

_DAY: Final = timedelta(days=1)
_HOLES: Final = 5

Stretch = tuple[datetime, datetime]


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time without overlaps, in order."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined


def holes(stretches: Sequence[Stretch], start: datetime, end: datetime) -> list[Stretch]:
    """The parts of [start, end) outside the stretches, which are a union."""
    found = []
    for opened, closed in stretches:
        if opened > start:
            found.append((start, min(opened, end)))
        start = max(start, closed)
    if start < end:
        found.append((start, end))
    return [(a, b) for a, b in found if b > a]


def listened(spans: Sequence[Span], start: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    """The share of [start, end) that was listened to, over all topics of any span in it.

    Answers {"share": 0..1 or None, "topics": n, "holes": [{"start", "end", "topics", "reason"}]}: a share of
    topic-seconds, so that one channel of three that was down for a day costs a third.
    """
    sets: dict[tuple[str, ...], list[tuple[datetime, datetime, str | None]]] = defaultdict(list)
    for span in spans:
        opened = max(from_text(span.started_at), start)
        last = span.ended_at or (span.alive_at if coverage.is_silent(span, now) else None)
        # What goes on reaches to the very end: as text it would lack the microseconds, which would be a hole.
        closed = end if last is None else min(from_text(last), end)
        sets[span.topics].append((opened, closed, span.end_reason))
    of_topic: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for topics in sets:
        for topic in topics:
            of_topic[topic].append(topics)
    alike: dict[tuple[tuple[str, ...], ...], int] = defaultdict(int)
    for named in of_topic.values():
        alike[tuple(named)] += 1
    total, found = 0.0, []
    for members, count in alike.items():
        pieces = [piece for topics in members for piece in sets[topics]]
        listened = union((a, b) for a, b, _ in pieces)
        total += count * sum((b - a).total_seconds() for a, b in listened)
        for opened, closed in holes(listened, start, end):
            reason = next((why for _, last, why in pieces if last == opened and why), "not running")
            found.append({"start": to_text(opened), "end": to_text(closed), "topics": count, "reason": reason})
    seconds = (end - start).total_seconds()
    share = total / (len(of_topic) * seconds) if of_topic and seconds > 0 else None
    return {"share": share, "topics": len(of_topic), "holes": sorted(found, key=lambda hole: hole["start"])}


_HALF_HOUR: Final = timedelta(minutes=30)
_MONTH: Final = timedelta(days=31)


def collect(
    db: sqlite3.Connection, now: datetime, *, width: timedelta = _HALF_HOUR, since_setting: datetime | None = None
) -> dict[str, Any]:
    """Everything that `rollbook status` says, as one JSON object. width, since_setting: the settings' own."""
    organization = schema.organization(db)
    listening_since = coverage.since(db)
    conversations, causes = _conversations(db), gaps.by_cause(db)
    sums = _sums(causes, conversations["share_heard_live"])
    since, complete_until, settled_until = readiness.until(db)
    found: dict[str, Any] = {
        "organization": {"id": organization[0], "name": organization[1]} if organization else None,
        "capture": _capture(db, listening_since, now),
        "conversations": conversations,
        "windows": _windows(db, oldest_due(db, width=width, since=since_setting)),
        "gap_causes": [
            {"kind": kind, "cause": cause, "detected": count, "filled": filled} for kind, cause, count, filled in causes
        ],
        "sums": sums,
        "rejected_topics": coverage.rejected(db),
        "dead_letters": _scalar(db, "SELECT count(*) FROM dead_letters"),
        "dead_letters_last_hour": _scalar(
            db, "SELECT count(*) FROM dead_letters WHERE received_at > ?", to_text(now - timedelta(hours=1))
        ),
    }
    failed = windows.by_verdict(db, since=to_text(now - _MONTH), filter="").get(Verdict.FAILED, 0)
    reasons = list(
        headline.why(
            found,
            last_sign=coverage.last_hearing(db),
            by_function=coverage.is_by_function(db),
            failed=failed,
            now=now,
        )
    )
    top = {
        "sentence": headline.sentence(
            complete_until=complete_until,
            settled_until=settled_until,
            gaps=sums["detected"],
            unfilled=sums["failed"],
            now=to_text(now),
        ),
        "since": since,
        "complete_until": complete_until,
        "settled_until": settled_until,
        "gaps": sums["detected"],
        "unfilled": sums["failed"],
        "state": state_of(reasons),
        "why": [reason.text for reason in reasons],
    }
    return top | found


def report(
    db: sqlite3.Connection,
    path: Path,
    now: datetime,
    *,
    width: timedelta = _HALF_HOUR,
    since_setting: datetime | None = None,
) -> dict[str, Any]:
    """What `rollbook status --json` and the page's `/status.json` answer. path: of the store, for its size."""
    found = collect(db, now, width=width, since_setting=since_setting)
    grown = growth.look(db, path, now)
    found["store"] = {**growth.report(grown), "words": grown.words, "is_short": grown.is_short}
    return found


def oldest_due(db: sqlite3.Connection, *, width: timedelta, since: datetime | None = None) -> tuple[int, str | None]:
    """The number of windows of the grid that are due and not read, and the end of the oldest of them.

    width, since: as the settings are; rows of another width, or from before `since`, wait for nobody.
    """
    query = (
        "SELECT count(*), min(\"end\") FROM windows WHERE verdict = 'due' AND filter = '' AND start >= ?"
        ' AND abs((julianday("end") - julianday(start)) * 86400 - ?) < 0.5'
    )
    found = db.execute(query, (to_text(since) if since else "", width.total_seconds())).fetchone()
    return found[0], found[1]


def last_event(db: sqlite3.Connection) -> str | None:
    """The arrival of the newest of the events that were stored last."""
    query = "SELECT max(received_at) FROM (SELECT received_at FROM event_rows ORDER BY event_id DESC LIMIT 1000)"
    last: str | None = db.execute(query).fetchone()[0]
    return last


def _sums(causes: Sequence[tuple[str, str, int, int]], share: float | None) -> dict[str, Any]:
    """Sums of conversations that were missing or wrong, filled and not filled; and the share that capture received."""
    detected, recovered = sum(row[2] for row in causes), sum(row[3] for row in causes)
    return {"detected": detected, "recovered": recovered, "failed": detected - recovered, "share_heard_live": share}


def _scalar(db: sqlite3.Connection, query: str, *values: Any) -> Any:
    return db.execute(query, values).fetchone()[0]


def _capture(db: sqlite3.Connection, since: str | None, now: datetime) -> dict[str, Any]:
    start = now - _DAY
    if since is not None:
        start = max(start, from_text(since))
    spans = coverage.overlapping(db, to_text(start), to_text(now)) if since else []
    listening = [span for span in spans if span.ended_at is None and not coverage.is_silent(span, now)]
    day = listened(spans, start, now, now)
    return {
        "since": since,
        "has_run": since is not None or _has_run(db, now),
        "listening": bool(listening),
        "sources": sorted({span.source for span in listening}),
        "last_event_at": last_event(db),
        "events": _scalar(db, "SELECT count(*) FROM event_rows"),
        "last_day": {
            "from": to_text(start) if since else None,
            "share": day["share"],
            "topics": day["topics"],
            "holes": day["holes"][-_HOLES:],
            "more_holes": max(0, len(day["holes"]) - _HOLES),
        },
    }


def _has_run(db: sqlite3.Connection, now: datetime) -> bool:
    """Tell whether capture that has received nothing has run all the same: it was refused, or has made channels."""
    return bool(coverage.rejected(db) or channels.left(db, to_text(now)))


def _conversations(db: sqlite3.Connection) -> dict[str, Any]:
    query = "SELECT provenance, count(*) FROM conversation_rows GROUP BY provenance"
    by_provenance = dict(db.execute(query).fetchall())
    live, both, reconciled = (
        by_provenance.get(name, 0) for name in (Provenance.LIVE, Provenance.BOTH, Provenance.RECONCILED)
    )
    happened = both + reconciled
    return {
        "total": live + happened,
        "live": live,
        "both": both,
        "reconciled": reconciled,
        "share_heard_live": both / happened if happened else None,
        "ongoing": _scalar(db, "SELECT count(*) FROM conversation_rows WHERE details_open = 1 AND followed IS NULL"),
        "stuck": _scalar(db, "SELECT count(*) FROM conversation_rows WHERE followed = 'stuck'"),
        "gone": _scalar(db, "SELECT count(*) FROM conversation_rows WHERE followed = 'gone'"),
        "drifted": _scalar(db, "SELECT count(*) FROM version_rows"),
    }


def _windows(db: sqlite3.Connection, waiting: tuple[int, str | None]) -> dict[str, Any]:
    failed = windows.listed(db, verdicts=[Verdict.FAILED], filter=None)
    return {
        "due": {"count": waiting[0], "oldest_end": waiting[1]},
        "last_read_at": _scalar(
            db, "SELECT max(last_read_at) FROM windows WHERE verdict IN ('open', 'complete', 'settled')"
        ),
        "by_verdict": windows.by_verdict(db),
        "proven": [{"from": start, "until": end} for start, end in windows.covered(db, "")],
        "failed": [{"start": w.start, "end": w.end, "reason": w.reason, "next_try_at": w.next_try_at} for w in failed],
    }
