"""Subscriptions to the detail events of a line's conversations: over the channel's socket, or by REST.

A socket takes a list as a whole or not at all, and does not say why. So a list that it refuses is asked for by REST,
which names the refused topics and takes the rest; refused topics are left out of the lists that follow.
`followed_conversations.py` decides which conversations are followed, and when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from realtime.websocket.channel_session import ChannelSession, Desk, words
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.topics import detail_topics

log = logging.getLogger(__name__)


class DetailSubscriptions:
    """The conversations of a line that are followed in detail.

    scope: the line's name. spawn: begins work in the background.
    """

    def __init__(self, scope: str, *, desk: Desk, spawn: Callable[[Coroutine[Any, Any, Any]], object]) -> None:
        self._scope, self._desk, self._spawn = scope, desk, spawn
        self._wanted: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def follow(self, begin: Iterable[str], end: Iterable[str]) -> None:
        """Follow some conversations, and others no longer. `align` sends that to the platform."""
        for conversation_id in end:
            self._wanted.pop(conversation_id, None)
        self._wanted |= dict.fromkeys(begin)

    def topics(self) -> dict[str, tuple[str, ...]]:
        """The combined topics of each conversation, without what the platform refuses."""
        return self._topics_of(sorted(self._wanted))

    def _topics_of(self, conversations: Iterable[str]) -> dict[str, tuple[str, ...]]:
        without = self._desk.refused_topics.members
        return {
            conversation_id: tuple(detail_topics(conversation_id, without=without)) for conversation_id in conversations
        }

    def align(self, session: ChannelSession) -> None:
        """Send the channel the differences."""
        if session.socket is None:
            return
        wanted, details = self._wanted.keys(), session.subscribed.details
        gone = [topic for conversation_id in sorted(details.keys() - wanted) for topic in details.pop(conversation_id)]
        fresh = self._topics_of(sorted(wanted - details.keys()))
        details |= fresh
        if gone:
            self._spawn(session.request("unsubscribe", gone, self._desk.timings.pong_within))
        if any(fresh.values()):
            self._spawn(self._take(session, fresh))

    async def _take(self, session: ChannelSession, fresh: dict[str, tuple[str, ...]]) -> None:
        reply = await session.request(
            "subscribe", [topic for topics in fresh.values() for topic in topics], self._desk.timings.pong_within
        )
        if reply is not None and reply.result not in ("200", "404"):
            await self._take_by_rest(session, list(fresh))

    async def _take_by_rest(self, session: ChannelSession, conversations: list[str]) -> None:
        details = session.subscribed.details
        try:
            # The first conversation shows which members are refused; the others are asked for without them.
            for some in (conversations[:1], conversations[1:]):
                fresh = self._topics_of(conversation_id for conversation_id in some if conversation_id in details)
                details |= fresh
                if topics := [topic for listed in fresh.values() for topic in listed]:
                    await session.subscribe(self._desk, topics, replace=False)
        except RollbookError as error:
            log.warning("%s: %d conversations cannot be followed: %s", self._scope, len(conversations), words(error))
            for conversation_id in conversations:
                details.pop(conversation_id, None)  # asked for again with the next ones
