"""`rollbook browse`: what Datasette is told of a store fits the store, and its pages show names and texts."""

import asyncio
import re
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.named import NameKind
from rollbook.store.book import Book
from rollbook.store.browse import about_tables, server
from rollbook.store.browse.about_tables import PAGES, QUERIES
from rollbook.store.plugin import prepare_connection
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import events, names
from tests.helpers.docs_pages import generator
from tests.helpers.whole import start, until
from tests.store.test_events import IDS, detail

QUEUE, HOSTILE = "a1b2c3d4-1111-4222-8333-000000000001", "<script>alert(1)</script>"
# What is there for the program, or for other views.
INNER = {
    "alerts", "asked_by_id", "channels", "contested_pieces", "contested_proofs", "conversation_ids", "dictionaries", "ids_met", "leg_metrics",
    "leg_parts", "local_days", "name_listings", "proven_spans", "ranked_windows", "store_notes", "store_sizes", "texts", "tombstones",
    "topic_sets", "unfinished_readings", "view_settings", "zone_offsets",
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a detail event of a queue whose name is hostile."""
    made = tmp_path_factory.mktemp("browse") / "book.db"
    with Book.open(made) as book:
        listing = NameListing("2026-03-01T00:00:00.000Z", {QUEUE: ListedName(QUEUE, HOSTILE)}, whole=True)
        book.write(names.take, NameKind.QUEUE, listing).result()
        book.write(events.record, [detail(1, queueId=QUEUE)], book.lag).result()
        book.write(lambda db: db.execute("INSERT INTO resolution_rows (id, queue_id) VALUES (1048576, ?)", (QUEUE,)))
    return made


def test_every_table_that_people_read_has_a_page() -> None:
    """A table or view of a new store is described, or is an inner one; its facets and its order are columns of it."""
    tables = generator().tables()
    assert set(PAGES) | INNER >= set(tables)
    assert set(PAGES) <= set(tables)
    for name, page in PAGES.items():
        facets = [facet if isinstance(facet, str) else facet["array"] for facet in page.facets]
        assert {*facets, *([page.newest] if page.newest else [])} <= set(tables[name]), name


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_can_be_asked(name: str, path: Path) -> None:
    """It runs on a store with any value of its parameters, and only reads."""
    query = QUERIES[name]
    values = dict.fromkeys(re.findall(r":([a-z_]+)", query.sql), "2026-03-02")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        prepare_connection(connection)
        connection.execute(query.sql, values).fetchall()
    assert query.sql.startswith("SELECT")


def test_the_metadata_names_all_of_it() -> None:
    """Each page and each query is in the metadata of the store's database; a table behind a view is hidden."""
    found = about_tables.metadata("book", "rollbook: Acme", ["gaps", "gap_rows"])
    of_book = found["databases"]["book"]
    assert of_book["tables"].pop("gap_rows") == {"hidden": True}
    assert (set(of_book["tables"]), set(of_book["queries"])) == (set(PAGES), set(QUERIES))
    assert of_book["tables"]["gaps"]["facets"] == ["kind", "cause"]


@pytest.fixture
async def datasette(path: Path) -> Any:
    """Datasette as the command makes it."""
    made = server.application(path, "Acme")
    await made.invoke_startup()
    return made


async def test_pages_show_names_links_and_texts(datasette: Any) -> None:
    """A name stands for its id, escaped; a conversation's id leads to its page; a body is text; JSON has what is stored."""
    page = (await datasette.client.get("/book/resolutions")).text
    assert f'<span title="{QUEUE}">&lt;script&gt;' in page
    assert HOSTILE not in page
    assert f'<a href="/book/conversation?conversation_id={IDS[1]}">{IDS[1]}</a>' in page
    assert QUEUE in (await datasette.client.get("/book/resolutions.json")).text
    shown = await datasette.client.get(f"/book/events_of_a_conversation?conversation_id={IDS[1]}")
    assert shown.status_code == 200
    assert "conversationId" in shown.text
    front = await datasette.client.get("/")
    assert "rollbook: Acme" in front.text


def test_a_file_beside_which_nobody_may_write_cannot_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened as such; else for reading only."""
    assert [each.is_mutable for each in server.application(path, None).databases.values() if each.path] == [True]
    monkeypatch.setattr("os.access", lambda *_: False)
    assert [each.is_mutable for each in server.application(path, None).databases.values() if each.path] == [False]


def test_without_datasette_it_says_how_to_have_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the extra."""
    monkeypatch.setitem(sys.modules, "datasette.app", None)
    with pytest.raises(RollbookError, match=r"rollbook\[browse\]"):
        server.application(path, None)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"127.0.0.1:8001", 200),
        (b"localhost", 200),
        (b"evil.example:8001", 421),
        (b"127.0.0.1.evil.example", 421),
        (b"", 421),
        (b"localhost:evil", 421),
    ],
)
async def test_only_a_name_of_this_machine_is_answered(host: bytes, status: int) -> None:
    """A stranger's name that leads here gets nothing of the store."""
    sent: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await server.only_this_machine(app)({"type": "http", "headers": [(b"host", host)]}, None, send)
    assert sent[0]["status"] == status


@pytest.mark.process
async def test_it_answers_until_it_is_stopped(path: Path, tmp_path: Path) -> None:
    """It says its address once it answers there, on this machine alone; SIGTERM ends it with status 0."""
    process = await start("browse", "--port", "0", "--db", str(path), env={}, cwd=tmp_path)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    assert found is not None, line
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
    writer.write(f"GET /book.json HTTP/1.1\r\nHost: 127.0.0.1:{found[1]}\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    process.send_signal(signal.SIGTERM)
    await until(lambda: process.returncode is not None)
    assert process.returncode == 0
