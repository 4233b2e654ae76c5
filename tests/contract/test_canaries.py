"""A canary in every personal field of every door: under the strict policy none reaches the store, a log or an output."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from realtime.commands.dead_letters import read_again
from rollbook.genesys.messages.details import parse_page, parse_results
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.messages.payloads import parse_all, parse_stream
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.book import Book
from rollbook.store.tables import dead_letters, events
from tests.helpers.canaries import AT, CANARY, ID, LETTERS, details, found_below, messages


def test_no_canary_of_any_topic_or_dead_letter_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every topic's body by socket and envelope, and what nobody can read: nothing in file, journal, log or answer."""
    caplog.set_level(logging.DEBUG)
    payloads = messages()
    assert sum(len(CANARY.findall(payload)) for payload in payloads) > 1_000
    items: list[Any] = []
    for payload in [*payloads, *LETTERS]:
        items.append(parse_frame(payload, source="websocket", received_at=AT))
        items += parse_all(payload, source="sqs", received_at=AT, once="m1")
        items += (item for _, item in parse_stream([payload], source="eventbridge", now=lambda: AT))
    items = [item for item in items if isinstance(item, Notification | Unreadable)]
    store = tmp_path / "rollbook.db"
    with Book.open(store, organization=("o", "O"), pack="none", redactor=Redactor(STRICT)) as book:
        for item in items:
            book.write(events.record, [item], book.lag)
        recorded = book.write(events.record, items, book.lag).result()
        assert recorded.events_new == 0
        letters = book.read_now(dead_letters.listed)
        again = [item for letter in letters for item in read_again(letter)]
        book.write(events.record, again, book.lag).result()
        assert found_below(tmp_path) == set()
        db = sqlite3.connect(store)
        assert db.execute("SELECT count(*) FROM events").fetchone()[0] > len(payloads) // 2 - 1
        assert len(letters) > len(LETTERS)
        db.close()
    assert found_below(tmp_path) == set()
    assert CANARY.findall(caplog.text.encode()) == []


@pytest.mark.parametrize("count", [2, 4])
def test_no_canary_of_details_leaves_a_page(count: int, tmp_path: Path) -> None:
    """By query, by id and by job; a record that cannot be opened reaches the store as its size alone."""
    redactor = Redactor(STRICT)
    records = details(count)
    assert all(len(CANARY.findall(record)) > 20 for record in records)
    body = b'{"conversations":[' + b",".join(records) + b'],"totalHits":1}'
    pages = [parse_page(body, redactor.record), parse_results(body, redactor.record)]
    with Book.open(tmp_path / "s.db", organization=("o", "O"), pack="none", redactor=redactor) as book:
        for page in pages:
            rows = list(page.rows)
            assert len(rows) == count
            assert sorted(row.conversation_id or "" for row in rows if not row.broken)[:2] == [ID % 1, ID % 2]
            for row in rows:
                if row.broken:
                    letter = Unreadable("details", row.raw, "broken", AT, "once")
                    book.write(events.record, [letter], book.lag).result()
                else:
                    assert CANARY.findall(row.raw + repr(row.tree).encode() + repr(row.typed).encode()) == []
    assert found_below(tmp_path) == set()
