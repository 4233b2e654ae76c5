"""A window's proof, as the store knows it: the window, and every run over it, for `rollbook window` and the page."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from rollbook.store.tables import windows
from rollbook.store.tables.windows import WindowRow


def beginning_at(connection: sqlite3.Connection, at: str) -> list[WindowRow]:
    """The windows of every filter that begin at a time (API text); where there is none, those that go on then."""
    rows = windows.listed(connection, since=at, until=f"{at}~", filter=None)
    return [row for row in rows if row.start == at] or rows


def runs_over(connection: sqlite3.Connection, row: WindowRow) -> list[dict[str, Any]]:
    """The runs over a window, and over the wider interval whose proof it took over, as the table has them."""
    runs = windows.runs(connection, row.start, row.end, row.filter)
    if row.proven_by:
        start, _, end = row.proven_by.partition("/")
        runs = [*windows.runs(connection, start, end, row.filter), *runs]
    return sorted(runs, key=lambda run: int(run["run_id"]))


def plain(run: dict[str, Any]) -> dict[str, Any]:
    """A run as JSON: what is kept as JSON text is part of it, the digest is in hexadecimal."""
    shown = dict(run)
    for name, given in (("passes_json", "read"), ("query_json", "query"), ("divisions_json", "divisions")):
        text = shown.pop(name)
        shown[given] = None if text is None else json.loads(text)
    digest = shown["id_digest"]
    shown["id_digest"] = digest.hex() if isinstance(digest, bytes) else None
    return shown
