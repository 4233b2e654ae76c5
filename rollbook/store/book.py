"""The book: the store as the other rooms see it. What is read and written are functions of the tables' modules.

The call says where it may stand: `await book.read(fn, …)` where an event loop runs, `book.read_now(fn, …)` where none
does, and `book.write(fn, …)` anywhere, which is answered by a future after the commit that made it durable. A read sees
every committed write. asyncio is imported where it is used: a function on AWS captures without it.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Concatenate, Final, Literal, ParamSpec, Self, TypeVar

from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.times import Interval
from rollbook.store.bodies import packing
from rollbook.store.file import connections, locks
from rollbook.store.file.checkpointer import Checkpointer
from rollbook.store.file.errors import SQLITE_FAILS, StoreUnwritable, translate
from rollbook.store.file.learner import Learner
from rollbook.store.file.read_connection import ReadConnection
from rollbook.store.file.waiting import Patience
from rollbook.store.file.writer import WriteFuture, Writer
from rollbook.store.rows import half_hours
from rollbook.store.tables import notes

P = ParamSpec("P")
T = TypeVar("T")
# A function of the tables: it takes the connection first.
Fn = Callable[Concatenate[sqlite3.Connection, P], T]
# How far the platform's index is believed to be behind its events, unless the settings say otherwise.
LAG: Final = timedelta(minutes=10)


class Book:
    """An opened store. Use `Book.open`; it is a context manager, for code with an event loop an asynchronous one.

    lag: how far the platform's index may be behind its events, for those who write events. redactor: what takes
    people's data out of what is written. Every method may raise a StoreError, whose message is one line that
    says what to do.
    """

    def __init__(
        self,
        path: Path,
        *,
        writer: Writer | None,
        reader: sqlite3.Connection,
        command: str,
        role: Checkpointer | None,
        lag: timedelta,
        redactor: Redactor | None,
    ) -> None:
        self.path, self.lag, self.redactor = path, lag, redactor
        self._writer, self._reader = writer, ReadConnection(reader, path)
        self._command = command
        self._role = role

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        mode: Literal["rw", "r+", "ro"] = "rw",
        organization: tuple[str, str] | None = None,
        command: str = "rollbook",
        lag: timedelta = LAG,
        journal: Literal["wal", "delete"] | None = None,
        busy: float = connections.BUSY_SECONDS,
        hurry: threading.Event | None = None,
        pack: packing.Mode = "events",
        redactor: Redactor | None = None,
    ) -> Self:
        """Open the store.

        mode: "rw" makes it if need be; "r+" writes to one that is there, "ro" reads it.
        organization: (id, name) that it must belong to; None asks nothing. journal: None is "wal", and "delete" where
        WAL does not work (a network file system); then this process must be the only one that writes. busy: seconds to
        wait for another program's transaction. hurry: once it is set, opening and writing give up on that within a
        second. pack: which bodies are packed that are written; all are read. redactor: takes people's
        data out of events and dead letters before they are written; details come without it. Raises StoreUnwritable,
        StoreForeign, StoreBusy, StoreFull.
        """
        path = Path(path)
        writer = role = None
        if mode == "r+":
            connections.must_be_there(path)
        if mode != "ro":
            journal = connections.choose_journal(path, journal)
            patience = Patience(busy, hurry or threading.Event())
            connections.prepare(path, organization=organization, journal=journal, patience=patience, pack=pack)
            role = Checkpointer(path) if journal == "wal" else None
            learner = Learner(packing.KINDS[pack])

            def connect() -> packing.PackingConnection:
                connection = learner.begin(connections.connect(path, journal=journal, timeout=patience.step))
                connection.redactor = redactor
                return connection

            try:
                writer = Writer(
                    connect,
                    path,
                    patience=patience,
                    together=half_hours.made_together,
                    after_commit=[learner, role] if role else [learner],
                    before_close=notes.settle,
                )
                learner.use(writer)
                if role is not None:
                    role.use(writer)
            except SQLITE_FAILS as error:
                raise translate(error, path) from None
        try:
            reader = connections.connect_reader(path, timeout=busy)
            if writer is not None:
                locks.must_not_be_restored(path, command, unless=reader.close)
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        return cls(path, writer=writer, reader=reader, command=command, role=role, lag=lag, redactor=redactor)

    def close(self) -> None:
        """Commit what waits, then close: where nobody else has it open, all is in the one file. May be called twice."""
        # The one that writes goes last: SQLite takes the write-ahead log into the file when its last connection goes,
        # and one that only reads cannot.
        self._reader.close()
        if self._writer is not None:
            self._writer.close()
        if self._role is not None:
            self._role.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        from asyncio import to_thread

        await to_thread(self.close)

    async def read(self, fn: Fn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer `fn(connection, …)`, read in the book's own thread: nothing else of the event loop waits for it."""
        from asyncio import wrap_future

        return await wrap_future(self._reader.submit(lambda db: fn(db, *args, **kwargs)))

    def read_now(self, fn: Fn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Answer `fn(connection, …)`, read in the calling thread. Warns where an event loop stands still for it."""
        if _loop_runs_here():
            warnings.warn("read_now stops the event loop: await Book.read", RuntimeWarning, stacklevel=2)
        return self._reader.read(lambda db: fn(db, *args, **kwargs))

    def write(self, fn: Fn[P, T], /, *args: P.args, **kwargs: P.kwargs) -> WriteFuture[T]:
        """Run `fn(connection, …)` in the writer's thread, in a transaction; the answer comes after its commit.

        `WriteFuture.ran` is answered before that, when only what needs no lock of Python's is left: the half hours of
        all that is written together, and the commit.

        The function may be run twice: what it does elsewhere than on the connection, it must be able to do again.
        """
        if self._writer is None:
            raise StoreUnwritable(f"{self.path} was opened for reading only")
        return self._writer.submit(lambda db: fn(db, *args, **kwargs))

    # Locks

    def lock_window(
        self, interval: Interval, *, wait: float = 60.0, command: str | None = None
    ) -> AbstractContextManager[None]:
        """Exclude other runs from the interval. Blocks for up to `wait` seconds; raises LockHeld, naming the holder."""
        span = locks.window_range(_milliseconds(interval.start), _milliseconds(interval.end))
        return locks.locked(
            locks.lock_file(self.path),
            span,
            what=f"the window {interval.text}",
            command=command or self._command,
            wait=wait,
        )

    def lock_daemon(self) -> AbstractContextManager[None]:
        """Be the one daemon of this store. Raises LockHeld, naming the other one."""
        return locks.locked(
            locks.lock_file(self.path),
            locks.DAEMON,
            what=str(self.path),
            command=self._command,
            wait=0.0,
            # A daemon never finishes.
            state="has a daemon already:",
            remedy="stop it, or give this one another file with --db",
        )


def _loop_runs_here() -> bool:
    loaded = sys.modules.get("asyncio")
    return loaded is not None and loaded._get_running_loop() is not None


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
