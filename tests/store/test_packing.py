"""Packed bodies in a store: what is packed and when, by which dictionary, and that every row is read the same."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.dictionaries import SAMPLES, Dictionary, Kind
from rollbook.store.bodies.packing import Mode, PackingConnection
from rollbook.store.book import Book
from rollbook.store.file.errors import StoreDamaged
from tests.store.test_frames import FIRST, SECOND, bodies

AT = "2026-03-02T10:00:00.000Z"


def dictionary(content: bytes) -> Dictionary:
    """A dictionary as it is stored."""
    return Dictionary(frames.dictionary_id(content), content)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[PackingConnection]:
    """A connection to a new store, which packs nothing yet."""
    Book.open(tmp_path / "book.db").close()
    with closing(sqlite3.connect(tmp_path / "book.db", isolation_level=None, factory=PackingConnection)) as made:
        yield made


def write(connection: sqlite3.Connection, raw: Sequence[bytes]) -> None:
    """Store events with these bodies, as the tables do."""
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    connection.execute("INSERT OR IGNORE INTO texts (text_id, text) VALUES (1, 'v2.x')")
    connection.executemany(
        "INSERT INTO event_rows (topic, received_at, source, body, identity) VALUES (1, ?, 1, ?, randomblob(16))",
        [(AT, packing.pack(connection, "events", body)) for body in raw],
    )
    if alone:
        connection.execute("COMMIT")


def stored(path: Path) -> list[str | bytes]:
    """The bodies of events as they stand in the file."""
    with closing(sqlite3.connect(path)) as other:
        return [row[0] for row in other.execute("SELECT body FROM event_rows ORDER BY event_id")]


def read(connection: sqlite3.Connection) -> list[str]:
    """The bodies of events as the tables read them, by the name that people use."""
    rows = connection.execute("SELECT body FROM events ORDER BY event_id").fetchall()
    return [packing.text(connection, value) for (value,) in rows]


def learn_to_the_end(book: Book) -> None:
    """Wait until the writer has looked what there is to learn, and for what is being learnt then."""
    for _ in range(2):  # the first may be written before the look that the last commit asked for
        book.write(lambda _: None).result()
    for thread in threading.enumerate():
        while thread.name == "store-learner":
            # One that the writer is just starting cannot be waited for yet.
            with contextlib.suppress(RuntimeError):
                thread.join()
                break


def test_a_store_learns_its_dictionary_and_packs_from_then_on(tmp_path: Path) -> None:
    """The first bodies stay plain; once as many are stored as a dictionary needs, the next are packed; all are read."""
    every = bodies(1, SAMPLES["events"] + 400)
    path = tmp_path / "book.db"
    with Book.open(path) as book:
        for at in range(0, len(every), 100):
            book.write(write, every[at : at + 100]).result()
            learn_to_the_end(book)
        assert [body.encode() for body in book.read_now(read)] == every
    found = stored(path)
    plain = [value for value in found if isinstance(value, str)]
    assert len(plain) >= SAMPLES["events"]
    assert found == plain + [value for value in found if isinstance(value, bytes)]
    assert len(found) - len(plain) >= 100
    # What comes next is packed with the first body, in a new process as in this.
    with Book.open(path) as book:
        book.write(write, [every[0]]).result()
        assert book.read_now(read)[-1].encode() == every[0]
    assert isinstance(stored(path)[-1], bytes)


def test_a_frame_never_names_a_dictionary_that_is_not_committed(tmp_path: Path) -> None:
    """Whenever a packed body is committed, another connection finds its dictionary."""
    path = tmp_path / "book.db"
    every = bodies(2, SAMPLES["events"] + 600)
    with Book.open(path) as book, closing(sqlite3.connect(path, isolation_level=None)) as other:
        for at in range(0, len(every), 40):
            book.write(write, every[at : at + 40]).result()
            known = {row[0] for row in other.execute("SELECT dictionary_id FROM dictionaries")}
            packed = [row[0] for row in other.execute("SELECT body FROM event_rows WHERE typeof(body) = 'blob'")]
            assert {frames.dictionary_of(value) for value in packed} <= known
            if at > SAMPLES["events"]:
                learn_to_the_end(book)
        assert packed


@pytest.mark.parametrize(("mode", "packed"), [("none", set()), ("events", {"events"}), ("all", {"events", "details"})])
def test_the_setting_says_what_is_packed(tmp_path: Path, mode: Mode, packed: set[str]) -> None:
    """`none` packs nothing though the store has dictionaries, `events` events, `all` details too."""
    path = tmp_path / "book.db"
    Book.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        dictionaries.keep(other, "events", dictionary(FIRST), AT, before=None)
        dictionaries.keep(other, "details", dictionary(SECOND), AT, before=None)
    raw = bodies(3)[0]
    with Book.open(path, pack=mode) as book:
        kinds: tuple[Kind, ...] = ("events", "details")
        values = {kind: book.write(packing.pack, kind, raw).result() for kind in kinds}
        assert {kind for kind, value in values.items() if isinstance(value, bytearray)} == packed
        assert {book.read_now(packing.text, _bound(value)).encode() for value in values.values()} == {raw}


def _bound(value: str | bytearray) -> str | bytes:
    """The value as SQLite gives it back."""
    return value if isinstance(value, str) else bytes(value)


def test_plain_rows_and_rows_of_two_dictionaries_are_read_alike(connection: PackingConnection) -> None:
    """A store that was plain, then packed, then packed with a newer dictionary gives every body back."""
    every = bodies(4, 30)
    write(connection, every[:10])
    for content, before, part in ((FIRST, None, every[10:20]), (SECOND, dictionary(FIRST), every[20:])):
        kept = dictionaries.keep(
            connection, "events", dictionary(content), AT, before=before.dictionary_id if before else None
        )
        assert kept == dictionary(content)
        packing.use(connection, "events", content)
        write(connection, part)
    kinds = connection.execute("SELECT typeof(body), count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
    assert kinds == [("blob", 20), ("text", 10)]
    assert [body.encode() for body in read(connection)] == every
    with closing(sqlite3.connect(_path(connection))) as other:
        assert [body.encode() for body in read(other)] == every


def _path(connection: sqlite3.Connection) -> str:
    name: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return name


@given(st.text(max_size=3_000))
def test_any_text_comes_back(text: str) -> None:
    """Whatever a body is, packed or plain, the same text comes back: NUL, quotes and all alphabets with it."""
    connection = sqlite3.connect(":memory:", factory=PackingConnection)
    connection.execute("CREATE TABLE dictionaries (dictionary_id INTEGER PRIMARY KEY, kind, made_at, body)")
    dictionaries.keep(connection, "events", dictionary(FIRST), AT, before=None)
    packing.use(connection, "events", FIRST)
    raw = text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "replace")
    value = packing.pack(connection, "events", raw)
    (back,) = connection.execute("SELECT ?", (value,)).fetchone()
    assert packing.text(connection, back).encode() == raw
    connection.close()


def test_a_body_that_packing_does_not_make_smaller_stays_plain(connection: PackingConnection) -> None:
    """Texts of a few bytes, and those in which nothing comes twice, are not packed."""
    packing.use(connection, "events", FIRST)
    assert packing.pack(connection, "events", b"{}") == "{}"
    assert packing.pack(connection, "events", b"") == ""


def test_a_body_that_is_too_large_to_be_unpacked_stays_plain(
    connection: PackingConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound that reading has, nothing is packed: no row is written that cannot be read."""
    packing.use(connection, "events", FIRST)
    raw = bodies(5)[0]
    monkeypatch.setattr(frames, "LARGEST", len(raw) - 1)
    assert packing.pack(connection, "events", raw) == raw.decode()
    monkeypatch.setattr(frames, "LARGEST", len(raw))
    assert isinstance(packing.pack(connection, "events", raw), bytearray)


