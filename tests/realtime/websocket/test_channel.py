"""Channel life: the table, under any order of events, and over days on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.websocket.channel_life import TABLE, LineChannels
from realtime.websocket.channel_states import (
    ChannelCommand,
    ChannelEvent,
    ChannelState,
    CommandKind,
    EventKind,
    Moment,
    Phase,
    Timings,
)

DAY = 86_400.0
START = 1_790_000_000.0


def at(seconds: float, *, free: int = 20, draw: float = 0.5) -> Moment:
    return Moment(seconds, START + seconds, draw, free)


def listening(*, free: int = 20) -> tuple[LineChannels, ChannelCommand]:
    """A line that hears since second 0, and the action that connected it."""
    line = LineChannels()
    (create,) = line.start(at(0, free=free))
    (subscribe,) = line.apply(
        ChannelEvent(EventKind.CREATED, create.serial, create.ticket, expires_at=START + DAY), at(0, free=free)
    )
    (connect,) = line.apply(ChannelEvent(EventKind.SUBSCRIBED, subscribe.serial, subscribe.ticket), at(0))
    (hear,) = line.apply(ChannelEvent(EventKind.CONNECTED, connect.serial, connect.ticket), at(0))
    assert hear.kind is CommandKind.BEGIN_COVERAGE
    return line, connect


def state_of(line: LineChannels, serial: int) -> ChannelState:
    channel = line.channel(serial)
    assert channel is not None
    return channel


def does(commands: list[ChannelCommand]) -> list[CommandKind]:
    return [command.kind for command in commands]


def test_every_phase_knows_time_and_stop() -> None:
    """Every phase but the last can be left by time alone, and by a stop unless it is the way out itself."""
    for phase in set(Phase) - {Phase.DONE}:
        assert EventKind.TICK in TABLE[phase]
        assert phase is Phase.LEAVING or EventKind.STOP in TABLE[phase]


def test_lost_socket_returns_to_its_channel_within_a_second() -> None:
    """A socket that dies after a while of listening is replaced on the same channel, in less than a second."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(100))
    state_of(line, connect.serial).proof_came(START + 100)
    commands = line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(100.5))
    assert does(commands) == [CommandKind.END_COVERAGE, CommandKind.CLOSE]
    assert (commands[0].at, commands[0].reason) == (START + 100, "disconnected")
    assert line.due() < 101.5
    (again,) = line.tick(at(line.due()))
    assert (again.kind, again.serial) == (CommandKind.CONNECT, connect.serial)


@pytest.mark.parametrize("clean", [False, True])
def test_a_lost_socket_was_heard_until_its_last_proof(clean: bool) -> None:
    """Heartbeats, and even a close frame, come from a socket whose channel has gone before."""
    line, connect = listening()
    state_of(line, connect.serial).proof_came(START + 80)
    state_of(line, connect.serial).frame_came(at(90))
    commands = line.apply(ChannelEvent(EventKind.LOST, connect.serial, is_clean=clean), at(100))
    assert (commands[0].at, commands[0].reason) == (START + 80, "disconnected")


