"""The life of a notification channel, as a table: which event in which phase leads to which commands.

A *line* is a set of topics that a socket should always hear. One channel at a time serves it, and two channels while
the new one takes over from the old one. Rules (the platform's, with their sources in docs/daemon.md):

- A channel is created, subscribed, then connected to; it hears from then on, on one socket.
- It lives 24 hours. Long before, the line moves to a new channel: the new socket hears before the old one goes. Where
  no channel is free (20 a client), the same channel is subscribed again, which prolongs its life.
- `socket_closing` announces the end of a socket: the same move; without a free channel, a second socket on the same
  channel, which the platform lets replace the first one. That break is short, and recorded.
- A socket on which nothing comes (a heartbeat is due every 30 s), or whose ping stays unanswered, is dead. A socket
  with heartbeats only may belong to a channel that is gone: a ping asks, and time without a proof is not claimed. So a
  socket that is let go, for another or because the program ends, is pinged a last time; coverage ends at the answer.
- A lost socket returns to the same channel, because the topics live there; a channel that is gone is replaced, and so
  is a channel whose sockets do not last. A refused handshake says nothing of the channel; after an hour of refused
  handshakes another channel is created, if the client has a free one.
- A frame proves that the channel was there when it was sent. A frame that lay unread (the program or the machine stood
  still, or the socket was not read) may have been sent at any moment of that time: until a later ping is answered,
  nothing is claimed after the last moment before the pause.
- Every attempt waits for its step of the back-off. The steps become short again only after a socket has listened for a
  while: a server that accepts and then closes is a failing server. A return to a channel that is gone has waited
  already: the new channel is created at once, unless the old channel never listened.

Time comes in as a `Moment`, commands go out. Nothing here opens, sleeps, draws or logs, or knows a topic or an address.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from realtime.websocket.channel_states import (
    STEPS,
    ChannelCommand,
    ChannelEvent,
    ChannelState,
    CommandKind,
    EventKind,
    Moment,
    Phase,
    Timings,
)
from rollbook.store.vocabulary import EndReason

# Seconds after its creation before which a channel is not renewed.
_SOONEST: Final = 60.0

Commands = Iterator[ChannelCommand]
Rule = Callable[["LineChannels", ChannelState, ChannelEvent, Moment], Commands]


@dataclass(slots=True)
class LineChannels:
    """A set of topics: `current` hears or is on its way, `successor` takes over, `leaving` are asked a last time."""

    timings: Timings = field(default_factory=Timings)
    serials: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    current: ChannelState | None = None
    successor: ChannelState | None = None
    leaving: list[ChannelState] = field(default_factory=list)
    tickets: int = 0
    stop_reason: str = EndReason.STOPPED  # why its spans end when it is stopped

    def start(self, moment: Moment) -> list[ChannelCommand]:
        """Begin with a new channel."""
        if self.current is not None:
            return []
        self.current = self._new()
        return list(self._begin(self.current, Phase.CREATING, moment))

    def apply(self, event: ChannelEvent, moment: Moment) -> list[ChannelCommand]:
        """Take an event for a channel; answers the commands, in order. An event not in the table changes nothing."""
        channel = self.channel(event.serial)
        if channel is None or (event.ticket and event.ticket != channel.ticket):
            return []
        rule = TABLE[channel.phase].get(event.kind)
        return [] if rule is None else list(rule(self, channel, event, moment))

    def tick(self, moment: Moment) -> list[ChannelCommand]:
        """Let time pass for every channel of the line."""
        found = []
        for channel in self._channels():
            found += self.apply(ChannelEvent(EventKind.TICK, channel.serial), moment)
        return found

    def stop(self, moment: Moment) -> list[ChannelCommand]:
        """End the line: its topics are not wanted any more, or the program ends. Channels that leave have some time."""
        found = []
        for channel in reversed(self._channels()):
            found += self.apply(ChannelEvent(EventKind.STOP, channel.serial), moment)
        return found

    @property
    def sure_until(self) -> float:
        """Moment of the wall clock after which coverage may not be claimed yet; inf: there is no such moment."""
        listening = (channel for channel in self._channels() if channel.phase is Phase.LISTENING)
        return min((channel.unproven_after for channel in listening), default=math.inf)

    def channel(self, serial: int) -> ChannelState | None:
        """The channel of that serial number, if the line still has it."""
        return next((channel for channel in self._channels() if channel.serial == serial), None)

    def _channels(self) -> list[ChannelState]:
        return [channel for channel in (*self.leaving, self.current, self.successor) if channel is not None]

    @property
    def is_listening(self) -> bool:
        """A socket hears the line's topics."""
        serving = (self.current, self.successor)
        return any(channel is not None and channel.phase is Phase.LISTENING for channel in serving)

    def due(self) -> float:
        """The tick at which time alone would change something (renewal aside: that is the other clock's)."""
        return min(map(self._due, self._channels()), default=math.inf)

    def _due(self, channel: ChannelState) -> float:
        if channel.phase is not Phase.LISTENING:
            return channel.phase_ends_at
        pinged_at = channel.unanswered_ping_at
        pong = math.inf if pinged_at is None else pinged_at + self.timings.pong_within
        ping = self._next_ping_at(channel) if pinged_at is None else math.inf
        return min(pong, ping, channel.last_unprompted_frame_at + self.timings.silent_after, channel.renewal_ends_at)

    def _next_ping_at(self, channel: ChannelState) -> float:
        every = self.timings.ping_every if channel.unproven_after == math.inf else self.timings.ask_again
        return channel.last_ping_at + every

    # What the rules are made of

    def _new(self, *, same_channel_as: int | None = None, failures: int = 0) -> ChannelState:
        return ChannelState(next(self.serials), Phase.WAITING, same_channel_as=same_channel_as, failures=failures)

    def _begin(self, channel: ChannelState, phase: Phase, moment: Moment, within: float = 0.0) -> Commands:
        """Begin the step `phase`, with a ticket for its answer and a time by which it is overdue."""
        self.tickets += 1
        channel.phase, channel.ticket = phase, self.tickets
        channel.phase_ends_at = moment.tick + (within or self.timings.step_timeout)
        yield ChannelCommand(STEPS[phase], channel.serial, channel.ticket, same_channel_as=channel.same_channel_as)

    def _wait(self, channel: ChannelState, then: Phase, moment: Moment, *, at_least: float | None = None) -> None:
        channel.failures += 1
        delay = max(self.timings.back_off.seconds(channel.failures, moment.draw), at_least or 0.0)
        channel.phase, channel.next_phase, channel.ticket = Phase.WAITING, then, 0
        channel.phase_ends_at = moment.tick + delay

    def _replace_by_new(self, channel: ChannelState, moment: Moment) -> None:
        """Put a new channel in this channel's place, after its step of the back-off."""
        new = self._in_place_of(channel)
        if new is not None:
            self._wait(new, Phase.CREATING, moment)

    def _in_place_of(self, channel: ChannelState) -> ChannelState | None:
        """New channel that takes over a channel's place and failures; None if a successor takes the place."""
        channel.phase = Phase.DONE
        if channel is self.current and self.successor is not None:
            self.current, self.successor = self.successor, None
            return None
        new = self._new(failures=channel.failures)
        if channel is self.current:
            self.current = new
        else:
            self.successor = new
        return new

    def _forget_failures(self, channel: ChannelState, moment: Moment) -> None:
        if moment.tick - channel.listening_since >= self.timings.steady_after:
            channel.failures = channel.short_lived_sockets = 0
            channel.is_stable = True

    def _take_over(self, channel: ChannelState, moment: Moment) -> Commands:
        """Let `channel`, which listens now, serve the line; the channel before it may go."""
        former = self.current
        if former is None or channel is not self.successor:
            return
        former.replaced_by_second_socket = self._is_being_replaced(former)
        self.current, self.successor = channel, None
        yield from self._let_go(former, moment, reason=EndReason.ROLLED_OVER)

    def _let_go(self, channel: ChannelState, moment: Moment, *, reason: str) -> Commands:
        """Let a channel go that is not needed any more. If it listens, a last ping asks if it is still there."""
        if channel.phase is Phase.LISTENING:
            channel.end_reason = reason
            self.leaving.append(channel)
            yield from self._begin(channel, Phase.LEAVING, moment, self.timings.confirm_within)
        else:
            channel.phase = Phase.DONE
            yield ChannelCommand(CommandKind.CLOSE, channel.serial)

    def _socket_died(self, channel: ChannelState, moment: Moment, *, at: float, reason: str) -> Commands:
        """End the socket of a listening channel; the channel itself may still be there."""
        self._forget_failures(channel, moment)
        yield _end_coverage(channel, moment, at, EndReason.ROLLED_OVER if self._is_being_replaced(channel) else reason)
        yield from self._drop_slow_successor(channel)
        channel.short_lived_sockets += not channel.is_stable
        if channel is self.current and self.successor is not None:
            channel.phase = Phase.DONE
            self.current, self.successor = self.successor, None
        elif channel.short_lived_sockets >= self.timings.reconnects:
            self._replace_by_new(channel, moment)
        else:
            self._wait(channel, Phase.CONNECTING, moment)
        yield ChannelCommand(CommandKind.CLOSE, channel.serial)

    def _is_being_replaced(self, channel: ChannelState) -> bool:
        """Answer if a second socket on the same channel is about to replace this socket."""
        second = self.successor
        return second is not None and second.same_channel_as == channel.serial and second.phase is not Phase.WAITING

    def _drop_slow_successor(self, channel: ChannelState) -> Commands:
        """Drop a successor that does not connect yet: it may take long, and the channel with the topics is nearer."""
        slow = self.successor
        if slow is None or channel is not self.current or slow.phase is Phase.CONNECTING:
            return
        slow.phase, self.successor = Phase.DONE, None
        yield ChannelCommand(CommandKind.CLOSE, slow.serial)


