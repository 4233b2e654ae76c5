"""Exports, value by value: odd ones in typed files, columns as they are handed over, and the thread that writes."""

from __future__ import annotations

import errno
import json
import re
import sqlite3
import threading
from array import array
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.export import column_reading, day_rows, parts, writing
from rollbook.store.export.column_reading import Way, Ways
from rollbook.store.export.column_values import Columns, EqualTexts, TakenColumn
from rollbook.store.export.columns import BY_NAME, EXPORTED, ColumnKind, Exported, kind_of
from rollbook.store.export.exporting import path_of
from rollbook.store.export.folder import ExportFailed
from rollbook.store.export.parts import Format
from rollbook.store.export.writing import Unfinished, Writing
from rollbook.store.file.errors import StoreError
from rollbook.store.rows.detail_columns import CHILD_TABLES
from rollbook.store.rows.numbers import SHIFT
from tests.store.test_export import DATES, content, few, in_order, made, manifest_of, run, shown

__all__ = ("few",)
THEIRS = ("conversations", *CHILD_TABLES)
# What a column has that its type does not expect, and what only looks like something else.
ODD = (
    "UPDATE segment_rows SET segment_type = x'ff00' WHERE id & 7 = 1",
    "UPDATE segment_rows SET segment_start = 'soon', segment_end = '2026-03-28T10:00:00+02:00' WHERE id & 7 = 2",
    "UPDATE segment_rows SET wrap_up_code = 'null', queue = 99999999 WHERE id & 7 = 3",
    "UPDATE segment_rows SET session = 77777, wrap_up_note = '[null,\"\\' || char(10, 0, 8232, 128512) WHERE id & 7 = 4",
    "UPDATE segment_rows SET error_code = 'a' || char(30) || 'b' WHERE id & 7 = 6",
    "UPDATE metric_rows SET value = 9e999 WHERE id & 15 = 1",
    "UPDATE metric_rows SET value = 9223372036854775807, name = '' WHERE id & 15 = 2",
    "UPDATE metric_rows SET value = 9223372036854775808 WHERE id & 15 = 3",
    "UPDATE metric_rows SET value = 0.1 + 0.2, name = 'null' WHERE id & 15 = 4",
    "UPDATE metric_rows SET value = x'00', emit_date = x'00' WHERE id & 15 = 5",
    "UPDATE metric_rows SET value = NULL, name = NULL, emit_date = NULL WHERE id & 15 = 6",
    "UPDATE metric_rows SET value = '0x1F' WHERE id & 15 = 7",
    "UPDATE media_endpoint_stat_rows SET min_mos = 0.1 + 0.2, min_r_factor = 'good', codecs = x'ff' WHERE id & 3 = 0",
    "UPDATE media_endpoint_stat_rows SET min_mos = 4, event_time = '2026-02-30T00:00:00.000Z' WHERE id & 3 = 1",
    "UPDATE session_rows SET session_id = NULL, ani = '', media_count = 1.5 WHERE id & 3 = 0",
    "UPDATE participant_rows SET participant_id = x'01ff' WHERE id & 3 = 1",
    "UPDATE conversation_rows SET mos = 1.0 / 3, r_factor = 'x' WHERE number & 3 = 1",
    "DELETE FROM participant_rows WHERE id & 7 = 3",
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three days in which every kind of column has values that do not fit it."""
    path = made(tmp_path_factory.mktemp("odd") / "rollbook.db")
    with Book.open(path) as book:
        changed = book.write(lambda db: [db.execute(statement).rowcount for statement in ODD]).result()
    assert all(changed), changed
    return path


def fitting(kind: ColumnKind, value: Any) -> Any:
    """What a typed column has of a value; a time as text."""
    if value is None or kind is ColumnKind.TEXT:
        return value if value is None or isinstance(value, str) else str(value)
    if kind is ColumnKind.TIME:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return None
        return to_text(at.astimezone(UTC))
    if isinstance(value, str):
        return None
    if kind is ColumnKind.REAL:
        return float(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    return value


def parquet_rows(folder: Path, table: Exported) -> list[tuple[Any, ...]]:
    """The rows of a table's files, times as text."""
    import pyarrow.parquet as pq

    found = []
    for date in DATES:
        rows = pq.ParquetFile(folder / path_of(table, date, Format.PARQUET)).read()
        columns = [
            [to_text(value) if isinstance(value, datetime) else value for value in column.to_pylist()]
            for column in rows.columns
        ]
        found += list(zip(*columns, strict=True))
    return found


def read_in(monkeypatch: pytest.MonkeyPatch, chunk: int, enough: int, long: int) -> None:
    """Let an export read so many conversations at a time, look at so many first rows, and call such texts long."""
    monkeypatch.setattr(day_rows, "CHUNK", chunk)
    monkeypatch.setattr(column_reading, "ENOUGH", enough)
    monkeypatch.setattr(column_reading, "LONG", long)


@pytest.mark.parametrize(("chunk", "enough", "long"), [(500, 20, 150), (11, 1, 150), (7, 1, 4)])
def test_typed_files_have_what_fits_of_odd_values(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, enough: int, long: int
) -> None:
    """Value for value what the views show, and null where the type does not take it, in whatever way it is read."""
    read_in(monkeypatch, chunk, enough, long)
    run(odd, tmp_path, *THEIRS, form=Format.PARQUET)
    entries = manifest_of(tmp_path)
    for table in (BY_NAME[name] for name in THEIRS):
        kinds = [kind_of(table.name, name) for name in table.columns]
        rows = shown(odd, table)
        expected = [tuple(map(fitting, kinds, row)) for row in rows]
        assert in_order(parquet_rows(tmp_path, table)) == in_order(expected), table.name
        left_out = {
            name: count
            for at, name in enumerate(table.columns)
            if (
                count := sum(row[at] is not None and fits[at] is None for row, fits in zip(rows, expected, strict=True))
            )
        }
        said: dict[str, int] = {}
        for date in DATES:
            for name, count in entries[path_of(table, date, Format.PARQUET)].get("unfit", {}).items():
                said[name] = said.get(name, 0) + count
        assert said == left_out, table.name
    assert any("unfit" in entry for entry in entries.values())


@pytest.mark.parametrize(("chunk", "enough", "long"), [(500, 20, 150), (7, 1, 4)])
def test_other_files_have_odd_values_as_they_are(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, enough: int, long: int
) -> None:
    """A text where a number belongs, and every digit of a number with a point; what is binary is spelled in base64."""
    read_in(monkeypatch, chunk, enough, long)
    run(odd, tmp_path, *THEIRS, form=Format.NDJSON)
    spelled = {"/wA=": "ff00", "AA==": "00", "Af8=": "01ff", "/w==": "ff"}
    for table in (BY_NAME[name] for name in THEIRS):
        files = [tmp_path / path_of(table, date, Format.NDJSON) for date in DATES]
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        rows = [[spelled.get(value, value) for value in json.loads(line).values()] for line in lines]
        # JSON has no infinite number.
        expected = [[None if value == float("inf") else value for value in row] for row in shown(odd, table)]
        assert in_order(rows) == in_order(expected), table.name


def test_a_text_that_is_no_text_is_refused_with_a_line(few: Path, tmp_path: Path) -> None:
    """Half of a surrogate pair, which no file can have: the store says so, and no file of the day is put in place."""
    with Book.open(few) as book:
        book.write(lambda db: db.execute("UPDATE segment_rows SET wrap_up_note = CAST(x'eda080' AS TEXT)")).result()
    with pytest.raises(StoreError, match="Could not decode to UTF-8"):
        run(few, tmp_path / "out", "segments", form=Format.PARQUET)
    assert content(tmp_path / "out") == {}


# Columns


def test_a_taken_column_has_the_value_of_each_place() -> None:
    """Also none at all, and the same one again."""
    column = TakenColumn(["a", None, "c"], array("i", [2, 0, 0, 1]))
    assert list(column) == list(column) == ["c", "a", "a", None]
    assert len(column) == 4
    assert list(TakenColumn([], array("i"))) == []


JSON_TEXTS = st.text(st.sampled_from('ab",\\[]n\x1e\n é€'), max_size=6) | st.just("null") | st.just('","')


@given(st.lists(JSON_TEXTS | st.none() | st.integers(0, 99), max_size=8))
@example(["abc", "a", "abcde"])
@example(["", ""])
@example(["a"])
@example([12, "ab"])
def test_texts_of_one_length_are_seen_as_such(values: list[str | int | None]) -> None:
    """A JSON array is taken for texts of one length where it has nothing else, and nothing that is escaped; never else."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    found = EqualTexts.of_json(text)
    plain = all(isinstance(value, str) and value.isascii() and json.dumps(value)[1:-1] == value for value in values)
    if plain and values and len({len(str(value)) for value in values}) == 1 and values[0] != "":
        assert found is not None
        assert list(found) == values
        assert len(found) == len(values)
    else:
        assert found is None


@given(st.lists(st.text("ab\x7f", min_size=3, max_size=3), min_size=1, max_size=30))
def test_texts_of_one_length_are_typed_like_others(values: list[str]) -> None:
    """Parquet has the same array of them as of a list."""
    from rollbook.store.export import parquet

    found = EqualTexts.of_json(json.dumps(values, separators=(",", ":"), ensure_ascii=False))
    assert found is not None
    assert parquet._as_array(ColumnKind.TEXT, found).equals(parquet._as_array(ColumnKind.TEXT, values))
    with pytest.raises(parquet._REFUSED):
        parquet._as_array(ColumnKind.INTEGER, found)


class Asked:
    """The columns that the statements of a connection ask for, by the way of asking."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.set_trace_callback(self._take)
        self.last: dict[Way, set[str]] = {}

    def _take(self, statement: str) -> None:
        self.last = {
            Way.WHOLE: set(re.findall(r"json_group_array\((t\.[^()]+)\)(?! FILTER)", statement)),
            Way.THIN: set(re.findall(r"json_group_object\(t\.id, ([^()]+)\)", statement)),
            Way.LONG: set(re.findall(r"group_concat\(([^(),]+),", statement)),
        }


def test_a_column_is_asked_for_as_its_rows_have_shown_it(tmp_path: Path) -> None:
    """What is empty or long in the first rows is asked for so; what fills up is asked for as a whole again."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE some_rows (id INTEGER PRIMARY KEY, empty TEXT, number INTEGER, long TEXT, kind TEXT)")
        db.executemany(
            "INSERT INTO some_rows VALUES (?, ?, ?, ?, ?)",
            [
                (
                    row << SHIFT,
                    None if row < 60 else "x",
                    7 if row % 30 == 1 else None,
                    "é" * 200 if row % 2 else None,
                    "k",
                )
                for row in range(1, 121)
            ],
        )
    wanted = {
        't."empty"': ColumnKind.TEXT,
        't."number"': ColumnKind.INTEGER,
        't."long"': ColumnKind.TEXT,
        't."kind"': ColumnKind.TEXT,
    }
    asked, ways = Asked(path), Ways()
    with closing(asked.connection):

        def read(first: int, last: int) -> dict[Way, set[str]]:
            reader = column_reading.ColumnReader(asked.connection, ways)
            found = reader.columns(wanted, "some_rows", "id", column_reading.runs(range(first, last)))
            names = ", ".join(wanted)
            query = f"SELECT {names} FROM some_rows t WHERE id >> {SHIFT} BETWEEN {first} AND {last - 1} ORDER BY id"
            last_asked = asked.last
            assert list(zip(*found.values(), strict=True)) == asked.connection.execute(query).fetchall()
            return last_asked

        whole = {*wanted}
        assert read(1, 10)[Way.WHOLE] == whole  # too few to know anything
        assert read(1, 40)[Way.WHOLE] == whole
        shown = {Way.WHOLE: {"t.id", 't."kind"'}, Way.THIN: {'t."empty"', 't."number"'}, Way.LONG: {'t."long"'}}
        assert read(40, 60) == shown
        assert read(50, 100) == shown
        filled = {Way.WHOLE: {"t.id", 't."kind"', 't."empty"'}, Way.THIN: {'t."number"'}, Way.LONG: {'t."long"'}}
        assert read(60, 121) == filled
        asked.connection.execute("UPDATE some_rows SET long = CAST(long AS BLOB) WHERE id % 3 = 0")
        read(60, 121)
        asked.connection.execute("UPDATE some_rows SET long = long || char(30)")
        ways["some_rows", 't."long"'] = Way.LONG
        read(60, 121)
        assert 't."long"' in read(60, 121)[Way.WHOLE]


def test_runs_have_every_number_in_its_order(tmp_path: Path) -> None:
    """Numbers that follow each other are read as one run, as long as there is room for its length."""
    path = tmp_path / "some.db"
    numbers = [5, 6, 7, 3, 4, 100, 99, 98, *range(1000, 11_000), 11_001]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE some_rows (number INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO some_rows VALUES (?)", [(number,) for number in sorted(numbers)])
        reader = column_reading.ColumnReader(db, Ways())
        found = reader.rows("t.number", "some_rows", "number", column_reading.runs(numbers)).fetchall()
    assert [row[0] for row in found] == numbers
    assert len(json.loads(column_reading.runs(numbers))) == 9


# The thread that writes


class Watched:
    """A file that counts its rows and writes none. fails: at its second piece, as a full disk does."""

    def __init__(self, path: Path, *, fails: bool = False, wait: threading.Event | None = None) -> None:
        path.touch()
        self.rows = 0
        self.unfit: Mapping[str, int] = {}
        self.closed = 0
        self._fails = fails
        self._wait = wait

    def write(self, columns: Columns) -> None:
        if self._wait is not None:
            assert self._wait.wait(30)
        if self._fails and self.rows:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.rows += len(columns[0])

    def close(self) -> None:
        self.closed += 1


def test_a_full_disk_ends_an_export_with_a_line(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread's error is the export's: nothing of that day is put in place, all is closed, nothing is left aside."""
    opened: list[Watched] = []

    def watched(path: Path, table: Exported, _: Format) -> Watched:
        opened.append(Watched(path, fails=table.name == "metrics" and DATES[1] in path.name))
        return opened[-1]

    monkeypatch.setattr(parts, "opened", watched)
    monkeypatch.setattr(day_rows, "CHUNK", 1)
    with Book.open(few) as book:
        # All on the second day, and read a conversation at a time: in several pieces.
        book.write(
            lambda db: db.execute("UPDATE conversation_rows SET conversation_start = ?", (f"{DATES[1]}T01:00:00.000Z",))
        ).result()
    with pytest.raises(
        ExportFailed, match=r"cannot be written: No space left on device; mend that, and run this again"
    ):
        run(few, tmp_path / "out", "conversations", "metrics")
    assert {path for path in content(tmp_path / "out") if DATES[1] in path or DATES[2] in path} == set()
    assert [file.closed for file in opened] == [1] * len(opened)
    assert not (tmp_path / "out" / ".export").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("export-writer")]


