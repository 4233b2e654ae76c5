"""A conversation's page: its whole life, from what `life.collect` found, its legs on a scale of time.

Pure. What is masked has been masked before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text
from rollbook.page.masking import MASK
from rollbook.page.views import charts, words
from rollbook.store.commands import words as life_words

# The length of the scale, in the picture's own units.
WIDTH: Final = 1000.0
_ROW: Final = 14.0
# Types of segments in which nobody has answered yet, and those of work after the conversation.
_WAITING: Final = frozenset({"alert", "callback", "contacting", "delay", "dialing", "hold", "ivr"})
_AFTER: Final = frozenset({"wrapup"})
# So many notifications have their bodies on the page: a long conversation has thousands, of many kilobytes.
_BODIES: Final = 100
_LISTED: Final = 500
_PARTS: Final = (("user_id", "user"), ("queue_id", "queue"), ("wrap_up_code", "wrapupcode"), ("edge_id", "edge"))
_SHAPES: Final = {"websocket": "circle", "eventbridge": "square", "sqs": "diamond"}

Names = Mapping[tuple[str, str], str]


def ids_of(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, id) of everything that a conversation names."""
    pairs = [("division", str(each)) for each in _array(found["conversation"].get("division_ids"))]
    for participant in found["participants"]:
        rows = [participant]
        for session in participant["sessions"]:
            rows += [session, *session.get("segments", ())]
        pairs += [(kind, str(row[column])) for row in rows for column, kind in _PARTS if column in row]
    return list(dict.fromkeys(pairs))


def _array(text: object) -> list[Any]:
    try:
        found = json.loads(str(text or "[]"))
    except ValueError:
        return []
    return found if isinstance(found, list) else []


class _Scale:
    """The time of a conversation as a length."""

    def __init__(self, moments: Sequence[datetime]) -> None:
        self.start = min(moments, default=None)
        self.end = max(moments, default=None)
        self._whole = max((self.end - self.start).total_seconds(), 0.001) if self.start and self.end else 1.0

    def place(self, moment: datetime) -> float:
        """The place of a moment; what lies outside stands at the edge."""
        assert self.start is not None
        return min(max((moment - self.start).total_seconds() / self._whole, 0.0), 1.0) * WIDTH


def _moment(text: object) -> datetime | None:
    try:
        return from_text(text) if isinstance(text, str) else None
    except ValueError:
        return None


