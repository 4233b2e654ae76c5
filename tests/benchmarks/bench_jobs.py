"""Backfill by an asynchronous job against the query path, in one run; and the job's memory against its size.

    python tests/benchmarks/bench_jobs.py [CONVERSATIONS] [--memory]

A server in a process of its own answers both with the same prepared conversations (`bench_reconcile.conversation`): the
details query with pages of 100, a job's results with pages of 1,000 and participants' attributes, the job FULFILLED at
once. Each run is a process of its own and fills a new file. Printed: conversations a second of each way and their
ratio, which is the figure that counts; with --memory the greatest resident size at 10,000 and at 50,000.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks import bench_reconcile
from tests.benchmarks.bench_reconcile import PAGE, conversation

JOB_PAGE = 1000
WATERMARK = "2026-03-09T00:00:00.000Z"


def with_attributes(record: dict[str, Any]) -> dict[str, Any]:
    """As a job tells it: participant data of the customer, where flows and scripts put it."""
    attributes = {"caseId": "12345", "language": "en", "tier": "gold", "intent": "billing", "verified": "true"}
    customer, *others = record["participants"]
    return record | {"participants": [customer | {"attributes": attributes}, *others]}


def serve(total: int, port: Any) -> None:
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
    limits = {"inin-ratelimit-count": "1", "inin-ratelimit-allowed": "1000000", "inin-ratelimit-reset": "60"}

    def answer(body: Any) -> Any:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(body, headers=limits)

        return handler

    async def query(request: web.Request) -> web.Response:
        number = (await request.json())["paging"]["pageNumber"] - 1
        body = pages[number] if number < len(pages) else b"{}"
        return web.Response(body=body, content_type="application/json", headers=limits)

    async def page(request: web.Request) -> web.Response:
        body = results[int(request.query.get("cursor", 0))]
        return web.Response(body=body, content_type="application/json", headers=limits)

    async def main() -> None:
        app = web.Application()
        jobs = "/api/v2/analytics/conversations/details/jobs"
        app.router.add_post("/oauth/token", answer({"access_token": "t", "token_type": "bearer", "expires_in": 86400}))
        app.router.add_get("/api/v2/authorization/divisions", answer({"entities": []}))
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
    rates: dict[str, float] = {}
    for port, _ in bench_reconcile.server_of(total, serve):
        for way in (query, job) * 3:
            seconds, _, _ = bench_reconcile.measure(way, port)
            rates[way.__name__] = max(rates.get(way.__name__, 0), total / seconds)
    for name, rate in rates.items():
        print(f"{name:<6} {rate:>8,.0f} conversations/s   the job is {rates['job'] / rate:.2f} times as fast")


if __name__ == "__main__":
    bench_reconcile.main(__doc__, compare, lambda: bench_reconcile.memory(job, serve))
