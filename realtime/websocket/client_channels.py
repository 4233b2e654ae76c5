"""Who uses the client's channels: asks the platform, says what other programs have, and notes ours for the next run.

What follows from the answers is decided in `channel_places.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from realtime.websocket.channel_places import Places
from realtime.websocket.topic_placement import CHANNELS_A_CLIENT
from rollbook.genesys.api.client import Api, NotificationChannel
from rollbook.genesys.errors import NotFound, PermissionRefused
from rollbook.genesys.times import to_text
from rollbook.store.book import Book

log = logging.getLogger(__name__)


class Census:
    """One for a run. life: seconds for which a channel lives since it was made, or was told of topics."""

    def __init__(self, api: Api, book: Book, *, now: Callable[[], datetime], life: float) -> None:
        self._api, self._book, self._now = api, book, now
        self._life = timedelta(seconds=life)
        self.places = Places(book.channels_left())
        self._kept: Sequence[str] = ()
        self._said: int | None = None

    def made(self, channel: NotificationChannel) -> bool:
        """A channel was created; answers whether it may have taken the place of one that is in use."""
        crowded = self.places.made(self._lives_from_now(channel))
        self._keep()
        return crowded

    def told(self, channel: NotificationChannel) -> None:
        """A channel was told of topics, which prolongs its life."""
        self.places.prolonged(self._lives_from_now(channel))
        self._keep()

    def _lives_from_now(self, channel: NotificationChannel) -> NotificationChannel:
        return replace(channel, expires=to_text(self._now() + self._life))

    async def count(self, coming: Callable[[], int]) -> None:
        """See what uses the channels, and say so when it changes. coming: how many of ours are being created just now.

        Raises RollbookError.
        """
        known, before = dict(self.places.ours), coming()
        named = [channel.id.reveal() for channel in await self._api.channels()]
        coming_then = max(before, coming())
        gone = [one for one in known.keys() - set(named) if not await self._is_there(known[one])]
        self.places.counted(named, known=known, gone=gone, coming=coming_then, now=to_text(self._now()))
        self._keep()
        others = self.places.others
        if others and others != self._said:
            log.warning(
                "%d of the %d channels of this OAuth client are not of this run, nor left by an earlier one: another"
                " program uses them, and topics are heard on those that it leaves; give rollbook an OAuth client of its"
                " own",
                others,
                CHANNELS_A_CLIENT,
            )
        self._said = others

    async def _is_there(self, channel: NotificationChannel) -> bool:
        """Whether a channel of ours is there that the platform counts, if it is, and does not name.

        Another token has made it: the API has a new one every half day. So it is asked for; an open socket is no
        answer, because it may outlast its channel.
        """
        try:
            await self._api.subscriptions(channel)
        except (NotFound, PermissionRefused):
            return False
        return True

    def _keep(self) -> None:
        until = self.places.until()
        if until != self._kept:
            self._kept = until
            self._book.keep_channels(until).add_done_callback(_look)


def _look(done: Future[Any]) -> None:
    if (error := done.exception()) is not None:
        log.warning("cannot note which channels there are: %s", error)
