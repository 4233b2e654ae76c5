"""Days of channel life and of the supervisor on a virtual clock, held against what was really heard."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import logging
import os
import random

import pytest

from realtime.daemon.health import judge
from realtime.storing.inbox import Inbox
from realtime.websocket.channel_states import Timings
from realtime.websocket.supervisor import Supervisor
from rollbook.genesys.program.settings import Settings
from tests.helpers import virtual
from tests.helpers.stage import QUEUES, topic
from tests.helpers.virtual import DAY, Platform


async def live(
    platform: Platform,
    seconds: float,
    *,
    fault_every: float | None,
    every: float,
    rediscover: float = 300.0,
    awake: float = 60.0,
) -> Supervisor:
    """Let live capture listen to a platform for so many virtual seconds, then stop it.

    awake: seconds between its looks whether it goes on; ten a second would be most of the work of a day.
    """
    supervisor = Supervisor(
        platform,  # type: ignore[arg-type]
        platform.ledger,  # type: ignore[arg-type]
        Settings(),
        now=virtual.now,
        timings=Timings(rediscover=rediscover, awake=awake),
        inbox=Inbox(frames=12),
        opener=platform.opened,
        draw=random.Random(1),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    if platform.down.get("flap", 0) == 0:
        await asyncio.sleep(5)
    happening = [asyncio.create_task(platform.emit(every))]
    if fault_every is not None:
        happening.append(asyncio.create_task(platform.break_things(fault_every)))
    await asyncio.sleep(seconds)
    for task in happening:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    platform.ledger.locked = False
    stop.set()
    await running
    return supervisor


def in_a_minute(moments: list[float]) -> int:
    """The most of them within any minute."""
    return max((bisect.bisect_left(moments, moment + 60) - at for at, moment in enumerate(moments)), default=0)


# Ask for more with ROLLBOOK_DAYS=20: some seven seconds each.
DAYS = [(1, 60, 0, DAY), (3, 60, 19, DAY), (4, 2_100, 14, DAY / 8)] + [
    (seed, 60, seed % 3 * 9, DAY) for seed in range(100, 100 + int(os.environ.get("ROLLBOOK_DAYS", "0")))
]


@pytest.mark.parametrize(("seed", "queues", "others", "seconds"), DAYS)
def test_a_day_with_a_fault_every_minute(
    seed: int, queues: int, others: int, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """24 hours, a fault a minute: nothing that the ledger claims was missed, and attempts come in steps."""
    caplog.set_level(logging.CRITICAL)

    async def work() -> None:
        platform = Platform(seed, queues=queues, others=others)
        await live(platform, seconds, fault_every=60, every=4)
        assert sum(platform.faults.values()) >= seconds // 60 - 1
        missed = platform.claimed_and_missed()
        assert not missed, (len(missed), missed[:3])
        assert platform.covered() > 0.6
        assert platform.evicted_in_use == 0
        lines = -(-queues // 1_000)
        assert in_a_minute(platform.attempts) <= 12 * lines
        assert in_a_minute(platform.creations) <= 12 * lines

    virtual.run(work())


@pytest.mark.parametrize("others", [0, 18])
def test_quiet_days_lose_nothing(others: int) -> None:
    """Through the renewal after half a day nothing is lost and coverage has no hole, with and without a free channel."""

    async def work() -> None:
        platform = Platform(7, queues=1_200, others=others)
        await live(platform, 0.6 * DAY, fault_every=None, every=20)
        assert len(platform.sent) > 2_000
        assert all(platform.ledger.stored[notification_id] for _, _, notification_id in platform.sent)
        assert platform.covered() > 0.9999
        assert len(platform.creations) == (2 if others == 18 else 4)

    virtual.run(work())


def test_what_a_renewal_leaves_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The channels that a renewal has left are nobody else's, though another token made them: they may give way."""

    async def work() -> None:
        platform = Platform(11, queues=1_200, others=16)
        asyncio.get_running_loop().call_later(0.55 * DAY, virtual.closing, platform)
        supervisor = await live(platform, 0.56 * DAY, fault_every=None, every=60)
        assert supervisor.figures().channels_of_others == 16
        assert len(platform.creations) == 6
        assert platform.evicted_in_use == 0
        assert platform.covered() > 0.9999

    virtual.run(work())
    said = [record.getMessage() for record in caplog.records if "not of this run" in record.getMessage()]
    assert [line[:11] for line in said] == ["16 of the 2"]


def test_lines_are_as_many_as_others_leave_places() -> None:
    """Beside 17 channels of another program there are three lines, and five as soon as they have gone."""

    async def work() -> None:
        platform = Platform(12, queues=5_000, others=17)
        asyncio.get_running_loop().call_later(3_500, setattr, platform, "others", 0)
        supervisor = await live(platform, 3_000, fault_every=None, every=60)
        assert (len(platform.creations), platform.evicted_in_use) == (3, 0)
        assert (len(supervisor.unplaced), supervisor.figures().channels_of_others) == (2_000, 17)
        assert judge(supervisor.figures())[0] == "degraded"
        supervisor = await live(platform, 1_200, fault_every=None, every=60)
        assert (len(platform.creations), platform.evicted_in_use) == (8, 0)
        assert supervisor.unplaced == ()

    virtual.run(work())


