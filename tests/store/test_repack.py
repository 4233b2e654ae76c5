"""`rollbook pack`: stored bodies are brought in line with the setting, whatever happens meanwhile, and none is lost."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.commands import cli
from rollbook.genesys.errors import StoreError
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.packing import Mode
from rollbook.store.book import Book
from rollbook.store.upkeep import repack as module
from rollbook.store.upkeep.repack import repack
from tests.helpers.paths import ROOT
from tests.helpers.peek import command
from tests.helpers.whole import environment
from tests.store.test_frames import FIRST, SECOND, bodies
from tests.store.test_packing import AT, dictionary, read, stored, write

DETAILS = [b'{"conversationId":"%d",' % number + raw[1:] for number, raw in enumerate(bodies(21, 300))]


def fill(connection: sqlite3.Connection, raw: list[bytes]) -> None:
    """Store events with these bodies, and conversations with details, of which every third was rewritten once."""
    write(connection, raw)
    for number, details in enumerate(DETAILS, 1):
        connection.execute("INSERT INTO conversation_ids VALUES (?, ?)", (number, f"c{number}"))
        connection.execute("INSERT INTO detail_rows VALUES (?, ?)", (number, details.decode()))
        if number % 3 == 0:
            connection.execute("INSERT INTO version_rows VALUES (?, ?, ?, ?)", (number, AT, AT, details.decode()))


def contents(path: Path) -> dict[str, list[str]]:
    """Every body of the store, unpacked, by the table that has it."""
    with Book.open(path, mode="ro") as book:
        return {part.name: book.read_now(_texts, part) for part in module.PARTS}


def _texts(connection: sqlite3.Connection, part: module.BodyColumn) -> list[str]:
    query = f"SELECT {part.column} FROM {part.table} ORDER BY {part.key}"
    return [packing.text(connection, value) for (value,) in connection.execute(query).fetchall()]


def kinds(path: Path) -> dict[str, dict[str, int]]:
    """How many bodies of each table are text, and how many are packed."""
    with closing(sqlite3.connect(path)) as other:
        return {
            part.name: dict(Counter(row[0] for row in other.execute(f"SELECT typeof({part.column}) FROM {part.table}")))
            for part in module.PARTS
        }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with 1,200 plain events and 300 plain details, 100 of them rewritten."""
    with Book.open(tmp_path / "book.db", pack="none") as book:
        book.write(fill, bodies(20, 1_200)).result()
    return tmp_path / "book.db"


def test_everything_goes_to_and_fro_byte_for_byte(path: Path) -> None:
    """From plain to `all`, to `events`, to `none`: each table is as the setting says, and every body as it was."""
    before, plain = contents(path), kinds(path)
    assert plain == {"events": {"text": 1_200}, "details": {"text": 300}, "versions": {"text": 100}}
    expected: dict[Mode, dict[str, dict[str, int]]] = {
        "all": {"events": {"blob": 1_200}, "details": {"blob": 300}, "versions": {"blob": 100}},
        "events": {"events": {"blob": 1_200}, "details": {"text": 300}, "versions": {"text": 100}},
        "none": plain,
    }
    for mode, wanted in expected.items():
        with Book.open(path, mode="r+") as book:
            done = repack(book, mode, rest=lambda _: None)
        assert kinds(path) == wanted
        assert contents(path) == before
        changed = {name: (counts.packed, counts.unpacked) for name, counts in done.items()}
        if mode == "all":
            assert changed == {"events": (1_200, 0), "details": (300, 0), "versions": (100, 0)}
            assert all(counts.bytes_after < counts.bytes_before / 2 for counts in done.values())


def test_a_store_that_is_in_line_is_not_written(path: Path) -> None:
    """The second run looks at every row and changes none."""
    for expected in (1_600, 0):
        with Book.open(path, mode="r+") as book:
            done = repack(book, "all", rest=lambda _: None)
        assert sum(counts.packed for counts in done.values()) == expected
        assert sum(counts.rows for counts in done.values()) == 1_600


def test_a_new_dictionary_packs_everything_anew(path: Path) -> None:
    """`--learn` leaves no row under an older dictionary, keeps that dictionary, and changes no body."""
    before = contents(path)
    with Book.open(path, mode="r+") as book:
        book.write(dictionaries.keep, "events", dictionary(FIRST), AT, before=None).result()
        repack(book, "events", rest=lambda _: None)
    assert {frames.dictionary_of(value) for value in stored(path) if isinstance(value, bytes)} == {
        frames.dictionary_id(FIRST)
    }
    with Book.open(path, mode="r+") as book:
        repack(book, "events", learn=True, rest=lambda _: None)
        (new,) = {frames.dictionary_of(value) for value in stored(path) if isinstance(value, bytes)}
        newest = book.read_now(dictionaries.newest, "events")
        assert newest is not None
        assert newest.dictionary_id == new != frames.dictionary_id(FIRST)
        assert book.read_now(dictionaries.body, frames.dictionary_id(FIRST)) == FIRST
    assert contents(path) == before


