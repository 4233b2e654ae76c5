"""Values of channel life: phases, events, commands, the moment at which they happen, the state of a channel, timings.

The rules that lead from an event to commands and to the next state are in `channel_life.py`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from realtime.websocket.back_off import BackOff


class Phase(StrEnum):
    """Phase of a channel's life."""

    CREATING = "creating"
    SUBSCRIBING = "subscribing"
    CONNECTING = "connecting"
    LISTENING = "listening"
    WAITING = "waiting"  # for its step of the back-off
    LEAVING = "leaving"  # a last ping asks whether the channel is there: coverage ends at its answer
    DONE = "done"


class EventKind(StrEnum):
    """Kinds of events that can happen to a channel."""

    CREATED = "created"
    SUBSCRIBED = "subscribed"
    CONNECTED = "connected"
    RENEWED = "renewed"
    ANSWERED = "answered"  # the last ping was answered
    GOES_ON = "goes on"  # the step under way takes several requests, and the platform answered a request of them
    REFUSED = "refused"  # the step under way failed; it may succeed later
    GONE = "gone"  # the step under way failed because the platform does not know the channel any more
    LOST = "lost"  # the socket closed
    EVICTED = "evicted"  # the platform says that this channel hears nothing any more
    CLOSING = "closing"  # the platform will close the socket within a minute
    TICK = "tick"
    STOP = "stop"


class CommandKind(StrEnum):
    """Kinds of commands to the shell."""

    CREATE = "create"
    SUBSCRIBE = "subscribe"
    CONNECT = "connect"
    RENEW = "renew"
    PING = "ping"
    CONFIRM_BEFORE_CLOSING = "confirm"  # ask a last time whether the channel is there, and report the answer
    CLOSE = "close"  # the socket, if there is one, and whatever step is under way
    BEGIN_COVERAGE = "begin coverage"
    END_COVERAGE = "end coverage"