@pytest.mark.parametrize("way", ["lost", "evicted", "silent", "let go"])
def test_no_span_ends_in_the_future(way: str) -> None:
    """A clock that is set back by an hour: what was proven before it does not end the span after now."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(99))
    state_of(line, connect.serial).proof_came(START + 99)
    back = Moment(100, START - 3_500)
    if way == "let go":
        line.stop(back)
    event = {"lost": EventKind.LOST, "evicted": EventKind.EVICTED, "let go": EventKind.REFUSED}.get(way)
    if event is None:
        (unhear, _) = line.tick(Moment(170, back.wall))
    else:
        (unhear, _) = line.apply(ChannelEvent(event, connect.serial), back)
    assert (unhear.kind, unhear.at) == (CommandKind.END_COVERAGE, back.wall)


def test_the_newest_proof_counts_whatever_the_clock_said_before() -> None:
    """After a clock has been set back, a span still ends at the last proof."""
    line, connect = listening()
    state_of(line, connect.serial).proof_came(START + 99)
    state_of(line, connect.serial).proof_came(START - 3_495)
    (unhear, _) = line.apply(ChannelEvent(EventKind.LOST, connect.serial), Moment(110, START - 3_490))
    assert unhear.at == START - 3_495


def test_socket_closing_makes_before_it_breaks() -> None:
    """A new channel hears before the old one is let go, and only then does the old span end."""
    line, old = listening()
    (create,) = line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(100))
    assert create.kind is CommandKind.CREATE
    assert line.is_listening
    (subscribe,) = line.apply(ChannelEvent(EventKind.CREATED, create.serial, create.ticket), at(100.1))
    (connect,) = line.apply(ChannelEvent(EventKind.SUBSCRIBED, create.serial, subscribe.ticket), at(100.2))
    commands = line.apply(ChannelEvent(EventKind.CONNECTED, create.serial, connect.ticket), at(100.3))
    assert [(command.kind, command.serial) for command in commands] == [
        (CommandKind.BEGIN_COVERAGE, create.serial),
        (CommandKind.CONFIRM_BEFORE_CLOSING, old.serial),
    ]
    state_of(line, old.serial).proof_came(START + 100.4)
    commands = line.apply(ChannelEvent(EventKind.ANSWERED, old.serial, commands[1].ticket), at(100.5))
    assert [(command.kind, command.serial, command.reason) for command in commands] == [
        (CommandKind.END_COVERAGE, old.serial, "rolled over"),
        (CommandKind.CLOSE, old.serial, ""),
    ]
    assert commands[0].at == START + 100.4


@pytest.mark.parametrize(
    ("event", "clean", "kicked", "reason", "until"),
    [
        (EventKind.ANSWERED, False, False, "rolled over", 80),
        (EventKind.REFUSED, False, False, "channel lost", 80),
        (EventKind.EVICTED, True, False, "channel lost", 80),
        (EventKind.TICK, False, False, "channel lost", 80),
        (EventKind.LOST, True, False, "rolled over", 80),
        (EventKind.LOST, False, True, "rolled over", 80),
        (EventKind.LOST, True, True, "rolled over", 103),  # the close frame for it shows that its channel was there
    ],
)
def test_one_that_leaves_was_heard_until_its_last_proof(
    event: EventKind, clean: bool, kicked: bool, reason: str, until: float
) -> None:
    """A channel that was gone before another took over was not heard until then, whatever its socket did."""
    line, old = listening()
    state_of(line, old.serial).proof_came(START + 80)
    state_of(line, old.serial).frame_came(at(99))
    (step,) = line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(100, free=0 if kicked else 1))
    while step.kind is not CommandKind.CONNECT:
        answer = EventKind.CREATED if step.kind is CommandKind.CREATE else EventKind.SUBSCRIBED
        (step,) = line.apply(ChannelEvent(answer, step.serial, step.ticket), at(100))
    _, part = line.apply(ChannelEvent(EventKind.CONNECTED, step.serial, step.ticket), at(101))
    assert part.kind is CommandKind.CONFIRM_BEFORE_CLOSING
    assert line.due() == 103
    assert line.tick(at(102)) == []
    commands = line.apply(
        ChannelEvent(event, old.serial, part.ticket if event is EventKind.ANSWERED else 0, is_clean=clean), at(103)
    )
    assert [(command.kind, command.serial) for command in commands] == [
        (CommandKind.END_COVERAGE, old.serial),
        (CommandKind.CLOSE, old.serial),
    ]
    assert (commands[0].reason, commands[0].at) == (reason, START + until)
    assert line.channel(old.serial) is None
    assert line.is_listening


def test_a_stop_asks_a_last_time() -> None:
    """What is stopped was heard until it answered, and waits two seconds for that, not more."""
    line, connect = listening()
    state_of(line, connect.serial).proof_came(START + 95)
    (part,) = line.stop(at(100))
    assert part.kind is CommandKind.CONFIRM_BEFORE_CLOSING
    assert line.stop(at(100.5)) == []
    state_of(line, connect.serial).proof_came(START + 100.2)
    unhear, close = line.apply(ChannelEvent(EventKind.ANSWERED, connect.serial, part.ticket), at(100.2))
    assert (unhear.kind, unhear.at, unhear.reason) == (CommandKind.END_COVERAGE, START + 100.2, "stopped")
    assert close.kind is CommandKind.CLOSE
    assert line.due() == math.inf


def test_closing_said_twice_makes_one_successor() -> None:
    """A second announcement changes nothing."""
    line, old = listening()
    line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(100))
    assert line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(101)) == []


def test_without_a_free_channel_the_second_socket_takes_the_same_channel() -> None:
    """With all channels in use, a socket that will close is replaced on its own channel; the kick is no failure."""
    line, old = listening()
    (connect,) = line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(100, free=0))
    assert (connect.kind, connect.same_channel_as) == (CommandKind.CONNECT, old.serial)
    state_of(line, old.serial).frame_came(at(100))
    kicked = line.apply(ChannelEvent(EventKind.LOST, old.serial, is_clean=True), at(100.1, free=0))
    assert (kicked[0].kind, kicked[0].reason, kicked[0].at) == (CommandKind.END_COVERAGE, "rolled over", START + 100.1)
    commands = line.apply(ChannelEvent(EventKind.CONNECTED, connect.serial, connect.ticket), at(100.2, free=0))
    assert does(commands) == [CommandKind.BEGIN_COVERAGE]
    assert line.current is not None
    assert line.current.failures == 0


@pytest.mark.parametrize("clean", [False, True])
def test_a_socket_that_is_lost_while_its_second_one_waits_returns_to_the_channel(clean: bool) -> None:
    """Sent on at once with all channels in use, and lost before the step is over: the channel is kept, no other made."""
    line, old = listening()
    state_of(line, old.serial).proof_came(START + 4)
    state_of(line, old.serial).frame_came(at(5))
    assert line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(5, free=0)) == []
    commands = line.apply(ChannelEvent(EventKind.LOST, old.serial, is_clean=clean), at(5.1, free=0))
    assert (commands[0].kind, commands[0].reason, commands[0].at) == (
        CommandKind.END_COVERAGE,
        "disconnected",
        START + 4,
    )
    assert line.channel(old.serial) is not None
    (again,) = line.tick(at(line.due(), free=0))
    assert (again.kind, again.serial, again.same_channel_as) == (CommandKind.CONNECT, old.serial, None)


@pytest.mark.parametrize("free", [0, 3])
def test_renewal_comes_long_before_the_end(free: int) -> None:
    """After half its life a channel is rolled over, or, with none free, subscribed again."""
    line, connect = listening()
    for second in range(0, int(DAY / 2), 30):
        state_of(line, connect.serial).frame_came(at(second))
        assert set(does(line.tick(at(second, free=free)))) <= {CommandKind.PING}
    state_of(line, connect.serial).frame_came(at(DAY / 2))
    (command,) = (command for command in line.tick(at(DAY / 2, free=free)) if command.kind is not CommandKind.PING)
    assert command.kind is (CommandKind.CREATE if free else CommandKind.RENEW)
    if not free:
        line.apply(ChannelEvent(EventKind.RENEWED, command.serial, command.ticket), at(DAY / 2 + 1))
        state_of(line, connect.serial).frame_came(at(DAY / 2 + 2))
        assert line.tick(at(DAY / 2 + 2, free=0)) == []


def test_renewal_that_fails_is_tried_again_in_time() -> None:
    """A refused renewal is repeated many times before the channel ends, none in a hurry."""
    line, connect = listening()
    tries = 0
    for second in range(0, int(DAY), 30):
        state_of(line, connect.serial).frame_came(at(second))
        for command in line.tick(at(second, free=0)):
            if command.kind is CommandKind.PING:
                continue
            assert command.kind is CommandKind.RENEW
            tries += 1
            line.apply(ChannelEvent(EventKind.REFUSED, command.serial, command.ticket), at(second))
    assert 10 < tries < 200


def test_silence_is_death() -> None:
    """A ping every fifteen seconds, and no answer within ten ends the span at the last sign of life."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(10))
    state_of(line, connect.serial).proof_came(START + 10)
    assert line.tick(at(14)) == []
    assert does(line.tick(at(15))) == [CommandKind.PING]
    assert line.tick(at(24)) == []
    commands = line.tick(at(25))
    assert does(commands) == [CommandKind.END_COVERAGE, CommandKind.CLOSE]
    assert commands[0].at == START + 10


