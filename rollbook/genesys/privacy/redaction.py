"""People's data taken out of JSON, before it goes anywhere. Pure; one `Redactor` for a policy.

The result is JSON that says the same but for what was taken: blanks, escapes and the spelling of numbers may differ,
and of two members with one name the last is there, as any reader would see it.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from rollbook.genesys.canonical_json import spelled
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.messages.documented_shapes import RECORD, Shape
from rollbook.genesys.privacy.known_shapes import ROOT, KnownShape, Path, Treat, left_out
from rollbook.genesys.privacy.number_signs import DASHES, HYPHENS, SIGNS, with_plain_signs
from rollbook.genesys.privacy.personal_fields import ADDRESSES, PATHS, FieldClass
from rollbook.genesys.privacy.policy import Policy, Treatment, Withheld
from rollbook.genesys.program import named_secrets

if TYPE_CHECKING:
    from rollbook.genesys.program.settings import Settings

_decode_quickly: Final = msgspec.json.Decoder(Any).decode
_decode_exactly: Final = msgspec.json.Decoder(Any, float_hook=msgspec.Raw).decode
_encode: Final = msgspec.json.Encoder().encode

# A treatment of a value: the JSON that takes its place; None where the field is left out.
_Treat = Callable[[str], str | None]
_SHORTEST_KEY: Final = 16
_DEEP: Final[frozenset[type]] = frozenset({dict, list})
_TEXT: Final[frozenset[type]] = frozenset({str})


# Names come from others: so many things are kept that are known by them, and none that is known by longer ones.
_MOST_KEPT: Final = 4_000
_LONGEST_KEPT: Final = 2_000


class _Rule(NamedTuple):
    """A rule for a field. before: the names that must stand before its own, the nearest first. weight: the longest
    path counts, and a path before a class."""

    before: tuple[str, ...]
    weight: int
    treat: _Treat | None


class _AllDropped(list[tuple[str, Treat]]):
    """What is to be done with the members of an object of which each is dropped if it is a text."""


class _Place:
    """A place in bodies: the names that lead to it, the nearest first, and what is to be done with objects there, by
    their members, as far as such were met.

    of_all: the rule for all members of its object.
    """

    __slots__ = ("below", "of_all", "path", "shapes")

    def __init__(self, path: Path, of_all: _Rule | None) -> None:
        self.path, self.of_all = path, of_all
        self.shapes: dict[tuple[str, ...], list[tuple[str, Treat]]] = {}
        self.below: dict[str, _Place] = {}


def redactor_of(settings: Settings) -> Redactor | None:
    """The redactor that the settings ask for; None where everything is kept. Blocks where the key is looked up.

    Raises SettingsError (there is no key for hashes, or it is too short), ConnectionLost.
    """
    if not settings.privacy:
        return None
    key = b""
    if settings.privacy.needs_key:
        if settings.privacy_key is None:
            raise SettingsError("[privacy] fields has a hash: set ROLLBOOK_PRIVACY_KEY (32 characters or more, secret)")
        key = named_secrets.value_of(settings.privacy_key.reveal()).encode()
        if len(key) < _SHORTEST_KEY:
            raise SettingsError(
                f"ROLLBOOK_PRIVACY_KEY is too short to keep a number secret: {_SHORTEST_KEY} characters"
            )
    return Redactor(settings.privacy, key)


class Redactor:
    """Takes out of bodies what a policy names. key: for hashes; it is kept outside the store."""

    def __init__(self, policy: Policy, key: bytes = b"") -> None:
        self.policy = policy
        self._key = key
        self._free_text = self._by(policy.of_class(FieldClass.FREE_TEXT))
        self._number = self._by(policy.of_class(FieldClass.PHONE_NUMBERS))
        self._email = self._by(policy.of_class(FieldClass.EMAIL_ADDRESSES))
        self._rules: dict[str, list[_Rule]] = {}
        by_value = self._by_value()
        for field_class, paths in PATHS.items():
            treat = by_value if paths is ADDRESSES else self._by(policy.of_class(field_class))
            if treat is not None and field_class is not FieldClass.EMAIL_ADDRESSES:  # its paths are the numbers' too
                for path in paths:
                    self._add(path, 0, treat)
        for path, treatment in policy.paths.items():
            self._add(path, 100, self._by(treatment))
        for rules in self._rules.values():
            rules.sort(key=lambda rule: -rule.weight)
        # Of a star the name before it is looked up: it names the object whose members are all meant.
        self._every: dict[str, list[_Rule]] = {}
        for rule in self._rules.pop("*", []):
            self._every.setdefault(rule.before[0], []).append(rule)
        self._names = frozenset(self._rules)
        # Most names count wherever they stand, and nothing else is to be looked at.
        self._anywhere = {
            name: rules[0].treat for name, rules in self._rules.items() if len(rules) == 1 and not rules[0].before
        }
        # Made when the first of a shape comes: most processes meet none.
        self._known: dict[Shape, KnownShape] = {}
        # So many names of a path can matter.
        every_rule = [rule for rules in (*self._rules.values(), *self._every.values()) for rule in rules]
        self._depth = 1 + max((len(rule.before) for rule in every_rule), default=0)
        self._roots: dict[Path, _Place] = {}
        self._kept = 0

    def record(self, raw: bytes) -> bytes:
        """A record of details without what the policy takes. Raises Withheld for what is no JSON."""
        found = None if _may_hold_json(raw) else self._known_shape(RECORD, canonical=False).redacted(raw)
        return self.body(raw) if found is None else found

    def known(self, shape: Shape, raw: bytes) -> bytes | None:
        """The one spelling of a body without what the policy takes; None where it is not of just this shape.

        It is what `canonical_json.spelled` has of what `decoded` leaves, byte for byte.
        """
        return None if _may_hold_json(raw) else self._known_shape(shape, canonical=True).redacted(raw)

    def _known_shape(self, shape: Shape, *, canonical: bool) -> KnownShape:
        if shape not in self._known:
            known = KnownShape(shape, self._treatment_of, self._treatment_below, canonical=canonical)
            self._known[shape] = known
        return self._known[shape]

    def body(self, raw: bytes) -> bytes:
        """The same JSON without what the policy takes. Raises Withheld for what is no JSON."""
        try:
            return _spelled(self._tree(_decode(raw), ROOT, opens=_may_hold_json(raw)))
        except (ValueError, RecursionError) as error:
            raise Withheld(str(error)) from None

    def decoded(self, tree: Any, raw: bytes) -> Any:
        """A body that `canonical_json.decode` has decoded, without what the policy takes. It is changed in place.

        raw: its bytes. Raises RecursionError.
        """
        if tree.__class__ is dict and b"\\" not in raw:  # as nearly all that comes
            self._walk(tree, ROOT)
            return tree
        return self._tree(tree, ROOT, opens=_may_hold_json(raw))

    def payload(self, raw: bytes) -> bytes:
        """A payload that nobody could read: the JSON that it is without people's data, or a word in its place.

        What its fields are called says little, so that numbers and e-mail addresses are taken out of every text.
        """
        try:
            return _spelled(_each_text(self._tree(_decode(raw), ROOT, opens=True), self._words_within))
        except (ValueError, RecursionError):
            return self._withheld(raw)

    def words(self, text: str) -> str:
        """A sentence of the platform's, or a text of nobody knows what, without its numbers and e-mail addresses."""
        if self._email is not None and ("@" in text or "40" in text):
            text = _EMAIL_IN_WORDS.sub(partial(_in_words, self._email), text)
        if self._number is not None:
            text = _NUMBER_IN_WORDS.sub(partial(_in_words, self._number), text)
        return text

    def error(self, text: str) -> str:
        """What an error of the platform's says in words, which may repeat a value: its code says enough."""
        return self.words(text) if self._free_text is None else "an error, whose words [privacy] leaves out"

    def _tree(self, tree: Any, path: Path, *, opens: bool) -> Any:
        """Decoded JSON without what the policy takes. opens: whether a text of it may hold JSON of its own."""
        if tree.__class__ not in _DEEP:
            new = self._opened(tree, path) if opens and tree.__class__ is str else tree
            # A body that is a text and nothing else: no name says what it is.
            return new if new != tree or self._free_text is None else _treated(tree, self._free_text)
        if tree.__class__ is list and self._free_text is not None:
            free_text = self._free_text
            tree = [each if each.__class__ in _DEEP else _treated(each, free_text) for each in tree]
        self._walk(tree, path)
        return self._with_texts_opened(tree, path) if opens else tree

    def _with_texts_opened(self, node: Any, path: Path) -> Any:
        """The same, and what the policy takes is gone from JSON inside its texts as well."""
        if node.__class__ is dict:
            return {name: self._with_texts_opened(each, (name, *path)) for name, each in node.items()}
        if node.__class__ is list:
            return [self._with_texts_opened(each, path) for each in node]
        return self._opened(node, path) if node.__class__ is str else node

    def _opened(self, text: str, path: Path) -> str:
        """A text that holds JSON, without what the policy takes of that; withheld if it only seems to hold JSON."""
        if "{" not in text and not _BEGINS.match(text):
            return text
        try:
            return _part_by_part(text, lambda part: part, partial(self._tree, path=path, opens=True))
        except (ValueError, RecursionError):
            return self._withheld(text.encode(errors="surrogatepass")).decode()

    def _words_within(self, text: str) -> str:
        """A text, and what JSON says that it holds, without numbers and e-mail addresses. Raises ValueError."""
        return _part_by_part(text, self.words, partial(_each_text, change=self._words_within))

    def _withheld(self, raw: bytes) -> bytes:
        """The word in the place of what cannot be opened. Without a key no digest: it would fit whoever guesses it."""
        known = f", digest {self.mark(raw.hex())[:32]}" if self._key else ""
        return f"(withheld by [privacy]: {len(raw)} bytes that are no JSON{known})".encode()

    def mark(self, once: str) -> str:
        """What a delivery is known by, which may be a digest of its content: with a key nobody can guess that."""
        return hmac.digest(self._key, once.encode(), "sha256").hex() if self._key else once

    def hashed(self, value: str) -> str | None:
        """What a value is where the policy hashes it; None without a key."""
        return self._hash(value) if self._key else None

    def _treatment_of(self, name: str, path: Path) -> Treat | None:
        """What becomes of a field at a place that is known beforehand."""
        of_all = _first(self._every[path[0]], path) if path and path[0] in self._every else None
        rule = self._rule(name, path, of_all)
        if rule is None or rule.treat is None:
            return None
        if rule.treat is _drop and of_all is None and self._anywhere.get(name) is _drop:
            return left_out
        treat = rule.treat
        drops = treat is _drop

        def treated(value: Any) -> Any:
            if drops and value.__class__ is str and value:
                return UNSET
            new = _treated(value, treat)
            if new.__class__ in _DEEP:
                self._walk(new, (name, *path))
            return UNSET if new is None and value is not None else new

        return treated

    def _treatment_below(self, path: Path) -> Treat:
        """The treatment of an object or an array of any shape at a place that is known beforehand."""
        empties = self._drops_all(path)

        def treated(value: Any) -> Any:
            if value.__class__ in _DEEP:
                if empties and value.__class__ is dict and _is_texts(value):
                    return {}
                self._walk(value, path)
            return value

        return treated

    def _drops_all(self, path: Path) -> bool:
        """Tell whether each member of an object at a place is dropped if it is a text, whatever its name."""
        every = _first(self._every[path[0]], path) if path[0] in self._every else None
        named = (rule for rules in self._rules.values() for rule in rules if path[: len(rule.before)] == rule.before)
        return every is not None and all(rule.treat is _drop for rule in (every, *named))

    def agent_name(self, name: str) -> str | None:
        """A name of one of the organisation's own people, as their listing has it; None if it is left out."""
        treat = self._by(self.policy.of_class(FieldClass.AGENT_NAMES))
        return name if treat is None else treat(name)

    def _add(self, path: str, weight: int, treat: _Treat | None) -> None:
        *before, name = path.split(".")
        rule = _Rule(tuple(reversed(before)), weight + len(before) + (name != "*"), treat)
        self._rules.setdefault(name, []).append(rule)

    def _by(self, treatment: Treatment) -> _Treat | None:
        if treatment is Treatment.KEEP:
            return None
        if treatment is Treatment.DROP:
            return _drop
        return self._hash if treatment is Treatment.HASH else _shorten

    def _by_value(self) -> _Treat | None:
        """The treatment of a field that holds a number or an e-mail address."""
        number, email = self._number, self._email
        if number == email:
            return number

        def treat(value: str) -> str | None:
            treatment = email if _is_email(value) else number
            return value if treatment is None else treatment(value)

        return treat

    def _hash(self, value: str) -> str:
        if _HASHED.fullmatch(value):
            return value  # of a dead letter that is tried again
        plain = _digits(value) or value.strip().casefold()
        return "hmac:" + hmac.digest(self._key, plain.encode(errors="surrogatepass"), "sha256").hex()[:32]

    def _walk(self, tree: Any, path: Path) -> None:
        """Treat what is named below an object or an array, in place. The hot path: eighty objects a conversation."""
        deep = _DEEP
        waiting: list[tuple[Any, _Place]] = [(tree, self._roots.get(path) or self._root(path))]
        while waiting:
            node, place = waiting.pop()
            if node.__class__ is list:
                waiting += [(each, place) for each in node if each.__class__ in deep]
                continue
            # What is alike has the same members in the same order: what is to be done is looked up for all at once.
            shape = tuple(node)
            found = place.shapes.get(shape)
            if found is None:
                found = self._learn(shape, place)
            if found.__class__ is _AllDropped and _is_texts(node):
                node.clear()
                continue
            for name, treat in found:
                if treat is left_out:
                    del node[name]
                    continue
                value = node[name]
                if treat is _leave_out_text:
                    if value.__class__ is str and value:
                        del node[name]
                        continue
                    treat = _drop
                new = _treated(value, treat)
                if new is None and value is not None:
                    del node[name]
                else:
                    node[name] = new
            for name, value in node.items():
                if value.__class__ in deep and value:
                    below = place.below.get(name) or self._below(name, place)
                    if value.__class__ is list and len(value) == 1 and value[0].__class__ is dict:
                        value = value[0]
                    waiting.append((value, below))

    def _root(self, path: Path) -> _Place:
        made = self._place(path[: self._depth])
        if self._kept < _MOST_KEPT:
            self._kept += 1
            self._roots[path] = made
        return made

    def _place(self, path: Path) -> _Place:
        of_all = _first(self._every[path[0]], path) if path and path[0] in self._every else None
        return _Place(path, of_all)

    def _below(self, name: str, place: _Place) -> _Place:
        """The place of a member, kept for the next: what is there is nearly always named alike."""
        made = self._place((name, *place.path)[: self._depth])
        if self._kept < _MOST_KEPT and len(name) <= _LONGEST_KEPT:
            self._kept += 1
            place.below[name] = made
        return made

    def _learn(self, shape: tuple[str, ...], place: _Place) -> list[tuple[str, Treat]]:
        """What is to be done with the members of an object, kept for the next that is alike."""
        found: list[tuple[str, Treat]] = []
        for name in shape:
            if place.of_all is None and name not in self._names:
                continue
            rule = self._rule(name, place.path, place.of_all)
            if rule is None or rule.treat is None:
                continue
            treat: Treat = rule.treat
            if treat is _drop:
                treat = left_out if place.of_all is None and self._anywhere.get(name) is _drop else _leave_out_text
            found.append((name, treat))
        if len(found) == len(shape) and all(treat is _leave_out_text for _, treat in found):
            found = _AllDropped(found)
        if self._kept < _MOST_KEPT and sum(map(len, shape)) <= _LONGEST_KEPT:
            self._kept += 1
            place.shapes[shape] = found
        return found

    def _rule(self, name: str, path: Path, every: _Rule | None) -> _Rule | None:
        """The rule for a field. every: the one for all members of its object."""
        rule = _first(self._rules.get(name, ()), path)
        return every if every is not None and (rule is None or every.weight > rule.weight) else rule


