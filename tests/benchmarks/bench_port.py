"""The HTTP port under a flood: `python tests/benchmarks/bench_port.py 25` opens silent connections for so many seconds.

2,000 clients open a connection, send half of a request's head and wait; as soon as one is closed, its client opens the
next a second later. Meanwhile another process asks for /healthz twice a second. The server may open 256 files.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main(seconds: float) -> None:
    """Flood a port, and print what came of it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8_192, hard) if hard > 0 else 8_192, hard))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=log, env=env)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        asker = subprocess.Popen([sys.executable, "-c", ASKER, str(port), str(seconds)])
        made = asyncio.run(flood(port, seconds))
        asker.wait()
        files = len(list(Path(f"/proc/{server.pid}/fd").iterdir())) if Path("/proc").exists() else 0
        server.kill()
        server.wait()
        print(
            f"{made:,} silent connections in {seconds:.0f} s; the log has {log.seek(0, 2):,} bytes, {files} files are open"
        )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
