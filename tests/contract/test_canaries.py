"""A canary in every personal field of every door: under the strict policy none reaches the store, a log or an output."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
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
from tests.genesys.privacy.test_personal_fields import ends, nobody
from tests.helpers.paths import DATA

AT = "2026-03-02T10:00:00.000Z"
ID = "6e2cd9a4-8a6a-4f0c-9d2e-0000000000%02x"
CANARY = re.compile(rb"canary-\d+|\+?4930901\d+|ada@")
# Each kind of text that a field may hold.
VALUES = ("canary-%d", "tel:+4930901%d", "ada@canary-%d.example", 'he said "canary-%d"')


class Canaries:
    """Bodies of the platform's models: every text that is not written down as nobody's is a canary."""

    def __init__(self) -> None:
        self.models = json.loads((DATA / "schemas" / "notifications.json").read_text())
        self.nobody = nobody()
        self.count = 0

    def text(self, path: tuple[str, ...]) -> str:
        """A canary, or a plain word where the field says nothing about a person."""
        if ends(".".join(path)) & self.nobody:
            return "nobody"
        self.count += 1
        return VALUES[self.count % len(VALUES)] % self.count

    def value(self, schema: dict[str, Any], path: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> Any:
        """A value with every property that it may have."""
        if name := schema.get("$ref", "").rpartition("/")[2]:
            return None if name in seen else self.value(self.models["$defs"][name], path, (*seen, name))
        if "enum" in schema:
            return schema["enum"][-1]
        if "items" in schema:
            return [self.value(schema["items"], path, seen)]
        if "properties" in schema:
            return {name: self.value(inner, (*path, name), seen) for name, inner in schema["properties"].items()}
        if isinstance(schema.get("additionalProperties"), dict):
            return {"key": self.text((*path, "key"))}
        plain = {"integer": 1, "number": 1.5, "boolean": True}.get(schema.get("type", ""))
        return AT if "format" in schema else self.text(path) if plain is None else plain

    def bodies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each topic of conversations and a body of it."""
        for number, (topic, model) in enumerate(self.models["topics"].items()):
            if topic.startswith(("v2.detail", "v2.users", "v2.routing")):
                body = self.value({"$ref": f"#/$defs/{model}"})
                body["id" if "conversationId" not in body else "conversationId"] = ID % number
                yield topic.replace("{id}", ID % number), body


def messages() -> list[bytes]:
    """Events as a socket and EventBridge bring them."""
    found = []
    for topic, body in Canaries().bodies():
        frame = {"topicName": topic, "version": "2", "eventBody": body}
        found += [frame, {"version": "0", "id": "e", "detail-type": topic, "detail": frame}]
    return [json.dumps(each).encode() for each in found]


LETTERS = [
    json.dumps(letter).encode()
    for letter in (
        {"eventBody": {"ani": "canary-1", "participants": [{"name": "canary-2"}]}},
        {"Type": "Notification", "Message": json.dumps({"detail": {"eventBody": {"ani": "canary-1"}}})},
        {"Records": [{"messageId": "m", "body": json.dumps({"Message": json.dumps({"subject": "canary-1"})})}]},
        {"Records": [{"body": '{"ani": "canary-1'}]},
        {"Records": [{"body": "{'ani': 'canary-1'}"}]},
        {"said": "call +4930901820 or write to ada@canary.example"},
        {"topicName": 7, "eventBody": {"attributes": {"a": {"b": ["canary-1"]}}}},
        "canary-1",
        json.dumps({"ani": "canary-1"}),
        ["canary-1", 4930901820],
        4930901820,
    )
] + [b"no json canary-1", b"\xff\xfe canary-1", b'{"ani":"canary-1"', b"[" * 5_000 + b'"canary-1"', b'\xef\xbb\xbf{"ani":"canary-1"}']  # fmt: skip


def found_below(path: Path) -> set[bytes]:
    """The canaries in every file below a folder."""
    return {found for file in path.iterdir() for found in CANARY.findall(file.read_bytes())}


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


def details(count: int) -> list[bytes]:
    """Records whose personal fields are canaries: as they should be, with what is no JSON, and with what is new."""
    from tests.genesys.privacy.test_personal_fields import of_details

    made = Canaries()
    record: dict[str, Any] = {"conversationId": ID % 1, "conversationStart": AT, "participants": [{"sessions": [{}]}]}
    for path in of_details():
        node: Any = record
        *places, name = path.split(".")
        for place in places:
            node = node.setdefault(place, {} if place == "flow" else [{}])
            node = node[0] if isinstance(node, list) else node
        node[name] = made.text(tuple(path.split(".")))
    record["participants"][0]["attributes"] = {"a": "canary-77", "b": {"c": "canary-78"}}
    good = json.dumps(record).encode()
    new = json.dumps({**record, "conversationId": ID % 2, "new": {"sessions": [{"ani": "canary-79"}]}}).encode()
    broken = good.replace(b'"conversationStart"', b'"x":\xff,"conversationStart"').replace(b"01", b"03", 1)
    mended = good.replace(b"canary-77", b"\xff canary-77").replace((ID % 1).encode(), (ID % 4).encode())
    return [good, new, broken, mended][:count]


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
