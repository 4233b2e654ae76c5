"""Stores that earlier schemas have made, checked in as text, and what becomes of them."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rollbook.store.book import Book
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.rows.detail_columns import CHILD_TABLES, affinity, column_of
from rollbook.store.tables.schema import FIGURES, STEPS, VERSION
from tests.stores import DUMPS, load

VERSIONS = range(1, VERSION + 1)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def tables(path: Path) -> list[str]:
    """The names of the tables of a file, but for the one that sqlite-utils keeps."""
    found = query(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found if name != "_sqlite_migrations"]


def columns(path: Path, table: str) -> dict[str, str]:
    """The columns of a table with their types."""
    return {row[1]: row[2] for row in query(path, f"PRAGMA table_xinfo ({table})")}


def shape(path: Path) -> dict[str, Any]:
    """Every table's columns and indexes, and the text that made them, whatever its line breaks."""
    made: dict[str, Any] = {}
    for table in tables(path):
        made[table] = query(path, f"PRAGMA table_xinfo ({table})")
        for _, index, *properties in query(path, f"PRAGMA index_list ({table})"):
            made[index] = (properties, query(path, f"PRAGMA index_xinfo ({index})"))
    for kind, name, text in query(path, "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        made[f"{kind} {name}"] = re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.split()))
    return made


def rows_of(path: Path, names: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table or view, with these of its columns; not the note of a file that is written anew."""
    return {
        table: sorted(
            (
                row
                for row in query(path, "SELECT " + ", ".join(f'"{name}"' for name in listed) + f" FROM {table}")
                if row[0] != "overwrites"
            ),
            key=repr,
        )
        for table, listed in names.items()
    }


def read_names(path: Path) -> dict[str, list[str]]:
    """The tables and views that people read, with their columns: all but what an event is recognised by.

    That is made again when a store of an earlier schema is moved.
    """
    views = [name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'view'")]
    return {
        name: [column for column in columns(path, name) if column != "identity"] for name in [*tables(path), *views]
    }


def test_each_schema_has_a_store_that_it_made() -> None:
    """The stores are what keeps the steps as they are: a step that is changed makes other tables than they have."""
    assert {dump.name for dump in DUMPS.iterdir()} == {f"{version}.sql" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_earlier_store_becomes_the_same_as_a_new_one(version: int, tmp_path: Path) -> None:
    """Opened once, it has the tables, columns and indexes of a store that today's code makes, and every row it had."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    load(version, old)
    assert query(old, "PRAGMA user_version") == [(version,)]
    names = read_names(old)
    before = rows_of(old, names)
    assert all(before[table] for table in ("conversations", "segments", "events", "dead_letters", "windows", "gaps"))

    Book.open(old, organization=("o1", "Example")).close()
    Book.open(new).close()

    assert query(old, "PRAGMA user_version") == query(new, "PRAGMA user_version") == [(VERSION,)]
    assert shape(old) == shape(new)
    assert rows_of(old, names) == before
    applied = query(old, "SELECT name FROM _sqlite_migrations ORDER BY id")
    assert applied == [(name,) for name, _ in STEPS]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_earlier_store_knows_what_later_columns_say(version: int, tmp_path: Path) -> None:
    """Which details lack their end, how old attributes are, and what the client saw is worked out from what is there."""
    path = tmp_path / "rollbook.db"
    load(version, path)
    Book.open(path).close()
    open_details = "SELECT conversation_id FROM conversations WHERE details_open = 1 ORDER BY 1"
    assert query(path, open_details) == [("c2",), ("c6",)]
    aged = "SELECT conversation_id, attributes_at FROM conversations WHERE attributes_at IS NOT NULL"
    assert query(path, aged) == [("c5", "2026-03-02T10:45:00.000Z")]
    seen = "SELECT divisions_json FROM windows WHERE verdict = 'open'"
    assert query(path, seen) == [('["d1"]',)]


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_an_earlier_store_that_is_only_read_is_left_as_it_is(version: int, tmp_path: Path) -> None:
    """What only reads says in one line what brings it up to date."""
    path = tmp_path / "rollbook.db"
    load(version, path)
    before = path.read_bytes()
    with pytest.raises(StoreUnwritable, match=r"an earlier version of rollbook.*bring it up to date") as error:
        Book.open(path, mode="ro")
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_a_member_of_the_details_has_a_column_in_the_newest_schema(tmp_path: Path) -> None:
    """And no column is without its member: one that is added to `detail_columns.py` needs a step."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    for table, (rows, where, fields) in CHILD_TABLES.items():
        expected = dict.fromkeys(("id", *where), "INTEGER")
        expected |= {column_of(table, name): affinity(name) for name in fields} | (
            {"queue": "INTEGER"} if table == "segments" else {}
        )
        assert columns(path, rows) == expected, f"add a step below migrations/ for {table} (CONTRIBUTING.md)"
    for table in ("windows", "window_runs"):
        assert set(FIGURES) <= columns(path, table).keys()
