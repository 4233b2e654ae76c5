"""Reconciling into an empty store, with every child row, against two loops; and memory against size. In one run.

    python tests/benchmarks/bench_reconcile.py [CONVERSATIONS] [--memory]

A server in a process of its own answers the details query with prepared pages of 100 (some 17 KB and 40 child rows a
conversation; no rate limit). Each contender is a process of its own and writes to a new file:

  sdk       a loop over the official Python SDK that stores one row a conversation (no details, no child rows)
  bare      httpx, orjson and executemany: the same rows, in tables whose keys begin with the conversation's id,
            `synchronous=FULL`, a commit a page
  rollbook  `reconcile --window`: consistent reading, comparison, gaps, ledger

Printed: conversations a second of each and the ratios, which are the figures that count. With --memory: the greatest
resident size of rollbook at 10,000 and at 50,000 conversations.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
INTERVAL = "2026-03-02T10:00:00.000Z/2026-03-02T12:00:00.000Z"
PAGE = 100
# Each organisation has one division at least; a list of none proves nothing.
DIVISION_LIST = {
    "entities": [{"id": "d", "name": "Home"}],
    "pageSize": 100,
    "pageNumber": 1,
    "total": 1,
    "pageCount": 1,
}


def _ids(kind: str, many: int) -> list[str]:
    draw = random.Random(kind)
    return [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(many)]


# What an organisation has, and its conversations name again and again.
QUEUES, USERS, SKILLS = _ids("queues", 40), _ids("users", 200), _ids("skills", 30)
EDGES, FLOWS, DIVISIONS = _ids("edges", 6), _ids("flows", 8), _ids("divisions", 4)


def text(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def conversation(index: int, total: int) -> dict[str, Any]:
    """A call with a transfer: six participants and 40 child rows. Ids of its own, and those of an organisation's things."""
    draw = random.Random(index)

    def some_id() -> str:
        return str(uuid.UUID(int=draw.getrandbits(128)))

    start = START + timedelta(hours=2) * (index / total)
    participants = []
    for place, purpose in enumerate(("customer", "ivr", "acd", "agent", "acd", "agent")):
        begun = start + timedelta(seconds=20 * place)
        session = {
            "activeSkillIds": draw.sample(SKILLS, 6),
            "agentOwned": False,
            "ani": "tel:+13175550123",
            "direction": "inbound",
            "dnis": "tel:+18005550100",
            "edgeId": draw.choice(EDGES),
            "eligibleAgentCounts": [draw.randrange(30) for _ in range(8)],
            "mediaType": "voice",
            "peerId": some_id(),
            "protocolCallId": some_id(),
            "provider": "Edge",
            "proposedAgents": [{"agentRank": rank, "proposedAgentId": draw.choice(USERS)} for rank in range(5)],
            "recording": True,
            "remote": "Mobile Number, Country",
            "remoteNameDisplayable": "Mobile Number",
            "requestedRoutings": ["Standard"],
            "selectedAgentId": draw.choice(USERS),
            "sessionDnis": "tel:+18005550100",
            "sessionId": some_id(),
            "usedRouting": "Standard",
            "waitingInteractionCounts": [draw.randrange(9) for _ in range(8)],
            "metrics": [
                {"emitDate": text(begun), "name": name, "value": draw.randrange(500_000)}
                for name in ("tAlert", "tAnswered", "tHandle")[: 3 if place else 2]
            ],
            "segments": [
                {
                    "conference": False,
                    "disconnectType": "peer",
                    "q850ResponseCodes": [16],
                    "queueId": draw.choice(QUEUES),
                    "requestedRoutingSkillIds": draw.sample(SKILLS, 4),
                    "segmentEnd": text(begun + timedelta(seconds=9)),
                    "segmentStart": text(begun),
                    "segmentType": kind,
                }
                for kind in ("alert", "interact")
            ],
        }
        if purpose in ("customer", "ivr", "agent"):
            session["mediaEndpointStats"] = [
                {
                    "codecs": ["audio/opus"],
                    "eventTime": text(begun),
                    "maxLatencyMs": 55,
                    "minMos": 3 + draw.random(),
                    "minRFactor": 60 + 30 * draw.random(),
                    "receivedPackets": draw.randrange(20_000),
                }
            ]
        if purpose == "ivr":
            session["flow"] = {
                "flowId": draw.choice(FLOWS),
                "flowName": "Main",
                "flowType": "INBOUNDCALL",
                "flowVersion": "7.0",
            }
        participants.append(
            {
                "participantId": some_id(),
                "participantName": "Somebody",
                "purpose": purpose,
                "userId": draw.choice(USERS),
                "sessions": [session],
            }
        )
    return {
        "conversationEnd": text(start + timedelta(minutes=7)),
        "conversationId": some_id(),
        "conversationStart": text(start),
        "divisionIds": [draw.choice(DIVISIONS)],
        "mediaStatsMinConversationMos": 3 + draw.random(),
        "mediaStatsMinConversationRFactor": 60 + 30 * draw.random(),
        "originatingDirection": "inbound",
        "participants": participants,
    }