def test_beats_alone_do_not_keep_a_socket() -> None:
    """A ping behind which nothing but a heartbeat comes is no answer: the next one ends it, at the last proof."""
    line, connect = listening()
    state_of(line, connect.serial).proof_came(START + 7)
    ends = []
    for second in range(1, 60):
        if second % 30 == 20:
            state_of(line, connect.serial).frame_came(at(second))
        ends += [command for command in line.tick(at(second)) if command.kind is CommandKind.END_COVERAGE]
    assert [command.at for command in ends] == [START + 7]


def test_pongs_alone_do_not_keep_a_socket() -> None:
    """Two missed heartbeats are death even while pings are answered."""
    line, connect = listening()
    for second in range(15, 64, 15):
        assert does(line.tick(at(second))) == [CommandKind.PING]
        state_of(line, connect.serial).frame_came(at(second + 1), is_unprompted=False)
    assert line.tick(at(64)) == []
    assert CommandKind.END_COVERAGE in does(line.tick(at(65)))


def test_evicted_channel_is_replaced() -> None:
    """A channel that the platform took away is replaced by a new one, and the hole has its reason."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(99))
    commands = line.apply(ChannelEvent(EventKind.EVICTED, connect.serial, is_clean=True), at(100))
    assert commands[0].at == START + 100
    assert [(command.kind, command.reason) for command in commands] == [
        (CommandKind.END_COVERAGE, "channel lost"),
        (CommandKind.CLOSE, ""),
    ]
    (create,) = line.tick(at(line.due()))
    assert create.kind is CommandKind.CREATE
    assert create.serial != connect.serial


def test_a_channel_that_is_gone_under_a_beating_socket_was_heard_until_its_last_proof() -> None:
    """Heartbeats go on, and only a ping finds out: the span ends at the last event or answer, not now."""
    line, connect = listening()
    state_of(line, connect.serial).proof_came(START + 70)
    state_of(line, connect.serial).frame_came(at(99))
    commands = line.apply(ChannelEvent(EventKind.EVICTED, connect.serial), at(100))
    assert (commands[0].at, commands[0].reason) == (START + 70, "channel lost")


def test_late_answers_are_ignored() -> None:
    """An answer to a step that was given up does not move the channel."""
    line = LineChannels()
    (create,) = line.start(at(0))
    line.tick(at(90))
    assert line.apply(ChannelEvent(EventKind.CREATED, create.serial, create.ticket), at(90.1)) == []


def test_a_step_that_goes_on_is_not_overdue() -> None:
    """Each answer gives the next one its time, when a list is told and when it is renewed."""
    line = LineChannels()
    (create,) = line.start(at(0))
    (subscribe,) = line.apply(
        ChannelEvent(EventKind.CREATED, create.serial, create.ticket, expires_at=START + DAY), at(0)
    )
    assert line.apply(ChannelEvent(EventKind.GOES_ON, create.serial), at(80)) == []
    assert line.due() == 170
    (connect,) = line.apply(ChannelEvent(EventKind.SUBSCRIBED, subscribe.serial, subscribe.ticket), at(169))
    line.apply(ChannelEvent(EventKind.CONNECTED, connect.serial, connect.ticket), at(169))
    state_of(line, connect.serial).frame_came(at(DAY / 2))
    assert CommandKind.RENEW in does(line.tick(at(DAY / 2, free=0)))
    line.apply(ChannelEvent(EventKind.GOES_ON, connect.serial), at(DAY / 2 + 80))
    state_of(line, connect.serial).frame_came(at(DAY / 2 + 100))
    assert CommandKind.RENEW not in does(line.tick(at(DAY / 2 + 100, free=0)))
    assert line.current is not None
    assert line.current.renewal_ends_at == DAY / 2 + 170


def test_retry_after_is_honoured() -> None:
    """The platform's Retry-After is waited for, however short the step."""
    line = LineChannels()
    (create,) = line.start(at(0))
    line.apply(ChannelEvent(EventKind.REFUSED, create.serial, create.ticket, retry_after=30), at(1))
    assert line.due() == 31


