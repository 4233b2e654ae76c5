"""A person as somebody asks for them: the keys that name them, and whether a body has any of them. Pure.

Several keys are an OR of exact matches, each as a person means it: a telephone number however it is written, an address
or a name in any letters. A look at the whole text comes first, because most bodies have nothing of anybody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import starmap
from typing import Any, Final, NamedTuple, Protocol

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.errors import UsageError
from rollbook.genesys.privacy.number_signs import with_plain_signs
from rollbook.store.erasure import written_forms

# A path of names from a body's root; lists do not count.
Path = tuple[str, ...]

_FEWEST_DIGITS: Final = 5
# A country's code has three digits at most, and a number without it is believed to be one if it is so long.
LONGEST_CODE: Final = 3
FEWEST_NATIONAL: Final = 8
_PROBE: Final = 7
_NUMBER_RUN: Final = re.compile(r"(?<![^\W_])\+?\(?\d[\d\s().\-/]*\d", re.ASCII)
_ASCII: Final = re.compile(r"[!-~]+", re.ASCII)
_NOT_DIGITS: Final = {code: None for code in range(128) if not chr(code).isdigit()}
# Where digits and letters may be encoded as those of an address are.
_ENCODED: Final = re.compile(r"%[0-9a-fA-F]{2}")
# Telephone numbers with their country's code, as JSON may have them.
_SMALLEST: Final = 10**7
_LARGEST: Final = 10**15
# Numbers side by side in a text: so many words are tried together.
_WORDS: Final = 8
# Ids and times that figures rest on. They are no person's data by themselves, and stay.
KEPT_FIELDS: Final = frozenset(
    {"conversationId", "conversationStart", "conversationEnd", "participantId", "sessionId", "userId", "queueId"}
)


class Number(NamedTuple):
    """A telephone number: its digits, and whether its country's code is among them for sure."""

    digits: str
    is_international: bool


def number_of(text: str) -> Number | None:
    """The number that a text is, however it is written; None for what is none."""
    text = re.sub(r"^(?:tel|sips?|callto):", "", with_plain_signs(text).strip(), flags=re.IGNORECASE)
    text = re.split(r"[;@]|\s*(?:x|ext\.?)\s*\d+$", text, maxsplit=1, flags=re.IGNORECASE)[0].strip()
    if not re.fullmatch(r"\+?[\d\s().\-/]+", text, re.ASCII):
        return None
    digits = re.sub(r"\D", "", text.replace("(0)", "") if text.startswith(("+", "00")) else text)
    is_international = text.startswith("+")
    for prefix in ("00", "011"):
        if not is_international and digits.startswith(prefix) and len(digits) > FEWEST_NATIONAL + len(prefix):
            digits, is_international = digits[len(prefix) :], True
    return Number(digits, is_international) if len(digits) >= _FEWEST_DIGITS else None


def same_number(left: Number, right: Number) -> bool:
    """Tell whether two are the same, though one may lack its country's code."""
    if left.digits == right.digits:
        return True
    if left.is_international and right.is_international:
        return False
    short, long = sorted((left, right), key=lambda each: (len(each.digits.lstrip("0")), each.is_international))
    national = short.digits.lstrip("0")
    if short.is_international or len(national) < FEWEST_NATIONAL:
        return False
    whole = long.digits if long.is_international else long.digits.lstrip("0")
    return whole.endswith(national) and len(whole) - len(national) <= LONGEST_CODE


def plain(text: str) -> str:
    """A name or a value as it is compared: letters of one case, single blanks, the given name first."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    last, comma, first = text.partition(", ")
    return f"{first} {last}" if comma and "," not in first else text


def address_of(text: str) -> str:
    """An e-mail address as it is compared."""
    return next(written_forms.email_addresses(text), "").casefold()


def names_of(text: str) -> tuple[str, str]:
    """A text as a name is compared, and what stands before the address in it: `"A Person" <a@b.example>`."""
    return plain(text), plain(text.partition("<")[0].strip(' "'))


def external_id_of(text: str) -> str:
    """An id of others' as it is compared."""
    return text.strip().casefold()


