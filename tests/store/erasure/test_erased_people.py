"""A person who was erased stays so in what is read for the first time later, if it began before the request."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.daemon.retention_keeper import RetentionKeeper
from rollbook.genesys.messages.details import parse_results
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.privacy.policy import STRICT, parse
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.times import from_text
from rollbook.store.book import Book
from rollbook.store.commands.forget import _person
from rollbook.store.erasure import erased_people, request, tombstones
from rollbook.store.erasure.erased_people import ErasedPeople, digests_of, key_file
from rollbook.store.erasure.person import Person, number_of, same_number
from rollbook.store.erasure.retention import KeepingTimes
from rollbook.store.file.copying import Manner
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.tables import events, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore
from tests.helpers.organisation import NOW, WINDOW, at, record
from tests.store.erasure.test_forget import CANARY, HERS, IDS, LAG, NUMBER, bytes_of, event, hers, personal, query, read

KEY = b"k" * 32
KEYS = ("phone", "email", "name", "external_contact", "user", "conversation", "attribute")
LATE = "7c1f0d6e-52f1-4c1b-9a6c-00000000000a"
NEW = "7c1f0d6e-52f1-4c1b-9a6c-00000000000b"
DETAILS = "SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL ORDER BY 1"
BODIES = "SELECT body FROM events"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that has nothing of her, and in which she was erased at 10:55."""
    path = tmp_path / "rollbook.db"
    with Book.open(path, pack="none") as book:
        read(book, [personal(1, "+49409000001", "Other 1")], 45)
        request.forget(book, HERS, at(55), by="dpo")
    return path


def of_her(conversation_id: str, minute: float = 5, number: str = NUMBER) -> dict[str, Any]:
    """A record of hers that nobody has read before."""
    return {**personal(2, number, CANARY), "conversationId": conversation_id, "conversationStart": at(minute)}


def notification(conversation_id: str, body: dict[str, Any], *, source: str = "websocket") -> Notification:
    """An event as a socket, a queue or an archive brings it."""
    topic = f"v2.detail.events.conversation.{conversation_id}.customer.start"
    frame = json.dumps({"topicName": topic, "eventBody": {"conversationId": conversation_id, **body}})
    found = parse_frame(frame, source=source, received_at=at(90))
    assert isinstance(found, Notification)
    return found


def millis(minute: float) -> int:
    """The time of an event, as detail events write it."""
    return int(from_text(at(minute)).timestamp() * 1000)


def test_a_conversation_that_nobody_had_read_comes_without_her(store: Path) -> None:
    """By the query and by id; a field that nobody knows goes by its path, and a second read changes nothing."""
    with Book.open(store, pack="none") as book:
        read(book, [of_her(LATE)], 60)
        assert hers(bytes_of(store)) == []
        assert read(book, [of_her(LATE)], 61).content == {}
        details = json.loads(dict(query(store, DETAILS))[LATE])
    assert (details["conversationStart"], "ani" in str(details)) == (at(5), False)
    assert len(query(store, "SELECT 1 FROM tombstones WHERE kind = 'conversation'")) == 1


def test_a_job_brings_nobody_back(store: Path) -> None:
    """Its rows are decoded in another way, and have attributes."""
    page = parse_results(json.dumps({"conversations": [of_her(LATE)], "dataAvailabilityDate": at(90)}).encode())
    when = Read(at(60), at(60), at(60), frozenset(), LAG)
    with Book.open(store, pack="none") as book:
        write = windows.write_details
        width = timedelta(minutes=30)
        book.write(write, page.rows, when, window=WINDOW, width=width, cause=lambda *_: "down").result()
    assert hers(bytes_of(store)) == []


def test_what_began_after_the_request_is_new(store: Path) -> None:
    """She has called again: that is another conversation, and nobody has asked for it."""
    with Book.open(store, pack="none") as book:
        read(book, [of_her(NEW, 56)], 60)
        book.write(events.record, [notification(NEW, {"ani": NUMBER, "eventTime": millis(57)})], LAG).result()
    assert CANARY in dict(query(store, DETAILS))[NEW]
    assert NUMBER in query(store, BODIES)[0][0]


