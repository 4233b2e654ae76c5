"""The platform's own erasures are followed: what it has taken out of a record is not kept here either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollbook.store.book import Book
from tests.helpers.organisation import record
from tests.store.erasure.test_forget import read

ID = "7c1f0d6e-52f1-4c1b-9a6c-000000000001"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book."""
    with Book.open(tmp_path / "rollbook.db", pack="none") as opened:
        yield opened


def call(attributes: dict[str, str] | None = None, ani: str = "tel:+49301234567", **more: Any) -> dict[str, Any]:
    """A call of somebody."""
    made = record(ID, **more)
    made["participants"][0]["sessions"][0]["ani"] = ani
    if attributes is not None:
        made["participants"][0]["attributes"] = attributes
    return made


def versions(book: Book) -> list[Any]:
    """The details of the versions."""
    query = "SELECT details FROM conversation_versions ORDER BY read_at"
    return [json.loads(row[0]) for row in book.read_now(lambda db: db.execute(query).fetchall())]


def attributes(book: Book) -> list[Any]:
    """(name, value) of what is stored."""
    query = "SELECT name, value FROM participant_attributes ORDER BY name"
    return book.read_now(lambda db: db.execute(query).fetchall())


@pytest.mark.parametrize("ani", ["", "tel:+00000", "anonymous"])
def test_a_version_with_what_the_platform_has_erased_is_not_kept(book: Book, ani: str) -> None:
    """Its digest is, and where the two differ; an earlier version of it neither."""
    read(book, [call()], 40)
    read(book, [call(originatingDirection="outbound")], 42)
    assert versions(book) == [call()]
    read(book, [call(originatingDirection="outbound", ani=ani)], 44)
    found = versions(book)
    assert len(found) == 2
    assert all("1234567" not in json.dumps(version) for version in found)
    assert found[1]["notKept"]["changed"] == ["participants[0].sessions[0].ani"]
    assert len(found[1]["notKept"]["digest"]) == 32


def test_an_answer_without_attributes_has_erased_none(book: Book) -> None:
    """Only jobs have them: a query's record takes the place of a job's, which is kept as a version."""
    read(book, [call({"who": "Ada"})], 40)
    read(book, [call(originatingDirection="outbound")], 42)
    assert versions(book) == [call({"who": "Ada"})]
    assert attributes(book) == [("who", "Ada")]


def test_attributes_are_as_the_newest_answer_that_has_them_says(book: Book) -> None:
    """In the table and in details; an older answer says nothing, and one without the key neither."""
    read(book, [call({"who": "Ada", "no": "1"})], 40)
    assert read(book, [call({"no": "2"})], 42).content == {}
    assert attributes(book) == [("no", "2")]
    stored = "SELECT details FROM conversations"
    assert json.loads(book.read_now(lambda db: db.execute(stored).fetchone()[0])) == call({"no": "2"})
    read(book, [call({"who": "Ada"})], 41)
    read(book, [call()], 43)
    assert attributes(book) == [("no", "2")]
    read(book, [call({})], 44)
    assert attributes(book) == []
    assert b"Ada" not in str(book.read_now(lambda db: db.execute(stored).fetchone()[0])).encode()
