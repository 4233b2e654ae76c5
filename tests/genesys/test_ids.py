"""Ids: one spelling for one conversation, and none in a request that would spoil it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.ids import conversation_id, may_be_asked_for


@given(st.uuids(), st.randoms())
def test_a_uuid_is_the_same_in_capitals(value: uuid.UUID, random: object) -> None:
    """However its letters are written, it is one id, and may be asked for."""
    written = "".join(random.choice((letter.upper(), letter)) for letter in str(value))  # type: ignore[attr-defined]
    assert conversation_id(written) == str(value)
    assert may_be_asked_for(str(value))


@given(st.text(min_size=1))
def test_another_text_stays_as_it_is(text: str) -> None:
    """What is no UUID may differ by its letters; and the spelling of a spelling is itself."""
    spelled = conversation_id(text)
    assert spelled == text or spelled == text.lower()
    assert conversation_id(spelled) == spelled


@pytest.mark.parametrize("word", ["C1", "A" * 36, f"{{{'A1000000-0000-4000-8000-000000000001'}}}", "A1000000"])
def test_only_a_uuid_loses_its_capitals(word: str) -> None:
    """A word of as many letters, a UUID in braces and a part of one are other texts."""
    assert conversation_id(word) == word


@pytest.mark.parametrize("value", [None, "", 5, True, [], {}, b"a1000000-0000-4000-8000-000000000001"])
def test_what_is_no_text_is_no_id(value: object) -> None:
    """A number, a list or an empty text names no conversation."""
    assert conversation_id(value) is None


@pytest.mark.parametrize(
    "word", ["", "a" * 65, "a,b", "a b", "a\n", "\u0661", "é", "../x", "a/b", "%41", 'a"', "a?b", "a&b", "\x00"]
)
def test_what_is_no_id_is_not_asked_for(word: str) -> None:
    """Too long, with a comma, or of characters that an address has to spell otherwise."""
    assert not may_be_asked_for(word)


@pytest.mark.parametrize("word", ["c1", "a" * 64, "urn:x:5", "a.b_c-D", str(uuid.UUID(int=0))])
def test_plain_words_may_be_asked_for(word: str) -> None:
    """An id of another form than a UUID is not lost."""
    assert may_be_asked_for(word)


@given(st.lists(st.text(max_size=70), max_size=100))
def test_a_hundred_that_may_be_asked_for_make_a_short_address(words: list[str]) -> None:
    """Whatever ids there are, those that are let through fit into one address and stay apart in it."""
    let_through = [word for word in words if may_be_asked_for(word)]
    joined = ",".join(let_through)
    assert len(joined) <= 6_500
    assert joined.isascii()
    assert joined.split(",") == (let_through or [""])
