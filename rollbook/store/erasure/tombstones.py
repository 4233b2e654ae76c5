"""Tombstones: what stays erased, and what a later read or event of it loses before it is compared and written.

A tombstone names a conversation, a user, an event or a dead letter by its id, or a person by a keyed digest
(`erased_people.py`), and has nobody's data. Most stores have none: who writes asks for them once a transaction, and
goes on.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.privacy.policy import STRICT, Policy, Treatment, Withheld
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.erasure import erased_people
from rollbook.store.erasure.erased_people import ErasedPeople
from rollbook.store.rows.statements import in_parts

Kind = Literal["conversation", "user", "event", "dead_letter", "person"]
_PERSON: Final[Kind] = "person"

# What stands in the place of a payload that was erased.
FORGOTTEN: Final = "(erased on request)"
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ANY: Final = "SELECT 1 FROM tombstones LIMIT 1"
_OF: Final = "SELECT id, paths FROM tombstones WHERE kind = ? AND id IN "
_PEOPLE: Final = (
    "SELECT t.id, t.erasure_id, e.asked_at FROM tombstones t JOIN erasures e USING (erasure_id) WHERE t.kind = ?"
)
_ADD: Final = (
    "INSERT INTO tombstones (kind, id, erasure_id, paths) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET erased_at = NULL, erasure_id = excluded.erasure_id, paths = excluded.paths"
)


def path_text(path: tuple[str, ...]) -> str | None:
    """A path of names as `[privacy]` writes it, which names nobody: a name that is no plain word is a star.

    None where the first is none: then the value has no path.
    """
    for place, name in enumerate(path):
        if not _NAME.fullmatch(name):
            return f"{'.'.join(path[:place])}.*" if place else None
    return ".".join(path) or None


@lru_cache(maxsize=64)
def redactor(paths: str | None = None) -> Redactor:
    """What takes every personal field, and the fields beside them that a tombstone names (JSON)."""
    more = dict.fromkeys(json.loads(paths) if paths else (), Treatment.DROP)
    return Redactor(Policy(STRICT.classes, more))


def redacted(raw: bytes, paths: str | None, conversation_id: str | None = None) -> bytes:
    """A body without people's data; of what is no JSON, nothing but the id is left."""
    try:
        return redactor(paths).body(raw)
    except Withheld:
        return spelled({"conversationId": conversation_id} if conversation_id else {})


def without_users(raw: bytes, users: Collection[str]) -> bytes:
    """A body in which these users have no name, and their parts of the conversation nobody's data."""
    try:
        tree = decode(raw)
    except (ValueError, RecursionError):
        return raw
    changed = False
    waiting: list[tuple[Any, str]] = [(tree, "")]
    while waiting:
        node, name = waiting.pop()
        if isinstance(node, list):
            waiting += [(each, name) for each in node]
        elif isinstance(node, dict):
            if _is_of(node, users):
                before = spelled(node)
                _strip(node, name)
                changed = changed or spelled(node) != before
            else:
                waiting += [(value, key) for key, value in node.items() if isinstance(value, dict | list)]
    return spelled(tree) if changed else raw


def _is_of(node: Mapping[str, Any], users: Collection[str]) -> bool:
    user = node.get("user")
    ids = (node.get("userId"), node.get("id"), user.get("id") if isinstance(user, dict) else None)
    return any(isinstance(each, str) and each.lower() in users for each in ids)


def _strip(node: dict[str, Any], name: str) -> None:
    """Take people's data out of an object, in place. name: the field that it stands in, which paths ask for."""
    cleaned = decode(redactor().body(spelled({name or "user": node})))[name or "user"]
    node.clear()
    node.update(cleaned)
    for each in (node, node.get("user")):
        if isinstance(each, dict):
            each.pop("name", None)


# What writes asks


def any_there(connection: sqlite3.Connection) -> bool:
    """Tell whether anything was ever erased."""
    return connection.execute(_ANY).fetchone() is not None


def of(connection: sqlite3.Connection, kind: Kind, ids: Iterable[str]) -> dict[str, str | None]:
    """Those of these that have a tombstone, with its paths."""
    return dict(in_parts(connection, _OF, ids, kind))


def users(connection: sqlite3.Connection) -> frozenset[str]:
    """The users whose names were erased."""
    return frozenset(row[0] for row in connection.execute("SELECT id FROM tombstones WHERE kind = 'user'"))


def people(connection: sqlite3.Connection) -> list[tuple[str, int, str]]:
    """(digest, erasure, when it was asked for) of every person who was erased by what bodies say."""
    return connection.execute(_PEOPLE, (_PERSON,)).fetchall()


