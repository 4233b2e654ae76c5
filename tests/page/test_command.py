"""`rollbook page` as people run it, and `show --html` as one file."""

import asyncio
import signal
import urllib.request
from pathlib import Path

import pytest

from rollbook.store.vocabulary import Verdict
from tests.helpers.staged_store import bare_windows
from tests.helpers.whole import finish, rollbook, start


@pytest.mark.process
async def test_the_page_of_a_store_without_a_daemon(tmp_path: Path) -> None:
    """It says where it is shown, answers there, and ends with 0 when it is stopped; a port in use is one line."""
    bare_windows(tmp_path / "rollbook.db", [Verdict.COMPLETE] * 3)
    process = await start("page", "--listen", "127.0.0.1:0", env={}, cwd=tmp_path)
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    address = line.partition(" is shown at ")[2].split()[0]
    assert line == f"rollbook.db is shown at {address} (Ctrl-C ends it)\n"

    def get() -> str:
        with urllib.request.urlopen(f"{address}status.txt", timeout=20) as answer:
            return str(answer.read().decode())

    assert (await asyncio.to_thread(get)).startswith("Complete until 2026-03-05 11:37 UTC")
    taken = await rollbook("page", "--listen", address.removeprefix("http://").rstrip("/"), env={}, cwd=tmp_path)
    assert taken.status == 1
    assert "--listen = '127.0.0.1:" in taken.one_line
    assert "cannot listen there (Address already in use)" in taken.one_line
    process.send_signal(signal.SIGTERM)
    assert (await finish(process)).status == 0


@pytest.mark.process
async def test_a_store_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Without a store, and with an address that is none, there is one line that says what to do."""
    ran = await rollbook("page", env={}, cwd=tmp_path)
    assert ran.status == 1
    assert "rollbook.db" in ran.one_line
    ran = await rollbook("page", "--listen", "8126x", env={}, cwd=tmp_path)
    assert ran.status == 2
    assert "must be HOST:PORT, e.g. 127.0.0.1:8125, or unix:PATH" in ran.one_line
