"""Bodies that are stored, brought in line with the setting: packed, or unpacked, in the background.

In steps of a transaction each, so that others write between them. What is done needs no note of it: a row says itself
how it is packed, so a run that was cut short is gone on with by running again, and a run over a store that is in line
changes nothing. A row that cannot be unpacked stays as it is.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rollbook.genesys.errors import StoreError
from rollbook.genesys.times import to_text
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.dictionaries import Dictionary, Kind
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreDamaged

# Rows looked at, and bytes of bodies rewritten, in one transaction: others wait that long.
BATCH: Final = 500
BATCH_BYTES: Final = 4_000_000
# zstd's longest header: enough to see which dictionary a frame has.
_HEADER: Final = 18


class BodyColumn(NamedTuple):
    """A table with bodies. key: its whole-numbered key; kind: whose dictionary packs them."""

    name: str
    kind: Kind
    table: str
    key: str
    column: str


PARTS: Final = (
    BodyColumn("events", "events", *dictionaries.BODIES["events"]),
    BodyColumn("details", "details", *dictionaries.BODIES["details"]),
    BodyColumn("versions", "details", "version_rows", "rowid", "details"),
)


@dataclass(slots=True)
class Counts:
    """The rows of a part: looked at, packed, unpacked, not readable; and the bytes of those that were changed."""

    rows: int = 0
    packed: int = 0
    unpacked: int = 0
    damaged: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def add(self, other: Counts) -> None:
        """Add what a step did."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class _With(NamedTuple):
    """What packs the bodies of a kind."""

    number: int
    packer: frames.Packer


def repack(
    book: Book,
    mode: packing.Mode,
    *,
    learn: bool = False,
    on_step: Callable[[str, float], None] = lambda *_: None,
    rest: Callable[[float], None] = time.sleep,
) -> dict[str, Counts]:
    """Bring every stored body in line with the setting; answers what was done to each part.

    learn: learn new dictionaries first, and pack anew what is packed with older ones. on_step: called with the name of
    a part and its share that is done. rest: waits as many seconds as a step took, so that others get their turn.
    """
    wanted = packing.KINDS[mode]
    if wanted and not frames.available():
        raise StoreError("this Python has no zstd to pack with; `pip install backports.zstd` brings it")
    with_: dict[Kind, _With | None] = {kind: _dictionary(book, kind, learn) for kind in wanted}
    done = {}
    for part in PARTS:
        to_pack = part.kind in wanted
        pack_with = with_.get(part.kind)
        counts = done[part.name] = Counts()
        if to_pack and pack_with is None:
            continue  # there is too little to learn from, and it stays plain
        last: int = book.write(_last, part).result()
        after: int | None = -(2**62)
        while after is not None:
            began = time.monotonic()
            after, step = book.write(_step, part, after, pack_with).result()
            counts.add(step)
            on_step(part.name, 1.0 if after is None or last <= 0 else min(max(after, 0) / last, 1.0))
            if step.packed or step.unpacked:
                rest(min(time.monotonic() - began, 1.0))
    return done


def _dictionary(book: Book, kind: Kind, learn: bool) -> _With | None:
    """The dictionary to pack a kind with, learnt from what is stored where there is none; None for too few bodies."""
    newest = book.write(dictionaries.newest, kind).result()
    if newest is None or learn:
        content = frames.learn(packing.to_learn_from(book.write(_sample, kind).result()))
        if content is not None:
            made = Dictionary(frames.dictionary_id(content), content)
            before = newest.dictionary_id if newest else None
            at = to_text(datetime.now(UTC))
            newest = book.write(dictionaries.keep, kind, made, at, before=before).result()
    if newest is None:
        return None
    return _With(newest.dictionary_id, frames.packer(newest.body, frames.SMALL))


def _sample(connection: sqlite3.Connection, kind: Kind) -> list[bytes]:
    return [packing.text(connection, value).encode() for value in dictionaries.sample(connection, kind)]


def _last(connection: sqlite3.Connection, part: BodyColumn) -> int:
    found: int = connection.execute(f"SELECT coalesce(max({part.key}), 0) FROM {part.table}").fetchone()[0]
    return found


def _step(
    connection: sqlite3.Connection, part: BodyColumn, after: int, pack_with: _With | None
) -> tuple[int | None, Counts]:
    """Bring the next rows in line; answers the key to go on after (None at the end), and what was done."""
    _, _, table, key, column = part
    look = (
        f"SELECT {key}, CASE typeof({column}) WHEN 'blob' THEN substr({column}, 1, {_HEADER}) END FROM {table}"
        f" WHERE {key} > ? ORDER BY {key} LIMIT ?"
    )
    counts = Counts()
    changed: list[tuple[str | bytearray, int]] = []
    number = after
    rows = connection.execute(look, (after, BATCH)).fetchall()
    for number, header in rows:
        counts.rows += 1
        try:
            if _is_in_line(header, pack_with):
                continue
            (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (number,)).fetchone()
            raw = packing.text(connection, value).encode()
        except StoreDamaged:
            counts.damaged += 1
            continue
        new = _packed(raw, pack_with)
        if isinstance(new, str) and isinstance(value, str):
            continue  # packing does not make it smaller
        changed.append((new, number))
        counts.bytes_before += len(raw) if isinstance(value, str) else len(value)
        counts.bytes_after += len(new) if isinstance(new, bytearray) else len(raw)
        counts.packed += isinstance(new, bytearray)
        counts.unpacked += isinstance(new, str)
        if counts.bytes_before + counts.bytes_after > BATCH_BYTES:
            break
    connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", changed)
    at_end = len(rows) < BATCH and (not rows or number == rows[-1][0])
    return (None if at_end else number), counts


def _is_in_line(header: bytes | None, pack_with: _With | None) -> bool:
    """Tell whether a row is as it should be. header: the beginning of a frame, None for a plain body."""
    if header is None:
        return pack_with is None
    return pack_with is not None and frames.dictionary_of(header) == pack_with.number


def _packed(raw: bytes, pack_with: _With | None) -> str | bytearray:
    if pack_with is not None and len(raw) <= frames.LARGEST:
        frame = pack_with.packer(raw)
        if len(frame) < len(raw):
            return bytearray(frame)
    return raw.decode()
