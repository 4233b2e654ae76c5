"""People's data taken out of JSON: what a policy names is gone at any depth, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reconcile.due.rounds import narrowed
from rollbook.genesys.errors import SettingsError, UsageError
from rollbook.genesys.messages.documented_shapes import RECORD, Shape
from rollbook.genesys.privacy.personal_fields import ADDRESSES, PATHS, FieldClass
from rollbook.genesys.privacy.policy import (
    KEEP_ALL,
    STRICT,
    Policy,
    Treatment,
    Withheld,
    is_stricter,
    parse,
    withheld_from,
)
from rollbook.genesys.privacy.redaction import Redactor, redactor_of
from rollbook.genesys.program.settings import Secret, Settings, load

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
@example(tree='a "quotation" within')
def test_what_no_rule_names_stays(tree: Any) -> None:
    """The JSON says the same where nothing of it is about a person, and no text of it begins as JSON does."""
    names: set[str] = set()
    texts: list[str] = []

    def gather(node: Any) -> None:
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            gather(each)
        names.update(node if isinstance(node, dict) else ())
        texts.extend([node] if isinstance(node, str) else ())

    gather(tree)
    # What cannot be opened might hold anybody's data.
    assume(not any(re.match(r'[\s\ufeff]*[{"\[]', text) for text in texts))
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
    ways += ["+1\u00a0317\u00a0555\u20110123", "\u202a+1 317 555 0123\u202c", "+1\u202f317\u2013555\u20130123"]
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


@pytest.mark.parametrize(
    "raw",
    [
        *(b"no json " + CANARY.encode(), b"\xff" + CANARY.encode(), b"[" * 100_000),
        b'{"participants":[{"attributes":' + b"[" * 10_000 + b'"' + CANARY.encode() + b'"' + b"]" * 10_000 + b"}]}",
    ],
)
def test_what_cannot_be_opened_is_withheld(raw: bytes) -> None:
    """Nobody knows whose data it holds: as a body it is refused, as a dead letter its size and digest are kept."""
    for work in (Redactor(STRICT).body, Redactor(STRICT).record):
        with pytest.raises(Withheld):
            work(raw)
    kept = Redactor(STRICT).payload(raw)
    assert CANARY.encode() not in kept
    assert str(len(raw)).encode() in kept


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1.50", "1e999", "-1.5E+400", "true"])
def test_numbers_say_the_same_afterwards(number: str) -> None:
    """Of any size, and whole or not."""
    raw = f'{{"a":{number},"ani":"x","b":[{number}]}}'.encode()
    for work in (Redactor(STRICT).body, Redactor(STRICT).record):
        assert json.loads(work(raw)) == {"a": json.loads(number), "b": [json.loads(number)]}


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


def a_record() -> dict[str, Any]:
    """A record of details with every field that is documented, each text its own."""
    count = iter(range(10_000))

    def part(shape: Shape) -> dict[str, Any]:
        made: dict[str, Any] = {name: f"canary-{next(count)}" for name in shape.fields}
        made |= {name: [{"value": f"canary-{next(count)}"}] for name in shape.open}
        made |= {name: [part(below), part(below)] for name, below in shape.many.items()}
        return made | {name: part(below) for name, below in shape.single.items()}

    return part(RECORD)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of every object and array."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


POLICIES = st.one_of(
    st.just("strict"),
    st.dictionaries(
        st.sampled_from(
            [*FieldClass, "segments.*", "attributes.value", "participants.userId", "metrics.name", "sessions", "flow"]
        ),
        st.sampled_from([*Treatment]),
        min_size=1,
    ),
)


@given(policy=POLICIES, data=st.data())
def test_known_records_say_what_others_do(policy: Any, data: st.DataObject) -> None:
    """The quick way for records whose fields are all known leaves what the look at everything leaves, whatever came."""
    record = a_record()
    for _ in range(data.draw(st.integers(0, 3))):
        node, key = data.draw(st.sampled_from(list(places(record))))
        value = data.draw(JSON | st.just({"ani": CANARY}) | st.just([{"subject": CANARY}]) | st.just('{"ani":"x"}'))
        if isinstance(node, dict) and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(["ani", "unknown", "metrics", "name", "sessions", "wrapUpNote"]))
        node[key] = value
    raw = json.dumps(record).encode()
    redactor = Redactor(parse(policy), KEY)
    assert json.loads(redactor.record(raw)) == json.loads(redactor.body(raw))


def test_what_is_documented_takes_the_quick_way() -> None:
    """A record with all known fields does, with one more it does not, and is redacted all the same."""
    record = a_record()
    raw = json.dumps(record).encode()
    redactor = Redactor(STRICT)
    known = redactor._known_shape(RECORD, canonical=False)
    assert redactor.record(raw) == known.redacted(raw)
    record["participants"][0]["sessions"][1]["more"] = {"ani": CANARY}
    raw = json.dumps(record).encode()
    assert known.redacted(raw) is None
    assert CANARY.encode() not in redactor.record(raw)


@pytest.mark.parametrize(
    "outer",
    [
        lambda text: {"Message": text},
        lambda text: {"Records": [{"body": text}]},
        lambda text: [text],
        lambda text: text,
        lambda text: {"participants": [{"sessions": [{"provider": text}]}]},
        lambda text: {"a": json.dumps({"b": text})},
        lambda text: {"a": json.dumps(json.dumps(text))},
    ],
)
@pytest.mark.parametrize(
    "inner",
    [
        {"ani": CANARY},
        {"eventBody": {"participants": [{"name": CANARY}], "attributes": {"a": CANARY}}},
        [{"subject": CANARY}],
        '{"ani": "' + CANARY,
    ],
)
def test_json_inside_a_text_is_opened(outer: Any, inner: Any) -> None:
    """However deep; what begins like JSON and cannot be opened is withheld."""
    raw = json.dumps(outer(inner if isinstance(inner, str) else json.dumps(inner))).encode()
    for work in (Redactor(STRICT).body, Redactor(STRICT).record, Redactor(STRICT).payload):
        assert CANARY.encode() not in work(raw), work.__name__


BROKEN = 'line 7: {\\"ani\\": \\"' + CANARY


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 9])
@pytest.mark.parametrize(
    "text",
    [
        f'got {{"ani": "{CANARY}"}} at last',
        f'two: {{"a": 1}} and {{ "ani" : "{CANARY}"}}',
        f'an event: "{{\\"ani\\": \\"{CANARY}\\"}}"',
        f'data={{"x": [{{"{"y" * 150}": {{"notes": "{CANARY}"}}}}]}}',
        f'got {{"ani": "{CANARY}',
        BROKEN,
    ],
)
def test_json_behind_other_words_is_opened(text: str, depth: int) -> None:
    """As a line of a log has it, and that within JSON however often; what cannot be opened is withheld with the rest."""
    for _ in range(depth):
        text = json.dumps({"x": text})
    raw = json.dumps({"zz": text}).encode()
    for work in (Redactor(STRICT).body, Redactor(STRICT).record, Redactor(STRICT).payload):
        assert CANARY.encode() not in work(raw), work.__name__


@pytest.mark.parametrize("text", ["a {b} c", '{{ "a" }}', "f({x: 1})", 'he said: "so {it} is"', "{", 'no "{" here'])
def test_words_with_braces_stay(text: str) -> None:
    """Nothing in them seems to be JSON with names, though another text beside them is."""
    body = {"x": f"the words: {text}", "y": json.dumps({"z": 1})}
    assert json.loads(Redactor(STRICT).body(json.dumps(body).encode()))["x"] == body["x"]


@pytest.mark.parametrize("depth", [0, 1, 2, 6])
@pytest.mark.parametrize(
    "text",
    [
        "call\n13175550123 or\tada@example.com",
        "+13175550123\u00a0ada@example.com",
        '{"13175550123": "ada@example.com"}',
        '{"a": "\\u002b13175550123", "b": "ada\\u0040example.com"}',
        '{"a": "\\u0031\\u0033175550123 \\u0061da@example.com"}',
        'got {"a": "call\\n13175550123", "b": "\\tada@example.com"}',
        "line: \\\\u002b13175550123 of ada\\\\u0040example.com",
        "https://pages.test/?tel=%2B13175550123&m=ada%40example.com",
        "/?tel=%252B1%20317%20555%200123&m=ada%2540example.com",
        "/?tel=1+317+555+0123&m=ada@example.com#ada@example.com",
        "/?tel=%31%33%31%37%35%35%35%30%31%32%33",
        "call +1\u00a0317\u00a0555\u20110123 or ada@example.com",
        "\u202a+1\u202f317\u2013555\u20130123\u202c ada@example.com",
        "13175\u200b55\u00ad0123",
        "/?tel=%2B1%C2%A0317%E2%80%91555%E2%80%AF0123",
    ],
)
def test_numbers_and_addresses_are_taken_out_however_they_are_escaped(text: str, depth: int) -> None:
    """In JSON within JSON, in addresses of pages, and in names of fields: of a dead letter's texts none is left."""
    for _ in range(depth):
        text = json.dumps({"zz": text})
    left = Redactor(STRICT).payload(json.dumps({"zz": text, text: 1}).encode()).decode()
    assert not re.search(r"3175|555|0123|example|%33", left), left