@pytest.mark.parametrize("source", ["websocket", "sqs", "eventbridge"])
def test_an_event_of_before_the_request_comes_without_her(store: Path, source: str) -> None:
    """From a socket, a queue, a function or an archive of EventBridge; delivered again, it is the same event."""
    old = notification(LATE, {"ani": f"tel:{NUMBER}", "name": CANARY, "eventTime": millis(6)}, source=source)
    with Book.open(store, pack="none") as book:
        first = book.write(events.record, [old], LAG).result()
        again = book.write(events.record, [old], LAG).result()
        read(book, [of_her(LATE)], 60)
    assert (first.events_new, again.events_new, hers(bytes_of(store))) == (1, 0, [])


def test_an_event_of_no_conversation_does_not_bring_her_back(tmp_path: Path) -> None:
    """It was erased with her, and is delivered again: it has no conversation by whose id it would be known."""
    path = tmp_path / "rollbook.db"
    frame = {"topicName": "v2.users.u1.activity", "eventBody": {"id": "u1", "note": f"call {NUMBER} back"}}
    found = parse_frame(json.dumps(frame), source="websocket", received_at=at(7))
    assert isinstance(found, Notification)
    with Book.open(path, pack="none") as book:
        book.write(events.record, [found], LAG).result()
        request.forget(book, HERS, at(55), by="dpo")
        assert book.write(events.record, [found], LAG).result().events_new == 0
    assert hers(query(path, BODIES)[0][0].encode()) == []
    assert len(query(path, BODIES)) == 1


@pytest.mark.parametrize("payload", [f'{{"from": "{NUMBER}"}}', f"no JSON at all of 030 1234567, {CANARY}"])
def test_a_dead_letter_that_names_her_is_withheld(store: Path, payload: str) -> None:
    """It bears no time that anybody could read."""
    with Book.open(store, pack="none") as book:
        book.write(events.record, [Unreadable("sqs", payload.encode(), f"bad: {CANARY}", at(90), "x")], LAG).result()
    assert hers(bytes_of(store)) == []
    assert query(store, "SELECT count(*) FROM dead_letters") == [(1,)]


# Her keys as addresses of pages and JSON within a text have them.
ADA = Person(phones=["030 1234567"], emails=["Ada@example.com"], names=["Ada Lovelace"], attributes=[("card", "77")])
WITHIN = (
    *("https://a.example/find?tel=+49301234567&x=1", "https://a.example/people/2024/49301234567/12", "/f#030-1234567"),
    *("https://a.example/?tel=%2B49%2030%20123%204567", "/?to=%2525%252B49301234567", "/?tel=+49+30+1234567"),
    *("https://49301234567:pw@a.example/", "/?tel=%2b%34%39%33%30%31%32%33%34%35%36%37", "tel=4930123%2D4567;x=1"),
    *("/customer_49301234567.html", "sip:%2B49301234567@a.example;user=phone", "see https://a.example/49301234567."),
    *(
        "https://a.example/users/ada@example.com/edit",
        "/?m=ada%40example.com",
        "/?m=%61da@example.com&y",
        "/#ada@example.com",
    ),
    *(
        "https://ada@example.com@a.example/",
        "https://ada%40example.com:pw@a.example/",
        "mailto:ada@example.com?subject=x",
    ),
    *(
        "/?next=https%3A%2F%2Fb.example%2F%3Fm%3Dada%2540example.com%26z",
        "login=ada@example.com",
        "a=b&ada@example.com",
    ),
    *(
        "https://a.example/?name=Ada+Lovelace&x",
        "https://a.example/people/Ada%20Lovelace",
        "/?n=Lovelace%2C%20Ada",
        "/?card=77",
    ),
    *(
        json.dumps({"x": "call\n49301234567"}),
        json.dumps({"x": json.dumps({"y": "call\n49301234567 \tada@example.com"})}),
    ),
    *(
        '{"x": "\\u002b49301234567"}',
        'got: {"x": "{\\"m\\": \\"ada\\\\u0040example.com\\"}"}',
        '"\\"\\\\n49301234567\\""',
    ),
    *(json.dumps({"who": "Ada Lovelace"}), json.dumps([json.dumps({"who": "Ada Lovelace"})]), json.dumps({"card": 77})),
    *(
        json.dumps({"card": "77"}),
        json.dumps({"url": "https:\\/\\/a.example\\/?m=ada%40example.com"}),
        '{"x": "Ada Lovelace',
    ),
)
OTHERS = (
    *(
        "https://a.example/find?tel=+49301234568",
        "/people/12/4930/1234567",
        "/?m=nada%40example.com",
        "/?card=78",
        "a/77",
    ),
    *("/?m=ada@example.community", "/?name=Ada+Lovelace-King", json.dumps({"x": json.dumps({"y": "x49301234567"})})),
    *(json.dumps({"other": 77}), "100 % of 40/1234567?", "Ada / Lovelace = ?"),
)


