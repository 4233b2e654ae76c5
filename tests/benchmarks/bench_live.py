"""A flood of notifications, from the socket to a durable row: what each stage costs, and whether anything is lost.

    python tests/benchmarks/bench_live.py [EVENTS] [--busy] [--locked] [--looked-at]

A server in a process of its own sends EVENTS distinct notifications as fast as they are taken: of ten, eight are detail
events of 0.6 KB and two are snapshots of 3 KB. Three times in turns, each in a process and a file of its own with
`synchronous=FULL`:

  bare      websockets, orjson, a digest and executemany, a commit for each 500
  rollbook  the daemon's live capture: channel, subscriptions, identity, packing, live picture, dead letters, coverage

Printed for each: notifications a second, CPU seconds for a thousand; the ratios of both; of rollbook, the CPU seconds of
each stage for a thousand, what was dropped, and the most memory. With --busy, another process uses a core all the time.
With --locked, another program has rollbook's file locked for twelve seconds in the middle of the flood.
With --looked-at, the contenders are rollbook with its port, and the same with 50 pages open at it, which another process
keeps open as browsers do: the ratio of the rates is what looking costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import resource
import socket
import sqlite3
import statistics
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.benchmarks.bench_notifications import answer_of, serve, snapshot  # noqa: E402 (below the path)

ROUNDS = 3
LOCKED = 12.0  # seconds
PAGES = 50
MEMBERS = ("customer.start", "flow.start", "flow.end", "acd.start", "acd.end", "user.start", "user.end", "customer.end")


def detail(index: int, member: str) -> str:
    """A conversation's detail event."""
    conversation, ours = str(uuid.UUID(int=index + 1)), str(uuid.UUID(int=index << 40 | MEMBERS.index(member)))
    body = {
        "eventTime": int(time.time() * 1000) // 60_000 * 60_000 + index % 60_000,
        "conversationId": conversation,
        "participantId": ours,
        "sessionId": ours,
        "mediaType": "VOICE",
        "provider": "Edge",
        "direction": "INBOUND",
        "ani": "tel:+13175550123",
        "dnis": "tel:+18005550100",
        "queueId": str(uuid.UUID(int=index % 20 + 1)),
        "divisionId": str(uuid.UUID(int=1)),
        "conversationExternalContactIds": [],
    }
    if member.endswith(".end"):
        body |= {"disconnectType": "PEER", "interactingDurationMs": index % 160_000, "heldDurationMs": 20_000}
    topic = f"v2.detail.events.conversation.{conversation}.{member}"
    return json.dumps({"topicName": topic, "version": "2", "eventBody": body, "metadata": {"CorrelationId": ours}})


def flood(events: int) -> list[str]:
    """Notifications of conversations, a hundred of which go on at a time."""
    made: list[str] = []
    for first in range(0, events // 10 + 100, 100):
        for member in MEMBERS:
            made += [detail(index, member) for index in range(first, first + 100)]
            if member in ("flow.end", "user.start"):
                late = 0 if member == "flow.end" else events
                made += [snapshot(index * 6 + late) for index in range(first, first + 100)]
    return made[:events]


def bare(port: int, events: int, path: str, answer: Any) -> None:
    """The bare loop."""
    import orjson
    import websockets

    async def main() -> dict[str, Any]:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA journal_mode = wal")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, topic TEXT, conversation_id TEXT,"
            " event_time TEXT, received_at TEXT, source TEXT, body TEXT)"
        )
        database.execute("CREATE INDEX events_conversation ON events (conversation_id)")
        began = cpu = 0.0
        rows: list[tuple[Any, ...]] = []
        got = 0
        async with websockets.connect(f"ws://127.0.0.1:{port}/channels/c", compression=None, max_size=None) as socket:
            async for frame in socket:
                if not began:
                    began, cpu = time.perf_counter(), time.process_time()
                got += 1
                event = orjson.loads(frame)
                body, topic = event["eventBody"], event["topicName"]
                text = orjson.dumps(body)
                digest = hashlib.blake2b(topic.encode() + text, digest_size=16).digest()
                who, at = body.get("conversationId") or body.get("id"), str(body.get("eventTime"))
                rows.append((digest, topic, who, at, datetime.now(UTC).isoformat(), "websocket", text.decode()))
                if len(rows) == 500 or got == events:
                    database.execute("BEGIN IMMEDIATE")
                    database.executemany(
                        "INSERT INTO events (digest, topic, conversation_id, event_time, received_at, source, body)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        rows,
                    )
                    database.execute("COMMIT")
                    rows.clear()
                if got == events:
                    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        raise RuntimeError("the socket ended early")

    answer.send(asyncio.run(main()))


class Stages:
    """Seconds of the processor that functions took, by name, in the thread that called them."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count the time of a function that is called once for many notifications."""
        watched: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return watched(*args, **kwargs)
            finally:
                self.seconds[stage] += time.thread_time() - began

        setattr(owner, name, counted)

    def split(self, loop: float, whole: float) -> dict[str, float]:
        """The stages, each without what is another's. loop: the event loop's thread; whole: the process."""
        found = self.seconds
        pictures = found["gather"] + found["merge"]
        return {
            "socket, inbox, the rest of the loop": loop - found["read"],
            "reading: JSON, identity, facts": found["read"],
            "rows: topics' numbers, packing": found["rows"],
            "SQL: numbers and events": found["record"] - found["rows"] - pictures,
            "live pictures": pictures,
            "commit": found["transaction"] - found["record"],
            "other threads": whole - loop - found["transaction"],
        }


