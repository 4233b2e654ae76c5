"""A simulated organisation without sockets whose answers are altered on their way to the product."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.api.client import Api
from rollbook.genesys.api.http import Answer
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.simulator import Simulator
from rollbook.simulator.rest.analytics.jobs import JobRules
from tests.helpers.wire import Organisation, Wire

START: Final = datetime(2026, 3, 2, 10, tzinfo=UTC)


def _of_notifications(method: str, url: str) -> bytes:
    """What the simulator answers over HTTP only: channels, subscriptions and topics."""
    channel = {"id": "streaming-1", "connectUri": "wss://127.0.0.1/channels/1", "expires": "2026-03-11T10:00:00.000Z"}
    topic = {"id": "v2.routing.queues.{id}.conversations", "transports": ["All"], "permissionDetails": []}
    if url.endswith("/subscriptions"):
        return json.dumps({"entities": [{"id": "v2.a", "state": "Permitted"}]}).encode()
    if "availabletopics" in url:
        return json.dumps({"entities": [topic]}).encode()
    return json.dumps(channel if method == "POST" else {"entities": [channel]}).encode()


class AlteredPlatform:
    """An organisation without sockets, and the bodies that it has answered with.

    alter: called with each address and its answer, and answers what the product gets. passed: seconds of its clock.
    """

    def __init__(self, *, per_hour: float = 16, seed: int = 3) -> None:
        self.simulator = Simulator(
            seed=seed, start=START, rate=0, per_hour=per_hour, rate_limit=100_000, job_rules=JobRules(seconds=0)
        )
        self.simulator.clock.advance(timedelta(days=8))
        self.simulator.world.grow(START + timedelta(hours=1))
        self.organisation = Organisation(self.simulator, page=100)
        self.bodies: dict[str, bytes] = {}
        self.passed = 0.0
        self.alter: Callable[[str, Answer], Answer] = lambda _path, answer: answer

    @property
    def owner(self) -> tuple[str, str]:
        """Id and name of the organisation."""
        found = self.simulator.world.organization
        return str(found["id"]), str(found["name"])

    def settings(self, path: Path, secret: str, **more: str) -> Settings:
        """Settings of a program that asks it. secret: in the environment; the simulator's own takes its place."""
        env = {
            "GENESYSCLOUD_API_URL": "http://127.0.0.1:9",
            "GENESYSCLOUD_LOGIN_URL": "http://127.0.0.1:9",
            "GENESYSCLOUD_CLIENT_ID": "simulated-client",
            "GENESYSCLOUD_CLIENT_SECRET": secret,
            **more,
        }
        made = load(env=env, cwd=path)
        return replace(made, client_id=self.simulator.client_id, client_secret=Secret(self.simulator.client_secret))

    async def sleep(self, seconds: float) -> None:
        """Wait on its clock."""
        self.passed += max(seconds, 0.0)
        await asyncio.sleep(0)

    def api(self, settings: Settings) -> Api:
        """A connection to it."""
        made = Api(
            settings, clock=lambda: self.passed, sleep=self.sleep, random=random.Random(1), now=self.simulator.now
        )
        platform = self

        class Altering(Wire):
            async def request(self, method: str, url: str, **how: Any) -> Answer:
                platform.passed += 0.05
                if platform.passed > 50_000:
                    raise AssertionError("it asks for ever")
                answer = await super().request(method, url, **how)
                if answer.status == 501:
                    answer = replace(answer, status=200, body=_of_notifications(method, url))
                platform.organisation.shown.clear()
                platform.bodies.setdefault(url.split("?")[0], answer.body)
                return platform.alter(url, answer)

        async def nothing(_: str) -> None:
            return None

        wire = Altering(self.organisation, nothing)
        made._http = made._sign_in._http = wire  # type: ignore[assignment]
        return made
