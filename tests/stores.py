"""Stores of earlier schemas as text: `python tests/stores.py` makes the dump of today's schema from the one before it."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from rollbook.store.book import Book
from rollbook.store.tables.schema import VERSION

DUMPS = Path(__file__).parent / "data" / "stores"
# SQLite's own dump leaves these out.
PRAGMAS = ("application_id", "user_version")


def dump(path: Path) -> Iterator[str]:
    """The statements that make the store again."""
    with closing(sqlite3.connect(path)) as db:
        for name in PRAGMAS:
            yield f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};"
        yield from db.iterdump()


def load(version: int, path: Path) -> None:
    """Make the store as the code of that schema version had written it."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript((DUMPS / f"{version}.sql").read_text(encoding="utf-8"))


def main() -> None:
    """Write the dump of today's schema: the store of the schema before it, opened with today's code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollbook.db"
        load(VERSION - 1, path)
        Book.open(path).close()
        (DUMPS / f"{VERSION}.sql").write_text("\n".join(dump(path)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