def attribute_of(name: str, value: str) -> tuple[str, str]:
    """A participant attribute as it is compared."""
    return name.strip().casefold(), plain(value)


@dataclass(frozen=True)
class Person:
    """The keys of a person. attributes: (name, value) of participants; users: ids of the organisation's own people.

    hashes: what stands in the place of the other keys where `[privacy]` hashes them.
    """

    phones: Sequence[str] = ()
    emails: Sequence[str] = ()
    names: Sequence[str] = ()
    external_contacts: Sequence[str] = ()
    attributes: Sequence[tuple[str, str]] = ()
    users: Sequence[str] = ()
    conversations: Sequence[str] = ()
    hashes: Sequence[str] = ()
    _numbers: list[Number] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = []
        for text in self.phones:
            number = number_of(text)
            if number is None:
                raise UsageError(f"{text!r} is no telephone number (at least {_FEWEST_DIGITS} digits)")
            found.append(number)
        object.__setattr__(self, "_numbers", found)
        for text in self.emails:
            if not address_of(text):
                raise UsageError(f"{text!r} is no e-mail address")
        for text in (*self.names, *self.external_contacts, *self.users, *self.conversations):
            if not text.strip():
                raise UsageError("a name or an id is empty")
        for name, value in self.attributes:
            if not name.strip() or not value.strip():
                raise UsageError("an attribute is NAME=VALUE, and neither may be empty")

    @property
    def criteria(self) -> dict[str, int]:
        """How many keys of each kind there are: what may be noted of a person."""
        kinds = {
            "phone": self.phones,
            "email": self.emails,
            "name": self.names,
            "external_contact": self.external_contacts,
            "attribute": self.attributes,
            "user": self.users,
            "conversation": self.conversations,
        }
        return {kind: len(keys) for kind, keys in kinds.items() if keys}

    @property
    def has_keys_of_content(self) -> bool:
        """Tell whether bodies have to be looked through at all."""
        return bool(self.phones or self.emails or self.names or self.external_contacts or self.attributes)

    @cached_property
    def _emails(self) -> frozenset[str]:
        return frozenset(map(address_of, self.emails))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(map(plain, self.names))

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(map(external_id_of, (*self.external_contacts, *self.hashes)))

    @cached_property
    def _attributes(self) -> frozenset[tuple[str, str]]:
        return frozenset(starmap(attribute_of, self.attributes))

    @cached_property
    def _probes(self) -> list[str] | None:
        """Texts of which a body that has anything of the person has one; None where no such can be named."""
        found = []
        for text in (*self._emails, *self._names, *self._ids, *(name for name, _ in self._attributes)):
            longest = max(_ASCII.findall(text), key=len, default="")
            # Of JSON each of these may be escaped.
            if len(longest) < 2 or any(sign in longest for sign in '"\\/'):
                return None
            found.append(longest)
        return found

    def may_be_in(self, text: str) -> bool:
        """A quick look: False only where nothing of the person is in the text."""
        if self._numbers:
            digits = text.translate(_NOT_DIGITS) if text.isascii() else "".join(filter(str.isdigit, text))
            if any(number.digits[-_PROBE:] in digits for number in self._numbers):
                return True
        if self._probes is None or "\\u" in text or ("%" in text and _ENCODED.search(text)):
            return self.has_keys_of_content
        if not self._probes:
            return False
        folded = text.casefold()
        return any(probe in folded for probe in self._probes)

    def spellings(self, text: str) -> set[str]:
        """The values of a body that name the person, as they are written; of what is no JSON, the parts that do."""
        if not self.may_be_in(text):
            return set()
        try:
            tree = decode(text)
        except (ValueError, RecursionError):
            keys = written_forms.keys_within(written_forms.readings(text), self._is_key)
            return {*self._parts(text), *self._within(text), *keys}
        return {value for _, value in self._values(tree)}

    def places(self, tree: Any) -> set[Path]:
        """Where in a decoded body something names the person, but for ids that stay."""
        return {path for path, _ in self._values(tree) if path and path[-1] not in KEPT_FIELDS}

    def is_named_by(self, value: str, *, attribute: str | None = None) -> bool:
        """Tell whether a value names the person. attribute: the name of the participant attribute that it is of."""
        return written_forms.is_named(value, attribute, is_key=self._is_key, has_part=self._has_part) or any(
            True for _ in self._within_long(value)
        )

    def is_unmistakable(self, spelling: str) -> bool:
        """Tell whether it is a number or an address of theirs: other values may be somebody else's, too."""
        return any(True for _ in self._parts(spelling)) and bool(self._numbers or self._emails)

    def _is_key(self, value: str, attribute: str | None) -> bool:
        return (
            not self._names.isdisjoint(names_of(value))
            or external_id_of(value) in self._ids
            or (attribute is not None and attribute_of(attribute, value) in self._attributes)
        )

    def _parts(self, text: str) -> Iterator[str]:
        """Numbers and addresses within a text, and (of one that is long, or holds others) names and ids."""
        for form in written_forms.forms(text, written_forms.readings(text)):
            yield from self._parts_of(form)
        yield from self._within_long(text)

    def _has_part(self, text: str) -> bool:
        return any(True for _ in self._parts_of(text))

    def _parts_of(self, text: str) -> Iterator[str]:
        """Numbers and addresses of the person within a text, as it is read."""
        if self._numbers:
            for run in number_runs(text):
                yield from self._numbers_in(run)
        if self._emails:
            yield from (found for found in written_forms.email_addresses(text) if found.casefold() in self._emails)

    def _within_long(self, text: str) -> Iterator[str]:
        if len(text) > 200 or "\n" in text or "{" in text:
            yield from self._within(text)

    def _within(self, text: str) -> Iterator[str]:
        """Names, ids and attributes within a text that is more than one of them."""
        folded = plain(text)
        yield from (each for each in (*self._names, *self._ids) if each in folded)
        yield from (value for name, value in self._attributes if name in folded and value in folded)

    def _numbers_in(self, run: str) -> Iterator[str]:
        for text, found in numbers_within(run):
            if any(same_number(found, each) for each in self._numbers):
                yield text

    def _values(self, tree: Any) -> Iterator[tuple[Path, str]]:
        return values_of(tree, self.is_named_by)