def serve(total: int, port: Any) -> None:
    """The server: sign-in, an organisation, and the prepared pages."""
    from aiohttp import web

    pages = []
    for first in range(0, total, PAGE):
        rows = [conversation(index, total) for index in range(first, min(first + PAGE, total))]
        pages.append(json.dumps({"conversations": rows, "totalHits": total}).encode())
    limits = {"inin-ratelimit-count": "1", "inin-ratelimit-allowed": "1000000", "inin-ratelimit-reset": "60"}

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "token_type": "bearer", "expires_in": 86400})

    async def organization(_: web.Request) -> web.Response:
        return web.json_response({"id": "o", "name": "Benchmark"}, headers=limits)

    async def divisions(_: web.Request) -> web.Response:
        return web.json_response(DIVISION_LIST)

    async def query(request: web.Request) -> web.Response:
        number = (await request.json())["paging"]["pageNumber"] - 1
        body = pages[number] if number < len(pages) else b"{}"
        return web.Response(body=body, content_type="application/json", headers=limits)

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/oauth/token", token)
        app.router.add_get("/api/v2/organizations/me", organization)
        app.router.add_get("/api/v2/authorization/divisions", divisions)
        app.router.add_post("/api/v2/analytics/conversations/details/query", query)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.send((site._server.sockets[0].getsockname()[1], sum(map(len, pages)) / total))  # type: ignore[union-attr]
        await asyncio.Event().wait()

    asyncio.run(main())


def sdk(port: int, path: str) -> float:
    """The official SDK, one row a conversation."""
    import PureCloudPlatformClientV2 as platform

    platform.configuration.host = f"http://127.0.0.1:{port}"
    platform.configuration.access_token = "t"
    api = platform.AnalyticsApi()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE conversations (id TEXT PRIMARY KEY, start TEXT, end TEXT, direction TEXT)")
    began = time.perf_counter()
    number = 1
    while True:
        body = {
            "interval": INTERVAL,
            "order": "asc",
            "orderBy": "conversationStart",
            "paging": {"pageSize": PAGE, "pageNumber": number},
        }
        found = api.post_analytics_conversations_details_query(body).conversations
        if not found:
            return time.perf_counter() - began
        rows = [
            (
                conversation.conversation_id,
                str(conversation.conversation_start),
                str(conversation.conversation_end),
                conversation.originating_direction,
            )
            for conversation in found
        ]
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
        number += 1


# Table → the API's fields that the rows of this benchmark have, in the order in which the bare loop writes them.
_SESSION = (
    "sessionId mediaType direction provider peerId activeSkillIds agentOwned ani dnis edgeId eligibleAgentCounts"
    " protocolCallId proposedAgents recording remote remoteNameDisplayable requestedRoutings selectedAgentId sessionDnis"
    " usedRouting waitingInteractionCounts"
).split()
_SEGMENT = (
    "conference disconnectType q850ResponseCodes queueId requestedRoutingSkillIds segmentEnd segmentStart segmentType"
).split()
_STAT = "codecs eventTime maxLatencyMs minMos minRFactor receivedPackets".split()
_METRIC = "emitDate name value".split()


