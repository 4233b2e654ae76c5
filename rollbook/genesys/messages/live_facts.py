"""The facts that an event tells for certain about its conversation. Pure.

Snapshots return to earlier states byte for byte and bear no time of their own, so only what cannot be undone is taken:
when it began, that it ended, the latest time that the event itself bears. Nothing here refuses an event: what has a
strange shape says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rollbook.genesys.lenient_json import as_object, objects, text, texts
from rollbook.genesys.messages.live_fields import LISTS, TIMES
from rollbook.genesys.times import from_epoch_ms, from_text, normalize, to_text
from rollbook.genesys.topics import detail_member, snapshot_media

# A communication in one of these is yet to happen, although its participant has gone.
_YET_TO_COME: Final = ("scheduled", "parked")
# Where events without participants bear their own time.
_EVENT_TIMES: Final = ("eventTime", "metricDate", "timestamp")


# A struct, as what is made for every event: a frozen dataclass takes ten times as long to make.
class LiveFacts(msgspec.Struct, frozen=True):
    """The facts of an event about its conversation; times as API text, None where it does not say.

    started_at: it began no later than this. ended_at: only if this event says that it has ended. last_at: the latest
    time that the event itself bears. media_types, originating_direction: lowercase, as the details have them.
    """

    started_at: str | None
    ended_at: str | None
    last_at: str | None
    media_types: tuple[str, ...]
    originating_direction: str | None
    division_ids: tuple[str, ...]


_API_LENGTH: Final = {24}
# Before there was such a platform: 1970 and the year 1 are how programs spell "no time".
_OLDEST: Final = "2000"
# An end that lies further ahead of its arrival is a way to spell "not yet", such as the year 9999.
_AHEAD: Final = timedelta(days=1)


def event_time(body: Mapping[str, Any]) -> str | None:
    """The time that an event gives for itself, as API text: ISO or epoch milliseconds. Snapshots give none."""
    for name in _EVENT_TIMES:
        value = body.get(name)
        if value is not None:
            return from_epoch_ms(value) if value.__class__ is int else normalize(value) or from_epoch_ms(value)
    return None


def facts_of(topic: str, body: Mapping[str, Any]) -> LiveFacts:
    """The facts of an event on `topic` with this eventBody."""
    media = snapshot_media(topic)
    return of_event(topic, body, event_time(body)) if media is None else of_snapshot(media, body)


def of_event(topic: str, body: Mapping[str, Any], at: str | None) -> LiveFacts:
    """The facts of an event that is no snapshot. at: its own time, for who has asked `event_time` already."""
    member = detail_member(topic)
    if member is not None:
        return _of_detail_event(member, body, at)
    return LiveFacts(None, None, at, _media(body), _direction(body.get("originatingDirection")), _divisions(body))


def believed(facts: LiveFacts, arrived: str) -> LiveFacts:
    """The same without what cannot be: nothing happened after the event that tells of it arrived (API text).

    A later time is another clock's and counts as the arrival; an end that is more than a day ahead has not come yet.
    """
    started, ended, last = facts.started_at, facts.ended_at, facts.last_at
    if (
        (started is None or _OLDEST < started <= arrived)
        and (ended is None or _OLDEST < ended <= arrived)
        and (last is None or _OLDEST < last <= arrived)
    ):
        return facts
    not_yet = ended is not None and ended > arrived and ended > to_text(from_text(arrived) + _AHEAD)
    return replace(
        facts,
        started_at=_no_later(started, arrived),
        ended_at=None if not_yet else _no_later(ended, arrived),
        last_at=_no_later(last, arrived),
    )


def _no_later(time: str | None, arrived: str) -> str | None:
    return None if time is None or time < _OLDEST else min(time, arrived)


def _of_detail_event(member: str, body: Mapping[str, Any], at: str | None) -> LiveFacts:
    """Detail events: one fact each, epoch milliseconds, words in capitals.

    Of their ends only `customer.end` is the conversation's: a refused alert gives `user.end` too (reference, "Meaning
    traps"). Of their directions only those of the customer's side are: a consultation goes out of an inbound call.
    """
    is_of_customer, is_start, is_end = _said_by(member)
    return LiveFacts(
        at if is_start else None,
        at if is_end else None,
        at,
        _media(body),
        _direction(body.get("direction")) if is_of_customer else None,
        _divisions(body),
    )


# There are sixteen members, and a topic that is none of theirs may still look like one.
@lru_cache(maxsize=64)
def _said_by(member: str) -> tuple[bool, bool, bool]:
    """Whether a detail event speaks of the customer's side, of a beginning, and of the conversation's end."""
    side = member.partition(".")[0] in ("customer", "contact", "outbound")
    return side, member.endswith(".start"), member == "customer.end"


def of_snapshot(media: str, body: Mapping[str, Any]) -> LiveFacts:
    """The facts of a conversation with all its participants. media: as `topics.snapshot_media` answers it.

    In a snapshot of one medium, the communications lie flat in the participants.
    """
    participants = objects(body.get("participants"))
    seen = _Seen({media} if media and participants else set())
    for participant in participants:
        seen.participant(participant)
    return LiveFacts(
        _earliest([item[name] for item in participants for name in ("connectedTime", "startTime") if name in item]),
        _latest(seen.ends) if participants and not seen.somebody_there else None,
        _latest(seen.times),
        tuple(sorted(seen.media)),
        seen.direction,
        tuple(sorted(_division_ids(body.get("divisions")))),
    )


@dataclass(slots=True)
class _Seen:
    """The facts gathered on a walk over a snapshot (snapshots come most often, and are largest)."""

    media: set[str]
    times: set[str] = field(default_factory=set)
    ends: set[str] = field(default_factory=set)
    somebody_there: bool = False
    direction: str | None = None

    def participant(self, member: Mapping[str, Any]) -> None:
        """Somebody is there until he has gone and has no after-call work before him."""
        self._add_times(member)
        end = member.get("endTime")
        if (
            end is None
            or (normalize(end) or "") < _OLDEST
            or ("startAcwTime" in member and not member.get("endAcwTime"))
            or _is_ahead(member)
        ):
            self.somebody_there = True
        else:
            self.ends.update(time for time in (end, member.get("endAcwTime")) if isinstance(time, str))
        # The customer's first direction is the conversation's: a consultation has its own.
        asked = self.direction is None and member.get("purpose") in ("customer", "external")
        if asked:
            self.direction = _direction(member.get("direction"))
        # In a flattened snapshot the participant is the communication, and `messages` are messages.
        flat = "state" in member
        for name, kind in LISTS:
            if name in member:
                self._communications(objects(member[name]), None if flat else kind, asked=asked)

    def _communications(self, listed: list[dict[str, Any]], kind: str | None, *, asked: bool) -> None:
        if listed and kind is not None:
            self.media.add(kind)
        for each in listed:
            self._add_times(each)
            if _is_ahead(each):
                self.somebody_there = True
            if asked and self.direction is None:
                self.direction = _direction(each.get("direction"))
            if "messages" in each:
                for message in objects(each["messages"]):
                    self._add_times(message)

    def _add_times(self, item: Mapping[str, Any]) -> None:
        for name in TIMES:
            if name in item and item[name].__class__ is str:
                self.times.add(item[name])
        for name in ("afterCallWork", "wrapup"):
            if name in item and item[name].__class__ is dict:
                self._add_times(item[name])


def _is_ahead(item: Mapping[str, Any]) -> bool:
    """Tell whether there is something to come: a scheduled callback, a parked email, after-call work."""
    work = item.get("afterCallWork")
    return item.get("state") in _YET_TO_COME or (work.__class__ is dict and work.get("state") == "pending")


def _latest(times: Iterable[object]) -> str | None:
    return _extreme(times, max)


def _earliest(times: Iterable[object]) -> str | None:
    return _extreme(times, min)


# The same beginnings and ends come with every snapshot of a conversation.
_normal: Final = lru_cache(maxsize=4_096)(normalize)


def _extreme(times: Iterable[object], pick: Callable[[Iterable[str]], str]) -> str | None:
    """The first or last of the readable ones, as API text."""
    texts = [time for time in times if time.__class__ is str]
    # Those that are spelled as the API spells them sort as they are: one of them is read, not all.
    if texts and set(map(len, texts)) == _API_LENGTH and "".join(texts)[23::24] == "Z" * len(texts):
        found = _normal(pick(texts))
        if found is not None and found > _OLDEST:
            return found
    readable = [time for text in texts if (time := normalize(text)) is not None and time > _OLDEST]
    return pick(readable) if readable else None


def _media(body: Mapping[str, Any]) -> tuple[str, ...]:
    media = body.get("mediaType")
    return _medium(media) if media.__class__ is str and len(media) <= _WORD else _medium.__wrapped__(text(media))


# The same words and the same divisions come with every event. What is remembered is short.
_WORD: Final = 64


@lru_cache(maxsize=256)
def _medium(word: str) -> tuple[str, ...]:
    media = word.lower()
    return (media,) if media not in ("", "unknown") else ()


_DIRECTIONS: Final = {
    spelling: word for word in ("inbound", "outbound") for spelling in (word, word.upper(), word.title())
}


def _direction(value: object) -> str | None:
    if value.__class__ is not str:
        return None
    known = _DIRECTIONS.get(value)
    if known is not None:
        return known
    word = value.lower()
    return word if word in ("inbound", "outbound") else None


def _divisions(body: Mapping[str, Any]) -> tuple[str, ...]:
    listed = body.get("divisionIds")
    division = text(body.get("divisionId"))
    if not listed:
        return (division,) if division else ()
    ids = {division, *texts(listed)}
    return tuple(sorted(ids - {""}))


def _division_ids(memberships: object) -> set[str]:
    divisions = (as_object(membership.get("division")) for membership in objects(memberships))
    return {text(division.get("id")) for division in divisions} - {""}