def _decode(raw: bytes) -> Any:
    try:
        return _decode_quickly(raw)
    except msgspec.DecodeError:
        return _decode_exactly(raw)  # a number beyond floats stays as it is spelled


def _spelled(tree: Any) -> bytes:
    try:
        return _encode(tree)
    except (OverflowError, RecursionError):
        return spelled(tree)  # an integer beyond 64 bits, or nested too deep for recursion


def _parts(text: str) -> Iterator[tuple[str, Any]]:
    """The parts of a text, each with the JSON that it is, or with none. Raises ValueError for what only seems JSON."""
    if _BEGINS.match(text):
        yield text, _decode(text.encode(errors="surrogatepass"))
        return
    after = 0
    while (found := _WITHIN.search(text, after) if "{" in text else None) is not None:
        # An object that is escaped is within a text of JSON.
        begin = found.start() if "\\" in found[0] else found.start(1)
        _, end = _scan(text, begin)
        yield text[after:begin], _NO_JSON
        yield text[begin:end], _decode(text[begin:end].encode(errors="surrogatepass"))
        after = end
    yield text[after:], _NO_JSON


def _part_by_part(text: str, words: Callable[[str], str], within: Callable[[Any], Any]) -> str:
    """A text with its words changed, and the JSON within it, decoded. Raises ValueError."""
    return "".join(
        words(part) if inner is _NO_JSON else _spelled(within(inner)).decode() for part, inner in _parts(text)
    )