def conversation_page(
    found: Mapping[str, Any], names: Names, off: Sequence[tuple[str, str, str | None]], *, masked: bool
) -> dict[str, Any]:
    """The page of a conversation. off: (from, to, why) of the times at which capture was off."""
    known = found["conversation"]
    segments = [
        segment
        for participant in found["participants"]
        for session in participant["sessions"]
        for segment in session.get("segments", ())
    ]
    texts = [segment.get(name) for segment in segments for name in ("segment_start", "segment_end")]
    texts += [known.get("conversation_start"), known.get("conversation_end")]
    moments = [moment for text in texts if (moment := _moment(text)) is not None]
    moments = moments or [moment for event in found["events"] if (moment := _moment(event["received_at"])) is not None]
    scale = _Scale(moments)
    events = found["events"][:_LISTED]
    gap = next(({"filled_at": None, **row} for row in found["gaps"]), None)
    return {
        "conversation_id": found["conversation_id"],
        "title": title(known, found["gaps"]),
        "facts": list(_facts(found, names)),
        "gap": gap,
        "masked": masked,
        "start": scale.start and words.second(_text(scale.start)),
        "end": scale.end and words.second(_text(scale.end)),
        "participants": [_participant(participant, scale, names) for participant in found["participants"]],
        "lanes": _lanes(found, scale, off),
        "story": _story(found),
        "events": [_event(event, found, at < _BODIES) for at, event in enumerate(events)],
        "more_events": len(found["events"]) - len(events),
        "versions": [
            {
                "read_at": words.second(version["read_at"]),
                "replaced_at": words.second(version["replaced_at"]),
                "changes": version["changes"][:12],
                "more": max(len(version["changes"]) - 12, 0),
                "details": _json(version["details"]),
            }
            for version in found["versions"]
        ],
        "attributes": [(attribute["name"], attribute.get("value", "")) for attribute in found["attributes"]],
        "windows": [
            {
                "between": words.between(window["start"], window["end"]),
                "verdict": words.state_name(window["verdict"]),
                "href": words.window_link(window["start"]),
                "filter": window["filter"],
            }
            for window in found["windows"]
        ],
        "details": None if found["details"] is None else _json(found["details"]),
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def title(known: Mapping[str, Any], gaps: Sequence[Mapping[str, Any]]) -> str:
    """The conversation in a sentence: what it was, when, and whether it had been missed."""
    media = " and ".join(map(str, _array(known.get("media_types")))) or "conversation"
    direction = f"{known['originating_direction']} " if known.get("originating_direction") else ""
    sentence = f"{direction}{media}".capitalize()
    if start := known.get("conversation_start"):
        sentence += f" of {words.minute(start)} UTC"
    started, ended = _moment(known.get("conversation_start")), _moment(known.get("conversation_end"))
    if started and ended:
        sentence += f", {words.length(max((ended - started).total_seconds(), 0))} long"
    elif started:
        sentence += ", without an end yet"
    if not gaps:
        ways = {"both": "received live and read", "live": "received live, not read yet", "reconciled": "read"}
        return f"{sentence}: {ways.get(known.get('provenance', ''), 'known by its notifications alone')}."
    gap = gaps[0]
    missed = {
        "missing": "missed by live capture",
        "changed": "its end was missed",
        "live_only": "not listed by analytics",
    }
    filled = "filled" if gap.get("filled_at") else "not filled"
    return f"{sentence}: {missed.get(gap['kind'], gap['kind'])} ({gap['cause']}), {filled}."


def _facts(found: Mapping[str, Any], names: Names) -> Iterator[tuple[str, str]]:
    """The facts of `rollbook show`, with names in the place of divisions' ids; windows are shown elsewhere."""
    skips = False
    for name, value in life_words.facts(dict(found)):
        skips = name in ("window", "gap") or (skips and not name)
        if skips:
            continue
        if name == "divisions":
            ids = _array(found["conversation"].get("division_ids"))
            value = ", ".join(names.get(("division", str(each)), str(each)) for each in ids)
        yield name, value


def _participant(participant: Mapping[str, Any], scale: _Scale, names: Names) -> dict[str, Any]:
    user = participant.get("user_id")
    called = names.get(("user", str(user))) if user else participant.get("participant_name")
    if participant.get("purpose") == "acd":
        called = _queue_of(participant, names) or called
    return {
        "purpose": participant.get("purpose", "participant"),
        "name": called or user or "",
        "legs": [
            {
                # That an address is masked is said once, above.
                "title": life_words.leg({name: value for name, value in session.items() if value != MASK}),
                "mos": min(
                    (stat["min_mos"] for stat in session.get("media_endpoint_stats", ()) if _measured(stat)),
                    default=None,
                ),
                "edge": names.get(("edge", str(session.get("edge_id")))),
                "segments": [_segment(segment, scale, names) for segment in session.get("segments", ())],
            }
            for session in participant["sessions"]
        ],
    }


def _queue_of(participant: Mapping[str, Any], names: Names) -> str | None:
    """The name of the queue that a participant stands for."""
    for session in participant["sessions"]:
        for segment in session.get("segments", ()):
            if "queue_id" in segment:
                return names.get(("queue", str(segment["queue_id"])), str(segment["queue_id"]))
    return None


def _measured(stat: Mapping[str, Any]) -> bool:
    return isinstance(stat.get("min_mos"), int | float)


def _segment(segment: Mapping[str, Any], scale: _Scale, names: Names) -> dict[str, Any]:
    start, end = _moment(segment.get("segment_start")), _moment(segment.get("segment_end")) or scale.end
    kind = str(segment.get("segment_type", "segment"))
    path = ""
    if start is not None and end is not None:
        left = scale.place(start)
        path = charts.box(min(left, WIDTH - 4), 1, max(scale.place(end) - left, 4.0), _ROW - 2)
    queue, code = segment.get("queue_id"), segment.get("wrap_up_code")
    return {
        "at": str(segment.get("segment_start") or "?")[11:19] or "?",
        "lasted": life_words.lasted(dict(segment)),
        "type": kind,
        "queue": queue and names.get(("queue", str(queue)), str(queue)),
        "code": code and names.get(("wrapupcode", str(code)), str(code)),
        "ended": segment.get("disconnect_type"),
        "error": segment.get("error_code"),
        "path": path,
        "state": "waiting" if kind in _WAITING else "after" if kind in _AFTER else "talking",
    }


def _lanes(found: Mapping[str, Any], scale: _Scale, off: Sequence[tuple[str, str, str | None]]) -> dict[str, Any]:
    """The notifications on the scale, by how they came, and the times at which capture was off."""
    if scale.start is None or scale.end is None:
        return {"sources": [], "off": "", "off_words": []}
    by_source: dict[str, list[float]] = {}
    for event in found["events"]:
        moment = _moment(event["received_at"])
        if moment is not None:
            by_source.setdefault(str(event["source"]), []).append(scale.place(moment))
    boxes, said = [], []
    for begin, end, why in off:
        started, ended = _moment(begin), _moment(end)
        if started is None or ended is None or ended <= scale.start or started >= scale.end:
            continue
        left, right = scale.place(started), scale.place(ended)
        boxes.append(charts.box(left, 1, max(right - left, 2.0), _ROW - 2))
        said.append(f"{words.between(begin, end)} UTC{f' ({why})' if why else ''}")
    return {
        "sources": [
            {
                "name": source,
                "number": len(places),
                "shape": _SHAPES.get(source, "circle"),
                "path": "".join(_mark(_SHAPES.get(source, "circle"), place) for place in places[:_LISTED]),
            }
            for source, places in by_source.items()
        ],
        "off": "".join(boxes),
        "off_words": said,
    }


def _mark(shape: str, x: float) -> str:
    """A mark on a lane; each source has a shape of its own."""
    x = min(max(x, 5.0), WIDTH - 5)
    at = charts.number(x)
    if shape == "square":
        return charts.box(x - 4, 3, 8, 8)
    if shape == "diamond":
        return f"M{at} 2l5 5l-5 5l-5-5z"
    return f"M{charts.number(x - 4)} 7a4 5 0 1 0 8 0a4 5 0 1 0-8 0z"


def _story(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(when, what) of everything that became known of it, in order of time."""
    known = found["conversation"]
    events = found["events"]
    steps: list[tuple[str | None, str]] = [
        (known.get("conversation_start"), "it started"),
        (known.get("heard_end"), "its end, as live capture received it"),
        (known.get("conversation_end"), "it ended"),
        (known.get("first_seen_at"), "first known here"),
        (known.get("read_at"), "the newest read is as of this time"),
        (known.get("reconciled_at"), "written from that read"),
    ]
    if events:
        steps.append((events[0]["received_at"], f"first notification, by {events[0]['source']}"))
        if len(events) > 1:
            steps.append((events[-1]["received_at"], f"last of {len(events):,} notifications"))
    steps += [
        (
            version["replaced_at"],
            f"rewritten: {count(len(version['changes']), 'place differs', 'places differ')} from the read before",
        )
        for version in found["versions"]
    ]
    for gap in found["gaps"]:
        steps.append((gap.get("detected_at"), f"gap detected, {gap['kind'].replace('_', ' ')}: {gap['cause']}"))
        steps.append((gap.get("filled_at"), "gap filled"))
    for asked in found["asked_by_id"]:
        steps.append((asked.get("asked_at"), "asked for by its id"))
        steps.append((asked.get("absent_since"), "the platform's answers lack it since then"))
    dated = [(text, what) for text, what in steps if text]
    return [(words.second(text), what) for text, what in sorted(dated, key=lambda step: step[0])]


def _event(event: Mapping[str, Any], found: Mapping[str, Any], with_body: bool) -> dict[str, Any]:
    return {
        "at": words.second(event["received_at"]),
        "own": event["event_time"] and words.second(event["event_time"]),
        "source": event["source"],
        "shape": _SHAPES.get(str(event["source"]), "circle"),
        "topic": str(event["topic"]).replace(str(found["conversation_id"]), "{id}"),
        "body": _json(event["body"]) if with_body else None,
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