def test_a_place_that_another_program_takes_costs_a_line() -> None:
    """Where one more of another program's is connected than there is room for, places are not taken in turns."""

    async def work() -> None:
        platform = Platform(13, queues=5_000, others=15)
        asyncio.get_running_loop().call_later(1_000, virtual.intrude, platform)
        supervisor = await live(platform, 1_100, fault_every=None, every=60)
        assert len(platform.creations) <= 7
        assert len(supervisor.unplaced) == 1_000
        assert len(supervisor.figures().lines) == 4

    virtual.run(work())


def test_a_restart_has_the_lines_of_the_run_before() -> None:
    """The channels that an earlier run has left, under whatever token, are in nobody's way."""

    async def work() -> None:
        platform = Platform(14, queues=5_000, others=15)
        for run in range(1, 4):
            supervisor = await live(platform, 60, fault_every=None, every=60)
            assert (len(platform.creations), platform.evicted_in_use, supervisor.unplaced) == (5 * run, 0, ())
            platform.token += 1

    virtual.run(work())


def test_an_hour_of_flapping_costs_one_attempt_a_step() -> None:
    """Against a server that accepts and closes for an hour: the steps of the back-off, then one attempt a minute."""

    async def work() -> None:
        platform = Platform(8, queues=3)
        platform.down["flap"] = 3_600
        await live(platform, 3_600, fault_every=None, every=60)
        gaps = [later - sooner for sooner, later in itertools.pairwise(platform.attempts)]
        timings = Timings()
        for failures, gap in enumerate(gaps[:-1], start=1):
            assert gap >= timings.back_off.seconds(failures, 0.0)
        assert len(platform.attempts) < 7 + 2 * 60
        assert len(platform.creations) <= len(platform.attempts) / 3 + 1

    virtual.run(work())


def test_one_line_of_two_that_listened_until_now_is_no_death() -> None:
    """A line that has been down for long, and another that has just ended: it is not so that none has listened."""

    async def work() -> None:
        platform = Platform(15, queues=1_200)
        loop = asyncio.get_running_loop()
        loop.call_later(40, platform.down.update, {"handshake": 1_000})
        loop.call_later(40, virtual.drop, platform)
        supervisor = await live(platform, 450, fault_every=None, every=60)
        assert {line.phase for line in supervisor.figures().lines} == {"done"}
        assert judge(supervisor.figures())[0] == "degraded"

    virtual.run(work())


def test_a_stop_ends_the_span_of_a_socket_that_takes_nothing() -> None:
    """Where even the last question cannot be sent, the span has its end and its reason when the daemon stops."""

    async def work() -> None:
        platform = Platform(16, queues=3)
        asyncio.get_running_loop().call_later(20, lambda: setattr(platform.some_line(), "reads", False))
        await live(platform, 18, fault_every=None, every=60)
        assert [span["reason"] for span in platform.ledger.spans] == ["channel lost"]

    virtual.run(work())


def test_many_bad_topics_and_little_rate_limit_come_to_an_end() -> None:
    """Finding what a list is refused for takes many requests, and each may wait: that is progress, and not begun again."""

    async def work() -> None:
        platform = Platform(17, queues=1_000)
        platform.poison = {topic(number) for number in (1, 301, 601)}
        platform.slow = 10.0
        await live(platform, 1_000, fault_every=None, every=60)
        assert [len(span["topics"]) for span in platform.ledger.spans] == [997]

    virtual.run(work())


def test_topics_that_the_platform_lost_are_found_missing() -> None:
    """Topics that vanish from an open channel are seen at the next look, and claimed until they were seen last."""

    async def work() -> None:
        platform = Platform(9, queues=30)
        asyncio.get_running_loop().call_later(1_000, virtual.forget_some, platform)
        await live(platform, 2_000, fault_every=None, every=1)
        assert platform.claimed_and_missed() == []
        assert {span["reason"] for span in platform.ledger.spans} == {"topics lost", "stopped"}
        assert 0.9 < platform.covered() < 0.97

    virtual.run(work())


def test_a_topic_that_is_refused_at_a_renewal_is_claimed_no_longer() -> None:
    """Subscribed again on the same channel, a topic may be refused: its span ends, and one begins when it is permitted."""

    async def work() -> None:
        platform = Platform(11, queues=3, others=19)
        lost = f"v2.routing.queues.{QUEUES[1]}.conversations"
        loop = asyncio.get_running_loop()
        loop.call_later(0.4 * DAY, platform.refused.add, lost)
        loop.call_later(0.6 * DAY, platform.refused.clear)
        await live(platform, 0.7 * DAY, fault_every=None, every=10)
        assert len(platform.creations) == 1
        assert platform.claimed_and_missed() == []
        reasons = [span["reason"] for span in platform.ledger.spans if lost in span["topics"]]
        assert reasons == ["topic rejected", "stopped"]
        (other,) = {span["reason"] for span in platform.ledger.spans if lost not in span["topics"]}
        assert other == "stopped"
        assert not platform.ledger.refused
        assert 0.93 < platform.covered() < 0.96

    virtual.run(work())


def test_a_token_that_ends_takes_no_channel_with_it() -> None:
    """Channels are renewed before the token ends that they were made with, however long they live themselves."""

    async def work() -> None:
        platform = Platform(10, queues=3)
        platform.token_lasts = 7_200
        await live(platform, DAY / 2, fault_every=None, every=10)
        gaps = [later - sooner for sooner, later in itertools.pairwise(platform.creations)]
        assert gaps
        assert all(3_000 < gap < 7_000 for gap in gaps)
        assert all(platform.ledger.stored[notification_id] for _, _, notification_id in platform.sent)

    virtual.run(work())
