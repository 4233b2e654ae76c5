"""Lists of entities: which of them a request asks for, in which order, and one page of them. Knows no entity.

Every parameter that the platform's SDK documents for a list is applied, or refused with a word: `ListRules` says which
there are. Others are ignored, as the platform ignores them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.errors import bad_request, not_simulated

Entity = Mapping[str, Any]
Test = Callable[[Entity, str], bool]
DEFAULT_PAGE, LARGEST_PAGE = 25, 500
_FIRST: Final = 1
_DESCENDING: Final = {"asc": False, "ascending": False, "desc": True, "descending": True}


class ListRules(NamedTuple):
    """Parameters that a list knows.

    filters: parameter and what it asks of an entity. sort: the field that orders the list; None: it has the order in
    which it was made until `sortOrder` or `sortBy` is given. sort_by: fields that `sortBy` may name. absent: parameters
    that the platform has and the simulator has not.
    """

    filters: Mapping[str, Test]
    sort: str | None = None
    sort_by: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def page(entities: Sequence[Entity], query: Mapping[str, str], path: str) -> dict[str, Any]:
    """Write a page of a list, with the addresses of its neighbours. Raises Refusal (400)."""
    size, number = (_number(query, name, default) for name, default in (("pageSize", DEFAULT_PAGE), ("pageNumber", 1)))
    if size > LARGEST_PAGE:
        raise bad_request(f"pageSize may not exceed {LARGEST_PAGE}.")
    count = max(1, -(-len(entities) // size))

    def address(at: int) -> str:
        return f"{path}?{urlencode({**query, 'pageSize': size, 'pageNumber': at})}"

    body: dict[str, Any] = {
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
        body["nextUri"] = address(number + 1)
    if number > _FIRST:
        body["previousUri"] = address(number - 1)
    return body


def chosen(entities: Iterable[Entity], query: Mapping[str, str], listing: ListRules) -> list[Entity]:
    """Those that a request asks for, in its order. Raises Refusal."""
    for name in listing.absent:
        if query.get(name):
            raise not_simulated(f"the parameter {name} of this list")
    found = list(entities)
    for name, test in listing.filters.items():
        if given := query.get(name):
            found = [entity for entity in found if test(entity, given)]
    return _ordered(found, query, listing)


def _ordered(found: list[Entity], query: Mapping[str, str], listing: ListRules) -> list[Entity]:
    order, by = query.get("sortOrder"), query.get("sortBy")
    descending = bool(order) and _DESCENDING[spelling.chosen(order, _DESCENDING, "sortOrder")]
    field = spelling.chosen(by, listing.sort_by, "sortBy") if by and listing.sort_by else listing.sort
    if field is None and not order:
        return found
    return sorted(found, key=lambda entity: str(entity.get(field or "name", "")).lower(), reverse=descending)


def in_divisions(entities: Iterable[Entity], divisions: frozenset[str] | None) -> list[Entity]:
    """Those of some divisions; None: all."""
    return [entity for entity in entities if divisions is None or entity["division"]["id"] in divisions]


# What a parameter may ask of an entity


def has_id(entity: Entity, given: str) -> bool:
    """Its id is among those given, which are separated by commas."""
    return entity["id"] in given.split(",")


def in_division(entity: Entity, given: str) -> bool:
    """Its division is among those given."""
    return entity["division"]["id"] in given.split(",")


def named(entity: Entity, given: str) -> bool:
    """Its name is the given one, whatever the case; an asterisk at the beginning or the end stands for anything."""
    name, wanted = str(entity["name"]).lower(), given.lower()
    middle = wanted.strip("*")
    if wanted.startswith("*") and wanted.endswith("*"):
        return middle in name
    if wanted.startswith("*"):
        return name.endswith(middle)
    return name.startswith(middle) if wanted.endswith("*") else name == wanted


def has_in_name(entity: Entity, given: str) -> bool:
    """Its name contains the given term."""
    return given.lower() in str(entity["name"]).lower()


def nothing(_: Entity, __: str) -> bool:
    """No entity of the organisation has what is asked for."""
    return False


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    return default if query.get(name) is None else spelling.positive(query[name], name)
