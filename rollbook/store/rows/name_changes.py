"""Changes of names: what a listing, beside what is known, makes of the dated rows of each id. Pure.

It knows no SQL and no platform. A listing that is older than what a row has shown says nothing of that row, so that
the order in which listings are written does not matter. What a listing lacks is believed to be deleted when two whole
listings in a row lack it; a part of a list, an empty one and one that failed delete nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from rollbook.genesys.named import NameState

# The first name that is known of an id is its name for all time before.
ALWAYS: Final = "1970-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class NameRow:
    """A row of `names`, but for its kind. Times are API text. valid_to: None for the name now."""

    id: str
    name: str
    valid_from: str
    valid_to: str | None
    state: str
    seen_at: str
    division_id: str | None = None
    site_id: str | None = None
    missing_since: str | None = None

    @property
    def stands_in(self) -> bool:
        """Tell whether the name is only the id: a code that is a word, which no list has to show."""
        return self.name == self.id


@dataclass(frozen=True, slots=True)
class ListedName:
    """An entity as a listing shows it. modified_at: when it was last changed, where that is said."""

    id: str
    name: str
    state: str = NameState.ACTIVE
    division_id: str | None = None
    site_id: str | None = None
    modified_at: str | None = None


@dataclass(frozen=True, slots=True)
class NameListing:
    """A listing of one kind. at: when it was begun.

    whole: it was read to its end, and nothing of it was missing. divisions: those that the client can see; None where
    that is not known. deletes: whether what it lacks may have been deleted (False: the platform says itself what was).
    """

    at: str
    entities: Mapping[str, ListedName]
    whole: bool
    divisions: frozenset[str] | None = None
    deletes: bool = True
    _shown: frozenset[str | None] = field(init=False)

    def __post_init__(self) -> None:
        shown = frozenset(entity.division_id for entity in self.entities.values())
        object.__setattr__(self, "_shown", shown)

    def would_show(self, row: NameRow) -> bool:
        """Tell whether the listing would have what is known, if it still were there: the client sees its division."""
        if row.division_id is None:
            return True
        return row.division_id in (self._shown if self.divisions is None else self.divisions)


def changed_rows(current: Iterable[NameRow], listing: NameListing) -> list[NameRow]:
    """The rows to be written, in the place of those with the same id and valid_from.

    current: the last row of each id that the listing may be about.
    """
    known = {row.id: row for row in current}
    rows: list[NameRow] = []
    for identity, entity in listing.entities.items():
        row = known.get(identity)
        if row is None:
            rows.append(_first(entity, listing.at))
        elif listing.at > row.seen_at:
            rows += _shown(row, entity, listing.at)
    if listing.whole and listing.deletes and listing.entities:
        for identity, row in known.items():
            if identity not in listing.entities and listing.would_show(row):
                rows += _lacking(row, listing.at)
    return rows


def _first(entity: ListedName, at: str) -> NameRow:
    name = entity.name or entity.id
    return NameRow(entity.id, name, ALWAYS, None, entity.state, at, entity.division_id, entity.site_id)


def _shown(row: NameRow, entity: ListedName, at: str) -> list[NameRow]:
    """A row that a listing shows: as it was, or with what has changed since it was seen last."""
    now = replace(
        row,
        name=entity.name or row.name,
        state=entity.state,
        seen_at=at,
        division_id=entity.division_id or row.division_id,
        site_id=entity.site_id or row.site_id,
        missing_since=None,
    )
    if row.stands_in or (now.name, now.state, now.site_id) == (row.name, row.state, row.site_id):
        return [now]
    # The platform's own time of the last change is nearer to it than the time at which a listing shows it.
    modified = entity.modified_at
    return _since(row, now, modified if modified is not None and row.seen_at < modified <= at else at)


def _lacking(row: NameRow, at: str) -> list[NameRow]:
    """A row that a whole listing lacks: noted the first time, deleted the second."""
    if row.stands_in or row.state == NameState.DELETED or at <= max(row.seen_at, row.missing_since or ""):
        return []
    if row.missing_since is None:
        return [replace(row, missing_since=at)]
    gone = replace(row, state=NameState.DELETED, seen_at=at, missing_since=None)
    return _since(row, gone, row.missing_since)


def _since(row: NameRow, now: NameRow, when: str) -> list[NameRow]:
    """The row closed at a time, and another opened; what would have been valid for no time is written over."""
    if when <= row.valid_from:
        return [now]
    return [replace(row, valid_to=when, missing_since=None), replace(now, valid_from=when)]
