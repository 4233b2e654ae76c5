"""A person erased: nothing of them in any byte of the store, nothing that comes back, and every figure as it was."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.commands import cli
from rollbook.genesys.errors import UsageError
from rollbook.genesys.messages.details import row_of
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.named import NameKind
from rollbook.genesys.privacy.personal_fields import PATHS
from rollbook.store.bodies import dictionaries
from rollbook.store.bodies.dictionaries import Dictionary
from rollbook.store.book import Book
from rollbook.store.erasure import finding, remains, request
from rollbook.store.erasure.erased_people import key_file
from rollbook.store.erasure.person import Person
from rollbook.store.file import connections
from rollbook.store.file.copying import Manner
from rollbook.store.rebuild import rebuild
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import events, names, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore
from tests.helpers.organisation import NOW, WINDOW, at, record
from tests.helpers.peek import command
from tests.helpers.whole import rollbook

LAG = timedelta(minutes=10)
IDS = [f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}" for number in range(8)]
ADA = "3f1f0d6e-0000-4c1b-9a6c-000000000001"
NUMBER = "+49301234567"
CANARY = "Canary Lovelace"
HERS = Person(phones=["030 1234567"])


def personal(conversation: int, number: str, name: str) -> dict[str, Any]:
    """A record whose every field of people's data names somebody, and whose agent is Ada."""
    made = record(IDS[conversation])
    customer = made["participants"][0]
    customer["attributes"] = {"customer": name, "phone": number}
    customer["participantName"] = name
    customer["externalContactId"] = f"contact of {name}"
    session = customer["sessions"][0]
    for path in {path for paths in PATHS.values() for path in paths if "." not in path}:
        session[path] = f"{name} in {path}"
    session["ani"], session["dnis"] = f"tel:{number}", "tel:+49800555"
    session["metrics"] = [{"name": "tTalkComplete", "value": 4_000, "emitDate": at(9)}]
    session["segments"][0] |= {"subject": f"of {name}", "wrapUpNote": f"note of {name}"}
    session["notYetKnown"] = {"where": number}
    agent = {"participantId": f"a-{conversation}", "purpose": "agent", "userId": ADA, "participantName": "Ada Agent"}
    made["participants"].append(agent | {"sessions": [], "attributes": {"desk": "Ada's desk"}})
    return made


def event(conversation: int, number: str, name: str) -> Notification:
    """A notification with people's data."""
    body = {
        "conversationId": IDS[conversation],
        "eventTime": 1_772_445_600_000 + conversation,
        "ani": f"tel:{number}",
        "participants": [{"name": name, "attributes": {"who": name}, "user": {"id": ADA, "name": "Ada Agent"}}],
    }
    topic = f"v2.detail.events.conversation.{IDS[conversation]}.customer.start"
    found = parse_frame(json.dumps({"topicName": topic, "eventBody": body}), source="websocket", received_at=at(6))
    assert isinstance(found, Notification)
    return found


def read(book: Book, records: list[dict[str, Any]], minute: float = 50) -> Any:
    """Write a page of details as a run does."""
    rows = [row_of(json.dumps(each).encode()) for each in records]
    when = Read(at(minute), at(minute), at(minute), frozenset(), LAG)
    write = windows.write_details
    return book.write(write, rows, when, window=WINDOW, width=timedelta(minutes=30), cause=lambda *_: "down").result()


LISTING = NameListing(at(1), {ADA: ListedName(ADA, "Ada Agent")}, whole=True)
HER_LETTER = Unreadable("websocket", f'{{"from": "{NUMBER}", "name": "{CANARY}"}}'.encode(), "broken", at(7), "once 1")


