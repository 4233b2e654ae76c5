"""The names in the store: the ids that details name, listings as they are written, and the joins that people make."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from rollbook.genesys.messages.details import DetailRow, row_of
from rollbook.genesys.named import NameKind
from rollbook.store.book import Book
from rollbook.store.erasure import tombstones
from rollbook.store.rebuild import rebuild
from rollbook.store.rows import half_hours
from rollbook.store.rows.name_changes import ALWAYS, ListedName, NameListing
from rollbook.store.tables import conversations, names, schema
from rollbook.store.tables.names import ListingState, Taken, WantedNames
from tests.helpers.organisation import at, record
from tests.helpers.peek import peek
from tests.store.test_name_changes import LISTINGS, Kept

QUEUE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
CODE = "33333333-3333-4333-8333-333333333333"
WORD = "ININ-WRAP-UP-TIMEOUT"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty store."""
    with Book.open(tmp_path / "rollbook.db") as opened:
        yield opened


def named(conversation_id: str = "c1", **more: Any) -> dict[str, Any]:
    """A record that names something of every kind that a record can name."""
    segments = [
        {"segmentStart": at(5), "segmentType": "interact", "queueId": QUEUE, "requestedRoutingUserIds": ["u2"]},
        {"segmentStart": at(9), "segmentType": "wrapup", "queueId": OTHER, "wrapUpCode": WORD},
        {
            "segmentStart": at(9),
            "segmentType": "wrapup",
            "wrapUpCode": CODE,
            "requestedLanguageId": "l1",
            "requestedRoutingSkillIds": ["s1", "s2"],
        },
    ]
    session = {
        "sessionId": "s",
        "mediaType": "voice",
        "edgeId": "e1",
        "selectedAgentId": "u1",
        "activeSkillIds": ["s3"],
        "flow": {"flowId": "f1"},
        "segments": segments,
    }
    agent = {"participantId": "p", "purpose": "agent", "userId": "u1", "teamId": "t1", "sessions": [session]}
    evaluations = [{"evaluationId": "v", "evaluatorId": "u3", "queueId": QUEUE}]
    return record(conversation_id, divisionIds=["d1", "d2"], participants=[agent], evaluations=evaluations) | more


MET = {
    ("queue", QUEUE),
    ("queue", OTHER),
    ("user", "u1"),
    ("user", "u2"),
    ("user", "u3"),
    ("wrapupcode", WORD),
    ("wrapupcode", CODE),
    ("division", "d1"),
    ("division", "d2"),
    ("flow", "f1"),
    ("skill", "s1"),
    ("skill", "s2"),
    ("skill", "s3"),
    ("language", "l1"),
    ("team", "t1"),
    ("edge", "e1"),
}


def write(book: Book, *records: dict[str, Any], minute: float = 60) -> None:
    """As a reading writes a page."""
    read = conversations.Read(at(minute), at(minute), at(minute), frozenset(), timedelta(minutes=10))
    rows: list[DetailRow] = [row_of(json.dumps(each).encode()) for each in records]
    book.write(
        conversations.write,
        rows,
        read,
        window=None,
        width=timedelta(minutes=30),
        cause=lambda *_: "not heard",
    ).result(10)


