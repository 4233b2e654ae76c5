"""A person looked for in the whole store: which conversations, events, dead letters and users they are in.

Bodies are read a few at a time, so that nobody waits. What is found has its tombstone at once: from then on whoever
writes leaves people's data out of it, so that nothing comes back behind the search.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.named import NameKind
from rollbook.store.bodies import packing
from rollbook.store.book import Book
from rollbook.store.erasure import tombstones
from rollbook.store.erasure.person import Person, plain
from rollbook.store.file.errors import StoreDamaged

# Bodies looked at in one read.
BATCH: Final = 500
_LOWEST: Final = -(2**62)


@dataclass
class Found:
    """What was found. Of each thing: its id, and paths of values that no class of fields names. spellings: the values
    that name the person, as they are written, and unmistakable those of them that are a number or an address; they are
    kept for as long as the search and the erasure take.
    """

    conversations: dict[str, set[str]] = field(default_factory=dict)
    events: dict[str, set[str]] = field(default_factory=dict)
    dead_letters: dict[str, set[str]] = field(default_factory=dict)
    users: dict[str, set[str]] = field(default_factory=dict)
    spellings: set[str] = field(default_factory=set)
    unmistakable: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def numbers(self) -> dict[str, int]:
        """How much there is: the record of it has nobody's data."""
        return {
            "conversations": len(self.conversations),
            **{name: self.counts[name] for name in ("details", "versions", "attributes", "events")},
            "dead_letters": len(self.dead_letters),
            "users": len(self.users),
        }

    def __bool__(self) -> bool:
        return bool(self.conversations or self.events or self.dead_letters or self.users)


class _Bodies(NamedTuple):
    """A table with bodies. query: (key, conversation id, body) of the rows after a key, in order."""

    name: str
    table: str
    key: str
    query: str


_WITH_ID: Final = "LEFT JOIN conversation_ids i ON i.number = t.number"
PARTS: Final = (
    _Bodies(
        "details",
        "detail_rows",
        "number",
        f"SELECT t.number, conversation_id, details FROM detail_rows t {_WITH_ID} WHERE t.number > ? ORDER BY 1"
        " LIMIT ?",
    ),
    _Bodies(
        "versions",
        "version_rows",
        "rowid",
        f"SELECT t.rowid, conversation_id, details FROM version_rows t {_WITH_ID} WHERE t.rowid > ? ORDER BY 1 LIMIT ?",
    ),
    _Bodies(
        "events",
        "event_rows",
        "event_id",
        f"SELECT event_id, conversation_id, body FROM event_rows t {_WITH_ID} WHERE event_id > ? ORDER BY 1 LIMIT ?",
    ),
)
# Details that were written again while the search was under way.
_SINCE: Final = (
    "SELECT d.number, conversation_id, details FROM conversation_rows c JOIN conversation_ids i ON i.number = c.number"
    " JOIN detail_rows d ON d.number = c.number WHERE c.reconciled_at >= ?"
)
_ATTRIBUTES: Final = (
    "SELECT number, conversation_id, name, value FROM attribute_rows JOIN conversation_ids USING (number)"
    " WHERE number > ? AND number <= ? ORDER BY 1"
)
_LETTERS: Final = "SELECT dead_letter_id, payload, error FROM dead_letters WHERE dead_letter_id > ? ORDER BY 1 LIMIT ?"

Save = Callable[[Found], None]


def find(
    book: Book,
    person: Person,
    began: str,
    *,
    save: Save = lambda _: None,
    on_step: Callable[[str, float], None] = lambda *_: None,
) -> Found:
    """Everything that the person is in. began: API text of now. save: takes what was found so far, after each step."""
    found = Found()
    for identity in person.conversations:
        found.conversations[identity.strip().lower()] = set()
    for identity in person.users:
        found.users[identity.strip().lower()] = set()
    if person.names:
        for identity in book.read_now(_users_named, frozenset(map(plain, person.names))):
            found.users[identity.lower()] = set()
    if person.has_keys_of_content:
        for part in PARTS:
            last = book.read_now(_last, part.table, part.key)
            for share in _in_steps(book, part, person, found, last):
                save(found)
                on_step(part.name, share)
        _note(person, found, book.read_now(_changed_since, began), "details")
        for share in _attributes(book, person, found):
            save(found)
            on_step("attributes", share)
        _letters(book, person, found)
    found.unmistakable = set(filter(person.is_unmistakable, found.spellings))
    save(found)
    return found


