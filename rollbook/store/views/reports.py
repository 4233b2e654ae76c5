"""Reports: rows of the views, added up by what is asked for, and as lines for a terminal. Pure.

A share or an average is made anew from the sums: an average of averages is another figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from rollbook.genesys.program.terminal import WIDTH
from rollbook.genesys.times import from_text, normalize, to_text
from rollbook.store.tables.windows import RANK
from rollbook.store.vocabulary import Verdict

Row = dict[str, Any]

# The platform's own words: below the first generally unacceptable, from the second on high.
POOR: Final = 3.5
GOOD: Final = 4.3
_NO_NAME: Final = "(none)"

# dimension → the columns that say it
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "queue": ("queue_id", "queue_name"),
    "agent": ("user_id", "user_name"),
    "code": ("wrap_up_code", "wrap_up_name"),
    "media": ("media_type",),
    "interval": ("interval_start",),
    "hour": ("hour",),
    "day": ("day",),
    "purpose": ("purpose",),
    "edge": ("edge_id", "edge_name"),
    "site": ("site_id", "site_name"),
    "codec": ("codec",),
    "provider": ("provider",),
}


@dataclass(frozen=True, slots=True)
class Switches:
    """The organisation's switches of the service level."""

    flow_outs: bool
    short_abandons: bool
    abandons: bool


def with_times(rows: Iterable[Row], column: str, zone: tzinfo) -> Iterator[Row]:
    """The rows with the local day and hour in which each began. column: its time, API text."""
    for row in rows:
        at = normalize(row[column])  # a record may have anything in the place of a time
        local = None if at is None else from_text(at).astimezone(zone)
        yield row | {
            "day": None if local is None else local.date().isoformat(),
            "hour": None if local is None else to_text(local.replace(minute=0, second=0, microsecond=0)),
        }


def grouped(rows: Iterable[Row], by: Sequence[str], summed: Callable[[list[Row]], Row]) -> list[Row]:
    """A row for each group of rows that are alike in what is asked for. Alike: by id, the newest name is shown."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(KEYS[name][0]) for name in by), []).append(row)
    made = []
    for of in groups.values():
        named = {}
        for name in by:
            for column in KEYS[name]:
                named[column] = next((row[column] for row in reversed(of) if row.get(column) is not None), None)
        made.append(named | summed(of))
    return made


def in_order(rows: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """The rows by name, or by time; what has no name comes last."""
    columns = [(KEYS[name][-1], KEYS[name][0]) for name in by]
    return sorted(rows, key=lambda row: [(row[shown] is None, str(row[shown] or row[own])) for shown, own in columns])


def total(rows: Iterable[Row], column: str) -> int:
    """The sum of a column."""
    return sum(row[column] or 0 for row in rows)


def share(part: float, whole: float) -> float | None:
    """part ÷ whole; None of nothing."""
    return part / whole if whole > 0 else None


def worst(verdicts: Iterable[str | None]) -> str | None:
    """The verdict that is worth least; None, where no window is, is worth less than any."""
    ranked = [(-1 if verdict is None else RANK[Verdict(verdict)], verdict) for verdict in verdicts]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def of_queues(switches: Switches) -> Callable[[list[Row]], Row]:
    """What a group of rows of `queue_intervals` comes to."""

    def summed(of: list[Row]) -> Row:
        counts = {
            name: total(of, name)
            for name in (
                "offered",
                "answered",
                "abandoned",
                "short_abandoned",
                "flow_outs",
                "over_sla",
            )
        }
        counted = counts["answered"]
        if switches.abandons:
            counted += counts["abandoned"] - (0 if switches.short_abandons else counts["short_abandoned"])
        if switches.flow_outs:
            counted += counts["flow_outs"]
        handled = total(of, "handled")
        return counts | {
            "service_level": share(counts["answered"] - counts["over_sla"], counted),
            "asa": share(total(of, "answer_time"), counts["answered"]),
            "aht": share(total(of, "handle"), handled),
            "transferred": total(of, "transferred"),
            "blind_transferred": total(of, "blind_transferred"),
            "consult_transferred": total(of, "consult_transferred"),
            "alerted": total(of, "alerted"),
            "not_responding": total(of, "not_responding"),
            "handled": handled,
            **{name: total(of, name) for name in ("answer_time", "wait", "talk", "hold", "acw", "handle")},
            "verdict": worst(row["verdict"] for row in of),
        }

    return summed


def of_agents(of: list[Row]) -> Row:
    """What a group of an agent's rows comes to."""
    handled, alerted = total(of, "handled"), total(of, "alerted")
    return {
        "answered": total(of, "answered"),
        **{name: total(of, name) for name in ("talk", "hold", "acw", "handle")},
        "not_responding": total(of, "not_responding"),
        "transferred": total(of, "transferred"),
        "alerted": alerted,
        "handled": handled,
        "aht": share(total(of, "handle"), handled),
        "not_responding_share": share(total(of, "not_responding"), alerted),
        "blind_transferred": total(of, "blind_transferred"),
        "consult_transferred": total(of, "consult_transferred"),
        "verdict": worst(row["verdict"] for row in of),
    }


