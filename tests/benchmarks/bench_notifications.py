"""From the socket to a durable row: rollbook's live capture against a bare loop, in one run.

    python tests/benchmarks/bench_notifications.py [FRAMES]

A server in a process of its own sends FRAMES distinct conversation snapshots (some 3 KB each) as fast as they are
taken. Each contender is a process of its own and writes to a new file with `synchronous=FULL`:

  bare      websockets and executemany, a commit for each hundred frames, one row a frame, nothing decoded but the topic
  rollbook  the daemon's live capture: channel, subscriptions, identity, dead letters, live picture, coverage

Printed: frames a second of each, and the ratio, which is the figure that counts; the CPU that each frame took, which
says the same on a machine that has other things to do.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
QUEUES = 20


def snapshot(index: int) -> str:
    """One queue's conversation, as the platform sends it."""
    queue = uuid.UUID(int=index % QUEUES + 1)
    moment = f"2026-03-02T{10 + index // 3600 % 10:02}:{index // 60 % 60:02}:{index % 60:02}.{index % 1000:03}Z"
    participants = [
        {
            "id": str(uuid.UUID(int=index * 8 + place)),
            "connectedTime": moment,
            "purpose": purpose,
            "address": "tel:+13175550123",
            "queueId": str(queue),
            "attributes": {"accountNumber": "100234", "language": "en-US", "reason": "billing question"},
            "conversationRoutingData": {"queue": {"id": str(queue)}, "language": {}, "priority": 0, "skills": []},
            "calls": [
                {
                    "id": str(uuid.UUID(int=index * 8 + place)),
                    "state": "connected",
                    "direction": "inbound",
                    "held": False,
                    "connectedTime": moment,
                    "provider": "Edge",
                    "recordingState": "active",
                    "self": {"name": "Somebody", "addressNormalized": "tel:+13175550123"},
                    "other": {"name": "Somebody else", "addressNormalized": "tel:+18005550100"},
                }
            ],
        }
        for place, purpose in enumerate(("customer", "ivr", "acd", "agent"))
    ]
    body = {"id": str(uuid.UUID(int=index // 6 + 1)), "maxParticipants": 6, "participants": participants}
    return json.dumps(
        {
            "topicName": f"v2.routing.queues.{queue}.conversations",
            "version": "2",
            "eventBody": body | {"recordingState": "ACTIVE", "address": "tel:+13175550123"},
            "metadata": {"CorrelationId": str(uuid.UUID(int=index))},
        }
    )


def snapshots(frames: int) -> list[str]:
    """A flood of distinct ones."""
    return [snapshot(index) for index in range(frames)]


def chunks(frames: list[str]) -> list[bytes]:
    """The frames as they stand in the stream, some 64 KB at a time."""
    from websockets.frames import Frame, Opcode

    made, part, size = [], [], 0
    for text in frames:
        part.append(bytes(Frame(Opcode.TEXT, text.encode()).serialize(mask=False)))
        size += len(part[-1])
        if size >= 65_536:
            made.append(b"".join(part))
            part, size = [], 0
    return [*made, b"".join(part)]


def serve(flood_of: Callable[[int], list[str]], frames: int, port: Any) -> None:
    """The server: sign-in, an organisation, queues, one channel, and the flood."""
    from aiohttp import web

    sent = chunks(flood_of(frames))
    base = ""

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "token_type": "bearer", "expires_in": 86400})

    async def organization(_: web.Request) -> web.Response:
        return web.json_response({"id": "o", "name": "Benchmark"})

    async def queues(_: web.Request) -> web.Response:
        entities = [{"id": str(uuid.UUID(int=index + 1)), "name": f"q{index}"} for index in range(QUEUES)]
        return web.json_response(
            {"entities": entities, "pageSize": 100, "pageNumber": 1, "total": QUEUES, "pageCount": 1}
        )

    async def channels(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"entities": []})
        address = f"ws{base[4:]}/channels/c"
        return web.json_response({"id": "c", "connectUri": address, "expires": "2099-01-01T00:00:00.000Z"})

    async def subscriptions(request: web.Request) -> web.Response:
        asked = [] if request.method == "GET" else await request.json()
        entities = [{"id": topic["id"], "state": "Permitted"} for topic in asked]
        return web.json_response({"entities": entities})

    async def flood(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        try:
            transport = request.transport
            assert transport is not None
            for chunk in sent:
                # Past aiohttp, which would take as much of the processor as who reads it.
                transport.write(chunk)
                while transport.get_write_buffer_size() > 1_000_000:
                    await asyncio.sleep(0.001)
            async for _ in socket:
                await socket.send_str('{"topicName":"channel.metadata","eventBody":{"message":"pong"}}')
        except ConnectionError:
            pass
        return socket

    async def main() -> None:
        nonlocal base
        app = web.Application()
        app.router.add_post("/oauth/token", token)
        app.router.add_get("/api/v2/organizations/me", organization)
        app.router.add_get("/api/v2/routing/queues", queues)
        app.router.add_route("*", "/api/v2/notifications/channels", channels)
        app.router.add_route("*", "/api/v2/notifications/channels/c/subscriptions", subscriptions)
        app.router.add_get("/channels/c", flood)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        number = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        base = f"http://127.0.0.1:{number}"
        port.send(number)
        await asyncio.Event().wait()

    asyncio.run(main())


def bare(port: int, frames: int, path: str, answer: Any) -> None:
    """The bare loop."""
    import websockets

    async def main() -> tuple[float, float]:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA journal_mode = wal")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE events (topic TEXT, received_at TEXT, body TEXT)")
        began = cpu = 0.0
        rows = []
        got = 0
        async with websockets.connect(f"ws://127.0.0.1:{port}/channels/c", compression=None, max_size=None) as socket:
            async for frame in socket:
                if not began:
                    began, cpu = time.perf_counter(), time.process_time()
                got += 1
                rows.append((json.loads(frame)["topicName"], datetime.now(UTC).isoformat(), frame))
                if len(rows) == 100 or got == frames:
                    database.execute("BEGIN IMMEDIATE")
                    database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
                    database.execute("COMMIT")
                    rows.clear()
                if got == frames:
                    return time.perf_counter() - began, time.process_time() - cpu
        raise RuntimeError("the socket ended early")

    answer.send(asyncio.run(main()))


