"""A process that stood still: what it reads then may have been sent at any moment of that time, and proves no later one."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from realtime.clocks import Awake
from realtime.storing.inbox import CROWD, Inbox
from realtime.websocket.channel_states import ChannelEvent, CommandKind, EventKind
from realtime.websocket.supervisor import Supervisor
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text
from tests.helpers import virtual
from tests.helpers.stage import conversation, snapshot, topic
from tests.helpers.virtual import Platform
from tests.realtime.websocket.test_channel import START, at, does, listening, state_of

NO_LONGER = '{"topicName":"v2.system.no_longer_subscribed.x","eventBody":{"systemTopicType":"no_longer_subscribed"}}'


def test_awake_is_who_looks_again_soon() -> None:
    """Standing still is seen by either clock, and dated by the look before; the first look says nothing."""
    awake = Awake(0.2)
    moments = [virtual.START + timedelta(seconds=second) for second in range(5)]
    assert awake.look(10.0, 50.0, moments[0]) is None
    assert awake.look(10.125, 50.125, moments[1]) is None
    assert awake.look(11.0, 51.0, moments[2]) == moments[1]
    assert awake.look(11.1, 91.0, moments[3]) == moments[2], "the machine slept, and its monotonic clock with it"
    assert awake.look(11.2, 20.0, moments[4]) is None, "a clock that is set back is no standing still"


def test_what_lay_unread_proves_no_later_moment_until_a_ping_is_answered() -> None:
    """Events and the answer to an older ping do not; a ping is asked for at once, and its answer does."""
    line, connect = listening()
    serial = connect.serial
    state_of(line, serial).ping_sent(at(15), line.timings.pong_within)
    state_of(line, serial).proof_came(START + 20)
    state_of(line, serial).frames_lay_unread(START + 21, at(27))
    state_of(line, serial).proof_came(START + 27)
    channel = line.channel(serial)
    assert channel is not None
    assert channel.last_proof_at == START + 21
    state_of(line, serial).frame_came(at(27))
    assert line.due() <= 27
    assert does(line.tick(at(27))) == [CommandKind.PING]
    state_of(line, serial).ping_sent(at(27), line.timings.pong_within)
    state_of(line, serial).pong_came(at(27.1))
    assert channel.last_proof_at == START + 21, "that was the answer to the ping before"
    assert line.sure_until == START + 21
    state_of(line, serial).pong_came(at(27.2))
    assert (channel.last_proof_at, line.sure_until) == (START + 27.2, math.inf)
    state_of(line, serial).frame_came(at(27.2))
    assert line.due() > 40, "asked no more often than ever"


def test_an_answer_to_a_ping_between_two_pauses_proves_its_moment() -> None:
    """Of a socket that is read now and then it is known that it was there when the answered ping was sent."""
    line, connect = listening()
    state_of(line, connect.serial).frames_lay_unread(START + 20, at(20))
    state_of(line, connect.serial).ping_sent(at(21), line.timings.pong_within)
    state_of(line, connect.serial).frames_lay_unread(START + 22, at(22))
    state_of(line, connect.serial).pong_came(at(23))
    assert line.sure_until == START + 21
    (unhear, _) = line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(24))
    assert unhear.at == START + 21


def test_pings_that_nobody_answers_do_not_hold_the_next_answer_back() -> None:
    """An answer that never comes is not waited for: after ten seconds the next one belongs to a later ping."""
    line, connect = listening()
    state_of(line, connect.serial).ping_sent(at(15), line.timings.pong_within)
    state_of(line, connect.serial).frames_lay_unread(START + 20, at(21))
    state_of(line, connect.serial).ping_sent(at(21), line.timings.pong_within)
    state_of(line, connect.serial).ping_sent(at(36), line.timings.pong_within)
    state_of(line, connect.serial).pong_came(at(36.1))
    assert line.sure_until == math.inf


@pytest.mark.parametrize("way", ["evicted", "kicked", "left"])
def test_a_word_of_the_platforms_that_lay_unread_is_no_later_proof(way: str) -> None:
    """That a channel goes, or that another socket took its place, is said at some moment of the time in between."""
    line, connect = listening()
    state_of(line, connect.serial).frame_came(at(20))
    state_of(line, connect.serial).proof_came(START + 20)
    if way == "evicted":
        state_of(line, connect.serial).frames_lay_unread(START + 20.5, at(26))
        (unhear, *_) = line.apply(ChannelEvent(EventKind.EVICTED, connect.serial, is_clean=True), at(26))
    else:
        (step,) = line.apply(ChannelEvent(EventKind.CLOSING, connect.serial), at(20, free=0))
        if way == "left":
            line.apply(ChannelEvent(EventKind.CONNECTED, step.serial, step.ticket), at(20.2))
        state_of(line, connect.serial).frames_lay_unread(START + 20.5, at(26))
        (unhear, *_) = line.apply(ChannelEvent(EventKind.LOST, connect.serial, is_clean=True), at(26))
    assert (unhear.kind, unhear.at) == (CommandKind.END_COVERAGE, START + 20.5)


def test_a_new_socket_is_not_in_doubt() -> None:
    """What lay unread on the socket before says nothing of the one that took its place."""
    line, connect = listening()
    state_of(line, connect.serial).frames_lay_unread(START + 20, at(26))
    line.apply(ChannelEvent(EventKind.LOST, connect.serial), at(26))
    (again,) = line.tick(at(line.due()))
    line.apply(ChannelEvent(EventKind.CONNECTED, again.serial, again.ticket), at(28))
    assert line.sure_until == math.inf


async def listens(platform: Platform, seconds: float, happens: Callable[[], None], inbox: Inbox | None = None) -> None:
    """Live capture on a virtual clock; after ten seconds something happens, and it goes on for so many."""
    supervisor = Supervisor(
        platform,  # type: ignore[arg-type]
        platform.ledger,  # type: ignore[arg-type]
        Settings(),
        now=virtual.now,
        inbox=inbox,
        opener=platform.opened,
        draw=random.Random(1),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    await asyncio.sleep(10)
    happens()
    await asyncio.sleep(seconds)
    stop.set()
    await running


def sends(platform: Platform) -> str:
    """An event is sent, to whoever listens; answers its frame."""
    number = len(platform.sent)
    platform.sent.append((to_text(virtual.now()), topic(), conversation(number)))
    return snapshot(number)


def stand_still(seconds: float) -> None:
    """Time passes, and nothing of this process happens."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual.Loop)
    loop._pass(seconds)