def test_a_server_that_accepts_and_closes_is_not_stormed() -> None:
    """A thousand seconds of accepting and closing at once cost one attempt a step: a few dozen, not thousands."""
    line, connect = listening()
    now, attempts = 0.0, 0
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(now))
    while now < 1000:
        now = line.due()
        for command in line.tick(at(now)):
            if command.kind is CommandKind.CONNECT:
                attempts += 1
                line.apply(ChannelEvent(EventKind.CONNECTED, command.serial, command.ticket), at(now))
                line.apply(ChannelEvent(EventKind.LOST, command.serial, is_clean=True), at(now))
    assert attempts < 35


def gone_after_an_outage() -> tuple[LineChannels, float, list[ChannelCommand]]:
    """A line whose channel, after ten minutes of refused handshakes, is gone; when that was said, and what it does."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(100))
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(100))
    now, answer, commands = 100.0, EventKind.REFUSED, list[ChannelCommand]()
    while answer is EventKind.REFUSED:
        now = line.due()
        (again,) = line.tick(at(now))
        answer = EventKind.REFUSED if now < 700 else EventKind.GONE
        commands = line.apply(ChannelEvent(answer, again.serial, again.ticket), at(now))
    return line, now, commands


def test_after_an_outage_a_channel_that_is_gone_is_replaced_soon() -> None:
    """The steps had grown to a minute; that the platform answers again is used at once, and makes them short."""
    line, now, commands = gone_after_an_outage()
    assert does(commands) == [CommandKind.CREATE, CommandKind.CLOSE]
    line.apply(ChannelEvent(EventKind.REFUSED, commands[0].serial, commands[0].ticket), at(now))
    assert line.due() <= now + 0.5


def _return_and_find_it_gone(line: LineChannels, serial: int, lost_at: float) -> tuple[ChannelCommand, float]:
    """The socket is lost, and its channel is gone when it is returned to. Answers the connect of the next channel."""
    line.apply(ChannelEvent(EventKind.LOST, serial), at(lost_at, draw=0.999))
    now = line.due()
    (again,) = line.tick(at(now))
    assert again.kind is CommandKind.CONNECT
    commands = line.apply(ChannelEvent(EventKind.GONE, again.serial, again.ticket), at(now, draw=0.999))
    while CommandKind.CONNECT not in does(commands):
        if (
            step := next(
                (command for command in commands if command.kind in (CommandKind.CREATE, CommandKind.SUBSCRIBE)), None
            )
        ) is None:
            now = line.due()
            commands = line.tick(at(now))
            continue
        answer = EventKind.CREATED if step.kind is CommandKind.CREATE else EventKind.SUBSCRIBED
        commands = line.apply(ChannelEvent(answer, step.serial, step.ticket), at(now))
    return next(command for command in commands if command.kind is CommandKind.CONNECT), now


@pytest.mark.parametrize("apart", [0.1, 2.0, 5.0])
def test_a_channel_that_is_gone_costs_one_step(apart: float) -> None:
    """Four channels taken away within twenty seconds cost ten seconds of deafness: a step each, and not two."""
    line, connect = listening()
    lost_at, deaf = 100.0, 0.0
    for _ in range(4):
        connect, back = _return_and_find_it_gone(line, connect.serial, lost_at)
        line.apply(ChannelEvent(EventKind.CONNECTED, connect.serial, connect.ticket), at(back))
        deaf += back - lost_at
        lost_at = back + apart
    assert deaf < 10


def test_a_new_channel_that_is_gone_at_once_waits() -> None:
    """A server that says 404 to every channel that it makes, accepted before or not, gets one attempt a step."""
    for accepts in (False, True):
        line, connect = listening()
        now, made = 100.0, 0
        line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(now))
        while now < 1_100:
            now = line.due()
            commands = line.tick(at(now))
            while commands:
                steps = [
                    command
                    for command in commands
                    if command.kind not in (CommandKind.CLOSE, CommandKind.BEGIN_COVERAGE, CommandKind.END_COVERAGE)
                ]
                if not steps:
                    break
                step = steps[0]
                made += step.kind is CommandKind.CREATE
                answer = {CommandKind.CREATE: EventKind.CREATED, CommandKind.SUBSCRIBE: EventKind.SUBSCRIBED}.get(
                    step.kind, EventKind.GONE
                )
                new = line.current is not None and not line.current.has_listened
                if answer is EventKind.GONE and accepts and new:
                    line.apply(ChannelEvent(EventKind.CONNECTED, step.serial, step.ticket), at(now))
                    commands = line.apply(ChannelEvent(EventKind.LOST, step.serial), at(now))
                else:
                    commands = line.apply(ChannelEvent(answer, step.serial, step.ticket), at(now))
        assert 10 < made < 40


def test_a_server_that_takes_every_channel_away_is_not_stormed() -> None:
    """Steps are made short once: a server that goes on saying 404, or in turns, costs one attempt a step."""
    for turns in ([EventKind.GONE], [EventKind.REFUSED, EventKind.GONE]):
        line, began, commands = gone_after_an_outage()
        now, attempts, answers = began, 0, itertools.cycle(turns)
        while now < began + 1_000:
            begun, commands = [*commands, *line.tick(at(now))], []
            for command in begun:
                if command.kind is CommandKind.CLOSE:
                    continue
                step = command
                while step.kind is not CommandKind.CONNECT:
                    answer = EventKind.CREATED if step.kind is CommandKind.CREATE else EventKind.SUBSCRIBED
                    (step,) = line.apply(ChannelEvent(answer, step.serial, step.ticket), at(now))
                attempts += 1
                line.apply(ChannelEvent(next(answers), step.serial, step.ticket), at(now))
            now = line.due()
        assert 10 < attempts < 40


def test_a_successor_that_cannot_be_made_is_not_stormed() -> None:
    """While the old socket hears, failing to make its successor costs one attempt a step, too."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(100))
    commands = line.apply(ChannelEvent(EventKind.CLOSING, connect.serial), at(100))
    now, attempts = 100.0, 0
    while now < 1_100:
        for command in commands:
            attempts += command.kind is CommandKind.CREATE
            line.apply(ChannelEvent(EventKind.REFUSED, command.serial, command.ticket), at(now))
        state_of(line, connect.serial).frame_came(at(now))
        now = max(line.due(), now + 0.001)
        commands = line.tick(at(now))
    assert 10 < attempts < 35
    assert line.is_listening


