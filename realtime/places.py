"""The places that an OAuth client has for channels: how many are ours, and how many somebody else's.

The platform counts the channels of a client over all programs that use it, and names only those that the token of the
request has made. Here is what is known of ours, as a value; whom to ask for the rest is the supervisor's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from genesys.api import Channel
from realtime import spread


@dataclass(slots=True)
class Places:
    """ours: channels of this process, by id, those that no line uses any more included. in_use: of all programs."""

    ours: dict[str, Channel] = field(default_factory=dict)
    in_use: int = 0

    def made(self, channel: Channel) -> None:
        """A channel of ours was created."""
        self.ours[channel.id.reveal()] = channel
        self.in_use += 1

    def counted(self, named: Collection[str], *, known: Iterable[str], gone: Iterable[str]) -> None:
        """The platform was asked. named: the ids that it told, "" for each that it did not name.

        known: those of ours when it was asked; one that was made since is not in its list. gone: not there any more.
        """
        for one in gone:
            self.ours.pop(one, None)
        self.in_use = len(named) + len(self.ours.keys() - set(known) - set(named))

    @property
    def others(self) -> int:
        """How many of the client's channels are not ours."""
        return spread.others(self.in_use, len(self.ours))

    def free(self, used: int) -> int:
        """How many channels could be created without taking one from somebody, if our lines use so many."""
        return spread.free(self.in_use, len(self.ours), used)
