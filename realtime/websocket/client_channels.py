"""The channels of the OAuth client: the program's own and those of other programs.

The platform counts the channels of a client over all programs that use it, and names only those that the token of the
request has made. A channel that an earlier run of ours has left looks like another program's: only the store knows how
many were left and for how long they live. Nobody uses those, so the platform takes them first when a place is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from realtime.websocket.topic_placement import CHANNELS_A_CLIENT
from rollbook.genesys.api.client import Api, NotificationChannel
from rollbook.genesys.errors import NotFound, PermissionRefused
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.tables import channels

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ChannelPlaces:
    """The places for channels that the OAuth client has, as a value.

    left_until: ends of life of the channels that earlier runs left, API text, the soonest first. ours: channels of this
    process, by id, those that no line uses any more included. in_use: count of channels, of all programs.
    being_created: how many channels that seem to be another program's may be new channels of this process.
    has_counted: whether the platform has been asked.
    """

    left_until: list[str] = field(default_factory=list)
    ours: dict[str, NotificationChannel] = field(default_factory=dict)
    in_use: int = 0
    being_created: int = 0
    has_counted: bool = False

    def made(self, channel: NotificationChannel) -> bool:
        """Note a new channel of this process; answers if it may have taken the place of a channel that is in use."""
        self.ours[channel.id.reveal()] = channel
        self.in_use += 1
        if self.in_use > CHANNELS_A_CLIENT and self.left_until:
            # The platform took the oldest unused one away. (Counted as gone even if it was not: that is cautious.)
            del self.left_until[0]
            self.in_use -= 1
        return self.in_use > CHANNELS_A_CLIENT

    def prolonged(self, channel: NotificationChannel) -> None:
        """Note that a channel of this process lives longer than was known."""
        if channel.id.reveal() in self.ours:
            self.ours[channel.id.reveal()] = channel

    def counted(
        self, named: Collection[str], *, known: Iterable[str], gone: Iterable[str], being_created: int, now: str
    ) -> None:
        """Note the platform's answer. named: the ids that it gave, "" for each that it did not name. now: API text.

        known: this process' channels when it was asked; a channel that was made since is not in its list. gone: those
        that are not there any more. being_created: how many were being created meanwhile.
        """
        foreign = self.others + len(self.left_until)
        for channel_id in gone:
            self.ours.pop(channel_id, None)
        self.in_use = len(named) + len(self.ours.keys() - set(known) - set(named))
        there = max(self.in_use - len(self.ours), 0)
        alive = [expires for expires in self.left_until if expires > now]
        # What else has gone may have been left by us: nobody else's channel is taken for one of those.
        gone_early = foreign - there - (len(self.left_until) - len(alive)) if self.has_counted else 0
        self.left_until = alive[max(gone_early, len(alive) - there, 0) :]
        self.being_created, self.has_counted = being_created, True

    @property
    def others(self) -> int:
        """Count of the client's channels that are other programs'."""
        return max(self.in_use - len(self.ours) - len(self.left_until), 0)

    def lines(self, present: int) -> int:
        """Count of lines that there may be: of the channels that other programs leave, at least 1.

        present: count of lines now. No line ends for the sake of a channel that may be ours.
        """
        left = CHANNELS_A_CLIENT - self.others
        return max(left, min(present, left + self.being_created), 1)

    def free(self, used: int) -> int:
        """Count of channels that could be created without taking another program's, if our lines use so many.

        Those of ours that no line uses any more count as free: without a connection, the platform evicts them first.
        """
        return max(CHANNELS_A_CLIENT - self.others - used, 0)

    def until(self) -> list[str]:
        """Ends of life of all channels that are known to be ours, of this run and earlier runs."""
        return sorted([*self.left_until, *(channel.expires for channel in self.ours.values())])


class ClientChannels:
    """Counts the channels, and notes those of this run for the next run. `load` once, before the first channel.

    life: seconds for which a channel lives since it was made or subscribed.
    """

    def __init__(self, api: Api, book: Book, *, now: Callable[[], datetime], life: float) -> None:
        self._api, self._book, self._now = api, book, now
        self._life = timedelta(seconds=life)
        self.places = ChannelPlaces()
        self._kept: Sequence[str] = ()
        self._logged_others: int | None = None
        self.crowded = asyncio.Event()  # a new channel may have taken a place that is in use

    async def load(self) -> None:
        """Load the ends of life of the channels that earlier runs left. Raises StoreError."""
        self.places.left_until = await self._book.read(channels.left, to_text(self._now()))

    def made(self, channel: NotificationChannel) -> None:
        """Note a new channel."""
        if self.places.made(self._lives_from_now(channel)):
            self.crowded.set()
        self._keep()

    def prolong(self, channel: NotificationChannel) -> None:
        """Note that a channel was subscribed, which prolongs its life."""
        self.places.prolonged(self._lives_from_now(channel))
        self._keep()

    def _lives_from_now(self, channel: NotificationChannel) -> NotificationChannel:
        return replace(channel, expires=to_text(self._now() + self._life))

    async def count(self, being_created: Callable[[], int]) -> None:
        """Count the channels that programs use, and log a change. being_created: gives how many of ours are just now.

        Raises RollbookError.
        """
        known, before = dict(self.places.ours), being_created()
        named = [channel.id.reveal() for channel in await self._api.channels()]
        most_created = max(before, being_created())
        gone = [channel_id for channel_id in known.keys() - set(named) if not await self._is_there(known[channel_id])]
        self.places.counted(named, known=known, gone=gone, being_created=most_created, now=to_text(self._now()))
        self._keep()
        others = self.places.others
        if others and others != self._logged_others:
            log.warning(
                "%d of the %d channels of this OAuth client are not of this run, nor left by an earlier one: another"
                " program uses them, and topics are heard on those that it leaves; give rollbook an OAuth client of its"
                " own",
                others,
                CHANNELS_A_CLIENT,
            )
        self._logged_others = others

    async def _is_there(self, channel: NotificationChannel) -> bool:
        """Ask whether a channel of ours is there that the platform does not name, because another token has made it.

        The API has a new token every half day. An open socket is no answer, because it may outlast its channel.
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
            self._book.write(channels.keep, until).add_done_callback(_look)


def _look(done: Future[Any]) -> None:
    if (error := done.exception()) is not None:
        log.warning("cannot note which channels there are: %s", error)