def _each_text(node: Any, change: Callable[[str], str]) -> Any:
    """The same with every text changed, and every name."""
    if node.__class__ is dict:
        return {change(name): _each_text(each, change) for name, each in node.items()}
    if node.__class__ is list:
        return [_each_text(each, change) for each in node]
    return change(node) if node.__class__ is str else node


def _may_hold_json(raw: bytes) -> bool:
    """Tell whether a text of this JSON may be JSON of its own with names in it."""
    return b"\\" in raw and _OPENS.search(raw) is not None


def _in_words(treat: _Treat, found: re.Match[str]) -> str:
    return found[0] if _DATE.fullmatch(with_plain_signs(found[0])) else treat(found[0]) or _GONE


def _drop(_: str) -> None:
    """Leave a value out."""


def _leave_out_text(_: str) -> None:
    """Leave a value out that is a text; of others what says nothing of anybody stays."""


def _is_texts(node: dict[str, Any]) -> bool:
    """Tell whether every member is a text, and none is empty."""
    return _TEXT.issuperset(map(type, node.values())) and all(node.values())


def _first(rules: Sequence[_Rule], path: Path) -> _Rule | None:
    return next((rule for rule in rules if path[: len(rule.before)] == rule.before), None)


def _treated(value: Any, treat: _Treat) -> Any:
    """A value of any shape: each text and number of it is treated by itself; nothing else says who somebody is."""
    if isinstance(value, str):
        return treat(value) if value else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [new for each in value if (new := _treated(each, treat)) is not None or each is None]
    if isinstance(value, Mapping):
        kept = {name: _treated(each, treat) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each is not None} or None
    # A number beyond all floats is what it is spelled as.
    return treat(bytes(value).decode() if value.__class__ is msgspec.Raw else str(value))


