"""Lists of entities (queues, users, divisions) page by page, as the platform answers them. Knows no entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from simulator.errors import bad_request

DEFAULT_PAGE, LARGEST_PAGE = 25, 500
_FIRST: Final = 1


def page(entities: Sequence[Mapping[str, Any]], query: Mapping[str, str], path: str) -> dict[str, Any]:
    """One page of a list, with the addresses of its neighbours. Raises Refusal (400)."""
    size, number = _number(query, "pageSize", DEFAULT_PAGE), _number(query, "pageNumber", _FIRST)
    if size > LARGEST_PAGE:
        raise bad_request(f"pageSize may not exceed {LARGEST_PAGE}.")
    count = max(1, -(-len(entities) // size))

    def address(at: int) -> str:
        return f"{path}?{urlencode({**query, 'pageSize': size, 'pageNumber': at})}"

    told: dict[str, Any] = {
        "entities": list(entities[(number - 1) * size : number * size]),
        "pageSize": size,
        "pageNumber": number,
        "total": len(entities),
        "pageCount": count,
        "firstUri": address(_FIRST),
        "selfUri": address(number),
        "lastUri": address(count),
    }
    if number < count:
        told["nextUri"] = address(number + 1)
    if number > _FIRST:
        told["previousUri"] = address(number - 1)
    return told


def in_divisions(entities: Iterable[Mapping[str, Any]], divisions: frozenset[str] | None) -> list[Mapping[str, Any]]:
    """Those of some divisions; None: all."""
    return [one for one in entities if divisions is None or one["division"]["id"] in divisions]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    told = query.get(name)
    if told is None:
        return default
    if not told.isascii() or not told.isdigit() or len(told) > 9 or int(told) < 1:
        raise bad_request(f"{name} must be a positive integer.")
    return int(told)
