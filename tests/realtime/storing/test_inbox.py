"""The bounded queue between the sockets and the book."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from realtime.storing.inbox import BYTES, CROWD, SLICE, CoverageBegin, CoverageEnd, Frame, Inbox
from tests.helpers import virtual

NOW = datetime(2026, 8, 3, 14, tzinfo=UTC)


def frame(serial: int = 1, size: int = 10) -> Frame:
    return Frame(b"x" * size, NOW, serial)


async def test_frames_come_out_in_order_and_notes_alone() -> None:
    """Frames are taken together, a note about coverage by itself, all in the order in which they went in."""
    inbox = Inbox()
    begin, end = CoverageBegin(1, "s", ("t",), "a"), CoverageEnd(1, "b", "stopped")
    inbox.note(begin)
    first, second, third = frame(), frame(), frame()
    inbox.put(first)
    inbox.put(second)
    inbox.note(end)
    inbox.put(third)
    assert [await inbox.take(10) for _ in range(4)] == [[begin], [first, second], [end], [third]]
    assert inbox.frames == 0
    assert inbox.size == 0


async def test_a_full_queue_drops_and_counts() -> None:
    """Beyond its bound the queue drops, counts, and keeps a channel that lost one out until it may begin again."""
    inbox = Inbox(frames=2)
    assert inbox.put(frame())
    assert inbox.put(frame())
    assert not inbox.put(frame())
    assert not inbox.has_room()
    await inbox.take(10)
    assert inbox.has_room()
    assert not inbox.put(frame())
    inbox.take_again(1)
    assert inbox.put(frame())
    assert (inbox.received, inbox.dropped) == (5, 2)


async def test_bytes_are_bounded_too() -> None:
    """Few but huge frames fill the queue as many small ones do."""
    inbox = Inbox(size=1_000)
    assert inbox.put(frame(size=700))
    assert not inbox.put(frame(size=700))


async def test_a_closed_queue_gives_what_is_left() -> None:
    """After closing, what waits comes out, then nothing."""
    inbox = Inbox()
    inbox.put(frame())
    inbox.close()
    assert len(await inbox.take(10)) == 1
    assert await inbox.take(10) == []


async def test_large_frames_are_taken_in_smaller_numbers() -> None:
    """Up to as many bytes as asked for, and the one with which there are enough; never none."""
    inbox = Inbox()
    for _ in range(5):
        inbox.put(frame(size=800))
    assert [len(await inbox.take(10, size=size)) for size in (1, 1_000, 1_001, 5_000)] == [1, 1, 2, 1]
    assert (inbox.frames, inbox.size) == (0, 0)


class Flood:
    """A source that has endlessly many frames at hand, 256 KB at each look, of which there are a hundred a second."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.paused_at: float | None = None
        self.waits: list[float] = []

    def pause(self) -> None:
        self.paused_at = asyncio.get_running_loop().time()

    def resume(self) -> None:
        assert self.paused_at is not None
        self.waits.append(asyncio.get_running_loop().time() - self.paused_at)
        self.paused_at = None

    async def flow(self, seconds: float) -> None:
        """Hand on what is read in so many seconds."""
        for _ in range(int(seconds * 100)):
            if self.paused_at is None:
                for _ in range(256):
                    if self.inbox.crowded():
                        self.inbox.pause(self)
                    self.inbox.put(frame(size=1_000))
            await asyncio.sleep(0.01)


def test_a_flood_waits_behind_a_disk_that_stands_still() -> None:
    """Ten seconds drop nothing; what a source hands on is read all the same, in each second; memory is bounded."""

    async def work() -> None:
        inbox = Inbox()
        flood = Flood(inbox)
        await flood.flow(10)
        assert inbox.dropped == 0
        assert len(flood.waits) >= 8
        assert max(flood.waits) <= 1.01
        assert inbox.size >= 8 * SLICE
        await flood.flow(60)
        assert inbox.dropped > 0
        assert inbox.size <= BYTES
        assert max(flood.waits) <= 1.01

    virtual.run(work())


def test_a_flood_is_read_at_once_where_it_is_taken() -> None:
    """Whoever waits goes on when there is room, and the time of an earlier wait does not end a later one."""

    async def work() -> None:
        inbox = Inbox()
        flood = Flood(inbox)
        flowing = asyncio.create_task(flood.flow(3))
        most = 0
        for _ in range(20):
            await asyncio.sleep(0.11)
            most = max(most, inbox.frames)
            while inbox.frames:
                await inbox.take(CROWD)
        await flowing
        assert most <= CROWD + 256
        assert len(flood.waits) >= 18
        assert max(flood.waits) <= 0.12
        assert inbox.dropped == 0

    virtual.run(work())