# What takes the place of a person's words in a sentence.
_GONE: Final = "…"
# Where JSON inside a text has a quotation mark: JSON without one has no names.
_OPENS: Final = re.compile(rb'\\(?:"|u0022)')
_BEGINS: Final = re.compile(r'[\s\ufeff]*(?:\{|"|\[\s*[\[{"])')
# Where an object begins behind other words, as lines of a log have it.
_WITHIN: Final = re.compile(r'(?:"\s*)?(\{\s*\\*"[^"]{0,200}"\s*:)')
_scan: Final = json.JSONDecoder(strict=False).raw_decode
_NO_JSON: Final = object()
# Bounded, so that a long text of letters and dots costs no more than its length.
_EMAIL_IN_WORDS: Final = re.compile(
    r"[\w.+%\-]{1,64}(?:@|%(?:25){0,3}40|(?:\\{1,64}|%(?:25){0,3}5[cC])u0040)[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,8}"
)
# Seven digits and more, and not a part of an id; what is escaped or encoded before it is not a part of it.
_DIGIT: Final = r"(?:\d|%3\d|\\{1,64}u003\d)"
_BETWEEN: Final = (
    rf"(?:[\s().\-/+{SIGNS}]|[{DASHES}](?!\s*\+)|%2[0-9a-fA-F]|%[cC]2%[aA][0dD]|%[eE][fF]%[bB][bB]%[bB][fF]"
    r"|%[eE]2%8(?:0%(?:8[0-9a-fA-F]|9[0-5]|[aA][89a-fA-F])|1%[aA][0-9a-fA-F])"
    r"|\\{1,64}(?:[nrt]|u(?:00[aA][0dD]|20(?:0[0-9a-fA-F]|1[0-5]|2[89a-fA-F]|6[0-9])|2212|[fF][eE][fF][fF])))"
)
_NUMBER_IN_WORDS: Final = re.compile(
    rf"(?:(?<![\w\-.:{HYPHENS}])"
    r"|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2})|(?<=25[0-9a-fA-F]{2})"
    r"|(?<=5[cC][bfnrt])|(?<=5[cC]u[0-9a-fA-F]{4}))"
    rf"\+?\(?{_DIGIT}(?:{_BETWEEN}{{0,2}}{_DIGIT}){{6,40}}(?![\w\-:{HYPHENS}])",
    re.ASCII,
)
_DAY: Final = r"\d{4}-\d\d-\d\d(?: \d\d)?"
_DATE: Final = re.compile(rf"{_DAY}(?: ?- ?{_DAY})?")
_HASHED: Final = re.compile("hmac:[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"(?:tel:|sips?:)?\+?[\d\s().\-/]{3,}(?:[;@].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_SHORTENED: Final = re.compile(r"[0-9]{0,5}…|…@[^\s@]+|(?:\S\.){1,3}")
# So much of a number says the country and the region.
_KEPT_DIGITS: Final = 5


def _digits(value: str) -> str:
    """The digits of a telephone number, however it is written; "" for what is none."""
    value = with_plain_signs(value).strip()
    found = _NUMBER.fullmatch(value)
    return re.sub(r"\D", "", re.split("[;@]", value)[0]) if found else ""


def _is_email(value: str) -> bool:
    return "@" in value and not value.lower().startswith(("sip:", "sips:", "tel:"))


def _shorten(value: str) -> str:
    if _SHORTENED.fullmatch(value):
        return value  # of a dead letter that is tried again
    if digits := _digits(value):
        return f"{digits[:_KEPT_DIGITS]}…" if len(digits) > _KEPT_DIGITS + 2 else "…"
    if _is_email(value):
        return f"…@{value.rpartition('@')[2]}"
    return "".join(f"{word[0]}." for word in value.split()[:3]) or "…"
