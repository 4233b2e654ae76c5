"""JSON that cannot be decoded: cut into its records, and mended where that loses nothing. Pure.

Only what failed to decode comes here, so this may be slow and lenient. It never invents structure: where the list of
records has no clear end, or a record is no object, there is no answer, because records could be missing from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rollbook.genesys.canonical_json import mend_surrogates

# A whole string, a string that never ends, a bracket, or a comma. Bytes: a broken UTF-8 does not matter here.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|"|[\[\]{},]', re.DOTALL)
_KEY: Final = re.compile(rb'[ \t\r\n]*("(?:[^"\\]++|\\.)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_BLANK: Final = b" \t\r\n"
_CLOSES: Final = {b"[": b"]", b"{": b"}"}
# What the platform nests is some ten deep.
_DEEPEST: Final = 100_000


def cut(body: bytes, name: str) -> tuple[bytes, list[bytes]]:
    """A JSON object whose member `name` is a list of objects: (the object with an empty list there, those objects).

    Raises ValueError where the object or its list has no clear end, or something in the list is no object.
    """
    at = _past_blank(body, 0)
    if body[at : at + 1] != b"{":
        raise ValueError("it is no JSON object")
    at += 1
    while True:
        key = _KEY.match(body, at)
        if key is None:
            raise ValueError(f"it has no list of {name} that can be found")
        if key[1] == f'"{name}"'.encode() and body[key.end() : key.end() + 1] == b"[":
            items, end = _items(body, key.end())
            return body[: key.end()] + b"[]" + body[end:], items
        at = _past_value(body, key.end()) + 1


def _past_blank(body: bytes, at: int) -> int:
    while body[at : at + 1] and body[at] in _BLANK:
        at += 1
    return at


def _past_value(body: bytes, at: int) -> int:
    """The place of the comma behind a member's value."""
    for token, depth in _tokens(body, at):
        if depth == 0 and token[0] == b",":
            return token.start()
    raise ValueError("its end is missing")


def _items(body: bytes, at: int) -> tuple[list[bytes], int]:
    """The items of the list that begins at `at`, and where it ends."""
    items: list[bytes] = []
    begin = at + 1
    for token, depth in _tokens(body, at):
        if (depth == 1 and token[0] == b",") or depth == 0:
            item = body[begin : token.start()].strip(_BLANK)
            if depth == 0 and not item and not items:
                return [], token.end()
            if not (item.startswith(b"{") and item.endswith(b"}")) and item != b"null":
                raise ValueError("something in its list is no object")
            items.append(item)
            begin = token.end()
            if depth == 0:
                return items, begin
    raise ValueError("its list has no end")


def _tokens(body: bytes, at: int) -> Iterator[tuple[re.Match[bytes], int]]:
    """Brackets and commas outside of strings, with the number of brackets that are open behind each.

    A closing bracket closes those that were forgotten inside of its object; one that closes nothing is passed over.
    """
    open_: list[bytes] = []
    for token in _TOKEN.finditer(body, at):
        text = token[0]
        if text in _CLOSES:
            open_.append(_CLOSES[text])
            if len(open_) > _DEEPEST:
                raise ValueError("it is nested too deep")
        elif text == b'"':
            raise ValueError("a text in it has no end")
        elif text in (b"]", b"}"):
            # The outermost bracket is closed by its own kind alone, and by nothing that was forgotten inside of it.
            if open_ and open_[-1] == text:
                open_.pop()
            elif text == b"}" and text in open_[1:]:
                while open_.pop() != text:
                    pass
            else:
                continue
        elif text != b",":
            continue
        yield token, len(open_)


# A string, or what is none and stands for no value in JSON though some serializers write it.
_MENDABLE: Final = re.compile(
    rb'"(?:[^"\\]++|\\.)*+"|(?<![\w.+-])(?:[+-]?(?:nan|inf(?:inity)?)|undefined)(?![\w.])', re.DOTALL | re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_BAD_ESCAPE: Final = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|)', re.DOTALL)


def mend(record: bytes) -> bytes:
    """The same with what is certainly meant: no number (NaN) is null, bytes that are no text are U+FFFD.

    In texts, a control character is escaped, and the backslash of an escape that JSON has not is U+FFFD.
    """
    return mend_surrogates(_MENDABLE.sub(_mended, record))


def _mended(found: re.Match[bytes]) -> bytes:
    if not found[0].startswith(b'"'):
        return b"null"
    text = found[0].decode(errors="replace")
    text = _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", text)
    return _BAD_ESCAPE.sub(lambda escape: escape[0] if escape[1] else "\ufffd", text).encode()


_TEXT: Final = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*"([^"\\\x00-\x1f]{1,200})"')


def member(record: bytes, name: str) -> str | None:
    """A text member of an object that cannot be decoded; None where there is none that is plainly a text."""
    key, depth, at = f'"{name}"'.encode(), 0, 0
    while token := _TOKEN.search(record, at):
        at = token.end()
        if token[0] in _CLOSES:
            depth += 1
        elif token[0] in (b"]", b"}"):
            depth -= 1
        elif depth == 1 and token[0] == key and (value := _TEXT.match(record, at)):
            try:
                return value[1].decode()
            except UnicodeDecodeError:
                return None
    return None
