"""A second process that makes days of an export: threads of one process share a lock, and so do not use two cores.

The command begins it and talks to it by its standard input and output, an object a line. It only saves time: whatever
goes wrong with it, its days are made by the command itself, where errors come out. It prints nothing, and ends with its
standard input: also when the command is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final, NoReturn, Self

import msgspec

from rollbook.genesys.program.private_process import close_to_others
from rollbook.genesys.program.process_memory import tune_collector
from rollbook.store.book import Book
from rollbook.store.export import day_files
from rollbook.store.export.column_reading import Ways
from rollbook.store.export.columns import BY_NAME
from rollbook.store.export.day_files import DayExported, ExportOptions, FileMade, Made
from rollbook.store.export.day_rows import Day
from rollbook.store.export.parts import Format
from rollbook.store.export.turns import Turn, Turns
from rollbook.store.export.writing import Content, Writing, path_aside

log = logging.getLogger(__name__)
# -P: nothing is imported from the working directory that the command itself would not import from there.
_COMMAND: Final = ("-P", "-m", "rollbook.store.export.second_process")
# Seconds between two messages of how far it is.
_EVERY: Final = 0.2


# What is said: the job first, then a day a line; and answers.


class SecondJob(msgspec.Struct):
    """All that the second process must know but the days. aside: a folder of its own; paths as the system has them.

    apart: a thread of its own writes.
    """

    store: bytes
    aside: bytes
    form: Format
    tables: list[str]
    settled: bool
    now: str
    apart: bool


class RowsRead(msgspec.Struct, tag=True):
    """Rows of the day that is being read, so far."""

    rows: int


class DayRead(msgspec.Struct, tag=True):
    """The end of reading a day: another can be given, while its files become whole."""


class DayMade(msgspec.Struct, tag=True):
    """A day whose files are whole. proofs: of each file, its verdict and whether its day is over."""

    day: DayExported
    proofs: list[tuple[str | None, bool | None]]
    contents: list[Content]


class SecondFailed(msgspec.Struct, tag=True):
    """The end of the second process, by an error."""

    why: str


_Answer = RowsRead | DayRead | DayMade | SecondFailed
_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_day: Final = msgspec.json.Decoder(Day).decode


class NoAnswer(Exception):
    """The second process has ended, or says what it should not."""


# The command's side


def cores() -> int:
    """The cores that this process may use."""
    # Not everywhere; then those that there are.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


class SecondProcess:
    """The second process, and the thread that gives it days. At the end of `with` both have ended.

    store: the file that is read. aside: the folder in which files are made. now: as API text. apart: as for Writing.
    """

    def __init__(self, store: Path, aside: Path, wanted: ExportOptions, now: str, turns: Turns, *, apart: bool) -> None:
        self._store, self._aside, self._wanted, self._now = store, aside, wanted, now
        self._turns = turns
        self._apart = apart
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._work, name="export-second", daemon=True)

    def __enter__(self) -> Self:
        # The modules that it imports are those of this process, wherever these come from.
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        try:
            # A folder of its own: what is left of the process of a run that was killed writes into none of this run's.
            self._aside = Path(tempfile.mkdtemp(dir=self._aside.absolute()))
            self._process = subprocess.Popen(  # noqa: S603 (its arguments are ours)
                [sys.executable or "", *_COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths},
            )
        except (OSError, ValueError) as error:
            log.info("no second process for this export: %s", error)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._turns.close()
        if self._process is not None:
            # It has nothing to bring to an end. A signal that can be ignored or put off would have to be waited for.
            self._process.kill()
            self._thread.join()
            self._process.wait()

    def _work(self) -> None:
        process, given = self._process, deque[Turn]()
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout as answers:
            try:
                with process.stdin as words:
                    self._give_days(words, answers, given)
            except (OSError, ValueError, NoAnswer) as error:
                log.info("the second process of this export ended: %s; its days are made without it", error)
                process.kill()
                self._turns.give_back(given)

    def _give_days(self, words: IO[bytes], answers: IO[bytes], given: deque[Turn]) -> None:
        """Give it days until none is left. given: those of which it has not said that they are whole."""
        wanted = self._wanted
        tables = [table.name for table in wanted.tables]
        paths = os.fsencode(self._store.absolute()), os.fsencode(self._aside)
        _say(words, SecondJob(*paths, wanted.form, tables, wanted.settled, self._now, self._apart))
        while (turn := self._turns.take() or (None if given else self._turns.wait())) or given:
            if turn is None:
                # Enough is made ahead, or all: the next one can be put in its place when this is whole.
                self._hear(answers, given)
                continue
            given.append(turn)
            _say(words, turn.day)
            while not isinstance(self._hear(answers, given), DayRead):
                pass

    def _hear(self, answers: IO[bytes], given: deque[Turn]) -> _Answer:
        """Take an answer. Raises NoAnswer, ValueError."""
        line = answers.readline()
        if not line.endswith(b"\n"):
            raise NoAnswer("it has ended")
        answer: _Answer = _decode_answer(line)
        if isinstance(answer, SecondFailed):
            raise NoAnswer(answer.why)
        if not given:
            raise NoAnswer("it speaks of a day that it has not")
        if isinstance(answer, RowsRead):
            self._turns.count(given[-1], answer.rows)
        elif isinstance(answer, DayMade):
            self._turns.put(given[0], self._taken(given[0].day, answer))
            given.popleft()
        return answer

    def _taken(self, day: Day, answer: DayMade) -> Made:
        """What it has made of a day, as if it were made here. Raises NoAnswer where that is not there."""
        tables = [table for table in self._wanted.tables if table.by is not None and not answer.day.left_out]
        files = [
            FileMade(path_aside(self._aside, table, day.date, self._wanted.form), table, *proof)
            for table, proof in zip(tables, answer.proofs, strict=True)
        ]
        sizes = [content.size for content in answer.contents]
        if answer.day.date != day.date or sizes != [file.path.stat().st_size for file in files]:
            raise NoAnswer("its files are not those of its day")
        contents: Future[list[Content]] = Future()
        contents.set_result(answer.contents)
        return Made(answer.day, files, contents)


def _say(words: IO[bytes], what: object) -> None:
    words.write(msgspec.json.encode(what) + b"\n")
    words.flush()


# The second process


class _Answers:
    """Answers to the command, from any thread."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._turn = threading.Lock()
        self._said = 0.0

    def say(self, answer: _Answer) -> None:
        """Say it, all of it before the next."""
        with self._turn:
            _say(self._out, answer)

    def count(self, rows: int) -> None:
        """Say how many rows have been read, now and then."""
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            self.say(RowsRead(rows))

    def made(self, made: Made) -> Callable[[Future[list[Content]]], None]:
        """What is to be called when a day's files are whole, or cannot become so."""

        def say(contents: Future[list[Content]]) -> None:
            if error := contents.exception():
                self.say(SecondFailed(str(error)))
            elif made.day is not None:
                self.say(DayMade(made.day, [(file.verdict, file.over) for file in made.files], contents.result()))

        return say


