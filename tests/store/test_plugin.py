"""The SQL function `rollbook_text` in Datasette and sqlite-utils; and the file as every other program sees it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest

from rollbook.store.book import Book
from rollbook.store.plugin import prepare_connection
from rollbook.store.upkeep.repack import repack
from tests.helpers.whole import environment
from tests.store.test_frames import bodies
from tests.store.test_packing import write

EVERY = bodies(30, 150)
QUERY = "SELECT event_id, topic, rollbook_text(body) AS body FROM events ORDER BY event_id LIMIT 2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with 150 packed events, and one that came later and is plain."""
    with Book.open(tmp_path / "book.db", pack="none") as book:
        book.write(write, EVERY[:-1]).result()
        repack(book, "events", rest=lambda _: None)
        book.write(write, EVERY[-1:]).result()
    return tmp_path / "book.db"


# Datasette with no plugin but its own.
ALONE = ("-c", "import sys; sys._called_from_test = True; from datasette.cli import cli; cli()")


def run(*words: str) -> str:
    """What Python prints when it is called with these words."""
    ran = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment({}))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def expected() -> list[dict[str, object]]:
    """The first two events as the query answers them."""
    return [{"event_id": number, "topic": "v2.x", "body": EVERY[number - 1].decode()} for number in (1, 2)]


@pytest.mark.process
def test_sqlite_utils_unpacks(path: Path) -> None:
    """`sqlite-utils query` knows the function, because the package is installed beside it."""
    assert json.loads(run("-m", "sqlite_utils", "query", str(path), QUERY)) == expected()


@pytest.mark.process
def test_sqlite_utils_unpacks_from_an_attached_store(path: Path, tmp_path: Path) -> None:
    """A store that is attached under another name brings its dictionaries with it."""
    query = QUERY.replace("FROM events", "FROM book.events")
    found = run("-m", "sqlite_utils", "query", str(tmp_path / "other.db"), query, "--attach", "book", str(path))
    assert json.loads(found) == expected()


@pytest.mark.process
def test_datasette_unpacks(path: Path) -> None:
    """Datasette answers the function, and its page of the view opens as that of a table does."""
    answer = json.loads(run("-m", "datasette", str(path), "--get", f"/book.json?sql={quote(QUERY)}&_shape=array"))
    assert answer == expected()
    page = run("-m", "datasette", str(path), "--get", "/book/events?_size=2")
    assert escape(EVERY[0].decode(), quote=True).replace("&quot;", "&#34;") in page
    assert "Binary" in page  # the identity


@pytest.mark.process
def test_datasette_without_the_plugin_opens_the_views(path: Path) -> None:
    """Where Datasette stands by itself, a packed body is a link to its bytes, on the page of the view as of a table."""
    page = run(*ALONE, str(path), "--get", "/book/events?_size=2")
    assert page.count("Binary") == 4
    assert 'href="/book/events/1.blob?_blob_column=body"' in page


def test_every_row_is_text_by_the_function(path: Path) -> None:
    """Packed and plain rows, null and numbers: a body is its text, and what is no body is as it was."""
    with closing(sqlite3.connect(path)) as connection:
        prepare_connection(connection)
        found = connection.execute("SELECT rollbook_text(body) FROM events ORDER BY event_id").fetchall()
        assert [body.encode() for (body,) in found] == EVERY
        assert connection.execute("SELECT rollbook_text(NULL), rollbook_text(7), rollbook_text('a')").fetchone() == (
            None,
            7,
            "a",
        )
        json_of = "SELECT count(*) FROM events WHERE json_extract(rollbook_text(body), '$.mediaType') = 'VOICE'"
        assert connection.execute(json_of).fetchone() == (150,)


def test_a_body_that_cannot_be_read_is_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken frame makes the query fail, and one line on standard error says why."""
    with closing(sqlite3.connect(path)) as connection:
        prepare_connection(connection)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("SELECT rollbook_text(substr(body, 1, 40)) FROM events").fetchall()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rollbook_text: a packed body cannot be read (")


def test_the_file_opens_in_any_program(path: Path) -> None:
    """Without the plugin every table and view is read as ever; a packed body is a BLOB that begins as zstd's frames do."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        for (name,) in names:
            connection.execute(f'SELECT * FROM "{name}"').fetchall()
        kinds = connection.execute("SELECT typeof(body), hex(substr(body, 1, 4)) FROM events").fetchall()
        assert set(kinds[:-1]) == {("blob", "28B52FFD")}
        assert kinds[-1][0] == "text"
        with pytest.raises(sqlite3.OperationalError, match="no such function"):
            connection.execute(QUERY)
