"""Calls counted by how good they were, for `/metrics`: each measured call once, whatever reads it and how often.

A call is counted in the transaction that writes the first read of it which shows its end and a MOS, so that no restart,
no kill and no second program counts it twice or leaves it out. What it is counted as does not change afterwards: a
counter of Prometheus can only grow. `mos_legs` and `rollbook report mos` have what is known now.

The counts are a note of the store, a few thousand bytes: no row for a call, and nothing that names anybody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys import lenient_json
from rollbook.genesys.canonical_json import decode
from rollbook.genesys.times import from_text, to_text
from rollbook.store.bodies import packing
from rollbook.store.rows.statements import in_parts
from rollbook.store.tables import notes

# The bounds of the histogram; below 3.5 a MOS is generally unacceptable, from 4.3 on high, in the platform's words.
BOUNDS: Final = (1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.3, 4.5, 5.0)
# A call that ended longer before it was read than windows wait for: of a backfill, or after an outage.
LATE: Final = timedelta(hours=6)
# So many sets of labels have counts of their own; so many media types are told apart among the others. A set makes
# twelve series: 312 at most, so that a daemon of three lines has fewer than 500 in all.
MOST_SETS: Final = 18
_MOST_MEDIA: Final = 3
OTHER: Final = "other"
UNKNOWN: Final = "unknown"
_HIGHEST: Final = 10  # of what may be a MOS
_LONGEST: Final = 64  # characters of a label
_NOTE: Final = "call_mos"
_DAY: Final = timedelta(days=1)


class CallLabels(NamedTuple):
    """The labels of a call: of its worst leg, the codec and the site of its edge. is_late: it was read late.

    Late calls have none of their own but the media type: who reads a year again has no use for more.
    """

    media_type: str
    codec: str
    site: str
    is_late: bool

    @property
    def is_other(self) -> bool:
        """Tell whether this is what there was no room for."""
        return self.codec == OTHER and self.site == OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMos:
    """The calls with one set of labels. counts: bound → calls up to it, cumulative; total: the sum of their MOS."""

    media_type: str = UNKNOWN
    codec: str = UNKNOWN
    site: str = UNKNOWN
    is_late: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayShares:
    """Shares of the conversations that began within the last day; None of nothing.

    heard_live: of those that were read afterwards. measured: of the calls that have ended, those that carry a MOS.
    """

    heard_live: float | None = None
    measured: float | None = None


# Decisions


class CountedCalls:
    """The counts of all sets of labels: how many calls in each bucket (the last is above all bounds), and their sum.

    The sum is in millionths, so that it is the same in whatever order calls are counted.
    """

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self.of: dict[CallLabels, tuple[list[int], int]] = {
            CallLabels(*labels): (list(buckets), total) for labels, buckets, total in rows
        }

    def add(self, labels: CallLabels, mos: float) -> None:
        """Count a call."""
        media_type, codec, site, is_late = labels
        placed = self._placed(CallLabels(_label(media_type), _label(codec), _label(site), is_late))
        buckets, total = self.of.get(placed, ([0] * (len(BOUNDS) + 1), 0))
        buckets[sum(mos > bound for bound in BOUNDS)] += 1
        self.of[placed] = buckets, total + round(mos * 1_000_000)

    def _placed(self, labels: CallLabels) -> CallLabels:
        """The set that a call is counted in: its own while there is room, and from then on the same one for ever."""
        own = sum(not known.is_other for known in self.of)
        if not labels.is_late and not labels.is_other and (labels in self.of or own < MOST_SETS):
            return labels
        media_types = {known.media_type for known in self.of if known.is_other and known.media_type != OTHER}
        is_known = labels.media_type in media_types or len(media_types) < _MOST_MEDIA
        return CallLabels(labels.media_type if is_known else OTHER, OTHER, OTHER, labels.is_late)

    def rows(self) -> list[tuple[CallLabels, list[int], int]]:
        """As they are kept."""
        return [(labels, buckets, total) for labels, (buckets, total) in sorted(self.of.items())]


def is_mos(value: Any) -> bool:
    """Tell whether a record's value is a MOS: records have anything anywhere."""
    return value.__class__ in (int, float) and 0 <= value <= _HIGHEST


def _label(value: Any) -> str:
    return " ".join(str(value).split())[:_LONGEST] or UNKNOWN


# In the store


