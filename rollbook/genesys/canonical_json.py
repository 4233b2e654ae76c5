"""JSON in one spelling, to tell whether two pieces say the same; and the mending of JSON that is nearly right. Pure.

The same content may come with its keys in another order and with `1` for `1.0`; nothing else may differ. Identity is a
digest of one spelling of the content. It does not know what the content is about.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder(order="sorted").encode
# Where a whole number may be spelled as a float (`1.0`, `1e16`): only there is the content walked. Ids do not match,
# because a number ends at punctuation; a text that does match costs the walk and changes nothing.
_WHOLE_FLOATS: Final = (b".0,", b".0}", b".0]")
_EXPONENT: Final = re.compile(rb"e[0-9]+[,}\]]")
# Escapes in the order in which they stand, so that the second half of `\\` is never taken for the start of another.
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)


def _number(text: str) -> int | float:
    """A number that is spelled as a float: an integer if it is whole."""
    number = float(text)
    if number.is_integer():
        return int(number)
    if number in (math.inf, -math.inf):
        raise ValueError("a number is out of range")
    return number


def decoder(kind: Any, hook: Callable[[Any, Any], Any]) -> Callable[[bytes], Any]:
    """A function that decodes JSON of a kind, whole floats as integers. hook: is asked for the kinds that are ours."""
    return msgspec.json.Decoder(kind, dec_hook=hook, float_hook=_number).decode


_decode: Final = msgspec.json.Decoder(float_hook=_number).decode


def decode(json: bytes | str) -> Any:
    """Any JSON, whole floats as integers. Raises ValueError (no JSON, no UTF-8) or RecursionError (nested too deep)."""
    return _decode(json)


def canonical(value: Any) -> bytes:
    """The one spelling of decoded JSON: keys sorted, whole floats as integers. Equal if and only if the content is."""
    encoded = spelled(value)
    if any(ending in encoded for ending in _WHOLE_FLOATS) or _EXPONENT.search(encoded) or value.__class__ is float:
        return _spell(value)
    return encoded


def spelled(value: Any) -> bytes:
    """The same of what `decode` answered: it has no whole floats, so the result needs no look (a third of all)."""
    try:
        return _encode(value)
    except (OverflowError, RecursionError):
        return _spell(value)  # an integer beyond 64 bits, or nested too deep for recursion


def digest(*parts: bytes) -> bytes:
    """16 bytes of BLAKE2b over parts that are kept apart by a NUL (which JSON and topics cannot hold)."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _spell(value: Any) -> bytes:
    """The encoder's own spelling, with whole floats as integers, and without recursion."""
    out: list[bytes] = []
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if item.__class__ is _Written:
            out.append(item.text)
        elif isinstance(item, dict):
            todo.append(_CLOSE_OBJECT)
            for at, name in enumerate(sorted(item, reverse=True)):
                comma = b"," if at < len(item) - 1 else b""
                todo += (item[name], _Written(comma + _encode(name) + b":"))
            todo.append(_OPEN_OBJECT)
        elif isinstance(item, list):
            todo.append(_CLOSE_ARRAY)
            for at in range(len(item) - 1, -1, -1):
                todo.append(item[at])
                if at:
                    todo.append(_COMMA)
            todo.append(_OPEN_ARRAY)
        else:
            out.append(_scalar(item))
    return b"".join(out)


class _Written:
    """Text that is ready, among values that are not."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY, _COMMA = map(_Written, (b"{", b"}", b"[", b"]", b","))


def _scalar(value: Any) -> bytes:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    return str(value).encode() if value.__class__ is int else _encode(value)


def mend_surrogates(json: bytes) -> bytes:
    """The same JSON with each lone half of a surrogate pair replaced by U+FFFD.

    A text that was cut in the middle of an emoji is escaped so by some serializers. It is no Unicode: our decoder does
    not read it, and UTF-8 cannot hold it.
    """
    return _ESCAPE.sub(lambda found: b"\\ufffd" if _is_half(found[0]) else found[0], json)


def _is_half(escape: bytes) -> bool:
    return len(escape) == 6
