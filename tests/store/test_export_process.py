"""Exports by two processes: the same files as by one, whatever becomes of the second, which never stays behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import pytest

from rollbook.store.book import Book
from rollbook.store.export import day_files, exporting, second_process
from rollbook.store.export.columns import chosen
from rollbook.store.export.day_files import DayExported, ExportOptions, Made
from rollbook.store.export.day_rows import Day
from rollbook.store.export.exporting import Export, export
from rollbook.store.export.folder import Folder
from rollbook.store.export.parts import Format
from rollbook.store.export.turns import Turn, Turns
from rollbook.store.export.writing import Content
from rollbook.store.file.errors import StoreError
from tests.helpers.paths import ROOT
from tests.store.test_export import DATES, DAYS, LATER, content, few, made, run

__all__ = ("few",)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three days, which no test changes."""
    return made(tmp_path_factory.mktemp("store") / "rollbook.db")


class Seen:
    """What the second process did in a test. made: the places of the days; begun: the processes."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.begun: list[subprocess.Popen[bytes]] = []
        self.happened = threading.Event()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Two cores; and the command makes its first day only when the second process has made one, or can make none."""
    found, put, give_back, of_day = Seen(), Turns.put, Turns.give_back, day_files.of_day

    class Begun(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            found.begun.append(self)

    def put_seen(self: Turns, turn: Turn, made: Made) -> None:
        put(self, turn, made)
        if threading.current_thread() is not threading.main_thread():
            found.made.append(turn.place)
            found.happened.set()

    def give_back_seen(self: Turns, turns: Sequence[Turn]) -> None:
        give_back(self, turns)
        found.happened.set()

    def of_day_then(*words: Any) -> Made:
        assert not found.begun or found.happened.wait(60)
        return of_day(*words)

    monkeypatch.setattr(exporting, "cores", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", Begun)
    monkeypatch.setattr(Turns, "put", put_seen)
    monkeypatch.setattr(Turns, "give_back", give_back_seen)
    monkeypatch.setattr(day_files, "of_day", of_day_then)
    yield found
    assert [process.poll() for process in found.begun if process.poll() is None] == []


def by_two(store: Path, to: Folder | Path, *tables: str, form: Format = Format.NDJSON, **options: Any) -> Export:
    """An export into a folder, by two processes."""
    place = to if isinstance(to, Folder) else Folder(to)
    with Book.open(store, mode="ro") as book:
        return export(
            book.read_now, DAYS, place, ExportOptions(chosen(tables), form, **options), LATER, store=book.path
        )


@pytest.mark.parametrize("cores", [2, 4])
def test_two_processes_make_the_same_bytes(
    whole: Path, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """Files, manifest and what the command says are those of one process, with and without cores for more threads."""
    monkeypatch.setattr(exporting, "cores", lambda: cores)
    words, progress = ("tables", "bodies", "agent_days"), list[tuple[int, int]]()
    two = by_two(whole, tmp_path / "two", *words, form=Format.PARQUET, progress=lambda *counts: progress.append(counts))
    assert seen.made
    alone = run(whole, tmp_path / "one", *words, form=Format.PARQUET)
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert two.as_dict()["days"] == alone.as_dict()["days"]
    assert (two.written, two.unchanged) == (alone.written, 0)
    assert progress == sorted(progress)
    assert progress[-1][1] <= sum(day.rows for day in two.days)


def test_days_that_are_left_out_are_so_by_both(whole: Path, tmp_path: Path, seen: Seen) -> None:
    """With `--settled` the second process leaves out what is not settled, and its days stay in their order."""
    found = by_two(whole, tmp_path, "metrics", "events", settled=True)
    assert seen.made
    assert [(day.date, day.left_out) for day in found.days] == list(zip(DATES, (False, True, True), strict=True))
    assert {path.partition("=")[2][:10] for path in content(tmp_path) if "=" in path} == {DATES[0]}


ANSWERS = {
    "it ends at once": "pass",
    "it says nothing and ends": "input()",
    "it says what is no answer": "print('hello', flush=True); import sys; sys.stdin.read()",
    "it says a line without an end": "print('{\"type\":\"DayRead\"}', end='', flush=True)",
    "it says that it failed": 'print(\'{"type":"SecondFailed","why":"so"}\', flush=True); import sys; sys.stdin.read()',
    "it says too much": 'print(\'{"type":"DayRead"}\\n\' * 3, flush=True); import sys; sys.stdin.read()',
    "its files are not there": (
        "import json, sys; sys.stdin.readline(); date = json.loads(sys.stdin.readline())[0]\n"
        "print(json.dumps({'type': 'DayMade', 'day': {'date': date, 'verdict': None, 'over': True},"
        " 'proofs': [[None, True]] * 2, 'contents': [[1, 'aa', 0, {}]] * 2}), flush=True); sys.stdin.read()"
    ),
    "its day is another": (
        "import json, sys; sys.stdin.readline(); sys.stdin.readline()\n"
        "print(json.dumps({'type': 'DayMade', 'day': {'date': '2020-01-01', 'verdict': None, 'over': True,"
        " 'left_out': True}, 'proofs': [], 'contents': []}), flush=True); sys.stdin.read()"
    ),
}


@pytest.mark.parametrize("why", ANSWERS)
def test_what_it_cannot_do_the_command_does(
    few: Path, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """A second process that ends, or says what it should not, changes nothing: the command makes every day."""
    monkeypatch.setattr(second_process, "_COMMAND", ("-c", ANSWERS[why]))
    two = by_two(few, tmp_path / "two", "conversations", "metrics")
    assert seen.begun
    assert seen.made == []
    alone = run(few, tmp_path / "one", "conversations", "metrics")
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert two.as_dict()["days"] == alone.as_dict()["days"]


def test_it_need_not_begin(few: Path, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program can be begun, where there is one day or one core, the command works alone."""
    run(few, tmp_path / "one", "metrics")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    by_two(few, tmp_path / "two", "metrics")
    assert content(tmp_path / "two") == content(tmp_path / "one")
    monkeypatch.undo()
    monkeypatch.setattr(exporting, "cores", lambda: 1)
    monkeypatch.setattr(subprocess, "Popen", None)
    by_two(few, tmp_path / "three", "metrics")
    assert content(tmp_path / "three") == content(tmp_path / "one")
    assert seen.begun == []


def test_a_store_that_it_cannot_open_is_read_by_the_command(few: Path, tmp_path: Path, seen: Seen) -> None:
    """The second process says that it failed, and nothing of it comes out."""
    with Book.open(few, mode="ro") as book:
        wanted = ExportOptions(chosen(["metrics"]), Format.NDJSON)
        export(book.read_now, DAYS, Folder(tmp_path / "two"), wanted, LATER, store=tmp_path / "none.db")
    run(few, tmp_path / "one", "metrics")
    assert seen.begun
    assert seen.made == []
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_its_death_in_the_middle_changes_nothing(
    few: Path, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has made by then counts, and the command makes the rest."""
    say, given = second_process._say, []

    def say_and_kill(words: IO[bytes], what: object) -> None:
        say(words, what)
        given.append(what)
        if len(given) == 3:  # the job, a day, another day
            seen.begun[0].kill()

    monkeypatch.setattr(second_process, "_say", say_and_kill)
    by_two(few, tmp_path / "two", "metrics")
    assert len(given) == 3
    run(few, tmp_path / "one", "metrics")
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_an_error_of_a_day_is_the_commands_own(few: Path, tmp_path: Path, seen: Seen) -> None:
    """The day on which the second process fails is read again by the command, which says what is wrong."""
    with Book.open(few) as book:
        book.write(lambda db: db.execute("UPDATE segment_rows SET wrap_up_note = CAST(x'eda080' AS TEXT)")).result()
    with pytest.raises(StoreError, match="Could not decode to UTF-8"):
        by_two(few, tmp_path / "out", "segments")
    assert seen.made == []
    assert content(tmp_path / "out") == {}


def test_it_ends_with_a_command_that_ends_early(few: Path, tmp_path: Path, seen: Seen) -> None:
    """Ctrl-C while files are put in their places: the process has ended, and nothing lies aside."""

    class Interrupted(Folder):
        def put(self, made: Path, path: str, digest: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        by_two(few, Interrupted(tmp_path / "out"), "metrics")
    assert [process.poll() for process in seen.begun] != [None]
    assert not (tmp_path / "out" / ".export").exists()


# The command, which says the number of its second process when the first file is to be put in place, and then waits for
# the end of its standard input.
COMMAND = """
import subprocess, sys
from rollbook.store.export import exporting, folder
from rollbook.commands import main

class Begun(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        Begun.number = self.pid

def put(*words, put=folder.Folder.put):
    print(Begun.number, flush=True)
    sys.stdin.read()
    put(*words)

subprocess.Popen = Begun
folder.Folder.put = put
exporting.cores = lambda: 2
main()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the end of another's process is seen on Linux alone")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_command_that_is_ended(few: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ended by a signal, even by one that it does not see: the second process ends too, and the next run ends equal."""
    to = tmp_path / "out"
    words = ["export", "2026-03-28/2026-03-31", "--to", str(to), "--db", str(few), "--format", "ndjson"]
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words, "--table", "metrics"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    ) as command:
        assert command.stdin is not None
        assert command.stdout is not None
        assert command.stderr is not None
        second = os.pidfd_open(int(command.stdout.readline()))
        try:
            command.send_signal(number)
            command.stdin.close()
            assert select.select([second], [], [], 60)[0], "the second process goes on"
        finally:
            os.close(second)
            command.stdin.close()
        errors = command.stderr.read()
    assert command.returncode == (-number if number == signal.SIGKILL else 130), errors
    assert "Traceback" not in errors
    assert (to / ".export").exists() is (number == signal.SIGKILL)
    run(few, to, "metrics")
    run(few, tmp_path / "one", "metrics")
    assert content(to) == content(tmp_path / "one")


# Who makes which day


def days(count: int) -> list[Day]:
    """So many days."""
    return [Day(f"2026-03-{at + 1:02}", "", "") for at in range(count)]


def made_of(turn: Turn, *, is_whole: bool = True) -> Made:
    """A day without files. is_whole: these are whole."""
    contents: Future[list[Content]] = Future()
    if is_whole:
        contents.set_result([])
    return Made(DayExported(turn.day.date, None, True), [], contents)


def test_days_come_in_their_order_whoever_makes_them() -> None:
    """What another has made ahead waits for the day before it; what is given back is made by the first who can."""
    turns = Turns(days(5), lambda *_: None)
    first, second = turns.take(), turns.take()
    assert first is not None
    assert second is not None
    turns.put(second, made_of(second))
    turns.give_back([first])
    here: list[int] = []

    def make(turn: Turn) -> Made:
        here.append(turn.place)
        return made_of(turn)

    assert [each.day.date[-1] for each in turns.in_order(make) if each.day] == list("12345")
    assert here == [0, 2, 3, 4]
    assert turns.take() is turns.wait() is None


def test_only_some_days_are_made_ahead() -> None:
    """Who is faster waits until the next day has been put in its place, so that few files lie aside."""
    turns = Turns(days(20), lambda *_: None)
    ahead = []
    while (turn := turns.take()) is not None:
        ahead.append(turn)
    assert len(ahead) == 5
    for turn in ahead:
        turns.put(turn, made_of(turn))
    in_order = turns.in_order(made_of)
    next(in_order)
    assert turns.take() is None
    next(in_order)
    turn = turns.take()
    assert turn is not None
    assert turn.place == 5
    turns.close()
    assert turns.wait() is None


def test_files_become_whole_while_the_next_day_is_read() -> None:
    """A day whose files are in the making comes after the next has been read; the last comes when there is no other."""
    turns = Turns(days(2), lambda *_: None)
    here: list[int] = []

    def make(turn: Turn) -> Made:
        here.append(turn.place)
        return made_of(turn, is_whole=False)

    in_order = turns.in_order(make)
    next(in_order)
    assert here == [0, 1]
    assert len(list(in_order)) == 1


def test_progress_counts_the_rows_of_all() -> None:
    """Rows of days that are being read count too, each once, whoever reads them."""
    shown: list[tuple[int, int]] = []
    turns = Turns(days(2), lambda *counts: shown.append(counts))
    first, second = turns.take(), turns.take()
    assert first is not None
    assert second is not None
    for turn, rows in ((first, 10), (second, 5), (first, 30)):
        turns.count(turn, rows)
        turns.show()
    turns.put(first, made_of(first))
    turns.show()
    assert shown == [(0, 10), (0, 15), (0, 35), (1, 35)]
