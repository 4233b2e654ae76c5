"""Faults of an event between its making and its sending: lost, late, twice, out of order, strange. Pure.

Each alteration takes a share of the events, drawn from a seeded stream, for as long as it lasts. Knows no socket and no
clock; the moment comes in as an argument.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.notifications.emitter import Event
from rollbook.simulator.notifications.frames import encoded
from rollbook.simulator.times import moment, text

NOW: Final = timedelta(0)
# An event and how much later than usual it is sent.
Sent = tuple[timedelta, Event]


@dataclass(frozen=True, slots=True)
class Alteration:
    """Fault that is at work on events. share: of the events, 0 to 1. until: None for as long as nobody ends it.

    seconds: how late, where it makes late. same_id: a duplicate keeps the CorrelationId. what: one of its spellings.
    """

    kind: str
    share: float = 1.0
    until: datetime | None = None
    seconds: float = 0.0
    same_id: bool = True
    what: str | None = None


class Alterations:
    """Those at work, in the order in which they were begun. strays: frames that belong to no event, to be sent too."""

    def __init__(self, seed: int, new_id: Callable[[], str]) -> None:
        self._draw = random.Random(f"alterations {seed}")
        self._new_id = new_id
        self._active: list[Alteration] = []
        self._held_back: dict[str, list[Event]] = {}

    def begin(self, alteration: Alteration) -> None:
        """From now on."""
        if alteration.kind not in _KINDS:
            raise ValueError(f"{alteration.kind} is no alteration")
        self._active.append(alteration)

    def clear(self) -> list[Event]:
        """End all; answers the events that were held back."""
        self._active.clear()
        events = [event for listed in self._held_back.values() for event in listed]
        self._held_back.clear()
        return events

    def apply(self, event: Event, now: datetime) -> list[Sent]:
        """Events that are sent in the place of an event, and how late."""
        self._active = [alteration for alteration in self._active if alteration.until is None or alteration.until > now]
        sent: list[Sent] = [(NOW, event)]
        for alteration in self._active:
            sent = [each for late, made in sent for each in self._altered(alteration, late, made)]
        return sent + [(NOW, waiting) for waiting in self._released(event)] if sent and self._held_back else sent

    def release(self, event: Event) -> list[Event]:
        """Let go an event that was held back for another one that did not come."""
        listed = self._held_back.get(event.conversation, [])
        if event not in listed:
            return []
        listed.remove(event)
        return [event]

    def holding(self, event: Event) -> bool:
        """Say whether an event is held back."""
        return event in self._held_back.get(event.conversation, ())

    def _altered(self, alteration: Alteration, late: timedelta, event: Event) -> Iterable[Sent]:
        if self._draw.random() >= alteration.share:
            return [(late, event)]
        if alteration.kind == "reorder":
            return self._hold(late, event)
        if alteration.kind == "duplicate":
            twin = event if alteration.same_id else replace(event, correlation_id=self._new_id())
            return [(late, event), (late + timedelta(seconds=alteration.seconds), twin)]
        return [(late + each, made) for each, made in _KINDS[alteration.kind](alteration, event, self._draw)]

    def _hold(self, late: timedelta, event: Event) -> list[Sent]:
        """Hold back one event of each conversation, until another of it has passed."""
        if self._held_back.get(event.conversation):
            return [(late, event)]
        self._held_back[event.conversation] = [event]
        return []

    def _released(self, event: Event) -> list[Event]:
        return self._held_back.pop(event.conversation, [])


_Alter = Callable[[Alteration, Event, random.Random], list[Sent]]


def _lose(_alteration: Alteration, _event: Event, _draw: random.Random) -> list[Sent]:
    return []


def _delay(alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    return [(timedelta(seconds=alteration.seconds), event)]


def _unchanged(_alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    return [(NOW, event)]


def _body(event: Event, change: Callable[[dict[str, Any]], None]) -> list[Sent]:
    body = json.loads(event.body)
    change(body)
    return [(NOW, replace(event, body=encoded(body)))]


def _contradict(_alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    """Call the first participant that has gone connected, although the event has its end."""

    def change(body: dict[str, Any]) -> None:
        for who in body.get("participants", ()):
            for each in (who, *_communications(who)):
                if each.get("state") == "disconnected":
                    each["state"] = "connected"
                    return
                if each.get("state") == "connected":
                    each |= {"disconnectedTime": each.get("connectedTime", "1970-01-01T00:00:00.000Z")}
                    return

    return _body(event, change)


def _communications(who: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for listed in who.values() if isinstance(listed, list) for entry in listed if isinstance(entry, dict)]


def _strange_enum(_alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    """A state, or a medium, that nobody knows yet."""

    def change(body: dict[str, Any]) -> None:
        if "mediaType" in body:
            body["mediaType"] = "HOLOGRAM"
        for who in body.get("participants", ()):
            for each in (who, *_communications(who)):
                if "state" in each:
                    each["state"] = "levitating"

    return _body(event, change)


def _strange_field(_alteration: Alteration, event: Event, draw: random.Random) -> list[Sent]:
    """Fields that are in no model, as real ones have been seen with (`additionalProperties`, `organizationId`)."""

    def change(body: dict[str, Any]) -> None:
        body |= {"additionalProperties": {}, "simulatedExtra": {"deep": [None, 1.5, "€", draw.randrange(2**53)]}}

    return _body(event, change)


def _strange_topic(_alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    """The event, and one on a topic that is in no list."""
    return [(NOW, event), (NOW, replace(event, topic=f"{event.topic}.holograms"))]


_TIME: Final = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"|(?<=":)\d{13}(?=[,}])')


def _ahead(alteration: Alteration, event: Event, _draw: random.Random) -> list[Sent]:
    """Move every time of the event later, as a clock would that is ahead."""
    more = timedelta(seconds=alteration.seconds)

    def later(found: re.Match[str]) -> str:
        if not found[0].startswith('"'):
            return str(int(found[0]) + more // timedelta(milliseconds=1))
        return f'"{text(moment(found[0].strip(chr(34))) + more)}"'

    return [(NOW, replace(event, body=_TIME.sub(later, event.body)))]


_ODD_IDS: Final[Mapping[str, Callable[[str], str]]] = {
    "long": lambda identity: identity * 250,
    "long_words": lambda _: "x" * 804,
    "words": lambda _: "not an id, but words",
    "path": lambda identity: f"../{identity}/?a=b&id={identity}#c",
    "capitals": str.upper,
}


def _odd_id(alteration: Alteration, event: Event, draw: random.Random) -> list[Sent]:
    """The event, and another one like it whose conversation has an id that is none, or is spelled otherwise."""
    spelled = _ODD_IDS[draw.choice(sorted(_ODD_IDS)) if alteration.what is None else alteration.what](
        event.conversation
    )
    body = event.body.replace(event.conversation, spelled.replace('"', ""))
    return [(NOW, event), (NOW, replace(event, body=body, conversation=spelled))]


ODD_IDS: Final = tuple(_ODD_IDS)
_KINDS: Final[Mapping[str, _Alter]] = {
    "lose": _lose,
    "delay": _delay,
    "duplicate": _unchanged,
    "reorder": _unchanged,
    "contradict": _contradict,
    "ahead": _ahead,
    "odd_id": _odd_id,
    "strange_enum": _strange_enum,
    "strange_field": _strange_field,
    "strange_topic": _strange_topic,
}
