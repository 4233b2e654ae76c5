"""A conversation's life in words: what is known of it as a whole, its legs, times and lengths of time. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text


def facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, value) of what is known of the conversation as a whole. An empty name goes on with the one before."""
    known = found["conversation"]
    start, end = known.get("conversation_start"), known.get("conversation_end")
    yield "started", time(start) if start else "not known yet"
    if end:
        yield "ended", f"{time(end)}{_after(start, end)}"
    else:
        yield "ended", f"not yet{_set_aside(known)}"
    if media := _list(known.get("media_types")):
        yield "media", f"{media}, {str(known.get('originating_direction', 'direction not known')).lower()}"
    if divisions := _list(known.get("division_ids")):
        yield "divisions", divisions
    if "mos" in known:
        yield "quality", f"MOS {known['mos']:.2f} at its worst"
    yield "known", _provenance(known, found["events"])
    yield from _reads(known, found)
    for window in found["windows"]:
        of = f", for a filter: {window['filter']}" if window["filter"] else ""
        yield "window", f"{_minute(window['start'])} to {_minute(window['end'])} UTC: {window['verdict']}{of}"
    if not found["windows"]:
        yield "window", "none of the ledger's has it"
    for gap in found["gaps"]:
        filled = f"filled {time(gap['filled_at'])}" if "filled_at" in gap else "not filled"
        yield "gap", f"{gap['kind'].replace('_', ' ')}: {gap['cause']}"
        yield "", f"detected {time(gap['detected_at'])}"
        yield "", filled


def _provenance(known: dict[str, Any], events: list[dict[str, Any]]) -> str:
    words = {
        "live": "heard, and not read yet",
        "reconciled": "read, and never heard",
        "both": "heard, and read",
    }
    how = words.get(known.get("provenance", ""), "by its notifications alone")
    return f"{how}; {count(len(events), 'notification')}"


def _reads(known: dict[str, Any], found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "read_at" in known:
        yield "read", f"as of {time(known['read_at'])}"
        yield "", f"written {time(known.get('reconciled_at'))}"
    if known.get("look_again"):
        yield "", "to be read again: something was heard after the last read"
    if known.get("details_open"):
        yield "", "the details that were read have no end"
    for asked in found["asked_by_id"]:
        if "asked_at" in asked:
            yield "asked by id", time(asked["asked_at"])
        if "absent_since" in asked:
            yield "", f"the platform's answers lack it since {time(asked['absent_since'])}"
        if "refused" in asked:
            yield "", f"refused: {asked['refused']}"


def _set_aside(known: dict[str, Any]) -> str:
    words = {"stuck": "; it is open for too long to be waited for", "gone": "; the platform no longer knows it"}
    return words.get(known.get("followed", ""), "")


def title(participant: dict[str, Any]) -> str:
    """A participant's purpose, and who that is."""
    who = participant.get("participant_name") or participant.get("user_id") or participant.get("participant_id", "")
    return f"{participant.get('purpose', 'participant')}  {who}".strip()


def leg(session: dict[str, Any]) -> str:
    """The medium of a session, its direction, and the addresses at its ends."""
    words = [str(session.get("media_type", "session")), str(session.get("direction", ""))]
    addresses = ("ani", "dnis", "address_from", "address_to", "remote")
    words += [f"{name.removeprefix('address_')} {session[name]}" for name in addresses if name in session]
    return " ".join(word for word in words if word)


def lasted(segment: dict[str, Any]) -> str:
    """The length of a segment."""
    end = segment.get("segment_end")
    return _lasted(segment.get("segment_start"), end) if end else "going on"


def did(segment: dict[str, Any]) -> str:
    """The type of a segment, and how it ended."""
    words = [str(segment.get("segment_type", "segment"))]
    names = (("disconnect_type", "ended by"), ("wrap_up_code", "wrap-up"), ("error_code", "error"))
    words += [f"{shown} {segment[name]}" for name, shown in names if name in segment]
    return ", ".join(words)


def time(text: str | None) -> str:
    """A time as people read it, to the millisecond."""
    return f"{text[:10]} {text[11:23].rstrip('Z')} UTC" if text else "never"


def _minute(text: str) -> str:
    return f"{text[:10]} {text[11:16]}"


def clock(found: dict[str, Any], text: str | None) -> str:
    """The time of day, with the day where it is another than that of the conversation's start."""
    if not text or text[10:11] != "T":
        return text or "?"  # a time that cannot be read as one is kept as it came
    first = found["conversation"].get("conversation_start") or text
    return text[11:19] if text[:10] == first[:10] else f"{text[:10]} {text[11:19]}"


def _after(start: str | None, end: str) -> str:
    lasted = _lasted(start, end)
    return f", after {lasted}" if lasted else ""


def _lasted(start: str | None, end: str | None) -> str:
    try:
        return duration(from_text(end) - from_text(start)) if start and end else ""
    except ValueError:
        return ""  # a time that cannot be read as one is kept as it came


def duration(length: timedelta) -> str:
    """`1 h 02 min`, `5 min 21 s`, `12 s`, `0.3 s`."""
    seconds = length.total_seconds()
    if abs(seconds) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def _list(text: str | None) -> str:
    """A JSON array of texts as a sentence has them."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return text or ""
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
