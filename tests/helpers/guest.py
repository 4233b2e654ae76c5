"""A client over HTTP of a simulated organisation of half a day, whose clock stands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from rollbook.simulator import Simulator
from rollbook.simulator.rest.analytics.jobs import JobRules

START = datetime(2026, 3, 2, tzinfo=UTC)
NOON = START + timedelta(hours=12)
HOUR = "2026-03-02T10:00:00.000Z/2026-03-02T11:00:00.000Z"
DETAILS = "/api/v2/analytics/conversations/details"
QUEUES = "/api/v2/routing/queues"


class Seconds:
    """A forward clock that a test moves."""

    def __init__(self) -> None:
        self.at = 50.0

    def __call__(self) -> float:
        return self.at


class Guest:
    """A client over HTTP."""

    def __init__(self, http: httpx.AsyncClient, simulator: Simulator, seconds: Seconds) -> None:
        self.http, self.simulator, self.seconds = http, simulator, seconds
        self.headers: dict[str, str] = {}

    async def sign_in(self, **form: str) -> httpx.Response:
        """With the right credentials, and what a test adds to the form."""
        auth = (self.simulator.client_id, self.simulator.client_secret)
        answer = await self.http.post("/oauth/token", data={"grant_type": "client_credentials", **form}, auth=auth)
        if answer.status_code == 200:
            self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return answer

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params or None, headers=self.headers)

    async def query(self, **body: Any) -> httpx.Response:
        paging = {"pageSize": 100, "pageNumber": 1}
        return await self.http.post(
            f"{DETAILS}/query", json={"interval": HOUR, "paging": paging, **body}, headers=self.headers
        )

    async def ids(self) -> set[str]:
        """The conversations of the hour."""
        return {conversation["conversationId"] for conversation in (await self.query()).json().get("conversations", ())}


@asynccontextmanager
async def signed_in(**more: Any) -> AsyncIterator[Guest]:
    """A guest of an organisation; more: of its parameters."""
    seconds = Seconds()
    rules = JobRules(lag=timedelta(0))
    simulator = Simulator(
        seed=6, start=START, rate=0, per_hour=40, monotonic=seconds, token_lifetime=600, job_rules=rules, **more
    )
    simulator.clock.advance(NOON - START)
    async with simulator, httpx.AsyncClient(base_url=simulator.api_url) as http:
        client = Guest(http, simulator, seconds)
        await client.sign_in()
        yield client


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An ErrorBody, whole and consistent with its headers."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    assert {"message", "contextId", "details", "errors"} <= body.keys()
    assert ("messageParams" in body) == (status != 429)
    assert body["contextId"] == answer.headers["ININ-Correlation-Id"]
    return body
