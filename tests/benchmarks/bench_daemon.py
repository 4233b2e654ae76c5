"""The daemon as people run it, against a light server: what it costs idle, and what it loses while sockets go and come.

    python tests/benchmarks/bench_daemon.py [--queues 20000] [--idle 60] [--rolling 60] [--rate 500]

Printed, each with its bar:

  subscribing  requests by kind for that many queues, and seconds until every topic is heard
  idle         CPU of one core and resident memory, over some time with a heartbeat every 30 s on each socket
  rolling      events lost while that many come each second and every socket is announced to close, again and again
               (rollbook's channels are replaced, make before break), on a few lines
  killed       seconds from cutting a socket without a word to the next handshake
  flapping     handshakes in a minute at a server that accepts and closes
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

ROOT = Path(__file__).parent.parent.parent
HEARTBEAT = '{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}'
PONG = '{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'
CLOSING = '{"topicName":"v2.system.socket_closing","eventBody":{"message":"Websocket closing soon"}}'


class Server:
    """Sign-in, queues, channels with topics, sockets; nothing else, and little of that."""

    def __init__(self, queues: int) -> None:
        self.queues = [{"id": str(uuid.UUID(int=number + 1)), "name": f"q{number}"} for number in range(queues)]
        self.requests: Counter[str] = Counter()
        self.topics: dict[str, set[str]] = {}
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.handshakes: list[float] = []
        self.flapping = False
        self.base = ""

    async def __aenter__(self) -> Server:
        app = web.Application(client_max_size=1 << 24)
        add = app.router.add_route
        add("POST", "/oauth/token", self._fixed({"access_token": "t", "expires_in": 86_400}))
        add("GET", "/api/v2/organizations/me", self._fixed({"id": "o", "name": "Benchmark"}))
        add("GET", "/api/v2/routing/queues", self._queues)
        add("*", "/api/v2/notifications/channels", self._channels)
        add("*", "/api/v2/notifications/channels/{id}/subscriptions", self._subscriptions)
        add("GET", "/channels/{id}", self._socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._beating.cancel()
        await self._runner.cleanup()

    def _fixed(self, answer: dict[str, Any]) -> Any:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(answer)

        return handler

    async def _queues(self, request: web.Request) -> web.Response:
        self.requests["queue pages"] += 1
        number = int(request.query["pageNumber"])
        count = -(-len(self.queues) // 100)
        page = self.queues[(number - 1) * 100 : number * 100]
        headers = {"inin-ratelimit-allowed": "100000", "inin-ratelimit-count": "1", "inin-ratelimit-reset": "60"}
        return web.json_response({"entities": page, "pageCount": count}, headers=headers)

    async def _channels(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            self.requests["channel lists"] += 1
            return web.json_response({"entities": [{"id": name} for name in self.topics]})
        self.requests["channels created"] += 1
        name = f"c{self.requests['channels created']}"
        self.topics[name] = set()
        if len(self.topics) > 20:
            del self.topics[next(topic for topic in self.topics if topic not in self.sockets)]
        address = f"ws{self.base[4:]}/channels/{name}"
        return web.json_response({"id": name, "connectUri": address, "expires": "2099-01-01T00:00:00.000Z"})

    async def _subscriptions(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.topics:
            return web.json_response({"message": "no such channel", "code": "not.found", "status": 404}, status=404)
        if request.method == "GET":
            self.requests["topic lists"] += 1
            return web.json_response({"entities": [{"id": topic} for topic in self.topics[name]]})
        self.requests["subscriptions"] += 1
        asked = [entry["id"] for entry in await request.json()]
        self.topics[name] |= set(asked)
        return web.json_response({"entities": [{"id": topic, "state": "Permitted"} for topic in asked]})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(time.monotonic())
        name = request.match_info["id"]
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        if self.flapping:
            await socket.close()
            return socket
        self.sockets[name] = socket
        async for message in socket:
            if message.type is WSMsgType.TEXT and "ping" in message.data:
                await socket.send_str(PONG)
        if self.sockets.get(name) is socket:
            del self.sockets[name]
        return socket

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(30)
            await self.send_all(HEARTBEAT)

    async def send_all(self, frame: str) -> None:
        for socket in list(self.sockets.values()):
            with contextlib.suppress(ConnectionError):
                await socket.send_str(frame)

    def topics_in_reach(self) -> int:
        """How many topics an open socket hears."""
        return sum(len(self.topics.get(name, ())) for name in self.sockets)

    async def until(self, condition: Callable[[], object], *, within: float) -> None:
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.005)


class Process:
    """The daemon."""

    def __init__(self, base: str, folder: Path) -> None:
        self.folder = folder
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("GENESYS", "ROLLBOOK"))}
        self._env |= {
            "GENESYSCLOUD_API_URL": base,
            "GENESYSCLOUD_LOGIN_URL": base,
            "GENESYSCLOUD_OAUTHCLIENT_ID": "a",
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": "b",
            "PYTHONPATH": str(ROOT),
        }

    async def __aenter__(self) -> Process:
        # Nothing to reconcile: its windows would be asked for at a server that has none.
        (self.folder / "rollbook.toml").write_text('[reconcile]\nlag = "P1D"\n')
        self._log = (self.folder / "log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rollbook", "run", cwd=self.folder, env=self._env, stderr=self._log
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        if await self.process.wait():
            print((self.folder / "log").read_text()[-2_000:])
        self._log.close()

    def cpu(self) -> float:
        """Seconds of CPU since its start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def count(self, query: str) -> Any:
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/rollbook.db?mode=ro", uri=True)) as database:
            return database.execute(query).fetchone()[0]