@pytest.mark.parametrize("end", ["closed", "evicted"])
def test_what_is_read_after_standing_still_claims_nothing_of_that_time(end: str) -> None:
    """While the process stands still an event comes, the platform closes the socket, and another event goes astray."""

    async def work() -> None:
        platform = Platform(1, queues=1)

        def happens() -> None:
            line = platform.some_line()
            assert line is not None
            stand_still(1)
            came = [sends(platform), *([NO_LONGER] if end == "evicted" else [])]
            stand_still(1)
            sends(platform)
            stand_still(5)
            for frame in came:
                line.give(frame)
            line.end(clean=True)

        await listens(platform, 60, happens)
        assert platform.ledger.stored[conversation(0)], "what came is stored all the same"
        assert not platform.ledger.stored[conversation(1)]
        assert platform.claimed_and_missed() == []
        assert platform.covered() > 0.8

    virtual.run(work())


def test_standing_still_alone_costs_no_coverage() -> None:
    """A socket that answers a ping after it was there all the time."""

    async def work() -> None:
        platform = Platform(1, queues=1)
        await listens(platform, 60, lambda: stand_still(5))
        assert [span["reason"] for span in platform.ledger.spans] == ["stopped"]
        assert platform.covered() > 0.98

    virtual.run(work())


def test_a_sign_of_life_after_standing_still_waits_for_an_answer() -> None:
    """Who is killed before a ping is answered is not claimed to have listened while it stood still."""

    async def work() -> None:
        platform = Platform(1, queues=1)
        loop = asyncio.get_running_loop()
        stood = ""
        signs: list[str] = []

        def happens() -> None:
            nonlocal stood
            stood = to_text(virtual.now())
            line = platform.some_line()
            assert line is not None
            line.answer = None
            stand_still(7)
            loop.call_later(4, lambda: signs.append(platform.ledger.alive_at))

        await listens(platform, 6, happens)
        assert signs
        assert signs[0] <= stood

    virtual.run(work())


def test_what_lay_in_a_socket_that_was_not_read_claims_nothing_of_that_time() -> None:
    """A socket is held back because more comes than is stored; what is read afterwards may have lain there."""

    async def work() -> None:
        platform = Platform(1, queues=1)
        inbox = Inbox()

        def happens() -> None:
            line = platform.some_line()
            assert line is not None
            line.answer = None  # what answers there are lie there, too
            for _ in range(CROWD + 1):
                line.give(sends(platform))
            lain = sends(platform)

            def read_on() -> None:
                line.give(lain)
                line.end(clean=True)

            def resume() -> None:
                asyncio.get_running_loop().call_soon(read_on)

            line.resume = resume  # type: ignore[method-assign]
            asyncio.get_running_loop().call_later(0.5, sends, platform)
            # Whoever takes what waits is slow.
            platform.ledger.locked = True
            asyncio.get_running_loop().call_later(2, setattr, platform.ledger, "locked", False)

        await listens(platform, 60, happens, inbox)
        astray = len(platform.sent) - 1
        assert not platform.ledger.stored[conversation(astray)]
        assert platform.ledger.stored[conversation(astray - 1)]
        assert platform.claimed_and_missed() == []

    virtual.run(work())


def test_a_frame_that_was_too_large_claims_nothing_of_the_time_until_its_socket_has_ended() -> None:
    """The socket is closed because of its size; until it has ended, what the platform sends on it is not read."""

    async def work() -> None:
        platform = Platform(1, queues=1)

        def happens() -> None:
            line = platform.some_line()
            assert line is not None
            line.give(sends(platform))

            def ends() -> None:
                line.on_frame(b"", "frame of more than 8388608 bytes; the connection had to be closed")
                line.end(clean=False)

            loop = asyncio.get_running_loop()
            loop.call_later(1, sends, platform)  # nobody reads it
            loop.call_later(2, ends)

        await listens(platform, 60, happens)
        assert platform.ledger.stored[conversation(0)]
        assert platform.claimed_and_missed() == []
        assert platform.covered() > 0.8

    virtual.run(work())
