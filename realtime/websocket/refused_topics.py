"""Topics that the platform refuses, by its last answer to each: here, and in the book for whoever asks later.

A refusal ends when the topic is permitted, or not wanted any more. A refusal that the book keeps from an earlier run
explains gaps until the platform has answered, and is not counted before. Refused detail events are kept by template,
because there are thousands of conversations. This module knows no channel.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any

from realtime.websocket.subscriptions import SubscribedTopics, Unasked
from rollbook.genesys.api.client import TopicState
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.genesys.topics import DETAIL_EVENTS, detail_member, expand
from rollbook.store.book import Book
from rollbook.store.tables import coverage

log = logging.getLogger(__name__)


class RefusedTopics:
    """Plain topics that are refused. `load` once, before the first answer.

    now: the organisation's clock.
    """

    def __init__(self, book: Book, *, now: Callable[[], datetime]) -> None:
        self._book, self._now = book, now
        self._topics: dict[str, tuple[str, ...]] = {}  # by the answers to this run, and what each lacks
        self._kept: set[str] = set()  # in the book, those of earlier runs too
        self.members: set[str] = set()  # of detail events: what need not be asked for with every conversation

    def __len__(self) -> int:
        return len(self._topics)

    def missing(self, topics: Iterable[str] | None = None) -> tuple[str, ...]:
        """Permissions that refused topics lack: these topics, or all."""
        asked = self._topics if topics is None else topics
        return tuple(sorted({lacks for topic in asked for lacks in self._topics.get(topic, ())}))

    def log_hearing(self, scope: str, subscribed: SubscribedTopics) -> None:
        """Log how many topics a line hears, now that it listens."""
        permitted, refused = len(subscribed.heard_topics()), subscribed.refused
        if refused:
            to_do, wanted = mend(self.missing(refused)), permitted + len(refused)
            log.warning("%s: hears %d of %d topics; %d refused%s", scope, permitted, wanted, len(refused), to_do)
        else:
            log.info("%s: hears %s", scope, count(permitted, "topic"))

    async def load(self) -> None:
        """Load the refusals of earlier runs from the book. Raises StoreError."""
        self._kept.update(row["topic"] for row in await self._book.read(coverage.rejected))

    def take_answer(self, states: Sequence[TopicState]) -> None:
        """Note that the platform took topics, or refused them. A named part of a combined topic counts."""
        named = {name: state for state in states if not state.permitted for name in expand(state.id)}
        taken = {_topic(name) for state in states if state.permitted for name in expand(state.id) if name not in named}
        self._forget(taken)
        refused: dict[str, TopicState] = {}
        for name, state in named.items():
            if (member := detail_member(name)) is None:
                refused[name] = state
            elif not isinstance(state, Unasked) and _topic(name) not in taken:
                refused[_topic(name)] = replace(state, id=_topic(name))
                self.members.add(member)
        self._say({name: state for name, state in refused.items() if name not in self._topics})
        if refused:
            self._topics.update({name: tuple(state.missing_permissions) for name, state in refused.items()})
            self._kept.update(refused)
            rows = [
                {"topic": name, "reason": state.reason, "missing_permissions": list(state.missing_permissions)}
                for name, state in refused.items()
            ]
            self._write(self._book.write(coverage.reject, rows, to_text(self._now())))

    @staticmethod
    def _say(refused: Mapping[str, TopicState]) -> None:
        """Log a line for all topics that lack the same permission: there may be thousands."""
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for name, state in refused.items():
            log.debug("refused: %s", name)
            alike.setdefault((state.reason or "no reason given", tuple(state.missing_permissions)), []).append(name)
        for (reason, lacks), names in alike.items():
            shown = names[0] if len(names) == 1 else f"{count(len(names), 'topic')} such as {names[0]}"
            log.warning("refused: %s (%s)%s", shown, reason.rstrip("."), mend(lacks))

    def ask_again(self) -> None:
        """Members of detail events that were refused may be asked for once more."""
        self.members.clear()

    def keep_only(self, wanted: Iterable[str]) -> None:
        """Forget the refusal of everything but these topics, combined or plain."""
        if self._topics or self._kept:
            names = {name for topic in wanted for name in expand(topic)}
            self._forget((self._topics.keys() | self._kept) - names)

    def _forget(self, names: Iterable[str]) -> None:
        names = set(names)
        for name in self._topics.keys() & names:
            del self._topics[name]
        if gone := self._kept & names:
            self._kept -= gone
            self._write(self._book.write(coverage.accept, sorted(gone)), gone)

    def _write(self, future: Future[Any], still: Collection[str] = ()) -> None:
        """Log a write that fails. still: the topics that the book has then, as before."""

        def look(done: Future[Any]) -> None:
            if (error := done.exception()) is not None:
                self._kept.update(still)
                log.warning("cannot note what became of a topic: %s", error)

        future.add_done_callback(look)


def _topic(name: str) -> str:
    """Name under which a refused topic is kept: its own, or the template for detail events of a conversation."""
    member = detail_member(name)
    return name if member is None else f"{DETAIL_EVENTS}.{member}"


def remedy(missing: Sequence[str]) -> str:
    """Advice about a refusal; empty where the platform names no permission."""
    return f"give the OAuth client's role {', '.join(missing)}" if missing else ""


def mend(missing: Sequence[str]) -> str:
    """Advice, with a colon, to put behind the refusal."""
    return f": {remedy(missing)}" if missing else ""
