"""People who were erased, known by keyed digests of their keys, in what is read later of a time before the request.

A tombstone names what was stored when somebody asked. What was not stored then (a gap, a backfill, an archive) has the
same person, and is known by digests alone. The key is in a file beside the store, so that neither the store nor a
backup of it tells whose they are. What began after the request is new, and is kept. Pure but for the key's file.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.canonical_json import decode
from rollbook.store.erasure import written_forms
from rollbook.store.erasure.person import (
    FEWEST_NATIONAL,
    KEPT_FIELDS,
    LONGEST_CODE,
    Number,
    Person,
    address_of,
    attribute_of,
    external_id_of,
    names_of,
    number_of,
    number_runs,
    numbers_within,
    plain,
    values_of,
)
from rollbook.store.erasure.person import Path as FieldPath
from rollbook.store.erasure.written_forms import TIME_OR_ID
from rollbook.store.file.errors import StoreUnwritable

log = logging.getLogger(__name__)

_DIGEST: Final = 16
_KEY: Final = 32
# A value that is longer is no name and no id of anybody.
_LONGEST: Final = 200
_DIGITS: Final = re.compile(r"\d(?:[\s().\-/]*\d){4}", re.ASCII)
# Names of fields and words of the platform's come again and again.
_REMEMBERED: Final = 20_000


def key_file(store: Path) -> Path:
    """Where the key of a store is."""
    return Path(f"{store}-key")


def make_key(store: Path) -> bytes:
    """The key of a store, made if there is none, for its owner alone. Raises StoreUnwritable."""
    path = key_file(store)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        found = read_key(store)
        if found is None:
            raise StoreUnwritable(f"{path} is no key of this store, or cannot be read; move it away") from None
        return found
    except OSError as error:
        raise StoreUnwritable(f"{path} cannot be made ({error.strerror})") from None
    with os.fdopen(descriptor, "wb") as file:
        made = secrets.token_bytes(_KEY)
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made


def read_key(store: Path) -> bytes | None:
    """The key of a store; None where there is none."""
    with suppress(OSError):
        descriptor = os.open(key_file(store), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = file.read(_KEY + 1)
        if len(found) == _KEY:
            return found
    return None


def digests_of(person: Person, key: bytes) -> set[str]:
    """The digests of a person's keys, as tombstones name them: `KIND:HEX`. Ids of our own are tombstones themselves."""
    found = {_digest(key, "email", address_of(each)) for each in person.emails}
    found |= {_digest(key, "name", plain(each)) for each in person.names}
    found |= {
        _digest(key, "external_contact", external_id_of(each)) for each in (*person.external_contacts, *person.hashes)
    }
    found |= {_attribute(key, name, value) for name, value in person.attributes}
    for text in person.phones:
        number = number_of(text)
        if number is not None:
            found |= {_digest(key, "phone", form) for form in (_exact(number), *_shorts(number), *_wholes(number))}
    return found


def _digest(key: bytes, kind: str, text: str) -> str:
    return f"{kind}:{hmac.digest(key, f'{kind} {text}'.encode(errors='surrogatepass'), 'sha256')[:_DIGEST].hex()}"


def _attribute(key: bytes, name: str, value: str) -> str:
    return _digest(key, "attribute", json.dumps(attribute_of(name, value)))


# Two numbers are the same if their digits are, or if one lacks its country's code and the other ends with it
# (`person.same_number`). So one that may lack it is looked for among the ends of the others, and the other way round.


def _exact(number: Number) -> str:
    return f"={number.digits}"


def _shorts(number: Number) -> list[str]:
    national = number.digits.lstrip("0")
    return [] if number.is_international or len(national) < FEWEST_NATIONAL else [f"short {national}"]


def _wholes(number: Number) -> list[str]:
    whole = number.digits if number.is_international else number.digits.lstrip("0")
    ends = (whole[begin:] for begin in range(LONGEST_CODE + 1))
    return [f"whole {end}" for end in ends if len(end) >= FEWEST_NATIONAL]


def _counterparts(number: Number) -> Iterator[str]:
    yield _exact(number)
    yield from (f"whole{form.removeprefix('short')}" for form in _shorts(number))
    yield from (f"short{form.removeprefix('whole')}" for form in _wholes(number))


class ErasedPeople:
    """Whoever has one of these digests."""

    def __init__(self, key: bytes, digests: Collection[str]) -> None:
        self._key = key
        self._digests = frozenset(digests)
        self._kinds = frozenset(each.partition(":")[0] for each in digests)
        self._known: dict[str, bool] = {}

    def is_named_by(self, value: str, *, attribute: str | None = None) -> bool:
        """Tell whether a value names one of them. attribute: the name of the participant attribute that it is of."""
        if TIME_OR_ID.fullmatch(value) and (attribute is None or "attribute" not in self._kinds):
            return "external_contact" in self._kinds and self._has("external_contact", value.casefold())
        if attribute is not None or len(value) > _LONGEST:
            return self._names(value, attribute)
        found = self._known.get(value)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[value] = self._names(value, None)
        return found

    def _names(self, value: str, attribute: str | None) -> bool:
        return written_forms.is_named(value, attribute, is_key=self._is_key, has_part=self._has_part)

    def _has_part(self, text: str) -> bool:
        """Tell whether an address or a number of theirs is in a text."""
        if "email" in self._kinds and any(
            self._has("email", found.casefold()) for found in written_forms.email_addresses(text)
        ):
            return True
        return "phone" in self._kinds and any(
            self._has("phone", form)
            for run in number_runs(text)
            if _DIGITS.search(run)
            for _, number in numbers_within(run)
            for form in _counterparts(number)
        )

    def _is_key(self, value: str, attribute: str | None) -> bool:
        if len(value) > _LONGEST:
            return False
        if "name" in self._kinds and any(self._has("name", each) for each in names_of(value)):
            return True
        if "external_contact" in self._kinds and self._has("external_contact", external_id_of(value)):
            return True
        if attribute is None or "attribute" not in self._kinds:
            return False
        return _attribute(self._key, attribute, value) in self._digests

    def _has(self, kind: str, text: str) -> bool:
        return _digest(self._key, kind, text) in self._digests

    def are_in(self, body: str | bytes) -> bool:
        """Tell whether a body names one of them; of what is no JSON, whether the text does."""
        try:
            tree = decode(body)
        except (ValueError, RecursionError):
            text = body if isinstance(body, str) else body.decode(errors="replace")
            return self.is_named_by(text)
        return any(True for _ in values_of(tree, self.is_named_by))

    def places(self, tree: Any) -> set[FieldPath]:
        """Where in a decoded body something names one of them, but for ids that stay."""
        return {path for path, _ in values_of(tree, self.is_named_by) if path and path[-1] not in KEPT_FIELDS}


def people_of(store: Path, digests: frozenset[str]) -> ErasedPeople | None:
    """Whom a store has erased; None where its key is not there."""
    key = read_key(store)
    if key is None:
        _warn_once(store)
        return None
    return ErasedPeople(key, digests)


@lru_cache(maxsize=8)
def _warn_once(store: Path) -> None:
    log.warning("%s is not there: nobody knows whom late data is of that was erased; bring it back", key_file(store))


def erased_before(digests: Mapping[str, str], start: str | None) -> frozenset[str]:
    """The digests of those who asked after something began. digests: with when it was asked; start None: not known."""
    return frozenset(digest for digest, asked_at in digests.items() if start is None or start < asked_at)