def test_numbers_and_addresses_are_taken_out_of_a_dead_letter_s_texts() -> None:
    """Nobody knows what its fields mean; ids, times and words stay, so that it can be read and tried again."""
    kept = {
        "id": "6e2cd9a4-8a6a-4f0c-9d2e-123456789012",
        "at": "2026-03-02T10:00:00.000Z",
        "day": "2026-03-02",
        "n": "12,345,678",
        "words": "no topic",
    }
    letter = {**kept, "said": "call +49 (30) 901-820 or 4930901820, write to ada@example.com"}
    found = json.loads(Redactor(STRICT).payload(json.dumps(letter).encode()))
    assert found == {**kept, "said": "call … or …, write to …"}
    assert Redactor(STRICT).payload(b'"call Ada"') == b"null"


@pytest.mark.parametrize(
    "words",
    [
        "closed 2026-03-02\u20132026-03-05 for inventory",
        "on 2026\u201103\u201102",
        "2026-03-02\u00a010 o'clock",
        "a1b2c3d4\u20111234\u20115678\u20119012\u2011abcdef123456",
    ],
)
def test_dates_and_ids_stay_whatever_their_hyphens_are(words: str) -> None:
    """As they do with plain ones."""
    assert Redactor(STRICT).words(words) == words


def test_two_numbers_with_a_dash_between_them_have_two_hashes() -> None:
    """Each is the hash that its number has by itself."""
    redactor = Redactor(parse("phone_numbers=hash"), KEY)
    first, second = redactor.words("+4930901820"), redactor.words("+4930901821")
    assert redactor.words("+4930901820\u2013+4930901821") == f"{first}\u2013{second}"


