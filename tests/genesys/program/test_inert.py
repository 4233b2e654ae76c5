"""Text that somebody else wrote, as people see it."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.program.inert import inert, inert_block, inert_json

ANY = st.text(st.characters() | st.sampled_from("\x1b\x07\r\n\t\x7f\x9b\u2028\u202e\ufeff\ud800\U000e0041\"\\<&'"))


def active(text: str) -> list[str]:
    """The characters of a line that steer, hide, turn around or cannot be encoded; by Unicode's own classes."""
    return [
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
        or unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        or character in "\u200b\u200e\u200f\u061c\ufeff"
    ]


@given(ANY)
def test_no_line_has_anything_active(text: str) -> None:
    """Whatever a text holds, its inert form is one line that a terminal shows and does not obey."""
    assert not active(inert(text))
    assert inert(inert(text)) == inert(text)
    inert(text).encode()


@given(ANY)
def test_the_lines_of_a_block_stay_its_lines(text: str) -> None:
    """A text whose own line breaks are meant keeps them, and nothing else that is active."""
    lines = inert_block(text).split("\n")
    assert lines == [inert(line) for line in text.split("\n")]


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=10))
def test_json_says_the_same(value: object) -> None:
    """JSON is escaped, never changed: whoever reads it gets what was written."""
    text = json.dumps(value, ensure_ascii=False)
    safe = inert_json(text)
    assert not active(safe)
    # Halves of a pair that follow each other in a text are one character to whoever reads JSON.
    assert json.loads(safe) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – é 漢字 👩‍💻 می‌خواهم", "plain – é 漢字 👩‍💻 می‌خواهم"),
        ("\x1b[2J\x1b]0;x\x07", "\\x1b[2J\\x1b]0;x\\x07"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b31m\u202etxt.exe\ud83d", "\\x9b31m\\u202etxt.exe\\ud83d"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_is_spelled_out(text: str, shown: str) -> None:
    """Words of every script stay as they are; what steers is shown as Python spells it."""
    assert inert(text) == shown
