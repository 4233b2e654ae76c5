"""Reading of decoded JSON that may have any shape: a value of another kind reads as nothing. Pure.

For what is of use where it is right, and is no reason to refuse the rest where it is not.
"""

from __future__ import annotations

from typing import Any

import msgspec


def read_object(body: bytes) -> dict[str, Any]:
    """The object that a body holds; {} for any other body, a broken one too."""
    try:
        return as_object(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        return {}


def as_object(value: object) -> dict[str, Any]:
    """An object; {} for any other value."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none of any other value."""
    return [item for item in value if item.__class__ is dict] if value.__class__ is list else []


def text(value: object) -> str:
    """A text; "" for any other value."""
    return value if isinstance(value, str) else ""


def text_or_none(value: object) -> str | None:
    """A text, an empty one too; None for any other value."""
    return value if isinstance(value, str) else None


def words(value: object) -> str | None:
    """A text that is not blank; None for any other value."""
    return value if isinstance(value, str) and value.strip() else None


def texts(value: object) -> list[str]:
    """The texts of a list; none of any other value."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def number(value: object) -> int | float | None:
    """A number; None for any other value, true and false among them."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: object) -> int | None:
    """A whole number that is not negative; None for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
