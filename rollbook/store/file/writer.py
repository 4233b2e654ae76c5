"""The one thread that writes: jobs go in, each is answered after the commit that made it durable.

Jobs that wait together are committed together (an fsync costs far more than a row). One that fails takes nothing with
it: its group is rolled back, and each is run again in a transaction of its own. (A savepoint around each would copy
every page that it touches, which costs a twelfth of a reconciliation.) It knows transactions, not tables.

During a commit, and a long statement before it (`together`), SQLite needs no lock of Python's. So a job says when its
own statements have run (`WriteFuture.ran`), and who has more to write reads and decodes it meanwhile
(docs/performance.md).

`BEGIN IMMEDIATE` takes the write lock at once: a transaction that reads first and then wants to write cannot be
granted the lock when another process wrote in between, however long it waits.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeVar

from rollbook.store.bodies.packing import PackingConnection
from rollbook.store.file.errors import StoreError, translate
from rollbook.store.file.transactions import transaction
from rollbook.store.file.waiting import Patience

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]

# More jobs than this in one commit make nothing faster and the waiting longer.
GROUP: Final = 64
_STOP: Final = None


class WriteFuture(Future[T]):
    """The answer of a job, which comes after the commit.

    ran: answered before that, as soon as the statements of all that are committed together have run, or have failed;
    what comes at the end of them all (`Writer`) is still to do then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ran: Future[None] = Future()
        self.ran.set_running_or_notify_cancel()  # so nobody who waits for it can take it back

    def has_run(self) -> None:
        """Answer `ran`, if it is not."""
        if not self.ran.done():
            self.ran.set_result(None)


class Writer:
    """Owns one connection and the thread that uses it. `submit` may be called from any thread.

    together: around all jobs of a transaction; what it does at its end comes after `WriteFuture.ran`, and is best what
    needs no lock of Python's.
    """

    def __init__(
        self,
        connect: Callable[[], PackingConnection],
        path: Path,
        *,
        patience: Patience,
        together: Callable[[PackingConnection], AbstractContextManager[Any]] = nullcontext,
        after_commit: Sequence[Callable[[sqlite3.Connection], None]] = (),
        before_close: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._path = path
        self._patience = patience
        self._together = together
        self._after_commit = after_commit
        self._before_close = before_close
        self._jobs: queue.SimpleQueue[tuple[Job, WriteFuture[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._closed = False
        self._lock = threading.Lock()
        opened: Future[None] = Future()
        self._opened = opened
        self._thread.start()
        opened.result()

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> WriteFuture[T]:
        """Run `job(connection)` inside a transaction. The future is answered after the commit, or with a StoreError.

        A job may be run twice: what it does elsewhere than on the connection, it must be able to do again.
        """
        future: WriteFuture[T] = WriteFuture()
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Finish what waits, then close the connection. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(_STOP)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        stop = False
        while not stop:
            group, stop = self._take()
            if group:
                self._commit(connection, group)
                for step in self._after_commit:
                    step(connection)
        self._before_close(connection)
        connection.close()

    def _take(self) -> tuple[list[tuple[Job, WriteFuture[Any]]], bool]:
        """Wait for one job, then take what else is there."""
        group = []
        item = self._jobs.get()
        while item is not None:
            if item[1].set_running_or_notify_cancel():
                group.append(item)
            else:
                item[1].has_run()
            if len(group) >= GROUP:
                return group, False
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, connection: PackingConnection, group: list[tuple[Job, WriteFuture[Any]]]) -> None:
        """Run these jobs in one transaction; if one of several fails, each again in one of its own."""
        try:
            values = self._patience.spend_on(lambda: self._transaction(connection, group))
        except _OneOfSeveral:
            for job_and_future in group:
                self._commit(connection, [job_and_future])
        except Exception as error:
            failure = translate(error, self._path) if isinstance(error, sqlite3.Error) else error
            for _, future in group:
                future.has_run()
                future.set_exception(failure)
        else:
            for (_, future), value in zip(group, values, strict=True):
                future.set_result(value)

    def _transaction(self, connection: PackingConnection, group: list[tuple[Job, WriteFuture[Any]]]) -> list[Any]:
        """Run the jobs in a transaction, and answer what they answer. Raises what a job raises; nothing is written."""
        with transaction(connection):
            try:
                with self._together(connection):
                    values = [job(connection) for job, _ in group]
                    for _, future in group:
                        future.has_run()
            except Exception:
                # Where SQLite has rolled back by itself (a full disk, for one), it is not the one job that failed.
                if len(group) > 1 and connection.in_transaction:
                    raise _OneOfSeveral from None
                raise
        return values


class _OneOfSeveral(Exception):
    """A job of a group failed, and the others need not."""
