"""What looking costs: the processor's time for 50 pages that are kept up to date while events are recorded.

    python tests/benchmarks/bench_page.py [--store PATH] [--pages 50] [--seconds 10] [--rounds 3]

Without --store it is two days of a simulated organisation. 400 events a second are recorded by the process that shows the
page, on a copy of the store; each round measures the process first without and then with the pages, clients included.
What looking takes of a core is what it can take of capture's rate at most, where one core does all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from rollbook.genesys.messages.notification import Notification, parse_frame  # noqa: E402
from rollbook.genesys.times import to_text  # noqa: E402
from rollbook.page.server import HttpServer  # noqa: E402
from rollbook.page.site import PageSettings, Site  # noqa: E402
from rollbook.store.book import Book  # noqa: E402
from rollbook.store.tables import events  # noqa: E402
from tests.helpers.shown_page import Source  # noqa: E402
from tests.helpers.staged_store import LAG, NOW, staged  # noqa: E402

BATCH = 100
RATE = 400


class Writer:
    """Records events at a fixed rate. `number`: of the next event."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.number = 0

    async def run(self, seconds: float) -> float:
        """Record for so long; answers the seconds of the processor that the process used in a second."""
        began, used = time.monotonic(), time.process_time()
        for batch in range(int(seconds * RATE / BATCH)):
            await asyncio.sleep(max(began + batch * BATCH / RATE - time.monotonic(), 0))
            await asyncio.wrap_future(self._book.write(events.record, self._batch(), LAG))
        return (time.process_time() - used) / (time.monotonic() - began)

    def _batch(self) -> list[Notification]:
        found = []
        for _ in range(BATCH):
            at = to_text(NOW + timedelta(milliseconds=self.number))
            body = {
                "id": f"7c1f0d6e-52f1-4c1b-9a6c-{self.number // 8:012d}",
                "participants": [{"id": "p", "connectedTime": at}],
            }
            frame = json.dumps(
                {"topicName": "v2.routing.queues.q.conversations", "eventBody": body | {"n": self.number}}
            )
            event = parse_frame(frame, source="websocket", received_at=at)
            assert isinstance(event, Notification)
            found.append(event)
            self.number += 1
        return found


async def opened(stack: AsyncExitStack, session: ClientSession, address: str) -> asyncio.Task[int]:
    """A page that is kept up to date; its task answers the bytes that came."""
    answer = await stack.enter_async_context(session.get(f"{address}/live"))

    async def read() -> int:
        size = 0
        async for piece in answer.content.iter_any():
            size += len(piece)
        return size

    return asyncio.create_task(read())


async def measured(path: Path, pages: int, seconds: float, rounds: int) -> None:
    """Measure, and print."""
    async with Book.open(path, mode="r+") as book:
        source = Source(book, now=datetime.now(UTC))
        site = Site(source, PageSettings(store_path=path, width=timedelta(minutes=30)))
        server = HttpServer("127.0.0.1:0", site.routes())
        await server.start()
        address, writer = f"http://127.0.0.1:{server.port}", Writer(book)
        without, beside, reads = [], [], []
        await writer.run(seconds)  # the dictionary that bodies are packed with is learnt meanwhile
        async with ClientSession(timeout=ClientTimeout(total=None)) as session:
            for _ in range(rounds):
                without.append(await writer.run(seconds))
                async with AsyncExitStack() as stack:
                    tasks: Sequence[asyncio.Task[int]] = [await opened(stack, session, address) for _ in range(pages)]
                    await asyncio.sleep(2)
                    before = site.feed.reads
                    beside.append(await writer.run(seconds))
                    reads.append((site.feed.reads - before) / seconds * 5)
                    for task in tasks:
                        task.cancel()
            times = [await _asked(session, address) for _ in range(40)]
        await server.stop()
        await site.close()
    cost = [with_pages - alone for alone, with_pages in zip(without, beside, strict=True)]
    print(f"{pages} pages open, {RATE} events a second: {statistics.median(beside):.1%} of a core,", end=" ")
    print(f"{statistics.median(without):.1%} with none")
    print(
        f"  looking, by round: {', '.join(f'{each:+.1%}' for each in cost)}; median {statistics.median(cost):+.1%} (bar 5 %)"
    )
    print(f"  looks in five seconds: {statistics.median(reads):.1f}, of at most 11 that a page has")
    times.sort()
    print(f"  an answer: {times[20]:.0f} ms in the middle, {times[37]:.0f} ms at 95 % (bar 200)")


async def _asked(session: ClientSession, address: str) -> float:
    began = time.monotonic()
    async with session.get(f"{address}/") as answer:
        await answer.read()
    return (time.monotonic() - began) * 1_000


def main(words: Sequence[str]) -> None:
    """Read the options and measure."""
    options: Any = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--store", type=Path)
    options.add_argument("--pages", type=int, default=50)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollbook.db"
        if chosen.store is None:
            staged(path, days=2, per_hour=20)
        else:
            shutil.copy(chosen.store, path)
        asyncio.run(measured(path, chosen.pages, chosen.seconds, chosen.rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
