"""Backfill by an asynchronous job against the query path, in one run; and the job's memory against its size.

    python tests/benchmarks/bench_jobs.py [CONVERSATIONS] [--memory]

A server in a process of its own answers both with the same prepared conversations (`bench_reconcile.conversation`): the
details query with pages of 100, a job's results with pages of 1,000 and participants' attributes, the job FULFILLED at
once. Each run is a process of its own and fills a new file. Printed: conversations a second of each way and their
ratio, which is the figure that counts; with --memory the greatest resident size at 10,000 and at 50,000.

Three servers: one that answers at once and without a limit, where both ways wait for the same writer; one with the
platform's limit of 300 requests a minute for a token (it says so in its headers, and answers 429 beyond), with a little
more conversations than the query gets in a minute; and one that answers each request after LATENCY, which is a guess,
the same for both ways.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks import bench_reconcile
from tests.benchmarks.bench_reconcile import DIVISION_LIST, PAGE, conversation

JOB_PAGE = 1000
WATERMARK = "2026-03-09T00:00:00.000Z"
# The platform's published limit of a token (`client.credentials.token.rate.per.minute`), and what shows it.
LIMIT = 300
A_MINUTE = 31_000
# Seconds from a request to its answer, and conversations that show them.
LATENCY = 0.4
LATE = 3_000


def with_attributes(record: dict[str, Any]) -> dict[str, Any]:
    """As a job tells it: participant data of the customer, where flows and scripts put it."""
    attributes = {"caseId": "12345", "language": "en", "tier": "gold", "intent": "billing", "verified": "true"}
    customer, *others = record["participants"]
    return record | {"participants": [customer | {"attributes": attributes}, *others]}


class Allowance:
    """The requests of a token in its present minute; a new token has them all."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.began, self.count = 0.0, 0

    def sign_in(self) -> None:
        """Begin anew."""
        self.began = 0.0

    def headers(self) -> tuple[bool, dict[str, str]]:
        """Count a request; answers whether it is allowed, and the headers that say so."""
        if time.monotonic() >= self.began + 60:
            self.began, self.count = time.monotonic(), 0
        self.count += 1
        left = str(math.ceil(self.began + 60 - time.monotonic()))
        headers = {
            "inin-ratelimit-count": str(self.count),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": left,
        }
        is_allowed = self.count <= self.allowed
        return is_allowed, headers if is_allowed else headers | {"Retry-After": left}


def serve(total: int, port: Any, *, allowed: int = 1_000_000, latency: float = 0.0) -> None:
    """Both ways over the same conversations."""
    from aiohttp import web

    rows = [json.dumps(conversation(index, total)) for index in range(total)]
    rows_of_jobs = [json.dumps(with_attributes(conversation(index, total))) for index in range(total)]
    pages = [
        f'{{"conversations":[{",".join(rows[at : at + PAGE])}],"totalHits":{total}}}'.encode()
        for at in range(0, total, PAGE)
    ]
    results = []
    for at in range(0, total, JOB_PAGE):
        cursor = f'"cursor":"{at // JOB_PAGE + 1}",' if at + JOB_PAGE < total else ""
        listed = ",".join(rows_of_jobs[at : at + JOB_PAGE])
        results.append(f'{{{cursor}"dataAvailabilityDate":"{WATERMARK}","conversations":[{listed}]}}'.encode())
    allowance = Allowance(allowed)

    @web.middleware
    async def limited(request: web.Request, handler: Any) -> Any:
        if request.path == "/oauth/token":
            allowance.sign_in()
            return await handler(request)
        is_allowed, headers = allowance.headers()
        await asyncio.sleep(latency)
        if not is_allowed:
            return web.json_response({"status": 429, "code": "too.many.requests"}, status=429, headers=headers)
        found = await handler(request)
        found.headers.update(headers)
        return found

    def answer(body: Any) -> Any:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(body)

        return handler

    async def query(request: web.Request) -> web.Response:
        number = (await request.json())["paging"]["pageNumber"] - 1
        body = pages[number] if number < len(pages) else b"{}"
        return web.Response(body=body, content_type="application/json")

    async def page(request: web.Request) -> web.Response:
        body = results[int(request.query.get("cursor", 0))]
        return web.Response(body=body, content_type="application/json")

    async def main() -> None:
        app = web.Application(middlewares=[limited])
        jobs = "/api/v2/analytics/conversations/details/jobs"
        app.router.add_post("/oauth/token", answer({"access_token": "t", "token_type": "bearer", "expires_in": 86400}))
        app.router.add_get("/api/v2/authorization/divisions", answer(DIVISION_LIST))
        app.router.add_post("/api/v2/analytics/conversations/details/query", query)
        app.router.add_get(f"{jobs}/availability", answer({"dataAvailabilityDate": WATERMARK}))
        app.router.add_post(jobs, answer({"jobId": "j"}))
        app.router.add_get(f"{jobs}/j", answer({"state": "FULFILLED"}))
        app.router.add_get(f"{jobs}/j/results", page)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.send((runner.addresses[0][1], sum(map(len, pages)) / total))
        await asyncio.Event().wait()

    asyncio.run(main())


def query(port: int, path: str) -> float:
    """The details query."""
    return bench_reconcile.rollbook(port, path, "query")


def job(port: int, path: str) -> float:
    """A job."""
    return bench_reconcile.rollbook(port, path, "job")


def compare(total: int) -> None:
    """Both ways in turns; the best of each."""
    print(f"{'':<42}{'query':>8}{'job':>8}  conversations/s, the job is so many times as fast")
    _print_ways("answered at once", total, serve, times=3)
    _print_ways(f"{LIMIT} requests a minute", A_MINUTE, functools.partial(serve, allowed=LIMIT))
    _print_ways(f"each answer after {LATENCY} s", LATE, functools.partial(serve, latency=LATENCY))


def _print_ways(what: str, total: int, serve: Any, *, times: int = 1) -> None:
    rates: dict[str, float] = {}
    for port, _ in bench_reconcile.server_of(total, serve):
        for way in (query, job) * times:
            seconds, _, _ = bench_reconcile.measure(way, port)
            rates[way.__name__] = max(rates.get(way.__name__, 0), total / seconds)
    name = f"{what}, {total:,} conversations"
    print(f"{name:<42}{rates['query']:>8,.0f}{rates['job']:>8,.0f}{rates['job'] / rates['query']:>6.2f}", flush=True)


if __name__ == "__main__":
    bench_reconcile.main(__doc__, compare, lambda: bench_reconcile.memory(job, serve))
