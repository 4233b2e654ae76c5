"""What one event says for certain about its conversation. Pure.

Snapshots return to earlier states byte for byte and bear no time of their own, so only what cannot be undone is taken:
when it began, that it ended, the latest time that the event itself bears. Nothing here refuses an event: what has a
strange shape says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from genesys.times import from_epoch_ms, normalize
from genesys.topics import MEDIA_TYPES, detail_member, snapshot_media

# What participants, their communications and messages bear. (`callbackScheduledTime` lies ahead of the event.)
_TIMES: Final = (
    "connectedTime", "startTime", "endTime", "disconnectedTime", "startAcwTime", "endAcwTime", "startHoldTime",
    "startAlertingTime", "parkTime", "resumeTime", "bargedTime", "providerEventTime", "messageTime",
)  # fmt: skip
# A communication in one of these is yet to happen, although its participant has gone.
_YET_TO_COME: Final = ("scheduled", "parked")
# Where events without participants bear their own time.
_EVENT_TIMES: Final = ("eventTime", "metricDate", "timestamp")


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """What an event tells of its conversation; times as API text, None where it does not say.

    started_at: it began no later than this. ended_at: only if this event says that it has ended. last_at: the latest
    time that the event itself bears. media_types, originating_direction: lowercase, as the details have them.
    """

    started_at: str | None
    ended_at: str | None
    last_at: str | None
    media_types: tuple[str, ...]
    originating_direction: str | None
    division_ids: tuple[str, ...]


# One snapshot repeats most of the times of the one before.
_normal: Final = lru_cache(maxsize=8_192)(normalize)


def event_time(body: Mapping[str, Any]) -> str | None:
    """The time that an event gives for itself, as API text: ISO or epoch milliseconds. Snapshots give none."""
    for name in _EVENT_TIMES:
        value = body.get(name)
        if value is not None:
            return normalize(value) or from_epoch_ms(value)
    return None


def facts_of(topic: str, body: Mapping[str, Any]) -> LiveFacts:
    """What an event on `topic` with this eventBody says."""
    media = snapshot_media(topic)
    if media is not None:
        return _of_snapshot(media, body)
    member = detail_member(topic)
    if member is not None:
        return _of_detail_event(member, body)
    return LiveFacts(
        None, None, event_time(body), _media(body), _direction(body.get("originatingDirection")), _divisions(body)
    )  # fmt: skip


def _of_detail_event(member: str, body: Mapping[str, Any]) -> LiveFacts:
    """Detail events: one fact each, epoch milliseconds, words in capitals.

    Of their ends only `customer.end` is the conversation's: a refused alert gives `user.end` too (reference, "Meaning
    traps"). Of their directions only those of the customer's side are: a consultation goes out of an inbound call.
    """
    at = event_time(body)
    side = member.partition(".")[0] in ("customer", "contact", "outbound")
    return LiveFacts(
        at if member.endswith(".start") else None,
        at if member == "customer.end" else None,
        at,
        _media(body),
        _direction(body.get("direction")) if side else None,
        _divisions(body),
    )


def _of_snapshot(media: str, body: Mapping[str, Any]) -> LiveFacts:
    """A conversation with all its participants; of one medium, their communications lie flat in them (media is it)."""
    participants = _objects(body.get("participants"))
    communications = [list(_communications(one)) for one in participants]
    found = {kind for listed in communications for kind, _ in listed}
    if media and participants:
        found.add(media)
    return LiveFacts(
        min(_times(one.get(name) for one in participants for name in ("connectedTime", "startTime")), default=None),
        _end(participants, communications),
        max(_times(_borne(participants, communications)), default=None),
        tuple(sorted(found - {""})),
        _snapshot_direction(participants, communications),
        tuple(sorted(_division_ids(body.get("divisions")))),
    )


def _end(participants: list[dict[str, Any]], communications: list[list[tuple[str, dict[str, Any]]]]) -> str | None:
    """When the conversation ended: every participant has gone, and nobody has after-call work before him."""
    ends = [one.get("endTime") for one in participants]
    if not ends or None in ends or None in (ends := [normalize(one) for one in ends]):
        return None
    for one, listed in zip(participants, communications, strict=True):
        if (one.get("startAcwTime") and not one.get("endAcwTime")) or one.get("state") in _YET_TO_COME:
            return None
        if any(_unfinished(each) for _, each in listed):
            return None
    return max((*_times(ends), *_times(one.get("endAcwTime") for one in participants)))


def _unfinished(communication: Mapping[str, Any]) -> bool:
    work = communication.get("afterCallWork")
    pending = isinstance(work, dict) and work.get("state") == "pending"
    return pending or communication.get("state") in _YET_TO_COME


def _communications(participant: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(media type, communication). In a flattened snapshot `messages` are the messages of one communication."""
    flat = "state" in participant
    for name, value in participant.items():
        if value.__class__ is list and value:
            kind = MEDIA_TYPES.get(name) or MEDIA_TYPES.get(name.lower())
            if kind is not None:
                for each in _objects(value):
                    yield ("" if flat else kind), each


def _borne(participants: list[dict[str, Any]], communications: list[list[tuple[str, dict[str, Any]]]]) -> set[object]:
    """Every time that a snapshot bears, as it stands; many stand in it twice."""
    found: set[object] = set()
    for one, listed in zip(participants, communications, strict=True):
        _add_times(found, one)
        for _, each in listed:
            _add_times(found, each)
            if "messages" in each:
                for message in _objects(each["messages"]):
                    _add_times(found, message)
    return found


def _add_times(found: set[object], item: Mapping[str, Any]) -> None:
    for name in _TIMES:
        if name in item:
            value = item[name]
            if value.__class__ is str:
                found.add(value)
    for name in ("afterCallWork", "wrapup"):
        if name in item and item[name].__class__ is dict:
            _add_times(found, item[name])


def _snapshot_direction(
    participants: list[dict[str, Any]], communications: list[list[tuple[str, dict[str, Any]]]]
) -> str | None:
    """The direction of the customer's first communication: of the others, a consultation has its own."""
    for one, listed in zip(participants, communications, strict=True):
        if one.get("purpose") in ("customer", "external"):
            for direction in (one.get("direction"), *(each.get("direction") for _, each in listed)):
                if (known := _direction(direction)) is not None:
                    return known
    return None


def _media(body: Mapping[str, Any]) -> tuple[str, ...]:
    media = body.get("mediaType")
    return (media.lower(),) if isinstance(media, str) and media and media.lower() != "unknown" else ()


def _direction(value: object) -> str | None:
    word = value.lower() if isinstance(value, str) else None
    return word if word in ("inbound", "outbound") else None


def _divisions(body: Mapping[str, Any]) -> tuple[str, ...]:
    listed = body.get("divisionIds")
    ids = {one for one in (body.get("divisionId"), *(listed if isinstance(listed, list) else ())) if _is_id(one)}
    return tuple(sorted(ids))


def _division_ids(memberships: object) -> set[str]:
    divisions = (one.get("division") for one in _objects(memberships))
    return {one["id"] for one in divisions if isinstance(one, dict) and _is_id(one.get("id"))}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _objects(items: object) -> list[dict[str, Any]]:
    return [item for item in items if item.__class__ is dict] if isinstance(items, list) else []


def _times(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if value.__class__ is str and (time := _normal(value)) is not None:
            yield time