# The command that begins each step.
STEPS: Final[Mapping[Phase, CommandKind]] = {
    Phase.CREATING: CommandKind.CREATE,
    Phase.SUBSCRIBING: CommandKind.SUBSCRIBE,
    Phase.CONNECTING: CommandKind.CONNECT,
    Phase.LEAVING: CommandKind.CONFIRM_BEFORE_CLOSING,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Now. tick: monotonic seconds; wall: seconds of the epoch on the platform's clock; draw: random in [0, 1)."""

    tick: float
    wall: float
    draw: float = 0.5
    free: int = 20  # channels that could be created without taking one from somebody


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """Event for the channel `serial`; an answer to a command carries its ticket, so that a late answer is recognised.

    expires_at: (CREATED, RENEWED) end of the channel's life, seconds of the epoch. retry_after: (REFUSED) the
    platform's Retry-After, seconds. is_clean: (LOST) the socket was closed with a close frame; (EVICTED) the platform
    said so of itself, and not only when it was asked.
    """

    kind: EventKind
    serial: int
    ticket: int = 0
    expires_at: float | None = None
    retry_after: float | None = None
    is_clean: bool = False


@dataclass(frozen=True, slots=True)
class ChannelCommand:
    """Command to the shell for the channel `serial`.

    at: (BEGIN_COVERAGE, END_COVERAGE) seconds of the epoch. reason: (END_COVERAGE) in the ledger's words.
    same_channel_as: (CONNECT) use the channel of this other serial.
    """

    kind: CommandKind
    serial: int
    ticket: int = 0
    at: float = 0.0
    reason: str = ""
    same_channel_as: int | None = None

    def answer(
        self, kind: EventKind, *, expires_at: float | None = None, retry_after: float | None = None
    ) -> ChannelEvent:
        """Event that answers this command, with its ticket."""
        return ChannelEvent(kind, self.serial, self.ticket, expires_at=expires_at, retry_after=retry_after)


@dataclass(slots=True)
class ChannelState:
    """State of one channel. Times are ticks of the monotonic clock, or seconds of the wall clock where it says so."""

    serial: int
    phase: Phase
    next_phase: Phase = Phase.CREATING  # (WAITING) the phase that follows the wait
    phase_ends_at: float = math.inf  # when a wait ends or a step is overdue
    ticket: int = 0  # of the step under way
    same_channel_as: int | None = None  # the serial whose channel this socket uses, too
    failures: int = 0  # in a row, its predecessors' included: which step of the back-off comes next
    short_lived_sockets: int = 0  # in a row: the platform accepted them, and they did not last
    first_refused_handshake_at: float = math.inf  # the first of the refused handshakes in a row
    is_stable: bool = False  # whether its socket has listened for long enough to be no failure
    has_listened: bool = False  # whether a socket of it has ever listened
    listening_since: float = 0.0
    last_frame_at: float = 0.0
    last_frame_wall_at: float = 0.0  # the same moment on the wall clock
    last_unprompted_frame_at: float = 0.0  # the last frame that was no answer of ours
    unanswered_ping_at: float | None = None  # a ping that no frame has followed
    last_ping_at: float = 0.0  # the last ping, answered or not
    last_proof_at: float = 0.0  # wall clock: the last frame that comes only to a channel that is there
    unproven_after: float = math.inf  # wall clock: frames lay unread from here on, and no later ping was answered
    reading_again_at: float = -math.inf  # when frames were read again after they had lain there
    unanswered_pings: deque[Moment] = field(default_factory=deque)
    expires_at: float = math.inf  # wall clock
    renew_at: float = math.inf  # wall clock
    renewal_ends_at: float = math.inf  # when the renewal under way is overdue
    end_reason: str = ""  # (LEAVING) why its span ends
    replaced_by_second_socket: bool = False  # whether a second socket took this one's place on the same channel

    def frame_came(self, moment: Moment, *, is_unprompted: bool = True) -> None:
        """Note a frame. is_unprompted: the platform sent it of its own accord (a pong is not)."""
        self.last_frame_at, self.last_frame_wall_at = moment.tick, moment.wall
        self.unanswered_ping_at = None
        if is_unprompted:
            self.last_unprompted_frame_at = moment.tick

    def proof_came(self, wall: float) -> None:
        """Note that an event or an answer came at that moment: the channel was there."""
        if wall <= self.unproven_after:
            self.last_proof_at = wall  # the newest, though the clock may have been set back
        else:
            self.last_proof_at = max(self.last_proof_at, self.unproven_after)

    def frames_lay_unread(self, since: float, moment: Moment) -> None:
        """Note that frames read from now on may have lain there since that moment of the wall clock."""
        if self.phase in (Phase.LISTENING, Phase.LEAVING):
            self.unproven_after, self.reading_again_at = min(self.unproven_after, since), moment.tick

    def ping_sent(self, moment: Moment, pong_within: float) -> None:
        """Note that a ping goes out."""
        pings = self.unanswered_pings
        if pings and self.reading_again_at <= pings[-1].tick <= moment.tick - pong_within:
            pings.clear()  # all frames were read meanwhile: there will be no answer to these
        pings.append(moment)

    def pong_came(self, moment: Moment) -> None:
        """Note the answer to a ping. Answers come in order; each shows that the channel was there after its ping."""
        ping = self.unanswered_pings.popleft() if self.unanswered_pings else None
        if ping is not None and ping.tick >= self.reading_again_at:
            self.unproven_after = math.inf
        elif ping is not None and self.unproven_after < ping.wall:
            self.unproven_after = ping.wall
        self.proof_came(moment.wall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds of live capture. The platform sends a heartbeat every 30 s and lets a channel live 24 h."""

    ping_every: float = 15.0  # heartbeats come from a socket whose channel is gone, too: an answer does not
    pong_within: float = 10.0
    ask_again: float = 1.0  # between pings, while what is read may have lain unread
    confirm_within: float = 2.0  # for the last answer; a daemon that must stop has not many seconds
    beats_every: float = 35.0  # the platform's 30 s, and some patience
    silent_after: float = 65.0  # two heartbeats missed, whatever the pings say
    back_off: BackOff = field(default_factory=BackOff)
    steady_after: float = 15.0  # of listening: failures are forgotten
    step_timeout: float = 90.0  # for an answer that never comes, to each request of a step
    life: float = 86_400.0
    renew_share: float = 0.5  # of its life, after which a channel is renewed
    refused_for: float = 3_600.0  # of refused handshakes, after which another channel is tried, if one is free
    reconnects: int = 3  # sockets in a row that did not last, after which their channel is given up
    rediscover: float = 300.0  # between looks at the queues
    look_within: float = 600.0  # for a look: 20,000 queues take two minutes of the rate limit
    alive: float = 2.0  # between signs of life in the ledger
    awake: float = 0.1  # between checks that this process goes on; coverage may claim twice that time too much
