"""Call quality: rows of `mos_legs` and `mos_calls` counted, compared with each other, and as lines of text. Pure.

A share of few says little, so groups are compared by how low, or how high, their share may be (Wilson's interval).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import Any, Final

from rollbook.genesys.program.terminal import WIDTH, count
from rollbook.store.views.reports import GOOD, KEYS, POOR, Row, number, percent, share

# Where the parts of the distribution begin; the first has all that is lower, the last all that is higher.
BOUNDS: Final = (2.0, 2.5, 3.0, POOR, 4.0, GOOD, 4.5)
# A group of fewer legs is not compared, and comes after those that have so many.
FEWEST: Final = 20
# Standard errors: by chance one group in a thousand seems so much worse.
_SURE: Final = 3.0
# A MOS that differs by less is the same.
_SAME: Final = 0.005
COMPARED: Final = ("queue", "agent", "edge", "site", "codec", "provider", "purpose", "hour")
# Of what is worse: how many are looked for, and how many letters of a name are shown.
_MOST: Final = 5
_SHOWN_NAME: Final = 20


def is_number(value: Any) -> bool:
    """Tell whether a record has a number where one belongs."""
    return isinstance(value, int | float)


def bounds(part: int, whole: int) -> tuple[float, float]:
    """How low and how high the share may really be of which `part` of `whole` were seen: Wilson's interval."""
    if whole == 0:
        return 0.0, 1.0
    seen, square = part / whole, _SURE**2
    middle = seen + square / (2 * whole)
    reach = _SURE * sqrt(seen * (1 - seen) / whole + square / (4 * whole**2))
    scale = 1 + square / whole
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def value_of(leg: Row) -> float:
    """The MOS of the leg's call: the conversation's own, and where it has none that of the leg."""
    value: float = leg["conversation_mos"] if is_number(leg["conversation_mos"]) else leg["min_mos"]
    return value


def of_legs(of: list[Row]) -> Row:
    """What a group of measured legs comes to. guilty: calls below 3.5 whose lowest leg is in the group."""
    measured = sorted(leg["min_mos"] for leg in of)
    r_factors = sorted(leg["min_r_factor"] for leg in of if is_number(leg["min_r_factor"]))
    counted = [leg for leg in of if leg["late_share"] is not None]
    return {
        "legs": len(measured),
        "calls": len({leg["conversation_id"] for leg in of}),
        "guilty": sum(bool(leg["guilty"]) and value_of(leg) < POOR for leg in of),
        "poor": share(sum(mos < POOR for mos in measured), len(measured)),
        "below_good": share(sum(mos < GOOD for mos in measured), len(measured)),
        "average": share(sum(measured), len(measured)),
        "p10": quantile(measured, 0.1),
        "median": quantile(measured, 0.5),
        "p90": quantile(measured, 0.9),
        "lowest": quantile(measured, 0.0),
        "median_r_factor": quantile(r_factors, 0.5),
        "lowest_r_factor": quantile(r_factors, 0.0),
        "late_share": share(
            sum(leg["discarded_packets"] or 0 for leg in counted), sum(leg["received_packets"] for leg in counted)
        ),
    }


def quantile(ascending: Sequence[float], part: float) -> float | None:
    """The value that this part of all are below; None of nothing."""
    return ascending[min(int(part * len(ascending)), len(ascending) - 1)] if ascending else None


