"""The platform's own erasures, followed: which rewriting of a record took people's data out of it. Pure.

A record whose successor has blanked or replaced a personal field is not kept as a version: its digest is, and where the
two differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollbook.genesys.canonical_json import decode, digest, spelled
from rollbook.genesys.privacy.policy import Withheld
from rollbook.store import life
from rollbook.store.erasure import tombstones


def version_in_place(old: bytes, new: bytes) -> bytes | None:
    """What is kept of a version in the place of its bytes; None where all of it may be kept."""
    try:
        before, after = decode(old), decode(new)
        cleaned = decode(tombstones.redactor().body(old))
    except (ValueError, RecursionError, Withheld):
        return None
    there = set(_texts(after))
    has_attributes = any(name == "attributes" for name in _names(after))
    kept = set(_texts(cleaned))
    lost = [text for text in _texts(before, attributes=has_attributes) if text not in kept and text not in there]
    if not lost:
        return None
    said = {"digest": digest(old).hex(), "changed": life.changes(before, after)}
    return spelled({"conversationId": before.get("conversationId"), "notKept": said})


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
