"""The platform's own erasures are followed: what it has taken out of a record is not kept here either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.messages.details import row_of
from rollbook.store.book import Book
from rollbook.store.tables import windows
from rollbook.store.tables.conversations import Read
from tests.helpers.organisation import WINDOW, at, record
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


def late(book: Book, record: dict[str, Any], minute: float) -> None:
    """An answer that is as old as that, and comes when others have come that are newer."""
    when = Read(at(minute), at(60), at(60), frozenset(), timedelta(minutes=10))
    write, width = windows.write_details, timedelta(minutes=30)
    row = row_of(json.dumps(record).encode())
    book.write(write, [row], when, window=WINDOW, width=width, cause=lambda *_: "down").result()


def details(book: Book) -> Any:
    """The details that are stored."""
    return json.loads(book.read_now(lambda db: db.execute("SELECT details FROM conversations").fetchone()[0]))


def everything(book: Book) -> str:
    """All that is stored of it as text."""
    return json.dumps([versions(book), attributes(book), details(book)])


def noted(text: str | None, **more: Any) -> dict[str, Any]:
    """A call with a note, which may be absent (None)."""
    made = call(**more)
    if text is not None:
        made["participants"][0]["sessions"][0]["segments"][0]["wrapUpNote"] = text
    return made


@pytest.mark.parametrize("blank", ["", None, "removed", "hmac:9f86d081884c7d659a2feaa0c55ad015", 0, False, [], {}])
def test_however_it_is_blanked_no_version_has_it(book: Book, blank: Any) -> None:
    """By an empty text, null, another kind of value, a hash, or without its name."""
    read(book, [call()], 40)
    after = call(originatingDirection="outbound")
    session = after["participants"][0]["sessions"][0]
    if blank == "removed":
        del session["ani"]
    else:
        session["ani"] = blank
    read(book, [after], 42)
    assert "1234567" not in everything(book)


def test_an_older_answer_brings_nothing_back(book: Book) -> None:
    """Whichever way the answers come: details, versions and attributes are as the newest one says."""
    read(book, [call({"who": "Ada"})], 40)
    read(book, [call({}, ani="")], 50)
    for minute in (41, 45, 49):
        late(book, call({"who": "Ada"}), minute)
        late(book, call({"who": "Ada"}, originatingDirection="outbound"), minute)
    assert ("Ada" in everything(book), "1234567" in everything(book)) == (False, False)


def test_an_older_job_does_not_bring_back_attributes_that_a_newer_one_has_taken(book: Book) -> None:
    """Nothing else has changed in between, so that the details were read first long before."""
    read(book, [call({"who": "Ada"})], 40)
    read(book, [call({})], 50)
    late(book, call({"who": "Ada"}), 45)
    late(book, call({"who": "Ada"}, originatingDirection="outbound"), 46)
    assert "Ada" not in everything(book)
    assert details(book) == call({})


def test_attributes_that_were_taken_go_from_earlier_versions_too(book: Book) -> None:
    """The version is of a job, its successor of a query, which says nothing of them; the next job has none."""
    read(book, [call({"who": "Ada"})], 40)
    read(book, [call(originatingDirection="outbound")], 42)
    assert versions(book) == [call({"who": "Ada"})]
    read(book, [call({}, originatingDirection="outbound")], 44)
    assert "Ada" not in everything(book)
    assert versions(book)[0]["notKept"]["changed"]


@pytest.mark.parametrize("taken", [{}, None])
def test_attributes_that_are_null_are_none(book: Book, taken: Any) -> None:
    """Null is the same word as an empty object."""
    read(book, [call({"who": "Ada"})], 40)
    after = call({})
    after["participants"][0]["attributes"] = taken
    read(book, [after], 42)
    assert (attributes(book), "Ada" in everything(book)) == ([], False)


def test_a_participant_that_is_gone_has_no_attributes(book: Book) -> None:
    """The newest answer with attributes has another participant; one of a query says nothing."""
    read(book, [call({"who": "Ada"})], 40)
    other = call({"desk": "4"})
    other["participants"][0]["participantId"] = "another"
    read(book, [other], 42)
    assert attributes(book) == [("desk", "4")]
    last = call()
    last["participants"][0]["participantId"] = "third"
    read(book, [last], 44)
    assert attributes(book) == [("desk", "4")]


def test_a_version_is_judged_while_the_conversation_goes_on_again(book: Book) -> None:
    """It had ended, was kept as a version, goes on, and is blanked before it has an end again."""
    read(book, [noted("Ada called")], 40)
    read(book, [noted("Ada called", end=None)], 42)
    assert "Ada" in json.dumps(versions(book))
    read(book, [noted(None, end=None)], 44)
    assert "Ada" not in everything(book)


def test_each_version_is_judged_by_itself(book: Book) -> None:
    """One that had nothing of anybody yet is kept, and each of the others has its own digest."""
    read(book, [noted(None, ani="")], 40)
    read(book, [noted(None)], 42)
    read(book, [noted("Ada called")], 44)
    read(book, [noted(None, ani="")], 46)
    first, second, third = versions(book)
    assert first == noted(None, ani="")
    assert second["notKept"]["digest"] != third["notKept"]["digest"]
    assert third["notKept"]["changed"]


def test_lists_in_another_order_have_lost_nothing(book: Book) -> None:
    """Participants and sessions that change places are no erasure, and a value that moves to another list neither."""
    first = call()
    other = json.loads(json.dumps(first["participants"][0])) | {"participantId": "p2"}
    other["sessions"][0]["ani"] = "tel:+4940999"
    first["participants"].append(other)
    read(book, [first], 40)
    read(book, [{**first, "participants": first["participants"][::-1]}], 42)
    assert versions(book) == [first]


def test_a_value_that_others_have_too_is_still_taken(book: Book) -> None:
    """The customer's name is a word that the record has elsewhere, where it says nothing of anybody."""
    before, after = call(), call()
    before["participants"][0]["participantName"] = "inbound"
    read(book, [before], 40)
    read(book, [after], 42)
    assert "notKept" in versions(book)[0]


def test_the_changed_paths_name_nobody(book: Book) -> None:
    """A member may be named by somebody's number: the path ends before it."""
    before, after = call({"+4930 555": "x", "who": "y"}), call({})
    read(book, [before], 40)
    read(book, [{**after, "originatingDirection": "outbound"}], 42)
    [found] = versions(book)
    assert "555" not in json.dumps(found)
    assert "participants[0].attributes.*" in found["notKept"]["changed"]


def test_what_cannot_be_read_is_not_kept_beside_its_successor(book: Book) -> None:
    """Nobody can say whose data its bytes have."""
    read(book, [call()], 40)
    odd = json.dumps(call()).replace('"conversationEnd"', '"notes": "{\\"name\\": Ada", "conversationEnd"')
    book.write(lambda db: db.execute("UPDATE detail_rows SET details = ?", (odd[:-1],))).result()
    read(book, [call(originatingDirection="outbound")], 42)
    assert "Ada" not in everything(book)
