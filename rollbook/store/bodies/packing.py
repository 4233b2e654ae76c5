"""Bodies as they are stored: TEXT is the API's JSON as it came, a BLOB is that as a zstd frame.

A frame names the dictionary that it was packed with, so rows of several dictionaries and plain ones stand beside each
other. A connection packs with a dictionary only when `use` says so, which is after the dictionary was committed: a row
must never name one that a rollback has taken back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal

from rollbook.genesys.privacy.policy import STRICT, Withheld
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.bodies import dictionaries, frames
from rollbook.store.bodies.dictionaries import Kind
from rollbook.store.file.errors import StoreDamaged

Mode = Literal["none", "events", "all"]
# What each setting of `[store] pack` packs.
KINDS: Final[Mapping[Mode, tuple[Kind, ...]]] = {"none": (), "events": ("events",), "all": ("events", "details")}


class PackingConnection(sqlite3.Connection):
    """A connection that remembers, for as long as it is open, what it packs and unpacks with, and what is still to do.

    packers: kind → what packs its bodies; a kind without one stays plain. used: kind → the dictionary of its packer.
    redactor: takes people's data out of what is heard before it is written; None where everything is kept.
    half_hours_due: the conversations whose half hours are made at the end of this transaction; None where they are made
    at once (`rollbook/store/rows/half_hours.py`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.packers: dict[Kind, frames.Packer] = {}
        self.used: dict[Kind, int] = {}
        self.unpackers: dict[int, frames.Unpacker] = {}
        self.redactor: Redactor | None = None
        self.half_hours_due: set[int] | None = None


def use(connection: PackingConnection, kind: Kind, dictionary: bytes, *, level: int = frames.QUICK) -> None:
    """Pack bodies of this kind with a dictionary that was committed."""
    connection.packers[kind] = frames.packer(dictionary, level)
    connection.used[kind] = frames.dictionary_id(dictionary)


def pack(connection: sqlite3.Connection, kind: Kind, raw: bytes) -> str | bytearray:
    """The value that is bound for a body: text, or a bytearray (sqlite3 binds that faster than bytes).

    Raises ValueError for a body that is no UTF-8.
    """
    if isinstance(connection, PackingConnection):
        packer = connection.packers.get(kind)
        if packer is not None and len(raw) <= frames.LARGEST:
            if not raw.isascii():
                raw.decode()  # for its error alone: what is packed is read as UTF-8, too
            frame = packer(raw)
            if len(frame) < len(raw):
                return bytearray(frame)
    return raw.decode()


def to_learn_from(bodies: Iterable[bytes]) -> list[bytes]:
    """The same bodies without people's data: a dictionary is kept for ever, and has parts of what it is learnt from."""
    strict = Redactor(STRICT)
    found = []
    for body in bodies:
        with suppress(Withheld):
            found.append(strict.body(body))
    return found


def redactor_of(connection: sqlite3.Connection) -> Redactor | None:
    """What takes people's data out of what this connection writes; None where everything is kept."""
    return connection.redactor if isinstance(connection, PackingConnection) else None


def text(connection: sqlite3.Connection, value: str | bytes) -> str:
    """The body that a stored value holds. Raises StoreDamaged, and StoreError where this Python has no zstd."""
    if isinstance(value, str):
        return value
    unpackers = connection.unpackers if isinstance(connection, PackingConnection) else {}
    return text_of_frame(connection, value, unpackers)


def text_of_frame(
    connection: sqlite3.Connection,
    frame: bytes,
    unpackers: dict[int, frames.Unpacker],
    content_of: Callable[[sqlite3.Connection, int], bytes | None] = dictionaries.body,
) -> str:
    """The body that a frame holds. unpackers: those that were made already; what is missing is added.

    content_of: finds the dictionary of a number.
    """
    number = frames.dictionary_of(frame)
    unpack = unpackers.get(number)
    if unpack is None:
        content = content_of(connection, number) if number else None
        if number and content is None:
            raise StoreDamaged(
                f"a body is packed with the dictionary {number}, which the table dictionaries does not have; the file"
                " is damaged: restore a copy"
            )
        unpack = unpackers[number] = frames.unpacker(content)
    try:
        return unpack(frame).decode()
    except UnicodeDecodeError:
        raise frames.damaged("it is no UTF-8") from None