def _users_named(connection: sqlite3.Connection, wanted: frozenset[str]) -> list[str]:
    rows = connection.execute("SELECT DISTINCT id, name FROM names WHERE kind = ?", (NameKind.USER,))
    return [identity for identity, name in rows if plain(name) in wanted]


def _last(connection: sqlite3.Connection, table: str, key: str) -> int:
    last: int = connection.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()[0]
    return last


def _in_steps(book: Book, part: _Bodies, person: Person, found: Found, last: int) -> Iterator[float]:
    """Look through a table; answers the share that is done."""
    for rows in in_batches(book, part):
        _note(person, found, rows, part.name)
        yield min(max(rows[-1][0], 0) / max(last, 1), 1.0)


def in_batches(book: Book, part: _Bodies) -> Iterator[list[tuple[int, str | None, str]]]:
    """The bodies of a table as (key, conversation id, text), a few at a time."""
    after = _LOWEST
    while rows := book.read_now(_bodies, part.query, after):
        after = rows[-1][0]
        yield rows


def _bodies(connection: sqlite3.Connection, query: str, *values: Any) -> list[tuple[int, str | None, str]]:
    rows = connection.execute(query, (*values, BATCH)).fetchall()
    return [(key, identity, _text(connection, body)) for key, identity, body in rows]


def _changed_since(connection: sqlite3.Connection, began: str) -> list[tuple[int, str | None, str]]:
    return [(key, identity, _text(connection, body)) for key, identity, body in connection.execute(_SINCE, (began,))]


def _text(connection: sqlite3.Connection, body: str | bytes) -> str:
    try:
        return packing.text(connection, body)
    except StoreDamaged:
        return ""  # nobody can read it, and `rollbook pack` says so


def _note(person: Person, found: Found, rows: list[tuple[int, str | None, str]], what: str) -> None:
    for key, identity, body in rows:
        values = person.spellings(body)
        if not values:
            continue
        found.spellings |= values
        found.counts[what] += 1
        paths = _left(person, body)
        if identity is not None:
            found.conversations.setdefault(identity, set()).update(paths)
        else:
            found.events.setdefault(str(key), set()).update(paths)


def _left(person: Person, body: str) -> set[str]:
    """The paths at which a body names the person though every personal field is taken out of it."""
    tree = decode(tombstones.redacted(body.encode(errors="surrogatepass"), None))
    return {path for place in person.places(tree) if (path := tombstones.path_text(place)) is not None}


def _attributes(book: Book, person: Person, found: Found) -> Iterator[float]:
    after, last = 0, book.read_now(_last, "attribute_rows", "number")
    while after < last:
        rows = book.read_now(lambda db, first: db.execute(_ATTRIBUTES, (first, first + BATCH)).fetchall(), after)
        for _, identity, name, value in rows:
            if value is not None and person.is_named_by(str(value), attribute=str(name)):
                found.conversations.setdefault(identity, set())
                found.spellings.add(str(value))
                found.counts["attributes"] += 1
        after += BATCH
        yield min(after / last, 1.0)


def _letters(book: Book, person: Person, found: Found) -> None:
    after = _LOWEST
    while rows := book.read_now(_named_in_letters, person, after):
        for number, values in rows:
            if values:
                found.spellings |= values
                found.dead_letters[str(number)] = set()
        after = rows[-1][0]


def _named_in_letters(connection: sqlite3.Connection, person: Person, after: int) -> list[tuple[int, set[str]]]:
    """What names the person in each of the next letters, of which one at a time is in memory: they may be large."""
    rows = connection.execute(_LETTERS, (after, BATCH))
    return [(number, person.spellings(str(payload)) | person.spellings(str(error))) for number, payload, error in rows]