def fill(book: Book) -> None:
    """Eight conversations, of which 2 and 5 are hers; events, a version, dead letters, a name."""
    people = [(NUMBER, CANARY) if each in (2, 5) else (f"+4940900{each:04d}", f"Other {each}") for each in range(8)]
    book.write(events.record, [event(each, *people[each]) for each in range(8)], LAG).result()
    first = [personal(each, *people[each]) for each in range(8)]
    read(book, first, 45)
    read(book, [{**first[2], "originatingDirection": "outbound"}], 47)
    other = Unreadable("websocket", b'{"from": "+49409000001"}', "broken", at(7), "once 2")
    book.write(events.record, [HER_LETTER, other], LAG).result()
    book.write(names.take, NameKind.USER, LISTING).result()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that was written by an SQLite that overwrites nothing."""
    plain = connections.connect

    def careless(*args: Any, **kwargs: Any) -> Any:
        connection = plain(*args, **kwargs)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    path = tmp_path / "rollbook.db"
    with monkeypatch.context() as patched:
        patched.setattr(connections, "connect", careless)
        with Book.open(path, pack="none") as book:
            fill(book)
            book.write(lambda db: db.execute("DELETE FROM store_notes WHERE name = 'overwrites'")).result()
    return path


def erase(path: Path, person: Person, **more: Any) -> request.Forgotten:
    """Erase, and overwrite what is left."""
    with Book.open(path, pack="none") as book:
        done = request.forget(book, person, at(55), by="dpo", **more)
    assert remains.remove(path, done.found, at(55), Manner(), journal="wal").left == []
    return done


def bytes_of(path: Path) -> bytes:
    """The store, its log and what is beside them."""
    return b"".join(
        Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal", "-shm") if Path(f"{path}{suffix}").exists()
    )


def query(path: Path, text: str) -> list[Any]:
    """The rows of a query."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(text).fetchall()


def hers(content: bytes) -> list[str]:
    """What of her is in these bytes."""
    return [text for text in (NUMBER, "1234567", CANARY, "canary") if text.encode() in content]


FIGURES = (
    "SELECT name, count(*), sum(value) FROM metrics GROUP BY name",
    "SELECT count(*), count(segment_end) FROM segments",
    "SELECT conversation_id, conversation_start, conversation_end, media_types, provenance FROM conversations",
    "SELECT conversation_id, kind, cause FROM gaps",
    "SELECT count(*) FROM events",
    "SELECT participant_id, user_id, purpose FROM participants",
)


def test_nothing_is_left_in_any_byte(store: Path) -> None:
    """By her number alone, written otherwise: her name, notes, attributes go too; others' stay, and every figure."""
    before = [query(store, text) for text in FIGURES]
    assert len(hers(bytes_of(store))) == 3
    done = erase(store, HERS)
    assert done.found.numbers() == {
        "conversations": 2,
        "details": 2,
        "versions": 1,
        "attributes": 2,
        "events": 2,
        "dead_letters": 1,
        "users": 0,
    }
    assert hers(bytes_of(store)) == []
    assert [query(store, text) for text in FIGURES] == before
    rest = bytes_of(store)
    assert all(f"Other {each}".encode() in rest for each in (0, 1, 3, 4, 6, 7))
    assert query(store, "SELECT payload FROM dead_letters ORDER BY payload") == [
        ("(erased on request)",),
        ('{"from": "+49409000001"}',),
    ]
    assert query(store, "PRAGMA integrity_check") == [("ok",)]


def test_what_was_erased_does_not_come_back(store: Path) -> None:
    """Details read again, events and dead letters delivered again: nothing is new, no gap, and nothing of her."""
    erase(store, HERS)
    gaps = query(store, "SELECT * FROM gaps")
    people = {2: (NUMBER, CANARY), 5: (NUMBER, CANARY)}
    with Book.open(store, pack="none") as book:
        again = [{**personal(2, NUMBER, CANARY), "originatingDirection": "outbound"}, personal(5, NUMBER, CANARY)]
        outcome = read(book, again, 58)
        assert (outcome.content, outcome.drifted, outcome.gaps) == ({}, 0, {})
        assert set(outcome.classes.values()) == {"unchanged"}
        recorded = book.write(events.record, [event(each, *who) for each, who in people.items()], LAG).result()
        assert (recorded.events_new, recorded.events_repeated) == (0, 2)
        assert book.write(events.record, [HER_LETTER], LAG).result().dead_letters == 0
        late = Unreadable("sqs", f"{IDS[5]} {NUMBER}".encode(), f"no {NUMBER}", at(59), "once 3")
        book.write(events.record, [late], LAG).result()
        changed = read(book, [{**again[1], "originatingDirection": "outbound"}], 59)
        assert list(changed.content) == [IDS[5]]
        assert rebuild(book)[1] == 0
    assert query(store, "SELECT * FROM gaps") == gaps
    assert hers(bytes_of(store)) == []


