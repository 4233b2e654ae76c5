"""Checks of any answer before it counts: that it is an object, and of the kind that was asked for. Pure.

The body of an error may come with status 200, in the platform's spelling, a gateway's or another. What is broken or no
answer is a ValueError, which makes the request worth repeating.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from rollbook.genesys.canonical_json import mend_surrogates

_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def object_of(body: bytes) -> dict[str, Any]:
    """A JSON object."""
    try:
        decoded = msgspec.json.decode(body)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(decoded, dict):
        raise ValueError("it is no JSON object")
    return decoded


def known(body: bytes, *members: str) -> dict[str, Any]:
    """An object that has one of these members, or is `{}`: the body of an error, with status 200, is no answer."""
    answer = object_of(body)
    if not any(answer.get(name) for name in members):
        refuse_others(body, frozenset(members))
    return answer


# Members of an error's body: the platform's (`message`, `code`, `status`, `errors`), gateways' and problem details'
# (`detail`, `title`). Beside an empty list they say that there was no answer. Ids of a request are no errors.
_OF_AN_ERROR: Final = re.compile(
    r"message|^code$|status|error|fault|exception|problem|fail|reason|^details?$|^title$|partial|timed_?out",
    re.IGNORECASE,
)
# What such a member may say when nothing is wrong.
_WELL: Final = re.compile(
    rb'null|false|0|""|\[\s*\]|\{\s*\}|"?2\d\d"?|"(?:ok|success|succeeded|successful|complete|completed|fulfilled)"',
    re.IGNORECASE,
)


def refuse_others(body: bytes, members: frozenset[str]) -> None:
    """Raise ValueError if an object without content is none of this kind: no known member, or one of an error's.

    `{}` is the platform's own way of saying nothing. A member that nobody knows may be new, beside known ones.
    """
    try:
        found = _decode_members(mend_surrogates(body))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is broken: {error}") from None
    if found and not members.intersection(found):
        raise ValueError("the answer has none of the members that it should have")
    for name, value in found.items():
        if name not in members and _OF_AN_ERROR.search(name) and not _WELL.fullmatch(bytes(value)):
            raise ValueError(f"the answer is an error's: it has {name}")
