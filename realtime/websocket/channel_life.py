"""The life of a notification channel, as a table: which event in which phase leads to which actions.

A *line* is a set of topics that one socket should always hear. It is served by one channel at a time, and by two while
one takes over from the other. Rules (the platform's, with their sources in docs/daemon.md):

- A channel is created, told its topics, then connected to; it hears from then on, on one socket.
- It lives 24 hours. Long before, the line moves to a new channel: the new socket hears before the old one goes. Where
  no channel is free (20 a client), the same channel is subscribed again, which prolongs its life.
- `socket_closing` announces the end of a socket: the same move; without a free channel, a second socket on the same
  channel, which the platform lets replace the first one. That break is short, and recorded.
- A socket on which nothing comes (a heartbeat is due every 30 s), or whose ping stays unanswered, is dead. One that
  only beats may belong to a channel that is gone: a ping asks, and what was not proven is not claimed. So one that is
  let go, in favour of another or because the program ends, is asked a last time, and was heard until its answer.
- A lost socket returns to the same channel, because the topics live there; a channel that is gone is replaced, and so
  is one whose sockets do not last. A refused handshake says nothing of the channel; an hour of them costs one of the
  twenty, if one is free.
- A frame proves that the channel was there when it was sent. What lay unread (the program or the machine stood still,
  or the socket was not read) may have been sent at any moment of that time: until a ping that was sent later is
  answered, nothing is claimed beyond the last moment before it.
- Every attempt waits for its step of the back-off. Only having listened for a while makes the steps short again, then
  and when its channel turns out to be gone: a server that accepts and then closes is a failing server. A return that
  ends with "gone" has waited already: the new channel is made at once, unless the one that is gone never listened.

Time comes in as a `Moment`, actions go out. Nothing here opens, sleeps, draws or logs, or knows a topic or an address.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from realtime.websocket.channel_states import STEPS, Action, Channel, Do, Event, Moment, Phase, Signal, Timings
from rollbook.store.vocabulary import EndReason

__all__ = ["Action", "Channel", "Do", "Event", "Line", "Moment", "Phase", "Signal", "Timings"]


# Seconds after its creation before which a channel is not renewed.
_SOONEST: Final = 60.0

Rule = Callable[["Line", Channel, Signal, Moment], Iterator[Action]]


@dataclass(slots=True)
class Line:
    """A set of topics: `current` hears or is on its way, `successor` takes over, `leaving` are asked a last time."""

    timings: Timings = field(default_factory=Timings)
    serials: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    current: Channel | None = None
    successor: Channel | None = None
    leaving: list[Channel] = field(default_factory=list)
    tickets: int = 0
    stops_as: str = EndReason.STOPPED  # why its spans end when it is stopped

    def start(self, moment: Moment) -> list[Action]:
        """Begin with a new channel."""
        if self.current is not None:
            return []
        self.current = self._new()
        return list(self._begin(self.current, Phase.CREATING, moment))

    def apply(self, signal: Signal, moment: Moment) -> list[Action]:
        """Take one event for one channel; answers what to do, in order. What is not in the table changes nothing."""
        channel = self.channel(signal.serial)
        if channel is None or (signal.ticket and signal.ticket != channel.ticket):
            return []
        rule = TABLE[channel.phase].get(signal.event)
        return [] if rule is None else list(rule(self, channel, signal, moment))

    def tick(self, moment: Moment) -> list[Action]:
        """Let time pass for every channel of the line."""
        found = []
        for channel in self._channels():
            found += self.apply(Signal(Event.TICK, channel.serial), moment)
        return found

    def stop(self, moment: Moment) -> list[Action]:
        """End the line: its topics are not wanted any more, or the program ends. What leaves has a little time left."""
        found = []
        for channel in reversed(self._channels()):
            found += self.apply(Signal(Event.STOP, channel.serial), moment)
        return found

    def heard(self, serial: int, moment: Moment, *, told: bool = True) -> None:
        """A frame came. told: of the platform's own accord (a pong is not)."""
        channel = self.channel(serial)
        if channel is not None:
            channel.heard, channel.heard_wall, channel.pinged = moment.tick, moment.wall, None
            if told:
                channel.told = moment.tick

    def proved(self, serial: int, wall: float) -> None:
        """An event or an answer came at that moment: the channel was there."""
        channel = self.channel(serial)
        if channel is not None and wall <= channel.sure_wall:
            channel.proven_wall = wall  # the newest, though the clock may have been set back
        elif channel is not None:
            channel.proven_wall = max(channel.proven_wall, channel.sure_wall)

    def unread(self, serial: int, since: float, moment: Moment) -> None:
        """What is read now and from now on may have lain there since that moment of the wall clock."""
        channel = self.channel(serial)
        if channel is not None and channel.phase in (Phase.LISTENING, Phase.LEAVING):
            channel.sure_wall, channel.read_on = min(channel.sure_wall, since), moment.tick

    def asks(self, serial: int, moment: Moment) -> None:
        """A ping goes out."""
        channel = self.channel(serial)
        if channel is None:
            return
        if channel.pings and channel.read_on <= channel.pings[-1].tick <= moment.tick - self.timings.pong_within:
            channel.pings.clear()  # all was read meanwhile: there will be no answer to these
        channel.pings.append(moment)

    def answered(self, serial: int, moment: Moment) -> None:
        """The answer to a ping came. Answers come in order; each shows that the channel was there after its ping."""
        channel = self.channel(serial)
        if channel is None:
            return
        ping = channel.pings.popleft() if channel.pings else None
        if ping is not None and ping.tick >= channel.read_on:
            channel.sure_wall = math.inf
        elif ping is not None and channel.sure_wall < ping.wall:
            channel.sure_wall = ping.wall
        self.proved(serial, moment.wall)

    @property
    def sure_until(self) -> float:
        """The moment of the wall clock beyond which a channel that hears may not be claimed yet; inf: there is none."""
        return min((one.sure_wall for one in self._channels() if one.phase is Phase.LISTENING), default=math.inf)

    def channel(self, serial: int) -> Channel | None:
        """The channel of that serial number, if the line still has it."""
        return next((one for one in self._channels() if one.serial == serial), None)

    def _channels(self) -> list[Channel]:
        return [one for one in (*self.leaving, self.current, self.successor) if one is not None]

    @property
    def listening(self) -> bool:
        """Whether a socket hears the line's topics."""
        return any(one is not None and one.phase is Phase.LISTENING for one in (self.current, self.successor))

    def due(self) -> float:
        """The tick at which time alone would change something (renewal aside: that is the other clock's)."""
        return min(map(self._due, self._channels()), default=math.inf)

    def _due(self, channel: Channel) -> float:
        if channel.phase is not Phase.LISTENING:
            return channel.until
        pong = math.inf if channel.pinged is None else channel.pinged + self.timings.pong_within
        ping = self._ask_at(channel) if channel.pinged is None else math.inf
        return min(pong, ping, channel.told + self.timings.silent_after, channel.renewing)

    def _ask_at(self, channel: Channel) -> float:
        """The tick at which a ping is due."""
        return channel.asked + (self.timings.ping_every if channel.sure_wall == math.inf else self.timings.ask_again)

    # What the rules are made of

    def _new(self, *, like: int | None = None, failures: int = 0) -> Channel:
        return Channel(next(self.serials), Phase.WAITING, like=like, failures=failures)

    def _begin(self, channel: Channel, phase: Phase, moment: Moment, within: float = 0.0) -> Iterator[Action]:
        """Begin the step `phase`, with a ticket for its answer and a time by which it is overdue."""
        self.tickets += 1
        channel.phase, channel.ticket = phase, self.tickets
        channel.until = moment.tick + (within or self.timings.step_timeout)
        yield Action(STEPS[phase], channel.serial, channel.ticket, like=channel.like)

    def _wait(self, channel: Channel, then: Phase, moment: Moment, *, at_least: float | None = None) -> None:
        channel.failures += 1
        delay = max(self.timings.back_off(channel.failures, moment.draw), at_least or 0.0)
        channel.phase, channel.then, channel.ticket = Phase.WAITING, then, 0
        channel.until = moment.tick + delay

    def _replace_by_new(self, channel: Channel, moment: Moment) -> None:
        """Put a new channel in this one's place, after its step of the back-off."""
        new = self._in_place_of(channel)
        if new is not None:
            self._wait(new, Phase.CREATING, moment)

    def _in_place_of(self, channel: Channel) -> Channel | None:
        """A new channel, with the failures of the one whose place it takes; None if there is a successor to take it."""
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

    def _forget_failures(self, channel: Channel, moment: Moment) -> None:
        if moment.tick - channel.since >= self.timings.steady_after:
            channel.failures = channel.brief = 0
            channel.lasting = True

    def _take_over(self, channel: Channel, moment: Moment) -> Iterator[Action]:
        """`channel` hears: whichever served the line before may go."""
        former = self.current
        if former is None or channel is not self.successor:
            return
        former.kicked = self._kicked(former)
        self.current, self.successor = channel, None
        yield from self._let_go(former, moment, reason=EndReason.ROLLED_OVER)

    def _let_go(self, channel: Channel, moment: Moment, *, reason: str) -> Iterator[Action]:
        """`channel` is not needed any more. One that hears is asked how long it did."""
        if channel.phase is Phase.LISTENING:
            channel.reason = reason
            self.leaving.append(channel)
            yield from self._begin(channel, Phase.LEAVING, moment, self.timings.part_within)
        else:
            channel.phase = Phase.DONE
            yield Action(Do.CLOSE, channel.serial)

    def _died(self, channel: Channel, moment: Moment, *, at: float, reason: str) -> Iterator[Action]:
        """The socket of a listening channel hears no more, the channel itself may still be there."""
        self._forget_failures(channel, moment)
        yield _unhear(channel, moment, at, EndReason.ROLLED_OVER if self._kicked(channel) else reason)
        yield from self._drop_slow_successor(channel)
        channel.brief += not channel.lasting
        if channel is self.current and self.successor is not None:
            channel.phase = Phase.DONE
            self.current, self.successor = self.successor, None
        elif channel.brief >= self.timings.reconnects:
            self._replace_by_new(channel, moment)
        else:
            self._wait(channel, Phase.CONNECTING, moment)
        yield Action(Do.CLOSE, channel.serial)

    def _kicked(self, channel: Channel) -> bool:
        """Whether a second socket on the same channel is about to replace this one."""
        second = self.successor
        return second is not None and second.like == channel.serial and second.phase is not Phase.WAITING

    def _drop_slow_successor(self, channel: Channel) -> Iterator[Action]:
        """A successor that is not connecting yet may be long in coming: the channel that had the topics is nearer."""
        slow = self.successor
        if slow is None or channel is not self.current or slow.phase is Phase.CONNECTING:
            return
        slow.phase, self.successor = Phase.DONE, None
        yield Action(Do.CLOSE, slow.serial)


