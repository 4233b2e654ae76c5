"""The HTTP port under a flood: `python tests/benchmarks/bench_port.py 25` opens silent connections for so many seconds.

With --live the port is a daemon's, which captures meanwhile what the live benchmark sends (EVENTS notifications, 4,000
for each second), as fast as it takes them; whether each of them is stored at the end is printed, too.

2,000 clients open a connection, send half of a request's head and wait; as soon as one is closed, its client opens the
next a second later. Meanwhile another process asks for /healthz twice a second. The server may open 256 files.
"""

import asyncio
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.benchmarks.bench_live import flood as made
from tests.benchmarks.bench_notifications import serve
from tests.helpers.paths import ROOT

CLIENTS = 2_000
SERVER = """
import asyncio, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from realtime.daemon.http_port import HttpPort
from rollbook.genesys.program import console
from tests.realtime.daemon.test_port_limits import Source

async def main():
    console.start_logging(1)
    port = HttpPort(Source(), "127.0.0.1:0")
    await port.start()
    print(port.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
ASKER = """
import socket, sys, time
port, end, answered, failed, slowest = int(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0, 0, 0.0
while (began := time.monotonic()) < end:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
            good = asking.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        good = False
    answered, failed, slowest = answered + good, failed + (not good), max(slowest, time.monotonic() - began)
    time.sleep(0.5)
print(f"/healthz: {answered} answered, {failed} not, the slowest after {slowest:.2f} s", flush=True)
"""


LIVE = """
import asyncio, dataclasses, sys
from pathlib import Path
from realtime.daemon.daemon import Daemon, Options
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Secret, Settings

async def main(api, health, events, path):
    console.start_logging(1)
    address = f"http://127.0.0.1:{api}"
    settings = dataclasses.replace(
        Settings(api_url=address, login_url=address, client_id="a", client_secret=Secret("b")),
        store_path=Path(path), health=f"127.0.0.1:{health}",
    )
    daemon = Daemon(settings, options=Options(reconcile=False))
    running = asyncio.create_task(daemon.run())
    found = None
    while not running.done() and (found is None or found.new + found.dropped < events):
        await asyncio.sleep(0.1)
        if daemon.supervisor is not None:
            if found is None:
                print(health, flush=True)
            found = daemon.supervisor.figures()
    print(f"{found.new:,} of {events:,} notifications are stored, {found.dropped:,} were dropped", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    daemon.stop()
    await running

asyncio.run(main(*map(int, sys.argv[1:4]), sys.argv[4]))
"""


async def flood(port: int, seconds: float) -> int:
    """Open silent connections; answers how many."""
    end, made = time.monotonic() + seconds, 0

    async def silent() -> None:
        nonlocal made
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                made += 1
                writer.write(b"GET /heal")
                await reader.read()
                writer.close()
            except OSError:
                pass
            await asyncio.sleep(1)

    await asyncio.gather(*(silent() for _ in range(CLIENTS)))
    return made


def live(events: int, folder: str, log: IO[bytes], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A daemon that captures from the live benchmark's server."""
    ours, theirs = multiprocessing.Pipe(False)
    multiprocessing.get_context("spawn").Process(target=serve, args=(made, events, theirs), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        health = free.getsockname()[1]
    words = [sys.executable, "-c", LIVE, str(ours.recv()), str(health), str(events), f"{folder}/live.db"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env)


def main(seconds: float, *, is_live: bool = False) -> None:
    """Flood a port, and print what came of it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8_192, hard) if hard > 0 else 8_192, hard))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        if is_live:
            server = live(int(seconds) * 4_000, folder, log, env)
        else:
            server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=log, env=env)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        asker = subprocess.Popen([sys.executable, "-c", ASKER, str(port), str(seconds)])
        opened = asyncio.run(flood(port, seconds))
        asker.wait()
        if is_live:
            print(server.stdout.readline().decode(), end="")
        files = len(list(Path(f"/proc/{server.pid}/fd").iterdir())) if Path("/proc").exists() else 0
        server.kill()
        server.wait()
        print(
            f"{opened:,} silent connections in {seconds:.0f} s; the log has {log.seek(0, 2):,} bytes, {files} files are open"
        )


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:] if not word.startswith("-")]
    main(numbers[0] if numbers else 60, is_live="--live" in sys.argv)