def rollbook(port: int, frames: int, path: str, answer: Any) -> None:
    """The daemon, without its reconciler, until every frame is a durable row."""
    import dataclasses

    from realtime.daemon.daemon import Daemon, Options
    from rollbook.genesys.program.process_memory import tune_collector
    from rollbook.genesys.program.settings import Secret, Settings

    tune_collector()
    address = f"http://127.0.0.1:{port}"
    settings = dataclasses.replace(
        Settings(api_url=address, login_url=address, client_id="a", client_secret=Secret("b")), store_path=Path(path)
    )

    async def main() -> tuple[float, float]:
        daemon = Daemon(settings, options=Options(reconcile=False))
        running = asyncio.create_task(daemon.run())
        began = cpu = 0.0
        database: sqlite3.Connection | None = None
        stored = 0
        while stored < frames:
            await asyncio.sleep(0.02)
            if running.done():
                await running
            if database is None and Path(path).exists() and daemon.supervisor is not None:
                database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            if database is not None:
                stored = database.execute("SELECT coalesce(max(event_id), 0) FROM event_rows").fetchone()[0]
            if stored and not began:
                began, cpu = time.perf_counter(), time.process_time()
        ended, cpu = time.perf_counter(), time.process_time() - cpu
        daemon.stop()
        await running
        # The first look that saw a row came up to 20 ms after it; that is rollbook's loss.
        return ended - began + 0.02, cpu

    answer.send(asyncio.run(main()))


def answer_of(contender: Any, port: int, number: int) -> Any:
    """The answer of a contender that takes so many, in a process and a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=contender, args=(port, number, f"{folder}/b.db", theirs))
        process.start()
        theirs.close()
        found = ours.recv()
        process.join()
        return found


def measure(contender: Any, port: int, frames: int) -> tuple[float, float]:
    """Frames a second of one contender, and microseconds of CPU for each."""
    seconds, cpu = answer_of(contender, port, frames)
    return frames / seconds, cpu / frames * 1e6


def main() -> None:
    """Run both contenders three times, in turns, and print the best of each."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    multiprocessing.set_start_method("spawn")
    ours, theirs = multiprocessing.Pipe(False)
    server = multiprocessing.Process(target=serve, args=(snapshots, frames, theirs), daemon=True)
    server.start()
    port = ours.recv()
    rates: dict[str, list[float]] = {"bare": [], "rollbook": []}
    costs: dict[str, list[float]] = {"bare": [], "rollbook": []}
    for _ in range(3):
        for name, contender in (("bare", bare), ("rollbook", rollbook)):
            rate, cost = measure(contender, port, frames)
            rates[name].append(rate)
            costs[name].append(cost)
    for name, found in rates.items():
        each = ", ".join(f"{rate:,.0f}" for rate in found)
        print(f"{name:<10} {max(found):>8,.0f} frames/s   {min(costs[name]):>4.0f} µs of CPU each   (of {each})")
    print(f"ratio      {max(rates['rollbook']) / max(rates['bare']):>8.2f}")
    server.terminate()


if __name__ == "__main__":
    main()