def _make_days(lines: IO[bytes], answers: _Answers) -> NoReturn:
    """Make days as they come; never ends but by an error."""
    job = msgspec.json.decode(lines.readline(), type=SecondJob)
    wanted = ExportOptions([BY_NAME[name] for name in job.tables], job.form, job.settled)
    days: SimpleQueue[Day] = SimpleQueue()
    threading.Thread(target=_receive, args=(lines, days), name="export-days", daemon=True).start()
    aside, ways = Path(os.fsdecode(job.aside)), Ways()
    with (
        Book.open(Path(os.fsdecode(job.store)), mode="ro") as book,
        Writing(aside, job.form, apart=job.apart) as writing,
    ):
        while True:
            made = book.read_now(day_files.of_day, days.get(), wanted, job.now, writing, ways, answers.count)
            answers.say(DayRead())
            made.contents.add_done_callback(answers.made(made))


def _receive(lines: IO[bytes], days: SimpleQueue[Day]) -> None:
    """Take days from the command. When it is gone, or needs no more, this process ends at once, whatever it does."""
    for line in lines:
        days.put(_decode_day(line))
    os._exit(0)


def main() -> NoReturn:
    """Be the second process."""
    # Of a terminal, the command has it too, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    close_to_others()
    tune_collector()
    # What any library prints is no answer.
    answers = _Answers(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    try:
        _make_days(sys.stdin.buffer, answers)
    except BaseException as error:
        answers.say(SecondFailed(f"{type(error).__name__}: {error}"))
    finally:
        # Its other threads may wait for the command for ever, and it has nothing to bring to an end.
        os._exit(1)


if __name__ == "__main__":
    main()
