"""Exports: files by day that have what the store has, change when it does, and say what they rest on."""

from __future__ import annotations

import csv
import itertools
import json
import re
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator.organisation.world import World
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.dictionaries import Dictionary
from rollbook.store.bodies.packing import PackingConnection
from rollbook.store.book import Book
from rollbook.store.export import day_rows
from rollbook.store.export.columns import BY_NAME, EXPORTED, ColumnKind, Exported, chosen, kind_of
from rollbook.store.export.day_files import ExportOptions
from rollbook.store.export.exporting import Export, days_of, export, path_of
from rollbook.store.export.folder import Folder, made_aside
from rollbook.store.export.manifest import Manifest
from rollbook.store.export.parts import Format
from rollbook.store.file.errors import LockHeld
from rollbook.store.tables import conversations, events, schema
from rollbook.store.tables.conversations import Read
from tests.helpers.docs_pages import fences
from tests.helpers.paths import ROOT
from tests.store.test_events import event
from tests.store.test_frames import FIRST as CONTENT
from tests.store.test_views import FIRST, NOW, call, filled, window

LATER = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = Interval(FIRST, FIRST + timedelta(days=3))
DATES = ("2026-03-28", "2026-03-29", "2026-03-30")
# Columns of views that no file has: what is packed or binary stands apart, and a row's number means nothing elsewhere.
LEFT_OUT = {"conversations": {"details", "rowid"}, "conversation_versions": {"rowid"}, "events": {"rowid"}}
# Names in the store that are not exported: what others are made of, or what the store says of itself.
NOT_EXPORTED = set(
    "alerts asked_by_id erasures tombstones channels contested_proofs conversation_ids dictionaries ids_met leg_metrics leg_parts"
    " local_days name_changes name_listings names_now organization proven_spans ranked_windows readiness"
    " rejected_topics store_notes contested_pieces store_sizes texts topic_sets"
    " unfinished_readings unnamed_ids view_settings zone_offsets".split()
)


def odd_records() -> list[dict[str, Any]]:
    """Records of every shape, right and wrong, on the second day."""
    lines = (ROOT / "tests/data/child_rows.jsonl").read_text(encoding="utf-8").splitlines()
    start = to_text(FIRST + timedelta(hours=30))
    found = [json.loads(json.loads(line)["record"]) for line in lines]
    return [
        each | {"conversationId": f"odd{at}", "conversationStart": start}
        for at, each in enumerate(found)
        if isinstance(each, dict)
    ]


def write(db: sqlite3.Connection, records: Sequence[dict[str, Any]], at: str = NOW) -> None:
    """Write records as a run does that read them at that time."""
    body = json.dumps({"conversations": records, "totalHits": 1}).encode()
    read = Read(at, at, at, frozenset(), timedelta(0))
    conversations.write(
        db, parse_page(body).rows, read, window=None, width=timedelta(minutes=30), cause=lambda *_: "none"
    )


def made(path: Path) -> Path:
    """A store of three days: an organisation's, odd records, events, a conversation without a start, a proven day."""
    world = World(3, FIRST, 1.5, queues=4, users=6, variety=True)
    world.grow(FIRST + timedelta(days=3))
    with Book.open(path, pack="none") as book:

        def fill(db: sqlite3.Connection) -> None:
            write(db, [life.record for life in world.conversations])
            write(db, odd_records())
            changed = world.conversations[0].record | {"conversationEnd": to_text(FIRST + timedelta(hours=9))}
            write(db, [changed], "2026-06-02T00:00:00.000Z")
            db.execute("INSERT INTO attribute_rows VALUES (1, 'p', 'colour', '007')")
            db.execute(
                "INSERT INTO names (kind, id, name, valid_from, state, seen_at)"
                " VALUES ('queue', 'q1', 'Sales, \"inner\"', '1970-01-01T00:00:00.000Z', 'active', ?)",
                (NOW,),
            )
            db.execute(
                "INSERT INTO coverage (source, scope, started_at, alive_at) VALUES ('sqs', '', ?1, ?1)", (DATES[1],)
            )
            db.execute(
                "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('sqs', '{', 'cut', ?)",
                (f"{DATES[2]}T01:00:00.000Z",),
            )
            window(db, 0, 24, "settled", read=200, ran=200)
            window(db, 24, 48, "complete", read=200, ran=200)

        book.write(fill).result()
        came = [
            event("v2.users.u1.presence", {"a": 1.5, "b": ["ü", None]}, f"{DATES[0]}T23:59:59.999Z"),
            event("v2.users.u1.presence", {"a": "two\nlines"}, f"{DATES[1]}T00:00:00.000Z"),
            # A conversation of which nobody knows when it began.
            event("v2.detail.events.conversation.x1.acw", {"conversationId": "x1"}, f"{DATES[1]}T01:00:00.000Z"),
        ]
        book.write(events.record, came, timedelta(minutes=10)).result()
        book.write(
            lambda db: db.execute(
                "UPDATE conversation_rows SET conversation_start = NULL, first_seen_at = ?"
                " WHERE number = (SELECT number FROM conversation_ids WHERE conversation_id = 'x1')",
                (f"{DATES[1]}T01:00:00.000Z",),
            )
        ).result()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of three days, which no test changes."""
    return made(tmp_path_factory.mktemp("store") / "rollbook.db")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A store with a call a day, to be changed."""
    path = tmp_path / "few.db"
    with Book.open(path) as book:
        book.write(lambda db: filled(db, [call(f"c{at}", FIRST + timedelta(days=at, hours=1)) for at in range(3)]))
    return path


