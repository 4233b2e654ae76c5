"""`rollbook show`: a conversation's whole life, in words for a terminal of 80 columns, as JSON or as a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.ids import conversation_id as spelled_id
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count, fitted
from rollbook.genesys.times import from_text
from rollbook.store import life
from rollbook.store.book import Book

_NAME: Final = 12  # columns of a field's name
_INDENT: Final = 15  # columns of what goes on on the next line
# Changes of a version that are named; there may be many.
_NAMED: Final = 5


def show(conversation_id: str, html: Path | None, settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        with Book.open(settings.store_path, mode="ro") as book:
            found = book.read_now(life.collect, spelled_id(conversation_id) or "")
        if found is None:
            raise UsageError(f"nothing in {settings.store_path} names the conversation {conversation_id}")
        if html is not None:
            _write_page(html, found)
        console.show(as_json, lambda: found, lambda: [f"{html} is written"] if html else list(lines(found)))

    console.run(work, as_json=as_json)


def _write_page(path: Path, found: dict[str, Any]) -> None:
    from rollbook.store.commands.show_page import page

    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise RollbookError(f"{path} cannot be written: {error.strerror}; name another file with --html") from None


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The report, line by line."""
    for line in _lines(found):
        yield from fitted([line], indent=_INDENT) if line else [""]


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield found["conversation_id"]
    for name, value in facts(found):
        yield f"  {name:<{_NAME}} {value}"
    for name, part in (("legs", _legs), ("heard", _events), ("versions", _versions), ("attributes", _attributes)):
        some = list(part(found))
        if some:
            yield ""
            yield name
            yield from some


def facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, value) of what is known of the conversation as a whole. An empty name goes on with the one before."""
    known = found["conversation"]
    start, end = known.get("conversation_start"), known.get("conversation_end")
    yield "started", _time(start) if start else "not known yet"
    if end:
        yield "ended", f"{_time(end)}{_after(start, end)}"
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
        filled = f"filled {_time(gap['filled_at'])}" if "filled_at" in gap else "not filled"
        yield "gap", f"{gap['kind'].replace('_', ' ')}: {gap['cause']}"
        yield "", f"detected {_time(gap['detected_at'])}"
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
        yield "read", f"as of {_time(known['read_at'])}"
        yield "", f"written {_time(known.get('reconciled_at'))}"
    if known.get("look_again"):
        yield "", "to be read again: something was heard after the last read"
    if known.get("details_open"):
        yield "", "the details that were read have no end"
    for asked in found["asked_by_id"]:
        if "asked_at" in asked:
            yield "asked by id", _time(asked["asked_at"])
        if "absent_since" in asked:
            yield "", f"the platform's answers lack it since {_time(asked['absent_since'])}"
        if "refused" in asked:
            yield "", f"refused: {asked['refused']}"


def _set_aside(known: dict[str, Any]) -> str:
    words = {"stuck": "; it is open for too long to be waited for", "gone": "; the platform no longer knows it"}
    return words.get(known.get("followed", ""), "")


def _legs(found: dict[str, Any]) -> Iterator[str]:
    for participant in found["participants"]:
        yield f"  {title(participant)}"
        for session in participant["sessions"]:
            yield f"    {leg(session)}"
            queue = None
            for segment in session.get("segments", ()):
                if segment.get("queue_id") != queue and "queue_id" in segment:
                    queue = segment["queue_id"]
                    yield f"    queue {queue}"
                yield f"      {_clock(found, segment.get('segment_start'))}  {lasted(segment):>11}  {did(segment)}"


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


def _events(found: dict[str, Any]) -> Iterator[str]:
    for event in found["events"]:
        topic = event["topic"].replace(found["conversation_id"], "{id}")
        yield f"  {_clock(found, event['received_at'])}  {event['source']}  {topic}"


def _versions(found: dict[str, Any]) -> Iterator[str]:
    for version in found["versions"]:
        yield f"  as of {_time(version['read_at'])}, rewritten {_time(version['replaced_at'])}"
        places = version["changes"]
        more = f" and {len(places) - _NAMED:,} more" if len(places) > _NAMED else ""
        yield f"    then changed: {', '.join(places[:_NAMED]) or 'nothing'}{more}"


def _attributes(found: dict[str, Any]) -> Iterator[str]:
    for attribute in found["attributes"]:
        yield f"  {attribute['name']} = {attribute.get('value', '')}"


def _time(text: str | None) -> str:
    return f"{text[:10]} {text[11:23].rstrip('Z')} UTC" if text else "never"


def _minute(text: str) -> str:
    return f"{text[:10]} {text[11:16]}"


def _clock(found: dict[str, Any], text: str | None) -> str:
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
    import json

    try:
        found = json.loads(text or "[]")
    except ValueError:
        return text or ""
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