def of_wrapups(of: list[Row]) -> Row:
    """What a group of wrap-ups comes to. A wrap-up that goes on has no duration yet."""
    ended = [row for row in of if row["duration"] is not None]
    return {
        "wrapups": len(of),
        "conversations": len({row["conversation_id"] for row in of}),
        "duration": total(ended, "duration"),
        "average": share(total(ended, "duration"), len(ended)),
    }


# Lines for a terminal


def duration(milliseconds: float | None) -> str:
    """12:34, or 1:02:03; – where nothing was counted."""
    if milliseconds is None:
        return "–"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def percent(part: float | None) -> str:
    """A share as people read it."""
    return "–" if part is None else f"{part:.1%}"


def number(value: float | None) -> str:
    """A count, or a MOS."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


Column = tuple[str, str, Callable[[Any], str]]
QUEUE_COLUMNS: Final[tuple[Column, ...]] = (
    ("offered", "offered", number),
    ("answered", "answ", number),
    ("abandoned", "aband", number),
    ("service_level", "SL", percent),
    ("asa", "ASA", duration),
    ("aht", "AHT", duration),
    ("verdict", "verdict", lambda verdict: verdict or "no window"),
)
AGENT_COLUMNS: Final[tuple[Column, ...]] = (
    ("answered", "answ", number),
    ("talk", "talk", duration),
    ("hold", "hold", duration),
    ("acw", "ACW", duration),
    ("aht", "AHT", duration),
    ("not_responding", "missed", number),
    ("transferred", "transf", number),
)
WRAPUP_COLUMNS: Final[tuple[Column, ...]] = (
    ("wrapups", "wrap-ups", number),
    ("conversations", "convers.", number),
    ("duration", "time", duration),
    ("average", "average", duration),
)
MOS_COLUMNS: Final[tuple[Column, ...]] = (
    ("legs", "legs", number),
    ("calls", "calls", number),
    ("guilty", "guilty", number),
    ("poor", "<3.5", percent),
    ("below_good", "<4.3", percent),
    ("p10", "p10", number),
    ("median", "median", number),
    ("median_r_factor", "R", number),
    ("late_share", "late", percent),
)


def table(rows: Sequence[Row], by: Sequence[str], columns: Sequence[Column]) -> Iterator[str]:
    """The rows as a table no wider than a terminal: the widest name is cut until it fits."""
    if not rows:
        yield "nothing was counted there"
        return
    keys = [[_shown(row, name) for row in rows] for name in by]
    cells = [[form(row[column]) for row in rows] for column, _, form in columns]
    widths = [max(map(len, [name, *texts])) for name, texts in zip(by, keys, strict=True)]
    figures = [max(map(len, [title, *texts])) for (_, title, _), texts in zip(columns, cells, strict=True)]
    room = WIDTH - sum(width + 1 for width in figures)
    while widths and sum(widths) + len(widths) - 1 > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    head = [*by, *(title for _, title, _ in columns)]
    for line in (head, *map(list, zip(*keys, *cells, strict=True))):
        left = [text[:width].ljust(width) for text, width in zip(line, widths, strict=False)]
        right = [text.rjust(width) for text, width in zip(line[len(widths) :], figures, strict=True)]
        yield " ".join([*left, *right]).rstrip()


_NARROWEST: Final = 8


def _shown(row: Row, name: str) -> str:
    """A group's name, or its id where nobody knows a name."""
    found = next((row[column] for column in reversed(KEYS[name]) if row.get(column) is not None), None)
    if found is None:
        return _NO_NAME
    return f"{found[:16]}Z" if name in ("interval", "hour") else str(found)
