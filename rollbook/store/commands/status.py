"""`rollbook status`: what `rollbook/store/status.py` found, in words for a terminal of 80 columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count, fitted
from rollbook.store import status as state
from rollbook.store.book import Book
from rollbook.store.headline import minute
from rollbook.store.upkeep import growth
from rollbook.store.vocabulary import SetAside, Verdict

_NAME: Final = 15  # columns of a field's name
_STRETCHES: Final = 3  # of proven time, the latest
_ORDER: Final = (
    Verdict.SETTLED,
    Verdict.COMPLETE,
    Verdict.OPEN,
    Verdict.DUE,
    Verdict.PENDING,
    Verdict.FAILED,
)


def status(settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        with Book.open(settings.store_path, mode="ro") as book:
            found = book.read_now(collect, settings, datetime.now(UTC))
        console.show(as_json, lambda: found, lambda: lines(found))

    console.run(work, as_json=as_json)


def collect(db: sqlite3.Connection, settings: Settings, now: datetime) -> dict[str, Any]:
    """Everything that `status --json` answers."""
    return state.report(db, settings.store_path, now, width=settings.width, since_setting=settings.since)


def _minute(text: str | None) -> str:
    return minute(text) if text else "never"


def _percent(share: float | None) -> str:
    if share is None:
        return "–"
    # Never "100 %" for something that is not all of it.
    return "100 %" if share >= 1 else f"{min(share * 100, 99.99):.2f} %" if share > 0.99 else f"{share * 100:.1f} %"


def _field(name: str, value: str) -> str:
    return f"{name:<{_NAME}} {value}"


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The report, line by line: the headline first."""
    yield from fitted([found["sentence"]], indent=2)
    yield from fitted(_state(found), indent=_NAME + 1)
    yield from field_lines(found)


def field_lines(found: dict[str, Any]) -> Iterator[str]:
    """What stands below the headline, line by line."""
    return fitted(_fields(found), indent=_NAME + 1)


def _state(found: dict[str, Any]) -> Iterator[str]:
    yield _field("state", found["state"])
    for why in found["why"]:
        yield _field("", why)


def _fields(found: dict[str, Any]) -> Iterator[str]:
    organization = found["organization"]
    yield _field("organisation", f"{organization['name']} ({organization['id']})" if organization else "not known yet")
    yield from _capture(found["capture"])
    yield from _conversations(found["conversations"])
    yield from _windows(found["windows"])
    yield from _gaps(found["gap_causes"], found["sums"])
    if "store" in found:
        yield from _store(found["store"])
    if found["rejected_topics"]:
        yield from _rejected(found["rejected_topics"])
    if found["dead_letters"]:
        of_hour = found["dead_letters_last_hour"]
        lately = f", {of_hour:,} of them in the last hour" if of_hour else ""
        yield _field(
            "dead letters", f"{found['dead_letters']:,} that could not be understood (table dead_letters){lately}"
        )


def _capture(capture: dict[str, Any]) -> Iterator[str]:
    if capture["since"] is None and capture["has_run"]:
        yield _field("capture", "has run, and has heard nothing yet")
        return
    if capture["since"] is None:
        yield _field("capture", "has never run (`rollbook run` starts it)")
        return
    now = f"listening by {', '.join(capture['sources'])}" if capture["listening"] else "not listening now"
    yield _field("capture", f"{now}, first on {_minute(capture['since'])}")
    last = f", the last on {_minute(capture['last_event_at'])}" if capture["events"] else ""
    yield _field("events", f"{capture['events']:,}{last}")
    day = capture["last_day"]
    yield _field("last day", f"{_percent(day['share'])} of the time of {count(day['topics'], 'topic')} was listened to")
    for hole in day["holes"]:
        start, end = hole["start"][11:16], hole["end"][11:16]
        if start == end:
            start, end = hole["start"][11:19], hole["end"][11:19]
        yield _field("", f"not heard {start} to {end} UTC, {count(hole['topics'], 'topic')}: {hole['reason']}")
    if day["more_holes"]:
        yield _field("", f"and {day['more_holes']:,} earlier ones (table coverage)")


def _conversations(known: dict[str, Any]) -> Iterator[str]:
    yield _field("conversations", f"{known['total']:,}")
    if known["both"] + known["reconciled"]:
        yield _field("", f"{_percent(known['share_heard_live'])} of those read afterwards had been heard live")
    if known["live"]:
        yield _field("", f"{known['live']:,} heard and not read yet")
    followed = [f"{known['ongoing']:,} going on"]
    followed += [f"{known[name]:,} {name}" for name in SetAside if known[name]]
    yield _field("", ", ".join(followed))
    if known["drifted"]:
        yield _field("", f"{known['drifted']:,} rewritten after their end (table conversation_versions)")


def _windows(ledger: dict[str, Any]) -> Iterator[str]:
    counts = ledger["by_verdict"]
    if not counts:
        yield _field("windows", "none yet")
        return
    yield _field("windows", ", ".join(f"{counts[name]:,} {name}" for name in _ORDER if counts.get(name)))
    for stretch in ledger["proven"][-_STRETCHES:]:
        yield _field("", f"proven from {_minute(stretch['from'])} to {_minute(stretch['until'])}")
    if (more := len(ledger["proven"]) - _STRETCHES) > 0:
        earlier = count(more, "earlier stretch", "earlier stretches")
        yield _field("", f"and {earlier}; what lies between is not proven")
    if ledger["last_read_at"]:
        yield _field("", f"last read well on {_minute(ledger['last_read_at'])}")
    if (due := ledger["due"])["count"]:
        yield _field("due", f"{due['count']:,} not read yet, the oldest ended on {_minute(due['oldest_end'])}")
    for window in ledger["failed"][:5]:
        yield _field("failed", f"{_minute(window['start'])}: {window['reason'] or 'no reason kept'}")
    if ledger["failed"]:
        yield _field("", "`rollbook window START` shows every try, `rollbook windows` lists all of them")


def _gaps(found: list[dict[str, Any]], sums: dict[str, Any]) -> Iterator[str]:
    if not found:
        yield _field("gaps", "none")
        return
    counted = f"{sums['detected']:,} detected, {sums['recovered']:,} recovered, {sums['failed']:,} failed"
    yield _field("gaps", f"{counted} (`rollbook gaps` lists them)")
    for gap in found[:8]:
        yield _field("", f"{gap['detected']:>7,} {gap['kind'].replace('_', ' ')}: {gap['cause']}")


def _store(store: dict[str, Any]) -> Iterator[str]:
    yield _field("store", store["words"])
    if store["parts"]:
        yield _field("", growth.largest(store["parts"]))
    if store["is_short"]:
        yield _field("", "THE DISK WILL BE FULL SOON: give it room, or keep less (docs/backup.md)")


def _rejected(refused: list[dict[str, Any]]) -> Iterator[str]:
    yield _field("not heard", f"{count(len(refused), 'topic was', 'topics were')} refused (table rejected_topics)")
    missing = sorted({name for topic in refused for name in topic["missing_permissions"]})
    if missing:
        yield _field("", f"missing permission: {', '.join(missing)}")
