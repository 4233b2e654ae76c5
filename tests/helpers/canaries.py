"""Canaries: bodies of all topics, records and dead letters in which every field for people's data has one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.genesys.privacy.test_personal_fields import ends, nobody, of_details
from tests.helpers.paths import DATA

AT = "2026-03-02T10:00:00.000Z"
ID = "6e2cd9a4-8a6a-4f0c-9d2e-0000000000%02x"
CANARY = re.compile(rb"canary-\d+|\+?4930901\d+|ada@")
# Each kind of text that a field may hold.
# What each of these is for one person: a name, a number, an address, and a text that quotes the name.
HERS = ("canary-1", "tel:+4930901820", "ada@canary.example", 'he said "canary-1"')
HER_CANARY = re.compile(rb"canary-1(?!\d)|4930901820|ada@canary")
VALUES = ("canary-%d", "tel:+4930901%d", "ada@canary-%d.example", 'he said "canary-%d"')


class Canaries:
    """Bodies of the platform's models: every text that is not written down as nobody's is a canary."""

    def __init__(self, values: Sequence[str] = VALUES) -> None:
        self.values = values
        self.models = json.loads((DATA / "schemas" / "notifications.json").read_text())
        self.nobody = nobody()
        self.count = 0

    def text(self, path: tuple[str, ...]) -> str:
        """A canary, or a plain word where the field says nothing about a person."""
        if ends(".".join(path)) & self.nobody:
            return "nobody"
        self.count += 1
        value = self.values[self.count % len(self.values)]
        return value % self.count if "%d" in value else value

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


def messages(values: Sequence[str] = VALUES) -> list[bytes]:
    """Events as a socket and EventBridge bring them."""
    found = []
    for topic, body in Canaries(values).bodies():
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


def details(count: int, values: Sequence[str] = VALUES) -> list[bytes]:
    """Records whose personal fields are canaries: as they should be, with what is no JSON, and with what is new."""
    made = Canaries(values)
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