def test_a_field_that_nobody_knows_is_erased_by_its_path(store: Path) -> None:
    """The tombstone names the path, and a later read loses that field as well; another's record keeps it."""
    erase(store, HERS)
    ((paths,),) = query(store, f"SELECT DISTINCT paths FROM tombstones WHERE id = '{IDS[5]}'")
    assert json.loads(paths) == ["participants.sessions.notYetKnown.where"]
    ((kept,),) = query(store, f"SELECT details FROM conversations WHERE conversation_id = '{IDS[1]}'")
    assert json.loads(kept)["participants"][0]["sessions"][0]["notYetKnown"] == {"where": "+49409000001"}


def test_the_record_says_who_and_when_and_nothing_of_the_person(store: Path) -> None:
    """And a ticket that names the person is refused, before anything is written."""
    with Book.open(store, pack="none") as book, pytest.raises(UsageError, match="the ticket names the person"):
        request.forget(book, HERS, at(55), by="dpo", ticket=f"GDPR 12 for {NUMBER}")
    erase(store, HERS, ticket="GDPR 12")
    columns = "asked_at, asked_by, ticket, criteria, finished_at, overwritten_at"
    assert query(store, f"SELECT {columns} FROM erasures") == [
        (at(55), "dpo", "GDPR 12", '{"phone": 1}', at(55), at(55))
    ]
    assert query(store, "SELECT count(*) FROM tombstones WHERE erased_at IS NULL") == [(0,)]


@pytest.mark.parametrize(
    "person",
    [
        Person(names=[CANARY.upper()]),
        Person(external_contacts=[f"contact of {CANARY}"]),
        Person(attributes=[("Phone", NUMBER)]),
        Person(conversations=[IDS[2].upper(), IDS[5]]),
        Person(emails=["nobody@example.com"], phones=[f"tel:{NUMBER}"]),
    ],
    ids=lambda person: next(iter(person.criteria)),
)
def test_each_key_finds_her(store: Path, person: Person) -> None:
    """All of her two conversations is gone, whichever key they were found by."""
    erase(store, person)
    for table in ("details", "versions"):
        view = "conversations" if table == "details" else "conversation_versions"
        bodies = query(store, f"SELECT details FROM {view}")
        assert CANARY not in str(bodies)
    assert CANARY not in str(query(store, "SELECT * FROM sessions")) + str(query(store, "SELECT * FROM events"))
    assert query(store, f"SELECT count(*) FROM participant_attributes WHERE value = '{CANARY}'") == [(0,)]


def test_one_of_our_own_people_loses_the_name(store: Path) -> None:
    """By id or by name: in names, details and events, for good; customers keep theirs, conversations their agent's id."""
    erase(store, Person(names=["agent, ada"]))
    assert b"Ada" not in bytes_of(store)
    assert CANARY.encode() in bytes_of(store)
    assert query(store, "SELECT DISTINCT name FROM names WHERE kind = 'user'") == [(ADA,)]
    assert query(store, f"SELECT count(*) FROM participants WHERE user_id = '{ADA}'") == [(8,)]
    with Book.open(store, pack="none") as book:
        assert read(book, [personal(0, "+49409000000", "Other 0")], 58).content == {}
        book.write(names.take, NameKind.USER, NameListing(at(70), LISTING.entities, whole=True)).result()
        assert book.write(events.record, [event(0, "+49409000000", "Other 0")], LAG).result().events_new == 0
    assert b"Ada" not in bytes_of(store)


def test_one_of_our_own_people_loses_the_attributes(tmp_path: Path) -> None:
    """Those of their part of a conversation, whether it has an id or a place alone; others keep theirs."""
    path = tmp_path / "rollbook.db"
    with_place = personal(1, "+49409000001", "Other 1")
    del with_place["participants"][-1]["participantId"]
    with Book.open(path, pack="none") as book:
        read(book, [personal(0, "+49409000000", "Other 0"), with_place], 45)
    before = query(path, "SELECT number, participant_id, name FROM attribute_rows ORDER BY 1, 2, 3")
    place = str(len(with_place["participants"]) - 1)
    hers = [row for row in before if row[1] == "a-0" or row[:2] == (2, place)]
    assert [row[2] for row in hers] == ["desk", "desk"]
    erase(path, Person(users=[ADA]))
    after = query(path, "SELECT number, participant_id, name FROM attribute_rows ORDER BY 1, 2, 3")
    assert after == [row for row in before if row not in hers]
    assert after


