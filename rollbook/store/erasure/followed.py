"""The platform's own erasures, followed: which rewriting of a record took people's data out of it. Pure.

A record whose successor has blanked or replaced a personal field is not kept as a version: its digest is, and where the
two differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rollbook.genesys.canonical_json import decode, digest, spelled
from rollbook.genesys.privacy.policy import Withheld
from rollbook.store import life
from rollbook.store.erasure import tombstones

# A path of plain words and places, as far as it is one.
_PLAIN: Final = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*(?:\[\d+\])*(?:\.|$))*", re.ASCII)


def version_in_place(old: bytes, new: bytes) -> bytes | None:
    """What is kept of a version in the place of its bytes; None where all of it may be kept."""
    try:
        before, after = decode(old), decode(new)
        has_attributes = any(name == "attributes" for name in _names(after))
        there = _personal(new, after)
        lost = _personal(old, before, attributes=has_attributes) - there
    except (ValueError, RecursionError, Withheld):
        # Nobody can say what of it is a person's, so nobody can say that the newer record has it still.
        return None if old == new else _in_place(None, old, [])
    if not lost:
        return None
    changed = list(dict.fromkeys(map(_of_nobody, life.changes(before, after))))
    return _in_place(before.get("conversationId"), old, changed)


def _of_nobody(path: str) -> str:
    """A path up to the first name that is no plain word: that may be somebody's number or address."""
    plain = _PLAIN.match(path)
    shown = plain[0] if plain else ""
    return path if shown == path else f"{shown.rstrip('.')}.*".lstrip(".")


def _in_place(conversation_id: Any, old: bytes, changed: list[str]) -> bytes:
    return spelled({"conversationId": conversation_id, "notKept": {"digest": digest(old).hex(), "changed": changed}})


def _personal(raw: bytes, tree: Any, *, attributes: bool = True) -> set[Any]:
    """The values of personal fields: those that the strict policy takes out, wherever else the same values stand.

    Lists do not count, so that one in another order has lost nothing.
    """
    cleaned = decode(tombstones.redactor().body(raw))
    return set((Counter(_texts(tree, attributes=attributes)) - Counter(_texts(cleaned, attributes=attributes))).keys())


def attributes_of(raw: bytes) -> list[Any]:
    """The attributes of each participant, None where there are none: content does not count them."""
    try:
        participants = decode(raw).get("participants") or ()
        return [each.get("attributes") if isinstance(each, dict) else None for each in participants]
    except (ValueError, RecursionError, AttributeError, TypeError):
        return []


def _texts(tree: Any, *, attributes: bool = True) -> Iterator[Any]:
    """Every text and number of a tree that is not empty. attributes: those of participants too."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += [value for name, value in node.items() if attributes or name != "attributes"]
        elif isinstance(node, list):
            waiting += node
        elif node not in ("", None) and not isinstance(node, bool):
            yield node


def _names(tree: Any) -> Iterator[str]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield from node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
