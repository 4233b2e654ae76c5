"""Files in the making, written by a thread of their own while the next rows are read.

SQLite reads, and pyarrow compresses, without Python: two cores do both at once. Little waits in between, so that memory
does not grow with what is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from rollbook.store.export import parts
from rollbook.store.export.column_values import Columns
from rollbook.store.export.columns import Exported
from rollbook.store.export.folder import digest_of
from rollbook.store.export.parts import FilePart, Format

G = TypeVar("G")
T = TypeVar("T")
# Pieces that wait at most: each the rows of a table, of a thousand conversations.
_WAITING: Final = 4


class Unfinished(NamedTuple):
    """A file in the making."""

    path: Path
    part: FilePart


class Content(NamedTuple):
    """What is in a file that is whole: its bytes, their SHA-256, its rows, and the values left out, by column."""

    size: int
    digest: str
    rows: int
    unfit: Mapping[str, int]


def path_aside(aside: Path, table: Exported, day: str | None, form: Format) -> Path:
    """The path under which a file is made."""
    return aside / f"{table.name}.{day or 'all'}.{form}"


class Writing:
    """The thread that writes. At the end of `with` it has ended, and no file is open.

    aside: the folder in which files are made. apart: by a thread; else who calls writes: where other processes use the
    other cores, a thread saves no time and has pieces wait in memory. What fails in the thread is raised by a later
    call or by the result of `end`, and nothing is written after it.
    """

    def __init__(self, aside: Path, form: Format, *, apart: bool = True) -> None:
        self._aside = aside
        self._form = form
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export-writer") if apart else None
        self._waiting: deque[Future[Any]] = deque()
        self._failure: BaseException | None = None
        self._open: list[FilePart] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        for part in self._open:
            # What did not become whole is thrown away, whatever it still says.
            with suppress(Exception):
                part.close()

    def begin(self, table: Exported, day: str | None) -> Unfinished:
        """A new file, without rows."""
        path = path_aside(self._aside, table, day, self._form)
        part = parts.opened(path, table, self._form)
        self._open.append(part)
        return Unfinished(path, part)

    def write(self, file: Unfinished, columns: Columns) -> None:
        """Append rows. Blocks while enough waits already."""
        self._do(file.part.write, columns)

    def end(self, files: Sequence[Unfinished]) -> Future[list[Content]]:
        """End files, after all that was given before is written; answered by what is in them."""
        return self._do(self._ended, files)

    def _ended(self, files: Sequence[Unfinished]) -> list[Content]:
        for file in files:
            file.part.close()
            self._open.remove(file.part)
        return [
            Content(file.path.stat().st_size, digest_of(file.path), file.part.rows, file.part.unfit) for file in files
        ]

    def _do(self, work: Callable[[G], T], given: G) -> Future[T]:
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            done: Future[T] = Future()
            done.set_result(self._in_turn(work, given))
            return done
        while len(self._waiting) >= _WAITING:
            self._waiting.popleft().result()
        future = self._thread.submit(self._in_turn, work, given)
        self._waiting.append(future)
        return future

    def _in_turn(self, work: Callable[[G], T], given: G) -> T:
        if self._failure is not None:
            raise self._failure
        try:
            return work(given)
        except BaseException as error:
            self._failure = error
            raise