def _created(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    _lives_until(line, channel, signal, moment)
    yield from line._begin(channel, Phase.SUBSCRIBING, moment)


def _lives_until(line: Line, channel: Channel, signal: Signal, moment: Moment) -> None:
    channel.expires = moment.wall + line.timings.life if signal.expires is None else signal.expires
    # Never at once, whatever the clocks and the answer say.
    channel.renew_at = moment.wall + max((channel.expires - moment.wall) * line.timings.renew_share, _SOONEST)


def _subscribed(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    yield from line._begin(channel, Phase.CONNECTING, moment)


def _connected(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    channel.phase, channel.until, channel.lasting, channel.listened = Phase.LISTENING, math.inf, False, True
    channel.since = channel.heard = channel.told = channel.asked = moment.tick
    channel.refused = math.inf
    channel.heard_wall, channel.proven_wall, channel.pinged = moment.wall, moment.wall, None
    channel.sure_wall, channel.read_on = math.inf, -math.inf
    channel.pings.clear()
    yield Action(Do.HEAR, channel.serial, at=moment.wall)
    yield from line._take_over(channel, moment)
    channel.like = None


def _refused(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    # Nothing was accepted, so nothing is known of the channel: it is returned to for as long as it lives. But a server
    # may refuse the sockets of one channel only: after a long time another is tried, unless it took somebody's place.
    step = channel.phase
    if step is Phase.CONNECTING:
        channel.refused = min(channel.refused, moment.tick)
    tired = moment.free > 0 and moment.tick - channel.refused >= line.timings.refused_for
    if step is Phase.CONNECTING and (moment.wall >= channel.expires or tired):
        line._replace_by_new(channel, moment)
    else:
        line._wait(channel, step, moment, at_least=signal.wait)
    yield Action(Do.CLOSE, channel.serial)


def _gone(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    if channel.lasting:
        # The platform answers again, after whatever it cost to learn that: the steps begin anew, and only once, because
        # the new channel has to hear for a while first.
        channel.failures = 0
    if not channel.listened:
        line._replace_by_new(channel, moment)
    elif (new := line._in_place_of(channel)) is not None:
        # It has just waited for its step to return to a channel that was there: to learn that it has gone is no failure
        # of another kind. A channel that is gone before it ever heard anything is, and waits like every other.
        yield from line._begin(new, Phase.CREATING, moment)
    yield Action(Do.CLOSE, channel.serial)


def _goes_on(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    # Were it begun again for being slow, twenty lines that share the rate limit would never end it.
    del signal
    overdue = moment.tick + line.timings.step_timeout
    if channel.phase is Phase.SUBSCRIBING:
        channel.until = overdue
    elif channel.renewing != math.inf:
        channel.renewing = overdue
    yield from ()


def _overdue(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    if moment.tick >= channel.until:
        yield from _refused(line, channel, signal, moment)


def _resume(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    if moment.tick >= channel.until:
        yield from line._begin(channel, channel.then, moment)


def _heard_until(line: Line, channel: Channel, moment: Moment) -> float:
    """A socket that speaks has heard until now; one that has missed a heartbeat, until its last word."""
    until = moment.wall if moment.tick - channel.heard <= line.timings.beats_every else channel.heard_wall
    return until if until <= channel.sure_wall else max(channel.proven_wall, channel.sure_wall)


def _unhear(channel: Channel, moment: Moment, at: float, reason: str) -> Action:
    """The span ends at that moment; not later than now, where the clock has been set back since."""
    return Action(Do.UNHEAR, channel.serial, at=min(at, moment.wall), reason=reason)


def _lost(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    # A channel that goes may take its socket with it only later: what lies behind the last proof is not claimed. The
    # close frame for a socket in whose place its own channel took another is a proof.
    kicked = signal.clean and line._kicked(channel)
    at = _heard_until(line, channel, moment) if kicked else channel.proven_wall
    yield from line._died(channel, moment, at=at, reason=EndReason.DISCONNECTED)


def _evicted(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    line._forget_failures(channel, moment)
    at = _heard_until(line, channel, moment) if signal.clean else channel.proven_wall
    yield _unhear(channel, moment, at, EndReason.CHANNEL_LOST)
    line._replace_by_new(channel, moment)
    yield Action(Do.CLOSE, channel.serial)


def _roll_over(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    if line.successor is not None or channel is not line.current:
        return
    line._forget_failures(channel, moment)
    like = None if moment.free > 0 else channel.serial
    line.successor = line._new(like=like, failures=channel.failures)
    step = Phase.CREATING if like is None else Phase.CONNECTING
    if like is not None:
        line.successor.expires, line.successor.renew_at = channel.expires, channel.renew_at
    if channel.lasting:
        yield from line._begin(line.successor, step, moment)
    else:
        # Sent on as soon as it had come: that is no way to get on, and waits like every other failure.
        line._wait(line.successor, step, moment)


def _watch(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    timings = line.timings  # compared as in `due`, lest rounding makes a tick come too early for ever
    unanswered = channel.pinged is not None and moment.tick >= channel.pinged + timings.pong_within
    if unanswered or moment.tick >= channel.told + timings.silent_after:
        yield from line._died(channel, moment, at=channel.proven_wall, reason=EndReason.DISCONNECTED)
        return
    line._forget_failures(channel, moment)
    if channel.pinged is None and moment.tick >= line._ask_at(channel):
        channel.pinged = channel.asked = moment.tick
        yield Action(Do.PING, channel.serial)
    if moment.tick >= channel.renewing:
        channel.renewing, channel.renew_at = math.inf, moment.wall + _renew_pause(channel, moment)
    if moment.wall >= channel.renew_at and channel.renewing == math.inf:
        yield from _renew(line, channel, signal, moment)


def _renew(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    if line.successor is not None or channel is not line.current:
        return
    if moment.free > 0:
        yield from _roll_over(line, channel, signal, moment)
        return
    line.tickets += 1
    channel.ticket, channel.renewing = line.tickets, moment.tick + line.timings.step_timeout
    yield Action(Do.RENEW, channel.serial, channel.ticket)


def _renewed(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    channel.renewing = math.inf
    _lives_until(line, channel, signal, moment)
    yield from ()


def _renew_later(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del line
    channel.renewing = math.inf
    channel.renew_at = moment.wall + max(_renew_pause(channel, moment), signal.wait or 0.0)
    yield from ()


def _renew_pause(channel: Channel, moment: Moment) -> float:
    """A twentieth of what is left of its life, a minute at least: many tries before it ends, none in a hurry."""
    return max(60.0, (channel.expires - moment.wall) / 20)


def _stop(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    del signal
    if channel is line.successor:
        line.successor = None
    elif channel is line.current:
        line.current = None
    yield from line._let_go(channel, moment, reason=line.stops_as)


def _left(line: Line, channel: Channel, signal: Signal, moment: Moment) -> Iterator[Action]:
    """It has answered, or will not: it was heard until the last proof."""
    if signal.event is Event.TICK and moment.tick < channel.until:
        return
    line.leaving.remove(channel)
    channel.phase = Phase.DONE
    closed = signal.event is Event.LOST and signal.clean and channel.kicked
    at = _heard_until(line, channel, moment) if closed else channel.proven_wall
    reason = channel.reason if signal.event in (Event.ANSWERED, Event.LOST) else EndReason.CHANNEL_LOST
    yield _unhear(channel, moment, at, reason)
    yield Action(Do.CLOSE, channel.serial)


# What is not in a row changes nothing: an answer that comes too late, a second sign of the same death.
TABLE: Final[Mapping[Phase, Mapping[Event, Rule]]] = {
    Phase.CREATING: {
        Event.CREATED: _created,
        Event.REFUSED: _refused,
        Event.GONE: _refused,
        Event.TICK: _overdue,
        Event.STOP: _stop,
    },
    Phase.SUBSCRIBING: {
        Event.SUBSCRIBED: _subscribed,
        Event.GOES_ON: _goes_on,
        Event.REFUSED: _refused,
        Event.GONE: _gone,
        Event.TICK: _overdue,
        Event.STOP: _stop,
    },
    Phase.CONNECTING: {
        Event.CONNECTED: _connected,
        Event.REFUSED: _refused,
        Event.LOST: _refused,
        Event.GONE: _gone,
        Event.EVICTED: _gone,
        Event.TICK: _overdue,
        Event.STOP: _stop,
    },
    Phase.LISTENING: {
        Event.LOST: _lost,
        Event.EVICTED: _evicted,
        Event.CLOSING: _roll_over,
        Event.RENEWED: _renewed,
        Event.GOES_ON: _goes_on,
        Event.REFUSED: _renew_later,
        Event.GONE: _evicted,
        Event.TICK: _watch,
        Event.STOP: _stop,
    },
    Phase.WAITING: {
        Event.TICK: _resume,
        Event.STOP: _stop,
    },
    Phase.LEAVING: {
        Event.ANSWERED: _left,
        Event.LOST: _left,
        Event.EVICTED: _left,
        Event.REFUSED: _left,
        Event.TICK: _left,
    },
    Phase.DONE: {},
}