@pytest.mark.parametrize("text", WITHIN)
def test_each_key_is_known_within_an_address_and_json(text: str) -> None:
    """By the person and by the digests alike, in JSON with a field of any name, and in what is no JSON."""
    people = ErasedPeople(KEY, digests_of(ADA, KEY))
    for raw in (json.dumps({"pageUrl": text}), json.dumps([text], ensure_ascii=False), f"broken {{ {text}"):
        assert ADA.spellings(raw), raw
        assert people.are_in(raw), raw


# Ways to put a text into another.
AROUND: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps({"k": text}),
    lambda text: json.dumps([1, text], ensure_ascii=False, separators=(",", ":")),
    lambda text: json.dumps(json.dumps({"card no": text})),
    lambda text: json.dumps({"u": text}).replace("+", "\\u002b").replace("@", "\\u0040").replace("/", "\\/"),
    lambda text: "a line of a log: " + json.dumps({"Card No": text}),
    lambda text: f"https://a.test/x?Card%20No={quote(text, safe='')}&z=1",
    lambda text: f"https://a.test/p/{quote(text, safe='@:+')}/e",
    lambda text: f"/q?card+no={quote_plus(text)}",
    lambda text: f"https://u.test/#{quote(text, safe='')}",
)
SPELLINGS = (
    (Person(phones=["+49301234567"]), ("+49301234567", "49301234567", "+49 30 1234567", "030-1234567")),
    (Person(emails=["ada@example.com"]), ("ada@example.com", "Ada@Example.com")),
    (Person(names=["Ada Lovelace"]), ("Ada Lovelace", "Lovelace, Ada")),
    (Person(external_contacts=["AB-12"]), ("ab-12",)),
    (Person(attributes=[("Card No", "77")]), ("77",)),
)


@pytest.mark.parametrize("seed", range(5))
def test_a_key_is_found_in_any_text_within_a_text(seed: int) -> None:
    """Four addresses, texts of JSON and lines of logs, one within the other; no number or address stays in a letter."""
    draw = random.Random(seed)
    for _ in range(60):
        person, spellings = draw.choice(SPELLINGS)
        ways = draw.choices(AROUND, k=draw.choice((1, 2, 3, 4)))
        if person.attributes:
            ways[0] = draw.choice((AROUND[2], AROUND[4], AROUND[5], AROUND[7]))
        text = draw.choice(spellings)
        for way in ways:
            text = way(text)
        raw = json.dumps({"conversationId": LATE, "zz": text})
        assert person.spellings(raw), text
        assert ErasedPeople(KEY, digests_of(person, KEY)).are_in(raw), text
        if person.phones or person.emails:
            left = Redactor(STRICT).payload(raw.encode()).decode()
            assert not re.search(r"1234567|da(?:@|%(?:25)*40|\\+u0040)ex", left, re.IGNORECASE), text


@pytest.mark.parametrize("text", OTHERS)
def test_others_are_not_found_within_an_address_or_json(text: str) -> None:
    """One digit, one letter, a value of another name, words beside a slash."""
    assert not ADA.is_named_by(text)
    assert not ErasedPeople(KEY, digests_of(ADA, KEY)).is_named_by(text)


def test_a_key_within_a_long_text_of_signs_is_looked_for_once(store: Path) -> None:
    """Each run of signs is read once, however long: texts that took minutes (this test would not end)."""
    people = ErasedPeople(KEY, digests_of(ADA, KEY))
    for text in ("(" * 200_000 + "x12345", "a" * 400_000 + " @x 12345", "https://" + "a/" * 50_000, "a@" * 20_000):
        assert not people.is_named_by(text)
        assert not ADA.is_named_by(text)
        assert ADA.is_named_by(f"{text} ada@example.com")


