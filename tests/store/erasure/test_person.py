"""A person's keys: what is the same number, address, name or id, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rollbook.genesys.errors import UsageError
from rollbook.store.erasure.person import Person, number_of, plain, same_number
from rollbook.store.erasure.tombstones import path_text

SAME = (
    "+49 30 1234567",
    "+49 (0)30 1234567",
    "+49301234567",
    "0049-30-1234567",
    "011 49 30 123 45 67",
    "030 1234567",
    "(030) 123-4567",
    "030/1234567",
    "tel:+49301234567",
    "sip:+49301234567@example.com;user=phone",
    "+49301234567;ext=12",
    "49301234567",
    "+49\u00a030\u00a01234567",
    "030\u20111234567",
    "\u202a+49 30 1234567\u202c",
    "+49\u202f30\u2013123\u200b4567",
)
OTHERS = ("+49 30 1234568", "+41 30 1234567", "030 1234568", "1234567", "+1 301 234 5679", "")


@pytest.mark.parametrize("text", SAME)
@pytest.mark.parametrize("asked", ["+49301234567", "030 1234567", "0049 30 1234567"])
def test_a_number_is_found_however_it_is_written(asked: str, text: str) -> None:
    """In a field of its own and in a text, asked for in any spelling."""
    person = Person(phones=[asked])
    assert person.spellings(json.dumps({"x": [{"ani": text}]})) == {text} or person.is_named_by(text)
    assert person.spellings(json.dumps({"note": f"call {text.split(';')[0]} back"}))


@pytest.mark.parametrize(
    "text",
    [
        "Call back 030 1234567\u20143 times tried",
        "030 1234567\u2013030 7654321",
        "+49 30 1234567\u20138",
        "030 1234567\u20132026-03-02",
        "0301234567\u200b0307654321",
        "030\u20131234567",
    ],
)
def test_a_number_is_found_whatever_a_dash_parts(text: str) -> None:
    """A dash stands between two numbers, or within one: a number of either reading is found."""
    assert Person(phones=["030 1234567"]).is_named_by(text)


@pytest.mark.parametrize("text", OTHERS)
def test_another_number_is_not_found(text: str) -> None:
    """One digit, another country's code, a part of it."""
    assert not Person(phones=["+49301234567"]).spellings(json.dumps({"ani": text, "at": "2026-03-02T10:00:00.000Z"}))


def test_a_number_without_its_country_is_long_enough_to_be_it() -> None:
    """A short one is the same only digit by digit; two with their codes never are by their ends."""
    numbers = {text: number_of(text) for text in ("+1 317 555 0100", "317-555-0100", "555 0100", "+44 317 555 0100")}
    whole, national, short, other = (each for each in numbers.values() if each is not None)
    assert same_number(whole, national)
    assert same_number(national, other)  # whose country it is, nobody can say
    assert not same_number(whole, other)
    assert not same_number(whole, short)


@pytest.mark.parametrize(
    ("keys", "body", "found"),
    [
        ({"emails": ["Ada@Example.com"]}, {"from": "ADA@example.COM"}, True),
        ({"emails": ["ada@example.com"]}, {"from": '"Ada L" <ada@example.com>'}, True),
        ({"emails": ["ada@example.com"]}, {"text": "write to ada@example.com."}, True),
        ({"emails": ["ada@example.com"]}, {"from": "nada@example.com"}, False),
        ({"names": ["Ada  Lovelace"]}, {"name": "ada lovelace"}, True),
        ({"names": ["Ada Lovelace"]}, {"name": "Lovelace, Ada"}, True),
        ({"names": ["Ada Lovelace"]}, {"name": "Ada Lovelace-King"}, False),
        ({"names": ["Jürgen Groß"]}, {"name": "JÜRGEN GROSS"}, True),
        ({"external_contacts": ["AB-1"]}, {"externalContactId": "ab-1"}, True),
        ({"external_contacts": ["ab-1"]}, {"externalContactId": "ab-12"}, False),
        ({"attributes": [("Customer No", "4711")]}, {"attributes": {"customer no": "4711"}}, True),
        ({"attributes": [("Customer No", "4711")]}, {"attributes": {"customer no": 4711}}, True),
        ({"attributes": [("Customer No", "4711")]}, {"attributes": {"other": "4711"}}, False),
        ({"attributes": [("Customer No", "4711")]}, {"customer no": "4711"}, False),
        ({"phones": ["030 1234567"]}, {"attributes": {"0301234567": "yes"}}, True),
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_each_key_is_an_exact_match(keys: dict[str, Any], body: dict[str, Any], found: bool, escaped: bool) -> None:
    """In any letters and blanks, in JSON that escapes letters or does not; and not a part of another value."""
    text = json.dumps({"participants": [body]}, ensure_ascii=escaped)
    assert bool(Person(**keys).spellings(text)) is found


@pytest.mark.parametrize("payload", ["x +49 30 1234567 y", "{broken ada@example.com", "\n Ada Lovelace \n {"])
def test_a_text_that_is_no_json_is_looked_through(payload: str) -> None:
    """As dead letters are."""
    assert Person(phones=["030 1234567"], emails=["ada@example.com"], names=["Ada Lovelace"]).spellings(payload)


@pytest.mark.parametrize(
    "keys",
    [{"phones": ["12"]}, {"phones": ["call me"]}, {"emails": ["ada"]}, {"names": [" "]}, {"attributes": [("a", "")]}],
)
def test_a_key_that_would_match_too_much_is_refused(keys: dict[str, Any]) -> None:
    """It is said in one line."""
    with pytest.raises(UsageError):
        Person(**keys)


def test_a_path_names_nobody() -> None:
    """A name that is no plain word becomes the star of what it stands in."""
    assert path_text(("a", "b")) == "a.b"
    assert path_text(("a", "+49 30", "b")) == "a.*"
    assert path_text(("+49 30",)) is None
    assert plain("  Doe,  Jane ") == "jane doe"
