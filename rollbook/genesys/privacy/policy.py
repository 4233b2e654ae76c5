"""What is to become of people's data: `[privacy] fields`, read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rollbook.genesys.privacy.personal_fields import PATHS, FieldClass


class Treatment(StrEnum):
    """What becomes of a value before it goes anywhere."""

    KEEP = "keep"  # as it came
    DROP = "drop"  # the field is left out
    SHORTEN = "shorten"  # a part that names nobody: the beginning of a number, the domain of an address, initials
    HASH = "hash"  # a keyed digest: equal values stay equal, and nobody reads them


class Withheld(ValueError):
    """A body that cannot be opened, so that nobody knows whose data it holds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """classes and paths: what becomes of the fields of a class, and of a path. A path counts before its class."""

    classes: Mapping[FieldClass, Treatment]
    paths: Mapping[str, Treatment]

    def __bool__(self) -> bool:
        """Tell whether anything is changed at all."""
        return any(each is not Treatment.KEEP for each in (*self.classes.values(), *self.paths.values()))

    @property
    def needs_key(self) -> bool:
        """Tell whether anything is hashed."""
        return Treatment.HASH in {*self.classes.values(), *self.paths.values()}

    def of_class(self, field_class: FieldClass) -> Treatment:
        """What becomes of the fields of a class."""
        return self.classes.get(field_class, Treatment.KEEP)

    def __str__(self) -> str:
        named = {**{str(each): treatment for each, treatment in self.classes.items()}, **self.paths}
        return ", ".join(f"{name}={treatment}" for name, treatment in named.items()) or "nothing is changed"


KEEP_ALL: Final = Policy({}, {})
STRICT: Final = Policy(dict.fromkeys(FieldClass, Treatment.DROP), {})

_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(\.\*)?", re.ASCII)


def parse(value: Any) -> Policy:
    """A policy from a table {class or path: treatment}, from such pairs as text (`ani=hash, names=drop`), or "strict".

    Raises ValueError that says what is wrong.
    """
    if isinstance(value, str):
        if value.strip().lower() in ("strict", "keep"):
            return STRICT if value.strip().lower() == "strict" else KEEP_ALL
        value = dict(_pair(part) for part in value.split(",") if part.strip())
    if not isinstance(value, Mapping):
        raise ValueError('must be a table such as { phone_numbers = "hash", "participants.attributes.*" = "drop" }')
    classes: dict[FieldClass, Treatment] = {}
    paths: dict[str, Treatment] = {}
    for name, word in value.items():
        treatment = _treatment(name, word)
        if name in FieldClass.__members__.values():
            classes[FieldClass(name)] = treatment
        elif isinstance(name, str) and _PATH.fullmatch(name):
            paths[name] = treatment
        else:
            raise ValueError(f"{name!r} is neither a class ({', '.join(FieldClass)}) nor the path of a field")
    return Policy(classes, paths)


def _pair(part: str) -> tuple[str, str]:
    name, sign, word = part.partition("=")
    if not sign:
        raise ValueError(f"{part.strip()!r} is no pair such as phone_numbers=hash")
    return name.strip(), word.strip()


def _treatment(name: object, word: object) -> Treatment:
    try:
        return Treatment(word) if isinstance(word, str) else Treatment("")
    except ValueError:
        raise ValueError(f"{name}: {word!r} is not one of {', '.join(Treatment)}") from None


def is_stricter(policy: Policy, before: Policy) -> bool:
    """Tell whether what was kept by the policy before may not stay as it is."""
    order = list(Treatment)
    everything = {*PATHS, *policy.classes, *before.classes}
    if any(order.index(policy.of_class(each)) > order.index(before.of_class(each)) for each in everything):
        return True
    named = {*policy.paths, *before.paths}
    keep = Treatment.KEEP
    return any(order.index(policy.paths.get(each, keep)) > order.index(before.paths.get(each, keep)) for each in named)


def withheld_from(filter: Any, policy: Policy) -> list[str]:
    """The fields that a filter of details gives values of, and the policy does not let stay as they are."""
    found: dict[str, None] = {}
    waiting = [filter]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            waiting += node.values()
            if "property" in node and policy.of_class(FieldClass.ATTRIBUTES) is not Treatment.KEEP:
                found[str(node["property"])] = None
            name = node.get("dimension")
            if isinstance(name, str) and not _stays(name.lower(), policy):
                found[name] = None
        elif isinstance(node, list | tuple):
            waiting += node
    return sorted(found)


def _stays(name: str, policy: Policy) -> bool:
    named = [each for path, each in policy.paths.items() if path.lower().rpartition(".")[2] == name]
    of_class = [
        policy.of_class(field_class)
        for field_class, paths in PATHS.items()
        if any(path.lower().rpartition(".")[2] == name for path in paths)
    ]
    return all(each is Treatment.KEEP for each in named or of_class)