def test_no_door_brings_her_back_within_an_address_or_json(tmp_path: Path) -> None:
    """Details, events and dead letters that are read after the request: what has her key is gone from each."""
    path = tmp_path / "rollbook.db"
    ids = [f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}" for number in range(100, 100 + len(WITHIN))]
    with Book.open(path, pack="none") as book:
        request.forget(book, ADA, at(55), by="dpo")
        read(book, [{**record(each), "pageUrl": text} for each, text in zip(ids, WITHIN, strict=True)], 60)
        found: list[Any] = [
            notification(f"8{each[1:]}", {"pageUrl": text, "eventTime": millis(6)})
            for each, text in zip(ids, WITHIN, strict=True)
        ]
        found += [Unreadable("sqs", f"broken {{ {text}".encode(), "x", at(90), text) for text in WITHIN]
        book.write(events.record, found, LAG).result()
    bodies = [body for (body,) in query(path, BODIES)] + list(dict(query(path, DETAILS)).values())
    assert len(bodies) == 2 * len(WITHIN)
    assert [body for body in bodies if re.search(r"2345|%34|ovelace|da(?:@|%40)|da.{1,9}0040|77\b", body)] == []
    assert query(path, "SELECT DISTINCT payload FROM dead_letters") == [(tombstones.FORGOTTEN,)]


def test_a_request_finds_what_is_stored_within_an_address_or_json(tmp_path: Path) -> None:
    """Details, events and dead letters that are there when she asks; a name beyond 16 bits too."""
    path, person = tmp_path / "rollbook.db", Person(phones=ADA.phones, names=["Ada \U0001d4db"], emails=ADA.emails)
    texts = [text for text in WITHIN if not re.search("ovelace|card", text)]
    texts.append(json.dumps({"x": json.dumps({"y": "Ada \U0001d4db"})}))
    with Book.open(path, pack="none") as book:
        found: list[Any] = [notification(LATE, {"pageUrl": text, "eventTime": millis(6)}) for text in texts]
        found += [Unreadable("sqs", f"broken {{ {text}".encode(), "x", at(90), text) for text in texts]
        book.write(events.record, found, LAG).result()
        ids = [f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}" for number in range(100, 100 + len(texts))]
        read(book, [{**record(each), "pageUrl": text} for each, text in zip(ids, texts, strict=True)], 40)
        numbers = request.forget(book, person, at(55), by="dpo").found.numbers()
    assert (numbers["details"], numbers["dead_letters"]) == (len(texts), len(texts))
    bodies = [body for (body,) in query(path, BODIES)] + list(dict(query(path, DETAILS)).values())
    assert [body for body in bodies if re.search(r"2345|%34|da(?:@|%40)|da.{1,9}0040|d4db", body)] == []
    assert query(path, "SELECT DISTINCT payload FROM dead_letters") == [(tombstones.FORGOTTEN,)]


async def test_what_came_before_it_was_known_whose_it_is_is_erased_by_the_daemon(store: Path) -> None:
    """An event without her number, and then the details that have it: the daily retention erases both."""
    with Book.open(store, pack="none") as book:
        unknown = notification(LATE, {"name": CANARY, "eventTime": millis(6)})
        book.write(events.record, [unknown], LAG).result()
        assert CANARY in query(store, BODIES)[0][0]
        read(book, [of_her(LATE)], 60)
        await RetentionKeeper(book, KeepingTimes(), now=lambda: NOW).look()
    assert hers("".join(body for (body,) in query(store, BODIES)).encode()) == []


def test_a_backup_of_what_retention_had_deleted_brings_nobody_back(tmp_path: Path) -> None:
    """As she was erased nothing was stored of her any more, so no tombstone names what the backup has."""
    path = tmp_path / "rollbook.db"
    with Book.open(path, pack="none") as book:
        read(book, [of_her(LATE), personal(1, "+49409000001", "Other 1")], 45)
        book.write(events.record, [event(2, NUMBER, CANARY)], LAG).result()
    copied = back_up(path, tmp_path / "copy.db", at=NOW, how=Manner())
    path.unlink()
    with Book.open(path, pack="none") as book:
        request.forget(book, HERS, at(55), by="dpo")
    assert restore(copied.path, path, at=NOW, how=Manner()).erased == 2
    assert hers(bytes_of(path)) == []
    assert {row[0] for row in query(path, DETAILS)} == {LATE, IDS[1]}
    assert "Other 1" in dict(query(path, DETAILS))[IDS[1]]