def test_a_death_before_the_successor_is_there_returns_to_the_channel() -> None:
    """A socket that dies while its successor cannot be made is replaced on its own channel, within a second."""
    line, old = listening()
    state_of(line, old.serial).frame_came(at(100))
    (create,) = line.apply(ChannelEvent(EventKind.CLOSING, old.serial), at(100))
    for second in range(101, 130):
        line.apply(ChannelEvent(EventKind.REFUSED, create.serial, create.ticket), at(second))
        state_of(line, old.serial).frame_came(at(second))
        for command in line.tick(at(second)):
            create = command
    commands = line.apply(ChannelEvent(EventKind.LOST, old.serial), at(130))
    assert does(commands) == [CommandKind.END_COVERAGE, CommandKind.CLOSE, CommandKind.CLOSE]
    assert line.due() < 131
    (again,) = line.tick(at(line.due()))
    assert (again.kind, again.serial) == (CommandKind.CONNECT, old.serial)


def test_a_channel_whose_sockets_do_not_last_is_given_up() -> None:
    """After three sockets that were closed as soon as they were open, another channel is tried."""
    line, connect = listening()
    now, made = 0.0, []
    for _ in range(4):
        line.apply(ChannelEvent(EventKind.LOST, connect.serial, is_clean=True), at(now))
        now = line.due()
        (command,) = line.tick(at(now))
        made.append(command.kind)
        if command.kind is CommandKind.CREATE:
            break
        line.apply(ChannelEvent(EventKind.CONNECTED, command.serial, command.ticket), at(now))
    assert made == [CommandKind.CONNECT, CommandKind.CONNECT, CommandKind.CREATE]


