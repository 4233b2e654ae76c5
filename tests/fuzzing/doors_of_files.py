"""Files that somebody may have altered: packed bodies and dictionaries, manifests, backups, whole stores."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program.inert import inert
from rollbook.store import life, status
from rollbook.store.bodies import frames
from rollbook.store.book import Book
from rollbook.store.commands import show
from rollbook.store.export.manifest import Manifest
from rollbook.store.file.copying import Manner
from rollbook.store.tables import dead_letters
from rollbook.store.upkeep.restoring import restore
from tests.fuzzing.doors import Door
from tests.fuzzing.doors import frames as socket_frames
from tests.fuzzing.judge import Output
from tests.fuzzing.mutations import altered
from tests.helpers.staged_store import NOW, WIDTH, staged

AT: Final = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
_ORGANIZATION: Final = ("0c9e6f3a-5d2b-4c1e-9a77-2f1b8e4d6a10", "Northwind Care")


@contextlib.contextmanager
def packed_door(folder: Path) -> Iterator[Door]:
    """Packed bodies, and the dictionaries that they are packed with."""
    del folder
    bodies = socket_frames() * 20
    learnt = frames.learn([body + str(at).encode() for at, body in enumerate(bodies)])
    assert learnt is not None
    pack, unpack = frames.packer(learnt, 3), frames.unpacker(learnt)
    examples = [pack(body) for body in bodies[:15]]

    def put(draw: random.Random) -> None:
        if draw.random() < 0.1:
            other = altered(learnt, draw, examples)
            frames.dictionary_id(other)
            frames.unpacker(other)(draw.choice(examples))
            return
        frame = altered(draw.choice(examples), draw, examples)
        if frames.is_frame(frame):
            frames.dictionary_of(frame)
        unpack(frame)

    yield Door("packed", put)


@contextlib.contextmanager
def manifest_door(folder: Path) -> Iterator[Door]:
    """The manifest of an export that is gone on with."""
    del folder
    made = Manifest(_ORGANIZATION)
    files = [
        {"path": f"calls/date=2026-03-0{day}/a.csv", "sha256": "0" * 64, "bytes": day, "rows": day} for day in (1, 2)
    ]
    made.take(files, {"date": "2026-03-01", "verdicts": {"complete": 48}})
    example = made.as_bytes()

    def put(draw: random.Random) -> None:
        found = Manifest.read(altered(example, draw, [example]), _ORGANIZATION, "lake/manifest.json")
        found.take(files, {"date": "2026-03-02"})
        found.as_bytes()

    yield Door("manifest", put)


def _shown(book: Book, identity: str) -> list[str]:
    found = book.read_now(life.collect, identity)
    return [] if found is None else list(show.lines(found))


@contextlib.contextmanager
def backup_door(folder: Path) -> Iterator[Door]:
    """A backup that was altered, put in the place of a store; and what commands say of an altered store."""
    place = folder / "backup"
    place.mkdir(mode=0o700)
    store, copy = place / "rollbook.db", place / "copy.db"
    staged(store, days=1, per_hour=1)
    whole = store.read_bytes()
    pages = [whole[at : at + 4_096] for at in range(0, len(whole), 4_096)]
    with Book.open(store, mode="ro") as book:
        identity = book.read_now(lambda db: db.execute("SELECT conversation_id FROM conversations").fetchone()[0])

    def put(draw: random.Random) -> Output:
        made = list(pages)
        if draw.random() < 0.15:
            raw = altered(whole, draw, [whole])
        else:
            for _ in range(draw.choice((1, 2, 5))):
                at = draw.choice((0, 0, draw.randrange(len(made))))
                made[at] = (altered(made[at], draw, pages) + bytes(4_096))[:4_096]
            raw = b"".join(made)
        for path in place.iterdir():
            path.unlink()
        store.write_bytes(whole)
        store.chmod(0o600)
        copy.write_bytes(raw)
        copy.chmod(0o600)
        said: list[str] = []
        with contextlib.suppress(RollbookError):
            restore(copy, store, at=AT, how=Manner())
        for path in place.iterdir():
            path.unlink()
        store.write_bytes(raw)
        store.chmod(0o600)
        with Book.open(store, mode="ro") as book:
            for read in (
                lambda: inert(str(book.read_now(status.report, store, NOW, width=WIDTH))),
                lambda: [inert(line) for line in _shown(book, identity)],
                lambda: inert(str(book.read_now(dead_letters.listed))),
            ):
                try:
                    found = read()
                except RollbookError as error:
                    found = inert(str(error))
                said += [found] if isinstance(found, str) else found
        return Output(said)

    yield Door("backup", put, share=2)