class Erased:
    """Whoever was erased, as a transaction asks: by the ids of what was stored then, and by the keys of the person."""

    def __init__(self, connection: sqlite3.Connection, conversation_ids: Iterable[str]) -> None:
        self._connection = connection
        self._found = of(connection, "conversation", conversation_ids)
        self._users = users(connection)
        self._met: dict[frozenset[str], ErasedPeople | None] = {}
        self._people = {digest: (number, asked_at) for digest, number, asked_at in people(connection)}

    def cleaned(self, raw: bytes, conversation_id: str | None, start: str | None) -> bytes:
        """A body as it may be written; the same object where nothing goes. start: when it began; None: not known.

        A conversation of which nothing was stored when its person was erased has its tombstone from now on.
        """
        people = self._people_before(start)
        is_known = conversation_id is not None and conversation_id in self._found
        if is_known or (people is not None and people.are_in(raw)):
            return self._redacted(raw, conversation_id, people)
        folded = raw.lower() if self._users else b""
        if any(each.encode() in folded for each in self._users):
            return without_users(raw, self._users)
        return raw

    def withholds(self, payload: str) -> bool:
        """Tell whether a payload that cannot be read, of a time that nobody knows, names one of the people."""
        people = self._people_before(None)
        return people is not None and people.are_in(payload)

    def _people_before(self, start: str | None) -> ErasedPeople | None:
        if not self._people:
            return None
        known = {digest: asked_at for digest, (_, asked_at) in self._people.items()}
        digests = erased_people.erased_before(known, start)
        if digests not in self._met:  # the key is read once a transaction
            self._met[digests] = erased_people.people_of(file_of(self._connection), digests) if digests else None
        return self._met[digests]

    def _redacted(self, raw: bytes, conversation_id: str | None, people: ErasedPeople | None) -> bytes:
        """The body without people's data, and without what names one of them in a field that no class has."""
        paths = self._found.get(conversation_id or "")
        clean = redacted(raw, paths, conversation_id)
        places = left_in(clean, people) if people is not None else set()
        is_new = conversation_id is not None and (conversation_id not in self._found or bool(places))
        if places:
            paths = json.dumps(sorted({*json.loads(paths or "[]"), *places}))
            clean = redacted(raw, paths, conversation_id)
        if conversation_id is not None and is_new:
            number = max(number for number, _ in self._people.values())
            # What came before, when nobody knew whose it is, is erased with what waits.
            self._connection.execute(_ADD, ("conversation", conversation_id, number, paths))
            self._found[conversation_id] = paths
        return clean


def left_in(clean: bytes, people: ErasedPeople) -> set[str]:
    """The paths at which a body names one of these people though every personal field is taken out of it."""
    try:
        tree = decode(clean)
    except (ValueError, RecursionError):
        return set()
    return {path for place in people.places(tree) if (path := path_text(place)) is not None}


def file_of(connection: sqlite3.Connection) -> Path:
    """The file of a store, beside which its key is."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])


def rows_without(connection: sqlite3.Connection, named: Mapping[str, DetailRow]) -> Mapping[str, DetailRow]:
    """Details by their conversation, as they are compared and written: erased ones without people's data."""
    if not any_there(connection):
        return named
    erased = Erased(connection, named)
    made = dict(named)
    for conversation_id, row in named.items():
        raw = erased.cleaned(row.raw, conversation_id, row.start)
        if raw is not row.raw:
            made[conversation_id] = row_of(raw)
    return made


def withholds(connection: sqlite3.Connection, payload: str) -> bool:
    """Tell whether a payload that cannot be read names what was erased."""
    if not any_there(connection):
        return False
    named = {found.lower() for found in _ID.findall(payload)}
    if of(connection, "conversation", named) or of(connection, "user", named):
        return True
    return Erased(connection, ()).withholds(payload)


# What an erasure writes


def mine(connection: sqlite3.Connection, kind: Kind, erasure_id: int) -> dict[str, str | None]:
    """What an erasure has found so far, with its paths."""
    query = "SELECT id, paths FROM tombstones WHERE kind = ? AND erasure_id = ?"
    return dict(connection.execute(query, (kind, erasure_id)).fetchall())


def add(connection: sqlite3.Connection, kind: Kind, found: Mapping[str, Iterable[str]], erasure_id: int) -> None:
    """Erase these from now on. found: id → the paths that are left out beside those of the strict policy."""
    known = of(connection, kind, found)
    for identity, paths in found.items():
        together = {*paths, *json.loads(known.get(identity) or "[]")}
        text = json.dumps(sorted(together)) if together else None
        connection.execute(_ADD, (kind, identity, erasure_id, text))


def add_people(connection: sqlite3.Connection, digests: Iterable[str], erasure_id: int, at: str) -> None:
    """Know a person by these digests from now on. Nothing is stored under them that would have to be erased."""
    query = (
        "INSERT INTO tombstones (kind, id, erasure_id, erased_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET erasure_id = excluded.erasure_id"
    )
    connection.executemany(query, [(_PERSON, digest, erasure_id, at) for digest in digests])


def waiting(connection: sqlite3.Connection, kind: Kind, limit: int = -1) -> list[tuple[str, str | None]]:
    """(id, paths) of what is still to be erased."""
    query = "SELECT id, paths FROM tombstones WHERE erased_at IS NULL AND kind = ? ORDER BY id LIMIT ?"
    return connection.execute(query, (kind, limit)).fetchall()


def any_waiting(connection: sqlite3.Connection) -> bool:
    """Tell whether anything is still to be erased of a conversation."""
    return bool(waiting(connection, "conversation", 1))


def erased(connection: sqlite3.Connection, kind: Kind, ids: Iterable[str], at: str) -> None:
    """Note that nothing of these is stored any more."""
    query = "UPDATE tombstones SET erased_at = ? WHERE kind = ? AND id = ?"
    connection.executemany(query, [(at, kind, identity) for identity in ids])