def all_of(book: Book, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return peek(book, lambda db: db.execute(query).fetchall())


def met(book: Book) -> set[tuple[Any, ...]]:
    """The ids that details name, by kind."""
    return set(all_of(book, "SELECT kind, id FROM ids_met"))


def listing(minute: float, *entities: ListedName, whole: bool = True) -> NameListing:
    """A listing so many minutes after ten."""
    return NameListing(at(minute), {entity.id: entity for entity in entities}, whole)


@pytest.mark.parametrize("odd", [False, True])
def test_the_ids_that_details_name_are_noted(odd: bool, book: Book) -> None:
    """Of every kind, once, whichever way a record goes; what is empty or no text is none."""
    more: dict[str, Any] = (
        {"participants": [*named()["participants"], {"userId": 5, "teamId": "", "purpose": ["?"]}]} if odd else {}
    )
    write(book, named(**more), named("c2", **more))
    assert met(book) == MET
    assert peek(book, names.unnamed) == {
        "division": 2,
        "edge": 1,
        "flow": 1,
        "language": 1,
        "queue": 2,
        "skill": 3,
        "team": 1,
        "user": 3,
        "wrapupcode": 1,
    }


def test_a_code_that_is_a_word_is_its_own_name(book: Book) -> None:
    """It is never unknown, and nobody is asked for it."""
    write(book, named())
    assert all_of(book, f"SELECT id, name, valid_from, valid_to FROM names WHERE id = '{WORD}'") == [
        (WORD, WORD, ALWAYS, None)
    ]
    assert peek(book, names.to_ask, 100)["wrapupcode"] == [CODE]


def test_ids_can_be_noted_again_from_what_is_kept(book: Book) -> None:
    """A rebuild finds those that are missing, and says that nothing else was."""
    write(book, named())
    book.write(lambda db: db.execute("DELETE FROM ids_met")).result(10)
    assert rebuild(book) == (1, 0)
    assert met(book) == MET


@pytest.mark.parametrize("odd", [False, True])
def test_a_store_from_before_there_were_names_knows_the_ids_that_it_has(
    odd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bringing it up to date finds every id that its rows name, and the codes that are words."""
    more: dict[str, Any] = {"divisionIds": ["d1", "d2", 7]} if odd else {}
    path = tmp_path / "old.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "STEPS", schema.STEPS[:6])
        before.setattr(schema, "VERSION", 6)
        before.setattr(names, "meet", lambda *_: None)
        before.setattr(half_hours, "make", lambda *_: None)
        before.setattr(half_hours, "delete", lambda *_: None)
        before.setattr(tombstones, "any_there", lambda _: False)
        with Book.open(path) as old:
            write(old, named(**more), record("c2", participants=[{"sessions": [{"activeSkillIds": "[?"}]}]))
    with Book.open(path) as new:
        assert met(new) == MET
        assert all_of(new, "SELECT id, name, valid_from, seen_at FROM names") == [(WORD, WORD, ALWAYS, ALWAYS)]
        assert rebuild(new) == (2, 0)
        assert met(new) == MET


def test_a_listing_is_written(book: Book) -> None:
    """What is new, renamed and deleted is counted, the kind is noted, and ids have their names."""
    write(book, named())
    first = listing(60, ListedName(QUEUE, "Sales"), ListedName(OTHER, "Service"))
    assert book.write(names.take, "queue", first).result(10) == Taken(2, 0, 0, 2)
    later = listing(120, ListedName(QUEUE, "Orders"))
    assert book.write(names.take, "queue", later).result(10) == Taken(0, 1, 0, 1)
    last = listing(180, ListedName(QUEUE, "Orders"))
    assert book.write(names.take, "queue", last).result(10) == Taken(0, 0, 1, 1)
    assert book.write(names.take, "queue", last).result(10) == Taken(0, 0, 0, 1)
    assert peek(book, names.listings)["queue"] == ListingState(at(180), at(180), True, 1)
    assert "queue" not in peek(book, names.unnamed)
    found = peek(book, names.overview, WantedNames(["queue"], history=True))
    assert [(name.name, name.valid_from, name.valid_to, name.state) for name in found.names] == [
        ("Orders", at(120), None, "active"),
        ("Sales", ALWAYS, at(120), "active"),
        ("Service", ALWAYS, at(120), "active"),
        ("Service", at(120), None, "deleted"),
    ]
    assert [name.name for name in peek(book, names.overview, WantedNames(["queue"], at=at(90))).names] == [
        "Sales",
        "Service",
    ]
    assert [name.name for name in peek(book, names.overview, WantedNames(["queue"], [QUEUE])).names] == ["Orders"]


def test_the_name_then_and_the_name_now_are_a_join_away(book: Book) -> None:
    """As the page says it: by kind and id, and for then by the time of the call."""
    write(book, named())
    book.write(names.take, "queue", listing(4, ListedName(QUEUE, "Sales"), ListedName(OTHER, "Other"))).result(10)
    book.write(names.take, "queue", listing(8, ListedName(QUEUE, "Orders"), ListedName(OTHER, "Others"))).result(10)
    query = """
        SELECT s.queue_id, t.name, n.name FROM segments s
        JOIN names t ON t.kind = 'queue' AND t.id = s.queue_id
            AND t.valid_from <= s.segment_start AND (t.valid_to IS NULL OR t.valid_to > s.segment_start)
        JOIN names_now n ON n.kind = 'queue' AND n.id = s.queue_id
        ORDER BY s.segment_start"""
    assert all_of(book, query) == [(QUEUE, "Sales", "Orders"), (OTHER, "Others", "Others")]


def test_an_answer_about_some_ids(book: Book) -> None:
    """It tells their names and deletes nothing; what it did not find is not asked for again."""
    book.write(names.take, "user", listing(30, ListedName("u9", "Somebody"))).result(10)
    write(book, named())
    for minute in (60, 70):
        some = listing(minute, ListedName("u1", "Ann"), whole=False)
        book.write(names.take_some, "user", some, ["u1", "u2"]).result(10)
    assert peek(book, names.to_ask, 100)["user"] == ["u3"]
    assert peek(book, names.unnamed)["user"] == 2
    assert peek(book, names.listings)["user"].listed_at == at(30)
    assert all_of(book, "SELECT name, state FROM names_now WHERE kind = 'user' ORDER BY 1") == [
        ("Ann", "active"),
        ("Somebody", "active"),
    ]


def test_what_a_whole_list_lacks_is_not_asked_for_by_id(book: Book) -> None:
    """An answer about it would lack it too; a part of a list says nothing of that."""
    write(book, named())
    book.write(names.take, "user", listing(30, ListedName("u1", "Ann"), whole=False)).result(10)
    assert peek(book, names.to_ask, 100)["user"] == ["u2", "u3"]
    book.write(names.take, "user", listing(60, ListedName("u1", "Ann"))).result(10)
    assert "user" not in peek(book, names.to_ask, 100)
    assert peek(book, names.unnamed)["user"] == 2
    write(book, named("c2", evaluations=[{"evaluationId": "v", "evaluatorId": "u4"}]))
    assert peek(book, names.to_ask, 100)["user"] == ["u4"]


def test_trouble_is_noted_beside_what_is_known(book: Book) -> None:
    """What was listed stays as it is, and the next listing ends the trouble."""
    book.write(names.take, "team", listing(1, ListedName("t1", "Red"))).result(10)
    book.write(names.note_trouble, "team", at(2), "missing", "groups:team:view").result(10)
    state = ListingState(at(1), at(1), True, 1)
    assert peek(book, names.listings)["team"] == state._replace(
        tried_at=at(2), trouble="missing", permission="groups:team:view"
    )
    assert all_of(book, "SELECT name FROM names_now") == [("Red",)]
    book.write(names.take, "team", replace(listing(3, ListedName("t1", "Red")), whole=False)).result(10)
    assert peek(book, names.listings)["team"] == ListingState(at(3), at(3), False, 1)


def test_not_more_are_asked_for_than_a_request_takes(book: Book) -> None:
    """And none that would spoil the others of its request."""
    users = [{"participantId": str(n), "userId": f"u{n:03}", "sessions": []} for n in range(150)]
    write(book, record("c1", participants=[*users, {"participantId": "x", "userId": "a,b"}]))
    asked = peek(book, names.to_ask, 100)["user"]
    assert asked == [f"u{n:03}" for n in range(100)]
    assert set(NameKind) >= peek(book, names.to_ask, 100).keys()


def test_a_join_finds_a_name_by_its_key(book: Book) -> None:
    """For each row one look-up, however many names there are."""
    query = """
        SELECT t.name, n.name FROM segments s
        LEFT JOIN names t ON t.kind = 'queue' AND t.id = s.queue_id
            AND t.valid_from <= s.segment_start AND (t.valid_to IS NULL OR t.valid_to > s.segment_start)
        LEFT JOIN names_now n ON n.kind = 'queue' AND n.id = s.queue_id
        WHERE s.segment_start >= '2026-03-02' AND s.segment_start < '2026-03-03'"""
    plan = [row[3] for row in all_of(book, f"EXPLAIN QUERY PLAN {query}")]
    found = [step for step in plan if re.search(r"\b(?:t|names|n)\b", step) and "PRIMARY KEY" in step]
    assert len([step for step in found if "kind=? AND id=?" in step]) == 2, plan


@given(LISTINGS)
def test_the_table_has_what_was_decided(listings: list[NameListing]) -> None:
    """Listing by listing the rows of the table are those of the decisions, in memory."""
    kept = Kept()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        for each in listings:
            kept.take(each)
            names.take(db, "queue", each)
            found = db.execute("SELECT * FROM names").fetchall()
            assert {row[1:] for row in found} == {astuple(row) for row in kept.rows.values()}
