"""Real examples, altered: as bytes (cut, doubled, flipped, spliced) and as JSON (other kinds, names, depths). Pure.

Random bytes alone are refused at the first brace; what goes deep is nearly right.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any, Final

from tests.helpers.hostile import hostile_texts

_TEXTS: Final = hostile_texts(200, seed=7)
# Values at the edges of what is understood, as JSON has them.
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.1, -0.0, 1e308, float("nan")),
    *("", " ", "0", "null", "a" * 65, "a" * 5_000, "\ud800", "\udc00\ud800", "é" * 300, "{", '{"ani": "x', "[1"),
    *([], {}, [[]], [None], {"": ""}, [{}], [1, "a", None], {"id": 1}, {"message": "m", "status": 503}),
    *("2026-03-02T10:00:00.000Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-02-30T25:61:00+99:99"),
    *("7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21", "7C1F0D6E-52F1-4C1B-9A6C-2B8F1F4F9D2", "P1D", "P99999999999Y", "PT-1S"),
)
_NAMES: Final = (
    *("id", "conversationId", "topicName", "eventBody", "detail", "Records", "body", "participants", "sessions"),
    *("segments", "attributes", "entities", "conversations", "totalHits", "pageCount", "total", "cursor", "errors"),
    *("message", "status", "code", "", "a" * 300, "__proto__", "\x1b[2J", "ani", "conversationStart", "metrics"),
)
_TOKENS: Final = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\n", b"\r\n", b"\0", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f"),
    *(b"null", b"NaN", b"-Infinity", b"1e999", b"-", b"0" * 40, b"9" * 400, b"\\ud800", b"\\u0000", b"\xef\xbb\xbf"),
    *(
        b'{"version":"0","id":',
        b"{}",
        b"[]",
        b'"":"",',
        b"//",
        b"/*",
        b"<!--",
        b"%00",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
    ),
)
_LARGEST: Final = 3_000_000


def altered(example: bytes, draw: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """The example with a few changes. others: what parts are taken from."""
    made = example
    if draw.random() < 0.6:
        made = _as_json(made, draw)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3, 8)) if made != example else draw.choice((1, 1, 2, 3, 8))):
        made = _as_bytes(made, draw, others)
    return made[:_LARGEST]


def altered_text(example: str, draw: random.Random) -> str:
    """A text with a few changes: a word, an address."""
    made = example
    for _ in range(draw.choice((1, 1, 2, 4))):
        at, end = sorted((draw.randint(0, len(made)), draw.randint(0, len(made))))
        new = draw.choice((draw.choice(_TEXTS), str(draw.choice(_VALUES)), "", made[at:end] * 2, chr(draw.choice((0x1B, 0x2E, 0x2F, 0x41, 0x7F, 0x9B, 0x202E, 0xD800, 0x1F600)))))  # fmt: skip
        made = made[:at] + new + made[draw.choice((at, at, end)) :]
    return made[:20_000]


def a_value(draw: random.Random) -> Any:
    """A value at the edges, or a hostile text, or something deep."""
    kind = draw.random()
    if kind < 0.25:
        return draw.choice(_TEXTS)
    if kind < 0.30:
        return _deep(draw.choice((3, 30, 300)), draw)
    return copy.deepcopy(draw.choice(_VALUES))


def _deep(depth: int, draw: random.Random) -> Any:
    value: Any = copy.deepcopy(draw.choice(_VALUES))
    for _ in range(depth):
        value = [value] if draw.random() < 0.5 else {draw.choice(_NAMES): value}
    return value


def _as_json(example: bytes, draw: random.Random) -> bytes:
    try:
        tree = [json.loads(example)]
    except (ValueError, RecursionError):
        return example
    for _ in range(draw.choice((1, 1, 2, 5))):
        _change(tree, draw)
    try:
        text = json.dumps(tree[0] if tree else None, ensure_ascii=draw.random() < 0.5)
    except (ValueError, RecursionError):
        return example
    return text.encode(errors="surrogatepass")


def altered_tree(tree: Any, draw: random.Random) -> Any:
    """A decoded JSON value with a few changes; it is changed in place, so that a copy is given."""
    around = [tree]
    for _ in range(draw.choice((1, 1, 2, 5))):
        _change(around, draw)
    return around[0] if around else None


def _change(around: list[Any], draw: random.Random) -> None:
    places = [place for place in _places(around) if len(place[0])]
    node, key = draw.choice(places) if places else (around, None)
    if key is None:
        return
    value = node[key]
    kind = draw.randrange(9)
    if kind <= 2:
        node[key] = a_value(draw)
    elif kind == 3:
        del node[key]
    elif kind == 4 and isinstance(node, dict):
        node[draw.choice(_NAMES)] = node.pop(key)
    elif kind == 5:
        node[key] = [value] if draw.random() < 0.5 else {draw.choice(_NAMES): value}
    elif kind == 6:
        node[key] = _dumped(value)
    elif kind == 7 and isinstance(node, list):
        node[key:key] = [value] * draw.choice((1, 2, 50))
    elif isinstance(value, str):
        node[key] = altered_text(value, draw)
    else:
        other, place = draw.choice(places)
        if place in other if isinstance(other, dict) else place < len(other):
            node[key] = json.loads(_dumped(other[place]))


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return "null"


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every object or array with each of its keys."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(found) < 20_000:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        found += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
    return found


def _as_bytes(made: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    at, end = sorted((draw.randint(0, len(made)), draw.randint(0, len(made))))
    if draw.random() < 0.7:
        end = min(end, at + draw.choice((1, 2, 8, 64)))
    kind = draw.randrange(10)
    if kind == 0 and made:
        at = min(at, len(made) - 1)
        return made[:at] + bytes([made[at] ^ 1 << draw.randrange(8)]) + made[at + 1 :]
    if kind == 1:
        return made[:at] + made[end:]
    if kind == 2:
        return made[:end] + made[at:end] + made[end:]
    if kind == 3:
        return made[:at] + draw.choice(_TOKENS) + made[draw.choice((at, end)) :]
    if kind == 4:
        return made[:at] + draw.randbytes(draw.choice((1, 2, 4, 32))) + made[end:]
    if kind == 5 and others:
        other = draw.choice(others)
        return made[:at] + other[draw.randint(0, len(other)) :]
    if kind == 6:
        return made[:at] if draw.random() < 0.7 else made[at:]
    if kind == 7 and draw.random() < 0.1:
        times = draw.choice((10, 1_000, 20_000))
        return made[:at] + (made[at:end] or b"[")[:64] * times + made[end:]
    if kind == 8:
        text = draw.choice(_TEXTS).encode(errors="surrogatepass")
        return made[:at] + text + made[draw.choice((at, end)) :]
    return made[:at] + bytes(reversed(made[at:end])) + made[end:]
