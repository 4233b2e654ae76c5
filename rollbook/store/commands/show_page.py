"""The page of `rollbook show --html`: a conversation on one page that needs nothing else, on light or dark screens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from rollbook.genesys.program.inert import inert_html, inert_html_block, inert_json
from rollbook.genesys.times import from_text
from rollbook.store.commands import words

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2129; --paper: #fff; --soft: #5b6472; --line: #d9dee5; --bar: #2f6fb5;
  --wait: #c98a1b; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --paper: #15181d; --soft: #9aa4b2; --line: #343b46;
  --bar: #6ea8e6; --wait: #e0b04f; --bad: #f2867d } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font: 600 1.2rem ui-monospace, monospace; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 }
dt, .soft { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.bad { color: var(--bad) }
.leg { border-top: 1px solid var(--line); padding: .5rem 0 }
.row { display: grid; grid-template-columns: 22rem 1fr; gap: 1rem; align-items: center; font-size: .9rem }
.row span { overflow-wrap: anywhere }
.track { position: relative; height: .8rem; background: var(--line); border-radius: .2rem }
.track i { position: absolute; top: 0; bottom: 0; min-width: 3px; background: var(--bar); border-radius: .2rem }
.track i.wait { background: var(--wait) }
details { border-top: 1px solid var(--line); padding: .25rem 0 } summary { cursor: pointer; overflow-wrap: anywhere }
pre { overflow-x: auto; font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
@media (max-width: 44rem) { .row { grid-template-columns: 1fr; gap: .2rem } }
"""
# Types of segments in which nobody has answered yet.
_WAITING: Final = frozenset({"alert", "callback", "contacting", "delay", "dialing", "hold", "ivr"})


def page(found: dict[str, Any]) -> str:
    """The page of what `life.collect` found. It loads nothing, and runs no program."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>Conversation {inert_html(found['conversation_id'])}</title>",
            f"<style>{_STYLE}</style>",
            f"<h1>{inert_html(found['conversation_id'])}</h1>",
            *_facts(found),
            *_legs(found),
            *_events(found),
            *_versions(found),
            *_attributes(found),
            *_json("Details, as the platform answered", found["details"]),
            "</html>",
            "",
        ]
    )


def _facts(found: dict[str, Any]) -> Iterator[str]:
    yield "<dl>"
    for name, value in words.facts(found):
        mark = ' class="bad"' if name == "gap" else ""
        yield f"<dt>{inert_html(name)}</dt><dd{mark}>{inert_html(value)}</dd>"
    yield "</dl>"


def _legs(found: dict[str, Any]) -> Iterator[str]:
    if not found["participants"]:
        return
    scale = _Scale(found)
    yield "<h2>Legs</h2>"
    for participant in found["participants"]:
        yield f'<section class="leg"><strong>{inert_html(words.title(participant))}</strong>'
        for session in participant["sessions"]:
            yield f'<div class="soft">{inert_html(words.leg(session))}</div>'
            for segment in session.get("segments", ()):
                at = (segment.get("segment_start") or "?").replace("T", " ").removesuffix("Z")
                said = f"{at} · {words.lasted(segment)} · {words.did(segment)}"
                if "queue_id" in segment:
                    said += f" · queue {segment['queue_id']}"
                yield f'<div class="row"><span>{inert_html(said)}</span>{scale.bar(segment)}</div>'
        yield "</section>"


class _Scale:
    """The length of the conversation, on which its segments are bars."""

    def __init__(self, found: dict[str, Any]) -> None:
        segments = [
            segment
            for participant in found["participants"]
            for session in participant["sessions"]
            for segment in session.get("segments", ())
        ]
        moments = [_moment(segment.get(name)) for segment in segments for name in ("segment_start", "segment_end")]
        known = [moment for moment in moments if moment is not None]
        self._start = min(known, default=None)
        self._end = max(known, default=None)

    def bar(self, segment: dict[str, Any]) -> str:
        """A segment as a bar; an empty track where its times cannot be read."""
        start, end = _moment(segment.get("segment_start")), _moment(segment.get("segment_end")) or self._end
        if start is None or end is None or self._start is None or self._end is None:
            return '<div class="track"></div>'
        whole = max((self._end - self._start).total_seconds(), 0.001)
        left = (start - self._start).total_seconds() / whole * 100
        width = max((end - start).total_seconds() / whole * 100, 0)
        kind = ' class="wait"' if segment.get("segment_type") in _WAITING else ""
        return f'<div class="track"><i{kind} style="left:{left:.2f}%;width:{width:.2f}%"></i></div>'


def _moment(text: str | None) -> datetime | None:
    try:
        return from_text(text) if text else None
    except ValueError:
        return None


def _events(found: dict[str, Any]) -> Iterator[str]:
    if found["events"]:
        yield "<h2>Heard</h2>"
    for event in found["events"]:
        said = f" · says {event['event_time']}" if event["event_time"] else ""
        yield from _json(f"{event['received_at']} · {event['source']} · {event['topic']}{said}", event["body"])


def _versions(found: dict[str, Any]) -> Iterator[str]:
    if found["versions"]:
        yield "<h2>Versions</h2>"
    for version in found["versions"]:
        places = ", ".join(version["changes"]) or "nothing"
        yield from _json(
            f"as of {version['read_at']}, rewritten {version['replaced_at']}; then changed: {places}",
            version["details"],
        )


def _attributes(found: dict[str, Any]) -> Iterator[str]:
    if found["attributes"]:
        yield "<h2>Attributes</h2><dl>"
        for attribute in found["attributes"]:
            yield f"<dt>{inert_html(attribute['name'])}</dt><dd>{inert_html(str(attribute.get('value', '')))}</dd>"
        yield "</dl>"


def _json(title: str, value: Any) -> Iterator[str]:
    """A value that is folded away below its title."""
    if value is not None:
        text = inert_json(json.dumps(value, indent=2, ensure_ascii=False))
        yield f"<details><summary>{inert_html(title)}</summary><pre>{inert_html_block(text)}</pre></details>"