def event(number: int, queue: str) -> str:
    """A notification."""
    body = {
        "id": str(uuid.UUID(int=number + 1)),
        "participants": [
            {
                "id": str(uuid.UUID(int=number * 4 + place)),
                "purpose": "customer",
                "connectedTime": "2026-08-03T14:00:00.000Z",
            }
            for place in range(3)
        ],
    }
    return json.dumps({"topicName": f"v2.routing.queues.{queue}.conversations", "version": "2", "eventBody": body})


async def subscribing_and_idle(queues: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Server(queues) as server:
            began = time.monotonic()
            async with Process(server.base, Path(folder)) as daemon:
                await server.until(lambda: server.topics_in_reach() == queues, within=120)
                took = time.monotonic() - began
                print(f"subscribing  {queues:,} queues in {took:.1f} s from its start: {dict(server.requests)}")
                await asyncio.sleep(10)  # what starting costs is not what being idle costs
                before, began = daemon.cpu(), time.monotonic()
                await asyncio.sleep(seconds)
                share = (daemon.cpu() - before) / (time.monotonic() - began)
                print(f"idle         {share:.2%} of one core over {seconds:.0f} s, {daemon.rss():.0f} MB resident")
                print("             (bars: < 2 %, < 120 MB)")


async def rolling(rate: int, seconds: float, *, lines: int = 3) -> None:
    """Events in a steady stream; every few seconds every socket is told that it will close."""
    queues = lines * 1_000
    with tempfile.TemporaryDirectory() as folder:
        async with Server(queues) as server, Process(server.base, Path(folder)) as daemon:
            await server.until(lambda: server.topics_in_reach() >= queues, within=120)
            await asyncio.sleep(1)
            sent = announced = 0
            began, next_closing = time.monotonic(), 2.0
            while (now := time.monotonic() - began) < seconds:
                while sent < now * rate:
                    queue = server.queues[sent * 7_919 % queues]["id"]
                    frame, topic = event(sent, queue), f"v2.routing.queues.{queue}.conversations"
                    for name, socket in list(server.sockets.items()):
                        if topic in server.topics.get(name, ()):
                            await socket.send_str(frame)
                    sent += 1
                if now > next_closing:
                    announced, next_closing = announced + len(server.sockets), now + 5
                    await server.send_all(CLOSING)
                await asyncio.sleep(0.002)
            stored = 0
            for _ in range(200):
                if (stored := daemon.count("SELECT count(*) FROM event_rows")) >= sent:
                    break
                await asyncio.sleep(0.05)
            took = time.monotonic() - began
            reasons = daemon.count("SELECT group_concat(DISTINCT end_reason) FROM coverage")
            print(
                f"rolling      {sent:,} events at {sent / min(took, seconds):.0f}/s, {announced} sockets announced to"
                f" close, {server.requests['channels created'] - lines} replaced: {sent - stored} lost (bar: 0);"
                f" spans ended: {reasons}"
            )
            await killed(server)
            await flapping(server)


async def killed(server: Server) -> None:
    """Cut sockets one after the other, after each has listened for a while."""
    waits = []
    for _ in range(5):
        await asyncio.sleep(16)
        name = next(iter(server.sockets))
        count, transport = len(server.handshakes), server.sockets[name]._req.transport  # type: ignore[union-attr]
        began = time.monotonic()
        transport.abort()  # type: ignore[union-attr]
        await server.until(lambda count=count: len(server.handshakes) > count, within=10)  # type: ignore[misc]
        waits.append(server.handshakes[-1] - began)
    print(f"killed       the next handshake came after {', '.join(f'{wait:.2f}' for wait in waits)} s (bar: 1 s)")


async def flapping(server: Server) -> None:
    """A minute of accepting and closing."""
    lines = len(server.sockets)
    server.flapping, count = True, len(server.handshakes)
    for socket in list(server.sockets.values()):
        await socket.close()
    await asyncio.sleep(60)
    found = len(server.handshakes) - count
    print(f"flapping     {found} handshakes in a minute on {lines} lines, {found / lines:.1f} a line", end=" ")
    print("(steps of the back-off: 0.25-0.5, 0.5-1, 1-2, 2-4, 4-8, 8-16, 16-32 s: 7 to 8)")


async def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=20_000)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--rolling", type=float, default=60)
    parser.add_argument("--rate", type=int, default=500)
    given = parser.parse_args()
    if given.idle:
        await subscribing_and_idle(given.queues, given.idle)
    if given.rolling:
        await rolling(given.rate, given.rolling)


if __name__ == "__main__":
    asyncio.run(main())
