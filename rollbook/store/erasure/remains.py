"""What is left of an erasure where no row is: dictionaries, free pages, gaps between rows, and the log.

A row that is deleted leaves its bytes in the file until something is written over them. So the pages that nothing uses
are given back, the log is emptied, and then the files themselves are read through for what named the person. A store of
an earlier version was not overwritten as it went: it is written anew once, which needs it alone.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.packing import PackingConnection
from rollbook.store.erasure import erasures
from rollbook.store.erasure.finding import Found
from rollbook.store.file import checkpointer, connections, locks
from rollbook.store.file.copying import LOGS, Manner
from rollbook.store.file.errors import LockHeld, translate
from rollbook.store.file.transactions import transaction
from rollbook.store.tables import notes
from rollbook.store.upkeep.compacting import compact, write_anew

_COMMAND: Final = "rollbook forget"
_SECONDS: Final = 60.0
# What is shorter stands everywhere: in ids, in times.
_SHORTEST: Final = 5
_CHUNK: Final = 4_000_000
# For so long another process is asked to empty the log: a daemon commits every few seconds.
_ASKED: Final = 30.0
_PAUSE: Final = 0.2
_pause = time.sleep


@dataclass
class Remains:
    """What could not be overwritten, in sentences that say what to do; nothing where all is gone."""

    left: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.left)


def remove(
    store: Path, found: Found | None, at: str, how: Manner, *, journal: str, patience: float = _ASKED
) -> Remains:
    """Overwrite what is left of what was found. at: API text of now. patience: seconds.

    No connection of this process may have the store open. Raises StoreError, Interrupted.
    """
    store = store.resolve()
    remains = Remains()
    wanted = needles(found.unmistakable if found else ())
    try:
        _dictionaries(store, needles(found.spellings if found else ()), remains, journal)
        compact(store, how, command=_COMMAND)
        with closing(connections.connect(store, journal=journal, timeout=_SECONDS)) as db:
            is_overwritten = notes.read(db, notes.OVERWRITES) == "1"
        emptied = journal != "wal" or _empty_log(store, patience)
        if not is_overwritten or (emptied and _is_in_files(store, wanted)):
            _anew(store, how, remains, "what was deleted earlier was not overwritten in this file")
        elif not emptied:
            remains.left.append(
                "the write-ahead log could not be emptied: somebody reads an earlier state of the store"
            )
        if not remains and _is_in_files(store, wanted):
            remains.left.append(
                "the file still has what was to be erased, in a place that no field of people's data is"
            )
        if not remains:
            _note(store, at, journal)
            if journal == "wal":
                _empty_log(store, patience)
    except sqlite3.Error as error:
        raise translate(error, store) from None
    return remains


def _note(store: Path, at: str, journal: str) -> None:
    with closing(connections.connect(store, journal=journal, timeout=_SECONDS)) as db, transaction(db):
        erasures.overwritten(db, at)


def _anew(store: Path, how: Manner, remains: Remains, why: str) -> None:
    try:
        write_anew(store, how, command=_COMMAND)
    except LockHeld as error:
        remains.left.append(f"{why}, and it has to be written anew: {error}")


def _empty_log(store: Path, patience: float) -> bool:
    """Cut the log to nothing: by ourselves where nobody else checkpoints, else by whoever does."""
    lock = locks.lock_file(store)
    until = time.monotonic() + patience
    asked = False
    with closing(connections.connect(store, journal="wal", timeout=_SECONDS)) as db:
        while True:
            if lock.try_lock(locks.CHECKPOINTER, _COMMAND) is None:
                try:
                    if checkpointer.empty_log(db) and checkpointer.empty_log(db):
                        return True
                finally:
                    lock.unlock(locks.CHECKPOINTER)
            elif not asked:
                with transaction(db):
                    notes.write(db, notes.EMPTY_LOG, "1")
                asked = True
            elif notes.read(db, notes.EMPTY_LOG) is None:
                return True
            if time.monotonic() >= until:
                return False
            _pause(_PAUSE)


def needles(spellings: Collection[str]) -> list[bytes]:
    """The bytes that must occur nowhere: each value as text, and as JSON spells it where that is another."""
    found: set[bytes] = set()
    for text in spellings:
        if len(text) >= _SHORTEST:
            found |= {text.encode(errors="surrogatepass"), json.dumps(text)[1:-1].encode()}
    return sorted(found)


def _is_in_files(store: Path, wanted: list[bytes]) -> bool:
    return any(occurs(Path(f"{store}{suffix}"), wanted) for suffix in ("", *LOGS))


def occurs(path: Path, wanted: Collection[bytes]) -> bool:
    """Tell whether any of these bytes occurs in a file. No connection of this process may have it open: when it is
    closed here, the kernel drops their locks."""
    if not wanted or not path.exists():
        return False
    longest = max(map(len, wanted))
    return any(each in piece for piece in _pieces(path, longest) for each in wanted)


def _pieces(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        before = b""
        while piece := file.read(_CHUNK):
            piece = before + piece
            yield piece
            before = piece[-overlap:]


# Dictionaries of earlier versions were learnt from bodies as they came


def _dictionaries(store: Path, wanted: list[bytes], remains: Remains, journal: str) -> None:
    with closing(connections.connect(store, journal=journal, timeout=_SECONDS)) as db:
        if not _with_data(db, wanted):
            return
    try:
        with (
            locks.locked(
                locks.lock_file(store),
                locks.EVERYTHING,
                what=f"{store} has bodies that are packed with a part of what was erased, and",
                command=_COMMAND,
                wait=0.0,
                state="is in use by",
                remedy="stop it, then run `rollbook forget --resume`",
            ),
            closing(connections.connect(store, journal=journal, timeout=_SECONDS)) as db,
        ):
            for number in _with_data(db, wanted):
                _drop_dictionary(db, number)
    except LockHeld as error:
        remains.left.append(str(error))


def _with_data(db: sqlite3.Connection, wanted: list[bytes]) -> list[int]:
    rows = db.execute("SELECT dictionary_id, body FROM dictionaries").fetchall()
    return [number for number, body in rows if any(each in body for each in wanted)]


# The tables that have packed bodies: those of which dictionaries are learnt, and versions.
_BODIES: Final = (*dictionaries.BODIES.values(), ("version_rows", "rowid", "details"))
_ROWS: Final = 200


def _drop_dictionary(db: PackingConnection, number: int) -> None:
    """Unpack what is packed with a dictionary, then drop that; the next is learnt from bodies without people's data."""
    db.execute("PRAGMA secure_delete = ON")
    for table, key, column in _BODIES:
        after = -(2**62)
        while rows := db.execute(
            f"SELECT {key}, {column} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT ?", (after, _ROWS)
        ).fetchall():
            after = rows[-1][0]
            packed = [
                (at, body) for at, body in rows if isinstance(body, bytes) and frames.dictionary_of(body) == number
            ]
            with transaction(db):
                db.executemany(
                    f"UPDATE {table} SET {column} = ? WHERE {key} = ?",
                    [(packing.text(db, body), at) for at, body in packed],
                )
    with transaction(db):
        db.execute("DELETE FROM dictionaries WHERE dictionary_id = ?", (number,))
