"""People's data taken out of JSON: what a policy names is gone at any depth, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.errors import SettingsError
from rollbook.genesys.privacy.personal_fields import ADDRESSES, PATHS, FieldClass
from rollbook.genesys.privacy.policy import KEEP_ALL, STRICT, Policy, Treatment, Withheld, is_stricter, parse
from rollbook.genesys.privacy.redaction import Redactor, redactor_of
from rollbook.genesys.program.settings import Secret, Settings

KEY = b"a key that is long enough"
CANARY = "canary-4711"


def after(policy: str | dict[str, str], body: Any) -> Any:
    """A body after that policy."""
    return json.loads(Redactor(parse(policy), KEY).body(json.dumps(body).encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
SINGLE = sorted({path for paths in PATHS.values() for path in paths if "." not in path})


@given(
    tree=JSON, name=st.sampled_from(SINGLE), around=st.lists(st.sampled_from(["participants", "x", "["]), max_size=5)
)
def test_a_named_field_is_gone_at_any_depth(tree: Any, name: str, around: list[str]) -> None:
    """Below any objects and arrays, beside anything, whatever value it has: text, list, object, number."""
    for value in (CANARY, [CANARY], {"x": CANARY}, {"x": [{"y": CANARY}]}):
        body: Any = {name: value, "beside": tree}
        for outer in around:
            body = [body] if outer == "[" else {outer: body, "kept": 1}
        raw = Redactor(STRICT).body(json.dumps(body).encode())
        assert CANARY.encode() not in raw


@given(tree=JSON)
def test_what_no_rule_names_stays(tree: Any) -> None:
    """The JSON says the same where nothing of it is about a person."""
    names: set[str] = set()

    def gather(node: Any) -> None:
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            gather(each)
        names.update(node if isinstance(node, dict) else ())

    gather(tree)
    if names.isdisjoint({path.split(".")[-1] for paths in PATHS.values() for path in paths} | {"attributes"}):
        assert after("strict", {"x": tree}) == {"x": tree}


@pytest.mark.parametrize("path", sorted({path for paths in PATHS.values() for path in paths}))
def test_every_path_of_a_class_takes_effect(path: str) -> None:
    """A value at the end of each path is gone under the strict policy, and there without one."""
    *before, last = path.split(".")
    body: Any = {"somebody" if last == "*" else last: CANARY}
    for name in reversed(before):
        body = {name: body}
    assert CANARY not in json.dumps(after("strict", body))
    assert after("keep", body) == body


def test_a_name_counts_where_its_path_says() -> None:
    """`participants.name` is a person's; the name of a metric or of a queue is none."""
    body = {
        "participants": [{"name": "Ada", "queue": {"name": "Support"}, "sessions": [{"metrics": [{"name": "tAcd"}]}]}]
    }
    assert after({"names": "drop"}, body) == {
        "participants": [{"queue": {"name": "Support"}, "sessions": [{"metrics": [{"name": "tAcd"}]}]}]
    }


def test_a_path_counts_before_its_class() -> None:
    """The longest path that fits decides; the class says what becomes of the rest."""
    body = {"ani": "tel:+13175550123", "sessions": [{"ani": "tel:+13175550124", "dnis": "tel:+18005550100"}]}
    found = after({"phone_numbers": "drop", "sessions.ani": "shorten", "dnis": "keep"}, body)
    assert found == {"sessions": [{"ani": "13175…", "dnis": "tel:+18005550100"}]}


def test_the_members_of_attributes_are_treated_one_by_one() -> None:
    """A member can be kept by its own path, and the others are hashed."""
    body = {"participants": [{"attributes": {"language": "en", "account": "100234", "empty": ""}}]}
    found = after({"attributes": "hash", "attributes.language": "keep"}, body)["participants"][0]["attributes"]
    assert found["language"] == "en"
    assert found["account"].startswith("hmac:")
    assert found["empty"] == ""


def test_numbers_and_e_mail_addresses_are_told_apart_by_their_value() -> None:
    """The same field holds either; each class has its own treatment, and the address of a telephone is no e-mail."""
    body = {"addressFrom": "ada@example.com", "addressTo": "sip:+13175550123@198.51.100.10;user=phone"}
    assert after({"email_addresses": "drop"}, body) == {"addressTo": body["addressTo"]}
    assert after({"phone_numbers": "drop"}, body) == {"addressFrom": "ada@example.com"}


def test_a_caller_is_one_hash_however_the_number_is_written() -> None:
    """With one key equal numbers are equal, with another they are not, and the number cannot be read."""
    ways = ["tel:+13175550123", "+1 317 555 0123", "sip:+13175550123@198.51.100.10;user=phone", "+1 (317) 555-0123"]
    hashes = {after({"phone_numbers": "hash"}, {"ani": way})["ani"] for way in ways}
    assert len(hashes) == 1
    other = json.loads(Redactor(parse("phone_numbers=hash"), b"another").body(b'{"ani":"tel:+13175550123"}'))["ani"]
    assert other not in hashes