def lock(path: str) -> None:
    """Be the other program."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(LOCKED)
        database.execute("ROLLBACK")


def keep_open(address: str, opened: Any) -> None:
    """Open pages, and read on what they are sent, as browsers do. opened: a value that gets the number of messages."""
    from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

    sent = 0

    async def read_on(session: ClientSession) -> None:
        nonlocal sent
        async with session.get(f"{address}/") as page:
            await page.read()
        async with session.get(f"{address}/live") as answer:
            async for line in answer.content:
                sent += line.startswith(b"data: ")
                opened.value = sent

    async def page(session: ClientSession) -> None:
        while True:  # the daemon is not there yet, or has no place for so many at once
            with contextlib.suppress(ClientError):
                await read_on(session)
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with ClientSession(timeout=ClientTimeout(total=None), connector=TCPConnector(limit=0)) as session:
            await asyncio.gather(*(page(session) for _ in range(PAGES)))

    asyncio.run(main())


def with_port(port: int, events: int, path: str, answer: Any) -> None:
    """The daemon with its HTTP port, at which nobody asks."""
    rollbook(port, events, path, answer, health=f"127.0.0.1:{free_port()}")


def looked_at(port: int, events: int, path: str, answer: Any) -> None:
    """The daemon with its HTTP port and pages open at it."""
    health = f"127.0.0.1:{free_port()}"
    sent = multiprocessing.Value("i", 0)
    browsers = multiprocessing.Process(target=keep_open, args=(f"http://{health}", sent), daemon=True)
    browsers.start()
    rollbook(port, events, path, answer, health=health, sent=sent)
    browsers.terminate()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def rollbook(
    port: int,
    events: int,
    path: str,
    answer: Any,
    policy: str = "keep",
    *,
    health: str | None = None,
    sent: Any = None,
) -> None:
    """The daemon, without its reconciler, until every notification is a durable row or dropped. policy: of [privacy]."""
    from realtime.daemon.daemon import Daemon, Options
    from realtime.storing.store_frames import FrameStore
    from rollbook.genesys.privacy.policy import parse
    from rollbook.genesys.program.process_memory import tune_collector
    from rollbook.genesys.program.settings import Secret, Settings
    from rollbook.store.file import writer
    from rollbook.store.tables import events as table
    from rollbook.store.tables import live_picture

    tune_collector()
    stages = Stages()
    stages.watch(FrameStore, "_read_some", "read")
    stages.watch(writer.Writer, "_transaction", "transaction")
    stages.watch(table, "_record_events", "record")
    stages.watch(table, "_event_rows", "rows")
    stages.watch(table, "_merge", "merge")
    stages.watch(live_picture, "gather", "gather")
    address = f"http://127.0.0.1:{port}"
    settings = dataclasses.replace(
        Settings(api_url=address, login_url=address, client_id="a", client_secret=Secret("b")),
        store_path=Path(path),
        health=health,
        privacy=parse(policy),
    )

    async def main() -> dict[str, Any]:
        daemon = Daemon(settings, options=Options(reconcile=False))
        running = asyncio.create_task(daemon.run())
        began = cpu = loop = 0.0
        stored = dropped = 0

        while stored + dropped < events:
            await asyncio.sleep(0.02)
            if running.done():
                await running
            if daemon.supervisor is None:
                continue
            figures = daemon.supervisor.figures()
            stored, dropped = figures.new, figures.dropped
            if figures.received and not began:
                began, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
                if "--locked" in sys.argv:
                    threading.Thread(target=lock, args=(path,)).start()
        ended, whole, loop = time.perf_counter(), time.process_time() - cpu, time.thread_time() - loop
        split = stages.split(loop, whole)
        messages = 0 if sent is None else sent.value
        daemon.stop()
        await running
        # The first look that saw one came up to 20 ms after it; that is rollbook's loss.
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "seconds": ended - began + 0.02,
            "cpu": whole,
            "stages": split,
            "dropped": dropped,
            "most": most,
            "messages": messages,
        }

    answer.send(asyncio.run(main()))


def burn() -> None:
    """Use a core."""
    while True:
        pass


def main() -> None:
    """Run both contenders three times, in turns; print each turn, the medians and their ratios."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    events = numbers[0] if numbers else 100_000
    multiprocessing.set_start_method("spawn")
    ours, theirs = multiprocessing.Pipe(False)
    beside = [multiprocessing.Process(target=serve, args=(flood, events, theirs), daemon=True)]
    if "--busy" in sys.argv:
        beside.append(multiprocessing.Process(target=burn, daemon=True))
    for process in beside:
        process.start()
    port = ours.recv()
    contenders = {"bare": bare, "rollbook": rollbook}
    if "--looked-at" in sys.argv:
        contenders = {"with port": with_port, "looked at": looked_at}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            found = answer_of(contender, port, events)
            runs[name].append(found)
            dropped = f", {found['dropped']:,} dropped, {found['most']:.0f} MB" if "dropped" in found else ""
            looks = f", {found['messages']:,} messages to pages" if found.get("messages") else ""
            cpu = found["cpu"] / events * 1000
            print(f"{name:<10}{events / found['seconds']:>8,.0f}/s   {cpu:.4f} CPU s for 1,000{dropped}{looks}")
    rate = {name: statistics.median(events / found["seconds"] for found in each) for name, each in runs.items()}
    cost = {name: statistics.median(found["cpu"] for found in each) for name, each in runs.items()}
    first, second = contenders
    print(f"ratio     {rate[second] / rate[first]:.3f} of the rate, {cost[second] / cost[first]:.3f} of the CPU")
    for stage in runs[second][0]["stages"]:
        seconds = statistics.median(found["stages"][stage] for found in runs[second])
        print(f"  {stage:<36}{seconds / events * 1000:.4f}")
    for process in beside:
        process.terminate()


if __name__ == "__main__":
    main()
