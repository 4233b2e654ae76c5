"""Listing what has a name, kind by kind, into the store; and asking for the names of ids that nothing has named yet.

One request at a time, so that names never take the rate limit from what is captured and read beside them. What a
listing changes is decided in `rollbook/store/rows/name_changes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from reconcile.run.book_calls import committed
from rollbook.genesys.api.listing import Entities, Entity
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    NotAuthenticated,
    PermissionRefused,
    RequestRefused,
    SignInRefused,
)
from rollbook.genesys.named import LISTS, NameKind, NameList, NameState
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import names
from rollbook.store.tables.names import ListingState, Taken

# Ids in one request: the platform's most, and an address that gateways take.
_MANY: Final = 100
_Now = Callable[[], datetime]


class NamesApi(Protocol):
    """The part of the API that is used here."""

    async def names(self, of: NameList) -> Entities:
        """Everything of a kind."""

    async def names_by_id(self, of: NameList, ids: Sequence[str]) -> Entities:
        """Those of some ids that there are."""


class KindRead(NamedTuple):
    """A kind that was asked for: what its listing changed, or why there was none.

    permission: the one that the client lacks. whole: whether the listing was all there is.
    """

    kind: NameKind
    taken: Taken | None = None
    whole: bool = False
    trouble: str | None = None
    permission: str | None = None


async def refresh(
    book: Book, api: NamesApi, *, now: _Now, kinds: Collection[NameKind] = tuple(LISTS)
) -> list[KindRead]:
    """List these kinds and write what has changed. A kind's trouble is noted, and the next one is listed.

    Raises SignInRefused, NotAuthenticated; ConnectionLost where nothing could be listed; StoreError.
    """
    read: list[KindRead] = []
    divisions: frozenset[str] | None = None
    for kind, of in LISTS.items():
        if kind not in kinds:
            continue
        at = to_text(now())
        try:
            entities = await api.names(of)
        except (SignInRefused, NotAuthenticated):
            raise
        except (ApiError, ConnectionLost) as error:
            read.append(await _note(book, of, at, error))
            if isinstance(error, ConnectionLost):
                if len(read) == 1:
                    raise
                break
            continue
        if kind == NameKind.DIVISION and entities.complete:
            divisions = frozenset(entity.id for entity in entities if entity.state != NameState.DELETED)
        listing = _listing(of, at, entities, divisions)
        taken = await committed(book.write(names.take, kind, listing))
        read.append(KindRead(kind, taken, listing.whole))
    return read


async def ask(book: Book, api: NamesApi, *, now: _Now) -> list[KindRead]:
    """Ask for the names of ids that have none and were never asked for: at most a hundred of each kind.

    A kind whose permission is missing is left alone until a listing has shown that it is there. Ids that the platform
    refuses are not asked for again: the daily listing has what there is. Raises SignInRefused, NotAuthenticated,
    ConnectionLost, StoreError.
    """
    states = await book.read(names.listings)
    read: list[KindRead] = []
    for name, ids in (await book.read(names.to_ask, _MANY)).items():
        kind = NameKind(name)
        of = LISTS[kind]
        if states.get(kind, ListingState()).permission is not None:
            continue
        at = to_text(now())
        if not of.by_id:
            read += await refresh(book, api, now=now, kinds=[kind])
            await committed(book.write(names.note_asked, kind, ids, at))
            continue
        try:
            entities = await api.names_by_id(of, ids)
        except PermissionRefused as error:
            read.append(await _note(book, of, at, error))
            continue
        except (SignInRefused, NotAuthenticated):
            raise
        except ApiError as error:
            if isinstance(error, RequestRefused):
                await committed(book.write(names.note_asked, kind, ids, at))
            read.append(KindRead(kind, trouble=error.message))
            continue
        entities.complete = False  # an answer about some
        listing = _listing(of, at, entities, None)
        read.append(KindRead(kind, await committed(book.write(names.take_some, kind, listing, ids))))
    return read


async def _note(book: Book, of: NameList, at: str, error: ApiError | ConnectionLost) -> KindRead:
    trouble = error.message if isinstance(error, ApiError) else str(error)
    permission = of.permission or None if isinstance(error, PermissionRefused) else None
    await committed(book.write(names.note_trouble, of.kind, at, trouble, permission))
    return KindRead(of.kind, trouble=trouble, permission=permission)


def _listing(of: NameList, at: str, entities: Entities, divisions: frozenset[str] | None) -> NameListing:
    listed = {entity.id: _listed(entity) for entity in entities}
    return NameListing(at, listed, entities.complete, divisions, deletes=of.deleted is None)


def _listed(entity: Entity) -> ListedName:
    return ListedName(entity.id, entity.name, entity.state, entity.division_id, entity.site_id, entity.modified_at)
