"""Every text field that the platform documents is a person's, or is written down as nobody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from rollbook.genesys.messages import detail_fields
from rollbook.genesys.privacy.personal_fields import PATHS
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.redaction import Redactor
from tests.helpers.paths import DATA

NOBODY = DATA / "fields_of_nobody.txt"
# Where each list of the details' fields stands in a record.
PLACES = {
    "participants": detail_fields.PARTICIPANT,
    "participants.sessions": detail_fields.SESSION,
    "participants.sessions.segments": detail_fields.SEGMENT,
    "participants.sessions.metrics": detail_fields.METRIC,
    "participants.sessions.mediaEndpointStats": detail_fields.MEDIA_ENDPOINT_STAT,
    "participants.sessions.flow": detail_fields.FLOW,
    "participants.sessions.flow.outcomes": detail_fields.FLOW_OUTCOME,
    "evaluations": detail_fields.EVALUATION,
    "surveys": detail_fields.SURVEY,
    "resolutions": detail_fields.RESOLUTION,
}


def of_schemas() -> Iterator[str]:
    """The paths of texts in the bodies of all topics: a text with words of its own, or a value of any kind."""
    file = json.loads((DATA / "schemas" / "notifications.json").read_text())

    def below(schema: dict[str, Any], path: tuple[str, ...], seen: frozenset[str]) -> Iterator[str]:
        while (name := schema.get("$ref", "").rpartition("/")[2]) or "items" in schema:
            if name in seen:
                return
            seen |= {name} - {""}
            schema = file["$defs"][name] if name else schema["items"]
        if "properties" in schema:
            for name, inner in schema["properties"].items():
                yield from below(inner, (*path, name), seen)
        elif isinstance(inner := schema.get("additionalProperties"), dict):
            yield from below(inner, (*path, "anything"), seen)
        elif schema.get("type") in ("string", "object", None) and not {"enum", "format"} & schema.keys():
            yield ".".join(path)

    for topic in file["topics"].values():
        yield from below(file["$defs"][topic], (), frozenset())


def of_details() -> Iterator[str]:
    """The paths of the details' fields that are neither times nor numbers."""
    others = detail_fields.TIMES | detail_fields.INTEGERS | detail_fields.REALS
    for place, fields in PLACES.items():
        yield from (f"{place}.{field}" for field in fields if field not in others)


def of_examples() -> Iterator[str]:
    """The paths of texts in the platform's own examples of events."""

    def below(node: Any, path: tuple[str, ...]) -> Iterator[str]:
        if isinstance(node, dict):
            for name, each in node.items():
                yield from below(each, (*path, name))
        elif isinstance(node, list):
            for each in node:
                yield from below(each, path)
        elif isinstance(node, str) and not node.startswith("20"):
            yield ".".join(path)

    for line in (DATA / "examples" / "ws_detail_events.jsonl").read_text().splitlines():
        yield from below(json.loads(line)["eventBody"], ())
    for line in (DATA / "examples" / "eventbridge_detail_events.jsonl").read_text().splitlines():
        yield from below(json.loads(line)["detail"]["eventBody"], ())


@cache
def documented() -> dict[str, bool]:
    """Each path of a text, and whether the strict policy takes it."""
    redactor = Redactor(STRICT)
    found = {}
    for path in {*of_schemas(), *of_details(), *of_examples()}:
        body: Any = "canary-4711"
        for name in reversed(path.split(".")):
            body = {name: body}
        found[path] = b"canary" not in redactor.body(json.dumps(body).encode())
    return found


def nobody() -> set[str]:
    """The ends of paths that say nothing about a person."""
    lines = NOBODY.read_text().splitlines()
    return {name for line in lines if not line.startswith("#") for name in line.split()}


def ends(path: str) -> set[str]:
    """Every end of a path, and all of it behind a dot."""
    names = path.split(".")
    return {f".{path}", *(".".join(names[at:]) for at in range(len(names)))}


def test_each_text_field_is_somebodys_or_nobodys() -> None:
    """A field that a newer platform has, or that someone forgot, is in neither list: decide which it is."""
    known = nobody()
    assert sorted(path for path, taken in documented().items() if not taken and not ends(path) & known) == []


def test_nobodys_fields_are_there_and_are_kept() -> None:
    """What the list of nobody's fields names is a field of the platform's that the strict policy leaves alone."""
    kept = {end for path, taken in documented().items() if not taken for end in ends(path)}
    assert sorted(nobody() - kept) == []


def test_no_field_is_named_twice() -> None:
    """Each path is in one class only; numbers and e-mail addresses share theirs."""
    paths = [path for paths in {id(paths): paths for paths in PATHS.values()}.values() for path in paths]
    assert sorted(path for path in set(paths) if paths.count(path) > 1) == []
    assert {path.removeprefix(".") for path in paths}.isdisjoint(nobody())
