"""Stores of earlier schemas as text: `python tests/stores.py` makes the dump of today's schema from the one before it."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from rollbook.genesys.canonical_json import canonical, decode, digest
from rollbook.store.book import Book
from rollbook.store.tables import schema
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


def as_schema_5(store: Path, path: Path) -> None:
    """Make a store of schema 5 that has the rows of `store`."""
    as_earlier_schema(5, store, path)


def as_earlier_schema(version: int, store: Path, path: Path) -> None:
    """Make a store of a schema up to 5 that has the rows of `store` (in which nothing is packed), as its code wrote them.

    Its events have the identities that they had then: a digest of the topic and the content.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 8192")
        schema.migrate(db, to=version)
        db.create_function("identity_then", 2, lambda topic, body: digest(topic.encode(), canonical(decode(body))))
        db.execute("ATTACH ? AS today", (str(store),))
        db.execute("BEGIN")
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlite_migrations'")
        for (table,) in tables.fetchall():
            names = [f'"{row[1]}"' for row in db.execute(f"PRAGMA main.table_info ({table})")]
            values = ", ".join(names).replace('"identity"', "identity_then(topic, body)")
            query = f"INSERT OR REPLACE INTO main.{table} ({', '.join(names)}) SELECT {values} FROM today.{table}"
            db.execute(f"{query} ORDER BY event_id" if table == "events" else query)
        db.execute("COMMIT")
        db.execute("DETACH today")
        db.execute("PRAGMA journal_mode = WAL")


def main() -> None:
    """Write the dump of today's schema: the store of the schema before it, opened with today's code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollbook.db"
        load(VERSION - 1, path)
        Book.open(path).close()
        (DUMPS / f"{VERSION}.sql").write_text("\n".join(dump(path)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
