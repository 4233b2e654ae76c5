"""The manifest of an export: which files there are, what is in each, and what it rests on. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rollbook.genesys.errors import RollbookError

NAME: Final = "manifest.json"
# What the manifest itself is called in it, and how its members are to be read.
_KIND: Final = "rollbook export"
_VERSION: Final = 1
File = dict[str, Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


class Manifest:
    """The files of an export by their paths, and its days. organization: id and name, None where the store has none."""

    def __init__(self, organization: tuple[str, str] | None) -> None:
        self.organization = organization
        self.files: dict[str, File] = {}
        self.days: dict[str, Mapping[str, Any]] = {}

    @classmethod
    def read(cls, raw: bytes | None, organization: tuple[str, str] | None, where: str) -> Manifest:
        """The manifest that is there already, or a new one.

        Raises RollbookError where it is none of ours, of a newer version, or another organisation's.
        """
        made = cls(organization)
        if raw is None:
            return made
        try:
            found = json.loads(raw)
            if found["manifest"] != _KIND:
                raise ValueError
            if found["version"] > _VERSION:
                raise RollbookError(
                    f"{where} was written by a newer rollbook; update this one, or choose another place"
                )
            theirs = (found["organization"] or {}).get("id")
            made.files = {_text(file["path"]): file for file in found["files"]}
            made.days = {_text(day["date"]): day for day in found["days"]}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise RollbookError(f"{where} is not the manifest of an export; choose another place") from None
        if theirs is not None and organization is not None and theirs != organization[0]:
            raise RollbookError(f"{where} belongs to another organisation ({theirs}); choose another place")
        return made

    def take(self, files: Iterable[File], day: Mapping[str, Any] | None) -> None:
        """Put files, and their day, in the place of what was known of them."""
        self.files |= {file["path"]: file for file in files}
        if day is not None:
            self.days[day["date"]] = day

    def as_bytes(self) -> bytes:
        """The manifest as it is written: in order of paths, so that the same files make the same bytes."""
        organization = self.organization
        found = {
            "manifest": _KIND,
            "version": _VERSION,
            "organization": {"id": organization[0], "name": organization[1]} if organization else None,
            "days": [self.days[date] for date in sorted(self.days)],
            "files": [self.files[path] for path in sorted(self.files)],
        }
        head = ",\n".join(f'"{name}": {json.dumps(found[name])}' for name in ("manifest", "version", "organization"))
        lists = ",\n".join(
            f'"{name}": [\n{",".join(f"{chr(10)}{json.dumps(each)}" for each in found[name])[1:]}\n]'  # type: ignore[attr-defined]
            for name in ("days", "files")
        )
        return f"{{{head},\n{lists}}}\n".encode()
