"""The platform's own models as JSON schemas: what a body is measured against. Reads tests/data/schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema

from tests.helpers.paths import DATA

_FILE = DATA / "schemas" / "notifications.json"


@cache
def _models() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text())
    return found


@cache
def model(name: str) -> jsonschema.Draft202012Validator:
    """The validator of a model. Properties that it does not have are errors."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": _models()["$defs"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def body_of(template: str) -> jsonschema.Draft202012Validator:
    """The validator of the bodies of a topic (its template)."""
    return model(_models()["topics"][template])


def described() -> set[str]:
    """The templates that have a schema here."""
    return set(_models()["topics"])
