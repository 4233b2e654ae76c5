"""People's data taken out of JSON, before it goes anywhere. Pure; one `Redactor` for a policy.

The result is JSON that says the same but for what was taken: blanks, escapes and the spelling of numbers may differ,
and of two members with one name the last is there, as any reader would see it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from rollbook.genesys.canonical_json import digest, spelled
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.messages.detail_fields import MEDIA_ENDPOINT_STAT, METRIC
from rollbook.genesys.privacy.personal_fields import ADDRESSES, PATHS, FieldClass
from rollbook.genesys.privacy.policy import Policy, Treatment, Withheld
from rollbook.genesys.program import named_secrets

if TYPE_CHECKING:
    from rollbook.genesys.program.settings import Settings

_decode: Final = msgspec.json.Decoder(Any).decode
_encode: Final = msgspec.json.Encoder().encode

# A treatment of a value: the JSON that takes its place; None where the field is left out.
_Treat = Callable[[str], str | None]
_SHORTEST_KEY: Final = 16
_DEEP: Final[frozenset[type]] = frozenset({dict, list})


class _Rule(NamedTuple):
    """A rule for a field. before: the names that must stand before its own, the nearest first. weight: the longest
    path counts, and a path before a class."""

    before: tuple[str, ...]
    weight: int
    treat: _Treat | None


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
        text = settings.privacy_key.reveal()
        key = (named_secrets.resolve(text) if named_secrets.is_reference(text) else text).encode()
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

    def body(self, raw: bytes) -> bytes:
        """The same JSON without what the policy takes. Raises Withheld for what is no JSON."""
        try:
            tree: Any = _decode(raw)
            if tree.__class__ in _DEEP:
                self._walk(tree, ())
            try:
                return _encode(tree)
            except (OverflowError, RecursionError):
                return spelled(tree)  # an integer beyond 64 bits, or nested too deep for recursion
        except (ValueError, RecursionError) as error:
            raise Withheld(str(error)) from None

    def payload(self, raw: bytes) -> bytes:
        """A payload that nobody could read: the JSON that it is without people's data, or a word in its place."""
        try:
            return self.body(raw)
        except Withheld:
            return b"(withheld by [privacy]: %d bytes that are no JSON, digest %s)" % (
                len(raw),
                digest(raw).hex().encode(),
            )

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
        number = self._by(self.policy.of_class(FieldClass.PHONE_NUMBERS))
        email = self._by(self.policy.of_class(FieldClass.EMAIL_ADDRESSES))
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
        return "hmac:" + hmac.new(self._key, plain.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]

    def _walk(self, tree: Any, path: tuple[str, ...]) -> None:
        """Treat what is named below an object or an array, in place. The hot path: eighty objects a conversation."""
        names, every, anywhere = self._names, self._every, self._anywhere
        waiting: list[tuple[Any, tuple[str, ...]]] = [(tree, path)]
        while waiting:
            node, path = waiting.pop()
            if node.__class__ is list:
                waiting += [(each, path) for each in node if each.__class__ in _DEEP]
                continue
            of_all = _first(every[path[0]], path) if path and path[0] in every else None
            if of_all is not None:
                for name in list(node):
                    self._treat(node, name, path, of_all)
            elif not names.isdisjoint(node):
                for name in names & node.keys():
                    if anywhere.get(name) is _drop:
                        del node[name]
                    else:
                        self._treat(node, name, path, None)
            if _DEEP.isdisjoint(map(type, node.values())):
                continue
            for name, value in node.items():
                if value.__class__ is dict or (value.__class__ is list and not _is_flat(name, value)):
                    waiting.append((value, (name, *path)))

    def _treat(self, node: dict[str, Any], name: str, path: tuple[str, ...], every: _Rule | None) -> None:
        rule = _first(self._rules.get(name, ()), path)
        if every is not None and (rule is None or every.weight > rule.weight):
            rule = every
        value = node[name]
        if rule is not None and rule.treat is not None:
            new = _treated(value, rule.treat)
            if new is None and value is not None:
                del node[name]
            else:
                node[name] = new


# Lists of figures, half of all objects of a conversation, and the fields that they have.
_FIGURES: Final = {"metrics": frozenset(METRIC), "mediaEndpointStats": frozenset(MEDIA_ENDPOINT_STAT)}


def _is_flat(name: str, values: list[Any]) -> bool:
    """Tell whether nothing in a list has a name that a rule could have."""
    if _DEEP.isdisjoint(map(type, values)):
        return True
    known = _FIGURES.get(name)
    return known is not None and all(each.__class__ is dict and known.issuperset(each) for each in values)


def _drop(_: str) -> None:
    """Leave a value out."""


def _first(rules: Sequence[_Rule], path: tuple[str, ...]) -> _Rule | None:
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
    return treat(str(value))


_HASHED: Final = re.compile("hmac:[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"(?:tel:|sips?:)?\+?[\d\s().\-/]{3,}(?:[;@].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
# So much of a number says the country and the region.
_KEPT_DIGITS: Final = 5


def _digits(value: str) -> str:
    """The digits of a telephone number, however it is written; "" for what is none."""
    found = _NUMBER.fullmatch(value.strip())
    return re.sub(r"\D", "", re.split("[;@]", value)[0]) if found else ""


def _is_email(value: str) -> bool:
    return "@" in value and not value.lower().startswith(("sip:", "sips:", "tel:"))


def _shorten(value: str) -> str:
    if digits := _digits(value):
        return f"{digits[:_KEPT_DIGITS]}…" if len(digits) > _KEPT_DIGITS + 2 else "…"
    if _is_email(value):
        return f"…@{value.rpartition('@')[2]}"
    return "".join(f"{word[0]}." for word in value.split()[:3]) or "…"
