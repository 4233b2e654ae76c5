"""A list of the platform's: what its pages look like, and where it ends. Pure.

It knows neither how a page is asked for nor what the entities are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from rollbook.genesys.api.answers import known, refuse_others
from rollbook.genesys.errors import Unavailable
from rollbook.genesys.lenient_json import count, objects, text
from rollbook.genesys.named import NameState
from rollbook.genesys.times import normalize

# A list that does not end is an error of the server's: nobody has 200,000 queues.
MOST_PAGES: Final = 2_000
# So many empty pages in a row are the end of a list that says nothing but its total.
MOST_EMPTY: Final = 5
_STATES: Final = frozenset(state.value for state in NameState)
_MEMBERS: Final = (
    "entities",
    "pageSize",
    "pageNumber",
    "pageCount",
    "total",
    "firstUri",
    "lastUri",
    "previousUri",
    "nextUri",
    "selfUri",
)


@dataclass(frozen=True, slots=True)
class Entity:
    """A queue, a user, a division or another thing with a name. modified_at: when it was last changed (API text)."""

    id: str
    name: str
    state: str = field(default=NameState.ACTIVE, compare=False)
    division_id: str | None = field(default=None, compare=False)
    site_id: str | None = field(default=None, compare=False)
    modified_at: str | None = field(default=None, compare=False)


class Entities(list[Entity]):
    """A list of the platform's, read to its end. complete: False where it counts more than it showed, twice."""

    complete: bool = True


def whole_list(body: bytes) -> list[dict[str, Any]] | None:
    """The objects of a list; None for `{}`."""
    answer = known(body, *_MEMBERS)
    if not answer:
        return None
    if not isinstance(answer.get("entities"), list):
        raise ValueError("it has no list of entities")
    if not answer["entities"]:
        refuse_others(body, frozenset(_MEMBERS))
    return objects(answer["entities"])


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list. count, total: of pages and entities, None where they are not given."""

    entities: list[Entity]
    nameless: int  # entities without an id
    count: int | None
    total: int | None
    more: bool  # there is an address of a next page
    after: str | None = None  # the cursor in that address, of a list that is read by cursors


def list_page(body: bytes, *, first: bool) -> ListPage:
    """A page of a list. Raises ValueError for what is none; `{}` may be a later page, and not the first one."""
    answer = known(body, *_MEMBERS)
    items = answer.get("entities")
    pages, total = count(answer.get("pageCount")), count(answer.get("total"))
    if items is None and not (total == 0 or (not answer and not first)):
        raise ValueError("it has no entities")
    if not isinstance(items, list | None):
        raise ValueError("its entities are no list")
    if not items:
        refuse_others(body, frozenset(_MEMBERS))
    entities = [entity for item in objects(items) if (entity := _entity(item)).id]
    following = text(answer.get("nextUri"))
    cursor = parse_qs(urlsplit(following).query).get("after", [""])[0] or None
    return ListPage(entities, len(items or ()) - len(entities), pages, total, bool(following), cursor)


def _entity(item: Mapping[str, Any]) -> Entity:
    state = text(item.get("state")).lower()
    if item.get("deleted") is True:
        state = NameState.DELETED
    return Entity(
        text(item.get("id")),
        text(item.get("name")),
        state if state in _STATES else NameState.ACTIVE,
        _id_of(item.get("division")),
        _id_of(item.get("site")),
        normalize(item.get("dateModified")),
    )


def _id_of(other: object) -> str | None:
    return text(other.get("id")) or None if isinstance(other, dict) else None


class Listing:
    """A list that is read page by page: what was found, and which page is next. It ends where the platform says so.

    That is the page that `pageCount` names, whatever lies before it: permissions can empty a page. Where nothing counts
    the pages, the last is one without the next one's address if others have had it; else an empty one, seen twice.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: dict[str, Entity] = {}
        self.begin()

    def begin(self) -> None:
        """Read it from its start; what was found stays."""
        self.next: int | None = 1
        self._count: int | None = None
        self._linked = False
        self._total: int | None = None
        self._nameless = 0
        self._empty_in_a_row = 0
        self._former: list[str] = []

    @property
    def fewer(self) -> bool:
        """Tell whether fewer were found than the platform counts."""
        return self._total is not None and len(self.found) + self._nameless < self._total

    def doubts(self, page: ListPage) -> bool:
        """Tell whether to ask for a page a second time: it is the former page again, or empty without a word."""
        silent = not page.entities and not page.nameless and page.total is None and page.count is None
        return silent or self._repeats(page)

    def _repeats(self, page: ListPage) -> bool:
        return bool(page.entities) and [entity.id for entity in page.entities] == self._former

    def take(self, page: ListPage) -> None:
        """A page was answered. Raises Unavailable for a list that does not end."""
        assert self.next is not None
        if self._repeats(page):
            self._refuse("shows the same page again and again")
        self.found |= {entity.id: entity for entity in page.entities}
        self._former = [entity.id for entity in page.entities]
        self._nameless += page.nameless
        self._total = self._total if page.total is None else page.total
        # The most that was said: one answer that says less would cut the list.
        self._count = max((pages for pages in (self._count, page.count) if pages is not None), default=None)
        self._linked = self._linked or page.more
        if self._ends(page, self.next):
            self.next = None
        elif self.next >= MOST_PAGES:
            self._refuse(f"does not end within {MOST_PAGES:,} pages")
        else:
            self.next += 1

    def _ends(self, page: ListPage, number: int) -> bool:
        if self._count is not None:
            return number >= self._count
        if self._linked:
            return not page.more
        if page.entities or page.nameless:
            self._empty_in_a_row = 0
            return False
        self._empty_in_a_row += 1
        # Where only a total is given, permissions may empty a page or two in the middle.
        return not self.fewer or self._empty_in_a_row >= MOST_EMPTY

    def _refuse(self, why: str) -> None:
        raise endless(self.path, why)


def endless(path: str, why: str) -> Unavailable:
    """The error of a list that does not end as lists do."""
    return Unavailable(
        f"the platform's list {why}; try again later", status=200, method="GET", path=path, narrower=False
    )