def test_an_erasure_that_was_cut_short_is_gone_on_with(store: Path) -> None:
    """What was found stays erased from that moment on; the rest is erased when it is resumed."""

    class Killed(Exception):
        pass

    def kill(what: str, share: float) -> None:
        if what == "erased":
            raise Killed

    with Book.open(store, pack="none") as book:
        book.write(lambda db: db.execute("UPDATE store_notes SET value = value")).result()
        with pytest.raises(Killed):
            request.forget(book, HERS, at(55), by="dpo", on_step=kill)
        assert request.resume(book, at(56)) == 0
        assert book.read_now(lambda db: db.execute("SELECT finished_at FROM erasures").fetchall()) == [(at(56),)]
    assert not remains.remove(store, None, at(56), Manner(), journal="wal")
    assert hers(bytes_of(store)) == []


def test_a_look_changes_nothing_and_an_export_has_all(store: Path, tmp_path: Path) -> None:
    """The export is a file for its owner alone, with details, events, versions and dead letters."""
    target = tmp_path / "her.json"
    with Book.open(store, mode="ro") as book:
        found = request.look(book, HERS, at(55), export=target)
    assert found.numbers()["conversations"] == 2
    assert query(store, "SELECT count(*) FROM tombstones") == query(store, "SELECT count(*) FROM erasures") == [(0,)]
    assert target.stat().st_mode & 0o777 == 0o600
    exported = json.loads(target.read_text())
    assert [each["conversation_id"] for each in exported["conversations"]] == [IDS[2], IDS[5]]
    assert exported["conversations"][0]["details"]["participants"][0]["participantName"] == CANARY
    assert len(exported["conversations"][0]["versions"]) == len(exported["conversations"][0]["events"]) == 1
    assert CANARY in exported["dead_letters"][0]["payload"]


def test_an_export_has_a_letter_at_a_time_in_memory(tmp_path: Path) -> None:
    """Of eight dead letters of a megabyte each, all in the file, no more than a few megabytes."""
    path, target = tmp_path / "rollbook.db", tmp_path / "her.json"
    insert = "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('sqs', ?, 'x', ?)"
    with Book.open(path, pack="none") as book:
        letter = f"{NUMBER} \0{'x' * 1_000_000}"
        book.write(lambda db: db.executemany(insert, [(letter, at(each)) for each in range(8)])).result()
        found = finding.Found(dead_letters={str(each): set() for each in range(1, 9)})
        tracemalloc.start()
        request.write_export(book, found, target, at(55))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    exported = json.loads(target.read_text())
    assert [each["payload"] for each in exported["dead_letters"]] == [letter] * 8
    assert (exported["users"], exported["conversations"], peak < 7_000_000) == ([], [], True)


