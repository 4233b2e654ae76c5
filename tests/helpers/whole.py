"""For tests of whole processes: commands as people type them, and a store held against the organisation's truth.

The comparison is written from the contract alone and shares no code with what fills the store.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.organisation import read_by_people
from tests.helpers.paths import ROOT

# Root may write everything; without these capabilities it may not.
AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
MAY_BE_ANYBODY = not AS_ANYBODY or shutil.which("setpriv") is not None


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its one JSON object."""
        loaded = json.loads(self.out)
        assert isinstance(loaded, dict)
        return loaded

    @property
    def one_line(self) -> str:
        """The one line that an error is."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        return lines[0]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """This process' environment without any setting of ours, and with `env`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("GENESYS", "ROLLBOOK"))}
    return {**bare, **env, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


async def start(
    *words: str, env: Mapping[str, str], cwd: Path, program: Sequence[str] = ("-m", "rollbook")
) -> asyncio.subprocess.Process:
    """Begin a command."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *words,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment(env),
    )


async def killed_at(script: str, number: int, store: Path) -> str:
    """Run a script with a store and a number in a process of its own, and kill that; answers the line that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        store,
        str(number),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment({}),
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode().strip()
    if process.returncode is None:
        process.kill()
    await process.wait()
    return said


async def finish(process: asyncio.subprocess.Process, *, within: float = 120) -> Ran:
    """Wait for a command's end; it must end without a traceback."""
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate()
    except BaseException:
        process.kill()
        raise
    assert process.returncode is not None
    ran = Ran(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in ran.err, ran.err
    assert "Traceback" not in ran.out, ran.out
    return ran


async def until(condition: Callable[[], object], *, within: float = 60) -> None:
    """Wait for what another process does. It tells nobody when it has, so it is looked for every few milliseconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


async def rollbook(*words: str, env: Mapping[str, str], cwd: Path, program: Sequence[str] = ("-m", "rollbook")) -> Ran:
    """Run a command to its end."""
    return await finish(await start(*words, env=env, cwd=cwd, program=program))


# The store against the truth

_PLAIN = {
    "participants": ("participantId", "purpose", "userId", "participantName"),
    "sessions": ("sessionId", "mediaType", "direction", "provider", "peerId", "ani", "dnis", "messageType"),
    "segments": ("segmentStart", "segmentEnd", "segmentType", "queueId", "disconnectType", "wrapUpCode"),
    "metrics": ("name", "value", "emitDate"),
    "media_endpoint_stats": ("eventTime", "minMos", "minRFactor", "maxLatencyMs"),
}
_COLUMNS = {
    "participants": "participant_id, purpose, user_id, participant_name",
    "sessions": "session_id, media_type, direction, provider, peer_id, ani, dnis, message_type",
    "segments": "segment_start, segment_end, segment_type, queue_id, disconnect_type, wrap_up_code",
    "metrics": "name, value, emit_date",
    "media_endpoint_stats": "event_time, min_mos, min_r_factor, max_latency_ms",
}


def expected_rows(truth: Mapping[str, dict[str, Any]]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The child rows that the truth has, by table."""
    found: dict[str, Counter[tuple[Any, ...]]] = {table: Counter() for table in _PLAIN}

    def add(table: str, conversation_id: str, item: dict[str, Any]) -> None:
        found[table][(conversation_id, *(item.get(name) for name in _PLAIN[table]))] += 1

    for conversation_id, record in truth.items():
        for participant in record.get("participants", ()):
            add("participants", conversation_id, participant)
            for session in participant.get("sessions", ()):
                add("sessions", conversation_id, session)
                for key, table in (
                    ("segments", "segments"),
                    ("metrics", "metrics"),
                    ("mediaEndpointStats", "media_endpoint_stats"),
                ):
                    for item in session.get(key, ()):
                        add(table, conversation_id, item)
    return found


def assert_store_is(
    path: Path, truth: Mapping[str, dict[str, Any]], *, start: str = "", end: str = "9", without: Collection[str] = ()
) -> None:
    """Every conversation of the truth that started in [start, end) is in the store, once, as it is, with every row.

    without: ids that are looked at on neither side.
    """
    truth = {conversation_id: record for conversation_id, record in truth.items() if conversation_id not in without}
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # Verdicts count what has been read by the one, without a look at the other.
        odd = "SELECT conversation_id FROM conversations WHERE (read_at IS NULL) <> (details IS NULL)"
        assert connection.execute(odd).fetchall() == []
        owned = "SELECT conversation_id FROM conversations WHERE conversation_start >= ? AND conversation_start < ?"
        owned += f" AND conversation_id NOT IN ({', '.join(repr(name) for name in without)})"
        stored = {
            row[0]: json.loads(row[1])
            for row in connection.execute(
                f"SELECT conversation_id, details FROM conversations WHERE conversation_id IN ({owned})"
                " AND details IS NOT NULL",
                (start, end),
            )
        }
        assert set(stored) == set(truth), (
            f"{len(set(truth) - set(stored))} missing, {len(set(stored) - set(truth))} too many"
        )
        for conversation_id, record in truth.items():
            assert stored[conversation_id] == record, conversation_id
        for table, expected in expected_rows(truth).items():
            rows = connection.execute(
                f"SELECT conversation_id, {_COLUMNS[table]} FROM {table} WHERE conversation_id IN ({owned})",
                (start, end),
            )
            assert Counter(rows.fetchall()) == expected, table
        ended = connection.execute(
            f"SELECT conversation_id, conversation_end FROM conversations WHERE conversation_id IN ({owned})",
            (start, end),
        )
        for conversation_id, conversation_end in ended:
            assert conversation_end == truth[conversation_id].get("conversationEnd"), conversation_id
    finally:
        connection.close()


def assert_rows_are(path: Path, truth: Mapping[str, dict[str, Any]]) -> None:
    """The child rows of these conversations are those of the truth, and no other."""
    marks = ", ".join("?" * len(truth))
    with sqlite3.connect(path) as connection:
        for table, expected in expected_rows(truth).items():
            query = f"SELECT conversation_id, {_COLUMNS[table]} FROM {table} WHERE conversation_id IN ({marks})"
            assert Counter(connection.execute(query, tuple(truth)).fetchall()) == expected, table
    connection.close()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What the store says."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def rows_of(path: Path, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of some tables (all but the ledger's, if none is named)."""
    connection = sqlite3.connect(path)
    try:
        names = tables or [name for name in read_by_people(connection) if name not in ("windows", "window_runs")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
    finally:
        connection.close()