def run(
    store: Path,
    to: Path,
    *tables: str,
    form: Format = Format.NDJSON,
    settled: bool = False,
    interval: Interval = DAYS,
    now: datetime = LATER,
) -> Export:
    """An export into a folder."""
    with Book.open(store, mode="ro") as book:
        return export(book.read_now, interval, Folder(to), ExportOptions(chosen(tables), form, settled), now)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, the manifest too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".export-lock"
    }


def manifest_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What the manifest says of each file."""
    found = json.loads((folder / "manifest.json").read_bytes())
    return {file["path"]: file for file in found["files"]}


def shown(store: Path, table: Exported) -> list[tuple[Any, ...]]:
    """The rows that a table or view shows of the three days."""
    columns = ", ".join(f'"{name}"' for name in table.columns)
    with Book.open(store, mode="ro") as book:
        query = f"SELECT {columns} FROM {table.name}"
        if table.name == "details":
            query = "SELECT conversation_id, read_at, details FROM conversations WHERE details IS NOT NULL"
        if table.by == "conversation_start":
            query += f" {'AND' if 'WHERE' in query else 'WHERE'} conversation_id IN (SELECT conversation_id"
            query += (
                f" FROM conversations WHERE conversation_start >= '{DATES[0]}' AND conversation_start < '2026-03-31')"
            )
        elif table.by:
            query += f" WHERE \"{table.by}\" >= '{DATES[0]}' AND \"{table.by}\" < '2026-03-31'"
        found: list[tuple[Any, ...]] = book.read_now(lambda db: db.execute(query).fetchall())
    return [tuple(value.hex() if isinstance(value, bytes) else value for value in row) for row in found]


def in_order(found: Sequence[Sequence[Any]]) -> list[str]:
    """Rows as texts, in order."""
    return sorted(repr(tuple(row)) for row in found)


# What there is


def test_every_table_and_view_is_exported_or_left_out_on_purpose() -> None:
    """Whatever the store shows under a name has its columns in the files, in the same order, or is named here."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        mine = {name for name in names if not name.endswith("_rows") and not name.startswith(("sqlite_", "_"))}
        assert mine == {*BY_NAME} - {"details"} | NOT_EXPORTED
        for table in EXPORTED:
            if table.name != "details":
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table.name})")]
                left_out = LEFT_OUT.get(table.name, set())
                assert list(table.columns) == [name for name in columns if name not in left_out], table.name


def test_words_choose_tables() -> None:
    """Names and groups, in the order of the whole; without any word, all."""
    assert chosen([]) == tuple(EXPORTED)
    assert [table.name for table in chosen(["details", "conversations"])] == ["conversations", "details"]
    assert {table.name for table in chosen(["views"])} == {
        "queue_intervals", "agent_days", "queue_legs", "agent_legs", "wrapups", "mos_legs", "mos_calls"
    }  # fmt: skip
    assert chosen(["tables", "views", "bodies"]) == chosen([])


