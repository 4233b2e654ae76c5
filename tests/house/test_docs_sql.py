"""The documentation against the store: all SQL in the pages runs, and docs/store.md has every table and column."""

import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from rollbook.genesys.privacy.personal_fields import PATHS
from rollbook.simulator import Simulator
from tests.helpers.docs_pages import DOCS, all_pages, by_hand, fences, generator, spans
from tests.helpers.paths import EXAMPLES, ROOT
from tests.helpers.whole import rollbook

PAGE = DOCS / "store.md"
# What store.md sends its reader to for the views that are made of its tables.
VIEWS_PAGE = DOCS / "views.md"
EVENTS = EXAMPLES / "eventbridge_detail_events.jsonl"


class Statement(NamedTuple):
    """A statement that a page shows."""

    page: Path
    sql: str


def statements() -> Iterator[Statement]:
    """Each statement of the SQL in the pages: whole blocks, and what a shell hands to sqlite3."""
    for fence in fences("sql"):
        yield from _split(fence.page, fence.text)
    for fence in fences("sh"):
        for command in re.findall(r'^sqlite3 .*?"[^"]*"', fence.text, re.DOTALL | re.MULTILINE):
            yield from _split(fence.page, shlex.split(command)[-1])


def _split(page: Path, text: str) -> Iterator[Statement]:
    rest = ""
    for part in text.split(";"):
        rest += f"{part};"
        if sqlite3.complete_statement(rest):
            bare = re.sub(r"--.*", "", rest).strip()
            if bare != ";":
                yield Statement(page, bare)
            rest = ""
    assert not rest, f"{page.name}: no whole statement: {rest}"


async def _filled(folder: Path) -> Path:
    """A store with two hours of a simulated organisation, read by `rollbook reconcile`, and some events.

    Of the earlier hour all has ended.
    """
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    async with Simulator(seed=3, start=now - timedelta(hours=32), per_hour=90, rate_limit=100_000) as organisation:
        organisation.clock.advance(datetime.now(UTC) - organisation.now())
        ran = await rollbook("ingest", str(EVENTS), env=organisation.env, cwd=folder)
        assert ran.status == 0, ran.err
        for hours in (31, 3):
            window = f"{now - timedelta(hours=hours):%Y-%m-%dT%H:%MZ}/PT1H"
            ran = await rollbook("reconcile", "--window", window, env=organisation.env, cwd=folder)
            assert ran.status == 0, ran.err
        ran = await rollbook("names", "--refresh", env=organisation.env, cwd=folder)
        assert ran.status == 0, ran.err
    return folder / "rollbook.db"


@pytest.mark.process
async def test_all_sql_of_the_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement runs on a store that was filled as users fill theirs, and each question has an answer."""
    shown = list(statements())
    assert {statement.page.name for statement in shown} >= {"README.md", "store.md"}
    filled = await _filled(tmp_path)
    monkeypatch.chdir(tmp_path)
    for number, statement in enumerate(shown):
        connection = sqlite3.connect(shutil.copy(filled, f"{number}.db"), isolation_level=None)
        found = connection.execute(statement.sql).fetchall()
        connection.close()
        if statement.sql.startswith("SELECT"):
            assert found, f"{statement.page.name}: nothing found by {statement.sql}"


def test_the_columns_of_the_page_are_those_of_a_new_store() -> None:
    """docs/store.md has every table and column, as `python docs/generate.py` writes them now."""
    assert generator().columns() in PAGE.read_text(encoding="utf-8"), "run `python docs/generate.py`"


def _made_of_details() -> set[str]:
    """The tables whose columns have the API's own names, which the page does not explain again."""
    first = re.search(r"\*\*Child tables\*\*.*?\.", by_hand(PAGE.read_text(encoding="utf-8")), re.DOTALL)
    assert first is not None
    return set(spans(first[0])) & set(generator().tables())


def _both_pages() -> str:
    return "\n\n".join(by_hand(page.read_text(encoding="utf-8")) for page in (PAGE, VIEWS_PAGE))


def test_each_table_and_column_is_explained() -> None:
    """Each table is named in a sentence, and so is each column of those that the API has no names for."""
    text = _both_pages()
    words = {word for span in spans(text) for word in re.findall(r"\w+", span)}
    tables = generator().tables()
    assert len(_made_of_details()) == 10
    for table, columns in tables.items():
        assert table in words, table
        if table not in _made_of_details():
            assert set(columns) <= words, f"{table}: {set(columns) - words}"


def test_each_table_and_column_that_the_page_names_exists() -> None:
    """A table in bold, and each column in a table of columns, is in a new store."""
    text = _both_pages()
    tables = generator().tables()
    bold = set(re.findall(r"\*\*`(\w+)`\*\*|^## `(?=\w)(\w+)`", text, re.MULTILINE))
    bold = {name for names in bold for name in names if name}
    assert set(tables) - _made_of_details() <= bold
    assert bold <= set(tables)
    columns = {column for found in tables.values() for column in found}
    for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE):
        assert set(spans(row)) <= columns, row


def test_each_table_dot_column_that_a_page_names_exists() -> None:
    """`table.column` in any page is a column of that table."""
    tables = generator().tables()
    paths = {path for field_class in PATHS.values() for path in field_class}  # of the platform's fields: no columns
    for page, text in all_pages().items():
        if page.name.startswith("simulator"):
            continue  # its names are the platform's: no store
        for span in set(spans(text)) - paths:
            table, dot, column = span.partition(".")
            if dot and table in tables and re.fullmatch(r"[a-z_]+", column) and column not in ("py", "md"):
                known = column in tables[table] or _is_a_module(table, column)
                assert known, f"{page.relative_to(ROOT)}: {span}"


def _is_a_module(name: str, member: str) -> bool:
    """Say whether a module of the store has that name and defines the member."""
    return any(
        re.search(rf"^(?:async )?def {member}\b", path.read_text(), re.MULTILINE)
        for path in (ROOT / "rollbook" / "store").rglob(f"{name}.py")
    )
