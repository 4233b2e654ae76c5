"""The one thread that writes: jobs go in, each is answered after the commit that made it durable.

Jobs that wait together are committed together (an fsync costs far more than a row), each inside a savepoint of its
own, so that one that fails takes nothing with it. It knows transactions, not tables.

`BEGIN IMMEDIATE` takes the write lock at once: a transaction that reads first and then wants to write cannot be
granted the lock when another process wrote in between, however long it waits.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from store.errors import StoreError, translate

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]

# More jobs than this in one commit make nothing faster and the waiting longer.
GROUP: Final = 64
_STOP: Final = None


class Writer:
    """Owns one connection and the thread that uses it. `submit` may be called from any thread."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], path: Path, *, after_commit: Callable[[], None] = lambda: None
    ) -> None:
        self._connect = connect
        self._path = path
        self._after_commit = after_commit
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._closed = False
        self._lock = threading.Lock()
        opened: Future[None] = Future()
        self._opened = opened
        self._thread.start()
        opened.result()

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `job(connection)` inside a transaction. The future is answered after the commit, or with a StoreError."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            self._jobs.put((job, future))
        return future

    @property
    def waiting(self) -> int:
        """How many jobs wait (approximate)."""
        return self._jobs.qsize()

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
                self._after_commit()
        connection.close()

    def _take(self) -> tuple[list[tuple[Job, Future[Any]]], bool]:
        """Wait for one job, then take what else is there."""
        group = []
        item = self._jobs.get()
        while item is not None:
            if item[1].set_running_or_notify_cancel():
                group.append(item)
            if len(group) >= GROUP:
                return group, False
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, connection: sqlite3.Connection, group: list[tuple[Job, Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job, future in group:
                answers.append(self._one(connection, job, future))
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = translate(error, self._path) if isinstance(error, sqlite3.Error) else error
            answers = [(future, None, failure) for _, future in group]
        for future, value, failed in answers:
            if failed is None:
                future.set_result(value)
            else:
                future.set_exception(failed)

    def _one(
        self, connection: sqlite3.Connection, job: Job, future: Future[Any]
    ) -> tuple[Future[Any], Any, BaseException | None]:
        connection.execute("SAVEPOINT job")
        try:
            value = job(connection)
        except Exception as error:
            if not connection.in_transaction:
                # SQLite has rolled everything back by itself (a full disk, for one): the whole group failed.
                raise
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            if isinstance(error, sqlite3.Error):
                return future, None, translate(error, self._path)
            return future, None, error
        connection.execute("RELEASE job")
        return future, value, None
