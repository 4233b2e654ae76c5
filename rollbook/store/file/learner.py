"""The choice of the dictionary that a store's writer packs with: the newest there is, learnt from what is stored.

Until as many bodies are stored as one is learnt from they stay plain. It is learnt in a thread, and packs from the
moment on at which its commit was answered: a row never names a dictionary that a rollback has taken back.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from rollbook.genesys.errors import StoreError
from rollbook.genesys.times import to_text
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.dictionaries import Dictionary, Kind
from rollbook.store.file.writer import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)
# Commits between two looks: while a kind has no dictionary, and afterwards, for one that another program has learnt.
_LOOK_EVERY: Final = 4
_LOOK_AGAIN_EVERY: Final = 256


class _KindState(NamedTuple):
    """The state of a kind. sample: what to learn from, where there is no dictionary and enough is stored."""

    kind: Kind
    newest: Dictionary | None
    sample: list[bytes]


class Learner:
    """Called after each commit of the writer: finds the dictionaries to pack with, and has the first of a kind learnt.

    kinds: what is packed. Everything but the learning itself happens in the writer's thread.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds if kinds and frames.available() else ()
        self._connection: packing.PackingConnection | None = None
        self._writer: weakref.ref[Writer] | None = None
        self._commits = 0
        self._busy = False
        self._hopeless: set[Kind] = set()

    def begin(self, connection: packing.PackingConnection) -> packing.PackingConnection:
        """Pack on this connection, the writer's, which is in no transaction: with the dictionaries that there are."""
        self._connection = connection
        for kind in self._kinds:
            self._use(kind, dictionaries.newest(connection, kind))
        return connection

    def use(self, writer: Writer) -> None:
        """Look and learn through this writer."""
        self._writer = weakref.ref(writer)

    def __call__(self, _: sqlite3.Connection) -> None:
        self._commits += 1
        if self._kinds and not self._busy and self._commits % self._pause() == 0:
            self._look()

    def _lacking(self) -> set[Kind]:
        assert self._connection is not None
        return set(self._kinds) - self._connection.used.keys() - self._hopeless

    def _pause(self) -> int:
        return _LOOK_EVERY if self._lacking() else _LOOK_AGAIN_EVERY

    def _use(self, kind: Kind, newest: Dictionary | None) -> None:
        connection = self._connection
        if connection is not None and newest is not None and connection.used.get(kind) != newest.dictionary_id:
            packing.use(connection, kind, newest.body)

    def _look(self) -> None:
        lacking = self._lacking()

        def job(connection: sqlite3.Connection) -> list[_KindState]:
            return [_seen(connection, kind, kind in lacking) for kind in self._kinds]

        self._then(job, self._looked)

    def _looked(self, seen: list[_KindState]) -> None:
        for kind, newest, _ in seen:
            self._use(kind, newest)
        samples = {found.kind: found.sample for found in seen if found.sample}
        if samples:
            # It ends with the process: what is being learnt then is learnt by the next.
            self._busy = True
            threading.Thread(target=self._learn, args=(samples,), name="store-learner", daemon=True).start()

    def _learn(self, samples: dict[Kind, list[bytes]]) -> None:
        try:
            for kind, sample in samples.items():
                content = frames.learn(packing.to_learn_from(sample))
                if content is None:
                    self._hopeless.add(kind)
                else:
                    log.info("learnt a dictionary for %s from %d bodies", kind, len(sample))
                    self._keep(kind, Dictionary(frames.dictionary_id(content), content))
        finally:
            self._busy = False

    def _keep(self, kind: Kind, learnt: Dictionary) -> None:
        at = to_text(datetime.now(UTC))

        def job(connection: sqlite3.Connection) -> Dictionary:
            return dictionaries.keep(connection, kind, learnt, at, before=None)

        self._then(job, lambda newest: self._use(kind, newest))

    def _then(self, job: Callable[[sqlite3.Connection], T], after: Callable[[T], None]) -> None:
        """Have the writer do a job; what its answer is for, after the commit: in the writer's thread."""

        def answered(future: Future[T]) -> None:
            if future.cancelled() or (error := future.exception()) is not None:
                log.info("a look at the dictionaries failed; bodies stay as they are", exc_info=error)
            else:
                after(future.result())

        writer = self._writer() if self._writer is not None else None
        if writer is not None:
            # It is being closed where that fails, and packs no more.
            with suppress(StoreError):
                writer.submit(job).add_done_callback(answered)


def _seen(connection: sqlite3.Connection, kind: Kind, lacking: bool) -> _KindState:
    newest = dictionaries.newest(connection, kind)
    sample: list[bytes] = []
    if lacking and newest is None and dictionaries.enough(connection, kind):
        sample = [packing.text(connection, body).encode() for body in dictionaries.sample(connection, kind)]
    return _KindState(kind, newest, sample)
