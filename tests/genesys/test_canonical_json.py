"""When two pieces of JSON say the same: order of keys and spelling of numbers do not matter, everything else does."""

import json
import random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.canonical_json import _spell, canonical, decode, digest, mend_surrogates
from rollbook.genesys.messages.details import content_digest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["attributes", "1e5]", "2.0,", "7e12", "", "é", "\U0001f600", "￿", '"', "\\", "\x00"]
)
numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**20), 10**20).map(float)
    | st.sampled_from([0, 0.0, -0.0, 1, 1.0, 1e16, 10**16, 1e22, 10**22, 2**63, 2**64, 1e-7, 0.5])
)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
records = st.dictionaries(texts, values, max_size=5)


def shuffled(value: Any, seed: int) -> Any:
    """The same with its keys in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        random.Random(seed).shuffle(items)
        return {name: shuffled(member, seed + 1) for name, member in items}
    return [shuffled(member, seed) for member in value] if isinstance(value, list) else value


def respelled(value: Any) -> Any:
    """The same with whole numbers as floats where that is exact, and whole floats as integers."""
    if isinstance(value, dict):
        return {name: respelled(member) for name, member in value.items()}
    if isinstance(value, list):
        return [respelled(member) for member in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def same(value: Any, other: Any) -> bool:
    """Equal as JSON: like Python's equality, but `true` is not 1."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(same(value[name], other[name]) for name in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(same, value, other))
    return (type(value) in (int, float) and type(other) in (int, float) and value == other) or (
        type(value) is type(other) and value == other
    )


@given(values, st.integers())
def test_order_of_keys_and_spelling_of_numbers_do_not_matter(value: Any, seed: int) -> None:
    """The same content has one spelling, however it came."""
    spelled = canonical(value)
    assert canonical(shuffled(value, seed)) == spelled
    assert canonical(respelled(value)) == spelled
    assert same(json.loads(spelled), value) or same(respelled(json.loads(spelled)), respelled(value))


@given(values, values)
def test_spellings_are_equal_if_and_only_if_the_content_is(value: Any, other: Any) -> None:
    """No change of the content keeps the spelling."""
    assert (canonical(value) == canonical(other)) == same(value, other)


@given(st.data(), records)
def test_any_change_of_one_place_matters(data: st.DataObject, record: dict[str, Any]) -> None:
    """Another value anywhere in a record is another record."""
    changed = json.loads(json.dumps(record))
    place: Any = changed
    parent: Any = None
    key: Any = None
    while isinstance(place, dict | list) and place:
        parent, key = place, data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        place = place[key]
    if parent is None:
        return
    new = data.draw(scalars)
    parent[key] = new
    assert (canonical(changed) == canonical(record)) == same(changed, record)


@given(values)
def test_both_ways_of_spelling_agree(value: Any) -> None:
    """The walk without recursion writes what the encoder writes, wherever no number is whole and spelled as a float."""
    plain = json.loads(canonical(value))
    assert _spell(plain) == msgspec.json.encode(plain, order="sorted") == canonical(value)


def test_nesting_and_size_have_no_end() -> None:
    """What the decoder takes, or a test builds, is spelled without recursion; integers of any size are."""
    deep: Any = 1.0
    for _ in range(50_000):
        deep = [deep]
    assert canonical(deep) == b"[" * 50_000 + b"1" + b"]" * 50_000
    assert canonical({"n": 10**30}) == b'{"n":1' + b"0" * 30 + b"}"
    assert canonical({"n": 2**70}) == canonical({"n": float(2**70)})


def test_ids_do_not_look_like_numbers() -> None:
    """Letters and digits of ids cost no walk (and if they did, the spelling were the same)."""
    record = {"id": "7e1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21", "n": 1, "text": "1e5] 2.0, 3.0}"}
    assert canonical(record) == _spell(record)


def test_a_digest_keeps_its_parts_apart() -> None:
    """Sixteen bytes; where one part ends and the other begins matters."""
    assert len(digest(b"a", b"b")) == 16
    assert len({digest(b"ab"), digest(b"a", b"b"), digest(b"", b"ab"), digest(b"ab", b"")}) == 4


@given(records, st.dictionaries(texts, texts, max_size=3), st.integers())
def test_participant_attributes_are_no_content(record: dict[str, Any], attributes: dict[str, str], seed: int) -> None:
    """Only jobs return them, so a record with and without them is the same; elsewhere the word is as good as another."""
    base = record | {"participants": [{"purpose": "agent", "sessions": [{"attributes": 1}]}, 5, None, {}]}
    with_them = record | {
        "participants": [
            {"purpose": "agent", "attributes": attributes, "sessions": [{"attributes": 1}]},
            5,
            None,
            {"attributes": None},
        ]
    }
    before = json.dumps(with_them)
    assert content_digest(base) == content_digest(shuffled(with_them, seed))
    assert json.dumps(with_them) == before
    assert content_digest(base) != content_digest(record | {"participants": [{"purpose": "agent"}, 5, None, {}]})


@given(records, records)
def test_records_are_equal_if_and_only_if_their_digests_are(value: dict[str, Any], other: dict[str, Any]) -> None:
    """Without participants' attributes, the digest is the content."""
    assert (content_digest(value) == content_digest(other)) == same(value, other)


@given(st.text(max_size=20))
def test_cut_surrogates_are_mended(text: str) -> None:
    """JSON of any text, half emojis included, becomes JSON that can be read; everything else in it stays."""
    written = json.dumps({"a": text, "b": "😀\\ud83d"}).encode()
    read = decode(mend_surrogates(written))
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read["b"] == "😀\\ud83d"
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert read["a"] == text
        assert mend_surrogates(written) == written
    else:
        assert len(whole) <= len(read["a"]) <= len(text)
        assert "\ufffd" in read["a"] or whole == read["a"]