@pytest.mark.parametrize(
    ("field", "value", "short"),
    [
        ("ani", "tel:+13175550123", "13175…"),
        ("ani", "+4930901820", "49309…"),
        ("ani", "110", "…"),
        ("addressFrom", "ada.lovelace@example.com", "…@example.com"),
        ("participantName", "Ada King Lovelace", "A.K.L."),
        ("callbackNumbers", ["tel:+13175550123", ""], ["13175…", ""]),
        ("ani", 13175550123, "13175…"),
        ("ani", None, None),
        ("ani", True, True),
    ],
)
def test_what_is_short_names_nobody(field: str, value: Any, short: Any) -> None:
    """The region of a number, the domain of an address, initials; what holds no text stays."""
    policy = {"phone_numbers": "shorten", "email_addresses": "shorten", "names": "shorten"}
    assert after(policy, {field: value}) == {field: short}


def test_of_two_members_with_one_name_no_person_is_left() -> None:
    """A reader of JSON sees the last of them, and the bytes of the first are gone as well."""
    raw = b'{"ani":"tel:+13175550123","sessions":[{"dnis":"tel:+13175550199"}],"sessions":[],"ani":1}'
    assert Redactor(STRICT).body(raw) == b'{"sessions":[]}'


@pytest.mark.parametrize("raw", [b"no json " + CANARY.encode(), b"\xff" + CANARY.encode(), b"[" * 100_000])
def test_what_cannot_be_opened_is_withheld(raw: bytes) -> None:
    """Nobody knows whose data it holds: as a body it is refused, as a dead letter its size and digest are kept."""
    with pytest.raises(Withheld):
        Redactor(STRICT).body(raw)
    kept = Redactor(STRICT).payload(raw)
    assert CANARY.encode() not in kept
    assert str(len(raw)).encode() in kept


@pytest.mark.parametrize("raw", [b'{"a":123456789012345678901234567890,"ani":"x"}', b'{"a":1.50,"ani":"x"}'])
def test_numbers_say_the_same_afterwards(raw: bytes) -> None:
    """Of any size, and whole or not."""
    assert json.loads(Redactor(STRICT).body(raw)) == {"a": json.loads(raw)["a"]}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("phone_numbers", "no pair such as"),
        ("phone_numbers=burn", "not one of keep, drop, shorten, hash"),
        ({"phone numbers": "drop"}, "neither a class"),
        ({"ani": 1}, "not one of"),
        ({"*.ani": "drop"}, "neither a class"),
        (["ani"], "must be a table"),
        (7, "must be a table"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(value: Any, says: str) -> None:
    """In the words of the settings file."""
    with pytest.raises(ValueError, match=says):
        parse(value)


def test_a_policy_is_read_from_a_table_or_a_text() -> None:
    """Both say the same; nothing is changed by one that keeps everything."""
    assert parse("phone_numbers=hash, participants.attributes.*=drop") == Policy(
        {FieldClass.PHONE_NUMBERS: Treatment.HASH}, {"participants.attributes.*": Treatment.DROP}
    )
    assert parse("strict") == STRICT
    assert not KEEP_ALL
    assert not parse({"names": "keep"})


def test_a_policy_is_stricter_if_anything_may_not_stay() -> None:
    """Of a class or of a path; one that keeps more is not."""
    some = parse("names=shorten, ani=drop")
    assert is_stricter(some, KEEP_ALL)
    assert is_stricter(STRICT, some)
    assert not is_stricter(KEEP_ALL, some)
    assert not is_stricter(some, some)


def test_hashes_need_a_key() -> None:
    """Without one, or with one that can be guessed, nothing begins; a policy without hashes needs none."""
    hashing = parse("phone_numbers=hash")
    with pytest.raises(SettingsError, match="set ROLLBOOK_PRIVACY_KEY"):
        redactor_of(Settings(privacy=hashing))
    with pytest.raises(SettingsError, match="too short"):
        redactor_of(Settings(privacy=hashing, privacy_key=Secret("short")))
    assert redactor_of(Settings(privacy=hashing, privacy_key=Secret(KEY.decode()))) is not None
    assert redactor_of(Settings()) is None
    assert redactor_of(Settings(privacy=STRICT)) is not None


def test_addresses_are_in_both_classes() -> None:
    """Which of the two a value is of is seen at the value."""
    assert PATHS[FieldClass.PHONE_NUMBERS] is PATHS[FieldClass.EMAIL_ADDRESSES] is ADDRESSES
