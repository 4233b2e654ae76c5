"""Names for ids: what each was called when, which ids details name, and how each kind was listed last. SQL only.

What a listing changes is decided in `rollbook/store/rows/name_changes.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from rollbook.genesys.ids import is_word, may_be_asked_for
from rollbook.genesys.named import NameKind, NameState
from rollbook.store.erasure import tombstones
from rollbook.store.rows.name_changes import ALWAYS, NameListing, NameRow, changed_rows
from rollbook.store.rows.statements import in_parts

_ROW: Final = ", ".join(NameRow.__slots__)
_WRITE: Final = f"INSERT OR REPLACE INTO names (kind, {_ROW}) VALUES ({', '.join('?' * (1 + len(NameRow.__slots__)))})"
_MET: Final = "INSERT OR IGNORE INTO ids_met (kind, id) VALUES (?, ?)"
_ASKED_BY_THE_LIST: Final = (
    "UPDATE ids_met SET asked_at = ?1 WHERE kind = ?2 AND asked_at IS NULL"
    " AND id IN (SELECT id FROM unnamed_ids WHERE kind = ?2)"
)
_WORD: Final = (
    "INSERT OR IGNORE INTO names (kind, id, name, valid_from, state, seen_at) VALUES (?1, ?2, ?2, ?3, 'active', ?3)"
)


class Taken(NamedTuple):
    """The result of a listing for the names of its kind."""

    new: int = 0
    renamed: int = 0
    deleted: int = 0
    entities: int = 0


class ListingState(NamedTuple):
    """The last listing of a kind: when it was tried, when one came last, whether that was all, and what went wrong."""

    tried_at: str | None = None
    listed_at: str | None = None
    whole: bool = False
    entities: int = 0
    trouble: str | None = None
    permission: str | None = None


class Name(NamedTuple):
    """A name of an id, for those who read."""

    kind: str
    id: str
    name: str
    valid_from: str
    valid_to: str | None
    state: str
    seen_at: str
    division_id: str | None
    site_id: str | None


class WantedNames(NamedTuple):
    """The names that somebody wants. ids: none for all. at: of that time (API text). history: earlier ones too."""

    kinds: Sequence[str]
    ids: Sequence[str] = ()
    at: str | None = None
    history: bool = False


class KindState(NamedTuple):
    """The names of a kind: how many there are now, how many ids have none, and how it was listed last."""

    kind: str
    names: int
    unnamed: int
    tried_at: str | None
    listed_at: str | None
    whole: bool
    entities: int
    trouble: str | None
    permission: str | None


class Overview(NamedTuple):
    """Names that are wanted, ids that have none, and how each kind stands."""

    names: list[Name]
    unnamed_ids: list[tuple[str, str]]
    kinds: list[KindState]


def meet(connection: sqlite3.Connection, ids: Collection[tuple[str, str]]) -> None:
    """Note the ids that details name, by kind. A code that is a word gets its name at once: itself."""
    connection.executemany(_MET, ids)
    words = [identity for kind, identity in ids if kind == NameKind.WRAPUPCODE and is_word(identity)]
    connection.executemany(_WORD, [(NameKind.WRAPUPCODE, word, ALWAYS) for word in words])


def take(connection: sqlite3.Connection, kind: str, listing: NameListing) -> Taken:
    """Write what a listing of a whole kind changes, and note that there was one."""
    query = f"SELECT {_ROW} FROM names WHERE kind = ? AND valid_to IS NULL"
    taken = _write(connection, kind, listing, (NameRow(*row) for row in connection.execute(query, (kind,))))
    connection.execute(
        "INSERT OR REPLACE INTO name_listings (kind, tried_at, listed_at, whole, entities) VALUES (?1, ?2, ?2, ?3, ?4)",
        (kind, listing.at, listing.whole, len(listing.entities)),
    )
    if listing.whole:
        # What all of a list lacks, an answer by id lacks too.
        connection.execute(_ASKED_BY_THE_LIST, (listing.at, kind))
    return taken


def take_some(connection: sqlite3.Connection, kind: str, listing: NameListing, asked: Collection[str]) -> Taken:
    """Write what an answer about some ids changes; asked: those that it was asked for."""
    found = in_parts(
        connection,
        f"SELECT {_ROW} FROM names WHERE kind = ? AND valid_to IS NULL AND id IN ",
        listing.entities,
        kind,
    )
    taken = _write(connection, kind, listing, (NameRow(*row) for row in found))
    note_asked(connection, kind, asked, listing.at)
    return taken


def note_asked(connection: sqlite3.Connection, kind: str, ids: Iterable[str], at: str) -> None:
    """Note that these ids were asked for: what is not found is not asked for again and again."""
    connection.executemany(
        "UPDATE ids_met SET asked_at = ? WHERE kind = ? AND id = ?", [(at, kind, identity) for identity in ids]
    )


def _write(connection: sqlite3.Connection, kind: str, listing: NameListing, current: Iterable[NameRow]) -> Taken:
    known = {row.id: row for row in current}
    if kind == NameKind.USER and (erased := tombstones.users(connection)):
        listing = _nameless(listing, erased)
    rows = changed_rows(known.values(), listing)
    connection.executemany(_WRITE, [(kind, *(getattr(row, column) for column in NameRow.__slots__)) for row in rows])
    now = [row for row in rows if row.valid_to is None]
    gone = sum(row.state == NameState.DELETED and _state(known, row.id) != NameState.DELETED for row in now)
    renamed = sum(row.id in known and known[row.id].name != row.name for row in now)
    return Taken(sum(row.id not in known for row in now), renamed, gone, len(listing.entities))


def _nameless(listing: NameListing, users: Collection[str]) -> NameListing:
    """The listing without the names that were erased: these users are called by their ids."""
    entities = {
        identity: replace(entity, name="") if identity.lower() in users else entity
        for identity, entity in listing.entities.items()
    }
    return replace(listing, entities=entities)


def _state(known: Mapping[str, NameRow], identity: str) -> str | None:
    return known[identity].state if identity in known else None


def note_trouble(
    connection: sqlite3.Connection, kind: str, at: str, trouble: str, permission: str | None = None
) -> None:
    """Note that a kind could not be listed, and why; what was listed before stays."""
    connection.execute(
        "INSERT INTO name_listings (kind, tried_at, trouble, permission) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET tried_at = excluded.tried_at, trouble = excluded.trouble, permission = excluded.permission",
        (kind, at, trouble, permission),
    )


def listings(connection: sqlite3.Connection) -> dict[str, ListingState]:
    """The last listing of each kind that was ever tried."""
    query = "SELECT kind, tried_at, listed_at, whole, entities, trouble, permission FROM name_listings"
    return {
        kind: ListingState(tried, listed, bool(whole), entities or 0, trouble, permission)
        for kind, tried, listed, whole, entities, trouble, permission in connection.execute(query)
    }


def to_ask(connection: sqlite3.Connection, limit: int) -> dict[str, list[str]]:
    """Ids without a name that were never asked for, by kind, at most so many of each."""
    query = "SELECT kind, id FROM unnamed_ids WHERE asked_at IS NULL ORDER BY kind, id"
    found: dict[str, list[str]] = {}
    for kind, identity in connection.execute(query):
        ids = found.setdefault(kind, [])
        if len(ids) < limit and may_be_asked_for(identity):
            ids.append(identity)
    return {kind: ids for kind, ids in found.items() if ids}


def unnamed(connection: sqlite3.Connection) -> dict[str, int]:
    """Count the ids that details name and nobody has named, by kind; kinds that have none are left out."""
    return dict(connection.execute("SELECT kind, count(*) FROM unnamed_ids GROUP BY kind ORDER BY kind"))


def unnamed_ids(connection: sqlite3.Connection, kinds: Collection[str]) -> list[tuple[str, str]]:
    """(kind, id) of the ids without a name, of these kinds."""
    query = "SELECT kind, id FROM unnamed_ids WHERE kind IN "
    return sorted(in_parts(connection, query, kinds))


def counted(connection: sqlite3.Connection) -> dict[str, int]:
    """Count the names that there are now, by kind."""
    return dict(connection.execute("SELECT kind, count(*) FROM names_now GROUP BY kind"))


def named(connection: sqlite3.Connection, ids: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(kind, id) → its name now, of those that have one."""
    query = "SELECT name FROM names WHERE kind = ? AND id = ? AND valid_to IS NULL"
    found = {pair: connection.execute(query, pair).fetchone() for pair in ids}
    return {pair: row[0] for pair, row in found.items() if row is not None and row[0]}


def overview(connection: sqlite3.Connection, wanted: WantedNames) -> Overview:
    """Read the names that are wanted, by kind, name and time, and how their kinds stand."""
    counts, without, states = counted(connection), unnamed(connection), listings(connection)
    return Overview(
        list(_listed(connection, wanted)),
        [pair for pair in unnamed_ids(connection, wanted.kinds) if not wanted.ids or pair[1] in wanted.ids],
        [
            KindState(kind, counts.get(kind, 0), without.get(kind, 0), *states.get(kind, ListingState()))
            for kind in wanted.kinds
        ],
    )


def _listed(connection: sqlite3.Connection, wanted: WantedNames) -> Iterator[Name]:
    where, values = f"kind IN ({', '.join('?' * len(wanted.kinds))})", list(wanted.kinds)
    if wanted.ids:
        where += f" AND id IN ({', '.join('?' * len(wanted.ids))})"
        values += wanted.ids
    if wanted.at is not None:
        where += " AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"
        values += [wanted.at, wanted.at]
    elif not wanted.history:
        where += " AND valid_to IS NULL"
    query = f"SELECT {', '.join(Name._fields)} FROM names WHERE {where} ORDER BY kind, name, id, valid_from"
    return map(Name._make, connection.execute(query, values))