def test_reading_waits_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many pieces are in memory, however slow the disk is; then all are written, in order."""
    go_on = threading.Event()
    monkeypatch.setattr(parts, "opened", lambda path, *_: Watched(path, wait=go_on))
    given = []
    with Writing(tmp_path, Format.CSV) as thread:
        file = thread.begin(EXPORTED[0], None)

        def give() -> None:
            for at in range(20):
                thread.write(file, [[at]])
                given.append(at)

        reading = threading.Thread(target=give)
        reading.start()
        reading.join(0.05)
        assert len(given) <= writing._WAITING
        go_on.set()
        reading.join(30)
        assert thread.end([file]).result()[0].size == 0
    assert file.part.rows == len(given) == 20


def test_without_a_thread_pieces_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits, and what fails is raised at once and by every later call."""
    monkeypatch.setattr(parts, "opened", lambda path, *_: Watched(path, fails=True))
    with Writing(tmp_path, Format.CSV, apart=False) as here:
        file = here.begin(EXPORTED[0], None)
        here.write(file, [[1]])
        assert file.part.rows == 1
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                here.write(file, [[2]])


def test_after_a_failure_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind what failed is not written either, and every answer is the failure."""
    monkeypatch.setattr(parts, "opened", lambda path, table, _: Watched(path, fails=table is EXPORTED[0]))
    with Writing(tmp_path, Format.CSV) as thread:
        files: list[Unfinished] = [thread.begin(table, None) for table in EXPORTED[:2]]
        thread.write(files[0], [[1]])
        thread.write(files[0], [[2]])
        ended = thread.end(files)
        with pytest.raises(OSError, match="No space left"):
            ended.result()
        for _ in range(9):
            with pytest.raises(OSError, match="No space left"):
                thread.write(files[1], [[3]])
    assert [file.part.rows for file in files] == [1, 0]
