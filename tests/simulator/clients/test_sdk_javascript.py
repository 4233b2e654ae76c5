"""The platform's own SDK for JavaScript, over TLS, as the simulator's client: what it can do there, it can do here.

It is had from npm by npm itself, once, into the tests' cache; without Node, npm or the package the test is skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.simulator import Simulator
from rollbook.simulator.certificates import LOOPBACK, Certificate, make
from rollbook.simulator.rest.analytics.jobs import JobRules

START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = "2026-03-02T08:00:00.000Z/2026-03-02T11:00:00.000Z"
SCRIPT = Path(__file__).parent / "client.js"
PACKAGES = ("purecloud-platform-client-v2@262.0.0", "ws@8")


@pytest.fixture(scope="module")
def modules(request: pytest.FixtureRequest) -> Path:
    """The folder in which Node finds the SDK."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the SDK for JavaScript is not tried: there is no node or no npm")
    if getattr(request.config, "cache", None) is None:
        pytest.skip("the SDK for JavaScript is not tried: pytest keeps no cache")
    folder = Path(request.config.cache.mkdir("javascript")).resolve()
    found = folder / "node_modules"
    if not all((found / package.rpartition("@")[0] / "package.json").exists() for package in PACKAGES):
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
        try:
            done = subprocess.run([*command, *PACKAGES], cwd=folder, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            pytest.skip("the SDK for JavaScript is not tried: npm did not install it within three minutes")
        if done.returncode:
            pytest.skip("the SDK for JavaScript is not tried: npm could not install it")
    return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One for loopback."""
    if shutil.which("openssl") is None:
        pytest.skip("TLS is not tried: there is no openssl")
    return make(tmp_path_factory.mktemp("certificate"), LOOPBACK)


@pytest.fixture
async def organisation(certificate: Certificate) -> AsyncIterator[Simulator]:
    """An organisation of half a day over TLS, whose clock stands."""
    rules = JobRules(lag=timedelta(0), seconds=0.0)
    simulator = Simulator(seed=5, start=START, rate=0, per_hour=120, queues=7, job_rules=rules, tls=certificate)
    simulator.clock.advance(timedelta(hours=12))
    async with simulator:
        yield simulator


async def steps(process: asyncio.subprocess.Process, until: str) -> dict[str, Any]:
    """What the client tells, by its step, until one of them."""
    found: dict[str, Any] = {}
    assert process.stdout is not None
    while until not in found:
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        assert line, f"it ended before it came to {until}"
        step = json.loads(line)
        found[step.pop("step")] = step
        assert "error" not in found, found["error"]
    return found


async def test_the_sdk_for_javascript_does_here_what_it_does_there(
    organisation: Simulator, modules: Path, tmp_path: Path
) -> None:
    """It signs in, lists, queries with 200 rows a page, runs a job, aggregates, and receives events over `ws`."""
    port = organisation.api_url.rpartition(":")[2]
    asked = ("127.0.0.1", port, organisation.client_id, organisation.client_secret, HOURS)
    trusted = {name: organisation.env[name] for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NODE_PATH": str(modules), **trusted}
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPT), *asked, env=environment, stdout=asyncio.subprocess.PIPE, limit=2**24
    )
    try:
        said = await steps(process, "listening")
        assert organisation.api_url.startswith("https://")
        world = organisation.world
        for listed, entities in (("queues", world.queues), ("users", world.users)):
            assert said[listed]["ids"] == [
                entity["id"] for entity in sorted(entities, key=lambda entity: entity["name"])
            ]
        truth = organisation.truth(START + timedelta(hours=8), START + timedelta(hours=11))
        found = said["details"]["ids"]
        assert truth.keys() <= set(found)
        assert len(found) == len(set(found))
        assert said["details"]["pages"] == -(-len(found) // 200) + 1 >= 3
        assert truth.keys() <= set(said["job"]["ids"])
        assert (said["job"]["state"], said["job"]["after"]) == ("FULFILLED", "CANCELLED")
        assert {tuple(result["group"]) for result in said["aggregates"]["results"]} == {("mediaType", "queueId")}
        assert said["token"]["OAuthClient"]["id"] == organisation.client_id
        assert said["missing"] == {"status": 404, "code": "not.found"}
        assert said["listening"]["uri"].startswith(f"wss://127.0.0.1:{port}/channels/streaming-")
        assert said["listening"]["states"] == ["Permitted"] * 7
        assert said["listening"]["listed"] == 7
        organisation.clock.advance(timedelta(minutes=30))
        said |= await steps(process, "events")
        assert len({event["conversation"] for event in said["events"]["events"]}) > 3
        assert all(event["topic"].startswith("v2.routing.queues.") for event in said["events"]["events"])
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
