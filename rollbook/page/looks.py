"""What a page needs of the store, read together: each function takes the connection first. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollbook.genesys.canonical_json import digest
from rollbook.genesys.times import to_text
from rollbook.page import masking, render
from rollbook.page.views import band, conversation_page, window_page, words
from rollbook.store import life, proof
from rollbook.store.tables import schema, windows
from rollbook.store.views import page_rows, time_pieces

# So many of the worst legs are named.
_WORST = 8


def conversation_values(db: Any, identity: str, now: datetime, *, personal: bool) -> dict[str, Any] | None:
    """What a conversation's page shows; None where nothing names it. Personal fields are masked unless `personal`."""
    found = life.collect(db, identity)
    if found is None:
        return None
    # Names are of the conversation's own time.
    names = page_rows.called(
        db, conversation_page.ids_of(found), found["conversation"].get("conversation_start") or to_text(now)
    )
    off = page_rows.times_off(db, to_text(now), found["conversation"].get("conversation_start") or "9")
    shown = found if personal else masking.life(found)
    page = conversation_page.conversation_page(shown, names, off, masked=not personal)
    return {
        "page": page,
        "digest": _digest(page),
        "as_of": words.second(to_text(now)),
        "organization": organization_name(db),
    }


def conversation_html(db: Any, identity: str, now: datetime, *, personal: bool) -> str | None:
    """A conversation's page; None where nothing names it. Made where the store is read: it may be megabytes."""
    values = conversation_values(db, identity, now, personal=personal)
    return None if values is None else render.page("conversation.html", values)


def conversation_digest(db: Any, identity: str, now: datetime, *, personal: bool) -> str:
    """A digest of what a conversation's page shows; "" where nothing names it."""
    values = conversation_values(db, identity, now, personal=personal)
    return "" if values is None else str(values["digest"])


def _digest(page: Mapping[str, Any]) -> str:
    """A text that is another when the page shows something else. It is made of plain values, which spell themselves."""
    return digest(repr(page).encode("utf-8", "surrogatepass")).hex()


def organization_name(db: Any) -> str | None:
    found = schema.organization(db)
    return found[1] if found else None


def ledger(db: Any) -> dict[str, Any]:
    counts, pieces = windows.by_verdict(db, filter=""), time_pieces.pieces(page_rows.stretches(db))
    return {
        "extent": page_rows.extent(db),
        "pieces": pieces,
        "by_day": band.seconds_by_day(pieces),
        "counts": [("", verdict, number) for verdict, number in counts.items()],
        "filtered": sum(windows.by_verdict(db).values()) - sum(counts.values()),
    }


def days(db: Any, length: int, since: str, until: str) -> tuple[Any, Any, Any]:
    return (
        page_rows.counts(db, length, since, until),
        page_rows.received(db, length, since, until),
        page_rows.gap_counts(db, length, since, until),
    )


def arrivals(db: Any, bounds: list[str], since: str) -> tuple[Any, Any, Any]:
    return page_rows.arrivals(db, bounds), page_rows.delays(db, since), bounds


def quality(db: Any, since: str, until: str) -> tuple[Any, Any, Any]:
    return *page_rows.quality(db, since, until), page_rows.worst_legs(db, since, until, _WORST)


def window_values(db: Any, at: str) -> dict[str, Any] | None:
    """What the page of the windows that begin at a time shows; None where none does."""
    rows = proof.beginning_at(db, at)
    if not rows:
        return None
    proofs = [(row, [proof.plain(run) for run in proof.runs_over(db, row)]) for row in rows]
    first = rows[0]
    divisions = [pair for _, runs in proofs for pair in window_page.division_ids(runs)]
    page = window_page.window_page(
        proofs,
        page_rows.of_window(db, first.start, first.end),
        page_rows.called(db, divisions, first.end),
        page_rows.neighbours(db, first.start),
    )
    return {"page": page, "digest": _digest(page), "organization": organization_name(db)}


def window_digest(db: Any, at: str) -> str:
    """A digest of what the page of a window shows; "" where there is no such window."""
    values = window_values(db, at)
    return "" if values is None else str(values["digest"])
