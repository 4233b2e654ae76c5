"""A notification in a few words, with names for the ids in it: what `rollbook tail` says of it. Pure.

It says what the body says, and decides nothing: what has a strange shape is described by its topic alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rollbook.genesys.lenient_json import as_object, objects, read_object, words
from rollbook.genesys.named import NameKind
from rollbook.genesys.program.terminal import inert
from rollbook.genesys.topics import MEDIA_TYPES, detail_member, snapshot_media, template_of
from rollbook.store.event_list import ListedEvent

# (kind, id) → name
Names = Mapping[tuple[str, str], str]

# Members of a body, or of a participant, that are ids with a name.
_NAMED: Final[Mapping[str, NameKind]] = {
    "queueId": NameKind.QUEUE,
    "userId": NameKind.USER,
    "flowId": NameKind.FLOW,
    "wrapupCode": NameKind.WRAPUPCODE,
    "wrapUpCode": NameKind.WRAPUPCODE,
}
_OWNERS: Final = {"v2.routing.queues.": NameKind.QUEUE, "v2.users.": NameKind.USER}
# Who tells the most of a conversation that goes on, first.
_TELLING: Final = ("agent", "user", "acd", "voicemail", "ivr", "workflow", "outbound", "customer", "external")
_LISTS: Final = ("calls", "callbacks", "chats", "cobrowsesessions", "emails", "messages", "internalMessages", "videos")
_OVER: Final = ("disconnected", "terminated")


def ids(event: ListedEvent) -> set[tuple[str, str]]:
    """The (kind, id) of everything in a notification that may have a name."""
    body = read_object(event.body.encode())
    found = set(_ids_in(body))
    if (owner := _owner(event.topic)) is not None:
        found.add(owner)
    for participant in objects(body.get("participants")):
        found |= set(_ids_in(participant))
    return found


def describe(event: ListedEvent, names: Names) -> str:
    """The words for a notification."""
    body = read_object(event.body.encode())
    media = snapshot_media(event.topic)
    if media is not None:
        said = _of_snapshot(event.topic, body, names)
    elif (member := detail_member(event.topic)) is not None:
        said = _of_detail_event(member, body, names)
    else:
        said = template_of(event.topic)
    return inert(said)


def _of_snapshot(topic: str, body: dict[str, Any], names: Names) -> str:
    owner = _owner(topic)
    participants = [(each, _state(each)) for each in objects(body.get("participants"))]
    going_on = [(each, state) for each, state in participants if state is not None]
    where = f"{_name(names, *owner)}: " if owner else ""
    if not participants:
        return f"{where}without participants"
    if not going_on:
        return f"{where}ended"
    participant, state = min(going_on, key=lambda pair: _rank(pair[0]))
    kinds = sorted({medium for each, _ in going_on for medium in _media(each)})
    return where + ", ".join([_who(participant, state, names, owner), *kinds])


def _of_detail_event(member: str, body: dict[str, Any], names: Names) -> str:
    named = [_name(names, kind, identity) for kind, identity in dict.fromkeys(_ids_in(body))]
    medium = words(body.get("mediaType"))
    return ", ".join([member, *named, *([medium.lower()] if medium else [])])


def _owner(topic: str) -> tuple[str, str] | None:
    for prefix, kind in _OWNERS.items():
        if topic.startswith(prefix):
            return kind, topic.removeprefix(prefix).partition(".")[0]
    return None


def _ids_in(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for member, kind in _NAMED.items():
        if (identity := words(item.get(member))) is not None:
            yield kind, identity


def _name(names: Names, kind: str, identity: str) -> str:
    """The name of an id; where it has none, the kind and what the id begins with."""
    return names.get((kind, identity)) or f"{kind} {identity[:8]}"


def _rank(participant: Mapping[str, Any]) -> int:
    purpose = participant.get("purpose")
    return _TELLING.index(purpose) if purpose in _TELLING else len(_TELLING)


def _communications(participant: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _LISTS:
        for each in objects(participant.get(name)):
            yield MEDIA_TYPES[name.lower()], each


def _media(participant: Mapping[str, Any]) -> set[str]:
    return {medium for medium, _ in _communications(participant)}


def _state(participant: Mapping[str, Any]) -> str | None:
    """The state of a participant who is still there: `connected`, `alerting`, `held`; None for one who has gone."""
    if participant.get("endTime") is not None:
        return None
    communications = [each for _, each in _communications(participant)]
    # In a snapshot of one medium, the communication lies flat in the participant.
    states = [(words(each.get("state")), each) for each in communications or [as_object(participant)]]
    there = [(state, each) for state, each in states if state not in _OVER]
    if not there:
        return None
    state, each = there[0]
    return "held" if each.get("held") is True else state or "there"


def _who(participant: Mapping[str, Any], state: str, names: Names, owner: tuple[str, str] | None) -> str:
    purpose = words(participant.get("purpose")) or "participant"
    queue, user = words(participant.get("queueId")), words(participant.get("userId"))
    if purpose == "acd":
        elsewhere = queue is not None and (NameKind.QUEUE, queue) != owner
        return f"waiting in {_name(names, NameKind.QUEUE, queue)}" if queue and elsewhere else "waiting"
    if user is not None:
        return f"{_name(names, NameKind.USER, user)} {state}"
    # Who is no user of the organisation is a person outside it: said by purpose alone.
    return f"{purpose} {state}"
