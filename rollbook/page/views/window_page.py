"""A window's page: its proof, run by run, and the conversations of it that somebody may want to look at. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rollbook.genesys.program.terminal import count
from rollbook.page.views import words
from rollbook.store.tables.windows import WindowRow

# The figures of a run in the order in which they are read: column, title, what it counts.
FIGURES: Final = (
    ("initial_total_hits", "hits at first", "totalHits of the first page of the first pass"),
    ("final_total_hits", "hits at last", "totalHits that was seen last"),
    ("unique", "ids", "distinct ids in the pass that counted"),
    ("duplicates", "came twice", "rows that came again within a pass"),
    ("owned", "owned", "conversations that started in the window"),
    ("missing", "missing", "of these, those that capture had missed"),
    ("changed", "changed", "of these, those that capture had otherwise"),
    ("unchanged", "as known", "of these, those that were as capture had them"),
    ("ongoing", "going on", "of these, those without an end"),
    ("live_only", "live only", "received, and not in the answer"),
    ("written", "written", "conversations that were inserted or changed"),
)
_READINGS: Final = {"day": "whole days", "interval": "the interval", "job": "a job's data"}


def window_page(
    proofs: Sequence[tuple[WindowRow, Sequence[Mapping[str, Any]]]],
    inside: Mapping[str, Any],
    names: Mapping[tuple[str, str], str],
    neighbours: tuple[str | None, str | None],
) -> dict[str, Any]:
    """The page of the windows that begin at a time. proofs: (window, its runs as JSON has them).

    names: of divisions; neighbours: the starts of the windows before and after.
    """
    before, after = neighbours
    return {
        "title": words.between(proofs[0][0].start, proofs[0][0].end),
        "windows": [_window(row, runs, names) for row, runs in proofs],
        "inside": _inside(inside),
        "before": before and (words.minute(before), words.window_link(before)),
        "after": after and (words.minute(after), words.window_link(after)),
    }


def division_ids(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(kind, id) of the divisions that clients could see."""
    return [("division", str(each)) for run in runs for each in run["divisions"] or () if each != "*"]


def _window(row: WindowRow, runs: Sequence[Mapping[str, Any]], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    times = (
        ("first read", row.first_read_at),
        ("last read", row.last_read_at),
        ("settled", row.settled_at),
        ("next try", row.next_try_at),
    )
    return {
        "between": words.between(row.start, row.end),
        "verdict": words.state_name(row.verdict),
        "meaning": words.MEANINGS[row.verdict],
        "filter": row.filter,
        "reason": row.reason,
        "proven_by": row.proven_by and _proven_by(row.proven_by),
        "times": [(name, words.second(value)) for name, value in times if value],
        "attempts": row.attempts,
        "drift": row.drift,
        "figures": [
            (title, meaning, value) for column, title, meaning in FIGURES if (value := getattr(row, column)) is not None
        ],
        "runs": [_run(run, names) for run in reversed(runs)],
    }


def _proven_by(interval: str) -> tuple[str, str]:
    start, _, end = interval.partition("/")
    return words.between(start, end), words.window_link(start)


def _run(run: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    divisions = run["divisions"]
    seen = None
    if divisions is not None:
        shown = ["all divisions" if each == "*" else names.get(("division", each), each) for each in divisions]
        number = "" if divisions == ["*"] else f"{count(len(divisions), 'division')}: "
        seen = f"{number}{', '.join(shown)}"
    return {
        "finished": words.second(run["finished_at"]),
        "started": words.second(run["started_at"]),
        "as_of": words.second(run["as_of"]) if run["as_of"] else None,
        "command": run["command"],
        "via": run["via"],
        "verdict": words.state_name(run["verdict"]),
        "reason": run["reason"],
        "reading": _READINGS.get(str(run["reading"]), "not known"),
        "requests": run["requests"],
        "seconds": run["seconds"],
        "digest": run["id_digest"],
        "query": None if run["query"] is None else json.dumps(run["query"], ensure_ascii=False),
        "seen": seen,
        "figures": [(title, run[column]) for column, title, _ in FIGURES if run[column] is not None],
        "passes": [
            {
                "pass": reading.get("pass"),
                "pages": reading.get("pages"),
                "rows": reading.get("rows"),
                "duplicates": reading.get("duplicates"),
                "moved": "; ".join(map(str, reading.get("moved") or ())),
            }
            for reading in run["read"] or ()
        ],
    }


def _inside(inside: Mapping[str, Any]) -> dict[str, Any]:
    def linked(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "href": words.conversation_link(str(row["conversation_id"]))} for row in rows]

    return {
        "gaps": linked(inside["gaps"]),
        "number_of_gaps": inside["number_of_gaps"],
        "going_on": linked(inside["going_on"]),
        "rewritten": linked(inside["rewritten"]),
    }
