"""Looks that all open pages share: made once, kept for a while, and more seldom the longer they take."""

import asyncio
from datetime import UTC, datetime

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.page.feed import FRESH, Feed, Look


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.tick = 1_000.0

    def __call__(self) -> float:
        return self.tick


class Store:
    """A store that counts how often it is read, and takes so many seconds of the clock for it."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.clock, self.seconds, self.reads = clock, seconds, 0
        self.fails: str | None = None

    async def read(self) -> int:
        await asyncio.sleep(0)
        self.clock.tick += self.seconds
        self.reads += 1
        if self.fails:
            raise RollbookError(self.fails)
        return self.reads


def feed_of(clock: Clock) -> Feed:
    """A feed on this clock."""
    return Feed(clock, lambda: datetime(2026, 3, 2, tzinfo=UTC))


async def test_fifty_pages_cost_one_look_in_five_seconds() -> None:
    """However many ask within five seconds, at once or one after the other, the store is read once."""
    clock = Clock()
    store, feed = Store(clock), feed_of(clock)
    looks = [Look("status", store.read, needed=True)]
    await asyncio.gather(*(feed.take(looks) for _ in range(50)))
    assert store.reads == 1
    for _ in range(50):
        clock.tick += FRESH / 60
        await feed.take(looks)
    assert store.reads == 1
    clock.tick += FRESH
    seen = await asyncio.gather(*(feed.take(looks) for _ in range(50)))
    assert store.reads == 2
    assert {each["status"].value for each in seen if each["status"]} == {2}


async def test_what_takes_long_is_looked_at_more_seldom() -> None:
    """A look of a second is made again after a hundred."""
    clock = Clock()
    store, feed = Store(clock, seconds=1.0), feed_of(clock)
    looks = [Look("queues", store.read, needed=True)]
    for _ in range(99):
        await feed.take(looks)
        clock.tick += 1
    assert store.reads == 1
    clock.tick += 5
    await feed.take(looks)
    assert store.reads == 2


async def test_looks_of_different_times_are_different() -> None:
    """A look has a key beside its name; what nobody asks for any more is forgotten."""
    clock = Clock()
    store, feed = Store(clock), feed_of(clock)
    await feed.take([Look("days", store.read, key="a", needed=True)])
    await feed.take([Look("days", store.read, key="b", needed=True)])
    assert store.reads == 2
    clock.tick += 120
    await feed.take([Look("days", store.read, key="b", needed=True)])
    assert len(feed._entries) == 1


async def test_a_page_does_not_wait_for_what_it_can_do_without() -> None:
    """A look that takes long is None until it is there; the one look under way is not begun again."""
    clock = Clock()
    feed, go = feed_of(clock), asyncio.Event()
    begun = 0

    async def slow() -> str:
        nonlocal begun
        begun += 1
        await go.wait()
        return "there"

    for _ in range(3):
        assert (await feed.take([Look("queues", slow)], patience=0.0))["queues"] is None
    assert begun == 1
    go.set()
    seen = (await feed.take([Look("queues", slow)], patience=5.0))["queues"]
    assert seen is not None
    assert (seen.value, begun) == ("there", 1)


async def test_a_store_that_does_not_answer_is_said() -> None:
    """Where a look is needed its trouble is the page's; elsewhere the look says it, and is made again."""
    clock = Clock()
    store, feed = Store(clock), feed_of(clock)
    store.fails = "the file is gone"
    with pytest.raises(RollbookError, match="the file is gone"):
        await feed.take([Look("status", store.read, needed=True)])
    seen = (await feed.take([Look("days", store.read)], patience=5.0))["days"]
    assert seen is not None
    assert (seen.value, seen.trouble) == (None, "the file is gone")
    store.fails = None
    clock.tick += FRESH
    assert (await feed.take([Look("status", store.read, needed=True)]))["status"] is not None


async def test_what_is_under_way_ends_with_the_feed() -> None:
    """`close` ends a look that would never end."""
    feed = feed_of(Clock())
    await feed.take([Look("queues", asyncio.Event().wait)], patience=0.0)
    await feed.close()
    assert not [entry for entry in feed._entries.values() if entry.reading is not None]