def test_the_key_is_beside_the_store_and_the_digests_tell_nobody(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without the key a warning says that late data are not known; the next request does not make another one."""
    assert key_file(store).stat().st_mode & 0o777 == 0o600
    key = key_file(store).read_bytes()
    assert key not in bytes_of(store)
    assert hers(bytes_of(store)) == []
    with Book.open(store, pack="none") as book:
        request.forget(book, Person(emails=["ada@example.com"]), at(56), by="dpo")
    assert key_file(store).read_bytes() == key
    key_file(store).unlink()
    with Book.open(store, pack="none") as book:
        read(book, [of_her(LATE)], 60)
    assert "bring it back" in caplog.text


def test_a_key_through_a_link_is_no_key(tmp_path: Path) -> None:
    """Whoever puts a link there would know the key."""
    key_file(tmp_path / "a.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnwritable, match="no key of this store"):
        erased_people.make_key(tmp_path / "a.db")
    assert not (tmp_path / "elsewhere").exists()


digits = st.text("0123456789", min_size=0, max_size=4)
written = st.builds(
    lambda front, code, rest: f"{front}{code}{rest}",
    st.sampled_from(["+", "00", "0", "", "011"]),
    st.sampled_from(["49", "1", "", "44", "0"]),
    st.one_of(st.just("301234567"), st.just("2125550123"), digits),
)


@settings(max_examples=40)
@given(written, written)
def test_digests_know_the_numbers_that_are_the_same(left: str, right: str) -> None:
    """By digests alone, as `same_number` decides it by the digits."""
    first, second = number_of(left), number_of(right)
    if first is None or second is None:
        return
    people = ErasedPeople(KEY, digests_of(Person(phones=[left]), KEY))
    assert people.is_named_by(right) == same_number(second, first), (left, right)


@pytest.mark.parametrize(
    ("person", "body"),
    [
        (Person(emails=["Ada@Example.com"]), {"note": "write to ada@example.COM."}),
        (Person(names=["Lovelace, Ada"]), {"name": "ada  lovelace"}),
        (Person(names=["Ada Lovelace"]), {"from": '"Ada Lovelace" <x@y.z>'}),
        (Person(external_contacts=["AB-12"]), {"externalContactId": "ab-12"}),
        (Person(attributes=[("Customer", "4711")]), {"attributes": {"customer": 4711}}),
        (Person(external_contacts=[LATE]), {"externalContactId": LATE.upper()}),
        (Person(attributes=[("customer id", LATE)]), {"attributes": {"customer id": LATE}}),
        (Person(phones=["030 1234567"]), {"number": 49301234567}),
        (Person(phones=["030 1234567"]), {"url": "https://example.com/?n=%2B49301234567"}),
        (Person(emails=["ada@example.com"]), {"url": "https://example.com/?m=ada%40example.com"}),
        (Person(phones=["030 1234567"]), {"text": "please call +49 30 1234567 today"}),
        (Person(phones=["030 1234567"]), {"text": "please call \u202a+49\u00a030\u20111234567\u202c today"}),
    ],
)
def test_each_key_is_known_by_its_digest(person: Person, body: dict[str, Any]) -> None:
    """As the request itself finds it; another person's key finds nothing."""
    raw = json.dumps(body)
    assert person.spellings(raw)
    assert ErasedPeople(KEY, digests_of(person, KEY)).are_in(raw)
    assert not ErasedPeople(b"another key", digests_of(person, KEY)).are_in(raw)
    assert not ErasedPeople(KEY, digests_of(person, KEY)).are_in(json.dumps(record("a")))


def test_a_number_that_the_policy_hashes_is_found_by_its_hash(tmp_path: Path) -> None:
    """The store has nothing but hashes of it: what stands beside them goes too, and late data are known by them."""
    redactor = Redactor(parse("phone_numbers=hash"), b"a key that is long enough")
    path = tmp_path / "rollbook.db"

    def hashed(conversation_id: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(redactor.record(json.dumps(of_her(conversation_id)).encode()))
        session = made["participants"][0]["sessions"][0]
        assert session["ani"].startswith("hmac:")
        session.pop("notYetKnown")
        made["participants"][0]["attributes"].pop("phone")
        return made

    person = _person({**dict.fromkeys(KEYS, ()), "phone": ("+49 30 1234567",)}, redactor)
    with Book.open(path, pack="none") as book:
        read(book, [hashed(LATE)], 45)
        assert request.forget(book, person, at(55), by="dpo").erased == 1
        read(book, [hashed(NEW)], 60)
    assert [CANARY in details for _, details in query(path, DETAILS)] == [False, False]