class Names(Protocol):
    """Says whether a value names somebody. attribute: the name of the participant attribute that it is of."""

    def __call__(self, value: str, *, attribute: str | None = None) -> bool: ...


def number_runs(text: str) -> list[str]:
    """The stretches of digits and of what stands between them in numbers: as they are, and with plain signs.

    A dash may stand between two numbers, or within one.
    """
    found: list[str] = _NUMBER_RUN.findall(text)
    if not text.isascii():
        found += _NUMBER_RUN.findall(with_plain_signs(text))
    return found


def numbers_within(run: str) -> Iterator[tuple[str, Number]]:
    """The telephone numbers that a run of digits and blanks may be, as they are written."""
    words = run.split()
    for begin, word in enumerate(words):
        # Behind a country's code the rest is no number by itself.
        if begin and not word.startswith("+") and (word[0] not in "0(" or words[0].startswith("+")):
            continue
        for end in range(begin + 1, min(len(words), begin + _WORDS) + 1):
            text = " ".join(words[begin:end])
            if (found := number_of(text)) is not None:
                yield text, found


def values_of(tree: Any, names: Names) -> Iterator[tuple[Path, str]]:
    """The values of a decoded body that name somebody, and where they are."""
    waiting: list[tuple[Any, Path]] = [(tree, ())]
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, list):
            waiting += [(each, path) for each in node]
        elif isinstance(node, dict):
            waiting += [(value, (*path, name)) for name, value in node.items()]
            # A name can be a person's, too: {"+49 30 …": …}.
            yield from (((*path, name), name) for name in node if len(name) > 4 and names(name))
        else:
            of = path[-1] if "attributes" in path[:-1] else None
            if isinstance(node, str):
                if names(node, attribute=of):
                    yield path, node
            elif not isinstance(node, int | float) or (of is None and not _may_be_number(node)):
                continue
            elif names(str(node), attribute=of):
                yield path, str(node)


def _may_be_number(value: float) -> bool:
    """Tell whether a number of a body may be somebody's telephone number: what figures count is smaller."""
    return isinstance(value, int) and _SMALLEST <= value < _LARGEST
