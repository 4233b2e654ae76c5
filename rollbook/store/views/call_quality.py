"""Call quality: rows of `mos_legs` and `mos_calls` counted, compared with each other, and as lines of text. Pure.

A share of few says little, so groups are compared by how low, or how high, their share may be (Wilson's interval).
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import exp, lgamma, log, log1p, sqrt
from typing import Any, Final

from rollbook.genesys.program.terminal import WIDTH, count
from rollbook.store.views.reports import GOOD, KEYS, POOR, Row, number, percent, share

# Where the parts of the distribution begin; the first has all that is lower, the last all that is higher.
BOUNDS: Final = (2.0, 2.5, 3.0, POOR, 4.0, GOOD, 4.5)
# A group of fewer legs is not compared, and comes after those that have so many.
FEWEST: Final = 20
# Standard errors: of a thousand shares one is beyond its bounds.
_ERRORS: Final = 3.0
# In how many reports something is named that is worse by chance alone. The more is compared, the more it takes.
_BY_CHANCE: Final = 0.01
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
    seen, square = part / whole, _ERRORS**2
    middle = seen + square / (2 * whole)
    reach = _ERRORS * sqrt(seen * (1 - seen) / whole + square / (4 * whole**2))
    scale = 1 + square / whole
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def chance(part: int, whole: int, each: float) -> float:
    """How likely it is that `part` of `whole`, or more, are what each is with this likelihood."""
    if part <= whole * each:
        return 1.0
    ways = lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)
    term = exp(ways + part * log(each) + (whole - part) * log1p(-each))
    found = 0.0
    for number_of in range(part, whole + 1):
        found += term
        if term <= found * 1e-12:
            break
        term *= (whole - number_of) / (number_of + 1) * each / (1 - each)
    return min(found, 1.0)


class LegCounts:
    """Measured legs, counted as they come: by what the rows of a report stand for, and by all that is compared.

    A leg takes some sixty bytes of memory, so that a month of a large organisation can be counted.
    """

    def __init__(self, by: Sequence[str]) -> None:
        self.by = by
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._compared = {name: _Column(name) for name in COMPARED}
        self._poor = bytearray()

    def add(self, leg: Row) -> None:
        """Count a row of `mos_legs` that has a MOS. Those of a call come one after the other, earlier calls first."""
        key = tuple(leg[KEYS[name][0]] for name in self.by)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.add(leg)
        for name in self.by:
            group.named.update({column: leg[column] for column in KEYS[name] if leg[column] is not None})
        for column in self._compared.values():
            column.add(leg)
        self._poor.append(leg["min_mos"] < POOR)

    def __len__(self) -> int:
        return len(self._poor)

    def rows(self) -> list[Row]:
        """A row for each group, the worst first: by how large its share below 3.5 is at least.

        Groups of few legs, and of no name, come last.
        """
        columns = [column for name in self.by for column in KEYS[name]]
        made = [
            {column: group.named.get(column) for column in columns} | group.as_row() for group in self._groups.values()
        ]

        def rank(row: Row) -> tuple[bool, bool, float, float]:
            unnamed = all(row[KEYS[name][0]] is None for name in self.by)
            least, _ = bounds(round((row["poor"] or 0) * row["legs"]), row["legs"])
            return unnamed, row["legs"] < FEWEST, -least, row["average"] or 0

        return sorted(made, key=rank)

    def outliers(self) -> list[Row]:
        """What legs have in common that are surely below 3.5 more often than all others, the worst first.

        Each further one is found among the legs that have nothing of those before it: what is only mixed with a bad
        edge, such as its site, is not bad without it.
        """
        found: list[Row] = []
        left = bytearray(b"\1") * len(self._poor)
        compared = sum(column.large() for column in self._compared.values())
        most = _BY_CHANCE / max(compared, 1)
        while len(found) < _MOST:
            apart = [row for column in self._compared.values() for row in column.surely_worse(left, self._poor, most)]
            if not apart:
                break
            found.append(max(apart, key=lambda row: row["worse_by"]))
            self._compared[found[-1]["what"]].take_out(left, found[-1]["id"])
        return found


class _Group:
    """Legs of a row of a report."""

    def __init__(self) -> None:
        self.named: Row = {}
        self._mos, self._r_factors = array("d"), array("d")
        self._calls = self._guilty = self._received = self._discarded = 0
        self._last: str | None = None

    def add(self, leg: Row) -> None:
        self._mos.append(leg["min_mos"])
        if is_number(leg["min_r_factor"]):
            self._r_factors.append(leg["min_r_factor"])
        if leg["conversation_id"] != self._last:
            self._calls, self._last = self._calls + 1, leg["conversation_id"]
        # The call's own MOS; where it has none, that of the leg.
        mos = leg["conversation_mos"] if is_number(leg["conversation_mos"]) else leg["min_mos"]
        self._guilty += bool(leg["guilty"]) and mos < POOR
        if leg["late_share"] is not None:
            self._received += leg["received_packets"]
            self._discarded += leg["discarded_packets"] or 0

    def as_row(self) -> Row:
        """What they come to. guilty: calls below 3.5 whose lowest leg is among them."""
        measured, r_factors = sorted(self._mos), sorted(self._r_factors)
        return {
            "legs": len(measured),
            "calls": self._calls,
            "guilty": self._guilty,
            "poor": share(sum(mos < POOR for mos in measured), len(measured)),
            "below_good": share(sum(mos < GOOD for mos in measured), len(measured)),
            "average": share(sum(measured), len(measured)),
            "p10": quantile(measured, 0.1),
            "median": quantile(measured, 0.5),
            "p90": quantile(measured, 0.9),
            "lowest": quantile(measured, 0.0),
            "median_r_factor": quantile(r_factors, 0.5),
            "lowest_r_factor": quantile(r_factors, 0.0),
            "late_share": share(self._discarded, self._received),
        }


class _Column:
    """What each leg has of a dimension, as a number; -1: nothing."""

    def __init__(self, dimension: str) -> None:
        self._what = dimension
        self._key, self._shown = KEYS[dimension][0], KEYS[dimension][-1]
        self._codes: dict[Any, int] = {}
        self._names: dict[Any, Any] = {}
        self._of_legs = array("i")

    def add(self, leg: Row) -> None:
        value = leg[self._key]
        if value is None:
            self._of_legs.append(-1)
            return
        self._of_legs.append(self._codes.setdefault(value, len(self._codes)))
        if leg[self._shown] is not None:
            self._names[value] = leg[self._shown]

    def large(self) -> int:
        """How many have legs enough to be compared."""
        return sum(legs >= FEWEST for code, legs in Counter(self._of_legs).items() if code >= 0)

    def surely_worse(self, left: bytearray, poor: bytearray, most: float) -> Iterator[Row]:
        """Those that are, compared with all other legs, and by chance no likelier than `most`.

        left: 1 for each leg that is looked at.
        """
        legs, bad = [0] * len(self._codes), [0] * len(self._codes)
        all_legs = all_bad = 0
        for code, here, is_bad in zip(self._of_legs, left, poor, strict=True):
            if here:
                all_legs += 1
                all_bad += is_bad
                if code >= 0:
                    legs[code] += 1
                    bad[code] += is_bad
        for value, code in self._codes.items():
            others = all_legs - legs[code]
            if legs[code] < FEWEST or others == 0:
                continue
            elsewhere = bounds(all_bad - bad[code], others)[1]
            if chance(bad[code], legs[code], elsewhere) < most:
                yield {
                    "what": self._what,
                    "id": value,
                    "name": self._names.get(value),
                    "legs": legs[code],
                    "poor": bad[code] / legs[code],
                    "poor_elsewhere": (all_bad - bad[code]) / others,
                    "worse_by": bounds(bad[code], legs[code])[0] - elsewhere,
                }

    def take_out(self, left: bytearray, value: Any) -> None:
        """Look no more at the legs that have this."""
        taken = self._codes[value]
        for at, code in enumerate(self._of_legs):
            if code == taken:
                left[at] = 0


def quantile(ascending: Sequence[float], part: float) -> float | None:
    """The value that this part of all are below; None of nothing."""
    return ascending[min(int(part * len(ascending)), len(ascending) - 1)] if ascending else None


def distribution(values: Iterable[float]) -> list[Row]:
    """How many there are from each bound to the next."""
    found = list(values)
    edges = [None, *BOUNDS, None]
    return [
        {
            "from": low,
            "below": high,
            "calls": sum((low is None or value >= low) and (high is None or value < high) for value in found),
        }
        for low, high in pairwise(edges)
    ]


class CallCounts:
    """Calls, measured or not: each is a row of `mos_calls`, and counts once. lowest: the lowest of them."""

    def __init__(self, calls: Iterable[Row], most: int) -> None:
        self.lowest: list[Row] = []
        self._mos, self._r_factors = array("d"), array("d")
        self._calls = self._going_on = self._of_no_leg = self._unlike_legs = 0
        for call in calls:
            self._add(call)
            if is_number(call["mos"]):
                insort(self.lowest, call, key=lambda each: (each["mos"], each["conversation_start"]))
                del self.lowest[most:]

    def _add(self, call: Row) -> None:
        self._calls += 1
        self._going_on += bool(call["goes_on"])
        if is_number(call["r_factor"]):
            self._r_factors.append(call["r_factor"])
        if is_number(call["mos"]):
            self._mos.append(call["mos"])
            self._of_no_leg += not call["legs"]
            self._unlike_legs += bool(call["legs"]) and abs(call["mos"] - call["min_mos"]) > _SAME

    def as_row(self) -> Row:
        """What they come to."""
        measured, r_factors = sorted(self._mos), sorted(self._r_factors)
        poor = sum(mos < POOR for mos in measured)
        return {
            "calls": self._calls,
            "measured": len(measured),
            "measured_share": share(len(measured), self._calls),
            "going_on": self._going_on,
            "of_no_leg": self._of_no_leg,
            "unlike_legs": self._unlike_legs,
            "poor": share(poor, len(measured)),
            "below_good": share(sum(mos < GOOD for mos in measured), len(measured)),
            "poor_calls": poor,
            "median": quantile(measured, 0.5),
            "lowest": quantile(measured, 0.0),
            "median_r_factor": quantile(r_factors, 0.5),
            "lowest_r_factor": quantile(r_factors, 0.0),
            "distribution": distribution(measured),
        }


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


def lowest_lines(calls: Sequence[Row]) -> Iterator[str]:
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
