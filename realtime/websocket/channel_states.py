"""The words of channel life: phases, events, actions, the moment at which they happen, and what a channel is then.

Values, and no rule. The rules that go from the one to the other stand in `channel_life.py`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a channel is in its life."""

    CREATING = "creating"
    SUBSCRIBING = "subscribing"
    CONNECTING = "connecting"
    LISTENING = "listening"
    WAITING = "waiting"  # for its step of the back-off
    LEAVING = "leaving"  # asked a last time whether it is there: until then it was heard
    DONE = "done"


class Event(StrEnum):
    """What can happen to a channel."""

    CREATED = "created"
    SUBSCRIBED = "subscribed"
    CONNECTED = "connected"
    RENEWED = "renewed"
    ANSWERED = "answered"  # the last ping
    GOES_ON = "goes on"  # the step under way takes several requests, and one of them was answered
    REFUSED = "refused"  # the step under way failed; it may succeed later
    GONE = "gone"  # the step under way failed because the platform does not know the channel any more
    LOST = "lost"  # the socket closed
    EVICTED = "evicted"  # the platform says that this channel hears nothing any more
    CLOSING = "closing"  # the platform will close the socket within a minute
    TICK = "tick"
    STOP = "stop"


class Do(StrEnum):
    """What the shell is to do."""

    CREATE = "create"
    SUBSCRIBE = "subscribe"
    CONNECT = "connect"
    RENEW = "renew"
    PING = "ping"
    PART = "part"  # ask a last time whether the channel is there, and tell what came
    CLOSE = "close"  # the socket, if there is one, and whatever step is under way
    HEAR = "hear"  # coverage begins
    UNHEAR = "unhear"  # coverage ends


# What begins a step.
STEPS: Final[Mapping[Phase, Do]] = {
    Phase.CREATING: Do.CREATE,
    Phase.SUBSCRIBING: Do.SUBSCRIBE,
    Phase.CONNECTING: Do.CONNECT,
    Phase.LEAVING: Do.PART,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Now. tick: monotonic seconds; wall: seconds of the epoch on the platform's clock; draw: random in [0, 1)."""

    tick: float
    wall: float
    draw: float = 0.5
    free: int = 20  # channels that could be created without taking one from somebody


@dataclass(frozen=True, slots=True)
class Signal:
    """An event for the channel `serial`; answers to an action carry its ticket, so that late ones are not mistaken.

    expires: (CREATED, RENEWED) end of the channel's life, seconds of the epoch. wait: (REFUSED) the platform's
    Retry-After, seconds. clean: (LOST) the socket was closed with a close frame; (EVICTED) the platform said so of
    itself, and not only when it was asked.
    """

    event: Event
    serial: int
    ticket: int = 0
    expires: float | None = None
    wait: float | None = None
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for the channel `serial`.

    at: (HEAR, UNHEAR) seconds of the epoch. reason: (UNHEAR) in the ledger's words. like: (CONNECT) use the channel of
    this other serial.
    """

    do: Do
    serial: int
    ticket: int = 0
    at: float = 0.0
    reason: str = ""
    like: int | None = None


@dataclass(slots=True)
class Channel:
    """One channel's life. `then`: what WAITING waits for."""

    serial: int
    phase: Phase
    then: Phase = Phase.CREATING
    until: float = math.inf  # the tick at which a wait ends or a step is overdue
    ticket: int = 0
    like: int | None = None
    failures: int = 0  # in a row, its predecessors' included: which step of the back-off comes next
    brief: int = 0  # sockets in a row that were accepted and did not last
    refused: float = math.inf  # the first of the handshakes in a row that were refused
    lasting: bool = False  # whether its socket has listened for long enough to be no failure
    listened: bool = False  # whether a socket of it has ever listened
    since: float = 0.0
    heard: float = 0.0
    heard_wall: float = 0.0
    told: float = 0.0  # the last frame that was no answer of ours
    pinged: float | None = None  # a ping that nothing has come after
    asked: float = 0.0  # the last ping, answered or not
    proven_wall: float = 0.0  # the last frame that comes only to a channel that is there
    sure_wall: float = math.inf  # nothing later is proven: frames lay unread, and no ping was answered since
    read_on: float = -math.inf  # the tick at which frames were read again after they had lain there
    pings: deque[Moment] = field(default_factory=deque)  # that have no answer yet
    expires: float = math.inf
    renew_at: float = math.inf
    renewing: float = math.inf  # the tick at which the renewal under way is overdue
    reason: str = ""  # (LEAVING) why its span ends
    kicked: bool = False  # whether a second socket took this one's place on the same channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds. The platform sends a heartbeat every 30 s and lets a channel live 24 h."""

    ping_every: float = 15.0  # heartbeats come from a socket whose channel is gone, too: an answer does not
    pong_within: float = 10.0
    ask_again: float = 1.0  # between pings, while what is read may have lain unread
    part_within: float = 2.0  # for the last answer; a daemon that is told to stop has not many seconds
    beats_every: float = 35.0  # the platform's 30 s, and some patience
    silent_after: float = 65.0  # two heartbeats missed, whatever the pings say
    first_step: float = 0.5
    longest_step: float = 60.0
    steady_after: float = 15.0  # of listening: failures are forgotten
    step_timeout: float = 90.0  # for an answer that never comes, to each request of a step
    life: float = 86_400.0
    renew_share: float = 0.5  # of its life, after which a channel is renewed
    refused_for: float = 3_600.0  # of refused handshakes, after which another channel is tried, if one is free
    reconnects: int = 3  # sockets in a row that did not last, after which their channel is given up

    def back_off(self, failures: int, draw: float) -> float:
        """How long to wait after the n-th failure in a row: half to all of a step that doubles."""
        step: float = min(self.longest_step, self.first_step * 2 ** min(max(failures, 1) - 1, 20))
        return step * (0.5 + draw / 2)
