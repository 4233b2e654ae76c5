"""Spellings of a value in a request: words in small letters or capitals, numbers and truth values as JSON or as text.

The platform's own samples use both spellings and its SDKs compare words without regard to case, so one reader serves
bodies and query parameters alike. Knows no resource.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollbook.simulator.rest.errors import Refusal, bad_request

_LONGEST = 9  # digits


def word(value: object, allowed: Iterable[str]) -> str | None:
    """The one of `allowed` that a value spells, in whatever case; None: none of them."""
    if not isinstance(value, str):
        return None
    return {each.lower(): each for each in allowed}.get(value.lower())


def chosen(value: object, allowed: Iterable[str], name: str) -> str:
    """The same, where another value is refused with 400."""
    every = list(allowed)
    found = word(value, every)
    if found is None:
        raise bad_request(f"Invalid {name}: {value}. It is one of {', '.join(every)}.")
    return found


def whole(value: object) -> int | None:
    """A whole number that is not negative, as JSON or as text; None: it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST:
        return int(value)
    return None


def positive(value: object, name: str) -> int:
    """A whole number from 1. Raises Refusal (400)."""
    found = whole(value)
    if not found:
        raise bad_request(f"{name} must be a positive integer.")
    return found


def truth(value: object, name: str) -> bool:
    """True or false, as JSON or as text. Raises Refusal (400)."""
    if isinstance(value, bool):
        return value
    found = word(value, ("true", "false"))
    if found is None:
        raise bad_request(f"{name} must be true or false.")
    return found == "true"


def unknown_field(name: str) -> Refusal:
    """400: a body has a field that the platform's model does not have."""
    return Refusal(400, "bad.request", f"Unrecognized field: {name}", params={"field": name})