def refused_for_an_hour(line: LineChannels, refusal: ChannelEvent | None) -> list[CommandKind]:
    """What a line does beside waiting while every handshake is refused so (None: is not answered)."""
    done: list[CommandKind] = []
    now = 100.0
    while now < 3_600:
        now = line.due()
        for command in line.tick(at(now)):
            done.append(command.kind)
            if command.kind is CommandKind.CONNECT and refusal is not None:
                line.apply(replace(refusal, serial=command.serial, ticket=command.ticket), at(now))
    return done


@pytest.mark.parametrize(
    "refusal", [ChannelEvent(EventKind.REFUSED, 0), ChannelEvent(EventKind.REFUSED, 0, retry_after=5), None]
)
def test_a_refused_handshake_costs_no_channel(refusal: ChannelEvent | None) -> None:
    """A handshake that is refused or times out says nothing of the channel: an hour of them, and it is returned to."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(100))
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(100))
    assert set(refused_for_an_hour(line, refusal)) <= {CommandKind.CONNECT, CommandKind.CLOSE}
    assert line.current is not None
    assert line.current.serial == connect.serial


@pytest.mark.parametrize(("free", "made"), [(0, 0), (5, 1)])
def test_after_an_hour_of_refusals_another_channel_is_tried_if_one_is_free(free: int, made: int) -> None:
    """A server that refuses the sockets of one channel only is not believed for a day; nobody's place is taken for it."""
    line, connect = listening()
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(100))
    created, now = 0, 100.0
    while now < 5_000:
        now = line.due()
        for command in line.tick(at(now, free=free)):
            created += command.kind is CommandKind.CREATE
            answer = EventKind.CREATED if command.kind is CommandKind.CREATE else EventKind.REFUSED
            line.apply(ChannelEvent(answer, command.serial, command.ticket, expires_at=START + DAY), at(now, free=free))
    assert created == made


def test_a_refused_handshake_between_two_sockets_is_no_socket() -> None:
    """Sockets that do not last are counted, and refusals between them are not."""
    line, connect = listening()
    now, made = 0.0, []
    line.apply(ChannelEvent(EventKind.LOST, connect.serial, is_clean=True), at(now))
    for answer in (
        EventKind.REFUSED,
        EventKind.CONNECTED,
        EventKind.REFUSED,
        EventKind.REFUSED,
        EventKind.CONNECTED,
        None,
    ):
        now = line.due()
        (command,) = line.tick(at(now))
        made.append(command.kind)
        if answer is not None:
            line.apply(ChannelEvent(answer, command.serial, command.ticket), at(now))
            line.apply(ChannelEvent(EventKind.LOST, command.serial, is_clean=True), at(now))
    assert made == [CommandKind.CONNECT] * 5 + [CommandKind.CREATE]


