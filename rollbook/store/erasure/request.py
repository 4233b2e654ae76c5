"""A request for erasure, from the keys of a person to the last free page."""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import UsageError
from rollbook.genesys.named import NameKind
from rollbook.store import life
from rollbook.store.book import Book
from rollbook.store.erasure import erased_people, erasing, erasures, finding, tombstones
from rollbook.store.erasure.finding import Found
from rollbook.store.erasure.person import Person
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.tables import dead_letters

Progress = Callable[[str, float], None]
# Users of whose conversations an export lists the ids alone.
_CONVERSATIONS_OF: Final = (
    "SELECT DISTINCT conversation_id FROM participants WHERE lower(user_id) = ? ORDER BY conversation_id"
)


@dataclass
class Forgotten:
    """The result of a request. erased: conversations that were erased by it, those of an earlier request too."""

    found: Found
    erased: int = 0


def who() -> str:
    """The user of the operating system, for the record."""
    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return str(os.getuid())


def forget(
    book: Book,
    person: Person,
    at: str,
    *,
    by: str,
    ticket: str | None = None,
    export: Path | None = None,
    also: Callable[[Found], None] = lambda _: None,
    on_step: Progress = lambda *_: None,
) -> Forgotten:
    """Find a person and erase them; what is left where no row is, is `remains.remove`'s. at: API text of now.

    also: takes what was found before any of it is erased. Raises UsageError where the ticket names the person: it is
    kept.
    """
    if ticket is not None and person.spellings(ticket):
        raise UsageError("the ticket names the person, and it is kept; give its number alone")
    number = book.write(erasures.begin, at, by, ticket, person.criteria).result()
    if person.has_keys_of_content:
        digests = erased_people.digests_of(person, erased_people.make_key(book.path))
        book.write(tombstones.add_people, digests, number, at).result()

    def save(found: Found) -> None:
        book.write(_keep_tombstones, found, number).result()

    found = finding.find(book, person, at, save=save, on_step=on_step)
    if export is not None:
        write_export(book, found, export, at)
    also(found)
    book.write(erasures.note_found, number, found.numbers()).result()
    return Forgotten(found, erasing.erase(book, at, on_step=on_step))


def look(
    book: Book, person: Person, at: str, *, export: Path | None = None, on_step: Progress = lambda *_: None
) -> Found:
    """What there is of a person; writes nothing but the export."""
    found = finding.find(book, person, at, on_step=on_step)
    if export is not None:
        write_export(book, found, export, at)
    return found


def resume(book: Book, at: str, *, on_step: Progress = lambda *_: None) -> int:
    """Go on with what was cut short; answers how many conversations were erased."""
    return erasing.erase(book, at, on_step=on_step)


def _keep_tombstones(connection: sqlite3.Connection, found: Found, number: int) -> None:
    """Note what is new since the last step, and what has more paths now."""
    of_kind: dict[tombstones.Kind, dict[str, set[str]]] = {
        "conversation": found.conversations,
        "event": found.events,
        "dead_letter": found.dead_letters,
        "user": found.users,
    }
    for kind, there in of_kind.items():
        known = tombstones.mine(connection, kind, number)
        new = {
            identity: paths
            for identity, paths in there.items()
            if identity not in known or not paths <= set(json.loads(known[identity] or "[]"))
        }
        tombstones.add(connection, kind, new, number)


# The export of a person


def write_export(book: Book, found: Found, target: Path, at: str) -> None:
    """Write all that is stored of a person as one JSON object."""
    write_private(target, _export(book, found, at))


def must_be_no_folder(target: Path) -> None:
    """Raise UsageError for a folder, to which no file can be written."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; give the path of a file")


def write_private(target: Path, pieces: Iterable[str]) -> None:
    """Write a file that only its owner reads, whole or not at all. Raises StoreUnwritable, UsageError."""
    must_be_no_folder(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with suppress(FileNotFoundError):
            partial.unlink()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for piece in pieces:
                file.write(piece)
        partial.replace(target)
    except OSError as error:
        raise StoreUnwritable(f"{target}: cannot be written ({error.strerror}); name another file") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _export(book: Book, found: Found, at: str) -> Iterator[str]:
    yield f'{{"exported_at": {json.dumps(at)}, "conversations": ['
    yield from _members(conversations_of(book, found))
    yield '\n], "dead_letters": ['
    yield from _members(letters_of(book, found))
    yield '\n], "users": '
    yield json.dumps(book.read_now(users_of, found), ensure_ascii=False)
    yield "}\n"


def _members(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The members of a JSON array, a line each, none copied into a longer text."""
    comma = "\n"
    for each in objects:
        yield comma
        yield json.dumps(each, ensure_ascii=False)
        comma = ",\n"


def conversations_of(book: Book, found: Found) -> Iterator[dict[str, Any]]:
    """The conversations that a person is in, as `life.collect` has them."""
    for identity in sorted(found.conversations):
        stored = book.read_now(life.collect, identity)
        if stored is not None:
            yield stored


def letters_of(book: Book, found: Found) -> Iterator[dict[str, Any]]:
    """Dead letters that name the person, one at a time: they may have megabytes."""
    for number in found.dead_letters:
        letter = book.read_now(dead_letters.find, int(number))
        if letter is not None:
            yield letter._asdict()


def users_of(connection: sqlite3.Connection, found: Found) -> list[dict[str, Any]]:
    """The person as one of the organisation's own people, as far as that is stored."""
    users = []
    for identity in sorted(found.users):
        names = connection.execute(
            "SELECT id, name, valid_from, valid_to, state FROM names WHERE kind = ? AND lower(id) = ?",
            (NameKind.USER, identity),
        ).fetchall()
        listed = [row[0] for row in connection.execute(_CONVERSATIONS_OF, (identity,))]
        columns = ("id", "name", "valid_from", "valid_to", "state")
        users.append(
            {"id": identity, "names": [dict(zip(columns, row, strict=True)) for row in names], "conversations": listed}
        )
    return users