class Measured(NamedTuple):
    """A call of a page that is to be counted. ended, read_at: API text; media_types: as the column has them."""

    number: int
    mos: float
    ended: str
    read_at: str
    media_types: str

    @property
    def is_late(self) -> bool:
        """Tell whether it was read long after its end."""
        return self.ended < _late_before(self.read_at)

    @property
    def has_one_label(self) -> bool:
        """Tell whether nothing of its legs is counted: of a late call its media type is, which most calls have one of.

        A backfill has nothing but late calls.
        """
        return self.is_late and self.media_types.count('"') == 2


@lru_cache(maxsize=16)
def _late_before(read_at: str) -> str:
    return to_text(from_text(read_at) - LATE)


_WORST_LEG: Final = (
    "SELECT number, (SELECT json_array(s.media_type, CASE WHEN json_valid(t.codecs) THEN json_extract(t.codecs, '$[0]')"
    " END, s.edge_id) FROM media_endpoint_stat_rows t LEFT JOIN session_rows s ON s.id = (t.id & ~1048575) | t.session"
    " WHERE t.id BETWEEN number << 20 AND (number << 20) + 1048575 AND typeof(t.min_mos) IN ('real', 'integer')"
    " ORDER BY t.min_mos, t.id LIMIT 1) FROM conversation_rows WHERE number IN "
)
_SITE: Final = (
    "SELECT name FROM names_now WHERE kind = 'site' AND id ="
    " (SELECT site_id FROM names_now WHERE kind = 'edge' AND id = ?)"
)


def count(connection: sqlite3.Connection, measured: Sequence[Measured]) -> None:
    """Count these calls, whose rows are written: a part of the transaction that writes them."""
    if not measured:
        return
    asked = [call.number for call in measured if not call.has_one_label]
    legs: dict[int, Any] = dict(in_parts(connection, _WORST_LEG, asked))
    sites: dict[Any, str] = {}
    counts = _read(connection)
    for call in measured:
        media_type, codec, edge = msgspec.json.decode(legs.get(call.number) or "[null,null,null]")
        if edge not in sites:
            found = connection.execute(_SITE, (edge,)).fetchone() if edge.__class__ is str else None
            sites[edge] = found[0] if found else UNKNOWN
        labels = CallLabels(media_type or _first(call.media_types), codec or UNKNOWN, sites[edge], call.is_late)
        counts.add(labels, call.mos)
    notes.write(connection, _NOTE, msgspec.json.encode(counts.rows()).decode())


def was_counted(connection: sqlite3.Connection, number: int) -> bool:
    """Tell whether an earlier version of a conversation showed its end and a MOS already, and a later one lacked it."""
    versions = connection.execute("SELECT details FROM version_rows WHERE number = ?", (number,))
    for (details,) in versions:
        record: dict[str, Any] = {}
        with suppress(ValueError, RecursionError):  # a number beyond all floats
            record = lenient_json.as_object(decode(packing.text(connection, details).encode()))
        if record.get("conversationEnd") is not None and is_mos(record.get("mediaStatsMinConversationMos")):
            return True
    return False


def counted(connection: sqlite3.Connection) -> tuple[CallMos, ...]:
    """The calls that were counted so far, by their labels."""
    bounds = [*map(str, BOUNDS), "+Inf"]
    return tuple(
        CallMos(**labels._asdict(), counts=dict(zip(bounds, accumulate(buckets), strict=True)), total=total / 1e6)
        for labels, buckets, total in _read(connection).rows()
    )


_HEARD: Final = (
    "SELECT count(*), count(CASE WHEN provenance = 'both' THEN 1 END),"
    " count(CASE WHEN details_open = 0 AND media_types LIKE '%\"voice\"%' THEN 1 END),"
    " count(CASE WHEN details_open = 0 AND media_types LIKE '%\"voice\"%' THEN mos END) FROM conversation_rows"
    " WHERE conversation_start >= ? AND conversation_start < ? AND read_at IS NOT NULL"
)


def shares_of_day(connection: sqlite3.Connection, now: datetime) -> DayShares:
    """Shares of the last day's conversations, as they are known now."""
    read, both, calls, measured = connection.execute(_HEARD, (to_text(now - _DAY), to_text(now))).fetchone()
    return DayShares(heard_live=both / read if read else None, measured=measured / calls if calls else None)


def _read(connection: sqlite3.Connection) -> CountedCalls:
    kept = notes.read(connection, _NOTE)
    return CountedCalls(msgspec.json.decode(kept) if kept else ())


def _first(media_types: str) -> str:
    listed = msgspec.json.decode(media_types)
    return str(listed[0]) if listed else UNKNOWN