def test_a_channel_whose_life_is_over_is_not_returned_to() -> None:
    """Handshakes refused until the channel has ended: then a new one is made, which takes nobody's place."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(DAY - 10))
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(DAY - 10))
    now, made = 0.0, []
    while now < DAY + 600 and CommandKind.CREATE not in made:
        now = line.due()
        for command in line.tick(at(now)):
            made.append(command.kind)
            line.apply(ChannelEvent(EventKind.REFUSED, command.serial, command.ticket), at(now))
    assert now > DAY
    assert made[-1] is CommandKind.CREATE


def test_one_announcement_after_the_other_is_not_stormed() -> None:
    """A server that says `closing` on every new socket gets one new channel a step."""
    line, connect = listening()
    now, created = 0.0, 0
    commands = line.apply(ChannelEvent(EventKind.CLOSING, connect.serial), at(now))
    answers = {
        CommandKind.CREATE: EventKind.CREATED,
        CommandKind.SUBSCRIBE: EventKind.SUBSCRIBED,
        CommandKind.CONNECT: EventKind.CONNECTED,
    }
    while now < 600:
        steps = [command for command in commands if command.kind in answers]
        created += sum(command.kind is CommandKind.CREATE for command in steps)
        commands = []
        for command in steps:
            commands += line.apply(ChannelEvent(answers[command.kind], command.serial, command.ticket), at(now))
            if command.kind is CommandKind.CONNECT:
                commands += line.apply(ChannelEvent(EventKind.CLOSING, command.serial), at(now))
        if not commands:
            now = min(line.due(), now + 20)
            if line.current is not None:
                state_of(line, line.current.serial).frame_came(at(now))
            commands = line.tick(at(now))
    assert 5 < created < 30


SIGNALS = st.tuples(
    st.sampled_from(list(EventKind)),
    st.integers(0, 3),  # which channel: current, successor, an old one, an unknown one
    st.booleans(),  # with the right ticket
    st.floats(0, 4000),  # seconds that pass before
    st.integers(0, 2),  # free channels
    st.floats(0, 0.999),
)


@given(st.lists(SIGNALS, max_size=60))
def test_any_order_of_events_leaves_a_way_out_and_closed_coverage(script: list[tuple[Any, ...]]) -> None:
    """Whatever comes in whatever order: time leads on, and spans and listening sockets agree."""
    line, connect = listening()
    hearing = {connect.serial}
    now = 0.0
    for event, which, right, seconds, free, draw in script:
        now += seconds
        channels = [line.current, line.successor, *line.leaving]
        channel = channels[which] if which < len(channels) else None
        serial = channel.serial if channel else which
        ticket = (channel.ticket if channel else 0) if right else 999_999
        moment = at(now, free=free, draw=draw)
        commands = (
            line.tick(moment)
            if event is EventKind.TICK
            else line.apply(ChannelEvent(event, serial, ticket, expires_at=moment.wall + DAY, is_clean=right), moment)
        )
        for command in commands:
            if command.kind is CommandKind.BEGIN_COVERAGE:
                assert command.serial not in hearing
                hearing.add(command.serial)
            elif command.kind is CommandKind.END_COVERAGE:
                hearing.remove(command.serial)
                assert command.at <= moment.wall
        heard_by_state = {
            state.serial for state in (line.current, line.successor) if state and state.phase is Phase.LISTENING
        }
        assert hearing == heard_by_state | {state.serial for state in line.leaving}
        if event is EventKind.STOP and line.current is None:
            line.start(moment)
        assert line.due() < math.inf or line.current is None
    line.stop(at(now))
    assert line.current is None
    assert line.successor is None
    ended = line.tick(at(now + 2.1))
    assert {command.serial for command in ended if command.kind is CommandKind.END_COVERAGE} == {
        command.serial for command in ended if command.kind is CommandKind.CLOSE
    }
    assert line.leaving == []


@dataclass(order=True)
class Due:
    when: float
    order: int
    run: Callable[[], None] = field(compare=False)


class Platform:
    """A platform on a virtual clock: answers with delays and faults, and remembers who heard when."""

    def __init__(self, seed: int, *, free: int, fault_every: float) -> None:
        self.random = random.Random(seed)
        self.now, self.free, self.order = 0.0, free, 0
        self.queue: list[Due] = []
        self.line = LineChannels()
        self.sockets: dict[int, int] = {}  # serial -> its generation
        self.generation = 0
        self.muted: set[int] = set()
        self.spans: list[list[float]] = []
        self.open: dict[int, list[float]] = {}
        self.up_intervals: list[tuple[float, float]] = []  # true intervals in which some socket was up
        self.up_since: float | None = None
        self.attempts: list[float] = []
        self.fault_every = fault_every

    def later(self, seconds: float, run: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.queue, Due(self.now + seconds, self.order, run))

    def moment(self) -> Moment:
        return Moment(self.now, START + self.now, self.random.random(), self.free)

    def signal(self, event: EventKind, serial: int, ticket: int = 0, **more: float | bool | None) -> None:
        self.act(self.line.apply(ChannelEvent(event, serial, ticket, **more), self.moment()))  # type: ignore[arg-type]

    def act(self, commands: list[ChannelCommand]) -> None:
        for command in commands:
            delay, refused = self.random.uniform(0.01, 2), self.random.random() < 0.05
            if command.kind in (CommandKind.CREATE, CommandKind.SUBSCRIBE, CommandKind.CONNECT, CommandKind.RENEW):
                if command.kind is not CommandKind.RENEW:
                    self.attempts.append(self.now)
                self.later(delay, partial(self.answer, command, refused))
            elif command.kind is CommandKind.CLOSE:
                self.close(command.serial)
            elif command.kind in (CommandKind.PING, CommandKind.CONFIRM_BEFORE_CLOSING):
                if command.serial in self.sockets and command.serial not in self.muted:
                    self.later(0.1, partial(self.pong, command.serial))
            elif command.kind is CommandKind.BEGIN_COVERAGE:
                self.open[command.serial] = [command.at - START, math.inf]
            elif command.kind is CommandKind.END_COVERAGE:
                span = self.open.pop(command.serial)
                span[1] = command.at - START
                self.spans.append(span)

    def answer(self, command: ChannelCommand, refused: bool) -> None:
        answers = {
            CommandKind.CREATE: EventKind.CREATED,
            CommandKind.SUBSCRIBE: EventKind.SUBSCRIBED,
            CommandKind.CONNECT: EventKind.CONNECTED,
            CommandKind.RENEW: EventKind.RENEWED,
        }
        channel = self.line.channel(command.serial)
        if channel is None or channel.ticket != command.ticket:
            return
        if refused:
            self.signal(self.random.choice((EventKind.REFUSED, EventKind.GONE)), command.serial, command.ticket)
            return
        if command.kind is CommandKind.CONNECT:
            self.generation += 1
            self.sockets[command.serial] = self.generation
            self.muted.discard(command.serial)
            self.changed()
            self.heartbeat(command.serial, self.generation)
        self.signal(answers[command.kind], command.serial, command.ticket, expires_at=START + self.now + DAY)

    def pong(self, serial: int) -> None:
        if serial in self.sockets and serial not in self.muted:
            state_of(self.line, serial).frame_came(self.moment(), is_unprompted=False)
            state_of(self.line, serial).proof_came(START + self.now)
            self.signal(EventKind.ANSWERED, serial)

    def heartbeat(self, serial: int, generation: int) -> None:
        if self.sockets.get(serial) == generation:
            if serial not in self.muted:
                state_of(self.line, serial).frame_came(self.moment())
            self.later(30, lambda: self.heartbeat(serial, generation))

    def close(self, serial: int) -> None:
        self.sockets.pop(serial, None)
        self.changed()

    def changed(self) -> None:
        up = bool(self.sockets.keys() - self.muted)
        if up and self.up_since is None:
            self.up_since = self.now
        elif not up and self.up_since is not None:
            self.up_intervals.append((self.up_since, self.now))
            self.up_since = None

    def fault(self) -> None:
        self.later(self.fault_every, self.fault)
        current = self.line.current
        if current is None or current.serial not in self.sockets:
            return
        serial = current.serial
        kind = self.random.choice(("drop", "mute", "closing", "evict", "close"))
        if kind == "mute":
            self.muted.add(serial)
            self.changed()
        elif kind == "closing":
            self.signal(EventKind.CLOSING, serial)
            generation = self.sockets[serial]
            self.later(60, lambda: self.drop(serial, generation, clean=True))
        elif kind == "evict":
            self.signal(EventKind.EVICTED, serial)
        else:
            self.drop(serial, self.sockets[serial], clean=kind == "close")

    def drop(self, serial: int, generation: int, *, clean: bool) -> None:
        if self.sockets.get(serial) == generation:
            self.close(serial)
            self.signal(EventKind.LOST, serial, is_clean=clean)

    def run(self, seconds: float) -> None:
        self.act(self.line.start(self.moment()))
        self.later(self.fault_every, self.fault)
        while self.now < seconds:
            due = max(self.line.due(), self.now)
            step = min(due, self.now + 30, self.queue[0].when if self.queue else math.inf)
            self.now = step
            while self.queue and self.queue[0].when <= self.now:
                heapq.heappop(self.queue).run()
            self.act(self.line.tick(self.moment()))
        self.act(self.line.stop(self.moment()))
        while self.line.leaving:
            self.now = min(self.line.due(), self.queue[0].when)
            while self.queue and self.queue[0].when <= self.now:
                heapq.heappop(self.queue).run()
            self.act(self.line.tick(self.moment()))


@pytest.mark.parametrize(("seed", "free"), [(1, 19), (2, 0), (3, 1)])
def test_a_day_with_a_fault_every_minute(seed: int, free: int) -> None:
    """Over 24 hours with a fault a minute, coverage never claims a moment in which no socket heard."""
    platform = Platform(seed, free=free, fault_every=60)
    platform.run(DAY)
    assert not platform.open
    claimed = sum(span[1] - span[0] for span in platform.spans)
    assert claimed > 0.2 * DAY
    intervals = iter([*platform.up_intervals, (math.inf, math.inf)])
    up = next(intervals)
    for start, end in sorted(map(tuple, platform.spans)):
        while up[1] < end - 1e-6:
            up = next(intervals)
        assert up[0] <= start + 1e-6
    assert len(platform.attempts) < 3 * 3 * DAY / 60


def test_three_days_without_faults_have_no_hole() -> None:
    """With a free channel, renewals over three days leave not one second without a listening socket."""
    platform = Platform(7, free=5, fault_every=math.inf)
    platform.random = random.Random(7)
    platform.run(3 * DAY)
    spans = sorted(map(tuple, platform.spans))
    assert len(spans) >= 5
    reach = spans[0][0]
    for start, end in spans:
        assert start <= reach + (10 if reach == spans[0][0] else 0)
        reach = max(reach, end)
    assert reach == pytest.approx(platform.now)


def test_steps_double_and_stay_bounded() -> None:
    """The back-off grows from half a second to a minute and no further."""
    timings = Timings()
    steps = [timings.back_off.seconds(failures, 0.999) for failures in range(1, 40)]
    assert steps[0] < 0.5
    assert steps == sorted(steps)
    assert steps[-1] <= 60
