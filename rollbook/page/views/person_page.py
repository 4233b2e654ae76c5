"""The page of one person: what is stored of them, conversation by conversation, for who has asked for it. Pure.

Shown is what an erasure would take: every value of a personal field, beside where it is stored, and marked where it is
by this value that the conversation was found. All of it, as it is stored, is in the JSON of the same export.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.privacy.policy import Withheld
from rollbook.genesys.program.terminal import count
from rollbook.page.views import words
from rollbook.page.views.conversation_page import title
from rollbook.store.erasure import tombstones
from rollbook.store.erasure.person import Person

# Characters of a dead letter that are shown: a browser shows no page of megabytes, and who reads it reads no more.
_LONGEST: Final = 20_000
# Where a value is stored, in the order in which places are named.
_PLACES: Final = ("details", "earlier version", "notification", "attribute")


class FieldValue(NamedTuple):
    """A value of a field, where it is stored, and whether it is one by which the person was asked for."""

    field: str
    value: str
    places: str
    names_the_person: bool


def person_page(
    person: Person,
    conversations: Iterable[Mapping[str, Any]],
    dead_letters: Iterable[Mapping[str, Any]],
    users: Iterable[Mapping[str, Any]],
    keys: Sequence[str],
) -> dict[str, Any]:
    """The page. conversations: as `life.collect` has them; dead_letters, users: as `request` has them; keys: what was
    asked for."""
    in_order = sorted(conversations, key=lambda found: str(found["conversation"].get("conversation_start") or "9"))
    shown = [_conversation(number, found, person) for number, found in enumerate(in_order, 1)]
    letters = [
        {
            "id": letter["dead_letter_id"],
            "source": letter["source"],
            "received_at": words.second(letter["received_at"]),
            "payload": letter["payload"][:_LONGEST],
            "left_out": count(more, "more character") if (more := len(letter["payload"]) - _LONGEST) > 0 else "",
        }
        for letter in dead_letters
    ]
    shown_users = [
        {
            "id": user["id"],
            "names": [name["name"] for name in user["names"]],
            "conversations": count(len(user["conversations"]), "conversation"),
        }
        for user in users
    ]
    parts = [count(len(shown), "conversation")]
    parts += [count(len(letters), "dead letter")] if letters else []
    parts += [count(len(shown_users), "user")] if shown_users else []
    what = ", ".join(parts)
    return {"asked_by": keys, "what": what, "conversations": shown, "dead_letters": letters, "users": shown_users}


def _conversation(number: int, found: Mapping[str, Any], person: Person) -> dict[str, Any]:
    known = found["conversation"]
    values = list(_values(found, person))
    return {
        "anchor": f"c{number}",
        "id": found["conversation_id"],
        "title": title(known, ()),
        "found_by": sum(value.names_the_person for value in values),
        "values": values,
        "stored": _stored(found),
    }


def _stored(found: Mapping[str, Any]) -> str:
    parts = ["details"] if found["details"] is not None else []
    for name, what in (("versions", "earlier version"), ("events", "notification"), ("attributes", "attribute")):
        if found[name]:
            parts.append(count(len(found[name]), what))
    return ", ".join(parts) or "its id alone"


def _values(found: Mapping[str, Any], person: Person) -> Iterator[FieldValue]:
    """The personal values of a conversation, those that name the person first."""
    places: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_PLACES, 0))
    named: set[str] = set()
    bodies = [("details", found["details"])]
    bodies += [("earlier version", version["details"]) for version in found["versions"]]
    bodies += [("notification", event["body"]) for event in found["events"]]
    for place, body in bodies:
        if body is None:
            continue
        named |= person.spellings(spelled(body).decode(errors="replace"))
        for each in set(_personal(body, person)):
            places[each][place] += 1
    for attribute in found["attributes"]:
        name, value = str(attribute["name"]), str(attribute.get("value", ""))
        places[f"participants.attributes.{name}", value]["attribute"] += 1
        if person.is_named_by(value, attribute=name):
            named.add(value)
    rows = [FieldValue(*each, _words(stored), each[1] in named) for each, stored in places.items()]
    yield from sorted(rows, key=lambda row: (not row.names_the_person, row.field, row.value))


def _words(stored: Mapping[str, int]) -> str:
    return ", ".join(name if number == 1 else f"{number:,} {name}s" for name, number in stored.items() if number)


def _personal(body: Any, person: Person) -> Iterator[tuple[str, str]]:
    """(field, value) of what an erasure would take out of a body."""
    try:
        left = list(_flat(decode(tombstones.redactor().body(spelled(body)))))
    except Withheld:
        left = []
    for field, value in _flat(body):
        if (field, value) in left:
            left.remove((field, value))
            if not person.is_named_by(value, attribute=field.rpartition(".")[2] if "attributes." in field else None):
                continue
        yield field, value


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a body that says something, by its field; lists do not count."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _flat(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from _flat(value, path)
    elif tree not in ("", None):
        yield path or "all of it", str(tree)
