"""Retention: what is older goes, proofs stay, and nothing of it comes back when the platform is read again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon.retention_keeper import RetentionKeeper
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.messages.details import row_of
from rollbook.genesys.privacy.personal_fields import FieldClass
from rollbook.genesys.privacy.policy import parse
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.program.settings import load
from rollbook.store.book import Book
from rollbook.store.erasure import retention, stricter
from rollbook.store.erasure.retention import KeepingTimes
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import conversations, dead_letters, events, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.vocabulary import SetAside
from tests.helpers.organisation import NOW, WINDOW, at
from tests.store.erasure.test_forget import CANARY, IDS, LAG, NUMBER, event, fill, personal, read

LATER = NOW + timedelta(days=90)
DAYS = timedelta(days=30)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Eight conversations of one hour."""
    with Book.open(tmp_path / "rollbook.db", pack="none") as opened:
        fill(opened)
        yield opened


def retain(book: Book, now: Any = LATER, **limits: timedelta) -> dict[str, int]:
    """Retain as these limits say."""
    return retention.retain(book, KeepingTimes(**limits), now, rest=lambda _: None)


def rows(book: Book, text: str) -> list[Any]:
    """The rows of a query."""
    return book.read_now(lambda db: db.execute(text).fetchall())


def test_details_go_and_the_ledger_stays(book: Book) -> None:
    """Details, child rows, versions, attributes go; the conversation's row with its times and MOS, and gaps, stay."""
    ledger = (
        "SELECT * FROM conversation_rows",
        "SELECT * FROM gaps",
        "SELECT * FROM windows",
        "SELECT * FROM window_runs",
    )
    before = [rows(book, text) for text in ledger]
    assert retention.would_go(book, KeepingTimes(details=DAYS), LATER) == {"details": 8}
    assert retain(book, details=DAYS) == {"details": 8}
    assert [rows(book, text) for text in ledger] == before
    for table in ("detail_rows", "participants", "segments", "metrics", "version_rows", "attribute_rows"):
        assert rows(book, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(book, "SELECT count(*) FROM events") == [(8,)]
    assert retain(book, details=DAYS) == {"details": 0}
    start, end = WINDOW.texts
    assert book.read_now(conversations.reconciled_ids, start, end) == IDS
    assert rebuild(book) == (8, 0)


def test_what_was_deleted_is_not_written_again(book: Book) -> None:
    """A later read of the window is unchanged, writes nothing, files no gap and takes no proof away."""
    retain(book, details=DAYS)
    gaps = rows(book, "SELECT * FROM gaps")
    again = [personal(each, NUMBER, CANARY) | {"originatingDirection": "outbound"} for each in range(8)]
    outcome = read(book, again, 58)
    assert set(outcome.classes.values()) == {"unchanged"}
    assert (outcome.content, outcome.drifted, outcome.gaps, outcome.first_read) == ({}, 0, {}, ())
    assert rows(book, "SELECT count(*) FROM detail_rows") == rows(book, "SELECT count(*) FROM attribute_rows") == [(0,)]
    assert rows(book, "SELECT * FROM gaps") == gaps


def test_each_part_goes_by_its_own_age(book: Book) -> None:
    """What is younger stays, and so does a conversation that goes on."""
    young = {part: timedelta(days=91) for part in KeepingTimes._fields}
    assert set(retain(book, **young).values()) == {0}
    going_on = {**personal(0, NUMBER, CANARY), "conversationId": IDS[0].replace("7c1f", "8c1f")}
    del going_on["conversationEnd"]
    read(book, [going_on], 46)
    old = {part: DAYS for part in KeepingTimes._fields if part != "attributes"}
    assert book.read_now(dead_letters.totals).number == 2
    assert retain(book, **old) == {"details": 8, "events": 8, "versions": 0, "dead_letters": 2, "gone": 0}
    assert book.read_now(dead_letters.totals)[:2] == (0, 0)
    assert rows(book, "SELECT count(*) FROM detail_rows") == [(1,)]


def test_attributes_go_from_details_too_and_stay_away(book: Book) -> None:
    """The content is the same without them; a job that brings them again brings none back."""
    assert retain(book, attributes=DAYS) == {"attributes": 24}
    assert b"Ada's desk" not in json.dumps(rows(book, "SELECT details FROM detail_rows")).encode()
    outcome = read(book, [personal(5, NUMBER, CANARY)], 58)
    assert set(outcome.classes.values()) == {"unchanged"}
    assert rows(book, "SELECT count(*) FROM participant_attributes") == [(0,)]


def test_what_the_platform_has_forgotten_loses_people_here_after_a_time(book: Book) -> None:
    """Its figures stay; once is enough."""
    book.write(conversations.mark, [IDS[5]], SetAside.GONE).result()
    assert retain(book, NOW + timedelta(days=29), gone=DAYS) == {"gone": 0}
    assert retain(book, gone=DAYS) == {"gone": 1}
    ((details,),) = rows(book, f"SELECT details FROM conversations WHERE conversation_id = '{IDS[5]}'")
    assert CANARY not in details
    assert "tTalkComplete" in details
    assert CANARY in str(rows(book, f"SELECT details FROM conversations WHERE conversation_id = '{IDS[2]}'"))
    assert retain(book, gone=DAYS) == {"gone": 0}


async def test_the_daemon_does_it_once_a_day(tmp_path: Path) -> None:
    """In the book that it has open; pages are given back."""
    now = [LATER]
    with Book.open(tmp_path / "rollbook.db", pack="none") as book:
        fill(book)
        keeper = RetentionKeeper(book, KeepingTimes(details=DAYS, events=DAYS), now=lambda: now[0])
        await keeper.look()
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM detail_rows").fetchone()) == (0,)
        assert await book.read(lambda db: db.execute("PRAGMA freelist_count").fetchone()) == (0,)
        book.write(events.record, [event(0, NUMBER, CANARY)], LAG).result()
        await keeper.look()
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM event_rows").fetchone()) == (1,)
        now[0] += timedelta(days=1)
        await keeper.look()
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM event_rows").fetchone()) == (0,)


def test_the_settings_are_durations(tmp_path: Path) -> None:
    """Everything is kept unless they say otherwise, but for people's data of what is gone."""
    assert KeepingTimes.of(load(env={}, cwd=tmp_path)) == KeepingTimes(gone=DAYS)
    (tmp_path / "rollbook.toml").write_text('[retention]\ndetails = "P400D"\nevents = "P90D"\ngone = "kept"\n')
    found = KeepingTimes.of(load(env={}, cwd=tmp_path))
    assert found == KeepingTimes(details=timedelta(days=400), events=timedelta(days=90))
    (tmp_path / "rollbook.toml").write_text('[retention]\ndetails = "PT1H"\n')
    with pytest.raises(SettingsError, match="P1D or more"):
        load(env={}, cwd=tmp_path)


STRICTER = dict.fromkeys(FieldClass, "drop") | {
    "phone_numbers": "hash",
    "attributes": "shorten",
    "notYetKnown.*": "drop",
    "from": "drop",
}


def test_a_stricter_policy_is_applied_to_what_is_there_once(book: Book) -> None:
    """Resumed where it was cut short; later reads by that policy find nothing changed, and twice hashed is once."""
    redactor = Redactor(parse(STRICTER), b"a key that is long enough")
    stopped = iter([False, True])
    assert not book.read_now(stricter.is_needed, parse("keep"))
    stricter.sweep(book, redactor, rest=lambda _: None, stopped=lambda: next(stopped))
    assert stricter.sweep(book, redactor, rest=lambda _: None) in (0, 8)
    assert not book.read_now(stricter.is_needed, redactor.policy)
    tables = ("sessions", "events", "participant_attributes", "names")
    stored = str([rows(book, f"SELECT * FROM {table}") for table in tables])
    stored += str(rows(book, "SELECT details FROM conversations"))
    assert [text for text in (NUMBER, CANARY, "Ada Agent") if text in stored] == []
    again = [
        row_of(redactor.body(json.dumps(personal(each, f"+4940900{each:04d}", f"Other {each}")).encode()))
        for each in (1, 3)
    ]
    when = Read(at(58), at(58), at(58), frozenset(), LAG)
    width = timedelta(minutes=30)
    write = windows.write_details
    outcome = book.write(write, again, when, window=WINDOW, width=width, cause=lambda *_: "down").result()
    assert outcome.content == {}
    before = rows(book, "SELECT details FROM conversations")
    book.write(stricter.note, parse("keep")).result()
    stricter.sweep(book, redactor, rest=lambda _: None)
    assert rows(book, "SELECT details FROM conversations") == before


def test_a_stricter_policy_takes_numbers_out_of_letters_as_they_would_come(book: Book) -> None:
    """Of texts in fields that nobody knows, too, escaped twice; what fits already stays as it was written."""
    letters = [
        f'{{"x": "call {NUMBER} back"}}',
        json.dumps({"y": json.dumps({"z": f"call\n{NUMBER[1:]}"})}),
        '{ "a": 1 }',
    ]
    insert = "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('sqs', ?, 'x', ?)"
    book.write(lambda db: db.execute("DELETE FROM dead_letters")).result()
    book.write(lambda db: db.executemany(insert, [(each, at(7)) for each in letters])).result()
    stricter.sweep(book, Redactor(parse("strict")), rest=lambda _: None)
    left = [row[0] for row in rows(book, "SELECT payload FROM dead_letters ORDER BY dead_letter_id")]
    assert left == ['{"x":"call … back"}', '{"y":"{\\"z\\":\\"call\\\\n…\\"}"}', letters[2]]


def test_a_looser_policy_in_between_is_not_forgotten(book: Book) -> None:
    """What was written by it is made to fit as soon as the policy is strict again."""
    strict = parse("strict")
    book.write(stricter.note, strict).result()
    assert book.read_now(stricter.is_looser, parse("names=drop"))
    assert not book.read_now(stricter.is_looser, strict)
    book.write(stricter.note, parse("names=drop")).result()
    assert book.read_now(stricter.is_needed, strict)
