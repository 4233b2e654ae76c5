"""Readers of JSON that may have any shape."""

import math
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys import lenient_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
READERS: dict[Any, Any] = {
    lenient_json.as_object: {},
    lenient_json.objects: [],
    lenient_json.text: "",
    lenient_json.text_or_none: None,
    lenient_json.words: None,
    lenient_json.texts: [],
    lenient_json.number: None,
    lenient_json.count: None,
}


@given(VALUES)
def test_a_value_reads_as_it_is_or_as_nothing(value: Any) -> None:
    """No shape is refused: a reader answers the value, the members of a list that are of its kind, or nothing."""
    for reader, nothing in READERS.items():
        found = reader(value)
        if isinstance(value, list) and reader in (lenient_json.objects, lenient_json.texts):
            kind = dict if reader is lenient_json.objects else str
            assert found == [item for item in value if isinstance(item, kind)]
        else:
            assert found is value or found == nothing


def test_each_reader_takes_its_own_kind() -> None:
    """An empty text is a text and no words; true is no number; a count is whole and not negative."""
    assert lenient_json.text_or_none("") == ""
    assert (lenient_json.words(" "), lenient_json.words(" a")) == (None, " a")
    assert [lenient_json.number(value) for value in (1, 1.5, -1, True, "1")] == [1, 1.5, -1, None, None]
    assert [lenient_json.count(value) for value in (0, 7, -1, 1.0, True, math.inf)] == [0, 7, None, None, None, None]


@given(VALUES.map(msgspec.json.encode) | st.binary(max_size=8))
def test_a_body_reads_as_its_object_or_as_none(body: bytes) -> None:
    """A body that is broken, or no object, is an empty object."""
    try:
        expected = msgspec.json.decode(body)
    except ValueError:
        expected = None
    assert lenient_json.read_object(body) == (expected if isinstance(expected, dict) else {})
    assert lenient_json.read_object(b"[" * 100_000) == {}