def test_bytes_that_are_no_text_are_refused(connection: PackingConnection) -> None:
    """A body that is no UTF-8 is a ValueError, whether its kind is packed or not."""
    for _ in range(2):
        with pytest.raises(ValueError, match="utf-8"):
            packing.pack(connection, "events", b'{"a":"\xff"}')
        packing.use(connection, "events", FIRST)


def test_a_missing_dictionary_is_one_clear_line(connection: PackingConnection) -> None:
    """A row whose dictionary is not in the store says which one is missing."""
    packing.use(connection, "events", FIRST)
    write(connection, bodies(6)[:1])
    number = frames.dictionary_id(FIRST)
    for name in (_path(connection), ":memory:"):
        with closing(sqlite3.connect(name)) as other:
            if name == ":memory:":
                other.execute("CREATE TABLE dictionaries (dictionary_id INTEGER PRIMARY KEY, body)")
            value = stored(Path(_path(connection)))[0]
            with pytest.raises(StoreDamaged, match=f"dictionary {number}, .*; the file is damaged: restore a copy"):
                packing.text(other, value)


def test_bytes_in_a_frame_that_are_no_text_are_one_clear_line(connection: PackingConnection) -> None:
    """A frame that holds something else than UTF-8 is damage, and no traceback."""
    dictionaries.keep(connection, "events", dictionary(FIRST), AT, before=None)
    frame = frames.packer(FIRST, frames.QUICK)(b"\xff" * 50)
    with pytest.raises(StoreDamaged, match="no UTF-8"):
        packing.text(connection, frame)


def test_of_two_programs_that_learn_the_first_is_believed(connection: PackingConnection) -> None:
    """Who learnt a dictionary while another program stored one takes that of the other."""
    first, second = dictionary(FIRST), dictionary(SECOND)
    assert dictionaries.keep(connection, "events", first, AT, before=None) == first
    assert dictionaries.keep(connection, "events", second, AT, before=None) == first
    assert connection.execute("SELECT count(*) FROM dictionaries").fetchone() == (1,)
    later = AT.replace("10:00", "11:00")
    assert dictionaries.keep(connection, "events", second, later, before=first.dictionary_id) == second
    assert dictionaries.newest(connection, "events") == second
    assert dictionaries.newest(connection, "details") is None


def test_a_writer_takes_over_the_dictionary_of_another_program(tmp_path: Path) -> None:
    """A daemon packs with what another process has stored since, without being started again."""
    path = tmp_path / "book.db"
    with Book.open(path) as book:
        book.write(write, bodies(7, 5)).result()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            dictionaries.keep(other, "events", dictionary(FIRST), AT, before=None)
        for raw in bodies(8, 10):
            book.write(write, [raw]).result()
    assert isinstance(stored(path)[0], str)
    assert isinstance(stored(path)[-1], bytes)


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("count", [0, 1, 50, 799, 800, 3_000])
def test_a_sample_is_spread_over_everything(connection: PackingConnection, count: int, step: int) -> None:
    """Bodies from the first to the last, none of them twice, and all where there are no more than are wanted."""
    write(connection, [str(number).encode() for number in range(count)])
    connection.execute("UPDATE event_rows SET event_id = -event_id")
    connection.execute("UPDATE event_rows SET event_id = -event_id * ?", (step,))
    found = [int(value) for value in dictionaries.sample(connection, "events")]
    assert found == sorted(set(found))
    assert len(found) == min(count, SAMPLES["events"])
    if count > SAMPLES["events"]:
        assert found[0] == 0
        assert found[-1] >= count - 5
        assert max(after - before for before, after in pairwise(found)) <= 5