@pytest.mark.parametrize("way", ["hash", "shorten"])
def test_a_number_beyond_all_floats_is_what_it_is_spelled_as(way: str) -> None:
    """In the place of a telephone number it is treated as its digits, and each time in the same way."""
    body = b'{"participants":[{"sessions":[{"ani":1e999}]}]}'
    found = Redactor(parse(f"phone_numbers={way}"), KEY).record(body)
    ani = json.loads(found)["participants"][0]["sessions"][0]["ani"]
    assert ani == json.loads(Redactor(parse(f"phone_numbers={way}"), KEY).body(b'{"ani":"1e999"}'))["ani"]


def test_a_filter_names_nobody_under_a_policy(tmp_path: Path) -> None:
    """The ledger keeps it in clear: a value of a field that may not stay is refused, of another it is not."""

    def predicate(**more: Any) -> dict[str, Any]:
        return {"segmentFilters": [{"type": "or", "clauses": [{"predicates": [{"type": "dimension", **more}]}]}]}

    ani = predicate(dimension="ANI", value="+4930901820")
    assert withheld_from(ani, STRICT) == ["ANI"]
    assert withheld_from(ani, parse("phone_numbers=hash")) == ["ANI"]
    assert withheld_from(ani, parse({"phone_numbers": "drop", "sessions.ani": "keep"})) == []
    assert withheld_from(ani, parse("names=drop")) == []
    assert withheld_from(predicate(dimension="queueId", value="q1"), STRICT) == []
    assert withheld_from(predicate(property="customer", value="7"), STRICT) == ["customer"]
    assert withheld_from(None, STRICT) == []
    (tmp_path / "rollbook.toml").write_text(f"[reconcile]\nfilter = '{json.dumps(ani)}'\n")
    with pytest.raises(SettingsError, match="filter gives a value of ANI"):
        load(env={"ROLLBOOK_PRIVACY_FIELDS": "strict"}, cwd=tmp_path)
    assert load(env={}, cwd=tmp_path).filter == ani
    with pytest.raises(UsageError, match="--filter gives a value of ANI"):
        narrowed(Settings(privacy=STRICT), ended_only=False, filter=ani)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a." * 100_000,
            "1-" * 100_000,
            '{"a":' * 20_000,
            "a@" * 100_000,
            "x" + '{"' * 100_000,
            "{ " * 100_000,
            '" ' * 100_000,
        ),
        *("\\" * 100_000, "x" + '{"a":1}' * 20_000, "%31" * 50_000, "1%2" * 50_000, "1\\n" * 50_000, "(" * 100_000),
        *("%25" * 50_000 + "40", "1" + "\\" * 100_000, 'x{"' + "\\" * 100_000, "u0040" * 50_000),
    ],
)
def test_a_long_text_of_a_dead_letter_costs_its_length(text: str) -> None:
    """Nothing is searched again from every place: this would take minutes."""
    assert Redactor(STRICT).payload(json.dumps({"said": text}).encode())