def test_files_have_what_the_views_show(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table, value for value, also of records of every wrong shape and whatever lies in one go."""
    monkeypatch.setattr(day_rows, "CHUNK", 7)
    monkeypatch.setattr(day_rows, "BODIES", 3)
    run(whole, tmp_path)
    for table in EXPORTED:
        files = [path_of(table, day, Format.NDJSON) for day in DATES] if table.by else [
            path_of(table, None, Format.NDJSON)
        ]  # fmt: skip
        lines = [line for file in files for line in (tmp_path / file).read_bytes().splitlines()]
        objects = [json.loads(line) for line in lines]
        assert all(tuple(each) == table.columns for each in objects)
        assert in_order([tuple(each.values()) for each in objects]) == in_order(shown(whole, table)), table.name
        if table.name not in ("flow_outcomes", "window_runs"):
            assert objects, table.name
        assert sum(manifest_of(tmp_path)[file]["rows"] for file in files) == len(objects)


def test_a_day_is_read_by_indexes_alone(whole: Path) -> None:
    """No table of a large store is gone through for a day: each query begins at the conversations' numbers."""
    asked: list[str] = []
    with closing(sqlite3.connect(whole, isolation_level=None)) as db:
        day = day_rows.Day(DATES[0], f"{DATES[0]}T00:00:00.000Z", f"{DATES[1]}T00:00:00.000Z")
        db.set_trace_callback(asked.append)
        theirs = [table for table in EXPORTED if table.by == "conversation_start"]
        assert list(day_rows.of_conversations(db, day, theirs))
        for table in EXPORTED:
            if table.name in ("events", "queue_intervals", "agent_days", "windows", "window_runs", "coverage"):
                list(day_rows.of_time(db, day, table))
        day_rows.unplaced(db, day)
        day_rows.first_day(db)
        db.set_trace_callback(None)
        assert len(asked) > len(theirs)
        for query in asked:
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
            # The names that tables have in the views; others are of what was found already.
            scans = [step for step in plan if re.match(r"SCAN ([cegipqst]|\w+_rows|conversation_ids)\b", step)]
            assert not [step for step in scans if "USING" not in step], (query, plan)


def test_a_day_has_what_began_in_it(whole: Path, tmp_path: Path) -> None:
    """Rows go with their conversation's start; events with their arrival, the last millisecond of a day included."""
    run(whole, tmp_path, "conversations", "metrics", "events")

    def of(table: str, day: str) -> list[dict[str, Any]]:
        lines = (tmp_path / path_of(BY_NAME[table], day, Format.NDJSON)).read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    for day in DATES:
        there = {each["conversation_id"] for each in of("conversations", day)}
        assert {each["conversation_start"][:10] for each in of("conversations", day)} == {day}
        assert {each["conversation_id"] for each in of("metrics", day)} <= there
        starts = {each["conversation_id"]: each["conversation_start"] for each in of("conversations", day)}
        assert list(starts.values()) == sorted(starts.values())
        found = [starts[each["conversation_id"]] for each in of("metrics", day)]
        assert found == sorted(found)
    assert any(each["emit_date"][:10] != DATES[0] for each in of("metrics", DATES[0]) if each["emit_date"])
    assert [len(of("events", day)) for day in DATES] == [1, 2, 0]


def test_a_conversation_without_a_start_is_counted(whole: Path, tmp_path: Path) -> None:
    """It is of no day, so that no file has it twice; the manifest says how many were first seen on a day."""
    found = run(whole, tmp_path, "conversations")
    assert [day.unplaced for day in found.days] == [0, 1, 0]
    assert not any(b'"x1"' in raw for path, raw in content(tmp_path).items() if path != "manifest.json")
    days = json.loads((tmp_path / "manifest.json").read_bytes())["days"]
    assert [day["unplaced"] for day in days] == [0, 1, 0]


def test_csv_has_a_line_of_names(whole: Path, tmp_path: Path) -> None:
    """Commas, quotes and line breaks come back; what is absent is empty."""
    run(whole, tmp_path, "names", "events", form=Format.CSV)
    with (tmp_path / "names/part.csv").open(newline="", encoding="utf-8") as file:
        found = {row["id"]: row for row in csv.DictReader(file)}
    assert found["q1"]["name"] == 'Sales, "inner"'
    assert found["q1"]["valid_to"] == ""
    with (tmp_path / f"events/date={DATES[1]}/part.csv").open(newline="", encoding="utf-8") as file:
        assert json.loads(next(csv.DictReader(file))["body"]) == {"a": "two\nlines"}


@pytest.mark.parametrize("name", ["javascript:alert(1)", "file:lake", "s3:bucket", "a b%20c"])
@pytest.mark.parametrize("form", list(Format))
def test_a_folder_has_any_name(few: Path, tmp_path: Path, name: str, form: Format, monkeypatch: Any) -> None:
    """One that looks like an address is a folder all the same, where the working directory is."""
    monkeypatch.chdir(tmp_path)
    run(few, Path(name), "names", form=form)
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == [name]
    assert (tmp_path / name / "names" / f"part.{form}").stat().st_size > 0


def test_packed_bodies_are_plain_in_files(few: Path, tmp_path: Path) -> None:
    """A store whose details are packed is exported to the same bytes as before."""
    run(few, tmp_path / "plain", "details")
    with closing(sqlite3.connect(few, isolation_level=None, factory=PackingConnection)) as db:
        found = db.execute("SELECT number, details FROM detail_rows").fetchall()
        dictionaries.keep(db, "details", Dictionary(frames.dictionary_id(CONTENT), CONTENT), NOW, before=None)
        packing.use(db, "details", CONTENT)
        for number, details in found:
            packed = packing.pack(db, "details", details.encode())
            assert isinstance(packed, bytearray)
            db.execute("UPDATE detail_rows SET details = ? WHERE number = ?", (packed, number))
    run(few, tmp_path / "packed", "details")
    assert content(tmp_path / "packed") == content(tmp_path / "plain")


# Parquet


def test_duckdb_and_pandas_read_parquet(whole: Path, tmp_path: Path) -> None:
    """Times are times, numbers numbers, JSON text; a query over all days agrees with the store's own."""
    import duckdb
    import pandas

    run(whole, tmp_path, "conversations", "metrics", "queue_intervals", form=Format.PARQUET)
    with Book.open(whole, mode="ro") as book:
        query = "SELECT count(*), sum(value), max(emit_date) FROM metrics WHERE typeof(value) = 'integer'"
        rows, total, last = book.read_now(lambda db: db.execute(query).fetchone())
    with duckdb.connect() as lake:
        lake.execute("SET TimeZone = 'UTC'")
        lake.execute(f"CREATE VIEW metrics AS SELECT * FROM read_parquet('{tmp_path}/metrics/*/*.parquet')")
        kinds = dict(lake.execute("SELECT column_name, column_type FROM (DESCRIBE metrics)").fetchall())
        assert kinds["emit_date"] == "TIMESTAMP WITH TIME ZONE"
        assert (kinds["value"], kinds["date"], kinds["name"]) == ("BIGINT", "DATE", "VARCHAR")
        query = "SELECT count(*), sum(value), max(emit_date)::VARCHAR FROM metrics WHERE value IS NOT NULL"
        assert lake.execute(query).fetchone() == (rows, total, last.replace("T", " ").replace("Z", "+00"))
        query = (
            f"SELECT count(*) FROM read_json('{tmp_path}/manifest.json'), unnest(files) AS f(file) WHERE file.rows > 0"
        )
        assert lake.execute(query).fetchone() != (0,)
    frame = pandas.read_parquet(tmp_path / "conversations" / f"date={DATES[0]}")
    assert str(frame["conversation_start"].dtype) == "datetime64[ms, UTC]"
    assert frame["conversation_start"].dt.date.unique().tolist() == [date(2026, 3, 28)]
    assert frame["mos"].dtype == "float64"
    assert json.loads(frame["media_types"].iloc[0])


def test_the_examples_of_the_page_run(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/export.md shows for DuckDB and pandas does what it says, over an export that is there."""
    run(whole, tmp_path / "lake", "conversations", "queue_intervals", form=Format.PARQUET)
    monkeypatch.chdir(tmp_path)
    blocks = [fence.text for fence in fences("python") if fence.page.name == "export.md"]
    assert len(blocks) == 2
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(block, scope)
    assert scope["proven"] == [(f"lake/conversations/date={DATES[0]}/part.parquet",)]
    assert scope["calls"]["date"].nunique() == 3


def test_a_type_takes_what_it_can(few: Path, tmp_path: Path) -> None:
    """A text where a number belongs, and a time that is none, are left out and counted; other formats have them."""
    with Book.open(few) as book:
        book.write(
            lambda db: db.execute("UPDATE metric_rows SET value = 'many', emit_date = 'soon' WHERE rowid & 1048575 = 0")
        ).result()
        book.write(lambda db: db.execute("UPDATE metric_rows SET value = 0.1 + 0.2 WHERE rowid & 1048575 = 1")).result()
    found = run(few, tmp_path / "typed", "metrics", form=Format.PARQUET)
    assert [day.unfit for day in found.days] == [3, 3, 3]
    entry = manifest_of(tmp_path / "typed")[f"metrics/date={DATES[0]}/part.parquet"]
    assert entry["unfit"] == {"emit_date": 1, "value": 2}
    import pyarrow.parquet as pq

    values = pq.read_table(tmp_path / "typed" / entry["path"]).to_pydict()
    assert (values["value"][:2], values["emit_date"][0]) == ([None, None], None)
    assert values["value"][2] is not None
    run(few, tmp_path / "plain", "metrics")
    plain = content(tmp_path / "plain")[f"metrics/date={DATES[0]}/part.ndjson"]
    assert b'"value":"many","emit_date":"soon"' in plain
    assert b'"value":0.30000000000000004,' in plain


@pytest.mark.parametrize("table", EXPORTED, ids=lambda table: table.name)
def test_every_column_has_a_kind(table: Exported) -> None:
    """What is called like a time or a figure is none of text, and no attribute is a number."""
    for name in table.columns:
        kind = kind_of(table.name, name)
        if name.endswith(("_at", "_start", "_end")) and "detected" not in name:
            assert kind is ColumnKind.TIME, name
        if name in ("value", "name"):
            assert kind is (ColumnKind.INTEGER if (table.name, name) == ("metrics", "value") else ColumnKind.TEXT)
        assert name.endswith("_id") <= (kind is ColumnKind.TEXT or table.by in ("received_at", "started_at", "start"))


def test_without_pyarrow_a_line_says_what_to_do(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other formats need nothing, and nothing is left behind."""
    monkeypatch.delitem(sys.modules, "rollbook.store.export.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'rollbook\[parquet\]', or give --format csv or ndjson"):
        run(few, tmp_path / "out", form=Format.PARQUET)
    assert not list((tmp_path / "out").iterdir())
    assert run(few, tmp_path / "out", form=Format.CSV).written > 0


# Again, later, cut short


@pytest.mark.parametrize("form", Format)
def test_again_no_byte_is_written(whole: Path, tmp_path: Path, form: Format) -> None:
    """The second run leaves every file as it is: not even its time changes."""
    first = run(whole, tmp_path, "tables", "events", form=form)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    again = run(whole, tmp_path, "tables", "events", form=form)
    assert (again.written, again.unchanged) == (0, first.written)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_a_late_change_rewrites_its_day_alone(few: Path, tmp_path: Path) -> None:
    """What was read anew on the second day changes the second day's files, and what the manifest says of them."""
    out = tmp_path / "out"
    run(few, out)
    before, entries = content(out), manifest_of(out)
    changed = call("c1", FIRST + timedelta(days=1, hours=1), wait=20)
    with Book.open(few) as book:
        book.write(write, [changed], "2026-06-02T00:00:00.000Z").result()
    found = run(few, out)
    after = content(out)
    files = {path for path in after if after[path] != before[path]} - {"manifest.json"}
    assert files
    assert [path for path in files if f"date={DATES[1]}" not in path] == []
    assert found.written == len(files)
    now = manifest_of(out)
    assert {path for path in now if now[path] != entries[path]} == files
    assert [day.written for day in found.days] == [0, len(files), 0]


class Cut(Exception):
    """The end of a process, as far as files can tell."""


class CutFolder(Folder):
    """A folder whose process ends after so many files were given their names."""

    def __init__(self, path: Path, after: int) -> None:
        super().__init__(path)
        self._left = after

    def put(self, made: Path, path: str, digest: str) -> None:
        """Give it its name, while there is time."""
        if self._left == 0:
            raise Cut
        self._left -= 1
        super().put(made, path, digest)


def test_a_run_that_was_cut_anywhere_ends_equal(few: Path, tmp_path: Path) -> None:
    """After each file that got its name, the manifest too: the next run makes what one run makes, and leaves no trace."""
    tables = chosen(["conversations", "metrics", "names"])
    run(few, tmp_path / "whole", *(table.name for table in tables))
    expected = content(tmp_path / "whole")
    assert len(expected) == 8
    for after in range(len(expected)):
        to = tmp_path / f"cut{after}"
        place = CutFolder(to, after)
        with Book.open(few, mode="ro") as book, pytest.raises(Cut):
            export(book.read_now, DAYS, place, ExportOptions(tables, Format.NDJSON), LATER)
        # What a killed process leaves aside.
        (to / ".export").mkdir()
        (to / ".export" / "metrics.2026-03-28.ndjson").write_text("half")
        assert all(content(to)[path] == expected[path] for path in content(to) if path.startswith(("conv", "metr")))
        again = run(few, to, *(table.name for table in tables))
        assert content(to) == expected
        assert again.unchanged == min(after, 7)


def test_another_export_to_the_same_place_is_refused(few: Path, tmp_path: Path) -> None:
    """Two at once would clear each other's files away."""
    place = Folder(tmp_path / "out")
    with made_aside(place), pytest.raises(LockHeld, match="is being exported to by"):
        run(few, tmp_path / "out")


def test_the_log_is_taken_in_between_two_days(few: Path, tmp_path: Path) -> None:
    """No transaction lasts longer than a day: after each, another connection takes all of its log into the file."""

    class Watched(Folder):
        busy: list[int] = []  # noqa: RUF012

        def put(self, made: Path, path: str, digest: str) -> None:
            with closing(sqlite3.connect(few, timeout=0, isolation_level=None)) as db:
                db.execute("UPDATE store_notes SET value = value || 'x' WHERE name = 'seen'")
                self.busy.append(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
            super().put(made, path, digest)

    with Book.open(few, mode="ro") as book:
        export(book.read_now, DAYS, Watched(tmp_path / "out"), ExportOptions(chosen(["metrics"]), Format.CSV), LATER)
    assert len(Watched.busy) >= 3
    assert not any(Watched.busy)


# Verdicts and days


def test_a_file_says_what_it_rests_on(whole: Path, tmp_path: Path) -> None:
    """The worst of the day's windows; with those before it where what counts can have begun there; none for events."""
    run(whole, tmp_path, "metrics", "queue_intervals", "events", "queue_legs")
    entries = manifest_of(tmp_path)

    def verdicts(table: str) -> list[str | None]:
        return [entries[path_of(BY_NAME[table], day, Format.NDJSON)]["verdict"] for day in DATES]

    # On the second day conversations of odd records go on; the third has no window.
    assert verdicts("metrics") == verdicts("queue_legs") == ["settled", "open", None]
    assert verdicts("queue_intervals") == ["settled", "open", None]
    assert verdicts("events") == [None, None, None]
    assert {each["over"] for each in entries.values()} == {True}
    assert {each["schema"] for each in entries.values()} == {schema.VERSION}


def test_a_day_without_a_window_for_each_moment_is_not_proven(few: Path, tmp_path: Path) -> None:
    """A settled window of the afternoon proves no day, though what a half hour counts may rest on it alone."""
    with Book.open(few) as book:
        book.write(lambda db: window(db, 12, 24, "settled", read=200, ran=200)).result()
    assert [day.verdict for day in run(few, tmp_path, "metrics").days] == [None, None, None]


def test_settled_leaves_other_days_out(whole: Path, tmp_path: Path) -> None:
    """Files of days that are not settled are not written, and those that are there stay as they are."""
    found = run(whole, tmp_path, "metrics", "queue_intervals", "events", settled=True)
    assert [day.left_out for day in found.days] == [False, True, True]
    assert {path.partition("=")[2][:10] for path in content(tmp_path) if "=" in path} == {DATES[0]}
    run(whole, tmp_path, "metrics")
    before = content(tmp_path)
    run(whole, tmp_path, "metrics", settled=True)
    assert content(tmp_path) == before


def test_a_day_that_is_not_over_is_exported_and_says_so(few: Path, tmp_path: Path) -> None:
    """As far as it has come; days that have not begun are left alone."""
    found = run(few, tmp_path, "conversations", now=FIRST + timedelta(days=1, hours=2))
    assert [(day.date, day.over) for day in found.days] == [(DATES[0], True), (DATES[1], False)]
    assert [each["over"] for each in manifest_of(tmp_path).values()] == [True, False]


@pytest.mark.parametrize(
    ("start", "end", "first", "expected"),
    [
        (FIRST + timedelta(hours=8), FIRST + timedelta(hours=9), "2026-01-01", 1),
        (FIRST + timedelta(hours=23), FIRST + timedelta(hours=25), "2026-01-01", 2),
        (FIRST, FIRST + timedelta(days=2), "2026-01-01", 2),
        (FIRST, FIRST + timedelta(days=2), "2026-03-29", 1),
        (FIRST, FIRST + timedelta(days=900), "2026-01-01", 66),
        (FIRST, FIRST + timedelta(days=2), None, 0),
    ],
)
def test_an_interval_means_the_days_that_it_touches(
    start: datetime, end: datetime, first: str | None, expected: int
) -> None:
    """Whole UTC days, from the first that the store has anything of to the one that goes on."""
    days = days_of(Interval(start, end), first, LATER + timedelta(hours=5))
    assert len(days) == expected
    assert all(day.start[:10] == day.date and day.start[10:] == "T00:00:00.000Z" for day in days)
    assert all(before.end == after.start for before, after in itertools.pairwise(days))


def test_an_interval_that_has_not_begun_is_refused() -> None:
    """Nothing can be in it."""
    with pytest.raises(UsageError, match="has not begun yet"):
        days_of(Interval(LATER + timedelta(days=1), LATER + timedelta(days=2)), "2026-01-01", LATER)


# The manifest


def test_a_manifest_keeps_what_other_runs_wrote(few: Path, tmp_path: Path) -> None:
    """A day at a time, a table at a time: the manifest is that of all of it."""
    for at in range(3):
        part = Interval(FIRST + timedelta(days=at), FIRST + timedelta(days=at + 1))
        run(few, tmp_path / "parts", "metrics", interval=part)
        run(few, tmp_path / "parts", "conversations", interval=part)
    run(few, tmp_path / "whole", "conversations", "metrics")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


OURS = ("org-1", "Acme")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{}", "is not the manifest of an export"),
        (b"[1]", "is not the manifest of an export"),
        (b"\xff", "is not the manifest of an export"),
        (b'{"manifest": "rollbook export", "version": 2}', "was written by a newer rollbook"),
        (Manifest(("org-2", "Other")).as_bytes(), "belongs to another organisation"),
    ],
)
def test_what_is_no_manifest_of_ours_is_refused(raw: bytes, words: str) -> None:
    """Nothing of somebody else's is written over."""
    with pytest.raises(RollbookError, match=words):
        Manifest.read(raw, OURS, "out/manifest.json")


def test_a_manifest_is_read_as_it_was_written() -> None:
    """The same files make the same bytes, in whatever order they came."""
    files = [{"path": f"metrics/date=2026-03-0{day}/part.csv", "rows": day} for day in (2, 1)]
    made = Manifest(OURS)
    made.take(files, {"date": "2026-03-02"})
    raw = made.as_bytes()
    assert (
        Manifest.read(raw, OURS, "x").as_bytes()
        == raw
        == Manifest.read(raw, None, "x")
        .as_bytes()
        .replace(b'"organization": null', b'"organization": {"id": "org-1", "name": "Acme"}')
    )
    assert [file["rows"] for file in json.loads(raw)["files"]] == [1, 2]


def test_a_folder_is_made_where_only_itself_is_missing(few: Path, tmp_path: Path) -> None:
    """A path with more that is missing may be that of a disk that is not there; a file is no folder."""
    run(few, tmp_path / "new", "names")
    with pytest.raises(RollbookError, match="there is no folder"):
        run(few, tmp_path / "a" / "b", "names")
    with pytest.raises(UsageError, match="is no folder; --to takes a folder, or s3://bucket/prefix"):
        run(few, few, "names")


@pytest.fixture(autouse=True)
def _no_trace(tmp_path: Path) -> Iterator[None]:
    """No test leaves anything aside."""
    yield
    assert not list(tmp_path.rglob(".export"))
