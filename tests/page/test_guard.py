"""Who may look at the page, and what of a person is on it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.port.visitors import name_in
from rollbook.page import masking
from rollbook.page.guard import COOKIE, Asked, Guard

TOKEN = "a-token-of-many-letters"
OPEN = Guard()
CLOSED = Guard(TOKEN, frozenset({"rollbook.example.org"}))


def status(guard: Guard, local: str, host: str, **headers: str) -> int:
    """The status that a request is refused with; 200 where it may look."""
    refusal = guard.refusal(Asked(local, {"host": host, **headers}))
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["127.0.0.1:8125", "localhost:8125", "[::1]:8125", "LOCALHOST", "127.0.0.1"])
def test_this_machine_may_look(host: str) -> None:
    """By each of its own names, with a port or without."""
    assert status(OPEN, "127.0.0.1", host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8125", "127.0.0.1.evil.example", "", "localhost.evil.example", "[::2]:1"]
)
def test_another_name_is_refused(host: str) -> None:
    """A name that was made to lead here is no name of the page, whether or not there is a token."""
    assert status(OPEN, "127.0.0.1", host) == 421
    assert status(CLOSED, "127.0.0.1", host, authorization=f"Bearer {TOKEN}") == 421


def test_another_machine_needs_a_token() -> None:
    """Without one that is set nobody beyond loopback looks; with one, whoever brings it, by the page's own name."""
    assert status(Guard(hosts=frozenset({"10.0.0.5"})), "10.0.0.5", "10.0.0.5:8125") == 403
    assert status(CLOSED, "10.0.0.5", "10.0.0.5:8125") == 401
    assert status(CLOSED, "10.0.0.5", "rollbook.example.org") == 401
    assert status(CLOSED, "10.0.0.5", "10.0.0.5:8125", authorization=f"Bearer {TOKEN}") == 200
    assert status(CLOSED, "10.0.0.5", "rollbook.example.org", authorization=f"bearer {TOKEN}") == 200
    assert status(CLOSED, "10.0.0.5", "rollbook.example.org", authorization=f"Basic {TOKEN}") == 401
    assert status(CLOSED, "127.0.0.1", "localhost", authorization=f"Bearer {TOKEN}x") == 401


def test_a_cookie_stands_for_the_token() -> None:
    """The cookie that the form gives lets in; it is not the token, and another's or a broken one does not."""
    assert TOKEN not in CLOSED.cookie()
    assert status(CLOSED, "127.0.0.1", "localhost", cookie=f"{COOKIE}={CLOSED.cookie()}") == 200
    assert status(CLOSED, "127.0.0.1", "localhost", cookie=f"{COOKIE}={Guard('another-token-here').cookie()}") == 401
    assert status(CLOSED, "127.0.0.1", "localhost", cookie=f'{COOKIE}="\\') == 401
    assert status(CLOSED, "127.0.0.1", "localhost", cookie=f"{COOKIE}={TOKEN}") == 401


def test_a_socket_is_its_proxys_to_guard() -> None:
    """By a Unix socket every name is right, and a token is asked for where one is set."""
    assert status(OPEN, "", "rollbook.example.org") == 200
    assert status(CLOSED, "", "anything.example", authorization=f"Bearer {TOKEN}") == 200
    assert status(CLOSED, "", "anything.example") == 401


@given(st.text(max_size=40), st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_sent_is_answered(host: str, cookie: str, authorization: str) -> None:
    """No header makes the guard fail, and none but the token's lets in."""
    asked = Asked("127.0.0.1", {"host": host, "cookie": cookie, "authorization": authorization})
    assert CLOSED.refusal(asked) is not None
    assert isinstance(name_in(host), str)


# What is a person's

SNAPSHOT: dict[str, Any] = {
    "id": "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21",
    "participants": [
        {
            "purpose": "customer",
            "name": "Ada Lovelace",
            "address": "tel:+4930123456",
            "ani": 4930123456,
            "connectedTime": "2026-03-02T10:00:00.000Z",
            "attributes": {"Ada's diagnosis": "a cold", "iban": "DE02 1203"},
            "calls": [{"state": "connected", "direction": "inbound", "self": {"nameRaw": "Ada L."}, "held": False}],
            "wrapup": {"code": "ada@example.org", "notes": "called about her cold", "durationSeconds": 12},
        }
    ],
    "metrics": [{"name": "tHandle", "value": 12_000, "emitDate": "2026-03-02T10:00:00Z"}],
    "newFieldOfTomorrow": "Ada Lovelace",
}


def texts(value: Any) -> set[str]:
    """Every text and key of a JSON value."""
    if isinstance(value, dict):
        return set(map(str, value)) | {text for inner in value.values() for text in texts(inner)}
    if isinstance(value, list):
        return {text for inner in value for text in texts(inner)}
    return {str(value)}


def test_what_a_person_is_called_or_has_said_is_masked() -> None:
    """Names, addresses, numbers, notes, attributes with their keys and fields that nobody knows; not what is harmless."""
    found = texts(masking.body(SNAPSHOT))
    for personal in ("Ada", "cold", "4930123456", "iban", "DE02", "example.org"):
        assert not any(personal in text for text in found), personal
    for harmless in (
        "customer",
        "connected",
        "inbound",
        "tHandle",
        "12000",
        "2026-03-02T10:00:00.000Z",
        SNAPSHOT["id"],
    ):
        assert harmless in found, harmless


@settings(max_examples=25)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_masked_value_has_the_shape_of_what_it_was(value: Any) -> None:
    """Objects stay objects with as many members, lists lists of the same length, numbers and null what they are."""

    def shape(of: Any) -> Any:
        if isinstance(of, dict):
            return "object", len(of)
        if isinstance(of, list):
            return [shape(inner) for inner in of]
        return type(of).__name__

    assert shape(masking.body(value)) == shape(value)


def test_a_place_of_an_attribute_is_masked() -> None:
    """The places at which versions differ do not name the attributes."""
    life = {"participants": [], "attributes": [{"name": "iban", "value": "DE02"}], "events": [], "details": None}
    versions = [{"details": None, "changes": ["participants[0].attributes.iban", "conversationEnd"]}]
    shown = masking.life({**life, "versions": versions})
    assert "iban" not in repr(shown)
    assert "DE02" not in repr(shown)
    assert shown["versions"][0]["changes"][1] == "conversationEnd"