def _statement(table: str, columns: list[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def bare(port: int, path: str) -> float:
    """httpx, orjson and executemany: what a good engineer writes in an afternoon, with the same rows."""
    import httpx
    import orjson

    from rollbook.store.rows.detail_columns import column
    from rollbook.store.tables import schema

    database = sqlite3.connect(path, isolation_level=None, cached_statements=1024)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA synchronous = FULL")
    # The names that people read were tables until the sixth step.
    for _, file in schema.STEPS[:5]:
        for statement in schema.statements(file):
            database.execute(statement)
    where = ["conversation_id", "participant_position", "session_position", "position", "participant_id", "session_id"]
    statements = {
        "conversations": _statement(
            "conversations",
            "conversation_id conversation_start conversation_end originating_direction media_types division_ids mos"
            " r_factor provenance first_seen_at reconciled_at read_at details".split(),
        ),
        "participants": _statement(
            "participants", "conversation_id position participant_id participant_name purpose user_id".split()
        ),
        "sessions": _statement(
            "sessions",
            ["conversation_id", "participant_position", "position", "participant_id", *map(column, _SESSION)],
        ),
        "segments": _statement("segments", [*where, *map(column, _SEGMENT)]),
        "metrics": _statement("metrics", [*where, *map(column, _METRIC)]),
        "media_endpoint_stats": _statement("media_endpoint_stats", [*where, *map(column, _STAT)]),
        "flows": _statement(
            "flows",
            "conversation_id participant_position session_position participant_id session_id flow_id flow_name flow_type"
            " flow_version".split(),
        ),
    }

    def dumped(value: Any) -> Any:
        return orjson.dumps(value).decode() if isinstance(value, list) else value

    client = httpx.Client(headers={"Authorization": "Bearer t"}, timeout=60)
    began = time.perf_counter()
    number = 1
    while True:
        answer = client.post(
            f"http://127.0.0.1:{port}/api/v2/analytics/conversations/details/query",
            json={
                "interval": INTERVAL,
                "order": "asc",
                "orderBy": "conversationStart",
                "paging": {"pageSize": PAGE, "pageNumber": number},
            },
        )
        found = orjson.loads(answer.content).get("conversations")
        if not found:
            return time.perf_counter() - began
        rows: dict[str, list[Any]] = {table: [] for table in statements}
        for conversation in found:
            key = conversation["conversationId"]
            rows["conversations"].append(
                (
                    key,
                    conversation["conversationStart"],
                    conversation.get("conversationEnd"),
                    conversation["originatingDirection"],
                    '["voice"]',
                    dumped(conversation["divisionIds"]),
                    conversation["mediaStatsMinConversationMos"],
                    conversation["mediaStatsMinConversationRFactor"],
                    "reconciled",
                    "now",
                    "now",
                    "now",
                    orjson.dumps(conversation).decode(),
                )
            )
            for at, participant in enumerate(conversation["participants"]):
                owner = participant["participantId"]
                rows["participants"].append(
                    (key, at, owner, participant["participantName"], participant["purpose"], participant["userId"])
                )
                for place, session in enumerate(participant["sessions"]):
                    named = session["sessionId"]
                    rows["sessions"].append((key, at, place, owner, *(dumped(session.get(name)) for name in _SESSION)))
                    for table, listed, names in (
                        ("segments", session["segments"], _SEGMENT),
                        ("metrics", session["metrics"], _METRIC),
                        ("media_endpoint_stats", session.get("mediaEndpointStats", ()), _STAT),
                    ):
                        for index, item in enumerate(listed):
                            values = (dumped(item.get(name)) for name in names)
                            rows[table].append((key, at, place, index, owner, named, *values))
                    flow = session.get("flow")
                    if flow:
                        rows["flows"].append((key, at, place, owner, named, *flow.values()))
        database.execute("BEGIN IMMEDIATE")
        for table, found in rows.items():
            database.executemany(statements[table], found)
        database.execute("COMMIT")
        number += 1


def rollbook(port: int, path: str, via: Any = "query", policy: str = "keep") -> float:
    """The command itself, without the start of the interpreter. via: as `reconcile --via` takes it.

    policy: of `[privacy]`.
    """
    import dataclasses

    from reconcile.run.options import RunOptions
    from reconcile.run.runner import reconcile_window
    from rollbook.genesys.api.client import Api
    from rollbook.genesys.privacy.policy import parse
    from rollbook.genesys.privacy.redaction import redactor_of
    from rollbook.genesys.program.process_memory import tune_collector
    from rollbook.genesys.program.settings import Secret, Settings
    from rollbook.genesys.times import parse_interval
    from rollbook.store.book import Book

    tune_collector()
    address = f"http://127.0.0.1:{port}"
    settings = dataclasses.replace(
        Settings(api_url=address, login_url=address, client_id="a", client_secret=Secret("b")),
        store_path=Path(path),
        privacy=parse(policy),
    )

    async def work() -> float:
        with Book.open(path, redactor=redactor_of(settings)) as book:
            async with Api(settings) as api:
                began = time.perf_counter()
                interval = parse_interval(INTERVAL, now=datetime.now(UTC))
                report = await reconcile_window(
                    book, api, interval, settings=settings, now=lambda: datetime.now(UTC), options=RunOptions(via=via)
                )
                seconds = time.perf_counter() - began
                assert report.verdict in ("complete", "settled"), report
                return seconds

    return asyncio.run(work())


def _run(contender: Any, port: int, path: str, answer: Any) -> None:
    seconds = contender(port, path)
    answer.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def measure(contender: Any, port: int) -> tuple[float, float, Path]:
    """(seconds, greatest resident size in MB) of one contender, in a process and a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=_run, args=(contender, port, f"{folder}/b.db", theirs))
        process.start()
        theirs.close()
        seconds, size = ours.recv()
        process.join()
        return float(seconds), size / 1024, Path(folder)


def server_of(total: int, serve: Any = serve) -> Iterator[Any]:
    """A server for so many conversations while it is needed: what it sends when it is up, (port, bytes of each)."""
    ours, theirs = multiprocessing.Pipe(False)
    process = multiprocessing.Process(target=serve, args=(total, theirs), daemon=True)
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


def compare(total: int) -> None:
    """Every contender twice, in turns; the best of each."""
    for port, size in server_of(total):
        print(f"{total:,} conversations of {size / 1000:.1f} KB")
        rates: dict[str, float] = {}
        for _ in range(3):
            for contender in (sdk, bare, rollbook):
                if contender is sdk and "sdk" in rates:
                    continue
                seconds, _, _ = measure(contender, port)
                rates[contender.__name__] = max(rates.get(contender.__name__, 0), total / seconds)
        for name, rate in rates.items():
            print(
                f"{name:<10} {rate:>8,.0f} conversations/s   rollbook is {rates['rollbook'] / rate:.2f} times as fast"
            )


def memory(contender: Any = rollbook, serve: Any = serve) -> None:
    """The greatest resident size of a contender at two sizes of a window."""
    sizes = []
    for total in (10_000, 50_000):
        for port, _ in server_of(total, serve):
            seconds, size, _ = measure(contender, port)
            sizes.append(size)
            print(f"{total:>7,} conversations: {size:.0f} MB resident at most, {total / seconds:,.0f} conversations/s")
    print(f"ratio {sizes[1] / sizes[0]:.2f}")


def main(doc: str | None = __doc__, compare: Any = compare, memory: Any = memory) -> None:
    """Parse, then measure."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conversations", nargs="?", type=int, default=5000)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    if options.memory:
        memory()
    else:
        compare(options.conversations)


if __name__ == "__main__":
    main()