def _created(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    _lives_until(line, channel, event, moment)
    yield from line._begin(channel, Phase.SUBSCRIBING, moment)


def _lives_until(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> None:
    channel.expires_at = moment.wall + line.timings.life if event.expires_at is None else event.expires_at
    # Never at once, whatever the clocks and the answer say.
    channel.renew_at = moment.wall + max((channel.expires_at - moment.wall) * line.timings.renew_share, _SOONEST)


def _subscribed(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    yield from line._begin(channel, Phase.CONNECTING, moment)


def _connected(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    channel.phase, channel.phase_ends_at = Phase.LISTENING, math.inf
    channel.is_stable, channel.has_listened = False, True
    channel.listening_since = channel.last_frame_at = moment.tick
    channel.last_unprompted_frame_at = channel.last_ping_at = moment.tick
    channel.first_refused_handshake_at = math.inf
    channel.last_frame_wall_at, channel.last_proof_at, channel.unanswered_ping_at = moment.wall, moment.wall, None
    channel.unproven_after, channel.reading_again_at = math.inf, -math.inf
    channel.unanswered_pings.clear()
    yield ChannelCommand(CommandKind.BEGIN_COVERAGE, channel.serial, at=moment.wall)
    yield from line._take_over(channel, moment)
    channel.same_channel_as = None


def _refused(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    # A refusal says nothing of the channel: the line returns to it for as long as it lives. But a server may refuse the
    # sockets of this channel only: after a long time another channel is tried, unless that takes somebody's place.
    step = channel.phase
    if step is Phase.CONNECTING:
        channel.first_refused_handshake_at = min(channel.first_refused_handshake_at, moment.tick)
    is_refused_for_long = (
        moment.free > 0 and moment.tick - channel.first_refused_handshake_at >= line.timings.refused_for
    )
    if step is Phase.CONNECTING and (moment.wall >= channel.expires_at or is_refused_for_long):
        line._replace_by_new(channel, moment)
    else:
        line._wait(channel, step, moment, at_least=event.retry_after)
    yield ChannelCommand(CommandKind.CLOSE, channel.serial)


def _gone(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    if channel.is_stable:
        # The platform answers again, after whatever it cost to learn that: the steps begin anew, and only once, because
        # the new channel has to hear for a while first.
        channel.failures = 0
    if not channel.has_listened:
        line._replace_by_new(channel, moment)
    elif (new := line._in_place_of(channel)) is not None:
        # The line has just waited for its step to return to this channel: that the channel is gone is no new failure.
        # A channel that is gone before it ever listened is a failure, and waits like every other.
        yield from line._begin(new, Phase.CREATING, moment)
    yield ChannelCommand(CommandKind.CLOSE, channel.serial)


def _goes_on(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    # If a slow step were begun again, twenty lines that share the rate limit would never end it.
    overdue = moment.tick + line.timings.step_timeout
    if channel.phase is Phase.SUBSCRIBING:
        channel.phase_ends_at = overdue
    elif channel.renewal_ends_at != math.inf:
        channel.renewal_ends_at = overdue
    yield from ()


def _overdue(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    if moment.tick >= channel.phase_ends_at:
        yield from _refused(line, channel, event, moment)


def _resume(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    if moment.tick >= channel.phase_ends_at:
        yield from line._begin(channel, channel.next_phase, moment)


def _heard_until(line: LineChannels, channel: ChannelState, moment: Moment) -> float:
    """End of coverage of a socket: now if its last frame is recent, else the time of its last frame."""
    is_recent = moment.tick - channel.last_frame_at <= line.timings.beats_every
    until = moment.wall if is_recent else channel.last_frame_wall_at
    return until if until <= channel.unproven_after else max(channel.last_proof_at, channel.unproven_after)


def _end_coverage(channel: ChannelState, moment: Moment, at: float, reason: str) -> ChannelCommand:
    """Command that ends coverage at that moment; not later than now, where the clock has been set back since."""
    return ChannelCommand(CommandKind.END_COVERAGE, channel.serial, at=min(at, moment.wall), reason=reason)


def _lost(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    # A channel may be gone some time before its socket closes, so nothing is claimed after the last proof. But if a
    # second socket replaces this one on the same channel, the close frame is itself a proof.
    is_replaced = event.is_clean and line._is_being_replaced(channel)
    at = _heard_until(line, channel, moment) if is_replaced else channel.last_proof_at
    yield from line._socket_died(channel, moment, at=at, reason=EndReason.DISCONNECTED)


def _evicted(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    line._forget_failures(channel, moment)
    at = _heard_until(line, channel, moment) if event.is_clean else channel.last_proof_at
    yield _end_coverage(channel, moment, at, EndReason.CHANNEL_LOST)
    line._replace_by_new(channel, moment)
    yield ChannelCommand(CommandKind.CLOSE, channel.serial)


def _roll_over(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    if line.successor is not None or channel is not line.current:
        return
    line._forget_failures(channel, moment)
    shared = None if moment.free > 0 else channel.serial  # without a free channel, a second socket on the same one
    line.successor = line._new(same_channel_as=shared, failures=channel.failures)
    step = Phase.CREATING if shared is None else Phase.CONNECTING
    if shared is not None:
        line.successor.expires_at, line.successor.renew_at = channel.expires_at, channel.renew_at
    if channel.is_stable:
        yield from line._begin(line.successor, step, moment)
    else:
        # The platform sends the socket away as soon as it has come. That is a failure, and waits like every other.
        line._wait(line.successor, step, moment)


def _watch(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    timings = line.timings  # compared as in `due`, lest rounding makes a tick come too early for ever
    pinged_at = channel.unanswered_ping_at
    is_unanswered = pinged_at is not None and moment.tick >= pinged_at + timings.pong_within
    if is_unanswered or moment.tick >= channel.last_unprompted_frame_at + timings.silent_after:
        yield from line._socket_died(channel, moment, at=channel.last_proof_at, reason=EndReason.DISCONNECTED)
        return
    line._forget_failures(channel, moment)
    if channel.unanswered_ping_at is None and moment.tick >= line._next_ping_at(channel):
        channel.unanswered_ping_at = channel.last_ping_at = moment.tick
        yield ChannelCommand(CommandKind.PING, channel.serial)
    if moment.tick >= channel.renewal_ends_at:
        channel.renewal_ends_at, channel.renew_at = math.inf, moment.wall + _renew_pause(channel, moment)
    if moment.wall >= channel.renew_at and channel.renewal_ends_at == math.inf:
        yield from _renew(line, channel, event, moment)


def _renew(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    if line.successor is not None or channel is not line.current:
        return
    if moment.free > 0:
        yield from _roll_over(line, channel, event, moment)
        return
    line.tickets += 1
    channel.ticket, channel.renewal_ends_at = line.tickets, moment.tick + line.timings.step_timeout
    yield ChannelCommand(CommandKind.RENEW, channel.serial, channel.ticket)


def _renewed(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    channel.renewal_ends_at = math.inf
    _lives_until(line, channel, event, moment)
    yield from ()


def _renew_later(_line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    channel.renewal_ends_at = math.inf
    channel.renew_at = moment.wall + max(_renew_pause(channel, moment), event.retry_after or 0.0)
    yield from ()


def _renew_pause(channel: ChannelState, moment: Moment) -> float:
    """Seconds until the next try: a twentieth of the rest of its life, a minute at least."""
    return max(60.0, (channel.expires_at - moment.wall) / 20)


def _stop(line: LineChannels, channel: ChannelState, _event: ChannelEvent, moment: Moment) -> Commands:
    if channel is line.successor:
        line.successor = None
    elif channel is line.current:
        line.current = None
    yield from line._let_go(channel, moment, reason=line.stop_reason)


def _left(line: LineChannels, channel: ChannelState, event: ChannelEvent, moment: Moment) -> Commands:
    """End the channel after its last ping: coverage ends at the last proof."""
    if event.kind is EventKind.TICK and moment.tick < channel.phase_ends_at:
        return
    line.leaving.remove(channel)
    channel.phase = Phase.DONE
    closed = event.kind is EventKind.LOST and event.is_clean and channel.replaced_by_second_socket
    at = _heard_until(line, channel, moment) if closed else channel.last_proof_at
    reason = channel.end_reason if event.kind in (EventKind.ANSWERED, EventKind.LOST) else EndReason.CHANNEL_LOST
    yield _end_coverage(channel, moment, at, reason)
    yield ChannelCommand(CommandKind.CLOSE, channel.serial)


# An event that is not in a phase's row changes nothing: an answer that comes too late, a second sign of the same end.
TABLE: Final[Mapping[Phase, Mapping[EventKind, Rule]]] = {
    Phase.CREATING: {
        EventKind.CREATED: _created,
        EventKind.REFUSED: _refused,
        EventKind.GONE: _refused,
        EventKind.TICK: _overdue,
        EventKind.STOP: _stop,
    },
    Phase.SUBSCRIBING: {
        EventKind.SUBSCRIBED: _subscribed,
        EventKind.GOES_ON: _goes_on,
        EventKind.REFUSED: _refused,
        EventKind.GONE: _gone,
        EventKind.TICK: _overdue,
        EventKind.STOP: _stop,
    },
    Phase.CONNECTING: {
        EventKind.CONNECTED: _connected,
        EventKind.REFUSED: _refused,
        EventKind.LOST: _refused,
        EventKind.GONE: _gone,
        EventKind.EVICTED: _gone,
        EventKind.TICK: _overdue,
        EventKind.STOP: _stop,
    },
    Phase.LISTENING: {
        EventKind.LOST: _lost,
        EventKind.EVICTED: _evicted,
        EventKind.CLOSING: _roll_over,
        EventKind.RENEWED: _renewed,
        EventKind.GOES_ON: _goes_on,
        EventKind.REFUSED: _renew_later,
        EventKind.GONE: _evicted,
        EventKind.TICK: _watch,
        EventKind.STOP: _stop,
    },
    Phase.WAITING: {
        EventKind.TICK: _resume,
        EventKind.STOP: _stop,
    },
    Phase.LEAVING: {
        EventKind.ANSWERED: _left,
        EventKind.LOST: _left,
        EventKind.EVICTED: _left,
        EventKind.REFUSED: _left,
        EventKind.TICK: _left,
    },
    Phase.DONE: {},
}
