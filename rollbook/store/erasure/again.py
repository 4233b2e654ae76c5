"""Erasures done again in a store that comes from a backup: what was erased since it was made stays erased."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from rollbook.store.book import Book
from rollbook.store.erasure import erased_people, erasing, erasures, finding, remains, tombstones
from rollbook.store.erasure.erased_people import ErasedPeople
from rollbook.store.file.copying import LOGS, Manner
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.rows.statements import in_parts

_PATIENCE: Final = 2.0
_ERASURES: Final = f"SELECT {', '.join(erasures.Erasure._fields)} FROM erasures ORDER BY erasure_id"
_TOMBSTONES: Final = "SELECT kind, id, erasure_id, paths FROM tombstones"
_ADD: Final = (
    "INSERT INTO tombstones (kind, id, erasure_id, paths) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET erased_at = NULL, paths = excluded.paths"
)


def erase_again(there: Path, arrived: Path, at: str) -> int:
    """Erase in the file that has arrived what the store that is there has erased; answers how many conversations.

    Nobody else has either file open. Raises StoreError: then the restored store would bring people back.
    """
    record, stones = _of(there)
    if not stones:
        return 0
    try:
        with Book.open(arrived, mode="r+", command="rollbook restore", pack="none") as book:
            book.write(_take_over, record, stones).result()
            _find_people(book, there)
            done = erasing.erase(book, at, rest=lambda _: None)
        left = remains.remove(arrived, None, at, Manner(), journal="wal")
        if left:
            raise StoreUnwritable(f"what was erased could not be taken out of the backup: {left.left[0]}")
        with closing(sqlite3.connect(arrived, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
    finally:
        for suffix in (*LOGS, "-lock"):
            with suppress(FileNotFoundError):
                Path(f"{arrived}{suffix}").unlink()
    return done


def _find_people(book: Book, there: Path) -> None:
    """Give a tombstone to what is of an erased person and had none: it was not stored any more as they asked."""
    known = book.read_now(tombstones.people)
    key = erased_people.read_key(there)
    if not known or key is None:
        return
    asked_at = {digest: at for digest, _, at in known}
    newest = max(number for _, number, _ in known)
    for part in finding.PARTS:
        for rows in finding.in_batches(book, part):
            starts = book.read_now(_starts, {identity for _, identity, _ in rows if identity is not None})
            new: dict[str, set[str]] = {}
            for _, identity, body in rows:
                digests = erased_people.erased_before(asked_at, starts.get(identity or ""))
                people = ErasedPeople(key, digests)
                if identity is not None and digests and people.are_in(body):
                    clean = tombstones.redacted(body.encode(errors="surrogatepass"), None)
                    new.setdefault(identity, set()).update(tombstones.left_in(clean, people))
            if new:
                book.write(tombstones.add, "conversation", new, newest).result()


def _starts(connection: sqlite3.Connection, ids: set[str]) -> dict[str, str]:
    query = (
        "SELECT conversation_id, coalesce(conversation_start, first_seen_at)"
        " FROM conversation_rows JOIN conversation_ids USING (number) WHERE conversation_id IN "
    )
    return dict(in_parts(connection, query, ids))


def _of(there: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(The record, the tombstones) of a store; none of one that is damaged, or that has no such tables yet."""
    try:
        with closing(sqlite3.connect(there, timeout=_PATIENCE, isolation_level=None)) as db:
            return db.execute(_ERASURES).fetchall(), db.execute(_TOMBSTONES).fetchall()
    except sqlite3.DatabaseError:
        return [], []


def _take_over(connection: sqlite3.Connection, record: list[tuple[Any, ...]], stones: list[tuple[Any, ...]]) -> None:
    """Write the record and the tombstones of the other store; those that are in both are the same."""
    known = {tuple(row[:2]) for row in connection.execute(_ERASURES)}
    before: int = connection.execute("SELECT coalesce(max(erasure_id), 0) FROM erasures").fetchone()[0]
    new = [row for row in record if tuple(row[:2]) not in known]
    erasures.take_over(connection, new, before)
    numbers = {row[0]: row[0] + before for row in new}
    connection.executemany(
        _ADD, [(kind, identity, numbers.get(number, number), paths) for kind, identity, number, paths in stones]
    )