@pytest.mark.parametrize("option", ["--export", "--html"])
@pytest.mark.parametrize("folder", [".", "/"])
def test_a_file_that_is_a_folder_is_refused_before_anybody_is_erased(
    option: str, folder: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line; nothing of the store has changed, and no key is made."""
    monkeypatch.chdir(tmp_path)
    before = bytes_of(store)
    ran = command(cli, ["forget", "--phone", NUMBER, option, folder, "--db", str(store)])
    assert (ran.exit_code, ran.output) == (2, f"rollbook: {folder} is a folder; give the path of a file\n")
    assert (bytes_of(store), key_file(store).exists()) == (before, False)


def test_a_backup_is_erased_again_when_it_is_restored(store: Path, tmp_path: Path) -> None:
    """Tombstones and record come along from the store that was there; the file has nothing of her."""
    copied = back_up(store, tmp_path / "copy.db", at=NOW, how=Manner())
    erase(store, HERS, ticket="GDPR 12")
    assert len(hers(copied.path.read_bytes())) == 3
    restored = restore(copied.path, store, at=NOW, how=Manner())
    assert restored.erased == 2
    assert hers(bytes_of(store)) == []
    assert query(store, "SELECT ticket FROM erasures") == [("GDPR 12",)]
    assert query(store, "SELECT count(*) FROM tombstones WHERE erased_at IS NOT NULL") == [(3,)]
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_a_dictionary_with_her_data_is_replaced(store: Path) -> None:
    """Bodies are unpacked and stay the same; while somebody else is at work it is said, and done the next time."""
    zstd = pytest.importorskip("rollbook.store.bodies.frames")
    if not zstd.available():
        pytest.skip("this Python has no zstd")
    content = zstd.learn([f'{{"n": {n}, "ani": "tel:{NUMBER}", "x": "{n * 7919}"}}'.encode() * 3 for n in range(400)])
    assert content is not None
    assert NUMBER.encode() in content
    with Book.open(store, pack="none") as book:
        made = Dictionary(zstd.dictionary_id(content), content)
        book.write(dictionaries.keep, "events", made, at(1), before=None).result()
    with Book.open(store, pack="events") as book:
        book.write(events.record, [event(each, "+4940111", "Later") for each in (0, 1, 3)], LAG).result()
        assert book.read_now(
            lambda db: db.execute("SELECT count(*) FROM events WHERE typeof(body) = 'blob'").fetchone()
        ) == (3,)
        before = book.read_now(lambda db: db.execute("SELECT count(*) FROM events").fetchone())
    with Book.open(store, pack="none") as book:
        done = request.forget(book, HERS, at(55), by="dpo")
        left = remains.remove(store, done.found, at(55), Manner(), journal="wal", patience=0.5).left
        assert any("packed with a part of what was erased" in sentence for sentence in left)
    assert not remains.remove(store, done.found, at(55), Manner(), journal="wal")
    assert query(store, "SELECT count(*) FROM dictionaries") == [(0,)]
    assert query(store, "SELECT count(*), sum(typeof(body) = 'text') FROM events") == [(before[0], before[0])]
    assert hers(bytes_of(store)) == []


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Book]:
    """A book of this version that stays open."""
    with Book.open(tmp_path / "rollbook.db", pack="none") as book:
        fill(book)
        yield book


def test_beside_a_daemon_the_log_is_emptied_by_it(daemon: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to; between two of its commits the log is cut, and no byte of her is left, while it goes on."""
    pauses: list[float] = []

    def commit(seconds: float) -> None:
        pauses.append(seconds)
        daemon.write(lambda db: db.execute("UPDATE store_notes SET value = value")).result()

    monkeypatch.setattr(remains, "_pause", commit)
    monkeypatch.setattr(remains, "_is_in_files", lambda *_: False)  # in this process its book has the file open
    with Book.open(daemon.path, pack="none") as book:
        done = request.forget(book, HERS, at(55), by="dpo")
    assert remains.remove(daemon.path, done.found, at(55), Manner(), journal="wal").left == []
    assert pauses
    assert daemon.read_now(lambda db: db.execute("SELECT overwritten_at FROM erasures").fetchall()) == [(at(55),)]
    copy = daemon.path.with_name("copied")
    for suffix in ("", "-wal"):
        Path(f"{copy}{suffix}").write_bytes(Path(f"{daemon.path}{suffix}").read_bytes())
    assert hers(bytes_of(copy)) == []


@pytest.mark.process
async def test_the_command_says_what_it_did(store: Path) -> None:
    """A look, a refusal in one line, and the erasure, after which nothing of her is there; the record names the ticket."""
    env = {"ROLLBOOK_DB": str(store)}
    looked = await rollbook("forget", "--phone", "030 1234567", "--dry-run", "--json", env=env, cwd=store.parent)
    assert json.loads(looked.out)["conversations"] == [IDS[2], IDS[5]]
    refused = await rollbook("forget", env=env, cwd=store.parent)
    assert (refused.status, refused.out) == (2, "")
    done = await rollbook("forget", "--phone", "030 1234567", "--ticket", "GDPR 7", env=env, cwd=store.parent)
    assert done.status == 0
    assert "Erased (2 conversations), and overwritten" in done.out
    assert NUMBER not in done.out + done.err
    assert query(store, "SELECT ticket FROM erasures WHERE overwritten_at IS NOT NULL") == [("GDPR 7",)]
    assert hers(bytes_of(store)) == []