def in_order(rows: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """The worst first: by how large its share below 3.5 is at least. Groups of few legs, and of no name, come last."""

    def rank(row: Row) -> tuple[bool, bool, float, float]:
        unnamed = all(row[KEYS[name][0]] is None for name in by)
        least, _ = bounds(round((row["poor"] or 0) * row["legs"]), row["legs"])
        return unnamed, row["legs"] < FEWEST, -least, row["average"] or 0

    return sorted(rows, key=rank)


def outliers(legs: Sequence[Row], dimensions: Sequence[str] = COMPARED) -> list[Row]:
    """What legs have in common that are surely below 3.5 more often than all others, the worst first.

    Each further one is found among the legs that have nothing of those before it: what is only mixed with a bad edge,
    such as its site, is not bad without it.
    """
    found: list[Row] = []
    while len(found) < _MOST:
        apart = [row for dimension in dimensions for row in _surely_worse(legs, dimension)]
        if not apart:
            break
        worst = max(apart, key=lambda row: row["worse_by"])
        found.append(worst)
        key = KEYS[worst["what"]][0]
        legs = [leg for leg in legs if leg[key] != worst["id"]]
    return found


def _surely_worse(legs: Sequence[Row], dimension: str) -> Iterator[Row]:
    key, shown = KEYS[dimension][0], KEYS[dimension][-1]
    poor = sum(leg["min_mos"] < POOR for leg in legs)
    groups: dict[Any, list[Row]] = {}
    for leg in legs:
        if leg[key] is not None:
            groups.setdefault(leg[key], []).append(leg)
    for value, of in groups.items():
        part, others = sum(leg["min_mos"] < POOR for leg in of), len(legs) - len(of)
        worse_by = bounds(part, len(of))[0] - bounds(poor - part, others)[1]
        if len(of) >= FEWEST and others > 0 and worse_by > 0:
            yield {
                "what": dimension,
                "id": value,
                "name": next((leg[shown] for leg in reversed(of) if leg[shown] is not None), None),
                "legs": len(of),
                "poor": part / len(of),
                "poor_elsewhere": (poor - part) / others,
                "worse_by": worse_by,
            }


def distribution(values: Iterable[float]) -> list[Row]:
    """How many there are from each bound to the next."""
    ascending = sorted(values)
    edges = [None, *BOUNDS, None]
    return [
        {
            "from": low,
            "below": high,
            "calls": sum((low is None or value >= low) and (high is None or value < high) for value in ascending),
        }
        for low, high in pairwise(edges)
    ]


def of_calls(calls: Sequence[Row]) -> Row:
    """What calls come to, measured or not: each is a row of `mos_calls`, and counts once."""
    measured = sorted(call["mos"] for call in calls if is_number(call["mos"]))
    r_factors = sorted(call["r_factor"] for call in calls if is_number(call["r_factor"]))
    return {
        "calls": len(calls),
        "measured": len(measured),
        "measured_share": share(len(measured), len(calls)),
        "going_on": sum(bool(call["goes_on"]) for call in calls),
        "of_no_leg": sum(is_number(call["mos"]) and not call["legs"] for call in calls),
        "unlike_legs": sum(_unlike_legs(call) for call in calls),
        "poor": share(sum(mos < POOR for mos in measured), len(measured)),
        "below_good": share(sum(mos < GOOD for mos in measured), len(measured)),
        "poor_calls": sum(mos < POOR for mos in measured),
        "median": quantile(measured, 0.5),
        "lowest": quantile(measured, 0.0),
        "median_r_factor": quantile(r_factors, 0.5),
        "lowest_r_factor": quantile(r_factors, 0.0),
        "distribution": distribution(measured),
    }


def _unlike_legs(call: Row) -> bool:
    return bool(call["legs"]) and is_number(call["mos"]) and abs(call["mos"] - call["min_mos"]) > _SAME


def worst(calls: Iterable[Row], most: int) -> list[Row]:
    """The lowest calls, each with its lowest leg."""
    measured = [call for call in calls if is_number(call["mos"])]
    return sorted(measured, key=lambda call: (call["mos"], call["conversation_start"]))[:most]


# Lines for a terminal


def summary(found: Row) -> Iterator[str]:
    """The calls in words, and their distribution."""
    yield (
        f"{found['measured']:,} of {count(found['calls'], 'call')} that began then have a MOS"
        f" ({percent(found['measured_share'])})"
    )
    if found["going_on"]:
        yield f"still going on, so that their lowest may fall: {found['going_on']:,}"
    if found["unread"]:
        yield f"heard, and not counted before their details are read: {found['unread']:,}"
    if found["of_no_leg"]:
        yield f"with a MOS, and no leg that was measured: {found['of_no_leg']:,}"
    if found["unlike_legs"]:
        yield f"with a MOS that is not the lowest of its legs: {found['unlike_legs']:,}"
    if not found["measured"]:
        return
    yield ""
    parts = found["distribution"]
    heads = [_range(part["from"], part["below"]) for part in parts]
    yield "MOS  " + "".join(head.rjust(9) for head in heads)
    yield "calls" + "".join(number(part["calls"]).rjust(9) for part in parts)
    yield "share" + "".join(percent(part["calls"] / found["measured"]).rjust(9) for part in parts)
    yield f"below {POOR}: {percent(found['poor'])}, below {GOOD}: {percent(found['below_good'])}"
    yield "; ".join(
        f"{what}: median {number(found[f'median{of}'])}, lowest {number(found[f'lowest{of}'])}"
        for what, of in (("MOS", ""), ("R factor", "_r_factor"))
    )
    yield ""


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"<{high:g}"
    return f"{low:g}+" if high is None else f"{low:g}-{high:g}"


def outlier_lines(found: Sequence[Row], legs: int) -> Iterator[str]:
    """What is surely worse than all others."""
    if not found:
        if legs >= FEWEST:
            yield f"nothing is surely below {POOR} more often than the rest"
            yield ""
        return
    yield f"surely below {POOR} more often than all other legs:"
    for row in found:
        name = str(row["name"] or row["id"])
        name = f"{name[:16]}Z" if row["what"] == "hour" else name[:_SHOWN_NAME]
        said = f"{percent(row['poor'])} of {count(row['legs'], 'leg')}, {percent(row['poor_elsewhere'])} of the others"
        yield f"  {row['what']:<8} {name:<{_SHOWN_NAME}} {said}"
    yield ""


def worst_lines(calls: Sequence[Row]) -> Iterator[str]:
    """The lowest calls, and the leg of each that made it so."""
    if calls:
        yield ""
        yield "the lowest calls, and the leg that made each so:"
    for call in calls:
        yield f"  {call['conversation_id']} {call['mos']:.2f} {_leg(call)}"[:WIDTH].rstrip()


def _leg(call: Row) -> str:
    if call["min_mos"] is None:
        return "no leg was measured"
    who = f"{call['purpose'] or ''} {call['user_name'] or call['user_id'] or ''}".strip()
    codec = str(call["codec"] or "").removeprefix("audio/")
    return ", ".join(str(part) for part in (who, call["edge_name"] or call["edge_id"], codec) if part)
