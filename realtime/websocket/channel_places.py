"""The places that an OAuth client has for channels: how many are ours, and how many somebody else's.

The platform counts the channels of a client over all programs that use it, and names only those that the token of the
request has made. What an earlier run of ours has left looks like somebody else's: only the store knows how many it left
and for how long they live. Nobody uses those, so the platform takes them first when a place is needed. Here is what is
known, as a value; whom to ask for the rest is the supervisor's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from realtime.websocket import topic_placement
from rollbook.genesys.api.client import NotificationChannel


@dataclass(slots=True)
class Places:
    """ours: channels of this process, by id, those that no line uses any more included. in_use: of all programs.

    left: until when each channel lives that earlier runs left, API text, the soonest first. coming: how many of those
    that seem to be somebody else's may be new ones of ours. looked: whether the platform has been asked.
    """

    left: list[str] = field(default_factory=list)
    ours: dict[str, NotificationChannel] = field(default_factory=dict)
    in_use: int = 0
    coming: int = 0
    looked: bool = False

    def made(self, channel: NotificationChannel) -> bool:
        """A channel of ours was created; answers whether it may have taken the place of one that is in use."""
        self.ours[channel.id.reveal()] = channel
        self.in_use += 1
        if self.in_use > topic_placement.CHANNELS_A_CLIENT and self.left:
            # The platform took the oldest unused one away. (Counted as gone even if it was not: that is cautious.)
            del self.left[0]
            self.in_use -= 1
        return self.in_use > topic_placement.CHANNELS_A_CLIENT

    def prolonged(self, channel: NotificationChannel) -> None:
        """A channel of ours lives longer than was known."""
        if channel.id.reveal() in self.ours:
            self.ours[channel.id.reveal()] = channel

    def counted(
        self, named: Collection[str], *, known: Iterable[str], gone: Iterable[str], coming: int, now: str
    ) -> None:
        """The platform was asked. named: the ids that it told, "" for each that it did not name. now: API text.

        known: those of ours when it was asked; one that was made since is not in its list. gone: not there any more.
        coming: how many of ours were being created meanwhile.
        """
        foreign = self.others + len(self.left)
        for one in gone:
            self.ours.pop(one, None)
        self.in_use = len(named) + len(self.ours.keys() - set(known) - set(named))
        there = max(self.in_use - len(self.ours), 0)
        alive = [one for one in self.left if one > now]
        # What else has gone may have been left by us: nobody else's channel is taken for one of those.
        gone_early = foreign - there - (len(self.left) - len(alive)) if self.looked else 0
        self.left = alive[max(gone_early, len(alive) - there, 0) :]
        self.coming, self.looked = coming, True

    @property
    def others(self) -> int:
        """How many of the client's channels are somebody else's."""
        return topic_placement.others(self.in_use, len(self.ours) + len(self.left))

    def lines(self, standing: int) -> int:
        """How many lines may be: as many as there are channels that others leave, one at least.

        Of those that stand none ends for a channel that may be ours.
        """
        left = topic_placement.CHANNELS_A_CLIENT - self.others
        return max(left, min(standing, left + self.coming), 1)

    def free(self, used: int) -> int:
        """How many channels could be created without taking one from somebody, if our lines use so many."""
        return topic_placement.free(self.in_use, len(self.ours) + len(self.left), used)

    def until(self) -> list[str]:
        """Until when each channel lives that we know to be ours, of this run or an earlier one."""
        return sorted([*self.left, *(one.expires for one in self.ours.values())])