def test_too_few_bodies_stay_plain(tmp_path: Path) -> None:
    """Where there is nothing to learn from nothing is packed, and nobody is told of an error."""
    with Book.open(tmp_path / "book.db") as book:
        book.write(write, bodies(22, frames.FEWEST - 1)).result()
        done = repack(book, "all", rest=lambda _: None)
    assert sum(counts.packed for counts in done.values()) == 0
    assert {type(value) for value in stored(tmp_path / "book.db")} == {str}


def test_what_is_written_meanwhile_is_kept(path: Path) -> None:
    """Events that come between two steps, packed or plain, are in the store afterwards with all the others."""
    more = bodies(23, 40)
    with Book.open(path, mode="r+") as book:
        left = list(more)

        def come(_: str, __: float) -> None:
            if left:
                book.write(write, [left.pop()]).result()

        repack(book, "all", on_step=come, rest=lambda _: None)
        book.write(write, left).result()
        found = book.read_now(read)
    assert Counter(found) == Counter(raw.decode() for raw in [*bodies(20, 1_200), *more])


def test_a_broken_row_stays_and_is_counted(path: Path) -> None:
    """A frame that cannot be unpacked is left as it is; all others are brought in line, and the command ends with 1."""
    with Book.open(path, mode="r+") as book:
        repack(book, "events", rest=lambda _: None)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE event_rows SET body = substr(body, 1, length(body) - 3) WHERE event_id = 7")
        other.execute("UPDATE event_rows SET body = x'00' WHERE event_id = 9")
        broken = other.execute("SELECT body FROM event_rows WHERE event_id IN (7, 9)").fetchall()
    ran = command(cli, ["pack", "--db", str(path), "--json"], env={"ROLLBOOK_PACK": "none"})
    assert ran.exit_code == 1, ran.output
    assert json.loads(ran.stdout)["events"]["damaged"] == 2
    assert kinds(path)["events"] == {"text": 1_198, "blob": 2}
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT body FROM event_rows WHERE event_id IN (7, 9)").fetchall() == broken


KILLED = """
import os, sys
from rollbook.store.book import Book
from rollbook.store.upkeep.repack import repack
steps = []
def on_step(name, share):
    steps.append(name)
    if len(steps) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
with Book.open(sys.argv[1], mode="r+") as book:
    repack(book, sys.argv[3], on_step=on_step, rest=lambda _: None)
"""


@pytest.mark.process
def test_a_run_that_is_killed_is_gone_on_with(path: Path) -> None:
    """kill -9 in the middle, packing and unpacking: what was done stays, nothing is lost, the next run ends it."""
    before = contents(path)
    for mode in ("all", "none"):
        for step in (1, 2):
            words = [sys.executable, "-c", KILLED, str(path), str(step), mode]
            ran = subprocess.run(words, env=environment({}), cwd=ROOT, check=False)
            assert ran.returncode == -signal.SIGKILL
            assert contents(path) == before
        assert set(kinds(path)["events"]) == {"blob", "text"}
        with Book.open(path, mode="r+") as book:
            done = repack(book, mode, rest=lambda _: None)
        assert 0 < done["events"].packed + done["events"].unpacked < 1_200
        assert contents(path) == before
        assert all(len(found) == 1 for found in kinds(path).values())


def test_the_command_says_what_it_did(path: Path) -> None:
    """Words for a person, with the room that was won; a second run says that there is nothing to do."""
    first, second = (command(cli, ["pack", "--db", str(path)], env={"ROLLBOOK_PACK": "all"}) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    assert "events    1,200 packed: 0." in first.stdout
    assert "rollbook compact" in first.stdout
    assert second.stdout.splitlines() == [
        "events    1,200 looked at, nothing to do",
        "details   300 looked at, nothing to do",
        "versions  100 looked at, nothing to do",
    ]


def test_without_zstd_packing_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that has no zstd cannot pack: one line; to have everything plain asks for nothing where all is plain."""
    monkeypatch.setattr(frames._Zstd, "module", None)
    monkeypatch.setattr(frames._Zstd, "sought", True)
    with Book.open(path, mode="r+") as book:
        with pytest.raises(StoreError, match=r"pip install backports\.zstd"):
            repack(book, "events")
        repack(book, "none")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_row_says_itself_whether_it_is_in_line(value: object) -> None:
    """A body's own beginning decides: plain, packed with this dictionary, or packed with another."""
    raw = json.dumps(value).encode()
    first, second = (
        module._With(frames.dictionary_id(content), frames.packer(content, frames.SMALL)) for content in (FIRST, SECOND)
    )
    header = first.packer(raw)[: module._HEADER]
    assert [module._is_in_line(header, other) for other in (first, second, None)] == [True, False, False]
    assert [module._is_in_line(None, other) for other in (first, None)] == [False, True]
